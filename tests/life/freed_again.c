/* SPDX-License-Identifier: MIT
 *
 * freed_again LEAST MOST STEP: with so many MiB of address space three threads allocate until they are refused, all
 * free all, and allocate again, other sizes too: after all was freed nobody is refused. 0 MiB: no limit is set; the
 * system has one.
 */
#include "check.h"
#include "needs.h"
#include "death.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 4, REFUSALS = 3 };

struct block {
    struct block *next;
};

static pthread_barrier_t all;
static size_t had[THREADS], limit_mib;
static const struct {
    size_t least, most;
} mixes[ROUNDS] = {{32, 2000}, {1024, 65536}, {100000, 2000000}, {16, 40000}};

static size_t size_of(int mix, uint64_t *random)
{
    return mixes[mix].least + random_below(random, mixes[mix].most - mixes[mix].least);
}

static void free_all(struct block *list)
{
    for (struct block *next; list; list = next) {
        next = list->next;
        free(list);
    }
}

static size_t total(void)
{
    size_t sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += had[i];
    return sum;
}

static void *work(void *argument)
{
    int me = (int)(uintptr_t)argument;
    uint64_t random = (uint64_t)me + 5;
    for (int round = 0; round < ROUNDS; round++) {
        struct block *list = NULL;
        had[me] = 0;
        pthread_barrier_wait(&all);
        for (int refusals = 0; refusals < REFUSALS;) {
            size_t size = size_of(round, &random);
            struct block *block = malloc(size);
            if (!block) {
                CHECK(errno == ENOMEM);
                refusals++;
                continue;
            }
            block->next = list;
            list = block;
            had[me] += size;
        }
        pthread_barrier_wait(&all);
        free_all(list);
        list = NULL;
        pthread_barrier_wait(&all);
        /* A quarter of what all had, together; the mix of another round leaves other holes. */
        size_t share = total() / 4 / THREADS;
        for (size_t bytes = 0, size; bytes < share; bytes += size) {
            size = size_of((round + 1) % ROUNDS, &random);
            struct block *block = malloc(size);
            CHECKF(block,
                   "%zu MiB of address space, round %d: %zu bytes are refused, %zu of %zu KiB after all was freed",
                   limit_mib, round, size, bytes / KIB, share / KIB);
            block->next = list;
            list = block;
        }
        pthread_barrier_wait(&all);
        free_all(list);
        pthread_barrier_wait(&all);
    }
    return NULL;
}

static void one_step(void *argument)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    (void)argument;
    check_alarm(100);
    CHECK(pthread_barrier_init(&all, NULL, THREADS) == 0);
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 * KIB) == 0);
    for (int i = 1; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], &attributes, work, (void *)(uintptr_t)i) == 0);
    size_t limit = limit_mib * MIB;
    CHECK(limit == 0 || setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    work(NULL);
    for (int i = 1; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count == 4);
    need_address_limit();
    free(malloc(1));
    size_t most = strtoul(arguments[2], NULL, 10), step = strtoul(arguments[3], NULL, 10);
    for (limit_mib = strtoul(arguments[1], NULL, 10); limit_mib <= most; limit_mib += step) {
        static struct death death;
        death_run(&death, one_step, NULL);
        CHECKF(WIFEXITED(death.status) && WEXITSTATUS(death.status) == 0, "%zu MiB: %s\n%s", limit_mib,
               death_describe(&death), death.text);
    }
    return 0;
}
