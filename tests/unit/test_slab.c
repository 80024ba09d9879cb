/* SPDX-License-Identifier: MIT */
#include "slab_fixture.h"

#include "fake_os.h"

#include <stdlib.h>

#define MOST 5000

static struct hk_superslab *ss;

/* A fresh span of the class at the start of a SuperSlab of its own. */
static struct hk_slab *fresh(unsigned cls)
{
    ss = fixture_superslab();
    return fixture_open(ss, 0, cls, NULL);
}

/* Takes into an array in the order of handing out. */
static unsigned take(struct hk_slab *slab, void **blocks, unsigned n)
{
    static void *array[MOST];
    unsigned got = hk_slab_take(slab, &array[MOST - 1], n);
    for (unsigned i = 0; i < got; i++)
        blocks[i] = array[MOST - 1 - i];
    return got;
}

/* Until there are n, or no more: of Mid classes one virgin block comes at a time. */
static unsigned take_all(struct hk_slab *slab, void **blocks, unsigned n)
{
    unsigned all = 0, got;
    while (all < n && (got = take(slab, blocks + all, n - all)) != 0)
        all += got;
    return all;
}

/* Bytes; larger blocks have pages of their own. */
#define SHARES_PAGES 2048u

/* What a virgin slab gives to who wants n. */
static unsigned at_once(const struct hk_slab *slab, unsigned n)
{
    return (unsigned)hk_min(slab->block_size > SHARES_PAGES ? 1 : n, slab->capacity - slab->carved);
}

static void a_fresh_superslab_is_unused(void **state)
{
    (void)state;
    ss = fixture_superslab();
    assert_int_equal(ss->empty_mask, 0);
    assert_int_equal(ss->unused_mask, UINT32_MAX);
    assert_int_equal(ss->purged_mask, 0);
    for (unsigned i = 0; i < HK_SLABS; i++) {
        struct hk_slab *slab = &ss->slab[i];
        assert_int_equal(slab->index, i);
        assert_int_equal(slab->state, HK_SLAB_FREE);
        assert_ptr_equal(hk_slab_superslab(slab), ss);
        assert_ptr_equal(hk_slab_base(slab), ss->base + i * HK_SLAB_SIZE);
        assert_int_equal((uintptr_t)&slab->remote % HK_CACHE_LINE, 0);
    }
}

/* For every class: all blocks once, lowest first, a block size apart; then no more. */
static void virgin_blocks_come_in_order(void **state)
{
    (void)state;
    void *blocks[MOST];
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_slab *slab = fresh(cls);
        unsigned capacity = hk_class_capacity(cls), got = 0;
        assert_int_equal(slab->capacity, capacity);
        assert_false(hk_slab_is_exhausted(slab));
        for (unsigned n = 1; got < capacity; n = n * 3 + 1) {
            unsigned want = at_once(slab, n), part = take(slab, blocks + got, n);
            assert_int_equal(part, want);
            got += part;
            assert_int_equal(slab->used, got);
            assert_int_equal(slab->carved, got);
            assert_true(hk_slab_check(slab));
        }
        for (unsigned i = 0; i < capacity; i++) {
            assert_ptr_equal(blocks[i], hk_slab_base(slab) + i * hk_class_size(cls));
            assert_true(hk_slab_is_block(slab, blocks[i]));
            assert_false(hk_slab_is_block(slab, (char *)blocks[i] + 8));
            assert_ptr_equal(hk_slab_of(blocks[i]), slab);
            assert_ptr_equal(hk_slab_of((char *)blocks[i] + hk_class_size(cls) - 1), slab);
        }
        assert_true(hk_slab_is_exhausted(slab));
        assert_int_equal(take(slab, blocks, 1), 0);
        assert_false(hk_slab_is_block(slab, hk_slab_base(slab) + capacity * hk_class_size(cls))); /* the tail */
        assert_false(hk_slab_is_block(slab, hk_slab_base(slab) - hk_class_size(cls)));
    }
}

