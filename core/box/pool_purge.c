/* SPDX-License-Identifier: MIT
 *
 * The purge of EMPTY slabs, a piece at a time: one whose pages were given back is UNUSED again. No system call is made
 * under the lock.
 */
#include "box/pool_priv.h"
#include "os/os.h"
#include "pages/ss_arena_source.h"

/* SuperSlabs with EMPTY slabs that one call looks at, and slabs of a piece that needs no longer one. */
#define LOOK 64u
#define ENOUGH 16u

/* What one call is to purge. */
struct aim {
    uint32_t now, delay_ms;
    enum hk_pool_part part;
    unsigned most; /* slabs */
};

struct piece {
    struct hk_superslab *ss; /* NULL: there is none */
    uint32_t mask;           /* neighbouring slabs */
    uint32_t empty;          /* those of them that are EMPTY; the others are UNUSED */
    uint32_t purged;         /* and those of the others that were in use once */
};

/* EMPTY slabs of a SuperSlab that the aim is at. */
static uint32_t due_slabs(const struct hk_superslab *ss, const struct aim *aim)
{
    uint32_t mask = 0;
    for (uint32_t left = ss->empty_mask; left != 0; left &= left - 1) {
        unsigned i = hk_lowest(left);
        bool part = aim->part == HK_POOL_ALL || ss->slab[i].cls > HK_TINY_LAST;
        bool refused = (ss->refused_mask >> i & 1) != 0;
        if (part && hk_ms_since(aim->now, ss->since[i]) >= (refused ? hk_purge_again_ms(aim->delay_ms) : aim->delay_ms))
            mask |= (uint32_t)1 << i;
    }
    return mask;
}

/* From bit `top` of `mask` downwards: the bits without a gap in `through`, which has all of `mask`, and at most `most`
 * of `mask`. */
static uint32_t stretch_down(uint32_t mask, uint32_t through, unsigned top, unsigned most)
{
    unsigned low = top, n = 0;
    for (unsigned i = top + 1; i-- > 0 && n < most && (through >> i & 1) != 0;) {
        n += mask >> i & 1;
        low = (mask >> i & 1) != 0 ? i : low;
    }
    return hk_mask32(low, top - low + 1);
}

/* The longest piece of a SuperSlab, the highest of equal ones. */
static struct piece find_piece(struct hk_superslab *ss, const struct aim *aim)
{
    struct piece best = {NULL, 0, 0, 0};
    uint32_t mask = due_slabs(ss, aim), through = mask | ss->unused_mask;
    for (uint32_t left = mask, part; left != 0; left &= ~part) {
        part = stretch_down(left, through, hk_log2(left), aim->most);
        if (hk_count64(part & mask) > hk_count64(best.empty))
            best = (struct piece){ss, part, part & mask, part & ss->purged_mask};
    }
    return best;
}

/* ---- the way through the SuperSlabs ---- */

struct walk {
    unsigned node;
    size_t below;       /* the next one's unit is lower */
    struct hk_node *at; /* without sets of EMPTY slabs: in the list of all */
};

static struct hk_superslab *next_listed(struct walk *walk)
{
    for (; walk->at != NULL; walk->at = walk->at->next) {
        struct hk_superslab *ss = superslab_of(walk->at);
        if (ss->empty_mask != 0) {
            walk->at = walk->at->next;
            return ss;
        }
    }
    return NULL;
}

/* The next SuperSlab with EMPTY slabs, from the highest address down; NULL: that was all. */
static struct hk_superslab *next_empty(struct walk *walk)
{
    if (!HK_EMPTY_REUSE)
        return next_listed(walk);
    for (; walk->node < hk_numa_nodes(); walk->node++, walk->below = HK_UNITS_MAX) {
        const struct pool_node *n = hk_pool_node(walk->node);
        if (n == NULL)
            continue;
        size_t unit = hk_pool_highest(n, SET_EMPTY, 1, walk->below);
        if (unit == HK_UNITS_MAX)
            continue;
        walk->below = unit;
        return hk_registry_superslab_at(unit); /* written under the lock we hold */
    }
    return NULL;
}

