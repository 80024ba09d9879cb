/* SPDX-License-Identifier: MIT
 *
 * unwind: who is asking: the thread's name, and who called this, and who that: the return addresses on the stack of the
 * calling thread, by the call frame information of its code, or where code has none (compiled at run time) by frame
 * pointers.
 *
 * Any thread, inside malloc too: it allocates nothing, takes no lock, calls nobody but the loader's _dl_find_object,
 * which does neither. Memory beyond the page of the stack pointer is read only after the kernel said that it can be, of
 * a thread's own stack once; a stack that cannot be followed is cut there. Knows base and os only; must not know what
 * the addresses are for.
 */
#ifndef HK_OS_UNWIND_H
#define HK_OS_UNWIND_H

#include "base/compiler.h"

/* Before the first hk_unwind, by one thread at a time; again does no harm, and false is no more than slow: no memory
 * for what was found out. On C libraries that never unmap a library it notes what is loaded now. */
bool hk_unwind_start(void);

#define HK_THREAD_NAME 16u

/* What a thread has found out of itself; its own, zero at first. A later thread may take it over with `names` zero. A
 * handler may come in between. */
struct hk_self {
    uintptr_t from, to; /* of its stack: this much can be read, as long as it runs there */
    uint32_t names;     /* how often its name was wanted */
    char name[HK_THREAD_NAME];
};

/* Up to `most` return addresses, innermost first. The first is `first`, a return address of one of the callers, where
 * that is found among the innermost, else that of the caller; or, in libhakmem.so, the first that leads out of it. 0:
 * the stack cannot be followed. `self` spares the kernel questions; NULL: it is asked. */
unsigned hk_unwind(uintptr_t *pc, unsigned most, const void *first, struct hk_self *self);

/* Can the word at an address, a multiple of eight, be read? The kernel is asked; it holds for the page, and while
 * nobody changes the mapping. */
bool hk_unwind_can_read(uintptr_t address);

/* The calling thread's name, 15 letters at most, rest zeros; empty where the system does not tell. */
void hk_unwind_thread(char name[HK_THREAD_NAME]);

/* The same, but the kernel is asked the first 16 times and then each 16th: a new name is seen that much later. */
void hk_unwind_self(struct hk_self *self, char name[HK_THREAD_NAME]);

/* The kernel's number of the calling thread. */
unsigned hk_unwind_thread_number(void);

/* Where the function begins that an address lies in, by its call frame information; 0: it has none. */
uintptr_t hk_unwind_function(uintptr_t pc);

/* All that is mapped of libhakmem.so; false: hakmem is a part of the program, or it cannot be told. */
bool hk_unwind_own(uintptr_t *from, uintptr_t *to);

/* The code that an address lies in, [*from, *to), as the loader mapped its object; false: none that it knows. */
bool hk_unwind_object(uintptr_t pc, uintptr_t *from, uintptr_t *to);

#endif
