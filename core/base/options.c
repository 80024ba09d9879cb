/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include "base/fmt.h"
#include "base/option_names.h"

#include <limits.h>
#include <string.h>

enum choice {
#define X(name, built, needs, has) CHOICE_##name,
    HK_OPTION_CHOICES(X)
#undef X
};

struct choice_row {
    bool built;
    const char *has; /* the build option that keeps it out */
};

static const struct choice_row choices[] = {
#define X(name, built, needs, has) {built, has},
    HK_OPTION_CHOICES(X)
#undef X
};

struct entry {
    const char *name;
    int64_t def, least, most;
    const char *unit;
    enum choice choice;
    const char *text;
};

static const struct entry table[HK_OPTION_COUNT] = {
#define X(name, def, least, most, unit, choice, text) {#name, def, least, most, unit, CHOICE_##choice, text},
    HK_OPTIONS(X)
#undef X
};

struct text_entry {
    const char *name;
    enum choice choice;
    const char *text;
};

static const struct text_entry texts[HK_TEXT_COUNT] = {
#define X(name, choice, text) {#name, CHOICE_##choice, text},
    HK_TEXT_OPTIONS(X)
#undef X
};

/* What may stand for a number. */
static const struct {
    enum hk_option option;
    const char *word;
    int64_t value;
} words[] = {
#define X(option, word, value) {HK_OPT_##option, word, value},
    HK_OPTION_WORDS(X)
#undef X
};

/* And what may stand in its place. */
static const struct {
    enum hk_option option;
    const char *start;
    char *path;
} paths[] = {
#define X(option, start, path) {HK_OPT_##option, start, path},
    HK_OPTION_PATHS(X)
#undef X
};

_Atomic int64_t hk_option_values[HK_OPTION_COUNT] = {
#define X(name, def, least, most, unit, choice, text) def,
    HK_OPTIONS(X)
#undef X
};

char hk_option_texts[HK_TEXT_COUNT][HK_TEXT_BYTES];
#define X(option, start, path) char path[HK_TEXT_BYTES];
HK_OPTION_PATHS(X)
#undef X

const char *hk_option_name(unsigned i)
{
    return i < HK_OPTION_COUNT ? table[i].name : texts[i - HK_OPTION_COUNT].name;
}

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

bool hk_option_is_built(enum hk_option option)
{
    return choices[table[option].choice].built;
}

bool hk_option_store(enum hk_option option, int64_t value)
{
    if (value < table[option].least || value > table[option].most)
        return false;
    hk_store_relaxed(&hk_option_values[option], value);
    return true;
}

/* ---- one line each ---- */

/* What hk_options_init was given, and the entry that is being read. Only while it runs. */
static bool (*said)(const char *entry);
static const char *entry_read;

/* Is there nothing to say of this entry, because somebody has said it? */
static bool was_said(void)
{
    return said != NULL && said(entry_read);
}

/* What a variable holds, up to its first control character: it may be a megabyte long. */
struct shown {
    char text[HK_OPTION_NAME_BYTES];
};

static struct shown shown_value(const char *text)
{
    struct shown s = {{0}};
    for (size_t i = 0; i + 1 < sizeof s.text && text[i] >= ' ' && text[i] <= '~'; i++)
        s.text[i] = text[i];
    return s;
}

/* Is every value of the option one that has a name? Then it is spoken of by names. */
static bool is_named(enum hk_option option)
{
    int64_t names = 0;
    for (size_t i = 0; i < HK_COUNT(words); i++)
        names += words[i].option == option;
    return names - 1 == table[option].most - table[option].least; /* the most is the largest number for some */
}

/* What the option takes: 0..3600000, or 4096..16777216 (K, M, G), or abort or warn. */
static void put_allowed(struct hk_fmt *f, enum hk_option option)
{
    const struct entry *e = &table[option];
    const char *before = "";
    if (!is_named(option)) {
        hk_fmt(f, "in %lld..%lld%s", (long long)e->least, (long long)e->most,
               strcmp(e->unit, "bytes") == 0 ? " (K, M, G)" : "");
        before = " or ";
    }
    for (size_t i = 0; i < HK_COUNT(words); i++) {
        if (words[i].option == option) {
            hk_fmt(f, "%s%s", before, words[i].word);
            before = " or ";
        }
    }
    for (size_t i = 0; i < HK_COUNT(paths); i++) {
        if (paths[i].option == option)
            hk_fmt(f, "%s%sPATH (at most %u bytes)", before, paths[i].start, HK_TEXT_BYTES - 1);
    }
}

static void put_value(struct hk_fmt *f, enum hk_option option)
{
    int64_t value = hk_opt(option);
    for (size_t i = 0; i < HK_COUNT(words); i++) {
        if (words[i].option == option && words[i].value == value && is_named(option)) {
            hk_fmt(f, "%s", words[i].word);
            return;
        }
    }
    hk_fmt(f, "%lld", (long long)value);
}

static void say_wrong(enum hk_option option, const char *text)
{
    struct shown value = shown_value(text);
    struct hk_fmt f;
    if (was_said())
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_%s=%s is not ", table[option].name, value.text);
    put_allowed(&f, option);
    hk_fmt(&f, "; kept at ");
    put_value(&f, option);
    hk_fmt(&f, "\n");
    hk_fmt_end(&f);
}

