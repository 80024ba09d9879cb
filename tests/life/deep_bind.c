/* SPDX-License-Identifier: MIT
 *
 * deep_bind NAME: opens the library NAME, by its bare name, with RTLD_DEEPBIND, as php-fpm does with its extensions. It
 * has to have the program's malloc: what either allocates the other resizes and frees. That it is found at all, by the
 * RUNPATH of this program, shows that the loader still sees who asks.
 */
#include "check.h"
#include "deep_bound.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void exchange(struct deep_bound *library)
{
    static const size_t sizes[] = {1, 100, 5000, 40000, 3000000, 50000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        library->give_back(malloc(sizes[i]));
        free(library->make(sizes[i]));
        free(realloc(library->make(sizes[i]), sizes[i] * 2));
        free(library->resize(malloc(sizes[i]), sizes[i] * 2));
    }
    library->give_back(strdup("text"));
    free(library->copy("text"));
    free(library->made);
}

static struct deep_bound *look(void *library)
{
    CHECKF(library, "%s", dlerror());
    struct deep_bound *bound = dlsym(library, "deep_bound");
    CHECKF(bound, "%s", dlerror());
    return bound;
}

int main(int count, char **arguments)
{
    check_watchdog(60);
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    exchange(look(library));
    CHECK(dlclose(library) == 0);
    library = dlmopen(LM_ID_BASE, arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    exchange(look(library));
    CHECK(dlclose(library) == 0);
    CHECK(dlopen("no-such-library.so", RTLD_NOW | RTLD_DEEPBIND) == NULL && strstr(dlerror(), "no-such-library.so"));
    void *program = dlopen(NULL, RTLD_NOW);
    CHECK(program && dlsym(program, "malloc") == (void *)malloc);
    return 0;
}
