/* SPDX-License-Identifier: MIT
 *
 * odd_system: calls of the system that are not what they seem, and what is done then. Apart from what every process
 * runs. Any thread, no lock. Included by os/os_linux.c and os/odd_system.c only.
 */
#ifndef HK_OS_ODD_SYSTEM_H
#define HK_OS_ODD_SYSTEM_H

enum hk_os_purges { HK_PURGE_UNTRIED, HK_PURGE_WORKS, HK_PURGE_IN_VAIN };

/* Tries whether pages go back where the system says so, on one of ours. */
enum hk_os_purges hk_os_try_purge(void);

#endif
