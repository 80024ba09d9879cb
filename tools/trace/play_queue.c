/* SPDX-License-Identifier: MIT
 *
 * See play.h.
 */
#define _GNU_SOURCE

#include "play.h"

#include "model.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define SPINS 200
#define YIELDS 1000
#define NAP_NS 50000

_Atomic(void *) *play_slots;

/* In the place of a block that was refused. */
static char refused;

/* Another thread makes it in this turn. It is running, or this processor must be given to it. */
static void *wait_for(_Atomic(void *) *slot)
{
    struct timespec nap = {.tv_nsec = NAP_NS};
    void *block;
    for (unsigned turn = 0; (block = atomic_load_explicit(slot, memory_order_acquire)) == NULL; turn++) {
        if (turn > SPINS + YIELDS)
            nanosleep(&nap, NULL);
        else if (turn > SPINS)
            sched_yield();
    }
    return block;
}

static inline void *take(uint32_t slot)
{
    void *block = atomic_load_explicit(&play_slots[slot], memory_order_acquire);
    if (__builtin_expect(block == NULL, 0))
        block = wait_for(&play_slots[slot]);
    atomic_store_explicit(&play_slots[slot], NULL, memory_order_relaxed); /* the next turn orders what follows */
    return block;
}

/* The bytes from `had` on, of what the program touched. */
static inline void touch(const struct feed_op *op, void *block, size_t had, size_t size)
{
    volatile char *bytes = block;
    if ((op->size_kind & 255) == STEP_RESIZE) {
        if ((op->size_kind >> 8 & 255) != 255)
            size = size / 255 * (op->size_kind >> 8 & 255);
    } else if (op->from != MODEL_NONE && (size_t)op->from * PAGE < size) {
        size = (size_t)op->from * PAGE;
    }
    if (size <= had)
        return;
    for (size_t at = had; at < size; at += PAGE)
        bytes[at] = 1;
    bytes[size - 1] = 1;
}

static inline void give(struct play_lane *lane, const struct feed_op *op, void *block, size_t had)
{
    size_t size = (size_t)(op->size_kind >> 16);
    lane->live += (int64_t)size;
    lane->blocks++;
    if (__builtin_expect(block != NULL, 1))
        touch(op, block, had, size);
    else if (size != 0)
        lane->refused++;
    atomic_store_explicit(&play_slots[op->slot], block != NULL ? block : &refused, memory_order_release);
}

static void *aligned(const struct feed_op *op)
{
    size_t align = (size_t)1 << (op->size_kind >> 8 & 63);
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, (size_t)(op->size_kind >> 16)) != 0)
        return NULL;
    return block;
}

static void resize(struct play_lane *lane, const struct feed_op *op)
{
    size_t size = (size_t)(op->size_kind >> 16), had = op->from != MODEL_NONE ? lane->resized : 0;
    void *block = op->from != MODEL_NONE ? take(op->from) : NULL;
    void *moved = realloc(block != &refused ? block : NULL, size);
    if (moved == NULL && size != 0 && block != NULL && block != &refused) {
        lane->refused++;
        moved = block; /* as it was: no byte more of it is touched */
        had = size;
    }
    give(lane, op, moved, had);
}

void play_queue(struct play_lane *lane, const struct feed_op *ops, uint32_t count)
{
    for (const struct feed_op *op = ops; op != ops + count; op++) {
        size_t size = (size_t)(op->size_kind >> 16);
        void *block;
        switch ((enum step_kind)(op->size_kind & 255)) {
        case STEP_MALLOC:
            give(lane, op, malloc(size), 0);
            break;
        case STEP_FREE:
            block = take(op->slot);
            lane->live -= (int64_t)size;
            if (block != &refused)
                free(block);
            break;
        case STEP_CALLOC:
            give(lane, op, calloc(1, size), 0);
            break;
        case STEP_ALIGNED:
            give(lane, op, aligned(op), 0);
            break;
        case STEP_LEAVE:
            lane->live -= (int64_t)size;
            lane->resized = size;
            break;
        case STEP_RESIZE:
            resize(lane, op);
            break;
        case STEP_STAY:
            lane->live += (int64_t)size;
            break;
        case STEP_END:
            break;
        }
    }
}

/* ---- Memory ---- */

/* Numbers of /proc/self/statm: size, resident, shared (files too). */
static void read_statm(uint64_t numbers[3])
{
    char text[128];
    memset(numbers, 0, 3 * sizeof(*numbers));
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : 0;
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = '\0';
    char *at = text;
    for (unsigned which = 0; which < 3; which++)
        numbers[which] = strtoull(at, &at, 10);
}

uint64_t play_heap_pages(void)
{
    uint64_t numbers[3];
    read_statm(numbers);
    return numbers[1] > numbers[2] ? numbers[1] - numbers[2] : 0;
}

uint64_t play_heap_pages_at_most_rss(void)
{
    static char text[8192];
    uint64_t numbers[3];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : 0;
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, "VmHWM:"); /* ru_maxrss would be that of whoever became this process, too */
    uint64_t most = line != NULL ? strtoull(line + 6, NULL, 10) * 1024 / (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    read_statm(numbers);
    return most > numbers[2] ? most - numbers[2] : 0;
}
