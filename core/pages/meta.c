/* SPDX-License-Identifier: MIT */
#include "pages/meta.h"

#include "config.h"
#include "os/lock.h"
#include "os/os.h"

/* A region is an eighth of what there is, within these bounds: few mappings at every size, and little that is not
 * used. */
#define REGION_LEAST (64 * HK_KIB)
#define REGION_MOST (4 * HK_MIB)

/* At the start of its mapping. */
struct region {
    struct region *next; /* the one before it in time */
    size_t size;
};

static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_META);
static struct region *regions; /* the first is in use, the others are full */
hk_seen hk_meta_seen[1] = {&regions};
_Static_assert(offsetof(struct region, size) == 8, "as seen from outside");
static char *next, *end; /* what is left of it */
static size_t used, mapped;

struct hk_lock *hk_meta_lock(void)
{
    return &lock;
}

/* With -Dguards=enabled between two pages that nobody may touch; where the system refuses they are ordinary ones. */
static void *map_region(size_t length)
{
    size_t wall = HK_GUARDS ? hk_os_page_size() : 0;
    char *start = hk_os_map(length + 2 * wall);
    if (start == NULL || !HK_GUARDS)
        return start;
    hk_os_hide(start, wall);
    hk_os_hide(start + wall + length, wall);
    return start + wall;
}

/* What is left of the region before is left behind for good. */
static bool add_region(size_t size)
{
    size_t header = hk_align_up(sizeof(struct region), HK_CACHE_LINE);
    size_t least = hk_align_up(header + size, hk_os_page_size());
    size_t length = hk_max(hk_min(hk_max(mapped / 8, REGION_LEAST), REGION_MOST), least);
    length = hk_align_up(length, hk_os_page_size());
    struct region *region = map_region(length);
    if (region == NULL && length > least)
        region = map_region(length = least);
    if (region == NULL)
        return false;
    *region = (struct region){regions, length};
    regions = region;
    next = (char *)region + header;
    end = (char *)region + length;
    mapped += length;
    return true;
}

void *hk_meta_alloc(size_t size)
{
    void *p = NULL;
    size = hk_align_up(size, HK_CACHE_LINE);
    hk_lock(&lock);
    if (size <= (size_t)(end - next) || add_region(size)) {
        p = next;
        next += size;
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
    hk_lock(&lock);
    for (struct region *region = regions; region != NULL; region = region->next)
        visit(ctx, region, region->size);
    hk_unlock(&lock);
}
