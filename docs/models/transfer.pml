/* SPDX-License-Identifier: MIT
 *
 * Arrays of blocks on their way to a heap (core/box/transfer.h, transfer.c): no block is lost, none is in two places,
 * there is one array, and nothing waits for a heap whose thread has ended.
 *
 * The heap's thread takes, ends, and a new one gets the record, which may end as well. A giver has a batch of two
 * blocks and one of one block. SCENE=1: another giver has a batch of one block. SCENE=2: somebody sweeps.
 *
 * One class; the array has room for two. Where code gives blocks to slabs, these are at their goal: how they get there
 * is remote.pml. How many of those that have room are put is a coin (room), and so is what `offered` says: who puts may
 * find that enough was offered, and empties the array then. An array's lock is one step (lock.pml).
 *
 * run: SCENE=1
 * run: SCENE=2
 * fault: SCENE=1 FAULT=1 | assertion violated | the heap is GONE after its arrays were emptied
 * fault: SCENE=1 FAULT=2 | assertion violated | who puts does not look at the state under the lock
 * fault: SCENE=1 FAULT=3 | assertion violated | who makes an array does not look again whether there is one
 * fault: SCENE=2 FAULT=4 | assertion violated | the thread takes by the hint, without the lock
 * fault: SCENE=2 FAULT=5 | invalid end state | who finds the array empty keeps its lock
 */
#ifndef FAULT
#define FAULT 0
#endif

#define NONE 0
#define ALIVE 1
#define GONE 2

#define MOST 2
#define BLOCKS 5 /* 1 to 4 */

#define OUT 0
#define WAITS 1
#define SLAB 2
#define TAKEN 3

byte state = ALIVE;
bool making, sweeping, locked, has_array;
byte count;
byte array[MOST];
byte where[BLOCKS];
byte made, ended;

#define LOCK(l) atomic { !l -> l = true }
#define UNLOCK(l) l = false

inline move(b, from, to)
{
    d_step { assert(b != 0 && where[b] == from); where[b] = to }
}

/*@ core/box/transfer.c: make_array */
inline make()
{
    mine = false;
    if
    :: LOCK(making);                   /*= if (!hk_try_lock(&making)) */
       mine = has_array;               /*= array_of(heap, cls) */
#if FAULT != 3
       if
       :: !mine && state == ALIVE ->   /*= if (t == NULL && is_alive(heap)) */
#else
       if
       :: state == ALIVE ->
#endif
          made++;                      /*= hk_meta_alloc(sizeof *t + most_of_class(cls) * sizeof t->block[0]) */
          assert(made == 1);
          atomic { has_array = true; mine = true }  /*= hk_store_release(&heap->transfers->array[cls], t) */
       :: else
       fi;
       UNLOCK(making)                  /*= hk_unlock(&making) */
    :: else                            /* somebody else is just making one */
    fi
}

/* ---- give ---- */

#if FAULT == 2
#define IS_ALIVE true
#else
#define IS_ALIVE state == ALIVE
#endif

/*@ core/box/transfer.c: put_in_array */
inline put()
{
    is_held = false;
    mine = has_array;                              /*= struct hk_transfer *t = array_of(heap, cls) */
    if
    :: mine
    :: !mine -> make()                             /*= make_array(heap, cls) */
    fi;
    if
    :: !mine
    :: mine ->
       if
       :: LOCK(locked) -> is_held = true           /*= !hk_try_lock(&t->lock) */
       :: else
       fi
    fi;
    if
    :: !is_held                                    /*= return 0 */
    :: is_held ->
       held = count;                               /*= hk_load_relaxed(&t->count) */
       enough = false;
       if
       :: IS_ALIVE -> may_put = true               /*= if (before <= enough && is_alive(heap)) */
       :: true -> enough = true
       :: state != ALIVE
       fi;
       do
       :: may_put && n != 0 && held < MOST ->
          array[held] = batch[n - 1];              /*= memcpy(t->block + count, blocks, put * sizeof *blocks) */
          move(batch[n - 1], OUT, WAITS);
          atomic { held++; n-- }
       :: break                                    /* no room, or all are put */
       od;
       may_put = false;
       count = held;                               /*= hk_store_relaxed(&t->count, count + put) */
       UNLOCK(locked);                             /*= hk_unlock(&t->lock) */
       if
       :: enough -> empty_array()                        /*= empty(heap, cls) */
       :: !enough
       fi
    fi
}

/*@ core/box/transfer.c: hk_transfer_give */
inline hk_transfer_give()
{
    if
    :: state == ALIVE -> put()                     /*= !is_alive(hk_heap_of(to)) */
    :: else
    fi;
    do                                             /* what is kept goes to the slabs */
    :: n != 0 -> move(batch[n - 1], OUT, SLAB); n--
    :: else -> break
    od
}

