/* SPDX-License-Identifier: MIT */
#include "large/huge.h"

#include "base/options.h"
#include "base/telemetry.h"
#include "large/walls.h"
#include "os/os.h"
#include "pages/meta.h"
#include "pages/ss_arena.h"

#define BUCKETS HK_HUGE_BUCKETS

/* Written under the lock, and read without it (hk_huge_look). */
struct huge {
    struct huge *next;
    char *start;
    size_t size;   /* of the mapping, which starts at `start` */
    uintptr_t tag; /* 0 where it is not in the table: its owner takes it away before the block goes */
};

static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_HUGE);
static struct huge *buckets[BUCKETS];
hk_seen hk_huge_seen[1] = {buckets};
_Static_assert(offsetof(struct huge, start) == 8 && offsetof(struct huge, size) == 16, "as seen from outside");
static struct huge *records; /* not in use */
static size_t bytes;

/* Mappings that the system would not unmap: they cut one in two, and there may be no more. Without pages; the oldest
 * first. Later calls try a few again: what lies beside them may be gone. */
static struct huge *left_first, **left_last = &left_first;
static _Atomic unsigned left_count; /* written under the lock, a hint without */
#define LEFT_TRIES 8u

struct hk_lock *hk_huge_lock(void)
{
    return &lock;
}

/* Starts are page-aligned and often 2 MiB apart. */
static struct huge **bucket_of(const void *ptr)
{
    uintptr_t n = (uintptr_t)ptr >> 12;
    return &buckets[(n ^ n >> 9 ^ n >> 18) % BUCKETS];
}

/* The link to the record of ptr, or to NULL; the lock. */
static struct huge **find_link(const void *ptr)
{
    struct huge **link = bucket_of(ptr);
    while (*link != NULL && (*link)->start != ptr)
        link = &(*link)->next;
    return link;
}

static void enter_table(struct huge *h, void *start, size_t size)
{
    struct huge **bucket = bucket_of(start);
    hk_poke(&h->start, start);
    hk_poke(&h->size, size);
    hk_poke(&h->next, *bucket);
    hk_poke(bucket, h);
    bytes += size;
}

/* Takes the record of ptr out of the table, or NULL. */
static struct huge *leave_table(const void *ptr)
{
    struct huge **link = find_link(ptr);
    struct huge *h = *link;
    if (h != NULL) {
        hk_poke(link, h->next);
        bytes -= h->size;
    }
    return h;
}

/* Before the memory is anybody's: whoever looks without the lock may come by a record that was just taken out. */
static char *clear_start(struct huge *h)
{
    char *start = h->start;
    hk_poke(&h->start, NULL);
    return start;
}

static struct huge *new_record(void)
{
    hk_lock(&lock);
    struct huge *h = records;
    if (h != NULL)
        records = h->next;
    hk_unlock(&lock);
    return h != NULL ? h : hk_meta_alloc(sizeof *h);
}

static void keep_record(struct huge *h)
{
    hk_lock(&lock);
    hk_poke(&h->next, records);
    records = h;
    hk_unlock(&lock);
}

static void leave_behind(struct huge *h, char *start)
{
    hk_poke(&h->start, start);
    hk_poke(&h->next, NULL);
    hk_lock(&lock);
    hk_poke(left_last, h);
    left_last = &h->next;
    hk_store_relaxed(&left_count, hk_load_relaxed(&left_count) + 1);
    hk_unlock(&lock);
}

static struct huge *take_left(void)
{
    hk_lock(&lock);
    struct huge *h = left_first;
    if (h != NULL) {
        left_first = h->next;
        hk_store_relaxed(&left_count, hk_load_relaxed(&left_count) - 1);
    }
    if (left_first == NULL)
        left_last = &left_first;
    hk_unlock(&lock);
    return h;
}

/* ---- mappings: with -Dguards=enabled a wall behind each, which counts nowhere; where the system refuses it is an
 * ordinary page ---- */

static void put_wall(char *start, size_t size)
{
    if (HK_GUARDS)
        hk_os_hide(start + size, hk_wall_bytes(hk_os_page_size()));
}

static char *map_with_wall(size_t size, size_t align)
{
    size_t all = size + hk_wall_bytes(hk_os_page_size());
    char *start = all >= size ? hk_os_map_aligned(all, align) : NULL;
    if (start != NULL)
        put_wall(start, size);
    return start;
}

static bool unmap_with_wall(char *start, size_t size)
{
    return hk_os_unmap(start, size + hk_wall_bytes(hk_os_page_size()));
}

/* Where what is behind cannot go all stays as it was; a new wall that is refused is one less. */
static char *shrink_with_wall(char *start, size_t before, size_t size)
{
    size_t wall = hk_wall_bytes(hk_os_page_size());
    if (size < before && !hk_os_unmap(start + size + wall, before - size))
        return NULL;
    put_wall(start, size);
    return start;
}

/* The kernel moves one mapping at a time, and the wall is another, which stays behind and goes then, if the system lets
 * it. */
static char *remap_with_wall(char *start, size_t before, size_t size)
{
    size_t wall = hk_wall_bytes(hk_os_page_size());
    if (HK_GUARDS && size <= before)
        return shrink_with_wall(start, before, size);
    char *now = hk_os_remap(start, before, size + wall);
    if (HK_GUARDS && now != NULL) {
        put_wall(now, size);
        hk_os_unmap(start + before, wall);
    }
    return now;
}

static HK_SLOW_PATH void unmap_left(void)
{
    for (unsigned i = 0; i < LEFT_TRIES; i++) {
        struct huge *h = take_left();
        if (h == NULL)
            return;
        char *start = clear_start(h);
        if (unmap_with_wall(start, h->size))
            keep_record(h);
        else
            leave_behind(h, start);
    }
}

