/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/bits.h"
#include "os/unwind.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { MOST = 64 };

static uintptr_t pc[MOST];
static unsigned depth;
static const void *returns_to[MOST]; /* of recurse, outermost first */
static unsigned recursions;
static volatile unsigned sink;

/* True where pc[at] and what follows are the addresses that each call saw itself, innermost first. */
static bool follows(unsigned at, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (at + i >= depth || pc[at + i] != (uintptr_t)returns_to[n - 1 - i])
            return false;
    }
    return true;
}

/* Where the call of the innermost of `n` is among what was found; `depth`: nowhere. */
static unsigned find_innermost(unsigned n)
{
    unsigned at = 0;
    while (at < depth && pc[at] != (uintptr_t)returns_to[n - 1])
        at++;
    return at;
}

static HK_NOINLINE void recurse(unsigned left, void (*innermost)(void), size_t more)
{
    char *room = __builtin_alloca(more + 1); /* the frame is found by a register other than the stack pointer */
    memset(room, (int)left, more + 1);
    returns_to[recursions++] = __builtin_return_address(0);
    if (left == 0)
        innermost();
    else
        recurse(left - 1, innermost, more * 2 % 1021);
    sink += (unsigned)room[more]; /* no tail call */
}

static _Thread_local struct hk_self self;

/* The same is found by who asks the kernel for each page, and by who knows the thread's own stack. */
static HK_NOINLINE void look(void)
{
    uintptr_t known[MOST];
    unsigned n = hk_unwind(known, MOST, NULL, &self);
    depth = hk_unwind(pc, MOST, NULL, NULL);
    EXPECT(n == depth);
    for (unsigned i = 1; i < n; i++) /* the first is where each call here returns to */
        EXPECT(known[i] == pc[i]);
}

static bool is_own_stack(const void *at)
{
    return (uintptr_t)at >= self.from && (uintptr_t)at < self.to;
}

/* The caller of look is recurse, whose callers recurse knows. */
static void each_caller_is_found(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 30; n++) {
        recursions = 0;
        recurse(n - 1, look, 7);
        assert_true(follows(2, n)); /* look, and the call of it in recurse */
        assert_true(depth > n + 2);
    }
}

static void look_from_recurse(void)
{
    depth = hk_unwind(pc, MOST, returns_to[recursions - 1], NULL);
}

static void first_is_the_first(void **state)
{
    (void)state;
    recursions = 0;
    recurse(9, look_from_recurse, 3);
    assert_true(follows(0, 10));
    depth = hk_unwind(pc, 3, NULL, NULL);
    assert_int_equal(depth, 3);
}

/* ---- through code of others, and a signal ---- */

static int compare(const void *a, const void *b)
{
    look();
    return *(const int *)a - *(const int *)b;
}

static HK_NOINLINE void sort(void)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof(int), compare);
    returns_to[recursions++] = NULL; /* no tail call */
}

/* Debian's musl has no call frame information of its C code. */
static bool libc_is_described(void)
{
    return hk_unwind_function((uintptr_t)qsort) != 0;
}

static void through_libc(void **state)
{
    (void)state;
    if (!libc_is_described())
        skip();
    recursions = 0;
    recurse(4, sort, 5);
    unsigned at = find_innermost(5);
    assert_in_range(at, 3, 12);
    recursions = 5;
    assert_true(follows(at, 5));
}

/* Another stack is none that the thread knows. */
static void handle(int number)
{
    stack_t stack;
    look();
    EXPECT(number == SIGUSR1 && sigaltstack(NULL, &stack) == 0);
    EXPECT(is_own_stack(&stack) == ((stack.ss_flags & SS_ONSTACK) == 0));
}

static HK_NOINLINE void interrupt(void)
{
    raise(SIGUSR1);
    returns_to[recursions] = NULL; /* no tail call */
}

/* Above the first thread's stack lies nothing of the program's but what the kernel has put there. (Under qemu-user
 * other mappings do: then its end is not known, and the kernel is asked for each page.) */
static bool first_stack_is_topmost(void)
{
    return hk_thread_self() < (uintptr_t)__builtin_frame_address(0);
}

