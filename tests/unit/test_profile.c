/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"
#include "box/profile.h"
#include "fake_os.h"

#include <stdio.h>
#include <stdlib.h>

#define T ((size_t)512 * HK_KIB)

static bool is_near(double a, double b, double error)
{
    return a - b <= error && b - a <= error;
}

/* The square, and a root where there is no libm: by Newton. */
static double root_of(double x)
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 200; i++)
        r = (r + x / r) / 2;
    return r;
}

/* ---- weights: 1 / (1 - exp(-bytes / interval)), to fifteen digits ---- */

static void weights(void **state)
{
    (void)state;
    static const struct {
        size_t bytes, interval;
        double weight;
    } known[] = {
        {T, T, 1.5819767068693265},
        {16, T, 32768.50000254313},
        {1024, T, 512.5001627604063},
        {T / 4, T, 4.520811664187799},
        {2 * T, T, 1.1565176427496657},
        {10 * T, T, 1.0000454019910097},
        {1000 * T, T, 1},
        {16, 17, 1.6397973394397003},
        {4096, 1, 1},
        {16, 16, 1}, /* each is recorded */
    };
    for (unsigned i = 0; i < HK_COUNT(known); i++) {
        double weight = hk_profile_weight(known[i].bytes, known[i].interval);
        if (!is_near(weight / known[i].weight, 1, 1e-12))
            fail_msg("%zu of %zu: %.17g, not %.17g", known[i].bytes, known[i].interval, weight, known[i].weight);
    }
}

/* ---- against exact counts: 10^8 blocks ---- */

enum { SIZES = 9 };
static const size_t sizes[SIZES] = {16, 48, 112, 256, 1024, 4672, 32768, 65536, 3 * 1024 * 1024};
static const unsigned in_1024[SIZES] = {400, 250, 150, 120, 60, 30, 10, 3, 1}; /* of each, among 1024 in a row */

static void right_on_average(void **state)
{
    (void)state;
    static struct hk_sampler sampler;
    double blocks[SIZES] = {0}, variance = 0, all = 0, sampled = 0;
    uint64_t exact[SIZES] = {0}, seed = 1;
    assert_true(hk_profile_begin(T));
    for (unsigned n = 0; n < 100000000; n++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned at = (unsigned)(seed >> 54), i = 0;
        for (; at >= in_1024[i]; i++)
            at -= in_1024[i];
        exact[i]++;
        if (hk_profile_wants(&sampler, sizes[i]))
            blocks[i] += hk_profile_weight(sizes[i], T);
    }
    hk_profile_end();
    for (unsigned i = 0; i < SIZES; i++) {
        double weight = hk_profile_weight(sizes[i], T); /* a block's variance is 1/p - 1 */
        double sigma = root_of((double)exact[i] * (weight - 1)), bytes = (double)sizes[i];
        if (!is_near(blocks[i], (double)exact[i], 6 * sigma + 1e-9))
            fail_msg("%zu bytes: %.0f blocks, not %.0f; sigma %.0f", sizes[i], blocks[i], (double)exact[i], sigma);
        variance += sigma * sigma * bytes * bytes;
        all += (double)exact[i] * bytes;
        sampled += blocks[i] * bytes;
    }
    printf("# %.0f bytes of %.0f, sigma %.0f\n", sampled, all, root_of(variance));
    assert_true(is_near(sampled, all, 6 * root_of(variance)));
    assert_true(root_of(variance) < all / 100); /* or this says nothing */
}

/* The distances between samples are those of an exponential: their mean and how many are short. */
static void distances(void **state)
{
    (void)state;
    static struct hk_sampler sampler;
    enum { SAMPLES = 200000 };
    double sum = 0;
    unsigned below_mean = 0, below_tenth = 0;
    assert_true(hk_profile_begin(4096));
    for (unsigned n = 0; n < SAMPLES; n++) {
        size_t steps = 1;
        while (!hk_profile_wants(&sampler, 16))
            steps++;
        sum += 16 * (double)steps;
        below_mean += 16 * steps <= 4096;
        below_tenth += 16 * steps <= 400;
    }
    hk_profile_end();
    assert_true(is_near(sum / SAMPLES, 4104, 6 * 4096 / root_of(SAMPLES))); /* a step is rounded up */
    assert_true(is_near(below_mean, SAMPLES * 0.6321205588285577, 6 * root_of(SAMPLES * 0.2326)));
    assert_true(is_near(below_tenth, SAMPLES * 0.0930415, 6 * root_of(SAMPLES * 0.0844)));
}

