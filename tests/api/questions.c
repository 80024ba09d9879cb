/* SPDX-License-Identifier: MIT
 *
 * The questions of glibc's <malloc.h>: mallinfo, mallinfo2, malloc_info, malloc_stats, mallopt, malloc_trim. They exist
 * under the C library's names only. (malloc_usable_size is in blocks.c.)
 */
#include "api.h"

#include "config.h"

#include <ctype.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

const struct entries *e;

enum { COUNT = 10000, EACH = 1000 };

static void *many[COUNT];

static void take_many(void)
{
    for (int i = 0; i < COUNT; i++) {
        many[i] = e->malloc(EACH);
        assert_non_null(many[i]);
        memset(many[i], i, EACH);
    }
}

static void free_many(void)
{
    for (int i = 0; i < COUNT; i++)
        e->free(many[i]);
}

static size_t bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void mallinfo2_counts_what_is_in_use(void **state)
{
    (void)state;
    size_t start = bytes_in_use();
    take_many();
    size_t full = bytes_in_use() - start;
    assert_in_range(full, (size_t)COUNT * EACH, (size_t)COUNT * EACH * 5 / 4);
    void *large = e->malloc(64 * MIB);
    assert_non_null(large);
    size_t fuller = bytes_in_use() - start - full;
    assert_in_range(fuller, 64 * MIB, 66 * MIB);
    e->free(large);
    free_many();
    assert_in_range(bytes_in_use(), 0, start + (size_t)COUNT * EACH / 10);

    struct mallinfo2 info = mallinfo2();
    assert_int_equal(info.arena, info.uordblks + info.fordblks);
}

/* Deprecated because its fields are too narrow; programs use it all the same. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static struct mallinfo old_mallinfo(void)
{
    return mallinfo();
}
#pragma GCC diagnostic pop

static void mallinfo_agrees_with_mallinfo2(void **state)
{
    (void)state;
    take_many();
    struct mallinfo old = old_mallinfo();
    struct mallinfo2 info = mallinfo2();
    assert_int_equal((unsigned)old.arena, info.arena);
    assert_int_equal((unsigned)old.uordblks, info.uordblks);
    assert_int_equal((unsigned)old.fordblks, info.fordblks);
    assert_int_equal((unsigned)old.hblkhd, info.hblkhd);
    free_many();
}

/* A reader of XML that knows elements, attributes, comments, declarations and text, and no more. Gives NULL when the
 * text is one well-formed element, else what is wrong with it. */
static const char *xml_fault(const char *text)
{
    enum { DEPTH = 32, NAME = 64 };
    char open[DEPTH][NAME];
    int depth = 0, roots = 0;
    for (const char *at = text; *at;) {
        if (*at != '<') {
            if (depth == 0 && !isspace((unsigned char)*at))
                return "text outside the root";
            if (*at == '>')
                return "> in text";
            at++;
            continue;
        }
        const char *end = strchr(at, '>');
        if (!end)
            return "tag without an end";
        if (at[1] == '?' || at[1] == '!') {
            at = end + 1;
            continue;
        }
        bool closing = at[1] == '/', single = end[-1] == '/';
        at += 1 + closing;
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:");
        if (length == 0 || length >= NAME)
            return "bad element name";
        if (closing) {
            if (depth == 0 || strlen(open[depth - 1]) != length || strncmp(open[depth - 1], at, length))
                return "end tag without its start";
            depth--;
        } else {
            if (depth == 0 && roots++)
                return "two roots";
            if (depth == DEPTH)
                return "too deep";
            memcpy(open[depth], at, length);
            open[depth++][length] = '\0';
        }
        at += length;
        while (!closing && at < end - single) {
            size_t blank = strspn(at, " \t\n");
            at += blank;
            if (at == end - single)
                break;
            size_t name = strcspn(at, "= \t\n>/\"");
            if (!blank || !name || at[name] != '=' || at[name + 1] != '"')
                return "bad attribute";
            const char *quote = strchr(at + name + 2, '"');
            if (!quote || quote > end)
                return "attribute without an end";
            at = quote + 1;
        }
        depth -= single && !closing;
        at = end + 1;
    }
    return depth ? "element left open" : roots ? NULL : "no root";
}

static void the_xml_reader_finds_faults(void **state)
{
    (void)state;
    assert_null(xml_fault("<?xml?><a v=\"1\">\n<b/><c d=\"x\" e=\"y\"/>text<d></d></a>\n"));
    assert_non_null(xml_fault("<a><b></a></b>"));
    assert_non_null(xml_fault("<a>"));
    assert_non_null(xml_fault("<a b=c></a>"));
    assert_non_null(xml_fault("<a b=\"c></a>"));
    assert_non_null(xml_fault("<a/><b/>"));
    assert_non_null(xml_fault("text"));
    assert_non_null(xml_fault(""));
}

