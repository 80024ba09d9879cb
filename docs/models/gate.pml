/* SPDX-License-Identifier: MIT
 *
 * The gate and fork (core/box/gate.h, gate.c). Where fork goes on, nobody else is inside, but who was passed by because
 * somebody is parked; nobody goes in, or on, before that fork has ended; and nobody waits for ever.
 *
 * Threads 0 and 1 have a pass, thread 2 gets one inside, as a stranger. Each does one of these: goes in, takes a lock
 * there and comes out, or is turned away; waits to go in; forks. Then it may go in once more. A signal may interrupt a
 * thread anywhere; the handler goes in, or is turned away, and forks.
 * SCENE=1: threads 0 and 1, a signal for thread 0.
 * SCENE=2: threads 1 and 2, a signal for thread 2.
 * SCENE=3: threads 0 and 1, a signal for each; they go in once and do not wait, and the handlers only fork.
 * SCENE=4: all three, no signal.
 * SCENE=5: threads 1 and 2, a signal for thread 1.
 * After a fork it goes on in the parent or in the child, where the others are not.
 *
 * PARKED_ROUNDS is a coin while anybody is parked: the fork stops waiting or does not. Sleeps end when what is waited
 * for comes, and once besides. One thread has no pass, so the doors of strangers are one here. A lock is one step
 * (lock.pml). Which stranger forks is counted by thread; that the table is full is left out. The child
 * makes no thread before the fork that a handler interrupted has ended, and no handler forks in it before our child
 * handler has run.
 *
 * run: SCENE=1
 * run: SCENE=2
 * run: SCENE=3
 * run: SCENE=4
 * run: SCENE=5
 * fault: SCENE=1 FAULT=1 | assertion violated | who goes in does not look at the forks again
 * fault: SCENE=1 FAULT=2 | assertion violated | who goes in looks at the forks and then writes the pass
 * fault: SCENE=3 FAULT=3 | assertion violated | a parked thread goes on while another forks
 * fault: SCENE=1 FAULT=4 | invalid end state | who forks in a handler does not park
 * fault: SCENE=1 FAULT=5 | invalid end state | who forks waits for who is inside, whoever is parked
 * fault: SCENE=4 FAULT=6 | assertion violated | who forks waits for no stranger
 * fault: SCENE=1 FAULT=7 | assertion violated | the first of several forks opens the gate
 * fault: SCENE=3 FAULT=8 | assertion violated | the child does not forget who else was inside
 * fault: SCENE=1 FAULT=9 | assertion violated | who ends a fork looks whether it is in one, and then counts it
 */
#ifndef FAULT
#define FAULT 0
#endif

#define THREADS 3

#define OUTSIDE 0
#define INSIDE 1
#define PARKED 2

#define STRANGER_PARKED 8 /* in `stranger`, beside the thread + 1 */

byte hk_gate_forks, passes = 2, stranger;
byte state[THREADS], forks[THREADS], forking_strangers[THREADS];
bool has_pass[THREADS];
bool locked; /* a lock that is taken inside */

byte child; /* 0 or the thread + 1 that went on in a child */
bool interrupted[THREADS];
byte early; /* sleeps that ended early */

/* For the assertions: who changes something, who is between close and open, whom that one did not wait for. */
bool inside[THREADS];
byte closed[THREADS], passed_by[THREADS];
byte ended;

#define PASSED_BY(j, i) ((passed_by[j] >> i) & 1)
#define IS_QUIET(i) !inside[i] || interrupted[i]
#define MAY_GO_ON(i, j) (i == j || closed[j] == 0 || PASSED_BY(j, i))
#define MAY_FORK(j, i) (i == j || IS_QUIET(i) || PASSED_BY(j, i))
#define MAY_GO_IN closed[(me + 1) % 3] == 0 && closed[(me + 2) % 3] == 0

/* ---- in and out ---- */

#define IS_STRANGER_INSIDE (stranger & 7) == me + 1

inline go_in()
{
    assert(MAY_GO_IN);
    inside[me] = true;
    entered = true
}

/*@ core/box/gate.c: hk_gate_enter_stranger */
inline hk_gate_enter_stranger()
{
    if
    :: IS_STRANGER_INSIDE                              /*= if (is_stranger_inside()) */
    :: else ->
       if
       :: atomic { stranger == 0 -> stranger = me + 1 }  /*= !hk_cas_full(&door->stranger, &nobody, hk_thread_self()) */
          if
#if FAULT == 1
          :: atomic { true -> go_in() }
#else
          :: atomic { hk_gate_forks == 0 -> go_in() }  /*= if (hk_load_full(&hk_gate_forks) == 0) */
#endif
          :: else -> stranger = 0                      /*= hk_gate_leave_stranger() */
          fi
       :: hk_gate_forks != 0                           /* while it is looked for that there is none */
       fi
    fi
}