/* The longest piece: it is in a SuperSlab of which little is owned. What stays is to stay where slabs are densely used,
 * for those SuperSlabs are full again first, and the others may become idle. */
static struct piece choose_piece(const struct aim *aim)
{
    struct walk walk = {0, HK_UNITS_MAX, hk_pool.all.first};
    struct piece best = {NULL, 0, 0, 0};
    for (unsigned looked = 0; looked < LOOK && hk_count64(best.empty) < hk_min(aim->most, ENOUGH); looked++) {
        struct hk_superslab *ss = next_empty(&walk);
        if (ss == NULL)
            break;
        struct piece piece = find_piece(ss, aim);
        if (hk_count64(piece.empty) > hk_count64(best.empty))
            best = piece;
    }
    return best;
}

/* ---- the purge ---- */

/* When a part of it goes the rest is not to become huge again. What was UNUSED in it is resident: EMPTY, from now on,
 * since the SuperSlab was new. */
static HK_SLOW_PATH void make_ordinary(struct hk_superslab *ss)
{
    uint32_t mask = ss->unused_mask;
    hk_pool_end_huge(ss);
    ss->unused_mask = 0;
    ss->purged_mask = 0;
    hk_pool_enter_empty(ss, mask);
}

/* Takes the slabs out of the masks. Meanwhile they look owned, so nobody takes their SuperSlab away. */
static void take_piece_out(const struct piece *piece)
{
    struct hk_superslab *ss = piece->ss;
    hk_pool.idle -= is_idle(ss);
    hk_pool_leave_empty(ss, piece->empty);
    ss->unused_mask &= ~piece->mask;
    ss->purged_mask &= ~piece->mask;
    hk_pool_index(ss);
}

static HK_SLOW_PATH struct hk_leaving put_back(const struct piece *piece, bool done, uint32_t now)
{
    struct hk_superslab *ss = piece->ss;
    uint32_t zero = done ? piece->mask : piece->mask & ~piece->empty;
    ss->unused_mask |= zero;
    ss->purged_mask |= done ? piece->empty | piece->purged : piece->purged;
    if (done) {
        hk_slab_forget_pages(ss, piece->mask, true);
    } else {
        hk_pool_enter_empty(ss, piece->empty);
        ss->refused_mask |= piece->empty;
        for (uint32_t left = piece->empty; left != 0; left &= left - 1)
            ss->since[hk_lowest(left)] = now;
    }
    return hk_pool_settle(ss);
}

HK_SLOW_PATH size_t hk_pool_purge(uint32_t now, uint32_t delay_ms, size_t most, enum hk_pool_part part, bool *refused)
{
    struct aim aim = {now, delay_ms, part, (unsigned)((most + HK_SLAB_SIZE - 1) / HK_SLAB_SIZE)};
    HK_ASSERT(most > 0 && most <= HK_PURGE_MOST);
    hk_lock(&hk_pool.lock);
    struct piece piece = choose_piece(&aim);
    bool huge = piece.ss != NULL && piece.ss->huge;
    if (huge) {
        make_ordinary(piece.ss);
        piece = find_piece(piece.ss, &aim);
    }
    if (piece.ss != NULL)
        take_piece_out(&piece);
    hk_unlock(&hk_pool.lock);
    if (piece.ss == NULL)
        return 0;
    unsigned first = hk_lowest(piece.mask);
    if (huge)
        hk_os_hint_no_huge(piece.ss->base, HK_SUPERSLAB_SIZE);
    bool done = hk_os_purge(piece.ss->base + first * HK_SLAB_SIZE, hk_count64(piece.mask) * HK_SLAB_SIZE);
    hk_lock(&hk_pool.lock);
    struct hk_leaving leaving = put_back(&piece, done, now);
    hk_unlock(&hk_pool.lock);
    if (leaving.base != NULL)
        hk_pool_let_go(&leaving);
    *refused = *refused || !done;
    return done ? hk_count64(piece.empty) * HK_SLAB_SIZE : 0;
}
