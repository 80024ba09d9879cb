/* SPDX-License-Identifier: MIT
 *
 * freed_space [STEP]: the program limits its own address space, fills it with blocks of one size and frees them. What
 * they left is enough for one large block, for a mapping of the program's own, and for a thread. With STEP for every so
 * manieth of the sizes.
 */
#include "check.h"
#include "needs.h"
#include "death.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct life {
    size_t size;  /* of the blocks */
    size_t share; /* of the room in per cent that they take; 100: until they are refused */
    int trims;
};

static const size_t room = 120 * MIB;

/* Linked to one another: a table of them would need room, too. */
static size_t fill(const struct life *life)
{
    void *list = NULL;
    size_t bytes = 0;
    for (void **block; bytes < room / 100 * life->share || life->share == 100; list = block, bytes += life->size) {
        block = malloc(life->size);
        if (block == NULL)
            break;
        *block = list;
        CHECKF(bytes < 2 * room, "the limit is not felt");
    }
    for (void *next; list != NULL; list = next) {
        next = *(void **)list;
        free(list);
    }
    return bytes;
}

static void *nothing(void *argument)
{
    free(malloc(100));
    return argument;
}

static void make_thread(size_t stack)
{
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, stack) == 0);
    int error = pthread_create(&thread, &attributes, nothing, NULL);
    CHECKF(error == 0, "a thread with %zu MiB of stack: %d", stack / MIB, error);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void live(void *argument)
{
    const struct life *life = argument;
    check_alarm(60);
    size_t limit = proc_status_bytes(0, "VmSize:") + room;
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    size_t bytes = fill(life);
    CHECKF(bytes >= room / 2, "refused after %zu MiB", bytes / MIB);
    if (life->trims)
        malloc_trim(0);
    size_t half = room / 2;
    if (life->share < 100) { /* until malloc itself was refused something, what is free stays mapped */
        void *block = malloc(half);
        CHECKF(block != NULL, "%zu MiB are refused", half / MIB);
        free(block);
    }
    void *mapping = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECKF(mapping != MAP_FAILED, "the program's own %zu MiB are refused", half / MIB);
    CHECK(munmap(mapping, half) == 0);
    make_thread(half);
    make_thread(8 * MIB);
    void *block = malloc(half);
    CHECKF(block != NULL, "%zu MiB are refused", half / MIB);
    free(block);
    CHECK(fill(life) >= bytes / 10 * 9);
}

int main(int count, char **arguments)
{
    static const size_t sizes[] = {100, 1000, 9000, 32768, 100000, 3000000};
    check_watchdog(120);
    size_t step = count > 1 ? strtoul(arguments[1], NULL, 10) : 1;
    CHECK(step > 0);
    need_address_limit();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += step) {
        struct life lives[] = {{sizes[i], 70, 1}, {sizes[i], 70, 0}, {sizes[i], 100, 0}};
        for (size_t j = 0; j < sizeof(lives) / sizeof(lives[0]); j++) {
            static struct death death;
            death_run(&death, live, &lives[j]);
            CHECKF(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0,
                   "blocks of %zu, %zu %% of the room%s: %s\n%s", lives[j].size, lives[j].share,
                   lives[j].trims ? ", trimmed" : "", death_describe(&death), death.text);
        }
    }
    return 0;
}
