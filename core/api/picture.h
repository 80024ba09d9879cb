/* SPDX-License-Identifier: MIT
 *
 * picture: the heap as one page to look at: a row for each SuperSlab with a cell for each slab, the arenas as strips,
 * totals and legend. SVG in a self-contained page, well-formed XML, no script.
 *
 * picture_read.c copies from the boxes into the records below, one at a time and each under its box's lock, so that
 * nothing is written while a lock is held and a heap of any size needs no more than a stack. picture_draw.c and
 * picture_page.c write them down, picture_when.c knows when and where to. Nothing allocates.
 */
#ifndef HK_API_PICTURE_H
#define HK_API_PICTURE_H

#include "api/statistics.h"
#include "api/usage.h"
#include "base/fmt.h"

/* ---- what is seen ---- */

enum hk_cell_kind {
    HK_CELL_UNUSED,    /* never used since its SuperSlab was made, known to be zero */
    HK_CELL_PURGED,    /* UNUSED too: its pages were given back */
    HK_CELL_EMPTY,     /* nothing lives in it; its pages may be resident */
    HK_CELL_OWNED,     /* a thread's */
    HK_CELL_ABANDONED, /* owned, but its thread has ended */
    HK_CELL_KINDS
};

/* A slab, or a span of an owned one. */
struct hk_cell {
    uint8_t kind; /* enum hk_cell_kind */
    uint8_t slabs;
    uint8_t cls;             /* of owned ones */
    uint8_t state;           /* enum hk_slab_state, of owned ones */
    uint32_t used, capacity; /* blocks, of owned ones */
};

struct hk_row {
    char *base;
    unsigned node; /* NUMA node */
    unsigned cells;
    struct hk_cell cell[HK_SLABS];
};

/* Slabs by kind, hot and cold ones of those that are owned. */
struct hk_slab_sums {
    size_t superslabs;
    size_t slabs[HK_CELL_KINDS];
    size_t hot, cold;
};

void hk_picture_sum(struct hk_slab_sums *sums);

/* The lowest SuperSlabs above the address `after`, upwards: at most n, their number is returned. */
unsigned hk_picture_superslabs(const char *after, char **base, unsigned n);

/* What lies in one of them. False: it is not there any more. */
bool hk_picture_row(char *base, struct hk_row *row);

#define HK_STRIP_PARTS 256u

/* The units of the SSArena from an address to another, in equal parts. */
struct hk_strip {
    char *base;
    size_t size;
    size_t step; /* bytes of a part, a multiple of every page size */
    unsigned parts;
    size_t superslabs, runs, free, resident; /* bytes; `resident` is a part of `free` */
    struct {
        uint32_t superslab, run, resident; /* KiB */
    } part[HK_STRIP_PARTS];
};

/* The strip with that number; false: there are fewer. */
bool hk_picture_arena(unsigned number, struct hk_strip *strip);

#define HK_LARGE_KINDS 16u /* up to 64 KiB, 128 KiB, ..., 1 GiB, more */

/* Page runs and huge blocks by size. */
struct hk_large {
    size_t count[HK_LARGE_KINDS];
    size_t bytes[HK_LARGE_KINDS];
};

void hk_picture_large(struct hk_large *large);

/* ---- how it is drawn ---- */

/* Rows of which each cell tells what it is when pointed at; of later ones the row does. */
#define HK_ROWS_TOLD 512u
/* Rows that are drawn; of what comes after the page says how much it is. So a page has at most about 15 MB. */
#define HK_ROWS_MOST 4096u

/* Writes the whole page; `moment` says when it was drawn. */
void hk_picture_draw(struct hk_fmt *f, const char *moment);

/* Its parts. */
void hk_picture_head(struct hk_fmt *f, const char *moment);
void hk_picture_totals(struct hk_fmt *f, const struct hk_usage *u, const struct hk_slab_sums *sums);
void hk_picture_legend(struct hk_fmt *f, const struct hk_usage *u, const struct hk_slab_sums *sums);
void hk_picture_tail(struct hk_fmt *f);

/* ---- when it is drawn ---- */

/* Signal and helper thread of HAKMEM_HEAP_PICTURE_SIGNAL; the file of HAKMEM_HEAP_PICTURE at exit. */
HK_ONCE void hk_picture_start(void);
HK_ONCE void hk_picture_finish(void);

/* In the child of a fork: no picture is being drawn, and the helper thread did not come along. */
void hk_picture_fork_child(bool may_start);

#endif
