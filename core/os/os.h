/* SPDX-License-Identifier: MIT
 *
 * os: memory, time and limits of the operating system, in the words that the rest uses: reserve, commit, purge, unmap.
 *
 * Any thread, any time, from the loader's first call on: raw system calls only (base/sys.h), so nothing that another
 * library may interpose is called, and errno stays; no descriptor is kept. Every call may fail and says so; nothing is
 * retried here. Unit tests put another implementation in its place (tests/support/fake_os.c), which does change errno:
 * whoever must keep it saves it. docs/process.md has what is called when. Knows base, auxv, vdso and file.
 */
#ifndef HK_OS_OS_H
#define HK_OS_OS_H

#include "base/bits.h"
#include "base/seen.h"

/* Asks all that is asked once: after it, page size and clock make no system call (the clock where the kernel has no
 * vDSO). By the first allocation and before main; again does no harm. */
void hk_os_start(void);

/* The kernel's page size in bytes: 4, 16 or 64 KiB. */
size_t hk_os_page_size(void);

/* The same found by asking, for where what the kernel left on the stack is not found, and tests: three system calls at
 * most.
 */
size_t hk_os_ask_page_size(void);

/* Address space that may be read (as zeros), not written yet, and counts against no commit limit; NULL when refused. */
void *hk_os_reserve_readable(size_t size);

/* The same that may not be read either. */
void *hk_os_reserve_hidden(size_t size);

/* Memory to read and write, zero, in one mapping of its own; NULL when refused. */
void *hk_os_map(size_t size);

/* The same at a multiple of `align`, a power of two. */
void *hk_os_map_aligned(size_t size, size_t align);

/* The same at that address and nowhere else, page-aligned. False: *taken tells whether something is mapped there
 * already; else it was refused for another reason. */
bool hk_os_map_at(void *ptr, size_t size, bool *taken);

/* From now on the address is not a hint for the system, but a condition. False: nothing is changed, as it was one
 * before, or no call has come to another place. */
bool hk_os_insist(void);

/* Makes a part of a reservation readable and writable. Page-aligned. */
bool hk_os_commit(void *ptr, size_t size);

/* The other way round: whoever touches it ends by SIGSEGV. Its pages stay until they are purged. */
bool hk_os_hide(void *ptr, size_t size);

/* Gives the pages back; they read as zero from then on. False (mlock, seccomp, a system that only says that it does):
 * nothing may be assumed of the contents. The first call tries it on a page of its own. */
bool hk_os_purge(void *ptr, size_t size);

/* False when refused (too many mappings): the range is then still there. */
bool hk_os_unmap(void *ptr, size_t size);

/* Moves or resizes a mapping of hk_os_map, keeping its contents and not copying; NULL when refused, and nothing
 * changed. */
void *hk_os_remap(void *ptr, size_t old_size, size_t new_size);

/* Hints that may be ignored: huge pages here, or none. Page-aligned. */
void hk_os_hint_huge(void *ptr, size_t size);
void hk_os_hint_no_huge(void *ptr, size_t size);

/* Bytes of the range that are resident now. For reports alone: mincore is a call that sandboxes end a process for. */
size_t hk_os_resident(void *ptr, size_t size);

/* Milliseconds of a clock that only goes forward; coarse (about 4 ms) and cheap (5 ns). Wraps after 49 days: compare by
 * difference. */
uint32_t hk_os_now_ms(void);

/* Microseconds of the same clock, exact: for what may take long. 0: there is none. */
uint64_t hk_os_now_us(void);

/* Seconds since 1970, 0 when refused. */
uint64_t hk_os_date(void);

/* RLIMIT_AS in bytes as it was when first asked for, SIZE_MAX when there is none. */
size_t hk_os_address_limit(void);

/* The memory limit of this process's cgroup in bytes, SIZE_MAX when there is none. Reads /sys; opens and closes files.
 */
size_t hk_os_cgroup_limit(void);

/* This program got rights by its start that its caller has not (set-uid, capabilities). */
bool hk_os_is_secure(void);

int hk_os_pid(void);

/* System calls made so far to manage memory; and one more, made by a neighbour in this folder. */
uint64_t hk_os_calls(void);
void hk_os_count_call(void);

/* Address space that is held, in bytes. */
size_t hk_os_held(void);

/* The most address space that was held at once, in bytes; what was mapped for a moment, and what the system refused to
 * unmap, included. */
size_t hk_os_held_most(void);

/* System calls made, address space held, and the most of that. */
extern HK_HIDDEN hk_seen hk_os_seen[3];

#endif
