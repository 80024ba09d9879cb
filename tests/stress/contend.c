/* SPDX-License-Identifier: MIT
 *
 * contend KIND THREADS SEED TURNS: threads meet in the same structures of the allocator as often as they can. Blocks
 * are not filled. Each carries a ticket, which says that it is out and how large it is: swapped in when the block comes
 * and out before it goes, by whoever frees it. So a block that is handed out twice is seen by the second swap, and one
 * whose memory was given back to the system by the swap that finds no ticket. Large blocks are entered page by page in
 * a table too, where any overlap is seen.
 *
 *   all    TURNS threads, THREADS at a time, work on one shelf of blocks of all sizes: who frees a block seldom made
 *          it, and whoever made it has often ended. Now and then one gives back all that is free, or asks how much
 *          there is.
 *   large  the same with blocks of 32 KiB to 2 MiB alone
 *   trays  many blocks of two sizes at a time, that every second thread makes and the others free
 *   forks  as all, while one thread more asks all the time, and for every second thread there is a fork. The child
 *          frees what lies on the shelf, and goes on with two threads.
 *   ends   TURNS times: threads make blocks and end, while others free these one by one. When all have ended nothing
 *          is on its way any more: nobody may have given a block to a thread that did not look again.
 *
 * At the end all is freed, and the allocator says so. HAKMEM_PURGE_DELAY_MS=0 and HAKMEM_MIN_KEEP=0 let it give memory
 * back in nearly every call that frees; HAKMEM_FRONT_BYTES=4096 lets nearly every call for blocks above 1 KiB go to the
 * slabs, which `ends` needs.
 */
#include "check.h"
#include "hakmem/hakmem.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_THREADS = 16, SMALL_CELLS = 240, LARGE_CELLS = 24, TRAYS = 16, TRAY_BLOCKS = 96 };

/* Linked or preloaded: the program is the same. */
#pragma weak hak_stats
#pragma weak hak_stats_classes

/* ---- tickets ---- */

enum { PAGE = 4096, TABLE_PAGES = 1 << 22 }; /* 16 GiB of the heap, which lies in one stretch */

static _Atomic uint32_t *table; /* whose a page is, or 0 */
static size_t heap_page;        /* one of the heap's, before all threads */

#define TICKET UINT64_C(0xc0de)

static bool is_ticket(uint64_t word)
{
    return word >> 48 == TICKET;
}

static _Atomic uint64_t *first_word(void *block)
{
    return block;
}

static _Atomic uint64_t *last_word(void *block, size_t size)
{
    return (_Atomic uint64_t *)((char *)block + (size - 8) / 8 * 8);
}

static void mark_pages(void *block, size_t size, uint32_t from, uint32_t to)
{
    size_t page = (uintptr_t)block / PAGE;
    if (page - heap_page + TABLE_PAGES / 2 >= TABLE_PAGES)
        return; /* taken during a fork: it lies elsewhere, and its pages would be taken for others' */
    for (size_t i = 0; i < size / PAGE; i++) {
        uint32_t was = atomic_exchange(&table[(page + i) % TABLE_PAGES], to);
        CHECKF(was == from, "page %zu of the %zu bytes at %p is also another block's: %#x, not %#x", i, size, block,
               was, from);
    }
}

/* A block of `size` bytes, at least 16, that has just come. */
static void claim(void *block, size_t size, uint64_t *random)
{
    CHECKF(block, "no memory for %zu bytes", size);
    uint64_t ticket = TICKET << 48 | (random_next(random) & 0xffffff) << 24 | size;
    uint64_t first = atomic_exchange(first_word(block), ticket);
    uint64_t last = atomic_exchange(last_word(block, size), ~ticket);
    CHECKF(!is_ticket(first), "%zu bytes at %p were handed out while a block of %zu is there", size, block,
           (size_t)(first & 0xffffff));
    CHECKF(!is_ticket(~last), "%zu bytes at %p end where a block of %zu does", size, block, (size_t)(~last & 0xffffff));
    if (size > 32 * KIB)
        mark_pages(block, size, 0, (uint32_t)(ticket >> 24 & 0xffffff) + 1);
}

