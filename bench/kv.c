/* SPDX-License-Identifier: MIT
 *
 * KV: a server that keeps values under keys. Each thread has requests of its own: it looks a key up and copies the
 * value into a reply, stores a new value, or deletes a key; some keys are asked for much more often than others. The
 * table is in shards with a lock each. A value that is replaced was mostly made by another thread, some time ago.
 */
#include "sizes.h"

enum { REQUESTS, THREADS, KEYS, MIN, MAX, GET, SET, DELETE, SEED };
#define SHARDS 64u
#define MAX_KEY 64 /* bytes with the final zero; at least 16 */

struct entry {
    struct entry *next;
    char *key, *value;
    uint64_t hash;
    size_t size; /* of the value */
};

struct shard {
    _Alignas(128) pthread_mutex_t lock; /* of all entries in it */
    struct entry **buckets;
};

static struct {
    struct shard *shards;
    struct bench_sizes sizes;
    uint32_t keys, buckets, get, set, sum; /* the weights of requests, and of all three */
} server;

struct worker { /* on cache lines of its own: its thread writes to it all the time */
    _Alignas(128) uint64_t random, requests;
    unsigned index;
};

/* The text of the number-th key, and its hash: the length is one of the key, always the same. */
static uint64_t make_key(char *key, uint32_t number)
{
    uint64_t hash = bench_seed(number);
    size_t length = 15 + bench_scale(hash >> 32, MAX_KEY - 15);
    memset(key, 'k', length);
    for (unsigned i = 0; i < 15; i++)
        key[i] = (char)('a' + (hash >> i * 4 & 15));
    key[length] = '\0';
    return hash;
}

/* 32 random bits, low numbers more often than high ones: half of them are in the lowest quarter. */
static uint64_t skew(uint64_t random)
{
    return (random & UINT32_MAX) * (random & UINT32_MAX) >> 32;
}

static char *make_value(uint64_t random, size_t *size)
{
    *size = bench_draw(server.sizes, skew(random));
    char *value = malloc(*size);
    memset(value, (char)random, *size);
    return value;
}

