/* SPDX-License-Identifier: MIT
 *
 * hak_stats, and the page and the JSON of HAKMEM_STATS.
 */
#include "api/usage.h"
#include "base/fmt.h"
#include "base/options.h"
#include "box/purge.h"
#include "hakmem/hakmem.h"
#include "os/os.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the first program that used this structure knew. */
#define VERSION_1_SIZE (offsetof(struct hak_stats, run_bytes) + sizeof(size_t))

static size_t peak_mapped; /* the most that any hak_stats call has seen; racing calls may lose one of two maxima */

static void fill(struct hak_stats *s, const struct hk_usage *u)
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
    peak_mapped = hk_max(peak_mapped, u->mapped);
    s->peak_mapped_bytes = peak_mapped;
    s->acquired_partial = hk_pool_stage_count(HK_STAGE_PARTIAL, 0);
    s->acquired_empty = hk_pool_stage_count(HK_STAGE_EMPTY, 0);
    s->acquired_unused = hk_pool_stage_count(HK_STAGE_UNUSED, 0);
    s->acquired_new = hk_pool_stage_count(HK_STAGE_NEW, 0);
    s->refills = u->refills;
    s->flushes = u->flushes;
    s->remote_chains = u->chains;
    s->purged_bytes = hk_purge_total();
    s->os_calls = hk_os_calls();
    s->huge_bytes = u->huge;
    s->run_bytes = u->runs;
}

int hak_stats(struct hak_stats *stats)
{
    struct hak_stats now = {0};
    struct hk_usage u;
    if (stats == NULL || stats->size < VERSION_1_SIZE)
        return -1;
    hk_usage_read(&u);
    fill(&now, &u);
    now.size = hk_min(stats->size, sizeof now);
    memcpy(stats, &now, now.size);
    return 0;
}

/* ---- the page ---- */

static void row(struct hk_fmt *f, const char *name, size_t bytes, const char *what)
{
    hk_fmt(f, "  %-22s %8zu.%zu MiB  %s\n", name, bytes >> 20, ((bytes & (HK_MIB - 1)) * 10) >> 20, what);
}

/* Resident pages of the whole process, or 0 without /proc. */
static size_t process_resident(void)
{
    char text[128] = {0};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    char *second = read(fd, text, sizeof text - 1) > 0 ? strchr(text, ' ') : NULL;
    close(fd);
    return second != NULL ? strtoull(second, NULL, 10) * hk_os_page_size() : 0;
}

static void print_memory(struct hk_fmt *f, const struct hak_stats *s)
{
    size_t process = process_resident();
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

static void print_stages(struct hk_fmt *f, const struct hak_stats *s)
{
    uint64_t all = s->acquired_partial + s->acquired_empty + s->acquired_unused + s->acquired_new;
    uint64_t some = all + (all == 0);
    hk_fmt(f, " slabs taken from the shared pool: %zu\n", (size_t)all);
    hk_fmt(f, "  partial %zu (%zu %%), EMPTY %zu (%zu %%), UNUSED %zu (%zu %%), new SuperSlab %zu (%zu %%)\n",
           (size_t)s->acquired_partial, (size_t)(s->acquired_partial * 100 / some), (size_t)s->acquired_empty,
           (size_t)(s->acquired_empty * 100 / some), (size_t)s->acquired_unused,
           (size_t)(s->acquired_unused * 100 / some), (size_t)s->acquired_new, (size_t)(s->acquired_new * 100 / some));
    hk_fmt(f, " fronts: %zu refills, %zu flushes, %zu remote chains; %u threads; %zu system calls for memory\n",
           (size_t)s->refills, (size_t)s->flushes, (size_t)s->remote_chains, s->threads, (size_t)s->os_calls);
}

static void print_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    hk_fmt(f, " classes\n   bytes    slabs       live   cached  free in slabs  resident KiB   refills   flushes\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_class_usage *c = &u->cls[cls];
        size_t cached = c->front + c->remote;
        if (c->slabs == 0 && c->refills == 0)
            continue;
        hk_fmt(f, "  %6zu %8zu %10zu %8zu %14zu %13zu %9zu %9zu\n", hk_class_size(cls), c->slabs,
               c->used - hk_min(c->used, cached), cached, c->carved - hk_min(c->used, c->carved), c->resident / 1024,
               (size_t)c->refills, (size_t)c->flushes);
    }
}

int hak_stats_print(int fd)
{
    struct hk_usage u;
    struct hak_stats s = {0};
    struct hk_fmt f;
    hk_usage_read(&u);
    fill(&s, &u);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "hakmem %s statistics of process %d\n", hak_version(), (int)getpid());
    print_memory(&f, &s);
    print_stages(&f, &s);
    print_classes(&f, &u);
    return hk_fmt_end(&f) ? 0 : -1;
}

/* ---- JSON ---- */

static void json_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    const char *comma = "";
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        const struct hk_class_usage *c = &u->cls[cls];
        if (c->slabs == 0 && c->refills == 0)
            continue;
        hk_fmt(f, "%s\n    {\"block_bytes\": %zu, \"slabs\": %zu, \"used\": %zu, \"front\": %zu, \"remote\": %zu, ",
               comma, hk_class_size(cls), c->slabs, c->used, c->front, c->remote);
        hk_fmt(f,
               "\"carved\": %zu, \"resident_bytes\": %zu, \"refills\": %zu, \"flushes\": %zu, \"refilled\": %zu, "
               "\"flushed\": %zu,\n     \"acquired\": [%zu, %zu, %zu, %zu]}",
               c->carved, c->resident, (size_t)c->refills, (size_t)c->flushes, (size_t)c->refilled, (size_t)c->flushed,
               (size_t)hk_pool_stage_count(HK_STAGE_PARTIAL, cls), (size_t)hk_pool_stage_count(HK_STAGE_EMPTY, cls),
               (size_t)hk_pool_stage_count(HK_STAGE_UNUSED, cls), (size_t)hk_pool_stage_count(HK_STAGE_NEW, cls));
        comma = ",";
    }
}

int hak_stats_json(int fd)
{
    struct hk_usage u;
    struct hak_stats s = {0};
    struct hk_fmt f;
    hk_usage_read(&u);
    fill(&s, &u);
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "{\n  \"version\": %u,\n  \"hakmem\": \"%s\",\n  \"pid\": %d,\n", s.version, hak_version(),
           (int)getpid());
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
    NUMBER(purged_bytes);
    NUMBER(os_calls);
    NUMBER(huge_bytes);
    NUMBER(run_bytes);
#undef NUMBER
    hk_fmt(&f, "  \"process_resident_bytes\": %zu,\n  \"classes\": [", process_resident());
    json_classes(&f, &u);
    hk_fmt(&f, "\n  ]\n}\n");
    return hk_fmt_end(&f) ? 0 : -1;
}
