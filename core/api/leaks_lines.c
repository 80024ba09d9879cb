/* SPDX-License-Identifier: MIT
 *
 * A table of lines is a program for a machine with an address, a file and a line, which it tells now and then: from one
 * such place to the next all code is of that line.
 */
#include "api/leaks_lines.h"

#include "base/bits.h"

#include <elf.h>
#include <string.h>

struct section {
    const uint8_t *at, *end;
};

/* Reading: past the end there are zeros, and `at` stays there. */
static uint64_t read_fixed(struct section *s, size_t n)
{
    uint64_t value = 0;
    if ((size_t)(s->end - s->at) < n) {
        s->at = s->end;
        return 0;
    }
    memcpy(&value, s->at, n);
    s->at += n;
    return value;
}

static uint64_t read_leb(struct section *s, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;
    while ((byte & 0x80) != 0 && s->at < s->end) {
        byte = *s->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    if (is_signed && (byte & 0x40) != 0 && shift < 64)
        value |= ~(uint64_t)0 << shift;
    return value;
}

static const char *read_string(struct section *s)
{
    const uint8_t *start = s->at, *zero = memchr(start, 0, (size_t)(s->end - start));
    s->at = zero != NULL ? zero + 1 : s->end;
    return zero != NULL ? (const char *)start : "";
}

static void skip(struct section *s, uint64_t n)
{
    s->at += hk_min(n, (uint64_t)(s->end - s->at));
}

/* ---- sections of a file ---- */

struct tables {
    struct section line, line_str, str;
};

/* Those of headers that lie in the file, with a name that does. */
static struct section section_named(const struct hk_module *m, const char *name)
{
    struct section none = {m->elf, m->elf};
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)m->elf;
    if (m->elf_size < sizeof *e || e->e_shoff > m->elf_size || e->e_shoff % 8 != 0 ||
        e->e_shnum > (m->elf_size - e->e_shoff) / sizeof(Elf64_Shdr) || e->e_shstrndx >= e->e_shnum)
        return none;
    const Elf64_Shdr *s = (const Elf64_Shdr *)(const void *)(m->elf + e->e_shoff), *names = &s[e->e_shstrndx];
    for (unsigned i = 0; i < e->e_shnum; i++) {
        bool fits = s[i].sh_offset <= m->elf_size && s[i].sh_size <= m->elf_size - s[i].sh_offset;
        uint64_t at = names->sh_offset + s[i].sh_name;
        bool named =
            at < m->elf_size && strlen(name) < m->elf_size - at && memcmp(m->elf + at, name, strlen(name) + 1) == 0;
        if (fits && named && s[i].sh_type == SHT_PROGBITS && (s[i].sh_flags & SHF_COMPRESSED) == 0)
            return (struct section){m->elf + s[i].sh_offset, m->elf + s[i].sh_offset + s[i].sh_size};
    }
    return none;
}

static const char *string_at(struct section s, uint64_t offset)
{
    skip(&s, offset);
    return read_string(&s);
}

/* ---- the table of one unit ---- */

struct unit {
    const struct tables *tables;
    struct section files;   /* what describes them, from its first byte on */
    struct section program; /* what is executed */
    unsigned version, offset_size;
    uint8_t step, line_range, opcode_base;
    int8_t line_base;
    const uint8_t *lengths; /* how many operands each standard opcode has, from opcode 1 on */
};

/* An entry's value of a form: text, or else a number, which is 0 where it is of no use. */
static const char *read_form(const struct unit *u, struct section *s, uint64_t form)
{
    switch (form) {
    case 0x08: /* string */
        return read_string(s);
    case 0x0e: /* strp */
        return string_at(u->tables->str, read_fixed(s, u->offset_size));
    case 0x1f: /* line_strp */
        return string_at(u->tables->line_str, read_fixed(s, u->offset_size));
    case 0x0b: /* data1 */
        skip(s, 1);
        return NULL;
    case 0x05: /* data2 */
        skip(s, 2);
        return NULL;
    case 0x06: /* data4 */
        skip(s, 4);
        return NULL;
    case 0x07: /* data8 */
        skip(s, 8);
        return NULL;
    case 0x1e: /* data16 */
        skip(s, 16);
        return NULL;
    case 0x09: /* block */
        skip(s, read_leb(s, false));
        return NULL;
    case 0x0f: /* udata */
        read_leb(s, false);
        return NULL;
    default: /* nobody knows how long it is */
        s->at = s->end;
        return NULL;
    }
}

/* Reads a list of version 5, and says the path of entry `wanted`; NULL: there is none. */
static const char *read_entries(const struct unit *u, struct section *s, uint64_t wanted)
{
    unsigned formats = (unsigned)read_fixed(s, 1);
    struct section format = *s;
    for (unsigned i = 0; i < 2 * formats; i++)
        read_leb(s, false);
    uint64_t count = read_leb(s, false);
    const char *found = NULL;
    for (uint64_t i = 0; i < count && formats != 0 && s->at < s->end; i++) {
        struct section f = format;
        for (unsigned j = 0; j < formats; j++) {
            uint64_t content = read_leb(&f, false);
            const char *text = read_form(u, s, read_leb(&f, false));
            if (content == 1 && i == wanted)
                found = text;
        }
    }
    return found;
}

/* Before version 5 files are counted from one on. */
static const char *old_file_name(struct section s, uint64_t number)
{
    while (*read_string(&s) != 0) { /* folders */
    }
    for (uint64_t i = 1; s.at < s.end; i++) {
        const char *name = read_string(&s);
        if (*name == 0 || i == number)
            return *name != 0 ? name : NULL;
        for (unsigned j = 0; j < 3; j++)
            read_leb(&s, false);
    }
    return NULL;
}

