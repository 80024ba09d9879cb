/* SPDX-License-Identifier: MIT
 *
 * hakmem: a general-purpose memory allocator. The whole public interface.
 *
 * Every function may be called by any thread at any time after the process has started, and by the child of a fork;
 * none may be called from a signal handler, but in a library that was built with -Dsignals=enabled those that give
 * memory, take it back or resize it. All sizes are bytes, all times are milliseconds.
 *
 * The hak_ entries do exactly what the C library's entries of the same name do (libhakmem replaces those too, unless it
 * was built with -Doverride=false): a block from either may be given to either.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#define HAKMEM_VERSION_MAJOR 0
#define HAKMEM_VERSION_MINOR 1
#define HAKMEM_VERSION_PATCH 0

#if defined(__GNUC__)
#define HAK_API __attribute__((visibility("default")))
#define HAK_MALLOC __attribute__((malloc, warn_unused_result))
#define HAK_SIZE(...) __attribute__((alloc_size(__VA_ARGS__)))
#else
#define HAK_API
#define HAK_MALLOC
#define HAK_SIZE(...)
#endif

#ifdef __cplusplus
#define HAK_NOEXCEPT noexcept
extern "C" {
#else
#define HAK_NOEXCEPT
#endif

/* ---- Allocation. Every block is aligned to 16 bytes. ---- */

/* A block of at least `size` bytes; size 0 gives a unique block. NULL and ENOMEM when there is no memory or size is
 * above PTRDIFF_MAX. */
HAK_API HAK_MALLOC HAK_SIZE(1) void *hak_malloc(size_t size) HAK_NOEXCEPT;

/* A block of count * size bytes, all zero. NULL and ENOMEM when the product overflows or there is no memory. */
HAK_API HAK_MALLOC HAK_SIZE(1, 2) void *hak_calloc(size_t count, size_t size) HAK_NOEXCEPT;

/* Grows or shrinks a block, in place where that is possible. hak_realloc(NULL, n) is hak_malloc(n); hak_realloc(p, 0)
 * frees p and returns NULL. On failure: NULL and ENOMEM, and p is as it was. */
HAK_API HAK_SIZE(2) void *hak_realloc(void *ptr, size_t size) HAK_NOEXCEPT;

/* hak_realloc of count * size bytes; NULL and ENOMEM when the product overflows, and ptr is as it was. */
HAK_API HAK_SIZE(2, 3) void *hak_reallocarray(void *ptr, size_t count, size_t size) HAK_NOEXCEPT;

/* Gives a block back. NULL is allowed; errno is kept. A pointer that is no live block of this allocator, or a block
 * that is free already, ends the process with one line on stderr (see HAKMEM_MISUSE). */
HAK_API void hak_free(void *ptr) HAK_NOEXCEPT;

/* hak_free for a caller who knows the size that was asked for. (C23's free_sized.) */
HAK_API void hak_free_sized(void *ptr, size_t size) HAK_NOEXCEPT;

/* hak_free for a block of hak_aligned_alloc. (C23's free_aligned_sized.) */
HAK_API void hak_free_aligned_sized(void *ptr, size_t alignment, size_t size) HAK_NOEXCEPT;

/* A block aligned to `alignment`. NULL and EINVAL when that is not a power of two; `size` may be anything. */
HAK_API HAK_MALLOC HAK_SIZE(2) void *hak_aligned_alloc(size_t alignment, size_t size) HAK_NOEXCEPT;

/* Returns 0 and sets *memptr, or returns EINVAL (alignment not a power of two multiple of sizeof(void *)) or ENOMEM and
 * leaves *memptr and errno alone. */
HAK_API int hak_posix_memalign(void **memptr, size_t alignment, size_t size) HAK_NOEXCEPT;

/* As hak_aligned_alloc, but an alignment that is not a power of two is rounded up to one. */
HAK_API HAK_MALLOC HAK_SIZE(2) void *hak_memalign(size_t alignment, size_t size) HAK_NOEXCEPT;

