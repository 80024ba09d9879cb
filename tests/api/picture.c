/* SPDX-License-Identifier: MIT
 *
 * hak_heap_picture: what it shows of heaps that are known, and that it can be drawn while threads, forks and full disks
 * are about. tests/api/picture_report.py reads it with an XML parser and knows the options.
 */
#include "api.h"

#include "config.h"
#include "taken.h"

#include <hakmem/hakmem.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const struct entries *e;

enum { SLAB = 65536, SUPERSLAB = 2 * 1024 * 1024, SLABS = 32 };

static char text[32 << 20];

static void draw(void)
{
    int fd = memfd_create("picture", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(hak_heap_picture(fd), 0);
    ssize_t used = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(used > 0);
    text[used] = '\0';
    close(fd);
}

/* strstr, which with the address sanitizer looks at all that follows each time: megabytes. */
static const char *find(const char *at, const char *key)
{
    size_t length = strlen(key);
    while (*at != '\0' && (*at != *key || strncmp(at, key, length) != 0))
        at++;
    return *at != '\0' ? at : NULL;
}

static size_t number_after(const char *at, const char *key)
{
    const char *found = find(at, key);
    if (!found)
        fail_msg("no %s", key);
    return strtoull(found + strlen(key), NULL, 10);
}

static size_t total(const char *id)
{
    char key[64];
    snprintf(key, sizeof(key), " id=\"%s\" data-bytes=\"", id);
    return number_after(text, key);
}

/* The start of the row of the SuperSlab at `base`, or NULL. */
static const char *row_of(uintptr_t base)
{
    char key[64];
    snprintf(key, sizeof(key), "<div class=\"row\"><code>0x%zx</code><svg viewBox=", (size_t)base);
    return find(text, key);
}

/* The line of the picture that draws the slab that a block lies in. */
static const char *cell_of(const void *block)
{
    static char line[1024];
    uintptr_t base = (uintptr_t)block & ~(uintptr_t)(SUPERSLAB - 1);
    size_t index = ((uintptr_t)block - base) / SLAB;
    const char *row = row_of(base), *end = row ? find(row, "</svg>") : NULL;
    assert_non_null(end);
    for (const char *at = row; (at = find(at, "<rect class=\"")) != NULL && at < end; at++) {
        size_t first = (number_after(at, " x=\"") - 1) / 21, width = number_after(at, " width=\"");
        if (index < first || index > first + (width - 18) / 21)
            continue;
        size_t length = strcspn(at, "\n");
        assert_true(length < sizeof(line));
        memcpy(line, at, length);
        line[length] = '\0';
        return line;
    }
    fail_msg("no cell for slab %zu", index);
    return NULL;
}

#define assert_cell(block, what)                               \
    do {                                                       \
        const char *cell_ = cell_of(block);                    \
        if (!find(cell_, (what)))                              \
            fail_msg("%s is not in the cell %s", what, cell_); \
    } while (0)

/* Every row has 32 slabs; returns the number of rows. */
static size_t rows_are_whole(void)
{
    size_t rows = 0;
    for (const char *row = text; (row = find(row, "</code><svg viewBox=\"0 0 671 20\"")) != NULL; row++) {
        const char *end = find(row, "</svg>");
        size_t slabs = 0;
        assert_non_null(end);
        for (const char *at = row; (at = find(at, "<rect class=\"")) != NULL && at < end; at++)
            slabs += (number_after(at, " width=\"") - 18) / 21 + 1;
        assert_int_equal(slabs, SLABS);
        rows++;
    }
    return rows;
}

static void fill(void **blocks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = hak_malloc(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, size);
    }
}

/* Not touched: where they lie is all that is of interest. */
static void take(void **blocks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        assert_non_null(blocks[i] = hak_malloc(size));
}

static void release(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hak_free(blocks[i]);
}

static void *blocks[20000];

static void totals_are_those_of_the_statistics(void **state)
{
    (void)state;
    struct hak_stats s = {.size = sizeof(s)};
    fill(blocks, 10000, 100);
    fill(blocks + 10000, 300, 5000);
    fill(blocks + 10300, 20, 300000);
    void *huge = hak_malloc(50 * MIB);
    draw();
    if (hak_stats(&s) != 0) { /* built without statistics */
        release(blocks, 10320);
        hak_free(huge);
        skip();
    }
    assert_int_equal(total("live_resident_bytes"), s.live_resident_bytes);
    assert_int_equal(total("front_bytes"), s.front_bytes);
    assert_int_equal(total("slab_free_bytes"), s.slab_free_bytes);
    assert_int_equal(total("empty_bytes"), s.empty_bytes);
    assert_int_equal(total("run_free_bytes"), s.run_free_bytes);
    assert_int_equal(total("metadata_bytes"), s.metadata_bytes);
    assert_int_equal(total("resident_bytes"), s.resident_bytes);
    assert_int_equal(total("live_bytes"), s.live_bytes);
    assert_int_equal(total("run_bytes"), s.run_bytes);
    assert_int_equal(total("huge_bytes"), s.huge_bytes);
    assert_int_equal(total("purged_bytes"), s.purged_bytes);
    assert_int_equal(total("mapped_bytes"), s.mapped_bytes);
    hak_free(huge);
    release(blocks, 10320);
}

