/* SPDX-License-Identifier: MIT
 *
 * odd_system: calls of the system that are not what they seem, and what is done then. Apart from what every process
 * runs. Any thread, no lock. Included by os/os_linux.c and os/odd_system.c only.
 */
#ifndef HK_OS_ODD_SYSTEM_H
#define HK_OS_ODD_SYSTEM_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* Of mmap at an address: whether that is a hint or a condition. Relaxed: who sees it late asks by a hint. */
extern HK_HIDDEN _Atomic long hk_os_place_flags;

/* mmap did not map where it was to, but answered p: what is there instead goes again. *taken: somebody is there. False.
 */
bool hk_os_went_elsewhere(long p, size_t size, bool *taken);

/* Unmaps what was mapped, and is not counted as held: for that moment it is. */
bool hk_os_unmap_uncounted(void *ptr, size_t size);

enum hk_os_purges { HK_PURGE_UNTRIED, HK_PURGE_WORKS, HK_PURGE_IN_VAIN };

/* Tries whether pages go back where the system says so, on one of ours. */
enum hk_os_purges hk_os_try_purge(void);

#endif
