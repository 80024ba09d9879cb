/* SPDX-License-Identifier: MIT
 *
 * A trace: what a program asked of malloc and free, in what order, from which thread and when. This header is what the
 * recorder (which encodes) and the reader (which decodes) have in common; it calls nothing.
 *
 * A file is a header, then packed chunks, then a summary. A chunk holds events of one thread in their order; each is
 * one frame of zstd's. Events of all threads are numbered from one counter: a block's number is taken after malloc
 * returned it and before free is called with it, so that whoever gets the same address next, or frees what another
 * made, has a higher one. A file that ends early is a trace up to there.
 *
 * Numbers are as the machine has them, little endian: a trace is for machines like the one that made it.
 */
#ifndef HAKMEM_TRACE_FORMAT_H
#define HAKMEM_TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TRACE_MAGIC "hktrace1"
#define TRACE_COMMAND 480              /* bytes of the command line that are kept */
#define TRACE_SUMMARY UINT32_MAX       /* the "thread" of the summary */
#define TRACE_CHUNK 65536              /* bytes of events, not packed, are fewer */
#define TRACE_TOUCHED (UINT32_MAX - 1) /* the "thread" of a list of struct trace_touch */
#define TRACE_LARGE 8192               /* of blocks from here on it is told how much of them was ever resident */
#define TRACE_EVENT_MAX 54             /* bytes of one event, at most */
#define TRACE_ADDRESS_SHIFT 3          /* no two blocks begin within 8 bytes */
#define TRACE_TIME_SHIFT 11            /* ticks of the processor's counter in a unit of time: less than a microsecond */

enum trace_kind {
    TRACE_MALLOC,
    TRACE_CALLOC,
    TRACE_ALIGNED,
    TRACE_FREE,
    TRACE_LEAVE,   /* a realloc begins: from here on the address may be anybody's */
    TRACE_RESIZED, /* it has returned a block; without a TRACE_LEAVE before it was given NULL */
    TRACE_KEPT,    /* it has returned none: with a size it failed and the block stays, with 0 it was a free */
    TRACE_END,     /* the thread ends; or with an address, what is known of a block when the program ends */
};

struct trace_event {
    uint64_t number;  /* in the order of all threads */
    uint64_t time;    /* units of TRACE_TIME_SHIFT, from the start of the recording */
    uint64_t address; /* in units of TRACE_ADDRESS_SHIFT */
    uint64_t size;    /* that was asked for; 0 of TRACE_FREE, TRACE_LEAVE, TRACE_END */
    uint64_t
        touched; /* of TRACE_FREE, TRACE_LEAVE and TRACE_END (of a block that stays): resident pages + 1; 0: unknown */
    uint32_t kind;
    uint32_t align_log2; /* of TRACE_ALIGNED */
};

/* What an event is written relative to. Of a new chunk: the header's, and zeros. */
struct trace_coder {
    uint64_t number, time, address, size;
};

struct trace_header {
    char magic[8];
    uint32_t pid, unused;
    uint64_t seconds; /* since 1970, when the recording began */
    char command[TRACE_COMMAND + 8];
};

struct trace_chunk {
    uint32_t packed; /* bytes that follow */
    uint32_t bytes;  /* that they are when unpacked */
    uint32_t thread; /* numbered as they come; or TRACE_SUMMARY, whose bytes are not packed */
    uint32_t unused;
    uint64_t number, time; /* of the first event */
};

struct trace_summary {
    uint64_t events, threads;
    uint64_t lost;    /* events that could not be written: the trace is not exact */
    uint64_t refused; /* allocations that failed; they are no events */
    uint64_t units_per_second;
    uint64_t peak_bytes, peak_number; /* the most that was asked for and not freed, and the event after which */
    uint64_t peak_blocks;             /* live then */
    uint64_t peak_time;
    uint64_t duration;                /* units; of the last event */
    uint64_t unknown;                 /* frees of blocks from before the recording */
    uint64_t reused;                  /* addresses handed out again without a free that was seen */
    uint64_t left_blocks, left_bytes; /* live at the end */
    uint64_t allocations, frees, resizes;
    uint64_t most_blocks; /* live at once; the peak of bytes may be another moment */
    uint64_t pid;         /* that was recorded */
};