static void a_row_for_each_superslab(void **state)
{
    (void)state;
    fill(blocks, 10000, 1000); /* 10 MB: five SuperSlabs at least */
    draw();
    size_t rows = rows_are_whole();
    assert_true(rows >= 5);
    assert_int_equal(number_after(text, "data-count=\""), rows);
    for (size_t i = 0; i < 10000; i++)
        assert_non_null(row_of((uintptr_t)blocks[i] & ~(uintptr_t)(SUPERSLAB - 1)));
    release(blocks, 10000);
}

/* 2000 blocks of 1000 bytes fill about 31 slabs; that of the 1000th is full. */
static void use_is_shown(void **state)
{
    (void)state;
    void *small = hak_malloc(16), *mid = hak_malloc(20000), *middle;
    fill(blocks, 2000, 1000);
    middle = blocks[1000];
    draw();
    assert_cell(middle, " h\"");
    assert_cell(middle, "hot");
    assert_cell(middle, "; 64 KiB resident</title>");
    assert_cell(small, "class=\"g0 ");
    assert_cell(mid, "class=\"g8 ");
    for (size_t i = 0; i < 2000; i++) {
        if (blocks[i] != middle)
            hak_free(blocks[i]);
    }
    hak_trim(0); /* empties this thread's bins: one block is left in that slab */
    draw();
    assert_cell(middle, " s1\"");
    assert_cell(middle, ": blocks of ");
    assert_cell(middle, " 1 of ");
    assert_cell(middle, "cold");
    hak_free(middle);
    hak_free(mid);
    hak_free(small);
}

struct leaver {
    void *kept, *freed;
};

/* Ends with one slab in which a block lives, and one that is EMPTY. */
static void *leave(void *arg)
{
    struct leaver *l = arg;
    void *mine[2000]; /* more than waits between fronts when nobody wants them */
    for (size_t i = 0; i < 2000; i++)
        mine[i] = hak_malloc(1000);
    l->kept = mine[100];
    for (size_t i = 0; i < 2000; i++) {
        uintptr_t apart = (uintptr_t)mine[i] ^ (uintptr_t)l->kept;
        if (mine[i] != NULL && apart >= SLAB && apart < SUPERSLAB)
            l->freed = mine[i];
        if (i != 100)
            hak_free(mine[i]);
    }
    return NULL;
}

static void states_are_told_apart(void **state)
{
    (void)state;
    struct leaver l = {NULL, NULL};
    pthread_t thread;
    void *keeper = hak_malloc(1000);
    assert_int_equal(hak_option_set("MIN_KEEP", 1 << 30), 0);
    assert_int_equal(pthread_create(&thread, NULL, leave, &l), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(l.kept);
    assert_non_null(l.freed);
    draw();
    if (!HK_FRONT_PERCPU) { /* whose slabs are no thread's */
        assert_cell(l.kept, "ABANDONED");
        assert_cell(l.kept, "<path class=\"x\"");
    }
    assert_cell(l.freed, "class=\"e\"");
    hak_trim(0);
    draw();
    if (!HK_FRONT_PERCPU)
        assert_cell(l.kept, "ABANDONED");
    assert_cell(l.freed, "class=\"d\"");
    assert_cell(l.freed, "; 0 KiB resident");
    assert_non_null(find(text, "<rect class=\"u\" x=")); /* the rest of that SuperSlab, or of another */
    hak_free(l.kept);
    hak_free(keeper);
    assert_int_equal(hak_option_set("MIN_KEEP", 1 << 20), 0);
}

static void large_blocks_are_counted_by_size(void **state)
{
    (void)state;
    draw();
    size_t before = number_after(find(text, "mappings of their own: "), "own: ");
    fill(blocks, 12, 300000); /* no class has these */
    blocks[12] = hak_malloc(60 * MIB);
    draw();
    assert_int_equal(number_after(find(text, "mappings of their own: "), "own: "), before + 13);
    assert_non_null(find(text, "<td>512 KiB</td><td>12</td>"));
    assert_non_null(find(text, "<td>64 MiB</td><td>1</td><td>60 MiB</td>"));
    assert_non_null(find(text, "class=\"run\" x="));
    release(blocks, 13);
}

/* More rows than are drawn: 9 GiB of address space, of which each block has a page. The process has had threads, so
 * there are classes for blocks as large as these. */
static void a_large_heap_gives_a_page_of_moderate_size(void **state)
{
    (void)state;
    enum { COUNT = 72500, SIZE = 131072 };
    static void *many[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = hak_malloc(SIZE - TAKEN_END);
        if (!many[i]) {
            release(many, i);
            skip();
        }
    }
    draw();
    size_t superslabs = number_after(text, "data-count=\""), told = 0;
    assert_true(superslabs >= COUNT * (size_t)SIZE / SUPERSLAB);
    assert_int_equal(rows_are_whole(), 4096);
    assert_int_equal(number_after(text, "<p id=\"more\">and "), superslabs - 4096);
    for (const char *at = find(text, "id=\"superslabs\""); (at = find(at, "<title>slab ")) != NULL; at++)
        told++;
    assert_true(told > 512 * 8 && told <= 512 * SLABS);
    assert_true(strlen(text) < 16 * MIB);
    print_message("%zu bytes for %zu SuperSlabs\n", strlen(text), superslabs);
    release(many, COUNT);
}

/* Maps so much right behind the last unit that is there, the way up from a block. */
static void map_behind(const void *block, size_t size)
{
    char *at = (char *)(((uintptr_t)block | (SUPERSLAB - 1)) + 1), *p;
    for (unsigned i = 0; i < 10000; i++, at += SUPERSLAB) {
        p = mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == at)
            return;
        if (p != MAP_FAILED)
            munmap(p, size);
    }
    fail_msg("no room behind our units");
}

