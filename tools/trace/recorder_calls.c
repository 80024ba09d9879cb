/* SPDX-License-Identifier: MIT
 *
 * The functions that libhakmem-record.so has in the place of malloc's: each passes its call on to the next library in
 * line that has it, and has it noted. C++'s operators are calls of malloc and free, as they are of most allocators;
 * what malloc refuses is left to the next operator, which asks the program's handler and throws.
 */
#define _GNU_SOURCE

#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*memalign)(size_t, size_t);
} next;

/* What is asked for while the next functions are looked up: dlsym itself may allocate. Never given back. */
static _Alignas(16) unsigned char early[16384];
static size_t early_used;
static bool looking;

static void *early_block(size_t size)
{
    size_t whole = (size + 31) & ~(size_t)15;
    if (size > sizeof(early) || whole > sizeof(early) - early_used)
        return NULL;
    unsigned char *head = early + early_used;
    memcpy(head, &size, sizeof(size));
    early_used += whole;
    return head + 16;
}

static bool is_early(const void *block)
{
    return (uintptr_t)block - (uintptr_t)early < sizeof(early);
}

static void look(const char *name, void *place)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(place, &found, sizeof(found));
}

void record_find_next(void)
{
    static const char none[] = "hakmem: record: there is no malloc to pass calls on to\n";
    if (next.malloc != NULL)
        return;
    looking = true;
    look("calloc", &next.calloc);
    look("realloc", &next.realloc);
    look("free", &next.free);
    look("posix_memalign", &next.posix_memalign);
    look("memalign", &next.memalign);
    look("malloc", &next.malloc);
    looking = false;
    if (next.malloc == NULL || next.calloc == NULL || next.realloc == NULL || next.free == NULL ||
        next.posix_memalign == NULL) {
        (void)!write(2, none, sizeof(none) - 1);
        _exit(125);
    }
}

/* True where the call has to be served from `early`. */
static inline bool too_early(void)
{
    if (__builtin_expect(next.malloc != NULL, 1))
        return false;
    if (!looking)
        record_find_next();
    return next.malloc == NULL;
}

EXPORT void *malloc(size_t size)
{
    if (too_early())
        return early_block(size);
    struct stream *stream = record_enter();
    void *block = next.malloc(size);
    if (stream != NULL) {
        record_block(stream, false, block, size);
        record_leave(stream);
    }
    return block;
}

EXPORT void *calloc(size_t count, size_t each)
{
    size_t size = 0;
    bool fits = !__builtin_mul_overflow(count, each, &size);
    if (too_early())
        return fits ? early_block(size) : NULL;
    struct stream *stream = record_enter();
    void *block = next.calloc(count, each);
    if (stream != NULL) {
        record_block(stream, true, block, size);
        record_leave(stream);
    }
    return block;
}

EXPORT void free(void *block)
{
    if (__builtin_expect(is_early(block) || too_early(), 0))
        return;
    struct stream *stream = record_enter();
    if (stream != NULL) {
        record_gone(stream, false, block);
        next.free(block);
        record_leave(stream);
        return;
    }
    next.free(block);
}

static void *move_early(const void *block, size_t size)
{
    size_t had;
    memcpy(&had, (const unsigned char *)block - 16, sizeof(had));
    void *moved = malloc(size);
    if (moved != NULL)
        memcpy(moved, block, had < size ? had : size);
    return moved;
}

