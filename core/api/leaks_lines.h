/* SPDX-License-Identifier: MIT
 *
 * leaks_lines: the lines that places lie in, from the tables of lines that compilers leave with -g (DWARF 2 to 5).
 * Included by api/leaks_ANY.c and api/guard_report.c only.
 *
 * Pure, but for the report that it completes. Files are read with care: what does not fit into them is not there, and
 * what is compressed is passed over.
 */
#ifndef HK_API_LEAKS_LINES_H
#define HK_API_LEAKS_LINES_H

#include "api/profile_report.h"

/* Gives the places of a report their lines, where their files have them. */
void hk_lines_read(struct hk_report *r);

#endif