static void through_a_signal(void **state)
{
    (void)state;
    if (!libc_is_described() || !first_stack_is_topmost())
        skip(); /* nor is where a handler returns to */
    static char other[65536];
    stack_t elsewhere = {.ss_sp = other, .ss_size = sizeof other}, before;
    for (unsigned alternate = 0; alternate < 2; alternate++) {
        struct sigaction action = {.sa_handler = handle, .sa_flags = alternate ? SA_ONSTACK : 0};
        assert_int_equal(sigaltstack(&elsewhere, &before), 0);
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        recursions = 0;
        depth = 0;
        recurse(4, interrupt, 5);
        unsigned at = find_innermost(5);
        assert_true(at < depth);
        assert_true(follows(at, 5));
        sigaltstack(&before, NULL);
    }
}

/* The signal of a function that has nothing on the stack, not even where it returns to (aarch64). */
static char *hidden_page;
static sigjmp_buf back;

static HK_NOINLINE void write_as_leaf(char *at)
{
    *(volatile char *)at = 1;
}

static void on_fault(int number)
{
    look();
    siglongjmp(back, number);
}

static HK_NOINLINE void fault_in_leaf(void)
{
    if (sigsetjmp(back, 1) == 0)
        write_as_leaf(hidden_page);
    returns_to[recursions] = NULL; /* no tail call */
}

static void through_a_fault(void **state)
{
    (void)state;
    if (!libc_is_described())
        skip();
    struct sigaction action = {.sa_handler = on_fault}, before;
    hidden_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(hidden_page != MAP_FAILED);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    recursions = 0;
    depth = 0;
    recurse(4, fault_in_leaf, 5);
    sigaction(SIGSEGV, &before, NULL);
    munmap(hidden_page, 4096);
    unsigned at = find_innermost(5);
    assert_true(at >= 2 && at < depth); /* the function, and who called it */
    assert_true(follows(at, 5));
}

static void *in_thread(void *arg)
{
    (void)arg;
    recursions = 0;
    recurse(9, look, 5);
    EXPECT(follows(2, 10));
    EXPECT(depth < 20); /* and ends where the thread began */
    EXPECT(is_own_stack(&arg) && self.to > hk_thread_self() - 65536);
    return NULL;
}

static volatile char deep_sink;

static HK_NOINLINE void go_deep(size_t bytes)
{
    volatile char *room = __builtin_alloca(bytes);
    room[0] = 1;
    look();
    deep_sink = room[0]; /* no tail call */
}

/* Deeper and deeper its stack is learned, and never more than there is; from far below not at once. */
static void own_stack_is_learned(void **state)
{
    if (!first_stack_is_topmost())
        skip();
    self = (struct hk_self){0};
    look();
    assert_true(is_own_stack(&state) && self.from <= (uintptr_t)__builtin_frame_address(0));
    for (size_t bytes = 4096; bytes < (size_t)2 << 20; bytes += (size_t)100 << 10) {
        uintptr_t to = self.to;
        go_deep(bytes);
        assert_true(self.to == to && self.from <= (uintptr_t)&state - bytes);
    }
    self = (struct hk_self){0};
    go_deep((size_t)2 << 20);
    assert_false(is_own_stack(&state));
}

static void names_are_asked_for_now_and_then(void **state)
{
    (void)state;
    struct hk_self mine = {0};
    char name[HK_THREAD_NAME];
    for (unsigned i = 0; i < 200; i++) {
        char set[HK_THREAD_NAME];
        snprintf(set, sizeof set, "n%u", i);
        assert_int_equal(prctl(PR_SET_NAME, set, 0, 0, 0), 0);
        hk_unwind_self(&mine, name);
        snprintf(set, sizeof set, "n%u", i < 16 ? i : i - i % 16);
        assert_string_equal(name, set);
    }
}

static void in_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_function_is_found(void **state)
{
    (void)state;
    uintptr_t from, to;
    assert_true(hk_unwind_function((uintptr_t)look + 1) == (uintptr_t)look);
    assert_true(hk_unwind_object((uintptr_t)look, &from, &to));
    assert_true(from <= (uintptr_t)look && (uintptr_t)look < to);
    assert_true(hk_unwind_function((uintptr_t)pc) == 0);
    assert_false(hk_unwind_object((uintptr_t)&state, &from, &to));
}

