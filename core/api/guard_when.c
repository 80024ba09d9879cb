/* SPDX-License-Identifier: MIT */
#include "api/guard.h"

#include "base/fmt.h"
#include "base/options.h"
#include "hakmem/hakmem.h"
#include "os/lock.h"

#include <errno.h>

enum { OFF, ON, WITHOUT_THREAD }; /* of HAKMEM_GUARD */

static const struct hk_guard_above above = {hk_guard_write, hk_guard_catch};

/* Outside of the ranks, as that of profiles: taken while nothing else is held. */
static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_FILE);

static bool begin(bool with_thread)
{
    hk_lock(&lock);
    bool begun = hk_front_guard_begin(&above);
    hk_unlock(&lock);
    if (begun && with_thread)
        hk_guard_start_thread(); /* refused: slow paths choose */
    return begun;
}

int hak_guard_start(void)
{
    int saved = errno;
    if (!begin(hk_opt(HK_OPT_GUARD) != WITHOUT_THREAD)) {
        errno = ENOMEM;
        return -1;
    }
    errno = saved;
    return 0;
}

void hak_guard_stop(void)
{
    int saved = errno;
    hk_front_guard_end();
    errno = saved;
}

void hk_guard_start(void)
{
    struct hk_fmt f;
    int64_t how = hk_opt(HK_OPT_GUARD);
    if (how == OFF || begin(how == ON))
        return;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_GUARD: no memory for guarded blocks\n");
    hk_fmt_end(&f);
}

void hk_guard_finish(void)
{
    hk_front_guard_end();
    hk_guard_let_go();
}

void hk_guard_fork_child(bool may_start)
{
    hk_lock_reset(&lock);
    hk_front_guard_fork_child(may_start);
}
