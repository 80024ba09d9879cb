/* SPDX-License-Identifier: MIT
 *
 * Heaps whose threads begin, end, sleep or stay behind in a fork. Each case runs in a child.
 */
#include "heap_fixture.h"

#include "base/options.h"
#include "box/pool.h"
#include "fake_os.h"
#include "pages/ss_arena.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u

static void end_and_adopt(void *arg)
{
    (void)arg;
    static void *blocks[3 * PER_SLAB], *more[PER_SLAB];
    struct hk_heap *first = fixture_heap(), *second = fixture_heap();
    fixture_take(first, KIB, blocks, 3 * PER_SLAB);
    hk_heap_give(first, blocks, PER_SLAB);      /* one EMPTY, */
    hk_heap_give(first, blocks + PER_SLAB, 24); /* one partial, one full */
    fixture_end(first);
    EXPECT(first->owner.state != HK_OWNER_ALIVE && first->slabs == 0);
    fixture_check(&hk_orphan_heap);
    EXPECT(hk_orphan_heap.slabs == 2 && fixture_owned_slabs() == 2);
    for (unsigned i = PER_SLAB; i < 3 * PER_SLAB; i += PER_SLAB)
        EXPECT(hk_slab_owner(hk_slab_of(blocks[i])) == &hk_orphan_heap.owner);

    fixture_take(second, KIB - 1, more, 1); /* another class has no use for it */
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, 0) == 0);
    fixture_take(second, KIB, more, 24);
    for (unsigned i = 0; i < 24; i++)
        EXPECT(hk_slab_of(more[i]) == hk_slab_of(blocks[PER_SLAB]));
    EXPECT(hk_slab_owner(hk_slab_of(blocks[PER_SLAB])) == &second->owner);
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, KIB) == 1);
    EXPECT(second->slabs == 2 && hk_orphan_heap.slabs == 1);
    fixture_check(second);
    fixture_check(&hk_orphan_heap);
}

static void slabs_of_a_thread_that_ended_are_adopted(void **state)
{
    (void)state;
    unit_passes(end_and_adopt, NULL);
}

