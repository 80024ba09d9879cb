/* SPDX-License-Identifier: MIT
 *
 * Which object an address belongs to. glibc tells, from 2.35 on, without a lock and in a signal handler too. musl does
 * not, but never unmaps a library either: there it is enough to note what is loaded when a profile begins. With an
 * older glibc there is nothing: frame pointers then.
 */
#include "os/unwind.h"

#include "base/atomic.h"
#include "os/unwind_cfi.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

/* By the name of its file. */
static bool is_ours(const char *name)
{
    const char *slash = strrchr(name, '/');
    return strncmp(slash != NULL ? slash + 1 : name, "libhakmem.so", 12) == 0;
}

#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35)

extern HK_WEAK int _dl_find_object(void *pc, struct dl_find_object *found);

void hk_object_note_all(void)
{
}

bool hk_unwind_object(uintptr_t pc, uintptr_t *from, uintptr_t *to)
{
    struct dl_find_object found;
    if (_dl_find_object == NULL || _dl_find_object((void *)pc, &found) != 0)
        return false;
    *from = (uintptr_t)found.dlfo_map_start;
    *to = (uintptr_t)found.dlfo_map_end;
    return true;
}

bool hk_object_own(uintptr_t *from, uintptr_t *to)
{
    struct dl_find_object found;
    if (_dl_find_object == NULL || _dl_find_object((void *)(uintptr_t)hk_object_own, &found) != 0)
        return false;
    *from = (uintptr_t)found.dlfo_map_start;
    *to = (uintptr_t)found.dlfo_map_end;
    return found.dlfo_link_map->l_name != NULL && is_ours(found.dlfo_link_map->l_name);
}

const uint8_t *hk_object_header(uintptr_t pc)
{
    struct dl_find_object found;
    if (_dl_find_object == NULL || _dl_find_object((void *)pc, &found) != 0)
        return NULL;
    return found.dlfo_eh_frame;
}

#else

void hk_object_note_all(void)
{
}

bool hk_unwind_object(uintptr_t pc, uintptr_t *from, uintptr_t *to)
{
    return false;
}

bool hk_object_own(uintptr_t *from, uintptr_t *to)
{
    return is_ours("");
}

const uint8_t *hk_object_header(uintptr_t pc)
{
    return NULL;
}

#endif
#else

#define OBJECTS 256u

static struct object {
    uintptr_t from, to;
    const uint8_t *header;
    bool ours;
} objects[OBJECTS];
static _Atomic unsigned object_count; /* the first so many are whole */

static int note_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct object o = {UINTPTR_MAX, 0, NULL, info->dlpi_name != NULL && is_ours(info->dlpi_name)};
    unsigned at = hk_load_relaxed(&object_count); /* ours: one thread notes at a time (hk_unwind_start) */
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_GNU_EH_FRAME)
            o.header = (const uint8_t *)start;
        if (p->p_type == PT_LOAD && start < o.from)
            o.from = start;
        if (p->p_type == PT_LOAD && start + p->p_memsz > o.to)
            o.to = start + p->p_memsz;
    }
    for (unsigned i = 0; i < at; i++) {
        if (objects[i].from == o.from)
            return 0;
    }
    if (at == OBJECTS)
        return 1;
    objects[at] = o;
    hk_store_release(&object_count, at + 1); /* pairs with find_object */
    return 0;
}

void hk_object_note_all(void)
{
    dl_iterate_phdr(note_object, NULL);
}

static const struct object *find_object(uintptr_t pc)
{
    unsigned n = hk_load_acquire(&object_count); /* pairs with note_object */
    for (unsigned i = 0; i < n; i++) {
        if (pc - objects[i].from < objects[i].to - objects[i].from)
            return &objects[i];
    }
    return NULL;
}

bool hk_unwind_object(uintptr_t pc, uintptr_t *from, uintptr_t *to)
{
    const struct object *o = find_object(pc);
    if (o == NULL)
        return false;
    *from = o->from;
    *to = o->to;
    return true;
}

bool hk_object_own(uintptr_t *from, uintptr_t *to)
{
    return hk_unwind_object((uintptr_t)hk_object_own, from, to) && find_object((uintptr_t)hk_object_own)->ours;
}

const uint8_t *hk_object_header(uintptr_t pc)
{
    const struct object *o = find_object(pc);
    return o != NULL ? o->header : NULL;
}

#endif
