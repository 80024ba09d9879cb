// SPDX-License-Identifier: MIT
//
// hakmem.hpp: containers on a heap of one's own and on the program's, what throws, and what moves.
#include <hakmem/hakmem.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#define CHECK(x)                                                                   \
    do {                                                                           \
        if (!(x)) {                                                                \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #x); \
            std::exit(1);                                                          \
        }                                                                          \
    } while (0)

template <class F> static bool throws(F body)
{
    try {
        body();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void containers_on_a_resource()
{
    hakmem::heap heap;
    hakmem::resource own(heap), same(heap), plain, plain_too;
    CHECK(own == same && plain == plain_too && own != plain && !(own == *std::pmr::new_delete_resource()));
    {
        std::pmr::map<int, std::pmr::string> map(&own);
        for (int i = 0; i < 5000; i++)
            map[i] = "a string that is longer than the small string optimization " + std::to_string(i);
        CHECK(heap.stats().live_blocks >= 10000);
        CHECK(heap.owns(&*map.begin()) || heap.stats().live_bytes > 5000 * 64);
        std::pmr::map<int, std::pmr::string> copy(map, &plain);
        CHECK(copy == map);
        map.clear();
    }
    CHECK(heap.stats().live_blocks == 0);
    for (std::size_t alignment = 1; alignment <= 1 << 22; alignment *= 2) {
        for (auto *resource : {&own, &plain}) {
            void *block = resource->allocate(100, alignment);
            CHECK(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
            std::memset(block, 1, 100);
            resource->deallocate(block, 100, alignment);
        }
    }
    CHECK(throws([&] { static_cast<void>(own.allocate(SIZE_MAX / 4)); }));
    CHECK(throws([&] { static_cast<void>(plain.allocate(SIZE_MAX / 4)); }));
}

struct alignas(256) wide {
    char bytes[300];
};

static void containers_with_an_allocator()
{
    hakmem::heap heap, other;
    using allocator = hakmem::allocator<int>;
    std::vector<int, allocator> vector(allocator{heap}), plain;
    for (int i = 0; i < 100000; i++) {
        vector.push_back(i);
        plain.push_back(i);
    }
    CHECK(heap.owns(vector.data()) && !heap.owns(plain.data()) && !other.owns(vector.data()));
    plain = std::move(vector); // the allocator goes with it
    CHECK(heap.owns(plain.data()) && plain.size() == 100000 && plain[99999] == 99999);
    std::list<wide, hakmem::allocator<wide>> list(hakmem::allocator<wide>{heap});
    for (int i = 0; i < 100; i++)
        CHECK(reinterpret_cast<std::uintptr_t>(&list.emplace_back()) % 256 == 0);
    std::vector<wide, hakmem::allocator<wide>> wides(10);
    CHECK(reinterpret_cast<std::uintptr_t>(wides.data()) % 256 == 0);
    std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, hakmem::allocator<std::pair<const int, int>>> hash(
        hakmem::allocator<std::pair<const int, int>>{heap});
    for (int i = 0; i < 1000; i++)
        hash[i] = i;
    auto pointer = std::allocate_shared<std::string>(hakmem::allocator<std::string>{heap}, "shared");
    CHECK(*pointer == "shared" && heap.stats().live_blocks > 1000);
    CHECK(allocator{heap} == hakmem::allocator<char>{heap} && allocator{heap} != allocator{other});
    allocator some{heap};
    CHECK(throws([&] { static_cast<void>(some.allocate(SIZE_MAX / 2)); }));
    CHECK(throws([&] { static_cast<void>(allocator().allocate(SIZE_MAX / 8)); }));
}

static void heaps_move_and_end()
{
    hakmem::heap first, second(1 << 20);
    void *block = first.allocate(100);
    hakmem::heap moved(std::move(first));
    CHECK(first.handle() == nullptr && moved.owns(block) && first.stats().live_blocks == 0);
    CHECK(throws([&] { static_cast<void>(first.allocate(1)); }));
    second = std::move(moved);
    CHECK(second.owns(block) && second.stats().limit == 0);
    second.deallocate(block);
    second.deallocate(nullptr);
    CHECK(!second.owns(block));
    hakmem::heap taken(second.release());
    CHECK(second.handle() == nullptr && taken.stats().live_blocks == 0);
    hakmem::heap limited(65536);
    CHECK(throws([&] { static_cast<void>(limited.allocate(100000)); }));
    CHECK(throws([] { hakmem::heap none(1); }));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&taken] {
            for (int i = 0; i < 10000; i++)
                taken.deallocate(taken.allocate(static_cast<std::size_t>(i % 1000)));
        });
    }
    for (auto &thread : threads)
        thread.join();
    CHECK(taken.stats().live_blocks == 0);
}

