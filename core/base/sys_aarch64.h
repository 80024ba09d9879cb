/* SPDX-License-Identifier: MIT
 *
 * The system calls of base/sys.h on aarch64. `svc` keeps every register but x0, where the first argument was; those
 * beyond a call's arguments are not looked at, so one form serves all. Included by base/sys.h only.
 */
#ifndef HK_BASE_SYS_AARCH64_H
#define HK_BASE_SYS_AARCH64_H

static inline long hk_sys6(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

static inline long hk_sys5(long number, long a, long b, long c, long d, long e)
{
    return hk_sys6(number, a, b, c, d, e, 0);
}

static inline long hk_sys4(long number, long a, long b, long c, long d)
{
    return hk_sys6(number, a, b, c, d, 0, 0);
}

static inline long hk_sys3(long number, long a, long b, long c)
{
    return hk_sys6(number, a, b, c, 0, 0, 0);
}

static inline long hk_sys2(long number, long a, long b)
{
    return hk_sys6(number, a, b, 0, 0, 0, 0);
}

static inline long hk_sys1(long number, long a)
{
    return hk_sys6(number, a, 0, 0, 0, 0, 0);
}

static inline long hk_sys0(long number)
{
    return hk_sys6(number, 0, 0, 0, 0, 0, 0);
}

#endif
