/* SPDX-License-Identifier: MIT
 *
 * Reads memory word by word, without harm, whatever has been done to it.
 */
#include "box/leaks_priv.h"

#include "os/os.h"

#define WORD sizeof(uintptr_t)

/* Programs protect pages, not parts of them. */
#define ASKED_FROM ((size_t)4096)

/* Blocks from here on may have pages that were never written. */
#define SPARSE_FROM ((size_t)65536)

struct hk_leak_block *hk_leaks_block_at(const struct hk_leak_scan *s, uintptr_t address)
{
    if (address - s->lowest >= s->span)
        return NULL;
    size_t low = 0, n = s->blocks.count; /* the last that begins there or before lies in [low, low + n) */
    while (n > 1) {
        size_t half = n / 2;
        if (s->blocks.item[low + half].start <= address) {
            low += half;
            n -= half;
        } else {
            n = half;
        }
    }
    struct hk_leak_block *block = &s->blocks.item[low];
    return address - block->start < block->size ? block : NULL;
}

static void use_words(struct hk_leak_scan *s, uintptr_t from, uintptr_t to, hk_leak_use *use)
{
    for (const uintptr_t *at = (const uintptr_t *)from; (uintptr_t)at < to; at++) {
        if (*at - s->lowest < s->span)
            use(s, *at);
    }
}

void hk_leaks_words(struct hk_leak_scan *s, uintptr_t from, uintptr_t to, enum hk_pages which, hk_leak_use *use)
{
    size_t page = hk_os_page_size();
    bool is[HK_PAGES_ASKED];
    while (from < to) {
        uintptr_t start = hk_align_down(from, page), end = hk_align_up(to, page);
        unsigned n = (unsigned)hk_min((end - start) / page, HK_PAGES_ASKED);
        hk_pages_look(s->pages, start, n, which, is);
        for (unsigned i = 0; i < n; i++, start += page, from = start) {
            if (is[i] && hk_unwind_can_read(start))
                use_words(s, from, hk_min(start + page, to), use);
        }
    }
}

void hk_leaks_words_of(struct hk_leak_scan *s, const struct hk_leak_block *block, hk_leak_use *use)
{
    uintptr_t end = block->start + hk_align_down(block->size, WORD);
    if (block->size < ASKED_FROM)
        use_words(s, block->start, end, use);
    else
        hk_leaks_words(s, block->start, end, block->size < SPARSE_FROM ? HK_PAGES_ALL : HK_PAGES_OWN, use);
}
