/* SPDX-License-Identifier: MIT
 *
 * abort_handler WAY: for each kind of misuse a process whose handler of SIGABRT allocates, as crash reporters do, and
 * then ends the process or jumps out of the handler and goes on. It must neither hang nor get a wild block.
 *
 *   exit    the misuse is main's, another thread allocates meanwhile
 *   thread  it is another thread's, and main allocates
 *   alone   there is only one thread
 *   jump    as exit, but the handler leaves by siglongjmp
 */
#include "check.h"
#include "config.h"
#include "death.h"
#include "entries.h"
#include "pattern.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_HANDLER = 3000, AFTERWARDS = 6000, MANY = 4000, ENDED = 3, MAX_JUMPS = 100 };

static const struct entries *e;
static sigjmp_buf before_misuse;
static bool jumps;

static size_t mixed_size(unsigned i)
{
    return i % 200 == 7 ? 200000 : i % 20 == 3 ? 2000 + i % 9000 : 1 + i % 1100;
}

/* What one thread writes after it freed may be another's block by then. */
static bool contents_hold = true;

/* Takes n blocks of mixed sizes, frees and resizes some, checks all, frees all. */
static void allocate(unsigned n)
{
    unsigned char **blocks = e->calloc(n, sizeof(*blocks));
    CHECK(blocks);
    for (unsigned i = 0; i < n; i++) {
        size_t size = mixed_size(i);
        blocks[i] = i % 5 == 0 ? e->calloc(1, size) : e->malloc(size);
        CHECK(blocks[i]);
        if (i % 7 == 0)
            blocks[i] = e->realloc(blocks[i], size * 2);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], size, i);
        if (i % 3 == 0) {
            e->free(blocks[i / 2]);
            blocks[i / 2] = NULL;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        CHECK(!blocks[i] || !contents_hold || pattern_check(blocks[i], mixed_size(i), i) == mixed_size(i));
        e->free(blocks[i]);
    }
    e->free(blocks);
}

static void on_abort(int signal_number)
{
    (void)signal_number;
    allocate(IN_HANDLER);
    if (jumps)
        siglongjmp(before_misuse, 1);
    _exit(ENDED);
}

static void *allocate_on(void *argument)
{
    for (;;)
        allocate(500);
    return argument;
}

/* ---- what is misused ---- */

static char *take(size_t size)
{
    char *block = e->malloc(size);
    CHECK(block);
    memset(block, 1, size);
    return block;
}

static void free_twice(size_t size)
{
    char *block = take(size), *neighbour = take(size);
    e->free(block);
    e->free(block);
    e->free(neighbour);
}

static void free_inside(size_t size)
{
    e->free(take(size) + size / 2);
}

static void free_foreign(size_t size)
{
    char bytes[4096];
    memset(bytes, 1, size);
    e->free(bytes);
}

static void resize_freed(size_t size)
{
    char *block = take(size);
    e->free(block);
    CHECK(!e->realloc(block, 2 * size));
}

static char *blocks[MANY];

/* Of every eight blocks one stays, and with it the slab. */
static void take_until_found(size_t size)
{
    for (unsigned i = 0; i < 2 * MANY; i++)
        take(size);
}

static void write_after_free(size_t size)
{
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = take(size);
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 8 != 0)
            e->free(blocks[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 8 != 0)
            memset(blocks[i], 0x41, 16);
    }
    take_until_found(size);
}

enum { PARTS = 4, OF_OTHERS = 1800 }; /* fewer than 32 slabs, so that the thread does not collect for main */

static void *free_part(void *part)
{
    for (unsigned i = *(unsigned *)part; i < OF_OTHERS; i += PARTS)
        e->free(blocks[i]);
    return NULL;
}

/* Threads free a part of each slab and end. What the third left on its way is written over, then collected. */
static void write_after_free_of_others(size_t size)
{
    for (unsigned i = 0; i < OF_OTHERS; i++)
        blocks[i] = take(size);
    for (unsigned part = 0; part < 3; part++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, free_part, &part) == 0 && pthread_join(thread, NULL) == 0);
        if (part < 2)
            e->trim(0);
    }
    for (unsigned i = 2; i < OF_OTHERS; i += PARTS)
        memset(blocks[i], 0x41, 16);
    e->trim(0);
    take_until_found(size);
}

struct kind {
    const char *name;
    void (*misuse)(size_t size);
    size_t size;
    const char *says;
};

static const struct kind kinds[] = {
    {"double free, small", free_twice, 64, "hakmem: double free of "},
    {"double free, mid", free_twice, 4096, "hakmem: double free of "},
    {"double free, large", free_twice, 262144, "hakmem: "},
    {"double free, huge", free_twice, 67108864, "hakmem: "},
    {"interior pointer", free_inside, 1000, "hakmem: free of an interior pointer "},
    {"interior pointer, large", free_inside, 262144, "hakmem: free of an interior pointer "},
    {"interior pointer, huge", free_inside, 67108864, "hakmem: free of an interior pointer "},
    {"invalid pointer", free_foreign, 4096, "hakmem: free of an invalid pointer "},
    {"realloc", resize_freed, 100, "hakmem: realloc of the free block "},
    {"write after free, small", write_after_free, 64, "hakmem: corrupted free list "},
    {"write after free, mid", write_after_free, 4096, "hakmem: corrupted free list "},
    {"write after another thread's free", write_after_free_of_others, 1000, "hakmem: corrupted free list "},
};

/* With -Dfill the block is looked at before the list is. */
static bool says_so(const char *text, const char *says)
{
    return strstr(text, says) ||
           (HK_FILL && strstr(says, "corrupted") && strstr(text, "hakmem: write after free into "));
}

/* ---- how ---- */

static const char *way;

static void *misuse(void *argument)
{
    const struct kind *kind = argument;
    kind->misuse(kind->size);
    return NULL;
}

/* After the jump the program goes on as if nothing had been, and may meet what else it wrote over. */
static void misuse_and_go_on(const struct kind *kind)
{
    static volatile unsigned count;
    if (sigsetjmp(before_misuse, 1) == 0)
        kind->misuse(kind->size);
    CHECK(++count < MAX_JUMPS);
    allocate(AFTERWARDS);
    _exit(ENDED);
}

static void run_in_child(void *argument)
{
    const struct kind *kind = argument;
    pthread_t thread;
    contents_hold = strcmp(way, "alone") == 0 || strstr(kind->says, "corrupted") == NULL;
    signal(SIGABRT, on_abort);
    jumps = strcmp(way, "jump") == 0;
    if (strcmp(way, "thread") == 0) {
        CHECK(pthread_create(&thread, NULL, misuse, argument) == 0);
        allocate_on(NULL);
    }
    if (strcmp(way, "alone") != 0)
        CHECK(pthread_create(&thread, NULL, allocate_on, NULL) == 0);
    if (jumps)
        misuse_and_go_on(argument);
    misuse(argument);
}

int main(int count, char **arguments)
{
    int failed = 0;
    CHECKF(count == 3, "usage: abort_handler exit|thread|alone|jump KINDS");
    way = arguments[1];
    e = entries_get();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        static struct death death;
        if (strcmp(arguments[2], "pointers") == 0 && strstr(kinds[i].says, "corrupted"))
            continue;
        death_run(&death, run_in_child, (void *)&kinds[i]);
        if (WIFEXITED(death.status) && WEXITSTATUS(death.status) == ENDED && says_so(death.text, kinds[i].says))
            continue;
        printf("%s: ended with %s\n%s", kinds[i].name, death_describe(&death), death.text);
        failed = 1;
    }
    return failed;
}
