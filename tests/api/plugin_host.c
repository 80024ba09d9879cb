/* SPDX-License-Identifier: MIT
 *
 * A C program that loads a C++ plugin: operator new of the plugin must throw, although the program has no libstdc++ and
 * the plugin's is not visible to anybody else.
 *
 *   plugin_host PLUGIN local|global
 */
#include "check.h"
#include "proc.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *symbol(void *plugin, const char *name)
{
    void *address = dlsym(plugin, name);
    CHECKF(address, "no %s in the plugin", name);
    return address;
}

static int call_with_size(void *plugin, const char *name, size_t size)
{
    int (*function)(size_t);
    void *address = symbol(plugin, name);
    memcpy(&function, &address, sizeof(address));
    return function(size);
}

static void use(const char *path, int flags)
{
    void *plugin = dlopen(path, flags);
    CHECKF(plugin, "%s", dlerror());
    CHECK(call_with_size(plugin, "plugin_catches", SIZE_MAX / 2) == 1);
    CHECK(call_with_size(plugin, "plugin_catches", 1000) == 0);
    CHECK(call_with_size(plugin, "plugin_catches_aligned", SIZE_MAX / 2) == 1);
    CHECK(call_with_size(plugin, "plugin_catches_aligned", 1000) == 0);
    CHECK(call_with_size(plugin, "plugin_handler_throws", SIZE_MAX / 2) == 1);
    CHECK(call_with_size(plugin, "plugin_handler_is_called", SIZE_MAX / 2) == 1);
    CHECK(call_with_size(plugin, "plugin_nothrow", SIZE_MAX / 2) == 1);
    CHECK(call_with_size(plugin, "plugin_nothrow", 100) == 0);

    size_t (*work)(void);
    void *address = symbol(plugin, "plugin_work");
    memcpy(&work, &address, sizeof(address));
    size_t expected = 0;
    for (size_t i = 0; i < 2000; i++)
        expected += i % 300;
    CHECK(work() == expected);

    void *(*block)(size_t);
    address = symbol(plugin, "plugin_block");
    memcpy(&block, &address, sizeof(address));
    for (size_t size = 1; size < 10 * MIB; size *= 3) {
        void *memory = block(size);
        memset(memory, 1, size);
        free(memory);
    }
    dlclose(plugin);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    CHECK(!proc_maps_contain("libstdc++"));
    int scope = strcmp(arguments[2], "global") ? RTLD_LOCAL : RTLD_GLOBAL;
    for (int i = 0; i < 3; i++)
        use(arguments[1], RTLD_NOW | scope);
    return 0;
}