/* A large block of which not all was resident when it was freed. */
struct trace_touch {
    uint64_t number; /* of the event that made it */
    uint64_t pages;
};

enum {
    TRACE_KIND_BITS = 7,
    TRACE_HAS_NUMBER = 8, /* another one than the next */
    TRACE_HAS_TIME = 16,  /* another one than before */
    TRACE_HAS_TOUCHED = 64,
    TRACE_SAME_SIZE = 32, /* as of the event before that had one */
};

static inline bool trace_has_size(uint32_t kind)
{
    return kind <= TRACE_ALIGNED || kind == TRACE_RESIZED || kind == TRACE_KEPT;
}

static inline unsigned char *trace_put(unsigned char *at, uint64_t value)
{
    while (value >= 128) {
        *at++ = (unsigned char)(value | 128);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

/* Steps over a number; NULL where it does not end before `end`. */
static inline const unsigned char *trace_get(const unsigned char *at, const unsigned char *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; at != NULL && at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 127) << shift;
        if (*at++ < 128)
            return at;
    }
    return NULL;
}

/* At most TRACE_EVENT_MAX bytes. */
static inline unsigned char *trace_encode(unsigned char *at, struct trace_coder *coder, const struct trace_event *event)
{
    unsigned char *first = at++;
    int64_t step = (int64_t)(event->address - coder->address);
    bool same = trace_has_size(event->kind) && event->size == coder->size;
    *first = (unsigned char)event->kind;
    if (event->number != coder->number + 1) {
        *first |= TRACE_HAS_NUMBER;
        at = trace_put(at, event->number - coder->number);
    }
    if (event->time > coder->time) {
        *first |= TRACE_HAS_TIME;
        at = trace_put(at, event->time - coder->time);
        coder->time = event->time;
    }
    at = trace_put(at, ((uint64_t)step << 1) ^ (uint64_t)(step >> 63));
    if (same) {
        *first |= TRACE_SAME_SIZE;
    } else if (trace_has_size(event->kind)) {
        at = trace_put(at, event->size);
        coder->size = event->size;
    }
    if (event->kind == TRACE_ALIGNED)
        *at++ = (unsigned char)event->align_log2;
    if (event->touched != 0) {
        *first |= TRACE_HAS_TOUCHED;
        at = trace_put(at, event->touched);
    }
    coder->number = event->number;
    coder->address = event->address;
    return at;
}

/* The next place, or NULL where the bytes are no event. */
static inline const unsigned char *trace_decode(const unsigned char *at, const unsigned char *end,
                                                struct trace_coder *coder, struct trace_event *event)
{
    uint64_t step = 0, value = 1;
    if (at >= end)
        return NULL;
    uint32_t first = *at++;
    *event = (struct trace_event){.kind = first & TRACE_KIND_BITS};
    if ((first & TRACE_HAS_NUMBER) != 0)
        at = trace_get(at, end, &value);
    coder->number += value;
    if ((first & TRACE_HAS_TIME) != 0) {
        at = trace_get(at, end, &value);
        coder->time += value;
    }
    at = trace_get(at, end, &step);
    coder->address += (step >> 1) ^ -(step & 1);
    if (trace_has_size(event->kind)) {
        if ((first & TRACE_SAME_SIZE) == 0)
            at = trace_get(at, end, &coder->size);
        event->size = coder->size;
    }
    if (event->kind == TRACE_ALIGNED && at != NULL) {
        if (at == end)
            return NULL;
        event->align_log2 = *at++;
    }
    if ((first & TRACE_HAS_TOUCHED) != 0)
        at = trace_get(at, end, &event->touched);
    event->number = coder->number;
    event->time = coder->time;
    event->address = coder->address;
    return at;
}

/* The processor's counter; where none can be read, nanoseconds. */
static inline uint64_t trace_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
#endif
}

#endif
