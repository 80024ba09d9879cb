/* SPDX-License-Identifier: MIT */
#include "api/override_loader.h"

#include "base/atomic.h"

#include <gnu/lib-names.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The loader's list. Weak: the linker need not name the loader as a library that ours needs. */
#pragma weak _r_debug

/* Of a loaded library, what names are found with. */
struct tables {
    uintptr_t base;
    const char *names, *own_name;
    const ElfW(Sym) * symbols;
    const ElfW(Half) * versions;
    const uint32_t *hash; /* DT_GNU_HASH: four numbers, a filter, buckets, chains */
};

/* The loader has added the base to the addresses, where it may write to that table. */
static const void *read_address(const struct link_map *map, const ElfW(Dyn) * entry)
{
    ElfW(Addr) at = entry->d_un.d_ptr;
    return (const void *)(at < map->l_addr ? at + map->l_addr : at);
}

static struct tables tables_of(const struct link_map *map)
{
    struct tables t = {.base = map->l_addr};
    size_t own_name = 0;
    for (const ElfW(Dyn) *entry = map->l_ld; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_STRTAB:
            t.names = read_address(map, entry);
            break;
        case DT_SYMTAB:
            t.symbols = read_address(map, entry);
            break;
        case DT_VERSYM:
            t.versions = read_address(map, entry);
            break;
        case DT_GNU_HASH:
            t.hash = read_address(map, entry);
            break;
        case DT_SONAME:
            own_name = entry->d_un.d_val;
            break;
        default:
            break;
        }
    }
    t.own_name = t.names != NULL && own_name != 0 ? t.names + own_name : "";
    return t;
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != 0; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

#define OLD_VERSION 0x8000 /* for programs that were linked long ago */

static bool is_it(const struct tables *t, uint32_t symbol, const char *name)
{
    const ElfW(Sym) *s = &t->symbols[symbol];
    return s->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(s->st_info) == STT_FUNC &&
           strcmp(t->names + s->st_name, name) == 0 &&
           (t->versions == NULL || (t->versions[symbol] & OLD_VERSION) == 0);
}

static void *find_in_tables(const struct tables *t, const char *name)
{
    if (t->names == NULL || t->symbols == NULL || t->hash == NULL || t->hash[0] == 0)
        return NULL;
    uint32_t bucket_count = t->hash[0], first = t->hash[1], hash = hash_of(name);
    const uint32_t *buckets = t->hash + 4 + t->hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chains = buckets + bucket_count;
    uint32_t symbol = buckets[hash % bucket_count], seen;
    if (symbol < first)
        return NULL;
    do {
        seen = chains[symbol - first];
        if ((seen | 1) == (hash | 1) && is_it(t, symbol, name))
            return (void *)(t->base + t->symbols[symbol].st_value);
        symbol++;
    } while ((seen & 1) == 0); /* the last of its chain */
    return NULL;
}

void *hk_loader_own(const char *name)
{
    void *found = NULL;
    struct link_map *first = &_r_debug != NULL ? _r_debug.r_map : NULL;
    for (struct link_map *map = first; map != NULL && found == NULL; map = map->l_next) {
        struct tables t = tables_of(map);
        if (strcmp(t.own_name, LIBC_SO) == 0 || strcmp(t.own_name, LIBDL_SO) == 0)
            found = find_in_tables(&t, name);
    }
    return found;
}

hk_find_function *hk_loader_own_dlsym(void)
{
    static _Atomic(hk_find_function *) own;
    hk_find_function *found = hk_load_relaxed(&own); /* threads that race find the same function */
    if (HK_UNLIKELY(found == NULL)) {
        found = (hk_find_function *)hk_loader_own("dlsym");
        hk_store_relaxed(&own, found);
    }
    return found;
}
