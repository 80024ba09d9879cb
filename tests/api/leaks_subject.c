/* SPDX-License-Identifier: MIT
 *
 * Small programs with leaks and without, one for each name that it is started with. Behind a line that asks for blocks
 * that are leaked stands how many, and how: `leaked: NAME direct 2`. tests/api/leaks_report.py reads these.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

struct node {
    struct node *next;
    char text[100];
};

/* Calls whose frames lie where those of the cases lay, so that these leave no pointer behind: what an optimised program
 * leaves on its stack is another matter. */
static NOINLINE void wipe_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static void *volatile sink;

/* Makes sure that nobody keeps the pointer: neither a register, nor the variable. */
static NOINLINE void forget(void *p)
{
    sink = p;
    sink = NULL;
}

/* ---- leaked ---- */

static NOINLINE void direct(void)
{
    for (int i = 0; i < 3; i++)
        forget(malloc(200)); /* leaked: direct direct 3 */
}

static NOINLINE void indirect(void)
{
    struct node *first = malloc(sizeof *first); /* leaked: indirect direct 1 */
    first->next = malloc(sizeof *first);        /* leaked: indirect indirect 1 */
    first->next->next = calloc(1, 5000);        /* leaked: indirect indirect 1 */
    forget(first);
}

static NOINLINE void cycle(void)
{
    struct node *a = malloc(sizeof *a), *b; /* leaked: cycle any 1 */
    b = malloc(sizeof *b);                  /* leaked: cycle any 1 */
    a->next = b;
    b->next = a;
    forget(a);
}

static NOINLINE void moved(void)
{
    char *p = malloc(50);
    p = realloc(p, 3000); /* leaked: moved direct 1 */
    forget(p);
}

static NOINLINE void aligned(void)
{
    void *p = NULL;
    if (posix_memalign(&p, 1024, 300) == 0) /* leaked: aligned direct 1 */
        forget(p);
    forget(aligned_alloc(64, 640)); /* leaked: aligned direct 1 */
}

static NOINLINE void run(void)
{
    char *p = malloc(300000); /* leaked: run direct 1 */
    p[0] = 1;
    forget(p);
}

static NOINLINE void huge(void)
{
    char *p = malloc((size_t)64 << 20); /* leaked: huge direct 1 */
    p[0] = 1;
    forget(p);
}

static NOINLINE void string(void)
{
    forget(strdup("a text that somebody copies")); /* leaked: string direct 1 */
}

/* ---- reached ---- */

static void *volatile global;

static NOINLINE void by_global(void)
{
    struct node *n = malloc(sizeof *n);
    n->next = malloc(sizeof *n);
    global = n;
}

static __thread void *volatile local;

static NOINLINE void by_local(void)
{
    local = malloc(77);
}

/* A thread that waits for ever, with a block on its stack, one in a register, and one in its thread-local memory. */
static pthread_barrier_t started;

static void *wait_for_ever(void *unused)
{
    (void)unused;
    void *volatile block = malloc(123);
    register void *kept __asm__(
#if defined(__x86_64__)
        "r12"
#else
        "x20"
#endif
        ) = malloc(456);
    local = malloc(789);
    *(volatile char *)block = 1;
    __asm__ volatile("" : "+r"(kept));
    pthread_barrier_wait(&started);
    for (;;) {
        pause();
        __asm__ volatile("" : "+r"(kept));
    }
    return block;
}

static NOINLINE void by_thread(void)
{
    pthread_t thread;
    pthread_barrier_init(&started, NULL, 2);
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
        exit(1);
    pthread_barrier_wait(&started);
}

/* Spins with a block that only a register knows. */
static volatile int spins;

static void *spin(void *unused)
{
    (void)unused;
    void *block = malloc(321);
    spins = 1;
#if defined(__x86_64__)
    __asm__ volatile("1: pause\n\tjmp 1b" : : "r"(block));
#else
    __asm__ volatile("1: yield\n\tb 1b" : : "r"(block));
#endif
    return NULL;
}

