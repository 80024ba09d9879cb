/* SPDX-License-Identifier: MIT
 *
 * Whom SIGEV_THREAD_ID's signal goes to: C libraries name the member differently, and glibc 2.36 has no name for it.
 */
#ifndef HK_TEST_TIMER_THREAD_H
#define HK_TEST_TIMER_THREAD_H

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* A timer with this event interrupts the calling thread with that signal. */
static inline struct sigevent timer_of_thread(int signal_number)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_number};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    return event;
}

#endif
