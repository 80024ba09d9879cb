/* SPDX-License-Identifier: MIT */
#include "model.h"

#include "check.h"
#include "pattern.h"

struct model_block model[MODEL_SLOTS];
size_t model_bytes;

#define WHOLE ((size_t)65536)
#define HEAD ((size_t)16384)
#define STEP ((size_t)1 << 20)
#define PAGE ((size_t)4096)

/* The whole usable size is filled where that is cheap: the user owns it. Of large blocks the head, a byte in each step,
 * and the last byte. */
static size_t filled(const struct model_block *b)
{
    return b->usable < WHOLE ? b->usable : HEAD;
}

static void fill(const struct model_block *b)
{
    pattern_fill(b->start, filled(b), b->pattern);
    for (size_t at = STEP; at < b->size; at += STEP)
        b->start[at] = (unsigned char)(b->pattern + at / STEP);
    if (b->size > filled(b))
        b->start[b->size - 1] = (unsigned char)b->pattern;
}

static void check_steps(const struct model_block *b, const unsigned char *bytes, size_t size)
{
    for (size_t at = STEP; at + 1 < size; at += STEP)
        CHECKF(bytes[at] == (unsigned char)(b->pattern + at / STEP), "of %zu bytes, now %zu, byte %zu is lost", b->size,
               size, at);
}

void model_check(size_t slot)
{
    const struct model_block *b = &model[slot];
    CHECKF(pattern_check(b->start, filled(b), b->pattern) == filled(b), "%p of %zu bytes is damaged", (void *)b->start,
           b->size);
    check_steps(b, b->start, b->size);
    CHECKF(b->size <= filled(b) || b->start[b->size - 1] == (unsigned char)b->pattern,
           "the end of %p, %zu bytes, is damaged", (void *)b->start, b->size);
}

void model_kept(const struct model_block *before, const void *start, size_t size)
{
    size_t kept = size < before->size ? size : before->size, head = kept < filled(before) ? kept : filled(before);
    CHECKF(pattern_check(start, head, before->pattern) == head, "of %zu bytes at %p, now %zu at %p, some are lost",
           before->size, (void *)before->start, size, start);
    check_steps(before, start, kept);
}

void model_add(size_t slot, void *start, size_t size, size_t usable, size_t alignment)
{
    struct model_block *b = &model[slot];
    CHECK(!b->start);
    CHECKF(start, "no memory for %zu bytes", size);
    *b = (struct model_block){start, size, usable, (uintptr_t)start * 3 + size};
    CHECKF(usable >= size, "%p holds %zu bytes, asked for were %zu", start, usable, size);
    CHECKF((uintptr_t)start % alignment == 0, "%p is not aligned to %zu", start, alignment);
    for (size_t i = 0; i < MODEL_SLOTS; i++) {
        const struct model_block *other = &model[i];
        CHECKF(i == slot || !other->start || b->start + usable <= other->start ||
                   other->start + other->usable <= b->start,
               "%p of %zu bytes overlaps %p of %zu", start, usable, (void *)other->start, other->usable);
    }
    fill(b);
    model_bytes += size;
}

struct model_block model_take(size_t slot)
{
    struct model_block taken = model[slot];
    model_check(slot);
    model_bytes -= taken.size;
    model[slot].start = NULL;
    return taken;
}

static void check_zero(const unsigned char *bytes, size_t from, size_t to, size_t step)
{
    for (size_t at = from; at < to; at += step)
        CHECKF(bytes[at] == 0, "byte %zu at %p is not zero", at, (const void *)bytes);
}

void model_zero(const void *start, size_t size)
{
    size_t head = size < WHOLE ? size : WHOLE, pages = size < STEP ? size : STEP;
    CHECKF(pattern_nonzero(start, head) == head, "%zu bytes at %p are not zero", size, start);
    check_zero(start, head, pages, PAGE);
    check_zero(start, pages, size, STEP / 8);
    CHECKF(size == 0 || ((const unsigned char *)start)[size - 1] == 0, "the last of %zu bytes at %p is not zero", size,
           start);
}
