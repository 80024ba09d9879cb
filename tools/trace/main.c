/* SPDX-License-Identifier: MIT
 *
 * hakmem-trace: what `hakmem record` and `hakmem replay` are made of. Called by the command `hakmem`, and by itself.
 */
#include "trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void trace_die(const char *format, ...)
{
    va_list more;
    char text[512];
    va_start(more, format);
    vsnprintf(text, sizeof(text), format, more);
    va_end(more);
    fprintf(stderr, "hakmem: %s\n", text);
    exit(125);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int words; /* at least */
        int (*run)(char **words);
    } commands[] = {
        {"record", 4, trace_record}, {"replay", 1, trace_replay}, {"play", 1, trace_play},   {"feed", 2, trace_feed},
        {"info", 1, trace_info},     {"dump", 1, trace_dump},     {"loads", 1, trace_loads},
    };
    for (size_t at = 0; argc > 1 && at < sizeof(commands) / sizeof(commands[0]); at++) {
        if (strcmp(argv[1], commands[at].name) == 0 && argc - 2 >= commands[at].words)
            return commands[at].run(argv + 2);
    }
    trace_die("hakmem-trace is called by the command hakmem: hakmem record --help, hakmem replay --help");
}