/* The ticket comes off again; returns the size. */
static size_t unclaim(void *block)
{
    uint64_t ticket = atomic_exchange(first_word(block), 0);
    CHECKF(is_ticket(ticket), "the block at %p holds %#llx, no ticket", block, (unsigned long long)ticket);
    size_t size = ticket & 0xffffff;
    uint64_t last = atomic_exchange(last_word(block, size), 0);
    CHECKF(last == ~ticket, "%zu bytes at %p end with %#llx", size, block, (unsigned long long)last);
    if (size > 32 * KIB)
        mark_pages(block, size, (uint32_t)(ticket >> 24 & 0xffffff) + 1, 0);
    return size;
}

static void drop(void *block)
{
    if (block == NULL)
        return;
    unclaim(block);
    free(block);
}

/* ---- the shelf ---- */

static _Atomic(void *) small_cells[SMALL_CELLS], large_cells[LARGE_CELLS];

/* Many blocks of one size, that go from thread to thread together. */
static struct tray {
    atomic_int state;
    void *blocks[TRAY_BLOCKS];
} trays[TRAYS];
enum { TRAY_EMPTY, TRAY_BUSY, TRAY_FULL };

static bool large_only, trays_only;
static size_t operations = 600; /* of each thread, about */

static size_t small_size(uint64_t *random)
{
    return random_below(random, 4) ? 16 + random_below(random, 1009) : KIB + random_below(random, 31 * KIB);
}

static size_t large_size(uint64_t *random)
{
    return 32 * KIB + 1 + random_below(random, random_below(random, 4) ? 256 * KIB : 2016 * KIB);
}

static void *make(size_t size, uint64_t *random)
{
    void *block;
    if (random_below(random, 8) == 0) {
        block = calloc(1, size);
        CHECKF(block && *first_word(block) == 0 && *last_word(block, size) == 0, "calloc of %zu bytes", size);
    } else {
        block = malloc(size);
    }
    claim(block, size, random);
    return block;
}

static void *resize(void *block, size_t size, uint64_t *random)
{
    unclaim(block);
    block = realloc(block, size);
    claim(block, size, random);
    return block;
}

/* Takes what is in a cell, and frees it, resizes it, or moves it to another cell; into an empty one comes a new block.
 */
static void use_cell(_Atomic(void *) *cells, size_t count, bool large, uint64_t *random)
{
    _Atomic(void *) *cell = &cells[random_below(random, count)];
    void *block = atomic_exchange(cell, NULL);
    unsigned draw = (unsigned)random_below(random, 10);
    size_t size = large ? large_size(random) : small_size(random);
    if (block == NULL)
        drop(atomic_exchange(cell, make(size, random)));
    else if (draw < 2)
        drop(atomic_exchange(&cells[random_below(random, count)], block));
    else if (draw < 4)
        drop(atomic_exchange(cell, resize(block, size, random)));
    else
        drop(block);
}

static bool take_tray(struct tray *tray, int state)
{
    return atomic_compare_exchange_strong(&tray->state, &state, TRAY_BUSY);
}

static bool empty_tray(struct tray *tray)
{
    if (!take_tray(tray, TRAY_FULL))
        return false;
    for (size_t i = 0; i < TRAY_BLOCKS; i++)
        drop(tray->blocks[i]);
    tray->state = TRAY_EMPTY;
    return true;
}

static bool fill_tray(struct tray *tray, uint64_t *random)
{
    size_t size = random_below(random, 8) ? 16 + random_below(random, 500) : 512 + random_below(random, 3 * KIB);
    if (trays_only)
        size = 48 + 16 * random_below(random, 2);
    if (!take_tray(tray, TRAY_EMPTY))
        return false;
    for (size_t i = 0; i < TRAY_BLOCKS; i++)
        tray->blocks[i] = make(size, random);
    tray->state = TRAY_FULL;
    return true;
}

static void one_operation(uint64_t *random)
{
    struct tray *tray = &trays[random_below(random, TRAYS)];
    unsigned draw = (unsigned)random_below(random, 128);
    if (draw == 0)
        malloc_trim(0);
    else if (draw == 1)
        mallinfo2();
    else if (large_only || draw < 10)
        use_cell(large_cells, LARGE_CELLS, true, random);
    else if (draw < 14)
        empty_tray(tray);
    else if (draw < 18)
        fill_tray(tray, random);
    else
        use_cell(small_cells, SMALL_CELLS, false, random);
}

