/* SPDX-License-Identifier: MIT
 *
 * Where a lock calls the system: nothing else of it is out of line.
 */
#include "os/lock.h"

#include "base/sys.h"

static _Atomic uint64_t waits; /* relaxed: a statistic */
hk_seen hk_lock_seen[1] = {&waits};

void hk_lock_slow(struct hk_lock *lock)
{
    hk_add_relaxed(&waits, 1);
    for (int i = 0; i < 100; i++) {
        uint32_t expected = 0;
        if (hk_load_relaxed(&lock->word) == 0 && hk_cas_acquire(&lock->word, &expected, 1)) /* pairs with hk_unlock */
            return;
        hk_pause();
    }
    while (hk_swap_acquire(&lock->word, 2) != 0) /* pairs with hk_unlock */
        hk_sys4(SYS_futex, (long)&lock->word, HK_FUTEX_WAIT_PRIVATE, 2, 0);
}

void hk_lock_wake(struct hk_lock *lock)
{
    hk_sys3(SYS_futex, (long)&lock->word, HK_FUTEX_WAKE_PRIVATE, 1);
}
