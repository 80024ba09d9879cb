/* SPDX-License-Identifier: MIT
 *
 * hard_priv: what the sources of hard.h share. Included by front/hardened/ANY.c only.
 *
 * Who synchronises: as in hard.h. Must not know the public names.
 */
#ifndef HK_FRONT_HARDENED_HARD_PRIV_H
#define HK_FRONT_HARDENED_HARD_PRIV_H

#include "front/hardened/hard.h"
#include "superslab/block.h"

/* A block of `size` bytes with room for `roomy`; NULL and ENOMEM. */
void *hk_hard_malloc_roomy(size_t size, size_t roomy);

/* Writes the end of a live block, wherever that is now. */
void hk_hard_set_end(void *ptr, size_t size);

/* Holds a freed block back, and lets another one go in its place. False: not of that kind. */
bool hk_hard_hold(const struct hk_block *block);

struct hk_hard_end {
    size_t size; /* that was asked for */
    bool of_new; /* by operator new */
};

/* Reads the end of a live block that has one; false after a message. */
bool hk_hard_open(const struct hk_block *block, const char *verb, struct hk_hard_end *found);

#endif
