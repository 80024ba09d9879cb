/* SPDX-License-Identifier: MIT
 *
 * out_of_memory THREADS [bins]: the address space is limited a little above what is in use, in several steps.
 * Allocation goes on until it is refused: NULL and ENOMEM, every block whole, and after all is freed it works again,
 * for other sizes too. What serves another size may lie in the front of the very thread that asks: some blocks freed
 * are enough; or in that of another, which gives it up at its next slow call (bins: fronts keep blocks of slabs that
 * are free). A block can always be made smaller.
 */
#include "check.h"
#include "needs.h"
#include "death.h"
#include "pattern.h"
#include "proc.h"
#include "taken.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_THREADS = 4, REFUSALS = 20 };

/* Every block starts with this; the rest is a pattern. */
struct block {
    struct block *next;
    size_t size;
    uint64_t seed;
};

struct mix {
    size_t least, most;
};

static const struct mix small = {32, 2000}, middle = {1024, 65536}, large = {100000, 2000000};

static int threads;
static size_t step;

/* The first and last bytes of what is behind the header; all of every page in between would only cost time. */
static size_t filled(size_t size)
{
    return size - sizeof(struct block) < 512 ? size - sizeof(struct block) : 512;
}

static void check_block(const struct block *block)
{
    const unsigned char *bytes = (const unsigned char *)(block + 1);
    CHECKF(pattern_check(bytes, filled(block->size), block->seed) == filled(block->size), "a block is damaged");
    CHECKF(((const unsigned char *)block)[block->size - 1] == (unsigned char)block->seed ||
               block->size - sizeof(*block) <= 512,
           "the end of a block is damaged");
}

static struct block *make(size_t size, uint64_t *random)
{
    errno = 0;
    struct block *block = random_below(random, 4) ? malloc(size) : calloc(1, size);
    CHECKF(block || errno == ENOMEM, "refused with errno %d", errno);
    if (!block)
        return NULL;
    block->size = size;
    block->seed = random_next(random);
    ((unsigned char *)block)[size - 1] = (unsigned char)block->seed;
    pattern_fill(block + 1, filled(size), block->seed);
    return block;
}

/* Growing a block that cannot grow leaves it alone. */
static void try_to_grow(struct block *block)
{
    uint64_t seed = block->seed;
    size_t size = block->size;
    errno = 0;
    struct block *grown = realloc(block, size + GIB);
    CHECKF(!grown && errno == ENOMEM, "a gigabyte was given, or refused with errno %d", errno);
    CHECK(block->seed == seed && block->size == size);
    check_block(block);
}

static size_t fill_until_refused(struct mix mix, uint64_t seed)
{
    struct block *list = NULL;
    size_t bytes = 0;
    for (int refused = 0; refused < REFUSALS;) {
        struct block *block = make(mix.least + random_below(&seed, mix.most - mix.least), &seed);
        if (!block) {
            refused++;
            if (list)
                try_to_grow(list);
            continue;
        }
        block->next = list;
        list = block;
        bytes += block->size;
        CHECKF(bytes < 2 * GIB, "the limit is not felt");
    }
    void *aligned = &list;
    CHECK(posix_memalign(&aligned, 4096, GIB) == ENOMEM && aligned == (void *)&list);
    errno = 0;
    CHECK(!memalign(65536, GIB) && errno == ENOMEM);
    for (const struct block *block = list; block; block = block->next)
        check_block(block);
    while (list) {
        struct block *next = list->next;
        errno = 0;
        free(list);
        CHECK(errno == 0);
        list = next;
    }
    return bytes;
}

static pthread_barrier_t limit_is_set;

static void *filler(void *argument)
{
    pthread_barrier_wait(&limit_is_set);
    for (int i = 0; i < 3; i++)
        fill_until_refused(i == 1 ? middle : small, (uint64_t)(uintptr_t)argument + (uint64_t)i);
    return NULL;
}

static void *nothing(void *argument)
{
    free(malloc(100));
    return argument;
}

