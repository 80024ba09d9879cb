/* SPDX-License-Identifier: MIT
 *
 * See model.h.
 */
#include "model.h"

#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_LEAST 1024
#define MODEL_PAGE 4096

static void *grown(void *memory, size_t count, size_t each)
{
    void *new = count <= SIZE_MAX / each ? realloc(memory, count * each) : NULL;
    if (new == NULL)
        trace_die("no memory for %zu blocks", count);
    return new;
}

void model_begin(struct model *model, uint32_t threads)
{
    *model = (struct model){.mask = TABLE_LEAST - 1, .threads = threads};
    model->addresses = grown(NULL, TABLE_LEAST, sizeof(*model->addresses));
    memset(model->addresses, 0, TABLE_LEAST * sizeof(*model->addresses));
    model->slots = grown(NULL, TABLE_LEAST, sizeof(*model->slots));
    model->resizes = grown(NULL, (size_t)threads + 1, sizeof(*model->resizes));
    for (uint32_t at = 0; at <= threads; at++)
        model->resizes[at].slot = MODEL_NONE;
}

void model_end(struct model *model)
{
    free(model->addresses);
    free(model->slots);
    free(model->sizes);
    free(model->numbers);
    free(model->touches);
    free(model->idle);
    free(model->held);
    free(model->resizes);
}

/* ---- The table ---- */

