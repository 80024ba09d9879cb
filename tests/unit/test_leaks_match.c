/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "api/leaks_match.h"
#include "base/bits.h"

static const struct {
    const char *pattern, *text;
    bool fits;
} known[] = {
    {"", "", true},
    {"", "main", true},
    {"main", "main", true},
    {"ai", "main", true},
    {"am", "main", false},
    {"^main$", "main", true},
    {"^ma", "main", true},
    {"^ai", "main", false},
    {"in$", "main", true},
    {"ai$", "main", false},
    {"*", "", true},
    {"m*n", "main", true},
    {"m*m", "main", false},
    {"^m*n$", "main", true},
    {"^m*i$", "main", false},
    {"a*a$", "aba", true},
    {"ab$", "abab", true},
    {"^ab$", "abab", false},
    {"^ab*ab$", "abab", true},
    {"^ab*ab$", "ab", false},
    {"b$", "", false},
    {"a**b", "ab", true},
    {"*b$", "aab", true},
    {"^*b", "aab", true},
    {"^", "main", true},
    {"$", "$", true},
    {"a*bc*d", "aXbYbcZd", true},
    {"a*bc*d", "aXbYbZcd", false},
    {"aab", "aaab", true},
    {"^a*ab$", "aaab", true},
    {"longer than it", "longer", false},
};

static void patterns_describe_texts(void **state)
{
    for (unsigned i = 0; i < HK_COUNT(known); i++) {
        if (hk_leaks_match(known[i].pattern, strlen(known[i].pattern), known[i].text) != known[i].fits)
            fail_msg("%s and %s", known[i].pattern, known[i].text);
    }
}

/* It goes on in a file: only so many letters of it count. */
static void a_pattern_ends_where_it_is_said_to(void **state)
{
    assert_true(hk_leaks_match("main\nelse", 4, "main"));
    assert_false(hk_leaks_match("main\nelse", 6, "main"));
    assert_true(hk_leaks_match("main$*", 5, "main"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_describe_texts),
        cmocka_unit_test(a_pattern_ends_where_it_is_said_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
