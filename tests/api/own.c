/* SPDX-License-Identifier: MIT
 *
 * What only hakmem has: hak_stats, hak_stats_print, hak_stats_json, hak_option_*, hak_good_size, hak_trim, hak_version;
 * and that a refused call loses nothing. Linked with the static library or with the shared one.
 */
#include "api.h"

#include "config.h"
#include "taken.h"

#include <hakmem/hakmem.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

const struct entries *e;

/* What is asked here is not there with -Dstats=disabled. */
static struct hak_stats stats_now(void)
{
    struct hak_stats stats = {.size = sizeof(stats)};
    if (!HK_STATS)
        skip();
    assert_int_equal(hak_stats(&stats), 0);
    return stats;
}

/* Up to its last field at the time. */
#define VERSION_1 (offsetof(struct hak_stats, run_bytes) + sizeof(size_t))

static void stats_needs_its_size(void **state)
{
    (void)state;
    stats_now();
    assert_int_equal(hak_stats(NULL), -1);
    hak_free(hak_malloc(1)); /* this thread has a heap now */
    struct {
        struct hak_stats stats;
        unsigned char after[256];
    } room;
    for (size_t size = 0; size < VERSION_1; size += 8) {
        memset(&room, 0x3c, sizeof(room));
        room.stats.size = size;
        assert_int_equal(hak_stats(&room.stats), -1);
        for (size_t i = sizeof(size_t); i < sizeof(room); i++)
            assert_int_equal(((unsigned char *)&room)[i], 0x3c);
    }
    /* A program built with a newer header: the fields this library knows are filled in. */
    memset(&room, 0x3c, sizeof(room));
    room.stats.size = sizeof(room);
    assert_int_equal(hak_stats(&room.stats), 0);
    assert_int_equal(room.stats.version, 1);
    /* A program built with an older header. */
    memset(&room, 0x3c, sizeof(room));
    room.stats.size = VERSION_1;
    assert_int_equal(hak_stats(&room.stats), 0);
    assert_int_equal(room.stats.version, 1);
    assert_int_equal(room.stats.size, VERSION_1);
    for (size_t i = VERSION_1; i < sizeof(room); i++)
        assert_int_equal(((unsigned char *)&room)[i], 0x3c);
    /* The exact size: nothing behind it is written. */
    memset(&room, 0x3c, sizeof(room));
    room.stats.size = sizeof(room.stats);
    assert_int_equal(hak_stats(&room.stats), 0);
    assert_int_equal(room.stats.version, 1);
    assert_true(room.stats.threads >= 1);
    for (size_t i = 0; i < sizeof(room.after); i++)
        assert_int_equal(room.after[i], 0x3c);
}

static void without_statistics_they_say_so(void **state)
{
    (void)state;
    if (HK_STATS)
        skip();
    struct hak_stats stats;
    struct hak_class_stats of_class;
    memset(&stats, 0x3c, sizeof(stats));
    stats.size = sizeof(stats);
    errno = ERRNO_MARK;
    assert_int_equal(hak_stats(&stats), -1);
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(stats.version, 0x3c3c3c3c);
    errno = ERRNO_MARK;
    assert_int_equal(hak_stats_classes(&of_class, sizeof(of_class), 1), -1);
    assert_int_equal(errno, ENOTSUP);
    errno = ERRNO_MARK;
    assert_int_equal(hak_stats_print(2), -1);
    assert_int_equal(errno, ENOTSUP);
    errno = ERRNO_MARK;
    assert_int_equal(hak_stats_json(2), -1);
    assert_int_equal(errno, ENOTSUP);
}

/* The change is `blocks` blocks and `bytes` bytes. What was freed may have started the helper thread, whose record in
 * the C library is one small block; that is told apart and happens a few times at most. */
static void assert_change(const struct hak_stats *before, int blocks, ptrdiff_t bytes)
{
    static int helper_records;
    struct hak_stats after = stats_now();
    ptrdiff_t more_blocks = (ptrdiff_t)(after.live_blocks - before->live_blocks) - blocks;
    ptrdiff_t more_bytes = (ptrdiff_t)(after.live_bytes - before->live_bytes) - bytes;
    if (more_blocks == 0 && more_bytes == 0)
        return;
    helper_records++;
    if (more_blocks != 1 || more_bytes > 1024 || helper_records > 3)
        fail_msg("%td blocks and %td bytes too many (%+d blocks, %+td bytes expected)", more_blocks, more_bytes, blocks,
                 bytes);
}

