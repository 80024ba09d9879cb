/* SPDX-License-Identifier: MIT
 *
 * exit_in_handler RUNS: a program of two threads ends by exit() in a signal handler that interrupts malloc and free, as
 * many do although they should not. With statistics or a picture asked for it ends all the same: each run is a child.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 4000, SECONDS = 40 };

static void end(int signal_number)
{
    (void)signal_number;
    exit(7);
}

static void *wait_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void work_until(long microseconds)
{
    static void *volatile blocks[BLOCKS];
    struct itimerval timer = {.it_value.tv_usec = microseconds};
    sigset_t all, none;
    pthread_t other;
    sigfillset(&all);
    sigemptyset(&none);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0 && pthread_create(&other, NULL, wait_for_ever, NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &none, NULL) == 0);
    CHECK(signal(SIGALRM, end) != SIG_ERR && setitimer(ITIMER_REAL, &timer, NULL) == 0);
    for (;;) {
        for (size_t i = 0; i < BLOCKS; i++)
            blocks[i] = malloc(16 + i % 64 * 16);
        for (size_t i = 0; i < BLOCKS; i++)
            free(blocks[i]);
    }
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (long run = 0; run < atol(arguments[1]); run++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            int null = open("/dev/null", O_WRONLY);
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* if it hangs */
            dup2(null, 2);
            work_until(2000 + run * 37 % 3000);
        }
        int status;
        check_watchdog(SECONDS);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 7, "run %ld ended with wait status %#x", run,
               (unsigned)status);
    }
    return 0;
}