static void spans_lie_side_by_side(void **state)
{
    (void)state;
    const unsigned classes[] = {hk_class_of(22528), 1, hk_class_of(32768), hk_class_of(13312),
                                hk_class_of(16384), 1}; /* of different lengths; the last in the last slab */
    ss = fixture_superslab();
    unsigned at = 0;
    for (unsigned i = 0; i < HK_COUNT(classes); i++) {
        at = i + 1 == HK_COUNT(classes) ? HK_SLABS - 1 : at;
        struct hk_slab *slab = fixture_open(ss, at, classes[i], (struct hk_owner *)(uintptr_t)(64 * (i + 1)));
        for (unsigned j = 0; j < hk_class_slabs(classes[i]); j++) {
            char *inside = ss->base + (at + j) * HK_SLAB_SIZE + 777;
            assert_ptr_equal(hk_slab_of(inside), slab);
            assert_int_equal(hk_registry_code(inside), hk_code_of_class(classes[i]));
        }
        assert_int_equal((uintptr_t)hk_slab_owner(slab), 64 * (i + 1));
        at += hk_class_slabs(classes[i]);
    }
}

/* Where a page has two starts or more, all on the pages of blocks that were handed out carry the mark of a free block,
 * and nothing else was written to. Larger ones stay untouched, but with -Dfill for the mark of those that are out. */
static void virgin_marks(void **state)
{
    (void)state;
    void *blocks[MOST];
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hk_slab *slab = fresh(cls);
        size_t size = hk_class_size(cls);
        for (unsigned n = 1, got; (got = take(slab, blocks, n)) != 0; n = n * 2 + 1) {
            char *base = hk_slab_base(slab), *last = base + (slab->carved - 1) * size;
            for (unsigned i = 0; i < slab->capacity; i++) {
                char *start = base + i * size;
                bool on_page = size <= SHARES_PAGES && (size_t)(start - base) / 4096 <= (size_t)(last - base) / 4096;
                bool marked = on_page || (HK_FILL && i < slab->carved);
                assert_int_equal(hk_slab_is_marked(start), marked);
                assert_true(unit_is_zero(start, marked ? 8 : size) && unit_is_zero(start + 16, size - 16));
            }
        }
        assert_true(unit_is_zero(hk_slab_base(slab) + slab->slabs * HK_SLAB_SIZE, 64)); /* nor beyond the slab */
    }
}

/* Blocks that were freed and had never been handed out: their number, and what has become of them. */
struct wild {
    unsigned cls, index;
    bool handed_out, with_link;
};

static void free_wildly(void *arg)
{
    const struct wild *w = arg;
    void *blocks[MOST];
    struct hk_slab *slab = fresh(w->cls);
    EXPECT(take(slab, blocks, 3) == 3);
    uintptr_t *wild = (uintptr_t *)(void *)(hk_slab_base(slab) + w->index * hk_class_size(w->cls));
    EXPECT(!hk_slab_was_out(slab, wild));
    wild[1] = w->handed_out ? 0 : hk_free_mark(wild);
    wild[0] = 0;
    if (w->with_link)
        hk_link_to(wild, blocks[1]);
    unsigned got = 3, more;
    while ((more = take(slab, blocks, 5)) != 0) {
        got += more;
        for (unsigned i = 0; i < more; i++)
            EXPECT(blocks[i] < (void *)wild);
    }
    EXPECT(hk_corrupt_found.slab == wild && hk_corrupt_found.size == HK_WILD);
    EXPECT(got <= w->index && hk_slab_is_exhausted(slab) && hk_slab_check(slab) && slab->used == slab->capacity);
}

