/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/options.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t defaults[HK_OPTION_COUNT];

static int remember_defaults(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++)
        defaults[i] = hk_opt((enum hk_option)i);
    return 0;
}

/* Each case runs in a child: options are read once per process. */
struct reading {
    const char *variables[8];
    enum hk_option option;
    int64_t value;
};

static void read_variables(void *arg)
{
    const struct reading *r = arg;
    char *envp[9] = {0};
    for (unsigned i = 0; r->variables[i] != NULL; i++)
        envp[i] = strdup(r->variables[i]);
    hk_options_init(envp, NULL);
    EXPECT(hk_opt(r->option) == r->value);
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++)
        EXPECT(i == r->option || hk_opt((enum hk_option)i) == defaults[i]);
}

static void reads_to(struct reading r, const char *line)
{
    struct unit_child child;
    unit_run(&child, read_variables, &r);
    assert_string_equal(child.text, line);
    assert_int_equal(child.status, 0);
}

static void numbers_and_their_units(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_PURGE_DELAY_MS=0"}, HK_OPT_PURGE_DELAY_MS, 0}, "");
    reads_to((struct reading){{"HAKMEM_PURGE_DELAY_MS=0777"}, HK_OPT_PURGE_DELAY_MS, 777}, "");
    reads_to((struct reading){{"HAKMEM_FRONT_BYTES=4096"}, HK_OPT_FRONT_BYTES, 4096}, "");
    reads_to((struct reading){{"HAKMEM_FRONT_BYTES=16K"}, HK_OPT_FRONT_BYTES, 16384}, "");
    reads_to((struct reading){{"HAKMEM_FRONT_BYTES=16k"}, HK_OPT_FRONT_BYTES, 16384}, "");
    reads_to((struct reading){{"HAKMEM_MIN_KEEP=3M"}, HK_OPT_MIN_KEEP, 3 << 20}, "");
    reads_to((struct reading){{"HAKMEM_MIN_KEEP=3m"}, HK_OPT_MIN_KEEP, 3 << 20}, "");
    reads_to((struct reading){{"HAKMEM_MIN_KEEP=1G"}, HK_OPT_MIN_KEEP, 1 << 30}, "");
    reads_to((struct reading){{"HAKMEM_MEMORY_LIMIT=9223372036854775807"}, HK_OPT_MEMORY_LIMIT, INT64_MAX}, "");
}

static void words(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_MISUSE=warn"}, HK_OPT_MISUSE, 0}, "");
    reads_to((struct reading){{"HAKMEM_MISUSE=warn", "HAKMEM_MISUSE=abort"}, HK_OPT_MISUSE, 1}, "");
    reads_to((struct reading){{"HAKMEM_MISUSE=0"}, HK_OPT_MISUSE, 0}, "");
    reads_to((struct reading){{"HAKMEM_MEMORY_LIMIT=auto"}, HK_OPT_MEMORY_LIMIT, INT64_MAX}, "");
}

static void what_is_not_ours_is_left_alone(void **state)
{
    (void)state;
    reads_to((struct reading){{"PATH=/bin", "HAKMEM", "HAKMEM_", "HAKMEM_THP", "hakmem_THP=1", "XHAKMEM_THP=1"},
                              HK_OPT_THP,
                              0},
             "");
    hk_options_init(NULL, NULL);
}

static void an_empty_value_is_none(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_PURGE_DELAY_MS=7",
                               "HAKMEM_PURGE_DELAY_MS=", "HAKMEM_UNKNOWN=", "HAKMEM_HEAP_PICTURE=", "HAKMEM_STATS="},
                              HK_OPT_PURGE_DELAY_MS,
                              7},
             "");
}

