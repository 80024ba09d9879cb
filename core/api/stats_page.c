/* SPDX-License-Identifier: MIT
 *
 * The page of HAKMEM_STATS=1, and its tables on their own.
 */
#include "api/stats.h"
#include "os/file.h"
#include "os/os.h"

#include <string.h>

static void row(struct hk_fmt *f, const char *name, size_t bytes, const char *what)
{
    hk_fmt(f, "  %-22s %8zu.%zu MiB  %s\n", name, bytes >> 20, ((bytes & (HK_MIB - 1)) * 10) >> 20, what);
}

/* Resident pages of the whole process, or 0 without /proc. */
size_t hk_stats_process_resident(void)
{
    char text[128];
    char *second = hk_file_text("/proc/self/statm", text, sizeof text) ? strchr(text, ' ') : NULL;
    return second != NULL ? hk_file_number(second + 1) * hk_os_page_size() : 0;
}

static void print_memory(struct hk_fmt *f, const struct hak_stats *s)
{
    size_t process = hk_stats_process_resident();
    hk_fmt(f, " memory\n");
    row(f, "live", s->live_resident_bytes, "in the program's hands and touched");
    row(f, "front caches", s->front_bytes, "free, ready for their thread (HAKMEM_FRONT_BYTES bounds it)");
    row(f, "free in owned slabs", s->slab_free_bytes, "free beside live blocks of the same class");
    row(f, "EMPTY slabs", s->empty_bytes, "free for any class (HAKMEM_PURGE_DELAY_MS, HAKMEM_MIN_KEEP)");
    row(f, "free page runs", s->run_free_bytes, "free for blocks above 32 KiB (the same options)");
    row(f, "metadata", s->metadata_bytes, "the allocator's own records");
    row(f, "= our mappings", s->resident_bytes, "resident pages");
    row(f, "rest of the process", process - hk_min(process, s->resident_bytes), "code, stacks, files, other mappings");
    row(f, "purged so far", s->purged_bytes, "given back to the system since the start");
    hk_fmt(f, " blocks\n  live %zu blocks, %zu bytes, of which %zu in page runs and %zu in mappings of their own\n",
           s->live_blocks, s->live_bytes, s->run_bytes, s->huge_bytes);
}

static void print_counts(struct hk_fmt *f, const struct hak_stats *s)
{
    hk_fmt(f,
           " fronts: %zu refills, %zu flushes, %zu remote chains, %zu transfers; %u threads; %zu system calls for "
           "memory\n",
           (size_t)s->refills, (size_t)s->flushes, (size_t)s->remote_chains, (size_t)s->transfers, s->threads,
           (size_t)s->os_calls);
}

/* ---- tables with a line for each class ---- */

bool hk_stats_has(const struct hak_class_stats *s)
{
    return s->slabs + s->refills + s->acquired_partial + s->acquired_empty + s->acquired_unused + s->acquired_new != 0;
}

/* "  1234 ( 99.9 %)"; a part of nothing is 0 %. */
static void put_share(struct hk_fmt *f, uint64_t part, uint64_t all)
{
    size_t tenths = (size_t)(part * 1000 / (all + (all == 0)));
    hk_fmt(f, " %9zu (%3zu.%zu %%)", (size_t)part, tenths / 10, tenths % 10);
}

static void print_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    hk_fmt(f, " classes: slabs (hot ones are used above three quarters), blocks\n");
    hk_fmt(f, "   bytes      hot     cold       live   cached  free in slabs  resident KiB\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hak_class_stats s = {0};
        hk_stats_fill_class(&s, u, cls);
        if (!hk_stats_has(&s))
            continue;
        hk_fmt(f, "  %6zu %8zu %8zu %10zu %8zu %14zu %13zu\n", s.block_bytes, s.hot_slabs, s.slabs - s.hot_slabs,
               s.live_blocks, s.cached_blocks, s.free_blocks, s.resident_bytes / 1024);
    }
}

static void print_acquired(struct hk_fmt *f, const struct hak_class_stats *s)
{
    uint64_t all = s->acquired_partial + s->acquired_empty + s->acquired_unused + s->acquired_new;
    hk_fmt(f, " %9zu", (size_t)all);
    put_share(f, s->acquired_partial, all);
    put_share(f, s->acquired_empty, all);
    put_share(f, s->acquired_unused, all);
    put_share(f, s->acquired_new, all);
    hk_fmt(f, "\n");
}

