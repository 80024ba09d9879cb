/* SPDX-License-Identifier: MIT */
#include "box/purge.h"

#include "box/peak.h"
#include "box/purge_priv.h"
#include "box/transfer.h"
#include "os/os.h"
#include "os/thread.h"

#include <errno.h>

/* Beyond HAKMEM_MIN_KEEP. With what else stays after 1 GiB was freed (records, slabs that classes only keep for their
 * next block) a process is then within 16 MiB of what it was. */
#define SMALL_HEAP (21 * HK_MIB / 2)

/* What a thread that ends leaves of it: nobody else may come. */
#define AFTER_END (6 * HK_MIB)

/* Live memory is half of what it was, and so much less: then heaps are swept, so many in one call. */
#define SWEEP_BYTES (4 * HK_MIB)
#define SWEEP_HEAPS 16u

/* So many refusals one after the other say that the system refuses all. */
#define REFUSALS 4u

_Atomic uint32_t hk_purge_thread_state; /* the thread sleeps on it */

static _Atomic uint64_t total; /* relaxed: a statistic */
hk_seen hk_purge_seen[1] = {&total};

/* When there was nothing to give back, or the system refused. Relaxed: a piece too many or too late does no harm. */
static _Atomic uint32_t looked;   /* ms of the clock when a look for old memory was in vain */
static _Atomic uint32_t failed;   /* and when an attempt to give anything back was */
static _Atomic size_t worthwhile; /* bytes that must be free before the next one, if it comes before the delay; or 0 */
static _Atomic unsigned refusals; /* since the last piece that went */

/* What was given back whatever its age, and wanted again before long. Relaxed, as above. */
static _Atomic size_t early;      /* bytes given back whatever their age and not wanted again yet, */
static _Atomic uint32_t given_at; /* ms of the clock at the last of them */
static _Atomic size_t regained;   /* hk_arena_clean_taken and hk_pool_clean_taken at the last tick, in bytes, */
static _Atomic uint32_t ticked;   /* which was then */
static _Atomic size_t credit;     /* bytes that may be free because they are wanted again and again */

/* One thread at a time learns: the words belong together. Nobody waits for it. */
static struct hk_lock learning = HK_LOCK_FREE(HK_RANK_LEARNING);

static _Atomic size_t most_live;      /* bytes, since the last sweep began; relaxed, as above */
static struct hk_heap *_Atomic swept; /* last, in a sweep that is under way, or NULL */

_Atomic size_t hk_purge_allowed;
_Atomic bool hk_purge_watches;

void hk_purge_count(size_t given)
{
    hk_add_relaxed(&total, given);
}

uint64_t hk_purge_total(void)
{
    return hk_load_relaxed(&total);
}

static size_t live_bytes(void)
{
    return hk_load_relaxed(&hk_arena_run_pages) * HK_PAGE + hk_load_relaxed(&hk_pool_owned) * HK_SLAB_SIZE;
}

size_t hk_purge_allowance(void)
{
    return hk_purge_min_keep() + hk_max(SMALL_HEAP, live_bytes() / 2) + hk_load_relaxed(&credit);
}

/* From now on slow paths that take memory say so, too. */
static void start_watching(void)
{
    bool watched = (hk_load_relaxed(&early) | hk_load_relaxed(&credit)) != 0;
    if (hk_load_relaxed(&hk_purge_watches) != watched)
        hk_store_relaxed(&hk_purge_watches, watched);
}

/* Bursts that follow each other within the delay: what comes again was given back too early, so much more may be free
 * from now on. The first call after a longer pause knows nothing any more. */
static void learn_from_burst(uint32_t now)
{
    if (!hk_try_lock(&learning))
        return;
    size_t clean =
        hk_load_relaxed(&hk_arena_clean_taken) * HK_PAGE + hk_load_relaxed(&hk_pool_clean_taken) * HK_SLAB_SIZE;
    size_t wrong = hk_min(clean - hk_load_relaxed(&regained), hk_load_relaxed(&early));
    bool pause = hk_ms_since(now, hk_load_relaxed(&ticked)) > hk_purge_delay_ms();
    hk_store_relaxed(&regained, clean);
    hk_store_relaxed(&ticked, now);
    if (pause) {
        hk_store_relaxed(&credit, 0);
        hk_store_relaxed(&early, 0);
        hk_store_relaxed(&hk_purge_allowed, 0); /* the next call looks again, in this millisecond too */
    } else if (wrong != 0) {
        hk_add_relaxed(&credit, wrong);
        hk_sub_relaxed(&early, wrong);
    } else if (hk_ms_since(now, hk_load_relaxed(&given_at)) > hk_purge_delay_ms() && hk_load_relaxed(&early) != 0) {
        hk_store_relaxed(&early, 0); /* nobody missed it */
    }
    start_watching();
    hk_unlock(&learning);
}

