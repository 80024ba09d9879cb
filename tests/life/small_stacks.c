/* SPDX-License-Identifier: MIT
 *
 * Threads with the smallest stack (16 KiB, or what the C library asks for) call everything.
 */
#include "check.h"
#include "proc.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 300, BLOCKS = 300 };

static void *thread_body(void *argument)
{
    static _Thread_local unsigned char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = i % 40 == 0 ? calloc(1, i * 2000 + 1) : malloc(1 + i * 7);
        CHECK(blocks[i]);
        blocks[i][0] = 1;
    }
    void *aligned;
    CHECK(posix_memalign(&aligned, 65536, 100) == 0);
    free(aligned);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = realloc(blocks[i], 1 + i * 13);
        CHECK(blocks[i] && malloc_usable_size(blocks[i]) >= 1 + i * 13);
        free(blocks[i]);
    }
    free(malloc(50 * MIB));
    malloc_trim(0);
    return argument;
}

int main(void)
{
    check_watchdog(60);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    /* Where threads have more at least, they have that: 128 KiB with glibc on aarch64. */
    long smallest = sysconf(_SC_THREAD_STACK_MIN);
    CHECK(pthread_attr_setstacksize(&attributes, smallest > 16384 ? (size_t)smallest : 16384) == 0);
    pthread_t thread;
    for (int i = 0; i < THREADS; i++) {
        int error = pthread_create(&thread, &attributes, thread_body, NULL);
        if (error == EINVAL && i == 0) { /* the static TLS of this program leaves no room in 16 KiB */
            long least = sysconf(_SC_THREAD_STACK_MIN);
            CHECK(pthread_attr_setstacksize(&attributes, (size_t)least) == 0);
            error = pthread_create(&thread, &attributes, thread_body, NULL);
        }
        CHECKF(error == 0, "pthread_create: %d", error);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