void *hk_huge_alloc(size_t size, size_t align)
{
    size = hk_align_up(size, hk_os_page_size());
    if (size == 0 || !hk_arena_charge(size))
        return NULL;
    struct huge *h = new_record();
    char *start = h != NULL ? map_with_wall(size, align) : NULL;
    if (start == NULL) {
        if (h != NULL)
            keep_record(h);
        hk_arena_uncharge(size);
        hk_arena_lacks(size);
        unmap_left(); /* for the next try */
        return NULL;
    }
    if (HK_UNLIKELY(hk_opt(HK_OPT_THP) != 0))
        hk_os_hint_huge(start, size);
    hk_lock(&lock);
    enter_table(h, start, size);
    hk_unlock(&lock);
    hk_telemetry_add(HK_PAGES_HUGE, size / HK_PAGE);
    return start;
}

bool hk_huge_free(void *ptr)
{
    hk_lock(&lock);
    struct huge *h = leave_table(ptr);
    hk_unlock(&lock);
    if (h == NULL)
        return false;
    size_t size = h->size; /* the record is anybody's then */
    char *start = clear_start(h);
    /* Refused where the map count is at its limit: then at least the pages go. */
    if (unmap_with_wall(start, size)) {
        keep_record(h);
    } else {
        hk_os_purge(start, size);
        leave_behind(h, start);
    }
    hk_arena_uncharge(size); /* the memory went before others may have as much */
    if (HK_UNLIKELY(hk_load_relaxed(&left_count) != 0))
        unmap_left();
    return true;
}

size_t hk_huge_size(const void *ptr)
{
    hk_lock(&lock);
    struct huge *h = *find_link(ptr);
    size_t size = h != NULL ? h->size : 0;
    hk_unlock(&lock);
    return size;
}

/* Records are never unmapped, and each change is one store; one that has just gone elsewhere leads astray. */
static struct huge *look_for(const void *ptr)
{
    struct huge *h = hk_peek(bucket_of(ptr));
    while (h != NULL && hk_peek(&h->start) != ptr)
        h = hk_peek(&h->next);
    return h;
}

size_t hk_huge_look(const void *ptr)
{
    struct huge *h = look_for(ptr);
    return h != NULL ? hk_peek(&h->size) : 0; /* of a live block: only its owner changes it */
}

bool hk_huge_swap_tag(const void *ptr, uintptr_t before, uintptr_t tag)
{
    struct huge *h = look_for(ptr);
    return h != NULL && hk_poke_cas(&h->tag, &before, tag); /* as above */
}

size_t hk_huge_set_tag(const void *ptr, uintptr_t before, uintptr_t tag)
{
    size_t size = 0;
    hk_lock(&lock);
    struct huge *h = *find_link(ptr);
    if (h != NULL && h->tag == before) {
        hk_poke(&h->tag, tag);
        size = h->size;
    }
    hk_unlock(&lock);
    return size;
}

void *hk_huge_with_tag(uintptr_t tag)
{
    void *start = NULL;
    hk_lock(&lock);
    for (unsigned i = 0; i < BUCKETS && start == NULL; i++) {
        for (struct huge *h = buckets[i]; h != NULL; h = h->next)
            start = h->tag == tag ? h->start : start;
    }
    hk_unlock(&lock);
    return start;
}

#define TRIES 1000

size_t hk_huge_look_long(const void *ptr)
{
    size_t size = 0;
    for (unsigned i = 0; i < TRIES && size == 0; i++)
        size = hk_huge_look(ptr);
    return size;
}

bool hk_huge_tag(const void *ptr, uintptr_t *tag)
{
    for (unsigned i = 0; i < TRIES; i++) {
        struct huge *h = look_for(ptr);
        if (h != NULL) {
            *tag = hk_peek(&h->tag);
            return true;
        }
    }
    return false;
}

void *hk_huge_around(const void *ptr, size_t *size)
{
    void *start = NULL;
    hk_lock(&lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct huge *h = buckets[i]; h != NULL; h = h->next) {
            if ((uintptr_t)ptr - (uintptr_t)h->start < h->size) {
                start = h->start;
                *size = h->size;
            }
        }
    }
    hk_unlock(&lock);
    return start;
}

/* The record leaves the table while the mapping moves: nobody may use the block meanwhile anyway. */
void *hk_huge_resize(void *ptr, size_t size)
{
    size = hk_align_up(size, hk_os_page_size());
    hk_lock(&lock);
    struct huge *h = leave_table(ptr);
    hk_unlock(&lock);
    if (h == NULL)
        return NULL;
    size_t before = h->size;
    char *start = NULL, *old = clear_start(h);
    if (size <= before || hk_arena_charge(size - before)) {
        start = remap_with_wall(old, before, size);
        if (start == NULL && size > before)
            hk_arena_uncharge(size - before);
        if (start != NULL && size < before)
            hk_arena_uncharge(before - size);
    }
    hk_lock(&lock);
    enter_table(h, start != NULL ? start : old, start != NULL ? size : before);
    hk_unlock(&lock);
    if (start != NULL && size > before)
        hk_telemetry_add(HK_PAGES_HUGE, (size - before) / HK_PAGE);
    return start;
}

size_t hk_huge_bytes(void)
{
    return bytes;
}

void hk_huge_visit(void (*visit)(void *ctx, void *start, size_t size), void *ctx)
{
    hk_lock(&lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct huge *h = buckets[i]; h != NULL; h = h->next)
            visit(ctx, h->start, h->size);
    }
    hk_unlock(&lock);
}
