/* SPDX-License-Identifier: MIT
 *
 * Arrays of blocks on their way between fronts (core/box/transfer.h, transfer.c): no block is lost, none is in two
 * places, and there is one array.
 *
 * A thread takes twice. A giver has a batch of two blocks and one of one block. SCENE=1: another giver has a batch of
 * one block. SCENE=2: somebody sweeps.
 *
 * One class in one place; the array has room for two. Where code gives blocks to slabs, these are at their goal: how
 * they get there is remote.pml. How many of those that have room are put is a coin (room), and so is what `offered`
 * says: who puts may find that enough was offered, and empties the array then. An array's lock is one step (lock.pml).
 *
 * run: SCENE=1
 * run: SCENE=2
 * fault: SCENE=1 FAULT=1 | assertion violated | who puts gives the lock back before it counts
 * fault: SCENE=1 FAULT=2 | assertion violated | what did not fit is said to be gone
 * fault: SCENE=1 FAULT=3 | assertion violated | who makes an array does not look again whether there is one
 * fault: SCENE=2 FAULT=4 | assertion violated | the thread takes by the hint, without the lock
 * fault: SCENE=2 FAULT=5 | assertion violated | who finds the array empty keeps its lock
 */
#ifndef FAULT
#define FAULT 0
#endif

#define MOST 2
#define BLOCKS 5 /* 1 to 4 */

#define OUT 0
#define WAITS 1
#define SLAB 2
#define TAKEN 3

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
    :: LOCK(making);                   /*= if (!hk_try_lock(&hk_transfer_making)) */
       mine = has_array;               /*= array_at(place, cls) */
#if FAULT != 3
       if
       :: !mine ->                     /*= if (a == NULL) */
#else
       if
       :: true ->
#endif
          made++;                      /*= hk_meta_alloc(sizeof *a) */
          assert(made == 1);
          atomic { has_array = true; mine = true }  /*= hk_store_release(&hk_transfer_arrays[place][cls], a) */
#if FAULT != 3
       :: else
#endif
       fi;
       UNLOCK(making)                  /*= hk_unlock(&hk_transfer_making) */
    :: else                            /* somebody else is just making one */
    fi
}

/* The newest blocks, at most `most` of them; who holds the lock. */
/*@ core/box/transfer.c: take_from_array */
inline take_from_array(most, to)
{
    held = count;                      /*= hk_load_relaxed(&a->count) */
    n = 0;
    do
    :: n < most && n < held ->
       out[n] = array[held - 1 - n];   /*= memcpy(to, a->block + count - n, n * sizeof *to) */
       n++
    :: else -> break
    od;
    count = held - n;                  /*= hk_store_relaxed(&a->count, count - n) */
    i = 0;
    do
    :: i < n -> move(out[i], WAITS, to); i++
    :: else -> break
    od
}

/*@ core/box/transfer.c: empty_array */
inline empty_array()
{
    LOCK(locked);                      /*= hk_lock(&a->lock) */
#if FAULT == 5
    if
    :: count == 0
    :: count != 0 -> take_from_array(MOST, SLAB); UNLOCK(locked)
    fi
#else
    take_from_array(MOST, SLAB);       /*= take_from_array(place, a, cls, blocks, HK_TRANSFER_BLOCKS) */
    UNLOCK(locked)                     /*= hk_unlock(&a->lock) */
#endif
}

/* ---- give ---- */

/*@ core/box/transfer.c: put_in_array */
inline put_in_array()
{
    held = count;                      /*= hk_load_relaxed(&a->count) */
    do
    :: left != 0 && held < MOST ->
       array[held] = batch[left - 1];  /*= memcpy(a->block + count, blocks, n * sizeof *blocks) */
       move(batch[left - 1], OUT, WAITS);
       held++;
       left--
    :: break                           /* no room, or all are put */
    od;
#if FAULT == 1
    UNLOCK(locked);
#endif
    count = held                       /*= hk_store_relaxed(&a->count, count + n) */
}

/*@ core/box/transfer.c: hk_transfer_give */
inline hk_transfer_give()
{
    mine = has_array;                  /*= struct array *a = array_at(place, cls) */
    enough = false;
    if
    :: mine
    :: !mine -> make()                 /*= make_array(place, cls) */
    fi;
    if
    :: !mine
    :: mine ->
       if
       :: LOCK(locked);                /*= try_array(a) */
          if
          :: put_in_array()            /*= put = put_in_array(place, a, cls, blocks, n) */
          :: enough = true
          fi;
#if FAULT == 1
          skip
#else
          UNLOCK(locked)               /*= hk_unlock(&a->lock) */
#endif
          ;
          if
          :: enough -> empty_array()   /*= empty_array(place, a, cls, &hk_orphan_heap) */
          :: !enough
          fi
       :: else
       fi
    fi;
#if FAULT == 2
    left = 0;
#endif
    do                                 /* hk_heap_give gives what was left */
    :: left != 0 -> move(batch[left - 1], OUT, SLAB); left--
    :: left == 0 -> break
    od
}

/* ---- take ---- */

/*@ core/box/transfer.c: take_at */
inline hk_transfer_take()
{
    if
    :: has_array ->                    /*= struct array *a = array_at(place, cls) */
       if
       :: count == 0                   /*= if (hk_load_relaxed(&a->count) == 0 || !try_array(a)) */
       :: count != 0 ->
#if FAULT == 4
          take_from_array(1, TAKEN)
#else
          if
          :: LOCK(locked);
             take_from_array(1, TAKEN); /*= take_from_array(place, a, cls, top + 1 - n, n) */
             UNLOCK(locked)            /*= hk_unlock(&a->lock) */
          :: else
          fi
#endif
       fi
    :: !has_array
    fi
}

/* ---- on behalf of others ---- */

/*@ core/box/transfer.c: empty_place */
inline empty_place()
{
    if
    :: has_array -> empty_array()      /*= empty_array(place, a, cls, by) */
    :: !has_array
    fi
}

/*@ core/box/transfer.c: hk_transfer_sweep */
inline hk_transfer_sweep()
{
    LOCK(sweeping);                    /*= hk_transfer_hold() */
    empty_place();                     /*= empty_place(place, &hk_orphan_heap) */
    UNLOCK(sweeping)                   /*= hk_transfer_release() */
}

/* ---- threads ---- */

#define LOCALS bool mine, enough; byte held, n, i, left; byte batch[MOST], out[MOST]

proctype taker()
{
    LOCALS;
    hk_transfer_take();
    hk_transfer_take();
    ended++
}

proctype giver()
{
    LOCALS;
    atomic { left = 2; batch[0] = 1; batch[1] = 2 }
    hk_transfer_give();
    atomic { left = 1; batch[0] = 3 }
    hk_transfer_give();
    ended++
}

#if SCENE == 1
proctype other_giver()
{
    LOCALS;
    atomic { left = 1; batch[0] = 4 }
    hk_transfer_give();
    ended++
}
#else
proctype sweeper()
{
    LOCALS;
    hk_transfer_sweep();
    ended++
}
#endif

init
{
    atomic {
        run taker();
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
        assert((where[1] == WAITS) + (where[2] == WAITS) + (where[3] == WAITS) + (where[4] == WAITS) == count);
        assert(where[1] != OUT && where[2] != OUT && where[3] != OUT);
        assert(count < 1 || where[array[0]] == WAITS);
        assert(count < 2 || (where[array[1]] == WAITS && array[0] != array[1]))
    }
}
