/* SPDX-License-Identifier: MIT
 *
 * Environments read from bytes: what the options are then, and which lines are printed, against the rules of
 * docs/options.md written down a second time.
 *
 * A variable ends at a zero byte. One that begins with a byte above 127 stands for HAKMEM_, the name of the option with
 * that number, and what follows.
 */
#include "check.h"
#include "fuzz.h"

#include "base/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VARIABLES = 48, NAME_MOST = 39 };

#define NAME(name, ...) #name,
static const char *const names[] = {HK_OPTIONS(NAME) HK_TEXT_OPTIONS(NAME) "OPTIONS"};
#define BOUNDS(name, def, least, most, ...) {def, least, most},
static const struct {
    int64_t def, least, most;
} bounds[] = {HK_OPTIONS(BOUNDS)};

static int ends[2], own_stderr;

/* What must come of it. */
static struct {
    int64_t values[HK_OPTION_COUNT];
    char texts[HK_TEXT_COUNT][HK_TEXT_BYTES], path[HK_TEXT_BYTES];
    unsigned lines, helps;
} expected;

/* ---- the rules ---- */

static bool is_number(const char *text, int64_t *value)
{
    bool negative = text[0] == '-';
    size_t digits = strspn(text + negative, "0123456789");
    const char *unit = text + negative + digits;
    static const char letters[] = "kmgKMG";
    const char *letter = unit[0] != 0 ? strchr(letters, unit[0]) : NULL;
    if (digits == 0 || (unit[0] != 0 && (letter == NULL || unit[1] != 0)))
        return false;
    errno = 0;
    unsigned long long v = strtoull(text + negative, NULL, 10);
    unsigned shift = letter != NULL ? 10 * (unsigned)((letter - letters) % 3 + 1) : 0;
    if (errno != 0 || v > (unsigned long long)INT64_MAX >> shift)
        return false;
    *value = (int64_t)(v << shift);
    *value = negative ? -*value : *value;
    return true;
}

static bool is_word(enum hk_option option, const char *text, int64_t *value)
{
    if (option == HK_OPT_MISUSE && (!strcmp(text, "abort") || !strcmp(text, "warn"))) {
        *value = !strcmp(text, "abort");
    } else if (option == HK_OPT_MEMORY_LIMIT && !strcmp(text, "auto")) {
        *value = INT64_MAX;
    } else if (option == HK_OPT_STATS && !strncmp(text, "json:", 5) && text[5] && strlen(text + 5) < HK_TEXT_BYTES) {
        strcpy(expected.path, text + 5);
        *value = 0;
    } else {
        return false;
    }
    return true;
}

static void expect_option(unsigned i, const char *text)
{
    int64_t value = 0;
    if (i == HK_OPTION_COUNT + HK_TEXT_COUNT) {
        *(strcmp(text, "help") == 0 ? &expected.helps : &expected.lines) += 1;
    } else if (i >= HK_OPTION_COUNT) {
        if (strlen(text) < HK_TEXT_BYTES)
            strcpy(expected.texts[i - HK_OPTION_COUNT], text);
        else
            expected.lines++;
    } else if (!hk_option_is_built((enum hk_option)i) ||
               !(is_word((enum hk_option)i, text, &value) || is_number(text, &value)) || value < bounds[i].least ||
               value > bounds[i].most) {
        expected.lines++;
    } else {
        expected.values[i] = value;
    }
}

static void expect_variable(const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (strncmp(variable, "HAKMEM_", 7) != 0 || equals == NULL || equals[1] == 0)
        return;
    size_t length = (size_t)(equals - variable - 7);
    for (unsigned i = 0; i < HK_COUNT(names); i++) {
        if (length == strlen(names[i]) && strncmp(variable + 7, names[i], length) == 0) {
            expect_option(i, equals + 1);
            return;
        }
    }
    expected.lines++;
}

/* ---- what was printed ---- */

static bool is_known(const char *name, size_t length)
{
    for (unsigned i = 0; i < HK_COUNT(names); i++) {
        if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0)
            return true;
    }
    return false;
}

