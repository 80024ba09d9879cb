/* SPDX-License-Identifier: MIT
 *
 * hak_stats, hak_stats_classes, and the JSON.
 */
#include "api/stats.h"
#include "base/telemetry.h"
#include "box/pool.h"
#include "box/purge.h"
#include "os/os.h"

#include <string.h>

/* What the first programs that used these structures knew. */
#define VERSION_1_SIZE (offsetof(struct hak_stats, run_bytes) + sizeof(size_t))
#define CLASS_VERSION_1_SIZE (offsetof(struct hak_class_stats, free_misses) + sizeof(uint64_t))

void hk_stats_fill(struct hak_stats *s, const struct hk_usage *u)
{
    s->version = 1;
    s->threads = (uint32_t)u->threads;
    s->live_bytes = u->live;
    s->live_blocks = u->live_blocks;
    s->live_resident_bytes = u->live_resident;
    s->front_bytes = u->front;
    s->slab_free_bytes = u->slab_free;
    s->empty_bytes = u->empty;
    s->run_free_bytes = u->run_free;
    s->metadata_bytes = u->metadata;
    s->resident_bytes = u->resident;
    s->mapped_bytes = u->mapped;
    s->peak_mapped_bytes = hk_max(hk_os_held_most(), u->mapped);
    s->acquired_partial = hk_pool_stage_count(HK_STAGE_PARTIAL, 0);
    s->acquired_empty = hk_pool_stage_count(HK_STAGE_EMPTY, 0);
    s->acquired_unused = hk_pool_stage_count(HK_STAGE_UNUSED, 0);
    s->acquired_new = hk_pool_stage_count(HK_STAGE_NEW, 0);
    s->refills = u->refills;
    s->flushes = u->flushes;
    s->remote_chains = u->chains;
    s->transfers = u->transfers;
    s->purged_bytes = hk_purge_total();
    s->os_calls = hk_os_calls();
    s->huge_bytes = u->huge;
    s->run_bytes = u->runs;
    s->refilled = u->refilled;
    s->flushed = u->flushed;
    s->hot_slabs = u->hot;
    s->cold_slabs = u->slabs - u->hot;
    s->malloc_hits = u->hits.malloc_hits;
    s->malloc_misses = u->hits.malloc_misses;
    s->free_hits = u->hits.free_hits;
    s->free_misses = u->hits.free_misses;
    for (unsigned i = 0; HK_TELEMETRY && i < HK_PAGES_COUNT; i++)
        s->first_pages[i] = hk_load_relaxed(&hk_telemetry_pages[i]);
    if (HK_TELEMETRY)
        s->first_pages[HAK_PAGES_SSM] = u->metadata / HK_PAGE;
}

_Static_assert((unsigned)HAK_PAGES_MID == HK_PAGES_MID && (unsigned)HAK_PAGES_SSM == HK_PAGES_COUNT &&
                   HK_CLASS_GROUPS == HK_PAGES_L25,
               "buckets are numbered alike");

void hk_stats_fill_class(struct hak_class_stats *s, const struct hk_usage *u, unsigned cls)
{
    const struct hk_class_usage *c = &u->cls[cls];
    s->block_bytes = hk_class_size(cls);
    s->slabs = c->slabs;
    s->hot_slabs = c->hot;
    s->cached_blocks = c->front + c->remote;
    s->live_blocks = c->used - hk_min(c->used, s->cached_blocks);
    s->free_blocks = c->carved - hk_min(c->used, c->carved);
    s->resident_bytes = c->resident;
    s->acquired_partial = hk_pool_stage_count(HK_STAGE_PARTIAL, cls);
    s->acquired_empty = hk_pool_stage_count(HK_STAGE_EMPTY, cls);
    s->acquired_unused = hk_pool_stage_count(HK_STAGE_UNUSED, cls);
    s->acquired_new = hk_pool_stage_count(HK_STAGE_NEW, cls);
    s->refills = c->moved.refills;
    s->flushes = c->moved.flushes;
    s->refilled = c->moved.refilled;
    s->flushed = c->moved.flushed;
    if (HK_TELEMETRY) {
        s->malloc_hits = c->hits->malloc_hits;
        s->malloc_misses = c->hits->malloc_misses;
        s->free_hits = c->hits->free_hits;
        s->free_misses = c->hits->free_misses;
    }
}

int hak_stats(struct hak_stats *stats)
{
    struct hak_stats now = {0};
    struct hk_usage u;
    if (stats == NULL || stats->size < VERSION_1_SIZE)
        return -1;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_stats_fill(&now, &u);
    now.size = hk_min(stats->size, sizeof now);
    memcpy(stats, &now, now.size);
    return 0;
}

