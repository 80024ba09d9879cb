/* SPDX-License-Identifier: MIT
 *
 * The lines of this program, which is compiled with -g; and with its file damaged, at whose end memory ends, too.
 */
#include "unit.h"

#include "api/leaks_lines.h"
#include "base/bits.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM ((size_t)16 << 20)

static uint8_t *whole; /* this program's file */
static size_t whole_size;
static uint8_t *end; /* behind it nothing can be read */

static int read_self(void **state)
{
    struct stat about;
    int fd = open("/proc/self/exe", O_RDONLY);
    uint8_t *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || fstat(fd, &about) != 0 || (size_t)about.st_size > ROOM / 2 || room == MAP_FAILED)
        return -1;
    end = room + ROOM - 65536;
    whole_size = (size_t)about.st_size;
    whole = malloc(whole_size);
    for (size_t got = 0; got < whole_size;) {
        ssize_t n = read(fd, whole + got, whole_size - got);
        if (n <= 0)
            return -1;
        got += (size_t)n;
    }
    close(fd);
    return mprotect(end, 65536, PROT_NONE);
}

/* The first so many bytes of the file, where memory ends behind them, but for what aligns them. */
static void give_file(struct hk_module *module, size_t size)
{
    uint8_t *to = end - hk_align_up(size, 8);
    memcpy(to, whole, size);
    module->elf = to;
    module->elf_size = size;
}

static int find_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    *(uintptr_t *)ctx = info->dlpi_addr;
    return 1; /* the first is the program */
}

static __attribute__((noinline)) uintptr_t return_address(void)
{
    __asm__ volatile("" : : : "memory"); /* two calls are not one */
    return (uintptr_t)__builtin_return_address(0);
}

#define PLACES 3u

/* Return addresses in this function and their lines, in a report with the file of this program. */
static void make_report(struct hk_report *r, struct hk_module *module, struct hk_place *place, unsigned *line)
{
    static uintptr_t pc[PLACES];
    uintptr_t base;
    pc[0] = return_address();
    line[0] = __LINE__ - 1;
    pc[1] = return_address();
    line[1] = __LINE__ - 1;
    pc[2] = UINTPTR_MAX / 2; /* no code */
    line[2] = 0;
    dl_iterate_phdr(find_program, &base);
    *module = (struct hk_module){.path = "/self", .shift = -(uint64_t)base};
    for (unsigned i = 0; i < PLACES; i++)
        place[i] = (struct hk_place){.pc = pc[i], .module = 1};
    *r = (struct hk_report){.module = module, .modules = 1, .place = place, .places = PLACES};
}

static void a_place_has_its_line(void **state)
{
    struct hk_report r;
    struct hk_module module;
    struct hk_place place[PLACES];
    unsigned line[PLACES];
    make_report(&r, &module, place, line);
    give_file(&module, whole_size);
    hk_lines_read(&r);
    for (unsigned i = 0; i < PLACES; i++) {
        assert_int_equal(place[i].line, line[i]);
        assert_int_equal(place[i].file != NULL, line[i] != 0);
        if (place[i].file != NULL)
            assert_non_null(strstr(place[i].file, "test_leaks_lines.c"));
    }
}

/* In one byte: of its header, of its sections' headers, or anywhere. It ends, and reads nothing beyond. */
static void damage_does_no_harm(void **state)
{
    struct hk_report r;
    struct hk_module module;
    struct hk_place place[PLACES];
    unsigned line[PLACES], seed = 7;
    make_report(&r, &module, place, line);
    give_file(&module, whole_size);
    uint8_t *bytes = end - hk_align_up(whole_size, 8);
    for (unsigned i = 0; i < 6000; i++) {
        seed = seed * 1103515245 + 12345;
        size_t near_end = hk_min(whole_size, 4096);
        size_t at = i % 3 == 0   ? seed / 64 % sizeof(Elf64_Ehdr)
                    : i % 3 == 1 ? whole_size - 1 - seed / 64 % near_end
                                 : (size_t)(seed / 4) % whole_size;
        uint8_t before = bytes[at];
        bytes[at] = (uint8_t)(i % 2 == 0 ? before ^ 1u << seed / 65536 % 8 : seed / 65536);
        hk_lines_read(&r);
        bytes[at] = before;
    }
}

static void a_shorter_file_does_no_harm(void **state)
{
    struct hk_report r;
    struct hk_module module;
    struct hk_place place[PLACES];
    unsigned line[PLACES];
    make_report(&r, &module, place, line);
    for (size_t size = 0; size < whole_size; size += 1 + whole_size / 1000) {
        give_file(&module, size);
        hk_lines_read(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_has_its_line),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(a_shorter_file_does_no_harm),
    };
    return cmocka_run_group_tests(tests, read_self, NULL);
}
