/* SPDX-License-Identifier: MIT
 *
 * signals SECONDS [fork]: two threads allocate, resize and free blocks of all kinds, and each is interrupted by a timer
 * signal every 150 us whose handler does the same: with blocks of its own, with some that the program left for
 * handlers, and it leaves some for the program. With `fork` every thousandth handler forks, too. No block is handed out
 * twice, none changes, nothing hangs.
 */
#include "check.h"
#include "pattern.h"
#include "timer_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, SLOTS = 400, BOX = 16, PERIOD_NS = 150000, FORK_EVERY = 1000, CHECKED = 4096 };

struct block {
    unsigned char *ptr;
    size_t size;
    uint64_t seed;
};

/* A thread's blocks; a handler's; and what the one leaves for the other, each place taken by a swap. */
static _Thread_local struct worker {
    struct block slots[SLOTS], mine[BOX];
    uint64_t random, handler_random;
    unsigned signals;
} * me;
static _Atomic(struct block *) left[THREADS * BOX];
static atomic_uint handled;
static atomic_bool stop;
static bool forks;

static size_t any_size(uint64_t *random)
{
    uint64_t kind = random_below(random, 200);
    return kind == 0 ? 1 + random_below(random, 1 << 20) : 1 + random_below(random, kind < 10 ? 40000 : 700);
}

static void fill(struct block *block)
{
    pattern_fill(block->ptr, block->size < CHECKED ? block->size : CHECKED, block->seed);
}

static void check_block(const struct block *block, size_t size)
{
    size = size < CHECKED ? size : CHECKED;
    CHECKF(pattern_check(block->ptr, size, block->seed) == size, "a block of %zu bytes changed", block->size);
}

static void release(struct block *block)
{
    if (block->ptr == NULL)
        return;
    check_block(block, block->size);
    free(block->ptr);
    block->ptr = NULL;
}

static void renew(struct block *block, uint64_t *random)
{
    size_t size = any_size(random);
    if (block->ptr != NULL && random_below(random, 4) == 0) {
        size_t before = block->size;
        block->ptr = realloc(block->ptr, size);
        CHECK(block->ptr != NULL);
        check_block(block, size < before ? size : before);
    } else {
        release(block);
        bool zero = random_below(random, 8) == 0;
        block->ptr = zero ? calloc(1, size) : malloc(size);
        CHECK(block->ptr != NULL && (!zero || pattern_nonzero(block->ptr, size) == size));
    }
    block->size = size;
    block->seed = random_next(random);
    fill(block);
}

/* Puts a block down for whoever comes, and frees what lay there. Its description is a block too. */
static void exchange(uint64_t *random)
{
    struct block *new = malloc(sizeof *new);
    CHECK(new != NULL);
    new->ptr = NULL;
    renew(new, random);
    struct block *old = atomic_exchange(&left[random_below(random, THREADS * BOX)], new);
    if (old != NULL) {
        release(old);
        free(old);
    }
}

static void fork_once(void)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        check_alarm(20);
        free(malloc(100));
        _exit(0);
    }
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECK(status == 0);
}

static void on_timer(int number)
{
    (void)number;
    if (me == NULL)
        return;
    int saved = errno;
    uint64_t *random = &me->handler_random;
    for (unsigned i = 0, n = 1 + (unsigned)random_below(random, 6); i < n; i++)
        renew(&me->mine[random_below(random, BOX)], random);
    if (random_below(random, 3) == 0)
        exchange(random);
    release(&me->mine[random_below(random, BOX)]);
    if (forks && ++me->signals % FORK_EVERY == 0)
        fork_once();
    atomic_fetch_add(&handled, 1);
    errno = saved;
}

static timer_t start_timer(void)
{
    timer_t timer;
    struct sigevent event = timer_of_thread(SIGRTMIN);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec period = {{0, PERIOD_NS}, {0, PERIOD_NS}};
    CHECK(timer_settime(timer, 0, &period, NULL) == 0);
    return timer;
}

static void *work(void *argument)
{
    static struct worker workers[THREADS];
    struct worker *worker = &workers[*(unsigned *)argument];
    worker->random = *(unsigned *)argument * 2 + 1;
    worker->handler_random = worker->random + 1;
    me = worker;
    timer_t timer = start_timer();
    while (!atomic_load(&stop)) {
        renew(&worker->slots[random_below(&worker->random, SLOTS)], &worker->random);
        if (random_below(&worker->random, 20) == 0)
            exchange(&worker->random);
    }
    timer_delete(timer);
    for (unsigned i = 0; i < SLOTS; i++)
        release(&worker->slots[i]);
    me = NULL; /* a signal that is on its way */
    for (unsigned i = 0; i < BOX; i++)
        release(&worker->mine[i]);
    return NULL;
}

int main(int count, char **arguments)
{
    CHECK(count >= 2);
    unsigned seconds = (unsigned)atoi(arguments[1]), numbers[THREADS];
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    forks = count > 2 && strcmp(arguments[2], "fork") == 0;
    check_watchdog(seconds * 3 + 60);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (unsigned last = 0; seconds > 0; seconds--) {
        sleep(1);
        CHECKF(atomic_load(&handled) != last, "no signal came");
        last = atomic_load(&handled);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    check_note("%u signals", atomic_load(&handled));
    return 0;
}
