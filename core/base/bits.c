/* SPDX-License-Identifier: MIT */
#include "base/bits.h"

/* The bits of one word that lie in [first, first + n), where `first` is the position within that word. */
static uint64_t word_mask(size_t first, size_t n)
{
    uint64_t upto = n >= 64 - first ? ~(uint64_t)0 : ((uint64_t)1 << (first + n)) - 1;
    return upto & (~(uint64_t)0 << first);
}

enum change { COUNT, SET, CLEAR };

/* Goes through a range word by word; returns how many bits of it were set before. */
static HK_ALWAYS_INLINE size_t each_word(uint64_t *words, size_t first, size_t n, enum change change)
{
    size_t before = 0;
    while (n > 0) {
        uint64_t *w = &words[first / 64];
        size_t here = hk_min(n, 64 - first % 64);
        uint64_t mask = word_mask(first % 64, here);
        before += hk_count64(*w & mask);
        if (change != COUNT)
            *w = change == SET ? *w | mask : *w & ~mask;
        first += here;
        n -= here;
    }
    return before;
}

size_t hk_bits_set(uint64_t *words, size_t first, size_t n)
{
    return each_word(words, first, n, SET);
}

size_t hk_bits_clear(uint64_t *words, size_t first, size_t n)
{
    return each_word(words, first, n, CLEAR);
}

size_t hk_bits_count(const uint64_t *words, size_t first, size_t n)
{
    return each_word((uint64_t *)words, first, n, COUNT);
}

size_t hk_bits_find(const uint64_t *words, size_t from, size_t end, bool value)
{
    while (from < end) {
        uint64_t w = words[from / 64];
        uint64_t wanted = (value ? w : ~w) & (~(uint64_t)0 << (from % 64));
        if (wanted != 0)
            return hk_min(from - from % 64 + hk_lowest(wanted), end);
        from = from - from % 64 + 64;
    }
    return end;
}

size_t hk_bits_find_last(const uint64_t *words, size_t from, size_t end, bool value)
{
    for (size_t at = end; at > from;) {
        size_t first = (at - 1) - (at - 1) % 64;
        uint64_t w = words[first / 64];
        uint64_t wanted = (value ? w : ~w) & word_mask(0, at - first);
        if (wanted != 0)
            return first + hk_log2(wanted) >= from ? first + hk_log2(wanted) : end;
        at = first;
    }
    return end;
}
