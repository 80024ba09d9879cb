/* SPDX-License-Identifier: MIT
 *
 * Replacements of some of C++'s operators, for replaced.cpp: those whose bit is set in REPLACE, in the order of
 * replaced.h. Each counts its calls. With SHIFT=1 the blocks of the plain and the aligned primitives begin behind
 * something of the program's own, so that whoever gives one to another allocator is found out.
 */
#include "replaced.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef SHIFT
#define SHIFT 0
#endif
#define REPLACED(which) ((REPLACE >> which) & 1)
#define COUNT(which) ++replaced_calls[which]

int replaced_calls[REPLACED_OPERATORS];

[[maybe_unused]] static void *take(std::size_t size, std::size_t align)
{
    std::size_t before = SHIFT ? align : 0;
    if (size > SIZE_MAX / 4)
        return nullptr;
    char *block = static_cast<char *>(std::aligned_alloc(align, before + (size + align) / align * align));
    return block == nullptr ? nullptr : block + before;
}

[[maybe_unused]] static void *take_or_throw(std::size_t size, std::size_t align)
{
    void *block = take(size, align);
    if (block == nullptr)
        throw std::bad_alloc();
    return block;
}

[[maybe_unused]] static void give(void *block, std::size_t align)
{
    if (block != nullptr)
        std::free(static_cast<char *>(block) - (SHIFT ? align : 0));
}

#if REPLACED(NEW)
void *operator new(std::size_t size)
{
    COUNT(NEW);
    return take_or_throw(size, 16);
}
#endif
#if REPLACED(NEW_ARRAY)
void *operator new[](std::size_t size)
{
    COUNT(NEW_ARRAY);
    return take_or_throw(size, 16);
}
#endif
#if REPLACED(NEW_NOTHROW)
void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
    COUNT(NEW_NOTHROW);
    return take(size, 16);
}
#endif
#if REPLACED(NEW_ARRAY_NOTHROW)
void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
    COUNT(NEW_ARRAY_NOTHROW);
    return take(size, 16);
}
#endif
#if REPLACED(NEW_ALIGNED)
void *operator new(std::size_t size, std::align_val_t)
{
    COUNT(NEW_ALIGNED);
    return take_or_throw(size, REPLACED_ALIGN);
}
#endif
#if REPLACED(NEW_ARRAY_ALIGNED)
void *operator new[](std::size_t size, std::align_val_t)
{
    COUNT(NEW_ARRAY_ALIGNED);
    return take_or_throw(size, REPLACED_ALIGN);
}
#endif
#if REPLACED(NEW_ALIGNED_NOTHROW)
void *operator new(std::size_t size, std::align_val_t, const std::nothrow_t &) noexcept
{
    COUNT(NEW_ALIGNED_NOTHROW);
    return take(size, REPLACED_ALIGN);
}
#endif
#if REPLACED(NEW_ARRAY_ALIGNED_NOTHROW)
void *operator new[](std::size_t size, std::align_val_t, const std::nothrow_t &) noexcept
{
    COUNT(NEW_ARRAY_ALIGNED_NOTHROW);
    return take(size, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE)
void operator delete(void *block) noexcept
{
    COUNT(DELETE);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_ARRAY)
void operator delete[](void *block) noexcept
{
    COUNT(DELETE_ARRAY);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_SIZED)
void operator delete(void *block, std::size_t) noexcept
{
    COUNT(DELETE_SIZED);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_ARRAY_SIZED)
void operator delete[](void *block, std::size_t) noexcept
{
    COUNT(DELETE_ARRAY_SIZED);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_NOTHROW)
void operator delete(void *block, const std::nothrow_t &) noexcept
{
    COUNT(DELETE_NOTHROW);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_ARRAY_NOTHROW)
void operator delete[](void *block, const std::nothrow_t &) noexcept
{
    COUNT(DELETE_ARRAY_NOTHROW);
    give(block, 16);
}
#endif
#if REPLACED(DELETE_ALIGNED)
void operator delete(void *block, std::align_val_t) noexcept
{
    COUNT(DELETE_ALIGNED);
    give(block, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE_ARRAY_ALIGNED)
void operator delete[](void *block, std::align_val_t) noexcept
{
    COUNT(DELETE_ARRAY_ALIGNED);
    give(block, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE_ALIGNED_SIZED)
void operator delete(void *block, std::size_t, std::align_val_t) noexcept
{
    COUNT(DELETE_ALIGNED_SIZED);
    give(block, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE_ARRAY_ALIGNED_SIZED)
void operator delete[](void *block, std::size_t, std::align_val_t) noexcept
{
    COUNT(DELETE_ARRAY_ALIGNED_SIZED);
    give(block, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE_ALIGNED_NOTHROW)
void operator delete(void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
    COUNT(DELETE_ALIGNED_NOTHROW);
    give(block, REPLACED_ALIGN);
}
#endif
#if REPLACED(DELETE_ARRAY_ALIGNED_NOTHROW)
void operator delete[](void *block, std::align_val_t, const std::nothrow_t &) noexcept
{
    COUNT(DELETE_ARRAY_ALIGNED_NOTHROW);
    give(block, REPLACED_ALIGN);
}
#endif
