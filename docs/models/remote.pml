/* SPDX-License-Identifier: MIT
 *
 * Remote frees (core/box/remote.h, remote.c) and those who collect (core/box/heap.c, heap_idle.c, heap_life.c): no block is
 * lost and none comes back twice; no slab is on the wake stacks twice; what is in a remote word at the end waits for a
 * thread that lives.
 *
 * A pusher pushes chains to two slabs of heap A. Its thread takes a block, ends, and a new thread gets its record.
 * SCENE=1: another pusher pushes to one of the slabs.
 * SCENE=2: a thread with heap B adopts what A left, takes from it, and may end as well.
 * SCENE=3: somebody sweeps heaps meanwhile, as for threads that sleep.
 * A block that was taken goes to a pusher, which pushes it again.
 *
 * A heap's lock is one step (lock.pml). The hint `queued` is a coin: an owner that lives is collected for or is not. So
 * it is with slabs that become empty: they go to the pool, or stay as the active one does. Lists of slabs are left out:
 * a heap's slabs are those that say so.
 *
 * run: SCENE=1
 * run: SCENE=2
 * run: SCENE=3
 * fault: SCENE=1 FAULT=1 | assertion violated | a heap is GONE after its last collect
 * fault: SCENE=2 FAULT=2 | assertion violated | a pusher does not look whether the owner is GONE
 * fault: SCENE=2 FAULT=3 | assertion violated | wake_next is read after the chain was taken
 * fault: SCENE=2 FAULT=4 | assertion violated | a stray is merged without a second look at its owner
 * fault: SCENE=1 FAULT=5 | assertion violated | every pusher puts the slab on the stack
 * fault: SCENE=1 FAULT=6 | assertion violated | who collects merges slabs of others as well
 * fault: SCENE=1 FAULT=7 | assertion violated | the wake stack is written without compare-and-swap
 * fault: SCENE=1 FAULT=8 | assertion violated | the chain is looked at and then zeroed
 */
#ifndef FAULT
#define FAULT 0
#endif

#define A 0
#define B 1
#define ORPHANS 2 /* the orphan heap */
#define HEAPS 3
#define POOL 3 /* owner of slabs without one */

#define NONE 0
#define ALIVE 1
#define GONE 2

#define SLABS 2
#define BLOCKS 5 /* 1 to 4 */
#define SLAB_OF(b) (b == 4)

#define OUT 0
#define PUSHED 1 /* in a remote word */
#define IN 2     /* free in its slab */

/* Slabs: the remote word's halves are written together. A wake_next or wake is a slab + 1, or 0. */
byte first[SLABS], count[SLABS], wake_next[SLABS], owner[SLABS], used[SLABS];
byte wake[HEAPS], state[HEAPS];
bool locked[HEAPS];
byte link[BLOCKS], where[BLOCKS];

byte stacks[SLABS]; /* wake stacks that the slab is on */
byte handed, taken; /* a block for a pusher; blocks that were taken from slabs */
byte ended;         /* threads */

#define LOCK(h) atomic { !locked[h] -> locked[h] = true }
#define UNLOCK(h) locked[h] = false

/* ---- box/remote.c ---- */

/*@ core/box/remote.c: hk_remote_wake */
inline hk_remote_wake(o, s)
{
    top = wake[o];                                 /*= hk_load_relaxed(&owner->wake) */
    do
    :: wake_next[s] = top;                         /*= slab->wake_next = (struct hk_slab *)first */
#if FAULT == 7
       atomic { wake[o] = s + 1; stacks[s]++; break }
#else
       atomic {
           if                                      /*= hk_cas_weak_release(&owner->wake, &first, (uintptr_t)slab) */
           :: wake[o] == top -> wake[o] = s + 1; stacks[s]++; assert(stacks[s] == 1); break
           :: else -> top = wake[o]
           fi
       }
#endif
    od
}