static void messages_say_what_is_allowed(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_MISUSE=warn", "HAKMEM_MISUSE=stop"}, HK_OPT_MISUSE, 0},
             "hakmem: HAKMEM_MISUSE=stop is not abort or warn; kept at warn\n");
    reads_to((struct reading){{"HAKMEM_FRONT_BYTES=1KB"}, HK_OPT_FRONT_BYTES, 1 << 20},
             "hakmem: HAKMEM_FRONT_BYTES=1KB is not in 4096..16777216 (K, M, G); kept at 1048576\n");
    if (HK_STATS)
        reads_to((struct reading){{"HAKMEM_STATS=json"}, HK_OPT_STATS, 0},
                 "hakmem: HAKMEM_STATS=json is not in 0..1 or json:PATH (at most 255 bytes); kept at 0\n");
}

static bool said_of_three(const char *entry)
{
    return strcmp(entry, "HAKMEM_THP=3") == 0 || strcmp(entry, "HAKMEM_NONE=3") == 0 ||
           strcmp(entry, "HAKMEM_OPTIONS=3") == 0;
}

static void read_said(void *arg)
{
    (void)arg;
    static char three[] = "HAKMEM_THP=3", none[] = "HAKMEM_NONE=3", options[] = "HAKMEM_OPTIONS=3",
                four[] = "HAKMEM_THP=4", keep[] = "HAKMEM_MIN_KEEP=0";
    char *envp[] = {three, none, options, four, keep, NULL};
    hk_options_init(envp, said_of_three);
    EXPECT(hk_opt(HK_OPT_THP) == 0 && hk_opt(HK_OPT_MIN_KEEP) == 0);
}

static void what_was_said_is_not_said_again(void **state)
{
    (void)state;
    struct unit_child child;
    unit_run(&child, read_said, NULL);
    assert_int_equal(child.status, 0);
    assert_string_equal(child.text, "hakmem: HAKMEM_THP=4 is not in 0..1; kept at 0\n");
}

static void unknown_names_are_named_with_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *unknown, *near;
    } names[] = {
        {"THPX", "THP"},
        {"TH", "THP"},
        {"thp", "THP"},
        {"STAT", "STATS"},
        {"PURGE_DELAY", "PURGE_DELAY_MS"},
        {"PRUGE_DELAY_MS", "PURGE_DELAY_MS"},
        {"purge_delay_ms", "PURGE_DELAY_MS"},
        {"EMPTY_REUSE", "SS_EMPTY_REUSE"},
        {"FRONT_METRICS", "TINY_FRONT_METRICS"},
        {"STAGE_STATS", "SHARED_POOL_STAGE_STATS"},
        {"TINY_UNIFIED_C8", "TINY_UNIFIED_C0"},
        {"TINY_HOTRING_C5", "TINY_HOT_RING_C5"},
        {"HEAP_PICTRUE", "HEAP_PICTURE"},
        {"OPTION", "OPTIONS"},
        {"UNKNOWN", NULL},
        {"", NULL},
        {"X", NULL},
        {"ARENA_COUNT", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char variable[80], line[200];
        snprintf(variable, sizeof variable, "HAKMEM_%s=1", names[i].unknown);
        snprintf(line, sizeof line, "hakmem: HAKMEM_%s is no option; %s%s%s\n", names[i].unknown,
                 names[i].near != NULL ? "did you mean HAKMEM_" : "HAKMEM_OPTIONS=help shows all",
                 names[i].near != NULL ? names[i].near : "", names[i].near != NULL ? "?" : "");
        reads_to((struct reading){{variable, "HAKMEM_THP=1"}, HK_OPT_THP, 1}, line);
    }
    reads_to(
        (struct reading){{"HAKMEM_A_NAME_THAT_IS_LONGER_THAN_ANY_OPTION_IS_HERE=1", "HAKMEM_THP=1"}, HK_OPT_THP, 1},
        "hakmem: HAKMEM_A_NAME_THAT_IS_LONGER_THAN_ANY_OPTION_I is no option; HAKMEM_OPTIONS=help shows all\n");
    reads_to((struct reading){{"HAKMEM_TH\033[2J=1"}, HK_OPT_THP, 0},
             "hakmem: HAKMEM_TH is no option; HAKMEM_OPTIONS=help shows all\n");
}

