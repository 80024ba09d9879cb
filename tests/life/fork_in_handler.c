/* SPDX-License-Identifier: MIT
 *
 * A signal handler that forks while the interrupted code is anywhere inside malloc or free. The child leaves at once;
 * the parent goes on. Nothing may hang, and the heap stays whole.
 */
#include "check.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 300, SLOTS = 1000 };

static volatile sig_atomic_t forks;

static void on_timer(int number)
{
    (void)number;
    int saved = errno;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        check_alarm(20);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECK(status == 0);
    forks++;
    errno = saved;
}

int main(void)
{
    check_watchdog(100);
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGVTALRM, &action, NULL) == 0);
    struct itimerval timer = {.it_interval = {0, 700}, .it_value = {0, 700}};
    CHECK(setitimer(ITIMER_VIRTUAL, &timer, NULL) == 0);

    static unsigned char *blocks[SLOTS];
    static size_t sizes[SLOTS];
    uint64_t random = 1;
    while (forks < (int)check_fewer(FORKS)) {
        for (int i = 0; i < 1000; i++) {
            size_t slot = random_below(&random, SLOTS);
            CHECK(!blocks[slot] || pattern_check(blocks[slot], sizes[slot], slot) == sizes[slot]);
            free(blocks[slot]);
            sizes[slot] = 1 + random_below(&random, i % 30 ? 600 : 50000);
            blocks[slot] = malloc(sizes[slot]);
            CHECK(blocks[slot]);
            pattern_fill(blocks[slot], sizes[slot], slot);
        }
    }
    return 0;
}
