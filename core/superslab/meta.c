/* SPDX-License-Identifier: MIT */
#include "superslab/meta.h"

#include "os/lock.h"
#include "os/os.h"

#define REGIONS 64 /* donated heads beyond that are left unused; with arenas that double that is never reached */
#define OWN_REGION (4 * HK_MIB)

struct region {
    char *start, *end;
    char *next;      /* first byte not handed out */
    char *committed; /* end of what may be touched */
};

static struct hk_lock lock;
static struct region regions[REGIONS]; /* the last is in use, earlier ones are full */
static unsigned count, current;
static size_t used;

struct hk_lock *hk_meta_lock(void)
{
    return &lock;
}

static void add_region(void *ptr, size_t size)
{
    if (count < REGIONS && size > 0)
        regions[count++] = (struct region){ptr, (char *)ptr + size, ptr, ptr};
}

void hk_meta_donate(void *ptr, size_t size)
{
    hk_lock(&lock);
    add_region(ptr, size);
    hk_unlock(&lock);
}

/* Makes `size` bytes touchable: at least 64 KiB at a time, so that a process that needs little makes one call. */
static bool commit(struct region *r, size_t size)
{
    if (r->next + size <= r->committed)
        return true;
    size_t step = hk_align_up(hk_max(size, 64 * HK_KIB), hk_os_page_size());
    step = hk_min(step, (size_t)(r->end - r->committed));
    if (!hk_os_commit(r->committed, step))
        return false;
    r->committed += step;
    return r->next + size <= r->committed;
}

/* The first region from the current one on that has room, or NULL; those passed by are left behind for good. */
static struct region *find_room(size_t size)
{
    for (; current < count; current++) {
        if (size <= (size_t)(regions[current].end - regions[current].next))
            return &regions[current];
        if (current + 1 == count)
            break;
    }
    return NULL;
}

static struct region *make_room(size_t size)
{
    size_t length = hk_max(OWN_REGION, hk_align_up(size, hk_os_page_size()));
    void *own = count < REGIONS ? hk_os_reserve(length) : NULL;
    if (own == NULL && count < REGIONS)
        own = hk_os_reserve(length = hk_align_up(size, 64 * HK_KIB));
    if (own == NULL)
        return NULL;
    add_region(own, length);
    return find_room(size);
}

void *hk_meta_alloc(size_t size)
{
    void *p = NULL;
    size = hk_align_up(size, HK_CACHE_LINE);
    hk_lock(&lock);
    struct region *r = find_room(size);
    if (r == NULL)
        r = make_room(size);
    if (r != NULL && commit(r, size)) {
        p = r->next;
        r->next += size;
        used += size;
    }
    hk_unlock(&lock);
    return p;
}

size_t hk_meta_used(void)
{
    return used;
}

void hk_meta_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    for (unsigned i = 0; i < count; i++)
        visit(ctx, regions[i].start, (size_t)(regions[i].end - regions[i].start));
}
