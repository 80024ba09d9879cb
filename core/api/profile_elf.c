/* SPDX-License-Identifier: MIT */
#include "api/profile_elf.h"

#include "os/os.h"
#include "os/whole_file.h"

#include <elf.h>
#include <string.h>

struct file {
    const uint8_t *bytes;
    size_t size;
};

/* `n` records of a size from an offset on, or NULL where they are not all in the file. */
static const void *part(const struct file *f, uint64_t offset, uint64_t n, size_t size)
{
    if (offset > f->size || n > (f->size - offset) / size || offset % 4 != 0)
        return NULL;
    return f->bytes + offset;
}

static const Elf64_Ehdr *header_of(const struct file *f)
{
    const Elf64_Ehdr *e = part(f, 0, 1, sizeof *e);
    return e != NULL && memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_ident[EI_CLASS] == ELFCLASS64 ? e : NULL;
}

/* ---- addresses and the build's number ---- */

static void note_build_id(struct hk_module *module, const struct file *f, const Elf64_Phdr *p)
{
    const uint8_t *at = part(f, p->p_offset, p->p_filesz, 1);
    uint64_t left = at != NULL ? p->p_filesz : 0;
    while (left >= sizeof(Elf64_Nhdr)) {
        const Elf64_Nhdr *n = (const Elf64_Nhdr *)(const void *)at;
        uint64_t name = hk_align_up(n->n_namesz, 4), text = hk_align_up(n->n_descsz, 4);
        if (name + text + sizeof *n > left)
            return;
        const uint8_t *id = at + sizeof *n + name;
        if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && memcmp(at + sizeof *n, "GNU", 4) == 0) {
            for (unsigned i = 0; i < hk_min(n->n_descsz, sizeof module->build_id / 2); i++) {
                module->build_id[2 * i] = "0123456789abcdef"[id[i] >> 4];
                module->build_id[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
            }
            return;
        }
        at += sizeof *n + name + text;
        left -= sizeof *n + name + text;
    }
}

static void read_segments(struct hk_module *module, const struct file *f)
{
    const Elf64_Ehdr *e = header_of(f);
    const Elf64_Phdr *p = e != NULL ? part(f, e->e_phoff, e->e_phnum, sizeof *p) : NULL;
    for (unsigned i = 0; p != NULL && i < e->e_phnum; i++) {
        if (p[i].p_type == PT_NOTE)
            note_build_id(module, f, &p[i]);
        if (p[i].p_type == PT_LOAD && (p[i].p_flags & PF_X) != 0 &&
            module->offset + (module->to - module->from) > p[i].p_offset &&
            module->offset < p[i].p_offset + p[i].p_filesz)
            module->shift = p[i].p_vaddr - p[i].p_offset + module->offset - module->from;
    }
}

/* ---- symbols ---- */

static const Elf64_Shdr *section_of(const struct file *f, uint32_t type)
{
    const Elf64_Ehdr *e = header_of(f);
    const Elf64_Shdr *s = e != NULL ? part(f, e->e_shoff, e->e_shnum, sizeof *s) : NULL;
    for (unsigned i = 0; s != NULL && i < e->e_shnum; i++) {
        if (s[i].sh_type == type && s[i].sh_link < e->e_shnum)
            return &s[i];
    }
    return NULL;
}