int hak_stats_classes(struct hak_class_stats *classes, size_t size, size_t count)
{
    struct hk_usage u;
    if (size < CLASS_VERSION_1_SIZE || (classes == NULL && count != 0))
        return -1;
    if (count != 0)
        hk_usage_read(&u, HK_USAGE_RESIDENT);
    for (unsigned cls = 1; cls < HK_CLASS_COUNT && cls <= count; cls++) {
        struct hak_class_stats now = {0};
        hk_stats_fill_class(&now, &u, cls);
        memcpy((char *)classes + (cls - 1) * size, &now, hk_min(size, sizeof now));
    }
    return HK_CLASS_COUNT - 1;
}

/* ---- JSON ---- */

static void json_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    const char *comma = "";
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_class_usage *c = &u->cls[cls];
        struct hak_class_stats s = {0};
        hk_stats_fill_class(&s, u, cls);
        if (!hk_stats_has(&s))
            continue;
        hk_fmt(f, "%s\n    {\"block_bytes\": %zu, \"slabs\": %zu, \"hot_slabs\": %zu, \"used\": %zu, ", comma,
               s.block_bytes, s.slabs, s.hot_slabs, c->used);
        hk_fmt(f, "\"front\": %zu, \"remote\": %zu, \"carved\": %zu, \"resident_bytes\": %zu,\n     ", c->front,
               c->remote, c->carved, s.resident_bytes);
        hk_fmt(f, "\"refills\": %zu, \"flushes\": %zu, \"refilled\": %zu, \"flushed\": %zu, ", (size_t)s.refills,
               (size_t)s.flushes, (size_t)s.refilled, (size_t)s.flushed);
        if (HK_TELEMETRY) {
            hk_fmt(f, "\"malloc_hits\": %zu, \"malloc_misses\": %zu, \"free_hits\": %zu, \"free_misses\": %zu, ",
                   (size_t)s.malloc_hits, (size_t)s.malloc_misses, (size_t)s.free_hits, (size_t)s.free_misses);
        }
        hk_fmt(f, "\"acquired\": [%zu, %zu, %zu, %zu]}", (size_t)s.acquired_partial, (size_t)s.acquired_empty,
               (size_t)s.acquired_unused, (size_t)s.acquired_new);
        comma = ",";
    }
}

static void json_pages(struct hk_fmt *f, const struct hak_stats *s)
{
    for (unsigned i = 0; i < HAK_PAGE_BUCKETS; i++) {
        hk_fmt(f, "%s\"%s\": %zu", i == 0 ? "  \"first_pages\": {" : ", ", hk_stats_bucket_name(i),
               (size_t)s->first_pages[i]);
    }
    hk_fmt(f, "},\n");
}

int hak_stats_json(int fd)
{
    struct hk_usage u;
    struct hak_stats s = {0};
    struct hk_fmt f;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_stats_fill(&s, &u);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "{\n  \"version\": %u,\n  \"hakmem\": \"%s\",\n  \"pid\": %d,\n", s.version, hak_version(), hk_os_pid());
#define NUMBER(name) hk_fmt(&f, "  \"" #name "\": %zu,\n", (size_t)s.name)
    NUMBER(threads);
    NUMBER(live_bytes);
    NUMBER(live_blocks);
    NUMBER(live_resident_bytes);
    NUMBER(front_bytes);
    NUMBER(slab_free_bytes);
    NUMBER(empty_bytes);
    NUMBER(run_free_bytes);
    NUMBER(metadata_bytes);
    NUMBER(resident_bytes);
    NUMBER(mapped_bytes);
    NUMBER(peak_mapped_bytes);
    NUMBER(acquired_partial);
    NUMBER(acquired_empty);
    NUMBER(acquired_unused);
    NUMBER(acquired_new);
    NUMBER(refills);
    NUMBER(flushes);
    NUMBER(remote_chains);
    NUMBER(transfers);
    NUMBER(purged_bytes);
    NUMBER(os_calls);
    NUMBER(huge_bytes);
    NUMBER(run_bytes);
    NUMBER(refilled);
    NUMBER(flushed);
    NUMBER(hot_slabs);
    NUMBER(cold_slabs);
    if (HK_TELEMETRY) {
        NUMBER(malloc_hits);
        NUMBER(malloc_misses);
        NUMBER(free_hits);
        NUMBER(free_misses);
        json_pages(&f, &s);
    }
#undef NUMBER
    hk_fmt(&f, "  \"process_resident_bytes\": %zu,\n  \"classes\": [", hk_stats_process_resident());
    json_classes(&f, &u);
    hk_fmt(&f, "\n  ]\n}\n");
    return hk_fmt_end(&f) ? 0 : -1;
}
