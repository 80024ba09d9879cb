/* SPDX-License-Identifier: MIT
 *
 * .eh_frame_hdr has a sorted table from functions to their descriptions (FDE); each names what it shares with others
 * (CIE) and is a little program that builds, address by address, the table of rules. We run it up to our address.
 * Only what a walk follows is kept; what is not understood ends it.
 */
#include "os/unwind_cfi.h"

#include "base/bits.h"
#include "os/unwind_read.h"

#include <string.h>

#define ENC_OMIT 0xffu
#define ENC_PCREL 0x10u
#define ENC_DATAREL 0x30u

/* A pointer as its encoding says; `data` is what it may be relative to. */
static uintptr_t read_pointer(struct hk_reader *r, unsigned enc, const uint8_t *data)
{
    const uint8_t *start = r->at;
    uint64_t value;
    switch (enc & 15) {
    case 0x0:
    case 0x4:
    case 0xc:
        value = hk_read_bytes(r, 8);
        break;
    case 0x1:
        value = hk_read_unsigned(r);
        break;
    case 0x2:
        value = hk_read_bytes(r, 2);
        break;
    case 0x3:
        value = hk_read_bytes(r, 4);
        break;
    case 0x9:
        value = (uint64_t)hk_read_signed(r);
        break;
    case 0xa:
        value = (uint64_t)(int16_t)hk_read_bytes(r, 2);
        break;
    case 0xb:
        value = (uint64_t)(int32_t)hk_read_bytes(r, 4);
        break;
    default:
        r->failed = true;
        return 0;
    }
    if ((enc & 0x70) == ENC_PCREL)
        value += (uintptr_t)start;
    else if ((enc & 0x70) == ENC_DATAREL)
        value += (uintptr_t)data;
    else if ((enc & 0x70) != 0)
        r->failed = true;
    return value;
}

/* ---- finding ---- */

#define TABLE_ENC 0x3bu /* of the sorted table: pairs of 4 bytes, relative to the header. Linkers make no other */

