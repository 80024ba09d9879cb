/* SPDX-License-Identifier: MIT
 *
 * On which node do the pages of blocks lie? For a machine with two nodes, processor 0 on node 0 and processor 1 on
 * node 1; see tests/named/numa.py. Each case runs in a process of its own. A line a case, as TAP has it: at least 95 %
 * of the pages of a thread's blocks must lie on the node of the thread.
 *
 * First touch alone puts memory that is new on the right node. So most cases look at memory that was in use before.
 */
#include "hakmem/hakmem.h"

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define BLOCKS_MAX 400000u
#define PAGES_MAX 65536u
#define BYTES (40 * MIB)
#define LEAST 95.0

#define CHECK(x) ((x) ? (void)0 : failed(#x, __LINE__))

static void failed(const char *what, int line)
{
    printf("# %s:%d: not true: %s\n", __FILE__, line, what);
    fflush(stdout);
    _exit(2);
}

/* Tiny, Mid, L25 and longer page runs. */
static const size_t sizes[] = {16, 48, 100, 256, 500, 1000, 1500, 3000, 8000, 16000, 30000, 50000, 200000, 1 << 20};
#define SIZES (sizeof sizes / sizeof sizes[0])

struct set {
    unsigned count;
    struct {
        char *start;
        size_t size;
    } block[BLOCKS_MAX];
};

/* Not from malloc, so that they are no part of what is measured. */
static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static struct set *new_set(void)
{
    return map(sizeof(struct set));
}

static void run_on(unsigned node)
{
    cpu_set_t one;
    unsigned cpu, now;
    CPU_ZERO(&one);
    CPU_SET(node, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(getcpu(&cpu, &now) == 0 && cpu == node && now == node);
}

static void add(struct set *s, size_t size, bool touch)
{
    CHECK(s->count < BLOCKS_MAX);
    char *p = hak_malloc(size);
    CHECK(p != NULL);
    if (touch)
        memset(p, 1, size);
    s->block[s->count].start = p;
    s->block[s->count++].size = size;
}

/* As many bytes of each size. */
static void fill(struct set *s, size_t bytes)
{
    for (unsigned i = 0; i < SIZES; i++) {
        for (size_t have = 0; have < bytes / SIZES; have += sizes[i])
            add(s, sizes[i], true);
    }
}

/* Every n-th block stays; 0: none does. */
static void give_back(struct set *s, unsigned n)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (n != 0 && i % n == 0)
            s->block[kept++] = s->block[i];
        else
            hak_free(s->block[i].start);
    }
    s->count = kept;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

/* The share, in percent, of the pages of all blocks that lies on the node. */
static double local(const struct set *s, unsigned node)
{
    uintptr_t *page = map(PAGES_MAX * sizeof *page);
    int *status = map(PAGES_MAX * sizeof *status);
    unsigned n = 0, unique = 0, here = 0;
    for (unsigned i = 0; i < s->count; i++) {
        uintptr_t first = (uintptr_t)s->block[i].start / PAGE, last = first;
        last = ((uintptr_t)s->block[i].start + s->block[i].size - 1) / PAGE;
        for (; first <= last; first++) {
            if (n > 0 && page[n - 1] == first * PAGE)
                continue;
            CHECK(n < PAGES_MAX);
            page[n++] = first * PAGE;
        }
    }
    qsort(page, n, sizeof *page, by_address);
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 || page[i] != page[unique - 1])
            page[unique++] = page[i];
    }
    CHECK(syscall(SYS_move_pages, 0, (long)unique, page, NULL, status, 0) == 0);
    for (unsigned i = 0; i < unique; i++) {
        CHECK(status[i] >= 0);
        here += status[i] == (int)node;
    }
    munmap(page, PAGES_MAX * sizeof *page);
    munmap(status, PAGES_MAX * sizeof *status);
    return 100.0 * here / unique;
}

static void in_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static double worst = 100;

static void expect_local(const struct set *s, unsigned node, const char *what)
{
    double share = local(s, node);
    printf("#   %-45s node %u: %.1f %%\n", what, node, share);
    worst = share < worst ? share : worst;
}

/* ---- the cases ---- */

static pthread_barrier_t both;

static void *fill_fresh(void *argument)
{
    unsigned node = (unsigned)(uintptr_t)argument;
    struct set *s = new_set();
    run_on(node);
    pthread_barrier_wait(&both);
    fill(s, BYTES);
    add(s, 40 * MIB, true);
    pthread_barrier_wait(&both);
    expect_local(s, node, "two threads, new memory");
    return NULL;
}