/* The stream allocates while the information is gathered: no lock may be held over a write to it. */
static void malloc_info_is_xml(void **state)
{
    (void)state;
    take_many();
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(malloc_info(0, stream), 0);
    assert_int_equal(fclose(stream), 0);
    free_many();
    const char *fault = xml_fault(text);
    if (fault)
        fail_msg("%s in: %s", fault, text);
    const char *root = strstr(text, "<malloc version=\"1\">");
    assert_non_null(root);
    assert_non_null(strstr(root, "<system type=\"current\" size=\""));
    e->free(text);
}

static void malloc_info_refuses_options(void **state)
{
    (void)state;
    FILE *stream = fopen("/dev/null", "w");
    assert_non_null(stream);
    assert_int_equal(malloc_info(1, stream), EINVAL);
    fclose(stream);
}

static void malloc_stats_writes_to_stderr(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    take_many();
    malloc_stats();
    free_many();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);

    static char text[65536];
    rewind(file);
    size_t used = fread(text, 1, sizeof(text) - 1, file);
    text[used] = '\0';
    fclose(file);
    const char *in_use = strstr(text, "in use bytes     =");
    assert_non_null(strstr(text, "system bytes     ="));
    assert_non_null(in_use);
    assert_true(strtoull(in_use + strlen("in use bytes     ="), NULL, 10) >= (size_t)COUNT * EACH);
}

static void mallopt_accepts(void **state)
{
    (void)state;
    assert_int_equal(mallopt(M_ARENA_MAX, 2), 1);
    assert_int_equal(mallopt(M_ARENA_TEST, 2), 1);
    assert_int_equal(mallopt(M_TOP_PAD, 65536), 1);
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    assert_int_equal(mallopt(M_MMAP_MAX, 1000), 1);
    assert_int_equal(mallopt(M_CHECK_ACTION, 3), 1);
    assert_int_equal(mallopt(12345, 1), 1); /* unknown: accepted, as glibc does */
}

static void perturbed_blocks_work(void **state)
{
    (void)state;
    assert_int_equal(mallopt(M_PERTURB, 0x55), 1);
    for (size_t i = 0; i < BORDER_SIZES; i += 2) {
        size_t size = border_sizes[i];
        unsigned char *block = e->malloc(size);
        assert_non_null(block);
        pattern_fill(block, size, i);
        unsigned char *zeroed = e->calloc(1, size);
        assert_non_null(zeroed);
        assert_int_equal(pattern_nonzero(zeroed, size), size);
        block = e->realloc(block, size + size / 2);
        assert_non_null(block);
        assert_int_equal(pattern_check(block, size, i), size);
        e->free(block);
        e->free(zeroed);
    }
    assert_int_equal(mallopt(M_PERTURB, 0), 1);
}

/* 1 in every third block stays, so that most memory is in partly used places; then all of it goes. */
static void trim_gives_memory_back(void **state)
{
    (void)state;
    enum { BLOCKS = 100000 };
    static void *blocks[BLOCKS];
    malloc_trim(0);
    size_t start = proc_rss();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = e->malloc(EACH);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, EACH);
    }
    assert_true(proc_rss() > start + 90 * MIB);
    for (int i = 0; i < BLOCKS; i++)
        e->free(blocks[i]);
    int given = malloc_trim(0);
    assert_in_range(given, 0, 1);
    assert_in_range(proc_rss(), 0, start + 16 * MIB);
    for (int i = 0; i < 3; i++)
        assert_in_range(malloc_trim((size_t)i << 20), 0, 1);
    assert_in_range(malloc_trim(SIZE_MAX), 0, 1);
}

static void trim_says_what_it_did(void **state)
{
    (void)state;
    if (!e->is_hakmem)
        skip(); /* glibc gives a large block back at once and nothing is left to trim */
    malloc_trim(0);
    void *blocks[20];
    for (int i = 0; i < 20; i++) {
        blocks[i] = e->malloc(700000);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 700000);
    }
    for (int i = 0; i < 20; i++)
        e->free(blocks[i]);
    assert_int_equal(malloc_trim(0), HK_HOT_SPAN); /* without hot spans they went when they were freed */
    assert_int_equal(malloc_trim(0), 0);
}

int main(void)
{
    e = entries_get();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallinfo2_counts_what_is_in_use),
        cmocka_unit_test(mallinfo_agrees_with_mallinfo2),
        cmocka_unit_test(the_xml_reader_finds_faults),
        cmocka_unit_test(malloc_info_is_xml),
        cmocka_unit_test(malloc_info_refuses_options),
        cmocka_unit_test(malloc_stats_writes_to_stderr),
        cmocka_unit_test(mallopt_accepts),
        cmocka_unit_test(perturbed_blocks_work),
        cmocka_unit_test(trim_gives_memory_back),
        cmocka_unit_test(trim_says_what_it_did),
    };
    return cmocka_run_group_tests_name(e->kind, tests, NULL, NULL);
}
