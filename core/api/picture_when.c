/* SPDX-License-Identifier: MIT
 *
 * When the picture is drawn, and where to: hak_heap_picture to a descriptor; HAKMEM_HEAP_PICTURE to a file, at exit
 * and, where HAKMEM_HEAP_PICTURE_SIGNAL names a signal, when that comes.
 *
 * The signal's handler only counts and wakes a helper thread, which does the drawing: so it works in a program that
 * sleeps in a system call or never allocates again. The thread exists only where the signal was asked for.
 */
#include "api/picture.h"
#include "api/report_file.h"
#include "base/options.h"
#include "hakmem/hakmem.h"
#include "os/file.h"
#include "os/thread.h"

#include <signal.h>

/* One file is written at a time. Outside the ranks: taken while nothing else is held. */
static struct hk_lock file_lock = HK_LOCK_FREE(HK_RANK_FILE);
static unsigned number; /* of the last picture in a file; file_lock */

static _Atomic uint32_t asked;   /* how often the signal came; the helper sleeps on it */
static _Atomic uint32_t stop;    /* the helper is to end */
static _Atomic uint32_t running; /* 1 while the helper lives */
static struct sigaction before;  /* what the signal did; valid while `signal_number` is not 0 */
static int signal_number;        /* that we have a handler for, or 0; written before main and at exit */

static bool draw_to(int fd, const char *moment)
{
    struct hk_fmt f;
    hk_fmt_start(&f, fd);
    hk_picture_draw(&f, moment);
    return hk_fmt_end(&f);
}

int hak_heap_picture(int fd)
{
    return draw_to(fd, "when it asked for this picture") ? 0 : -1;
}

static void complain_once(const char *text)
{
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_HEAP_PICTURE%s\n", text);
    hk_fmt_end(&f);
}

static void write_file(const char *moment)
{
    hk_lock(&file_lock);
    struct hk_report_file file;
    hk_report_open(&file, hk_opt_text(HK_TEXT_HEAP_PICTURE), ++number);
    bool written = file.fd >= 0 && draw_to(file.fd, moment);
    hk_report_close(&file, written, "HAKMEM_HEAP_PICTURE");
    hk_unlock(&file_lock);
}

/* ---- the signal ---- */

static void ask_for_picture(int signum)
{
    hk_add_relaxed(&asked, 1); /* hands nothing over */
    hk_thread_wake(&asked);
}

static void *draw_when_asked(void *arg)
{
    uint32_t seen = 0;
    while (hk_load_relaxed(&stop) == 0) {
        uint32_t now = hk_load_relaxed(&asked);
        if (now != seen) {
            seen = now;
            if (hk_load_relaxed(&stop) != 0)
                break; /* it was end_signal that asked */
            write_file("when a signal asked for this picture");
        } else {
            hk_thread_sleep(&asked, seen, 3600000); /* and looks once an hour for nothing */
        }
    }
    hk_store_release(&running, 0); /* pairs with the load in hk_picture_finish */
    hk_thread_wake(&running);
    return NULL;
}

static bool start_helper(void)
{
    hk_store_relaxed(&asked, 0);
    hk_store_relaxed(&running, 1); /* seen by the helper: it is made after this */
    if (hk_thread_start(draw_when_asked))
        return true;
    hk_store_relaxed(&running, 0);
    return false;
}

/* The handler and the helper's code may be about to be unmapped (dlclose of what links us). */
static void end_signal(void)
{
    struct sigaction now;
    if (signal_number != 0 && sigaction(signal_number, NULL, &now) == 0 && now.sa_handler == ask_for_picture)
        sigaction(signal_number, &before, NULL);
    signal_number = 0;
    hk_store_relaxed(&stop, 1);
    hk_add_relaxed(&asked, 1); /* so that it does not go to sleep */
    hk_thread_wake(&asked);
    /* A picture that it is just drawing is waited for; not for ever: there may be no helper in a child that no fork
     * handler ran in, or exit may have been called while a lock is held that it needs. */
    for (unsigned i = 0; i < 500 && hk_load_acquire(&running) != 0; i++) /* pairs with the release in draw_when_asked */
        hk_thread_sleep(&running, 1, 20);
}

void hk_picture_start(void)
{
    int signum = (int)hk_opt(HK_OPT_HEAP_PICTURE_SIGNAL);
    struct sigaction action = {.sa_handler = ask_for_picture, .sa_flags = SA_RESTART | SA_ONSTACK};
    if (signum == 0)
        return;
    if (hk_opt_text(HK_TEXT_HEAP_PICTURE)[0] == 0) {
        complain_once("_SIGNAL: HAKMEM_HEAP_PICTURE says where to, and is not set");
        return;
    }
    if (!start_helper()) {
        complain_once("_SIGNAL: no thread can be made, so the signal is left alone");
        return;
    }
    sigfillset(&action.sa_mask);
    if (sigaction(signum, &action, &before) == 0) {
        signal_number = signum;
        return;
    }
    complain_once("_SIGNAL: the system refuses a handler for that signal");
    end_signal();
}

void hk_picture_finish(void)
{
    if (hk_load_relaxed(&running) != 0 || signal_number != 0)
        end_signal();
    if (hk_opt_text(HK_TEXT_HEAP_PICTURE)[0] != 0)
        write_file("at its end");
}

void hk_picture_fork_child(bool may_start)
{
    hk_lock_reset(&file_lock);
    if (hk_load_relaxed(&running) == 0)
        return;
    hk_store_relaxed(&running, 0);
    if (may_start) /* inside fork: later the child may never come here again, and only who asked for it has it */
        start_helper();
}
