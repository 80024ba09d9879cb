/* SPDX-License-Identifier: MIT
 *
 * Which SuperSlabs have neighbouring slabs to take: sets of units, by what the masks of a SuperSlab say. The stages ask
 * them, and all that changes a mask brings them in line.
 */
#include "box/pool_priv.h"

/* ---- sets of units ---- */

HK_SLOW_PATH bool hk_pool_reach(unsigned node, size_t unit)
{
    struct unit_sets *s = &hk_pool_node(node)->sets;
    size_t size = (unit / 64 + 1) * sizeof s->bits[0];
    _Static_assert((HK_UNITS_MAX / 64 + 1) * sizeof s->bits[0] <= HK_TABLE_MOST, "a table has room for all units");
    if (!hk_table_reach(&s->table, HK_TABLE_SETS + node, size))
        return false;
    s->bits = (uint64_t(*)[SET_COUNT])(void *)s->table.start;
    return true;
}

static void set_add(struct unit_sets *s, unsigned set, size_t unit)
{
    s->bits[unit / 64][set] |= (uint64_t)1 << unit % 64;
    s->groups[unit / 4096][set] |= (uint64_t)1 << unit / 64 % 64;
    s->tops[unit / 262144][set] |= (uint64_t)1 << unit / 4096 % 64;
}

static void set_remove(struct unit_sets *s, unsigned set, size_t unit)
{
    s->bits[unit / 64][set] &= ~((uint64_t)1 << unit % 64);
    if (s->bits[unit / 64][set] == 0)
        s->groups[unit / 4096][set] &= ~((uint64_t)1 << unit / 64 % 64);
    if (s->groups[unit / 4096][set] == 0)
        s->tops[unit / 262144][set] &= ~((uint64_t)1 << unit / 4096 % 64);
}

size_t hk_pool_lowest(const struct pool_node *node, enum unit_set kind, unsigned slabs)
{
    const struct unit_sets *s = &node->sets;
    unsigned set = kind + slabs - 1;
    for (size_t top = 0; top < HK_COUNT(s->tops); top++) {
        if (s->tops[top][set] == 0)
            continue;
        size_t group = top * 64 + hk_lowest(s->tops[top][set]);
        size_t word = group * 64 + hk_lowest(s->groups[group][set]);
        return word * 64 + hk_lowest(s->bits[word][set]);
    }
    return HK_UNITS_MAX;
}

/* The highest of the lowest `n` bits of a word, or 64. */
static unsigned last_of(uint64_t word, size_t n)
{
    word &= ((uint64_t)1 << n) - 1;
    return word != 0 ? hk_log2(word) : 64;
}

HK_SLOW_PATH size_t hk_pool_highest(const struct pool_node *node, enum unit_set kind, unsigned slabs, size_t below)
{
    const struct unit_sets *s = &node->sets;
    unsigned set = kind + slabs - 1, at;
    size_t word = below / 64, group = word / 64, top = group / 64;
    if (below % 64 != 0 && (at = last_of(s->bits[word][set], below % 64)) < 64)
        return word * 64 + at;
    if (word % 64 != 0 && (at = last_of(s->groups[group][set], word % 64)) < 64) {
        word = group * 64 + at;
        return word * 64 + hk_log2(s->bits[word][set]);
    }
    uint64_t groups = group % 64 != 0 ? s->tops[top][set] & (((uint64_t)1 << group % 64) - 1) : 0;
    while (groups == 0 && top > 0)
        groups = s->tops[--top][set];
    if (groups == 0)
        return HK_UNITS_MAX;
    group = top * 64 + hk_log2(groups);
    word = group * 64 + hk_log2(s->groups[group][set]);
    return word * 64 + hk_log2(s->bits[word][set]);
}

/* The sets of a kind, from its first, that a SuperSlab with such a mask belongs to: bit n - 1 where n of its slabs lie
 * side by side. */
static inline unsigned sets_of_mask(uint32_t mask)
{
    unsigned longest = 0;
    for (; longest < HK_SPAN_MAX && mask != 0; longest++)
        mask &= mask >> 1;
    return (1u << longest) - 1;
}

static void move_to_sets(struct hk_superslab *ss, unsigned sets)
{
    struct unit_sets *s = &hk_pool_node(ss->node)->sets;
    size_t unit = hk_registry_unit(ss->base);
    unsigned changed = sets ^ ss->sets;
    ss->sets = sets;
    for (; changed != 0; changed &= changed - 1) { /* seldom: most SuperSlabs stay in their sets */
        unsigned set = hk_lowest(changed);
        if ((sets >> set & 1) != 0)
            set_add(s, set, unit);
        else
            set_remove(s, set, unit);
    }
}

void hk_pool_index(struct hk_superslab *ss)
{
    unsigned sets = sets_of_mask(hk_pool_usable(ss)) << SET_USABLE;
    sets |= HK_EMPTY_REUSE ? sets_of_mask(ss->empty_mask) << SET_EMPTY : 0;
    sets |= ss->huge ? sets_of_mask(ss->unused_mask) << SET_HUGE : 0;
    move_to_sets(ss, sets);
}

void hk_pool_unindex(struct hk_superslab *ss)
{
    move_to_sets(ss, 0);
}

/* ---- EMPTY slabs; their counts are hints that change under the lock ---- */

void hk_pool_enter_empty(struct hk_superslab *ss, uint32_t mask)
{
    ss->empty_mask |= mask;
    hk_add_relaxed(&hk_pool_empty_slabs, hk_count64(mask));
    hk_add_relaxed(&hk_pool_empty_mid, hk_pool_count_mid(ss, mask));
}

void hk_pool_leave_empty(struct hk_superslab *ss, uint32_t mask)
{
    if (mask == 0)
        return;
    if (HK_EMPTY_REUSE)
        hk_pool_forget(ss, mask);
    ss->empty_mask &= ~mask;
    ss->refused_mask &= ~mask;
    hk_sub_relaxed(&hk_pool_empty_slabs, hk_count64(mask));
    hk_sub_relaxed(&hk_pool_empty_mid, hk_pool_count_mid(ss, mask));
}