static void each_block_and_none(void **state)
{
    (void)state;
    struct hk_sampler sampler = {0};
    assert_false(hk_profile_is_on());
    assert_false(hk_profile_wants(&sampler, 1 << 30));
    assert_true(hk_profile_begin(1));
    for (unsigned i = 0; i < 1000; i++)
        assert_true(hk_profile_wants(&sampler, 16));
    assert_true(hk_profile_begin((size_t)1 << 40)); /* what was left is forgotten */
    unsigned wanted = 0;
    for (unsigned i = 0; i < 1000; i++)
        wanted += hk_profile_wants(&sampler, 16);
    assert_in_range(wanted, 0, 1);
    hk_profile_end();
    assert_false(hk_profile_is_on());
    assert_false(hk_profile_wants(&sampler, 1 << 30));
}

/* ---- what is kept, against a model ---- */

enum { STACKS = 40, BLOCKS = 3000, CLASSES = 5 };
static const size_t kept[CLASSES] = {16, 112, 32768, 36864, 1048576};

static struct hk_stack stack_number(unsigned n)
{
    struct hk_stack s = {.depth = n % 7};
    for (unsigned i = 0; i < s.depth; i++)
        s.pc[i] = 0x1000 * (n / 7 + 1) + i;
    snprintf(s.thread, sizeof s.thread, "thread %u", n % 2);
    return s;
}

struct model {
    double live[STACKS][CLASSES], peak[STACKS][CLASSES], total[STACKS][CLASSES];
    double all, most;
};

static size_t record_bytes(size_t bytes)
{
    return bytes == 36864 ? 65536 : bytes;
}

static void compare_with(const struct model *m, double error)
{
    struct hk_profile_result r;
    double rows = 0;
    assert_true(hk_profile_read(&r));
    assert_true(is_near(r.sums.live_bytes, m->all, error) && is_near(r.sums.peak_bytes, m->most, error));
    for (unsigned s = 0; s < STACKS; s++) {
        struct hk_stack stack = stack_number(s);
        for (unsigned c = 0; c < CLASSES && (stack.depth != 0 || s <= 7); c++) {
            const struct hk_profile_row *found = NULL;
            for (size_t i = 0; i < r.rows; i++) {
                const struct hk_profile_row *row = &r.row[i];
                if (row->bytes == record_bytes(kept[c]) && row->stack->depth == stack.depth &&
                    memcmp(row->stack->pc, stack.pc, stack.depth * sizeof *stack.pc) == 0 &&
                    strcmp(row->stack->thread, stack.thread) == 0)
                    found = row;
            }
            assert_true((found != NULL) == (m->total[s][c] != 0));
            if (found == NULL)
                continue;
            rows++;
            assert_true(is_near(found->sums.live_bytes, m->live[s][c], error));
            assert_true(is_near(found->sums.peak_bytes, m->peak[s][c], error));
            assert_true(is_near(found->sums.total_bytes, m->total[s][c], error));
            assert_true(is_near(found->sums.live * (double)kept[c], found->sums.live_bytes, error));
        }
    }
    assert_true(rows == (double)r.rows);
    hk_profile_drop(&r);
}

/* Stacks 0, 7, 14, ... have no frames: with the same name and size they are one. */
static unsigned next_stack(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    unsigned n = (unsigned)(*seed >> 40) % STACKS;
    return n % 7 != 0 ? n : n % 2 == 0 ? 0 : 7;
}

