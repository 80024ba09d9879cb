/* SPDX-License-Identifier: MIT
 *
 * A program read from bytes, on all boxes up to the front and the entries, with the fake system below: it allocates and
 * frees, and says which calls of the system are refused, what time it is, what else is mapped. A model knows the live
 * blocks (support/model.h). What must hold: blocks as asked for, contents kept over realloc, zero from calloc, errno as
 * it was after success, ENOMEM after a refusal, no refusal without a reason; and when all is freed nothing is live.
 *
 * The first byte says what kind of system it is, then each call is four bytes: operation, slot, and two for a size near
 * a border, or what else the operation needs. Calls are made by this thread or by residents, threads that stay until
 * the end of the input, one at a time.
 */
#include "check.h"
#include "fake_os.h"
#include "fuzz.h"
#include "model.h"
#include "state.h"

#include "api/entry.h"
#include "base/options.h"
#include "large/page_heap.h"
#include "box/pool.h"
#include "box/purge.h"
#include "box/side.h"
#include "os/numa.h"
#include "os/os.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SLOTS = 64, BULK = 256, STRANGERS = 8, THREADS = 4, RESIDENTS = 2, MARK = 77 };
#define LIVE_MOST (256 * HK_MIB)
#define BULK_MOST (4 * HK_MIB)

static struct {
    uintptr_t *block[BULK];
    unsigned count;
} bulk;

static struct fake_range strangers[STRANGERS];
static unsigned stranger_count, thread_count;
static unsigned caller; /* 0: this thread, else a resident */
static bool any_lost;   /* who is turned away and has no memory to put down what he frees loses it */

/* ---- what may be answered ---- */

static uint64_t failures_before;

static void begin_call(void)
{
    failures_before = fake_os_failures();
    errno = MARK;
}

/* Nothing else can be a reason for NULL. */
static bool may_refuse(size_t size, size_t alignment)
{
    return fake_os_failures() != failures_before || hk_opt(HK_OPT_MEMORY_LIMIT) != 0 || size > HK_GIB ||
           alignment > HK_GIB;
}

static void expect_refusal(size_t size, size_t alignment)
{
    CHECKF(errno == ENOMEM, "refused, and errno is %d", errno);
    CHECKF(may_refuse(size, alignment), "%zu bytes aligned to %zu are refused without a reason", size, alignment);
}

static size_t usable(const void *block)
{
    size_t size = hk_entry_usable_size(block);
    CHECKF(errno == MARK, "errno is %d after a success", errno);
    return size;
}

static void answered(size_t slot, void *block, size_t size, size_t alignment)
{
    if (block == NULL)
        expect_refusal(size, alignment);
    else
        model_add(slot, block, size, usable(block), alignment);
}

/* ---- sizes ---- */

/* A border and a few bytes before or behind it. Sizes that no machine has must be refused. */
static size_t size_near(uint8_t border, uint8_t by)
{
    static const size_t large[] = {
        0,
        HK_MID_MAX,
        64 * HK_KIB,
        512 * HK_KIB,
        HK_MIB,
        2 * HK_MIB,
        4 * HK_MIB,
        16 * HK_MIB,
        32 * HK_MIB,
        33 * HK_MIB,
        HK_RUN_MAX,
        64 * HK_MIB,
        SIZE_MAX,
        PTRDIFF_MAX,
        SIZE_MAX / 2 + 1 + HK_KIB,
        (size_t)1 << 47,
        (size_t)1 << 60,
    };
    size_t size = border < 160   ? hk_class_size(1 + border % (HK_CLASS_COUNT - 1))
                  : border < 224 ? (border - 159) * HK_PAGE
                                 : large[border % HK_COUNT(large)];
    size_t distance = by % 64;
    return size >= 32 ? size + distance - 32 : distance;
}

/* ---- operations ---- */

static void drop(size_t slot)
{
    slot %= SLOTS;
    if (model[slot].start == NULL)
        return;
    begin_call();
    CHECK(usable(model[slot].start) == model[slot].usable);
    hk_free_fast(model_take(slot).start);
    CHECKF(errno == MARK, "errno is %d after free", errno);
}

static void allocate(size_t slot, size_t size)
{
    slot %= SLOTS;
    drop(slot);
    begin_call();
    answered(slot, hk_entry_malloc(size), size, 16);
}

