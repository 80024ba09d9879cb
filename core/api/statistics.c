/* SPDX-License-Identifier: MIT */
#include "api/statistics.h"

#include "base/shared_use.h"
#include "base/telemetry.h"
#include "box/peak.h"
#include "box/pool.h"
#include "box/purge.h"
#include "os/os.h"
#include "pages/ss_arena.h"

#include <string.h>

#define BUILT_ALWAYS 1
#define BUILT_TELEMETRY HK_TELEMETRY
#define ONLY_TELEMETRY_ALWAYS false
#define ONLY_TELEMETRY_TELEMETRY true

typedef uint64_t hk_page_counts[HAK_PAGE_BUCKETS];

/* ---- the structures of the public header are those of the tables ---- */

struct listed_stats {
    size_t size;
    uint32_t version;
#define X(type, name, ...) type name;
    HK_STATISTICS(X)
#undef X
};

struct listed_class_stats {
#define X(type, name, ...) type name;
    HK_CLASS_STATISTICS(X)
#undef X
};

#define SAME_FIELD(one, other, name)                                                         \
    _Static_assert(offsetof(struct one, name) == offsetof(struct other, name) &&             \
                       sizeof(((struct one *)0)->name) == sizeof(((struct other *)0)->name), \
                   #name " is not at the same place in hakmem.h and in statistic_list.h")

_Static_assert(sizeof(struct hak_stats) == sizeof(struct listed_stats), "a field of hak_stats is not in the table");
_Static_assert(sizeof(struct hak_class_stats) == sizeof(struct listed_class_stats),
               "a field of hak_class_stats is not in the table");
#define X(type, name, ...) SAME_FIELD(hak_stats, listed_stats, name);
HK_STATISTICS(X)
#undef X
#define X(type, name, ...) SAME_FIELD(hak_class_stats, listed_class_stats, name);
HK_CLASS_STATISTICS(X)
#undef X

const struct hk_statistic hk_statistics[HK_STAT_COUNT] = {
#define X(type, name, unit, built, boxes, sentence, value) \
    {#name, sentence, HK_IN_##unit, ONLY_TELEMETRY_##built, offsetof(struct hak_stats, name), sizeof(type)},
    HK_STATISTICS(X)
#undef X
};

const struct hk_statistic hk_class_statistics[HK_CLASS_STAT_COUNT] = {
#define X(type, name, unit, built, boxes, sentence, value) \
    {#name, sentence, HK_IN_##unit, ONLY_TELEMETRY_##built, offsetof(struct hak_class_stats, name), sizeof(type)},
    HK_CLASS_STATISTICS(X)
#undef X
};

const struct hk_statistic hk_lock_statistics[HK_LOCK_STAT_COUNT] = {
#define X(type, name, unit, built, boxes, sentence, value) \
    {#name, sentence, HK_IN_##unit, ONLY_TELEMETRY_##built, offsetof(struct hk_lock_figures, name), sizeof(type)},
    HK_LOCK_STATISTICS(X)
#undef X
};

const struct hk_statistic hk_json_only[HK_JSON_COUNT] = {
#define X(name, unit, built, boxes, sentence) {#name, sentence, HK_IN_##unit, ONLY_TELEMETRY_##built, 0, 0},
    HK_JSON_ONLY(X)
#undef X
};

size_t hk_statistic_value(const struct hk_statistic *s, const void *of)
{
    uint32_t word;
    size_t value;
    if (s->size != sizeof word) {
        memcpy(&value, (const char *)of + s->offset, sizeof value);
        return value;
    }
    memcpy(&word, (const char *)of + s->offset, sizeof word);
    return word;
}

/* ---- fill ---- */

_Static_assert((unsigned)HAK_PAGES_MID == HK_PAGES_MID && (unsigned)HAK_PAGES_SSM == HK_PAGES_SSM &&
                   HK_CLASS_GROUPS == HK_PAGES_L25,
               "buckets are numbered alike");

static void count_pages(uint64_t *pages, const struct hk_usage *u)
{
    for (unsigned i = 0; HK_TELEMETRY && i < HK_PAGES_COUNT; i++)
        pages[i] = hk_load_relaxed(&hk_telemetry_pages[i]);
}

/* Of slabs that heaps own counts what was handed out or touched, and not the rest of 64 KiB: beside a small program's
 * blocks that would be much. Runs that threads keep count as live there. */
static size_t peak_live(const struct hk_usage *u)
{
    size_t small = 0;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        small += hk_max(u->cls[cls].carved * hk_class_size(cls), u->cls[cls].resident);
    return hk_peak_live(u->live, small, u->empty + hk_min(u->run_free, hk_arena_dirty()));
}

#define FILL_uint32_t(name, built, value) s->name = (built) ? (value) : 0
#define FILL_uint64_t(name, built, value) s->name = (built) ? (value) : 0
#define FILL_size_t(name, built, value) s->name = (built) ? (value) : 0
#define FILL_hk_page_counts(name, built, value) (value)(s->name, u)
#define X(type, name, unit, built, boxes, sentence, value) FILL_##type(name, BUILT_##built, value);

void hk_stats_fill(struct hak_stats *s, const struct hk_usage *u)
{
    s->version = 1;
    HK_STATISTICS(X)
}

void hk_stats_fill_class(struct hak_class_stats *s, const struct hk_usage *u, unsigned cls)
{
    const struct hk_class_usage *c = &u->cls[cls];
    HK_CLASS_STATISTICS(X)
}

/* ---- text ---- */

void hk_stats_put_bytes(struct hk_fmt *f, size_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    if (bytes == SIZE_MAX) {
        hk_fmt(f, "more");
        return;
    }
    if (bytes < HK_KIB) {
        hk_fmt(f, "%zu bytes", bytes);
        return;
    }
    while (unit + 1 < HK_COUNT(units) && bytes >= HK_MIB) {
        bytes /= HK_KIB;
        unit++;
    }
    if (bytes % HK_KIB * 10 / HK_KIB == 0)
        hk_fmt(f, "%zu %s", bytes / HK_KIB, units[unit]);
    else
        hk_fmt(f, "%zu.%zu %s", bytes / HK_KIB, bytes % HK_KIB * 10 / HK_KIB, units[unit]);
}