static void a_wrong_value_keeps_what_was_read_before(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_PURGE_DELAY_MS=7", "HAKMEM_PURGE_DELAY_MS=x"}, HK_OPT_PURGE_DELAY_MS, 7},
             "hakmem: HAKMEM_PURGE_DELAY_MS=x is not in 0..3600000; kept at 7\n");
}

static void garbage_keeps_the_default(void **state)
{
    (void)state;
    const char *values[] = {"x",
                            "-",
                            "1x",
                            "1KK",
                            "1T",
                            " 1",
                            "1 ",
                            "+1",
                            "0x1",
                            "1.0",
                            "1e3",
                            "yes",
                            "--1",
                            "1K2",
                            "warn",
                            "-1",
                            "3600001",
                            "4G",
                            "9223372036854775807",
                            "9223372036854775808",
                            "99999999999999999999999",
                            "9007199254740992G",
                            "-9223372036854775808"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char variable[80], line[200];
        snprintf(variable, sizeof variable, "HAKMEM_PURGE_DELAY_MS=%s", values[i]);
        snprintf(line, sizeof line, "hakmem: HAKMEM_PURGE_DELAY_MS=%s is not in 0..3600000; kept at 500\n", values[i]);
        reads_to((struct reading){{variable}, HK_OPT_PURGE_DELAY_MS, 500}, line);
    }
}

/* What this build says about an option: nothing, or why it has no effect. */
static const char *built_line(const char *name, bool built, const char *has)
{
    static char line[200];
    snprintf(line, sizeof line, "hakmem: HAKMEM_%s has no effect: built with -D%s\n", name, has);
    return built ? "" : line;
}

enum { /* the choices of this build by name */
#define X(name, built, needs, has) BUILT_##name = built,
       HK_OPTION_CHOICES(X)
#undef X
};

static const struct {
    const char *name;
    enum hk_option option;
    int64_t def, least, most;
    const char *unit;
    bool built;
    const char *has;
} table[] = {
#define HAS_ANY ""
#define HAS_FRONT_BINS HK_FRONT_CHOICE
#define HAS_FRONT_V2 HK_FRONT_CHOICE
#define HAS_FRONT_UNIFIED HK_FRONT_CHOICE
#define HAS_FRONT_RING HK_FRONT_CHOICE
#define HAS_WALLS "guards=disabled"
#define HAS_HOT_COLD "hot_cold=disabled"
#define HAS_EMPTY_REUSE "empty_reuse=disabled"
#define HAS_NUMA "numa=disabled"
#define HAS_STATS "stats=disabled"
#define X(name, def, least, most, unit, box, sentence) \
    {#name, HK_OPT_##name, def, least, most, unit, BUILT_##box, HAS_##box},
    HK_OPTIONS(X)
#undef X
};

static void wrong_line(char *line, size_t size, const char *text, size_t i)
{
    const char *more = table[i].option == HK_OPT_STATS          ? " or json:PATH (at most 255 bytes)"
                       : table[i].option == HK_OPT_MEMORY_LIMIT ? " or auto"
                       : table[i].option == HK_OPT_GUARD        ? " or no-thread"
                                                                : "";
    if (table[i].option == HK_OPT_MISUSE)
        snprintf(line, size, "hakmem: %s is not abort or warn; kept at abort\n", text);
    else
        snprintf(line, size, "hakmem: %s is not in %lld..%lld%s%s; kept at %lld\n", text, (long long)table[i].least,
                 (long long)table[i].most, strcmp(table[i].unit, "bytes") == 0 ? " (K, M, G)" : "", more,
                 (long long)table[i].def);
}

static void every_option_has_its_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[80], line[200];
        enum hk_option option = table[i].option;
        const char *not_built = built_line(table[i].name, table[i].built, table[i].has);
        assert_int_equal(hk_option_is_built(option), table[i].built);
        assert_int_equal(defaults[option], table[i].def);
        assert_true(table[i].least <= table[i].def && table[i].def <= table[i].most);
        for (unsigned side = 0; side < 2; side++) {
            int64_t bound = side == 0 ? table[i].least : table[i].most;
            snprintf(text, sizeof text, "HAKMEM_%s=%lld", table[i].name, (long long)bound);
            reads_to((struct reading){{text}, option, table[i].built ? bound : table[i].def}, not_built);
            snprintf(text, sizeof text, side == 0 ? "HAKMEM_%s=%lld" : "HAKMEM_%s=%llu", table[i].name,
                     side == 0 ? (long long)bound - 1 : (long long)((unsigned long long)bound + 1));
            wrong_line(line, sizeof line, text, i);
            reads_to((struct reading){{text}, option, table[i].def}, table[i].built ? line : not_built);
        }
    }
}

