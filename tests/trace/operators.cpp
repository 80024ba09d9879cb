// SPDX-License-Identifier: MIT
//
// C++'s operators, for trace.py: 54321 before and behind as in subject.c.
#include <cstdlib>
#include <new>

static void *volatile kept;

struct alignas(128) Wide {
    char bytes[256];
};

static void *spare;

static void give_spare_up()
{
    if (spare == nullptr)
        throw std::bad_alloc();
    std::free(spare);
    spare = nullptr;
}

/* With a limit of 64 MiB: the handler makes room, and the operator tries again. */
static void with_handler()
{
    std::set_new_handler(give_spare_up);
    spare = std::malloc(40 << 20);
    char *block = new char[50 << 20];
    delete[] block;
    spare = std::malloc(40 << 20);
    block = new (std::nothrow) char[51 << 20];
    delete[] block;
    spare = std::malloc(40 << 20);
    void *aligned = ::operator new(52 << 20, std::align_val_t(4096));
    ::operator delete(aligned, std::align_val_t(4096));
    std::set_new_handler(nullptr);
}

int main(int argc, char **)
{
    kept = std::malloc(54321);
    std::free(kept);
    if (argc > 1)
        with_handler();
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