/*@ core/box/gate.h: hk_gate_enter */
inline hk_gate_enter()
{
    entered = false;
    if
    :: !has_pass[me] -> hk_gate_enter_stranger()       /*= return hk_gate_enter_stranger() */
    :: has_pass[me] ->
       if
       :: state[me] != OUTSIDE                         /*= hk_load_relaxed(&pass->state) != HK_PASS_OUTSIDE */
       :: else ->
#if FAULT == 2
          if
          :: hk_gate_forks == 0 -> state[me] = INSIDE; go_in()
          :: else
          fi
#else
          state[me] = INSIDE;                          /*= hk_swap_full(&pass->state, HK_PASS_INSIDE) */
          if
#if FAULT == 1
          :: atomic { true -> go_in() }
#else
          :: atomic { hk_gate_forks == 0 -> go_in() }  /*= if (HK_UNLIKELY(hk_load_full(&hk_gate_forks) != 0)) */
#endif
          :: else -> state[me] = OUTSIDE               /*= hk_store_release(&pass->state, HK_PASS_OUTSIDE) */
          fi
#endif
       fi
    fi
}

/*@ core/box/gate.h: hk_gate_leave */
inline hk_gate_leave()
{
    d_step {
        inside[me] = false;
        entered = false;
        if
        :: as_stranger -> stranger = 0                 /*= hk_gate_leave_stranger() */
        :: else -> state[me] = OUTSIDE                 /*= hk_store_release(&pass->state, HK_PASS_OUTSIDE) */
        fi;
        as_stranger = false
    }
}

/*@ core/box/gate.c: hk_gate_is_inside */
#define IS_INSIDE (has_pass[me] && state[me] != OUTSIDE || !has_pass[me] && IS_STRANGER_INSIDE)

/*@ core/box/gate.c: is_forking */
#define IS_FORKING (has_pass[me] && forks[me] != 0 || !has_pass[me] && forking_strangers[me] != 0)

#define SLEEP(value)                                 \
    if                                               \
    :: hk_gate_forks != value                        \
    :: atomic { early == 0 -> early++ }              \
    fi

/*@ core/box/gate.c: hk_gate_wait */
inline hk_gate_wait()
{
    do
    :: hk_gate_enter();                                /*= while (!(pass != NULL ? hk_gate_enter(pass) : hk_gate_enter_stranger())) */
       if
       :: entered -> break
       :: !entered && (IS_INSIDE || IS_FORKING) -> break  /*= if (hk_gate_is_inside(pass) || is_forking(pass)) */
       :: else -> seen = hk_gate_forks;                /*= uint32_t forks = hk_load_relaxed(&hk_gate_forks) */
          if
          :: seen == 0
          :: seen != 0 -> SLEEP(seen)                  /*= hk_thread_sleep(&hk_gate_forks, forks, SLEEP_MS) */
          fi
       fi
    od;
    seen = 0
}

/* ---- fork ---- */

/*@ core/box/gate.c: is_anyone_parked */
#if FAULT == 5
#define IS_ANYONE_PARKED false
#else
#define IS_PARKED(i) state[i] == PARKED
#define IS_ANYONE_PARKED ((stranger & STRANGER_PARKED) != 0 || IS_PARKED(0) || IS_PARKED(1) || IS_PARKED(2))
#endif

/*@ core/box/gate.c: wait_for_pass */
inline wait_for_pass(j)
{
    if                                                 /*= hk_load_full(&pass->state) == HK_PASS_INSIDE */
    :: state[j] != INSIDE
    :: atomic { state[j] == INSIDE && IS_ANYONE_PARKED ->  /*= if (i >= PARKED_ROUNDS && is_anyone_parked()) */
                passed_by[me] = passed_by[me] | (1 << j) }
    fi
}

/*@ core/box/gate.c: wait_for_stranger */
inline wait_for_stranger()
{
    if                                                 /*= hk_load_full(&door->stranger)) != 0 && (inside & PARKED) == 0 */
    :: stranger == 0 || (stranger & STRANGER_PARKED) != 0
    :: atomic { stranger != 0 && (stranger & STRANGER_PARKED) == 0 && IS_ANYONE_PARKED ->  /*= is_anyone_parked() */
                passed_by[me] = passed_by[me] | (1 << (stranger - 1)) }
    fi
}

