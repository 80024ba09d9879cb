/* SPDX-License-Identifier: MIT
 *
 * Alone in its file: unit tests that want to know what comes put another in its place.
 */
#include "os/secret.h"

unsigned hk_secret_draw(const void *at, unsigned bound)
{
    uint64_t hash = hk_secret_of((const void *)((uintptr_t)at ^ hk_ticks()));
    return (unsigned)((hash >> 32) * bound >> 32);
}
