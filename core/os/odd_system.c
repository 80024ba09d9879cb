/* SPDX-License-Identifier: MIT */
#include "os/odd_system.h"

#include "base/held.h"
#include "base/sys.h"
#include "os/os.h"

#include <errno.h>
#include <sys/mman.h>

/* ---- a system that takes no hints: it maps at random, or a tracer has taken the address away ---- */

_Atomic long hk_os_place_flags = MAP_PRIVATE | MAP_ANONYMOUS;
static _Atomic bool went_elsewhere; /* relaxed: seen by who tries again */

HK_APART(odd_system) bool hk_os_went_elsewhere(long p, size_t size, bool *taken)
{
    *taken = !hk_sys_failed(p) || p == -EEXIST;
    if (hk_sys_failed(p))
        return false;
    hk_store_relaxed(&went_elsewhere, true);
    hk_large_calls_begin(); /* it has no page yet: nobody waits long, under whatever lock */
    hk_os_unmap_uncounted((void *)p, size);
    hk_large_calls_end();
    return false;
}

HK_APART(odd_system) bool hk_os_insist(void)
{
    if (!hk_load_relaxed(&went_elsewhere) || (hk_load_relaxed(&hk_os_place_flags) & MAP_FIXED_NOREPLACE) != 0)
        return false;
    hk_store_relaxed(&hk_os_place_flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE);
    return true;
}

/* ---- a system that only says that it gives pages back ---- */

/* Emulators of processes (qemu-user before 7.1) and some filters take MADV_DONTNEED for a hint: they say that it was
 * done, and what was in the pages is still there. Without a page of ours nothing is known of the contents. */
HK_APART(odd_system) enum hk_os_purges hk_os_try_purge(void)
{
    size_t page = hk_os_page_size();
    volatile char *p = hk_os_map(page);
    if (p == NULL)
        return HK_PURGE_UNTRIED;
    *p = 1;
    hk_os_count_call();
    bool done = hk_sys3(SYS_madvise, (long)p, (long)page, MADV_DONTNEED) == 0;
    enum hk_os_purges found = !done ? HK_PURGE_UNTRIED : *p == 0 ? HK_PURGE_WORKS : HK_PURGE_IN_VAIN;
    hk_os_unmap((void *)p, page);
    return found;
}
