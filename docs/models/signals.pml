/* SPDX-License-Identifier: MIT
 *
 * The hold of a front (core/front/front.h) with -Dsignals=enabled: a thread allocates and frees, on the fast paths and
 * the slow ones, and is interrupted anywhere by a handler that does the same, which is interrupted by another. No block
 * is handed out twice, and none is lost: in the end each is in the heap, in the bin, put down to be freed, or somebody's.
 *
 * One bin with room for two, five blocks. The gate is one step, for no thread forks (gate.pml), and so is the heap behind
 * it, which only who is inside touches. What the side box hands out is not counted: nobody else has it. The handler comes
 * twice, so that a bin may look the same and not be.
 *
 * run:
 * fault: FAULT=1 | assertion violated | the fast paths do not look whether the front is held
 * fault: FAULT=2 | assertion violated | a free lets the front go before its block is in the bin
 * fault: FAULT=3 | assertion violated | a refill takes the bin for empty that was so when the fast path left
 * fault: FAULT=4 | assertion violated | slow paths do not hold the front
 * fault: FAULT=5 | assertion violated | a slow path lets the front go that it found held
 */
#ifndef FAULT
#define FAULT 0
#endif

#define BLOCKS 5
#define FULL 2
#define BIT(b) (1 << (b))

byte level;        /* who runs: 0 the program, 1 its handler, 2 that one's */
bool reach = true; /* false: held */
byte cur, slot[4]; /* slot[cur] is the newest block; slot[0] is never used */
byte heap, deferred, out; /* sets of blocks */
byte ended;
bool handled; /* the handler comes no more */

/*@ core/front/front.h: hk_front_hold_for */
inline hold()
{
    if
    :: atomic { !reach -> held = false }               /*= if (HK_UNLIKELY(size >= *front->reach)) */
    :: reach ->
       atomic { reach = false; held = true }           /*= *front->reach = 0 */
    fi
}

/*@ core/front/front.h: hk_front_let_go */
#define LET_GO reach = true                            /*= *front->reach = HK_TINY_MAX + 1 */

#if FAULT == 1
#define FAST_HOLD held = true
#else
#define FAST_HOLD hold()
#endif

#if FAULT == 4
#define SLOW_HOLD held = true
#define SLOW_LET_GO skip
#else
#define SLOW_HOLD hold()
#define SLOW_LET_GO LET_GO
#endif

#if FAULT == 5
#define WHERE_HELD reach = true
#else
#define WHERE_HELD skip
#endif

/*@ core/front/array.h: hk_bin_pop */
inline pop()
{
    c = cur;                                           /*= void **cur = bin->cur */
    if
    :: c == 0 -> b = 0                                 /*= if (HK_UNLIKELY((uint16_t)(uintptr_t)cur == bin->empty16)) */
    :: else ->
       cur--;                                          /*= HK_MOVE_PTR(bin->cur, -(int)sizeof(void *)) */
       b = slot[c]                                     /*= *block = *cur */
    fi
}

inline take_of_heap(x)
{
    d_step {
        x = 1;
        do
        :: x <= BLOCKS && !(heap & BIT(x)) -> x++
        :: else -> break
        od;
        if
        :: x > BLOCKS -> x = 0
        :: else -> heap = heap & ~BIT(x)
        fi
    }
}

/*@ core/front/slow_malloc.c: take_of_class */
inline take_of_class()
{
#if FAULT != 3
    pop();                                             /*= hk_bin_pop(hk_front_bin(hk_front_self(), hk_code_of_class(cls)), &block) */
#else
    b = 0;
#endif
    if
    :: b == 0 ->                                       /*= block = hk_front_refill(thread, cls) */
       take_of_heap(b);
       take_of_heap(c);
       if
       :: c != 0 -> slot[1] = c; cur = 1
       :: else
       fi
    :: else
    fi
}