/* A block aligned to the page size; hak_pvalloc also rounds the size up to whole pages. */
HAK_API HAK_MALLOC HAK_SIZE(1) void *hak_valloc(size_t size) HAK_NOEXCEPT;
HAK_API HAK_MALLOC void *hak_pvalloc(size_t size) HAK_NOEXCEPT;

/* ---- Heaps of one's own; docs/heaps.md ----
 *
 * A heap is made, gives blocks to any number of threads, and is destroyed with all that it holds at once. Its blocks
 * are blocks as all others: hak_free and free, hak_realloc and realloc, and hak_malloc_usable_size take them, in any
 * thread; a block that is resized stays in its heap. These functions wait while another thread forks: none may be
 * called while a lock is held that a handler of fork takes. */
typedef struct hak_heap hak_heap;

/* A heap that never holds more than `limit` bytes of memory, its own record and what is free in it included; 0: no
 * limit. NULL and ENOMEM when there is no memory, or limit is below 4096. */
HAK_API hak_heap *hak_heap_new(size_t limit) HAK_NOEXCEPT;

/* Ends a heap and gives all its memory back: no block of it may be used, or freed, from then on, and no other call for
 * the heap be under way. 0; NULL is allowed. -1 and EAGAIN from a signal handler that interrupted this allocator, or
 * within fork; nothing has happened then. What is no heap, or not any more, ends the process with one line on stderr
 * (with HAKMEM_MISUSE=warn: -1 and EINVAL). */
HAK_API int hak_heap_destroy(hak_heap *heap) HAK_NOEXCEPT;

/* As hak_malloc, hak_calloc and hak_aligned_alloc, of this heap. NULL and ENOMEM where its limit does not allow it,
 * too, and where hak_heap_destroy says EAGAIN; NULL and EINVAL for a heap that is NULL. */
HAK_API HAK_MALLOC HAK_SIZE(2) void *hak_heap_malloc(hak_heap *heap, size_t size) HAK_NOEXCEPT;
HAK_API HAK_MALLOC HAK_SIZE(2, 3) void *hak_heap_calloc(hak_heap *heap, size_t count, size_t size) HAK_NOEXCEPT;
HAK_API HAK_MALLOC HAK_SIZE(3) void *hak_heap_aligned_alloc(hak_heap *heap, size_t alignment, size_t size) HAK_NOEXCEPT;

/* As hak_realloc. ptr is NULL or a block of this heap: another one is a misuse, as for hak_free. */
HAK_API HAK_SIZE(3) void *hak_heap_realloc(hak_heap *heap, void *ptr, size_t size) HAK_NOEXCEPT;

/* As hak_free, for a block of this heap alone: another one is a misuse. Faster than hak_free for such a block. */
HAK_API void hak_heap_free(hak_heap *heap, void *ptr) HAK_NOEXCEPT;

/* Bytes that may be used at ptr; 0 where that is no block of this heap: so it also tells whether it is one. */
HAK_API size_t hak_heap_usable_size(const hak_heap *heap, const void *ptr) HAK_NOEXCEPT;

/* What a heap has. Callers set `size` to sizeof(struct hak_heap_stats); fields are only ever added at the end. */
struct hak_heap_stats {
    size_t size;             /* set by the caller: how much of this structure it knows */
    size_t live_blocks;      /* in the program's hands */
    size_t live_bytes;       /* what they may hold */
    size_t held_bytes;       /* memory that the heap has: never above the limit */
    size_t peak_held_bytes;  /* the most that it had so far */
    size_t limit;            /* 0: none */
    uint64_t limit_refusals; /* calls that failed because of the limit */
};

/* Fills *stats; 0, or -1 and EINVAL when an argument is NULL or its size field is smaller than the first version of the
 * structure, EAGAIN as hak_heap_destroy. */
HAK_API int hak_heap_stats(hak_heap *heap, struct hak_heap_stats *stats) HAK_NOEXCEPT;

/* ---- Questions about blocks ---- */