static void say_not_built(const char *name, enum choice choice)
{
    struct hk_fmt f;
    if (was_said())
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_%s has no effect: built with -D%s\n", name, choices[choice].has);
    hk_fmt_end(&f);
}

static void say_too_long(const char *name, size_t length)
{
    struct hk_fmt f;
    if (was_said())
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_%s has %zu bytes, at most %u are taken; kept at none\n", name, length,
           HK_TEXT_BYTES - 1);
    hk_fmt_end(&f);
}

static void say_unknown(const char *name, const char *near)
{
    struct shown unknown = shown_value(name);
    struct hk_fmt f;
    if (was_said())
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_%s is no option; ", unknown.text);
    hk_fmt(&f, near != NULL ? "did you mean HAKMEM_%s?\n" : "HAKMEM_OPTIONS=%s shows all\n",
           near != NULL ? near : "help");
    hk_fmt_end(&f);
}

/* What the build has; the others are in docs/options.md. */
void hk_options_print(void)
{
    struct hk_fmt f;
    unsigned others = 0;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: run-time options (environment variables)\n");
    for (unsigned i = 0; i < HK_OPTION_COUNT; i++) {
        if (!choices[table[i].choice].built) {
            others++;
            continue;
        }
        hk_fmt(&f, "  HAKMEM_%-23s %lld  (%lld..%lld%s%s) %s\n", table[i].name, (long long)table[i].def,
               (long long)table[i].least, (long long)table[i].most, table[i].unit[0] ? " " : "", table[i].unit,
               table[i].text);
    }
    for (unsigned i = 0; i < HK_TEXT_COUNT; i++) {
        others += !choices[texts[i].choice].built;
        if (choices[texts[i].choice].built)
            hk_fmt(&f, "  HAKMEM_%-23s none  (at most %u bytes) %s\n", texts[i].name, HK_TEXT_BYTES - 1, texts[i].text);
    }
    if (others != 0)
        hk_fmt(&f, "%u more are of choices that are not built in: docs/options.md has them\n", others);
    hk_fmt_end(&f);
}

/* ---- reading ---- */

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

static bool parse_word(enum hk_option option, const char *s, int64_t *value)
{
    for (size_t i = 0; i < HK_COUNT(words); i++) {
        if (words[i].option == option && strcmp(s, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool parse_path(enum hk_option option, const char *s, int64_t *value)
{
    for (size_t i = 0; i < HK_COUNT(paths); i++) {
        size_t n = strlen(paths[i].start);
        if (paths[i].option != option || strncmp(s, paths[i].start, n) != 0)
            continue;
        if (s[n] == 0 || strlen(s + n) >= HK_TEXT_BYTES)
            return false;
        strcpy(paths[i].path, s + n);
        *value = 0;
        return true;
    }
    return false;
}

static bool parse_value(enum hk_option option, const char *s, int64_t *value)
{
    return parse_word(option, s, value) || parse_path(option, s, value) || parse_number(s, value);
}

static void read_number(enum hk_option option, const char *text)
{
    int64_t value;
    if (!hk_option_is_built(option))
        say_not_built(table[option].name, table[option].choice);
    else if (!parse_value(option, text, &value) || !hk_option_store(option, value))
        say_wrong(option, text);
}

static void read_text(unsigned option, const char *text)
{
    size_t length = strlen(text);
    if (!choices[texts[option].choice].built)
        say_not_built(texts[option].name, texts[option].choice);
    else if (length >= HK_TEXT_BYTES)
        say_too_long(texts[option].name, length);
    else
        memcpy(hk_option_texts[option], text, length + 1);
}

static void read_one(const char *name, const char *text)
{
    enum hk_option option;
    if (hk_option_find(name, &option)) {
        read_number(option, text);
        return;
    }
    for (unsigned i = 0; i < HK_TEXT_COUNT; i++) {
        if (strcmp(texts[i].name, name) == 0) {
            read_text(i, text);
            return;
        }
    }
    if (strcmp(name, "OPTIONS") != 0) {
        say_unknown(name, hk_option_nearest(name));
    } else if (strcmp(text, "help") == 0) {
        hk_options_print();
    } else if (!was_said()) {
        struct hk_fmt f;
        struct shown value = shown_value(text);
        hk_fmt_start(&f, 2);
        hk_fmt(&f, "hakmem: HAKMEM_OPTIONS=%s is not help; ignored\n", value.text);
        hk_fmt_end(&f);
    }
}

void hk_options_init(char **envp, bool (*said_before)(const char *entry))
{
    said = said_before;
    for (; envp && *envp; envp++) {
        const char *text = *envp;
        const char *equals = strchr(text, '=');
        if (strncmp(text, "HAKMEM_", 7) != 0 || equals == NULL || equals[1] == 0)
            continue;
        entry_read = text;
        char name[HK_OPTION_NAME_BYTES];
        size_t n = (size_t)(equals - text) - 7;
        if (n < sizeof name) {
            memcpy(name, text + 7, n);
            name[n] = 0;
            read_one(name, equals + 1);
        } else {
            memcpy(name, text + 7, sizeof name - 1);
            name[sizeof name - 1] = 0;
            say_unknown(name, NULL);
        }
    }
}
