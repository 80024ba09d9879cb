/* SPDX-License-Identifier: MIT
 *
 * Ends of blocks, and links by the secret: every size, every wrong byte.
 */
#include "unit.h"

#include "superslab/fill.h"
#include "superslab/link.h"
#include "superslab/size_class.h"

enum { LARGEST = 4096, BEFORE = 64 };

static _Alignas(64) unsigned char memory[BEFORE + 2 * LARGEST];
static void *const block = memory + BEFORE;

static bool is_whole(size_t slot, size_t size)
{
    const uint64_t *end = hk_end_at(block, slot);
    uint64_t hash = hk_end_hash(end);
    size_t found;
    return hk_end_lives(hk_end_read(end, hash), slot, &found) && found == size && hk_end_holds(block, found, *end);
}

static void set(size_t slot, size_t size)
{
    hk_end_set(block, slot, size, hk_end_hash(hk_end_at(block, slot)), 0);
}

static size_t slot_of(size_t size)
{
    return hk_class_size(hk_class_of(hk_max(size + HK_END_BYTES, 32)));
}

/* The program's bytes stay, whatever they are, and what is said is what was set; in its own slot, and in the next one.
 */
static void an_end_says_the_size(void **state)
{
    (void)state;
    for (size_t size = 0; size < LARGEST - HK_END_BYTES; size++) {
        for (unsigned more = 0; more < 2; more++) {
            size_t slot = slot_of(size) + more * 16;
            memset(memory, (int)size, sizeof(memory));
            set(slot, size);
            assert_true(is_whole(slot, size));
            for (size_t i = 0; i < size; i++)
                assert_int_equal(((unsigned char *)block)[i], (unsigned char)size);
            assert_int_equal(((unsigned char *)block)[slot], (unsigned char)size);
            assert_int_equal(memory[BEFORE - 1], (unsigned char)size);
        }
    }
}

/* Every other value of one byte is found. */
static void assert_byte_is_guarded(unsigned char *at, size_t slot, size_t size)
{
    unsigned char was = *at;
    for (unsigned change = 1; change < 256; change++) {
        *at = (unsigned char)(was ^ change);
        assert_false(is_whole(slot, size));
    }
    *at = was;
    assert_true(is_whole(slot, size));
}

static void one_byte_is_enough(void **state)
{
    (void)state;
    for (size_t size = 0; size < LARGEST - HK_END_BYTES; size += size < 300 ? 1 : 37) {
        size_t slot = slot_of(size);
        unsigned char *start = block;
        memset(memory, 0x5a, sizeof(memory));
        set(slot, size);
        assert_byte_is_guarded(start + size, slot, size);
        assert_true(start[size] != 0);
        for (size_t i = slot - HK_END_BYTES; i < slot - HK_END_BYTES / 2; i++) /* the other half says something */
            assert_byte_is_guarded(start + i, slot, size);
        assert_byte_is_guarded(start + slot - 1, slot, size);
    }
}

static void a_new_one_says_so(void **state)
{
    (void)state;
    const uint64_t *end = hk_end_at(block, 64);
    size_t size;
    hk_end_set(block, 64, 50, hk_end_hash(end), HK_END_OF_NEW);
    uint64_t said = hk_end_read(end, hk_end_hash(end));
    assert_true(hk_end_lives(said, 64, &size) && size == 50 && (said & HK_END_OF_NEW) != 0);
    set(64, 50);
    assert_true((hk_end_read(end, hk_end_hash(end)) & HK_END_OF_NEW) == 0);
}

/* What stands in front of a block of a slab: lives, or nobody's; and one byte of each is enough, too. */
static void the_end_before(void **state)
{
    (void)state;
    unsigned char *next = (unsigned char *)block + 64;
    for (int lives = 0; lives < 2; lives++) {
        if (lives)
            set(64, 40);
        else
            hk_end_clear(block, 64);
        assert_true(hk_end_before_is_whole(next, 64));
        assert_int_equal(is_whole(64, 40), lives);
        for (unsigned change = 1; change < 256; change++) {
            next[-1] ^= (unsigned char)change;
            assert_false(hk_end_before_is_whole(next, 64));
            next[-1] ^= (unsigned char)change;
        }
        for (unsigned bytes = 1; bytes <= 8; bytes++) { /* some more, and all bits of them */
            uint64_t *end = hk_end_at(block, 64), was = *end;
            for (unsigned i = 1; i <= bytes; i++)
                next[-(int)i] ^= 0xff;
            assert_false(hk_end_before_is_whole(next, 64));
            *end = was;
        }
    }
}

