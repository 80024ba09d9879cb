/* SPDX-License-Identifier: MIT
 *
 * The stacks of two: what they keep, and that all else goes to and from the slabs by the piece. Each case runs in a
 * child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#define MOST 200u

static void *blocks[MOST];

/* A third free gives the oldest block back; the two that were freed last are handed out again, newest first. */
static void keep_two(void *arg)
{
    size_t size = *(const unsigned *)arg;
    unsigned cls = hk_class_of(size);
    for (unsigned i = 0; i < MOST; i++)
        blocks[i] = front_take(size);
    struct hk_thread *thread = front_self();
    const struct hk_front_metrics *moved = &thread->metrics[cls];
    EXPECT(hk_bin_count(thread, cls) == 0 && thread->own.room.cap[cls].now == 2);
    for (unsigned i = 0; i < MOST; i++) {
        front_free(blocks[i]);
        EXPECT(hk_bin_count(thread, cls) == (i == 0 ? 1 : 2));
        EXPECT(moved->flushes == (i < 2 ? 0 : i - 1) && moved->flushed == moved->flushes);
    }
    EXPECT(front_malloc(size) == blocks[MOST - 1]);
    EXPECT(front_malloc(size) == blocks[MOST - 2]);
    EXPECT(hk_bin_count(thread, cls) == 0);
    front_check();
    EXPECT(hk_heap_check(&thread->heap));
}

static void the_two_freed_last_are_kept(void **state)
{
    (void)state;
    const unsigned sizes[] = {16, 64, 480, 1024, 3000};
    for (unsigned i = 0; i < HK_COUNT(sizes); i++)
        unit_passes(keep_two, (void *)&sizes[i]);
}

/* An empty bin gets one block, for the program at once. */
static void refill_one(void *arg)
{
    (void)arg;
    unsigned cls = hk_class_of(64);
    for (unsigned i = 0; i < MOST; i++) {
        blocks[i] = front_take(64);
        const struct hk_front_metrics *moved = &front_self()->metrics[cls];
        EXPECT(moved->refills == i + 1 && moved->refilled == i + 1);
        EXPECT(hk_bin_count(front_self(), cls) == 0);
    }
    front_check();
}

static void a_miss_takes_one_block(void **state)
{
    (void)state;
    unit_passes(refill_one, NULL);
}

/* Against a model that is an array: mallocs find the newest of what it holds, or something that nobody has. */
static void random_program(void *arg)
{
    (void)arg;
    void *kept[HK_TWO_MOST + 1];
    uint64_t seed = 7;
    unsigned count = 0, out = 0;
    while (out < MOST / 2)
        blocks[out++] = front_take(64);
    for (unsigned i = 0; i < 20000; i++) {
        if (out < MOST && (out == 0 || unit_random(&seed, 2) == 0)) {
            void *block = front_malloc(64);
            EXPECT(count == 0 || block == kept[count - 1]);
            count -= count > 0;
            for (unsigned j = 0; j < out; j++)
                EXPECT(blocks[j] != block);
            blocks[out++] = block;
        } else {
            unsigned at = (unsigned)unit_random(&seed, out);
            kept[count++] = blocks[at];
            front_free(blocks[at]);
            blocks[at] = blocks[--out];
            if (count > HK_TWO_MOST)
                memmove(kept, kept + 1, --count * sizeof *kept);
        }
        EXPECT(hk_bin_count(front_self(), hk_class_of(64)) == count);
    }
    front_check();
    EXPECT(hk_heap_check(&front_self()->heap));
}

static void bins_are_stacks_of_two(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hk_bin), 16);
    unit_passes(random_program, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_freed_last_are_kept),
        cmocka_unit_test(a_miss_takes_one_block),
        cmocka_unit_test(bins_are_stacks_of_two),
    };
    return cmocka_run_group_tests_name("front_two", tests, NULL, NULL);
}
