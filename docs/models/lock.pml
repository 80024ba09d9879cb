/* SPDX-License-Identifier: MIT
 *
 * The lock of one word: at most one thread holds it, and nobody sleeps for ever.
 *
 * Three threads take and release it twice each; it was taken and released once before, while there was one thread. The
 * kernel's futex is two steps: it looks at the word and sleeps, in one; and it wakes one sleeper. That nobody sleeps
 * for ever is that all threads end.
 *
 * run:
 * fault: FAULT=1 | invalid end state | who is about to sleep writes 1, so that nobody wakes it
 * fault: FAULT=2 | invalid end state | the release looks at the word and then writes it
 * fault: FAULT=3 | invalid end state | the kernel does not look at the word again
 * fault: FAULT=4 | assertion violated | the word is looked at and then written, in two steps
 * fault: FAULT=5 | assertion violated | a second thread is made inside a critical section
 */
#ifndef FAULT
#define FAULT 0
#endif

#define THREADS 3

byte word;
bool single = true;
bool asleep[THREADS];
byte holders;

/* ---- the kernel ---- */

#if FAULT == 3
#define IS_STILL(value) true
#else
#define IS_STILL(value) word == value
#endif

inline futex_wait(value)
{
    atomic {
        if
        :: IS_STILL(value) -> asleep[me] = true
        :: else
        fi
    }
    !asleep[me]
}

inline futex_wake()
{
    atomic {
        if
        :: asleep[0] -> asleep[0] = false
        :: asleep[1] -> asleep[1] = false
        :: asleep[2] -> asleep[2] = false
        :: else
        fi
    }
}

/* ---- the lock ---- */

#if FAULT == 4
#define LOOK_AND_TAKE word == 0 -> word = 1
#else
#define LOOK_AND_TAKE atomic { word == 0 -> word = 1 }
#endif

#if FAULT == 1
#define ASLEEP 1
#else
#define ASLEEP 2
#endif

/*@ core/os/lock.c: hk_lock_slow */
inline hk_lock_slow()
{
    got = false;
    do                  /*= for (int i = 0; i < 100; i++) */
    :: LOOK_AND_TAKE;   /*= hk_cas_acquire(&lock->word, &expected, 1) */
       got = true;
       break
    :: break            /* a hundred times */
    od;
    do
    :: got -> break
    :: else ->
       atomic { old = word; word = ASLEEP }  /*= while (hk_swap_acquire(&lock->word, 2) != 0) */
       if
       :: old == 0 -> got = true
       :: else -> futex_wait(ASLEEP)         /*= hk_sys4(SYS_futex, (long)&lock->word, HK_FUTEX_WAIT_PRIVATE, 2, 0) */
       fi
    od
}

/*@ core/os/lock.h: hk_lock */
inline hk_lock()
{
    if
    :: single                       /*= !hk_single_threaded() */
    :: !single ->
       if
       :: LOOK_AND_TAKE             /*= !hk_cas_acquire(&lock->word, &expected, 1) */
       :: else -> hk_lock_slow()    /*= hk_lock_slow(lock) */
       fi
    fi
}

/*@ core/os/lock.h: hk_try_lock */
inline hk_try_lock()
{
    if
    :: LOOK_AND_TAKE -> got = true  /*= bool mine = hk_cas_acquire(&lock->word, &expected, 1) */
    :: else -> got = false
    fi
}

/*@ core/os/lock.h: hk_unlock */
inline hk_unlock()
{
    if
    :: word == 0                        /*= if (hk_load_relaxed(&lock->word) == 0) */
    :: else ->
#if FAULT == 2
       old = word;
       word = 0;
#else
       atomic { old = word; word = 0 }  /*= hk_swap_release(&lock->word, 0) == 2 */
#endif
       if
       :: old == 2 -> futex_wake()      /*= hk_lock_wake(lock) */
       :: else
       fi
    fi
}

/* ---- who uses it ---- */

inline hold()
{
    holders++;
    assert(holders == 1);
    holders--
}

proctype thread(byte me)
{
    byte rounds, old;
    bool got;
    do
    :: rounds < 2 ->
       rounds++;
       hk_lock();
       hold();
       hk_unlock()
    :: rounds < 2 ->
       rounds++;
       hk_try_lock();
       if
       :: got ->
          hold();
          hk_unlock()
       :: else
       fi
    :: rounds == 2 -> break
    od
}

/* The first thread before there is another, which it is when it makes that. */
init
{
    byte me, old;
    bool got;
    hk_lock();
    holders++;
#if FAULT == 5
    atomic { single = false; run thread(1); run thread(2) }
#endif
    assert(holders == 1);
    holders--;
    hk_unlock();
#if FAULT != 5
    atomic { single = false; run thread(1); run thread(2) }
#endif
    run thread(0)
}