/* On pages that were not in use then. */
static void wild_frees_are_found_before_their_page(void **state)
{
    (void)state;
    const unsigned classes[] = {1, hk_class_of(64), hk_class_of(80), HK_TINY_LAST};
    for (unsigned i = 0; i < HK_COUNT(classes); i++) {
        unsigned page = (unsigned)(4096 / hk_class_size(classes[i])) + 1;
        for (unsigned way = 0; way < 3; way++) {
            struct wild w = {classes[i], page, way == 2, way != 0};
            struct wild last = {classes[i], hk_class_capacity(classes[i]) - 1, way == 2, way != 0};
            unit_passes(free_wildly, &w);
            unit_passes(free_wildly, &last);
        }
    }
}

/* The bound of the fast path's test: what was handed out passes and nothing that lies behind it. */
static void the_bound_rises_with_what_is_handed_out(void *arg)
{
    void *blocks[MOST];
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        uint32_t inverse = hk_class_inverse[cls];
        struct hk_slab *slab = fresh(cls);
        hk_slab_bound[cls] = 0; /* other tests have handed out blocks */
        for (unsigned n = 1; take(slab, blocks, n) != 0; n++) {
            unsigned wrong = 0;
            for (uint32_t offset = 0; offset < HK_SLAB_SIZE; offset++) {
                bool out = offset % slab->block_size == 0 && offset / slab->block_size < slab->carved;
                wrong += hk_slab_is_beyond(offset * inverse, hk_code_of_class(cls)) == out;
            }
            EXPECT(wrong == 0);
        }
        slab = fresh(cls); /* another slab does not lower it */
        EXPECT(take(slab, blocks, 1) == 1);
        uint32_t last = (uint32_t)(HK_SLAB_SIZE - 1) / slab->block_size; /* with a span, in its first slab */
        last = (uint32_t)hk_min(last, slab->capacity - 1) * slab->block_size;
        EXPECT(!hk_slab_is_beyond(last * inverse, hk_code_of_class(cls)));
    }
    EXPECT(hk_slab_is_beyond(0, 0) && hk_slab_is_beyond(0, HK_CODE_SECOND));
    (void)arg;
}

static void the_fast_path_knows_what_was_handed_out(void **state)
{
    (void)state;
    unit_passes(the_bound_rises_with_what_is_handed_out, NULL);
}

static void put_back_blocks_come_again(void **state)
{
    (void)state;
    void *blocks[100], *again[100];
    struct hk_slab *slab = fresh(hk_class_of(64));
    assert_int_equal(take(slab, blocks, 100), 100);
    for (unsigned i = 0; i < 40; i++)
        hk_slab_put(slab, blocks[i]);
    slab->used -= 40;
    assert_true(hk_slab_check(slab));
    assert_int_equal(take(slab, again, 10), 10);
    for (unsigned i = 0; i < 10; i++)
        assert_ptr_equal(again[i], blocks[39 - i]);
    assert_int_equal(take(slab, again, 50), 50); /* 30 of the list, then virgin ones */
    for (unsigned i = 0; i < 30; i++)
        assert_ptr_equal(again[i], blocks[29 - i]);
    assert_ptr_equal(again[30], hk_slab_base(slab) + 100 * 64);
    assert_int_equal(slab->used, 120);
    assert_int_equal(slab->carved, 120);
    assert_true(hk_slab_check(slab));
}

static void put(struct hk_slab *slab, void **blocks, unsigned n)
{
    hk_slab_put_chain(slab, fixture_chain(blocks, n), n);
    assert_true(hk_slab_check(slab));
}

static void one_block_is_popped_from_the_list(void **state)
{
    (void)state;
    void *blocks[3];
    struct hk_slab *slab = fresh(hk_class_of(13312));
    assert_null(hk_slab_pop(slab)); /* virgin memory is for hk_slab_take */
    assert_int_equal(take_all(slab, blocks, 3), 3);
    hk_slab_put(slab, blocks[2]);
    hk_slab_put(slab, blocks[0]);
    slab->used -= 2;
    assert_ptr_equal(hk_slab_pop(slab), blocks[0]);
    assert_int_equal(slab->used, 2);
    assert_ptr_equal(hk_slab_pop(slab), blocks[2]);
    assert_null(hk_slab_pop(slab));
    assert_true(hk_slab_check(slab));
}

