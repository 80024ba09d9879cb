/* SPDX-License-Identifier: MIT
 *
 * leaks: when leaks are looked for: at exit by HAKMEM_LEAKS, and whenever the program calls hak_leaks. Included by
 * api/lifecycle.c and api/leaks_ANY.c only.
 *
 * One thread at a time, by a lock of its own, outside the ranks. Must not know how they are found.
 */
#ifndef HK_API_LEAKS_H
#define HK_API_LEAKS_H

#include "base/compiler.h"

HK_ONCE void hk_leaks_start(void);
HK_ONCE void hk_leaks_finish(void);

/* Their parts that most programs never run: not to lie with those. */
void hk_leaks_start_wanted(void);
void hk_leaks_write_last(void);

/* In the child of a fork: nobody looks. */
void hk_leaks_fork_child(void);

#endif
