/* SPDX-License-Identifier: MIT
 *
 * Blocks that have an end, over the front as it is: what is legal stays silent, and what is not ends the process with
 * the right line. (tests/misuse does the same through the public names.) Each case runs in a child.
 */
#include "front_fixture.h"

#include "front/hardened/hard.h"
#include "fake_os.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const size_t sizes[] = {0, 1, 8, 24, 40, 48, 56, 57, 100, 1000, 1016, 1017, 4096, 30000, 40000, 262144};

static void *take(size_t size)
{
    return hk_hard_malloc(size, hk_hard_malloc_slow, 0);
}

static void give(void *ptr)
{
    hk_hard_free(ptr, 0, HK_HARD_ANY);
}

/* ---- what is legal ---- */

static void fill_and_free(void *arg)
{
    (void)arg;
    static char *live[HK_COUNT(sizes)][40];
    for (unsigned turn = 0; turn < 50; turn++) {
        for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
            for (unsigned k = 0; k < 40; k++) {
                char *p = turn % 3 == 0 ? hk_hard_calloc(sizes[i]) : take(sizes[i]);
                EXPECT(p != NULL && hk_hard_size(p, "malloc_usable_size") == sizes[i]);
                EXPECT(turn % 3 != 0 || unit_is_zero(p, sizes[i]));
                memset(p, (int)turn + 1, sizes[i]);
                live[i][k] = p;
            }
        }
        for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
            for (unsigned k = 0; k < 40; k++)
                hk_hard_free(live[i][k], sizes[i], turn % 2 != 0 ? HK_HARD_SIZED : HK_HARD_ANY);
        }
    }
    EXPECT(hk_hard_let_all_go() == HK_DELAY && !hk_hard_let_all_go());
    front_check();
}

static void whole_blocks_are_free_of_words(void **state)
{
    (void)state;
    unit_passes(fill_and_free, NULL);
}

/* From each size to each: what is in the block stays, and it ends where it is to end. */
static void resize_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < HK_COUNT(sizes); i++) {
        for (unsigned k = 0; k < HK_COUNT(sizes); k++) {
            char *p = take(sizes[i]);
            memset(p, 7, sizes[i]);
            p = hk_hard_resize(p, sizes[k]);
            EXPECT(p != NULL && hk_hard_size(p, "malloc_usable_size") == sizes[k]);
            for (size_t at = 0; at < hk_min(sizes[i], sizes[k]); at++)
                EXPECT(p[at] == 7);
            memset(p, 9, sizes[k]);
            give(p);
        }
    }
}

static void a_resized_block_ends_elsewhere(void **state)
{
    (void)state;
    unit_passes(resize_all, NULL);
}

static void new_and_delete(void *arg)
{
    (void)arg;
    char *ours = hk_hard_is_of_new(take(100)), *theirs = take(100);
    hk_hard_free(theirs, 7, HK_HARD_DELETE); /* of a new that is not ours nobody knows */
    memset(ours, 1, 100);
    hk_hard_free(ours, 100, HK_HARD_DELETE);
    hk_hard_free(hk_hard_is_of_new(take(50000)), 50000, HK_HARD_DELETE);
    EXPECT(hk_hard_is_of_new(NULL) == NULL);
}

static void a_delete_says_the_size(void **state)
{
    (void)state;
    unit_passes(new_and_delete, NULL);
}

/* ---- what is not ---- */

struct wrong {
    size_t size;
    void (*body)(char *block, char *before, size_t size);
    const char *text; /* of the line, behind "hakmem: " */
};

static void past(char *block, char *before, size_t size)
{
    block[size] ^= 0x55;
    give(block);
}

static void zero_past(char *block, char *before, size_t size)
{
    block[size] = 0;
    give(block);
}

static void past_then_realloc(char *block, char *before, size_t size)
{
    block[size] ^= 0x55;
    hk_hard_resize(block, 10 * size);
}

static void past_then_size(char *block, char *before, size_t size)
{
    block[size] ^= 0x55;
    (void)hk_hard_size(block, "malloc_usable_size");
}

static void in_front(char *block, char *before, size_t size)
{
    block[-1] ^= 0x55;
    give(block);
}

static void twice(char *block, char *before, size_t size)
{
    give(block);
    memset(block, 0, size);
    give(block);
}

static void sized(char *block, char *before, size_t size)
{
    hk_hard_free(block, size + 1, HK_HARD_SIZED);
}

static void of_new(char *block, char *before, size_t size)
{
    hk_hard_free(hk_hard_is_of_new(block), size - 1, HK_HARD_DELETE);
}

/* The byte of a free block is found by who takes it again. */
static void write_free(char *block, size_t size, size_t at)
{
    give(block);
    block[at] ^= 0x55;
    for (unsigned i = 0; i < 3000; i++) {
        char *p = take(size);
        if (size > HK_WIDE_MAX)
            give(p);
    }
}

static void first_byte(char *block, char *before, size_t size)
{
    write_free(block, size, 0);
}

/* A link takes its place before anybody looks. */
static void first_byte_in_list(char *block, char *before, size_t size)
{
    give(block);
    block[0] ^= 0x55;
    hk_front_flush_all(front_self());
    for (unsigned i = 0; i < 3000; i++)
        take(size);
}

static void third_word(char *block, char *before, size_t size)
{
    write_free(block, size, 16);
}