/* Whatever the environment held, a line is one line that a terminal can show. */
static void check_line(const char *line, size_t length)
{
    static const char mean[] = "is no option; did you mean HAKMEM_";
    for (size_t i = 0; i < length; i++)
        CHECKF(line[i] >= ' ' && line[i] <= '~', "byte %d is printed", line[i]);
    const char *equals = memchr(line, '=', length); /* what stands behind is a value, and may be any text */
    const char *near = memmem(line, equals != NULL ? (size_t)(equals - line) : length, mean, sizeof mean - 1);
    if (near != NULL && memmem(near + 1, length - (size_t)(near + 1 - line), mean, sizeof mean - 1) == NULL) {
        near += sizeof mean - 1;
        CHECKF(line[length - 1] == '?' && is_known(near, (size_t)(line + length - 1 - near)), "suggested: %.*s",
               (int)length, line);
    }
}

static void check_printed(const char *text, size_t size)
{
    unsigned lines = 0, helps = 0;
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        CHECK(end != NULL);
        check_line(line, (size_t)(end - line));
        bool help = strncmp(line, "hakmem: run-time options", 24) == 0;
        helps += help;
        lines += !help && strncmp(line, "hakmem: ", 8) == 0;
        bool others = memmem(line, (size_t)(end - line), " more are of choices", 20) != NULL; /* the last of a table */
        CHECK(strncmp(line, "hakmem: ", 8) == 0 || (helps > 0 && (others || strncmp(line, "  HAKMEM_", 9) == 0)));
    }
    CHECKF(lines == expected.lines && helps == expected.helps, "%u lines and %u tables, not %u and %u", lines, helps,
           expected.lines, expected.helps);
}

/* ---- an input ---- */

/* In a block of just that length, so that the address sanitizer sees who reads on. */
static char *make_variable(const uint8_t *bytes, size_t length)
{
    const char *name = length > 0 && bytes[0] > 127 ? names[bytes[0] % HK_COUNT(names)] : NULL;
    size_t head = name != NULL ? strlen(name) + 7 : 0;
    char *variable = malloc(head + length + 1);
    CHECK(variable != NULL);
    if (name != NULL) {
        memcpy(variable, "HAKMEM_", 7);
        memcpy(variable + 7, name, head - 7);
        bytes++;
        length--;
    }
    memcpy(variable + head, bytes, length);
    variable[head + length] = 0;
    return variable;
}

static void read_options(char **variables)
{
    static char text[65536];
    CHECK(dup2(ends[1], 2) == 2);
    errno = 77;
    hk_options_init(variables, NULL);
    int after = errno;
    CHECK(dup2(own_stderr, 2) == 2 && after == 77);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof text - used)) > 0;)
        used += (size_t)n;
    check_printed(text, used);
}

/* The same bounds by the other way in. */
static void store(const uint8_t *data, size_t size)
{
    int64_t value = 0;
    if (size < 9)
        return;
    memcpy(&value, data + 1, sizeof value);
    unsigned i = data[0] % HK_OPTION_COUNT;
    enum hk_option found;
    CHECK(hk_option_find(names[i], &found) && found == (enum hk_option)i);
    bool fits = value >= bounds[i].least && value <= bounds[i].most;
    CHECK(hk_option_store(found, value) == fits && hk_opt(found) == (fits ? value : expected.values[i]));
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    own_stderr = dup(2);
    CHECK(own_stderr >= 0 && pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *variables[VARIABLES + 1] = {0};
    memset(&expected, 0, sizeof expected);
    memset(hk_option_texts, 0, sizeof hk_option_texts);
    memset(hk_stats_path, 0, sizeof hk_stats_path);
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++)
        CHECK(hk_option_store((enum hk_option)i, expected.values[i] = bounds[i].def));
    unsigned n = 0;
    for (size_t at = 0; at < size && n < VARIABLES && expected.helps < 3;) {
        const uint8_t *end = memchr(data + at, 0, size - at);
        size_t length = end != NULL ? (size_t)(end - data) - at : size - at;
        variables[n] = make_variable(data + at, length);
        expect_variable(variables[n++]);
        at += length + 1;
    }
    read_options(variables);
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++)
        CHECKF(hk_opt((enum hk_option)i) == expected.values[i], "%s is %lld, not %lld", names[i],
               (long long)hk_opt((enum hk_option)i), (long long)expected.values[i]);
    CHECK(memcmp(expected.texts, hk_option_texts, sizeof expected.texts) == 0 || HK_TEXT_COUNT == 0);
    CHECK(strcmp(expected.path, hk_stats_path) == 0);
    store(data, size);
    while (n > 0)
        free(variables[--n]);
    return 0;
}