static void follow_model(size_t interval, double error)
{
    static struct model m;
    static struct {
        uintptr_t tag;
        unsigned stack, cls;
    } block[BLOCKS];
    unsigned live = 0;
    uint64_t seed = interval;
    memset(&m, 0, sizeof m);
    assert_true(hk_profile_begin(interval));
    for (unsigned step = 0; step < 60000; step++) {
        bool more = step % 20000 < 9000 ? live < BLOCKS && next_stack(&seed) % 3 != 0 : live == 0;
        if (more) {
            unsigned s = next_stack(&seed), c = next_stack(&seed) % CLASSES;
            struct hk_stack stack = stack_number(s);
            double bytes = hk_profile_weight(kept[c], interval) * (double)kept[c];
            block[live].stack = s;
            block[live].cls = c;
            block[live].tag = hk_profile_note(&stack, kept[c]);
            assert_true(block[live++].tag != 0);
            m.live[s][c] += bytes;
            m.total[s][c] += bytes;
            m.all += bytes;
            if (m.all > m.most) {
                m.most = m.all;
                memcpy(m.peak, m.live, sizeof m.peak);
            }
        } else if (live != 0) {
            unsigned i = (unsigned)(seed >> 33) % live;
            double bytes = hk_profile_weight(kept[block[i].cls], interval) * (double)kept[block[i].cls];
            hk_profile_forget(block[i].tag, kept[block[i].cls] <= 32768 && step % 2 == 0 ? 0 : kept[block[i].cls]);
            m.live[block[i].stack][block[i].cls] -= bytes;
            m.all -= bytes;
            block[i] = block[--live];
        }
        if (step % 10007 == 0)
            compare_with(&m, error);
    }
    while (live != 0) {
        live--;
        hk_profile_forget(block[live].tag, kept[block[live].cls]);
        m.all -= hk_profile_weight(kept[block[live].cls], interval) * (double)kept[block[live].cls];
        m.live[block[live].stack][block[live].cls] -=
            hk_profile_weight(kept[block[live].cls], interval) * (double)kept[block[live].cls];
    }
    compare_with(&m, error);
    hk_profile_end();
}

static void as_the_model(void **state)
{
    (void)state;
    follow_model(1, 0);
    follow_model(T, 1); /* a byte, in sums of 10^10 */
}

/* A new profile forgets; blocks of the old one change nothing when they are freed, however many profiles later. */
static void a_new_profile_forgets(void **state)
{
    (void)state;
    struct hk_stack stack = stack_number(5);
    struct hk_profile_result r;
    assert_true(hk_profile_begin(1));
    uintptr_t old = hk_profile_note(&stack, 112);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(hk_profile_begin(1));
        assert_true(hk_profile_read(&r) && r.rows == 0 && r.samples == 0 && r.sums.total == 0);
        hk_profile_drop(&r);
        uintptr_t now = hk_profile_note(&stack, 112);
        hk_profile_forget(old, 0);
        assert_true(hk_profile_read(&r) && r.rows == 1 && r.samples == 1 && r.row[0].sums.live == 1 &&
                    r.row[0].sums.peak == 1);
        hk_profile_drop(&r);
        if (i % 70 == 0)
            old = now;
        else
            hk_profile_forget(now, 0);
    }
    hk_profile_end();
}

static void large_blocks(void **state)
{
    (void)state;
    enum { MOST = 20000 };
    static char *held[MOST];
    unsigned count = 0;
    uint64_t seed = 3;
    size_t bytes;
    assert_true(hk_profile_begin(1));
    for (unsigned step = 0; step < 200000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (count < MOST && (step / 30000 % 2 == 0 || count == 0)) {
            char *ptr = (char *)(uintptr_t)(0x100000000u + (uintptr_t)step * 4096);
            assert_true(hk_profile_put(ptr, (uintptr_t)step + 1, step + 7));
            assert_true(hk_profile_may_have(ptr));
            held[count++] = ptr;
        } else {
            unsigned i = (unsigned)(seed >> 33) % count;
            unsigned number = (unsigned)(((uintptr_t)held[i] - 0x100000000u) / 4096);
            assert_true(hk_profile_take(held[i], &bytes) == (uintptr_t)number + 1 && bytes == number + 7);
            assert_true(hk_profile_take(held[i], &bytes) == 0);
            held[i] = held[--count];
        }
    }
    while (count != 0)
        assert_true(hk_profile_take(held[--count], &bytes) != 0);
    for (unsigned i = 0; i < HK_PROFILE_SIEVE; i++)
        assert_int_equal(hk_load_relaxed(&hk_profile_sieve[i]), 0);
    hk_profile_end();
}

/* ---- no memory ---- */

