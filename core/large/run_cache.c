/* SPDX-License-Identifier: MIT */
#include "large/run_cache.h"

#include "base/assert.h"
#include "base/options.h"

#include <string.h>

/* Of what is in runs one part in so many may wait in caches; a run may be one part in so many longer than asked for. */
#define SHARE 3u
#define LONGER 4u

/* Of a share one part in so many may have come that nobody was told of. */
#define UNTOLD 8u

/* Runs that are put between two looks at the share: others write what it depends on. */
#define TURNS 8u

_Atomic size_t hk_run_cache_pages;

static _Atomic unsigned sharers;              /* caches that have a share; relaxed: about right is enough */
static struct hk_run_cache *_Atomic caches;   /* all that ever had one */
static struct hk_run_cache *_Atomic swept_to; /* where the next sweep begins; NULL: at the first */

/* Runs on their way to the arena. */
struct batch {
    unsigned n;
    void *run[HK_RUN_CACHE_RUNS];
};

/* ---- the list of runs; under the lock ---- */

static uint8_t find_place_for_run(struct hk_run_cache *cache)
{
    uint8_t at = cache->spare;
    if (at == 0)
        return ++cache->used_places;
    cache->spare = cache->kept[at].older;
    return at;
}

static void add_newest(struct hk_run_cache *cache, void *run, unsigned length)
{
    uint8_t at = find_place_for_run(cache), before = cache->kept[0].older, below = cache->newest[length];
    struct hk_kept_run *kept = &cache->kept[at];
    kept->run = run;
    kept->length = (uint8_t)length;
    kept->older = before;
    kept->newer = 0;
    kept->below = below;
    kept->above = 0;
    cache->kept[before].newer = at;
    cache->kept[0].older = at;
    cache->kept[below].above = at;
    cache->newest[length] = at;
    cache->lengths |= (uint64_t)1 << length;
    cache->pages += (uint32_t)(length + HK_RUN_CACHE_FIRST);
    hk_store_relaxed(&cache->count, hk_load_relaxed(&cache->count) + 1); /* the lock's */
}

/* `above` of the run at that place is known: 0 where it is the newest of its length. */
static void *take_at(struct hk_run_cache *cache, uint8_t at, uint8_t above)
{
    struct hk_kept_run *kept = &cache->kept[at];
    cache->kept[kept->older].newer = kept->newer;
    cache->kept[kept->newer].older = kept->older;
    cache->kept[kept->below].above = above;
    if (above != 0)
        cache->kept[above].below = kept->below;
    else if ((cache->newest[kept->length] = kept->below) == 0)
        cache->lengths &= ~((uint64_t)1 << kept->length);
    cache->pages -= (uint32_t)(kept->length + HK_RUN_CACHE_FIRST);
    cache->fewest = hk_min(cache->fewest, cache->pages);
    hk_store_relaxed(&cache->count, hk_load_relaxed(&cache->count) - 1); /* the lock's */
    kept->older = cache->spare;
    cache->spare = at;
    return kept->run;
}

static void *take_oldest_one(struct hk_run_cache *cache)
{
    uint8_t at = cache->kept[0].newer;
    return take_at(cache, at, cache->kept[at].above);
}

/* The oldest runs, until so many pages are left at most. */
static void take_oldest(struct hk_run_cache *cache, size_t left, struct batch *batch)
{
    for (batch->n = 0; cache->pages > left; batch->n++)
        batch->run[batch->n] = take_oldest_one(cache);
}

static inline void give_batch(const struct batch *batch)
{
    if (HK_UNLIKELY(batch->n != 0))
        hk_arena_give_aside(batch->run, batch->n);
}

/* Tells all how much is in it. */
static void tell_pages(struct hk_run_cache *cache)
{
    uint32_t told = hk_load_relaxed(&cache->told); /* the lock's */
    if (told == cache->pages)
        return;
    hk_add_relaxed(&hk_run_cache_pages, (size_t)cache->pages - told);
    hk_store_relaxed(&cache->told, cache->pages);
}

/* ---- how much there may be ---- */

static HK_SLOW_PATH void join_sharers(struct hk_run_cache *cache)
{
    hk_lock_init(&cache->lock, HK_RANK_RUNS);
    cache->used = true;
    hk_add_relaxed(&sharers, 1);
    if (cache->joined)
        return;
    struct hk_run_cache *first = hk_load_relaxed(&caches);
    do {
        cache->next = first;
    } while (!hk_cas_weak_release(&caches, &first, cache)); /* pairs with next_of */
    cache->joined = true; /* after it: one whose thread a fork loses in between joins again */
}

/* Pages. Under a limit none: they would count as in use, and another thread's malloc would fail for them. */
static size_t all_may_have(void)
{
    size_t keep = (size_t)hk_opt(HK_OPT_MIN_KEEP) / HK_PAGE;
    size_t part = hk_load_relaxed(&hk_arena_run_pages) / SHARE; /* a sum, a moment late */
    if (hk_single_threaded() || hk_opt(HK_OPT_MEMORY_LIMIT) != 0)
        return 0;
    return hk_opt(HK_OPT_PURGE_DELAY_MS) != 0 ? hk_max(keep, part) : keep; /* the smallest steady size is wanted */
}

