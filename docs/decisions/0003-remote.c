/* SPDX-License-Identifier: MIT
 * One thread allocates 100000 blocks and waits; another frees them all, in order or (with an argument) in random order.
 * See decision 0003. */
#include <hakmem/hakmem.h>
#include <pthread.h>
#include <stdio.h>

enum { BLOCKS = 100000 };

static void *block[BLOCKS];
static pthread_barrier_t barrier;

static void *allocate(void *unused)
{
    for (int i = 0; i < BLOCKS; i++)
        block[i] = hak_malloc(64);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return unused;
}

static void *free_all(void *unused)
{
    for (int i = 0; i < BLOCKS; i++)
        hak_free(block[i]);
    return unused;
}

static void shuffle(void)
{
    uint64_t random = 42;
    for (uint64_t i = BLOCKS - 1; i > 0; i--) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t j = (random >> 33) % (i + 1);
        void *other = block[i];
        block[i] = block[j];
        block[j] = other;
    }
}

int main(int argc, char **argv)
{
    struct hak_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    pthread_t one, other;
    (void)argv;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&one, NULL, allocate, NULL);
    pthread_barrier_wait(&barrier);
    if (argc > 1)
        shuffle();
    hak_stats(&before);
    pthread_create(&other, NULL, free_all, NULL);
    pthread_join(other, NULL);
    hak_stats(&after);
    printf("%d blocks, %llu flushes, %llu slabs woken\n", BLOCKS, (unsigned long long)(after.flushes - before.flushes),
           (unsigned long long)(after.remote_chains - before.remote_chains));
    pthread_barrier_wait(&barrier);
    pthread_join(one, NULL);
    return 0;
}
