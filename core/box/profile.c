/* SPDX-License-Identifier: MIT
 *
 * What is kept of the sampled blocks.
 *
 * The moment when most was live is told without copying anything: `moment` counts the highs, and each record notes,
 * before it changes for the first time after one, what it was. So a record that has not changed since is what it was
 * then.
 */
#include "box/profile.h"

#include "box/profile_priv.h"
#include "os/os.h"
#include "os/unwind.h"
#include "pages/meta.h"

#include <string.h>

/* Records are never given back: so many at most, about 60 MiB where stacks are deep. What comes then is counted
 * together, by its size alone. */
#define RECORDS_MOST ((size_t)1 << 17)
#define SLOTS_LEAST ((size_t)1024)

/* The tag of a block is the address of its record, and in the bits that no address of a record has, 6 low and 16 high
 * ones, the number of the profile: what a later one has forgotten is recognised. */
#define LOW_BITS 6u
#define LOW_MASK (((uintptr_t)1 << LOW_BITS) - 1)
#define HIGH_SHIFT 48u
_Static_assert(HK_CACHE_LINE == 1 << LOW_BITS && HK_ADDRESS_BITS <= HIGH_SHIFT, "a record's address has room");

struct record {
    struct hk_profile_sums sums;
    uint64_t blocks, moment; /* sampled blocks that live; the high that sums.peak is of */
    double weight;           /* of one block, where all have one size */
    size_t bytes;            /* of a block; above HK_MID one of a power of two */
    uint32_t number, hash;   /* of the profile that all this is of */
    struct hk_stack stack;   /* its last addresses are not there */
};

static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_PROFILE);
static struct record **slots; /* open addressing, at most half full; records are only added */
static size_t slot_count, record_count;
static uint32_t number; /* of the profile that the sums are of */
static uint64_t moment, samples, lost, began;
static struct hk_profile_sums all;

_Atomic bool hk_profile_used;

#define STACK_AT(field) (uint32_t)(offsetof(struct record, stack) + offsetof(struct hk_stack, field))
static const uint32_t form[] = {offsetof(struct record, sums),
                                offsetof(struct record, moment),
                                offsetof(struct record, bytes),
                                offsetof(struct record, number),
                                STACK_AT(depth),
                                STACK_AT(thread),
                                STACK_AT(pc)};
hk_seen hk_profile_seen[11] = {
    &slots, &slot_count, &number, &moment, &samples, &lost, &began, &all, &hk_profile_interval, &hk_profile_number,
    form};

struct hk_lock *hk_profile_lock(void)
{
    return &lock;
}

/* ---- records ---- */

#define LARGE ((size_t)32 * HK_KIB)

static size_t bytes_of_record(size_t bytes)
{
    return bytes <= LARGE ? bytes : (size_t)1 << hk_log2(2 * bytes - 1);
}

static size_t size_of_record(unsigned depth)
{
    return offsetof(struct record, stack) + offsetof(struct hk_stack, pc) + depth * sizeof(uintptr_t);
}

