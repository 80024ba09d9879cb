/* SPDX-License-Identifier: MIT */
#include "base/assert.h"

#include "base/fmt.h"
#include "base/held.h"
#include "base/options.h"

#include <stdlib.h>

HK_TLS struct hk_corrupt hk_corrupt_found;
bool hk_misuse_left_behind;

void hk_assert_failed(const char *what, const char *file, int line)
{
    struct hk_fmt f;
    if (HK_CHECK_FAST)
        hk_held_forget();
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: internal error: %s (%s:%d)\n", what, file, line);
    hk_fmt_end(&f);
    abort();
}

/* What an end says, or what was free (superslab/end.h). */
static void put_end(struct hk_fmt *f, enum hk_misuse kind, const char *verb, const void *ptr)
{
    if (kind == HK_MISUSE_PAST_END)
        hk_fmt(f, "write past the end of %p (found by %s)", ptr, verb);
    else if (kind == HK_MISUSE_BEFORE)
        hk_fmt(f, "write before the start of %p, or past the end of the block before it (found by %s)", ptr, verb);
    else
        hk_fmt(f, "write after free into %p (found by %s)", ptr, verb);
}

static void end_line(struct hk_fmt *f)
{
    hk_fmt(f, "\n");
    hk_fmt_end(f);
}

void hk_misuse_size(const void *ptr, size_t size, size_t given)
{
    struct hk_fmt f;
    hk_no_lock_held("reports a misuse");
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: free of %p as %zu bytes, which was asked for as %zu bytes", ptr, given, size);
    end_line(&f);
    hk_misuse_end(HK_MISUSE_INVALID);
}

static void say_where(struct hk_fmt *f, const char *verb, const void *ptr, const void *block, size_t size)
{
    size_t before = (size_t)((const char *)block - (const char *)ptr), behind = -before - size;
    bool is_behind = (const char *)ptr >= (const char *)block;
    hk_fmt(f, "overflow: somebody wrote to %p, %zu bytes %s the %zu-byte block at %p (found by %s)", ptr,
           is_behind ? behind : before, is_behind ? "behind" : "before", size, block, verb);
}

bool hk_misuse_say(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size)
{
    struct hk_fmt f;
    if (kind == HK_MISUSE_DOUBLE_FREE && hk_misuse_left_behind && verb[0] == 'f')
        return false;
    hk_no_lock_held("reports a misuse");
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: ");
    if (kind == HK_MISUSE_DOUBLE_FREE && verb[0] == 'f')
        hk_fmt(&f, "double free of %p", ptr);
    else if (kind == HK_MISUSE_DOUBLE_FREE)
        hk_fmt(&f, "%s of the free block %p", verb, ptr);
    else if (kind == HK_MISUSE_INVALID)
        hk_fmt(&f, "%s of an invalid pointer %p (not a block of this allocator)", verb, ptr);
    else if (kind == HK_MISUSE_ELSEWHERE)
        hk_fmt(&f, "%s of an invalid pointer %p (not a block of this heap)", verb, ptr);
    else if (kind == HK_MISUSE_HEAP)
        hk_fmt(&f, "%s of %p, which is no heap (or is one no more)", verb, ptr);
    else if (kind == HK_MISUSE_INTERIOR)
        hk_fmt(&f, "%s of an interior pointer %p (inside the %zu-byte block at %p)", verb, ptr, size, block);
    else if (kind == HK_MISUSE_BESIDE)
        say_where(&f, verb, ptr, block, size);
    else if (HK_TAIL && kind >= HK_MISUSE_PAST_END)
        put_end(&f, kind, verb, ptr);
    else
        hk_fmt(&f, "corrupted free list in the %zu-byte slab at %p (write after free)", size, ptr);
    if ((kind == HK_MISUSE_DOUBLE_FREE || kind >= HK_MISUSE_PAST_END) && size != 0)
        hk_fmt(&f, " (%zu-byte block)", size);
    end_line(&f);
    return true;
}

void hk_misuse_end(enum hk_misuse kind)
{
    if (hk_opt(HK_OPT_MISUSE) != 0 || kind == HK_MISUSE_CORRUPT)
        abort();
}

void hk_misuse(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size)
{
    if (hk_misuse_say(kind, verb, ptr, block, size))
        hk_misuse_end(kind);
}

void hk_corrupt_note(const void *slab, size_t size)
{
    if (hk_corrupt_found.size == 0)
        hk_corrupt_found = (struct hk_corrupt){slab, size};
}

void hk_wild_note(const void *block)
{
    hk_corrupt_note(block, HK_WILD);
}

void hk_written_note(const void *block, size_t size)
{
    hk_corrupt_note(block, size | HK_WRITTEN);
}

void hk_corrupt_tell(void)
{
    struct hk_corrupt found = hk_corrupt_found;
    hk_corrupt_found.size = 0; /* a handler of SIGABRT may allocate */
    if (found.size == HK_WILD)
        hk_misuse(HK_MISUSE_INVALID, "free", found.slab, NULL, 0);
    else if (HK_FILL && (found.size & HK_WRITTEN) != 0)
        hk_misuse(HK_MISUSE_WRITTEN, "free", found.slab, NULL, found.size - HK_WRITTEN);
    else
        hk_misuse(HK_MISUSE_CORRUPT, "malloc", found.slab, NULL, found.size);
}
