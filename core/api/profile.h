/* SPDX-License-Identifier: MIT
 *
 * profile: when a profile begins, and when and where to it is written: by HAKMEM_PROFILE from the start to the exit, by
 * hak_profile_start and its like whenever the program wants. Included by api/ANY.c only.
 *
 * One thread at a time, by a lock of its own, outside the ranks. Must not know what is in the files.
 */
#ifndef HK_API_PROFILE_H
#define HK_API_PROFILE_H

#include "base/compiler.h"

HK_ONCE void hk_profile_start(void);
HK_ONCE void hk_profile_finish(void);

/* Their parts that most programs never run: not to lie with those. */
void hk_profile_start_wanted(void);
void hk_profile_write_last(void);

/* In the child of a fork: nobody writes. */
void hk_profile_fork_child(void);

#endif
