/* SPDX-License-Identifier: MIT
 *
 * The walk. What the call frame information of a return address says is nearly always the same three facts, so it is
 * kept in a table by address: then a step costs no more than one by frame pointers.
 */
#include "os/unwind.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "base/sys.h"
#include "os/auxv.h"
#include "os/os.h"
#include "os/unwind_cfi.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

/* ---- what can be read ---- */

/* The kernel copies the mask before it looks at `how`, which is none: EINVAL where it could. */
bool hk_unwind_can_read(uintptr_t address)
{
    return hk_sys4(SYS_rt_sigprocmask, -1, (long)address, 0, 8) == -EINVAL;
}

bool hk_walk_read(struct hk_walk *w, uintptr_t address, uintptr_t *word)
{
    size_t page = hk_os_page_size();
    if (address % sizeof(uintptr_t) != 0)
        return false;
    if (HK_UNLIKELY(address < w->from || address >= w->to)) {
        if (address < page || !hk_unwind_can_read(address))
            return false;
        uintptr_t start = hk_align_down(address, page);
        if (start != w->to)
            w->from = start;
        w->to = start + page;
    }
    *word = *(const uintptr_t *)address;
    return true;
}

/* A thread's own stack ends at its thread-local memory, which lies behind it; that of the first thread at what the
 * kernel has put there. Up to that end it is one mapping, which stays while the thread runs on it. */
#define ASKED_MOST 64u /* pages at once */

static _Atomic uintptr_t first_stack_end; /* relaxed: constant once a walk matters; 0: not known */

/* The page behind it. */
static uintptr_t end_of_stack(uintptr_t sp)
{
    uintptr_t end = hk_thread_self(), page = hk_os_page_size();
    return hk_align_down(end > sp ? end : hk_load_relaxed(&first_stack_end), page) + page;
}

/* What an earlier thread has left there is of another end, or of the same stack. */
static bool is_known(const struct hk_self *self, uintptr_t sp, uintptr_t end)
{
    return sp >= self->from && sp < end && self->to == end;
}

/* Asks the kernel for the pages between what is known of it and the stack pointer; where one cannot be read it is not
 * the thread's own stack. */
static void learn_stack(struct hk_self *self, uintptr_t sp, uintptr_t end)
{
    size_t page = hk_os_page_size();
    uintptr_t from = hk_align_down(sp, page), known = end;
    if (end == self->to && self->from > sp)
        known = self->from;
    if (from >= known || known - from > ASKED_MOST * page)
        return;
    for (uintptr_t at = from + page; at < known; at += page) {
        if (!hk_unwind_can_read(at))
            return;
    }
    hk_poke(&self->to, 0);
    hk_poke_release(&self->from, from); /* a handler of this thread sees the two in this order */
    hk_poke_release(&self->to, end);    /* as above */
}

/* Up to where the stack can be read. */
static uintptr_t end_that_is_there(struct hk_self *self, uintptr_t sp)
{
    uintptr_t end = end_of_stack(sp);
    if (self != NULL && !is_known(self, sp, end))
        learn_stack(self, sp, end);
    return self != NULL && is_known(self, sp, end) ? end : hk_align_up(sp + 1, hk_os_page_size());
}

/* ---- what is known of a return address ---- */

/* The CFA is a register plus an offset, and each of the others lies at an offset from it or is as it was. */
struct known {
    uint8_t base;        /* of the CFA: HK_REG_SP, HK_REG_FP or HK_REG_BASE */
    uint8_t signal;      /* as in struct hk_rules */
    int16_t at[HK_REGS]; /* words from the CFA; KEPT, of the SP unused */
    int32_t cfa;         /* what is added to `base` */
};
_Static_assert(sizeof(struct known) == 16, "two words");

#define KEPT INT16_MIN

/* Two words and a third that is their sum with the address they are for: who reads while another writes finds that it
 * is not. Relaxed: there is no more to it than these three words. */
struct place {
    _Atomic uint64_t check, word[2];
};

#define PLACES 8192u
#define PLACES_AT_FIRST 256u

static struct place *_Atomic places; /* NULL: no memory for them */

/* Of these places the first so many and one are used, so that a small program touches few pages; when others lay in a
 * quarter of them already it is twice as many. Half of what was put down is still found then; the rest is found out
 * again. Relaxed: any of the values will do. */
static _Atomic unsigned place_mask = PLACES_AT_FIRST - 1;
static _Atomic unsigned place_taken; /* how often another lay there, since then */

static struct place *place_of(uintptr_t key)
{
    struct place *table = hk_load_acquire(&places); /* pairs with hk_unwind_start; a mapping of zeros */
    return table != NULL ? &table[(key * 0x9e3779b97f4a7c15u) >> 51 & hk_load_relaxed(&place_mask)] : NULL;
}
_Static_assert(PLACES == 1u << (64 - 51), "places by the upper bits");