static void fresh(void)
{
    pthread_t thread[2];
    pthread_barrier_init(&both, NULL, 2);
    for (uintptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&thread[i], NULL, fill_fresh, (void *)i) == 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

static void *fill_and_end(void *argument)
{
    struct set *s = new_set();
    run_on((unsigned)(uintptr_t)argument);
    fill(s, BYTES);
    give_back(s, 0);
    return NULL;
}

static void *fill_after(void *argument)
{
    unsigned node = (unsigned)(uintptr_t)argument;
    struct set *s = new_set();
    run_on(node);
    fill(s, BYTES);
    expect_local(s, node, "after a thread of the other node has ended");
    give_back(s, 0);
    return NULL;
}

static void reused(void)
{
    in_thread(fill_and_end, (void *)0);
    in_thread(fill_after, (void *)1);
    in_thread(fill_after, (void *)0);
}

static void *fill_and_move(void *argument)
{
    (void)argument;
    struct set *old = new_set(), *new = new_set();
    for (unsigned node = 0; node < 2; node++) {
        run_on(node);
        new->count = 0;
        fill(new, BYTES);
        expect_local(new, node, node == 0 ? "before a move" : "after a move");
        memcpy(old, new, sizeof *old);
        give_back(old, 3); /* two thirds are free when it moves: whole slabs and runs, and parts of others */
    }
    return NULL;
}

static void moved(void)
{
    in_thread(fill_and_move, NULL);
}

struct pair {
    struct set *first, *second;
};

/* The share of the blocks that lie in slabs (or 64 KiB of runs) of earlier ones. */
static double used_again(const struct set *before, unsigned count, const struct set *after)
{
    static unsigned char seen[1u << 20]; /* 64 GiB of them */
    unsigned hits = 0;
    for (unsigned i = 0; i < count; i++) {
        for (size_t at = 0; at < before->block[i].size; at += 65536)
            seen[((uintptr_t)before->block[i].start + at) >> 16 & 0xfffff] = 1;
    }
    for (unsigned i = 0; i < after->count; i++)
        hits += seen[(uintptr_t)after->block[i].start >> 16 & 0xfffff];
    return 100.0 * hits / after->count;
}

static void *fill_home(void *argument)
{
    struct pair *p = argument;
    run_on(0);
    fill(p->first, BYTES);
    unsigned count = p->first->count;
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both); /* the other frees them, and allocates */
    fill(p->second, BYTES);
    expect_local(p->second, 0, "whose blocks the other node freed");
    double share = used_again(p->first, count, p->second);
    printf("#   %-45s node 0: %.1f %%\n", "of them where those blocks were", share);
    worst = share < LEAST ? 0 : worst;
    return NULL;
}

static void *free_far(void *argument)
{
    struct pair *p = argument;
    struct set *own = new_set();
    run_on(1);
    pthread_barrier_wait(&both);
    give_back(p->first, 0);
    fill(own, BYTES);
    expect_local(own, 1, "that freed blocks of the other node");
    pthread_barrier_wait(&both);
    return NULL;
}

static void freed_far(void)
{
    struct pair p = {new_set(), new_set()};
    pthread_t thread[2];
    pthread_barrier_init(&both, NULL, 2);
    CHECK(pthread_create(&thread[0], NULL, fill_home, &p) == 0);
    CHECK(pthread_create(&thread[1], NULL, free_far, &p) == 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* Blocks of node 0 that node 1 touches first: the wish decides, not the touch. */
static void *touch_far(void *argument)
{
    struct set *s = argument;
    run_on(1);
    for (unsigned i = 0; i < s->count; i++)
        memset(s->block[i].start, 1, s->block[i].size);
    return NULL;
}

static void *allocate_untouched(void *argument)
{
    struct set *s = argument;
    run_on(0);
    for (unsigned i = 0; i < 60; i++)
        add(s, 300000, false);
    in_thread(touch_far, s);
    expect_local(s, 0, "touched first by the other node");
    int mode = -1;
    CHECK(syscall(SYS_get_mempolicy, &mode, NULL, 0, s->block[30].start, 2 /* MPOL_F_ADDR */) == 0);
    printf("#   %-45s %d\n", "policy of such a block (1: preferred)", mode);
    worst = mode == MPOL_PREFERRED ? worst : 0;
    return NULL;
}

static void crossed(void)
{
    in_thread(allocate_untouched, new_set());
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"fresh", fresh}, {"reused", reused}, {"moved", moved}, {"freed-far", freed_far}, {"crossed", crossed}};
#define CASES (sizeof cases / sizeof cases[0])

int main(int count, char **arguments)
{
    int bad = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 2) {
        cases[atoi(arguments[1])].run();
        fflush(stdout);
        return worst < LEAST;
    }
    printf("1..%u\n", (unsigned)CASES);
    for (unsigned i = 0; i < CASES; i++) {
        int status = -1;
        char number[2] = {(char)('0' + i), 0};
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            execl("/proc/self/exe", arguments[0], number, (char *)NULL);
            _exit(127);
        }
        waitpid(pid, &status, 0);
        printf("%s %u - %s\n", status == 0 ? "ok" : "not ok", i + 1, cases[i].name);
        bad += status != 0;
    }
    fflush(stdout);
    return bad != 0;
}