/* All that is drawn of a strip is within it. Returns how many there are. */
static size_t strips_are_whole(void)
{
    size_t strips = 0;
    for (const char *strip = text; (strip = find(strip, "<svg class=\"strip\"")) != NULL; strip++, strips++) {
        const char *end = find(strip, "</svg>");
        size_t room = number_after(strip, "viewBox=\"0 0 ");
        for (const char *at = strip; (at = find(at, "<rect class=\"")) != NULL && at < end; at++) {
            size_t width = number_after(at, " width=\""), x = at[13] == 'u' ? 0 : number_after(at, " x=\"");
            assert_true(width > 0 && x + width <= room);
        }
    }
    return strips;
}

static void what_others_have_between_our_units_is_left_out(void **state)
{
    (void)state;
    take(blocks, 3, 5 * MIB);
    draw();
    size_t before = strips_are_whole();
    assert_true(before >= 1);
    map_behind(blocks[0], 500 * MIB);
    take(blocks + 3, 40, 5 * MIB);
    draw();
    assert_int_equal(strips_are_whole(), before);
    map_behind(blocks[0], 8 * GIB);
    take(blocks + 43, 40, 5 * MIB);
    draw();
    assert_int_equal(strips_are_whole(), before + 1);
    release(blocks, 83);
}

static void a_refused_write_is_reported(void **state)
{
    (void)state;
    assert_int_equal(hak_heap_picture(-1), -1);
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0)
        skip();
    assert_int_equal(hak_heap_picture(fd), -1);
    close(fd);
}

static atomic_bool stop;

static void *work(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    void *mine[500] = {NULL};
    while (!atomic_load(&stop)) {
        size_t slot = random_below(&random, 500);
        hak_free(mine[slot]);
        mine[slot] = hak_malloc(1 + random_below(&random, (size_t)1 << (4 + random_below(&random, 15))));
    }
    for (size_t i = 0; i < 500; i++)
        hak_free(mine[i]);
    return NULL;
}

static void threads_go_on_meanwhile(void **state)
{
    (void)state;
    pthread_t thread[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < 12; i++) {
        draw();
        assert_true(rows_are_whole() > 0);
        assert_non_null(find(text, "</body></html>\n"));
        if (i % 4 == 1) { /* and a child of a fork draws its own */
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                int null = open("/dev/null", O_WRONLY);
                _exit(hak_heap_picture(null) == 0 ? 0 : 1);
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(status, 0);
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_have_between_our_units_is_left_out),
        cmocka_unit_test(totals_are_those_of_the_statistics),
        cmocka_unit_test(a_row_for_each_superslab),
        cmocka_unit_test(use_is_shown),
        cmocka_unit_test(states_are_told_apart),
        cmocka_unit_test(large_blocks_are_counted_by_size),
        cmocka_unit_test(a_large_heap_gives_a_page_of_moderate_size),
        cmocka_unit_test(a_refused_write_is_reported),
        cmocka_unit_test(threads_go_on_meanwhile),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
