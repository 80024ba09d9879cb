/* SPDX-License-Identifier: MIT
 *
 * The initial stack, upwards: argc, so many arguments, 0, the environment, 0, pairs of type and value up to type 0. The
 * programs' way to the pairs, getauxval, is a function that anybody may interpose; two variables lead there too.
 */
#include "os/auxv.h"

#include "base/bits.h"

#include <elf.h>

/* The loader stores the address of argc here. In a static program it is another address, not far away. */
extern HK_WEAK void *__libc_stack_end;

/* In a static program set before all else. A program may have put another table there since. */
extern HK_WEAK char **environ;

#define ARGUMENTS_MAX ((uintptr_t)1 << 20) /* the kernel takes no more: 6 MiB of pointers and texts */
#define TYPE_MAX ((uintptr_t)4095)         /* types are small numbers; pointers are larger */
#define PAIRS_MAX 64u

static bool is_page_size(uintptr_t size)
{
    return size >= 4096 && size <= 65536 && hk_is_pow2(size);
}

/* A page size is always there: without it this is something else. */
static bool read_pairs(const uintptr_t *pair, struct hk_auxv *a)
{
    struct hk_auxv found = {0};
    for (unsigned i = 0; i < PAIRS_MAX && pair[0] != AT_NULL; i++, pair += 2) {
        if (pair[0] == AT_PAGESZ)
            found.page_size = pair[1];
        else if (pair[0] == AT_SYSINFO_EHDR)
            found.vdso = (const void *)pair[1];
        else if (pair[0] == AT_RANDOM)
            found.random = (const void *)pair[1];
        else if (pair[0] == AT_SECURE)
            found.secure = pair[1] == 0 ? HK_SECURE_NO : HK_SECURE_YES;
    }
    if (!is_page_size(found.page_size))
        return false;
    *a = found;
    return true;
}

/* The environment as it is now: unsetenv moves entries down and clearenv cuts the table off, so zeros and left over
 * pointers may stand before the first type. */
bool hk_auxv_from_stack(const uintptr_t *stack, struct hk_auxv *a)
{
    uintptr_t argc = stack[0];
    if (argc == 0 || argc > ARGUMENTS_MAX || stack[1 + argc] != 0)
        return false;
    const uintptr_t *at = stack + argc + 2;
    while (*at == 0 || *at > TYPE_MAX)
        at++;
    return read_pairs(at, a);
}

/* As the kernel left it, or not at all: nothing says how far a table can be read that is no stack. */
bool hk_auxv_from_environment(const uintptr_t *environment, struct hk_auxv *a)
{
    const uintptr_t *at = environment;
    for (; *at != 0; at++) {
        if (*at <= (uintptr_t)at)
            return false; /* the texts lie above */
    }
    return at[1] != 0 && at[1] <= TYPE_MAX && read_pairs(at + 1, a);
}

/* glibc sets its variable in a constructor, which may come later. */
char **hk_auxv_environment(void)
{
    if (&environ != NULL && environ != NULL)
        return environ;
    if (&__libc_stack_end == NULL || __libc_stack_end == NULL)
        return NULL;
    uintptr_t *stack = __libc_stack_end;
    struct hk_auxv a;
    return hk_auxv_from_stack(stack, &a) ? (char **)(stack + stack[0] + 2) : NULL;
}

bool hk_auxv_get(struct hk_auxv *a)
{
    *a = (struct hk_auxv){0};
    if (&__libc_stack_end != NULL && __libc_stack_end != NULL && hk_auxv_from_stack(__libc_stack_end, a))
        return true;
    /* Above every frame there is nothing but the initial stack: not the program's data, nor blocks. */
    if (&environ == NULL || (uintptr_t)environ < (uintptr_t)__builtin_frame_address(0))
        return false;
    return hk_auxv_from_environment((const uintptr_t *)environ, a);
}
