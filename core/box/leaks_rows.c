/* SPDX-License-Identifier: MIT
 *
 * Leaked blocks by the stacks that asked for them.
 */
#include "box/leaks_priv.h"

#include "os/os.h"

#include <string.h>

/* One row for each record, at first; `bytes` is 1 in those of direct leaks, else 0. */
static void add_to_row(struct hk_leak_scan *s, const struct hk_leak_block *block, const struct hk_stack *stack,
                       bool fresh)
{
    struct hk_profile_result *found = &s->leaks->found;
    double weight = hk_profile_weight(block->size, found->interval);
    if (fresh)
        found->row[found->rows++] = (struct hk_profile_row){.stack = stack, .bytes = block->state == HK_LEAK_DIRECT};
    struct hk_profile_sums *sums = &found->row[found->rows - 1].sums;
    sums->live += weight;
    sums->live_bytes += weight * (double)block->size;
}

static int compare_stacks(const struct hk_profile_row *a, const struct hk_profile_row *b)
{
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    if (a->stack->depth != b->stack->depth)
        return a->stack->depth < b->stack->depth ? -1 : 1;
    return memcmp(a->stack->pc, b->stack->pc, a->stack->depth * sizeof *a->stack->pc);
}

/* Of sizes that are equal the order is that of the stacks: a report is the same each time. */
static int compare_sizes(const struct hk_profile_row *a, const struct hk_profile_row *b)
{
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    if (a->sums.live_bytes != b->sums.live_bytes)
        return a->sums.live_bytes > b->sums.live_bytes ? -1 : 1;
    return compare_stacks(a, b);
}

typedef int compare_rows(const struct hk_profile_row *a, const struct hk_profile_row *b);

static void sift_down(struct hk_profile_row *row, size_t at, size_t n, compare_rows *compare)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && compare(&row[child + 1], &row[child]) > 0)
            child++;
        if (compare(&row[at], &row[child]) >= 0)
            return;
        struct hk_profile_row moved = row[at];
        row[at] = row[child];
        row[child] = moved;
    }
}

static void sort_rows(struct hk_profile_row *row, size_t n, compare_rows *compare)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(row, i, n, compare);
    for (size_t left = n; left-- > 1;) {
        struct hk_profile_row last = row[0];
        row[0] = row[left];
        row[left] = last;
        sift_down(row, 0, left, compare);
    }
}

static void merge_rows(struct hk_profile_result *found)
{
    size_t n = 0;
    sort_rows(found->row, found->rows, compare_stacks);
    for (size_t i = 0; i < found->rows; i++) {
        if (n != 0 && compare_stacks(&found->row[n - 1], &found->row[i]) == 0) {
            found->row[n - 1].sums.live += found->row[i].sums.live;
            found->row[n - 1].sums.live_bytes += found->row[i].sums.live_bytes;
        } else {
            found->row[n++] = found->row[i];
        }
    }
    found->rows = n;
    sort_rows(found->row, n, compare_sizes);
}

/* Counts the leaked blocks, and moves them to the front of the list. */
static void keep_leaked(struct hk_leak_scan *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->blocks.count; i++) {
        const struct hk_leak_block *block = &s->blocks.item[i];
        if (block->state == HK_LEAK_REACHED)
            continue;
        struct hk_leak_sum *sum = block->state == HK_LEAK_DIRECT ? &s->leaks->direct : &s->leaks->indirect;
        sum->blocks++;
        sum->bytes += block->size;
        s->blocks.item[n++] = *block;
    }
    s->blocks.count = n;
}

/* How many records the sorted blocks have, of both kinds. */
static size_t count_records(const struct hk_leak_list *blocks)
{
    size_t n = 0;
    for (size_t i = 0; i < blocks->count; i++)
        n += i == 0 || blocks->item[i].tag != blocks->item[i - 1].tag;
    return 2 * n;
}

static void add_rows_of(struct hk_leak_scan *s, enum hk_leak_state state)
{
    uintptr_t tag = 0; /* of the last row, of this state */
    for (size_t i = 0; i < s->blocks.count; i++) {
        const struct hk_leak_block *block = &s->blocks.item[i];
        const struct hk_stack *stack = block->state == state ? hk_profile_stack_of(block->tag) : NULL;
        if (stack != NULL) {
            add_to_row(s, block, stack, block->tag != tag);
            tag = block->tag;
        } else if (block->state == state) {
            s->leaks->unrecorded.blocks++;
            s->leaks->unrecorded.bytes += block->size;
        }
    }
}

bool hk_leaks_rows(struct hk_leak_scan *s)
{
    struct hk_profile_result *found = &s->leaks->found;
    keep_leaked(s);
    hk_leaks_sort(s, &s->blocks, true);
    found->mapped = hk_align_up((count_records(&s->blocks) + 1) * sizeof *found->row, hk_os_page_size());
    found->row = hk_os_map(found->mapped);
    if (found->row == NULL)
        return false;
    add_rows_of(s, HK_LEAK_DIRECT);
    add_rows_of(s, HK_LEAK_INDIRECT);
    merge_rows(found);
    while (s->leaks->direct_rows < found->rows && found->row[s->leaks->direct_rows].bytes != 0)
        s->leaks->direct_rows++;
    return true;
}
