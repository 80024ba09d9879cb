/* SPDX-License-Identifier: MIT
 *
 * Which blocks are sampled: the points of a Poisson process on the bytes that a thread is given, one after the other.
 */
#include "box/profile.h"

#include "box/profile_priv.h"
#include "os/os.h"

#include <errno.h>

_Atomic uint32_t hk_profile_number;
_Atomic size_t hk_profile_interval;

/* ---- the two functions of mathematics that this needs; libm is another library ---- */

#define LN2 0.69314718055994530942

/* -ln((n + 1) / 2^53), for n below 2^53: by the bits before the point, and the series of artanh for the rest. */
double hk_profile_negative_log(uint64_t n)
{
    uint64_t v = n + 1;
    unsigned bits = hk_log2(v);
    double m = (double)v / (double)((uint64_t)1 << bits), t = (m - 1) / (m + 1), square = t * t, sum = 0;
    for (int k = 21; k > 0; k -= 2)
        sum = sum * square + 1.0 / k;
    return (53.0 - bits) * LN2 - 2 * t * sum;
}

/* 1 - exp(-x), x >= 0: a series for a small part of x, then doubled. */
double hk_profile_share(double x)
{
    unsigned halved = 0;
    if (x > 40)
        return 1;
    for (; x > 0.25; x /= 2)
        halved++;
    double sum = 0; /* x - x^2/2! + x^3/3! - ... */
    for (int k = 14; k > 0; k--)
        sum = x / k * (1 - sum);
    for (; halved > 0; halved--)
        sum = sum * (2 - sum);
    return sum;
}

double hk_profile_weight(size_t bytes, size_t interval)
{
    return interval <= HK_PROFILE_ALL ? 1 : 1 / hk_profile_share((double)bytes / (double)interval);
}

/* ---- points ---- */

/* splitmix64's step: any seed will do. */
static uint64_t next_random(struct hk_sampler *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Whole bytes before the next point: floor(E) < n where E < n, for every whole n. */
static int64_t next_distance(struct hk_sampler *s, size_t interval)
{
    return interval <= HK_PROFILE_ALL ? 0 : (int64_t)((double)interval * hk_profile_negative_log(next_random(s) >> 11));
}

/* The addresses of the record and of our stack are no other thread's; the clock tells one run from another. */
static void seed(struct hk_sampler *s, uint32_t number)
{
    int saved = errno; /* the clock may change it, and malloc may not */
    s->random ^= (uintptr_t)s * 0xd6e8feb86659fd93u ^ (uint64_t)hk_os_now_ms() << 32 ^ (uintptr_t)&number ^
                 (uint64_t)hk_os_pid() << 20;
    next_random(s);
    errno = saved;
}

HK_NOINLINE bool hk_profile_draw(struct hk_sampler *s, size_t bytes)
{
    uint32_t number = hk_load_acquire(&hk_profile_number); /* pairs with hk_profile_begin: the interval is its */
    size_t interval = hk_load_relaxed(&hk_profile_interval);
    if (number == 0)
        return false;
    if (s->number != number) {
        seed(s, number);
        s->number = number;
        s->left = next_distance(s, interval);
    }
    if (s->left >= (int64_t)bytes) {
        s->left -= (int64_t)bytes;
        return false;
    }
    s->left = next_distance(s, interval); /* from the end of this block on: the process does not remember */
    return true;
}
