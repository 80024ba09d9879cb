/* SPDX-License-Identifier: MIT
 *
 * A program whose calls of malloc and free are known, for trace.py. `subject MODE [ARG]`. A block of MARK bytes stands
 * before and behind what a mode does; nothing is printed between by way of stdio, which would allocate.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
static void sandbox(unsigned count)
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
    for (unsigned i = 0; i < count; i++) {
        kept = malloc(i % 100 == 0 ? 100000 : 48);
        free(kept);
    }
}

/* A large aligned block, of which one page is written, and one that stays; each would be 400 KiB in a replay. */
static void aligned(void)
{
    char *one = aligned_alloc(4096, 100 * 4096), *two = memalign(65536, 100 * 4096);
    void *three = NULL;
    must(one != NULL && two != NULL && posix_memalign(&three, 128, 100 * 4096) == 0);
    one[0] = two[0] = *(char *)three = 1;
    free(one);
    free(three);
    kept = two;
}

/* Two threads reallocate when they have ended as far as the recorder knows: in the last round of destructors. */
static pthread_key_t last;
static pthread_barrier_t both;

struct late {
    int rounds;
    char *block;
};

static void reallocate_late(void *argument)
{
    struct late *late = argument;
    if (++late->rounds < 4) {
        must(pthread_setspecific(last, late) == 0);
        return;
    }
    pthread_barrier_wait(&both);
    for (int i = 0; i < 20000; i++)
        must((late->block = realloc(late->block, 100 + (size_t)(i % 50) * 100)) != NULL);
    free(late->block);
}

static void *end_late(void *argument)
{
    free(malloc(10)); /* from here on the recorder has a destructor, too */
    must(pthread_setspecific(last, argument) == 0);
    return NULL;
}

static void late(void)
{
    static struct late ends[2];
    pthread_t ids[2];
    must(pthread_key_create(&last, reallocate_late) == 0 && pthread_barrier_init(&both, NULL, 2) == 0);
    for (int i = 0; i < 2; i++) {
        ends[i].block = malloc(100);
        must(pthread_create(&ids[i], NULL, end_late, &ends[i]) == 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
}

/* Writes where it should not: to the memory that it shares with the process that writes the trace. */
static void wild(unsigned seed)
{
    char path[200];
    struct stat status;
    snprintf(path, sizeof(path), "%s", getenv("HAK_RECORD_RING"));
    path[strcspn(path, ":")] = '\0';
    int file = open(path, O_RDWR);
    must(file >= 0 && fstat(file, &status) == 0);
    unsigned char *shared = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(shared != MAP_FAILED);
    usleep(100000); /* the writer has seen who is recorded */
    for (unsigned i = 0; i < 300000; i++) {
        seed = seed * 1103515245 + 12345;
        size_t at = seed / 65536 % 3 == 0 ? seed / 4 % 4096 : 4096 + seed / 64 % 60 * 65536 + seed / 65536 % 80;
        if (i % 64 == 0 && i > 100000)
            shared[at] = (unsigned char)(seed >> 24);
        kept = malloc(seed % 500);
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
        sandbox(number != 0 ? number : 100000);
    } else if (strcmp(mode, "aligned") == 0) {
        aligned();
    } else if (strcmp(mode, "late") == 0) {
        late();
    } else if (strcmp(mode, "wild") == 0) {
        wild(number);
    } else if (strcmp(mode, "slow") == 0) {
        kept = malloc(99);
        usleep(1000000);
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
