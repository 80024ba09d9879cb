/* SPDX-License-Identifier: MIT
 *
 * report_frame: a line for a frame of a stack. Included by api/report_frame.c, api/leaks_ANY.c and api/guard_ANY.c
 * only.
 *
 * A report is its caller's, as in api/profile_report.h.
 */
#ifndef HK_API_REPORT_FRAME_H
#define HK_API_REPORT_FRAME_H

#include "api/profile_report.h"
#include "base/fmt.h"

/* As debuggers and sanitizers write a frame, so that their tools find the line. `pc` is a return address of the report,
 * whose lines were read (api/leaks_lines.h) or not. */
void hk_report_put_frame(struct hk_fmt *f, const struct hk_report *r, unsigned number, uintptr_t pc);

#endif
