/* SPDX-License-Identifier: MIT
 *
 * Uses C++'s operators in every form, by name and by expressions, and says which of the program's own operators
 * (replaced_operators.cpp) each use called, what was thrown, and how often the new_handler was called. replaced.py
 * compares what it says with hakmem and without.
 */
#include "replaced.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>

namespace
{

const std::align_val_t wide{REPLACED_ALIGN};
volatile std::size_t impossible = SIZE_MAX / 2;
int handler_calls;

void handler()
{
    if (++handler_calls == 2)
        std::set_new_handler(nullptr);
}

void handler_throws()
{
    handler_calls++;
    throw std::bad_alloc();
}

void say(const char *what)
{
    std::printf("%s:", what);
    for (int i = 0; i < REPLACED_OPERATORS; i++) {
        if (replaced_calls[i] != 0)
            std::printf(" %d*%d", replaced_calls[i], i);
        replaced_calls[i] = 0;
    }
    std::printf(handler_calls != 0 ? " handler %d\n" : "\n", handler_calls);
    handler_calls = 0;
}

void *filled(void *block)
{
    if (block == nullptr)
        std::printf("no block\n");
    else
        std::memset(block, 0x5a, 100);
    return block;
}

#define USE(expression)   \
    do {                  \
        expression;       \
        say(#expression); \
    } while (0)

/* Every new, and every delete that may give its block back. */
void by_name()
{
    void *block;
    USE(block = filled(::operator new(100)));
    USE(::operator delete(block));
    USE(block = filled(::operator new(100)));
    USE(::operator delete(block, std::size_t(100)));
    USE(block = filled(::operator new(100, std::nothrow)));
    USE(::operator delete(block, std::nothrow));
    USE(block = filled(::operator new[](100)));
    USE(::operator delete[](block));
    USE(block = filled(::operator new[](100)));
    USE(::operator delete[](block, std::size_t(100)));
    USE(block = filled(::operator new[](100, std::nothrow)));
    USE(::operator delete[](block, std::nothrow));
    USE(block = filled(::operator new(100, wide)));
    USE(::operator delete(block, wide));
    USE(block = filled(::operator new(100, wide)));
    USE(::operator delete(block, std::size_t(100), wide));
    USE(block = filled(::operator new(100, wide, std::nothrow)));
    USE(::operator delete(block, wide, std::nothrow));
    USE(block = filled(::operator new[](100, wide)));
    USE(::operator delete[](block, wide));
    USE(block = filled(::operator new[](100, wide)));
    USE(::operator delete[](block, std::size_t(100), wide));
    USE(block = filled(::operator new[](100, wide, std::nothrow)));
    USE(::operator delete[](block, wide, std::nothrow));
}

void of_nothing()
{
    void *none = nullptr;
    USE(::operator delete(none));
    USE(::operator delete(none, std::size_t(100)));
    USE(::operator delete(none, std::nothrow));
    USE(::operator delete[](none));
    USE(::operator delete[](none, std::size_t(100)));
    USE(::operator delete[](none, std::nothrow));
    USE(::operator delete(none, wide));
    USE(::operator delete(none, std::size_t(100), wide));
    USE(::operator delete(none, wide, std::nothrow));
    USE(::operator delete[](none, wide));
    USE(::operator delete[](none, std::size_t(100), wide));
    USE(::operator delete[](none, wide, std::nothrow));
}

struct Fragile {
    char bytes[100];
    explicit Fragile(bool breaks)
    {
        if (breaks)
            throw 1;
    }
};

struct alignas(REPLACED_ALIGN) Wide {
    char bytes[REPLACED_ALIGN * 2];
    Wide(bool breaks = false)
    {
        if (breaks)
            throw 1;
    }
    ~Wide()
    {
        bytes[0] = 1;
    }
};

struct Item {
    char bytes[100];
    ~Item()
    {
        bytes[0] = 1;
    }
};

template <typename Function> void breaks(Function function)
{
    try {
        function();
    } catch (int) {
        std::printf("broke ");
    }
}

/* What the compiler makes of expressions; where a constructor throws, it calls the delete that belongs to the new. */
void by_expression()
{
    Item *volatile item, *volatile items;
    Wide *volatile broad, *volatile broads;
    USE(item = new Item);
    USE(delete item);
    USE(items = new Item[3]);
    USE(delete[] items);
    USE(item = new (std::nothrow) Item);
    USE(delete item);
    USE(items = new (std::nothrow) Item[3]);
    USE(delete[] items);
    USE(broad = new Wide);
    USE(delete broad);
    USE(broads = new Wide[3]);
    USE(delete[] broads);
    USE(broad = new (std::nothrow) Wide);
    USE(delete broad);
    USE(broads = new (std::nothrow) Wide[3]);
    USE(delete[] broads);
    USE(breaks([] { delete new Fragile(true); }));
    USE(breaks([] { delete new (std::nothrow) Fragile(true); }));
    USE(breaks([] { delete[] new Fragile[1]{Fragile(true)}; }));
    USE(breaks([] { delete new Wide(true); }));
    USE(breaks([] { delete new (std::nothrow) Wide(true); }));
    USE(breaks([] { delete[] new Wide[1]{true}; }));
}

template <typename Function> void fails(Function function)
{
    try {
        void *block = function();
        std::printf("%s ", block != nullptr ? "a block" : "null");
    } catch (const std::bad_alloc &) {
        std::printf("bad_alloc ");
    }
    std::set_new_handler(nullptr);
}

void without_memory(std::new_handler with)
{
#define FAIL(expression)                       \
    do {                                       \
        std::set_new_handler(with);            \
        USE(fails([] { return expression; })); \
    } while (0)
    FAIL(::operator new(impossible));
    FAIL(::operator new[](impossible));
    FAIL(::operator new(impossible, std::nothrow));
    FAIL(::operator new[](impossible, std::nothrow));
    FAIL(::operator new(impossible, wide));
    FAIL(::operator new[](impossible, wide));
    FAIL(::operator new(impossible, wide, std::nothrow));
    FAIL(::operator new[](impossible, wide, std::nothrow));
}

} // namespace

int main()
{
    by_name();
    of_nothing();
    by_expression();
    without_memory(nullptr);
    without_memory(handler);
    without_memory(handler_throws);
    return 0;
}
