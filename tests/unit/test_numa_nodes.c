/* SPDX-License-Identifier: MIT
 *
 * How nodes are numbered, and what happens where there is one, where it is not known, or where a call is refused. Each
 * case runs in a child: nodes are learned once.
 */
#include "unit.h"

#include "base/options.h"
#include "fake_os.h"
#include "os/numa.h"

static char memory[16384] __attribute__((aligned(4096)));

static uint64_t calls(void)
{
    return fake_os_count(FAKE_NODES) + fake_os_count(FAKE_POLICY) + fake_os_count(FAKE_CURRENT) +
           fake_os_count(FAKE_PREFER);
}

static void expect_one_node(void)
{
    uint64_t before = calls();
    fake_os_run_on(1);
    EXPECT(hk_numa_nodes() == 1 && hk_numa_node() == 0);
    hk_numa_prefer(memory, sizeof memory, 0);
    EXPECT(!hk_numa_learn());
    EXPECT(calls() == before && fake_os_wishes() == 0);
}

static void number(void *arg)
{
    (void)arg;
    fake_os_set_nodes(1 << 0 | 1 << 2 | 1 << 3 | 1 << 9);
    fake_os_run_on(3);
    EXPECT(hk_numa_nodes() == 1 && hk_numa_node() == 0);
    EXPECT(hk_numa_start());
    EXPECT(hk_numa_nodes() == 4);
    const unsigned system[] = {3, 0, 2, 9};
    for (unsigned node = 0; node < 4; node++) {
        fake_os_run_on(system[node]);
        EXPECT(hk_numa_node() == node);
        hk_numa_prefer(memory, sizeof memory, node);
        EXPECT(fake_os_wishes() == node + 1 && fake_os_node_of(memory) == (int)system[node]);
    }
    fake_os_run_on(200); /* beyond what has a number */
    EXPECT(hk_numa_node() == 0);
    EXPECT(!hk_numa_learn() && fake_os_count(FAKE_NODES) == 1 && fake_os_count(FAKE_POLICY) == 1);
}

static void the_home_node_comes_first(void **state)
{
    (void)state;
    unit_passes(number, NULL);
}

static void number_many(void *arg)
{
    (void)arg;
    fake_os_set_nodes(UINT64_MAX);
    EXPECT(hk_numa_start() && hk_numa_nodes() == HK_NUMA_NODES);
    fake_os_run_on(31);
    EXPECT(hk_numa_node() == 31);
    fake_os_run_on(32);
    EXPECT(hk_numa_node() == 0);
}

static void more_nodes_than_numbers_count_as_home(void **state)
{
    (void)state;
    unit_passes(number_many, NULL);
}

static void start_with(void *arg)
{
    fake_os_set_nodes(*(uint64_t *)arg);
    EXPECT(!hk_numa_start());
    expect_one_node();
}

static void one_node_makes_no_call_after_the_start(void **state)
{
    (void)state;
    uint64_t masks[] = {1, 0, 4}; /* one; not known; the one we run on is not among them */
    for (unsigned i = 0; i < 3; i++)
        unit_passes(start_with, &masks[i]);
}

static void start_refused(void *arg)
{
    fake_os_set_nodes(3);
    fake_os_fail_from(*(enum fake_call *)arg, 1);
    EXPECT(!hk_numa_start());
    EXPECT(fake_os_failures() == 1);
    expect_one_node();
}

static void a_refused_start_leaves_one_node(void **state)
{
    (void)state;
    enum fake_call kinds[] = {FAKE_NODES, FAKE_CURRENT};
    unit_passes(start_refused, &kinds[0]);
    unit_passes(start_refused, &kinds[1]);
}

static void choose(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    fake_os_choose_policy();
    EXPECT(hk_numa_start() && hk_numa_nodes() == 2);
    fake_os_run_on(1);
    hk_numa_prefer(memory, sizeof memory, 1);
    EXPECT(hk_numa_node() == 1 && fake_os_wishes() == 0 && fake_os_count(FAKE_PREFER) == 0);
}

static void a_policy_that_the_user_chose_stays(void **state)
{
    (void)state;
    unit_passes(choose, NULL);
}

static void refuse_later(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    EXPECT(hk_numa_start());
    fake_os_run_on(1);
    fake_os_fail_from(FAKE_PREFER, 1);
    hk_numa_prefer(memory, sizeof memory, 1);
    EXPECT(fake_os_wishes() == 0 && hk_numa_node() == 1);
    fake_os_fail_from(FAKE_CURRENT, 1);
    EXPECT(hk_numa_node() == 0);
}

static void a_call_refused_later_does_no_harm(void **state)
{
    (void)state;
    unit_passes(refuse_later, NULL);
}

static void late(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    fake_os_run_on(1);
    fake_os_learn_late();
    EXPECT(!hk_numa_learn()); /* before the start there is nothing to ask for */
    EXPECT(!hk_numa_start());
    EXPECT(hk_numa_nodes() == 1 && fake_os_count(FAKE_NODES) == 0);
    fake_os_run_on(0);
    EXPECT(hk_numa_learn());
    EXPECT(!hk_numa_learn() && hk_numa_nodes() == 2);
    EXPECT(hk_numa_node() == 1); /* home is where it started, not where it learned */
    fake_os_run_on(1);
    EXPECT(hk_numa_node() == 0);
}

static void nodes_may_be_learned_late(void **state)
{
    (void)state;
    if (!HK_NUMA_LATE)
        skip(); /* it is known at the start */
    unit_passes(late, NULL);
}

static void off_from_the_start(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    EXPECT(hk_option_store(HK_OPT_NUMA, 0));
    EXPECT(!hk_numa_start());
    EXPECT(calls() == 0);
    expect_one_node();
}

static void off_later(void *arg)
{
    (void)arg;
    fake_os_set_nodes(3);
    EXPECT(hk_numa_start());
    EXPECT(hk_option_store(HK_OPT_NUMA, 0));
    fake_os_run_on(1);
    hk_numa_prefer(memory, sizeof memory, 1);
    EXPECT(hk_numa_node() == 0 && fake_os_wishes() == 0);
    EXPECT(hk_option_store(HK_OPT_NUMA, 1));
    EXPECT(hk_numa_node() == 1);
}

static void the_option_turns_it_off(void **state)
{
    (void)state;
    unit_passes(off_from_the_start, NULL);
    unit_passes(off_later, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_home_node_comes_first),
        cmocka_unit_test(more_nodes_than_numbers_count_as_home),
        cmocka_unit_test(one_node_makes_no_call_after_the_start),
        cmocka_unit_test(a_refused_start_leaves_one_node),
        cmocka_unit_test(a_policy_that_the_user_chose_stays),
        cmocka_unit_test(a_call_refused_later_does_no_harm),
        cmocka_unit_test(nodes_may_be_learned_late),
        cmocka_unit_test(the_option_turns_it_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