/*@ core/box/gate.c: park_interrupted */
inline park()
{
    if                                                 /*= hk_load_relaxed(&mine->state) == HK_PASS_INSIDE */
    :: has_pass[me] && state[me] == INSIDE -> state[me] = PARKED  /*= hk_store_relaxed(&mine->state, HK_PASS_PARKED) */
    :: else
    fi;
    if
    :: IS_STRANGER_INSIDE ->                           /*= hk_store_relaxed(&own_door()->stranger, hk_thread_self() | PARKED) */
       stranger = (me + 1) | STRANGER_PARKED
    :: else
    fi
}

/*@ core/box/gate.c: unpark_interrupted */
inline unpark()
{
    d_step {
        parked = has_pass[me] && state[me] == PARKED;  /*= hk_load_relaxed(&mine->state) == HK_PASS_PARKED */
        is_stranger = IS_STRANGER_INSIDE               /*= is_stranger = is_stranger_inside() */
    }
    do
    :: parked || is_stranger ->                        /*= while (parked || is_stranger) */
       if
       :: parked -> state[me] = INSIDE                 /*= hk_swap_full(&mine->state, HK_PASS_INSIDE) */
       :: else
       fi;
       if
       :: is_stranger -> stranger = me + 1             /*= hk_swap_full(&own_door()->stranger, hk_thread_self()) */
       :: else
       fi;
       seen = hk_gate_forks;                           /*= uint32_t forks = hk_load_full(&hk_gate_forks) */
#if FAULT == 3
       break;
#endif
       if
       :: seen == 0 -> break                           /*= if (forks == 0) */
       :: else ->
          park();                                      /*= park_interrupted(mine) */
          SLEEP(seen)                                  /*= hk_thread_sleep(&hk_gate_forks, forks, SLEEP_MS) */
       fi
    :: else -> break
    od;
    atomic { parked = false; is_stranger = false; seen = 0 }
}

/*@ core/box/gate.c: hk_gate_close */
inline hk_gate_close()
{
#if FAULT != 4
    park();                                            /*= park_interrupted(mine) */
#endif
    if
    :: has_pass[me] -> forks[me]++                     /*= hk_add_relaxed(&mine->forks, 1) */
    :: else -> forking_strangers[me]++                 /*= change_stranger(0, hk_thread_self()) */
    fi;
    hk_gate_forks++;                                   /*= hk_add_full(&hk_gate_forks, 1) */
#if FAULT != 6
    wait_for_stranger();                               /*= wait_for_stranger(&doors[i]) */
#endif
    atomic { seen = passes; j = 0 }                    /*= hk_load_acquire(&passes) */
    do
    :: j < seen ->
       if
       :: j != me -> wait_for_pass(j)                  /*= wait_for_pass(pass) */
       :: else
       fi;
       j++
    :: else -> break
    od;
    atomic { j = 0; seen = 0 }
}

/*@ core/box/gate.c: hk_gate_open */
inline hk_gate_open()
{
    seen = hk_gate_forks;                              /*= uint32_t forks = hk_load_relaxed(&hk_gate_forks) */
#if FAULT == 9
    if
    :: has_pass[me] && forks[me] != 0 -> forks[me]--
    :: else
    fi;
#endif
    atomic {
        if
        :: !has_pass[me] && forking_strangers[me] != 0 ->  /*= change_stranger(hk_thread_self(), 0) */
           forking_strangers[me]--
        :: has_pass[me] && forks[me] != 0 && FAULT != 9 ->
           forks[me]--                                 /*= !hk_cas_relaxed(&mine->forks, &own, own - 1) */
        :: else                                        /* in the child of a handler that interrupted it */
        fi
    }
    do
    :: seen == 0 -> break                              /*= forks != 0 */
    :: seen != 0 ->
       atomic {
           if                                          /*= !hk_cas_full(&hk_gate_forks, &forks, forks - 1) */
#if FAULT == 7
           :: true -> hk_gate_forks = 0; break
#endif
           :: hk_gate_forks == seen -> hk_gate_forks--; break
           :: else -> seen = hk_gate_forks
           fi
       }
    od;
    if
    :: IS_FORKING                                      /*= if (!is_forking(mine)) */
    :: else -> unpark()                                /*= unpark_interrupted(mine) */
    fi;
    seen = 0
}

/* The child has no other thread; its locks are free. */
inline become_child()
{
    d_step {
        child = me + 1;
        locked = false;
        j = 0;
        do
        :: j < THREADS ->
           if
           :: j != me -> interrupted[j] = false; inside[j] = false; closed[j] = 0; passed_by[j] = 0
           :: else
           fi;
           j++
        :: else -> break
        od;
        j = 0
    }
}