static HK_NOINLINE void look_at_share(struct hk_run_cache *cache)
{
    if (!cache->used)
        join_sharers(cache);
    size_t all = all_may_have(), have = hk_load_relaxed(&hk_run_cache_pages);
    size_t more = all - hk_min(all, have); /* what threads that sleep hold nobody else may */
    size_t part = hk_min(all / hk_max(hk_load_relaxed(&sharers), 1), hk_load_relaxed(&cache->told) + more);
    cache->share = (uint32_t)hk_min(part, UINT32_MAX);
}

/* Everything goes to the arena. */
static void empty_cache(struct hk_run_cache *cache)
{
    struct batch batch;
    hk_lock(&cache->lock);
    take_oldest(cache, 0, &batch);
    tell_pages(cache);
    hk_unlock(&cache->lock);
    give_batch(&batch);
}

/* The thread is on another node than it was. */
static HK_SLOW_PATH void move_cache(struct hk_run_cache *cache, unsigned node)
{
    empty_cache(cache);
    cache->node = node;
}

static inline void follow_thread(struct hk_run_cache *cache)
{
    unsigned node = hk_numa_node();
    if (HK_UNLIKELY(node != cache->node))
        move_cache(cache, node);
}

/* ---- take and put ---- */

void *hk_run_cache_take(struct hk_run_cache *cache, size_t pages)
{
    HK_ASSERT(hk_run_cache_may_have(pages));
    if (hk_run_cache_is_idle(cache))
        return NULL;
    follow_thread(cache);
    unsigned wanted = (unsigned)(pages - HK_RUN_CACHE_FIRST), more = 0;
    void *run = NULL;
    hk_lock(&cache->lock);
    uint64_t fit = cache->lengths >> wanted;
    if (fit != 0 && (more = hk_lowest(fit)) <= pages / LONGER)
        run = take_at(cache, cache->newest[wanted + more], 0);
    else
        tell_pages(cache);
    hk_unlock(&cache->lock);
    if (run != NULL)
        hk_arena_take_aside(run, pages + more);
    return run;
}

/* Half of it goes back; the lock, which is free meanwhile. */
static HK_NOINLINE void make_room(struct hk_run_cache *cache)
{
    struct batch batch;
    take_oldest(cache, hk_min(cache->share, cache->pages) / 2, &batch);
    tell_pages(cache);
    hk_unlock(&cache->lock);
    give_batch(&batch);
    hk_lock(&cache->lock);
}

/* Now and then looks at what others have. */
static inline bool may_keep(struct hk_run_cache *cache, const void *run, size_t pages)
{
    HK_ASSERT(hk_run_cache_may_have(pages));
    if (cache->turn++ % TURNS == 0 || !cache->used)
        look_at_share(cache);
    follow_thread(cache);
    return pages <= cache->share && (hk_numa_nodes() == 1 || hk_arena_node_of(run) == cache->node);
}

static inline bool keep_run(struct hk_run_cache *cache, void *run, size_t pages)
{
    if (!hk_arena_set_aside(run, pages))
        return false;
    hk_lock(&cache->lock);
    if (HK_UNLIKELY(cache->pages + pages > cache->share || hk_load_relaxed(&cache->count) == HK_RUN_CACHE_RUNS))
        make_room(cache);
    add_newest(cache, run, (unsigned)(pages - HK_RUN_CACHE_FIRST));
    /* It has just looked; or others should know before it looks again. */
    if (cache->turn % TURNS == 1 || cache->pages > hk_load_relaxed(&cache->told) + cache->share / UNTOLD)
        tell_pages(cache);
    hk_unlock(&cache->lock);
    return true;
}

bool hk_run_cache_keep(struct hk_run_cache *cache, void *run, size_t pages)
{
    return may_keep(cache, run, pages) && keep_run(cache, run, pages);
}

/* A run that is too long for the share, or far. What has become too much by now goes, too. */
static HK_NOINLINE bool give_past(struct hk_run_cache *cache, void *run)
{
    struct batch batch; /* not all of it zero: it is two KiB */
    batch.n = 0;
    if (!hk_run_cache_is_idle(cache)) {
        hk_lock(&cache->lock);
        if (cache->pages > cache->share)
            take_oldest(cache, cache->share / 2, &batch);
        tell_pages(cache);
        hk_unlock(&cache->lock);
    }
    give_batch(&batch);
    return hk_arena_give(run);
}

bool hk_run_cache_put(struct hk_run_cache *cache, void *run, size_t pages)
{
    return may_keep(cache, run, pages) ? keep_run(cache, run, pages) : give_past(cache, run);
}

void hk_run_cache_give_oldest(struct hk_run_cache *cache)
{
    void *run = NULL;
    if (hk_run_cache_is_idle(cache)) /* it may not even have a rank yet */
        return;
    hk_lock(&cache->lock);
    if (hk_load_relaxed(&cache->count) != 0) { /* the lock's */
        run = take_oldest_one(cache);
        tell_pages(cache);
    }
    hk_unlock(&cache->lock);
    if (run != NULL)
        hk_arena_give_aside(&run, 1);
}

