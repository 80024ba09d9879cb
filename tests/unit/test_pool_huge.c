/* SPDX-License-Identifier: MIT
 *
 * SuperSlabs that ask for huge pages: who gets their slabs, and when they stop being so. Each case has a pool of its
 * own in a child.
 */
#include "pool_fixture.h"

#include "fake_os.h"
#include "config.h"
#include "base/options.h"
#include "os/os.h"
#include "pages/ss_arena.h"

static char *base_of(const struct hk_slab *slab)
{
    return hk_slab_superslab(slab)->base;
}

static bool is_huge(const struct hk_slab *slab)
{
    bool huge = hk_slab_superslab(slab)->huge;
    EXPECT(fake_os_is_huge(base_of(slab)) == huge);
    return huge;
}

/* Who fills slabs shares a SuperSlab with others like it; nobody else takes what is UNUSED in it. */
static void apart(void *arg)
{
    (void)arg;
    struct hk_slab *small = acquire(SINGLE), *first = acquire_to_fill();
    EXPECT(!is_huge(small) && !is_huge(first)); /* there is one already, which has room */
    for (unsigned i = 2; i < HK_SLABS; i++)
        EXPECT(base_of(acquire(SINGLE)) == base_of(small));
    first = acquire_to_fill();
    EXPECT(is_huge(first) && base_of(first) != base_of(small));
    struct hk_slab *mid = acquire(class_of_span(2)), *tiny = acquire(SINGLE);
    EXPECT(!is_huge(mid) && !is_huge(tiny) && base_of(mid) == base_of(tiny));
    for (unsigned i = 1; i < HK_SLABS; i++)
        EXPECT(base_of(acquire_to_fill()) == base_of(first));
    EXPECT(base_of(acquire_to_fill()) == base_of(mid)); /* what others have left comes before a new one */
    EXPECT(look().superslabs == 3);
}

static void who_fills_slabs_has_superslabs_apart(void **state)
{
    (void)state;
    unit_passes(apart, NULL);
}

/* What is EMPTY is resident: anybody takes it. */
static void empty_ones(void *arg)
{
    (void)arg;
    struct hk_slab *slab[2] = {acquire_to_fill(), acquire_to_fill()};
    EXPECT(is_huge(slab[0]) && base_of(slab[0]) == base_of(slab[1]));
    char *base = hk_slab_base(slab[1]);
    release(slab[1]);
    EXPECT(!HK_EMPTY_REUSE || hk_slab_base(acquire(SINGLE)) == base);
    EXPECT(look().unused == HK_SLABS - 2);
}

static void empty_slabs_are_for_all(void **state)
{
    (void)state;
    unit_passes(empty_ones, NULL);
}

static struct hk_slab *fill_superslab(void)
{
    struct hk_slab *first = acquire_to_fill();
    for (unsigned i = 1; i < HK_SLABS; i++)
        acquire_to_fill();
    return first;
}

/* One that took 3 ms to come is the last for 300 ms; one that took less than 2 ms is at hand. */
static void slow_ones(void *arg)
{
    (void)arg;
    fake_os_take_us(1999);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(3000);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(0);
    EXPECT(!is_huge(fill_superslab()));
    fake_os_travel(299);
    EXPECT(!is_huge(fill_superslab()));
    fake_os_travel(1);
    EXPECT(is_huge(fill_superslab()) && is_huge(fill_superslab()));
}

static void where_they_come_slowly_none_are_asked_for(void **state)
{
    (void)state;
    unit_passes(slow_ones, NULL);
}

/* Small ones take 100 us for 16, as long as a huge one of 3200 us: that is no reason to rest. One of twice that is. */
static void slow_machine(void *arg)
{
    (void)arg;
    fake_os_take_us(3000);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(100);
    EXPECT(!is_huge(fill_superslab()));
    fake_os_take_us(6399);
    EXPECT(is_huge(fill_superslab()) && is_huge(fill_superslab()));
    fake_os_take_us(6400);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(10);
    EXPECT(!is_huge(fill_superslab()) && !is_huge(fill_superslab())); /* now small ones come quickly */
    fake_os_travel(640);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(2000);
    EXPECT(is_huge(fill_superslab()));
    fake_os_take_us(0);
    EXPECT(!is_huge(fill_superslab()));
}

static void where_small_ones_come_as_slowly_huge_ones_are_asked_for(void **state)
{
    (void)state;
    unit_passes(slow_machine, NULL);
}

/* Rather than no memory. */
static void last_resort(void *arg)
{
    (void)arg;
    struct hk_slab *first = acquire_to_fill();
    EXPECT(is_huge(first));
    EXPECT(hk_option_store(HK_OPT_MEMORY_LIMIT, (int64_t)HK_SUPERSLAB_SIZE));
    for (unsigned left = HK_SLABS - 1; left >= 2; left -= 2)
        EXPECT(base_of(acquire(class_of_span(2))) == base_of(first));
    EXPECT(hk_pool_acquire(class_of_span(2), OWNER, false) == NULL);
    EXPECT(base_of(acquire(SINGLE)) == base_of(first));
    EXPECT(hk_pool_acquire(SINGLE, OWNER, true) == NULL && hk_pool_acquire(SINGLE, OWNER, false) == NULL);
    EXPECT(look().unused == 0);
}

