/* SPDX-License-Identifier: MIT */
#include "os/vdso.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "os/auxv.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define CLOCK_NAME "__vdso_clock_gettime"
#define NODE_NAME "__vdso_getcpu"
#else
#define CLOCK_NAME "__kernel_clock_gettime"
#define NODE_NAME "__kernel_getcpu" /* there is none yet */
#endif

/* ---- the image ---- */

struct image {
    const char *start;
    uintptr_t size; /* bytes that are mapped from there */
    uintptr_t bias; /* from the addresses in the image to those in the process */
    const Elf64_Sym *symbols;
    const char *names;
    const uint32_t *hash, *gnu_hash; /* one of them is there */
};

/* `size` bytes at an address of the image; NULL: not all of them are there, or not at that alignment. */
static const void *part_of_image(const struct image *im, uintptr_t address, uintptr_t size, uintptr_t align)
{
    uintptr_t at = address + im->bias - (uintptr_t)im->start;
    if (at > im->size || size > im->size - at || (address + im->bias) % align != 0)
        return NULL;
    return im->start + at;
}

/* The first page is there: less cannot be mapped. */
static const Elf64_Phdr *program_headers(const Elf64_Ehdr *head)
{
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64 ||
        head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phoff % 8 != 0 || head->e_phoff > 4096 ||
        head->e_phnum > (4096 - head->e_phoff) / sizeof(Elf64_Phdr))
        return NULL;
    return (const Elf64_Phdr *)(const void *)((const char *)head + head->e_phoff);
}

/* What is mapped is one segment. */
static const Elf64_Phdr *measure_segment(struct image *im, const Elf64_Phdr *header, unsigned count)
{
    const Elf64_Phdr *dynamic = NULL;
    for (unsigned i = 0; i < count; i++) {
        if (header[i].p_type == PT_LOAD && im->size == 0 && header[i].p_offset == 0) {
            im->size = header[i].p_filesz;
            im->bias = (uintptr_t)im->start - header[i].p_vaddr;
        } else if (header[i].p_type == PT_DYNAMIC) {
            dynamic = &header[i];
        }
    }
    return im->size != 0 ? dynamic : NULL;
}

static bool read_dynamic(struct image *im, const Elf64_Phdr *dynamic)
{
    const Elf64_Dyn *entry = part_of_image(im, dynamic->p_vaddr, dynamic->p_filesz, 8);
    for (size_t n = entry != NULL ? dynamic->p_filesz / sizeof *entry : 0; n > 0 && entry->d_tag != DT_NULL; n--) {
        uintptr_t address = entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB)
            im->symbols = part_of_image(im, address, sizeof(Elf64_Sym), 8);
        else if (entry->d_tag == DT_STRTAB)
            im->names = part_of_image(im, address, 1, 1);
        else if (entry->d_tag == DT_HASH)
            im->hash = part_of_image(im, address, 2 * sizeof(uint32_t), 4);
        else if (entry->d_tag == DT_GNU_HASH)
            im->gnu_hash = part_of_image(im, address, 4 * sizeof(uint32_t), 4);
        entry++;
    }
    return im->symbols != NULL && im->names != NULL;
}

static bool is_inside(const struct image *im, const void *ptr, uintptr_t size)
{
    uintptr_t at = (uintptr_t)ptr - (uintptr_t)im->start;
    return at <= im->size && size <= im->size - at;
}

/* Symbols by the GNU table, which does not say how many: the highest first one of a bucket, and its chain to the end.
 */
static size_t count_gnu_symbols(const struct image *im)
{
    uint32_t buckets = im->gnu_hash[0], first = im->gnu_hash[1], filter = im->gnu_hash[2];
    const uint32_t *bucket = im->gnu_hash + 4 + (size_t)filter * 2;
    const uint32_t *chain = bucket + buckets;
    uint32_t last = 0;
    if (!is_inside(im, bucket, (uintptr_t)buckets * sizeof *bucket))
        return 0;
    for (uint32_t i = 0; i < buckets; i++)
        last = bucket[i] > last ? bucket[i] : last;
    if (last < first)
        return 0;
    while (is_inside(im, &chain[last - first], sizeof *chain) && (chain[last - first] & 1) == 0)
        last++;
    return (size_t)last + 1;
}

static size_t count_symbols(const struct image *im)
{
    size_t count = im->hash != NULL ? im->hash[1] : im->gnu_hash != NULL ? count_gnu_symbols(im) : 0;
    uintptr_t room = im->size - (uintptr_t)((const char *)im->symbols - im->start);
    return count <= room / sizeof(Elf64_Sym) ? count : room / sizeof(Elf64_Sym);
}

static bool is_named(const struct image *im, const Elf64_Sym *symbol, const char *name)
{
    size_t length = strlen(name) + 1;
    return is_inside(im, im->names, symbol->st_name) && is_inside(im, im->names + symbol->st_name, length) &&
           memcmp(im->names + symbol->st_name, name, length) == 0;
}

const void *hk_vdso_find(const void *image, const char *name)
{
    struct image im = {.start = image};
    const Elf64_Ehdr *head = image;
    const Elf64_Phdr *headers = head != NULL ? program_headers(head) : NULL;
    const Elf64_Phdr *dynamic = headers != NULL ? measure_segment(&im, headers, head->e_phnum) : NULL;
    if (dynamic == NULL || !read_dynamic(&im, dynamic))
        return NULL;
    for (size_t i = 0, count = count_symbols(&im); i < count; i++) {
        const Elf64_Sym *symbol = &im.symbols[i];
        if (symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && is_named(&im, symbol, name))
            return part_of_image(&im, symbol->st_value, 1, 1);
    }
    return NULL;
}

/* ---- the functions ---- */

typedef int clock_function(clockid_t clock, struct timespec *t);
typedef int node_function(unsigned *cpu, unsigned *node, void *cache);

/* 0: not looked for yet; 1: not there. Relaxed: whoever writes one writes the same, and code is not written at all. */
static _Atomic uintptr_t clock_at, node_at;

static HK_SLOW_PATH uintptr_t look_up(_Atomic uintptr_t *at, const char *name)
{
    struct hk_auxv a;
    hk_auxv_get(&a);
    uintptr_t found = (uintptr_t)hk_vdso_find(a.vdso, name);
    found = found != 0 ? found : 1;
    hk_store_relaxed(at, found);
    return found;
}

static uintptr_t find_function(_Atomic uintptr_t *at, const char *name)
{
    uintptr_t known = hk_load_relaxed(at);
    return HK_LIKELY(known != 0) ? known : look_up(at, name);
}

void hk_vdso_start(void)
{
    find_function(&clock_at, CLOCK_NAME);
    find_function(&node_at, NODE_NAME);
}

bool hk_vdso_clock(clockid_t clock, struct timespec *t)
{
    uintptr_t at = find_function(&clock_at, CLOCK_NAME);
    if (HK_LIKELY(at != 1) && ((clock_function *)at)(clock, t) == 0)
        return true;
    return hk_sys2(SYS_clock_gettime, clock, (long)t) == 0;
}

bool hk_vdso_node(unsigned *node)
{
    unsigned cpu;
    uintptr_t at = find_function(&node_at, NODE_NAME);
    if (HK_LIKELY(at != 1) && ((node_function *)at)(&cpu, node, NULL) == 0)
        return true;
    return hk_sys3(SYS_getcpu, (long)&cpu, (long)node, 0) == 0;
}
