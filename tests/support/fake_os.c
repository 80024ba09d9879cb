/* SPDX-License-Identifier: MIT */
#include "fake_os.h"

#include "base/atomic.h"
#include "base/held.h"
#include "os/numa_sys.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOST_PAGE ((size_t)4096)

/* One plan per kind, and one for all kinds together. */
static struct {
    _Atomic uint64_t calls;
    _Atomic int64_t countdown; /* the call that brings it from 1 to 0 is refused */
    bool armed, lasting;
} plans[FAKE_KINDS + 1];

static _Atomic uint64_t misaligned, failures;
static _Atomic size_t committed;
static _Atomic uint32_t clock_ms = 1000000;
static _Atomic uint64_t exact_us, look_us; /* the exact clock, and what each look at it takes */
static size_t page_size = HOST_PAGE, address_limit = SIZE_MAX, cgroup_limit = SIZE_MAX;
static void *locked_page;
static void (*during_purge)(void), (*during_calls)(void), (*during_start)(void);
static _Thread_local bool in_hook;
static struct fake_range purges[FAKE_PURGES], places[FAKE_PLACES];
static struct fake_hint {
    struct fake_range range;
    bool huge;
} hints[FAKE_HINTS];
static _Atomic size_t purge_count, place_count, hint_count;
static uint64_t nodes = 1;
static _Thread_local unsigned thread_node;
static bool learn_late, policy_chosen;
static struct fake_wish wishes[FAKE_WISHES];
static size_t wish_count;
static struct fake_range *maps; /* NULL: nobody wants to know */
static size_t map_count;

void fake_os_recover(void)
{
    for (unsigned kind = 0; kind <= FAKE_KINDS; kind++)
        plans[kind].armed = false;
}

void fake_os_reset(void)
{
    fake_os_recover();
    for (unsigned kind = 0; kind <= FAKE_KINDS; kind++)
        plans[kind].calls = 0;
    misaligned = failures = 0;
    committed = 0;
    page_size = HOST_PAGE;
    address_limit = cgroup_limit = SIZE_MAX;
    locked_page = NULL;
    during_purge = during_calls = during_start = NULL;
    purge_count = place_count = hint_count = 0;
    nodes = 1;
    thread_node = 0;
    learn_late = policy_chosen = false;
    wish_count = 0;
}

uint64_t fake_os_count(enum fake_call kind)
{
    return plans[kind].calls;
}

uint64_t fake_os_misaligned(void)
{
    return misaligned;
}

size_t fake_os_committed(void)
{
    return committed;
}

uint64_t fake_os_failures(void)
{
    return failures;
}

static void plan(enum fake_call kind, unsigned n, bool lasting)
{
    plans[kind].countdown = n;
    plans[kind].lasting = lasting;
    plans[kind].armed = true;
}

void fake_os_fail_nth(enum fake_call kind, unsigned n)
{
    plan(kind, n, false);
}

void fake_os_fail_from(enum fake_call kind, unsigned n)
{
    plan(kind, n, true);
}

void fake_os_lock_page(void *page)
{
    locked_page = page;
}

void fake_os_during_purge(void (*hook)(void))
{
    during_purge = hook;
}

void fake_os_during_calls(void (*hook)(void))
{
    during_calls = hook;
}

void fake_os_during_start(void (*hook)(void))
{
    during_start = hook;
}

void fake_os_travel(uint32_t ms)
{
    clock_ms += ms;
}

void fake_os_take_us(uint64_t us)
{
    look_us = us;
}

void fake_os_set_page_size(size_t size)
{
    page_size = size;
}

void fake_os_set_address_limit(size_t size)
{
    address_limit = size;
}

void fake_os_set_cgroup_limit(size_t size)
{
    cgroup_limit = size;
}

size_t fake_os_purges(void)
{
    return purge_count < FAKE_PURGES ? purge_count : FAKE_PURGES;
}

struct fake_range fake_os_purge(size_t i)
{
    return purges[i];
}

