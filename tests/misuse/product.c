/* SPDX-License-Identifier: MIT
 *
 * misuse product ORIGIN: every wrong use of a block of every size, where blocks come from ORIGIN, and are freed by the
 * thread that asked for them or by another one. What ends.c does once is here the whole product; for -Dhardened=true.
 */
#include "product.h"

#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AROUND = 20, AGAIN = 4000, AGAIN_LARGE = 300, SLAB_MOST = 32768, SLAB = 65536 };

static const struct origin *origin;

static char *take_one(size_t size)
{
    char *block = origin->take(size);
    CHECK(block);
    block[0] = block[size - 1] = 1;
    return block;
}

/* ---- who frees them ---- */

/* Begun before anything is wrong: to make a thread takes memory. */
static bool elsewhere;
static sem_t asked, done;
static struct {
    give_fn *give;
    char *block;
    size_t size;
} job;

static void *give_on(void *unused)
{
    for (;;) {
        while (sem_wait(&asked) != 0) {
        }
        job.give(job.block, job.size);
        sem_post(&done);
    }
    return unused;
}

static void begin(void)
{
    pthread_t thread;
    if (origin->in_heap)
        CHECK(product_make_heap());
    if (elsewhere) {
        CHECK(sem_init(&asked, 0, 0) == 0 && sem_init(&done, 0, 0) == 0);
        CHECK(pthread_create(&thread, NULL, give_on, NULL) == 0);
    }
}

static void give_with(give_fn *give, char *block, size_t size)
{
    if (!elsewhere) {
        give(block, size);
        return;
    }
    job.give = give;
    job.block = block;
    job.size = size;
    sem_post(&asked);
    while (sem_wait(&done) != 0) {
    }
}

static void give(char *block, size_t size)
{
    give_with(origin->give, block, size);
}

/* ---- what is wrong ---- */

static void spoil(char *at, size_t bytes)
{
    for (volatile char *byte = at; bytes-- > 0; byte++)
        *byte = (char)~*byte;
}

/* Is it a page run, of which no class knows? With threads there are classes up to 256 KiB. */
static bool is_run(size_t size)
{
    return !origin->in_heap && (size > SLAB_MOST && (!elsewhere || size + 8 > (256u << 10)));
}

static char *blocks[AROUND];

/* The block next below it. */
static char *block_before(const char *block)
{
    char *before = NULL;
    for (int i = 0; i < AROUND; i++) {
        if (blocks[i] < block && blocks[i] > before)
            before = blocks[i];
    }
    return before;
}

/* A block among others of its size, the one that is nearest to the one before; not the first of a slab, where there are
 * more than one in it. */
static char *take_among(size_t size)
{
    char *block = NULL;
    size_t nearest = SIZE_MAX;
    begin();
    for (int i = 0; i < AROUND; i++)
        blocks[i] = take_one(size);
    for (int i = 0; i < AROUND; i++) {
        char *before = block_before(blocks[i]);
        size_t distance = (size_t)(blocks[i] - before);
        if (before != NULL && distance <= nearest && ((uintptr_t)blocks[i] % SLAB != 0 || distance >= SLAB)) {
            nearest = distance;
            block = blocks[i];
        }
    }
    CHECK(block != NULL);
    return block;
}

static void overflow(size_t size, size_t bytes, unsigned also)
{
    char *block = take_among(size);
    expect(SAYS_PAST | also, "free", block);
    spoil(block + size, bytes);
    give(block, size);
}

static void past_1(size_t size)
{
    overflow(size, 1, 0);
}

static void past_8(size_t size)
{
    overflow(size, 8, 0);
}

static void past_32(size_t size)
{
    overflow(size, 32, is_run(size) ? MAY_FAULT : 0);
}

static void past_1_mib(size_t size)
{
    overflow(size, (size_t)1 << 20, MAY_FAULT);
}

static void past_zero(size_t size)
{
    char *block = take_among(size);
    expect(SAYS_PAST, "free", block);
    block[size] = 0;
    give(block, size);
}

/* A block of a heap has its head there, and is none any more. Of a run, and the first block of a slab, the one before
 * says so, where they lie beside each other: what shrank leaves a hole. */
static void underflow(size_t size, size_t bytes)
{
    char *block = take_among(size), *before = block_before(block);
    unsigned may = size <= SLAB_MOST ? 0 : origin->leaves_holes ? MAY_FAULT | MAY_GO_ON : MAY_FAULT;
    expect(origin->in_heap ? SAYS_OF_HEAP : SAYS_BEFORE | may, "free", block);
    spoil(block - bytes, bytes);
    give(block, size);
    if (size > SLAB_MOST && before != NULL) {
        expect(SAYS_PAST | may, "free", before);
        give(before, size);
    }
}

static void before_1(size_t size)
{
    underflow(size, 1);
}

static void before_8(size_t size)
{
    underflow(size, 8);
}