static void allocate_zeroed(size_t slot, size_t count, size_t size)
{
    drop(slot);
    begin_call();
    void *block = hk_entry_calloc(count, size);
    if (block != NULL)
        model_zero(block, count * size);
    answered(slot, block, count * size, 16);
}

static void resize(size_t slot, size_t size)
{
    struct model_block old = model[slot];
    if (old.start == NULL) {
        allocate(slot, size);
        return;
    }
    model_take(slot);
    begin_call();
    void *block = hk_entry_realloc(old.start, size);
    if (block != NULL) {
        model_kept(&old, block, size);
        answered(slot, block, size, 16);
    } else if (size == 0) {
        CHECK(errno == MARK);
    } else {
        expect_refusal(size, 16);
        CHECKF(size > old.size, "a block of %zu bytes cannot be made %zu bytes", old.size, size);
        model[slot] = old;
        model_bytes += old.size;
        model_check(slot);
    }
}

static void grow(size_t slot, size_t step)
{
    for (size_t i = 1; i <= 8 && step <= 4 * HK_MIB; i++)
        resize(slot, i * step + 1);
}

static void allocate_aligned(size_t slot, uint8_t how, size_t size)
{
    size_t alignment = how % 29 == 28 ? (size_t)1 << 62 : (size_t)1 << how % 29;
    void *block = NULL;
    drop(slot);
    begin_call();
    if (how % 3 == 0 && alignment >= sizeof(void *)) {
        int result = hk_entry_posix_memalign(&block, alignment, size);
        CHECK(errno == MARK && result == (block != NULL ? 0 : ENOMEM));
        errno = block != NULL ? MARK : ENOMEM;
    } else if (how % 3 == 1) {
        block = hk_entry_aligned_alloc(alignment, size);
    } else {
        block = hk_entry_memalign(alignment, size);
    }
    answered(slot, block, size, hk_max(alignment, 16));
}