/*@ core/front/fast.h: hk_malloc_fast */
inline do_malloc()
{
    b = 0;
    FAST_HOLD;                                         /*= !hk_front_hold_for(front, size) */
    if
    :: held ->
       pop();                                          /*= bool found = hk_bin_pop(hk_front_bin(front, code), &block) */
       LET_GO                                          /*= hk_front_let_go(front) */
    :: else
    fi;
    if
    :: b == 0 ->                                       /*= return slow(size) */
       SLOW_HOLD;
       if
       :: held -> take_of_class(); SLOW_LET_GO
       :: else -> WHERE_HELD /* the side box */
       fi
    :: else
    fi;
    if
    :: b != 0 -> atomic { assert(!(out & BIT(b))); out = out | BIT(b); mine = b }
    :: else
    fi;
    atomic { b = 0; c = 0; held = false }
}

/*@ core/front/array.h: hk_bin_push */
inline push()
{
    slot[c + 1] = mine;                                /*= spot.cur[1] = block */
    cur++                                              /*= HK_MOVE_PTR(bin->cur, (int)sizeof(void *)) */
}

/*@ core/front/array_bin.h: hk_bin_drop */
inline flush_one()
{
    heap = heap | BIT(slot[1]);
    slot[1] = slot[2];                                 /*= memmove(base + 1, base + 1 + n, left * sizeof(void *)) */
    cur = 1                                            /*= hk_poke(&thread->front->bin[cls].cur, base + left) */
}

/*@ core/front/fast.h: hk_free_fast */
inline do_free()
{
    atomic { assert(out & BIT(mine)); out = out & ~BIT(mine); b = 0 }
    FAST_HOLD;                                         /*= if (HK_UNLIKELY(!hk_front_hold(front))) */
    if
    :: held ->
       c = cur;                                        /*= !hk_bin_has_room(bin, front->thread, ptr, &spot) */
       if
       :: c == FULL -> LET_GO; held = false            /*= hk_front_let_go(front) */
#if FAULT == 2
       :: else -> LET_GO; push()
#else
       :: else -> push(); LET_GO                       /*= hk_bin_push(bin, spot, ptr) */
#endif
       fi
    :: else
    fi;
    if
    :: !held ->
       SLOW_HOLD;
       if
       :: held ->
          if
          :: cur == FULL -> flush_one()
          :: else
          fi;
          c = cur;
          push();
          SLOW_LET_GO
       :: else ->
          WHERE_HELD;
          deferred = deferred | BIT(mine)              /* hk_side_defer */
       fi
    :: else
    fi;
    atomic { mine = 0; c = 0; held = false }
}

#define LOCALS byte b, c, mine, i; bool held

/* Up to so many calls, whichever. */
inline call_some(calls)
{
    i = 0;
    do
    :: i < calls ->
       if
       :: mine == 0 -> do_malloc()
       :: mine != 0 -> do_free()
       :: mine != 0 && level == 0 -> mine = 0; do_malloc() /* keeps the first one */
       fi;
       i++
    :: true -> break
    od
}

proctype program() provided (level == 0)
{
    LOCALS;
    call_some(4);
    ended++
}

proctype handler() provided (level <= 1)
{
    LOCALS;
    byte turn;
    do
    :: turn < 2 ->
       atomic { level == 0 -> level = 1 }
       call_some(3);
       atomic { level = 0; turn++ }
    :: else -> break
    od;
    handled = true;
    ended++
}

proctype nested()
{
    LOCALS;
    if
    :: atomic { level == 1 -> level = 2 }
       call_some(2);
       level = 1
    :: handled /* it came too late */
    fi;
    ended++
}

/* A block is somewhere, and once. */
#define COUNT(b) (((heap & BIT(b)) != 0) + ((deferred & BIT(b)) != 0) + ((out & BIT(b)) != 0) + \
                  (cur >= 1 && slot[1] == b) + (cur >= 2 && slot[2] == b))

init
{
    atomic {
        heap = BIT(2) | BIT(3) | BIT(4) | BIT(5);
        slot[1] = 1;
        cur = 1;
        run program();
        run handler();
        run nested()
    }
    ended == 3;
    assert(reach && cur <= FULL);
    assert(COUNT(1) == 1 && COUNT(2) == 1 && COUNT(3) == 1 && COUNT(4) == 1 && COUNT(5) == 1)
}