/* The description that may be the address's; NULL: none. */
static const uint8_t *find_fde(const uint8_t *header, uintptr_t pc)
{
    struct hk_reader r = {header + 4, header + 64, false};
    if (header[0] != 1 || header[2] == ENC_OMIT || header[3] != TABLE_ENC)
        return NULL;
    read_pointer(&r, header[1], header);
    size_t n = read_pointer(&r, header[2], header);
    const int32_t *table = (const int32_t *)(const void *)r.at;
    if (r.failed || n == 0 || (intptr_t)pc - (intptr_t)header < table[0])
        return NULL;
    size_t low = 0; /* the last entry that is not behind pc lies in [low, low + n) */
    while (n > 1) {
        size_t half = n / 2;
        if (table[2 * (low + half)] <= (intptr_t)pc - (intptr_t)header) {
            low += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return header + table[2 * low + 1];
}

/* What many descriptions share. */
struct common {
    uint64_t code_align;
    int64_t data_align;
    unsigned link;        /* the column of the return address */
    unsigned enc;         /* of the addresses in descriptions */
    bool augmented;       /* descriptions have a part to skip */
    bool signal;          /* they are of frames that a signal made */
    struct hk_reader run; /* what each begins with */
};

/* An entry without its length; false: that is a form nobody writes, or its end. */
static bool open_entry(const uint8_t *entry, struct hk_reader *r)
{
    uint32_t length;
    memcpy(&length, entry, sizeof length);
    *r = (struct hk_reader){entry + 4, entry + 4 + length, false};
    return length != 0 && length != UINT32_MAX;
}

static bool read_augmentation(struct hk_reader *r, const char *text, struct common *c)
{
    uint64_t length = hk_read_unsigned(r);
    const uint8_t *rest = r->at;
    for (text++; *text != 0; text++) {
        if (*text == 'R') {
            c->enc = (unsigned)hk_read_bytes(r, 1);
        } else if (*text == 'P') {
            unsigned enc = (unsigned)hk_read_bytes(r, 1);
            read_pointer(r, enc & 0x7f, NULL);
        } else if (*text == 'L') {
            hk_read_bytes(r, 1);
        } else if (*text == 'S') {
            c->signal = true;
        } else if (*text != 'B' && *text != 'G') {
            return false;
        }
    }
    r->at = rest;
    hk_skip_bytes(r, length);
    return !r->failed;
}

static bool read_common(const uint8_t *cie, struct common *c)
{
    struct hk_reader r;
    *c = (struct common){.enc = 0};
    if (!open_entry(cie, &r) || hk_read_bytes(&r, 4) != 0)
        return false;
    unsigned version = (unsigned)hk_read_bytes(&r, 1);
    const char *text = (const char *)r.at;
    if (version != 1 && version != 3)
        return false;
    hk_skip_bytes(&r, strnlen(text, (size_t)(r.end - r.at)) + 1);
    c->code_align = hk_read_unsigned(&r);
    c->data_align = hk_read_signed(&r);
    c->link = (unsigned)(version == 1 ? hk_read_bytes(&r, 1) : hk_read_unsigned(&r));
    if (text[0] == 'z') {
        c->augmented = true;
        if (!read_augmentation(&r, text, c))
            return false;
    } else if (text[0] != 0) {
        return false;
    }
    c->run = r;
    return !r.failed;
}

/* ---- running ---- */

#define REMEMBERED 4u

struct machine {
    const struct common *common;
    struct hk_rules *rules; /* as they are by now */
    struct hk_rules initial, remembered[REMEMBERED];
    unsigned depth;
    uintptr_t at, pc; /* the address that the rules are for by now, and the one that they are wanted for */
};

static struct hk_rule *rule_of(struct machine *m, uint64_t dwarf)
{
    static struct hk_rule other; /* of a register that no walk follows; never read */
    switch (dwarf) {
    case HK_DWARF_FP:
        return &m->rules->reg[HK_REG_FP];
    case HK_DWARF_BASE:
        return &m->rules->reg[HK_REG_BASE];
    case HK_DWARF_SP:
        return &m->rules->reg[HK_REG_SP];
    default:
        return dwarf == m->common->link ? &m->rules->reg[HK_REG_LINK] : &other;
    }
}

static void set_rule(struct machine *m, uint64_t dwarf, struct hk_rule rule)
{
    struct hk_rule *to = rule_of(m, dwarf);
    for (unsigned i = 0; i < HK_REGS; i++) {
        if (to == &m->rules->reg[i])
            *to = rule;
    }
}

static void set_offset(struct machine *m, uint64_t dwarf, enum hk_rule_kind kind, int64_t factored)
{
    set_rule(m, dwarf, (struct hk_rule){kind, factored * m->common->data_align, NULL});
}

static void restore_rule(struct machine *m, uint64_t dwarf)
{
    struct hk_rule *to = rule_of(m, dwarf);
    for (unsigned i = 0; i < HK_REGS; i++) {
        if (to == &m->rules->reg[i])
            *to = m->initial.reg[i];
    }
}

static const uint8_t *read_expression(struct hk_reader *r)
{
    const uint8_t *start = r->at;
    hk_skip_bytes(r, hk_read_unsigned(r));
    return start;
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
    m->rules->cfa_reg = (unsigned)reg;
    m->rules->cfa = (struct hk_rule){HK_RULE_IS, offset, NULL};
}

/* Those that change what a register's rule is. False: it is none of them. */
static bool run_register_rule(struct machine *m, struct hk_reader *r, unsigned op)
{
    uint64_t reg;
    switch (op) {
    case 0x05: /* offset_extended */
        reg = hk_read_unsigned(r);
        set_offset(m, reg, HK_RULE_AT, (int64_t)hk_read_unsigned(r));
        return true;
    case 0x06: /* restore_extended */
        restore_rule(m, hk_read_unsigned(r));
        return true;
    case 0x07: /* undefined */
        set_offset(m, hk_read_unsigned(r), HK_RULE_UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        set_offset(m, hk_read_unsigned(r), HK_RULE_SAME, 0);
        return true;
    case 0x09: /* register */
        reg = hk_read_unsigned(r);
        set_rule(m, reg, (struct hk_rule){HK_RULE_REGISTER, (int64_t)hk_read_unsigned(r), NULL});
        return true;
    case 0x10: /* expression */
        reg = hk_read_unsigned(r);
        set_rule(m, reg, (struct hk_rule){HK_RULE_EXPRESSION, 0, read_expression(r)});
        return true;
    case 0x11: /* offset_extended_sf */
        reg = hk_read_unsigned(r);
        set_offset(m, reg, HK_RULE_AT, hk_read_signed(r));
        return true;
    case 0x14: /* val_offset */
        reg = hk_read_unsigned(r);
        set_offset(m, reg, HK_RULE_IS, (int64_t)hk_read_unsigned(r));
        return true;
    case 0x15: /* val_offset_sf */
        reg = hk_read_unsigned(r);
        set_offset(m, reg, HK_RULE_IS, hk_read_signed(r));
        return true;
    case 0x16: /* val_expression */
        reg = hk_read_unsigned(r);
        set_rule(m, reg, (struct hk_rule){HK_RULE_VALUE, 0, read_expression(r)});
        return true;
    default:
        return false;
    }
}

/* Those that change what the CFA is. False: it is none of them. */
static bool run_cfa_rule(struct machine *m, struct hk_reader *r, unsigned op)
{
    uint64_t reg;
    switch (op) {
    case 0x0c: /* def_cfa */
        reg = hk_read_unsigned(r);
        set_cfa(m, reg, (int64_t)hk_read_unsigned(r));
        return true;
    case 0x0d: /* def_cfa_register */
        m->rules->cfa_reg = (unsigned)hk_read_unsigned(r);
        return true;
    case 0x0e: /* def_cfa_offset */
        m->rules->cfa.offset = (int64_t)hk_read_unsigned(r);
        return true;
    case 0x0f: /* def_cfa_expression */
        m->rules->cfa = (struct hk_rule){HK_RULE_VALUE, 0, read_expression(r)};
        return true;
    case 0x12: /* def_cfa_sf */
        reg = hk_read_unsigned(r);
        set_cfa(m, reg, hk_read_signed(r) * m->common->data_align);
        return true;
    case 0x13: /* def_cfa_offset_sf */
        m->rules->cfa.offset = hk_read_signed(r) * m->common->data_align;
        return true;
    default:
        return false;
    }
}

/* The rest. False: it is unknown. */
static bool run_other(struct machine *m, struct hk_reader *r, unsigned op)
{
    switch (op) {
    case 0x00: /* nop */
    case 0x2d: /* the return address is signed from here on, or no longer: hk_code_address takes either */
        return true;
    case 0x01: /* set_loc */
        m->at = read_pointer(r, m->common->enc, NULL);
        return true;
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        m->at += hk_read_bytes(r, 1u << (op - 2)) * m->common->code_align;
        return true;
    case 0x0a: /* remember_state */
        if (m->depth == REMEMBERED)
            return false;
        m->remembered[m->depth++] = *m->rules;
        return true;
    case 0x0b: /* restore_state */
        if (m->depth == 0)
            return false;
        *m->rules = m->remembered[--m->depth];
        return true;
    case 0x2e: /* GNU_args_size */
        hk_read_unsigned(r);
        return true;
    default:
        return false;
    }
}

/* Runs instructions until they are for addresses behind ours. */
static bool run(struct machine *m, struct hk_reader r)
{
    while (r.at < r.end && m->at <= m->pc && !r.failed) {
        unsigned op = (unsigned)hk_read_bytes(&r, 1), low = op & 63;
        if (op >> 6 == 1)
            m->at += low * m->common->code_align;
        else if (op >> 6 == 2)
            set_offset(m, low, HK_RULE_AT, (int64_t)hk_read_unsigned(&r));
        else if (op >> 6 == 3)
            restore_rule(m, low);
        else if (!run_register_rule(m, &r, op) && !run_cfa_rule(m, &r, op) && !run_other(m, &r, op))
            return false;
    }
    return !r.failed;
}

/* The description of an address: what is in common, where the function begins, and the rest of the entry. */
static bool find_description(const uint8_t *header, uintptr_t pc, struct common *c, uintptr_t *start,
                             struct hk_reader *r)
{
    const uint8_t *fde = find_fde(header, pc);
    if (fde == NULL || !open_entry(fde, r))
        return false;
    const uint8_t *field = r->at;
    uint32_t back = (uint32_t)hk_read_bytes(r, 4);
    if (back == 0 || !read_common(field - back, c))
        return false;
    *start = read_pointer(r, c->enc, NULL);
    uintptr_t length = read_pointer(r, c->enc & 15, NULL);
    if (c->augmented)
        hk_skip_bytes(r, hk_read_unsigned(r));
    return !r->failed && pc - *start < length;
}

uintptr_t hk_cfi_function(const uint8_t *header, uintptr_t pc)
{
    struct common c;
    struct hk_reader r;
    uintptr_t start;
    return find_description(header, pc, &c, &start, &r) ? start : 0;
}

bool hk_cfi_find(const uint8_t *header, uintptr_t pc, struct hk_rules *rules)
{
    struct common c;
    struct hk_reader r;
    struct machine m = {.common = &c, .rules = rules, .pc = pc};
    if (!find_description(header, pc, &c, &m.at, &r))
        return false;
    *rules = (struct hk_rules){.signal = c.signal, .reg = {[HK_REG_SP] = {HK_RULE_IS, 0, NULL}}};
    if (!run(&m, c.run))
        return false;
    m.initial = *rules;
    return run(&m, r);
}