/*@ core/box/remote.c: hk_remote_push */
inline hk_remote_push(s, from, to, length)
{
    collect = false;
    atomic { before = first[s]; before_count = count[s] }  /*= before = hk_load_relaxed(&slab->remote) */
    do
    :: link[to] = before;      /*= hk_link_to(chain->last, hk_remote_first(before)) */
       atomic {
           if                  /*= hk_cas_weak_acq_rel(&slab->remote, &before, after) */
           :: first[s] == before && count[s] == before_count ->
              first[s] = from;
              count[s] = before_count + length;
              where[from] = PUSHED;
              where[to] = PUSHED;
              break
           :: else -> before = first[s]; before_count = count[s]
           fi
       }
    od;
    if
#if FAULT != 5
    :: before_count != 0       /*= if (before != 0) */
    :: before_count == 0 ->
#else
    :: true ->
#endif
       mine = owner[s];        /*= hk_slab_owner(slab) */
       assert(mine != POOL);
       hk_remote_wake(mine, s);  /*= hk_remote_wake(owner, slab) */
       if                      /*= hk_fence_full() */
#if FAULT != 2
       :: state[mine] != ALIVE -> collect = true  /*= if (hk_load_relaxed(&owner->state) != HK_OWNER_ALIVE) */
       :: state[mine] == ALIVE                    /*= queued >= hk_load_relaxed(&hk_remote_patience) ? owner : NULL */
#else
       :: true
#endif
       :: state[mine] == ALIVE -> collect = true
       fi
    fi
}

/*@ core/box/remote.h: hk_remote_take_woken */
inline hk_remote_take_woken(h)
{
    if
    :: wake[h] == 0 -> slab = 0    /*= if (!hk_remote_has_woken(owner)) */
    :: else ->
       d_step {                    /*= hk_swap_acquire(&owner->wake, 0) */
           slab = wake[h];
           wake[h] = 0;
           next = slab;            /* for the assertions only */
           do
           :: next != 0 -> stacks[next - 1]--; next = wake_next[next - 1]
           :: else -> break
           od
       }
    fi
}

/* ---- box/heap.c ---- */

/*@ core/box/heap.c: hk_heap_merge_locked */
inline hk_heap_merge_locked(h, s)
{
#if FAULT == 8
    chain = first[s];
    d_step { chain_count = count[s]; first[s] = 0; count[s] = 0 }
#else
    d_step { chain = first[s]; chain_count = count[s]; first[s] = 0; count[s] = 0 }  /*= hk_remote_take(slab, &count) */
#endif
    d_step {
        assert(chain_count != 0);  /*= if (count == 0) */
        assert(owner[s] == h && locked[h]);
        do                         /*= hk_slab_put_chain(slab, first, count) */
        :: chain_count != 0 ->
           assert(chain != 0 && where[chain] == PUSHED && SLAB_OF(chain) == s);
           where[chain] = IN;
           used[s]--;
           chain = link[chain];
           chain_count--
        :: else -> break
        od;
        assert(chain == 0)
    }
    if                             /*= hk_heap_settle(heap, slab) */
    :: used[s] == 0 -> hk_heap_release_locked(s)
    :: true
    fi
}

inline hk_heap_release_locked(s)
{
    d_step {
        assert(used[s] == 0 && first[s] == 0 && count[s] == 0 && stacks[s] == 0);
        owner[s] = POOL
    }
}

/*@ core/box/heap.c: hk_heap_collect_locked */
inline hk_heap_collect_locked(h)
{
    strays = 0;
    hk_remote_take_woken(h);                      /*= hk_remote_take_woken(&heap->owner) */
    do
    :: slab != 0 ->                               /*= slab != NULL */
#if FAULT != 3
       next = wake_next[slab - 1];                /*= next = slab->wake_next */
#endif
       if
#if FAULT == 6
       :: true -> hk_heap_merge_locked(h, slab - 1)
#else
       :: owner[slab - 1] == h ->                 /*= if (hk_slab_owner(slab) == &heap->owner) */
          hk_heap_merge_locked(h, slab - 1)              /*= hk_heap_merge_locked(heap, slab) */
#endif
       :: else ->
          wake_next[slab - 1] = strays;           /*= slab->wake_next = strays */
          strays = slab                           /*= strays = slab */
       fi;
#if FAULT == 3
       next = wake_next[slab - 1];
#endif
       slab = next
    :: else -> break
    od;
    next = 0
}

/*@ core/box/heap_idle.c: hk_heap_forward */
inline hk_heap_forward()
{
    do
    :: strays != 0 ->
       next = wake_next[strays - 1];              /*= next = slab->wake_next */
       do                                         /*= for (bool done = false; !done;) */
       :: at = owner[strays - 1];                 /*= hk_heap_of(hk_slab_owner(slab)) */
          assert(at != POOL);
          LOCK(at);                               /*= hk_lock(&heap->lock) */
          if
#if FAULT == 4
          :: true ->
#else
          :: owner[strays - 1] == at ->           /*= done = hk_slab_owner(slab) == &heap->owner */
#endif
             hk_heap_merge_locked(at, strays - 1);       /*= hk_heap_merge_locked(heap, slab) */
             UNLOCK(at);                          /*= hk_unlock(&heap->lock) */
             break
          :: else -> UNLOCK(at)
          fi
       od;
       strays = next
    :: else -> break
    od;
    atomic { next = 0; at = 0 }
}

