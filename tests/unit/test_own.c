/* SPDX-License-Identifier: MIT
 *
 * Heaps of one's own, each case in a child of its own. Memory and addresses are real; which call is refused the fake
 * system says.
 */
#include "unit.h"

#include "base/assert.h"
#include "large/own_priv.h"
#include "fake_os.h"
#include "large/huge.h"

#define BLOCKS 600u

struct block {
    unsigned char *ptr;
    size_t size;
};

static void *take(struct hk_own *heap, size_t align, size_t size)
{
    struct hk_own_want want = {.align = align, .size = size};
    return hk_own_take(heap, &want);
}

static void *take_zero(struct hk_own *heap, size_t size, bool *zero)
{
    struct hk_own_want want = {.align = 16, .size = size};
    void *ptr = hk_own_take(heap, &want);
    *zero = want.zero;
    return ptr;
}

static bool give(void *ptr)
{
    struct hk_block block = hk_own_find(ptr);
    return block.kind == HK_BLOCK_OWN && hk_own_free(&block);
}

static bool destroy(struct hk_own *heap)
{
    bool mine = hk_own_leave(heap);
    if (mine)
        hk_own_drop(heap);
    return mine;
}

static size_t usable(const void *ptr)
{
    return hk_own_find(ptr).size;
}

/* Mostly small; now and then a run, seldom a mapping. */
static size_t any_size(uint64_t *seed)
{
    switch (unit_random(seed, 64)) {
    case 0:
        return unit_random(seed, 50 * HK_MIB);
    case 1:
    case 2:
        return unit_random(seed, 300000);
    case 3:
    case 4:
    case 5:
        return unit_random(seed, HK_MID_MAX + 100);
    default:
        return unit_random(seed, 700);
    }
}

static size_t any_align(uint64_t *seed)
{
    size_t align = (size_t)16 << unit_random(seed, 4) * unit_random(seed, 2);
    return unit_random(seed, 100) == 0 ? (size_t)16 << unit_random(seed, 20) : align;
}

static void fill(struct block *b, unsigned n)
{
    memset(b->ptr, (int)n, hk_min(b->size, 4096));
    if (b->size != 0)
        b->ptr[b->size - 1] = (unsigned char)n;
}

static void check_filled(const struct block *b, unsigned n)
{
    for (size_t i = 0; i < hk_min(b->size, 4096); i++)
        EXPECT(b->ptr[i] == (unsigned char)n);
    EXPECT(b->size == 0 || b->ptr[b->size - 1] == (unsigned char)n);
}

static void refill(struct hk_own *heap, struct block *b, unsigned n, uint64_t *seed)
{
    size_t align = any_align(seed);
    if (b->ptr != NULL) {
        check_filled(b, n);
        EXPECT(give(b->ptr) && !give(b->ptr));
    }
    b->size = any_size(seed);
    b->ptr = take(heap, align, b->size);
    if (b->ptr == NULL)
        return;
    EXPECT((uintptr_t)b->ptr % align == 0 && usable(b->ptr) >= b->size);
    struct hk_block block = hk_own_find(b->ptr);
    EXPECT(hk_own_of(&block) == heap);
    fill(b, n);
}

static void work(struct hk_own *heap, struct block *blocks, unsigned rounds, uint64_t *seed)
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned n = (unsigned)unit_random(seed, BLOCKS);
        refill(heap, &blocks[n], n, seed);
        if (i % 64 == 0)
            EXPECT(hk_own_check(heap));
    }
}

static void any_blocks(void *arg)
{
    (void)arg;
    static struct block blocks[2][BLOCKS];
    uint64_t seed = 4711;
    size_t before = hk_arena_live();
    struct hk_own *heap[2] = {hk_own_new(0), hk_own_new(0)};
    for (unsigned i = 0; i < 20; i++)
        work(heap[i % 2], blocks[i % 2], 1000, &seed);
    for (unsigned n = 0; n < BLOCKS; n++) {
        if (blocks[0][n].ptr != NULL)
            EXPECT(give(blocks[0][n].ptr));
    }
    struct hk_own_sums sums = hk_own_count(heap[0]);
    EXPECT(sums.live_blocks == 0 && sums.live_bytes == 0 && sums.large_bytes == 0 && hk_own_check(heap[0]));
    EXPECT(sums.runs <= 3 && sums.held_bytes <= 8 * HK_MIB && sums.peak_bytes > sums.held_bytes);
    EXPECT(destroy(heap[0]) && !hk_own_is_heap(heap[0]));
    work(heap[1], blocks[1], 1000, &seed); /* the other one is as it was */
    EXPECT(destroy(heap[1]));
    EXPECT(hk_arena_live() == before && hk_huge_bytes() == 0 && hk_own_mappings == 0);
    sums = hk_own_count_all();
    EXPECT(sums.heaps == 0 && sums.live_blocks == 0 && sums.held_bytes == 0);
}

