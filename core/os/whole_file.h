/* SPDX-License-Identifier: MIT
 *
 * whole_file: files of any length, read in place or piece by piece, and bytes written, by raw system calls: no
 * cancellation point, errno stays. For profiles; apart from file.h, because most programs never need it.
 *
 * Never in malloc, free and realloc. Any thread; every call may fail. Knows base and file only.
 */
#ifndef HK_OS_WHOLE_FILE_H
#define HK_OS_WHOLE_FILE_H

#include "base/compiler.h"

/* Opens a file to read it; a descriptor, or a negative number. */
int hk_file_open(const char *path);

/* Up to `size` bytes of what comes next; 0: the end, or an error. */
size_t hk_file_read(int fd, void *bytes, size_t size);

/* Writes all of it; false: it could not. */
bool hk_file_write(int fd, const void *bytes, size_t size);

/* A whole file, to be read in place; NULL: it cannot be. hk_file_unmap gives it back. */
const void *hk_file_map(const char *path, size_t *size);
void hk_file_unmap(const void *bytes, size_t size);

/* The pages that lie in a part of it need not stay in memory; it may be read again. */
void hk_file_let_go(const void *bytes, size_t size);

#endif
