/* SPDX-License-Identifier: MIT
 *
 * report_file: opens a file that the user named in an option. Any thread; allocates nothing.
 */
#ifndef HK_API_REPORT_FILE_H
#define HK_API_REPORT_FILE_H

/* Opens, to write it anew, the file `path` in which %p is replaced by the process id and %n by `number`. A descriptor,
 * or a negative number. */
int hk_report_open(const char *path, unsigned number);

#endif