static size_t home(const struct model *model, uint64_t address)
{
    return (size_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & model->mask;
}

/* Where the address is, or the free place where it would be. */
static size_t find(const struct model *model, uint64_t address)
{
    size_t at = home(model, address);
    while (model->addresses[at] != 0 && model->addresses[at] != address)
        at = (at + 1) & model->mask;
    return at;
}

static void widen(struct model *model)
{
    struct model old = *model;
    size_t places = 2 * (old.mask + 1);
    model->mask = places - 1;
    model->addresses = grown(NULL, places, sizeof(*model->addresses));
    model->slots = grown(NULL, places, sizeof(*model->slots));
    memset(model->addresses, 0, places * sizeof(*model->addresses));
    for (size_t from = 0; from <= old.mask; from++) {
        if (old.addresses[from] == 0)
            continue;
        size_t at = find(model, old.addresses[from]);
        model->addresses[at] = old.addresses[from];
        model->slots[at] = old.slots[from];
    }
    free(old.addresses);
    free(old.slots);
}

static void insert(struct model *model, uint64_t address, uint32_t slot)
{
    if (2 * (model->count + 1) > model->mask)
        widen(model);
    size_t at = find(model, address);
    model->count += model->addresses[at] == 0;
    model->addresses[at] = address;
    model->slots[at] = slot;
}

/* Takes the address out and moves what lies behind it up. Its slot, or MODEL_NONE. */
static uint32_t extract(struct model *model, uint64_t address)
{
    size_t hole = find(model, address);
    if (model->addresses[hole] == 0)
        return MODEL_NONE;
    uint32_t slot = model->slots[hole];
    for (size_t at = (hole + 1) & model->mask; model->addresses[at] != 0; at = (at + 1) & model->mask) {
        size_t distance = (at - home(model, model->addresses[at])) & model->mask;
        if (distance >= ((at - hole) & model->mask)) {
            model->addresses[hole] = model->addresses[at];
            model->slots[hole] = model->slots[at];
            hole = at;
        }
    }
    model->addresses[hole] = 0;
    model->count--;
    return slot;
}

/* ---- Slots ---- */

static uint32_t give_slot(struct model *model, const struct trace_event *event)
{
    if (model->idle_count == 0 && model->slot_count == model->slot_room) {
        model->slot_room = model->slot_room != 0 ? 2 * model->slot_room : TABLE_LEAST;
        if (model->slot_room >= MODEL_NONE)
            trace_die("more than 4 billion blocks live at once");
        model->sizes = grown(model->sizes, model->slot_room, sizeof(*model->sizes));
        model->numbers = grown(model->numbers, model->slot_room, sizeof(*model->numbers));
        model->idle = grown(model->idle, model->slot_room, sizeof(*model->idle));
    }
    uint32_t slot = model->idle_count != 0 ? model->idle[--model->idle_count] : model->slot_count++;
    model->sizes[slot] = event->size;
    model->numbers[slot] = event->number;
    return slot;
}

static void hold_slot(struct model *model, uint32_t slot)
{
    if (model->held_count == model->held_room) {
        model->held_room = model->held_room != 0 ? 2 * model->held_room : TABLE_LEAST;
        model->held = grown(model->held, model->held_room, sizeof(*model->held));
    }
    model->held[model->held_count++] = slot;
}

void model_release(struct model *model, size_t count)
{
    for (size_t at = 0; at < count; at++)
        model->idle[model->idle_count++] = model->held[at];
    model->held_count -= count;
    if (model->held_count != 0 && count != 0)
        memmove(model->held, model->held + count, model->held_count * sizeof(*model->held));
}

/* ---- Events ---- */

/* The event tells how much of a block was resident. */
static void take_touched(struct model *model, const struct trace_event *event)
{
    size_t at = find(model, event->address);
    if (event->address == 0 || model->addresses[at] == 0)
        return;
    uint32_t slot = model->slots[at];
    if ((event->touched - 1) * MODEL_PAGE >= model->sizes[slot])
        return;
    if (model->touch_count == model->touch_room) {
        model->touch_room = model->touch_room != 0 ? 2 * model->touch_room : TABLE_LEAST;
        model->touches = grown(model->touches, model->touch_room, sizeof(*model->touches));
    }
    model->touches[model->touch_count++] =
        (struct trace_touch){.number = model->numbers[slot], .pages = event->touched - 1};
}

static void count_live(struct model *model, const struct trace_event *event, uint64_t size)
{
    struct trace_summary *sums = &model->sums;
    model->live_bytes += size;
    if (model->live_bytes > sums->peak_bytes) {
        sums->peak_bytes = model->live_bytes;
        sums->peak_number = event->number;
        sums->peak_time = event->time;
        sums->peak_blocks = model->count;
    }
    sums->most_blocks = model->count > sums->most_blocks ? model->count : sums->most_blocks;
}

/* The block that the address had goes. */
static unsigned take_free(struct model *model, uint64_t address, struct step *step)
{
    uint32_t slot = extract(model, address);
    if (slot == MODEL_NONE)
        return 0;
    *step = (struct step){.kind = STEP_FREE, .slot = slot, .from = MODEL_NONE, .size = model->sizes[slot]};
    model->live_bytes -= model->sizes[slot];
    hold_slot(model, slot);
    return 1;
}

/* A block is there: of an allocation, or of the resize that the thread is in. */
static unsigned take_block(struct model *model, const struct trace_event *event, uint32_t from, struct step *steps)
{
    static const uint8_t kinds[] = {STEP_MALLOC, STEP_CALLOC, STEP_ALIGNED};
    unsigned count = take_free(model, event->address, steps);
    model->sums.reused += count;
    uint32_t slot = give_slot(model, event);
    insert(model, event->address, slot);
    steps[count] = (struct step){.kind = event->kind == TRACE_RESIZED ? STEP_RESIZE : kinds[event->kind],
                                 .slot = slot,
                                 .from = from,
                                 .size = event->size,
                                 .align_log2 = (uint8_t)(event->align_log2 & 63)};
    if (from != MODEL_NONE)
        hold_slot(model, from);
    count_live(model, event, event->size);
    return count + 1;
}

static unsigned take_leave(struct model *model, struct model_resize *resize, uint64_t address, struct step *step)
{
    uint32_t slot = extract(model, address);
    model->sums.unknown += slot == MODEL_NONE;
    *resize = (struct model_resize){.slot = slot, .address = address};
    if (slot == MODEL_NONE)
        return 0;
    resize->size = model->sizes[slot];
    model->live_bytes -= resize->size;
    *step = (struct step){.kind = STEP_LEAVE, .slot = slot, .from = MODEL_NONE, .size = resize->size};
    return 1;
}

/* A resize without a block: it failed, or with 0 it was a free. */
static unsigned take_kept(struct model *model, const struct trace_event *event, struct model_resize resize,
                          struct step *step)
{
    if (resize.slot == MODEL_NONE)
        return 0;
    *step = (struct step){.kind = STEP_FREE, .slot = resize.slot, .from = MODEL_NONE};
    if (event->size == 0) {
        hold_slot(model, resize.slot);
        return 1;
    }
    step->kind = STEP_STAY;
    step->size = resize.size;
    insert(model, resize.address, resize.slot);
    count_live(model, event, resize.size);
    return 1;
}

unsigned model_take(struct model *model, uint32_t thread, const struct trace_event *event, struct step *steps)
{
    struct trace_summary *sums = &model->sums;
    struct model_resize *resize = &model->resizes[thread];
    struct model_resize going = *resize;
    unsigned count;
    sums->events++;
    sums->duration = event->time > sums->duration ? event->time : sums->duration;
    if (event->touched != 0)
        take_touched(model, event);
    switch (event->kind) {
    case TRACE_FREE:
        count = take_free(model, event->address, steps);
        sums->frees += count;
        sums->unknown += count == 0;
        return count;
    case TRACE_LEAVE:
        return take_leave(model, resize, event->address, steps);
    case TRACE_RESIZED:
        sums->resizes++;
        resize->slot = MODEL_NONE;
        return take_block(model, event, going.slot, steps);
    case TRACE_KEPT:
        resize->slot = MODEL_NONE;
        return take_kept(model, event, going, steps);
    case TRACE_END:
        if (event->address != 0)
            return 0;
        *steps = (struct step){.kind = STEP_END, .slot = MODEL_NONE, .from = MODEL_NONE};
        return 1;
    default:
        sums->allocations++;
        return take_block(model, event, MODEL_NONE, steps);
    }
}