size_t fake_os_places(void)
{
    return place_count < FAKE_PLACES ? place_count : FAKE_PLACES;
}

struct fake_range fake_os_place(size_t i)
{
    return places[i];
}

static void note_huge(void *ptr, size_t size, bool huge)
{
    hints[hint_count++ % FAKE_HINTS] = (struct fake_hint){{ptr, size}, huge};
}

bool fake_os_is_huge(const void *ptr)
{
    for (size_t i = 0; i < hint_count && i < FAKE_HINTS; i++) {
        const struct fake_hint *hint = &hints[(hint_count - 1 - i) % FAKE_HINTS];
        if ((size_t)((const char *)ptr - hint->range.start) < hint->range.size)
            return hint->huge;
    }
    return false;
}

bool fake_os_was_purged(const void *ptr)
{
    for (size_t i = 0; i < fake_os_purges(); i++) {
        if ((size_t)((const char *)ptr - purges[i].start) < purges[i].size)
            return true;
    }
    return false;
}

void fake_os_set_nodes(uint64_t mask)
{
    nodes = mask;
}

void fake_os_run_on(unsigned node)
{
    thread_node = node;
}

void fake_os_learn_late(void)
{
    learn_late = true;
}

void fake_os_choose_policy(void)
{
    policy_chosen = true;
}

size_t fake_os_wishes(void)
{
    return wish_count;
}

struct fake_wish fake_os_wish(size_t i)
{
    return wishes[i];
}

int fake_os_node_of(const void *ptr)
{
    for (size_t i = wish_count; i-- > 0;) {
        if ((size_t)((const char *)ptr - wishes[i].start) < wishes[i].size)
            return (int)wishes[i].node;
    }
    return -1;
}

/* ---- what is mapped ---- */

void fake_os_track_maps(void)
{
    size_t size = FAKE_MAPS * sizeof *maps;
    maps = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (maps == MAP_FAILED)
        abort();
}

void fake_os_unmap_all(void)
{
    for (size_t i = 0; i < map_count; i++)
        munmap(maps[i].start, maps[i].size);
    map_count = 0;
}

static void note_map(char *start, size_t size)
{
    if (maps == NULL)
        return;
    if (map_count == FAKE_MAPS)
        abort();
    maps[map_count++] = (struct fake_range){start, size};
}

/* Of a range that overlaps what stands on both sides stays. */
static void note_unmap(char *start, size_t size)
{
    char *end = start + size;
    for (size_t i = map_count; i-- > 0;) {
        struct fake_range range = maps[i];
        char *range_end = range.start + range.size;
        if (end <= range.start || range_end <= start)
            continue;
        maps[i] = maps[--map_count];
        if (range.start < start)
            note_map(range.start, (size_t)(start - range.start));
        if (end < range_end)
            note_map(end, (size_t)(range_end - end));
    }
}

/* As the os box counts it. */
static _Atomic size_t held, held_most;

static void hold(size_t more)
{
    size_t now = atomic_fetch_add(&held, more) + more, most = atomic_load(&held_most);
    while (now > most && !atomic_compare_exchange_weak(&held_most, &most, now)) {
    }
}

/* ---- the box ---- */

/* The real calls set errno when they fail and may do so when they do not. */
static bool spoiled(bool value)
{
    errno = FAKE_ERRNO;
    return value;
}

static void *spoiled_pointer(void *value)
{
    errno = FAKE_ERRNO;
    return value;
}

static uint64_t spoiled_number(uint64_t value)
{
    errno = FAKE_ERRNO;
    return value;
}

static bool planned(enum fake_call kind)
{
    plans[kind].calls++;
    if (!plans[kind].armed)
        return false;
    int64_t left = atomic_fetch_sub(&plans[kind].countdown, 1);
    return left == 1 || (left < 1 && plans[kind].lasting);
}

static void interrupt(void)
{
    if (during_calls == NULL || in_hook)
        return;
    in_hook = true;
    during_calls();
    in_hook = false;
}

