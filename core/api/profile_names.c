/* SPDX-License-Identifier: MIT
 *
 * What matters of the Itanium ABI's mangling to who looks for a function: nested names, constructors, operators.
 * Template arguments are passed over, so they need to be understood only as far as where they end.
 */
#include "api/profile_names.h"

#include "base/bits.h"

#include <string.h>

struct mangled {
    const char *at;
    char *to, *end;
    const char *last; /* the part that a constructor repeats */
    size_t last_length;
    unsigned around; /* functions that the name is inside of */
    bool failed;
};

static void put(struct mangled *m, const char *text, size_t n)
{
    n = hk_min(n, (size_t)(m->end - m->to));
    memcpy(m->to, text, n);
    m->to += n;
}

static bool eat(struct mangled *m, const char *text)
{
    size_t n = strlen(text);
    if (strncmp(m->at, text, n) != 0)
        return false;
    m->at += n;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Rust's ends with a hash, which says nothing. */
static bool is_hash(const char *text, size_t n)
{
    return n == 17 && text[0] == 'h' && strspn(text + 1, "0123456789abcdef") >= 16;
}

/* Passes over a name with its length before it; shows it. */
static void source_name(struct mangled *m, bool shown)
{
    size_t n = 0;
    while (is_digit(*m->at) && n < 100000)
        n = 10 * n + (size_t)(*m->at++ - '0');
    if (n == 0 || strnlen(m->at, n) < n) {
        m->failed = true;
        return;
    }
    m->last = m->at;
    m->last_length = n;
    if (shown && strncmp(m->at, "_GLOBAL__N_", hk_min(n, 11)) == 0)
        put(m, "(anonymous)", 11);
    else if (shown)
        put(m, m->at, n);
    m->at += n;
}

static void skip_type(struct mangled *m, unsigned depth);

/* Behind an I, to its E. */
static void skip_arguments(struct mangled *m, unsigned depth)
{
    while (!m->failed && !eat(m, "E"))
        skip_type(m, depth + 1);
}

static void skip_substitution(struct mangled *m)
{
    m->at++; /* S */
    if (*m->at == '_' || (*m->at >= 'a' && *m->at <= 'z')) {
        m->at++;
        return;
    }
    m->at += strspn(m->at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    m->failed |= !eat(m, "_");
}

/* L...E: a value, with a type and its digits. */
static void skip_literal(struct mangled *m, unsigned depth)
{
    if (eat(m, "_Z")) {
        m->failed = true;
        return;
    }
    skip_type(m, depth + 1);
    m->at += strspn(m->at, "n0123456789abcdef");
    m->failed |= !eat(m, "E");
}

static void skip_until_end(struct mangled *m, unsigned depth)
{
    while (!m->failed && !eat(m, "E")) {
        if (is_digit(*m->at))
            source_name(m, false);
        else if (eat(m, "I"))
            skip_arguments(m, depth);
        else if (*m->at == 'S')
            skip_substitution(m);
        else
            skip_type(m, depth + 1);
    }
}

static void skip_type(struct mangled *m, unsigned depth)
{
    static const char alone[] = "vwbcahstijlmxynofdegz";
    if (depth > 64 || *m->at == 0) {
        m->failed = true;
    } else if (strchr("PROKVC", *m->at) != NULL) { /* pointers, references, const */
        m->at++;
        skip_type(m, depth + 1);
    } else if (strchr(alone, *m->at) != NULL) {
        m->at++;
    } else if (is_digit(*m->at)) {
        source_name(m, false);
        if (eat(m, "I"))
            skip_arguments(m, depth);
    } else if (*m->at == 'S') {
        bool std = m->at[1] == 't';
        skip_substitution(m);
        if (std && is_digit(*m->at))
            source_name(m, false);
        if (eat(m, "I"))
            skip_arguments(m, depth);
    } else if (*m->at == 'T') {
        skip_substitution(m);
    } else if (eat(m, "A")) { /* an array, its length first */
        m->at += strspn(m->at, "0123456789");
        m->failed |= !eat(m, "_");
        skip_type(m, depth + 1);
    } else if (eat(m, "N") || eat(m, "F")) {
        skip_until_end(m, depth);
    } else if (eat(m, "L")) {
        skip_literal(m, depth);
    } else if (eat(m, "J")) {
        skip_arguments(m, depth);
    } else if (*m->at == 'D' && strchr("pnaiuhs", m->at[1]) != NULL && m->at[1] != 0) {
        bool pack = m->at[1] == 'p';
        m->at += 2;
        if (pack)
            skip_type(m, depth + 1);
    } else {
        m->failed = true;
    }
}

static const struct {
    char code[3];
    const char *name;
} operators[] = {
    {"nw", "operator new"}, {"na", "operator new[]"}, {"dl", "operator delete"}, {"da", "operator delete[]"},
    {"pl", "operator+"},    {"mi", "operator-"},      {"ml", "operator*"},       {"dv", "operator/"},
    {"aS", "operator="},    {"pL", "operator+="},     {"eq", "operator=="},      {"ne", "operator!="},
    {"lt", "operator<"},    {"gt", "operator>"},      {"ls", "operator<<"},      {"rs", "operator>>"},
    {"cl", "operator()"},   {"ix", "operator[]"},     {"pt", "operator->"},      {"de", "operator*"},
    {"pp", "operator++"},   {"mm", "operator--"},     {"ss", "operator<=>"},     {"co", "operator~"},
    {"mI", "operator-="},   {"mL", "operator*="},     {"le", "operator<="},      {"ge", "operator>="},
    {"nt", "operator!"},    {"ng", "operator-"},      {"an", "operator&"},       {"or", "operator|"},
    {"eo", "operator^"},    {"rm", "operator%"},      {"oR", "operator|="},      {"aN", "operator&="},
};

static bool operator_name(struct mangled *m)
{
    for (size_t i = 0; i < HK_COUNT(operators); i++) {
        if (eat(m, operators[i].code)) {
            put(m, operators[i].name, strlen(operators[i].name));
            return true;
        }
    }
    return false;
}

static void standard_name(struct mangled *m)
{
    static const struct {
        char letter;
        const char *name;
    } known[] = {{'t', "std"},          {'a', "std::allocator"}, {'b', "std::basic_string"}, {'s', "std::string"},
                 {'i', "std::istream"}, {'o', "std::ostream"},   {'d', "std::iostream"}};
    for (size_t i = 0; i < HK_COUNT(known); i++) {
        if (m->at[0] == 'S' && m->at[1] == known[i].letter) {
            m->at += 2;
            put(m, known[i].name, strlen(known[i].name));
            m->last = strrchr(known[i].name, ':') != NULL ? strrchr(known[i].name, ':') + 1 : known[i].name;
            m->last_length = strlen(m->last);
            return;
        }
    }
    m->failed = true;
}

/* A constructor or destructor: the name of its class once more. */
static void repeat_class(struct mangled *m)
{
    const char *last = m->last;
    if (m->at[0] == 'D')
        put(m, "~", 1);
    m->failed |= last == NULL;
    if (last != NULL)
        put(m, last, m->last_length);
    m->at += 2;
}

/* A name, and behind it tags of what it returns (cxx11 where that is a string), which are not shown. */
static void tagged_name(struct mangled *m)
{
    source_name(m, true);
    const char *last = m->last;
    size_t length = m->last_length;
    while (!m->failed && eat(m, "B"))
        source_name(m, false);
    m->last = last;
    m->last_length = length;
}

/* One part of a nested name. */
static void nested_part(struct mangled *m)
{
    if (is_digit(*m->at) || eat(m, "L")) {
        tagged_name(m);
    } else if ((m->at[0] == 'C' || m->at[0] == 'D') && is_digit(m->at[1])) {
        repeat_class(m);
    } else if (m->at[0] == 'S') {
        standard_name(m);
    } else if (eat(m, "Ul")) {
        skip_until_end(m, 0);
        m->at += strspn(m->at, "0123456789");
        m->failed |= !eat(m, "_");
        put(m, "{lambda}", 8);
    } else if (!operator_name(m)) {
        m->failed = true;
    }
}

static void nested_name(struct mangled *m)
{
    bool first = true;
    m->at += strspn(m->at, "rVKRO"); /* const and reference members */
    while (!m->failed && !eat(m, "E")) {
        if (eat(m, "I")) {
            const char *last = m->last;
            size_t length = m->last_length;
            skip_arguments(m, 0);
            put(m, "<>", 2);
            m->last = last;
            m->last_length = length;
            continue;
        }
        if (is_digit(*m->at) && m->at[1] == '7' && m->at[0] == '1' && is_hash(m->at + 2, 17) && m->at[19] == 'E') {
            m->at += 19;
            continue;
        }
        if (!first)
            put(m, "::", 2);
        first = false;
        nested_part(m);
    }
}

#define AROUND_MOST 16u

/* Of a whole function, up to its parameters. */
static void whole_name(struct mangled *m)
{
    if (eat(m, "Z")) { /* inside another function */
        m->failed |= ++m->around > AROUND_MOST;
        if (!m->failed)
            whole_name(m);
        while (!m->failed && *m->at != 0 && !eat(m, "E"))
            skip_type(m, 0);
        if (!m->failed && (is_digit(*m->at) || *m->at == 'U' || *m->at == 'N')) {
            put(m, "::", 2);
            if (eat(m, "N"))
                nested_name(m);
            else
                nested_part(m);
        }
        return;
    }
    if (eat(m, "N")) {
        nested_name(m);
        return;
    }
    if (m->at[0] == 'S' && m->at[1] == 't') {
        standard_name(m);
        put(m, "::", 2);
    }
    nested_part(m);
    if (eat(m, "I")) {
        skip_arguments(m, 0);
        put(m, "<>", 2);
    }
}

void hk_plain_name(const char *symbol, char *name, size_t size)
{
    struct mangled m = {.at = symbol, .to = name, .end = name + size - 1};
    if (eat(&m, "_Z"))
        whole_name(&m);
    if (m.at == symbol || m.failed || m.to == name) {
        m.to = name;
        put(&m, symbol, strlen(symbol));
    }
    *m.to = 0;
    name[strcspn(name, "@")] = 0; /* a symbol's version */
}