/* One piece that has been free for delay_ms, of that kind of memory of which there is more, or else of the other. */
static size_t give_piece(uint32_t now, uint32_t delay_ms, size_t most, bool *refused)
{
    bool runs = hk_arena_dirty() >= hk_pool_empty_bytes();
    size_t given = 0;
    most = hk_min(most, HK_PURGE_MOST);
    for (unsigned i = 0; i < 2 && given == 0 && !*refused; i++, runs = !runs)
        given = runs ? hk_arena_purge(now, delay_ms, most, refused)
                     : hk_pool_purge(now, delay_ms, most, HK_POOL_ALL, refused);
    hk_add_relaxed(&total, given);
    return given;
}

/* Pieces, until about `keep` bytes are left, or none has been free for delay_ms. One that the system refuses is not
 * asked for again: they are all judged by one moment. */
size_t hk_purge_give_all(uint32_t now, uint32_t delay_ms, size_t keep)
{
    size_t given = 0, piece, bytes, most = hk_purge_free_bytes(); /* what others free meanwhile is theirs to give */
    for (unsigned in_vain = 0; (bytes = hk_purge_free_bytes()) > keep && given < most && in_vain < 64;) {
        bool refused = false;
        piece = give_piece(now, delay_ms, bytes - keep, &refused);
        given += piece;
        in_vain += refused;
        if (piece == 0 && !refused)
            break;
    }
    return given;
}

/* ---- on behalf of others ---- */

void hk_purge_sweep_heaps(void)
{
    if (HK_TRANSFER)
        hk_transfer_sweep(); /* before heaps, which collect what came of it */
    hk_heap_sweep();
}

/* Blocks that wait for a thread, and slabs that its classes only keep for their next block, are little beside a live
 * heap, but not beside what is left of one. Whoever sees that much less is live now sweeps. */
static inline bool has_to_sweep(void)
{
    size_t now = live_bytes(), most = hk_load_relaxed(&most_live);
    return hk_load_relaxed(&swept) != NULL || (now <= most / 2 && most - now >= SWEEP_BYTES);
}

/* A few heaps at a time. */
static void sweep_some(void)
{
    struct hk_heap *heap = hk_load_acquire(&swept); /* pairs with the release below */
    bool must = has_to_sweep();
    if (heap == NULL && (must || live_bytes() > hk_load_relaxed(&most_live)))
        hk_store_relaxed(&most_live, live_bytes());
    if (!must)
        return;
    if (HK_TRANSFER && heap == NULL)
        hk_transfer_sweep();
    for (unsigned i = 0; i < SWEEP_HEAPS && (i == 0 || heap != NULL); i++) {
        heap = hk_heap_next(heap);
        if (heap != NULL)
            hk_heap_sweep_one(heap);
    }
    hk_store_release(&swept, heap); /* pairs with the acquire above: the next one sees the record, and what is next */
}

/* ---- slow paths ---- */

/* Nothing could be given back a moment ago, and there is not much more now. */
static bool is_vain(uint32_t now, size_t bytes)
{
    return bytes < hk_load_relaxed(&worthwhile) && now - hk_load_relaxed(&failed) < hk_max(hk_purge_delay_ms(), 1);
}

/* A refusal is no reason not to ask for other memory in the next call; several are. */
static void note_outcome(uint32_t now, size_t bytes, bool given, bool refused)
{
    bool vain = !given && (!refused || hk_load_relaxed(&refusals) + 1 >= REFUSALS);
    if (hk_load_relaxed(&refusals) != 0 || refused)
        hk_store_relaxed(&refusals, given || vain ? 0 : hk_load_relaxed(&refusals) + 1);
    if (vain)
        hk_store_relaxed(&failed, now);
    if (vain || hk_load_relaxed(&worthwhile) != 0)
        hk_store_relaxed(&worthwhile, vain ? bytes + HK_PURGE_MOST : 0);
}

/* One piece whatever its age. */
static void give_at_once(uint32_t now, size_t bytes, bool over)
{
    bool refused = false;
    size_t bytes_given = hk_hot_span_at_once() ? hk_hot_span_purge(now, &refused) : 0;
    hk_add_relaxed(&total, bytes_given);
    if (bytes_given == 0 && !refused && over)
        bytes_given = give_piece(now, 0, HK_PURGE_MOST, &refused);
    hk_add_relaxed(&early, bytes_given);
    hk_store_relaxed(&given_at, now);
    start_watching();
    note_outcome(now, bytes, bytes_given != 0, refused);
}