/* Who comes too early lets the others go on; not each time, where a machine has much else to do that takes long. */
static void one_tray(bool fills, uint64_t *random)
{
    struct tray *tray = &trays[random_below(random, TRAYS)];
    bool done = fills ? fill_tray(tray, random) : empty_tray(tray);
    if (!done && random_below(random, 32) == 0)
        sched_yield();
}

static void *work(void *argument)
{
    uint64_t random = pattern_mix((uintptr_t)argument);
    size_t end = operations / 2 + random_below(&random, operations);
    bool fills = (uintptr_t)argument >> 1 & 1; /* every second thread */
    for (size_t i = 0; i < end; i++) {
        if (trays_only)
            one_tray(fills, &random);
        else
            one_operation(&random);
    }
    return NULL;
}

/* The threads that free it end: main holds nothing of it in a cache of its own. */
static void *clear_shelf(void *argument)
{
    for (size_t i = 0; i < SMALL_CELLS; i++)
        drop(atomic_exchange(&small_cells[i], NULL));
    for (size_t i = 0; i < LARGE_CELLS; i++)
        drop(atomic_exchange(&large_cells[i], NULL));
    for (size_t i = 0; i < TRAYS; i++)
        empty_tray(&trays[i]);
    return argument;
}

/* ---- threads ---- */

static atomic_bool stop;

static pthread_t begin(void *(*body)(void *), uint64_t argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, body, (void *)(uintptr_t)argument);
    CHECKF(error == 0, "pthread_create: %d", error);
    return thread;
}

/* In a child of a fork. The thread sanitizer still has the threads that the child does not, and ends it where one seems
 * to come again: on the same stack. */
#ifdef __SANITIZE_THREAD__
enum { STACK = 1 << 20 };
#else
enum { STACK = 0 };
#endif

static pthread_t begin_in_child(void *(*body)(void *), uint64_t argument)
{
    pthread_t thread;
    pthread_attr_t own;
    if (STACK == 0)
        return begin(body, argument);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED && pthread_attr_init(&own) == 0 && pthread_attr_setstack(&own, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &own, body, (void *)(uintptr_t)argument) == 0);
    return thread;
}

static void await(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

/* These calls take locks without being waited for by fork. */
static void *ask(void *argument)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    while (!stop) {
        mallinfo2();
        hak_stats(&stats);
    }
    return argument;
}

/* ---- forks ---- */

/* What other threads had in their hands stays out, ticket and all; what they had put down is on the shelf. */
static void child(uint64_t seed)
{
    check_watchdog(60); /* a hang, not a slow machine */
    operations /= 6;
    pthread_t other = begin_in_child(work, seed + 1);
    work((void *)(uintptr_t)seed);
    await(other);
    clear_shelf(NULL);
    mallinfo2();
    malloc_trim(0);
    _exit(0);
}

/* What was freed while this thread forked it frees: it ends, so that nothing stays in its cache. */
static void *fork_once(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    pid_t pid = fork();
    CHECKF(pid >= 0, "fork: errno %d", errno);
    if (pid == 0)
        child(seed);
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "the child of seed %llu ended with wait status %#x", (unsigned long long)seed, status);
    return NULL;
}

static void run_shelf(size_t threads, uint64_t seed, size_t turns, bool forks)
{
    pthread_t running[MOST_THREADS], asks = 0;
    if (forks)
        asks = begin(ask, 0);
    for (size_t i = 0; i < turns + threads; i++) {
        pthread_t *thread = &running[i % threads];
        if (i >= threads)
            await(*thread);
        if (i < turns)
            *thread = begin(work, seed << 32 | i << 1);
        if (forks && i % 2 == 1)
            await(begin(fork_once, seed << 33 | i << 2));
    }
    stop = true;
    if (forks)
        await(asks);
    await(begin(clear_shelf, 0));
}

/* ---- what the allocator says ---- */

enum { CLASSES = 256 };

/* All threads that had blocks have ended, and main has none above 1 KiB: none of these may be in the program's hands,
 * or on its way to a slab. */
static void check_nothing_waits(size_t turn)
{
    static struct hak_class_stats classes[CLASSES];
#ifdef HEAPS_STAY
    malloc_trim(0); /* looks at heaps that have no end at which somebody would */
#endif
    int count = hak_stats_classes(classes, sizeof(classes[0]), CLASSES);
    CHECK(count <= CLASSES);
    for (int i = 0; i < count; i++) {
        const struct hak_class_stats *c = &classes[i];
        CHECKF(c->block_bytes <= KIB || (c->live_blocks == 0 && c->chained_blocks == 0),
               "turn %zu: of %zu bytes %zu blocks are out and %zu wait at a slab", turn, c->block_bytes, c->live_blocks,
               c->chained_blocks);
    }
}

