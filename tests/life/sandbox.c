/* SPDX-License-Identifier: MIT
 *
 * A program that locks itself in after its first block, as renderers and parsers do: system calls that an allocator
 * does not need for memory end it. Then 1 GiB of blocks of all sizes come and go, never more than 200 MiB at a time.
 *
 * usage: sandbox one|two|files [LIBRARY]
 *
 * one, two  so many threads, the second made before; all calls but those of docs/process.md end the process
 * files     four threads, made after; what opens a descriptor ends the process
 *
 * With a LIBRARY that is loaded late, and its hak_ names are used.
 */
#include "check.h"
#include "config.h"
#include "filter.h"
#include "proc.h"
#include "slot.h"

#include <dlfcn.h>
#include <linux/mempolicy.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLOTS = 256 };

static struct {
    void *(*take)(size_t);
    void *(*zeroed)(size_t, size_t);
    void *(*resize)(void *, size_t);
    void *(*aligned)(size_t, size_t);
    void (*give)(void *);
} with = {malloc, calloc, realloc, aligned_alloc, free};

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    check_opened(library, dlerror());
    *(void **)&with.take = dlsym(library, "hak_malloc");
    *(void **)&with.zeroed = dlsym(library, "hak_calloc");
    *(void **)&with.resize = dlsym(library, "hak_realloc");
    *(void **)&with.aligned = dlsym(library, "hak_aligned_alloc");
    *(void **)&with.give = dlsym(library, "hak_free");
    CHECK(with.take && with.zeroed && with.resize && with.aligned && with.give);
}

/* So large that a block of any kind is one in a few, and each kind has about as many bytes. */
static size_t random_size(uint64_t *random)
{
    uint64_t kind = random_below(random, 4000);
    size_t most = kind < 3600 ? 1024 : kind < 3950 ? 32 * KIB : kind < 3999 ? MIB : 40 * MIB;
    return 1 + random_below(random, most);
}

/* The block of the slot is another one, or has another size. */
static void change(struct slot *s, uint64_t *random)
{
    uint64_t how = random_below(random, 8);
    size_t size = random_size(random);
    if (how < 2 && s->block != NULL) {
        slot_resize(s, with.resize, size);
    } else {
        with.give(s->block);
        s->block = how == 3   ? with.zeroed(1, size)
                   : how == 4 ? with.aligned((size_t)32 << random_below(random, 14), size)
                              : with.take(size);
        CHECK(s->block == NULL || how != 3 || pattern_nonzero(s->block, size) == size);
    }
    slot_fill(s, size, random);
}

/* Blocks come and go until `bytes` have; at most `most` bytes live. */
static void come_and_go(uint64_t random, size_t bytes, size_t most)
{
    static _Thread_local struct slot slots[SLOTS];
    size_t live = 0;
    for (size_t total = 0; total < bytes;) {
        struct slot *s = &slots[random_below(&random, SLOTS)];
        slot_check(s);
        live -= s->size;
        change(s, &random);
        live += s->size;
        total += s->size;
        for (size_t i = 0; i < SLOTS && live > most; i++) {
            slot_check(&slots[i]);
            with.give(slots[i].block);
            live -= slots[i].size;
            slots[i] = (struct slot){0};
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        slot_check(&slots[i]);
        with.give(slots[i].block);
        slots[i] = (struct slot){0};
    }
}

static pthread_barrier_t locked_in;

static void *second(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&locked_in); /* the C library's calls of a thread's start are done */
    pthread_barrier_wait(&locked_in);
    come_and_go(2, 512 * MIB, 100 * MIB);
    return NULL;
}

static void *large(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    come_and_go(random, 128 * MIB, 50 * MIB);
    for (int i = 0; i < 3000; i++) {
        size_t size = 40000 + random_below(&random, MIB);
        char *block = with.take(size);
        CHECK(block != NULL);
        block[0] = block[size - 1] = 1;
        with.give(block);
    }
    return NULL;
}

/* The system's calls of a C library thread's end, of its locks, and what docs/process.md lists. */
static void lock_in(void)
{
    long calls[32] = {SYS_read,         SYS_write,          SYS_mmap,        SYS_munmap, SYS_mprotect,
                      SYS_madvise,      SYS_mremap,         SYS_futex,       SYS_exit,   SYS_exit_group,
                      SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn};
    size_t count = 13;
    uint64_t nodes[16] = {0};
    if (getauxval(AT_SYSINFO_EHDR) == 0)
        calls[count++] = SYS_clock_gettime;
    if (syscall(SYS_get_mempolicy, NULL, nodes, 1025, NULL, MPOL_F_MEMS_ALLOWED) == 0 &&
        (nodes[0] & (nodes[0] - 1)) != 0)
        calls[count++] = SYS_mbind;
    if (HK_FRONT_PERCPU)
        calls[count++] = SYS_membarrier; /* malloc_trim, and before an allocation fails */
    filter_allow_only(calls, count);
}

static void without_files(void)
{
    static const long calls[] = {
#ifdef SYS_open
        SYS_open,   SYS_creat,
#endif
        SYS_openat, SYS_openat2,      SYS_dup,      SYS_dup3,           SYS_socket,
        SYS_pipe2,  SYS_memfd_create, SYS_eventfd2, SYS_timerfd_create, SYS_epoll_create1,
    };
    filter_forbid(calls, sizeof calls / sizeof calls[0]);
}

int main(int count, char **arguments)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    size_t made = 0;
    CHECK(count >= 2);
    check_watchdog(110);
    if (count > 2)
        load(arguments[2]);
    with.give(with.take(100));
    if (arguments[1][0] == 'f') {
        without_files();
        for (; made < THREADS; made++)
            CHECK(pthread_create(&threads[made], NULL, large, (void *)(made + 1)) == 0);
    } else {
        if (arguments[1][0] == 't') {
            CHECK(pthread_barrier_init(&locked_in, NULL, 2) == 0);
            CHECK(pthread_create(&threads[made++], NULL, second, NULL) == 0);
            pthread_barrier_wait(&locked_in);
        }
        lock_in();
        if (made != 0)
            pthread_barrier_wait(&locked_in);
        come_and_go(1, made != 0 ? 512 * MIB : GIB, made != 0 ? 100 * MIB : 200 * MIB);
    }
    while (made > 0)
        CHECK(pthread_join(threads[--made], NULL) == 0);
    if (count == 2) {
        CHECK(mallinfo2().arena >= mallinfo2().uordblks);
        malloc_trim(0);
    }
    return 0;
}
