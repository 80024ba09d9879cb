/* SPDX-License-Identifier: MIT
 *
 * assert: three kinds of wrong. HK_ASSERT is an error of ours, compiled in with -Dcheck=fast or full. HK_EXPENSIVE
 * walks structures, with full only. hk_misuse is the program's error and always there.
 *
 * Any thread, any time; prints without an allocation. A handler of SIGABRT may allocate, so whoever calls hk_misuse
 * holds no lock and has left everything whole. Knows options and fmt.
 */
#ifndef HK_BASE_ASSERT_H
#define HK_BASE_ASSERT_H

#include "base/compiler.h"
#include "config.h"

_Noreturn HK_SLOW_PATH void hk_assert_failed(const char *what, const char *file, int line);

#define HK_ASSERT(x) ((void)(!HK_CHECK_FAST || HK_LIKELY(x) || (hk_assert_failed(#x, __FILE__, __LINE__), 0)))
#define HK_EXPENSIVE(x) ((void)(!HK_CHECK_FULL || HK_LIKELY(x) || (hk_assert_failed(#x, __FILE__, __LINE__), 0)))

enum hk_misuse {
    HK_MISUSE_DOUBLE_FREE, /* the block is free already */
    HK_MISUSE_INVALID,     /* no block of ours */
    HK_MISUSE_INTERIOR,    /* points into the block at `block` */
    HK_MISUSE_HEAP,        /* no heap of one's own */
    HK_MISUSE_ELSEWHERE,   /* no block of the heap that it was given to */
    HK_MISUSE_CORRUPT,     /* a free block's link was overwritten; `ptr` is the slab */
    HK_MISUSE_BESIDE,      /* the byte at `ptr` was written to, which lies beside the block at `block` */
    HK_MISUSE_PAST_END,    /* the end behind the block was overwritten */
    HK_MISUSE_BEFORE,      /* the end in front of it was */
    HK_MISUSE_WRITTEN,     /* the block was written into while it was free */
};

/* Prints the one line and aborts; with HAKMEM_MISUSE=warn it returns and the caller ignores the call. `verb` is the
 * entry that was called ("free"), `size` the block's bytes where they are known. */
HK_APART(hk_misuse)
void hk_misuse(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size);

/* Its two halves, for who knows more to say. False: nothing was to be said. */
HK_APART(hk_misuse)
bool hk_misuse_say(enum hk_misuse kind, const char *verb, const void *ptr, const void *block, size_t size);
HK_APART(hk_misuse)
void hk_misuse_end(enum hk_misuse kind);

/* As hk_misuse, of a free, or a delete, that says `given` bytes where the block has `size`. */
HK_APART(hk_misuse_size) void hk_misuse_size(const void *ptr, size_t size, size_t given);

/* In the child of a fork of several threads: from now on a second free is ignored without a message. glibc's
 * pthread_create takes the stack of an ended thread out of its cache, frees that thread's blocks of thread-local
 * storage without a lock, and forgets them afterwards. Where another thread forks in between, the child has the stack
 * in its cache with blocks that are free already, and its next pthread_create frees them again
 * (tests/life/fork_half_freed.c). They may lie in the front that was left behind, in a slab or in a free run, and a
 * front of the child may have got them from there, so nothing tells them from what the child itself freed twice. */
extern HK_HIDDEN bool hk_misuse_left_behind;

/* ---- corrupted lists, and blocks that were freed and had never been handed out ----
 *
 * They are found under a lock, or in the middle of a change. Whoever finds one takes it out of use, so that nobody
 * meets the wrong link again, remembers that here, and goes on as if the list had ended there. The same call reports it
 * when it is about to return to the program. */

/* What this thread found and has not reported yet. */
struct hk_corrupt {
    const void *slab; /* or the block */
    size_t size;      /* of the slab's blocks; 0: nothing; HK_WILD: a block that had never been handed out; with
                         HK_WRITTEN: of the block, which somebody wrote to while it was free */
};
#define HK_WILD 1u
#define HK_WRITTEN 2u

extern HK_HIDDEN HK_TLS struct hk_corrupt hk_corrupt_found;

/* The first one is remembered: there will be no second report. */
HK_SLOW_PATH void hk_corrupt_note(const void *slab, size_t size);

/* Who freed that is not known any more. The block is not to be handed out. */
HK_SLOW_PATH void hk_wild_note(const void *block);

/* With -Dfill: somebody wrote to it after it was freed, and what he wrote is lost now. */
HK_SLOW_PATH void hk_written_note(const void *block, size_t size);

/* The message. For a corrupted list the end of the process, whatever HAKMEM_MISUSE says. */
HK_SLOW_PATH void hk_corrupt_tell(void);

/* Ends every call that may have found a corrupted list. No lock is held. */
static inline void hk_corrupt_report(void)
{
    if (HK_UNLIKELY(hk_corrupt_found.size != 0))
        hk_corrupt_tell();
}

#endif