static void print_stages(struct hk_fmt *f, const struct hk_usage *u)
{
    struct hak_class_stats total = {0};
    hk_fmt(f, " slabs taken from the shared pool, by the stage that served them\n");
    hk_fmt(f, "   bytes     taken             partial               EMPTY              UNUSED      new SuperSlab\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hak_class_stats s = {0};
        hk_stats_fill_class(&s, u, cls);
        total.acquired_partial += s.acquired_partial;
        total.acquired_empty += s.acquired_empty;
        total.acquired_unused += s.acquired_unused;
        total.acquired_new += s.acquired_new;
        if (s.acquired_partial + s.acquired_empty + s.acquired_unused + s.acquired_new == 0)
            continue;
        hk_fmt(f, "  %6zu", s.block_bytes);
        print_acquired(f, &s);
    }
    hk_fmt(f, "     all");
    print_acquired(f, &total);
}

static void print_moved(struct hk_fmt *f, const struct hak_class_stats *s)
{
    hk_fmt(f, " %9zu %11zu %9zu %11zu", (size_t)s->refills, (size_t)s->refilled, (size_t)s->flushes,
           (size_t)s->flushed);
    if (HK_TELEMETRY) {
        put_share(f, s->malloc_hits, s->malloc_hits + s->malloc_misses);
        put_share(f, s->free_hits, s->free_hits + s->free_misses);
    }
    hk_fmt(f, "\n");
}

static void print_fronts(struct hk_fmt *f, const struct hk_usage *u)
{
    struct hak_class_stats total = {0};
    hk_fmt(f, " front caches (" HK_FRONT_CHOICE "%s)\n",
           HK_TELEMETRY ? "" : "; hits and misses are counted with -Dtelemetry=enabled");
    hk_fmt(f, "   bytes   refills      blocks   flushes      blocks%s\n",
           HK_TELEMETRY ? "         malloc hits           free hits" : "");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        struct hak_class_stats s = {0};
        hk_stats_fill_class(&s, u, cls);
        total.refills += s.refills;
        total.refilled += s.refilled;
        total.flushes += s.flushes;
        total.flushed += s.flushed;
        total.malloc_hits += s.malloc_hits;
        total.malloc_misses += s.malloc_misses;
        total.free_hits += s.free_hits;
        total.free_misses += s.free_misses;
        if (s.refills + s.flushes + s.malloc_misses + s.free_misses == 0)
            continue;
        hk_fmt(f, "  %6zu", s.block_bytes);
        print_moved(f, &s);
    }
    hk_fmt(f, "     all");
    print_moved(f, &total);
}

static void print_table(int fd, void (*print)(struct hk_fmt *f, const struct hk_usage *u))
{
    struct hk_usage u;
    struct hk_fmt f;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "hakmem %s statistics of process %d\n", hak_version(), hk_os_pid());
    print(&f, &u);
    hk_fmt_end(&f);
}

void hk_stats_print_stages(int fd)
{
    print_table(fd, print_stages);
}

void hk_stats_print_fronts(int fd)
{
    print_table(fd, print_fronts);
}

/* ---- pages ---- */

const char *hk_stats_bucket_name(unsigned bucket)
{
    static const char names[HAK_PAGE_BUCKETS][5] = {"C0", "C1", "C2",  "C3",  "C4",   "C5",
                                                    "C6", "C7", "MID", "L25", "HUGE", "SSM"};
    return names[bucket];
}

static void print_pages(struct hk_fmt *f, const struct hak_stats *s)
{
    hk_fmt(f, " pages first handed out\n ");
    for (unsigned i = 0; i < HAK_PAGE_BUCKETS; i++)
        hk_fmt(f, " %s %zu", hk_stats_bucket_name(i), (size_t)s->first_pages[i]);
    hk_fmt(f, "\n");
}

int hak_stats_print(int fd)
{
    struct hk_usage u;
    struct hak_stats s = {0};
    struct hk_fmt f;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_stats_fill(&s, &u);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "hakmem %s statistics of process %d\n", hak_version(), hk_os_pid());
    print_memory(&f, &s);
    print_counts(&f, &s);
    print_classes(&f, &u);
    print_stages(&f, &u);
    print_fronts(&f, &u);
    if (HK_TELEMETRY)
        print_pages(&f, &s);
    return hk_fmt_end(&f) ? 0 : -1;
}
