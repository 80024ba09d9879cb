/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "api/profile_names.h"
#include "base/bits.h"

#include <pthread.h>
#include <stdlib.h>

static const struct {
    const char *symbol, *name;
} known[] = {
    {"main", "main"},
    {"malloc@@GLIBC_2.2.5", "malloc"},
    {"_Z", "_Z"},
    {"_Z4workv", "work"},
    {"_ZL4workv", "work"}, /* static */
    {"_ZN3one3two5threeEi", "one::two::three"},
    {"_ZNK3one3getEv", "one::get"},
    {"_ZN3oneC2Ev", "one::one"},
    {"_ZN3oneIiEC1Ev", "one<>::one"},
    {"_ZN3oneD0Ev", "one::~one"},
    {"_ZN12_GLOBAL__N_14workEv", "(anonymous)::work"},
    {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<>::push_back"},
    {"_ZNSsC1ERKSs", "std::string::string"},
    {"_ZSt4sortIPiEvT_S1_", "std::sort<>"},
    {"_ZnwmSt11align_val_t", "operator new"},
    {"_ZdaPv", "operator delete[]"},
    {"_ZN3onemIERKS_", "one::operator-="},
    {"_ZNK3oneltERKS_", "one::operator<"},
    {"_ZNK3one4nameB5cxx11Ev", "one::name"}, /* it returns a string */
    {"_ZN3oneB5cxx11C1Ev", "one::one"},
    {"_Z4workB5cxx11v", "work"},
    {"_ZN3one3putIJRA9_KcEEEvDpOT_", "one::put<>"},
    {"_ZN3one4workILi3EN3two5threeEEEvv", "one::work<>"},
    {"_ZZ4workiENKUlvE_clEv", "work::{lambda}::operator()"},
    {"_ZZN3one4workEvE5inner", "one::work::inner"},
    {"_ZN4core3ops8function6FnOnce9call_once17h0123456789abcdefE", "core::ops::function::FnOnce::call_once"},
    {"_ZN3one", "_ZN3one"}, /* not whole */
    {"_Z99work", "_Z99work"},
    {"_ZN3onecvbEv", "_ZN3onecvbEv"}, /* not understood */
};

static void known_names(void **state)
{
    (void)state;
    char name[512];
    for (unsigned i = 0; i < HK_COUNT(known); i++) {
        hk_plain_name(known[i].symbol, name, sizeof name);
        assert_string_equal(name, known[i].name);
    }
}

/* Each beginning of each, and each with another letter at each place, in memory that ends where it does. */
static void whatever_it_is(void **state)
{
    (void)state;
    static const char letters[] = "_ZNESILJTDUCBAl0917";
    char name[16];
    for (unsigned i = 0; i < HK_COUNT(known); i++) {
        size_t whole = strlen(known[i].symbol);
        for (size_t n = 0; n <= whole; n++) {
            char *text = strndup(known[i].symbol, n);
            assert_non_null(text);
            hk_plain_name(text, name, sizeof name);
            assert_true(strnlen(name, sizeof name) < sizeof name);
            for (unsigned k = 0; n > 0 && k < sizeof letters; k++) {
                text[n - 1] = letters[k];
                hk_plain_name(text, name, sizeof name);
                assert_true(strnlen(name, sizeof name) < sizeof name);
            }
            free(text);
        }
    }
}

/* Names that go ever deeper are not understood, on a small stack too. */
static void *read_deep(void *arg)
{
    static const char *const parts[] = {"Z", "N", "P", "ZN", "1aI", "IJ", "F"};
    enum { LONG = 1000000 };
    char *text = malloc(LONG + 8), name[64];
    EXPECT(text != NULL);
    for (unsigned i = 0; i < HK_COUNT(parts); i++) {
        size_t n = strlen(parts[i]), used = 2;
        strcpy(text, "_Z");
        for (; used + n < LONG; used += n)
            memcpy(text + used, parts[i], n);
        text[used] = 0;
        hk_plain_name(text, name, sizeof name);
        EXPECT(memcmp(name, text, sizeof name - 1) == 0);
    }
    free(text);
    return arg;
}

static void deep_names(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 512 * HK_KIB), 0);
    assert_int_equal(pthread_create(&thread, &attributes, read_deep, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_names),
        cmocka_unit_test(whatever_it_is),
        cmocka_unit_test(deep_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