/* All that there is, in blocks of falling sizes; linked through their first words. */
static void *use_up(void)
{
    void *list = NULL;
    for (size_t size = 16 * MIB; size >= 16; size /= 2) {
        for (void **block; (block = malloc(size)) != NULL; list = block)
            *block = list;
    }
    return list;
}

static void free_list(void *list)
{
    for (void *next; list != NULL; list = next) {
        next = *(void **)list;
        free(list);
    }
}

/* All blocks of one size that lie in one stretch of 64 KiB are freed, which a front may hold. */
static void few_are_enough(size_t size, size_t small_size)
{
    enum { MANY = 20000 };
    static void *blocks[MANY];
    size_t count = 0, few = 0;
    while (count < MANY && (blocks[count] = malloc(size)) != NULL)
        count++;
    CHECKF(count > 100 && count < MANY, "%zu blocks of %zu", count, size);
    void *list = NULL;
    for (void **block; (block = malloc(small_size)) != NULL; list = block)
        *block = list;
    uintptr_t stretch = (uintptr_t)blocks[count / 2] / (64 * KIB);
    for (size_t i = 0; i < count; i++) {
        if ((uintptr_t)blocks[i] / (64 * KIB) == stretch) {
            free(blocks[i]);
            blocks[i] = NULL;
            few++;
        }
    }
    void *block = malloc(small_size);
    CHECKF(block != NULL, "%zu blocks of %zu were freed, and %zu bytes are refused", few, size, small_size);
    free(block);
    free_list(list);
    while (count > 0)
        free(blocks[--count]);
}

static void own_front(void *argument)
{
    (void)argument;
    check_alarm(100);
    size_t limit = proc_status_bytes(0, "VmSize:") + 8 * MIB;
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    few_are_enough(4096, 64);
    few_are_enough(8192, 100);
    few_are_enough(4096, 24);
    few_are_enough(4096 - TAKEN_END, 32768 - TAKEN_END); /* of classes, both */
}

/* A block of each kind, and no memory for a smaller copy. */
static void shrinks(void *argument)
{
    static const size_t sizes[] = {100 * MIB, 40 * MIB, 20 * MIB, 3 * MIB, 100000, 33000, 20000, 3000, 1000, 100, 1};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), ALIGNS = 4 };
    static const size_t aligns[ALIGNS] = {16, 4096, 65536, 4 * MIB};
    static unsigned char *blocks[SIZES][ALIGNS];
    (void)argument;
    check_alarm(100);
    size_t limit = proc_status_bytes(0, "VmSize:") + GIB;
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    for (int i = 0; i < SIZES; i++) {
        for (int a = 0; a < ALIGNS; a++) {
            blocks[i][a] = a != 0 ? memalign(aligns[a], sizes[i]) : malloc(sizes[i]);
            CHECK(blocks[i][a] != NULL);
            pattern_fill(blocks[i][a], sizes[i] < 4096 ? sizes[i] : 4096, (uint64_t)i);
        }
    }
    limit = proc_status_bytes(0, "VmSize:");
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    void *rest = use_up();
    for (int i = SIZES; i-- > 0;) {
        for (int to = i; to < SIZES; to++) {
            for (int a = 0; a < ALIGNS; a++) {
                size_t size = sizes[to], kept = size < 4096 ? size : 4096;
                errno = 0;
                blocks[i][a] = realloc(blocks[i][a], size);
                CHECKF(blocks[i][a] != NULL && errno == 0, "%zu bytes cannot shrink to %zu", sizes[i], size);
                CHECK(pattern_check(blocks[i][a], kept, (uint64_t)i) == kept);
            }
        }
    }
    free_list(rest);
}

/* ---- what another thread's front holds ---- */

enum { OTHERS_LARGE = 512 * KIB, OTHERS_SMALL = 4000 };

static size_t large_size;
static pthread_barrier_t turn;

/* Takes blocks; in its next turn frees the large ones, and in another every second of the small ones, which is no room
 * for anybody. */
