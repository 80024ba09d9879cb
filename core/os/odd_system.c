/* SPDX-License-Identifier: MIT */
#include "os/odd_system.h"

#include "base/sys.h"
#include "os/os.h"

#include <sys/mman.h>

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
