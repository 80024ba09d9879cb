/* SPDX-License-Identifier: MIT
 *
 * A plugin in C++ for plugin_host.c. It brings libstdc++ with it and knows nothing of hakmem.
 */
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <vector>

static int handler_calls;

static void handler()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

extern "C" int plugin_catches(std::size_t size)
{
    try {
        ::operator delete[](::operator new[](size), size);
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}

extern "C" int plugin_catches_aligned(std::size_t size)
{
    try {
        ::operator delete(::operator new(size, std::align_val_t(64)), size, std::align_val_t(64));
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}

extern "C" int plugin_handler_is_called(std::size_t size)
{
    handler_calls = 0;
    std::set_new_handler(handler);
    return plugin_catches(size) && handler_calls == 1;
}

extern "C" int plugin_nothrow(std::size_t size)
{
    void *block = ::operator new[](size, std::nothrow);
    ::operator delete[](block);
    return block == nullptr;
}

static void handler_throws()
{
    handler_calls++;
    throw std::bad_alloc();
}

/* What the handler throws leaves operator new, but not its nothrow form. */
extern "C" int plugin_handler_throws(std::size_t size)
{
    handler_calls = 0;
    std::set_new_handler(handler_throws);
    bool fine = plugin_catches(size) && plugin_catches_aligned(size) && plugin_nothrow(size) && handler_calls == 3;
    std::set_new_handler(nullptr);
    return fine;
}

/* A block of operator new that the host frees by free(). */
extern "C" void *plugin_block(std::size_t size)
{
    return ::operator new(size);
}

extern "C" std::size_t plugin_work()
{
    std::vector<std::unique_ptr<std::string>> strings;
    for (std::size_t i = 0; i < 2000; i++)
        strings.push_back(std::make_unique<std::string>(i % 300, 'a'));
    std::size_t total = 0;
    for (const auto &text : strings)
        total += text->size();
    return total;
}
