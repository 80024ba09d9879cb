/* SPDX-License-Identifier: MIT */
#include "os/secret.h"

#include "os/auxv.h"

#include <string.h>

uintptr_t hk_secret;

/* One bit of what goes in changes half of what comes out. */
static uint64_t stir(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ x >> 29) * UINT64_C(0xa3b195354a39b70d);
    return x ^ x >> 32;
}

/* What the kernel gave the process at its start: no call that a filter could forbid. The C library makes its own
 * secrets of the same bytes: two words become one here, so that neither can be worked out from it. Where they are not
 * found, where things lie in this process. */
static uint64_t look_for_chance(void)
{
    struct hk_auxv a;
    uint64_t word[2] = {hk_ticks() ^ (uintptr_t)&a, hk_thread_self()};
    if (hk_auxv_get(&a) && a.random != NULL)
        memcpy(word, a.random, sizeof word);
    return stir(word[0] + stir(word[1]));
}

/* Of threads that come at the same time the first has its way: what it found may differ from what others find. */
void hk_secret_make(void)
{
    uintptr_t none = 0;
    hk_poke_cas(&hk_secret, &none, look_for_chance() | 1);
}
