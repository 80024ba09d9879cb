/* SPDX-License-Identifier: MIT
 *
 * leaks_report: what is written of leaks, and which are not to be told. Included by api/leaks_ANY.c only.
 *
 * A report is its caller's, as in api/profile_report.h. Never in malloc.
 */
#ifndef HK_API_LEAKS_REPORT_H
#define HK_API_LEAKS_REPORT_H

#include "api/profile_report.h"

/* Leaks with the names of who asked for them: report.result has the rows of leaks.found. */
struct hk_leaks_told {
    struct hk_leaks leaks;
    struct hk_report report;
};

/* Looks, without the leaks that the file of that name ignores; "" is none. False: leaks.refusal says why. A file that
 * cannot be read is said on stderr. */
bool hk_leaks_look(struct hk_leaks_told *told, const char *ignored_path);
void hk_leaks_drop(struct hk_leaks_told *told);

/* Which rows are ignored: a list of their stacks, in a mapping. False: none, or no memory. (leaks_ignored.c) */
bool hk_leaks_ignored(const struct hk_report *r, const char *path, struct hk_leak_ignored *ignored, size_t *mapped);

/* All that is to be said; false where a write fails. */
bool hk_leaks_write(const struct hk_leaks_told *told, int fd);

/* One line on why there is no report. */
bool hk_leaks_write_refusal(const struct hk_leaks *leaks, int fd);

#endif