static void give_to_orphans(void *arg)
{
    (void)arg;
    static void *blocks[2 * PER_SLAB];
    struct hk_heap *first = fixture_heap(), *second = fixture_heap();
    fixture_take(first, KIB, blocks, 2 * PER_SLAB);
    fixture_end(first);
    hk_heap_give(second, blocks, 1); /* full to partial at once: nobody would collect it later */
    EXPECT(hk_slab_of(blocks[0])->state == HK_SLAB_PARTIAL);
    fixture_check(&hk_orphan_heap);
    hk_heap_give(second, blocks + 1, PER_SLAB - 1);
    EXPECT(fixture_owned_slabs() == 1);
    hk_heap_give(&hk_orphan_heap, blocks + PER_SLAB, PER_SLAB); /* as late destructors do */
    EXPECT(fixture_owned_slabs() == 0);
    void *block;
    fixture_take(&hk_orphan_heap, KIB, &block, 1);
    EXPECT(hk_slab_owner(hk_slab_of(block)) == &hk_orphan_heap.owner);
    fixture_check(&hk_orphan_heap);
    hk_heap_give(second, &block, 1);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void orphans_need_no_thread(void **state)
{
    (void)state;
    unit_passes(give_to_orphans, NULL);
}

static void reuse(void *arg)
{
    (void)arg;
    void *block;
    EXPECT(hk_heap_reuse() == NULL);
    struct hk_heap *a = fixture_heap(), *b = fixture_heap();
    EXPECT(a != b && hk_heap_reuse() == NULL);
    fixture_take(a, KIB, &block, 1);
    fixture_end(a);
    fixture_end(b);
    struct hk_heap *c = hk_heap_reuse(), *d = hk_heap_reuse();
    EXPECT(c != d && (c == a || c == b) && (d == a || d == b) && hk_heap_reuse() == NULL);
    hk_heap_begin(a);
    EXPECT(a->owner.state == HK_OWNER_ALIVE && a->slabs == 0);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        EXPECT(a->cls[cls].active == NULL && a->cls[cls].partial.first == NULL);
    fixture_take(a, KIB, &block, 1);
    fixture_check(a);
    fixture_end(a);
    for (unsigned i = 0; i < 1000; i++) { /* as many threads, one after the other */
        struct hk_heap *heap = fixture_heap();
        EXPECT(heap == a);
        fixture_take(heap, 1 + i % (HK_CLASS_COUNT - 1), &block, 1);
        hk_heap_give(heap, &block, 1);
        fixture_end(heap);
    }
    EXPECT(fixture_owned_slabs() == 1); /* that of the two blocks that are still out */
}

static void records_are_used_again(void **state)
{
    (void)state;
    unit_passes(reuse, NULL);
}

static void add_heap(void *ctx, struct hk_heap *heap)
{
    struct hk_heap **seen = ctx;
    while (*seen != NULL)
        EXPECT(*seen++ != heap);
    *seen = heap;
}

static void visit(void *arg)
{
    (void)arg;
    struct hk_heap *seen[8] = {0}, *a = fixture_heap(), *b = fixture_heap(), *c = fixture_heap();
    fixture_end(b);
    hk_heap_visit(add_heap, seen);
    EXPECT(seen[3] == &hk_orphan_heap && seen[4] == NULL);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(seen[i] == a || seen[i] == b || seen[i] == c);
}

static void a_visit_sees_every_record_and_the_orphans_last(void **state)
{
    (void)state;
    unit_passes(visit, NULL);
}

/* Blocks pushed while the slab belonged to one heap, collected when it belongs to another. */
static void push_strays(void *arg)
{
    (void)arg;
    static void *blocks[PER_SLAB], *adopted[PER_SLAB];
    struct hk_heap *first = fixture_heap(), *second = fixture_heap();
    fixture_take(first, KIB, blocks, PER_SLAB);
    hk_heap_give(first, blocks + 60, 4);
    fixture_end(first);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    hk_link_to(blocks[0], NULL);
    struct hk_chain chain = {slab, blocks[0], blocks[0], 1};
    EXPECT(hk_remote_push(&chain) == &hk_orphan_heap.owner); /* and the pusher is slow to collect */
    fixture_take(second, KIB, adopted, 4);
    EXPECT(hk_slab_owner(slab) == &second->owner && hk_remote_has_woken(&hk_orphan_heap.owner));
    hk_heap_give(second, blocks + 1, 10);
    hk_heap_sweep(); /* the orphan heap finds a slab that is not its own any more */
    EXPECT(hk_remote_count(slab) == 0 && slab->used == PER_SLAB - 11);
    fixture_check(second);
    hk_heap_give(second, blocks + 11, 49);
    hk_heap_give(second, adopted, 4);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void strays_are_forwarded(void **state)
{
    (void)state;
    unit_passes(push_strays, NULL);
}

/* The same with several slabs: each of them is forwarded. */
static void push_several_strays(void *arg)
{
    (void)arg;
    static void *blocks[3 * PER_SLAB], *adopted[12];
    struct hk_heap *first = fixture_heap(), *second = fixture_heap();
    fixture_take(first, KIB, blocks, 3 * PER_SLAB);
    for (unsigned i = 0; i < 3; i++)
        hk_heap_give(first, blocks + i * PER_SLAB + 60, 4);
    fixture_end(first);
    for (unsigned i = 0; i < 3; i++) {
        void *block = blocks[i * PER_SLAB];
        hk_link_to(block, NULL);
        struct hk_chain chain = {hk_slab_of(block), block, block, 1};
        EXPECT(hk_remote_push(&chain) == &hk_orphan_heap.owner);
    }
    fixture_take(second, KIB, adopted, 12);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(hk_slab_owner(hk_slab_of(blocks[i * PER_SLAB])) == &second->owner);
    hk_heap_sweep();
    for (unsigned i = 0; i < 3; i++)
        EXPECT(hk_remote_count(hk_slab_of(blocks[i * PER_SLAB])) == 0);
    fixture_check(second);
}

static void all_strays_are_forwarded(void **state)
{
    (void)state;
    unit_passes(push_several_strays, NULL);
}

/* The same, found by a take of the first owner: its record lives on under another thread. */
static void push_strays_to_reused(void *arg)
{
    (void)arg;
    static void *blocks[PER_SLAB], *more[2 * PER_SLAB];
    struct hk_heap *first = fixture_heap();
    fixture_take(first, KIB, blocks, PER_SLAB);
    struct hk_slab *slab = hk_slab_of(blocks[0]);
    fixture_end(first);
    EXPECT(fixture_heap() == first);
    hk_link_to(blocks[0], NULL);
    slab->remote = (uint64_t)1 << 48 | (uintptr_t)blocks[0]; /* a pusher that read the owner before it ended */
    hk_remote_wake(&first->owner, slab);
    fixture_take(first, KIB, more, 1);
    EXPECT(hk_remote_count(slab) == 0 && slab->used + 1 >= PER_SLAB);
    fixture_take(first, KIB, more + 1, PER_SLAB);
    fixture_check(first);
    fixture_check(&hk_orphan_heap);
    EXPECT(fixture_owned_slabs() <= 3);
}

static void strays_of_a_record_that_is_used_again(void **state)
{
    (void)state;
    unit_passes(push_strays_to_reused, NULL);
}

static void sweep_sleeper(void *arg)
{
    (void)arg;
    static void *blocks[20][PER_SLAB];
    struct hk_heap *sleeper = fixture_heap(), *other = fixture_heap();
    for (unsigned i = 0; i < 20; i++)
        fixture_take(sleeper, KIB, blocks[i], PER_SLAB);
    for (unsigned i = 0; i < 20; i++)
        hk_heap_give(other, blocks[i], PER_SLAB - (i % 2));
    EXPECT(fixture_owned_slabs() == 20);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 10 && hk_pool_empty_bytes() == 10 * HK_SLAB_SIZE);
    fixture_check(sleeper);
    fixture_take(sleeper, KIB, blocks[0], 10); /* it wakes up and goes on */
    fixture_check(sleeper);
}

static void a_sweep_works_for_who_sleeps(void **state)
{
    (void)state;
    unit_passes(sweep_sleeper, NULL);
}

/* ---- fork ---- */

static void wait_for(pid_t pid)
{
    int status;
    EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct forking {
    struct hk_heap *mine, *other, *ended;
    void *own[PER_SLAB], *foreign[2 * PER_SLAB];
};

/* In the child: the other's slabs serve whoever comes, its record is used again, and what it had can be freed. */
static void live_on(struct forking *f)
{
    void *more[PER_SLAB + 30];
    hk_heap_fork_child(f->mine);
    EXPECT(f->mine->owner.state == HK_OWNER_ALIVE && f->other->owner.state == HK_OWNER_GONE);
    EXPECT(f->mine->lock.word == 0 && f->other->lock.word == 0 && hk_orphan_heap.lock.word == 0);
    hk_heap_give(f->mine, f->own, 1);
    fixture_take(f->mine, KIB, more, PER_SLAB + 1);
    EXPECT(hk_pool_stage_count(HK_STAGE_PARTIAL, KIB) ==
           1); /* the first batch moved the slabs, the second adopted one */
    EXPECT(f->other->slabs == 0);
    fixture_check(f->mine);
    fixture_check(f->other);
    fixture_check(&hk_orphan_heap);
    struct hk_heap *a = hk_heap_reuse(), *b = hk_heap_reuse();
    EXPECT((a == f->other && b == f->ended) || (a == f->ended && b == f->other));
    EXPECT(hk_heap_reuse() == NULL);
    hk_heap_give(f->mine, f->foreign + 10, 2 * PER_SLAB - 10);
    hk_heap_give(f->mine, f->own + 1, PER_SLAB - 1);
    hk_heap_give(f->mine, more, PER_SLAB + 1);
    hk_heap_sweep();
    EXPECT(fixture_owned_slabs() == 0);
}

static void fork_heaps(void *arg)
{
    (void)arg;
    struct forking f = {fixture_heap(), fixture_heap(), fixture_heap(), {0}, {0}};
    fixture_take(f.mine, KIB, f.own, PER_SLAB);
    fixture_take(f.other, KIB, f.foreign, 2 * PER_SLAB);
    hk_heap_give(f.other, f.foreign, 10);
    fixture_end(f.ended);
    pid_t pid = unit_fork();
    if (pid == 0) {
        f.other->lock.word = 1; /* of whoever only looked */
        live_on(&f);
        _exit(0);
    }
    EXPECT(f.other->owner.state == HK_OWNER_ALIVE);
    fixture_take(f.other, KIB, f.foreign, 10); /* life goes on in the parent */
    fixture_check(f.other);
    wait_for(pid);
}

static void a_child_has_one_living_heap(void **state)
{
    (void)state;
    unit_passes(fork_heaps, NULL);
}

/* The fork came while a thread was ending: it had said so, and moved nothing yet. */
static void fork_heaps_at_end(void *arg)
{
    (void)arg;
    void *blocks[PER_SLAB], *more[20];
    struct hk_heap *mine = fixture_heap(), *ending = fixture_heap();
    fixture_take(ending, KIB, blocks, PER_SLAB);
    hk_heap_give(ending, blocks, 20);
    hk_store_relaxed(&ending->owner.state, HK_OWNER_GONE);
    pid_t pid = unit_fork();
    if (pid == 0) {
        hk_heap_fork_child(mine);
        fixture_take(mine, KIB - 1, more, 1);
        EXPECT(ending->slabs == 0 && hk_heap_reuse() == ending); /* the child finishes it */
        fixture_take(mine, KIB, more, 20);
        EXPECT(hk_slab_of(more[0]) == hk_slab_of(blocks[0]));
        _exit(0);
    }
    wait_for(pid);
}

static void a_child_finishes_what_a_thread_had_begun(void **state)
{
    (void)state;
    unit_passes(fork_heaps_at_end, NULL);
}

/* A heap that has become large asks for huge pages, for tiny blocks; others do not, and none does where it is told so.
 */
static void grow_large(void *arg)
{
    static const struct {
        int64_t from, thp;
        bool huge;
    } cases[] = {{2 * HK_MIB, 0, true}, {0, 0, false}, {2 * HK_MIB, 1, false}}, *c;
    static void *blocks[4 * HK_MIB / 1024];
    c = &cases[*(unsigned *)arg];
    EXPECT(hk_option_store(HK_OPT_HUGE_FROM, c->from) && hk_option_store(HK_OPT_THP, c->thp));
    struct hk_heap *heap = fixture_heap(), *small = fixture_heap();
    fixture_take(heap, HK_TINY_LAST, blocks, HK_COUNT(blocks));
    bool huge = hk_superslab_of(blocks[HK_COUNT(blocks) - 1])->huge;
    EXPECT(!hk_superslab_of(blocks[0])->huge && huge == c->huge);
    fixture_take(heap, HK_CLASS_COUNT - 1, blocks, 1);
    fixture_take(small, HK_TINY_LAST, blocks + 1, 1);
    EXPECT(!hk_superslab_of(blocks[0])->huge && !hk_superslab_of(blocks[1])->huge);
    fixture_check(heap);
}

static void large_heaps_ask_for_huge_pages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        unit_passes(grow_large, &i);
}

/* Of the 16 KiB blocks, four to a slab, the first page stays: 12 KiB of each can go. */
#define LONG 16384u
#define INNER (LONG - 4096u)

static void give_pages(void *arg)
{
    (void)arg;
    char *blocks[12];
    struct hk_heap *heap = fixture_heap();
    unsigned cls = hk_class_of(LONG);
    fixture_take(heap, cls, (void **)blocks, 12);
    for (unsigned i = 0; i < 12; i++)
        memset(blocks[i], 1, LONG);
    size_t at = 0;
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == 0 && at == 0); /* all are in use */
    hk_heap_give(heap, (void **)blocks, 1);                    /* of one slab the first, of another three */
    hk_heap_give(heap, (void **)blocks + 5, 3);
    fake_os_fail_nth(FAKE_PURGE, 1);
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == 3 * INNER); /* who was refused is asked again, */
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == INNER);
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == 0); /* and nobody twice */
    EXPECT(fake_os_count(FAKE_PURGE) == 5 && fake_os_misaligned() == 0);
    fixture_check(heap);
    for (unsigned i = 1; i < 12; i += i == 4 ? 4 : 1)
        EXPECT(blocks[i][0] == 1 && blocks[i][4096] == 1 && blocks[i][LONG - 1] == 1);
    fixture_take(heap, cls, (void **)blocks + 5, 3); /* what is handed out and written has pages again */
    for (unsigned i = 5; i < 8; i++)
        memset(blocks[i], 1, LONG);
    hk_heap_give(heap, (void **)blocks + 5, 3);
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) >= 3 * INNER - INNER); /* the first one of all may be among them */
    fixture_check(heap);
    hk_heap_give(heap, (void **)blocks + 1, 4);
    hk_heap_give(heap, (void **)blocks + 8, 4);
    fixture_end(heap);
    EXPECT(fixture_owned_slabs() == 0);
}

