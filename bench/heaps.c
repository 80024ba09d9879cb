/* SPDX-License-Identifier: MIT
 *
 * heaps: HEAPS heaps of BLOCKS blocks of 16 to 512 bytes, every block written, by THREADS threads; then all of it is
 * given back. `destroy`: each heap at once. `free`: each block of the heaps one by one, then the empty heap. `malloc`:
 * the same blocks of the program's heap, freed one by one.
 *
 *   heaps destroy|free|malloc [HEAPS [BLOCKS [THREADS]]]
 *
 * Prints ns per block to make and to give back, and the resident KiB before, full, given back, and after hak_trim.
 * Needs hakmem: it calls hak_ names.
 */
#include <hakmem/hakmem.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum way { DESTROY, FREE, MALLOC };
static enum way way;
static size_t heap_count = 10000, block_count = 1000, thread_count = 8;
static hak_heap **heaps;
static char **blocks; /* of all heaps; unused with `destroy` */
static pthread_barrier_t barrier;

static size_t size_of(size_t n)
{
    return 16 + n * 2654435761u % 32 * 16;
}

static void die(const char *what)
{
    fprintf(stderr, "heaps: %s\n", what);
    exit(1);
}

static void make(size_t h)
{
    heaps[h] = way != MALLOC ? hak_heap_new(0) : NULL;
    if (way != MALLOC && heaps[h] == NULL)
        die("no memory");
    for (size_t n = 0; n < block_count; n++) {
        char *block = way != MALLOC ? hak_heap_malloc(heaps[h], size_of(n)) : hak_malloc(size_of(n));
        if (block == NULL)
            die("no memory");
        block[0] = 1;
        if (way != DESTROY)
            blocks[h * block_count + n] = block;
    }
}

static void give_back(size_t h)
{
    for (size_t n = 0; n < block_count && way != DESTROY; n++) {
        if (way == FREE)
            hak_heap_free(heaps[h], blocks[h * block_count + n]);
        else
            hak_free(blocks[h * block_count + n]);
    }
    if (way != MALLOC)
        hak_heap_destroy(heaps[h]);
}

static void *work(void *argument)
{
    size_t thread = (size_t)argument;
    pthread_barrier_wait(&barrier);
    for (size_t h = thread; h < heap_count; h += thread_count)
        make(h);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (size_t h = thread; h < heap_count; h += thread_count)
        give_back(h);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        die("cannot read /proc/self/statm");
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run(void)
{
    pthread_t threads[256];
    double total = (double)heap_count * (double)block_count;
    for (size_t i = 0; i < thread_count; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
            die("cannot start a thread");
    }
    long before = resident_kib();
    double start = now_ns();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    double made = now_ns();
    long full = resident_kib();
    double begin = now_ns();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    double end = now_ns();
    long given = resident_kib();
    for (size_t i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    hak_trim(0);
    printf("make %.1f ns, give back %.1f ns a block; KiB: before %ld, full %ld, given back %ld, trimmed %ld\n",
           (made - start) / total, (end - begin) / total, before, full, given, resident_kib());
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {"destroy", "free", "malloc"};
    for (way = DESTROY; way <= MALLOC && (argc < 2 || strcmp(argv[1], ways[way]) != 0); way++) {
    }
    if (argc > 2)
        heap_count = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        block_count = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        thread_count = strtoul(argv[4], NULL, 10);
    if (way > MALLOC || argc > 5 || heap_count == 0 || block_count == 0 || thread_count == 0 || thread_count > 256)
        die("usage: heaps destroy|free|malloc [HEAPS [BLOCKS [THREADS]]]");
    heaps = calloc(heap_count, sizeof *heaps);
    blocks = way != DESTROY ? calloc(heap_count * block_count, sizeof *blocks) : NULL;
    if (heaps == NULL || (way != DESTROY && blocks == NULL))
        die("no memory");
    for (size_t i = 0; way != DESTROY && i < heap_count * block_count; i += 512)
        blocks[i] = (char *)heaps; /* resident before it is measured */
    pthread_barrier_init(&barrier, NULL, (unsigned)thread_count + 1);
    run();
    return 0;
}