/* The first becomes the list, the second the spare one, others join that. */
static void chains_come_back_whole(void **state)
{
    (void)state;
    void *blocks[90], *again[90];
    bool seen[90] = {0};
    struct hk_slab *slab = fresh(hk_class_of(128));
    assert_int_equal(take(slab, blocks, 90), 90);
    put(slab, blocks, 20);
    assert_ptr_equal(slab->free, blocks[0]);
    put(slab, blocks + 20, 1);
    assert_ptr_equal(slab->spare, blocks[20]);
    put(slab, blocks + 21, 30);
    put(slab, blocks + 51, 39);
    assert_int_equal(slab->used, 0);
    assert_int_equal(take(slab, again, 90), 90);
    assert_int_equal(slab->carved, 90);
    for (unsigned i = 0; i < 90; i++) {
        size_t at = (size_t)((char *)again[i] - hk_slab_base(slab)) / 128;
        assert_true(at < 90 && !seen[at]);
        seen[at] = true;
    }
    assert_null(slab->free);
    assert_null(slab->spare);
}

static void a_reset_slab_is_carved_anew(void **state)
{
    (void)state;
    void *blocks[50], *again[60];
    struct hk_slab *slab = fresh(hk_class_of(64));
    assert_int_equal(take(slab, blocks, 50), 50);
    put(slab, blocks, 25);
    put(slab, blocks + 25, 25);
    hk_slab_reset(slab);
    assert_true(hk_slab_check(slab));
    assert_false(slab->zero);
    assert_int_equal(take(slab, again, 60), 60);
    for (unsigned i = 0; i < 60; i++)
        assert_ptr_equal(again[i], hk_slab_base(slab) + i * 64);
}

static void zero_blocks_are_virgin_ones(void **state)
{
    (void)state;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        void *blocks[4];
        struct hk_slab *slab = fresh(cls);
        size_t size = hk_class_size(cls);
        unsigned n = (unsigned)hk_min(2, slab->capacity);
        assert_int_equal(take_all(slab, blocks, n), n);
        memset(blocks[0], 1, size);
        hk_slab_put(slab, blocks[0]);
        slab->used--;
        void *zero = hk_slab_take_zero(slab);
        if (slab->capacity <= 2) { /* there is no third */
            assert_null(zero);
            continue;
        }
        assert_ptr_equal(zero, hk_slab_base(slab) + 2 * size);
        assert_true(unit_is_zero(zero, size));
        assert_int_equal(slab->used, 2);
        assert_true(hk_slab_check(slab));
        while (hk_slab_take_zero(slab) != NULL)
            assert_true(slab->carved <= slab->capacity);
        assert_int_equal(slab->carved, slab->capacity);
        assert_false(hk_slab_is_exhausted(slab)); /* the one put back is still there */
        slab->used = 0;
        hk_slab_reset(slab);
        assert_null(hk_slab_take_zero(slab)); /* no longer known to be zero */
    }
}

