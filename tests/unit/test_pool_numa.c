/* SPDX-License-Identifier: MIT
 *
 * The shared pool on a machine with two nodes. Each case has a pool of its own in a child.
 */
#include "pool_fixture.h"

#include "fake_os.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena_source.h"

static void two_nodes(void)
{
    fake_os_set_nodes(3);
    EXPECT(hk_arena_start());
    EXPECT(hk_numa_start());
    hk_arena_place();
}

static struct hk_slab *acquire_on(unsigned node, unsigned cls)
{
    fake_os_run_on(node);
    return acquire(cls);
}

static int node_of(struct hk_slab *slab)
{
    int node = fake_os_node_of(hk_slab_base(slab));
    EXPECT(node == (int)hk_slab_superslab(slab)->node);
    return node;
}

static void own_stages(void *arg)
{
    (void)arg;
    two_nodes();
    struct hk_slab *slab[2][40];
    for (unsigned node = 0; node < 2; node++) {
        for (unsigned i = 0; i < 40; i++) {
            slab[node][i] = acquire_on(node, SINGLE);
            EXPECT(node_of(slab[node][i]) == (int)node);
        }
    }
    EXPECT(look().superslabs == 4);
    fake_os_run_on(1);
    for (unsigned i = 0; i < 40; i++)
        release(slab[0][i]); /* by a thread of the other node */
    for (unsigned i = 0; i < 20; i++)
        EXPECT(node_of(acquire_on(1, 2 + i)) == 1);
    EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, 0) == 0);
    for (unsigned i = 0; i < 20; i++)
        EXPECT(node_of(acquire_on(0, 2 + i)) == 0);
    EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, 0) == 20);
    look();
}

static void each_node_has_its_own_stages(void **state)
{
    (void)state;
    unit_passes(own_stages, NULL);
}

static void same_class(void *arg)
{
    (void)arg;
    two_nodes();
    unsigned cls = HK_TINY_LAST + 8;
    for (unsigned i = 0; i < 110; i++)
        acquire_on(i % 2, SINGLE);
    struct hk_slab *a = acquire_on(0, cls), *b = acquire_on(1, cls), *c = acquire_on(0, cls), *d = acquire_on(1, cls);
    release(a);
    release(b);
    release(d);
    release(c);
    EXPECT(acquire_on(1, cls) == d && acquire_on(1, cls) == b);
    EXPECT(acquire_on(0, cls) == c && acquire_on(0, cls) == a);
    look();
}

static void a_mid_class_gets_its_own_slabs_of_the_node(void **state)
{
    (void)state;
    unit_passes(same_class, NULL);
}

static void elsewhere(void *arg)
{
    (void)arg;
    two_nodes();
    struct hk_slab *near = acquire_on(0, SINGLE), *empty = acquire_on(0, SINGLE);
    release(empty);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    struct hk_slab *slab = acquire_on(1, SINGLE + 1); /* no unit of node 1, and none to be had */
    EXPECT(slab == empty && node_of(slab) == 0);
    EXPECT(hk_pool_stage_count(HK_STAGE_EMPTY, SINGLE + 1) == 1);
    EXPECT(node_of(acquire_on(1, SINGLE + 1)) == 0);
    EXPECT(hk_pool_stage_count(HK_STAGE_UNUSED, SINGLE + 1) == 1);
    fake_os_recover();
    EXPECT(node_of(acquire_on(1, SINGLE + 1)) == 1);
    EXPECT(near->state == HK_SLAB_ACTIVE);
    look();
}

static void other_nodes_are_the_last_resort(void **state)
{
    (void)state;
    unit_passes(elsewhere, NULL);
}

static void give_back(void *arg)
{
    (void)arg;
    two_nodes();
    struct hk_slab *slab[2][64];
    for (unsigned node = 0; node < 2; node++) {
        for (unsigned i = 0; i < 64; i++)
            slab[node][i] = acquire_on(node, SINGLE);
    }
    for (unsigned node = 0; node < 2; node++) {
        for (unsigned i = 0; i < 64; i++)
            release(slab[node][i]);
    }
    EXPECT(look().superslabs == 1); /* one stays, of whichever node */
    EXPECT(purge_slabs(hk_os_now_ms(), 0, 0, HK_POOL_ALL) > 0);
    hk_pool_trim();
    EXPECT(look().superslabs == 0);
    size_t wishes = fake_os_wishes();
    for (unsigned i = 0; i < 40; i++)
        EXPECT(node_of(acquire_on(i % 2, SINGLE)) == (int)(i % 2));
    EXPECT(fake_os_wishes() == wishes); /* no new units */
}

static void superslabs_go_home(void **state)
{
    (void)state;
    unit_passes(give_back, NULL);
}

/* Further nodes need a record each; without it node 0's sets must serve. */
static void no_record(void *arg)
{
    (void)arg;
    two_nodes();
    uint32_t clean;
    hk_arena_give_superslab(hk_arena_take_superslab(1, &clean), clean); /* a unit of the node */
    acquire_on(0, SINGLE);
    /* What is left of the records' memory is enough for a SuperSlab's and not for sets. */
    fake_os_fail_from(FAKE_MAP, 1);
    while (hk_meta_alloc(64) != NULL) {
    }
    fake_os_recover();
    EXPECT(hk_meta_alloc(40000) != NULL);
    fake_os_reset();
    fake_os_set_nodes(3);
    fake_os_fail_nth(FAKE_MAP, 1);
    fake_os_run_on(1);
    struct hk_slab *slab = hk_pool_acquire(SINGLE, OWNER, false);
    EXPECT(slab != NULL && hk_pool_check());
    EXPECT(fake_os_failures() == 1);
    slab->state = HK_SLAB_ACTIVE;
    release(slab);
    EXPECT(hk_pool_check());
}

static void a_missing_record_is_survived(void **state)
{
    (void)state;
    unit_passes(no_record, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_has_its_own_stages),    cmocka_unit_test(a_mid_class_gets_its_own_slabs_of_the_node),
        cmocka_unit_test(other_nodes_are_the_last_resort), cmocka_unit_test(superslabs_go_home),
        cmocka_unit_test(a_missing_record_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