static void sixth_word(char *block, char *before, size_t size)
{
    write_free(block, size, 47);
}

static void last_byte(char *block, char *before, size_t size)
{
    write_free(block, size, size - 1);
}

static void held(char *block, char *before, size_t size)
{
    give(block);
    block[3] = 1;
    hk_hard_let_all_go();
}

/* There is no memory: what is held is looked at where everything is given back. */
static void held_without_memory(char *block, char *before, size_t size)
{
    give(block);
    block[3] = 1;
    fake_os_fail_from(FAKE_MAP, 1);
    fake_os_fail_from(FAKE_MAP_AT, 1);
    for (unsigned i = 0; i < 10000; i++)
        take(4 * HK_MIB);
}

static void past_in_heap(char *block, char *before, size_t size)
{
    struct hk_own_want want = {.align = 16, .size = size};
    char *own = hk_hard_own_take(hk_front_own_new(0), &want);
    EXPECT(own != NULL && hk_hard_size(own, "malloc_usable_size") == size);
    own[size] ^= 0x55;
    struct hk_block found = hk_own_find(own);
    hk_hard_own_free(&found, "hak_heap_free");
}

static void past_in_heap_then_free(char *block, char *before, size_t size)
{
    struct hk_own_want want = {.align = 16, .size = size};
    char *own = hk_hard_own_take(hk_front_own_new(0), &want);
    own = hk_hard_resize(own, 3 * size);
    EXPECT(own != NULL && hk_hard_size(own, "malloc_usable_size") == 3 * size);
    own[3 * size] ^= 0x55;
    give(own);
}

static const struct wrong wrongs[] = {
    {24, past, "write past the end of"},
    {25, past, "write past the end of"},
    {100, past, "write past the end of"},
    {5000, past, "write past the end of"},
    {300000, past, "write past the end of"},
    {24, zero_past, "write past the end of"},
    {100, zero_past, "write past the end of"},
    {100, past_then_realloc, "write past the end of"},
    {300000, past_then_realloc, "write past the end of"},
    {100, past_then_size, "write past the end of"},
    {24, in_front, "write before the start of"},
    {1000, in_front, "write before the start of"},
    {24, twice, "double free of"},
    {1000, twice, "double free of"},
    {300000, twice, "double free of"},
    {100, sized, "free of"},
    {300000, sized, "free of"},
    {100, of_new, "free of"},
    {24, first_byte, "write after free into"},
    {1000, first_byte, "write after free into"},
    {300000, first_byte, "write after free into"},
    {24, third_word, "write after free into"},
    {1000, third_word, "write after free into"},
    {300000, third_word, "write after free into"},
    {56, sixth_word, "write after free into"},
    {1000, sixth_word, "write after free into"},
    {56, last_byte, "write after free into"},
    {104, last_byte, "write after free into"},
    {300000, held, "write after free into"},
    {24, first_byte_in_list, "write after free into"},
    {1000, first_byte_in_list, "write after free into"},
    {300000, held_without_memory, "write after free into"},
    {24, past_in_heap, "write past the end of"},
    {300000, past_in_heap, "write past the end of"},
    {24, past_in_heap_then_free, "write past the end of"},
    {1000, past_in_heap_then_free, "write past the end of"},
};

static void use_wrongly(void *arg)
{
    const struct wrong *w = arg;
    char *blocks[20];
    for (unsigned i = 0; i < 20; i++) {
        blocks[i] = take(w->size);
        memset(blocks[i], 1, w->size);
    }
    unsigned at = 10;
    while ((uintptr_t)blocks[at] % HK_SLAB_SIZE == 0 && w->size < HK_MID_MAX) /* nothing stands in front of it */
        at++;
    w->body(blocks[at], blocks[at - 1], w->size);
}

/* In a build whose blocks are looked at when they come again: else nobody does. */
static bool is_of_this_build(const struct wrong *w)
{
    bool late = strncmp(w->text, "write after", 11) == 0;
    return !late || (HK_FILL != 0 && (HK_DELAY || w->size <= HK_WIDE_MAX));
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HK_COUNT(wrongs); i++) {
        static struct unit_child child;
        struct wrong w = wrongs[i];
        if (!is_of_this_build(&w))
            continue;
        unit_run(&child, use_wrongly, &w);
        bool told = WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT &&
                    strstr(child.text, w.text) != NULL && strchr(child.text, '\n') == child.text + child.length - 1;
        if (!told)
            print_error("%u: %zu bytes, %s: status %#x, %s\n", i, w.size, w.text, (unsigned)child.status, child.text);
        assert_true(told);
    }
}

/* Which slab is opened first is not the same in all of them, nor in two runs. */
static void superslabs_begin_anywhere(void **state)
{
    (void)state;
    static struct hk_superslab ss;
    uint32_t seen = 0;
    for (size_t i = 1; i <= 400; i++) {
        hk_superslab_init(&ss, (char *)(i * HK_SUPERSLAB_SIZE));
        seen |= 1u << hk_superslab_first(&ss);
    }
    assert_true(hk_count64(seen) >= (HK_SHUFFLE ? 24 : 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_blocks_are_free_of_words), cmocka_unit_test(a_resized_block_ends_elsewhere),
        cmocka_unit_test(a_delete_says_the_size),         cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(superslabs_begin_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
