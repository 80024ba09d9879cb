/* SPDX-License-Identifier: MIT
 *
 * dlopen_late LIBHAKMEM: a program on the C library's malloc that loads hakmem later, in its main thread and in
 * another, uses the hak_ names from several threads and closes it. A thread that used it and ends after dlclose must
 * not fall into a hole.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 10, THREADS = 4, BLOCKS = 500 };

static const char *path;
static void *(*hak_malloc)(size_t);
static void *(*hak_realloc)(void *, size_t);
static void (*hak_free)(void *);
static pthread_barrier_t used, closed;

static void bind(void *library, const char *name, void *slot)
{
    void *address = dlsym(library, name);
    CHECKF(address, "no %s", name);
    memcpy(slot, &address, sizeof(address));
}

static void *open_library(void *argument)
{
    (void)argument;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    check_opened(library, dlerror());
    bind(library, "hak_malloc", &hak_malloc);
    bind(library, "hak_realloc", &hak_realloc);
    bind(library, "hak_free", &hak_free);
    return library;
}

static void use(uint64_t seed)
{
    unsigned char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = hak_malloc(1 + i * 11);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], 1 + i * 11, seed + i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = hak_realloc(blocks[i], 100 + i * 40);
        CHECK(blocks[i]);
        size_t kept = 1 + i * 11 < 100 + i * 40 ? 1 + i * 11 : 100 + i * 40;
        CHECK(pattern_check(blocks[i], kept, seed + i) == kept);
        hak_free(blocks[i]);
    }
}

static void *user(void *argument)
{
    use((uint64_t)(uintptr_t)argument);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return NULL;
}

int main(int count, char **arguments)
{
    check_watchdog(60);
    CHECK(count == 2);
    path = arguments[1];
    CHECK(pthread_barrier_init(&used, NULL, THREADS + 1) == 0);
    CHECK(pthread_barrier_init(&closed, NULL, THREADS + 1) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS], opener;
        void *library;
        if (round % 2) {
            CHECK(pthread_create(&opener, NULL, open_library, NULL) == 0);
            CHECK(pthread_join(opener, &library) == 0);
        } else {
            library = open_library(NULL);
        }
        for (size_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, user, (void *)(uintptr_t)(i * 1000)) == 0);
        use(77);
        pthread_barrier_wait(&used);
        CHECK(dlclose(library) == 0);
        pthread_barrier_wait(&closed);
        for (size_t i = 0; i < THREADS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        void *own = malloc(1000);
        CHECK(own);
        free(own);
    }
    return 0;
}
