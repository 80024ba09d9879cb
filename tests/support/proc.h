/* SPDX-License-Identifier: MIT
 *
 * What the kernel says about a process: resident memory, threads, faults, mappings. Reads /proc with plain system calls
 * and allocates nothing.
 */
#ifndef HK_TEST_PROC_H
#define HK_TEST_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* A figure of /proc/PID/status in bytes, such as "VmRSS:", "VmHWM:" or "VmSize:"; pid 0 is the caller. */
size_t proc_status_bytes(pid_t pid, const char *key);

/* VmRSS of the caller, bytes. */
size_t proc_rss(void);

/* Number of threads of the caller as the kernel counts them. */
unsigned proc_threads(void);

/* Number of open file descriptors of the caller, the one used to count left out. */
unsigned proc_descriptors(void);

/* Minor page faults of the caller so far. */
long proc_faults(void);

/* Whether a line of the caller's /proc/self/maps contains the text. */
bool proc_maps_contain(const char *text);

/* Sleeps at least that long, whatever signals arrive. */
void proc_sleep_ms(unsigned ms);

#ifdef __cplusplus
}
#endif

#endif