/* A place was taken from another. */
static void note_taken(void)
{
    unsigned mask = hk_load_relaxed(&place_mask);
    if (mask == PLACES - 1 || hk_add_relaxed(&place_taken, 1) < mask / 4)
        return;
    hk_store_relaxed(&place_taken, 0);
    hk_store_relaxed(&place_mask, 2 * mask + 1);
}

static bool recall(uintptr_t key, struct known *known)
{
    const struct place *p = place_of(key);
    if (p == NULL)
        return false;
    uint64_t word[2] = {hk_load_relaxed(&p->word[0]), hk_load_relaxed(&p->word[1])};
    if ((hk_load_relaxed(&p->check) ^ word[0] ^ word[1]) != key)
        return false;
    __builtin_memcpy(known, word, sizeof *known);
    return true;
}

static void keep(uintptr_t key, const struct known *known)
{
    struct place *p = place_of(key);
    uint64_t word[2];
    if (p == NULL)
        return;
    __builtin_memcpy(word, known, sizeof word);
    if (hk_load_relaxed(&p->check) != 0)
        note_taken();
    hk_store_relaxed(&p->check, key ^ word[0] ^ word[1]);
    hk_store_relaxed(&p->word[0], word[0]);
    hk_store_relaxed(&p->word[1], word[1]);
}

static bool is_simple(const struct hk_rules *rules, struct known *known)
{
    static const struct {
        unsigned dwarf, reg;
    } bases[] = {{HK_DWARF_SP, HK_REG_SP}, {HK_DWARF_FP, HK_REG_FP}, {HK_DWARF_BASE, HK_REG_BASE}};
    *known = (struct known){.base = HK_REGS, .signal = rules->signal, .cfa = (int32_t)rules->cfa.offset};
    for (unsigned i = 0; i < HK_COUNT(bases); i++) {
        if (bases[i].dwarf == rules->cfa_reg)
            known->base = (uint8_t)bases[i].reg;
    }
    if (rules->cfa.kind != HK_RULE_IS || known->base == HK_REGS || known->cfa != rules->cfa.offset)
        return false;
    for (unsigned i = 0; i < HK_REGS; i++) {
        const struct hk_rule *rule = &rules->reg[i];
        int64_t words = rule->offset / (int64_t)sizeof(uintptr_t);
        bool at = rule->kind == HK_RULE_AT && words * (int64_t)sizeof(uintptr_t) == rule->offset && words > INT16_MIN &&
                  words <= INT16_MAX;
        if (i == HK_REG_SP ? rule->kind != HK_RULE_IS || rule->offset != 0 : !at && rule->kind != HK_RULE_SAME)
            return false;
        known->at[i] = at ? (int16_t)words : KEPT;
    }
    return true;
}

/* As hk_cfi_apply. */
static bool apply_known(struct hk_walk *w, const struct known *known)
{
    struct hk_frame *f = &w->frame;
    uintptr_t cfa = f->reg[known->base] + (uintptr_t)(intptr_t)known->cfa;
    f->reg[HK_REG_SP] = cfa;
    for (unsigned i = HK_REG_FP; i < HK_REGS; i++) {
        if (known->at[i] == KEPT)
            continue;
        if (!hk_walk_read(w, cfa + (uintptr_t)(known->at[i] * (intptr_t)sizeof(uintptr_t)), &f->reg[i]))
            f->reg[i] = 0;
    }
    f->exact = known->signal;
    f->pc = hk_code_address(f->reg[HK_REG_LINK]);
    return f->pc != 0;
}

/* ---- steps ---- */

/* Code without call frame information: made at run time, mostly, and it mostly has frame pointers. They lead upwards,
 * not far, and to a return address. */
#define FAR_FRAME ((uintptr_t)1 << 20)

static bool step_by_pointer(struct hk_walk *w)
{
    struct hk_frame *f = &w->frame;
    uintptr_t fp = f->reg[HK_REG_FP], next, pc;
    if (fp < f->reg[HK_REG_SP] || fp - f->reg[HK_REG_SP] > FAR_FRAME)
        return false;
    if (!hk_walk_read(w, fp, &next) || !hk_walk_read(w, fp + sizeof next, &pc))
        return false;
    f->reg[HK_REG_SP] = hk_stack_of_caller(fp, next);
    f->reg[HK_REG_FP] = next;
    f->reg[HK_REG_LINK] = pc;
    f->pc = hk_code_address(pc);
    f->exact = false;
    return f->pc >= hk_os_page_size();
}

/* Where nothing is said of the code that a handler of a signal returns to, it is told by what it is: the kernel's own
 * on aarch64, and that of C libraries without call frame information. False: it is not that. */
