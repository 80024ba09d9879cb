/* SPDX-License-Identifier: MIT
 *
 * A program that has malloc, calloc, realloc and free of its own, the four that the C library asks for, with hakmem
 * preloaded. What the C library and reallocarray allocate has to come from them: it is given to this free.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 20 };

static _Alignas(16) char room[ROOM];
static size_t used;

static int is_ours(const void *ptr)
{
    return (const char *)ptr >= room && (const char *)ptr < room + ROOM;
}

/* The size of a block stands before it; nothing is used again. */
void *malloc(size_t size)
{
    size_t need = (size + 31) / 16 * 16;
    if (size > ROOM || need > ROOM - used)
        return NULL;
    char *start = room + used;
    used += need;
    memcpy(start, &size, sizeof size);
    return start + 16;
}

void free(void *ptr)
{
    CHECK(ptr == NULL || is_ours(ptr));
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* untouched: zero */
}

void *realloc(void *ptr, size_t size)
{
    size_t before = 0;
    CHECK(ptr == NULL || is_ours(ptr));
    if (ptr != NULL)
        memcpy(&before, (char *)ptr - 16, sizeof before);
    void *moved = malloc(size);
    if (moved != NULL && ptr != NULL)
        memcpy(moved, ptr, before < size ? before : size);
    return moved;
}

int main(void)
{
    int *numbers = reallocarray(NULL, 10, sizeof *numbers);
    CHECK(is_ours(numbers));
    numbers[9] = 7;
    numbers = reallocarray(numbers, 20, sizeof *numbers);
    CHECK(is_ours(numbers) && numbers[9] == 7);
    volatile size_t most = (size_t)-1;
    CHECK(reallocarray(numbers, most, 2) == NULL);
    free(numbers);
    char *text = strdup("text");
    CHECK(is_ours(text));
    free(text);
    FILE *stream = open_memstream(&text, &(size_t){0});
    CHECK(stream && fputs("more", stream) >= 0 && fclose(stream) == 0 && is_ours(text));
    free(text);
    return 0;
}
