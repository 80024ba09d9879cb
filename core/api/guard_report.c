/* SPDX-License-Identifier: MIT */
#include "api/guard.h"

#include "api/leaks_lines.h"
#include "api/report_frame.h"
#include "os/os.h"

#include <string.h>

enum { NOW, FREED, TAKEN, STACKS };

/* What a report of three stacks is made of, in a mapping. */
struct parts {
    struct hk_profile_row row[STACKS];
    struct hk_stack stack[STACKS];
};

static void copy_stack(struct hk_stack *to, const struct hk_guarded_stack *from)
{
    to->depth = hk_min(from->depth, HK_GUARDED_DEPTH);
    memcpy(to->pc, from->pc, to->depth * sizeof *to->pc);
}

/* False: no memory for names. */
static bool make_report(struct hk_report *r, const struct hk_guarded_stack *const stack[STACKS])
{
    size_t mapped = hk_align_up(sizeof(struct parts), hk_os_page_size());
    struct parts *parts = hk_os_map(mapped);
    *r = (struct hk_report){.modules = 0};
    if (parts == NULL)
        return false;
    for (unsigned i = 0; i < STACKS; i++) {
        copy_stack(&parts->stack[i], stack[i]);
        parts->row[i].stack = &parts->stack[i];
    }
    r->result.row = parts->row;
    r->result.rows = STACKS;
    r->result.mapped = mapped;
    if (!hk_report_complete(r))
        return false;
    hk_lines_read(r);
    return true;
}

/* Of frames before the program's own: functions of ours, where they are a part of the program. */
static bool is_ours(const struct hk_report *r, uintptr_t pc)
{
    const char *name = r->places != 0 ? r->place[hk_report_place(r, pc)].name : NULL;
    return name != NULL && strncmp(name, "hk_", 3) == 0;
}

static void put_stack(struct hk_fmt *f, const struct hk_report *r, const struct hk_guarded_stack *stack)
{
    unsigned first = 0, depth = hk_min(stack->depth, HK_GUARDED_DEPTH);
    while (first < depth && is_ours(r, stack->pc[first]))
        first++;
    for (unsigned d = first; d < depth; d++) {
        if (r->places != 0)
            hk_report_put_frame(f, r, d - first, stack->pc[d]);
        else
            hk_fmt(f, "    #%u 0x%zx\n", d - first, (size_t)stack->pc[d]);
    }
    if (depth == 0)
        hk_fmt(f, "    [no stack]\n");
}

static void put_who(struct hk_fmt *f, const char *what, const struct hk_guarded_stack *stack)
{
    hk_fmt(f, "hakmem: %s", what);
    if (stack->thread != 0)
        hk_fmt(f, " thread %u", stack->thread);
    if (stack->name[0] != 0)
        hk_fmt(f, " (%s)", stack->name);
    hk_fmt(f, ":\n");
}

void hk_guard_write(const struct hk_guarded_block *block, const struct hk_guarded_stack *now)
{
    const struct hk_guarded_stack *const stack[STACKS] = {now, &block->freed, &block->taken};
    static const char *const what[STACKS] = {"found in", "the block was freed by", "the block was asked for by"};
    struct hk_report r;
    struct hk_fmt f;
    bool made = make_report(&r, stack);
    hk_fmt_start(&f, 2);
    for (unsigned i = 0; i < STACKS; i++) {
        if (i == FREED && block->state != HK_GUARDED_FREED)
            continue;
        put_who(&f, what[i], stack[i]);
        put_stack(&f, &r, stack[i]);
    }
    hk_fmt_end(&f);
    if (made)
        hk_report_drop(&r);
}

/* A profile keeps names of threads, and no numbers. Of its own the stack has only as many addresses as there are. */
void hk_guard_write_asked(const struct hk_stack *asked_by)
{
    struct hk_guarded_block block = {.state = HK_GUARDED_LIVE};
    struct hk_guarded_stack now;
    block.taken.depth = hk_min(asked_by->depth, HK_GUARDED_DEPTH);
    memcpy(block.taken.pc, asked_by->pc, block.taken.depth * sizeof *asked_by->pc);
    memcpy(block.taken.name, asked_by->thread, sizeof block.taken.name);
    hk_guarded_look(&now, NULL);
    hk_guard_write(&block, &now);
}
