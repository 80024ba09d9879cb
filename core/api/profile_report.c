/* SPDX-License-Identifier: MIT
 *
 * Copies the profile, collects its return addresses, and looks up what lies there: the mappings of the process now, and
 * the symbols of their files.
 */
#include "api/profile_report.h"

#include "api/profile_elf.h"
#include "api/profile_names.h"
#include "os/os.h"
#include "os/unwind.h"

#include <string.h>

/* ---- mappings ---- */

/* Those of code. */
static bool read_modules(struct hk_report *r)
{
    if (!hk_maps_read(&r->maps))
        return true; /* no /proc: addresses without names */
    r->module_room = hk_align_up((r->maps.count + 1) * sizeof *r->module, hk_os_page_size());
    r->module = hk_os_map(r->module_room);
    if (r->module == NULL)
        return false;
    for (size_t i = 0; i < r->maps.count; i++) {
        const struct hk_mapping *m = &r->maps.mapping[i];
        if (m->executable)
            r->module[r->modules++] =
                (struct hk_module){.from = m->from, .to = m->to, .offset = m->offset, .path = m->path};
    }
    return true;
}

/* The number of an address's module from 1 on; 0: none. */
static unsigned module_of(const struct hk_report *r, uintptr_t pc)
{
    unsigned low = 0, n = r->modules; /* the first that ends behind it lies in [low, low + n] */
    while (n > 0) {
        unsigned half = n / 2;
        if (r->module[low + half].to <= pc) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low < r->modules && r->module[low].from <= pc ? low + 1 : 0;
}

/* ---- places ---- */

/* A set of addresses, by open addressing; at most half full. */
struct set {
    uintptr_t *slot;
    size_t slots, count;
};

static uintptr_t *slot_of(const struct set *s, uintptr_t pc)
{
    size_t at = pc * 0x9e3779b97f4a7c15u >> 20;
    while (s->slot[at % s->slots] != 0 && s->slot[at % s->slots] != pc)
        at++;
    return &s->slot[at % s->slots];
}

static bool grow_set(struct set *s)
{
    struct set larger = {.slots = hk_max(2 * s->slots, 512), .count = s->count};
    larger.slot = hk_os_map(larger.slots * sizeof *larger.slot);
    if (larger.slot == NULL)
        return false;
    for (size_t i = 0; i < s->slots; i++) {
        if (s->slot[i] != 0)
            *slot_of(&larger, s->slot[i]) = s->slot[i];
    }
    if (s->slots != 0)
        hk_os_unmap(s->slot, s->slots * sizeof *s->slot);
    *s = larger;
    return true;
}

static bool add_to_set(struct set *s, uintptr_t pc)
{
    if (2 * s->count >= s->slots && !grow_set(s))
        return false;
    uintptr_t *slot = slot_of(s, pc);
    s->count += *slot == 0;
    *slot = pc;
    return true;
}

static bool collect(const struct hk_report *r, struct set *s)
{
    for (size_t i = 0; i < r->result.rows; i++) {
        const struct hk_stack *stack = r->result.row[i].stack;
        for (unsigned d = 0; d < stack->depth; d++) {
            if (!add_to_set(s, stack->pc[d]))
                return false;
        }
    }
    return true;
}

static void sift_down(struct hk_place *p, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && p[child + 1].pc > p[child].pc)
            child++;
        if (p[at].pc >= p[child].pc)
            return;
        uintptr_t pc = p[at].pc;
        p[at].pc = p[child].pc;
        p[child].pc = pc;
    }
}

static void sort_places(struct hk_place *p, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(p, i, n);
    for (size_t left = n; left-- > 1;) {
        uintptr_t largest = p[0].pc;
        p[0].pc = p[left].pc;
        p[left].pc = largest;
        sift_down(p, 0, left);
    }
}

/* The names of the places from one on that lie in its module; returns the first behind them. A call returns behind
 * itself: the byte before is in it. */