/* Counts the call; true when it is to be refused. */
static bool refused(enum fake_call kind)
{
    interrupt();
    bool alone = planned(kind), any = kind < FAKE_HINT && planned(FAKE_ANY);
    if (alone || any)
        failures++;
    return alone || any;
}

/* The header asks for whole pages. Kernels refuse another address, and round such a length up to whole pages, as is
 * done here: a purge then takes the neighbour's bytes too. */
static bool crooked(const void *ptr, size_t *size)
{
    bool bad = (uintptr_t)ptr % page_size != 0;
    misaligned += bad || *size % page_size != 0 || *size == 0;
    *size = hk_align_up(*size, page_size);
    return bad;
}

static void *map_at(void *where, size_t size, int protection)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (where != NULL ? MAP_FIXED_NOREPLACE : 0);
    /* As the os box does: sanitizers change the address that libc's mmap is given. */
    long p = syscall(SYS_mmap, where, size, protection, flags, -1, 0);
    if (p == -1)
        return NULL;
    note_map((void *)p, size);
    hold(size);
    return (void *)p;
}

static bool unmap(void *ptr, size_t size)
{
    if (munmap(ptr, size) != 0)
        return false;
    note_unmap(ptr, size);
    hold(-size);
    return true;
}

/* Starts at a multiple of the page size in force, whatever the host's is. */
static void *map_paged(size_t size, int protection)
{
    size = hk_align_up(size, page_size);
    if (page_size == HOST_PAGE)
        return map_at(NULL, size, protection);
    if (size > SIZE_MAX / 2)
        return NULL;
    char *p = map_at(NULL, size + page_size, protection);
    if (p == NULL)
        return NULL;
    char *start = (char *)hk_align_up((uintptr_t)p, page_size);
    if (start > p)
        unmap(p, (size_t)(start - p));
    unmap(start + size, (size_t)(p + page_size - start));
    return start;
}

void hk_os_start(void)
{
    if (during_start != NULL)
        during_start();
    errno = FAKE_ERRNO;
}

size_t hk_os_page_size(void)
{
    return spoiled_number(page_size);
}

bool hk_os_map_at(void *ptr, size_t size, bool *taken)
{
    *taken = false;
    size_t i = place_count++;
    if (i < FAKE_PLACES)
        places[i] = (struct fake_range){ptr, size};
    if (refused(FAKE_MAP_AT) || crooked(ptr, &size))
        return spoiled(false);
    void *p = map_at(ptr, size, PROT_READ | PROT_WRITE);
    *taken = p == NULL && errno == EEXIST;
    if (p != NULL)
        madvise(p, size, MADV_NOHUGEPAGE); /* tests count pages: where the system makes huge ones by itself, too */
    return spoiled(p != NULL);
}

bool hk_os_insist(void)
{
    return false; /* as it does always */
}

void *hk_os_reserve_readable(size_t size)
{
    return spoiled_pointer(refused(FAKE_RESERVE_READABLE) ? NULL : map_paged(size, PROT_READ));
}

void *hk_os_reserve_hidden(size_t size)
{
    return spoiled_pointer(refused(FAKE_RESERVE_HIDDEN) ? NULL : map_paged(size, PROT_NONE));
}

void *hk_os_map(size_t size)
{
    return spoiled_pointer(refused(FAKE_MAP) ? NULL : map_paged(size, PROT_READ | PROT_WRITE));
}

bool hk_os_commit(void *ptr, size_t size)
{
    bool done = !refused(FAKE_COMMIT) && !crooked(ptr, &size) && mprotect(ptr, size, PROT_READ | PROT_WRITE) == 0;
    committed += done ? size : 0;
    return spoiled(done);
}

bool hk_os_hide(void *ptr, size_t size)
{
    return spoiled(!refused(FAKE_HIDE) && !crooked(ptr, &size) && mprotect(ptr, size, PROT_NONE) == 0);
}