/* The module's places from the first that is not before an address of the file. */
static size_t first_place(const struct hk_module *module, const struct hk_place *place, size_t n, uint64_t at)
{
    size_t low = 0; /* it lies in [low, low + n] */
    while (n > 0) {
        size_t half = n / 2;
        if (place[low + half].pc - 1 + module->shift < at) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

/* A function has a name for the places in it; of several the one that begins last. (Labels of no length say nothing of
 * what is behind them.) */
static void name_places(const struct hk_module *module, struct hk_place *place, size_t n, const struct hk_symbol *s)
{
    for (size_t i = first_place(module, place, n, s->from); i < n; i++) {
        uint64_t into = place[i].pc - 1 + module->shift - s->from;
        if (into >= s->size)
            return;
        if (place[i].name == NULL || into < place[i].into) {
            place[i].name = s->name;
            place[i].into = into;
        }
    }
}

/* So much of a table is looked through before its pages are let go: it may have many megabytes, and at the end of a
 * program they would be its peak. */
#define SYMBOLS_AT_ONCE ((size_t)2048)

/* False: the file has no such table. */
static bool read_symbols(struct hk_module *module, struct hk_place *place, size_t n, const struct file *f,
                         uint32_t type)
{
    const Elf64_Shdr *s = section_of(f, type);
    const Elf64_Ehdr *e = header_of(f);
    if (s == NULL)
        return false;
    const Elf64_Shdr *strings = (const Elf64_Shdr *)(const void *)(f->bytes + e->e_shoff) + s->sh_link;
    size_t count = s->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *symbol = part(f, s->sh_offset, count, sizeof *symbol);
    const char *text = part(f, strings->sh_offset & ~(uint64_t)3, strings->sh_size, 1);
    if (symbol == NULL || text == NULL || count == 0 || strings->sh_size == 0)
        return false;
    text += strings->sh_offset & 3;
    if (strings->sh_offset + strings->sh_size > f->size || text[strings->sh_size - 1] != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned kind = ELF64_ST_TYPE(symbol[i].st_info);
        bool named = symbol[i].st_name != 0 && symbol[i].st_name < strings->sh_size;
        if ((kind == STT_FUNC || kind == STT_GNU_IFUNC) && symbol[i].st_shndx != SHN_UNDEF && named)
            name_places(module, place, n,
                        &(struct hk_symbol){symbol[i].st_value, symbol[i].st_size, text + symbol[i].st_name});
        if ((i + 1) % SYMBOLS_AT_ONCE == 0)
            hk_file_let_go(&symbol[i + 1 - SYMBOLS_AT_ONCE], SYMBOLS_AT_ONCE * sizeof *symbol);
    }
    module->named = true;
    return true;
}

/* The file with the debugging information of a stripped one, where Debian and others put it. */
static bool read_debug_file(struct hk_module *module, struct hk_place *place, size_t n)
{
    char path[128] = "/usr/lib/debug/.build-id/";
    const char *id = module->build_id;
    if (strlen(id) < 8)
        return false;
    size_t end = strlen(path);
    memcpy(path + end, id, 2);
    path[end + 2] = '/';
    strcpy(path + end + 3, id + 2);
    strcat(path, ".debug");
    struct file f = {.size = 0};
    f.bytes = hk_file_map(path, &f.size);
    if (f.bytes == NULL)
        return false;
    if (!read_symbols(module, place, n, &f, SHT_SYMTAB)) {
        hk_file_unmap(f.bytes, f.size);
        return false;
    }
    hk_file_unmap(module->elf, module->elf_size);
    module->elf = f.bytes;
    module->elf_size = f.size;
    return true;
}

void hk_elf_read(struct hk_module *module, struct hk_place *place, size_t n)
{
    module->shift = module->offset - module->from; /* where the file does not say otherwise */
    if (module->path[0] != '/')
        return;
    struct file f = {.size = 0};
    f.bytes = hk_file_map(module->path, &f.size);
    if (f.bytes == NULL)
        return;
    module->elf = f.bytes;
    module->elf_size = f.size;
    read_segments(module, &f);
    if (!read_symbols(module, place, n, &f, SHT_SYMTAB) && !read_debug_file(module, place, n))
        read_symbols(module, place, n, &f, SHT_DYNSYM);
    hk_file_let_go(module->elf, module->elf_size); /* the names come back when they are written */
}

void hk_elf_drop(struct hk_module *module)
{
    if (module->elf != NULL)
        hk_file_unmap(module->elf, module->elf_size);
    module->elf = NULL;
}
