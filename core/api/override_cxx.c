/* SPDX-License-Identifier: MIT
 *
 * C++'s operators new and delete, by their mangled names (Itanium ABI, size_t = unsigned long). Left out with
 * -Doverride=false.
 *
 * A failing new calls the program's new_handler until there is none, then throws std::bad_alloc (nothrow: returns NULL). We
 * do not link libstdc++: its functions are weak references, and where libstdc++ came only with a plugin they are looked up
 * when they are needed. This object has unwind tables, so that the exception passes through it.
 */
#include "api/entry.h"
#include "base/fmt.h"

#include <dlfcn.h>
#include <stdlib.h>

HK_LINK_LIFECYCLE;

typedef void handler(void);

/* std::get_new_handler() and std::__throw_bad_alloc(); NULL where libstdc++ is not in the program. */
extern HK_WEAK handler *_ZSt15get_new_handlerv(void);
extern HK_WEAK _Noreturn void _ZSt17__throw_bad_allocv(void);

struct runtime {
    handler *(*get_new_handler)(void);
    void (*throw_bad_alloc)(void);
};

static struct runtime find_runtime(void)
{
    struct runtime r = {_ZSt15get_new_handlerv, _ZSt17__throw_bad_allocv};
    if (r.throw_bad_alloc != NULL)
        return r;
    /* Failure path only: dlopen may allocate, but a little memory is there even when a large block is not. */
    void *lib = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (lib != NULL) {
        *(void **)&r.get_new_handler = dlsym(lib, "_ZSt15get_new_handlerv");
        *(void **)&r.throw_bad_alloc = dlsym(lib, "_ZSt17__throw_bad_allocv");
    }
    return r;
}

/* Alignment 1 is "none asked for". */
static HK_SLOW_PATH void *new_slow(size_t size, size_t align, bool nothrow)
{
    for (;;) {
        void *ptr = align > 1 ? hk_entry_aligned(align, size) : hk_malloc_slow(size);
        if (ptr != NULL)
            return ptr;
        struct runtime r = find_runtime();
        handler *next = r.get_new_handler != NULL ? r.get_new_handler() : NULL;
        if (next == NULL && nothrow)
            return NULL;
        if (next == NULL && r.throw_bad_alloc != NULL)
            r.throw_bad_alloc();
        if (next == NULL) {
            struct hk_fmt f;
            hk_fmt_start(&f, 2);
            hk_fmt(&f, "hakmem: operator new: no memory for %zu bytes, and no C++ runtime to throw bad_alloc\n", size);
            hk_fmt_end(&f);
            abort();
        }
        next();
    }
}

static HK_NOINLINE void *new_missed(size_t size)
{
    void *ptr = hk_malloc_slow(size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, 1, false);
}

static HK_NOINLINE void *new_nothrow_missed(size_t size)
{
    void *ptr = hk_malloc_slow(size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, 1, true);
}

static void *new_aligned(size_t size, size_t align, bool nothrow)
{
    void *ptr = hk_entry_aligned(align, size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, align, nothrow);
}

#define NEW(name, ...) HK_EXPORT void *name(__VA_ARGS__); HK_EXPORT void *name(__VA_ARGS__)
#define DELETE(name, ...)                                                                                              \
    HK_EXPORT void name(__VA_ARGS__);                                                                                  \
    HK_EXPORT void name(__VA_ARGS__)                                                                                   \
    {                                                                                                                  \
        hk_free_fast(ptr);                                                                                             \
    }

NEW(_Znwm, size_t size)
{
    return hk_malloc_fast(size, new_missed);
}

NEW(_Znam, size_t size)
{
    return hk_malloc_fast(size, new_missed);
}

NEW(_ZnwmRKSt9nothrow_t, size_t size, const void *tag)
{
    (void)tag;
    return hk_malloc_fast(size, new_nothrow_missed);
}

NEW(_ZnamRKSt9nothrow_t, size_t size, const void *tag)
{
    (void)tag;
    return hk_malloc_fast(size, new_nothrow_missed);
}

NEW(_ZnwmSt11align_val_t, size_t size, size_t align)
{
    return new_aligned(size, align, false);
}

NEW(_ZnamSt11align_val_t, size_t size, size_t align)
{
    return new_aligned(size, align, false);
}

NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned(size, align, true);
}

NEW(_ZnamSt11align_val_tRKSt9nothrow_t, size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned(size, align, true);
}

/* The arguments behind the pointer are sizes, alignments and tags that we do not need. */
DELETE(_ZdlPv, void *ptr)
DELETE(_ZdaPv, void *ptr)
DELETE(_ZdlPvm, void *ptr, size_t size __attribute__((unused)))
DELETE(_ZdaPvm, void *ptr, size_t size __attribute__((unused)))
DELETE(_ZdlPvRKSt9nothrow_t, void *ptr, const void *tag __attribute__((unused)))
DELETE(_ZdaPvRKSt9nothrow_t, void *ptr, const void *tag __attribute__((unused)))
DELETE(_ZdlPvSt11align_val_t, void *ptr, size_t align __attribute__((unused)))
DELETE(_ZdaPvSt11align_val_t, void *ptr, size_t align __attribute__((unused)))
DELETE(_ZdlPvmSt11align_val_t, void *ptr, size_t size __attribute__((unused)), size_t align __attribute__((unused)))
DELETE(_ZdaPvmSt11align_val_t, void *ptr, size_t size __attribute__((unused)), size_t align __attribute__((unused)))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, void *ptr, size_t align __attribute__((unused)),
       const void *tag __attribute__((unused)))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, void *ptr, size_t align __attribute__((unused)),
       const void *tag __attribute__((unused)))
