/* SPDX-License-Identifier: MIT
 *
 * vdso: the time, and on which node a thread runs, by the functions that the kernel maps into every process: 5 to 20
 * ns, and neither a system call nor a function that a library may interpose. Where they are not (valgrind hides them),
 * by the system call.
 *
 * Any thread. What is looked up is looked up once; threads that race write the same. Knows base and auxv.
 */
#ifndef HK_OS_VDSO_H
#define HK_OS_VDSO_H

#include "base/compiler.h"

#include <time.h>

/* False: refused. */
bool hk_vdso_clock(clockid_t clock, struct timespec *t);

/* The NUMA node of the processor that runs the calling thread; false: refused. */
bool hk_vdso_node(unsigned *node);

/* Looks both functions up now. */
void hk_vdso_start(void);

/* A function of an ELF image in memory by its name; NULL: not there, or this is no such image. Reads no byte beyond
 * what the image's program headers say is there. */
const void *hk_vdso_find(const void *image, const char *name);

#endif
