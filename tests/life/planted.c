/* SPDX-License-Identifier: MIT
 *
 * planted late | behind: a fault in a program that makes ten million allocations, of which one in a thousand is used
 * wrongly: read after its free, or right behind its end. With guarded blocks one of ten runs tells it, with who used
 * the block, who asked for it, and who freed it. (What a run finds hangs on the time that blocks take; nearly each
 * does.)
 */
#include "check.h"
#include "death.h"

#include <hakmem/hakmem.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { ALLOCATIONS = 10000000, ONE_IN = 1000, RUNS = 10 };

/* The compiler is to know nothing of these, nor to make them jumps at a function's end. */
static char *volatile block;
static volatile char seen;

__attribute__((noinline)) static void asks_often(size_t size)
{
    block = malloc(size);
    seen = block != NULL;
}

/* Not the same code, or it is one function. */
__attribute__((noinline)) static void asks_seldom(size_t size)
{
    block = malloc(size);
    seen = 2;
}

__attribute__((noinline)) static void frees_it(void)
{
    free(block);
    seen = 0;
}

__attribute__((noinline)) static void reads_wrongly(const char *at)
{
    seen = *(const volatile char *)at;
    seen = 1;
}

/* With -Dtail a block has an end behind what it can hold, and up to its alignment a rest of its page. */
static size_t behind(void)
{
    return hak_good_size(100) == 100 ? 16 : 0;
}

static void allocate(void *is_late)
{
    bool late = *(const bool *)is_late;
    CHECK(hak_guard_start() == 0);
    for (unsigned i = 1; i <= ALLOCATIONS; i++) {
        size_t size = 16 + i * 16 % 1008;
        if (i % ONE_IN != 0) {
            asks_often(size);
            frees_it();
            continue;
        }
        asks_seldom(size);
        if (!late)
            reads_wrongly(block + hak_malloc_usable_size(block) + behind());
        frees_it();
        if (late)
            reads_wrongly(block + size / 2);
    }
}

/* Does the part of the report that begins so name the function? */
static bool names(const char *text, const char *part, const char *function)
{
    const char *start = strstr(text, part), *end = start != NULL ? strstr(start + 1, "\nhakmem: ") : NULL;
    const char *found = start != NULL ? strstr(start, function) : NULL;
    return found != NULL && (end == NULL || found < end);
}

static bool tells_all(const struct death *death, bool late)
{
    return WIFSIGNALED(death->status) && WTERMSIG(death->status) == SIGSEGV &&
           strstr(death->text, late ? "use after free: somebody read" : " bytes behind the ") != NULL &&
           names(death->text, "hakmem: found in thread ", "reads_wrongly") &&
           names(death->text, "hakmem: the block was asked for by thread ", "asks_seldom") &&
           (!late || names(death->text, "hakmem: the block was freed by thread ", "frees_it"));
}

int main(int count, char **arguments)
{
    static struct death death;
    CHECKF(count == 2, "usage: planted late|behind");
    bool late = strcmp(arguments[1], "late") == 0;
    for (unsigned run = 1; run <= RUNS; run++) {
        death_run(&death, allocate, &late);
        if (tells_all(&death, late)) {
            check_note("told by run %u", run);
            return 0;
        }
        CHECKF(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0, "%s\n%s", death_describe(&death), death.text);
    }
    CHECKF(false, "none of %d runs told it", RUNS);
    return 1;
}
