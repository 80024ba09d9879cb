/* SPDX-License-Identifier: MIT
 *
 * A program whose calls of malloc and free are known, for trace.py. `subject MODE [ARG]`. A block of MARK bytes stands
 * before and behind what a mode does; nothing is printed between by way of stdio, which would allocate.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK 54321
#define HELD 64
#define TOO_MUCH (SIZE_MAX / 4)

static void *volatile kept;

static void must(int truth)
{
    if (!truth)
        abort();
}

static void mark(void)
{
    kept = malloc(MARK);
    free(kept);
}

/* Every function once. */
static void calls(void)
{
    void *blocks[8];
    void *volatile failed;
    blocks[0] = malloc(100);
    blocks[1] = calloc(10, 30);
    blocks[2] = realloc(NULL, 70);
    blocks[0] = realloc(blocks[0], 5000);
    failed = realloc(blocks[0], TOO_MUCH);
    must(failed == NULL);
    failed = malloc(TOO_MUCH);
    must(failed == NULL);
    blocks[3] = aligned_alloc(64, 128);
    must(posix_memalign(&blocks[4], 4096, 33) == 0);
    blocks[5] = memalign(32, 10);
    blocks[6] = reallocarray(NULL, 4, 25);
    blocks[7] = malloc(0);
    free(realloc(blocks[1], 0));
    blocks[1] = NULL;
    free(NULL);
    for (int i = 0; i < 8; i++)
        free(blocks[i]);
}

/* ---- Threads: each makes blocks that the next one frees ---- */

struct hand {
    pthread_mutex_t lock;
    void *blocks[HELD];
    int count;
};

static struct hand hands[64];
static unsigned thread_count, rounds;

static void pass(struct hand *hand, void *block)
{
    void *old = NULL;
    pthread_mutex_lock(&hand->lock);
    if (hand->count == HELD)
        old = hand->blocks[--hand->count];
    hand->blocks[hand->count++] = block;
    pthread_mutex_unlock(&hand->lock);
    free(old);
}

static void take(struct hand *hand)
{
    void *block = NULL;
    pthread_mutex_lock(&hand->lock);
    if (hand->count != 0)
        block = hand->blocks[--hand->count];
    pthread_mutex_unlock(&hand->lock);
    free(block);
}

static void *hand_on(void *argument)
{
    unsigned me = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < rounds; i++) {
        pass(&hands[(me + 1) % thread_count], malloc(16 + (i * 37 + me) % 2000));
        take(&hands[me]);
    }
    return NULL;
}

static void threads(unsigned count, unsigned each)
{
    pthread_t ids[64];
    thread_count = count;
    rounds = each;
    for (unsigned i = 0; i < count; i++)
        must(pthread_create(&ids[i], NULL, hand_on, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
}

/* Each makes one block, which outlives it, and frees that of the one before. */
static void *one_block(void *before)
{
    free(before);
    return malloc(777);
}

static void churn(unsigned count)
{
    void *block = NULL;
    for (unsigned i = 0; i < count; i++) {
        pthread_t id;
        must(pthread_create(&id, NULL, one_block, block) == 0);
        pthread_join(id, &block);
    }
    free(block);
}

static pthread_barrier_t together;

static void *wait_for_all(void *unused)
{
    void *block = malloc(555);
    pthread_barrier_wait(&together);
    free(block);
    return unused;
}

static void many(unsigned count)
{
    pthread_t *ids = calloc(count, sizeof(*ids));
    pthread_attr_t small;
    must(pthread_barrier_init(&together, NULL, count) == 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (unsigned i = 0; i < count; i++)
        must(pthread_create(&ids[i], &small, wait_for_all, NULL) == 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}

/* ---- Ends ---- */

/* The child's calls are not the parent's. */
static void forks(void)
{
    for (volatile int i = 0; i < 3; i++) {
        pid_t child = i == 2 ? vfork() : fork();
        if (child == 0) {
            if (i < 2) {
                for (int j = 0; j < 50000; j++)
                    free(malloc(999));
            }
            _exit(0);
        }
        must(waitpid(child, NULL, 0) == child);
        kept = malloc(888);
        free(kept);
    }
}

/* A signal at any moment, whose handler does not allocate but ends the thread's work. */
static volatile sig_atomic_t rings;

static void ring(int number)
{
    (void)number;
    rings++;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = ring};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 20000; i++) {
        kept = malloc(64);
        if (i % 16 == 0)
            raise(SIGUSR1);
        free(kept);
    }
}

/* Nothing is allowed any more but memory and the end. */
static void sandbox(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    for (int i = 0; i < 100000; i++) {
        kept = malloc(i % 100 == 0 ? 100000 : 48);
        free(kept);
    }
}

static void some(int count)
{
    for (int i = 0; i < count; i++)
        kept = malloc(48);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    unsigned number = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    mark();
    if (strcmp(mode, "calls") == 0) {
        calls();
    } else if (strcmp(mode, "threads") == 0) {
        threads(number, argc > 3 ? (unsigned)atoi(argv[3]) : 5000);
    } else if (strcmp(mode, "churn") == 0) {
        churn(number);
    } else if (strcmp(mode, "many") == 0) {
        many(number);
    } else if (strcmp(mode, "forks") == 0) {
        forks();
    } else if (strcmp(mode, "signals") == 0) {
        signals();
    } else if (strcmp(mode, "exit") == 0) {
        some(1000);
        _exit(3);
    } else if (strcmp(mode, "kill") == 0) {
        some(100000);
        raise(SIGKILL);
    } else if (strcmp(mode, "exec") == 0) {
        some(500);
        execl("/proc/self/exe", "subject", "calls", (char *)NULL);
    } else if (strcmp(mode, "sandbox") == 0) {
        sandbox();
    } else if (strcmp(mode, "closed") == 0) {
        for (int i = 0; i < 65536; i++)
            close(i);
        some(100000);
    } else if (strcmp(mode, "child") == 0) {
        pid_t child = fork();
        if (child == 0)
            execl(argv[2], argv[2], "calls", (char *)NULL);
        must(waitpid(child, NULL, 0) == child);
    } else {
        return 2;
    }
    mark();
    return 0;
}