/* ---- code that the loader does not know ---- */

/* A function that calls its first argument; the second is what the frame pointer is then, 0 for a frame of its own. */
#if defined(__x86_64__)
static const unsigned char code[] = {
    0x55,                   /* push %rbp */
    0x48, 0x89, 0xe5,       /* mov %rsp, %rbp */
    0x48, 0x85, 0xf6,       /* test %rsi, %rsi */
    0x74, 0x03,             /* jz over the next one */
    0x48, 0x89, 0xf5,       /* mov %rsi, %rbp */
    0x53,                   /* push %rbx, a filler and a caller's */
    0x48, 0x89, 0xe3,       /* mov %rsp, %rbx */
    0x48, 0x83, 0xec, 0x08, /* sub $8, %rsp */
    0xff, 0xd7,             /* call *%rdi */
    0x48, 0x89, 0xdc,       /* mov %rbx, %rsp */
    0x5b,                   /* pop %rbx */
    0x5d,                   /* pop %rbp */
    0xc3,                   /* ret */
};
#elif defined(__aarch64__)
static const unsigned code[] = {
    0xa9be7bfd, /* stp x29, x30, [sp, #-32]! */
    0xf9000bf3, /* str x19, [sp, #16] */
    0x910003f3, /* mov x19, sp */
    0x910003fd, /* mov x29, sp */
    0xb4000041, /* cbz x1, over the next one */
    0xaa0103fd, /* mov x29, x1 */
    0xd63f0000, /* blr x0 */
    0x9100027f, /* mov sp, x19 */
    0xf9400bf3, /* ldr x19, [sp, #16] */
    0xa8c27bfd, /* ldp x29, x30, [sp], #32 */
    0xd65f03c0, /* ret */
};
#endif

typedef void generated(void (*function)(void), uintptr_t frame);

static generated *generate(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
    __builtin___clear_cache(page, (char *)page + sizeof code);
    generated *function;
    *(void **)&function = page;
    return function;
}

static generated *made;
static uintptr_t frame;

static HK_NOINLINE void call_made(void)
{
    made(look, frame);
    returns_to[recursions] = NULL; /* no tail call */
}

static void by_frame_pointers(void **state)
{
    (void)state;
    made = generate();
    frame = 0;
    recursions = 0;
    recurse(4, call_made, 5);
    unsigned at = find_innermost(5);
    assert_true(at < depth);
}

/* Frame pointers that lead nowhere, to what cannot be read, to the last words before it, round, or down. */
static void cut_where_it_leads_nowhere(void **state)
{
    (void)state;
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED && mprotect(pages + 4096, 4096, PROT_NONE) == 0);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t frames[] = {1,
                                8,
                                4096,
                                (uintptr_t)pages,
                                (uintptr_t)pages + 4088,
                                (uintptr_t)pages + 4096,
                                UINTPTR_MAX - 15,
                                (uintptr_t)1 << 62,
                                here - 65536,
                                here + 3,
                                here + 8,
                                here + ((uintptr_t)1 << 19),
                                here + ((uintptr_t)1 << 30)};
    made = generate();
    for (unsigned i = 0; i < HK_COUNT(frames); i++) {
        frame = frames[i];
        recursions = 0;
        depth = 0;
        recurse(2, call_made, 5);
        assert_in_range(depth, 2, MOST);
    }
}

static int start(void **state)
{
    (void)state;
    return hk_unwind_start() && hk_unwind_start() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_caller_is_found),
        cmocka_unit_test(first_is_the_first),
        cmocka_unit_test(through_libc),
        cmocka_unit_test(through_a_signal),
        cmocka_unit_test(through_a_fault),
        cmocka_unit_test(in_another_thread),
        cmocka_unit_test(a_function_is_found),
        cmocka_unit_test(by_frame_pointers),
        cmocka_unit_test(cut_where_it_leads_nowhere),
        cmocka_unit_test(own_stack_is_learned),
        cmocka_unit_test(names_are_asked_for_now_and_then),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
