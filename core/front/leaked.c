/* SPDX-License-Identifier: MIT
 *
 * Leaks: the gate is closed as for a fork, so that every structure is whole and no lock is held while they are looked
 * at. Who is turned away meanwhile makes do with the side box, and soon stands still.
 */
#include "front/hardened/hard.h"
#include "front/inside.h"
#include "front/profiled.h"

#include <errno.h>

bool hk_front_find_leaks(struct hk_leaks *leaks, const struct hk_leak_ignored *ignored)
{
    struct hk_pass *mine = hk_front_pass(hk_front_thread());
    int saved = errno;
    if (HK_DELAY)
        hk_hard_let_all_go();
    *leaks = (struct hk_leaks){.refusal = HK_STILL_DIED};
    if (hk_gate_is_inside(mine))
        return false;
    hk_gate_close(mine);
    bool found = hk_leaks_find(leaks, ignored);
    if (leaks->refusal == HK_STILL_DIED)
        hk_leaks_recover();
    hk_gate_open(mine); /* what was put down meanwhile is freed by who comes next */
    errno = saved;
    return found;
}
