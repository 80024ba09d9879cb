/* SPDX-License-Identifier: MIT
 *
 * peak_live_bytes of a program that takes up to 1 GiB and frees it before it asks; a process for each kind of block,
 * because a peak stays.
 *
 * usage: peak small|mid|runs|kept|huge|grown|turns
 */
#include "config.h"
#include "taken.h"
#include <hakmem/hakmem.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define MOST (256 * MIB / 1000)

/* As docs/statistics.md says: of small blocks a slab here and there is not full, and what the front holds counts. */
#define ERROR(live) ((live) / 64 + 4 * MIB)

static struct hak_stats now(void)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    if (hak_stats(&stats) != 0)
        exit(1);
    return stats;
}

/* `total` bytes of blocks of a size; nobody asks in between. Returns what they take. */
static size_t take_and_free(size_t total, size_t size)
{
    static void *blocks[MOST];
    size_t count = total / size, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = hak_malloc(size - TAKEN_END);
        if (!blocks[i])
            exit(77); /* so much there is not */
        bytes += taken_for(hak_malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        hak_free(blocks[i]);
    return bytes;
}

/* One block that grows without a copy, of sizes that are no multiples of a huge page. */
static size_t grow_and_free(void)
{
    void *block = hak_malloc(40 * MIB + 5000);
    for (size_t size = 40 * MIB; block && size < 1024 * MIB; size += 41 * MIB + 5000)
        block = hak_realloc(block, size);
    block = block ? hak_realloc(block, 1024 * MIB) : NULL;
    if (!block)
        exit(77);
    size_t bytes = hak_malloc_usable_size(block);
    hak_free(block);
    return bytes;
}

static int fails(const char *what, size_t bytes, size_t have)
{
    fprintf(stderr, "%s: peak_live_bytes is %zu, %zu were live\n", what, have, bytes);
    return 1;
}

/* Runs and a huge block by turns are not live together; then they are, where more address space was held before. */
static size_t take_turns(void)
{
    static void *runs[724];
    take_and_free(724 * MIB, MIB);
    hak_trim(0);
    hak_free(hak_malloc(500 * MIB));
    for (size_t i = 0; i < 724; i++)
        runs[i] = hak_malloc(MIB);
    if (now().peak_live_bytes > 724 * MIB + ERROR(724 * MIB))
        exit(fails("by turns", 724 * MIB, now().peak_live_bytes));
    hak_free(hak_malloc(300 * MIB));
    for (size_t i = 0; i < 724; i++)
        hak_free(runs[i]);
    return 1024 * MIB;
}

static void *sleep_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

/* Beside another thread this one keeps some of the runs that it frees. */
static size_t keep_and_free(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0)
        exit(77);
    return take_and_free(80 * MIB, 196608); /* what a class has */
}

static size_t exercise(const char *kind)
{
    if (!strcmp(kind, "small"))
        return take_and_free(256 * MIB, 1000); /* each page of which is touched */
    if (!strcmp(kind, "mid"))
        return take_and_free(1024 * MIB, 32768);
    if (!strcmp(kind, "runs"))
        return take_and_free(1024 * MIB, 3 * MIB);
    if (!strcmp(kind, "kept"))
        return keep_and_free();
    if (!strcmp(kind, "huge"))
        return take_and_free(1024 * MIB, 256 * MIB);
    return !strcmp(kind, "turns") ? take_turns() : grow_and_free();
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    size_t bytes = exercise(argv[1]);
    struct hak_stats stats = now();
    if (stats.peak_live_bytes < bytes || stats.peak_live_bytes > bytes + ERROR(bytes))
        return fails(argv[1], bytes, stats.peak_live_bytes);
    if (stats.live_bytes > bytes / 100 || stats.peak_live_bytes > stats.peak_mapped_bytes)
        return fails("afterwards", bytes, stats.peak_live_bytes);
    void *block = hak_malloc(2048 * MIB);
    if (!block)
        return 77;
    size_t more = now().peak_live_bytes;
    if (more < now().live_bytes || more > 2048 * MIB + ERROR(1024 * MIB))
        return fails("while it is live", 2048 * MIB, more);
    hak_free(block);
    size_t later = now().peak_live_bytes;
    return later >= more && later <= 2048 * MIB + ERROR(1024 * MIB) ? 0 : fails("and as much later", 2048 * MIB, later);
}