static size_t name_module(struct hk_report *r, size_t first)
{
    unsigned module = r->place[first].module;
    size_t end = first;
    while (end < r->places && r->place[end].module == module)
        end++;
    if (module != 0)
        hk_elf_read(&r->module[module - 1], &r->place[first], end - first);
    for (size_t i = first; i < end; i++) {
        uintptr_t start = r->place[i].name == NULL ? hk_unwind_function(r->place[i].pc - 1) : 0;
        if (start != 0)
            r->place[i].into = r->place[i].pc - 1 - start;
    }
    return end;
}

static bool is_same_function(const struct hk_place *a, const struct hk_place *b)
{
    return a->module == b->module && a->name == b->name && a->pc - a->into == b->pc - b->into;
}

static bool make_places(struct hk_report *r)
{
    struct set s = {0};
    bool whole = collect(r, &s);
    r->place_room = hk_align_up(hk_max(s.count, 1) * sizeof *r->place, hk_os_page_size());
    r->place = whole ? hk_os_map(r->place_room) : NULL;
    for (size_t i = 0; r->place != NULL && i < s.slots; i++) {
        if (s.slot[i] != 0)
            r->place[r->places++].pc = s.slot[i];
    }
    if (s.slots != 0)
        hk_os_unmap(s.slot, s.slots * sizeof *s.slot);
    sort_places(r->place, r->places);
    for (size_t i = 0; i < r->places; i++)
        r->place[i].module = module_of(r, r->place[i].pc - 1);
    for (size_t i = 0; i < r->places;)
        i = name_module(r, i);
    for (size_t i = 0; i < r->places; i++) {
        bool same = i > 0 && is_same_function(&r->place[i - 1], &r->place[i]);
        r->place[i].function = (i > 0 ? r->place[i - 1].function : 0) + !same;
    }
    return r->place != NULL;
}

size_t hk_report_place(const struct hk_report *r, uintptr_t pc)
{
    size_t low = 0, n = r->places; /* it lies in [low, low + n) */
    while (n > 1) {
        size_t half = n / 2;
        if (r->place[low + half].pc <= pc) {
            low += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return low;
}

static void put_hex(char *to, uint64_t value)
{
    char digits[16];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[value % 16];
    while ((value /= 16) != 0);
    while (n > 0)
        *to++ = digits[--n];
    *to = 0;
}

void hk_report_name(const struct hk_report *r, const struct hk_place *place, char name[HK_NAME_BYTES])
{
    const struct hk_module *m = place->module != 0 ? &r->module[place->module - 1] : NULL;
    if (place->name != NULL) {
        hk_plain_name(place->name, name, HK_NAME_BYTES);
        return;
    }
    const char *path = m != NULL && m->path[0] != 0 ? m->path : "[made at run time]";
    const char *file = strrchr(path, '/');
    file = file != NULL ? file + 1 : path;
    size_t n = hk_min(strlen(file), HK_NAME_BYTES - 32);
    memcpy(name, file, n);
    name[n] = 0;
    if (m != NULL && m->path[0] == '/') {
        strcpy(name + n, "+0x");
        put_hex(name + n + 3, place->pc - 1 + m->shift - place->into);
    }
}

/* ---- whole ---- */

bool hk_report_complete(struct hk_report *r)
{
    if (read_modules(r) && make_places(r))
        return true;
    hk_report_drop(r);
    return false;
}

bool hk_report_make(struct hk_report *r)
{
    *r = (struct hk_report){.modules = 0};
    return hk_front_profile_read(&r->result) && hk_report_complete(r);
}

void hk_report_drop(struct hk_report *r)
{
    for (unsigned i = 0; i < r->modules; i++)
        hk_elf_drop(&r->module[i]);
    if (r->module != NULL)
        hk_os_unmap(r->module, r->module_room);
    hk_maps_drop(&r->maps);
    if (r->place != NULL)
        hk_os_unmap(r->place, r->place_room);
    hk_profile_drop(&r->result);
}