/* An end of one slot is none of another, nor at another place. */
static void an_end_is_of_its_place(void **state)
{
    (void)state;
    size_t size;
    uint64_t *end = hk_end_at(block, 64);
    set(64, 40);
    assert_false(hk_end_lives(hk_end_read(end, hk_end_hash(end)), 16, &size)); /* so much is not there */
    end[16] = *end;
    assert_false(hk_end_lives(hk_end_read(end + 16, hk_end_hash(end + 16)), 64, &size));
}

/* Is it seen that this byte of a block is written while nobody has it? */
static bool is_seen(size_t slot, size_t at)
{
    if (HK_FILL == HK_FILL_WHOLE && at < HK_FILL_WHOLE)
        return true;
    return at < 48 || at >= slot - 32;
}

static void a_free_block_is_zero(void **state)
{
    (void)state;
    static const uint16_t slots[] = {32, 48, 64, 80, 96, 112, 1024, LARGEST};
    for (unsigned i = 0; i < HK_COUNT(slots); i++) {
        size_t slot = slots[i], middle = HK_FILL_MIDDLE(slot);
        unsigned char *byte = block;
        memset(memory, 0x5a, sizeof(memory));
        hk_fill(block, slot, middle);
        uint64_t second = ((uint64_t *)block)[1];
        assert_int_equal(second, UINT64_C(0x5a5a5a5a5a5a5a5a)); /* the mark's */
        assert_true(hk_fill_is_whole(block, slot, middle, second));
        for (size_t at = 0; at < slot; at++) {
            assert_int_equal(byte[at], is_seen(slot, at) && at / 8 != 1 ? 0 : 0x5a);
            byte[at] ^= 0x40;
            assert_int_equal(hk_fill_is_whole(block, slot, middle, second), !is_seen(slot, at));
            byte[at] ^= 0x40;
        }
        assert_int_equal(byte[slot], 0x5a);
        assert_int_equal(memory[BEFORE - 1], 0x5a);
    }
}

/* A link comes back, and one whose bytes are written over, one or all, leads nowhere near. */
static void a_link_cannot_be_written_over(void **state)
{
    (void)state;
    uint64_t *at = block;
    char *next = (char *)block + 4096;
    hk_link_to(block, NULL);
    assert_null(hk_link_of(block));
    hk_link_to(block, next);
    assert_ptr_equal(hk_link_of(block), next);
    uint64_t was = *at;
    for (unsigned byte = 0; HK_LINKS && byte < 8; byte++) {
        for (uint64_t change = 1; change < 256; change++) {
            *at = was ^ change << 8 * byte;
            uintptr_t apart = (uintptr_t)hk_link_of(block) - (uintptr_t)block + 65536;
            assert_true(apart > 2 * 65536);
        }
    }
    *at = (uint64_t)(uintptr_t)next;
    assert_true(!HK_LINKS || hk_link_of(block) != next);
}

static void the_secret_is_made_once(void **state)
{
    (void)state;
    uintptr_t was = hk_secret;
    assert_true(was != 0);
    hk_secret_learn();
    hk_secret_make();
    assert_int_equal(hk_secret, was);
}

int main(void)
{
    hk_secret_learn();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_says_the_size),
        cmocka_unit_test(one_byte_is_enough),
        cmocka_unit_test(a_new_one_says_so),
        cmocka_unit_test(the_end_before),
        cmocka_unit_test(an_end_is_of_its_place),
        cmocka_unit_test(a_free_block_is_zero),
        cmocka_unit_test(a_link_cannot_be_written_over),
        cmocka_unit_test(the_secret_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
