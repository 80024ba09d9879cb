/* SPDX-License-Identifier: MIT
 *
 * misuse CASE [SIZE]: does one wrong thing in a child process and checks that it ends with exactly one line on stderr,
 * of the right form and naming the right address, and SIGABRT. `misuse list` prints the cases; `misuse product ORIGIN`
 * is many of them (product.c).
 */
#include "misuse.h"
#include "product.h"

#include "check.h"
#include "config.h"
#include "death.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

const struct entries *e;
struct expected *expected;

static const struct misuse *const all_misuses[] = {invalid_misuses, never_misuses, double_misuses, other_misuses,
                                                   end_misuses};

void expect(unsigned says, const char *verb, const void *pointer)
{
    expected->says = says;
    expected->verb = verb;
    expected->pointer = (uintptr_t)pointer;
}

void expect_block(unsigned says, const char *verb, const void *pointer, const void *block, size_t block_size)
{
    expect(says, verb, pointer);
    expected->block = (uintptr_t)block;
    expected->block_size = block_size;
}

void *take(size_t size)
{
    unsigned char *block = e->malloc(size);
    CHECK(block);
    block[0] = block[size - 1] = 1;
    return block;
}

void in_a_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Whether text begins with the line, up to its '\n'. With ANY_BLOCK only what stands before the block counts. */
static int is_line(const char *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    return strncmp(text, line, strlen(line)) == 0;
}

/* What is said with -Dtail and -Dfill. The block is the one that is named, if the test knows it. */
static int is_of_an_end(const char *text)
{
    static const struct {
        unsigned form;
        const char *words;
    } forms[] = {
        {SAYS_PAST, "write past the end of"},
        {SAYS_BEFORE, "write before the start of"},
        {SAYS_WRITTEN, "write after free into"},
        {SAYS_SIZE, "free of"},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (expected->says & forms[i].form &&
            (is_line(text, "hakmem: %s 0x%" PRIxPTR, forms[i].words, expected->pointer) ||
             (expected->says & ANY_BLOCK && is_line(text, "hakmem: %s 0x", forms[i].words))))
            return forms[i].form != SAYS_SIZE || strstr(text, " bytes, which was asked for as ") != NULL;
    }
    return 0;
}

/* Of a block of a heap of one's own, whose size is not known when its head is wrong. */
static int is_of_a_heap(const char *text)
{
    static const char *const forms[] = {"double free of", "hak_heap_free of the free block",
                                        "free of an invalid pointer", "hak_heap_free of an invalid pointer",
                                        "free of an interior pointer"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && expected->says & SAYS_OF_HEAP; i++) {
        if (is_line(text, "hakmem: %s 0x%" PRIxPTR, forms[i], expected->pointer))
            return 1;
    }
    return 0;
}

/* With -Dtail messages name what the block has of the heap: its end, and what is left over, too. */
static size_t size_in_message(const char *text, size_t usable)
{
    const char *at = strstr(text, "-byte block");
    size_t said = 0, unit = 1;
    for (; HK_TAIL && at && at > text && at[-1] >= '0' && at[-1] <= '9'; at--, unit *= 10)
        said += unit * (size_t)(at[-1] - '0');
    return said >= usable + 8 && said <= 2 * usable + 288 ? said : usable;
}

static int one_of_the_forms(const char *text)
{
    const struct expected *x = expected;
    int loose = (x->says & ANY_BLOCK) != 0;
    char tail[128];
    if (is_of_an_end(text) || is_of_a_heap(text))
        return 1;

    tail[0] = 0;
    if (!loose)
        snprintf(tail, sizeof(tail), "%zu-byte block)\n", size_in_message(text, x->block_size));
    if (x->says & SAYS_DOUBLE && (is_line(text, "hakmem: double %s of 0x%" PRIxPTR " (%s", x->verb, x->pointer, tail) ||
                                  is_line(text, "hakmem: double free of 0x%" PRIxPTR " (%s", x->pointer, tail)))
        return 1;
    if (x->says & SAYS_DOUBLE &&
        is_line(text, "hakmem: %s of the free block 0x%" PRIxPTR " (%s", x->verb, x->pointer, tail))
        return 1;
    /* What was a page run or a mapping has joined its neighbours, and its size is not known any more. */
    if (x->says & SAYS_DOUBLE && x->block_size > 32768 &&
        (is_line(text, "hakmem: double free of 0x%" PRIxPTR "\n", x->pointer) ||
         is_line(text, "hakmem: %s of the free block 0x%" PRIxPTR "\n", x->verb, x->pointer)))
        return 1;
    if (x->says & SAYS_INVALID &&
        is_line(text, "hakmem: %s of an invalid pointer 0x%" PRIxPTR " (not a block of this allocator)\n", x->verb,
                x->pointer))
        return 1;
    tail[0] = 0;
    if (!loose)
        snprintf(tail, sizeof(tail), "%zu-byte block at 0x%" PRIxPTR ")\n", size_in_message(text, x->block_size),
                 x->block);
    if (x->says & SAYS_INTERIOR &&
        is_line(text, "hakmem: %s of an interior pointer 0x%" PRIxPTR " (inside the %s", x->verb, x->pointer, tail))
        return 1;
    return x->says & SAYS_CORRUPT && is_line(text, "hakmem: corrupted free list in the ") &&
           strstr(text, " slab at 0x") && strstr(text, " (write after free)\n");
}

struct job {
    const struct misuse *misuse;
    size_t size;
};

static void run_in_child(void *argument)
{
    struct job *job = argument;
    job->misuse->body(job->size);
}

static int run(const struct misuse *misuse, size_t size)
{
    static struct death death;
    struct job job = {misuse, size};
    death_run(&death, run_in_child, &job);

    int ended = WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0;
    int aborted = WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGABRT;
    if (WIFEXITED(death.status) && WEXITSTATUS(death.status) == TEST_SKIPPED)
        return TEST_SKIPPED;
    if (expected->says & MAY_GO_ON && ended && death.lines == 0)
        return 0;
    if (expected->says & MAY_FAULT && WIFSIGNALED(death.status) && WTERMSIG(death.status) == SIGSEGV)
        return 0;
    if (expected->lines && ended && death.lines == expected->lines)
        return 0;
    if (!expected->lines && aborted && death.lines == 1 && one_of_the_forms(death.text))
        return 0;
    printf("%s %zu: ended with %s and %u lines on stderr; pointer %#" PRIxPTR ", block %#" PRIxPTR " of %zu bytes, "
           "forms %#x\n%s",
           misuse->name, size, death_describe(&death), death.lines, expected->pointer, expected->block,
           expected->block_size, expected->says, death.text);
    return 1;
}

int main(int count, char **arguments)
{
    CHECKF(count >= 2, "usage: misuse CASE [SIZE] | product ORIGIN | list");
    const char *name = arguments[1];
    size_t size = count > 2 ? strtoull(arguments[2], NULL, 10) : 64;
    expected = mmap(NULL, sizeof(*expected), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(expected != MAP_FAILED);
    e = entries_get();
    if (!strcmp(name, "product"))
        return product(count > 2 ? arguments[2] : "malloc", run);
    for (size_t group = 0; group < sizeof(all_misuses) / sizeof(all_misuses[0]); group++) {
        for (const struct misuse *misuse = all_misuses[group]; misuse->name; misuse++) {
            if (!strcmp(name, "list"))
                puts(misuse->name);
            else if (!strcmp(name, misuse->name))
                return run(misuse, size);
        }
    }
    return strcmp(name, "list") != 0;
}