static const char *file_name(const struct unit *u, uint64_t number)
{
    struct section s = u->files;
    if (u->version < 5)
        return old_file_name(s, number);
    read_entries(u, &s, 0); /* folders */
    return read_entries(u, &s, number);
}

/* Cuts the next unit off; false: it is none that can be read. */
static bool read_unit(struct section *line, struct unit *u)
{
    uint64_t length = read_fixed(line, 4);
    u->offset_size = length == 0xffffffff ? 8 : 4;
    if (u->offset_size == 8)
        length = read_fixed(line, 8);
    struct section s = {line->at, line->at + hk_min(length, (uint64_t)(line->end - line->at))};
    line->at = s.end;
    u->version = (unsigned)read_fixed(&s, 2);
    if (u->version < 2 || u->version > 5)
        return false;
    if (u->version == 5)
        skip(&s, 2); /* sizes of addresses and of selectors */
    uint64_t header = read_fixed(&s, u->offset_size);
    u->program = (struct section){s.at + hk_min(header, (uint64_t)(s.end - s.at)), s.end};
    u->step = (uint8_t)read_fixed(&s, 1);
    skip(&s, u->version >= 4 ? 2 : 1); /* operations in an instruction; is a place a statement at first */
    u->line_base = (int8_t)read_fixed(&s, 1);
    u->line_range = (uint8_t)read_fixed(&s, 1);
    u->opcode_base = (uint8_t)read_fixed(&s, 1);
    u->lengths = s.at;
    if (u->line_range == 0 || u->opcode_base == 0 || u->program.at - s.at < u->opcode_base - 1)
        return false;
    skip(&s, u->opcode_base - 1u);
    u->files = (struct section){s.at, u->program.at};
    return true;
}

/* ---- the program ---- */

struct machine {
    const struct unit *unit;
    struct hk_place *place; /* of the module, by address */
    size_t places;
    uint64_t shift; /* from an address to one of the file's */
    uint64_t address, file, line;
    uint64_t told, told_file, told_line; /* where it was last; a line of 0: nowhere */
};

/* All from the place that was told last up to here is of that line. */
static void tell(struct machine *m, bool is_end)
{
    size_t low = 0, n = m->told_line != 0 && m->address > m->told ? m->places : 0;
    while (n > 0) { /* the first place that is not before lies in [low, low + n] */
        size_t half = n / 2;
        if (m->place[low + half].pc - 1 + m->shift < m->told) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    bool some = m->told_line != 0 && m->address > m->told;
    for (; some && low < m->places && m->place[low].pc - 1 + m->shift < m->address; low++) {
        m->place[low].file = file_name(m->unit, m->told_file);
        m->place[low].line = (unsigned)m->told_line;
    }
    m->told = m->address;
    m->told_file = m->file;
    m->told_line = is_end ? 0 : m->line;
}

static void begin(struct machine *m)
{
    m->address = m->told_line = 0;
    m->file = m->line = 1;
}

static void extended(struct machine *m, struct section *s)
{
    uint64_t length = read_leb(s, false);
    struct section own = {s->at, s->at + hk_min(length, (uint64_t)(s->end - s->at))};
    s->at = own.end;
    switch (read_fixed(&own, 1)) {
    case 1: /* end of a sequence */
        tell(m, true);
        begin(m);
        break;
    case 2: /* an address */
        m->address = read_fixed(&own, hk_min((size_t)(own.end - own.at), sizeof m->address));
        break;
    default: /* of no use here */
        break;
    }
}

static void standard(struct machine *m, struct section *s, uint8_t opcode)
{
    const struct unit *u = m->unit;
    switch (opcode) {
    case 1: /* a place */
        tell(m, false);
        break;
    case 2:
        m->address += u->step * read_leb(s, false);
        break;
    case 3:
        m->line += read_leb(s, true);
        break;
    case 4:
        m->file = read_leb(s, false);
        break;
    case 8: /* as opcode 255, without a place */
        m->address += (uint64_t)u->step * ((255u - u->opcode_base) / u->line_range);
        break;
    case 9:
        m->address += read_fixed(s, 2);
        break;
    default: /* of no use here */
        for (unsigned i = 0; i < u->lengths[opcode - 1]; i++)
            read_leb(s, false);
        break;
    }
}

static void run(struct machine *m)
{
    const struct unit *u = m->unit;
    struct section s = u->program;
    begin(m);
    while (s.at < s.end) {
        uint8_t opcode = *s.at++;
        if (opcode >= u->opcode_base) {
            unsigned special = (unsigned)opcode - u->opcode_base;
            m->address += (uint64_t)u->step * (special / u->line_range);
            m->line += (uint64_t)(int64_t)(u->line_base + (int)(special % u->line_range));
            tell(m, false);
        } else if (opcode == 0) {
            extended(m, &s);
        } else {
            standard(m, &s, opcode);
        }
    }
}

/* ---- a report ---- */

static void read_module(const struct hk_module *module, struct hk_place *place, size_t places)
{
    struct tables t = {section_named(module, ".debug_line"), section_named(module, ".debug_line_str"),
                       section_named(module, ".debug_str")};
    struct section line = t.line;
    while (line.at < line.end) {
        struct unit u = {.tables = &t};
        struct machine m = {.unit = &u, .place = place, .places = places, .shift = module->shift};
        if (read_unit(&line, &u))
            run(&m);
    }
}

void hk_lines_read(struct hk_report *r)
{
    for (size_t first = 0, end; first < r->places; first = end) {
        unsigned module = r->place[first].module;
        for (end = first; end < r->places && r->place[end].module == module;)
            end++;
        if (module != 0 && r->module[module - 1].elf != NULL)
            read_module(&r->module[module - 1], &r->place[first], end - first);
    }
}
