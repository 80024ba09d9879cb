/* SPDX-License-Identifier: MIT
 *
 * C++'s operators new and delete, by their mangled names (Itanium ABI, size_t = unsigned long). Left out with
 * -Doverride=false.
 *
 * A program may replace any of them and keep the others, whose default is then to call the replaced one ([new.delete]).
 * So four are primitives: new and delete, plain and aligned. All others call the operator that the standard names, by
 * the symbol that a program may define: the sized and nothrow forms of delete, the forms for arrays. All are weak, so
 * that a program's own goes before one in the archive. The nothrow forms of new are not here: they must catch what a
 * replaced operator, or a new_handler, throws, which C cannot. The C++ runtime's own ones do that, around ours.
 *
 * A failing new calls the program's new_handler until there is none, then throws std::bad_alloc. We do not link a C++
 * runtime: what we need of it are weak references. This object has unwind tables, so that the exception passes through
 * it.
 */
#include "api/entry.h"
#include "base/fmt.h"

#include <dlfcn.h>
#include <stdlib.h>

HK_LINK_LIFECYCLE;
/* Whoever takes the operators from a static library takes malloc too: one allocator in a process. */
static void *(*const link_malloc)(size_t) __attribute__((used)) = malloc;

#define NEW(name, ...)                         \
    HK_EXPORT HK_WEAK void *name(__VA_ARGS__); \
    void *name(__VA_ARGS__)
#define DELETE(name, ...)                     \
    HK_EXPORT HK_WEAK void name(__VA_ARGS__); \
    void name(__VA_ARGS__)

typedef void handler(void);

/* The C++ runtime's; NULL where the program has none, or, in a static program, does not use this part of it. */
extern HK_WEAK handler *_ZSt15get_new_handlerv(void); /* std::get_new_handler() */
extern HK_WEAK void *__cxa_allocate_exception(size_t size);
extern HK_WEAK _Noreturn void __cxa_throw(void *object, const char *type, void (*destroy)(void *));
extern HK_WEAK const char _ZTISt9bad_alloc[], _ZTVSt9bad_alloc[]; /* type and virtual table of std::bad_alloc */
extern HK_WEAK const char _ZTISt9exception[], _ZTVSt9exception[]; /* of its base */

/* Returns where there is nothing to throw with. A static program that does not name bad_alloc has no handler for it but
 * those of its base, and nothing of bad_alloc linked: it gets the base. */
static void throw_bad_alloc(void)
{
    if (__cxa_throw == NULL || __cxa_allocate_exception == NULL)
        return;
    const char *type = _ZTISt9bad_alloc, *table = _ZTVSt9bad_alloc;
    if (type == NULL || table == NULL) {
        type = _ZTISt9exception;
        table = _ZTVSt9exception;
    }
    if (type == NULL || table == NULL)
        return;
    const char **object = __cxa_allocate_exception(sizeof(*object));
    *object = table + 2 * sizeof(void *); /* an object's pointer leads behind the offset and the type in the table */
    __cxa_throw(object, type, NULL);
}

/* Where the C++ runtime came with a plugin, our weak references do not reach it: its own operator of this name, which
 * takes from malloc, calls the handlers and throws. dlopen may allocate, but a little memory is there even when a large
 * block is not. NULL: not found. */
