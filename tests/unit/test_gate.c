/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "box/gate.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static struct hk_pass mine, other, third;

static void join_all(void)
{
    hk_gate_join(&mine);
    hk_gate_join(&other);
    hk_gate_join(&third);
}

static void come_and_go(void *arg)
{
    join_all();
    if (arg != NULL)
        unit_second_thread();
    EXPECT(hk_gate_enter(&mine) && mine.state == HK_PASS_INSIDE);
    EXPECT(!hk_gate_enter(&mine)); /* a handler */
    EXPECT(!hk_gate_wait(&mine) && mine.state == HK_PASS_INSIDE);
    EXPECT(hk_gate_enter(NULL) && !hk_gate_enter(NULL) && !hk_gate_wait(NULL));
    hk_gate_leave(NULL);
    hk_gate_leave(&mine);
    EXPECT(mine.state == HK_PASS_OUTSIDE && hk_gate_enter(NULL));
    hk_gate_leave(NULL);
}

static void a_thread_is_inside_once(void **state)
{
    (void)state;
    unit_passes(come_and_go, NULL);
    unit_passes(come_and_go, &mine);
}

static void close_and_open(void *arg)
{
    (void)arg;
    join_all();
    unit_second_thread();
    hk_gate_close(&mine);
    EXPECT(!hk_gate_enter(&mine) && !hk_gate_enter(&other) && !hk_gate_enter(NULL));
    EXPECT(mine.state == HK_PASS_OUTSIDE && other.state == HK_PASS_OUTSIDE);
    EXPECT(!hk_gate_wait(&mine)); /* it would wait for itself */
    hk_gate_close(&other);
    EXPECT(!hk_gate_open(&mine)); /* another fork is in progress */
    EXPECT(!hk_gate_enter(&mine));
    EXPECT(hk_gate_open(&other));
    EXPECT(hk_gate_enter(&mine) && hk_gate_enter(NULL));
    hk_gate_leave(NULL);
    hk_gate_leave(&mine);
    hk_gate_close(NULL);
    EXPECT(!hk_gate_wait(NULL));
    EXPECT(hk_gate_open(NULL) && hk_gate_wait(NULL));
}

static void a_closed_gate_turns_all_away(void **state)
{
    (void)state;
    unit_passes(close_and_open, NULL);
}

/* ---- fork waits ---- */

static _Atomic bool closed, go_on;

static void *close_it(void *arg)
{
    hk_gate_close(arg);
    closed = true;
    while (!go_on)
        usleep(1000);
    hk_gate_open(arg);
    return NULL;
}

static void close_while_inside(void *pass)
{
    pthread_t thread;
    join_all();
    EXPECT(hk_gate_enter(pass)); /* while there is one thread, too */
    EXPECT(pthread_create(&thread, NULL, close_it, &other) == 0);
    usleep(30000);
    EXPECT(!closed);
    hk_gate_leave(pass);
    while (!closed)
        usleep(1000);
    EXPECT(!hk_gate_enter(pass));
    go_on = true;
    EXPECT(hk_gate_wait(&mine)); /* until it is open */
    hk_gate_leave(&mine);
    pthread_join(thread, NULL);
}

static void a_fork_waits_until_nobody_is_inside(void **state)
{
    (void)state;
    unit_passes(close_while_inside, &mine);
    unit_passes(close_while_inside, NULL);
}

/* A signal handler that interrupts its thread inside and forks: nobody waits for that thread, and it does not go on
 * inside before other forks are done. */
static void close_while_parked(void *pass)
{
    pthread_t thread;
    join_all();
    unit_second_thread();
    EXPECT(hk_gate_enter(pass));
    hk_gate_close(pass);
    EXPECT(pthread_create(&thread, NULL, close_it, &other) == 0);
    while (!closed)
        usleep(1000);
    go_on = true;
    hk_gate_open(pass);
    EXPECT(hk_gate_forks == 0 && !hk_gate_enter(pass)); /* inside, as before */
    pthread_join(thread, NULL);
    hk_gate_leave(pass);
    hk_gate_close(&third);
    hk_gate_open(&third);
}

static void a_fork_in_a_handler_is_not_waited_for(void **state)
{
    (void)state;
    unit_passes(close_while_parked, &mine);
    unit_passes(close_while_parked, NULL);
}

/* Threads without a pass: several fork at once, and each knows itself. */
static pthread_barrier_t all_close, all_asked;

static void *fork_as_stranger(void *arg)
{
    hk_gate_close(NULL);
    pthread_barrier_wait(&all_close);
    EXPECT(!hk_gate_wait(NULL)); /* whoever came first: it would wait for itself */
    pthread_barrier_wait(&all_asked);
    hk_gate_open(NULL);
    EXPECT(hk_gate_wait(NULL)); /* for the others */
    hk_gate_leave(NULL);
    return arg;
}