/* ---- take ---- */

/*@ core/box/transfer.c: take_from_array */
inline take_locked(to)
{
    held = count;                                  /*= hk_load_relaxed(&t->count) */
    i = 0;
    do
    :: i < held -> out[i] = array[i]; i++          /*= memcpy(to, t->block + count - n, n * sizeof *to) */
    :: else -> break
    od;
    count = 0;                                     /*= hk_store_relaxed(&t->count, count - n) */
    do
    :: i != 0 -> i--; move(out[i], WAITS, to); out[i] = 0
    :: else -> break
    od
}

/*@ core/box/transfer.c: hk_transfer_take */
inline hk_transfer_take()
{
    if
    :: has_array ->                                /*= struct hk_transfer *t = array_of(heap, cls) */
       if
       :: count == 0                               /*= hk_load_relaxed(&t->count) == 0 */
       :: count != 0 ->
#if FAULT == 4
          take_locked(TAKEN)
#else
          if
          :: LOCK(locked);                         /*= !hk_try_lock(&t->lock) */
             take_locked(TAKEN);                   /*= take_from_array(heap, cls, top + 1 - n, n) */
             UNLOCK(locked)                        /*= hk_unlock(&t->lock) */
          :: else
          fi
#endif
       fi
    :: !has_array
    fi
}

/* ---- on behalf of others ---- */

/*@ core/box/transfer.c: empty */
inline empty_array()
{
    if
    :: !has_array                                  /*= if (t == NULL) */
    :: has_array ->
       LOCK(locked);                               /*= hk_lock(&t->lock) */
#if FAULT == 5
       if
       :: count == 0
       :: count != 0 -> take_locked(SLAB); UNLOCK(locked)
       fi
#else
       take_locked(SLAB);                          /*= take_from_array(heap, cls, blocks, HK_TRANSFER_BLOCKS) */
       UNLOCK(locked)                              /*= hk_unlock(&t->lock) */
#endif
    fi
}

/*@ core/box/transfer.c: hk_transfer_end */
inline hk_transfer_end()
{
    LOCK(making);                                  /*= hk_lock(&making) */
    UNLOCK(making);                                /*= hk_unlock(&making) */
    empty_array()                                        /*= empty_all(heap) */
}

/*@ core/box/transfer.c: hk_transfer_sweep_one */
inline hk_transfer_sweep_one()
{
    LOCK(sweeping);                                /*= hk_transfer_hold() */
    empty_array();                                       /*= empty_all(heap) */
    UNLOCK(sweeping)                               /*= hk_transfer_release() */
}

/* ---- threads ---- */

/*@ core/front/thread.c: end_heap */
inline end_heap()
{
#if FAULT == 1
    hk_transfer_end();
    state = GONE
#else
    state = GONE;                                  /*= hk_heap_end(&thread->heap) */
    hk_transfer_end()                              /*= hk_transfer_end(&thread->heap) */
#endif
}

#define LOCALS bool mine, is_held, may_put, enough; byte held, n, i; byte batch[MOST], out[MOST]

proctype thread()
{
    LOCALS;
    hk_transfer_take();
    end_heap();
    state = NONE; /* hk_heap_retire */
    if
    :: state = ALIVE; /* hk_heap_begin */
       hk_transfer_take();
       if
       :: end_heap(); state = NONE
       :: true
       fi
    :: true
    fi;
    ended++
}

proctype giver()
{
    LOCALS;
    atomic { n = 2; batch[0] = 1; batch[1] = 2 }
    hk_transfer_give();
    atomic { n = 1; batch[0] = 3 }
    hk_transfer_give();
    ended++
}

#if SCENE == 1
proctype other_giver()
{
    LOCALS;
    atomic { n = 1; batch[0] = 4 }
    hk_transfer_give();
    ended++
}
#else
proctype sweeper()
{
    LOCALS;
    hk_transfer_sweep_one();
    ended++
}
#endif

init
{
    atomic {
        run thread();
        run giver();
#if SCENE == 1
        run other_giver()
#else
        run sweeper()
#endif
    }
    ended == 3;
    d_step {
        assert(!making && !locked && !sweeping);
        assert(count == 0 || state == ALIVE);
        assert((where[1] == WAITS) + (where[2] == WAITS) + (where[3] == WAITS) + (where[4] == WAITS) == count);
        assert(where[1] != OUT && where[2] != OUT && where[3] != OUT);
        assert(count < 1 || where[array[0]] == WAITS);
        assert(count < 2 || (where[array[1]] == WAITS && array[0] != array[1]))
    }
}
