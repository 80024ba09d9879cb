/* SPDX-License-Identifier: MIT
 *
 * Arenas on a machine with two nodes. Each case has arenas of its own in a child.
 */
#include "arena_model.h"

#include "base/options.h"
#include "fake_os.h"
#include "needs.h"
#include "pages/space.h"

#include <sys/mman.h>

static void *take(unsigned node, size_t pages)
{
    bool zero;
    fake_os_run_on(node);
    void *p = hk_arena_take(pages, HK_PAGE, &zero);
    EXPECT(p != NULL && hk_arena_check());
    return p;
}

static void two_nodes(void)
{
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start());
    EXPECT(hk_numa_start());
    hk_arena_place();
}

static void near_memory(void *arg)
{
    (void)arg;
    two_nodes();
    EXPECT(fake_os_wishes() == 1); /* the unit that was there before */
    void *own[2][20];
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned node = 0; node < 2; node++) {
            own[node][i] = take(node, 1 + i * 3);
            EXPECT(fake_os_node_of(own[node][i]) == (int)node);
        }
    }
    size_t wishes = fake_os_wishes();
    EXPECT(wishes >= 2 && wishes <= 6); /* for units that are added together, none for runs */
    for (unsigned i = 0; i < 20; i++) {
        fake_os_run_on(1);
        EXPECT(hk_arena_give(own[0][i])); /* goes home, whoever gives it */
    }
    for (unsigned i = 0; i < 20; i++)
        EXPECT(fake_os_node_of(take(1, 1 + i * 3)) == 1);
    for (unsigned i = 0; i < 20; i++)
        EXPECT(fake_os_node_of(take(0, 1 + i * 3)) == 0);
    EXPECT(hk_arena_dirty() == 0); /* all of it was used again */
    uint32_t clean;
    EXPECT(fake_os_node_of(hk_arena_take_superslab(0, &clean)) == 0);
    EXPECT(fake_os_node_of(hk_arena_take_superslab(1, &clean)) == 1);
    EXPECT(fake_os_wishes() <= wishes + 2 && hk_arena_check());
}

static void runs_come_from_units_of_the_node(void **state)
{
    (void)state;
    unit_passes(near_memory, NULL);
}

/* What others have mapped between our units is not ours to place. */
static void learn_late(void *arg)
{
    (void)arg;
    bool zero;
    uint32_t clean;
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start());
    char *others = hk_space_address(hk_space_units);
    EXPECT(mmap(others, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == others);
    char *run = hk_arena_take(2000, HK_PAGE, &zero), *ss = hk_arena_take_superslab(0, &clean);
    EXPECT(run > others && ss != NULL);
    EXPECT(hk_numa_start());
    hk_arena_place();
    for (size_t i = 0; i < fake_os_wishes(); i++) {
        struct fake_wish wish = fake_os_wish(i);
        EXPECT(wish.start + wish.size <= others || wish.start > others);
    }
    EXPECT(fake_os_node_of(hk_space_address(0)) == 0);
    EXPECT(fake_os_node_of(run) == 0 && fake_os_node_of(run + 2000 * HK_PAGE - 1) == 0 && fake_os_node_of(ss) == 0);
}

static void only_our_units_are_placed(void **state)
{
    (void)state;
    unit_needs(lacks_exact_places());
    unit_passes(learn_late, NULL);
}

/* A SuperSlab is asked for by node, so only a run may come from elsewhere. */
static void no_more(void *arg)
{
    (void)arg;
    two_nodes();
    take(0, 10);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    uint32_t clean;
    EXPECT(hk_arena_take_superslab(1, &clean) == NULL);
    EXPECT(fake_os_node_of(take(1, 10)) == 0);
    fake_os_recover();
    EXPECT(fake_os_node_of(take(1, 10)) == 1);
    EXPECT(fake_os_node_of(hk_arena_take_superslab(1, &clean)) == 1);
}

static void other_nodes_are_the_last_resort(void **state)
{
    (void)state;
    unit_passes(no_more, NULL);
}

static void refused_wishes(void *arg)
{
    (void)arg;
    fake_os_fail_from(FAKE_PREFER, 1);
    two_nodes();
    char *a = take(0, 10), *b = take(1, 10), *c = take(1, 10);
    EXPECT(c == b + 10 * HK_PAGE && a + 10 * HK_PAGE != b); /* still kept apart: first touch does the rest */
    EXPECT(fake_os_wishes() == 0);
}

static void a_refused_wish_changes_nothing(void **state)
{
    (void)state;
    unit_passes(refused_wishes, NULL);
}

static void purge_all(void *arg)
{
    (void)arg;
    two_nodes();
    void *run[2][8];
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned node = 0; node < 2; node++) {
            run[node][i] = take(node, 8);
            take(node, 1);
        }
    }
    for (unsigned i = 0; i < 8; i++)
        EXPECT(hk_arena_give(run[0][i]) && hk_arena_give(run[1][i]));
    EXPECT(purge_runs(0, 0, 0) == 2 * 8 * 8 * HK_PAGE);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(fake_os_was_purged(run[0][i]) && fake_os_was_purged(run[1][i]));
    EXPECT(hk_arena_check() && hk_arena_dirty() == 0);
}

static void the_purge_sees_every_node(void **state)
{
    (void)state;
    unit_passes(purge_all, NULL);
}

static void switched_off(void *arg)
{
    (void)arg;
    two_nodes();
    take(1, 10);
    EXPECT(hk_option_store(HK_OPT_NUMA, 0));
    size_t wishes = fake_os_wishes();
    EXPECT(fake_os_node_of(take(1, 10)) == 0);
    EXPECT(fake_os_node_of(take(0, 10)) == 0);
    EXPECT(fake_os_wishes() == wishes);
}

static void the_option_makes_all_memory_one(void **state)
{
    (void)state;
    unit_passes(switched_off, NULL);
}

static struct model model;

static void random_runs(void *arg)
{
    (void)arg;
    two_nodes();
    model.seed = 7;
    for (unsigned i = 0; i < 1500; i++) {
        fake_os_run_on((unsigned)unit_random(&model.seed, 2));
        model_step(&model, 600, false);
        if (i % 64 == 0)
            model_check(&model);
    }
    model_give_all(&model);
    EXPECT(hk_arena_live() == 0 && hk_arena_check());
}

static void runs_of_two_nodes_follow_the_model(void **state)
{
    (void)state;
    unit_passes(random_runs, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_from_units_of_the_node),   cmocka_unit_test(only_our_units_are_placed),
        cmocka_unit_test(other_nodes_are_the_last_resort),    cmocka_unit_test(a_refused_wish_changes_nothing),
        cmocka_unit_test(the_purge_sees_every_node),          cmocka_unit_test(the_option_makes_all_memory_one),
        cmocka_unit_test(runs_of_two_nodes_follow_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
