/* SPDX-License-Identifier: MIT
 *
 * The page of HAKMEM_STATS=1: sentences first, then every figure under its name, then the classes; and its tables on
 * their own.
 */
#include "api/stats.h"
#include "base/shared_use.h"
#include "os/file.h"
#include "os/os.h"

#include <string.h>

/* Resident pages of the whole process, or 0 without /proc. */
size_t hk_stats_process_resident(void)
{
    char text[128];
    char *second = hk_file_text("/proc/self/statm", text, sizeof text) ? strchr(text, ' ') : NULL;
    return second != NULL ? hk_file_number(second + 1) * hk_os_page_size() : 0;
}

/* ---- sentences ---- */

/* An amount, and what is said of it. */
static void put_bytes(struct hk_fmt *f, const char *before, size_t bytes, const char *after)
{
    hk_fmt(f, "%s", before);
    if (bytes != 0)
        hk_stats_put_bytes(f, bytes);
    else
        hk_fmt(f, "nothing");
    hk_fmt(f, "%s", after);
}

static void put_number(struct hk_fmt *f, size_t n, const char *what)
{
    hk_fmt(f, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

/* What a user asks first: what there is, what of it is of no use, and what was. */
static void print_sentences(struct hk_fmt *f, const struct hak_stats *s)
{
    size_t all = s->resident_bytes, process = hk_stats_process_resident();
    if (s->mapped_bytes == 0) {
        hk_fmt(f, " The program took no memory.\n");
        return;
    }
    put_bytes(f, " The program has ", s->live_bytes, " in ");
    put_number(f, s->live_blocks, "block");
    put_bytes(f, ", for which ", all, " is resident");
    if (process != 0)
        put_bytes(f, "; the whole process has ", process, "");
    hk_fmt(f, ".\n %zu %% of ", (s->slab_free_bytes * 100 + all / 2) / hk_max(all, 1));
    put_bytes(f, "", all, " is free beside live blocks: fragmentation.\n The front caches of ");
    unsigned processors = hk_front_processors();
    put_number(f, processors != 0 ? processors : s->threads, processors != 0 ? "processor" : "thread");
    put_bytes(f, " hold ", s->front_bytes, "");
    put_bytes(f, ", ", s->empty_bytes + s->run_free_bytes, " is free for any block");
    put_bytes(f, ", and the allocator's own records take ", s->metadata_bytes, ".\n");
    put_bytes(f, " So far ", (size_t)s->purged_bytes, " went back to the system.\n");
    put_bytes(f, " At the peak ", s->peak_live_bytes, " was live");
    put_bytes(f, ", and ", s->peak_mapped_bytes, " of address space was held.\n");
}

/* ---- figures ---- */

static void pad_column(struct hk_fmt *f, size_t used, size_t width)
{
    for (; used < width; used++)
        hk_fmt(f, " ");
}

static size_t count_digits(size_t value)
{
    size_t n = 1;
    while ((value /= 10) != 0)
        n++;
    return n;
}

static void print_figure(struct hk_fmt *f, const struct hk_statistic *what, size_t value)
{
    static const char units[5][4] = {"", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    size_t rest = 0;
    for (; what->unit == HK_IN_BYTES && value >= HK_KIB && unit + 1 < HK_COUNT(units); unit++) {
        rest = value % HK_KIB;
        value /= HK_KIB;
    }
    hk_fmt(f, "  %-24s", what->name);
    if (unit == 0)
        hk_fmt(f, "%10zu", value);
    else
        hk_fmt(f, "%8zu.%zu", value, rest * 10 / HK_KIB);
    hk_fmt(f, " %-5s %s\n", what->unit == HK_IN_BYTES && unit == 0 && value != 0 ? "bytes" : units[unit],
           what->sentence);
}

static void print_figures(struct hk_fmt *f, const struct hak_stats *s)
{
    hk_fmt(f, " figures (docs/statistics.md has more of each)\n");
    for (unsigned i = 0; i < HK_STAT_COUNT; i++) {
        const struct hk_statistic *what = &hk_statistics[i];
        if (hk_statistic_is_built(what) && !hk_statistic_is_array(what))
            print_figure(f, what, hk_statistic_value(what, s));
    }
    print_figure(f, &hk_json_only[HK_JSON_process_resident_bytes], hk_stats_process_resident());
}

/* ---- tables with a line for each class ---- */

bool hk_stats_has(const struct hak_class_stats *s)
{
    return s->slabs + s->refills + s->acquired_partial + s->acquired_empty + s->acquired_unused + s->acquired_new != 0;
}

/* What a table has of one class, or of all; by HK_CLASS_STAT_ numbers. */
struct line {
    size_t of[HK_CLASS_STAT_COUNT];
};

/* False: there was never anything of that class. */
static bool line_of(struct line *line, struct line *all, const struct hk_usage *u, unsigned cls)
{
    struct hak_class_stats s = {0};
    hk_stats_fill_class(&s, u, cls);
    for (unsigned i = 0; i < HK_CLASS_STAT_COUNT; i++) {
        line->of[i] = hk_statistic_value(&hk_class_statistics[i], &s);
        all->of[i] += line->of[i];
    }
    return hk_stats_has(&s);
}

static const char *name_of(unsigned number)
{
    return hk_class_statistics[number].name;
}

/* A column is as wide as its name, and has room for ten digits. */
static void put_name(struct hk_fmt *f, unsigned number)
{
    pad_column(f, strlen(name_of(number)), 10);
    hk_fmt(f, "  %s", name_of(number));
}

static void put_value(struct hk_fmt *f, const struct line *line, unsigned number)
{
    hk_fmt(f, "  ");
    pad_column(f, count_digits(line->of[number]), hk_max(strlen(name_of(number)), 10));
    hk_fmt(f, "%zu", line->of[number]);
}

/* "      1234 ( 99.9 %)"; a part of nothing is 0 %. */
static void put_share(struct hk_fmt *f, size_t part, size_t all)
{
    size_t tenths = (size_t)((uint64_t)part * 1000 / (all + (all == 0)));
    hk_fmt(f, " %10zu (%3zu.%zu %%)", part, tenths / 10, tenths % 10);
}

static void put_share_name(struct hk_fmt *f, unsigned number)
{
    hk_fmt(f, "  ");
    pad_column(f, strlen(name_of(number)), 19);
    hk_fmt(f, "%s", name_of(number));
}

static void print_classes(struct hk_fmt *f, const struct hk_usage *u)
{
    struct line line, all = {{0}};
    hk_fmt(f, " classes\n");
    for (unsigned i = 0; i <= HK_CLASS_STAT_resident_bytes; i++)
        put_name(f, i);
    hk_fmt(f, "\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        if (!line_of(&line, &all, u, cls))
            continue;
        for (unsigned i = 0; i <= HK_CLASS_STAT_resident_bytes; i++)
            put_value(f, &line, i);
        hk_fmt(f, "\n");
    }
}

/* Each table begins a line with the class, or the word. */
static void put_class(struct hk_fmt *f, const struct line *line)
{
    if (line != NULL)
        put_value(f, line, HK_CLASS_STAT_block_bytes);
    else
        hk_fmt(f, "          all");
}

static size_t all_acquired(const struct line *line)
{
    size_t sum = 0;
    for (unsigned i = HK_CLASS_STAT_acquired_partial; i <= HK_CLASS_STAT_acquired_new; i++)
        sum += line->of[i];
    return sum;
}

static void print_acquired(struct hk_fmt *f, const struct line *line)
{
    hk_fmt(f, " %10zu", all_acquired(line));
    for (unsigned i = HK_CLASS_STAT_acquired_partial; i <= HK_CLASS_STAT_acquired_new; i++)
        put_share(f, line->of[i], all_acquired(line));
    hk_fmt(f, "\n");
}

static void print_stages(struct hk_fmt *f, const struct hk_usage *u)
{
    struct line line, all = {{0}};
    hk_fmt(f, " slabs taken from the shared pool, by the stage that served them\n");
    put_name(f, HK_CLASS_STAT_block_bytes);
    hk_fmt(f, "      taken");
    for (unsigned i = HK_CLASS_STAT_acquired_partial; i <= HK_CLASS_STAT_acquired_new; i++)
        put_share_name(f, i);
    hk_fmt(f, "\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        if (!line_of(&line, &all, u, cls) || all_acquired(&line) == 0)
            continue;
        put_class(f, &line);
        print_acquired(f, &line);
    }
    put_class(f, NULL);
    print_acquired(f, &all);
}

static void print_moved(struct hk_fmt *f, const struct line *line)
{
    for (unsigned i = HK_CLASS_STAT_refills; i <= HK_CLASS_STAT_flushed; i++)
        put_value(f, line, i);
    for (unsigned i = HK_CLASS_STAT_malloc_hits; HK_TELEMETRY && i <= HK_CLASS_STAT_free_misses; i += 2)
        put_share(f, line->of[i], line->of[i] + line->of[i + 1]); /* behind the hits stand the misses */
    hk_fmt(f, "\n");
}

static void print_fronts(struct hk_fmt *f, const struct hk_usage *u)
{
    struct line line, all = {{0}};
    hk_fmt(f, " front caches (" HK_FRONT_CHOICE "%s%s)\n",
           HK_FRONT_PERCPU && hk_front_processors() == 0 ? "; without restartable sequences: one for each thread" : "",
           HK_TELEMETRY ? "" : "; hits and misses are counted with -Dtelemetry=enabled");
    put_name(f, HK_CLASS_STAT_block_bytes);
    for (unsigned i = HK_CLASS_STAT_refills; i <= HK_CLASS_STAT_flushed; i++)
        put_name(f, i);
    for (unsigned i = HK_CLASS_STAT_malloc_hits; HK_TELEMETRY && i <= HK_CLASS_STAT_free_misses; i += 2)
        put_share_name(f, i);
    hk_fmt(f, "\n");
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        line_of(&line, &all, u, cls);
        if (line.of[HK_CLASS_STAT_refills] + line.of[HK_CLASS_STAT_flushes] + line.of[HK_CLASS_STAT_malloc_misses] +
                line.of[HK_CLASS_STAT_free_misses] ==
            0)
            continue;
        put_class(f, &line);
        print_moved(f, &line);
    }
    put_class(f, NULL);
    print_moved(f, &all);
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

/* A line for each kind of lock, and one for words that belong to none. */
static void print_locks(struct hk_fmt *f)
{
    if (!HK_TELEMETRY)
        return;
    hk_fmt(f, " locks\n%24s", "");
    for (unsigned i = 0; i < HK_LOCK_STAT_COUNT; i++)
        hk_fmt(f, "  %16s", hk_lock_statistics[i].name);
    hk_fmt(f, "\n");
    for (unsigned kind = 0; kind < HK_USES; kind++) {
        const char *name = hk_telemetry_lock_name(kind);
        struct hk_lock_figures figures = hk_telemetry_lock(kind);
        if (name == NULL || figures.taken + figures.waited == 0)
            continue;
        hk_fmt(f, "  %-22s", name);
        for (unsigned i = 0; i < HK_LOCK_STAT_COUNT; i++)
            hk_fmt(f, "  %16zu", hk_statistic_value(&hk_lock_statistics[i], &figures));
        hk_fmt(f, "\n");
    }
    hk_fmt(f, " shared words written\n");
    for (unsigned word = 0; word < HK_WORDS; word++)
        hk_fmt(f, "  %-22s  %16zu\n", hk_telemetry_word_name((enum hk_word)word),
               (size_t)hk_telemetry_word((enum hk_word)word));
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
    print_sentences(&f, &s);
    print_figures(&f, &s);
    print_classes(&f, &u);
    print_stages(&f, &u);
    print_fronts(&f, &u);
    if (HK_TELEMETRY)
        print_pages(&f, &s);
    print_locks(&f);
    return hk_fmt_end(&f) ? 0 : -1;
}