static void random_takes_and_puts(void **state)
{
    (void)state;
    uint64_t seed = 9;
    const unsigned classes[] = {
        1, hk_class_of(80), HK_TINY_LAST, hk_class_of(2048), hk_class_of(8192), hk_class_of(32768)};
    for (unsigned c = 0; c < HK_COUNT(classes); c++) {
        static void *live[MOST];
        void *part[64];
        unsigned count = 0;
        struct hk_slab *slab = fresh(classes[c]);
        for (unsigned step = 0; step < 3000; step++) {
            unsigned n = 1 + (unsigned)unit_random(&seed, 40);
            if (unit_random(&seed, 2)) {
                unsigned listed = slab->carved - slab->used; /* of a Mid class virgin ones come alone */
                unsigned want = slab->block_size > SHARES_PAGES && listed != 0 ? listed : listed + at_once(slab, n);
                unsigned got = take(slab, part, n);
                assert_int_equal(got, hk_min(n, want));
                for (unsigned i = 0; i < got; i++) {
                    assert_true(hk_slab_is_block(slab, part[i]));
                    *(uint32_t *)part[i] = 0xabcd; /* two owners of a block would write both */
                    ((uint32_t *)part[i])[1] = count;
                    live[count++] = part[i];
                }
            } else if (count > 0) {
                n = (unsigned)hk_min(n, count);
                for (unsigned i = 0; i < n; i++) {
                    unsigned at = (unsigned)unit_random(&seed, count);
                    part[i] = live[at];
                    assert_int_equal(((uint32_t *)part[i])[1], at);
                    live[at] = live[--count];
                    if (at != count)
                        ((uint32_t *)live[at])[1] = at;
                }
                put(slab, part, n);
            }
            assert_int_equal(slab->used, count);
            assert_true(hk_slab_check(slab));
        }
    }
}

static void the_check_finds_what_is_wrong(void **state)
{
    (void)state;
    void *blocks[10];
    struct hk_slab *slab = fresh(hk_class_of(128));
    assert_int_equal(take(slab, blocks, 10), 10);
    put(slab, blocks, 4);
    slab->used++;
    assert_false(hk_slab_check(slab));
    slab->used--;
    hk_link_to(blocks[3], blocks[0]); /* a circle */
    assert_false(hk_slab_check(slab));
    hk_link_to(blocks[3], (char *)blocks[9] + 16); /* no block start */
    assert_false(hk_slab_check(slab));
    hk_link_to(blocks[3], NULL);
    assert_true(hk_slab_check(slab));
    slab->carved = slab->capacity + 1;
    assert_false(hk_slab_check(slab));
}

/* Where wrong links lead. */
static void *wrong_link(struct hk_slab *slab, void *const *blocks, unsigned how)
{
    void *const links[] = {
        hk_slab_base(slab) + HK_SLAB_SIZE, /* behind the slab */
        hk_slab_base(slab) - 16,           /* before it */
        (char *)blocks[5] + 1,             /* no multiple of 16 */
        (void *)0x4141414141414141,
    };
    return links[how];
}
#define WRONG_LINKS 4u

static bool forget_note(const struct hk_slab *slab)
{
    bool noted = hk_corrupt_found.slab == slab->base && hk_corrupt_found.size == slab->block_size;
    hk_corrupt_found = (struct hk_corrupt){NULL, 0};
    return noted;
}

/* What is left of a slab whose list was corrupted: nothing to take, and never EMPTY; but blocks that come back are
 * good.
 */
static void expect_given_up(struct hk_slab *slab, void **good, unsigned n)
{
    void *again[8];
    EXPECT(forget_note(slab));
    EXPECT(hk_slab_is_exhausted(slab) && slab->used == slab->capacity && hk_slab_check(slab));
    EXPECT(take(slab, again, 8) == 0 && hk_slab_pop(slab) == NULL && hk_slab_take_zero(slab) == NULL);
    put(slab, good, n);
    EXPECT(slab->used == slab->capacity - n && hk_slab_check(slab));
    EXPECT(take(slab, again, 8) == n && again[0] == good[0]);
    EXPECT(hk_corrupt_found.size == 0);
}

/* The link in the third block is wrong. */
static void take_from_corrupted_list(void *arg)
{
    uintptr_t how = (uintptr_t)arg;
    void *blocks[8], *again[8];
    struct hk_slab *slab = fresh(hk_class_of(64));
    EXPECT(take(slab, blocks, 8) == 8);
    put(slab, blocks, 8);
    hk_link_to(blocks[2], wrong_link(slab, blocks, how % WRONG_LINKS));
    if (how < WRONG_LINKS) { /* the list ends there, and virgin blocks do not take its place */
        EXPECT(take(slab, again, 8) == 3 && again[0] == blocks[0] && again[2] == blocks[2]);
    } else {
        EXPECT(take(slab, again, 3) == 3 && hk_corrupt_found.size == 0); /* up to there all is well */
        EXPECT(hk_slab_pop(slab) == NULL);
    }
    expect_given_up(slab, again, 3);
}