static void blocks_of_any_size(void **state)
{
    (void)state;
    unit_passes(any_blocks, NULL);
}

/* ---- small heaps are small ---- */

static void small_heap(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(0);
    for (unsigned i = 0; i < 10; i++)
        EXPECT(take(heap, 16, 16 + 16 * i) != NULL);
    struct hk_own_sums sums = hk_own_count(heap);
    EXPECT(sums.held_bytes == HK_PAGE && sums.runs == 1 && sums.live_blocks == 10);
    for (unsigned i = 10; i < 1000; i++)
        EXPECT(take(heap, 16, 16 + i % 4 * 16) != NULL);
    sums = hk_own_count(heap);
    EXPECT(sums.held_bytes <= 2 * sums.live_bytes && sums.runs <= 8);
    for (unsigned i = 0; i < 1000000; i++)
        EXPECT(take(heap, 16, 16 + i % 4 * 16) != NULL);
    sums = hk_own_count(heap);
    EXPECT(sums.held_bytes <= sums.live_bytes + sums.live_bytes / 2 && sums.runs < 100);
    EXPECT(destroy(heap));
}

static void small_heaps_are_small(void **state)
{
    (void)state;
    unit_passes(small_heap, NULL);
}

/* What is freed is used again, and a run in which nothing lives goes back. */
static void reuse(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(0);
    static void *ptrs[5000];
    for (unsigned round = 0; round < 50; round++) {
        size_t size = 24 + round % 7 * 200;
        for (unsigned i = 0; i < 5000; i++)
            EXPECT((ptrs[i] = take(heap, 16, size)) != NULL);
        struct hk_own_sums full = hk_own_count(heap);
        EXPECT(full.held_bytes <= full.live_bytes * 2 + 4 * HK_MIB && hk_own_check(heap));
        for (unsigned i = 0; i < 5000; i++)
            EXPECT(give(ptrs[(i * 1237u) % 5000]));
        struct hk_own_sums sums = hk_own_count(heap);
        EXPECT(sums.runs <= 3 && sums.live_blocks == 0 && hk_own_check(heap));
    }
    uint64_t taken = 0;
    void *one = take(heap, 16, 100);
    for (unsigned i = 0; i < 1000; i++) { /* between none and one live block nothing is taken or given */
        EXPECT(give(one));
        one = take(heap, 16, 100);
        taken += hk_own_count(heap).runs;
    }
    EXPECT(taken <= 3000);
    EXPECT(destroy(heap));
}

static void freed_memory_is_used_again(void **state)
{
    (void)state;
    unit_passes(reuse, NULL);
}

/* ---- zero ---- */

static void zero(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(0);
    bool known;
    unsigned virgin = 0;
    const size_t sizes[] = {1, 24, 25, 1000, 20000, 50000, 300000, 40 * HK_MIB};
    for (unsigned i = 0; i < 200; i++) {
        size_t size = sizes[i % HK_COUNT(sizes)];
        unsigned char *ptr = take_zero(heap, size, &known);
        EXPECT(ptr != NULL && (!known || unit_is_zero(ptr, size)));
        virgin += known;
        memset(ptr, 0xa5, hk_min(usable(ptr), 300000)); /* a mapping is not handed out again */
        if (i % 3 == 0)
            EXPECT(give(ptr));
    }
    EXPECT(virgin > 50);
    EXPECT(destroy(heap));
}

static void what_is_called_zero_is(void **state)
{
    (void)state;
    unit_passes(zero, NULL);
}

/* ---- the limit ---- */

