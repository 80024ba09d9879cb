/* SPDX-License-Identifier: MIT
 *
 * A signal handler that allocates, frees and resizes, at each instruction of malloc, free, realloc and the like
 * (step.h), of the beginning and the end of a thread, and of the first call of a process. No block is handed out twice,
 * none is lost, contents stay. Each case runs in a child.
 */
#include "front_fixture.h"
#include "step.h"

#include "box/pool.h"
#include "box/side.h"
#include "large/huge.h"
#include "pages/ss_arena.h"
#include "pattern.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#define FILLED ((size_t)2048) /* of a block, from its start */
#define OWN_ERRNO 4321

struct block {
    char *ptr;
    size_t size;
    uint64_t seed;
};

/* Blocks of the program, of which handlers free some, and of handlers, which the program frees. */
static struct block own[2048], kept[64];
static unsigned own_count, kept_count;

static struct block fill(void *ptr, size_t size)
{
    static uint64_t seed;
    EXPECT(ptr != NULL && (uintptr_t)ptr % 16 == 0);
    pattern_fill(ptr, hk_min(size, FILLED), ++seed);
    if (size > FILLED)
        ((char *)ptr)[size - 1] = (char)seed;
    return (struct block){ptr, size, seed};
}

static struct block take(size_t size)
{
    return fill(front_take(size), size);
}

static void expect_whole(const struct block *block, size_t size)
{
    size = hk_min(size, FILLED);
    EXPECT(pattern_check(block->ptr, size, block->seed) == size);
    EXPECT(size < FILLED || block->size == FILLED || block->ptr[block->size - 1] == (char)block->seed);
}

static void drop(struct block *block)
{
    expect_whole(block, block->size);
    front_free(block->ptr);
}

static void drop_all(struct block *blocks, unsigned *count)
{
    while (*count > 0)
        drop(&blocks[--*count]);
}

/* ---- what the program does ---- */

static struct scene {
    void (*call)(void);
    size_t size, then; /* of its block; what it is resized to */
    size_t align;
    enum { SOME, EMPTY, FULL } bin;
    bool frees; /* the victim */
} scene;

static struct block victim; /* what is freed or resized */
static void *got;

static void call_malloc(void)
{
    got = front_malloc(scene.size);
}

static void call_free(void)
{
    front_free(victim.ptr);
}

static void call_resize(void)
{
    got = hk_resize(victim.ptr, scene.then);
}

static void call_calloc(void)
{
    got = hk_calloc_slow(scene.size);
}

static void call_aligned(void)
{
    got = hk_malloc_aligned(scene.align, scene.size);
}

static void call_trim(void)
{
    hk_trim(0);
}

static struct hk_bin HK_TLS_SPACE *bin_of_scene(void)
{
    return hk_front_bin(hk_front_self(), hk_code_of_class(hk_class_of(scene.size)));
}

static bool has_room(const void *block)
{
    struct hk_spot spot;
    return hk_bin_has_room(bin_of_scene(), front_self(), block, &spot);
}

static void add_own(void)
{
    EXPECT(own_count < HK_COUNT(own));
    own[own_count++] = take(scene.size);
}

static void prepare(void)
{
    while (own_count < 24)
        add_own();
    victim = take(scene.size);
    bool bins = scene.size <= HK_MID_MAX;
    while (bins && scene.bin == EMPTY && !hk_bin_is_empty(bin_of_scene()))
        add_own();
    for (unsigned i = 0; bins && scene.bin == FULL && i < 200; i++)
        add_own();
    while (bins && scene.bin == FULL && own_count > 24 && has_room(own[own_count - 1].ptr))
        drop(&own[--own_count]);
    got = NULL;
    errno = OWN_ERRNO;
}

/* ---- what handlers do ---- */

static const size_t sizes[] = {16, 512, 1000, 4000, 20000, 100000};

static void keep(struct block block)
{
    EXPECT(kept_count < HK_COUNT(kept));
    kept[kept_count++] = block;
}

static void pairs(void)
{
    struct block blocks[2 * HK_COUNT(sizes)];
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        blocks[i] = take(i % 2 == 0 ? scene.size : sizes[i / 2]);
    for (unsigned i = 0; i < HK_COUNT(blocks); i++)
        drop(&blocks[i]);
}