template <class A> static bool is_empty_block_whole(A allocator)
{
    auto *one = allocator.allocate(0), *two = allocator.allocate(0);
    bool whole = one != nullptr && two != nullptr && one != two;
    allocator.deallocate(one, 0);
    allocator.deallocate(two, 0);
    return whole;
}

static void blocks_of_no_bytes()
{
    hakmem::heap heap(0), limited(0u), longer(0L); // no pointers
    hakmem::resource own(heap), plain;
    void *one = heap.allocate(0), *two = heap.allocate(0, 64);
    CHECK(one != nullptr && two != nullptr && one != two && heap.owns(one) && heap.owns(two));
    heap.deallocate(one);
    heap.deallocate(two);
    for (auto *resource : {&own, &plain}) {
        for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            void *block = resource->allocate(0, alignment);
            CHECK(block != nullptr && reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
            resource->deallocate(block, 0, alignment);
        }
    }
    CHECK(is_empty_block_whole(hakmem::allocator<int>{heap}) && is_empty_block_whole(hakmem::allocator<int>{}));
    CHECK(is_empty_block_whole(hakmem::allocator<wide>{heap}) && is_empty_block_whole(hakmem::allocator<wide>{}));
    CHECK(heap.stats().live_blocks == 0 && heap.stats().limit == 0 && limited.stats().limit == 0);
}

// What is on no heap throws; it does not go to the program's.
static void nothing_comes_of_no_heap()
{
    hakmem::heap first;
    hakmem::resource before(first);
    hakmem::heap moved(std::move(first)), null(static_cast<hak_heap *>(nullptr));
    hakmem::resource after(first), on_null(static_cast<hak_heap *>(nullptr)), plain;
    CHECK(throws([&] { static_cast<void>(null.allocate(1)); }) && null.stats().limit == 0 && !null.owns(&null));
    CHECK(throws([&] { static_cast<void>(after.allocate(1)); }));
    CHECK(throws([&] { static_cast<void>(on_null.allocate(1)); }));
    CHECK(after == on_null && after != plain && plain != on_null && before != after);
    void *block = before.allocate(10); // the heap is another object's, and is there
    CHECK(moved.owns(block));
    first.deallocate(block); // it is none of its
    CHECK(moved.owns(block));
    before.deallocate(block, 10);

    hakmem::allocator<int> none{first}, plain_one;
    hakmem::allocator<char> none_too(none);
    CHECK(throws([&] { static_cast<void>(none.allocate(1)); }));
    CHECK(throws([&] { static_cast<void>(none_too.allocate(1)); }));
    CHECK(none == none_too && none != plain_one && none != hakmem::allocator<int>{moved});
    std::vector<int, hakmem::allocator<int>> vector(none);
    CHECK(throws([&] { vector.push_back(1); }) && vector.empty());
    first = std::move(moved);
    first = hakmem::heap(1 << 20);
    CHECK(first.stats().limit == 1 << 20 && moved.handle() == nullptr);
}

int main()
{
    blocks_of_no_bytes();
    nothing_comes_of_no_heap();
    containers_on_a_resource();
    containers_with_an_allocator();
    heaps_move_and_end();
    return 0;
}
