/* SPDX-License-Identifier: MIT
 *
 * auxv: what the kernel told the process at its start, read off its stack: no call of the C library, no system call.
 *
 * Any thread, from the loader's first call on. Reads only memory that is written before the first allocation. Knows
 * base only.
 */
#ifndef HK_OS_AUXV_H
#define HK_OS_AUXV_H

#include "base/compiler.h"

enum hk_auxv_secure { HK_SECURE_UNKNOWN, HK_SECURE_NO, HK_SECURE_YES };

struct hk_auxv {
    size_t page_size;
    const void *vdso;           /* the kernel's library in the process, or NULL */
    const void *random;         /* 16 bytes that nobody can foresee, or NULL */
    enum hk_auxv_secure secure; /* the program got rights by its start that its caller has not */
};

/* False: not found, and *a is as good as unknown (0, NULL, HK_SECURE_UNKNOWN). */
bool hk_auxv_get(struct hk_auxv *a);

/* The environment, as a constructor finds it that runs before those of the C library; NULL: not found. Not every C
 * library hands it to constructors. */
char **hk_auxv_environment(void);

/* The two ways to it, for hk_auxv_get and tests: from the first word of the initial stack (argc), and from its
 * environment. False, and *a is untouched, where what is found there cannot be it. */
bool hk_auxv_from_stack(const uintptr_t *stack, struct hk_auxv *a);
bool hk_auxv_from_environment(const uintptr_t *environment, struct hk_auxv *a);

#endif
