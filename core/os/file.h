/* SPDX-License-Identifier: MIT
 *
 * file: the few files that are read at the start and for reports, and those that reports are written to, by raw system
 * calls: no cancellation point, errno stays. Text is written by base/fmt.h.
 *
 * Never in malloc, free and realloc. Any thread; every call may fail. Knows base only.
 */
#ifndef HK_OS_FILE_H
#define HK_OS_FILE_H

#include "base/compiler.h"

/* The first `size` - 1 bytes of a file as a string; false when it cannot be read, or is empty. */
bool hk_file_text(const char *path, char *text, size_t size);

/* The number that a text begins with, in decimal digits; one that does not fit is SIZE_MAX. */
size_t hk_file_number(const char *text);

/* Opens a file to write it anew; a descriptor, or a negative number. */
int hk_file_create(const char *path);

/* A copy of a descriptor with the lowest free number from `least` on; a negative number: none. */
int hk_file_copy(int fd, int least);

void hk_file_close(int fd);

#endif