/*@ core/box/heap.c: collect_for */
inline collect_for(h)
{
    if
    :: state[h] != ALIVE ->       /*= if (hk_load_relaxed(&heap->owner.state) != HK_OWNER_ALIVE) */
       LOCK(h);                   /*= hk_lock(&heap->lock) */
       tries = true
    :: else ->
       if
       :: LOCK(h);                /*= if (!hk_try_lock(&heap->lock)) */
          tries = true            /*= continue */
       :: else
       fi
    fi;
    if
    :: tries ->
       tries = false;
       hk_heap_collect_locked(h); /*= hk_heap_collect_locked(heap) */
       UNLOCK(h);                 /*= hk_unlock(&heap->lock) */
       hk_heap_forward()          /*= hk_heap_forward(strays) */
    :: else
    fi
}

/* The ladder of hk_heap_take: what came back, a free block of an own slab, an orphan, a slab of the pool. */
/*@ core/box/heap.c: find_partial */
inline hk_heap_take(h)
{
    LOCK(h);
    hk_heap_collect_locked(h);    /*= hk_heap_collect_locked(heap) */
    if
    :: take_block(h)
    :: LOCK(ORPHANS);             /*= return adopt_orphan_slab(heap, cls, hk_numa_nodes() == 1) */
       atomic {
           if
           :: owner[0] == ORPHANS && used[0] < 3 -> owner[0] = h
           :: owner[1] == ORPHANS && used[1] < 1 -> owner[1] = h
           :: else
           fi
       }
       UNLOCK(ORPHANS)
    :: atomic { owner[0] == POOL -> owner[0] = h }
    :: atomic { owner[1] == POOL -> owner[1] = h }
    :: true
    fi;
    if
    :: take_block(h)
    :: true
    fi;
    UNLOCK(h);
    hk_heap_forward()
}

/* Any free block, for a pusher. One is enough. */
#define TAKE(h, b) owner[SLAB_OF(b)] == h && where[b] == IN && handed == 0 && taken < 1 -> handed = b

inline take_block(h)
{
    atomic {
        if
        :: TAKE(h, 1)
        :: TAKE(h, 2)
        :: TAKE(h, 3)
        :: TAKE(h, 4)
        fi;
        where[handed] = OUT;
        used[SLAB_OF(handed)]++;
        taken++
    }
}

/* ---- box/heap_life.c ---- */

/*@ core/box/heap_life.c: hand_on */
inline hand_on(h, s)
{
    if
    :: owner[s] == h && used[s] == 0 ->   /*= if (slab->used == 0) */
       hk_heap_release_locked(s)          /*= hk_heap_release_locked(heap, slab) */
    :: owner[s] == h && used[s] != 0 ->
       LOCK(ORPHANS);                     /*= hk_lock(&hk_orphan_heap.lock) */
       owner[s] = ORPHANS;                /*= hk_slab_set_owner(slab, &hk_orphan_heap.owner) */
       UNLOCK(ORPHANS)                    /*= hk_unlock(&hk_orphan_heap.lock) */
    :: owner[s] != h
    fi
}

/*@ core/box/heap_life.c: hand_all_on */
inline abandon(h)
{
    LOCK(h);                       /*= hk_lock(&heap->lock) */
    hk_heap_collect_locked(h);     /*= hk_heap_collect_locked(heap) */
    hand_on(h, 0);                 /*= hand_on_list(heap, &heap->full) */
    hand_on(h, 1);                 /*= hand_on_list(heap, &heap->cls[cls].partial) */
    UNLOCK(h);                     /*= hk_unlock(&heap->lock) */
    hk_heap_forward()              /*= hk_heap_forward(strays) */
}

/*@ core/box/heap_life.c: hk_heap_end */
inline hk_heap_end(h)
{
#if FAULT != 1
    state[h] = GONE;               /*= hk_store_relaxed(&heap->owner.state, HK_OWNER_GONE) */
#endif
    abandon(h);                    /*= hand_all_on(heap) */
#if FAULT == 1
    state[h] = GONE
#endif
}

