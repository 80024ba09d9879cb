/* SPDX-License-Identifier: MIT
 *
 * The process's life: options at start, fork, statistics at exit. Nothing here must have run before malloc works.
 */
#include "api/board.h"
#include "api/entry.h"
#include "api/guard.h"
#include "api/leaks.h"
#include "api/picture.h"
#include "api/profile.h"
#include "api/report_file.h"
#include "api/stats.h"
#include "base/assert.h"
#include "base/held.h"
#include "base/options.h"
#include "large/huge.h"
#include "large/own.h"
#include "box/purge.h"
#include "box/transfer.h"
#include "front/front.h"
#include "front/slow.h"
#include "hakmem/hakmem.h"
#include "os/auxv.h"
#include "os/file.h"
#include "os/numa.h"
#include "os/os.h"
#include "os/parent.h"
#include "os/thread.h"
#include "pages/meta.h"

#include <string.h>

HK_HIDDEN const char hk_lifecycle_linked = 0; /* see entry.h */

/* The same for the board and its note. */
static const struct hk_board *const link_board __attribute__((used)) = &hk_board;

/* fork. Whether these run before or after those of other libraries makes no difference: between close and open malloc
 * neither waits nor takes a lock, in any thread. */
static void fork_prepare(void)
{
    hk_gate_close(hk_front_pass(hk_front_thread()));
}

static void fork_parent(void)
{
    int saved = errno;
    if (hk_gate_open(hk_front_pass(hk_front_thread())))
        hk_front_free_deferred();
    errno = saved;
}

static void fork_child(void)
{
    int saved = errno;
    struct hk_thread *mine = hk_front_thread();
    hk_all_locks_free();
    if (!hk_single_threaded())
        hk_misuse_left_behind = true; /* before there is a second thread again */
    hk_lock_reset(hk_pool_lock());
    hk_lock_reset(hk_arena_lock());
    hk_lock_reset(hk_huge_lock());
    hk_lock_reset(hk_meta_lock());
    hk_lock_reset(hk_profile_lock());
    hk_heap_fork_child(mine != NULL ? &mine->heap : NULL);
    if (HK_TRANSFER)
        hk_transfer_fork_child(hk_gate_is_inside(hk_front_pass(mine)));
    hk_front_fork_child();
    hk_own_fork_child(hk_gate_is_inside(hk_front_pass(mine)));
    hk_gate_reset(hk_front_pass(mine));
    hk_front_free_deferred();
    /* A thread is made by calls of malloc, and by much that a handler which interrupted malloc had better not do. */
    bool may_start = !hk_gate_is_inside(hk_front_pass(mine));
    hk_purge_fork_child(may_start);
    hk_picture_fork_child(may_start);
    hk_guard_fork_child(may_start);
    hk_profile_fork_child();
    hk_leaks_fork_child();
    errno = saved;
}

/* Nine tenths of the cgroup's limit: the program has memory that is not ours. */
static void resolve_memory_limit(void)
{
    if (hk_opt(HK_OPT_MEMORY_LIMIT) != INT64_MAX)
        return;
    size_t limit = hk_os_cgroup_limit();
    hk_option_store(HK_OPT_MEMORY_LIMIT, limit >= INT64_MAX ? 0 : (int64_t)(limit / 10 * 9));
}

static char **environment; /* while options are read */

/* Children of a program do not repeat what it said: the same entry stood in the parent's environment when it was
 * started, and the same library was preloaded into it. Called only where there is something to say. */
static bool parent_has_said(const char *entry)
{
    for (char **at = environment; *at != NULL; at++) {
        if (strncmp(*at, "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0)
            return hk_parent_began_with(*at) && hk_parent_began_with(entry);
    }
    return false; /* linked: whether the parent is, too, is not known */
}

static HK_ONCE void read_options(void)
{
    environment = hk_auxv_environment();
    if (environment != NULL)
        hk_options_init(environment, parent_has_said);
    resolve_memory_limit();
}

static int stats_fd = -1; /* where statistics at exit go */

static HK_ONCE bool wants_stats(void)
{
    return HK_STATS &&
           (hk_opt(HK_OPT_STATS) | hk_opt(HK_OPT_SHARED_POOL_STAGE_STATS) | hk_opt(HK_OPT_TINY_FRONT_METRICS));
}

__attribute__((constructor(101))) static void start(void)
{
    hk_thread_watch_fork(fork_prepare, fork_parent, fork_child);
    hk_os_start();
    if (!hk_os_is_secure()) {
        read_options();
    }
    if (HK_NUMA && hk_numa_start())
        hk_arena_place();
    hk_purge_start();
    /* Many programs close stderr before they end (coreutils do): for them statistics go to a copy, kept only when
     * asked. */
    if (wants_stats())
        stats_fd = hk_file_copy(2, 100);
    hk_picture_start();
    hk_profile_start();
    hk_leaks_start();
    hk_guard_start();
}

/* The page has the tables in it. */
static void print_stats(int fd)
{
    if (hk_opt(HK_OPT_STATS) == 1) {
        hak_stats_print(fd);
        return;
    }
    if (HK_STATS && hk_opt(HK_OPT_SHARED_POOL_STAGE_STATS) == 1)
        hk_stats_print_stages(fd);
    if (HK_STATS && hk_opt(HK_OPT_TINY_FRONT_METRICS) == 1)
        hk_stats_print_fronts(fd);
}

static HK_ONCE void report_at_exit(void)
{
    int fd = stats_fd >= 0 ? stats_fd : 2;
    bool wants_json = hk_stats_path[0] != 0;
    /* In a signal handler that interrupted malloc what would be counted is half changed, and this thread holds its
     * lock. */
    if (hk_gate_is_inside(hk_front_pass(hk_front_thread()))) {
        if (wants_stats() || wants_json)
            hk_report_none(fd);
        return;
    }
    if (HK_DELAY)
        hk_hard_let_all_go(); /* says what was written into them */
    if (wants_stats())
        print_stats(fd);
    hk_picture_finish();
    hk_leaks_finish();
    hk_profile_finish();
    if (wants_json)
        hk_report_json(hk_stats_path);
}

__attribute__((destructor(101))) static void finish(void)
{
    hk_purge_stop();
    hk_guard_finish();
    report_at_exit();
    hk_thread_exit_fini(); /* after the reports: what threads that end now leave is given away as long as that goes */
}
