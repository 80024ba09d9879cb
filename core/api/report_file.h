/* SPDX-License-Identifier: MIT
 *
 * report_file: files that the user named in an option, and what is said in their place. Any thread; allocates nothing.
 */
#ifndef HK_API_REPORT_FILE_H
#define HK_API_REPORT_FILE_H

/* Opens, to write it anew, the file `path` in which %p is replaced by the process id and %n by `number`. A descriptor,
 * or a negative number. */
int hk_report_open(const char *path, unsigned number);

/* Writes the statistics as JSON to such a file, or a line to stderr that it cannot be written. */
void hk_report_json(const char *path);

/* Says that there are no statistics, as the program ends in a signal handler that interrupted malloc. */
void hk_report_none(int fd);

#endif
