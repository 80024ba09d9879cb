/* SPDX-License-Identifier: MIT
 *
 * reserved WHEN PIECES GIB | reserved between | reserved legacy ...: what the program itself does with its addresses.
 *
 * PIECES mappings of so many GiB that nothing touches, WHEN before the first malloc or after it; or now and then one
 * right behind what malloc took last. Then blocks of all kinds come and go, and each is known. With `legacy` the
 * program starts itself again, without randomisation and with a stack without limit, for which kernels fill the address
 * space from the low end; the other arguments follow.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

enum { UNIT = 2 << 20 };

static size_t pieces, gib, reserved;

static void reserve(void)
{
    need_own_memory();
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    while (reserved < pieces && mmap(NULL, gib * GIB, PROT_NONE, flags, -1, 0) != MAP_FAILED)
        reserved++;
}

/* Before anything that could allocate. Reads its arguments by itself: no library has started. */
static void reserve_first(int count, char **arguments, char **environment)
{
    (void)environment;
    if (count == 4 && strcmp(arguments[1], "before") == 0) {
        pieces = strtoul(arguments[2], NULL, 10);
        gib = strtoul(arguments[3], NULL, 10);
        reserve();
    }
}

__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = reserve_first;

/* One of the sizes, from a slab's to that of a mapping of its own. */
static size_t choose(uint64_t *random)
{
    static const size_t most[] = {200, 1024, 32768, 400000, 5000000};
    size_t kind = random_below(random, 200);
    return kind == 0 ? 40 * MIB : 16 + random_below(random, most[kind % 5]);
}

/* Where somebody is, some kernels say so and others map elsewhere. */
static void map_behind(const void *block)
{
    char *at = (char *)(((uintptr_t)block | (UNIT - 1)) + 1);
    for (int i = 0; i < 100; i++, at += UNIT) {
        char *p = mmap(at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == at)
            return;
        if (p != MAP_FAILED)
            munmap(p, 4096);
    }
}

static void come_and_go(bool obstacles)
{
    enum { BLOCKS = 20000, TURNS = 60000 };
    static struct {
        unsigned char *start;
        size_t size;
    } blocks[BLOCKS];
    uint64_t random = 17;
    size_t live = 0, most = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        size_t at = random_below(&random, BLOCKS);
        if (blocks[at].start || live > 400 * MIB) {
            size_t size = blocks[at].size;
            if (!blocks[at].start)
                continue;
            CHECK(blocks[at].start[0] == (unsigned char)at && blocks[at].start[size - 1] == (unsigned char)at);
            CHECK(malloc_usable_size(blocks[at].start) >= size);
            free(blocks[at].start);
            blocks[at].start = NULL;
            live -= size;
            continue;
        }
        size_t size = choose(&random);
        blocks[at].start = malloc(size);
        CHECKF(blocks[at].start, "%zu bytes are refused with errno %d, %zu MiB are live", size, errno, live / MIB);
        CHECK(malloc_usable_size(blocks[at].start) >= size);
        blocks[at].start[0] = blocks[at].start[size - 1] = (unsigned char)at;
        blocks[at].size = size;
        live += size;
        most = live > most ? live : most;
        if (obstacles && i % 16 == 0)
            map_behind(blocks[at].start);
    }
    for (size_t at = 0; at < BLOCKS; at++)
        free(blocks[at].start);
    CHECK(most > 300 * MIB);
}

static void start_again(char **arguments)
{
    need_execution();
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_STACK, &unlimited) != 0)
        check_skip("the stack's limit stays (errno %d)", errno);
    if (personality(ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT) == -1)
        check_skip("personality is refused (errno %d)", errno);
    memmove(arguments + 1, arguments + 2, sizeof(*arguments) * 4);
    execv("/proc/self/exe", arguments);
    check_failed(__FILE__, __LINE__, "exec: errno %d", errno);
}

int main(int count, char **arguments)
{
    CHECK(count > 1 && first == reserve_first);
    if (strcmp(arguments[1], "legacy") == 0)
        start_again(arguments);
    check_watchdog(60);
    if (strcmp(arguments[1], "between") == 0) {
        come_and_go(true);
        return 0;
    }
    CHECK(count == 4);
    if (strcmp(arguments[1], "after") == 0) {
        free(malloc(100));
        pieces = strtoul(arguments[2], NULL, 10);
        gib = strtoul(arguments[3], NULL, 10);
        reserve();
    }
    check_note("%zu pieces of %zu GiB", reserved, gib);
    if (reserved == 0)
        check_skip("no %zu GiB of addresses can be had (errno %d)", gib, errno);
    come_and_go(false);
    return 0;
}