/* Bytes that may be used at ptr: at least the size asked for, constant while the block lives. 0 for NULL. */
HAK_API size_t hak_malloc_usable_size(const void *ptr) HAK_NOEXCEPT;

/* The usable size that hak_malloc(size) would give: asking for that much costs nothing more. From 32 KiB on it is
 * another one once the process has threads: what a block holds, hak_malloc_usable_size says. 0 when size is above
 * PTRDIFF_MAX. */
HAK_API size_t hak_good_size(size_t size) HAK_NOEXCEPT;

/* ---- Memory and statistics ---- */

/* Gives back to the system all memory that nothing lives in, keeping about `pad` bytes. 1 when any went back, else 0.
 * Takes about 0.1 ms per MiB given back. */
HAK_API int hak_trim(size_t pad) HAK_NOEXCEPT;

/* What a page belongs to when it is handed out: blocks of a class group, of Mid and wide classes, page runs up to
 * 1 MiB, or anything longer. Of SSM are the pages of all slabs that were taken for blocks, in 64 KiB each, whether a
 * block on them was handed out yet or not. */
enum {
    HAK_PAGES_C0, /* 1-64 bytes; C1 to 128, C2 to 192, C3 to 256, C4 to 384, C5 to 512, C6 to 768, C7 to 1024 */
    HAK_PAGES_C7 = 7,
    HAK_PAGES_MID,
    HAK_PAGES_L25,
    HAK_PAGES_HUGE,
    HAK_PAGES_SSM,
    HAK_PAGE_BUCKETS
};

/* Where the memory is. The parts from live_resident_bytes to metadata_bytes are disjoint and add up to resident_bytes
 * while the program is quiet. Callers set `size` to sizeof(struct hak_stats); fields are only ever added at the end.
 * docs/statistics.md has a sentence for each, and says who counts it. In C++, where the function has the same name:
 *
 *     struct hak_stats s{};
 *     s.size = sizeof s;
 *     if (hak_stats(&s) == 0) ...
 */
struct hak_stats {
    size_t size;                /* set by the caller: how much of this structure it knows */
    uint32_t version;           /* 1 */
    uint32_t threads;           /* threads that have a heap now */
    size_t live_bytes;          /* blocks in the program's hands, in block sizes, touched or not; exact when quiet */
    size_t live_blocks;         /* their number; exact when quiet */
    size_t live_resident_bytes; /* what of live_bytes is resident */
    size_t front_bytes;         /* free blocks cached in front caches or on their way to their owner */
    size_t slab_free_bytes;     /* resident and free in slabs in which other blocks live */
    size_t empty_bytes;         /* resident in EMPTY slabs, ready for any class */
    size_t run_free_bytes;      /* resident in free page runs */
    size_t metadata_bytes;      /* resident records of the allocator */
    size_t resident_bytes;      /* resident pages of all our mappings (mincore) */
    size_t mapped_bytes;        /* address space held, most of it untouched */
    size_t peak_mapped_bytes;   /* the most that it was so far, what was held for a moment included */
    uint64_t acquired_partial;  /* slabs taken from the shared pool, by the stage that served them */
    uint64_t acquired_empty;
    uint64_t acquired_unused;
    uint64_t acquired_new;
    uint64_t refills;       /* batches moved from slabs to fronts */
    uint64_t flushes;       /* batches moved from fronts to slabs */
    uint64_t remote_chains; /* chains of blocks pushed to slabs of other threads */
    uint64_t purged_bytes;  /* given back to the system since the start */
    uint64_t os_calls;      /* system calls made to manage memory */
    size_t huge_bytes;      /* part of live_bytes that has a mapping of its own */
    size_t run_bytes;       /* part of live_bytes that lies in page runs */
    uint64_t refilled;      /* blocks in the refills */
    uint64_t flushed;       /* blocks in the flushes */
    size_t hot_slabs;       /* owned slabs of which more than three quarters are used */
    size_t cold_slabs;      /* the other owned slabs */
    /* From here on zero, unless the library was built with -Dtelemetry=enabled. */
    uint64_t malloc_hits; /* blocks of classes that the front cache had, and had not */
    uint64_t malloc_misses;
    uint64_t free_hits; /* blocks that the front cache had room for, and had not */
    uint64_t free_misses;
    uint64_t first_pages[HAK_PAGE_BUCKETS]; /* pages of 4 KiB that were handed out for the first time since they came
                                             * from the system, so that the first touch faults; by HAK_PAGES_ index */
    /* Always counted again. */
    uint64_t transfers;     /* batches of other threads' blocks that went from front to front */
    size_t peak_live_bytes; /* the most that live_bytes was so far: at least what any of these calls has seen, and of
                             * page runs and mappings right to 2 MiB; blocks of classes count as the slabs of 64 KiB
                             * that they were in, with what was free there and in front caches. More of it is in
                             * docs/statistics.md */
    size_t guarded_blocks;  /* of live_blocks those between pages that nobody may touch (hak_guard_start) */
    uint64_t guarded_taken; /* such blocks that were handed out so far */
};

