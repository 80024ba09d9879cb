/* SPDX-License-Identifier: MIT
 *
 * fork_in_handlers FORKS: several threads allocate, and a timer of each interrupts it every millisecond, wherever it is
 * in malloc or free; the signal handler forks. The child allocates a little of every size and leaves.
 */
#include "check.h"
#include "forking.h"
#include "timer_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, CHILD_SECONDS = 60, FORK_SECONDS = 90 };

static atomic_int left;

static void child(int number)
{
    static const size_t sizes[] = {16, 200, 3000, 30000, 100000, 5000000};
    check_watchdog(CHILD_SECONDS);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *block = malloc(sizes[i] + (size_t)number % 16);
        CHECK(block);
        block[0] = block[sizes[i] - 1] = 1;
        free(block);
    }
    _exit(0);
}

static void on_timer(int signal_number)
{
    (void)signal_number;
    int saved = errno, number = atomic_fetch_sub(&left, 1);
    if (number > 0) {
        check_alarm(FORK_SECONDS);
        pid_t pid = fork();
        if (pid == 0)
            child(number);
        forking_wait(pid, number);
    }
    errno = saved;
}

static void *work(void *argument)
{
    struct sigevent event = timer_of_thread(SIGUSR1);
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    const struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    CHECK(timer_settime(timer, 0, &every, NULL) == 0);
    for (uint64_t seed = (uint64_t)(uintptr_t)argument; left > 0; seed += THREADS)
        forking_work(seed, 100);
    CHECK(timer_delete(timer) == 0);
    return NULL;
}

int main(int count, char **arguments)
{
    check_watchdog(FORK_SECONDS);
    left = (int)check_fewer(count > 1 ? (size_t)atoi(arguments[1]) : 300);
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