/* One that is old enough. */
static void give_old(uint32_t now, size_t bytes)
{
    bool refused = false;
    if (now - hk_load_relaxed(&looked) < hk_purge_delay_ms() / 4)
        return;
    if (bytes <= hk_purge_min_keep() ||
        (give_piece(now, hk_purge_delay_ms(), bytes - hk_purge_min_keep(), &refused) == 0 && !refused))
        hk_store_relaxed(&looked, now);
    else
        hk_store_relaxed(&hk_purge_allowed, 0); /* there may be more: the next call looks again */
    if (refused)
        note_outcome(now, bytes, false, true);
}

/* The thread gives back in our place. */
static bool leave_to_thread(size_t bytes)
{
    uint32_t state = hk_load_relaxed(&hk_purge_thread_state);
    if (state == HK_PURGER_NONE || state == HK_PURGER_ENDS || hk_hot_span_at_once())
        return false;
    if (bytes <= hk_purge_min_keep())
        return true;
    hk_fence_full(); /* pairs with the fence in rest_until_woken: it sees what is free, or I see that it rests */
    state = HK_PURGER_RESTS;
    if (hk_load_relaxed(&hk_purge_thread_state) == HK_PURGER_RESTS &&
        hk_cas_acquire(&hk_purge_thread_state, &state, HK_PURGER_AT_WORK))
        hk_thread_wake(&hk_purge_thread_state);
    return true;
}

static void give_some(uint32_t now)
{
    size_t bytes = hk_purge_free_bytes();
    learn_from_burst(now);
    hk_store_relaxed(&hk_purge_allowed, hk_hot_span_at_once() ? 0 : hk_purge_allowance());
    bool over = bytes > hk_purge_allowance();
    if (is_vain(now, bytes))
        return;
    if (over || hk_hot_span_at_once())
        give_at_once(now, bytes, over);
    else if (hk_purge_free_bytes() > hk_purge_min_keep())
        give_old(now, bytes);
}

void hk_purge_tick_slow(void)
{
    int saved = errno;
    hk_peak_look(0);
    uint32_t now = hk_os_now_ms();
    hk_purge_note_used(now);
    bool same = now == hk_load_relaxed(&ticked) &&
                hk_purge_free_bytes() <= hk_load_relaxed(&hk_purge_allowed); /* as a moment ago */
    if ((!same || has_to_sweep()) && !leave_to_thread(hk_purge_free_bytes())) {
        sweep_some();
        hk_purge_pages(now);
        give_some(now);
    }
    errno = saved;
}

void hk_purge_took_slow(void)
{
    int saved = errno;
    learn_from_burst(hk_os_now_ms());
    errno = saved;
}

void hk_purge_tick_long(size_t bytes)
{
    hk_peak_look(bytes);
    hk_purge_tick();
    for (size_t given = HK_PURGE_MOST; given < 2 * bytes && hk_purge_free_bytes() > hk_purge_allowance();
         given += HK_PURGE_MOST)
        hk_purge_tick_slow();
}

void hk_purge_end_thread(void)
{
    int saved = errno;
    if (!hk_purge_has_work() && !has_to_sweep())
        return;
    hk_peak_look(0);
    if (!leave_to_thread(hk_purge_free_bytes())) {
        sweep_some();
        if (hk_purge_free_bytes() > hk_purge_allowance())
            hk_purge_give_all(hk_os_now_ms(), 0, hk_purge_allowance() - (SMALL_HEAP - AFTER_END));
        else
            give_some(hk_os_now_ms());
    }
    errno = saved;
}

size_t hk_purge_now(size_t keep)
{
    hk_peak_look(0);
    hk_purge_sweep_heaps();
    size_t given = hk_pool_trim() + hk_purge_pages_now(keep);
    hk_add_relaxed(&total, given);
    given += hk_purge_give_all(hk_os_now_ms(), 0, keep);
    hk_arena_unmap_clean();
    return given;
}

/* ---- fork ---- */

void hk_purge_fork_child(bool may_start)
{
    uint32_t state = hk_load_relaxed(&hk_purge_thread_state);
    hk_lock_reset(&learning); /* held only where a parked fork did not wait for its holder */
    hk_store_relaxed(&hk_purge_thread_state, HK_PURGER_NONE);
    if (may_start && (state == HK_PURGER_AT_WORK || state == HK_PURGER_RESTS))
        hk_purge_start();
}