static void limit(void *arg)
{
    size_t most = *(size_t *)arg;
    struct hk_own *heap = hk_own_new(most);
    struct hk_own_want want = {.align = 16};
    uint64_t seed = 99;
    void *ptr, *last = NULL;
    unsigned refused = 0;
    for (unsigned i = 0; i < 3000; i++) {
        want.size = i < 1000 ? 100 : any_size(&seed);
        ptr = hk_own_take(heap, &want);
        struct hk_own_sums sums = hk_own_count(heap);
        EXPECT(sums.held_bytes + sums.large_bytes <= most && sums.peak_bytes <= most);
        EXPECT(ptr != NULL || want.refused);
        EXPECT(want.limited == (ptr == NULL) && (ptr == NULL || !want.refused));
        refused += ptr == NULL;
        if (ptr != NULL && last != NULL && i % 2 == 0) {
            struct hk_block block = hk_own_find(last);
            void *to = hk_own_resize(&block, block.size * 2, block.size * 3);
            sums = hk_own_count(heap);
            EXPECT(sums.held_bytes + sums.large_bytes <= most);
            last = to != NULL ? to : last;
        }
        last = ptr != NULL ? ptr : last;
    }
    EXPECT(refused != 0 && hk_own_count(heap).refused == 0 && hk_own_check(heap)); /* it is for the caller to count */
    hk_own_count_refusal(heap);
    EXPECT(hk_own_count(heap).refused == 1);
    EXPECT(destroy(heap));
    EXPECT(hk_huge_bytes() == 0);
}

static void no_heap_is_above_its_limit(void **state)
{
    (void)state;
    size_t limits[] = {4096, 8191, 20000, HK_MIB, 100 * HK_MIB};
    for (unsigned i = 0; i < HK_COUNT(limits); i++)
        unit_passes(limit, &limits[i]);
    assert_null(hk_own_new(1));
    assert_null(hk_own_new(4095));
}

/* ---- realloc in place ---- */

static void resize(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(0);
    const size_t sizes[] = {100000, 30 * HK_MIB, 40 * HK_MIB, 5 * HK_MIB};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        unsigned char *ptr = take(heap, i == 3 ? 65536 : 16, sizes[i]);
        memset(ptr, 7, sizes[i]);
        for (unsigned step = 1; step < 12; step++) {
            size_t size = sizes[i] * (step < 6 ? 10 + step : 20 - step) / 10;
            struct hk_block block = hk_own_find(ptr);
            EXPECT(block.kind == HK_BLOCK_OWN);
            unsigned char *to = hk_own_resize(&block, size, size + size / 8);
            if (to == NULL)
                continue;
            ptr = to;
            EXPECT(usable(ptr) >= size && ptr[0] == 7 && ptr[hk_min(size, sizes[i]) - 1] == 7 && hk_own_check(heap));
        }
        EXPECT(give(ptr));
    }
    struct hk_own_sums sums = hk_own_count(heap);
    EXPECT(sums.live_bytes == 0 && sums.large_bytes == 0 && sums.held_bytes == HK_PAGE);
    EXPECT(destroy(heap));
}

static void large_blocks_are_resized_in_place(void **state)
{
    (void)state;
    unit_passes(resize, NULL);
}

/* ---- wrong pointers ---- */

static void wrong(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(0), *other = hk_own_new(0);
    char *small = take(heap, 16, 100), *large = take(heap, 16, 100000), *aligned = take(heap, 256, 50);
    EXPECT(hk_own_find_wrong(small + 16).kind == HK_MISUSE_INTERIOR && hk_own_find_wrong(small + 16).block == small);
    EXPECT(hk_own_find_wrong(large + 50000).kind == HK_MISUSE_INTERIOR);
    EXPECT(hk_own_find_wrong(large + 50000).block == large);
    EXPECT(hk_own_find_wrong(heap).kind == HK_MISUSE_INVALID && hk_own_find_wrong(&heap).block == NULL);
    EXPECT(hk_own_find_wrong(small + 2000).kind == HK_MISUSE_INVALID);
    for (char *ptr = (char *)heap - 64; ptr < (char *)heap + 4096; ptr++) /* nothing else is a block */
        EXPECT((hk_own_find(ptr).kind == HK_BLOCK_OWN) == (ptr == small || ptr == aligned));
    EXPECT(give(small) && give(aligned) && give(large));
    EXPECT(!give(small) && !give(aligned) && !give(large));
    EXPECT(hk_own_find_wrong(small).kind == HK_MISUSE_DOUBLE_FREE);
    EXPECT(!hk_own_is_heap((struct hk_own *)(void *)((char *)heap + 64)) && !hk_own_is_heap(NULL));
    EXPECT(!hk_own_is_heap((struct hk_own *)(void *)small) && hk_own_is_heap(other));
    EXPECT(destroy(heap) && !destroy(heap) && hk_own_is_heap(other));
    EXPECT(hk_own_find(small).kind == HK_BLOCK_NONE);
}

