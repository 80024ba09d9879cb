/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include "base/fmt.h"

#include <limits.h>
#include <string.h>

struct entry {
    const char *name;
    int64_t def, least, most;
    const char *unit, *text;
};

static const struct entry table[HK_OPTION_COUNT] = {
#define X(name, def, least, most, unit, text) {#name, def, least, most, unit, text},
    HK_OPTIONS(X)
#undef X
};

_Atomic int64_t hk_option_values[HK_OPTION_COUNT] = {
#define X(name, def, least, most, unit, text) def,
    HK_OPTIONS(X)
#undef X
};

char hk_stats_path[256];

bool hk_option_find(const char *name, enum hk_option *option)
{
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *option = (enum hk_option)i;
            return true;
        }
    }
    return false;
}

bool hk_option_store(enum hk_option option, int64_t value)
{
    if (value < table[option].least || value > table[option].most)
        return false;
    hk_store_relaxed(&hk_option_values[option], value);
    return true;
}

static void print_help(void)
{
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: run-time options (environment variables)\n");
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++) {
        hk_fmt(&f, "  HAKMEM_%-20s %lld  (%lld..%lld%s%s) %s\n", table[i].name, (long long)table[i].def,
               (long long)table[i].least, (long long)table[i].most, table[i].unit[0] ? " " : "", table[i].unit,
               table[i].text);
    }
    hk_fmt_end(&f);
}

/* A decimal number with an optional K, M or G; false for anything else and on overflow. */
static bool parse_number(const char *s, int64_t *value)
{
    bool negative = *s == '-';
    s += negative;
    if (*s < '0' || *s > '9')
        return false;
    int64_t v = 0;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
    }
    unsigned shift = *s == 'K' || *s == 'k' ? 10 : *s == 'M' || *s == 'm' ? 20 : *s == 'G' || *s == 'g' ? 30 : 0;
    s += shift != 0;
    if (*s != 0 || __builtin_mul_overflow(v, (int64_t)1 << shift, &v))
        return false;
    *value = negative ? -v : v;
    return true;
}

/* The words that stand for numbers. */
static bool parse_word(enum hk_option option, const char *s, int64_t *value)
{
    if (option == HK_OPT_MISUSE && (strcmp(s, "abort") == 0 || strcmp(s, "warn") == 0)) {
        *value = s[0] == 'a';
        return true;
    }
    if (option == HK_OPT_MEMORY_LIMIT && strcmp(s, "auto") == 0) {
        *value = INT64_MAX; /* lifecycle replaces it by the cgroup's limit */
        return true;
    }
    if (option == HK_OPT_STATS && strncmp(s, "json:", 5) == 0 && s[5] != 0 && strlen(s + 5) < sizeof hk_stats_path) {
        strcpy(hk_stats_path, s + 5);
        *value = 0;
        return true;
    }
    return false;
}

static void read_one(enum hk_option option, const char *text)
{
    int64_t value;
    if ((parse_word(option, text, &value) || parse_number(text, &value)) && hk_option_store(option, value))
        return;
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    char shown[40] = {0}; /* the value may be a megabyte long */
    for (size_t i = 0; i + 1 < sizeof shown && text[i] >= ' ' && text[i] <= '~'; i++)
        shown[i] = text[i];
    hk_fmt(&f, "hakmem: HAKMEM_%s=%s is not in %lld..%lld; kept at %lld\n", table[option].name, shown,
           (long long)table[option].least, (long long)table[option].most, (long long)table[option].def);
    hk_fmt_end(&f);
}

void hk_options_init(char **envp)
{
    for (; envp && *envp; envp++) {
        const char *text = *envp;
        if (strncmp(text, "HAKMEM_", 7) != 0)
            continue;
        const char *equals = strchr(text, '=');
        char name[40];
        size_t n = equals ? (size_t)(equals - text) - 7 : sizeof name;
        if (n >= sizeof name)
            continue;
        memcpy(name, text + 7, n);
        name[n] = 0;
        enum hk_option option;
        if (hk_option_find(name, &option))
            read_one(option, equals + 1);
        else if (strcmp(name, "OPTIONS") == 0 && strcmp(equals + 1, "help") == 0)
            print_help();
    }
}
