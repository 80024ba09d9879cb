/* SPDX-License-Identifier: MIT
 * Opens the library LIB, takes one block and closes it, N times; prints the address space. See decision 0007. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    for (int i = 0; argc == 3 && i < atoi(argv[2]); i++) {
        void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (lib == NULL)
            return puts(dlerror()), 1;
        void *(*take)(size_t) = (void *(*)(size_t))dlsym(lib, "hak_malloc");
        take(100);
        dlclose(lib);
    }
    char line[100];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status))
        if (strncmp(line, "VmSize", 6) == 0)
            fputs(line, stdout);
    return 0;
}