/* The wrong link is in the first list, and there is a second. */
static void take_from_two_lists(void *arg)
{
    void *blocks[8], *again[8];
    struct hk_slab *slab = fresh(hk_class_of(64));
    EXPECT(take(slab, blocks, 8) == 8);
    put(slab, blocks, 4);
    hk_link_to(blocks[4], blocks[5]);
    hk_link_to(blocks[5], NULL);
    hk_slab_put_chain(slab, blocks[4], 2);
    EXPECT(slab->spare == blocks[4]);
    hk_link_to(arg == NULL ? blocks[2] : blocks[4], wrong_link(slab, blocks, 3));
    EXPECT(take(slab, again, 8) == (arg == NULL ? 3 : 5));
    expect_given_up(slab, again, 2);
}

static void a_corrupted_list_is_given_up(void **state)
{
    (void)state;
    for (uintptr_t how = 0; how < 2 * WRONG_LINKS; how++)
        unit_passes(take_from_corrupted_list, (void *)how);
    unit_passes(take_from_two_lists, NULL);
    unit_passes(take_from_two_lists, (void *)1);
}

/* A chain is walked when both lists are in use: then it is the chain alone that is lost. */
static void put_corrupted_chain(void *arg)
{
    void *blocks[8], *again[8];
    struct hk_slab *slab = fresh(hk_class_of(64));
    EXPECT(take(slab, blocks, 8) == 8);
    put(slab, blocks, 1);
    hk_link_to(blocks[1], NULL);
    hk_slab_put_chain(slab, blocks[1], 1);
    for (unsigned i = 2; i < 5; i++)
        hk_link_to(blocks[i], i < 4 ? blocks[i + 1] : NULL);
    hk_link_to(blocks[3], arg == (void *)WRONG_LINKS ? NULL : wrong_link(slab, blocks, (unsigned)(uintptr_t)arg));
    hk_slab_put_chain(slab, blocks[2], 3);
    EXPECT(forget_note(slab) && slab->used == 6 && hk_slab_check(slab));
    EXPECT(take(slab, again, 3) == 3 && again[0] == blocks[0] && again[1] == blocks[1]);
    EXPECT(again[2] == hk_slab_base(slab) + 8 * 64 && hk_slab_check(slab)); /* a virgin one */
    EXPECT(hk_corrupt_found.size == 0);
}

static void a_corrupted_chain_is_lost(void **state)
{
    (void)state;
    for (uintptr_t how = 0; how <= WRONG_LINKS; how++)
        unit_passes(put_corrupted_chain, (void *)how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_superslab_is_unused),
        cmocka_unit_test(virgin_blocks_come_in_order),
        cmocka_unit_test(spans_lie_side_by_side),
        cmocka_unit_test(virgin_marks),
        cmocka_unit_test(wild_frees_are_found_before_their_page),
        cmocka_unit_test(the_fast_path_knows_what_was_handed_out),
        cmocka_unit_test(put_back_blocks_come_again),
        cmocka_unit_test(one_block_is_popped_from_the_list),
        cmocka_unit_test(chains_come_back_whole),
        cmocka_unit_test(a_reset_slab_is_carved_anew),
        cmocka_unit_test(zero_blocks_are_virgin_ones),
        cmocka_unit_test(random_takes_and_puts),
        cmocka_unit_test(the_check_finds_what_is_wrong),
        cmocka_unit_test(a_corrupted_list_is_given_up),
        cmocka_unit_test(a_corrupted_chain_is_lost),
    };
    return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
