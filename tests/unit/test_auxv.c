/* SPDX-License-Identifier: MIT
 *
 * What the kernel left on the stack: in this process, against getauxval, and on stacks that are made up.
 */
#include "unit.h"

#include "os/auxv.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

extern void *__libc_stack_end __attribute__((weak)); /* glibc's */

static void expect_this_process(void)
{
    struct hk_auxv a;
    EXPECT(hk_auxv_get(&a));
    EXPECT(a.page_size == getauxval(AT_PAGESZ));
    EXPECT((uintptr_t)a.vdso == getauxval(AT_SYSINFO_EHDR));
    EXPECT(a.secure == (getauxval(AT_SECURE) != 0 ? HK_SECURE_YES : HK_SECURE_NO));
}

static void without_environment(void *arg)
{
    unsigned how = *(unsigned *)arg;
    expect_this_process();
    if (&__libc_stack_end == NULL)
        return;     /* the environment is the only way, and then another one can be no way */
    if (how == 0) { /* entries move down in the table that the kernel made */
        EXPECT(environ != NULL && environ[0] != NULL);
        char name[256] = "";
        size_t length = strcspn(environ[0], "=");
        EXPECT(length < sizeof name);
        memcpy(name, environ[0], length);
        EXPECT(unsetenv(name) == 0);
    } else if (how == 1) {
        environ[0] = NULL; /* as programs do that write a title over their arguments */
    } else {
        static char *other[] = {NULL};
        environ = other;
    }
    expect_this_process();
}

static void this_process_is_known_whatever_became_of_its_environment(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 3; how++)
        unit_passes(without_environment, &how);
}

/* Before glibc's own constructors its variable is NULL. */
static void without_variable(void *arg)
{
    (void)arg;
    char **kernels = environ, *other[] = {NULL};
    EXPECT(hk_auxv_environment() == kernels);
    environ = NULL;
    EXPECT(hk_auxv_environment() == (&__libc_stack_end != NULL ? kernels : NULL));
    environ = other;
    EXPECT(hk_auxv_environment() == other);
}

static void the_environment_is_found_before_libc_has_begun(void **state)
{
    (void)state;
    unit_passes(without_variable, NULL);
}

#define TEXT(i) ((uintptr_t)&stack[100 + (i)]) /* texts lie above the table */

static uintptr_t stack[200];

static const uintptr_t *build(uintptr_t argc, unsigned zeros, uintptr_t page_size)
{
    uintptr_t *at = stack;
    memset(stack, 0, sizeof stack);
    *at++ = argc;
    for (unsigned i = 0; i < argc; i++)
        *at++ = TEXT(i);
    *at++ = 0;
    const uintptr_t *environment = at;
    *at++ = TEXT(20);
    *at++ = TEXT(21);
    at += zeros;
    const uintptr_t pairs[] = {AT_SYSINFO_EHDR, 0x1234000, AT_HWCAP, 7, AT_PAGESZ, page_size, AT_SECURE, 1, AT_NULL, 0};
    memcpy(at, pairs, sizeof pairs);
    return environment;
}

static void expect_made_up(const struct hk_auxv *a, size_t page_size)
{
    assert_int_equal(a->page_size, page_size);
    assert_int_equal((uintptr_t)a->vdso, 0x1234000);
    assert_int_equal(a->secure, HK_SECURE_YES);
}

static void both_ways_lead_to_it(void **state)
{
    (void)state;
    for (size_t page_size = 4096; page_size <= 65536; page_size *= 4) {
        struct hk_auxv a = {0};
        const uintptr_t *environment = build(3, 1, page_size);
        assert_true(hk_auxv_from_stack(stack, &a));
        expect_made_up(&a, page_size);
        a = (struct hk_auxv){0};
        assert_true(hk_auxv_from_environment(environment, &a));
        expect_made_up(&a, page_size);
    }
}

static void an_environment_that_was_changed_is_passed_over(void **state)
{
    (void)state;
    struct hk_auxv a = {0};
    uintptr_t *environment = (uintptr_t *)build(1, 3, 4096);
    assert_true(hk_auxv_from_stack(stack, &a));
    assert_false(hk_auxv_from_environment(environment, &a));
    build(1, 1, 4096);
    environment[0] = 0;
    assert_true(hk_auxv_from_stack(stack, &a));
    assert_false(hk_auxv_from_environment(environment, &a));
}

static void what_cannot_be_it_is_refused(void **state)
{
    (void)state;
    struct hk_auxv a = {.page_size = 1};
    static const size_t sizes[] = {0, 1, 2048, 4095, 12288, 131072};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uintptr_t *environment = build(2, 1, sizes[i]);
        assert_false(hk_auxv_from_stack(stack, &a));
        assert_false(hk_auxv_from_environment(environment, &a));
    }
    uintptr_t *environment = (uintptr_t *)build(2, 1, 4096);
    stack[0] = 3; /* no zero after so many */
    assert_false(hk_auxv_from_stack(stack, &a));
    stack[0] = (uintptr_t)stack;
    assert_false(hk_auxv_from_stack(stack, &a));
    stack[0] = 0;
    assert_false(hk_auxv_from_stack(stack, &a));
    environment[1] = (uintptr_t)stack - 8; /* a text below the table */
    assert_false(hk_auxv_from_environment(environment, &a));
    assert_int_equal(a.page_size, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_is_known_whatever_became_of_its_environment),
        cmocka_unit_test(the_environment_is_found_before_libc_has_begun),
        cmocka_unit_test(both_ways_lead_to_it),
        cmocka_unit_test(an_environment_that_was_changed_is_passed_over),
        cmocka_unit_test(what_cannot_be_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
