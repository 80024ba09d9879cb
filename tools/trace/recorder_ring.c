/* SPDX-License-Identifier: MIT
 *
 * See recorder_ring.h.
 */
#define _GNU_SOURCE

#include "recorder_ring.h"

#include "futex.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAP_MS 20    /* of sleep, where nobody wakes */
#define GONE_MS 5000 /* without a beat of the writer's: it is gone */
#define IDLE_MS 40   /* in which nothing waits to be written, and no chunk is free */

static uint32_t chunks; /* in the ring; what it says itself may be written over */

void record_say(const char *what, const char *more)
{
    dprintf(2, "hakmem: record: %s%s\n", what, more);
}

/* ---- Waiting for the writer ---- */

struct patience {
    uint32_t beats; /* the last that was seen */
    uint64_t since; /* when that changed; 0: not begun */
    uint64_t idle;  /* since when nothing waits to be written; 0: something does */
};

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* no system call, where there is a vDSO */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Sleeps until the writer has done something, of which `seen` was the last; false where it is gone. By the clock, and
 * not by the number of sleeps: in a sandbox each may end at once. (A system call by its number is no point of
 * cancellation, which malloc is not either.) */
static bool wait_for_writer(struct ring *ring, struct patience *patience, uint32_t seen)
{
    uint64_t now = milliseconds();
    if (seen != patience->beats || patience->since == 0)
        patience->since = now;
    patience->beats = seen;
    if (now - patience->since > GONE_MS || atomic_load_explicit(&ring->over, memory_order_relaxed) != 0)
        return false;
    atomic_fetch_add_explicit(&ring->sleepers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&ring->calls, 1, memory_order_relaxed);
    futex_wake(&ring->calls, 1);
    futex_wait_ms(&ring->beats, seen, NAP_MS);
    atomic_fetch_sub_explicit(&ring->sleepers, 1, memory_order_relaxed);
    return true;
}

/* Has nothing waited to be written for a while, so that no chunk comes back soon? So it is with more threads than
 * chunks. */
static bool is_in_vain(struct ring *ring, struct patience *patience)
{
    if (atomic_load_explicit(&ring->waiting, memory_order_relaxed) != 0) {
        patience->idle = 0;
        return false;
    }
    uint64_t now = milliseconds();
    if (patience->idle == 0)
        patience->idle = now;
    return now - patience->idle > IDLE_MS;
}

struct ring_chunk *record_take_chunk(struct ring *ring, const volatile bool *on)
{
    struct patience patience = {0};
    while (*on) {
        uint32_t seen = atomic_load_explicit(&ring->beats, memory_order_relaxed);
        bool behind = atomic_load_explicit(&ring->waiting, memory_order_relaxed) >= RING_BACKLOG;
        int64_t index = behind ? -1 : ring_pop_free(ring, chunks);
        if (index >= 0)
            return &ring->chunk[index];
        if (is_in_vain(ring, &patience))
            return NULL;
        if (!wait_for_writer(ring, &patience, seen)) {
            record_stop("nobody writes the trace any more: it ends here");
            return NULL;
        }
    }
    return NULL;
}

/* ---- The beginning ---- */

/* Is this the process that is meant? It may be one that became another program: then what was before is dropped. */
static bool claim(struct ring *seen)
{
    uint32_t none = 0, me = (uint32_t)getpid();
    if (seen->only[0] != '\0' && strncmp(seen->only, program_invocation_short_name, sizeof(seen->only)) != 0)
        return false;
    if (atomic_compare_exchange_strong(&seen->pid, &none, me))
        return true;
    if (none != me || atomic_load(&seen->over) != 0)
        return false;
    uint64_t begin = milliseconds();
    atomic_store(&seen->again, RING_AGAIN);
    while (atomic_load(&seen->again) == RING_AGAIN) {
        if (milliseconds() - begin > GONE_MS)
            return false;
        atomic_fetch_add(&seen->calls, 1);
        futex_wake(&seen->calls, 1);
        futex_wait_ms(&seen->again, RING_AGAIN, NAP_MS);
    }
    return true;
}

/* Opens the file that `text` names (RING_VARIABLE); -1 where it is another by now: the writer has ended, and a process
 * with its number has a file with that number, or none. */
static int open_ring(const char *text, struct stat *status)
{
    char path[PATH_MAX];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(path))
        return -1;
    memcpy(path, text, (size_t)(colon - text));
    path[colon - text] = '\0';
    unsigned long long inode = strtoull(colon + 1, NULL, 10);
    if (stat(path, status) != 0 || !S_ISREG(status->st_mode) || status->st_ino != inode)
        return -1; /* not even opened: it may be any device */
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0 && (fstat(file, status) != 0 || status->st_ino != inode)) {
        close(file);
        return -1;
    }
    return file;
}

static uint32_t chunks_of(const struct stat *status)
{
    return (uint32_t)(((size_t)status->st_size - sizeof(struct ring)) / sizeof(struct ring_chunk));
}

struct ring *record_map_ring(const char *text)
{
    struct stat status;
    int file = open_ring(text, &status);
    if (file < 0)
        return NULL; /* the trace is written already */
    void *seen = status.st_size > (off_t)sizeof(struct ring)
                     ? mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                     : MAP_FAILED;
    int saved = errno;
    close(file);
    if (seen == MAP_FAILED) {
        record_say("the memory shared with the writer cannot be mapped: ", strerror(saved));
        return NULL;
    }
    struct ring *found = seen;
    chunks = chunks_of(&status);
    if (found->magic == RING_MAGIC && claim(found))
        return found;
    munmap(seen, (size_t)status.st_size);
    return NULL;
}
