/* SPDX-License-Identifier: MIT
 *
 * The first process of the virtual machine that tests/named/numa.py starts: runs every program it finds in /tests, in
 * the order of their names, and switches the machine off. A name is NUMBER-NAME, or NUMBER-NAME-off: then the program
 * is run with HAKMEM_NUMA=0. All that is free stays resident, so that it is there to be used again.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(const char *name)
{
    char path[300], option[32];
    snprintf(path, sizeof path, "/tests/%s", name);
    snprintf(option, sizeof option, "HAKMEM_NUMA=%d", strstr(name, "-off") == NULL);
    char *arguments[] = {path, NULL};
    char *environment[] = {option, "HAKMEM_PURGE_DELAY_MS=3600000", "HAKMEM_MIN_KEEP=1G", NULL};
    int status = -1;
    printf("# run %s\n", name);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, arguments, environment);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    printf("# end %s %d\n", name, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    fflush(stdout);
}

int main(void)
{
    struct dirent **entries;
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    int n = scandir("/tests", &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.')
            run(entries[i]->d_name);
    }
    printf("# done\n");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
