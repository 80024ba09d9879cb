/* SPDX-License-Identifier: MIT
 *
 * compiler: the words that this project uses for what compilers and processors do differently.
 *
 * Nothing here is shared between threads. Knows nobody. Together with core/os/ the only place where `#if` may stand.
 */
#ifndef HK_BASE_COMPILER_H
#define HK_BASE_COMPILER_H

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HK_LIKELY(x) __builtin_expect(!!(x), 1)
#define HK_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HK_CACHE_LINE 64
#define HK_ALIGNED(n) __attribute__((aligned(n)))

/* Of thread-local data: what is dlopened late may be aligned no more than glibc aligns its own there, a cache line on
 * x86-64 and 16 bytes on aarch64. */
#if defined(__x86_64__)
#define HK_TLS_ALIGNMENT HK_CACHE_LINE
#else
#define HK_TLS_ALIGNMENT 16
#endif

/* A function that the two fast paths may tail-call: out of line and away from them, so that they need no stack frame.
 */
#define HK_SLOW_PATH __attribute__((noinline, cold))
#define HK_NOINLINE __attribute__((noinline))
/* One that hardly any process calls, where compilers put it to those that each does run once, since only such call it.
 * It lies with the rest of its file. */
#define HK_APART(name) __attribute__((noinline, section(".text." #name)))
/* What every process runs once, at its start or its end: it lies with the slow paths, whatever file it is in. */
#define HK_ONCE __attribute__((cold))
#define HK_ALWAYS_INLINE inline __attribute__((always_inline))

/* For variables that headers declare: reached directly and not through the table of global offsets. */
#define HK_HIDDEN __attribute__((visibility("hidden")))

/* Symbols that leave the library; all others are hidden by -fvisibility=hidden. */
#define HK_EXPORT __attribute__((visibility("default")))
#define HK_WEAK __attribute__((weak))
#if defined(__clang__)
#define HK_ALIAS(name) __attribute__((alias(#name)))
#else
#define HK_ALIAS(name) __attribute__((alias(#name), copy(name)))
#endif

/* An address that a program can have, without asking for more, is below 2 to that power. */
#if defined(__x86_64__)
#define HK_ADDRESS_BITS 47
#else
#define HK_ADDRESS_BITS 48
#endif

/* Does a thread's own memory begin with its own address, twice? */
#if defined(__x86_64__)
#define HK_SELF_POINTERS 1
#else
#define HK_SELF_POINTERS 0
#endif

/* From a stack to where our memory is looked for first, in bytes. The thread sanitizer has shadow for 1.5 TiB below the
 * stacks alone; elsewhere it keeps memory of its own, or would end the program. */
#if defined(__has_feature)
#define HK_HAS_FEATURE(name) __has_feature(name)
#else
#define HK_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || HK_HAS_FEATURE(thread_sanitizer)
#define HK_THREAD_SANITIZER 1 /* for tests */
#define HK_FARTHEST ((size_t)1 << 40)
#define HK_OPERAND(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#else
#define HK_THREAD_SANITIZER 0
#define HK_FARTHEST ((size_t)106 << 40)
/* A word that others change by atomic stores, read where no order is needed. gcc 12 makes no operand of an atomic load,
 * so it is a plain one, but where it would be reported. */
#define HK_OPERAND(lvalue) (lvalue)
#endif

/* Thread-local data that malloc reads: at a fixed distance from the thread pointer, so that no access calls the loader
 * (and with it malloc). */
#define HK_TLS _Thread_local __attribute__((tls_model("initial-exec")))

#define HK_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define HK_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A number that tells threads apart while both live; one instruction where the compiler can read the thread pointer. */
#if defined(__x86_64__) || defined(__aarch64__)
static inline uintptr_t hk_thread_self(void)
{
    return (uintptr_t)__builtin_thread_pointer();
}
#else
uintptr_t hk_thread_self(void);
#endif

/* Tells the processor that this is a spin loop. */
static inline void hk_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The processor's counter, which goes on at one pace, whatever the processor's own is: about cycles. For telemetry:
 * nothing is ordered by it. */
static inline uint64_t hk_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/* The thread-local object `var` as a pointer type whose dereference costs no addition of the thread pointer: on x86-64
 * gcc and clang take the address space of %fs, elsewhere it is a plain pointer. HK_TLS_SPACE qualifies the pointed-to
 * type. (Saves one instruction on each fast path; callgrind, hot pair of 64 bytes.) With -Dtls=pointer what the fast
 * paths use is not thread-local itself, and the pointed-to type is a plain one. */
#if defined(__x86_64__) && defined(__SEG_FS) && !HK_TLS_POINTER
#define HK_TLS_SPACE __seg_fs
#define HK_TLS_PTR(type, var)                                            \
    __extension__({                                                      \
        uintptr_t hk_offset_;                                            \
        __asm__("movq " #var "@gottpoff(%%rip), %0" : "=r"(hk_offset_)); \
        (type HK_TLS_SPACE *)hk_offset_;                                 \
    })
#else
#define HK_TLS_SPACE
#define HK_TLS_PTR(type, var) (&(var))
#endif

/* Moves a pointer in memory by a constant number of bytes: one instruction, where gcc 12 makes two of it. Not for
 * clang, which finds the instruction itself, and in assembly would leave the address space out of the operand. */
#if defined(__x86_64__) && defined(__SEG_FS) && !defined(__clang__)
#define HK_MOVE_PTR(lvalue, bytes) __asm__("addq %1, %0" : "+m"(lvalue) : "i"(bytes) : "cc")
/* The same for a byte that counts up. */
#define HK_COUNT_UP(lvalue) __asm__("addb $1, %0" : "+m"(lvalue) : : "cc")
/* Is the 32-bit number at least what others may change at this moment? In one instruction too. */
#define HK_REACHES(number, lvalue)                                                 \
    __extension__({                                                                \
        bool hk_reaches_;                                                          \
        __asm__("cmpl %2, %1" : "=@ccae"(hk_reaches_) : "r"(number), "m"(lvalue)); \
        hk_reaches_;                                                               \
    })
#else
#define HK_MOVE_PTR(lvalue, bytes) ((void)((lvalue) = (void *)((char *)(lvalue) + (bytes))))
#define HK_COUNT_UP(lvalue) ((void)(lvalue)++)
#define HK_REACHES(number, lvalue) ((number) >= atomic_load_explicit(&(lvalue), memory_order_relaxed))
#endif

#endif