/* Of one size class. Fields are only ever added at the end. */
struct hak_class_stats {
    size_t block_bytes;        /* of one block */
    size_t slabs;              /* owned, hot and cold; a span of neighbouring slabs counts once */
    size_t hot_slabs;          /* of which more than three quarters are used */
    size_t live_blocks;        /* in the program's hands */
    size_t cached_blocks;      /* in front caches or on their way to their owner */
    size_t free_blocks;        /* free in their slabs, and handed out before */
    size_t resident_bytes;     /* of the slabs */
    uint64_t acquired_partial; /* slabs taken from the shared pool, by the stage that served them */
    uint64_t acquired_empty;
    uint64_t acquired_unused;
    uint64_t acquired_new;
    uint64_t refills; /* batches between front caches and slabs, and the blocks in them */
    uint64_t flushes;
    uint64_t refilled;
    uint64_t flushed;
    uint64_t malloc_hits; /* these four as in struct hak_stats */
    uint64_t malloc_misses;
    uint64_t free_hits;
    uint64_t free_misses;
    size_t chained_blocks; /* of the cached ones those in chains, on the way to their slabs */
};

/* Fills *stats; 0, or -1 when stats is NULL or its size field is smaller than version 1 of the structure. Walks all
 * memory that is ours, under the heaps', the pool's and the arenas' locks in turn: milliseconds in a large program.
 * This and the next three functions do nothing in a library built with -Dstats=disabled: -1 and ENOTSUP. */
HAK_API int hak_stats(struct hak_stats *stats) HAK_NOEXCEPT;

/* Fills the first `count` elements of `classes`, smallest blocks first; each has `size` bytes, which callers set to
 * sizeof(struct hak_class_stats). Returns how many classes there are; -1 when size is smaller than the first version of
 * the structure, or classes is NULL and count is not 0. Takes as long as hak_stats, but not for a count of 0. */
HAK_API int hak_stats_classes(struct hak_class_stats *classes, size_t size, size_t count) HAK_NOEXCEPT;

/* Writes the page of HAKMEM_STATS=1, or the same as JSON, to a file descriptor. Allocates nothing. 0, or -1 when a
 * write failed. */
HAK_API int hak_stats_print(int fd) HAK_NOEXCEPT;
HAK_API int hak_stats_json(int fd) HAK_NOEXCEPT;

/* Writes the page of HAKMEM_HEAP_PICTURE, a picture of the heap as HTML, to a file descriptor: a row for each
 * SuperSlab, a cell for each slab. Allocates nothing; other threads go on meanwhile, so what is shown of a busy program
 * belongs to slightly different moments. About 5 KB for each SuperSlab, at most about 15 MB. 0, or -1 when a write
 * failed. */
HAK_API int hak_heap_picture(int fd) HAK_NOEXCEPT;

/* ---- Who has the memory: a heap profile; docs/profile.md ---- */