/* A wide block goes in calls of 64 KiB: what is allowed under a lock. */
static void give_wide_pages(void *arg)
{
    (void)arg;
    enum { WIDE = 108544, GOES = WIDE / 4096 * 4096 - 4096 };
    char *blocks[3];
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, hk_class_of(WIDE), (void **)blocks, 3);
    for (unsigned i = 0; i < 3; i++)
        memset(blocks[i], 1, WIDE);
    hk_heap_give(heap, (void **)blocks, 1);
    size_t at = 0;
    fake_os_fail_nth(FAKE_PURGE, 2);
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == HK_SLAB_SIZE); /* the second was refused */
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == GOES);
    EXPECT(hk_heap_give_pages(&at, SIZE_MAX) == 0);
    EXPECT(fake_os_count(FAKE_PURGE) == 4 && fake_os_misaligned() == 0);
    fixture_check(heap);
    for (unsigned i = 1; i < 3; i++)
        EXPECT(blocks[i][0] == 1 && blocks[i][WIDE - 1] == 1);
    hk_heap_give(heap, (void **)blocks + 1, 2);
    fixture_end(heap);
    EXPECT(fixture_owned_slabs() == 0);
}

static void pages_of_free_blocks_go(void **state)
{
    (void)state;
    unit_passes(give_pages, NULL);
    unit_passes(give_wide_pages, NULL);
}

