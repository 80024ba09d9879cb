/* SPDX-License-Identifier: MIT
 *
 * Lists with a link that the program wrote over, met by calls of the program: the call that meets one does not come
 * back, and reports it when it holds no lock. Each case runs in a child.
 */
#include "front_fixture.h"

#include "base/options.h"
#include "box/purge.h"
#include "fake_os.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define SIZE 64u
#define MOST 6000u
#define KIB HK_TINY_LAST /* the class of 1024 bytes: 64 blocks to a slab */
#define PER_SLAB 64u
#define WRONG ((void *)0x4141414141414140)

static void *blocks[MOST];

/* Ends the child with FRONT_REPORTED when body does not come back; with 3 when it does. */
static void reports(void (*body)(void *), void *arg)
{
    assert_int_equal(unit_status(body, arg), FRONT_REPORTED);
}

static void run(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, arg) == 0 && pthread_join(thread, NULL) == 0);
}

/* Frees 7 of 8 blocks, so that slabs stay. Returns the number of blocks. */
static unsigned free_most(size_t size)
{
    unsigned n = (unsigned)hk_min(MOST, 4 * HK_MIB / size);
    for (unsigned i = 0; i < n; i++)
        blocks[i] = front_take(size);
    for (unsigned i = 0; i < n; i++) {
        if (i % 8 != 0)
            front_free(blocks[i]);
    }
    return n;
}

static void write_over(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (i % 8 != 0)
            *(void **)blocks[i] = WRONG;
    }
}

/* The lists that the front has are written over, and those of the slabs. */
static void *scribble_in_front(void *arg)
{
    write_over(free_most(*(size_t *)arg));
    return NULL;
}

/* All blocks are in the slabs. */
static void *scribble(void *arg)
{
    unsigned n = free_most(*(size_t *)arg);
    hk_front_flush_all(front_self());
    write_over(n);
    return NULL;
}

static void take_until_found(size_t size)
{
    for (unsigned i = 0; i < MOST; i++) {
        void *block = front_malloc(size);
        EXPECT(block != NULL && front_reports() == 0);
        memset(block, 1, size); /* a wild one ends the child */
    }
    _exit(3);
}

static void find_own(void *arg)
{
    front_watch_reports();
    scribble(arg);
    take_until_found(*(size_t *)arg);
}

static void find_in_front(void *arg)
{
    front_watch_reports();
    scribble_in_front(arg);
    take_until_found(*(size_t *)arg);
}

static void find_adopted(void *arg)
{
    front_watch_reports();
    run(scribble, arg);
    take_until_found(*(size_t *)arg);
}

static void find_though_warned(void *arg)
{
    EXPECT(hk_option_store(HK_OPT_MISUSE, 0));
    find_own(arg);
}

static const size_t sizes[] = {16, SIZE, 1024, 4096, 13312, 30000};

static void malloc_reports_without_a_lock(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        size_t size = sizes[i];
        reports(find_own, &size);
        reports(find_in_front, &size);
        reports(find_adopted, &size);
        reports(find_though_warned, &size);
    }
}

/* Where a front keeps blocks in lists, it follows them when it gives blocks away. */
#define HAS_LISTS (HK_FRONT_NONE || HK_FRONT_SLAB || HK_TLS_SLL)

static void find_at_end(void *arg)
{
    front_watch_reports();
    run(scribble_in_front, arg);
    _exit(3);
}

static void find_at_flush(void *arg)
{
    front_watch_reports();
    free_most(*(size_t *)arg); /* bins have room now */
    write_over(free_most(*(size_t *)arg));
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = NULL;
    struct hk_heap *heap = &front_self()->heap;
    for (unsigned i = 0; i < MOST; i++) {
        void *block = NULL;
        EXPECT(hk_heap_take(heap, hk_class_of(*(size_t *)arg), &block, 1) == 1);
        front_free(block);
    }
    _exit(3);
}

static void a_front_that_gives_away_lists_reports_too(void **state)
{
    (void)state;
    for (unsigned i = 0; HAS_LISTS && i < 3; i++) {
        size_t size = sizes[i];
        reports(find_at_end, &size);
        if (!HK_FRONT_SLAB)
            reports(find_at_flush, &size);
    }
}