static void wrong_pointers_are_known(void **state)
{
    (void)state;
    unit_passes(wrong, NULL);
}

/* The program writes to a free block: nothing is followed from there, and other heaps go on. */
static void corrupt(void *arg)
{
    unsigned word = *(unsigned *)arg;
    struct hk_own *heap = hk_own_new(0), *other = hk_own_new(0);
    char *ptrs[8];
    for (unsigned i = 0; i < 8; i++)
        ptrs[i] = take(heap, 16, 100);
    for (unsigned i = 0; i < 6; i++)
        EXPECT(give(ptrs[i]));
    ((uintptr_t *)(void *)ptrs[5])[word] = 0x4141414141414141;
    EXPECT(take(heap, 16, 100) == NULL && hk_corrupt_found.size != 0);
    EXPECT(take(heap, 16, 1000) == NULL && take(heap, 16, 100000) == NULL && take(heap, 16, 64 * HK_MIB) == NULL);
    EXPECT(take(other, 16, 100) != NULL);
    EXPECT(give(ptrs[6]) && give(ptrs[7]));
    EXPECT(destroy(heap) && destroy(other));
}

static void corrupted_links_are_not_followed(void **state)
{
    (void)state;
    unsigned words[] = {0, 1};
    unit_passes(corrupt, &words[0]);
    unit_passes(corrupt, &words[1]);
}

/* ---- freed by who is turned away ---- */

static bool give_later(void *ptr)
{
    struct hk_block block = hk_own_find(ptr);
    return block.kind == HK_BLOCK_OWN && hk_own_free_later(&block);
}

static bool is_nothing_live(struct hk_own *heap)
{
    struct hk_own_sums sums = hk_own_count(heap);
    return sums.live_blocks == 0 && sums.live_bytes == 0 && sums.large_blocks == 0 && hk_own_check(heap);
}

static void later(void *arg)
{
    (void)arg;
    struct hk_own *heap = hk_own_new(50 * HK_MIB);
    void *ptrs[4] = {take(heap, 16, 10), take(heap, 512, 1000), take(heap, 16, 100000), take(heap, 16, 40 * HK_MIB)};
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(give_later(ptrs[i]) && !give_later(ptrs[i]) && !give(ptrs[i]));
        EXPECT(hk_own_find(ptrs[i]).kind == HK_BLOCK_NONE);
    }
    EXPECT(hk_own_has_waiting() && hk_huge_bytes() == 40 * HK_MIB);
    EXPECT(is_nothing_live(heap) && hk_huge_bytes() == 0 && !hk_own_has_waiting());
    /* Each call completes it first: then the limit allows what it would refuse. */
    EXPECT(give_later(take(heap, 16, 40 * HK_MIB)));
    void *ptr = take(heap, 16, 41 * HK_MIB);
    EXPECT(ptr != NULL && hk_huge_bytes() == 41 * HK_MIB && give_later(ptr));
    EXPECT((ptr = take(heap, 16, 100000)) != NULL && hk_huge_bytes() == 0);
    EXPECT(give_later(take(heap, 16, 40 * HK_MIB)) && give(ptr) && hk_huge_bytes() == 0);
    EXPECT((ptr = take(heap, 16, 100000)) != NULL && give_later(take(heap, 16, 40 * HK_MIB)));
    struct hk_block block = hk_own_find(ptr);
    EXPECT(hk_own_resize(&block, 40 * HK_MIB, 40 * HK_MIB) == NULL && hk_huge_bytes() == 0);
    EXPECT(give_later(take(heap, 16, 10)) && give_later(take(heap, 16, 40 * HK_MIB)));
    EXPECT(destroy(heap) && hk_huge_bytes() == 0 && hk_own_mappings == 0 && !hk_own_has_waiting());
}

static void who_is_turned_away_frees_later(void **state)
{
    (void)state;
    unit_passes(later, NULL);
}