static uint32_t hash_of(const struct hk_stack *stack, size_t bytes)
{
    uint64_t h = bytes * 0x9e3779b97f4a7c15u, word;
    for (unsigned i = 0; i < stack->depth; i++)
        h = (h ^ stack->pc[i] ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    for (unsigned i = 0; i < HK_PROFILE_NAME; i += sizeof word) {
        memcpy(&word, stack->thread + i, sizeof word);
        h = (h ^ word ^ h >> 29) * 0x94d049bb133111ebu;
    }
    return (uint32_t)(h >> 32);
}

static bool is_record_of(const struct record *r, const struct hk_stack *stack, size_t bytes, uint32_t hash)
{
    return r->hash == hash && r->bytes == bytes && r->stack.depth == stack->depth &&
           memcmp(r->stack.thread, stack->thread, HK_PROFILE_NAME) == 0 &&
           memcmp(r->stack.pc, stack->pc, stack->depth * sizeof(uintptr_t)) == 0;
}

/* Where it is, or would be. */
static struct record **slot_of(const struct hk_stack *stack, size_t bytes, uint32_t hash)
{
    size_t slot = hash % slot_count;
    while (slots[slot] != NULL && !is_record_of(slots[slot], stack, bytes, hash))
        slot = (slot + 1) % slot_count;
    return &slots[slot];
}

/* Twice as many slots; the table before stays where it is, half as large. */
static bool grow_slots(void)
{
    size_t old_count = slot_count, more = hk_max(2 * slot_count, SLOTS_LEAST);
    struct record **old = slots, **table = hk_os_map(hk_align_up(more * sizeof *table, hk_os_page_size()));
    if (table == NULL)
        return false;
    for (size_t i = 0; i < old_count; i++) {
        size_t slot = old[i] != NULL ? old[i]->hash % more : 0;
        while (old[i] != NULL && table[slot] != NULL)
            slot = (slot + 1) % more;
        if (old[i] != NULL)
            table[slot] = old[i];
    }
    slots = table;
    slot_count = more;
    return true;
}

/* NULL: no memory. */
static struct record *add_record(const struct hk_stack *stack, size_t bytes, uint32_t hash)
{
    bool room = 2 * record_count < slot_count || grow_slots();
    struct record *r = room ? hk_meta_alloc(size_of_record(stack->depth)) : NULL;
    if (r == NULL)
        return NULL;
    r->bytes = bytes;
    r->hash = hash;
    r->stack.depth = stack->depth;
    memcpy(r->stack.thread, stack->thread, HK_PROFILE_NAME);
    memcpy(r->stack.pc, stack->pc, stack->depth * sizeof(uintptr_t));
    *slot_of(stack, bytes, hash) = r;
    record_count++;
    return r;
}

static struct record *find_record(const struct hk_stack *stack, size_t bytes)
{
    static const struct hk_stack none;
    uint32_t hash = hash_of(stack, bytes);
    struct record *r = *slot_of(stack, bytes, hash);
    if (r != NULL)
        return r;
    if (record_count >= RECORDS_MOST && (stack->depth != 0 || stack->thread[0] != 0))
        return find_record(&none, bytes);
    return add_record(stack, bytes, hash);
}

/* Makes the record one of this profile, whose values may change. */
static void open_record(struct record *r)
{
    if (r->number != number) {
        r->sums = (struct hk_profile_sums){0};
        r->blocks = 0;
        r->number = number;
        r->weight = hk_profile_weight(r->bytes, hk_load_relaxed(&hk_profile_interval));
        r->moment = moment;
    } else if (r->moment != moment) {
        r->sums.peak = r->sums.live;
        r->sums.peak_bytes = r->sums.live_bytes;
        r->moment = moment;
    }
}

static double weight_of(const struct record *r, size_t bytes)
{
    return bytes <= LARGE ? r->weight : hk_profile_weight(bytes, hk_load_relaxed(&hk_profile_interval));
}

static void add_live(struct hk_profile_sums *sums, double blocks, size_t bytes)
{
    sums->live += blocks;
    sums->live_bytes += blocks * (double)bytes;
    sums->total += blocks;
    sums->total_bytes += blocks * (double)bytes;
}

static uintptr_t tag_of(const struct record *r)
{
    return (uintptr_t)r | (number & LOW_MASK) | (uintptr_t)(number >> LOW_BITS & 0xffff) << HIGH_SHIFT;
}

static struct record *record_of(uintptr_t tag)
{
    return (struct record *)(tag & (((uintptr_t)1 << HIGH_SHIFT) - 1) & ~LOW_MASK);
}

uintptr_t hk_profile_note(const struct hk_stack *stack, size_t bytes)
{
    uintptr_t tag = 0;
    hk_lock(&lock);
    struct record *r = slots != NULL ? find_record(stack, bytes_of_record(bytes)) : NULL;
    if (r != NULL) {
        open_record(r);
        double weight = weight_of(r, bytes);
        add_live(&r->sums, weight, bytes);
        add_live(&all, weight, bytes);
        r->blocks++;
        samples++;
        tag = tag_of(r);
        if (all.live_bytes > all.peak_bytes) {
            all.peak = all.live;
            all.peak_bytes = all.live_bytes;
            moment++;
        }
    } else {
        lost++;
    }
    hk_unlock(&lock);
    return tag;
}

void hk_profile_miss(void)
{
    hk_lock(&lock);
    lost++;
    hk_unlock(&lock);
}

void hk_profile_forget(uintptr_t tag, size_t bytes)
{
    struct record *r = record_of(tag);
    if (r == NULL)
        return;
    hk_lock(&lock);
    if (tag == tag_of(r) && r->number == number) {
        open_record(r);
        bytes = bytes != 0 ? bytes : r->bytes;
        double weight = weight_of(r, bytes);
        r->sums.live -= weight;
        r->sums.live_bytes -= weight * (double)bytes;
        all.live -= weight;
        all.live_bytes -= weight * (double)bytes;
        if (--r->blocks == 0) /* what rounding has left */
            r->sums.live = r->sums.live_bytes = 0;
    }
    hk_unlock(&lock);
}

/* ---- looking ---- */

size_t hk_profile_recorded(void)
{
    return hk_load_relaxed(&hk_profile_interval);
}

const struct hk_stack *hk_profile_stack_of(uintptr_t tag)
{
    const struct record *r = record_of(tag);
    if (r == NULL)
        return NULL;
    hk_lock(&lock);
    bool current = tag == tag_of(r) && r->number == number;
    hk_unlock(&lock);
    return current ? &r->stack : NULL;
}

const struct hk_stack *hk_profile_stack_if(uintptr_t tag)
{
    const struct record *r = record_of(tag);
    bool known = false;
    hk_lock(&lock);
    for (size_t i = 0; i < slot_count && r != NULL && !known; i++)
        known = slots[i] == r;
    known = known && tag == tag_of(r) && r->number == number;
    hk_unlock(&lock);
    return known ? &r->stack : NULL;
}

/* ---- life ---- */

void hk_profile_look(struct hk_stack *stack, const void *first, struct hk_self *self)
{
    stack->depth = hk_unwind(stack->pc, HK_PROFILE_DEPTH, first, self);
    hk_unwind_self(self, stack->thread);
}

bool hk_profile_begin(size_t interval)
{
    hk_unwind_start();
    hk_lock(&lock);
    bool ready = slots != NULL || grow_slots();
    if (ready) {
        number += 1 + ((number + 1) == 0); /* 0 is none */
        hk_store_relaxed(&hk_profile_interval, interval);
        all = (struct hk_profile_sums){0};
        samples = lost = 0;
        began = hk_os_date();
        hk_store_relaxed(&hk_profile_used, true);     /* before a block is sampled, and that is handed over with it */
        hk_store_release(&hk_profile_number, number); /* pairs with hk_profile_draw */
    }
    hk_unlock(&lock);
    return ready;
}

void hk_profile_end(void)
{
    hk_store_relaxed(&hk_profile_number, 0); /* who samples one more is still heard */
}

/* ---- reading ---- */

static void read_record(const struct record *r, struct hk_profile_row *row)
{
    *row = (struct hk_profile_row){&r->stack, r->bytes, r->sums};
    if (r->moment != moment) {
        row->sums.peak = r->sums.live;
        row->sums.peak_bytes = r->sums.live_bytes;
    }
}

bool hk_profile_read(struct hk_profile_result *result)
{
    hk_lock(&lock);
    size_t room = record_count; /* more may come before the mapping is made: it is made under the lock */
    size_t size = hk_align_up(hk_max(room, 1) * sizeof *result->row, hk_os_page_size());
    *result = (struct hk_profile_result){.mapped = size,
                                         .interval = hk_load_relaxed(&hk_profile_interval),
                                         .samples = samples,
                                         .lost = lost,
                                         .sums = all,
                                         .began = began};
    result->row = hk_os_map(size);
    for (size_t i = 0; i < slot_count && result->row != NULL && result->rows < room; i++) {
        const struct record *r = slots[i];
        if (r == NULL)
            continue;
        room -= r->number != number;
        if (r->number == number)
            read_record(r, &result->row[result->rows++]);
    }
    hk_unlock(&lock);
    return result->row != NULL;
}

void hk_profile_drop(struct hk_profile_result *result)
{
    if (result->row != NULL)
        hk_os_unmap(result->row, result->mapped);
    result->row = NULL;
}