static void before_32(size_t size)
{
    underflow(size, 32);
}

/* Blocks of the size come until it comes again; of runs that are held back others go. */
static void use_up(char *unused, size_t size)
{
    (void)unused;
    for (int i = 0; i < AROUND && size > SLAB_MOST; i++)
        origin->give(take_one(size), size);
    for (int i = 0; i < (size > SLAB_MOST ? AGAIN_LARGE : AGAIN); i++)
        take_one(size);
}

/* By the thread that freed it, which has it ready, or has given it back to whose slab it is in. */
static void use_on(size_t size)
{
    give_with(use_up, NULL, size);
    if (elsewhere)
        use_up(NULL, size);
}

/* In a heap only the links of free pieces are looked at. */
static void freed(size_t size, size_t at, size_t bytes)
{
    char *block = take_among(size);
    give(block, size);
    expect(origin->in_heap ? SAYS_CORRUPT : SAYS_WRITTEN, "malloc", block);
    spoil(block + (at < size ? at : size - 1), bytes);
    use_on(size);
}

static void freed_first(size_t size)
{
    freed(size, 0, 1);
}

static void freed_second(size_t size)
{
    freed(size, 12, 1);
}

static void freed_word(size_t size)
{
    freed(size, size > 48 ? 40 : size - 8, 8);
}

static void freed_all(size_t size)
{
    freed(size, 0, size);
}

/* Nobody asks for such a block again: a run that is held is looked at when the process ends. */
static void freed_at_end(size_t size)
{
    char *block = take_among(size);
    give(block, size);
    expect(SAYS_WRITTEN, "free", block);
    spoil(block, 1);
    exit(0);
}

static void give_wrong(size_t size, size_t said)
{
    char *block = take_among(size);
    expect(SAYS_SIZE, "free", block);
    give_with(origin->give_sized, block, said);
}

static void size_less(size_t size)
{
    give_wrong(size, size - 1);
}

static void size_more(size_t size)
{
    give_wrong(size, size + 1);
}

static void size_4_times(size_t size)
{
    give_wrong(size, 4 * size);
}

static void twice(size_t size)
{
    char *block = take_among(size);
    give(block, size);
    expect(origin->in_heap ? SAYS_OF_HEAP : SAYS_DOUBLE | ANY_BLOCK, "free", block);
    give(block, size);
}

enum kind { ANY, SIZED, WRITTEN, WRITTEN_FIRST, AT_END };

static const struct {
    struct misuse misuse;
    enum kind kind;
} wrongs[] = {
    {{"past-1", past_1}, ANY},
    {{"past-8", past_8}, ANY},
    {{"past-32", past_32}, ANY},
    {{"past-1-mib", past_1_mib}, ANY},
    {{"past-zero", past_zero}, ANY},
    {{"before-1", before_1}, ANY},
    {{"before-8", before_8}, ANY},
    {{"before-32", before_32}, ANY},
    {{"freed-first", freed_first}, WRITTEN_FIRST},
    {{"freed-second", freed_second}, WRITTEN},
    {{"freed-word", freed_word}, WRITTEN},
    {{"freed-all", freed_all}, WRITTEN_FIRST},
    {{"freed-at-end", freed_at_end}, AT_END},
    {{"size-less", size_less}, SIZED},
    {{"size-more", size_more}, SIZED},
    {{"size-4-times", size_4_times}, SIZED},
    {{"twice", twice}, ANY},
};

static const size_t sizes[] = {8, 24, 48, 1000, 4096, 20000, 33 << 10, 100000, 255 << 10, 256 << 10};

static bool applies(enum kind kind, size_t size)
{
    if (kind == SIZED)
        return origin->give_sized != NULL && !origin->in_heap;
    if (kind == AT_END)
        return is_run(size);
    if (origin->in_heap && (kind == WRITTEN || kind == WRITTEN_FIRST)) /* of an aligned one the links lie before it */
        return kind == WRITTEN_FIRST && size <= 20000 && !origin->is_aligned; /* a larger one's run went */
    return true;
}

int product(const char *name, int (*run)(const struct misuse *misuse, size_t size))
{
    int failed = 0;
    unsigned count = 0;
    origin = product_origin(name);
    CHECKF(origin != NULL, "no origin %s", name);
    if (!product_has(origin))
        return TEST_SKIPPED;
    for (int where = 0; where < 2; where++) {
        elsewhere = where == 1;
        for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
            for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
                if (!applies(wrongs[i].kind, sizes[k]))
                    continue;
                memset(expected, 0, sizeof(*expected));
                count++;
                if (run(&wrongs[i].misuse, sizes[k]) != 0) {
                    printf("    of %s, freed by %s thread\n", name, elsewhere ? "another" : "its");
                    failed++;
                }
            }
        }
    }
    printf("%s: %u wrong uses, %d not told as they should be\n", name, count, failed);
    return failed != 0;
}
