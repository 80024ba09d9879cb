/* SPDX-License-Identifier: MIT
 *
 * Every C++ operator new and delete: plain, array, nothrow, aligned, sized; the new_handler loop; std::bad_alloc.
 * Runs linked with libhakmem.a and preloaded. With the argument "preloaded" it also checks whose operators they are.
 */
#include "check.h"
#include "needs.h"
#include "proc.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <memory>
#include <new>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace
{

const std::size_t sizes[] = {0, 1, 8, 16, 17, 100, 1000, 1024, 1025, 5000, 32768, 40000, 600000, 3000000, 40000000};
const std::size_t impossible[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1, SIZE_MAX / 2 - 4096};

/* Of a large block the ends: what lies between is in the same mapping. */
void fill(void *block, std::size_t size)
{
    const std::size_t end = 40000;
    CHECK(block);
    CHECK(malloc_usable_size(block) >= size);
    std::memset(block, 0x6b, size < end ? size : end);
    if (size > end)
        std::memset(static_cast<char *>(block) + size - 64, 0x6b, 64);
}

void is_aligned(void *block, std::size_t alignment)
{
    CHECKF(reinterpret_cast<std::uintptr_t>(block) % alignment == 0, "%p is not aligned to %zu", block, alignment);
}

/* A block of either new goes to either delete. */
void either_delete()
{
    for (std::size_t size : sizes) {
        for (std::size_t alignment = 8; alignment <= 4096; alignment *= 8) {
            ::operator delete(::operator new(size, std::align_val_t(alignment)));
            ::operator delete[](::operator new[](size, std::align_val_t(alignment)), size);
            ::operator delete(::operator new(size), size, std::align_val_t(alignment));
            ::operator delete[](::operator new[](size), std::align_val_t(alignment));
        }
    }
}

void plain_and_array()
{
    for (std::size_t size : sizes) {
        void *block = ::operator new(size);
        fill(block, size);
        is_aligned(block, 16);
        ::operator delete(block);
        block = ::operator new(size);
        fill(block, size);
        ::operator delete(block, size);
        block = ::operator new[](size);
        fill(block, size);
        ::operator delete[](block);
        block = ::operator new[](size);
        fill(block, size);
        ::operator delete[](block, size);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    ::operator delete(nullptr, std::size_t(10));
    ::operator delete[](nullptr, std::size_t(10));
    void *one = ::operator new(0), *two = ::operator new(0);
    CHECK(one != two);
    ::operator delete(one);
    ::operator delete(two);
}

void without_exceptions()
{
    for (std::size_t size : sizes) {
        void *block = ::operator new(size, std::nothrow);
        fill(block, size);
        ::operator delete(block, std::nothrow);
        block = ::operator new[](size, std::nothrow);
        fill(block, size);
        ::operator delete[](block, std::nothrow);
    }
    for (std::size_t size : impossible) {
        CHECK(::operator new(size, std::nothrow) == nullptr);
        CHECK(::operator new[](size, std::nothrow) == nullptr);
        CHECK(::operator new(size, std::align_val_t(64), std::nothrow) == nullptr);
        CHECK(::operator new[](size, std::align_val_t(64), std::nothrow) == nullptr);
    }
}

void aligned_one(std::size_t size, std::align_val_t alignment)
{
    std::size_t value = static_cast<std::size_t>(alignment);
    void *block = ::operator new(size, alignment);
    fill(block, size);
    is_aligned(block, value);
    ::operator delete(block, alignment);
    block = ::operator new(size, alignment);
    is_aligned(block, value);
    ::operator delete(block, size, alignment);
    block = ::operator new[](size, alignment);
    is_aligned(block, value);
    ::operator delete[](block, alignment);
    block = ::operator new[](size, alignment);
    fill(block, size);
    is_aligned(block, value);
    ::operator delete[](block, size, alignment);
    block = ::operator new(size, alignment, std::nothrow);
    fill(block, size);
    is_aligned(block, value);
    ::operator delete(block, alignment, std::nothrow);
    block = ::operator new[](size, alignment, std::nothrow);
    is_aligned(block, value);
    ::operator delete[](block, alignment, std::nothrow);
}

void aligned()
{
    for (std::size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        for (std::size_t size : sizes)
            aligned_one(size, std::align_val_t(alignment));
    }
    ::operator delete(nullptr, std::align_val_t(64));
    ::operator delete[](nullptr, std::align_val_t(64));
}

template <typename Function> bool throws_bad_alloc(Function function)
{
    try {
        function();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void bad_alloc_is_thrown()
{
    for (std::size_t size : impossible) {
        CHECK(throws_bad_alloc([=] { ::operator delete(::operator new(size)); }));
        CHECK(throws_bad_alloc([=] { ::operator delete[](::operator new[](size)); }));
        CHECK(throws_bad_alloc([=] { ::operator delete(::operator new(size, std::align_val_t(64))); }));
        CHECK(throws_bad_alloc([=] { ::operator delete[](::operator new[](size, std::align_val_t(64))); }));
    }
    CHECK(throws_bad_alloc([] { std::vector<char> bytes(PTRDIFF_MAX - 100); }));
}

/* Unwinding out of operator new through a frame with something to destroy, in a thread. */
void bad_alloc_unwinds_in_a_thread()
{
    static int destroyed = 0;
    struct Counter {
        ~Counter()
        {
            destroyed++;
        }
    };
    std::thread([] {
        CHECK(throws_bad_alloc([] {
            Counter counter;
            std::unique_ptr<char[]> small(new char[100]);
            ::operator delete(::operator new(SIZE_MAX / 2));
        }));
    }).join();
    CHECK(destroyed == 1);
}

int handler_calls;

void handler_gives_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct handler_error : std::bad_alloc {
};

void handler_throws()
{
    handler_calls++;
    throw handler_error();
}

void expect_handler(int calls)
{
    CHECKF(handler_calls == calls, "the new_handler was called %d times, not %d", handler_calls, calls);
    handler_calls = 0;
}

void new_handler_loop()
{
    handler_calls = 0;
    std::set_new_handler(handler_gives_up);
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(SIZE_MAX / 2)); }));
    expect_handler(3);
    std::set_new_handler(handler_gives_up);
    CHECK(::operator new(SIZE_MAX / 2, std::nothrow) == nullptr);
    expect_handler(3);
    std::set_new_handler(handler_gives_up);
    CHECK(throws_bad_alloc([] { ::operator delete(::operator new(SIZE_MAX / 2, std::align_val_t(128))); }));
    expect_handler(3);

    std::set_new_handler(handler_throws);
    bool own = false;
    try {
        ::operator delete[](::operator new[](SIZE_MAX / 2));
    } catch (const handler_error &) {
        own = true;
    }
    CHECK(own);
    expect_handler(1);
    CHECK(::operator new[](SIZE_MAX / 2, std::nothrow) == nullptr);
    expect_handler(1);
    CHECK(::operator new(SIZE_MAX / 2, std::align_val_t(64), std::nothrow) == nullptr);
    expect_handler(1);
    std::set_new_handler(nullptr);
}

