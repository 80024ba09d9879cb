/* SPDX-License-Identifier: MIT
 *
 * untouched GIB: so much in zeroed blocks of 32 KiB, of which the program touches none: a hundredth is resident at
 * most, and there is no number at which the records end. With -Dtail=enabled the page of its end of each block, too.
 */
#include "check.h"
#include "needs.h"
#include "proc.h"
#include "taken.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* 1: any amount; 0: what does not exceed the machine's memory in one mapping; 2: no more than the machine has. */
static char overcommit(void)
{
    char answer = '2';
    int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY);
    CHECK(fd >= 0 && read(fd, &answer, 1) == 1);
    close(fd);
    return answer;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    check_watchdog(100);
    need_own_memory();
    if (overcommit() == '2')
        check_skip("the system grants no more memory than it has");
    size_t size = 32 * KIB, blocks = strtoul(arguments[1], NULL, 10) * GIB / size, before = proc_rss();
    for (size_t i = 0; i < blocks; i++) {
        void *volatile block = calloc(1, size);
        CHECKF(block, "refused with errno %d after %zu GiB", errno, i * size / GIB);
    }
    size_t resident = proc_rss() - before;
    check_note("%zu GiB: %zu MiB resident", blocks * size / GIB, resident / MIB);
    CHECKF(resident <= blocks * (size / 100 + (TAKEN_END != 0 ? 4096 : 0)), "%zu MiB are resident", resident / MIB);
    CHECK(malloc(100) && malloc(MIB) && malloc(64 * MIB));
    return 0;
}
