/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include "base/atomic.h"
#include "base/held.h"
#include "base/shared_use.h"
#include "base/sys.h"
#include "os/auxv.h"
#include "os/file.h"
#include "os/odd_system.h"
#include "os/vdso.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Statistics, so all are relaxed: calls, address space held, and the most of it so far. */
static _Atomic uint64_t calls;
static _Atomic size_t held, held_most;
hk_seen hk_os_seen[3] = {&calls, &held, &held_most};

static void count_call(void)
{
    hk_add_relaxed(&calls, 1);
    hk_use_wrote(HK_WORD_OS);
}

/* So many bytes more; or less, with a negative number. */
static void count_held(size_t more)
{
    size_t now = hk_add_relaxed(&held, more) + more, most = hk_load_relaxed(&held_most);
    while (now > most && !hk_cas_relaxed(&held_most, &most, now)) {
    }
}

static void *map_pages(size_t size, int protection, int flags)
{
    count_call();
    long p = hk_sys6(SYS_mmap, 0, (long)size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (hk_sys_failed(p))
        return NULL;
    count_held(size);
    return (void *)p;
}

static bool advise_system(void *ptr, size_t size, int advice)
{
    hk_large_call("advises on a range", size);
    count_call();
    return hk_sys3(SYS_madvise, (long)ptr, (long)size, advice) == 0;
}

/* Advice on no bytes is taken where they begin at a page. What is 64 KiB apart is so everywhere, also where all is
 * refused. */
HK_SLOW_PATH size_t hk_os_ask_page_size(void)
{
    for (size_t size = 4096; size < 65536; size *= 4) {
        if (hk_sys3(SYS_madvise, (long)size, 0, MADV_NORMAL) == 0)
            return size;
    }
    return 65536;
}

size_t hk_os_page_size(void)
{
    static _Atomic size_t page; /* relaxed: whoever writes it writes the same */
    size_t size = hk_load_relaxed(&page);
    if (HK_UNLIKELY(size == 0)) {
        struct hk_auxv a;
        size = hk_auxv_get(&a) ? a.page_size : hk_os_ask_page_size();
        hk_store_relaxed(&page, size);
    }
    return size;
}

void *hk_os_reserve_readable(size_t size)
{
    return map_pages(size, PROT_READ, MAP_NORESERVE);
}

void *hk_os_reserve_hidden(size_t size)
{
    return map_pages(size, PROT_NONE, MAP_NORESERVE);
}

void *hk_os_map(size_t size)
{
    return map_pages(size, PROT_READ | PROT_WRITE, 0);
}

/* By a hint, which the kernel follows where there is room: MAP_FIXED_NOREPLACE is unknown before 4.17, and filters that
 * look at the flags of mmap (Chromium's) do not know it either. */
bool hk_os_map_at(void *ptr, size_t size, bool *taken)
{
    count_call();
    long flags = hk_load_relaxed(&hk_os_place_flags);
    long p = hk_sys6(SYS_mmap, (long)ptr, (long)size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (HK_UNLIKELY((void *)p != ptr))
        return hk_os_went_elsewhere(p, size, taken);
    count_held(size);
    *taken = false;
    return true;
}

bool hk_os_commit(void *ptr, size_t size)
{
    count_call();
    return hk_sys3(SYS_mprotect, (long)ptr, (long)size, PROT_READ | PROT_WRITE) == 0;
}

bool hk_os_hide(void *ptr, size_t size)
{
    count_call();
    return hk_sys3(SYS_mprotect, (long)ptr, (long)size, PROT_NONE) == 0;
}

bool hk_os_purge(void *ptr, size_t size)
{
    static _Atomic int known; /* relaxed: threads that race find the same */
    int what = hk_load_relaxed(&known);
    if (HK_UNLIKELY(what == HK_PURGE_UNTRIED)) {
        what = (int)hk_os_try_purge();
        hk_store_relaxed(&known, what);
    }
    return what != HK_PURGE_IN_VAIN && advise_system(ptr, size, MADV_DONTNEED) && what == HK_PURGE_WORKS;
}

bool hk_os_unmap(void *ptr, size_t size)
{
    hk_large_call("unmaps a range", size);
    count_call();
    count_held(-size); /* before another has the address space */
    bool gone = hk_sys2(SYS_munmap, (long)ptr, (long)size) == 0;
    if (!gone)
        count_held(size);
    return gone;
}

bool hk_os_unmap_uncounted(void *ptr, size_t size)
{
    count_held(size);
    return hk_os_unmap(ptr, size);
}

void *hk_os_remap(void *ptr, size_t old_size, size_t new_size)
{
    hk_large_call("moves or resizes a mapping", hk_max(old_size, new_size));
    count_call();
    long p = hk_sys4(SYS_mremap, (long)ptr, (long)old_size, (long)new_size, MREMAP_MAYMOVE);
    if (hk_sys_failed(p))
        return NULL;
    count_held(new_size - old_size);
    return (void *)p;
}

size_t hk_os_held(void)
{
    return hk_load_relaxed(&held);
}

size_t hk_os_held_most(void)
{
    return hk_load_relaxed(&held_most);
}

void hk_os_hint_huge(void *ptr, size_t size)
{
    advise_system(ptr, size, MADV_HUGEPAGE);
}

void hk_os_hint_no_huge(void *ptr, size_t size)
{
    advise_system(ptr, size, MADV_NOHUGEPAGE);
}

size_t hk_os_resident(void *ptr, size_t size)
{
    unsigned char present[1024];
    size_t page = hk_os_page_size(), total = 0;
    for (size_t done = 0; done < size; done += sizeof present * page) {
        size_t part = hk_min(size - done, sizeof present * page);
        if (hk_sys3(SYS_mincore, (long)((char *)ptr + done), (long)part, (long)present) != 0)
            continue;
        for (size_t i = 0; i < part / page; i++)
            total += (present[i] & 1) * page;
    }
    return total;
}

uint32_t hk_os_now_ms(void)
{
    struct timespec t;
    if (!hk_vdso_clock(CLOCK_MONOTONIC_COARSE, &t))
        return 0;
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

uint64_t hk_os_now_us(void)
{
    struct timespec t;
    return hk_vdso_clock(CLOCK_MONOTONIC, &t) ? (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 : 0;
}

uint64_t hk_os_date(void)
{
    struct timespec t;
    return hk_vdso_clock(CLOCK_REALTIME, &t) ? (uint64_t)t.tv_sec : 0;
}

size_t hk_os_address_limit(void)
{
    static _Atomic size_t known; /* 0: not asked yet. Relaxed: threads that race ask twice */
    size_t limit = hk_load_relaxed(&known);
    if (HK_UNLIKELY(limit == 0)) {
        struct rlimit now;
        bool have = hk_sys4(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&now) == 0 && now.rlim_cur != RLIM_INFINITY;
        limit = have ? hk_max((size_t)now.rlim_cur, 1) : SIZE_MAX;
        hk_store_relaxed(&known, limit);
    }
    return limit;
}

void hk_os_start(void)
{
    hk_os_page_size();
    hk_vdso_start();
}

bool hk_os_is_secure(void)
{
    struct hk_auxv a;
    if (hk_auxv_get(&a) && a.secure != HK_SECURE_UNKNOWN)
        return a.secure == HK_SECURE_YES;
    return hk_sys0(SYS_getuid) != hk_sys0(SYS_geteuid) || hk_sys0(SYS_getgid) != hk_sys0(SYS_getegid);
}

int hk_os_pid(void)
{
    return (int)hk_sys0(SYS_getpid);
}

static size_t read_limit(const char *path)
{
    char text[64];
    if (!hk_file_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return SIZE_MAX; /* not there, or "max" */
    return hk_file_number(text);
}

size_t hk_os_cgroup_limit(void)
{
    char text[1024], path[1100];
    size_t limit = read_limit("/sys/fs/cgroup/memory.max");
    limit = hk_min(limit, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    if (!hk_file_text("/proc/self/cgroup", text, sizeof text))
        return limit;
    char *own = strstr(text, "0::/"); /* version 2: one hierarchy */
    if (own == NULL)
        return limit;
    own += 3;
    own[strcspn(own, "\n")] = 0;
    strcpy(path, "/sys/fs/cgroup");
    strcat(path, own);
    strcat(path, "/memory.max");
    return hk_min(limit, read_limit(path));
}

uint64_t hk_os_calls(void)
{
    return hk_load_relaxed(&calls);
}

void hk_os_count_call(void)
{
    count_call();
}