static void give_pages_in_pieces(void *arg)
{
    (void)arg;
    enum { UNITS = 4, BLOCKS = UNITS * HK_SLABS * 4 };
    static void *blocks[BLOCKS];
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, hk_class_of(LONG), blocks, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i % 4 != 0)
            hk_heap_give(heap, &blocks[i], 1);
    }
    size_t at = 0, given = hk_heap_give_pages(&at, INNER), all = given;
    EXPECT(at != 0 && given <= HK_SLABS * 3 * INNER);
    for (unsigned i = 0; i < 2 * UNITS && at != 0; i++)
        all += hk_heap_give_pages(&at, INNER);
    EXPECT(at == 0 && all == BLOCKS / 4 * 3 * INNER);
    fixture_check(heap);
}

/* Where nothing can go no call is held up for all of them: here the system refuses. */
static void refuse_pages(void *arg)
{
    (void)arg;
    enum { LOOKS = HK_PURGE_MOST / HK_SLAB_SIZE, BLOCKS = (LOOKS + 2) * HK_SLABS * 4 };
    static void *blocks[BLOCKS];
    struct hk_heap *heap = fixture_heap();
    fixture_take(heap, hk_class_of(LONG), blocks, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i += 4)
        hk_heap_give(heap, &blocks[i], 1);
    fake_os_fail_from(FAKE_PURGE, 1);
    size_t at = 0;
    EXPECT(hk_heap_give_pages(&at, HK_PURGE_MOST) == 0 && at == LOOKS);
    EXPECT(fake_os_count(FAKE_PURGE) <= LOOKS * HK_SLABS);
    EXPECT(hk_heap_give_pages(&at, HK_PURGE_MOST) == 0 && at == 0);
    fixture_check(heap);
}

