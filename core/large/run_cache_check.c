/* SPDX-License-Identifier: MIT
 *
 * Is what a run cache counts what it has? For tests, which link it; it is in no other library.
 */
#include "large/run_cache.h"

/* The ring by age, of `count` runs: each has a place that was used, and its neighbours know it. */
static bool check_ages(const struct hk_run_cache *cache, unsigned count)
{
    unsigned before = 0;
    for (unsigned at = cache->kept[0].newer; at != 0; before = at, at = cache->kept[at].newer) {
        if (count-- == 0 || at > cache->used_places || cache->kept[at].older != before)
            return false;
    }
    return count == 0 && cache->kept[0].older == before;
}

/* The runs of each length, from the newest down: all of the `count` that there are. */
static bool check_lengths(const struct hk_run_cache *cache, unsigned count)
{
    for (unsigned length = 0; length < HK_RUN_CACHE_LENGTHS; length++) {
        unsigned above = 0;
        for (unsigned at = cache->newest[length]; at != 0; above = at, at = cache->kept[at].below) {
            if (count-- == 0 || cache->kept[at].length != length || (above != 0 && cache->kept[at].above != above))
                return false;
        }
        if ((cache->newest[length] != 0) != (cache->lengths >> length & 1))
            return false;
    }
    return count == 0;
}

/* Places that were used are in the ring or spare. */
static bool check_spare(const struct hk_run_cache *cache, unsigned count)
{
    for (unsigned at = cache->spare; at != 0; at = cache->kept[at].older) {
        if (++count > cache->used_places)
            return false;
    }
    return count == cache->used_places;
}

/* A quiet one: the arena is asked without the lock, which comes after its own. */
bool hk_run_cache_check(struct hk_run_cache *cache)
{
    size_t pages = 0;
    unsigned count = hk_load_relaxed(&cache->count); /* nobody is at it */
    if (count > HK_RUN_CACHE_RUNS || !check_ages(cache, count) || !check_lengths(cache, count) ||
        !check_spare(cache, count))
        return false;
    for (unsigned at = cache->kept[0].newer; at != 0; at = cache->kept[at].newer) {
        const struct hk_kept_run *kept = &cache->kept[at];
        struct hk_run run = hk_arena_find(kept->run);
        if (run.kind != HK_RUN_FREED || run.start != kept->run || run.pages != kept->length + HK_RUN_CACHE_FIRST)
            return false;
        pages += run.pages;
    }
    return pages == cache->pages;
}