bool hk_os_purge(void *ptr, size_t size)
{
    hk_large_call("advises on a range", size);
    if (during_purge != NULL)
        during_purge();
    if (refused(FAKE_PURGE) || (size_t)((char *)locked_page - (char *)ptr) < size || crooked(ptr, &size) ||
        madvise(ptr, size, MADV_DONTNEED) != 0)
        return spoiled(false);
    size_t i = purge_count++;
    if (i < FAKE_PURGES)
        purges[i] = (struct fake_range){ptr, size};
    return spoiled(true);
}

bool hk_os_unmap(void *ptr, size_t size)
{
    hk_large_call("unmaps a range", size);
    return spoiled(!refused(FAKE_UNMAP) && !crooked(ptr, &size) && unmap(ptr, size));
}

void *hk_os_remap(void *ptr, size_t old_size, size_t new_size)
{
    hk_large_call("moves or resizes a mapping", hk_max(old_size, new_size));
    if (refused(FAKE_REMAP) || crooked(ptr, &old_size) || crooked(ptr, &new_size))
        return spoiled_pointer(NULL);
    void *p = mremap(ptr, old_size, new_size, MREMAP_MAYMOVE);
    if (p == MAP_FAILED)
        return spoiled_pointer(NULL);
    note_unmap(ptr, old_size);
    note_map(p, new_size);
    hold(new_size - old_size);
    return spoiled_pointer(p);
}

static void take_hint(size_t size)
{
    hk_large_call("advises on a range", size);
    refused(FAKE_HINT);
    errno = FAKE_ERRNO;
}

void hk_os_hint_huge(void *ptr, size_t size)
{
    note_huge(ptr, size, true);
    take_hint(size);
}

void hk_os_hint_no_huge(void *ptr, size_t size)
{
    note_huge(ptr, size, false);
    take_hint(size);
}

size_t hk_os_resident(void *ptr, size_t size)
{
    size_t total = 0;
    for (size_t done = 0; done < size; done += HOST_PAGE) {
        unsigned char present = 0;
        if (mincore((char *)ptr + done, HOST_PAGE, &present) == 0)
            total += (present & 1) * HOST_PAGE;
    }
    return spoiled_number(total);
}

uint64_t hk_os_date(void)
{
    return 1700000000u + clock_ms / 1000;
}

int hk_os_pid(void)
{
    return 1;
}

uint32_t hk_os_now_ms(void)
{
    interrupt();
    return (uint32_t)spoiled_number(clock_ms);
}

uint64_t hk_os_now_us(void)
{
    interrupt();
    exact_us += look_us;
    return exact_us;
}

size_t hk_os_address_limit(void)
{
    return spoiled_number(address_limit);
}

size_t hk_os_cgroup_limit(void)
{
    return spoiled_number(cgroup_limit);
}

size_t hk_os_held(void)
{
    return held;
}

size_t hk_os_held_most(void)
{
    return held_most;
}

void hk_os_count_call(void)
{
    plans[FAKE_ANY].calls++;
}

uint64_t hk_os_calls(void)
{
    return plans[FAKE_ANY].calls + plans[FAKE_HINT].calls;
}

/* ---- NUMA ---- */

bool hk_numa_sys_ready(bool starting)
{
    return !starting || !learn_late;
}

uint64_t hk_numa_sys_allowed(void)
{
    return spoiled_number(refused(FAKE_NODES) ? 0 : nodes);
}

bool hk_numa_sys_has_policy(void)
{
    return spoiled(!refused(FAKE_POLICY) && policy_chosen);
}

bool hk_numa_sys_current(unsigned *node)
{
    *node = thread_node;
    return spoiled(!refused(FAKE_CURRENT));
}

bool hk_numa_sys_prefer(void *ptr, size_t size, unsigned node)
{
    if (refused(FAKE_PREFER) || crooked(ptr, &size) || wish_count == FAKE_WISHES)
        return spoiled(false);
    wishes[wish_count++] = (struct fake_wish){ptr, size, node};
    return spoiled(true);
}
