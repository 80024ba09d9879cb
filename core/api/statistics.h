/* SPDX-License-Identifier: MIT
 *
 * statistics: the figures of api/statistic_list.h, filled in from a reading, and what is known of each: for whoever
 * prints or draws them under their names.
 *
 * Any thread that holds no lock. Allocates nothing. Pictures need it, so it is there with -Dstats=disabled too.
 */
#ifndef HK_API_STATISTICS_H
#define HK_API_STATISTICS_H

#include "api/statistic_list.h"
#include "api/usage.h"
#include "base/fmt.h"
#include "hakmem/hakmem.h"

enum hk_statistic_unit {
    HK_IN_BYTES,
    HK_IN_BLOCKS,
    HK_IN_SLABS,
    HK_IN_BATCHES,
    HK_IN_CHAINS,
    HK_IN_CALLS,
    HK_IN_THREADS,
    HK_IN_PAGES,
    HK_IN_NUMBER,
    HK_IN_TEXT,
    HK_IN_CLASSES,
    HK_IN_TIMES,
    HK_IN_TICKS,
    HK_IN_LOCKS,
};

/* Texts lie in it, not behind pointers, so that it takes no relocations. */
struct hk_statistic {
    char name[24];
    char sentence[88];
    uint8_t unit;    /* enum hk_statistic_unit */
    bool telemetry;  /* zero without -Dtelemetry=enabled; then it is not printed */
    uint16_t offset; /* in its structure */
    uint16_t size;   /* of the field; more than 8: an array of uint64_t, by HAK_PAGES_ index */
};

enum hk_statistic_number {
#define X(type, name, ...) HK_STAT_##name,
    HK_STATISTICS(X)
#undef X
        HK_STAT_COUNT
};

enum hk_class_statistic_number {
#define X(type, name, ...) HK_CLASS_STAT_##name,
    HK_CLASS_STATISTICS(X)
#undef X
        HK_CLASS_STAT_COUNT
};

enum hk_lock_statistic_number {
#define X(type, name, ...) HK_LOCK_STAT_##name,
    HK_LOCK_STATISTICS(X)
#undef X
        HK_LOCK_STAT_COUNT
};

enum hk_json_number {
#define X(name, ...) HK_JSON_##name,
    HK_JSON_ONLY(X)
#undef X
        HK_JSON_COUNT
};

extern HK_HIDDEN const struct hk_statistic hk_statistics[HK_STAT_COUNT];             /* of struct hak_stats */
extern HK_HIDDEN const struct hk_statistic hk_class_statistics[HK_CLASS_STAT_COUNT]; /* of struct hak_class_stats */
extern HK_HIDDEN const struct hk_statistic hk_lock_statistics[HK_LOCK_STAT_COUNT];   /* of struct hk_lock_figures */
extern HK_HIDDEN const struct hk_statistic hk_json_only[HK_JSON_COUNT];              /* of no structure */

static inline bool hk_statistic_is_built(const struct hk_statistic *s)
{
    return HK_TELEMETRY || !s->telemetry;
}

static inline bool hk_statistic_is_array(const struct hk_statistic *s)
{
    return s->size > sizeof(uint64_t);
}

/* The figure in the structure `of` that it belongs to; not of an array. */
size_t hk_statistic_value(const struct hk_statistic *s, const void *of);

/* Fills all but `size`; what is not built is zero. */
void hk_stats_fill(struct hak_stats *s, const struct hk_usage *u);

/* Of one class; `cls` is not 0. */
void hk_stats_fill_class(struct hak_class_stats *s, const struct hk_usage *u, unsigned cls);

/* An amount of memory as people read it: 800 bytes, 1.5 KiB, 207.0 MiB; SIZE_MAX is "more". */
void hk_stats_put_bytes(struct hk_fmt *f, size_t bytes);

#endif