static void *other_thread(void *argument)
{
    static void *large_blocks[OTHERS_LARGE / 512], *small_blocks[OTHERS_SMALL];
    for (int i = 0; i < OTHERS_SMALL; i++)
        CHECK((small_blocks[i] = malloc(48)) != NULL);
    for (size_t i = 0; i < OTHERS_LARGE / large_size; i++)
        CHECK((large_blocks[i] = malloc(large_size)) != NULL);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    for (size_t i = 0; i < OTHERS_LARGE / large_size; i++)
        free(large_blocks[i]);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    for (int i = 0; i < OTHERS_SMALL; i += 2)
        free(small_blocks[i]);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn); /* its end would empty the front, too */
    return argument;
}

/* Main takes all that it can get, and after the other thread's next slow call more. */
static void other_front(void *size)
{
    pthread_t other;
    check_alarm(100);
    large_size = *(const size_t *)size;
    CHECK(pthread_barrier_init(&turn, NULL, 2) == 0 && pthread_create(&other, NULL, other_thread, NULL) == 0);
    pthread_barrier_wait(&turn);
    size_t limit = proc_status_bytes(0, "VmSize:");
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    void *rest = use_up();
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    void *more = use_up();
    CHECK(malloc(100) == NULL);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    CHECKF(malloc(100) != NULL, "blocks of %zu bytes stay in another thread's front", large_size);
    pthread_barrier_wait(&turn);
    CHECK(pthread_join(other, NULL) == 0);
    free_list(rest);
    free_list(more);
}

static void one_step(void *argument)
{
    (void)argument;
    check_alarm(100);
    pthread_t ids[MOST_THREADS], late;
    CHECK(pthread_barrier_init(&limit_is_set, NULL, (unsigned)threads + 1) == 0);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, filler, (void *)(uintptr_t)(i + 1)) == 0);
    proc_sleep_ms(20); /* the threads have their stacks */
    size_t limit = proc_status_bytes(0, "VmSize:") + step;
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    pthread_barrier_wait(&limit_is_set);

    size_t first = fill_until_refused(small, 100);
    size_t other = fill_until_refused(middle, 200);
    size_t third = fill_until_refused(large, 300);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
    size_t again = fill_until_refused(small, 400);
    CHECKF(again > 0, "nothing can be allocated after all was freed");

    /* A thread may be refused its stack; its allocator's part must not crash. */
    int error = pthread_create(&late, NULL, nothing, NULL);
    CHECK(error == 0 || error == EAGAIN || error == ENOMEM);
    CHECK(error || pthread_join(late, NULL) == 0);

    check_note("%zu MiB of room, %d threads: small %zu, Mid %zu, large %zu, small again %zu KiB", step / MIB, threads,
               first / KIB, other / KIB, third / KIB, again / KIB);
    if (threads)
        return; /* who got how much depends on the others */
    CHECK(again >= first / 4 * 3);
    if (step < 64 * MIB)
        return;
    CHECKF(first >= step / 2, "less than half of the room was used");
    CHECKF(other >= first / 2 && third >= first / 2, "freed memory does not serve other sizes");
}

static void run_to_end(void (*body)(void *), void *argument, const char *name)
{
    static struct death death;
    death_run(&death, body, argument);
    CHECKF(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0, "%s: %s\n%s", name, death_describe(&death),
           death.text);
}

int main(int count, char **arguments)
{
    static const size_t others_sizes[] = {512, 2000, 4096};
    static const size_t steps[] = {4, 8, 12, 16, 24, 32, 64};
    threads = count > 1 ? atoi(arguments[1]) : 0;
    CHECK(threads >= 0 && threads <= MOST_THREADS);
    need_address_limit();
    free(malloc(1));
    run_to_end(own_front, NULL, "own front");
    for (size_t i = 0; count > 2 && i < sizeof(others_sizes) / sizeof(others_sizes[0]); i++)
        run_to_end(other_front, (void *)&others_sizes[i], "another thread's front");
    run_to_end(shrinks, NULL, "a block that shrinks");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        char name[32];
        step = steps[i] * MIB;
        snprintf(name, sizeof(name), "%zu MiB", steps[i]);
        run_to_end(one_step, NULL, name);
    }
    return 0;
}
