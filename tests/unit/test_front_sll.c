/* SPDX-License-Identifier: MIT
 *
 * The list between the bins and the slabs (-Dtls_sll=enabled), with any front that has bins by the piece. Each case
 * runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"
#include "box/purge.h"

#define SIZE 512u /* a bin holds at most 64 */

static void *blocks[4000];

static size_t listed_bytes(void)
{
    size_t bytes = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_sll *list = &front_self()->back->list[cls];
        unsigned n = 0;
        for (void *block = list->first; block != NULL; block = *(void **)block, n++)
            EXPECT(hk_registry_class(block) == cls);
        EXPECT(n == list->count && n <= list->cap);
        EXPECT(hk_front_count(front_self(), cls) == hk_bin_count(front_self(), cls) + n);
        bytes += n * hk_class_size(cls);
    }
    EXPECT(bytes == front_self()->back->bytes);
    return bytes;
}

/* What a bin gives away, it finds again without the heap. */
static void serve_from_list(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(SIZE);
    for (unsigned i = 0; i < 400; i++)
        blocks[i] = front_take(SIZE);
    struct hk_thread *thread = front_self();
    for (unsigned i = 0; i < 150; i++)
        front_free(blocks[i]);
    EXPECT(thread->heap.flushes == 0 && thread->metrics[cls].flushes > 0);
    EXPECT(listed_bytes() > 0 && hk_front_count(thread, cls) >= 150);
    uint64_t refills = thread->heap.refills, misses = thread->metrics[cls].refills;
    for (unsigned i = 0; i < 150; i++)
        blocks[i] = front_take(SIZE);
    EXPECT(thread->heap.refills == refills && thread->metrics[cls].refills > misses);
    listed_bytes();
    front_check();
}

static void what_a_bin_gives_away_it_finds_again(void **state)
{
    (void)state;
    unit_passes(serve_from_list, NULL);
}

static void hold_little(void *arg)
{
    EXPECT(hk_option_store(HK_OPT_FRONT_BYTES, (int64_t)(uintptr_t)arg));
    uint64_t seed = 4;
    for (unsigned i = 0; i < 4000; i++)
        blocks[i] = front_take(1 + unit_random(&seed, unit_random(&seed, 4) ? 1024 : HK_MID_MAX));
    for (unsigned i = 0; i < 4000; i++) {
        front_free(blocks[i]);
        if (i % 50 == 0)
            EXPECT(listed_bytes() <= 2 * hk_front_limit(front_self())); /* the limit shrinks with the heap */
    }
    EXPECT(hk_heap_check(&front_self()->heap));
}

static void what_lists_hold_is_bounded(void **state)
{
    (void)state;
    unit_passes(hold_little, (void *)4096);
    unit_passes(hold_little, (void *)131072);
}

static void flush_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 300; i++)
        blocks[i] = front_take(SIZE);
    for (unsigned i = 0; i < 300; i++)
        front_free(blocks[i]);
    EXPECT(listed_bytes() > 0);
    hk_front_flush_all(front_self());
    EXPECT(listed_bytes() == 0 && front_held() == 0);
    hk_purge_now(0);
    EXPECT(front_owned_slabs() == 0);
}

static void lists_can_be_emptied(void **state)
{
    (void)state;
    unit_passes(flush_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_bin_gives_away_it_finds_again),
        cmocka_unit_test(what_lists_hold_is_bounded),
        cmocka_unit_test(lists_can_be_emptied),
    };
    return cmocka_run_group_tests_name("front_sll", tests, NULL, NULL);
}
