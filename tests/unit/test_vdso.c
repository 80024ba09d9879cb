/* SPDX-License-Identifier: MIT
 *
 * The kernel's image in this process, images that are made up, with each way to count symbols and with each part
 * pointing outside, and both functions with the system call alone.
 */
#include "unit.h"

#include "os/vdso.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define CLOCK_NAME "__vdso_clock_gettime"
#else
#define CLOCK_NAME "__kernel_clock_gettime"
#endif

static void the_kernels_image_is_read(void **state)
{
    (void)state;
    const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL)
        skip(); /* valgrind */
    int (*clock)(clockid_t, struct timespec *);
    *(const void **)&clock = hk_vdso_find(image, CLOCK_NAME);
    assert_non_null(clock);
    struct timespec ours, theirs;
    assert_int_equal(clock(CLOCK_MONOTONIC_COARSE, &ours), 0);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &theirs), 0);
    assert_true(theirs.tv_sec - ours.tv_sec <= 20);
    assert_null(hk_vdso_find(image, "__vdso_no_such_function"));
    assert_null(hk_vdso_find(image, ""));
}

static void time_and_place_are_told(void **state)
{
    (void)state;
    hk_vdso_start();
    struct timespec before, now, after;
    const clockid_t clocks[] = {CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(clock_gettime(clocks[i], &before), 0);
        assert_true(hk_vdso_clock(clocks[i], &now));
        assert_int_equal(clock_gettime(clocks[i], &after), 0);
        assert_true(now.tv_sec >= before.tv_sec && now.tv_sec <= after.tv_sec);
    }
    assert_false(hk_vdso_clock(12345, &now));
    unsigned cpu, node = 99, same = 98;
    assert_int_equal(syscall(SYS_getcpu, &cpu, &same, NULL), 0);
    assert_true(hk_vdso_node(&node));
    assert_true(node == same || node < 64); /* it may have moved in between */
}

/* ---- images ---- */

enum { SIZE = 4096, HEADERS = 64, DYNAMIC = 256, SYMBOLS = 512, NAMES = 768, HASH = 1024, CODE = 2048, ENTRIES = 4 };

/* Ends at a page that cannot be read. */
static unsigned char *image;

static int map_image(void **state)
{
    (void)state;
    image = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return image == MAP_FAILED || mprotect(image + SIZE, SIZE, PROT_NONE) != 0;
}

static Elf64_Ehdr *head(void)
{
    return (Elf64_Ehdr *)(void *)image;
}

static Elf64_Phdr *header(unsigned i)
{
    return (Elf64_Phdr *)(void *)(image + HEADERS) + i;
}

static Elf64_Dyn *dynamic(unsigned i)
{
    return (Elf64_Dyn *)(void *)(image + DYNAMIC) + i;
}

static Elf64_Sym *symbol(unsigned i)
{
    return (Elf64_Sym *)(void *)(image + SYMBOLS) + i;
}

static uint32_t *hash(void)
{
    return (uint32_t *)(void *)(image + HASH);
}

/* Linked to be at `address`: symbols 1 "one", 2 "two" (not defined), 3 "three"; one of the two tables. */
static void build(uintptr_t address, bool gnu)
{
    memset(image, 0, SIZE);
    memcpy(head()->e_ident, ELFMAG, SELFMAG);
    head()->e_ident[EI_CLASS] = ELFCLASS64;
    head()->e_phoff = HEADERS;
    head()->e_phentsize = sizeof(Elf64_Phdr);
    head()->e_phnum = 2;
    *header(0) = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = address, .p_filesz = SIZE, .p_memsz = SIZE};
    *header(1) = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                              .p_offset = DYNAMIC,
                              .p_vaddr = address + DYNAMIC,
                              .p_filesz = ENTRIES * sizeof(Elf64_Dyn)};
    *dynamic(0) = (Elf64_Dyn){.d_tag = DT_SYMTAB, .d_un.d_ptr = address + SYMBOLS};
    *dynamic(1) = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = address + NAMES};
    *dynamic(2) = (Elf64_Dyn){.d_tag = gnu ? DT_GNU_HASH : DT_HASH, .d_un.d_ptr = address + HASH};
    memcpy(image + NAMES, "\0one\0two\0three", 15);
    static const unsigned names[] = {0, 1, 5, 9};
    for (unsigned i = 1; i < 4; i++) {
        *symbol(i) = (Elf64_Sym){.st_name = names[i],
                                 .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                 .st_shndx = i == 2 ? SHN_UNDEF : 1,
                                 .st_value = address + CODE + i};
    }
    static const uint32_t plain[] = {1, 4, 1, 0, 2, 3, 0};
    /* Two buckets, symbols from 1 on, one word of filter: bucket 0 has 1 and 2, bucket 1 has 3. */
    static const uint32_t theirs[] = {2, 1, 1, 0, 0, 0, 1, 3, 10, 11, 13};
    memcpy(hash(), gnu ? theirs : plain, gnu ? sizeof theirs : sizeof plain);
}

static void functions_are_found_by_either_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        build(i < 2 ? 0 : 0xffffffffff700000, i % 2 != 0);
        assert_ptr_equal(hk_vdso_find(image, "one"), image + CODE + 1);
        assert_ptr_equal(hk_vdso_find(image, "three"), image + CODE + 3);
        assert_null(hk_vdso_find(image, "two"));
        assert_null(hk_vdso_find(image, "thre"));
        assert_null(hk_vdso_find(image, "three "));
    }
}

/* Every word of the image in turn is all ones, zero, or a little wrong: nothing is read outside. */
static void damage(void *arg)
{
    (void)arg;
    static const uint32_t values[] = {0, 1, 4095, 4096, 0x7fffffff, 0xffffffff};
    for (unsigned gnu = 0; gnu < 2; gnu++) {
        for (unsigned at = 0; at < CODE; at += 4) {
            for (unsigned v = 0; v < sizeof values / sizeof values[0]; v++) {
                build(0, gnu != 0);
                memcpy(image + at, &values[v], 4);
                const unsigned char *found = hk_vdso_find(image, "three");
                EXPECT(found == NULL || (size_t)(found - image) < SIZE);
            }
        }
    }
}

static void a_damaged_image_is_not_read_beyond_its_end(void **state)
{
    (void)state;
    unit_passes(damage, NULL);
}

static void no_image_has_no_function(void **state)
{
    (void)state;
    assert_null(hk_vdso_find(NULL, "one"));
    memset(image, 0, SIZE);
    assert_null(hk_vdso_find(image, "one"));
    build(0, false);
    header(0)->p_type = PT_NULL;
    assert_null(hk_vdso_find(image, "one"));
    build(0, false);
    dynamic(2)->d_tag = DT_NULL; /* nothing says how many symbols there are */
    assert_null(hk_vdso_find(image, "one"));
    build(0, false);
    symbol(3)->st_value = 2 * SIZE;
    assert_null(hk_vdso_find(image, "three"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernels_image_is_read),
        cmocka_unit_test(time_and_place_are_told),
        cmocka_unit_test(functions_are_found_by_either_table),
        cmocka_unit_test(a_damaged_image_is_not_read_beyond_its_end),
        cmocka_unit_test(no_image_has_no_function),
    };
    return cmocka_run_group_tests_name("vdso", tests, map_image, NULL);
}