static void pages_go_by_the_superslab(void **state)
{
    (void)state;
    unit_passes(give_pages_in_pieces, NULL);
    unit_passes(refuse_pages, NULL);
}

static void count_threads(void *arg)
{
    (void)arg;
    static struct hk_heap *heaps[4 * HK_HEAP_FEW];
    for (unsigned i = 0; i < HK_COUNT(heaps); i++) {
        EXPECT(hk_remote_patience == (i <= HK_HEAP_FEW ? HK_REMOTE_QUEUED : HK_REMOTE_QUEUED * HK_HEAP_FEW / i));
        EXPECT(hk_heap_many() == (i > HK_HEAP_FEW));
        heaps[i] = fixture_heap();
    }
    for (unsigned i = 0; i < HK_COUNT(heaps); i++)
        fixture_end(heaps[i]);
    EXPECT(hk_remote_patience == HK_REMOTE_QUEUED && !hk_heap_many());
}

static void many_threads_let_little_wait(void **state)
{
    (void)state;
    unit_passes(count_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_free_blocks_go),
        cmocka_unit_test(pages_go_by_the_superslab),
        cmocka_unit_test(many_threads_let_little_wait),
        cmocka_unit_test(slabs_of_a_thread_that_ended_are_adopted),
        cmocka_unit_test(orphans_need_no_thread),
        cmocka_unit_test(records_are_used_again),
        cmocka_unit_test(a_visit_sees_every_record_and_the_orphans_last),
        cmocka_unit_test(strays_are_forwarded),
        cmocka_unit_test(all_strays_are_forwarded),
        cmocka_unit_test(strays_of_a_record_that_is_used_again),
        cmocka_unit_test(a_sweep_works_for_who_sleeps),
        cmocka_unit_test(a_child_has_one_living_heap),
        cmocka_unit_test(large_heaps_ask_for_huge_pages),
        cmocka_unit_test(a_child_finishes_what_a_thread_had_begun),
    };
    return cmocka_run_group_tests_name("heap_life", tests, NULL, NULL);
}