/* Begins a profile and forgets what one before has recorded: from now on one block is sampled, on average, in each
 * `interval` bytes that a thread is given; 0 is 512 KiB, 1 every block. Malloc takes some 40 instructions more
 * meanwhile, free none; a sampled block some microseconds and, up to 32 KiB, about twice its memory. 0; -1 and EINVAL
 * for an interval above 1 TiB, ENOMEM, or EPERM in a handler that interrupted malloc. Of this call and the next two one
 * is made at a time, others wait; not in a handler that interrupts one. */
HAK_API int hak_profile_start(size_t interval) HAK_NOEXCEPT;

/* Writes what is recorded by now to a file: by the end of its name the page (.html), pprof's format (.pb.gz) or
 * collapsed stacks (.folded, .txt). In the name %p is the process id and %n counts the files. The profile goes on.
 * Reads /proc/self/maps and the symbols of the files that are mapped there; allocates nothing. 0; -1 and EINVAL for
 * another name, one of more than 255 bytes, or when no profile was ever begun, ENOMEM, EPERM in a handler that
 * interrupted malloc, or why the file cannot be written. */
HAK_API int hak_profile_write(const char *path) HAK_NOEXCEPT;

/* Samples no more. Blocks that were sampled are followed until they are freed, and what is recorded can be written. In
 * a handler that interrupted malloc nothing happens. */
HAK_API void hak_profile_stop(void) HAK_NOEXCEPT;

/* Looks for blocks that nothing points to any more (docs/leaks.md), and writes which stacks asked for them to a file,
 * in whose name %p is the process id and %n counts the files; NULL: to stderr. While a profile of interval 1 is made
 * all are told, else those that were sampled, and without a profile they are only counted. All other threads stand
 * still meanwhile: some ms, half a second for each GiB. One thread at a time, others wait; not in a handler that
 * interrupts this. Returns how many blocks were found; -1 and EINVAL for a name that is empty or has more than 255
 * bytes, ENOMEM, EPERM where the system does not let threads be stopped or this is a handler that interrupted malloc,
 * or why the file cannot be written. */
HAK_API int64_t hak_leaks(const char *path) HAK_NOEXCEPT;

/* ---- Wrong uses of blocks, found while the program runs; docs/guarded.md ---- */

/* From now on a block is taken now and then that lies between pages which nobody may touch: a write or read beside it,
 * or after its free, is told on stderr, with where it was asked for and freed, and ends the program as SIGSEGV does.
 * HAKMEM_GUARD_COST bounds what that takes. Starts a thread, unless HAKMEM_GUARD=no-thread, and takes SIGSEGV, which
 * goes on to who had it. Again does no harm; not in a handler. 0; -1 and ENOMEM. */
HAK_API int hak_guard_start(void) HAK_NOEXCEPT;

/* No more blocks are taken. Those that live stay guarded, and so do those that were freed. */
HAK_API void hak_guard_stop(void) HAK_NOEXCEPT;

/* ---- Options that are numbers: the names of docs/options.md without HAKMEM_, in capitals ---- */

/* The value now, or -1 and EINVAL for an unknown name. */
HAK_API int64_t hak_option_get(const char *name) HAK_NOEXCEPT;

/* 0; or -1 and EINVAL for an unknown name, ENOTSUP for an option whose box this library was built without, ERANGE for a
 * value out of bounds (the old one is kept). */
HAK_API int hak_option_set(const char *name, int64_t value) HAK_NOEXCEPT;

/* "0.1.0" */
HAK_API const char *hak_version(void) HAK_NOEXCEPT;

#ifdef __cplusplus
}
#endif

/* ---- C23 names that glibc 2.36 does not have; exported unless built with -Doverride=false ---- */
#ifdef __cplusplus
extern "C" {
#endif
HAK_API void free_sized(void *ptr, size_t size) HAK_NOEXCEPT;
HAK_API void free_aligned_sized(void *ptr, size_t alignment, size_t size) HAK_NOEXCEPT;
#ifdef __cplusplus
}
#endif

#endif
