/* SPDX-License-Identifier: MIT
 *
 * Where the blocks of product.c come from, and how they are freed.
 */
#include "product.h"

#include <hakmem/hakmem.h>

#include <string.h>

/* C++'s operators, and hakmem's own; weak, for programs that are linked with neither. */
extern void *_Znwm(size_t size) __attribute__((weak));
extern void _ZdlPvm(void *block, size_t size) __attribute__((weak));
#pragma weak hak_heap_new
#pragma weak hak_heap_malloc
#pragma weak hak_heap_realloc
#pragma weak hak_heap_aligned_alloc
#pragma weak hak_heap_free

/* ---- where blocks come from ---- */

static hak_heap *heap;

static char *by_malloc(size_t size)
{
    return e->malloc(size);
}

static char *by_calloc(size_t size)
{
    return e->calloc(1, size);
}

static char *by_growing(size_t size)
{
    return e->realloc(e->malloc(size / 3 + 1), size);
}

static char *by_shrinking(size_t size)
{
    return e->realloc(e->malloc(size * 3), size);
}

static char *by_memalign_64(size_t size)
{
    return e->memalign(64, size);
}

static char *by_memalign_4096(size_t size)
{
    return e->memalign(4096, size);
}

static char *by_new(size_t size)
{
    return _Znwm(size);
}

static char *by_heap(size_t size)
{
    return hak_heap_malloc(heap, size);
}

static char *by_heap_growing(size_t size)
{
    return hak_heap_realloc(heap, hak_heap_malloc(heap, size / 3 + 1), size);
}

static char *by_heap_aligned(size_t size)
{
    return hak_heap_aligned_alloc(heap, 64, size);
}

static void plain_free(char *block, size_t size)
{
    (void)size;
    e->free(block);
}

static void plain_free_sized(char *block, size_t size)
{
    e->free_sized(block, size);
}

static void aligned_free_sized(char *block, size_t size)
{
    e->free_aligned_sized(block, 64, size);
}

static void delete_sized(char *block, size_t size)
{
    _ZdlPvm(block, size);
}

static void free_in_heap(char *block, size_t size)
{
    (void)size;
    hak_heap_free(heap, block);
}

static const struct origin origins[] = {
    {"malloc", by_malloc, plain_free, plain_free_sized, false, false, false},
    {"calloc", by_calloc, plain_free, plain_free_sized, false, false, false},
    {"growing", by_growing, plain_free, plain_free_sized, false, false, false},
    {"shrinking", by_shrinking, plain_free, plain_free_sized, false, true, false},
    {"memalign-64", by_memalign_64, plain_free, aligned_free_sized, false, false, false},
    {"memalign-4096", by_memalign_4096, plain_free, NULL, false, false, false},
    {"new", by_new, plain_free, delete_sized, false, false, false},
    {"heap", by_heap, free_in_heap, plain_free_sized, true, false, false},
    {"heap-growing", by_heap_growing, plain_free, plain_free_sized, true, false, false},
    {"heap-aligned", by_heap_aligned, plain_free, NULL, true, false, true},
};

const struct origin *product_origin(const char *name)
{
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        if (strcmp(origins[i].name, name) == 0)
            return &origins[i];
    }
    return NULL;
}

bool product_has(const struct origin *origin)
{
    if (origin->in_heap)
        return hak_heap_new != NULL;
    return origin->take != by_new || (_Znwm != NULL && _ZdlPvm != NULL);
}

bool product_make_heap(void)
{
    heap = hak_heap_new(0);
    return heap != NULL;
}
