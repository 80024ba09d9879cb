/* SPDX-License-Identifier: MIT
 *
 * Follows the rules of one address: from the frame that it is in to that of its caller.
 */
#include "os/unwind_cfi.h"

#include "os/unwind_read.h"

/* ---- expressions ---- */

#define STACK 16u

struct sum {
    struct hk_walk *walk;
    uint64_t stack[STACK];
    unsigned depth;
    bool failed;
};

static void push(struct sum *s, uint64_t value)
{
    if (s->depth == STACK)
        s->failed = true;
    else
        s->stack[s->depth++] = value;
}

static uint64_t pop(struct sum *s)
{
    if (s->depth == 0) {
        s->failed = true;
        return 0;
    }
    return s->stack[--s->depth];
}

static bool read_register(const struct hk_walk *w, uint64_t dwarf, uint64_t *value)
{
    const struct hk_frame *f = &w->frame;
    if (dwarf == HK_DWARF_SP)
        *value = f->reg[HK_REG_SP];
    else if (dwarf == HK_DWARF_FP)
        *value = f->reg[HK_REG_FP];
    else if (dwarf == HK_DWARF_BASE)
        *value = f->reg[HK_REG_BASE];
    else if (dwarf == HK_DWARF_LINK)
        *value = HK_DWARF_LINK == 16u ? f->pc : f->reg[HK_REG_LINK];
    else
        return false;
    return true;
}

static void push_binary(struct sum *s, unsigned op)
{
    uint64_t b = pop(s), a = pop(s);
    switch (op) {
    case 0x1a:
        push(s, a & b);
        break;
    case 0x1c:
        push(s, a - b);
        break;
    case 0x1e:
        push(s, a * b);
        break;
    case 0x21:
        push(s, a | b);
        break;
    case 0x22:
        push(s, a + b);
        break;
    case 0x24:
        push(s, b < 64 ? a << b : 0);
        break;
    case 0x25:
        push(s, b < 64 ? a >> b : 0);
        break;
    case 0x27:
        push(s, a ^ b);
        break;
    case 0x29:
        push(s, a == b);
        break;
    case 0x2a:
        push(s, (int64_t)a >= (int64_t)b);
        break;
    case 0x2b:
        push(s, (int64_t)a > (int64_t)b);
        break;
    case 0x2c:
        push(s, (int64_t)a <= (int64_t)b);
        break;
    case 0x2d:
        push(s, (int64_t)a < (int64_t)b);
        break;
    case 0x2e:
        push(s, a != b);
        break;
    default:
        s->failed = true;
    }
}

static void push_constant(struct sum *s, struct hk_reader *r, unsigned op)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8};
    unsigned n = bytes[op - 0x08];
    uint64_t value = hk_read_bytes(r, n);
    if (op % 2 == 1 && n < 8 && value >> (8 * n - 1) != 0)
        value |= ~(uint64_t)0 << 8 * n;
    push(s, value);
}

static void push_register(struct sum *s, struct hk_reader *r, uint64_t dwarf)
{
    uint64_t value = 0;
    s->failed |= !read_register(s->walk, dwarf, &value);
    push(s, value + (uint64_t)hk_read_signed(r));
}

static void run_operation(struct sum *s, struct hk_reader *r, unsigned op)
{
    uint64_t value;
    uintptr_t word = 0;
    if (op >= 0x08 && op <= 0x0f) {
        push_constant(s, r, op);
    } else if (op >= 0x30 && op <= 0x4f) { /* lit */
        push(s, op - 0x30);
    } else if (op >= 0x70 && op <= 0x8f) { /* breg */
        push_register(s, r, op - 0x70);
    } else if (op == 0x92) { /* bregx */
        value = hk_read_unsigned(r);
        push_register(s, r, value);
    } else if (op == 0x06) { /* deref */
        s->failed |= !hk_walk_read(s->walk, pop(s), &word);
        push(s, word);
    } else if (op == 0x10) { /* constu */
        push(s, hk_read_unsigned(r));
    } else if (op == 0x11) { /* consts */
        push(s, (uint64_t)hk_read_signed(r));
    } else if (op == 0x12) { /* dup */
        value = pop(s);
        push(s, value);
        push(s, value);
    } else if (op == 0x13) { /* drop */
        pop(s);
    } else if (op == 0x23) { /* plus_uconst */
        value = pop(s);
        push(s, value + hk_read_unsigned(r));
    } else {
        push_binary(s, op);
    }
}

/* False: it cannot be said. `start`: what is on its stack before, as the rule for a register has it. */
static bool evaluate(struct hk_walk *w, const uint8_t *expression, const uint64_t *start, uint64_t *value)
{
    struct hk_reader r = {expression, expression + 10, false};
    uint64_t length = hk_read_unsigned(&r);
    r.end = r.at + length;
    struct sum s = {.walk = w};
    if (start != NULL)
        push(&s, *start);
    while (r.at < r.end && !s.failed && !r.failed)
        run_operation(&s, &r, (unsigned)hk_read_bytes(&r, 1));
    *value = pop(&s);
    return !s.failed && !r.failed;
}

/* ---- following ---- */

static bool follow_rule(struct hk_walk *w, const struct hk_rule *rule, uint64_t cfa, uintptr_t *value)
{
    uint64_t result;
    switch (rule->kind) {
    case HK_RULE_SAME:
        return true;
    case HK_RULE_AT:
        return hk_walk_read(w, cfa + (uint64_t)rule->offset, value);
    case HK_RULE_IS:
        *value = cfa + (uint64_t)rule->offset;
        return true;
    case HK_RULE_EXPRESSION:
        return evaluate(w, rule->expression, &cfa, &result) && hk_walk_read(w, result, value);
    case HK_RULE_VALUE:
        if (!evaluate(w, rule->expression, &cfa, &result))
            return false;
        *value = result;
        return true;
    case HK_RULE_REGISTER:
        if (!read_register(w, (uint64_t)rule->offset, &result))
            return false;
        *value = result;
        return true;
    default:
        return false;
    }
}

bool hk_cfi_apply(struct hk_walk *w, const struct hk_rules *rules)
{
    struct hk_frame next = w->frame;
    uint64_t cfa;
    if (rules->cfa.kind == HK_RULE_VALUE) {
        if (!evaluate(w, rules->cfa.expression, NULL, &cfa))
            return false;
    } else {
        if (!read_register(w, rules->cfa_reg, &cfa))
            return false;
        cfa += (uint64_t)rules->cfa.offset;
    }
    next.reg[HK_REG_SP] = cfa;
    for (unsigned i = 0; i < HK_REGS; i++) {
        if (i != HK_REG_LINK && !follow_rule(w, &rules->reg[i], cfa, &next.reg[i]))
            next.reg[i] = 0; /* who needs it stops */
    }
    if (!follow_rule(w, &rules->reg[HK_REG_LINK], cfa, &next.reg[HK_REG_LINK]))
        return false;
    next.pc = hk_code_address(next.reg[HK_REG_LINK]);
    next.exact = rules->signal;
    w->frame = next;
    return next.pc != 0;
}
