/* SPDX-License-Identifier: MIT
 *
 * A thread that ends while the process does, after the library was told to end: nobody calls it at its end any more,
 * and its stack, in which its bins lie, is unmapped. Who asks for statistics then must not look there.
 */
#include "check.h"

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)256 << 10)

static sem_t filled, may_end;
static pthread_t thread;
static void *stack;

static void *fill_bins(void *unused)
{
    for (size_t size = 16; size <= 1024; size += 16)
        free(malloc(size));
    sem_post(&filled);
    while (sem_wait(&may_end) != 0)
        continue;
    return unused;
}

/* Where the library is linked into the program it runs after the library's own, which has the same priority and is
 * linked later; a preloaded one comes after all. */
__attribute__((destructor(101))) static void end_late(void)
{
    if (stack == NULL)
        return;
    sem_post(&may_end);
    if (pthread_join(thread, NULL) != 0 || munmap(stack, STACK_BYTES) != 0)
        _exit(3);
    mallinfo2();
}

int main(void)
{
    pthread_attr_t attr;
    check_watchdog(60);
    CHECK(sem_init(&filled, 0, 0) == 0 && sem_init(&may_end, 0, 0) == 0);
    stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED && pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
    CHECK(pthread_create(&thread, &attr, fill_bins, NULL) == 0);
    while (sem_wait(&filled) != 0)
        continue;
    return 0;
}
