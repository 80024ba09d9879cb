/* SPDX-License-Identifier: MIT
 *
 * What one operator costs: LOOPS rounds of a new and a delete of 64 bytes, in the form that the argument names, and
 * with "none" the loop alone. Its command is in 0017-cxx-operators-forward.md.
 */
#include <cstdlib>
#include <cstring>
#include <new>

static const int loops = 100000;
static void *volatile block;

#define FORM(name, take, give)            \
    if (std::strcmp(form, name) == 0) {   \
        for (int i = 0; i < loops; i++) { \
            block = take;                 \
            give;                         \
        }                                 \
        return 0;                         \
    }

int main(int, char **arguments)
{
    const char *form = arguments[1];
    const std::align_val_t wide{64};
    std::free(std::malloc(64)); // the first block
    FORM("none", arguments, block = nullptr)
    FORM("plain", ::operator new(64), ::operator delete(block))
    FORM("sized", ::operator new(64), ::operator delete(block, std::size_t(64)))
    FORM("array", ::operator new[](64), ::operator delete[](block))
    FORM("array-sized", ::operator new[](64), ::operator delete[](block, std::size_t(64)))
    FORM("nothrow", ::operator new(64, std::nothrow), ::operator delete(block, std::nothrow))
    FORM("array-nothrow", ::operator new[](64, std::nothrow), ::operator delete[](block, std::nothrow))
    FORM("aligned", ::operator new(64, wide), ::operator delete(block, wide))
    FORM("aligned-sized", ::operator new(64, wide), ::operator delete(block, std::size_t(64), wide))
    return 1;
}
