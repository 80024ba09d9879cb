/* SPDX-License-Identifier: MIT
 *
 * Factor: polynomials as lists, a small block for every term, as algebra programs and interpreters have them.
 * Multiplies DEGREE factors (x + r) out, in a recursion, then divides by one after the other until 1 is left. Every
 * intermediate result is a new list, and the old ones are freed term by term: millions of blocks of one size, a few
 * thousand alive at a time.
 */
#include "support.h"

enum { ROUNDS, DEGREE, SEED };
#define PRIME UINT64_C(2147483647) /* what the coefficients are taken modulo */

/* Terms with the coefficient 0 are left out; the highest power comes first. */
struct term {
    struct term *next;
    uint32_t power, coefficient;
};

static uint64_t made; /* terms */

/* Adds a term behind *end; returns the new end. */
static struct term **add(struct term **end, uint32_t power, uint64_t coefficient)
{
    if (coefficient == 0)
        return end;
    struct term *term = malloc(sizeof(*term));
    *term = (struct term){.power = power, .coefficient = (uint32_t)coefficient};
    *end = term;
    made++;
    return &term->next;
}

static void drop(struct term *list)
{
    while (list != NULL) {
        struct term *next = list->next;
        free(list);
        list = next;
    }
}

static struct term *scale(const struct term *list, const struct term *by)
{
    struct term *result = NULL, **end = &result;
    for (; list != NULL; list = list->next)
        end = add(end, list->power + by->power, (uint64_t)list->coefficient * by->coefficient % PRIME);
    return result;
}

static struct term *sum(const struct term *a, const struct term *b)
{
    struct term *result = NULL, **end = &result;
    while (a != NULL || b != NULL) {
        uint32_t power = b == NULL || (a != NULL && a->power > b->power) ? a->power : b->power;
        uint64_t coefficient = 0;
        if (a != NULL && a->power == power) {
            coefficient += a->coefficient;
            a = a->next;
        }
        if (b != NULL && b->power == power) {
            coefficient += b->coefficient;
            b = b->next;
        }
        end = add(end, power, coefficient % PRIME);
    }
    return result;
}

static struct term *product(const struct term *a, const struct term *b)
{
    struct term *result = NULL;
    for (; a != NULL; a = a->next) {
        struct term *part = scale(b, a), *old = result;
        result = sum(old, part);
        drop(old);
        drop(part);
    }
    return result;
}

/* The product of (x + r) for the roots from first to last, without it. */
static struct term *multiply_out(const uint32_t *roots, uint32_t first, uint32_t last)
{
    struct term *result = NULL;
    if (last - first == 1) {
        add(add(&result, 1, 1), 0, roots[first]);
        return result;
    }
    uint32_t middle = first + (last - first) / 2;
    struct term *low = multiply_out(roots, first, middle), *high = multiply_out(roots, middle, last);
    result = product(low, high);
    drop(low);
    drop(high);
    return result;
}

/* By (x + root), which must leave nothing. */
static struct term *quotient(const struct term *list, uint64_t root)
{
    struct term *result = NULL, **end = &result;
    uint64_t carry = 0;
    for (uint32_t power = list->power; power > 0; power--) {
        carry = (PRIME - root) * carry % PRIME;
        if (list != NULL && list->power == power) {
            carry = (carry + list->coefficient) % PRIME;
            list = list->next;
        }
        end = add(end, power - 1, carry);
    }
    if (((PRIME - root) * carry + (list != NULL ? list->coefficient : 0)) % PRIME != 0)
        bench_die("a factor does not divide the product");
    return result;
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [ROUNDS] = {.name = "rounds", .value = 20, .max = UINT32_MAX, .help = "each with other factors"},
        [DEGREE] = {.name = "degree", .value = 500, .min = 1, .max = 1 << 16, .help = "factors of the product"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "lists of small blocks: multiplies polynomials out and divides them", args,
               BENCH_COUNT(args));
    uint32_t degree = (uint32_t)args[DEGREE].value;
    uint64_t random = bench_seed(args[SEED].value);
    bench_pin(0);
    uint32_t *roots = bench_table(degree, sizeof(*roots));
    uint64_t start = bench_clock();
    for (uint64_t round = 0; round < args[ROUNDS].value; round++) {
        for (uint32_t i = 0; i < degree; i++)
            roots[i] = 1 + bench_scale(bench_next(&random), PRIME - 1);
        struct term *list = multiply_out(roots, 0, degree);
        for (uint32_t i = 0; i < degree; i++) {
            struct term *old = list;
            list = quotient(old, roots[i]);
            drop(old);
        }
        if (list == NULL || list->power != 0 || list->coefficient != 1)
            bench_die("the factors do not make up the product");
        drop(list);
    }
    bench_result(start, made);
    return 0;
}
