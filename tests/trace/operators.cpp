// SPDX-License-Identifier: MIT
//
// C++'s operators, for trace.py: 54321 before and behind as in subject.c.
#include <cstdlib>
#include <new>

static void *volatile kept;

struct alignas(128) Wide {
    char bytes[256];
};

int main()
{
    kept = std::malloc(54321);
    std::free(kept);
    bool thrown = false;
    delete new int;
    delete[] new char[200];
    delete new Wide;
    delete new (std::nothrow) long;
    try {
        kept = ::operator new(static_cast<std::size_t>(-1) / 4);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    kept = ::operator new(static_cast<std::size_t>(-1) / 4, std::nothrow);
    bool none = kept == nullptr;
    kept = std::malloc(54321);
    std::free(kept);
    return thrown && none ? 0 : 1;
}
