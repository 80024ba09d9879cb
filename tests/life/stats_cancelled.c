/* SPDX-License-Identifier: MIT
 *
 * Reports in a thread whose cancellation is pending: they are no cancellation points, so each returns.
 */
#include "check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int returned;

/* Where the library has it. */
static int (*report(const char *name))(int)
{
    int (*function)(int);
    *(void **)&function = dlsym(RTLD_DEFAULT, name);
    return function;
}

static void *ask(void *argument)
{
    int fd = *(int *)argument;
    int (*reports[])(int) = {report("hak_stats_print"), report("hak_stats_json"), report("hak_heap_picture")};
    CHECK(pthread_cancel(pthread_self()) == 0);
    free(malloc(100000));
    free(malloc(40 << 20));
    returned++;
    malloc_stats();
    returned++;
    mallinfo2();
    malloc_trim(0);
    returned++;
    for (int i = 0; i < 3; i++) {
        if (reports[i] != NULL)
            reports[i](fd);
        returned++;
    }
    pthread_testcancel();
    returned++;
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *result = NULL;
    int fd = open("/dev/null", O_WRONLY);
    check_watchdog(60);
    CHECK(fd >= 0 && pthread_create(&thread, NULL, ask, &fd) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECKF(returned == 6, "%d of 6 calls returned", returned);
    CHECK(result == PTHREAD_CANCELED);
    return 0;
}