/*@ core/box/gate.c: hk_gate_reset */
inline hk_gate_reset()
{
    d_step {
        do                                             /*= for (struct hk_pass *pass = hk_load_relaxed(&passes) */
        :: j < passes ->
#if FAULT != 8
           if
           :: j != me -> state[j] = OUTSIDE            /*= hk_store_relaxed(&pass->state, HK_PASS_OUTSIDE) */
           :: else
           fi;
#endif
           forks[j] = 0;                               /*= hk_store_relaxed(&pass->forks, 0) */
           j++
        :: else -> break
        od;
        j = 0;
        if                                             /*= inside != 0 && (inside & ~PARKED) != hk_thread_self() */
        :: !(IS_STRANGER_INSIDE) -> stranger = 0       /*= hk_store_relaxed(&doors[i].stranger, 0) */
        :: else
        fi;
        forking_strangers[0] = 0;                      /*= hk_store_relaxed(&forking_strangers[i], 0) */
        forking_strangers[1] = 0;
        forking_strangers[2] = 0;
        hk_gate_forks = 0                              /*= hk_store_relaxed(&hk_gate_forks, 0) */
    }
    unpark()                                           /*= unpark_interrupted(mine) */
}

/* ---- threads ---- */

inline do_fork()
{
    hk_gate_close();
    atomic {
        assert(MAY_FORK(me, 0) && MAY_FORK(me, 1) && MAY_FORK(me, 2));
        closed[me]++
    }
    if
    :: atomic {
           assert(MAY_FORK(me, 0) && MAY_FORK(me, 1) && MAY_FORK(me, 2));
           closed[me]--
       }
       hk_gate_open()
    :: atomic { child == 0 -> become_child(); closed[me]--; hk_gate_reset() }
    fi
}

inline work()
{
    as_stranger = !has_pass[me];
    if
    :: as_stranger -> atomic { passes = 3; has_pass[me] = true } /* hk_gate_join; the thread has a record */
    :: else
    fi;
    atomic { !locked -> locked = true }
    locked = false;
    hk_gate_leave()
}

inline come_and_go()
{
#if SCENE == 3
    hk_gate_enter();
#else
    if
    :: hk_gate_enter()
    :: hk_gate_wait()
    fi;
#endif
    if
    :: entered -> work()
    :: else /* the side box */
    fi
}

#define LOCALS byte seen, j; bool entered, as_stranger, parked, is_stranger

#define IS_THERE (child == 0 || child == me + 1)

proctype thread(byte me) provided (!interrupted[me])
{
    LOCALS;
    {
        if /* true: an else that an option begins with would be one of this choice */
        :: true -> come_and_go()
        :: true -> do_fork()
        fi;
        if
        :: me == 2 || SCENE != 3 -> come_and_go() /* thread 2 with a pass by now, if it was not turned away */
        :: me != 2
        fi
    } unless { !IS_THERE };
    ended++
}

proctype handler(byte me)
{
    LOCALS;
    {
        interrupted[me] = true;
#if SCENE != 3
        if
        :: hk_gate_enter();
           if
           :: entered -> as_stranger = !has_pass[me]; hk_gate_leave()
           :: else
           fi
        :: true
        fi;
#endif
        do_fork();
        atomic {
            assert(!inside[me] || MAY_GO_ON(me, 0) && MAY_GO_ON(me, 1) && MAY_GO_ON(me, 2));
            interrupted[me] = false
        }
    } unless { !IS_THERE };
    ended++
}

init
{
    atomic {
        has_pass[0] = true;
        has_pass[1] = true;
        run thread(1);
#if SCENE == 1
        run thread(0);
        run handler(0)
#elif SCENE == 2
        run thread(2);
        run handler(2)
#elif SCENE == 3
        run thread(0);
        run handler(0);
        run handler(1)
#elif SCENE == 5
        run thread(2);
        run handler(1)
#else
        run thread(0);
        run thread(2)
#endif
    }
    ended == 3 + (SCENE == 3);
    assert(hk_gate_forks == 0 && stranger == 0 && !locked);
    assert(state[0] == OUTSIDE && state[1] == OUTSIDE && state[2] == OUTSIDE);
    assert(forks[0] == 0 && forks[1] == 0 && forks[2] == 0);
    assert(forking_strangers[0] == 0 && forking_strangers[1] == 0 && forking_strangers[2] == 0)
}
