/* SPDX-License-Identifier: MIT
 *
 * A program that names nothing of C++'s library but operators: neither malloc nor std::bad_alloc. Linked statically it
 * has only those parts of the C++ runtime that the operators themselves ask for.
 */
#include <cstdint>
#include <new>

static volatile std::size_t impossible = SIZE_MAX / 2;

static bool throws()
{
    try {
        ::operator delete(::operator new(impossible));
    } catch (...) {
        return true;
    }
    return false;
}

int main()
{
    if (::operator new(impossible, std::nothrow) != nullptr)
        return 1;
    if (!throws())
        return 2;
    int *volatile one = new int(3);
    delete one;
    return 0;
}