static void strangers_fork(void *arg)
{
    (void)arg;
    pthread_t threads[3];
    pthread_barrier_init(&all_close, NULL, 3);
    pthread_barrier_init(&all_asked, NULL, 3);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(pthread_create(&threads[i], NULL, fork_as_stranger, NULL) == 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    EXPECT(hk_gate_forks == 0);
}

/* A handler interrupts a thread inside and forks; another interrupts that fork, and forks. */
static void fork_in_fork(void *pass)
{
    join_all();
    unit_second_thread();
    EXPECT(hk_gate_enter(pass));
    hk_gate_close(pass);
    hk_gate_close(pass);
    EXPECT(!hk_gate_open(pass) && !hk_gate_wait(pass));
    EXPECT(hk_gate_open(pass) && hk_gate_forks == 0);
    hk_gate_leave(pass);
    EXPECT(hk_gate_wait(pass));
}

static void forks_may_meet(void **state)
{
    (void)state;
    unit_passes(strangers_fork, NULL);
    unit_passes(fork_in_fork, &mine);
    unit_passes(fork_in_fork, NULL);
}

/* Its thread may hold a lock that somebody inside waits for: so it does not wait for that one for ever. */
static void *stay_inside(void *pass)
{
    EXPECT(hk_gate_enter(pass));
    closed = true; /* it may be */
    while (!go_on)
        usleep(1000);
    hk_gate_leave(pass);
    return NULL;
}

static void close_parked_beside(void *parked, void *inside)
{
    pthread_t thread;
    join_all();
    EXPECT(pthread_create(&thread, NULL, stay_inside, inside) == 0);
    while (!closed)
        usleep(1000);
    EXPECT(hk_gate_enter(parked));
    hk_gate_close(parked);
    EXPECT(!go_on); /* we are here, and that one is still inside */
    go_on = true;
    hk_gate_open(parked);
    hk_gate_leave(parked);
    pthread_join(thread, NULL);
}

static void close_parked_beside_pass(void *pass)
{
    close_parked_beside(pass, &other);
}

static void close_parked_beside_stranger(void *pass)
{
    close_parked_beside(pass, NULL);
}

static void a_fork_in_a_handler_waits_for_a_moment(void **state)
{
    (void)state;
    unit_passes(close_parked_beside_pass, &mine);
    unit_passes(close_parked_beside_pass, NULL);
    unit_passes(close_parked_beside_stranger, &mine);
}

static void reset_in_child(void *pass)
{
    join_all();
    unit_second_thread();
    EXPECT(hk_gate_enter(&other) && hk_gate_enter(pass));
    other.state = HK_PASS_PARKED; /* it was in fork, too */
    hk_gate_close(pass);
    hk_gate_close(&other);
    hk_gate_reset(pass);
    EXPECT(hk_gate_forks == 0 && other.state == HK_PASS_OUTSIDE && other.forks == 0);
    EXPECT(!hk_gate_enter(pass)); /* what the handler interrupted goes on */
    hk_gate_leave(pass);
    EXPECT(hk_gate_enter(&mine) && hk_gate_enter(NULL));
}

static void a_child_has_one_thread(void **state)
{
    (void)state;
    unit_passes(reset_in_child, &mine);
    unit_passes(reset_in_child, NULL);
}

/* ---- many ---- */

#define THREADS 4
static struct hk_pass pass[THREADS];
static _Atomic bool stop;
/* Plain: what the gate guards, of each thread with its pass, and of each door. */
static volatile unsigned inside[THREADS + HK_GATE_DOORS];

static void *come_and_go_on(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    while (!stop) {
        if (hk_gate_enter(&pass[i])) {
            inside[i]++;
            inside[i]--;
            hk_gate_leave(&pass[i]);
        }
        if (hk_gate_enter(NULL)) {
            EXPECT(inside[THREADS + hk_gate_door()]++ == 0);
            inside[THREADS + hk_gate_door()]--;
            hk_gate_leave(NULL);
        }
    }
    return NULL;
}

static void close_among_many(void *arg)
{
    (void)arg;
    pthread_t threads[THREADS];
    join_all();
    for (unsigned i = 0; i < THREADS; i++) {
        hk_gate_join(&pass[i]);
        EXPECT(pthread_create(&threads[i], NULL, come_and_go_on, (void *)(uintptr_t)i) == 0);
    }
    for (unsigned n = 0; n < 1000; n++) {
        hk_gate_close(&mine);
        for (unsigned i = 0; i < THREADS + HK_GATE_DOORS; i++)
            EXPECT(inside[i] == 0);
        hk_gate_open(&mine);
    }
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void while_it_is_closed_nobody_is_inside(void **state)
{
    (void)state;
    unit_passes(close_among_many, NULL);
}

/* One thread more than there are doors: two of them, at least, share one. */
#define STRANGERS (HK_GATE_DOORS + 1)
static pthread_barrier_t all_here;
static volatile unsigned by_door[HK_GATE_DOORS]; /* plain, as above */

static void *go_in_and_stay(void *arg)
{
    volatile unsigned *mine_inside = &by_door[hk_gate_door()];
    pthread_barrier_wait(&all_here); /* while all live, no two have one number */
    for (unsigned n = 0; n < 200; n++) {
        EXPECT(hk_gate_enter(NULL));
        EXPECT((*mine_inside)++ == 0);
        sched_yield(); /* whoever can come in does */
        EXPECT(--*mine_inside == 0);
        hk_gate_leave(NULL);
    }
    return arg;
}

static void share_doors(void *arg)
{
    (void)arg;
    pthread_t threads[STRANGERS];
    pthread_barrier_init(&all_here, NULL, STRANGERS);
    for (unsigned i = 0; i < STRANGERS; i++)
        EXPECT(pthread_create(&threads[i], NULL, go_in_and_stay, NULL) == 0);
    for (unsigned i = 0; i < STRANGERS; i++)
        pthread_join(threads[i], NULL);
}

static void a_door_lets_in_one_at_a_time(void **state)
{
    (void)state;
    unit_passes(share_doors, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_is_inside_once),
        cmocka_unit_test(a_closed_gate_turns_all_away),
        cmocka_unit_test(a_fork_waits_until_nobody_is_inside),
        cmocka_unit_test(a_fork_in_a_handler_is_not_waited_for),
        cmocka_unit_test(a_fork_in_a_handler_waits_for_a_moment),
        cmocka_unit_test(forks_may_meet),
        cmocka_unit_test(a_child_has_one_thread),
        cmocka_unit_test(while_it_is_closed_nobody_is_inside),
        cmocka_unit_test(a_door_lets_in_one_at_a_time),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
