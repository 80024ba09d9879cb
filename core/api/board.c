/* SPDX-License-Identifier: MIT */
#include "api/board.h"

#include "box/peak.h"
#include "box/profile.h"
#include "box/purge.h"
#include "box/side.h"
#include "large/huge.h"
#include "os/numa.h"
#include "os/os.h"
#include "hakmem/hakmem.h"
#include "pages/meta.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

#define HK_BOARD_BIN                                      \
    (HK_FRONT_V2 || HK_FRONT_UNIFIED ? HK_BOARD_BIN_ARRAY \
     : HK_FRONT_RING                 ? HK_BOARD_BIN_RING  \
     : HK_FRONT_NONE                 ? HK_BOARD_BIN_LIST  \
     : HK_FRONT_PERCPU               ? HK_BOARD_BIN_SHELF \
                                     : HK_BOARD_BIN_HIDDEN)

const struct hk_board hk_board = {
    .magic = "hakmem",
    .version = HK_BOARD_VERSION,
    .numbers = HK_BOARD_NUMBER_COUNT,
    .places = HK_BOARD_PLACE_COUNT,
    .release = TEXT(HAKMEM_VERSION_MAJOR) "." TEXT(HAKMEM_VERSION_MINOR) "." TEXT(HAKMEM_VERSION_PATCH),
    .front = HK_FRONT_CHOICE,
#define X(name, address) [HK_BOARD_PLACE_##name] = address,
    .place = {HK_BOARD_PLACES(X)},
#undef X
#define X(name, value) [HK_BOARD_NUMBER_##name] = (uint32_t)(value),
    .number = {HK_BOARD_NUMBERS(X)},
#undef X
};

/* The reader counts on it. */
_Static_assert(sizeof(struct hk_front_metrics) == 32 && offsetof(struct hk_front_metrics, flushed) == 24 &&
                   offsetof(struct hk_class_info, slabs) == 4 && offsetof(struct hk_superslab, base) == 0 &&
                   offsetof(struct hk_node, next) == 0 && offsetof(struct hk_list, first) == 0,
               "as tools/live/board.py has it");

/* Linkers keep notes, and what they lead to. */
__asm__(".pushsection .note.hakmem,\"a\",%note\n"
        ".balign 4\n"
        ".long 7, 8, 1\n"
        ".asciz \"hakmem\"\n"
        ".balign 4\n"
        ".long hk_board - .\n"
        ".long 2\n"
        ".popsection\n");
_Static_assert(HK_BOARD_NOTE == 1 && HK_BOARD_VERSION == 2, "the note says so");
