/* SPDX-License-Identifier: MIT
 *
 * realloc of blocks with an end: what the front does (front/resize.c), and the end where the block ends then.
 */
#include "front/block.h"
#include "front/hardened/hard_priv.h"
#include "front/resize.h"

#include <errno.h>
#include <string.h>

/* The most that a block gets beyond what was asked for: its end can say no more. */
static size_t roomy_of(size_t size)
{
    return size + hk_min(hk_with_headroom(size) - size, HK_END_SLACK_MAX / 2);
}

static void *move_to_new(const struct hk_block *block, size_t had, size_t size)
{
    size_t roomy = size > had ? roomy_of(size) : size;
    void *to = hk_hard_malloc_roomy(size, roomy);
    if (to == NULL && roomy > size)
        to = hk_hard_malloc_roomy(size, size);
    if (to == NULL)
        return NULL;
    memcpy(to, block->start, hk_min(had, size));
    hk_hard_free(block->start, 0, HK_HARD_ANY);
    return to;
}

/* Where the block cannot stay as it is. */
static void *resize_or_move(const struct hk_block *block, size_t had, size_t size)
{
    int saved = errno;
    void *to = NULL;
    if (block->kind >= HK_BLOCK_RUN)
        to = hk_resize_large(block, hk_hard_wants(size));
    if (to == NULL) {
        errno = saved;
        to = move_to_new(block, had, size);
        if (to == NULL && size <= had)
            to = hk_shrink_where_it_is(block, hk_hard_wants(size));
    }
    if (to == NULL)
        return NULL;
    hk_hard_set_end(to, size);
    errno = saved;
    return to;
}

/* It stays in its heap. */
static void *resize_own(const struct hk_block *block, size_t size)
{
    size_t wants = size + HK_END_BYTES;
    void *to = hk_front_own_resize(block, wants, wants > block->size ? roomy_of(wants) : wants);
    if (to != NULL)
        hk_hard_set_end(to, size);
    return to;
}

void *hk_hard_resize(void *ptr, size_t size)
{
    struct hk_block block = hk_block_find(ptr, "realloc");
    struct hk_hard_end end;
    if (block.kind == HK_BLOCK_NONE || !hk_hard_open(&block, "realloc", &end)) {
        errno = EINVAL;
        return NULL;
    }
    if (size > HK_SIZE_MOST) {
        errno = ENOMEM;
        return NULL;
    }
    size_t wants = block.kind == HK_BLOCK_OWN ? size + HK_END_BYTES : hk_hard_wants(size);
    if (hk_stays_as_it_is(&block, wants)) {
        hk_hard_set_end(ptr, size);
        return ptr;
    }
    return block.kind == HK_BLOCK_OWN ? resize_own(&block, size) : resize_or_move(&block, end.size, size);
}
