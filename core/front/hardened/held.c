/* SPDX-License-Identifier: MIT
 *
 * Page runs that were freed and are held back for a while (-Ddelay=enabled), so that what is written into one meanwhile
 * is seen: by whoever frees the eighth after it, or asks for all of them.
 *
 * For the front they live. Whoever counts blocks, or what is resident, lets them go before.
 */
#include "front/block.h"
#include "front/hardened/hard_priv.h"

#define HELD 8u

/* Of a longer one what is held back would be too much. */
#define LONGEST ((size_t)512 << 10)

static void *_Atomic held[HELD];
static _Atomic uint32_t turn; /* relaxed: who comes to which place does not matter */

/* Nothing was written into it, where -Dfill looks. */
static bool is_whole(const struct hk_block *block)
{
    if (HK_FILL)
        return hk_fill_is_whole(block->start, block->size, HK_FILL_MIDDLE(block->size), 0);
    return *hk_end_at(block->start, block->size) == 0;
}

static void let_go(void *run)
{
    struct hk_block block = hk_block_find_large(run);
    if (HK_UNLIKELY(block.kind == HK_BLOCK_NONE))
        return; /* nobody else could free it but the program, through another door */
    if (HK_UNLIKELY(!is_whole(&block)))
        hk_misuse(HK_MISUSE_WRITTEN, "free", run, NULL, block.size);
    hk_free_slow(run, 0);
}

bool hk_hard_hold(const struct hk_block *block)
{
    if (block->kind != HK_BLOCK_RUN || block->size > LONGEST)
        return false;
    /* Acquire and release: whoever takes it out sees what was written into it. Pairs with itself. */
    void *before = hk_swap_acq_rel(&held[hk_add_relaxed(&turn, 1) % HELD], block->start);
    if (before != NULL)
        let_go(before);
    return true;
}

void hk_hard_let_all_go_inside(void)
{
    for (unsigned i = 0; i < HELD; i++) {
        void *run = hk_swap_acq_rel(&held[i], NULL); /* pairs with hk_hard_hold */
        struct hk_block block = {HK_BLOCK_NONE, NULL, 0};
        if (run != NULL)
            block = hk_block_find_large(run);
        if (block.kind == HK_BLOCK_NONE)
            continue;
        if (HK_UNLIKELY(!is_whole(&block)))
            hk_written_note(run, block.size);
        hk_give_large(&block);
    }
}

bool hk_hard_let_all_go(void)
{
    bool any = false;
    for (unsigned i = 0; i < HELD; i++) {
        void *run = hk_swap_acq_rel(&held[i], NULL); /* pairs with hk_hard_hold */
        any = any || run != NULL;
        if (run != NULL)
            let_go(run);
    }
    return any;
}
