/* SPDX-License-Identifier: MIT
 *
 * board: where everything is that a statistic is made of, for `hakmem top`, `stats` and `run --timeline`, which look
 * from outside (docs/live.md). A process does nothing for it: the board is a constant, and leads to lists and counts
 * that the boxes keep for themselves. So it serves in a process that was started long ago, that is stopped, or whose
 * threads hold every lock.
 *
 * It is found by an ELF note, which stripping leaves alone and which static programs have too: name "hakmem", type
 * HK_BOARD_NOTE, and as its contents the distance from there to the board, and the version, four bytes each.
 *
 * Whoever follows it holds no lock and may find a record in the middle of a change, or a list that goes on elsewhere:
 * it has to bound every walk and to doubt every number. Records are never unmapped. Nothing here is called or written.
 */
#ifndef HK_API_BOARD_H
#define HK_API_BOARD_H

#include "api/board_list.h"
#include "front/front.h"

#define HK_BOARD_VERSION 2
#define HK_BOARD_NOTE 1

/* How the blocks of a bin are counted. */
enum hk_board_bin {
    HK_BOARD_BIN_HIDDEN = 0, /* not from outside: they count as the program's */
    HK_BOARD_BIN_ARRAY,      /* (the 64 bits at 0 less the 16 at 8, as 16 bits) / 8 */
    HK_BOARD_BIN_RING,       /* the byte at 9 less the one at 8, as a byte */
    HK_BOARD_BIN_LIST,       /* the 16 bits at 8 */
    HK_BOARD_BIN_SHELF,      /* the processors' shelves have heads, each counted as an array */
};

enum hk_board_number {
#define X(name, value) HK_BOARD_NUMBER_##name,
    HK_BOARD_NUMBERS(X)
#undef X
        HK_BOARD_NUMBER_COUNT
};

enum hk_board_place {
#define X(name, address) HK_BOARD_PLACE_##name,
    HK_BOARD_PLACES(X)
#undef X
        HK_BOARD_PLACE_COUNT
};

struct hk_board {
    char magic[8]; /* "hakmem" */
    uint32_t version;
    uint16_t numbers, places; /* how many there are of each: what comes later in the lists is unknown here */
    char release[16];         /* hak_version() */
    char front[16];           /* "front=v2" */
    const void *place[HK_BOARD_PLACE_COUNT];
    uint32_t number[HK_BOARD_NUMBER_COUNT];
};

extern HK_HIDDEN const struct hk_board hk_board;

#endif