/* ---- ends, and others ---- */

/* The cache after that one, or the first (NULL). */
static struct hk_run_cache *next_of(const struct hk_run_cache *cache)
{
    return cache != NULL ? cache->next : hk_load_acquire(&caches); /* pairs with join_sharers */
}

/* Whose change it is, for the child of a fork: noted before anything is changed, and as long as anything is. */
static void lock_for_sweep(struct hk_run_cache *cache)
{
    hk_lock(&cache->lock);
    hk_store_relaxed(&cache->sweeper, hk_thread_self());
    hk_fence_signal();
}

static void unlock_for_sweep(struct hk_run_cache *cache)
{
    hk_fence_signal();
    hk_store_relaxed(&cache->sweeper, 0);
    hk_unlock(&cache->lock);
}

/* Pages that may stay: those that were not there all the time since a sweep looked first, `age` ms ago or longer. Of
 * one that is seen for the first time nobody knows. The lock. */
static uint32_t pages_in_use(struct hk_run_cache *cache, uint32_t now, uint32_t age)
{
    bool known = cache->looked_at != 0;
    if (age == 0)
        return 0;
    if (known && hk_ms_since(now, cache->looked_at) < age)
        return cache->pages;
    uint32_t idle = known ? cache->fewest : 0;
    cache->looked_at = now | 1; /* a ms more or less */
    cache->fewest = cache->pages - idle;
    return cache->pages - idle;
}

static bool sweep_one(struct hk_run_cache *cache, uint32_t now, uint32_t age)
{
    struct batch batch;
    if (hk_run_cache_is_idle(cache))
        return false;
    lock_for_sweep(cache);
    take_oldest(cache, pages_in_use(cache, now, age), &batch);
    tell_pages(cache);
    unlock_for_sweep(cache);
    give_batch(&batch);
    return batch.n != 0;
}

void hk_run_cache_end(struct hk_run_cache *cache)
{
    if (!hk_run_cache_is_idle(cache))
        empty_cache(cache);
    if (cache->used)
        hk_sub_relaxed(&sharers, 1);
    cache->used = false;
}

bool hk_run_cache_sweep(unsigned most, uint32_t now, uint32_t age)
{
    bool any = false;
    struct hk_run_cache *cache = hk_load_acquire(&swept_to); /* pairs with the release below */
    do {
        cache = next_of(cache);
        if (cache != NULL)
            any |= sweep_one(cache, now, age);
    } while (cache != NULL && --most != 0);
    hk_store_release(&swept_to, cache); /* pairs with the acquire above: whoever goes on sees what is next */
    return any;
}

void hk_run_cache_sweep_all(void)
{
    for (struct hk_run_cache *cache = NULL; (cache = next_of(cache)) != NULL;)
        sweep_one(cache, 0, 0);
}

/* Somebody is at the cache: this thread (a handler in the middle of it forks), or one that is not here any more. */
static bool is_held(const struct hk_run_cache *cache)
{
    return hk_load_relaxed(&cache->lock.word) != 0;
}

static bool is_held_here(const struct hk_run_cache *cache, const struct hk_run_cache *mine)
{
    uintptr_t sweeper = hk_load_relaxed(&cache->sweeper);
    return is_held(cache) && (sweeper == 0 ? cache == mine : sweeper == hk_thread_self());
}

/* One that another thread was just changing may be half changed, and that thread is not here to go on: its runs are
 * lost. (Only where a parked fork did not wait for it.) */
static void take_over(struct hk_run_cache *cache)
{
    hk_store_relaxed(&cache->count, 0);
    cache->pages = 0;
    cache->fewest = 0;
    cache->lengths = 0;
    memset(cache->newest, 0, sizeof cache->newest);
    cache->kept[0] = (struct hk_kept_run){0};
    cache->spare = 0;
    cache->used_places = 0;
    hk_store_relaxed(&cache->sweeper, 0);
}

/* A thread that is not here may have told all, and not noted it: the sum is made anew. While this thread is at a cache
 * it may be doing that itself, and goes on. */
static void tell_anew(bool at_one)
{
    size_t pages = 0;
    for (struct hk_run_cache *cache = NULL; (cache = next_of(cache)) != NULL;)
        pages += hk_load_relaxed(&cache->told);
    if (!at_one && !hk_single_threaded()) /* of one thread nothing is lost, and it sets no lock */
        hk_store_relaxed(&hk_run_cache_pages, pages);
}

void hk_run_cache_fork_child(struct hk_run_cache *mine)
{
    bool at_one = false;
    for (struct hk_run_cache *cache = NULL; (cache = next_of(cache)) != NULL;) {
        bool here = is_held_here(cache, mine);
        at_one |= here;
        if (is_held(cache) && !here)
            take_over(cache);
        if (cache != mine && cache->used) /* a write copies the page */
            cache->used = false;
        hk_lock_reset(&cache->lock);
    }
    tell_anew(at_one);
    hk_store_relaxed(&sharers, mine != NULL && mine->used); /* there is one thread */
}