static void *find_in_plugins(const char *name)
{
    static const char *const runtimes[] = {"libstdc++.so.6", "libc++.so.1"};
    for (size_t i = 0; i < HK_COUNT(runtimes); i++) {
        void *lib = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
        void *found = lib != NULL ? dlsym(lib, name) : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* Alignment 1 is "none asked for". */
static void *new_of_plugins(size_t size, size_t align)
{
    void *(*plain)(size_t);
    void *(*aligned)(size_t, size_t);
    *(void **)&plain = align > 1 ? NULL : find_in_plugins("_Znwm");
    *(void **)&aligned = align > 1 ? find_in_plugins("_ZnwmSt11align_val_t") : NULL;
    if (plain != NULL)
        return plain(size);
    return aligned != NULL ? aligned(size, align) : NULL;
}

static HK_SLOW_PATH void *new_slow(size_t size, size_t align)
{
    handler *next;
    while (_ZSt15get_new_handlerv != NULL && (next = _ZSt15get_new_handlerv()) != NULL) {
        hk_no_lock_held("calls the program's new_handler");
        next();
        void *ptr = align > 1 ? hk_entry_aligned(align, size) : hk_entry_malloc_slow(size);
        if (ptr != NULL)
            return ptr;
    }
    hk_no_lock_held("throws bad_alloc");
    throw_bad_alloc();
    void *ptr = new_of_plugins(size, align);
    if (ptr != NULL)
        return ptr;
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: operator new: no memory for %zu bytes, and no C++ runtime to throw bad_alloc\n", size);
    hk_fmt_end(&f);
    abort();
}

/* With -Dtail the block says where it is from: a sized delete of ours is to believe it then. */
static inline void *note_new(void *ptr)
{
    return HK_TAIL ? hk_hard_is_of_new(ptr) : ptr;
}

static HK_NOINLINE void *new_missed(size_t size)
{
    void *ptr = hk_entry_malloc_slow(size);
    return note_new(HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, 1));
}

/* The primitives. Either delete takes a block of either new. */

NEW(_Znwm, size_t size)
{
    return HK_TAIL ? hk_hard_malloc(size, new_missed, HK_END_OF_NEW) : hk_malloc_fast(size, new_missed);
}

NEW(_ZnwmSt11align_val_t, size_t size, size_t align)
{
    void *ptr = hk_entry_aligned(align, size);
    return note_new(HK_LIKELY(ptr != NULL) ? ptr : new_slow(size, align));
}

DELETE(_ZdlPv, void *ptr)
{
    hk_entry_free(ptr);
}

DELETE(_ZdlPvSt11align_val_t, void *ptr, size_t align)
{
    hk_entry_free(ptr);
}

/* The others: one jump through the table of global offsets, or, linked statically, to the address. With -Dtail a sized
 * delete goes there only where the program has an operator of its own, which may ask for more than it was asked for.
 * (Where it has one of the nothrow forms alone, its blocks are not of ours.) */

#define OURS(name) our##name
#define KEEP_OURS(name) extern HK_HIDDEN __typeof__(name) OURS(name) HK_ALIAS(name)
#define IS_OURS(name) (name == OURS(name))

NEW(_Znam, size_t size)
{
    return _Znwm(size);
}

NEW(_ZnamSt11align_val_t, size_t size, size_t align)
{
    return _ZnwmSt11align_val_t(size, align);
}

KEEP_OURS(_Znwm);
KEEP_OURS(_ZdlPv);

DELETE(_ZdlPvm, void *ptr, size_t size)
{
    if (HK_TAIL && IS_OURS(_Znwm) && IS_OURS(_ZdlPv))
        hk_hard_free(ptr, size, HK_HARD_DELETE);
    else
        _ZdlPv(ptr);
}

DELETE(_ZdlPvRKSt9nothrow_t, void *ptr, const void *tag)
{
    _ZdlPv(ptr);
}

DELETE(_ZdaPv, void *ptr)
{
    _ZdlPv(ptr);
}

KEEP_OURS(_Znam);
KEEP_OURS(_ZdaPv);

DELETE(_ZdaPvm, void *ptr, size_t size)
{
    if (HK_TAIL && IS_OURS(_Znwm) && IS_OURS(_Znam) && IS_OURS(_ZdlPv) && IS_OURS(_ZdaPv))
        hk_hard_free(ptr, size, HK_HARD_DELETE);
    else
        _ZdaPv(ptr);
}

DELETE(_ZdaPvRKSt9nothrow_t, void *ptr, const void *tag)
{
    _ZdaPv(ptr);
}

KEEP_OURS(_ZnwmSt11align_val_t);
KEEP_OURS(_ZdlPvSt11align_val_t);

DELETE(_ZdlPvmSt11align_val_t, void *ptr, size_t size, size_t align)
{
    if (HK_TAIL && IS_OURS(_ZnwmSt11align_val_t) && IS_OURS(_ZdlPvSt11align_val_t))
        hk_hard_free(ptr, size, HK_HARD_DELETE);
    else
        _ZdlPvSt11align_val_t(ptr, align);
}

DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, void *ptr, size_t align, const void *tag)
{
    _ZdlPvSt11align_val_t(ptr, align);
}

DELETE(_ZdaPvSt11align_val_t, void *ptr, size_t align)
{
    _ZdlPvSt11align_val_t(ptr, align);
}

KEEP_OURS(_ZnamSt11align_val_t);
KEEP_OURS(_ZdaPvSt11align_val_t);

DELETE(_ZdaPvmSt11align_val_t, void *ptr, size_t size, size_t align)
{
    if (HK_TAIL && IS_OURS(_ZnwmSt11align_val_t) && IS_OURS(_ZnamSt11align_val_t) && IS_OURS(_ZdlPvSt11align_val_t) &&
        IS_OURS(_ZdaPvSt11align_val_t))
        hk_hard_free(ptr, size, HK_HARD_DELETE);
    else
        _ZdaPvSt11align_val_t(ptr, align);
}

DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, void *ptr, size_t align, const void *tag)
{
    _ZdaPvSt11align_val_t(ptr, align);
}
