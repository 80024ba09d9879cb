/* SPDX-License-Identifier: MIT
 *
 * The heap of a trace, without its bytes: which blocks are live, and how much that is. It turns events, which have
 * addresses, into steps, which have slots: small numbers that are given again when their block is freed. Its memory is
 * that of the most blocks that were live at once, about 50 bytes each.
 */
#ifndef HAKMEM_TRACE_MODEL_H
#define HAKMEM_TRACE_MODEL_H

#include "format.h"

#define MODEL_NONE UINT32_MAX

enum step_kind {
    STEP_MALLOC,
    STEP_CALLOC,
    STEP_ALIGNED,
    STEP_FREE,   /* `size` was counted as live, and is not any more */
    STEP_LEAVE,  /* the same, but the block is still there, for the STEP_RESIZE or STEP_STAY that follows */
    STEP_RESIZE, /* the block of `from` (MODEL_NONE: none) goes on in `slot` */
    STEP_STAY,   /* the resize failed: `size` counts again */
    STEP_END,
};

struct step {
    uint64_t size;
    uint32_t slot, from;
    uint8_t kind, align_log2;
};

struct model_resize {
    uint64_t address, size;
    uint32_t slot; /* MODEL_NONE: none is going on */
};

struct model {
    uint64_t *addresses; /* a table with open addressing; 0: free */
    uint32_t *slots;     /* of each of these */
    size_t mask, count;
    uint64_t *sizes;   /* by slot */
    uint64_t *numbers; /* of the events that made them */
    uint32_t *idle;    /* slots that may be given */
    size_t idle_count, slot_room;
    uint32_t slot_count; /* slots are below it */
    uint32_t *held;      /* slots freed since model_release */
    size_t held_count, held_room;
    struct model_resize *resizes; /* by thread */
    uint32_t threads;

    struct trace_touch *touches; /* large blocks that were not all resident, as they go */
    size_t touch_count, touch_room;

    uint64_t live_bytes;
    struct trace_summary sums; /* all but what the recorder counts */
};

void model_begin(struct model *model, uint32_t threads);
void model_end(struct model *model);

/* Takes the event into account. Writes at most 2 steps, in their order, and returns how many. */
unsigned model_take(struct model *model, uint32_t thread, const struct trace_event *event, struct step *steps);

/* The first `count` of the held slots may be given again from now on. */
void model_release(struct model *model, size_t count);

#endif