static struct entry **find(struct shard *shard, const char *key, uint64_t hash)
{
    struct entry **link = &shard->buckets[bench_scale(hash, server.buckets)];
    while (*link != NULL && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

static void get(struct shard *shard, const char *key, uint64_t hash)
{
    char *reply = NULL;
    size_t size = 0;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = *find(shard, key, hash);
    if (entry != NULL) {
        size = entry->size;
        reply = malloc(size);
        memcpy(reply, entry->value, size);
    }
    pthread_mutex_unlock(&shard->lock);
    if (reply != NULL && reply[0] != reply[size - 1])
        bench_die("a value has other bytes than it was stored with");
    free(reply);
}

static void set(struct shard *shard, const char *key, uint64_t hash, uint64_t random)
{
    size_t size;
    char *value = make_value(random, &size), *old = NULL;
    pthread_mutex_lock(&shard->lock);
    struct entry **link = find(shard, key, hash), *entry = *link;
    if (entry == NULL) {
        size_t length = strlen(key) + 1;
        entry = malloc(sizeof(*entry));
        *entry = (struct entry){.key = malloc(length), .hash = hash};
        memcpy(entry->key, key, length);
        *link = entry;
    }
    old = entry->value;
    entry->value = value;
    entry->size = size;
    pthread_mutex_unlock(&shard->lock);
    free(old);
}

static void free_entry(struct entry *entry)
{
    free(entry->key);
    free(entry->value);
    free(entry);
}

static void drop(struct shard *shard, const char *key, uint64_t hash)
{
    pthread_mutex_lock(&shard->lock);
    struct entry **link = find(shard, key, hash), *entry = *link;
    if (entry != NULL)
        *link = entry->next;
    pthread_mutex_unlock(&shard->lock);
    if (entry != NULL)
        free_entry(entry);
}

static void *serve(void *argument)
{
    struct worker *worker = argument;
    bench_pin(worker->index);
    for (uint64_t i = 0; i < worker->requests; i++) {
        uint64_t bits = bench_next(&worker->random), more = bench_next(&worker->random);
        uint32_t dice = bench_scale(more, server.sum);
        char *key = malloc(MAX_KEY); /* the request itself comes in a block too */
        uint64_t hash = make_key(key, bench_scale(skew(bits), server.keys));
        struct shard *shard = &server.shards[hash >> 32 & (SHARDS - 1)];
        if (dice < server.get)
            get(shard, key, hash);
        else if (dice < server.get + server.set)
            set(shard, key, hash, more >> 32);
        else
            drop(shard, key, hash);
        free(key);
    }
    return NULL;
}

/* Every key has a value before the clock starts. */
static void make_server(uint64_t seed)
{
    uint64_t random = bench_seed(seed);
    char key[MAX_KEY];
    server.buckets = server.keys / SHARDS + 1;
    server.shards = bench_table(SHARDS, sizeof(*server.shards));
    for (unsigned s = 0; s < SHARDS; s++) {
        pthread_mutex_init(&server.shards[s].lock, NULL);
        server.shards[s].buckets = bench_table(server.buckets, sizeof(*server.shards[s].buckets));
    }
    for (uint32_t number = 0; number < server.keys; number++) {
        uint64_t hash = make_key(key, number);
        set(&server.shards[hash >> 32 & (SHARDS - 1)], key, hash, bench_next(&random) >> 32);
    }
}

static void free_server(void)
{
    for (unsigned s = 0; s < SHARDS; s++) {
        for (uint32_t b = 0; b < server.buckets; b++) {
            while (server.shards[s].buckets[b] != NULL) {
                struct entry *entry = server.shards[s].buckets[b];
                server.shards[s].buckets[b] = entry->next;
                free_entry(entry);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct bench_arg args[] = {
        [REQUESTS] = {.name = "requests", .value = 500000, .max = BENCH_MAX_ITERATIONS, .help = "of one thread"},
        [THREADS] = {.name = "threads", .value = 2, .min = 1, .max = BENCH_MAX_THREADS, .help = "at once"},
        [KEYS] = {.name = "keys", .value = 20000, .min = 1, .max = 1 << 28, .help = "different ones"},
        [MIN] = {.name = "min", .value = 32, .min = 1, .max = BENCH_MAX_SIZE, .help = "smallest value, bytes"},
        [MAX] = {.name = "max", .value = 4096, .min = 1, .max = BENCH_MAX_SIZE, .help = "largest value, bytes"},
        [GET] = {.name = "get", .value = 60, .max = 1000, .help = "weight of requests that read"},
        [SET] = {.name = "set", .value = 30, .max = 1000, .help = "weight of those that store"},
        [DELETE] = {.name = "delete", .value = 10, .max = 1000, .help = "weight of those that delete"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "threads read, replace and delete the values of one table", args, BENCH_COUNT(args));
    unsigned threads = (unsigned)args[THREADS].value;
    server.sizes = bench_sizes(args[MIN].value, args[MAX].value);
    server.keys = (uint32_t)args[KEYS].value;
    server.get = (uint32_t)args[GET].value;
    server.set = (uint32_t)args[SET].value;
    server.sum = server.get + server.set + (uint32_t)args[DELETE].value;
    bench_pin(0);
    make_server(args[SEED].value);
    struct worker *workers = bench_table(threads, sizeof(*workers));
    for (unsigned t = 0; t < threads; t++) {
        workers[t] = (struct worker){
            .random = bench_seed(args[SEED].value + 1 + t),
            .requests = args[REQUESTS].value,
            .index = t,
        };
    }
    uint64_t start = bench_clock();
    bench_team(serve, workers, sizeof(*workers), threads);
    bench_result(start, threads * args[REQUESTS].value);
    free_server();
    return 0;
}
