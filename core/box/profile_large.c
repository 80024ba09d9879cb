/* SPDX-License-Identifier: MIT
 *
 * Large sampled blocks, by address: they have no word for their tag.
 */
#include "box/profile.h"

#include "os/os.h"

_Atomic uint32_t hk_profile_sieve[HK_PROFILE_SIEVE];

struct large {
    const void *ptr; /* NULL: free */
    uintptr_t tag;
    size_t bytes;
};

#define LARGE_LEAST 4096u

static struct large *larges; /* open addressing, at most half full */
static size_t large_count, large_slots;

/* Those that were freed last, for who frees one again, while every block is recorded: else another may have been there
 * since. Their addresses are inverted: who looks for leaks would take them for pointers. */
#define FREED 64u
static struct {
    uintptr_t inverted, tag;
} freed[FREED];
static unsigned freed_at;

static size_t place_of_large(const void *ptr)
{
    size_t at = (uintptr_t)ptr * 0x9e3779b97f4a7c15u >> 20;
    while (larges[at % large_slots].ptr != NULL && larges[at % large_slots].ptr != ptr)
        at++;
    return at % large_slots;
}

/* Twice as many places; the table before stays where it is, half as large. */
static bool grow_larges(void)
{
    struct large *old = larges;
    size_t old_slots = large_slots, more = hk_max(2 * large_slots, LARGE_LEAST);
    struct large *table = hk_os_map(hk_align_up(more * sizeof *table, hk_os_page_size()));
    if (table == NULL)
        return false;
    larges = table;
    large_slots = more;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].ptr != NULL)
            larges[place_of_large(old[i].ptr)] = old[i];
        old[i].ptr = NULL; /* who looks for leaks would take it for a pointer of the program's */
    }
    return true;
}

bool hk_profile_put(const void *ptr, uintptr_t tag, size_t bytes)
{
    hk_lock(hk_profile_lock());
    bool fits = 2 * large_count < large_slots || grow_larges();
    if (fits) {
        struct large *l = &larges[place_of_large(ptr)];
        large_count += l->ptr == NULL;
        if (l->ptr == NULL)
            hk_add_relaxed(&hk_profile_sieve[hk_profile_hash(ptr)], 1);
        *l = (struct large){ptr, tag, bytes};
    }
    hk_unlock(hk_profile_lock());
    if (!fits)
        hk_profile_miss();
    return fits;
}

/* Those behind it come forward, so that none is behind a gap. */
static void close_gap(size_t gap)
{
    for (size_t at = (gap + 1) % large_slots; larges[at].ptr != NULL; at = (at + 1) % large_slots) {
        struct large moved = larges[at];
        larges[at].ptr = NULL;
        larges[place_of_large(moved.ptr)] = moved;
    }
}

uintptr_t hk_profile_take(const void *ptr, size_t *bytes)
{
    uintptr_t tag = 0;
    hk_lock(hk_profile_lock());
    size_t at = large_slots != 0 ? place_of_large(ptr) : 0;
    if (large_slots != 0 && larges[at].ptr == ptr) {
        tag = larges[at].tag;
        *bytes = larges[at].bytes;
        freed[freed_at % FREED].inverted = ~(uintptr_t)ptr;
        freed[freed_at++ % FREED].tag = tag;
        larges[at].ptr = NULL;
        large_count--;
        hk_sub_relaxed(&hk_profile_sieve[hk_profile_hash(ptr)], 1);
        close_gap(at);
    }
    hk_unlock(hk_profile_lock());
    return tag;
}

uintptr_t hk_profile_look_up(const void *ptr)
{
    uintptr_t tag = 0;
    if (!hk_profile_may_have(ptr))
        return 0;
    hk_lock(hk_profile_lock());
    const struct large *l = large_slots != 0 ? &larges[place_of_large(ptr)] : NULL;
    if (l != NULL && l->ptr == ptr)
        tag = l->tag;
    hk_unlock(hk_profile_lock());
    return tag;
}

uintptr_t hk_profile_look_up_freed(const void *ptr)
{
    uintptr_t tag = 0;
    hk_lock(hk_profile_lock());
    bool all = hk_profile_recorded() <= HK_PROFILE_ALL;
    for (unsigned i = 1; all && i <= FREED && tag == 0; i++) {
        if (freed[(freed_at - i) % FREED].inverted == ~(uintptr_t)ptr)
            tag = freed[(freed_at - i) % FREED].tag;
    }
    hk_unlock(hk_profile_lock());
    return tag;
}

void *hk_profile_table(size_t *size)
{
    *size = hk_align_up(large_slots * sizeof *larges, hk_os_page_size());
    return larges;
}
