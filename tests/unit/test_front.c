/* SPDX-License-Identifier: MIT
 *
 * What every front does, whichever is built. Each case runs in a child.
 */
#include "front_fixture.h"

#include "box/purge.h"
#include "fake_os.h"

#include <stdlib.h>

static void *blocks[4000];

static void first_use(void *arg)
{
    (void)arg;
    EXPECT(hk_front_thread() == NULL);
    EXPECT(fake_os_count(FAKE_ANY) == 0);
    char *p = front_take(0);
    memset(p, 1, 16);
    front_check();
    EXPECT(hk_block_find(p, "x").size == 16);
    front_free(p);
    front_free(front_take(1));
    front_free(NULL);
    front_check();
}

static void a_thread_needs_no_preparation(void **state)
{
    (void)state;
    unit_passes(first_use, NULL);
}

/* A block of a class that this thread has never seen is kept, or goes to its slab; the next malloc finds it. */
static void free_first(void *arg)
{
    (void)arg;
    hk_front_attach();
    void *p;
    unsigned cls = hk_class_of(80);
    EXPECT(hk_heap_take(&front_self()->heap, cls, &p, 1) == 1);
    ((uintptr_t *)p)[1] = 0;
    front_free(p);
    front_check();
    EXPECT(front_malloc(hk_class_size(cls)) == p);
}

static void the_first_call_may_be_a_free(void **state)
{
    (void)state;
    unit_passes(free_first, NULL);
}

static int by_address(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

/* What is handed out is handed out once; what is given back serves again. */
static void fill_and_free(void *arg)
{
    size_t size = *(const size_t *)arg;
    size_t most = hk_min(HK_COUNT(blocks), 8 * HK_MIB / size);
    unsigned slabs = 0;
    for (unsigned round = 0; round < 4; round++) {
        for (size_t i = 0; i < most; i++) {
            blocks[i] = front_take(size);
            EXPECT(HK_FILL || ((uintptr_t *)blocks[i])[1] == 0); /* no mark of a free block */
            memset(blocks[i], 0xa5, size);
        }
        qsort(blocks, most, sizeof *blocks, by_address);
        for (size_t i = 1; i < most; i++)
            EXPECT((char *)blocks[i] - (char *)blocks[i - 1] >= (ptrdiff_t)size);
        if (round == 0)
            slabs = front_owned_slabs();
        EXPECT(front_owned_slabs() <= slabs + 2 * HK_SPAN_MAX);
        for (size_t i = 0; i < most; i++)
            front_free(blocks[i * 7919 % most]); /* a prime */
        front_check();
        EXPECT(hk_heap_check(&front_self()->heap));
    }
    hk_front_flush_all(front_self());
    EXPECT(front_held() == 0);
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0);
}

static void blocks_are_handed_out_once_and_serve_again(void **state)
{
    (void)state;
    size_t sizes[] = {16, 64, 100, 256, 1000, 1024, 2000, 16000, 32768};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(fill_and_free, &sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_needs_no_preparation),
        cmocka_unit_test(the_first_call_may_be_a_free),
        cmocka_unit_test(blocks_are_handed_out_once_and_serve_again),
    };
    return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
