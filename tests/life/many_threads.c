/* SPDX-License-Identifier: MIT
 *
 * many_threads N: so many threads are alive at once, each with blocks of several sizes; then there is memory for all.
 */
#include "check.h"
#include "proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t ready;
static int end;

static void *stay(void *argument)
{
    static const size_t sizes[] = {24, 64, 500, 3000};
    unsigned char *blocks[4];
    for (size_t i = 0; i < 4; i++) {
        blocks[i] = malloc(sizes[i]);
        CHECKF(blocks[i], "%zu bytes are refused, errno %d, %zu threads live", sizes[i], errno, ready);
        memset(blocks[i], 7, sizes[i]);
    }
    pthread_mutex_lock(&mutex);
    ready++;
    pthread_cond_broadcast(&changed);
    while (!end)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < 4; i++) {
        CHECK(blocks[i][0] == 7 && blocks[i][sizes[i] - 1] == 7);
        free(blocks[i]);
    }
    return argument;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    check_watchdog(100);
    size_t wanted = check_fewer(strtoul(arguments[1], NULL, 10)), made = 0;
    pthread_t *threads = malloc(wanted * sizeof(*threads));
    pthread_attr_t attributes;
    CHECK(threads && pthread_attr_init(&attributes) == 0);
    long least = sysconf(_SC_THREAD_STACK_MIN); /* 128 KiB with glibc on aarch64 */
    CHECK(pthread_attr_setstacksize(&attributes, least > (long)(32 * KIB) ? (size_t)least : 32 * KIB) == 0);
    int error = 0;
    while (made < wanted && (error = pthread_create(&threads[made], &attributes, stay, NULL)) == 0)
        made++;
    pthread_mutex_lock(&mutex);
    while (ready < made)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);

    enum { MORE = 200000 };
    static void *blocks[MORE];
    for (size_t i = 0; i < MORE; i++) {
        blocks[i] = malloc(i % 100 ? 500 : 50000);
        CHECKF(blocks[i], "a block is refused, errno %d, %zu threads live", errno, made);
    }
    void *large = malloc(40 * MIB);
    CHECK(large);
    free(large);
    for (size_t i = 0; i < MORE; i++)
        free(blocks[i]);

    pthread_mutex_lock(&mutex);
    end = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < made; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    if (made < wanted)
        check_skip("the system allows %zu threads of %zu (%d)", made, wanted, error);
    return 0;
}