static bool step_from_signal(struct hk_walk *w)
{
    static const uint16_t saved[] = {HK_SIGNAL_REGISTERS};
    static const char code[] = HK_SIGNAL_CODE;
    struct hk_frame *f = &w->frame;
    uintptr_t sp = f->reg[HK_REG_SP], word[HK_COUNT(saved)];
    _Static_assert(HK_COUNT(saved) == HK_REGS + 1, "each register, and the pc");
    if (f->pc < hk_os_page_size() || !hk_unwind_can_read(f->pc) || !hk_unwind_can_read(f->pc + sizeof code) ||
        memcmp((const void *)f->pc, code, sizeof code - 1) != 0)
        return false;
    for (unsigned i = 0; i < HK_COUNT(saved); i++) {
        if (!hk_walk_read(w, sp + saved[i], &word[i]))
            return false;
    }
    memcpy(f->reg, word, sizeof f->reg);
    f->pc = word[HK_REGS];
    f->exact = true;
    return f->pc != 0;
}

static bool step_without_rules(struct hk_walk *w)
{
    return step_from_signal(w) || step_by_pointer(w);
}

static bool step(struct hk_walk *w)
{
    struct hk_rules rules;
    struct known known;
    uintptr_t pc = w->frame.exact ? w->frame.pc : w->frame.pc - 1, sp = w->frame.reg[HK_REG_SP];
    const uint8_t *header = hk_object_header(pc);
    if (header == NULL)
        return step_without_rules(w);
    uintptr_t key = pc ^ (uintptr_t)header << 20; /* another library may come to the same place */
    bool up, signal, interrupted = w->frame.exact;
    if (HK_LIKELY(recall(key, &known))) {
        up = apply_known(w, &known);
        signal = known.signal;
    } else if (!hk_cfi_find(header, pc, &rules)) {
        return step_without_rules(w);
    } else if (is_simple(&rules, &known)) {
        keep(key, &known);
        up = apply_known(w, &known);
        signal = known.signal;
    } else {
        up = hk_cfi_apply(w, &rules);
        signal = rules.signal;
    }
    /* Else it would go round. Where a call puts nothing onto the stack (aarch64), a function may have nothing there,
     * and be interrupted. */
    return up && (signal || w->frame.reg[HK_REG_SP] > sp || (interrupted && w->frame.reg[HK_REG_SP] == sp));
}

static _Atomic uintptr_t own_from, own_size; /* the library's code; none where it is a part of the program */

/* So many frames are ours at most. */
#define OURS 16u

HK_NOINLINE unsigned hk_unwind(uintptr_t *pc, unsigned most, const void *first, struct hk_self *self)
{
    struct hk_walk w;
    unsigned n = 0, steps = 0;
    uintptr_t from = hk_load_relaxed(&own_from), size = hk_load_relaxed(&own_size); /* constant once a walk matters */
    hk_registers_read(&w.frame.pc, w.frame.reg);
    w.frame.exact = true;
    w.from = w.frame.reg[HK_REG_SP];
    w.to = end_that_is_there(self, w.from);
    for (; n < most && step(&w); steps++) {
        if (n == 0 && w.frame.pc - from < size)
            continue;
        if (w.frame.pc == (uintptr_t)first && steps < OURS && size == 0) {
            n = 0;
            first = NULL; /* it may come again, above itself */
        }
        pc[n++] = w.frame.pc;
    }
    return n;
}

void hk_unwind_thread(char name[HK_THREAD_NAME])
{
    memset(name, 0, HK_THREAD_NAME);
    if (hk_sys5(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0) != 0)
        name[0] = 0;
    size_t used = strnlen(name, HK_THREAD_NAME - 1);
    memset(name + used, 0, HK_THREAD_NAME - used);
}

#define NAMES_IN 16u

void hk_unwind_self(struct hk_self *self, char name[HK_THREAD_NAME])
{
    uint32_t before = self->names++;
    if (before < NAMES_IN || before % NAMES_IN == 0)
        hk_unwind_thread(self->name);
    memcpy(name, self->name, HK_THREAD_NAME);
}

unsigned hk_unwind_thread_number(void)
{
    return (unsigned)hk_sys0(SYS_gettid);
}

uintptr_t hk_unwind_function(uintptr_t pc)
{
    const uint8_t *header = hk_object_header(pc);
    return header != NULL ? hk_cfi_function(header, pc) : 0;
}

bool hk_unwind_own(uintptr_t *from, uintptr_t *to)
{
    return hk_object_own(from, to);
}

bool hk_unwind_start(void)
{
    uintptr_t from, to;
    hk_object_note_all();
    if (hk_object_own(&from, &to)) {
        hk_store_relaxed(&own_from, from);
        hk_store_relaxed(&own_size, to - from);
    }
    if (hk_load_relaxed(&places) != NULL)
        return true;
    struct hk_auxv aux;
    if (hk_auxv_get(&aux))
        hk_store_relaxed(&first_stack_end, (uintptr_t)aux.random);
    struct place *table = hk_os_map(hk_align_up(PLACES * sizeof(struct place), hk_os_page_size()));
    if (table == NULL)
        return false;
    hk_store_release(&places, table); /* pairs with place_of */
    return true;
}
