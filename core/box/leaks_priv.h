/* SPDX-License-Identifier: MIT
 *
 * leaks_priv: what the files of the box share. Included by box/leaks_ANY.c and box/leaks.c only.
 */
#ifndef HK_BOX_LEAKS_PRIV_H
#define HK_BOX_LEAKS_PRIV_H

#include "box/leaks.h"
#include "os/maps.h"

enum hk_leak_state {
    HK_LEAK_UNSEEN, /* nothing points to it so far */
    HK_LEAK_REACHED,
    HK_LEAK_IGNORED,  /* is to count as reached */
    HK_LEAK_POINTED,  /* another leaked block points to it */
    HK_LEAK_DIRECT,   /* leaked, */
    HK_LEAK_INDIRECT, /* and reached from one of these */
};

/* A live block; or a range that is not looked into. */
struct hk_leak_block {
    uintptr_t start, tag;
    uint64_t size : 56, state : 8;
};

/* In a mapping of its own that grows. */
struct hk_leak_list {
    struct hk_leak_block *item;
    size_t count, mapped;
};

struct hk_leak_scan {
    struct hk_leaks *leaks;
    const struct hk_leak_ignored *ignored;
    const struct hk_still *still;
    struct hk_leak_list blocks;  /* by address */
    struct hk_leak_list skipped; /* hakmem's own memory: by address, none in another */
    struct hk_leak_list unclear; /* pieces of ours that may be anybody's */
    struct hk_leak_block *other; /* as much room as blocks.item has: for sorting, then for `waiting` */
    size_t other_mapped;
    size_t *waiting; /* numbers of blocks that are reached and not yet looked into */
    size_t waits;
    size_t current;         /* the number of the block that is looked into, while they are looked into in turn */
    uintptr_t lowest, span; /* every block lies in [lowest, lowest + span) */
    struct hk_maps maps;
    int pages;   /* hk_pages_open */
    bool failed; /* no memory */
};

/* What is done with a word that may be a pointer. */
typedef void hk_leak_use(struct hk_leak_scan *s, uintptr_t word);

/* Collects, sorted, all live blocks, and what is hakmem's own. False: no memory. (leaks_blocks.c) */
bool hk_leaks_collect(struct hk_leak_scan *s);
void hk_leaks_sort(struct hk_leak_scan *s, struct hk_leak_list *list, bool by_tag);

/* The words of [from, to), both multiples of eight, on those pages that can be read. (leaks_words.c) */
void hk_leaks_words(struct hk_leak_scan *s, uintptr_t from, uintptr_t to, enum hk_pages which, hk_leak_use *use);
void hk_leaks_words_of(struct hk_leak_scan *s, const struct hk_leak_block *block, hk_leak_use *use);

/* Calls `use` for all words of roots. (leaks_roots.c) */
void hk_leaks_roots(struct hk_leak_scan *s, hk_leak_use *use);

/* The block that an address points into, or NULL. (leaks_words.c) */
struct hk_leak_block *hk_leaks_block_at(const struct hk_leak_scan *s, uintptr_t address);

/* Makes rows of the leaked blocks. Changes their order. (leaks_rows.c) */
bool hk_leaks_rows(struct hk_leak_scan *s);

#endif
