/* SPDX-License-Identifier: MIT
 *
 * C++'s operators new and delete, by their mangled names (Itanium ABI, size_t = unsigned long). Left out with
 * -Doverride=false.
 *
 * A failing new calls the program's new_handler until there is none, then throws std::bad_alloc (nothrow: returns
 * NULL). We do not link libstdc++: its functions are weak references, and where libstdc++ came only with a plugin they
 * are looked up when they are needed. This object has unwind tables, so that the exception passes through it.
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

/* Failure paths only: dlopen may allocate, but a little memory is there even when a large block is not. NULL: not
 * found. */
static void *find_in_runtime(const char *name)
{
    void *lib = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    return lib != NULL ? dlsym(lib, name) : NULL;
}

static handler *current_handler(void)
{
    handler *(*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL) // cppcheck-suppress legacyUninitvar
        *(void **)&get = find_in_runtime("_ZSt15get_new_handlerv");
    return get != NULL ? get() : NULL;
}

static _Noreturn void throw_bad_alloc(size_t size)
{
    void (*throw)(void) = _ZSt17__throw_bad_allocv;
    if (throw == NULL)
        *(void **)&throw = find_in_runtime("_ZSt17__throw_bad_allocv");
    if (throw != NULL)
        throw();
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: operator new: no memory for %zu bytes, and no C++ runtime to throw bad_alloc\n", size);
    hk_fmt_end(&f);
    abort();
}

/* Alignment 1 is "none asked for". */
static void *try_new(size_t size, size_t align)
{
    return align > 1 ? hk_entry_aligned(align, size) : hk_malloc_slow(size);
}

static HK_SLOW_PATH void *new_slow(size_t size, size_t align)
{
    for (;;) {
        handler *next = current_handler();
        if (next == NULL)
            throw_bad_alloc(size);
        next();
        void *ptr = try_new(size, align);
        if (ptr != NULL)
            return ptr;
    }
}

/* A new_handler may throw, and the nothrow forms must catch that, which C cannot: libstdc++'s own ones do it around a
 * call of our throwing operator. */
static HK_SLOW_PATH void *new_nothrow_slow(size_t size, size_t align)
{
    static const char tag = 0; /* std::nothrow: nobody looks at it */
    if (current_handler() == NULL)
        return NULL;
    void *(*plain)(size_t, const void *);
    void *(*aligned)(size_t, size_t, const void *);
    *(void **)&plain = find_in_runtime("_ZnwmRKSt9nothrow_t");
    *(void **)&aligned = find_in_runtime("_ZnwmSt11align_val_tRKSt9nothrow_t");
    if (plain == NULL || aligned == NULL)
        return new_slow(size, align);
    return align > 1 ? aligned(size, align, &tag) : plain(size, &tag);
}

static HK_NOINLINE void *new_missed(size_t size)
{
    void *ptr = hk_malloc_slow(size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, 1);
}

static HK_NOINLINE void *new_nothrow_missed(size_t size)
{
    void *ptr = hk_malloc_slow(size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_nothrow_slow(size, 1);
}

static void *new_aligned(size_t size, size_t align)
{
    void *ptr = hk_entry_aligned(align, size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, align);
}

static void *new_aligned_nothrow(size_t size, size_t align)
{
    void *ptr = hk_entry_aligned(align, size);
    return HK_LIKELY(ptr != NULL) ? ptr : new_nothrow_slow(size, align);
}

#define NEW(name, ...)                 \
    HK_EXPORT void *name(__VA_ARGS__); \
    HK_EXPORT void *name(__VA_ARGS__)
#define DELETE(name, ...)             \
    HK_EXPORT void name(__VA_ARGS__); \
    HK_EXPORT void name(__VA_ARGS__)  \
    {                                 \
        hk_free_fast(ptr);            \
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
    return new_aligned(size, align);
}

NEW(_ZnamSt11align_val_t, size_t size, size_t align)
{
    return new_aligned(size, align);
}

NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned_nothrow(size, align);
}

NEW(_ZnamSt11align_val_tRKSt9nothrow_t, size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned_nothrow(size, align);
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