static void rather_than_none_anybody_takes_them(void **state)
{
    (void)state;
    unit_passes(last_resort, NULL);
}

/* The rest of it must not become huge again, and what was UNUSED was resident: it goes back, too, piece by piece. */
static void purge_part(void *arg)
{
    bool refuse = *(bool *)arg;
    struct hk_slab *slab[8];
    for (unsigned i = 0; i < 8; i++)
        slab[i] = acquire_to_fill();
    EXPECT(is_huge(slab[0]));
    struct hk_superslab *ss = hk_slab_superslab(slab[0]);
    release(slab[3]);
    if (refuse)
        fake_os_fail_from(FAKE_PURGE, 1);
    bool refused = false;
    size_t given = hk_pool_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, HK_POOL_ALL, &refused);
    EXPECT(refused == refuse && given == (refuse ? 0 : (HK_SLABS - 8) * HK_SLAB_SIZE)); /* the longest piece first */
    EXPECT(!ss->huge && !fake_os_is_huge(ss->base));
    EXPECT(look().empty == (refuse ? HK_SLABS - 7 : 1) && look().owned == 7);
    given = purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_ALL);
    EXPECT(given == (refuse ? 0 : HK_SLAB_SIZE));
    for (unsigned i = 0; i < HK_SLABS && !refuse; i++)
        EXPECT(fake_os_was_purged(ss->base + i * HK_SLAB_SIZE) == (i == 3 || i >= 8));
    fake_os_recover();
    EXPECT(!HK_EMPTY_REUSE || base_of(acquire(class_of_span(2))) == ss->base); /* for all, again */
    EXPECT(!HK_EMPTY_REUSE || base_of(acquire_to_fill()) == ss->base);
}

static void one_of_which_a_part_went_is_as_any_other(void **state)
{
    (void)state;
    for (unsigned refuse = 0; refuse < 2; refuse++) {
        bool arg = refuse != 0;
        unit_passes(purge_part, &arg);
    }
}

/* It goes back with all of its pages; runs and others may come there, and a new one is huge anew once they are clean.
 */
static void leave(void *arg)
{
    (void)arg;
    struct hk_slab *stays[HK_SLABS], *slab;
    for (unsigned i = 0; i < HK_SLABS; i++)
        stays[i] = acquire(SINGLE);
    slab = acquire_to_fill();
    EXPECT(is_huge(slab));
    char *base = base_of(slab);
    release(slab);
    EXPECT(hk_pool_trim() <= HK_SUPERSLAB_SIZE && look().superslabs == 1);
    EXPECT(!fake_os_is_huge(base));
    EXPECT(hk_arena_dirty() == HK_SUPERSLAB_SIZE * HK_SS_ARENA);
    for (bool refused = false; hk_arena_purge(hk_os_now_ms(), 0, HK_PURGE_MOST, &refused) != 0;) {
    }
    slab = acquire_to_fill();
    EXPECT(is_huge(slab) && hk_slab_superslab(stays[0])->huge == false);
    EXPECT(look().superslabs == 2);
}

static void one_that_leaves_is_no_longer_huge(void **state)
{
    (void)state;
    unit_passes(leave, NULL);
}

/* A mapping for each would be too many in a very large heap. */
static void many(void *arg)
{
    (void)arg;
    size_t slabs = (size_t)8192 * HK_SLABS;
    hk_add_relaxed(&hk_pool_owned, slabs); /* as if so many were in use */
    EXPECT(!is_huge(acquire_to_fill()));
    hk_sub_relaxed(&hk_pool_owned, slabs);
    for (unsigned i = 1; i < HK_SLABS; i++)
        EXPECT(!is_huge(acquire_to_fill()));
    EXPECT(is_huge(acquire_to_fill()));
    EXPECT(look().superslabs == 2);
}

static void very_large_heaps_do_not_ask(void **state)
{
    (void)state;
    unit_passes(many, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_fills_slabs_has_superslabs_apart),
        cmocka_unit_test(empty_slabs_are_for_all),
        cmocka_unit_test(where_they_come_slowly_none_are_asked_for),
        cmocka_unit_test(where_small_ones_come_as_slowly_huge_ones_are_asked_for),
        cmocka_unit_test(rather_than_none_anybody_takes_them),
        cmocka_unit_test(one_of_which_a_part_went_is_as_any_other),
        cmocka_unit_test(very_large_heaps_do_not_ask),
        cmocka_unit_test(one_that_leaves_is_no_longer_huge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
