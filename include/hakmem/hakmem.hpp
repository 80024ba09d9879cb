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
// it outlive it. Movable; of a heap that was moved from, handle() is NULL, every allocation throws, and nothing is freed.
class heap {
  public:
    // Throws.
    heap() : heap(std::size_t{0}) {}

    // Never more than `limit` bytes, its record included; 0: no limit. Throws. (For each type, so that heap(0) is not
    // taken for a pointer.)
    template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
    explicit heap(Integer limit) : handle_(hak_heap_new(static_cast<std::size_t>(limit)))
    {
        if (handle_ == nullptr)
            throw std::bad_alloc();
    }

    // Takes a heap of hak_heap_new over. NULL is one that was moved from.
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

    // A block, of which no two are the same, also of 0 bytes; throws. `alignment` is a power of two.
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

// A memory_resource on the program's heap, or on a heap of one's own, which must outlive it: the heap, not the object,
// which may be moved. On a heap that was moved from before, or on NULL, every allocation throws. Two are equal when what
// one allocated the other may deallocate. allocate throws; deallocate takes any size and alignment.
class resource final : public std::pmr::memory_resource {
  public:
    resource() noexcept = default;
    explicit resource(heap &on) noexcept : resource(on.handle()) {}
    explicit resource(hak_heap *on) noexcept : handle_(on), is_own_(true) {}

    [[nodiscard]] hak_heap *handle() const noexcept { return handle_; }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        void *block =
            is_own_ ? hak_heap_aligned_alloc(handle_, alignment, bytes) : hak_aligned_alloc(alignment, bytes);
        if (block == nullptr)
            throw std::bad_alloc();
        return block;
    }

    void do_deallocate(void *block, std::size_t bytes, std::size_t alignment) override
    {
        if (is_own_)
            hak_heap_free(handle_, block);
        else
            hak_free_aligned_sized(block, alignment, bytes);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#ifdef __cpp_rtti
        const auto *same = dynamic_cast<const resource *>(&other);
        return same != nullptr && same->handle_ == handle_ && same->is_own_ == is_own_;
#else
        return this == &other; // what the other is nobody knows
#endif
    }

    hak_heap *handle_ = nullptr;
    bool is_own_ = false;
};

// An allocator for containers, on the program's heap or on a heap of one's own, as resource above. It goes with the
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
    explicit allocator(heap &on) noexcept : allocator(on.handle()) {}
    explicit allocator(hak_heap *on) noexcept : handle_(on), is_own_(true) {}
    template <class U>
    allocator(const allocator<U> &other) noexcept : handle_(other.handle_), is_own_(other.is_own_)
    {
    }

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
        if (is_own_)
            hak_heap_free(handle_, block);
        else if (alignof(T) > alignof(std::max_align_t))
            hak_free_aligned_sized(block, alignof(T), count * sizeof(T));
        else
            hak_free_sized(block, count * sizeof(T));
    }

    [[nodiscard]] hak_heap *handle() const noexcept { return handle_; }

    template <class U> friend bool operator==(const allocator &a, const allocator<U> &b) noexcept
    {
        return a.is_same(b);
    }
    template <class U> friend bool operator!=(const allocator &a, const allocator<U> &b) noexcept
    {
        return !a.is_same(b);
    }

  private:
    template <class U> friend class allocator;

    template <class U> bool is_same(const allocator<U> &other) const noexcept
    {
        return handle_ == other.handle_ && is_own_ == other.is_own_;
    }

    void *take(std::size_t bytes) noexcept
    {
        constexpr std::size_t alignment = alignof(T);
        if (is_own_)
            return hak_heap_aligned_alloc(handle_, alignment, bytes);
        return alignment > alignof(std::max_align_t) ? hak_aligned_alloc(alignment, bytes) : hak_malloc(bytes);
    }

    hak_heap *handle_ = nullptr;
    bool is_own_ = false;
};

} // namespace hakmem

#endif