/* Live blocks and bytes are exact while the program is quiet, in every range. */
static void live_figures_are_exact(void **state)
{
    (void)state;
    void *blocks[BORDER_SIZES];
    /* Much to give back would start the purge helper, for which the C library allocates. */
    assert_int_equal(hak_option_set("MIN_KEEP", 1 << 30), 0);
    for (size_t i = 0; i < BORDER_SIZES; i++) {
        struct hak_stats before = stats_now();
        blocks[i] = hak_malloc(border_sizes[i]);
        assert_non_null(blocks[i]);
        assert_change(&before, 1, (ptrdiff_t)taken_for(hak_malloc_usable_size(blocks[i])));
    }
    for (size_t i = 0; i < BORDER_SIZES; i++) {
        struct hak_stats before = stats_now();
        size_t taken = taken_for(hak_malloc_usable_size(blocks[i]));
        hak_free(blocks[i]);
        assert_change(&before, -1, -(ptrdiff_t)taken);
    }
}

static void live_figures_after_many_operations(void **state)
{
    (void)state;
    enum { SLOTS = 3000 };
    static void *blocks[SLOTS];
    struct hak_stats before = stats_now();
    uint64_t random = 5;
    size_t live = 0, bytes = 0;
    for (int i = 0; i < 200000; i++) {
        size_t slot = random_below(&random, SLOTS);
        if (blocks[slot]) {
            live--;
            bytes -= taken_for(hak_malloc_usable_size(blocks[slot]));
            hak_free(blocks[slot]);
            blocks[slot] = NULL;
        } else {
            blocks[slot] = hak_malloc(1 + random_below(&random, (size_t)1 << (4 + random_below(&random, 11))));
            assert_non_null(blocks[slot]);
            live++;
            bytes += taken_for(hak_malloc_usable_size(blocks[slot]));
        }
    }
    struct hak_stats after = stats_now();
    assert_int_equal(after.live_blocks - before.live_blocks, live);
    assert_int_equal(after.live_bytes - before.live_bytes, bytes);
    for (int i = 0; i < SLOTS; i++) {
        hak_free(blocks[i]);
        blocks[i] = NULL;
    }
    after = stats_now();
    assert_int_equal(after.live_blocks, before.live_blocks);
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_true(after.refills > before.refills);
    assert_true(after.flushes > before.flushes);
}

static size_t parts(const struct hak_stats *stats)
{
    return stats->live_resident_bytes + stats->front_bytes + stats->slab_free_bytes + stats->empty_bytes +
           stats->run_free_bytes + stats->metadata_bytes;
}

static void assert_parts_add_up(void)
{
    struct hak_stats stats = stats_now();
    size_t sum = parts(&stats), resident = stats.resident_bytes;
    size_t apart = sum > resident ? sum - resident : resident - sum;
    if (apart > resident / 50 + 256 * KIB) /* 2 %, and 64 pages that a tiny heap may be off by */
        fail_msg("parts %zu, resident %zu (live %zu front %zu slab free %zu empty %zu run free %zu metadata %zu)", sum,
                 resident, stats.live_bytes, stats.front_bytes, stats.slab_free_bytes, stats.empty_bytes,
                 stats.run_free_bytes, stats.metadata_bytes);
    assert_true(stats.mapped_bytes >= resident);
    assert_true(stats.peak_mapped_bytes >= stats.mapped_bytes);
    assert_true(stats.peak_live_bytes >= stats.live_bytes);
    assert_true(stats.huge_bytes + stats.run_bytes <= stats.live_bytes);
}

/* It is held for a moment only, and nobody asks then. */
static void the_peak_is_remembered(void **state)
{
    (void)state;
    struct hak_stats before = stats_now();
    hak_free(hak_malloc((size_t)1 << 30));
    struct hak_stats after = stats_now();
    assert_true(after.mapped_bytes < before.mapped_bytes + ((size_t)1 << 29));
    assert_true(after.peak_mapped_bytes >= before.mapped_bytes + ((size_t)1 << 30));
}

static void parts_add_up_to_the_resident_pages(void **state)
{
    (void)state;
    static const size_t sizes[] = {24, 200, 1000, 3000, 20000, 200000, 3000000, 50000000};
    static void *blocks[400000];
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t count = 64 * MIB / sizes[s];
        count = count > 400000 ? 400000 : count;
        for (size_t i = 0; i < count; i++) {
            blocks[i] = hak_malloc(sizes[s]);
            assert_non_null(blocks[i]);
            memset(blocks[i], 1, hak_malloc_usable_size(blocks[i]));
        }
        assert_parts_add_up();
        for (size_t i = 0; i < count; i += 2)
            hak_free(blocks[i]);
        assert_parts_add_up();
        for (size_t i = 1; i < count; i += 2)
            hak_free(blocks[i]);
        assert_parts_add_up();
    }
}