EXPORT void *realloc(void *block, size_t size)
{
    if (is_early(block))
        return move_early(block, size);
    if (too_early())
        return early_block(size);
    struct stream *stream = record_enter();
    if (stream == NULL)
        return next.realloc(block, size);
    record_gone(stream, true, block);
    void *moved = next.realloc(block, size);
    record_resized(stream, moved, size);
    record_leave(stream);
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t each)
{
    size_t size;
    if (__builtin_mul_overflow(count, each, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, size);
}

EXPORT int posix_memalign(void **place, size_t align, size_t size)
{
    if (too_early())
        return ENOMEM;
    struct stream *stream = record_enter();
    int status = next.posix_memalign(place, align, size);
    if (stream != NULL) {
        record_aligned(stream, status == 0 ? *place : NULL, align, size);
        record_leave(stream);
    }
    return status;
}

/* The functions that return an aligned block differ in what they refuse: the next library decides. */
static void *aligned(void *(*call)(size_t, size_t), size_t align, size_t size)
{
    struct stream *stream = record_enter();
    void *block = call(align, size);
    if (stream != NULL) {
        record_aligned(stream, block, align, size);
        record_leave(stream);
    }
    return block;
}

static void *with_posix_memalign(size_t align, size_t size)
{
    void *block = NULL;
    int status = next.posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, size);
    if (status != 0)
        errno = status;
    return status == 0 ? block : NULL;
}

EXPORT void *memalign(size_t align, size_t size)
{
    if (too_early())
        return NULL;
    return aligned(next.memalign != NULL ? next.memalign : with_posix_memalign, align, size);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    if (align == 0 || (align & (align - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return memalign(align, size);
}

EXPORT void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return memalign(page, (size + page - 1) & ~(page - 1));
}

EXPORT void free_sized(void *block, size_t size)
{
    (void)size;
    free(block);
}

EXPORT void free_aligned_sized(void *block, size_t align, size_t size)
{
    (void)align;
    (void)size;
    free(block);
}

/* ---- C++ ---- */

/* Of the next operator: it may have a malloc of its own, that no call of ours leads to. */
#define NEXT_NEW(name, call, block, align, size) \
    do {                                         \
        look(#name, &after);                     \
        if (after != NULL) {                     \
            record_forget();                     \
            block = call;                        \
            record_found(block, align, size);    \
        }                                        \
    } while (0)
#define NEW(name)                                        \
    EXPORT void *name(size_t size)                       \
    {                                                    \
        void *block = malloc(size);                      \
        void *(*after)(size_t) = NULL;                   \
        if (block == NULL)                               \
            NEXT_NEW(name, after(size), block, 0, size); \
        return block;                                    \
    }
#define NEW_NOTHROW(name)                                     \
    EXPORT void *name(size_t size, const void *tag)           \
    {                                                         \
        void *block = malloc(size);                           \
        void *(*after)(size_t, const void *) = NULL;          \
        if (block == NULL)                                    \
            NEXT_NEW(name, after(size, tag), block, 0, size); \
        return block;                                         \
    }
#define NEW_ALIGNED(name)                                           \
    EXPORT void *name(size_t size, size_t align)                    \
    {                                                               \
        void *block = memalign(align, size);                        \
        void *(*after)(size_t, size_t) = NULL;                      \
        if (block == NULL)                                          \
            NEXT_NEW(name, after(size, align), block, align, size); \
        return block;                                               \
    }
#define NEW_ALIGNED_NOTHROW(name)                                        \
    EXPORT void *name(size_t size, size_t align, const void *tag)        \
    {                                                                    \
        void *block = memalign(align, size);                             \
        void *(*after)(size_t, size_t, const void *) = NULL;             \
        if (block == NULL)                                               \
            NEXT_NEW(name, after(size, align, tag), block, align, size); \
        return block;                                                    \
    }
/* What else a delete is told, a size, an alignment or a tag, changes nothing. */
#define DELETE(name)              \
    EXPORT void name(void *block) \
    {                             \
        free(block);              \
    }

NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE(_ZdlPvm)
DELETE(_ZdaPvm)
DELETE(_ZdlPvRKSt9nothrow_t)
DELETE(_ZdaPvRKSt9nothrow_t)
DELETE(_ZdlPvSt11align_val_t)
DELETE(_ZdaPvSt11align_val_t)
DELETE(_ZdlPvmSt11align_val_t)
DELETE(_ZdaPvmSt11align_val_t)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t)