struct rlimit limit_before;

void handler_makes_room()
{
    handler_calls++;
    setrlimit(RLIMIT_AS, &limit_before);
}

/* The loop tries again after each call of the handler: here the first call gives the memory back. */
void new_handler_helps()
{
    CHECK(getrlimit(RLIMIT_AS, &limit_before) == 0);
    struct rlimit small = limit_before;
    small.rlim_cur = proc_status_bytes(0, "VmSize:") + 32 * MIB;
    std::set_new_handler(handler_makes_room);
    CHECK(setrlimit(RLIMIT_AS, &small) == 0);
    void *block = ::operator new(300 * MIB);
    expect_handler(1);
    fill(block, 4096);
    ::operator delete(block);
    std::set_new_handler(nullptr);
}

struct alignas(64) Wide {
    char bytes[64];
};

void new_expressions()
{
    struct Item {
        std::string text;
        int *count;
        ~Item()
        {
            ++*count;
        }
    };
    int destroyed = 0;
    Item *items = new Item[100];
    for (int i = 0; i < 100; i++) {
        items[i].text.assign(static_cast<std::size_t>(i), 'x');
        items[i].count = &destroyed;
    }
    delete[] items;
    CHECK(destroyed == 100);

    std::vector<std::unique_ptr<Wide>> wides;
    for (int i = 0; i < 1000; i++) {
        wides.push_back(std::make_unique<Wide>());
        is_aligned(wides.back().get(), 64);
    }
}

void operators_are_hakmem_s()
{
    static const char *const names[] = {
        "_Znwm", "_Znam", "_ZdlPv", "_ZdaPvm", "_ZnwmSt11align_val_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t"};
    for (const char *name : names) {
        void *address = dlsym(RTLD_DEFAULT, name);
        Dl_info info;
        CHECK(address && dladdr(address, &info));
        CHECKF(std::strstr(info.dli_fname, "libhakmem"), "%s is in %s", name, info.dli_fname);
    }
}

} // namespace

int main(int count, char **arguments)
{
    if (count > 1 && !std::strcmp(arguments[1], "preloaded"))
        operators_are_hakmem_s();
    plain_and_array();
    either_delete();
    without_exceptions();
    aligned();
    new_expressions();
    bad_alloc_is_thrown();
    bad_alloc_unwinds_in_a_thread();
    new_handler_loop();
    if (const char *lack = lacks_address_limit())
        check_note("not called: %s", lack);
    else
        new_handler_helps();
    return 0;
}
