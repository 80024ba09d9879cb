/* SPDX-License-Identifier: MIT
 *
 * A library that has functions of the C library's names, as libfaketime, uid_wrapper and others do: each looks up a
 * symbol that is not there in its first call, for which the loader allocates, and then goes on to the next of its name.
 * Counts who calls them; see interposed.c.
 */
#include "interposer.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>

_Thread_local int interposer_in_allocation;
_Atomic unsigned interposer_calls[INTERPOSER_NAMES];
_Atomic unsigned interposer_calls_inside;
void *interposer_callers[INTERPOSER_CALLERS];
_Atomic unsigned interposer_caller_count;

/* As libselinux does. */
__attribute__((constructor)) static void first(void)
{
    free(malloc(10));
}

static void count(enum interposer_name name, void *caller)
{
    interposer_calls_inside += interposer_in_allocation != 0;
    unsigned n = interposer_caller_count++;
    if (n < INTERPOSER_CALLERS)
        interposer_callers[n] = caller;
    if (interposer_calls[name]++ == 0)
        dlsym(RTLD_NEXT, "no_such_symbol");
}

#define FORWARD(type, name, parameters, ...)                                                  \
    type name parameters;                                                                     \
    type name parameters                                                                      \
    {                                                                                         \
        static type(*next) parameters;                                                        \
        count(INTERPOSER_##name, __builtin_extract_return_addr(__builtin_return_address(0))); \
        if (next == NULL)                                                                     \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                        \
        return next(__VA_ARGS__);                                                             \
    }

FORWARD(long, syscall, (long n, long a, long b, long c, long d, long e, long f), n, a, b, c, d, e, f)
FORWARD(int, clock_gettime, (int clock, void *t), clock, t)
FORWARD(int, getrlimit, (int what, void *limit), what, limit)
FORWARD(int, getrlimit64, (int what, void *limit), what, limit)
FORWARD(int, prlimit64, (int pid, int what, void *new, void *old), pid, what, new, old)
FORWARD(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, long at), p, n, prot, flags, fd, at)
FORWARD(void *, mmap64, (void *p, size_t n, int prot, int flags, int fd, long at), p, n, prot, flags, fd, at)
FORWARD(int, munmap, (void *p, size_t n), p, n)
FORWARD(int, mprotect, (void *p, size_t n, int prot), p, n, prot)
FORWARD(void *, mremap, (void *p, size_t n, size_t m, int flags, void *to), p, n, m, flags, to)
FORWARD(int, madvise, (void *p, size_t n, int advice), p, n, advice)
FORWARD(int, mincore, (void *p, size_t n, unsigned char *v), p, n, v)
FORWARD(unsigned long, getauxval, (unsigned long type), type)
FORWARD(int, sched_getcpu, (void), )
FORWARD(int, getcpu, (unsigned *cpu, unsigned *node), cpu, node)
FORWARD(int, getpid, (void), )
FORWARD(int, open, (const char *path, int flags, int mode), path, flags, mode)
FORWARD(int, open64, (const char *path, int flags, int mode), path, flags, mode)
FORWARD(int, openat, (int fd, const char *path, int flags, int mode), fd, path, flags, mode)
FORWARD(int, fcntl64, (int fd, int what, long arg), fd, what, arg)
FORWARD(long, read, (int fd, void *p, size_t n), fd, p, n)
FORWARD(long, write, (int fd, const void *p, size_t n), fd, p, n)
FORWARD(int, close, (int fd), fd)
FORWARD(char *, getenv, (const char *name), name)
FORWARD(char *, secure_getenv, (const char *name), name)
