/* SPDX-License-Identifier: MIT
 *
 * slots: how many blocks an array may ever hold, and the room of all arrays, for fronts whose arrays grow step by step:
 * v2, for a thread, and percpu, for a processor. Included by front/ANY/front_box.h only, behind
 * front/room.h, which has HK_MID_ROOM.
 *
 * Constants; nobody synchronises. Must not know what an array is.
 */
#ifndef HK_FRONT_SLOTS_H
#define HK_FRONT_SLOTS_H

/* The most blocks of that size in an array. One that is half full misses after (cap / 2)^2 operations of its class on
 * the average, so room pays quadratically. Nodes of lists and trees come and go by hundreds; of Mid blocks it is
 * 128 KiB, but never fewer than HK_MID_ROOM. */
#define HK_BIN_MAX(size)                                  \
    ((size) <= 32            ? 512u                       \
     : (size) <= 128         ? 256u                       \
     : (size) <= 256         ? 128u                       \
     : (size) <= 512         ? 64u                        \
     : (size) <= HK_TINY_MAX ? 65536u / (unsigned)(size)  \
     : (size) <= 2048        ? 64u                        \
     : (size) <= 8192        ? 131072u / (unsigned)(size) \
                             : HK_MID_ROOM(size))

/* Pointers for all arrays, one in each never used. */
#define HK_FRONT_SLOTS \
    (0u HK_TINY_CLASSES(HK_BIN_SLOTS, 0) HK_MID_CLASSES(HK_BIN_SLOTS, 0) HK_WIDE_CLASSES(HK_BIN_SLOTS, 0))
#define HK_BIN_SLOTS(size, n) +(HK_BIN_MAX(size) + 1u)

#endif