static NOINLINE void by_register(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, spin, NULL) != 0)
        exit(1);
    while (spins == 0)
        usleep(1000);
}

static NOINLINE void by_middle(void)
{
    char *p = malloc(1000), *q = malloc(100000);
    global = p + 500;
    local = q + 50000;
}

static NOINLINE void by_mapping(void)
{
    void **map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        exit(1);
    map[5000] = malloc(1111);
    void **shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        exit(1);
    shared[5000] = malloc(2222);
}

static NOINLINE void by_large(void)
{
    void **large = malloc((size_t)40 << 20), **run = malloc(200000);
    global = large;
    large[(size_t)3 << 20] = run;
    run[20000] = malloc(64);
}

/* A block that nobody may read is looked past. */
static NOINLINE void guarded(void)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, 16384) != 0 || mprotect(p, 16384, PROT_NONE) != 0)
        exit(1);
    global = p;
}

static NOINLINE void nothing(void)
{
    for (int i = 0; i < 1000; i++) {
        void *p = malloc((size_t)i * 50), *q = malloc(100);
        free(q);
        free(p);
    }
}

/* ---- threads that have ended ---- */

static void *leak_in_thread(void *unused)
{
    (void)unused;
    struct node *n = malloc(sizeof *n); /* leaked: ended direct 8 */
    memset(n, 0, sizeof *n);
    sink = n;
    return NULL;
}

static NOINLINE void ended(void)
{
    pthread_t thread[8];
    for (int i = 0; i < 8; i++) {
        if (pthread_create(&thread[i], NULL, leak_in_thread, NULL) != 0)
            exit(1);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    sink = NULL;
}

/* ---- a stack that is nobody's thread's: a coroutine ---- */

static ucontext_t before, coroutine;

static NOINLINE void leave_coroutine(void)
{
    void *volatile block = malloc(99);
    swapcontext(&coroutine, &before); /* for ever */
    sink = block;
}

static NOINLINE void by_coroutine(void)
{
    char *room = malloc(65536);
    if (room == NULL || getcontext(&coroutine) != 0)
        exit(1);
    coroutine.uc_stack.ss_sp = room;
    coroutine.uc_stack.ss_size = 65536;
    global = room;
    makecontext(&coroutine, leave_coroutine, 0);
    swapcontext(&before, &coroutine);
}

/* ---- around it ---- */

/* A child that leaks more than its parent. */
static NOINLINE void forks(void)
{
    pid_t child = fork();
    if (child == 0) {
        forget(malloc(4000));
        exit(7);
    }
    waitpid(child, NULL, 0);
}

static NOINLINE void closes(void)
{
    fclose(stderr);
    close(2);
}

/* What is opened first has the lowest number. */
static NOINLINE void opens(void)
{
    if (dup(1) < 0)
        exit(1);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"direct", direct},
    {"indirect", indirect},
    {"cycle", cycle},
    {"moved", moved},
    {"aligned", aligned},
    {"run", run},
    {"huge", huge},
    {"string", string},
    {"by_global", by_global},
    {"by_local", by_local},
    {"by_thread", by_thread},
    {"by_register", by_register},
    {"by_middle", by_middle},
    {"by_mapping", by_mapping},
    {"by_large", by_large},
    {"guarded", guarded},
    {"nothing", nothing},
    {"ended", ended},
    {"by_coroutine", by_coroutine},
    {"forks", forks},
    {"closes", closes},
    {"opens", opens},
};

/* A frame between, so that all that a case has used lies where wipe_stack has its room. */
static NOINLINE void run_case(const char *name)
{
    volatile char between[64];
    for (size_t i = 0; i < sizeof between; i++)
        between[i] = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(name, cases[i].name) == 0)
            cases[i].run();
    }
    sink = NULL;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        run_case(argv[i]);
        wipe_stack();
    }
    return argc > 1 ? 7 : 1;
}