static void trim_shows_in_the_figures(void **state)
{
    (void)state;
    hak_trim(0);
    struct hak_stats before = stats_now();
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = hak_malloc(300000);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 300000);
    }
    for (int i = 0; i < 100; i++)
        hak_free(blocks[i]);
    hak_trim(0);
    struct hak_stats after = stats_now();
    assert_true(after.purged_bytes >= before.purged_bytes + 25 * MIB);
    assert_true(after.resident_bytes <= before.resident_bytes + 4 * MIB);
    assert_true(after.os_calls > before.os_calls);
}

static void huge_and_run_parts(void **state)
{
    (void)state;
    struct hak_stats before = stats_now();
    void *run = hak_malloc(500000), *huge = hak_malloc(100 * MIB);
    assert_non_null(run);
    assert_non_null(huge);
    struct hak_stats after = stats_now();
    assert_int_equal(after.run_bytes - before.run_bytes, taken_for(hak_malloc_usable_size(run)));
    assert_int_equal(after.huge_bytes - before.huge_bytes, taken_for(hak_malloc_usable_size(huge)));
    hak_free(run);
    hak_free(huge);
    after = stats_now();
    assert_int_equal(after.run_bytes, before.run_bytes);
    assert_int_equal(after.huge_bytes, before.huge_bytes);
}

static void refused_calls_lose_nothing(void **state)
{
    (void)state;
    void *kept = e->malloc(5000), *untouched = &kept;
    assert_non_null(kept);
    void *warm = e->malloc(100);
    e->free(warm);
    struct hak_stats before = stats_now();
    for (int i = 0; i < 1000; i++) {
        assert_null(e->malloc((size_t)PTRDIFF_MAX + 1));
        assert_null(e->calloc((size_t)1 << 33, (size_t)1 << 33));
        assert_int_equal(e->posix_memalign(&untouched, 24, 8), EINVAL);
        assert_int_equal(e->posix_memalign(&untouched, 64, SIZE_MAX), ENOMEM);
        assert_null(e->realloc(kept, SIZE_MAX));
        assert_null(e->aligned_alloc(3, 100));
        assert_null(e->memalign(4096, SIZE_MAX - 100));
        e->free(NULL);
    }
    struct hak_stats after = stats_now();
    assert_int_equal(after.live_blocks, before.live_blocks);
    assert_int_equal(after.live_bytes, before.live_bytes);
    assert_int_equal(after.mapped_bytes, before.mapped_bytes);
    e->free(kept);
}

static void good_size_is_what_malloc_gives(void **state)
{
    (void)state;
    size_t last = 0;
    for (size_t size = 0; size <= 48 * MIB; size += size < 3000 ? 1 : size / 50) {
        size_t good = hak_good_size(size);
        assert_true(good >= size);
        assert_true(good >= last);
        assert_int_equal(hak_good_size(good), good);
        void *block = hak_malloc(size);
        assert_non_null(block);
        assert_int_equal(hak_malloc_usable_size(block), good);
        hak_free(block);
        last = good;
    }
    assert_int_equal(hak_good_size((size_t)PTRDIFF_MAX + 1), 0);
    assert_int_equal(hak_good_size(SIZE_MAX), 0);
}

static void options_are_read_and_set(void **state)
{
    (void)state;
    assert_int_equal(hak_option_get("PURGE_DELAY_MS"), 500);
    assert_int_equal(hak_option_get("FRONT_BYTES"), 1048576);
    assert_int_equal(hak_option_get("MEMORY_LIMIT"), 0);
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", 250), 0);
    assert_int_equal(hak_option_get("PURGE_DELAY_MS"), 250);
    errno = ERRNO_MARK;
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", INT64_MAX), -1);
    assert_int_equal(errno, ERANGE);
    errno = ERRNO_MARK;
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", INT64_MIN), -1);
    assert_int_equal(errno, ERANGE);
    assert_int_equal(hak_option_get("PURGE_DELAY_MS"), 250);
    assert_int_equal(hak_option_set("PURGE_DELAY_MS", 500), 0);
}