static void keep_more(void)
{
    for (unsigned i = 0; i < 4; i++)
        keep(take(scene.size));
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        keep(take(sizes[i]));
}

static void free_more(void)
{
    for (unsigned i = 0; i < 10 && own_count > 0; i++)
        drop(&own[--own_count]);
    keep(take(scene.size));
}

static struct block resized(struct block block, size_t size)
{
    block.ptr = hk_resize(block.ptr, size);
    EXPECT(block.ptr != NULL);
    expect_whole(&(struct block){block.ptr, FILLED, block.seed}, hk_min(size, block.size));
    return fill(block.ptr, size);
}

static void resize_some(void)
{
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        keep(resized(own[--own_count], sizes[i]));
    char *zeroed = hk_calloc_slow(3000), *aligned = hk_malloc_aligned(256, 600);
    EXPECT(zeroed != NULL && unit_is_zero(zeroed, 3000) && (uintptr_t)aligned % 256 == 0);
    keep(fill(zeroed, 3000));
    keep(fill(aligned, 600));
}

static void nested(int signal_number)
{
    (void)signal_number;
    struct block block = take(scene.size);
    if (own_count > 0)
        drop(&own[--own_count]);
    drop(&block);
}

/* A handler is interrupted by another one, on a stack of its own. */
static void interrupted(void)
{
    struct block block = take(scene.size);
    raise(SIGUSR1);
    drop(&block);
    raise(SIGUSR1);
}

static void (*const handlers[])(void) = {pairs, keep_more, free_more, resize_some, interrupted};
static unsigned handler, number; /* of the scene */

static void handle(void)
{
    int saved = errno;
    errno = OWN_ERRNO;
    handlers[handler]();
    EXPECT(errno == OWN_ERRNO);
    errno = saved;
}

/* ---- both are over ---- */

static void check_heap(void)
{
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap) && hk_pool_check() && hk_arena_check());
}

static void check_what_is_left(void)
{
    for (unsigned i = 0; i < own_count; i++)
        expect_whole(&own[i], own[i].size);
    drop_all(kept, &kept_count);
    while (own_count > 24)
        drop(&own[--own_count]);
    check_heap();
}

static void check(void)
{
    EXPECT(errno == OWN_ERRNO);
    if (scene.call == call_resize) {
        expect_whole(&(struct block){got, FILLED, victim.seed}, hk_min(scene.then, scene.size));
        victim = fill(got, scene.then);
    } else if (!scene.frees) {
        expect_whole(&victim, victim.size);
    }
    struct block new = {NULL, 0, 0};
    if (scene.call != call_resize && got != NULL) {
        EXPECT(scene.call != call_calloc || unit_is_zero(got, scene.size));
        EXPECT(scene.align == 0 || (uintptr_t)got % scene.align == 0);
        new = fill(got, scene.size);
    }
    check_what_is_left();
    if (new.ptr != NULL)
        drop(&new);
    if (!scene.frees)
        drop(&victim);
}

/* All was freed: nothing is used, not even by what waited to be freed. */
static void expect_nothing_left(void)
{
    size_t side_blocks, side_bytes;
    drop_all(own, &own_count);
    drop_all(kept, &kept_count);
    hk_front_free_deferred();
    hk_trim(0);
    hk_side_live(&side_blocks, &side_bytes);
    EXPECT(side_blocks == 0 && front_owned_slabs() == 0 && hk_huge_bytes() == 0);
    check_heap();
}

static void catch_nested(void)
{
    struct sigaction action = {.sa_handler = nested, .sa_flags = SA_NODEFER | SA_ONSTACK};
    static char stack[65536];
    EXPECT(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL) == 0);
    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
}

/* With a stride each scene still meets some handlers, and each handler some scenes. */
static void step_scene(void *arg)
{
    unsigned stride = (unsigned)hk_min(unit_stride(), HK_COUNT(handlers));
    scene = *(struct scene *)arg;
    catch_nested();
    for (handler = number % stride; handler < HK_COUNT(handlers); handler += stride)
        EXPECT(step_through(&(struct step_pair){prepare, scene.call, handle, check, .in_handler = true}) != 0);
    expect_nothing_left();
}