/* The default build has one front, so there are always options of boxes that are not built in. */
static void options_of_boxes_that_are_not_built_in_say_so(void **state)
{
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        found += !table[i].built;
    assert_true(found >= 8);
}

static void a_value_of_a_megabyte_is_shown_in_short(void **state)
{
    (void)state;
    static char variable[(1 << 20) + 32] = "HAKMEM_THP=";
    size_t n = strlen(variable);
    memset(variable + n, '7', 1 << 20);
    reads_to((struct reading){{variable}, HK_OPT_THP, 0},
             "hakmem: HAKMEM_THP=777777777777777777777777777777777777777 is not in 0..1; kept at 0\n");
}

/* Nothing that a terminal would act on, and one line. */
static void a_strange_value_is_shown_up_to_its_first_control_character(void **state)
{
    (void)state;
    reads_to((struct reading){{"HAKMEM_THP=ab\ncd"}, HK_OPT_THP, 0},
             "hakmem: HAKMEM_THP=ab is not in 0..1; kept at 0\n");
    reads_to((struct reading){{"HAKMEM_THP=\033[2J"}, HK_OPT_THP, 0},
             "hakmem: HAKMEM_THP= is not in 0..1; kept at 0\n");
}

static void read_stats_path(void *arg)
{
    char variable[400] = "HAKMEM_STATS=json:";
    char *envp[] = {variable, NULL};
    size_t length = *(size_t *)arg, n = strlen(variable);
    memset(variable + n, 'p', length);
    hk_options_init(envp, NULL);
    bool fits = HK_STATS && length > 0 && length < sizeof hk_stats_path;
    EXPECT(strlen(hk_stats_path) == (fits ? length : 0));
    EXPECT(hk_opt(HK_OPT_STATS) == 0);
}

static void statistics_have_a_path(void **state)
{
    (void)state;
    const size_t lengths[] = {0, 1, 7, 254, 255, 256, 300};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct unit_child child;
        size_t length = lengths[i];
        unit_run(&child, read_stats_path, &length);
        assert_int_equal(child.status, 0);
        assert_int_equal(child.length == 0, HK_STATS && length > 0 && length < 256);
    }
}

static void read_picture_path(void *arg)
{
    char variable[400] = "HAKMEM_HEAP_PICTURE=";
    char *envp[] = {variable, NULL};
    size_t length = *(size_t *)arg, n = strlen(variable);
    memset(variable + n, 'p', length);
    hk_options_init(envp, NULL);
    EXPECT(strlen(hk_opt_text(HK_TEXT_HEAP_PICTURE)) == (length < HK_TEXT_BYTES ? length : 0));
}

static void texts_are_bounded(void **state)
{
    (void)state;
    const size_t lengths[] = {0, 1, 254, 255, 256, 300};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct unit_child child;
        size_t length = lengths[i];
        char line[200] = "";
        if (length > 255)
            snprintf(line, sizeof line,
                     "hakmem: HAKMEM_HEAP_PICTURE has %zu bytes, at most 255 are taken; kept at none\n", length);
        unit_run(&child, read_picture_path, &length);
        assert_int_equal(child.status, 0);
        assert_string_equal(child.text, line);
    }
}

