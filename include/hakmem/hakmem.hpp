// SPDX-License-Identifier: MIT
//
// hakmem for C++17: heaps of one's own as objects, std::pmr::memory_resource on them or on the program's heap, and
// allocators for containers. Header only; link as for hakmem.h. docs/heaps.md.
//
// Any thread; sizes and alignments are bytes. What says "throws" throws std::bad_alloc where there is no memory, or where
// a heap's limit does not allow it; new_handler is not called.
#ifndef HAKMEM_HPP
#define HAKMEM_HPP

#include <hakmem/hakmem.h>

#include <cstddef>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

namespace hakmem {

// A heap of one's own, destroyed with its object: no block of it may be used or freed from then on, and no container on
// it outlive it. Movable; of a heap that was moved from, handle() is NULL and every allocation throws.
class heap {
  public:
    // Never more than `limit` bytes, its record included; 0: no limit. Throws.
    explicit heap(std::size_t limit = 0) : handle_(hak_heap_new(limit))
    {
        if (handle_ == nullptr)
            throw std::bad_alloc();
    }

    // Takes a heap of hak_heap_new over.
    explicit heap(hak_heap *handle) noexcept : handle_(handle) {}

    heap(heap &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    heap &operator=(heap &&other) noexcept
    {
        if (this != &other) {
            hak_heap_destroy(handle_);
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }

    heap(const heap &) = delete;
    heap &operator=(const heap &) = delete;

    ~heap() { hak_heap_destroy(handle_); }

    // A block; throws. `alignment` is a power of two.
    [[nodiscard]] void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        void *block = hak_heap_aligned_alloc(handle_, alignment, bytes);
        if (block == nullptr)
            throw std::bad_alloc();
        return block;
    }

    // A block of this heap, or nullptr.
    void deallocate(void *block) noexcept
    {
        if (block != nullptr)
            hak_heap_free(handle_, block);
    }

    // Does a live block of this heap start there?
    [[nodiscard]] bool owns(const void *block) const noexcept
    {
        return handle_ != nullptr && hak_heap_usable_size(handle_, block) != 0;
    }

    // All zero for a heap that was moved from.
    [[nodiscard]] struct hak_heap_stats stats() const noexcept
    {
        struct hak_heap_stats result {};
        result.size = sizeof result;
        if (handle_ != nullptr)
            ::hak_heap_stats(handle_, &result);
        return result;
    }

    // For the functions of hakmem.h.
    [[nodiscard]] hak_heap *handle() const noexcept { return handle_; }

    // Gives the heap away: the caller destroys it.
    [[nodiscard]] hak_heap *release() noexcept { return std::exchange(handle_, nullptr); }

  private:
    hak_heap *handle_;
};

// A memory_resource on the program's heap, or on a heap of one's own, which must outlive it. Two are equal when what one
// allocated the other may deallocate. allocate throws; deallocate takes any size and alignment.
class resource final : public std::pmr::memory_resource {
  public:
    resource() noexcept = default;
    explicit resource(heap &on) noexcept : handle_(on.handle()) {}
    explicit resource(hak_heap *on) noexcept : handle_(on) {}

    [[nodiscard]] hak_heap *handle() const noexcept { return handle_; }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void *block = handle_ != nullptr ? hak_heap_aligned_alloc(handle_, alignment, bytes)
                                         : hak_aligned_alloc(alignment, bytes);
        if (block == nullptr)
            throw std::bad_alloc();
        return block;
    }

    void do_deallocate(void *block, std::size_t bytes, std::size_t alignment) override
    {
        if (handle_ != nullptr)
            hak_heap_free(handle_, block);
        else
            hak_free_aligned_sized(block, alignment, bytes);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        const auto *same = dynamic_cast<const resource *>(&other);
        return same != nullptr && same->handle_ == handle_;
    }

    hak_heap *handle_ = nullptr;
};

// An allocator for containers, on the program's heap or on a heap of one's own, which must outlive it. It goes with the
// contents of a container that is moved, assigned or swapped.
template <class T> class allocator {
  public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    allocator() noexcept = default;
    explicit allocator(heap &on) noexcept : handle_(on.handle()) {}
    explicit allocator(hak_heap *on) noexcept : handle_(on) {}
    template <class U> allocator(const allocator<U> &other) noexcept : handle_(other.handle()) {}

    // Throws std::bad_array_new_length where count * sizeof(T) is too large, too.
    [[nodiscard]] T *allocate(std::size_t count)
    {
        if (count > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / sizeof(T))
            throw std::bad_array_new_length();
        void *block = take(count * sizeof(T));
        if (block == nullptr)
            throw std::bad_alloc();
        return static_cast<T *>(block);
    }

    void deallocate(T *block, std::size_t count) noexcept
    {
        if (handle_ != nullptr)
            hak_heap_free(handle_, block);
        else if (alignof(T) > alignof(std::max_align_t))
            hak_free_aligned_sized(block, alignof(T), count * sizeof(T));
        else
            hak_free_sized(block, count * sizeof(T));
    }

    [[nodiscard]] hak_heap *handle() const noexcept { return handle_; }

    template <class U> friend bool operator==(const allocator &a, const allocator<U> &b) noexcept
    {
        return a.handle() == b.handle();
    }
    template <class U> friend bool operator!=(const allocator &a, const allocator<U> &b) noexcept
    {
        return a.handle() != b.handle();
    }

  private:
    void *take(std::size_t bytes) noexcept
    {
        constexpr std::size_t alignment = alignof(T);
        if (handle_ != nullptr)
            return hak_heap_aligned_alloc(handle_, alignment, bytes);
        return alignment > alignof(std::max_align_t) ? hak_aligned_alloc(alignment, bytes) : hak_malloc(bytes);
    }

    hak_heap *handle_ = nullptr;
};

} // namespace hakmem

#endif
