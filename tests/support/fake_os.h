/* SPDX-License-Identifier: MIT
 *
 * fake_os: the os box (core/os/os.h) for unit tests. Memory is real; everything else is as the test says: which call is
 * refused, what time it is, how large a page is, which limits there are. Every call leaves an odd number in errno, so
 * that who must keep it shows whether he does. Linked as an object, so that the library's own os_linux.o is never asked
 * for.
 *
 * Calls may come from any thread; the test sets things up while nobody else runs.
 */
#ifndef HK_TEST_FAKE_OS_H
#define HK_TEST_FAKE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_call {
    FAKE_RESERVE_READABLE,
    FAKE_MAP,
    FAKE_MAP_AT,
    FAKE_COMMIT,
    FAKE_RESERVE_HIDDEN,
    FAKE_HIDE,
    FAKE_PURGE,
    FAKE_UNMAP,
    FAKE_REMAP,
    FAKE_HINT,    /* cannot fail and is no part of FAKE_ANY */
    FAKE_NODES,   /* the NUMA calls (os/numa_sys.h) are no part of it either: which nodes there are, */
    FAKE_POLICY,  /* whether the user chose a policy, */
    FAKE_CURRENT, /* where the thread runs, */
    FAKE_PREFER,  /* and a mapping's wish */
    FAKE_KINDS,
    FAKE_ANY = FAKE_KINDS,
};

/* Nothing fails, counters are zero, the log is empty, 4 KiB pages, no limits. Time goes on from where it was, and
 * memory stays. */
void fake_os_reset(void);

/* Calls of a kind since the last reset, refused ones included. */
uint64_t fake_os_count(enum fake_call kind);

/* Calls whose address or length is no multiple of a page. As a kernel with such pages does, a wrong address is refused
 * and a wrong length rounded up. */
uint64_t fake_os_misaligned(void);

/* Bytes that were committed since the last reset. */
size_t fake_os_committed(void);

/* The n-th call of the kind from now on (1: the next one) is refused: that one alone, or all from there on. */
void fake_os_fail_nth(enum fake_call kind, unsigned n);
void fake_os_fail_from(enum fake_call kind, unsigned n);

/* Calls refused on request since the last reset. */
uint64_t fake_os_failures(void);

/* Nothing is refused any more. */
void fake_os_recover(void);

/* The page is locked from now on, as by mlock (NULL: none is): a purge that has it in its range is refused. */
void fake_os_lock_page(void *page);

/* Called in the middle of each purge from now on, before its pages go (NULL: nobody is). */
void fake_os_during_purge(void (*hook)(void));

/* Called at the start of each call that asks for memory, gives some back or reads the clock, from now on: where a
 * signal might come, whatever is half changed or locked then (NULL: nobody is). Not in calls that it makes itself. */
void fake_os_during_calls(void (*hook)(void));

/* Called in the start of the process (hk_os_start). */
void fake_os_during_start(void (*hook)(void));

/* The clock moves only by this; the exact one by so much with each look at it, 0 at first. */
void fake_os_travel(uint32_t ms);
void fake_os_take_us(uint64_t us);

/* What the box maps is remembered from now on, up to FAKE_MAPS ranges, and fake_os_unmap_all unmaps what is left of it:
 * for a program that begins anew without a new process. Calls come from one thread at a time then. */
#define FAKE_MAPS 16384u
void fake_os_track_maps(void);
void fake_os_unmap_all(void);

/* 4, 16 or 64 KiB. Before the first call that asks for memory. */
void fake_os_set_page_size(size_t size);

/* hk_os_address_limit and hk_os_cgroup_limit; SIZE_MAX is none. */
void fake_os_set_address_limit(size_t size);
void fake_os_set_cgroup_limit(size_t size);

/* The machine has the nodes of the mask; the calling thread runs on that one. A reset leaves the one node 0, and no
 * node is known to the box before hk_numa_start. */
void fake_os_set_nodes(uint64_t mask);
void fake_os_run_on(unsigned node);

/* The answer which nodes there are is not to be had at the start. */
void fake_os_learn_late(void);

/* The user chose where memory lies. */
void fake_os_choose_policy(void);

/* What errno is after a call. */
#define FAKE_ERRNO 7777

/* Wishes that were granted since the last reset, oldest first. */
#define FAKE_WISHES 64u

struct fake_wish {
    char *start;
    size_t size;
    unsigned node;
};

size_t fake_os_wishes(void);
struct fake_wish fake_os_wish(size_t i);

/* The system's number of the node that the address asked for with the last granted wish; -1: none. */
int fake_os_node_of(const void *ptr);

/* What was purged with success since the last reset, oldest first; the log holds FAKE_PURGES entries. */
#define FAKE_PURGES 1024u

struct fake_range {
    char *start;
    size_t size;
};

size_t fake_os_purges(void);
struct fake_range fake_os_purge(size_t i);

/* The address lies in a range of the log. */
bool fake_os_was_purged(const void *ptr);

/* The last of the latest FAKE_HINTS hints about the address since the last reset asked for huge pages there. */
#define FAKE_HINTS 1024u
bool fake_os_is_huge(const void *ptr);

/* Where hk_os_map_at was asked for memory since the last reset, granted or not, oldest first. */
#define FAKE_PLACES 1024u

size_t fake_os_places(void);
struct fake_range fake_os_place(size_t i);

#endif