static void unknown_options_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "NO_SUCH_OPTION", "HAKMEM_PURGE_DELAY_MS", "PURGE_DELAY",
                                        "PURGE_DELAY_MS "};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        errno = ERRNO_MARK;
        assert_int_equal(hak_option_get(names[i]), -1);
        assert_int_equal(errno, EINVAL);
        errno = ERRNO_MARK;
        assert_int_equal(hak_option_set(names[i], 1), -1);
        assert_int_equal(errno, EINVAL);
    }
}

/* A build has one front: of these two boxes one at least is not there. */
static void options_of_other_boxes_are_refused(void **state)
{
    (void)state;
    unsigned refused = 0;
    errno = ERRNO_MARK;
    refused += hak_option_set("TINY_UNIFIED_C0", 16) == -1 && errno == ENOTSUP;
    errno = ERRNO_MARK;
    refused += hak_option_set("TINY_HOT_RING_C0", 16) == -1 && errno == ENOTSUP;
    assert_true(refused >= 1);
    assert_int_equal(hak_option_get("HEAP_PICTURE"), -1); /* a text */
}

static void version_is_the_header_s(void **state)
{
    (void)state;
    char text[64];
    snprintf(text, sizeof(text), "%d.%d.%d", HAKMEM_VERSION_MAJOR, HAKMEM_VERSION_MINOR, HAKMEM_VERSION_PATCH);
    assert_string_equal(hak_version(), text);
}

static size_t printed(int (*print)(int), char *text, size_t size)
{
    char name[] = "/tmp/hakmem-stats-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    struct hak_stats before = stats_now();
    assert_int_equal(print(fd), 0);
    struct hak_stats after = stats_now();
    assert_int_equal(after.live_blocks, before.live_blocks);
    lseek(fd, 0, SEEK_SET);
    ssize_t used = read(fd, text, size - 1);
    assert_true(used > 0);
    text[used] = '\0';
    close(fd);
    return (size_t)used;
}

/* tests/api/stats_report.py reads the JSON with a real parser; here: it is one object, and it went to the descriptor.
 */
static void stats_can_be_printed(void **state)
{
    (void)state;
    static char text[262144];
    size_t used = printed(hak_stats_print, text, sizeof(text));
    assert_int_equal(text[used - 1], '\n');
    char pid[32];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_non_null(strstr(text, pid));
    used = printed(hak_stats_json, text, sizeof(text));
    assert_int_equal(text[0], '{');
    int depth = 0;
    for (size_t i = 0; i < used; i++)
        depth += (text[i] == '{') - (text[i] == '}');
    assert_int_equal(depth, 0);
    assert_int_equal(hak_stats_print(-1), -1);
    assert_int_equal(hak_stats_json(-1), -1);
}

static void print_to_a_full_device_fails(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0)
        skip();
    assert_int_equal(hak_stats_print(fd), -1);
    assert_int_equal(hak_stats_json(fd), -1);
    close(fd);
}

static void both_families_share_blocks(void **state)
{
    (void)state;
    if (!e->is_hakmem || !strcmp(e->kind, "hak"))
        skip();
    for (size_t i = 0; i < BORDER_SIZES; i++) {
        size_t size = border_sizes[i];
        hak_free(e->malloc(size));
        e->free(hak_malloc(size));
        e->free(hak_aligned_alloc(128, size));
        void *block = hak_realloc(e->calloc(1, size), size * 2);
        assert_non_null(block);
        assert_int_equal(pattern_nonzero(block, size), size);
        assert_int_equal(e->usable_size(block), hak_malloc_usable_size(block));
        block = e->realloc(block, size / 2 + 1);
        assert_non_null(block);
        e->free_sized(block, size / 2 + 1);
    }
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_and_set),
        cmocka_unit_test(unknown_options_are_refused),
        cmocka_unit_test(options_of_other_boxes_are_refused),
        cmocka_unit_test(version_is_the_header_s),
        cmocka_unit_test(stats_needs_its_size),
        cmocka_unit_test(live_figures_are_exact),
        cmocka_unit_test(live_figures_after_many_operations),
        cmocka_unit_test(huge_and_run_parts),
        cmocka_unit_test(parts_add_up_to_the_resident_pages),
        cmocka_unit_test(the_peak_is_remembered),
        cmocka_unit_test(trim_shows_in_the_figures),
        cmocka_unit_test(refused_calls_lose_nothing),
        cmocka_unit_test(good_size_is_what_malloc_gives),
        cmocka_unit_test(stats_can_be_printed),
        cmocka_unit_test(without_statistics_they_say_so),
        cmocka_unit_test(print_to_a_full_device_fails),
        cmocka_unit_test(both_families_share_blocks),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