/* What is wrong is refused, whatever lives. */
static void call_wrongly(size_t slot, size_t size)
{
    void *none = NULL;
    begin_call();
    CHECK(hk_entry_posix_memalign(&none, 24, size) == EINVAL && none == NULL && errno == MARK);
    CHECK(hk_entry_aligned_alloc(48, size) == NULL && errno == EINVAL);
    CHECK(hk_entry_memalign(SIZE_MAX, size) == NULL && errno == EINVAL);
    errno = MARK;
    CHECK(hk_entry_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = MARK;
    CHECK(hk_entry_reallocarray(model[slot].start, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    if (model[slot].start != NULL)
        model_check(slot);
}

/* Many blocks of one size, which the next call of this frees: in the same order, the other, or every third first. */
static void work_in_bulk(size_t order, size_t count, size_t size)
{
    for (unsigned i = 0; i < bulk.count; i++) {
        unsigned at = order % 3 == 0 ? i : order % 3 == 1 ? bulk.count - 1 - i : (unsigned)(i * 3ul % bulk.count);
        uintptr_t *block = bulk.block[at];
        bulk.block[at] = NULL;
        if (block != NULL)
            CHECK(*block == (uintptr_t)block + at);
        hk_free_fast(block);
    }
    if (bulk.count != 0) {
        for (unsigned i = 0; i < bulk.count; i++)
            hk_free_fast(bulk.block[i]);
        bulk.count = 0;
        return;
    }
    size = hk_max(size, sizeof(uintptr_t));
    for (; bulk.count < count && bulk.count < BULK && bulk.count * size < BULK_MOST; bulk.count++) {
        begin_call();
        uintptr_t *block = hk_entry_malloc(size);
        bulk.block[bulk.count] = block;
        if (block == NULL) {
            expect_refusal(size, 16);
            return;
        }
        *block = (uintptr_t)block + bulk.count;
    }
}

static void check_heap(void *ctx, struct hk_heap *heap)
{
    (void)ctx;
    CHECK(hk_heap_check(heap));
}

static void check_boxes(void)
{
    hk_heap_visit(check_heap, NULL);
    CHECK(hk_pool_check() && hk_arena_check());
}

static void set_option(uint8_t which, uint64_t value)
{
    static const enum hk_option options[] = {
        HK_OPT_PURGE_DELAY_MS, HK_OPT_FRONT_BYTES,         HK_OPT_FRONT_V2_CAP,  HK_OPT_FRONT_V2_OFF,
        HK_OPT_MIN_KEEP,       HK_OPT_MEMORY_LIMIT,        HK_OPT_THP,           HK_OPT_SS_EMPTY_REUSE,
        HK_OPT_NUMA,           HK_OPT_SS_EMPTY_SCAN_LIMIT, HK_OPT_HOT_COLD_SCAN,
    };
    hk_option_store(options[which % HK_COUNT(options)], (int64_t)value);
}

/* The program maps a page where the next unit would lie. */
static void map_in_the_way(void)
{
    if (fake_os_places() == 0 || stranger_count == STRANGERS)
        return;
    struct fake_range last = fake_os_place(fake_os_places() - 1);
    size_t size = hk_os_page_size();
    void *where = last.start + last.size;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *page = mmap(where, size, PROT_NONE, flags, -1, 0);
    if (page != MAP_FAILED)
        strangers[stranger_count++] = (struct fake_range){page, size};
}

static void unmap_strangers(void)
{
    while (stranger_count > 0) {
        stranger_count--;
        munmap(strangers[stranger_count].start, strangers[stranger_count].size);
    }
}

struct errand {
    size_t slot, count, size;
    bool allocates, beside_fork;
};

static void *run_errand(void *arg)
{
    const struct errand *e = arg;
    for (size_t i = 0; i < e->count; i++) {
        if (!e->allocates)
            drop(e->slot + i);
        else if (e->beside_fork)
            resize((e->slot + i) % SLOTS, e->size);
        else
            allocate(e->slot + i, e->size);
    }
    return NULL;
}

/* Another thread, which ends before this one goes on. Beside a fork of this one it is turned away. */
static void send_thread(struct errand errand)
{
    pthread_t thread;
    struct hk_pass *pass = hk_front_pass(hk_front_thread());
    uint64_t before = fake_os_failures();
    if (thread_count++ >= THREADS)
        return;
    if (errand.beside_fork)
        hk_gate_close(pass);
    CHECK(pthread_create(&thread, NULL, run_errand, &errand) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    any_lost |= errand.beside_fork && (fake_os_failures() != before || hk_opt(HK_OPT_MEMORY_LIMIT) != 0);
    if (errand.beside_fork && hk_gate_open(pass))
        hk_front_free_deferred();
}

static void plan_refusals(uint8_t kind, uint8_t nth, bool lasting)
{
    enum fake_call call = (enum fake_call)(kind % (FAKE_KINDS + 1));
    (lasting ? fake_os_fail_from : fake_os_fail_nth)(call, 1 + nth % 32u);
}

static void one_call(const uint8_t *b)
{
    size_t slot = b[1] % SLOTS, size = size_near(b[2], b[3]);
    uint64_t number = (uint64_t)(b[2] | (b[3] & 7) << 8) << (b[3] >> 3);
    if (model_bytes > LIVE_MOST)
        drop(slot);
    switch (b[0] % 32) {
    default:
        allocate(slot, size);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        drop(slot);
        break;
    case 9:
        allocate_zeroed(slot, 1 + b[1] / SLOTS, size / (1 + b[1] / SLOTS));
        break;
    case 10:
    case 11:
    case 12:
        resize(slot, size);
        break;
    case 13:
        allocate_aligned(slot, (uint8_t)(b[0] / 32 * 4 + b[1] / SLOTS), size);
        break;
    case 14:
        allocate_aligned(slot, b[3], size_near(b[2], 32));
        break;
    case 15: /* the hot pair */
        for (unsigned i = 0; i < 20; i++)
            allocate(slot, size % HK_MIB);
        break;
    case 16:
        for (size_t i = 0; i < 32; i++)
            allocate(slot + i, size % (128 * HK_KIB));
        break;
    case 17:
        for (size_t i = 0; i < SLOTS; i++)
            drop(slot + i * (b[2] | 1u));
        break;
    case 18:
        begin_call();
        hk_trim(number);
        CHECK(errno == MARK);
        break;
    case 19:
        fake_os_travel(b[2] * 16u + (b[3] == 255 ? UINT32_MAX / 2 : b[3]));
        break;
    case 20:
        set_option(b[1], number);
        break;
    case 21:
    case 22:
        plan_refusals(b[1], b[2], b[0] % 32 == 22);
        break;
    case 23:
        fake_os_recover();
        break;
    case 24:
        check_boxes();
        break;
    case 25:
        grow(slot, size);
        break;
    case 26:
        send_thread((struct errand){slot, 1 + b[1] / SLOTS * 16, size % (128 * HK_KIB), b[0] >= 128, b[0] & 64});
        break;
    case 27:
        map_in_the_way();
        break;
    case 28:
        fake_os_lock_page(model[slot].start != NULL ? (void *)hk_align_down((uintptr_t)model[slot].start, HK_PAGE)
                                                    : NULL);
        break;
    case 29:
        fake_os_run_on(b[1] % 2);
        caller = b[1] / 2 % (RESIDENTS + 1);
        break;
    case 30:
        call_wrongly(slot, size);
        break;
    case 31:
        work_in_bulk(b[0] / 32 + b[1], b[1] + 1u, size);
    }
}

/* ---- residents ---- */

static struct resident {
    pthread_t thread;
    sem_t go, done;
    const uint8_t *call; /* NULL: it is to end */
    bool is_there;
} residents[RESIDENTS];

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        CHECK(errno == EINTR);
}

static void *make_calls(void *arg)
{
    struct resident *r = arg;
    for (wait_for(&r->go); r->call != NULL; wait_for(&r->go)) {
        one_call(r->call);
        CHECK(sem_post(&r->done) == 0);
    }
    return NULL;
}

static void begin_resident(struct resident *r)
{
    CHECK(sem_init(&r->go, 0, 0) == 0 && sem_init(&r->done, 0, 0) == 0);
    CHECK(pthread_create(&r->thread, NULL, make_calls, r) == 0);
    r->is_there = true;
}

static void let_call(const uint8_t *call)
{
    if (caller == 0) {
        one_call(call);
        return;
    }
    struct resident *r = &residents[caller - 1];
    if (!r->is_there)
        begin_resident(r);
    r->call = call;
    CHECK(sem_post(&r->go) == 0);
    wait_for(&r->done);
}

static void end_residents(void)
{
    for (struct resident *r = residents; r < residents + RESIDENTS; r++) {
        if (!r->is_there)
            continue;
        r->call = NULL;
        CHECK(sem_post(&r->go) == 0 && pthread_join(r->thread, NULL) == 0);
        r->is_there = false;
    }
    caller = 0;
}

/* ---- an input ---- */

static void begin(uint8_t kind)
{
    state_restore();
    fake_os_set_page_size(kind % 8 == 1 ? 64 * HK_KIB : kind % 8 == 2 ? 16 * HK_KIB : HK_PAGE);
    fake_os_set_nodes(kind / 8 % 4 == 1 ? 3 : 1);
    if (kind / 32 % 4 == 1)
        fake_os_learn_late();
    if (HK_NUMA && hk_numa_start())
        hk_arena_place();
}

static void end(void)
{
    fake_os_recover();
    fake_os_lock_page(NULL);
    hk_option_store(HK_OPT_MEMORY_LIMIT, 0);
    for (size_t slot = 0; slot < SLOTS / 2; slot++)
        drop(slot);
    end_residents();
    for (size_t slot = SLOTS / 2; slot < SLOTS; slot++)
        drop(slot);
    if (bulk.count != 0)
        work_in_bulk(0, 0, 0);
    CHECK(model_bytes == 0);
    hk_trim(0);
    check_boxes();
    CHECK(!hk_side_has_deferred() && fake_os_misaligned() == 0);
    unmap_strangers();
    if (any_lost)
        return;
    CHECK(hk_huge_bytes() == 0);
    CHECKF(hk_load_relaxed(&hk_pool_owned) == 0, "%zu slabs are owned, and nothing lives",
           hk_load_relaxed(&hk_pool_owned));
    CHECKF(hk_arena_live() == 0, "%zu bytes are live, and nothing lives", hk_arena_live());
}

static void *do_nothing(void *arg)
{
    return arg;
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    pthread_t thread; /* locks are taken from the first input on */
    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    state_keep();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    begin(data[0]);
    for (size_t at = 1; at + 4 <= size; at += 4)
        let_call(data + at);
    end();
    return 0;
}