/*@ core/box/heap.c: hk_heap_release_unused_locked */
inline hk_heap_release_unused_locked(h)
{
    if                             /*= if (active != NULL && active->used == 0) */
    :: owner[0] == h && used[0] == 0 -> hk_heap_release_locked(0)  /*= hk_heap_release_locked(heap, active) */
    :: owner[1] == h && used[1] == 0 -> hk_heap_release_locked(1)
    :: true
    fi
}

/*@ core/box/heap_idle.c: hk_heap_sweep_one */
inline hk_heap_sweep_one(h)
{
    LOCK(h);                       /*= hk_lock(&heap->lock) */
    hk_heap_collect_locked(h);     /*= hk_heap_collect_locked(heap) */
    hk_heap_release_unused_locked(h);  /*= hk_heap_release_unused_locked(heap) */
    UNLOCK(h);                     /*= hk_unlock(&heap->lock) */
    hk_heap_forward()              /*= hk_heap_forward(strays) */
}

/* ---- threads ---- */

#define COLLECTOR byte slab, next, strays, at, chain, chain_count

proctype thread_of_a()
{
    COLLECTOR;
    hk_heap_take(A);
    hk_heap_end(A);
    state[A] = NONE; /* hk_heap_retire */
    if
    :: state[A] = ALIVE; /* hk_heap_begin, in another thread */
       if
       :: hk_heap_end(A); state[A] = NONE
       :: true
       fi
    :: true
    fi;
    ended++
}

proctype thread_of_b()
{
    COLLECTOR;
    hk_heap_take(B);
    if
    :: hk_heap_end(B); state[B] = NONE
    :: true
    fi;
    ended++
}

proctype sweeper()
{
    COLLECTOR;
    hk_heap_sweep_one(A);
    hk_heap_sweep_one(ORPHANS);
    ended++
}

inline push(s, from, to, length)
{
    hk_remote_push(s, from, to, length);
    if
    :: collect ->
       collect = false;
       collect_for(mine)
    :: else
    fi;
    atomic { top = 0; before = 0; before_count = 0; mine = 0; block = 0 }
}

#define PUSHER byte top, before, before_count, mine, block; bool collect, tries

/* A block that somebody took comes back. */
inline push_handed()
{
    if
    :: atomic { handed != 0 -> block = handed; handed = 0 }
       push(SLAB_OF(block), block, block, 1)
    :: true
    fi
}

proctype pusher()
{
    COLLECTOR;
    PUSHER;
    link[2] = 1;
    push(0, 2, 1, 2);
    push(1, 4, 4, 1);
#if SCENE != 1
    push_handed();
#endif
    ended++
}

proctype other_pusher()
{
    COLLECTOR;
    PUSHER;
    push(0, 3, 3, 1);
    push_handed();
    ended++
}

/* Whatever is left in a remote word waits on the stack of a heap whose thread lives, and all blocks are counted. */
inline check_all()
{
    d_step {
        slab = 0;
        do
        :: slab < SLABS ->
           at = first[slab];
           next = count[slab];
           do
           :: next != 0 -> assert(at != 0 && where[at] == PUSHED && SLAB_OF(at) == slab); at = link[at]; next--
           :: else -> break
           od;
           assert(at == 0 && stacks[slab] == (count[slab] != 0));
           slab++
        :: else -> break
        od;
        slab = 0;
        do
        :: slab < HEAPS ->
           assert(!locked[slab] && (wake[slab] == 0 || state[slab] == ALIVE));
           next = wake[slab];
           do
           :: next != 0 -> stacks[next - 1]--; next = wake_next[next - 1]
           :: else -> break
           od;
           slab++
        :: else -> break
        od;
        assert(stacks[0] == 0 && stacks[1] == 0);
        assert((where[1] == PUSHED) + (where[2] == PUSHED) + (where[3] == PUSHED) == count[0]);
        assert((where[4] == PUSHED) == count[1]);
        assert((where[1] != IN) + (where[2] != IN) + (where[3] != IN) == used[0]);
        assert((where[4] != IN) == used[1])
    }
}

init
{
    byte slab, next, at;
    atomic {
        state[A] = ALIVE;
        state[B] = ALIVE;
        state[ORPHANS] = GONE;
        used[0] = 3;
        used[1] = 1;
        run thread_of_a();
        run pusher();
#if SCENE == 1
        run other_pusher()
#elif SCENE == 2
        run thread_of_b()
#else
        run sweeper()
#endif
    }
    ended == 3;
    check_all()
}
