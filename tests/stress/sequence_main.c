/* SPDX-License-Identifier: MIT
 *
 * sequence FILE... | seed=NUMBER,CALLS...: replays corpus files, or bytes generated from a seed.
 */
#include "check.h"
#include "pattern.h"
#include "sequence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not from malloc: the input is no part of the sequence. */
static uint8_t *map(size_t size, int fd)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    CHECK(bytes != MAP_FAILED);
    return bytes;
}

static void replay_seed(const char *text)
{
    char *comma;
    uint64_t random = strtoull(text, &comma, 10);
    CHECKF(*comma == ',', "seed=NUMBER,CALLS");
    size_t size = strtoull(comma + 1, NULL, 10) * 4;
    uint8_t *bytes = map(size, -1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(random_next(&random) >> 32);
    LLVMFuzzerTestOneInput(bytes, size);
    munmap(bytes, size);
}

static void replay_file(const char *path)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECKF(fd >= 0 && fstat(fd, &file) == 0, "%s: errno %d", path, errno);
    if (file.st_size > 0) {
        uint8_t *bytes = map((size_t)file.st_size, fd);
        LLVMFuzzerTestOneInput(bytes, (size_t)file.st_size);
        munmap(bytes, (size_t)file.st_size);
    }
    close(fd);
}

int main(int count, char **arguments)
{
    CHECKF(count > 1, "usage: sequence FILE... | seed=NUMBER,CALLS...");
    check_watchdog(280);
    for (int i = 1; i < count; i++) {
        if (!strncmp(arguments[i], "seed=", 5))
            replay_seed(arguments[i] + 5);
        else
            replay_file(arguments[i]);
    }
    return 0;
}