/* libc keeps a few blocks for each stack that it keeps. */
static void check_nothing_lives(void)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    if (hak_stats(&stats) != 0)
        return; /* -Dstats=disabled */
    CHECKF(stats.run_bytes == 0 && stats.huge_bytes == 0, "%zu bytes are out in large blocks", stats.run_bytes);
    CHECKF(stats.live_blocks <= 8 * MOST_THREADS, "%zu blocks of %zu bytes are out", stats.live_blocks,
           stats.live_bytes);
}

/* ---- ends ---- */

enum { MAKERS = 3, LINE = 120 };

static _Atomic(void *) line[MAKERS][LINE];
static atomic_size_t at_start, ending, started;

static void wait_for(atomic_size_t *count, size_t number)
{
    while (*count < number)
        sched_yield();
}

/* No record of a thread that ended is used again before the next round: all are there before the first ends. */
static void arrive(void)
{
    at_start++;
    wait_for(&at_start, started);
}

/* Blocks of many classes: the more slabs a thread leaves, the longer its end takes. */
static void *make_and_end(void *argument)
{
    uint64_t number = (uintptr_t)argument, random = pattern_mix(number);
    free(malloc(2000));
    arrive();
    for (size_t i = 0; i < LINE; i++)
        line[number % MAKERS][i] = make(KIB + 1 + (i * 1013 + random_below(&random, 500)) % (30 * KIB), &random);
    ending++;
    return NULL;
}

static void *free_beside(void *argument)
{
    uint64_t random = pattern_mix((uintptr_t)argument);
    free(malloc(2000));
    arrive();
    for (size_t maker = 0; maker < MAKERS; maker++) {
        wait_for(&ending, maker + 1);
        size_t from = random_below(&random, MAKERS * LINE);
        for (size_t i = 0; i < MAKERS * LINE; i++) {
            size_t place = (from + i) % (MAKERS * LINE);
            _Atomic(void *) *cell = &line[place % MAKERS][place / MAKERS];
            if (*cell != NULL)
                drop(atomic_exchange(cell, NULL));
        }
    }
    return NULL;
}

static void run_ends(size_t threads, uint64_t seed, size_t turns)
{
    pthread_t running[MOST_THREADS];
    for (size_t turn = 0; turn < turns; turn++) {
        at_start = ending = 0;
        started = threads;
        for (size_t i = 0; i < threads; i++)
            running[i] = begin(i < MAKERS ? make_and_end : free_beside, (seed << 32 | turn) * 3 * MOST_THREADS + i);
        for (size_t i = 0; i < threads; i++)
            await(running[i]);
        check_nothing_waits(turn);
    }
}

int main(int count, char **arguments)
{
    CHECKF(count == 5, "usage: contend all|large|trays|forks|ends THREADS SEED TURNS");
    check_watchdog(280);
    const char *kind = arguments[1];
    size_t threads = strtoull(arguments[2], NULL, 10), turns = check_fewer(strtoull(arguments[4], NULL, 10));
    uint64_t seed = strtoull(arguments[3], NULL, 10);
    bool ends = !strcmp(kind, "ends"), forks = !strcmp(kind, "forks");
    large_only = !strcmp(kind, "large");
    trays_only = !strcmp(kind, "trays");
    CHECK(ends || forks || large_only || trays_only || !strcmp(kind, "all"));
    CHECK(threads >= 1 && threads <= MOST_THREADS && (!ends || threads > MAKERS));
    table = mmap(NULL, TABLE_PAGES * sizeof(*table), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(table != MAP_FAILED);
    CHECK(hak_stats && hak_stats_classes);
    void *ballast = malloc(31 * MIB); /* so that what threads leave is little, and nobody goes round to look for it */
    CHECK(ballast);
    heap_page = (uintptr_t)ballast / PAGE;
    if (ends)
        run_ends(threads, seed, turns);
    else
        run_shelf(threads, seed, turns, forks);
    free(ballast);
    check_nothing_waits(turns);
    check_nothing_lives();
    return 0;
}
