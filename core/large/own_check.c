/* SPDX-License-Identifier: MIT */
#include "large/own_priv.h"

struct sums {
    size_t bytes, runs, live_blocks, free;
};

static bool check_piece(struct hk_own_head *head, struct sums *sums)
{
    if (head->bytes < HK_OWN_PIECE_LEAST || hk_class_size(hk_class_of(head->bytes)) != head->bytes)
        return false;
    if (hk_own_is(head, HK_OWN_FREE)) {
        sums->free++;
        return true;
    }
    sums->live_blocks++;
    return hk_own_is(head, HK_OWN_LIVE) || hk_own_is(head, HK_OWN_OUTER);
}

static bool check_run(const struct hk_own_run *run, struct sums *sums)
{
    size_t before = sums->live_blocks, at = run->first;
    sums->bytes += run->bytes;
    sums->runs++;
    if (hk_own_run_at(run) != run || hk_own_run_at((const char *)run + run->bytes - 1) != run)
        return false;
    if (run->large) {
        sums->live_blocks++;
        return run->live == 1 && hk_own_is(hk_own_head_at(run, run->first), HK_OWN_LIVE);
    }
    for (; at < run->cut; at += hk_own_head_at(run, at)->bytes) {
        if (!check_piece(hk_own_head_at(run, at), sums))
            return false;
    }
    return at == run->cut && at <= run->bytes && sums->live_blocks - before == run->live;
}

static bool check_lists(struct hk_own *heap, size_t expected)
{
    size_t found = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        for (struct hk_node *node = heap->free[cls].first; node != NULL; node = node->next, found++) {
            if (!hk_own_is(hk_own_head_of(node), HK_OWN_FREE) || *node->at != node)
                return false;
        }
    }
    return found == expected;
}

bool hk_own_check(struct hk_own *heap)
{
    struct sums sums = {0};
    bool ok = true;
    hk_lock(&heap->lock);
    for (struct hk_node *node = heap->runs.first; node != NULL && ok; node = node->next)
        ok = check_run(hk_own_run_of(node), &sums);
    ok = ok && check_lists(heap, sums.free) && sums.bytes == heap->run_bytes && sums.runs == heap->run_count &&
         sums.live_blocks + heap->huge_blocks == heap->live_blocks;
    hk_unlock(&heap->lock);
    return ok;
}