static void without_memory(void *arg)
{
    (void)arg;
    struct hk_profile_result r;
    struct hk_stack stack = stack_number(3);
    fake_os_fail_from(FAKE_MAP, 1);
    EXPECT(!hk_profile_begin(1) && !hk_profile_is_on() && !hk_profile_is_used());
    EXPECT(hk_profile_note(&stack, 16) == 0 && !hk_profile_put(&r, 1, 1) && hk_profile_take(&r, &r.interval) == 0);
    fake_os_recover();
    EXPECT(hk_profile_begin(1));
    unsigned lost = 0, noted = 0;
    fake_os_fail_from(FAKE_MAP, 1);
    for (unsigned i = 0; i < 20000; i++) {
        stack.depth = 90;
        stack.pc[0] = i;
        bool had = hk_profile_note(&stack, 16) != 0;
        noted += had;
        lost += !had;
    }
    EXPECT(lost > 0 && !hk_profile_put(&r, 1, 1));
    EXPECT(!hk_profile_read(&r));
    fake_os_recover();
    EXPECT(hk_profile_read(&r));
    EXPECT(r.samples == noted && r.lost == lost + 1 && r.rows == noted);
    hk_profile_drop(&r);
    EXPECT(hk_profile_note(&stack, 16) != 0);
}

/* More stacks than there are records: they count together, by size, and none is lost. */
static void too_many_stacks(void *arg)
{
    (void)arg;
    enum { MANY = 300000 };
    struct hk_profile_result r;
    struct hk_stack stack = {.depth = 2};
    double total = 0;
    bool together = false;
    EXPECT(hk_profile_begin(1));
    for (unsigned i = 0; i < MANY; i++) {
        stack.pc[0] = i + 1;
        uintptr_t tag = hk_profile_note(&stack, 112);
        EXPECT(tag != 0);
        hk_profile_forget(tag, 0);
    }
    EXPECT(hk_profile_read(&r) && r.rows < MANY && r.lost == 0 && r.samples == MANY);
    for (size_t i = 0; i < r.rows; i++) {
        total += r.row[i].sums.total;
        together |= r.row[i].stack->depth == 0 && r.row[i].sums.total > 1000;
        EXPECT(r.row[i].sums.live == 0);
    }
    EXPECT(total == MANY && together);
}

static void in_children(void **state)
{
    (void)state;
    unit_passes(without_memory, NULL);
    unit_passes(too_many_stacks, NULL);
}

/* What may be no tag, and addresses that were freed. */
static void what_is_known_of_wrong_ones(void **state)
{
    (void)state;
    static const struct hk_stack stack = {.depth = 1, .pc = {4711}};
    size_t bytes;
    char *base = (char *)(uintptr_t)0x500000000;
    assert_true(hk_profile_begin(1));
    uintptr_t tag = hk_profile_note(&stack, 1 << 20);
    assert_true(hk_profile_stack_if(tag) == hk_profile_stack_of(tag) && hk_profile_stack_if(tag)->pc[0] == 4711);
    assert_null(hk_profile_stack_if(0));
    assert_null(hk_profile_stack_if(tag ^ 1));
    assert_null(hk_profile_stack_if(tag + 64));
    assert_null(hk_profile_stack_if(UINTPTR_MAX));
    for (unsigned i = 0; i < 80; i++) {
        assert_true(hk_profile_put(base + i * 4096, tag + i, 1 << 20));
        assert_int_equal(hk_profile_look_up_freed(base + i * 4096), 0);
        assert_true(hk_profile_take(base + i * 4096, &bytes) == tag + i);
        assert_true(hk_profile_look_up_freed(base + i * 4096) == tag + i);
    }
    assert_int_equal(hk_profile_look_up_freed(base), 0); /* too long ago */
    assert_true(hk_profile_look_up_freed(base + (size_t)16 * 4096) == tag + 16);
    assert_true(hk_profile_begin(4096));
    assert_null(hk_profile_stack_if(tag)); /* of an earlier profile */
    assert_int_equal(hk_profile_look_up_freed(base + (size_t)79 * 4096), 0);
    hk_profile_end();
}

int main(void)
{
    fake_os_reset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_children),
        cmocka_unit_test(weights),
        cmocka_unit_test(right_on_average),
        cmocka_unit_test(distances),
        cmocka_unit_test(each_block_and_none),
        cmocka_unit_test(as_the_model),
        cmocka_unit_test(a_new_profile_forgets),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(what_is_known_of_wrong_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
