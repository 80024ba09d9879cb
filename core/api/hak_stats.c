/* SPDX-License-Identifier: MIT
 *
 * hak_stats, hak_stats_classes, and the JSON.
 */
#include "api/stats.h"
#include "base/shared_use.h"
#include "os/os.h"

#include <string.h>

/* What the first programs that used these structures knew. */
#define VERSION_1_SIZE (offsetof(struct hak_stats, run_bytes) + sizeof(size_t))
#define CLASS_VERSION_1_SIZE (offsetof(struct hak_class_stats, free_misses) + sizeof(uint64_t))

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

#define JSON(key) hk_json_only[HK_JSON_##key].name

static void json_pages(struct hk_fmt *f, const struct hak_stats *s)
{
    for (unsigned i = 0; i < HAK_PAGE_BUCKETS; i++)
        hk_fmt(f, "%s\"%s\": %zu", i == 0 ? "{" : ", ", hk_stats_bucket_name(i), (size_t)s->first_pages[i]);
    hk_fmt(f, "}");
}

static void json_process(struct hk_fmt *f, const struct hak_stats *s)
{
    for (unsigned i = 0; i < HK_STAT_COUNT; i++) {
        const struct hk_statistic *what = &hk_statistics[i];
        if (!hk_statistic_is_built(what))
            continue;
        hk_fmt(f, "  \"%s\": ", what->name);
        if (hk_statistic_is_array(what))
            json_pages(f, s);
        else
            hk_fmt(f, "%zu", hk_statistic_value(what, s));
        hk_fmt(f, ",\n");
    }
}

static void json_class(struct hk_fmt *f, const struct hak_class_stats *s)
{
    const char *comma = "{";
    for (unsigned i = 0; i < HK_CLASS_STAT_COUNT; i++) {
        const struct hk_statistic *what = &hk_class_statistics[i];
        if (!hk_statistic_is_built(what))
            continue;
        hk_fmt(f, "%s\"%s\": %zu", comma, what->name, hk_statistic_value(what, s));
        comma = ", ";
    }
    hk_fmt(f, "}");
}

static void json_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    const char *comma = "\n    ";
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hak_class_stats s = {0};
        hk_stats_fill_class(&s, u, cls);
        if (!hk_stats_has(&s))
            continue;
        hk_fmt(f, "%s", comma);
        json_class(f, &s);
        comma = ",\n    ";
    }
}

static void json_lock(struct hk_fmt *f, const struct hk_lock_figures *figures)
{
    const char *comma = "{";
    for (unsigned i = 0; i < HK_LOCK_STAT_COUNT; i++, comma = ", ")
        hk_fmt(f, "%s\"%s\": %zu", comma, hk_lock_statistics[i].name,
               hk_statistic_value(&hk_lock_statistics[i], figures));
    hk_fmt(f, "}");
}

static void json_shared(struct hk_fmt *f)
{
    const char *comma = "\n    ";
    if (!HK_TELEMETRY)
        return;
    hk_fmt(f, ",\n  \"%s\": {", JSON(locks));
    for (unsigned kind = 0; kind < HK_USES; kind++) {
        const char *name = hk_telemetry_lock_name(kind);
        struct hk_lock_figures figures = hk_telemetry_lock(kind);
        if (name == NULL || figures.taken + figures.waited == 0)
            continue;
        hk_fmt(f, "%s\"%s\": ", comma, name);
        json_lock(f, &figures);
        comma = ",\n    ";
    }
    hk_fmt(f, "\n  },\n  \"%s\": ", JSON(shared_words));
    for (unsigned word = 0; word < HK_WORDS; word++)
        hk_fmt(f, "%s\"%s\": %zu", word == 0 ? "{" : ", ", hk_telemetry_word_name((enum hk_word)word),
               (size_t)hk_telemetry_word((enum hk_word)word));
    hk_fmt(f, "}");
}

int hak_stats_json(int fd)
{
    struct hk_usage u;
    struct hak_stats s = {0};
    struct hk_fmt f;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_stats_fill(&s, &u);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "{\n  \"%s\": %u,\n  \"%s\": \"%s\",\n  \"%s\": %d,\n", JSON(version), s.version, JSON(hakmem),
           hak_version(), JSON(pid), hk_os_pid());
    json_process(&f, &s);
    hk_fmt(&f, "  \"%s\": %zu,\n  \"%s\": [", JSON(process_resident_bytes), hk_stats_process_resident(), JSON(classes));
    json_classes(&f, &u);
    hk_fmt(&f, "\n  ]");
    json_shared(&f);
    hk_fmt(&f, "\n}\n");
    return hk_fmt_end(&f) ? 0 : -1;
}
