/* SPDX-License-Identifier: MIT
 *
 * report_file: files that the user named in an option, and what is said in their place. Any thread; allocates nothing.
 */
#ifndef HK_API_REPORT_FILE_H
#define HK_API_REPORT_FILE_H

#include "base/options.h"

#include <stdbool.h>

/* May this thread wait for the lock of a report? False and EPERM: it is a signal handler that interrupted malloc. Its
 * thread may hold what the lock's holder waits for. */
bool hk_report_may_wait(void);

/* A file that a report goes to. */
struct hk_report_file {
    char name[HK_TEXT_BYTES + 64]; /* with %p replaced by the process id, and %n by a number */
    int fd;                        /* or what the system said, negative */
};

/* Opens, to write it anew, the file that `path` names. */
void hk_report_open(struct hk_report_file *file, const char *path, unsigned number);

/* Closes it. Where it was not opened, or not all `written`, says so on stderr: the option, the file, and why. */
void hk_report_close(struct hk_report_file *file, bool written, const char *option);

/* Writes the statistics as JSON to such a file, or a line to stderr that it cannot be written. */
void hk_report_json(const char *path);

/* Says that there are no statistics, as the program ends in a signal handler that interrupted malloc. */
void hk_report_none(int fd);

#endif