static void step_scenes(struct scene *scenes, unsigned n)
{
    for (number = 0; number < n; number++)
        unit_passes(step_scene, &scenes[number]);
}

static void small_blocks(void **state)
{
    (void)state;
    struct scene scenes[] = {
        {call_malloc, .size = 512, .bin = SOME},
        {call_malloc, .size = 512, .bin = EMPTY},
        {call_free, .frees = true, .size = 512, .bin = SOME},
        {call_free, .frees = true, .size = 512, .bin = FULL},
        {call_malloc, .size = 4000, .bin = SOME},
        {call_malloc, .size = 4000, .bin = EMPTY},
        {call_free, .frees = true, .size = 4000, .bin = SOME},
        {call_free, .frees = true, .size = 4000, .bin = FULL},
        {call_malloc, .size = 20000},
        {call_free, .frees = true, .size = 20000},
        {call_trim, .size = 512},
    };
    step_scenes(scenes, HK_COUNT(scenes));
}

static void large_blocks(void **state)
{
    (void)state;
    struct scene scenes[] = {
        {call_malloc, .size = 100000},
        {call_free, .frees = true, .size = 100000},
        {call_malloc, .size = 40 * HK_MIB},
        {call_free, .frees = true, .size = 40 * HK_MIB},
    };
    step_scenes(scenes, HK_COUNT(scenes));
}

static void other_calls(void **state)
{
    (void)state;
    struct scene scenes[] = {
        {call_resize, .size = 512, .then = 700},
        {call_resize, .size = 20000, .then = 100},
        {call_resize, .size = 100000, .then = 200000},
        {call_resize, .size = 100000, .then = 50000},
        {call_resize, .size = 40 * HK_MIB, .then = 50 * HK_MIB},
        {call_calloc, .size = 512, .bin = EMPTY},
        {call_calloc, .size = 4000, .bin = EMPTY},
        {call_aligned, .size = 600, .align = 256},
        {call_aligned, .size = 20000, .align = 16384},
    };
    step_scenes(scenes, HK_COUNT(scenes));
}

/* ---- threads begin and end ---- */

static void live_a_little(void)
{
    void *first = front_malloc(512), *second = front_malloc(20000), *third = front_malloc(600);
    front_free(victim.ptr);
    third = hk_resize(third, 100000);
    got = front_malloc(512);
    front_free(first);
    front_free(second);
    front_free(third);
}

static void use_past_end(void)
{
    front_free(front_malloc(512));
}

static void count_heap(void *ctx, struct hk_heap *heap)
{
    (void)heap;
    ++*(unsigned *)ctx;
}

static void step_life(void *arg)
{
    unsigned heaps = 0;
    handler = *(unsigned *)arg;
    catch_nested();
    front_free(front_take(16)); /* the box makes its key */
    scene = (struct scene){live_a_little, .size = 512, .frees = true};
    EXPECT(step_through(&(struct step_pair){prepare, live_a_little, handle, check, true, use_past_end}) != 0);
    expect_nothing_left();
    hk_heap_visit(count_heap, &heaps);
    EXPECT(heaps <= 3); /* this thread's, that of the others in turn, the orphan heap: no record was lost */
}

/* ---- the first call of a process ---- */

static void begin_nothing(void)
{
    errno = OWN_ERRNO;
}

static void check_first(void)
{
    EXPECT(errno == OWN_ERRNO);
    struct block new = fill(got, scene.size);
    drop_all(kept, &kept_count);
    drop(&new);
    expect_nothing_left();
}

static void step_start(void *arg)
{
    (void)arg;
    scene = (struct scene){call_malloc, .size = 512};
    for (handler = 0; handler < 3; handler++) /* the others have blocks to resize */
        EXPECT(step_through_forks(&(struct step_pair){begin_nothing, call_malloc, handle, check_first, true, NULL},
                                  400) != 0);
}

static void the_first_call_of_a_process(void **state)
{
    (void)state;
    unit_passes(step_start, NULL);
}

static void threads_begin_and_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HK_COUNT(handlers); i++)
        unit_passes(step_life, &i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(other_calls),
        cmocka_unit_test(threads_begin_and_end),
        cmocka_unit_test(the_first_call_of_a_process),
    };
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
