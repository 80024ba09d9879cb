/* SPDX-License-Identifier: MIT
 *
 * A program with a thread frees large blocks and limits its own address space to what it has: smaller blocks find the
 * room that these left before malloc fails for the first time.
 */
#include "check.h"
#include "needs.h"
#include "proc.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LARGE = 32 };

static void *nothing(void *argument)
{
    free(malloc(100));
    return argument;
}

int main(int count, char **words)
{
    static void *large[LARGE];
    static void *volatile last;
    pthread_t thread;
    CHECKF(count == 2, "usage: wide_at_limit BYTES");
    size_t size = strtoul(words[1], NULL, 10), got = 0, bytes = LARGE * 8 * MIB;
    check_watchdog(60);
    need_address_limit();
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    for (unsigned i = 0; i < LARGE; i++)
        CHECK((large[i] = malloc(8 * MIB)) != NULL);
    for (unsigned i = 0; i < LARGE; i++)
        free(large[i]);
    size_t limit = proc_status_bytes(0, "VmSize:");
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    for (; (last = malloc(size)) != NULL; got += size)
        CHECKF(got < 2 * bytes, "the limit is not felt");
    CHECKF(got >= bytes / 10 * 8, "refused after %zu of %zu MiB", got / MIB, bytes / MIB);
    return 0;
}
