/* SPDX-License-Identifier: MIT
 *
 * The first process of a virtual machine (tests/support/machine.py): runs what /plan says, and switches the machine
 * off. A line of the plan is NAME SETTING... -- PROGRAM ARGUMENT...: a setting that begins with a slash is a file and
 * what is written to it, another one is of the program's environment.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 40 };

static int split(char *line, char **words)
{
    int n = 0;
    for (char *word = strtok(line, " \n"); word && n < WORDS; word = strtok(NULL, " \n"))
        words[n++] = word;
    words[n] = NULL;
    return n;
}

/* FILE=TEXT; says so where that is refused. */
static void write_setting(char *setting)
{
    char *text = strchr(setting, '=');
    *text++ = 0;
    int fd = open(setting, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        printf("# %s: %s is refused\n", setting, text);
    close(fd);
}

static void run(char *line)
{
    char *words[WORDS + 1], *environment[WORDS + 1];
    int n = split(line, words), at = 1, settings = 0, status = -1;
    if (n == 0)
        return;
    for (; at < n && strcmp(words[at], "--") != 0; at++) {
        if (words[at][0] == '/')
            write_setting(words[at]);
        else
            environment[settings++] = words[at];
    }
    environment[settings] = NULL;
    printf("# run %s\n", words[0]);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(STDOUT_FILENO, STDERR_FILENO);
        execve(words[at + 1], words + at + 1, environment);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    printf("# end %s %d\n", words[0], WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    fflush(stdout);
}

int main(void)
{
    static char line[4096];
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    FILE *plan = fopen("/plan", "r");
    while (plan && fgets(line, sizeof line, plan))
        run(line);
    printf("# done\n");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