/* A chain with a wrong link, on its way to a slab of this thread both of whose lists are in use: who collects it walks
 * it. */
static void *free_tens(void *arg)
{
    unsigned ten = *(unsigned *)arg;
    front_free(front_take(SIZE));
    for (unsigned i = 10 * ten; i < 10 * ten + 10; i++)
        hk_heap_give(&front_self()->heap, &blocks[i], 1);
    return NULL;
}

static struct hk_slab *chain_on_its_way(void)
{
    front_free(front_take(SIZE)); /* now there is a front */
    struct hk_heap *heap = hk_front_heap(front_self());
    for (unsigned got = 0; got < 2 * PER_SLAB; got++)
        EXPECT(hk_heap_take(heap, KIB, &blocks[got], 1) == 1);
    struct hk_slab *slab = hk_slab_of(blocks[PER_SLAB / 2]);
    for (unsigned i = 0, n = 0; i < 2 * PER_SLAB; i++) { /* those of one slab first */
        if (hk_slab_of(blocks[i]) == slab) {
            void *block = blocks[i];
            blocks[i] = blocks[n];
            blocks[n++] = block;
        }
    }
    for (unsigned ten = 0; ten < 3; ten++) {
        if (ten != 0)
            hk_heap_sweep();
        run(free_tens, &ten);
    }
    EXPECT(slab->free != NULL && slab->spare != NULL && hk_remote_count(slab) == 10);
    *(void **)blocks[25] = WRONG;
    return slab;
}

static void *end_after(void *arg)
{
    chain_on_its_way();
    return arg;
}

static void *free_one(void *block)
{
    front_free(block);
    hk_front_flush_all(front_self());
    front_free(front_take(SIZE)); /* a slow path: this front is new */
    return NULL;
}

static void *sleep_with_chain(void *arg)
{
    struct hk_slab *slab = chain_on_its_way();
    EXPECT(hk_remote_take_woken(&hk_front_heap(front_self())->owner) == slab);
    hk_remote_wake(&hk_orphan_heap.owner, slab); /* as if it had been pushed a moment later */
    return arg;
}

enum collector { BY_MALLOC, BY_CALLOC, BY_FREE, BY_END, BY_RETRY, BY_ALIGNED, COLLECTORS };

static void find_in_chain(void *arg)
{
    static const size_t other = 2048; /* of a class that has no slab yet */
    front_watch_reports();
    switch (*(enum collector *)arg) {
    case BY_MALLOC:
        chain_on_its_way();
        front_malloc(other);
        break;
    case BY_CALLOC:
        chain_on_its_way();
        hk_calloc_slow(other);
        break;
    case BY_FREE: /* a block of a thread that ended */
        run(sleep_with_chain, NULL);
        free_one(blocks[PER_SLAB]);
        break;
    case BY_END:
        run(end_after, NULL);
        break;
    case BY_RETRY:
        chain_on_its_way();
        fake_os_fail_from(FAKE_ANY, 0);
        while (front_malloc(100000) != NULL) {
        }
        break;
    default:
        chain_on_its_way();
        fake_os_fail_from(FAKE_ANY, 0);
        while (hk_malloc_aligned(65536, 100000) != NULL) {
        }
    }
    _exit(3);
}

static void who_collects_a_chain_reports_without_a_lock(void **state)
{
    (void)state;
    for (enum collector who = 0; who < COLLECTORS; who++)
        if (!HK_FRONT_PERCPU || who != BY_END) /* a processor's heap has no end */
            reports(find_in_chain, &who);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_reports_without_a_lock),
        cmocka_unit_test(a_front_that_gives_away_lists_reports_too),
        cmocka_unit_test(who_collects_a_chain_reports_without_a_lock),
    };
    if (HK_CHECK_FULL) {
        puts("skipped: -Dcheck=full walks lists first, and takes a wrong link for an error of ours");
        return 77;
    }
    return cmocka_run_group_tests_name("front_corrupt", tests, NULL, NULL);
}
