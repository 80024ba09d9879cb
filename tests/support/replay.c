/* SPDX-License-Identifier: MIT
 *
 * PROGRAM [FILE | FOLDER | seed=NUMBER,BYTES]...: runs what fuzz.h declares on files, on all files of a folder, each in
 * a process of its own, or on bytes generated from a seed.
 */
#include "check.h"
#include "fuzz.h"
#include "pattern.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not from malloc: the input is no part of what is tested. */
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
    CHECKF(*comma == ',', "seed=NUMBER,BYTES");
    size_t size = strtoull(comma + 1, NULL, 10);
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

/* What one input leaves behind in the process is not there for the next. */
static bool replay_alone(const char *path)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        check_watchdog(60);
        replay_file(path);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0)
        check_note("%s: ended with status 0x%x", path, (unsigned)status);
    return status == 0;
}

static void replay_folder(const char *folder, DIR *entries)
{
    unsigned files = 0, wrong = 0;
    for (struct dirent *e; (e = readdir(entries)) != NULL;) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        files++;
        wrong += !replay_alone(path);
    }
    closedir(entries);
    check_note("%s: %u files, %u failed", folder, files, wrong);
    CHECK(files > 0 && wrong == 0);
}

static void replay(const char *argument)
{
    DIR *folder;
    if (!strncmp(argument, "seed=", 5))
        replay_seed(argument + 5);
    else if ((folder = opendir(argument)) != NULL)
        replay_folder(argument, folder);
    else
        replay_file(argument);
}

int main(int count, char **arguments)
{
    CHECKF(count > 1, "usage: %s [FILE | FOLDER | seed=NUMBER,BYTES]...", arguments[0]);
    check_watchdog(280);
    LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++)
        replay(arguments[i]);
    return 0;
}
