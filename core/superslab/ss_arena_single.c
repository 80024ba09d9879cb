/* SPDX-License-Identifier: MIT
 *
 * -Dss_arena=disabled: every SuperSlab is a mapping of its own, unmapped when it is given back. Page runs still come
 * from the arenas. The mappings are known by their starts; the table and the records are guarded by the arena lock.
 * Mapping and unmapping are done outside it; what the registry and the records need is committed under it.
 */
#include "base/list.h"
#include "base/options.h"
#include "os/os.h"
#include "superslab/meta.h"
#include "superslab/ss_arena_priv.h"

#define BUCKETS 256u

/* As in the first arena: small programs stay small under THP=always too. */
#define NO_HUGE_BYTES (64 * HK_MIB)

struct single {
    struct hk_node node; /* in its bucket, or in the list of unused records */
    char *base;
};

static struct hk_list buckets[BUCKETS];
static struct hk_list records; /* not in use */
static size_t bytes;           /* in SuperSlabs */

static struct hk_list *bucket_of(const void *ptr)
{
    return &buckets[(uintptr_t)ptr / HK_SUPERSLAB_SIZE % BUCKETS];
}

/* The SuperSlab that an address lies in, or NULL. */
static struct single *find(const void *ptr)
{
    for (struct hk_node *node = bucket_of(ptr)->first; node != NULL; node = node->next) {
        struct single *s = HK_CONTAINER(node, struct single, node);
        if ((uintptr_t)ptr - (uintptr_t)s->base < HK_SUPERSLAB_SIZE)
            return s;
    }
    return NULL;
}

static struct single *enter(char *base)
{
    struct hk_node *node = hk_list_pop(&records);
    struct single *s = node != NULL ? HK_CONTAINER(node, struct single, node) : hk_meta_alloc(sizeof *s);
    if (s == NULL)
        return NULL;
    if (!hk_registry_cover(base, HK_SUPERSLAB_SIZE)) {
        hk_list_push(&records, &s->node);
        return NULL;
    }
    s->base = base;
    hk_list_push(bucket_of(base), &s->node);
    bytes += HK_SUPERSLAB_SIZE;
    hk_add_relaxed(&hk_arenas.live, HK_SUPERSLAB_SIZE); /* a statistic */
    return s;
}

/* Refused where the map count is at its limit: then at least the pages go, and address space is left behind. */
static void unmap(char *base)
{
    if (!hk_os_unmap(base, HK_SUPERSLAB_SIZE))
        hk_os_purge(base, HK_SUPERSLAB_SIZE);
}

void *hk_arena_single_take(unsigned node, uint32_t *clean)
{
    char *base = hk_os_map_aligned(HK_SUPERSLAB_SIZE, HK_SUPERSLAB_SIZE);
    if (base == NULL)
        return NULL;
    hk_lock(&hk_arenas.lock);
    bool ok = enter(base) != NULL, small = bytes <= NO_HUGE_BYTES;
    hk_unlock(&hk_arenas.lock);
    if (!ok) {
        unmap(base);
        return NULL;
    }
    hk_numa_prefer(base, HK_SUPERSLAB_SIZE, node);
    if (small && hk_opt(HK_OPT_THP) == 0)
        hk_os_hint_no_huge(base, HK_SUPERSLAB_SIZE);
    *clean = UINT32_MAX;
    return base;
}

bool hk_arena_single_give(void *ptr)
{
    hk_lock(&hk_arenas.lock);
    struct single *s = find(ptr);
    bool ok = s != NULL && s->base == ptr;
    if (ok) {
        hk_list_remove(&s->node);
        hk_list_push(&records, &s->node);
        bytes -= HK_SUPERSLAB_SIZE;
        hk_sub_relaxed(&hk_arenas.live, HK_SUPERSLAB_SIZE); /* a statistic */
    }
    hk_unlock(&hk_arenas.lock);
    if (ok)
        unmap(ptr);
    return ok;
}

struct hk_run hk_arena_single_find_locked(const void *ptr)
{
    const struct single *s = find(ptr);
    struct hk_run none = {HK_RUN_NONE, NULL, 0};
    struct hk_run run = {HK_RUN_SUPERSLAB, s != NULL ? s->base : NULL, HK_SUPERSLAB_SIZE / HK_PAGE};
    return s != NULL ? run : none;
}

size_t hk_arena_single_bytes(void)
{
    return bytes;
}

void hk_arena_single_visit_locked(void (*visit)(void *ctx, void *start, size_t size, enum hk_run_kind kind), void *ctx)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct hk_node *node = buckets[i].first; node != NULL; node = node->next)
            visit(ctx, HK_CONTAINER(node, struct single, node)->base, HK_SUPERSLAB_SIZE, HK_RUN_SUPERSLAB);
    }
}