static void fork_child(void *arg)
{
    (void)arg;
    unit_second_thread(); /* from now on locks write their words */
    struct hk_own *whole = hk_own_new(0), *half = hk_own_new(0);
    char *ptr = take(half, 16, 100);
    hk_lock(&half->lock);
    hk_all_locks_free();
    hk_own_fork_child(true);
    EXPECT(take(half, 16, 100) != NULL);
    hk_lock(&half->lock);
    hk_all_locks_free();
    hk_own_fork_child(false);
    EXPECT(take(half, 16, 100) == NULL && take(whole, 16, 100) != NULL && give(ptr));
    EXPECT(destroy(half) && destroy(whole));
}

static void a_heap_left_half_changed_gives_no_more(void **state)
{
    (void)state;
    unit_passes(fork_child, NULL);
}

/* ---- no memory ---- */

static void refuse(void *arg)
{
    unsigned n = *(unsigned *)arg;
    static struct block blocks[BLOCKS];
    uint64_t seed = 7 + n;
    size_t before = hk_arena_live();
    fake_os_fail_nth(FAKE_ANY, n);
    struct hk_own *heap = hk_own_new(0);
    if (heap == NULL)
        heap = hk_own_new(0);
    EXPECT(heap != NULL);
    work(heap, blocks, 400, &seed);
    fake_os_fail_from(FAKE_ANY, n);
    work(heap, blocks, 200, &seed);
    EXPECT(hk_own_check(heap));
    fake_os_recover();
    work(heap, blocks, 200, &seed);
    EXPECT(hk_own_check(heap) && destroy(heap));
    EXPECT((before == 0 || hk_arena_live() == before) && hk_huge_bytes() == 0);
}

static void every_call_may_be_refused(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 40; n++)
        unit_passes(refuse, &n);
}

/* ---- threads ---- */

static struct hk_own *_Atomic shared;
static void *_Atomic passed[64];

static void *share(void *arg)
{
    uint64_t seed = (uintptr_t)arg * 77;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned at = (unsigned)unit_random(&seed, 64);
        size_t size = unit_random(&seed, 50) == 0 ? unit_random(&seed, 200000) : unit_random(&seed, 500);
        unsigned char *ptr = take(shared, 16, size);
        EXPECT(ptr != NULL);
        memset(ptr, (int)at, hk_min(size, 100));
        void *other = atomic_exchange(&passed[at], ptr);
        EXPECT(other == NULL || give(other));
        if (i % 1000 == 0) {
            struct hk_own *own = hk_own_new(0); /* the list and the table change meanwhile */
            EXPECT(own != NULL && take(own, 16, 100) != NULL && destroy(own));
        }
    }
    return NULL;
}

static void many_threads(void *arg)
{
    (void)arg;
    shared = hk_own_new(0);
    unit_in_threads(8, share);
    EXPECT(hk_own_check(shared));
    EXPECT(destroy(shared));
}

static void threads_share_a_heap(void **state)
{
    (void)state;
    unit_passes(many_threads, NULL);
}

static struct hk_own *left[2000];
static _Atomic unsigned destroyed;

static void *destroy_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < HK_COUNT(left); i++)
        destroyed += destroy(left[i]);
    return NULL;
}

static void destroy_at_once(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < HK_COUNT(left); i++)
        EXPECT((left[i] = hk_own_new(0)) != NULL && take(left[i], 16, 100000) != NULL);
    unit_in_threads(8, destroy_all);
    EXPECT(destroyed == HK_COUNT(left) && hk_own_count_all().heaps == 0 && hk_own_count_all().live_blocks == 0);
}

static void one_thread_destroys_a_heap(void **state)
{
    (void)state;
    unit_passes(destroy_at_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_any_size),
        cmocka_unit_test(small_heaps_are_small),
        cmocka_unit_test(freed_memory_is_used_again),
        cmocka_unit_test(what_is_called_zero_is),
        cmocka_unit_test(no_heap_is_above_its_limit),
        cmocka_unit_test(large_blocks_are_resized_in_place),
        cmocka_unit_test(wrong_pointers_are_known),
        cmocka_unit_test(corrupted_links_are_not_followed),
        cmocka_unit_test(who_is_turned_away_frees_later),
        cmocka_unit_test(a_heap_left_half_changed_gives_no_more),
        cmocka_unit_test(every_call_may_be_refused),
        cmocka_unit_test(threads_share_a_heap),
        cmocka_unit_test(one_thread_destroys_a_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