static void help_shows_every_option_and_goes_on(void **state)
{
    (void)state;
    struct reading r = {{"HAKMEM_OPTIONS=help", "HAKMEM_THP=1"}, HK_OPT_THP, 1};
    struct unit_child child;
    unit_run(&child, read_variables, &r);
    assert_int_equal(child.status, 0);
    size_t lines = 0, others = 0;
    for (const char *p = child.text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        others += !table[i].built;
    assert_int_equal(lines, 1 + HK_OPTION_COUNT - others + HK_TEXT_COUNT + (others != 0));
#define X(name, def, least, most, unit, box, sentence)                                \
    assert_int_equal(strstr(child.text, "  HAKMEM_" #name " ") != NULL, BUILT_##box); \
    assert_true(!BUILT_##box || strstr(child.text, sentence) != NULL);
    HK_OPTIONS(X)
#undef X
#define X(name, box, sentence)                                  \
    assert_non_null(strstr(child.text, "  HAKMEM_" #name " ")); \
    assert_non_null(strstr(child.text, sentence));
    HK_TEXT_OPTIONS(X)
#undef X
    reads_to((struct reading){{"HAKMEM_OPTIONS=", "HAKMEM_OPTIONS=1"}, HK_OPT_THP, 0},
             "hakmem: HAKMEM_OPTIONS=1 is not help; ignored\n");
}

static void names_are_found(void **state)
{
    (void)state;
    enum hk_option option;
#define X(name, def, least, most, unit, box, sentence) \
    assert_true(hk_option_find(#name, &option));       \
    assert_int_equal(option, HK_OPT_##name);
    HK_OPTIONS(X)
#undef X
    assert_false(hk_option_find("", &option));
    assert_false(hk_option_find("thp", &option));
    assert_false(hk_option_find("HAKMEM_THP", &option));
}

static void storing_keeps_to_the_bounds(void **state)
{
    (void)state;
    assert_true(hk_option_store(HK_OPT_FRONT_V2_CAP, 8));
    assert_int_equal(hk_opt(HK_OPT_FRONT_V2_CAP), 8);
    assert_false(hk_option_store(HK_OPT_FRONT_V2_CAP, 7));
    assert_false(hk_option_store(HK_OPT_FRONT_V2_CAP, 513));
    assert_false(hk_option_store(HK_OPT_FRONT_V2_CAP, INT64_MIN));
    assert_int_equal(hk_opt(HK_OPT_FRONT_V2_CAP), 8);
    assert_true(hk_option_store(HK_OPT_FRONT_V2_CAP, defaults[HK_OPT_FRONT_V2_CAP]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_their_units),
        cmocka_unit_test(words),
        cmocka_unit_test(an_empty_value_is_none),
        cmocka_unit_test(messages_say_what_is_allowed),
        cmocka_unit_test(what_was_said_is_not_said_again),
        cmocka_unit_test(what_is_not_ours_is_left_alone),
        cmocka_unit_test(unknown_names_are_named_with_the_nearest),
        cmocka_unit_test(a_wrong_value_keeps_what_was_read_before),
        cmocka_unit_test(garbage_keeps_the_default),
        cmocka_unit_test(every_option_has_its_bounds),
        cmocka_unit_test(options_of_boxes_that_are_not_built_in_say_so),
        cmocka_unit_test(a_value_of_a_megabyte_is_shown_in_short),
        cmocka_unit_test(a_strange_value_is_shown_up_to_its_first_control_character),
        cmocka_unit_test(statistics_have_a_path),
        cmocka_unit_test(texts_are_bounded),
        cmocka_unit_test(help_shows_every_option_and_goes_on),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(storing_keeps_to_the_bounds),
    };
    return cmocka_run_group_tests_name("options", tests, remember_defaults, NULL);
}
