/* SPDX-License-Identifier: MIT
 *
 * Is what a run cache counts what it has? For tests, which link it; it is in no other library.
 */
#include "large/run_cache.h"

static bool check_lengths(const struct hk_run_cache *cache, unsigned count)
{
    unsigned left[HK_RUN_CACHE_LENGTHS] = {0};
    for (unsigned i = 0; i < count; i++)
        left[cache->length[i]]++;
    for (unsigned i = 0; i < HK_RUN_CACHE_LENGTHS; i++) {
        if (left[i] != cache->of_length[i] || (left[i] != 0) != (cache->lengths >> i & 1))
            return false;
    }
    return true;
}

/* A quiet one: the arena is asked without the lock, which comes after its own. */
bool hk_run_cache_check(struct hk_run_cache *cache)
{
    size_t pages = 0;
    unsigned count = hk_load_relaxed(&cache->count); /* nobody is at it */
    if (count > HK_RUN_CACHE_RUNS || !check_lengths(cache, count))
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct hk_run run = hk_arena_find(cache->run[i]);
        if (run.kind != HK_RUN_FREED || run.start != cache->run[i] ||
            run.pages != cache->length[i] + HK_RUN_CACHE_FIRST)
            return false;
        pages += run.pages;
    }
    return pages == cache->pages;
}
