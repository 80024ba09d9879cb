/* SPDX-License-Identifier: MIT
 *
 * unwind_cfi: one step up the stack, by the rules of DWARF's call frame information as compilers leave them in
 * .eh_frame. Included by os/unwind.c, os/unwind_cfi.c, os/unwind_step.c and os/unwind_object.c only.
 *
 * A walk is its caller's alone. What is read of an object (.eh_frame_hdr, .eh_frame) is there while one of its
 * functions is on the stack.
 */
#ifndef HK_OS_UNWIND_CFI_H
#define HK_OS_UNWIND_CFI_H

#include "base/compiler.h"
#include "os/unwind_registers.h"

/* What is known of a frame. Callers' registers that nobody restores are not. */
struct hk_frame {
    uintptr_t pc;
    uintptr_t reg[HK_REGS]; /* HK_REG_SP, HK_REG_FP, HK_REG_BASE, HK_REG_LINK */
    bool exact;             /* pc is where it is, and not where a call returns to */
};

struct hk_walk {
    struct hk_frame frame;
    uintptr_t from, to; /* this memory can be read */
};

/* Reads an aligned word of the stack; false: it is not there. */
bool hk_walk_read(struct hk_walk *w, uintptr_t address, uintptr_t *word);

/* Notes the objects that are there, where the C library does not tell of each. */
void hk_object_note_all(void);

/* This code lies in a library of its own, which has nothing of the program: its addresses. */
bool hk_object_own(uintptr_t *from, uintptr_t *to);

/* Where the code at an address has its call frame information; NULL: nowhere. */
const uint8_t *hk_object_header(uintptr_t pc);

enum hk_rule_kind {
    HK_RULE_SAME,       /* as in the frame below */
    HK_RULE_UNDEFINED,  /* lost; of the return address: there is no caller */
    HK_RULE_AT,         /* in memory, at the CFA plus `offset` */
    HK_RULE_IS,         /* the CFA plus `offset` itself */
    HK_RULE_EXPRESSION, /* in memory where the expression says */
    HK_RULE_VALUE,      /* what the expression says */
    HK_RULE_REGISTER,   /* in the register `offset` */
};

struct hk_rule {
    enum hk_rule_kind kind;
    int64_t offset;
    const uint8_t *expression; /* its length first */
};

/* How the caller's frame follows from this one. */
struct hk_rules {
    struct hk_rule cfa; /* HK_RULE_IS: register `cfa_reg` plus `offset`; HK_RULE_VALUE */
    unsigned cfa_reg;   /* DWARF's number */
    struct hk_rule reg[HK_REGS];
    bool signal; /* the frame of a handler's return: its caller was interrupted, not calling */
};

/* What .eh_frame says of an address; `header` is the object's. False: nothing that is understood. */
bool hk_cfi_find(const uint8_t *header, uintptr_t pc, struct hk_rules *rules);

/* Where the function begins; 0: not known. */
uintptr_t hk_cfi_function(const uint8_t *header, uintptr_t pc);

/* Follows them. False: there is no caller, or what they need is not known or not there. */
bool hk_cfi_apply(struct hk_walk *w, const struct hk_rules *rules);

#endif
