/* SPDX-License-Identifier: MIT
 *
 * See reader.h. Chunks are opened when the order reaches their first event; those that are open lie in a heap by the
 * number of their next.
 */
#define _GNU_SOURCE

#include "reader.h"

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

struct reader_cursor {
    uint32_t thread;
    struct trace_coder coder;
    struct trace_event event; /* the next one */
    const unsigned char *at, *end;
    unsigned char bytes[];
};

static bool read_at(struct reader *reader, void *bytes, size_t size, uint64_t offset)
{
    char *at = bytes;
    while (size != 0) {
        ssize_t done = pread(reader->file, at, size, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            trace_die("%s cannot be read: %s", reader->path, strerror(errno));
        if (done == 0)
            return false;
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return true;
}

static void *must(void *memory)
{
    if (memory == NULL)
        trace_die("no memory");
    return memory;
}

_Noreturn static void damaged(const struct reader *reader, uint64_t offset)
{
    trace_die("%s is damaged at byte %llu", reader->path, (unsigned long long)offset);
}

static int by_number(const void *a, const void *b)
{
    const struct reader_place *left = a, *right = b;
    if (left->chunk.number != right->chunk.number)
        return left->chunk.number < right->chunk.number ? -1 : 1;
    return left->offset < right->offset ? -1 : 1;
}

static void read_touches(struct reader *reader, const struct trace_chunk *chunk, uint64_t body)
{
    size_t count = chunk->bytes / sizeof(*reader->touches);
    if (chunk->packed != chunk->bytes || reader->touches != NULL)
        damaged(reader, body);
    reader->touches = must(malloc(chunk->bytes + 1));
    reader->touch_count = read_at(reader, reader->touches, count * sizeof(*reader->touches), body) ? count : 0;
}

/* Goes from chunk to chunk; what is cut off at the end is left out. */
static void find_places(struct reader *reader)
{
    size_t room = 0, largest = 0;
    uint64_t offset = sizeof(reader->header);
    struct trace_chunk chunk;
    while (offset + sizeof(chunk) <= reader->size && read_at(reader, &chunk, sizeof(chunk), offset)) {
        uint64_t body = offset + sizeof(chunk);
        if (body + chunk.packed > reader->size)
            break;
        if (chunk.thread == TRACE_SUMMARY) {
            reader->whole = chunk.packed == sizeof(reader->summary) &&
                            read_at(reader, &reader->summary, sizeof(reader->summary), body);
            break;
        }
        if (chunk.thread == TRACE_TOUCHED) {
            read_touches(reader, &chunk, body);
            offset = body + chunk.packed;
            continue;
        }
        if (chunk.bytes == 0 || chunk.bytes > TRACE_CHUNK || chunk.packed > 2 * TRACE_CHUNK ||
            chunk.thread >= UINT32_MAX / 2)
            damaged(reader, offset);
        if (reader->count == room) {
            room = room != 0 ? 2 * room : 256;
            reader->places = must(realloc(reader->places, room * sizeof(*reader->places)));
        }
        reader->places[reader->count++] = (struct reader_place){.offset = body, .chunk = chunk};
        reader->threads = chunk.thread >= reader->threads ? chunk.thread + 1 : reader->threads;
        largest = chunk.packed > largest ? chunk.packed : largest;
        offset = body + chunk.packed;
    }
    if (reader->count != 0)
        qsort(reader->places, reader->count, sizeof(*reader->places), by_number);
    reader->packed = must(malloc(largest + 1));
}

void reader_open(struct reader *reader, const char *path, bool wait)
{
    struct stat status;
    *reader = (struct reader){.path = path, .file = open(path, O_RDONLY | O_CLOEXEC)};
    if (reader->file < 0)
        trace_die("%s cannot be read: %s", path, strerror(errno));
    if (wait && flock(reader->file, LOCK_SH | LOCK_NB) != 0) {
        fprintf(stderr, "hakmem: %s is being written: waiting for the end of the recording\n", path);
        while (flock(reader->file, LOCK_SH) != 0 && errno == EINTR)
            continue;
    }
    if (fstat(reader->file, &status) != 0 || !S_ISREG(status.st_mode))
        trace_die("%s is no file", path);
    reader->size = (uint64_t)status.st_size;
    if (!read_at(reader, &reader->header, sizeof(reader->header), 0) ||
        memcmp(reader->header.magic, TRACE_MAGIC, sizeof(reader->header.magic)) != 0)
        trace_die("%s is no trace of `hakmem record`", path);
    reader->header.command[TRACE_COMMAND] = '\0';
    find_places(reader);
    reader->unpacker = must(ZSTD_createDCtx());
}

void reader_close(struct reader *reader)
{
    free(reader->current);
    while (reader->heap_count != 0)
        free(reader->heap[--reader->heap_count]);
    free(reader->heap);
    free(reader->places);
    free(reader->packed);
    free(reader->touches);
    ZSTD_freeDCtx(reader->unpacker);
    close(reader->file);
}

/* ---- The heap ---- */

static void push(struct reader *reader, struct reader_cursor *cursor)
{
    if (reader->heap_count == reader->heap_room) {
        reader->heap_room = reader->heap_room != 0 ? 2 * reader->heap_room : 16;
        reader->heap = must(realloc(reader->heap, reader->heap_room * sizeof(struct reader_cursor *)));
    }
    size_t at = reader->heap_count++;
    while (at != 0 && cursor->event.number < reader->heap[(at - 1) / 2]->event.number) {
        reader->heap[at] = reader->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    reader->heap[at] = cursor;
}

static struct reader_cursor *pop(struct reader *reader)
{
    struct reader_cursor **heap = reader->heap, *first = heap[0];
    struct reader_cursor *last = heap[--reader->heap_count];
    size_t at = 0, count = reader->heap_count;
    for (size_t below = 1; below < count; below = 2 * at + 1) {
        if (below + 1 < count && heap[below + 1]->event.number < heap[below]->event.number)
            below++;
        if (last->event.number <= heap[below]->event.number)
            break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = last;
    return first;
}

/* ---- Cursors ---- */

/* To the next event; false behind the last. */
static bool advance(struct reader_cursor *cursor)
{
    cursor->at = trace_decode(cursor->at, cursor->end, &cursor->coder, &cursor->event);
    return cursor->at != NULL;
}

static void open_next(struct reader *reader)
{
    const struct reader_place *place = &reader->places[reader->next++];
    struct reader_cursor *cursor = must(malloc(sizeof(*cursor) + place->chunk.bytes));
    if (!read_at(reader, reader->packed, place->chunk.packed, place->offset))
        damaged(reader, place->offset);
    size_t bytes =
        ZSTD_decompressDCtx(reader->unpacker, cursor->bytes, place->chunk.bytes, reader->packed, place->chunk.packed);
    if (ZSTD_isError(bytes) || bytes != place->chunk.bytes)
        damaged(reader, place->offset);
    cursor->thread = place->chunk.thread;
    cursor->coder = (struct trace_coder){.number = place->chunk.number - 1, .time = place->chunk.time};
    cursor->at = cursor->bytes;
    cursor->end = cursor->bytes + bytes;
    if (!advance(cursor))
        damaged(reader, place->offset);
    push(reader, cursor);
}

/* Makes the cursor with the next event the current one; false where there is none. */
static bool choose(struct reader *reader)
{
    while (reader->next < reader->count &&
           (reader->heap_count == 0 || reader->places[reader->next].chunk.number <= reader->heap[0]->event.number))
        open_next(reader);
    if (reader->heap_count == 0)
        return false;
    reader->current = pop(reader);
    reader->limit = reader->heap_count != 0 ? reader->heap[0]->event.number : UINT64_MAX;
    if (reader->next < reader->count && reader->places[reader->next].chunk.number < reader->limit)
        reader->limit = reader->places[reader->next].chunk.number;
    return true;
}

bool reader_next(struct reader *reader, struct trace_event *event, uint32_t *thread)
{
    if (reader->current == NULL && !choose(reader))
        return false;
    struct reader_cursor *current = reader->current;
    *event = current->event;
    *thread = current->thread;
    if (!advance(current)) {
        free(current);
        reader->current = NULL;
    } else if (current->event.number >= reader->limit) {
        reader->current = NULL;
        push(reader, current);
    }
    return true;
}
