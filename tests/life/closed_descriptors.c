/* SPDX-License-Identifier: MIT
 *
 * A process that was started with descriptors 0, 1 and 2 closed: everything works, and the allocator keeps none open.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *use_everything(void *argument)
{
    for (size_t size = 1; size < 100 * MIB; size = size * 2 + 7) {
        void *block = malloc(size);
        if (!block)
            _exit(2);
        memset(block, 1, size < MIB ? size : MIB);
        block = realloc(block, size * 2);
        free(block);
    }
    malloc_trim(0);
    return argument;
}

/* No line can be printed here: the statuses tell. */
static int started_without(void)
{
    use_everything(NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_everything, NULL) || pthread_join(thread, NULL))
        return 3;
    if (proc_descriptors() != 0)
        return 4;
    for (int i = 0; i < 3; i++) {
        if (open("/dev/null", O_RDWR) != i)
            return 5;
    }
    return 0;
}

int main(int count, char **arguments)
{
    if (count > 1 && !strcmp(arguments[1], "child"))
        return started_without();
    check_watchdog(60);
    need_execution();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int fd = 0; fd < 4096; fd++)
            close(fd);
        char *words[] = {arguments[0], (char *)"child", NULL};
        execv("/proc/self/exe", words);
        _exit(126);
    }
    int status;
    while (waitpid(pid, &status, 0) == -1)
        CHECK(errno == EINTR);
    CHECKF(status == 0, "wait status %#x", status);
    return 0;
}
