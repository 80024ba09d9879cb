/* SPDX-License-Identifier: MIT */
#include "state.h"

#include "check.h"
#include "fake_os.h"
#include "front/front.h"
#include "os/thread.h"

#include <stdint.h>
#include <sys/mman.h>

/* From here on not in the sections: what is kept is no part of what is put back. */
#ifdef __clang__
#pragma clang section bss = "" data = ""
#endif

extern char __start_hk_state[] __attribute__((weak)), __stop_hk_state[] __attribute__((weak));
extern char __start_hk_state_zero[] __attribute__((weak)), __stop_hk_state_zero[] __attribute__((weak));

#define STATE_MOST ((size_t)4 << 20)

static char *kept;

/* No memcpy, and unchecked: there is room between variables that nobody may touch otherwise. */
__attribute__((no_sanitize("address", "alignment"))) static void copy(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8)
        *(volatile uint64_t *)(to + i) = *(const uint64_t *)(from + i);
    for (; i < size; i++)
        *(volatile char *)(to + i) = from[i];
}

static size_t size_of_state(void)
{
    return (size_t)(__stop_hk_state - __start_hk_state);
}

static size_t size_of_zero(void)
{
    return (size_t)(__stop_hk_state_zero - __start_hk_state_zero);
}

void state_keep(void)
{
    if (__start_hk_state_zero == NULL)
        return;
    fake_os_track_maps();
    kept = mmap(NULL, STATE_MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(kept != MAP_FAILED && size_of_state() + size_of_zero() <= STATE_MOST);
    copy(kept, __start_hk_state, size_of_state());
    copy(kept + size_of_state(), __start_hk_state_zero, size_of_zero());
}

void state_restore(void)
{
    if (kept == NULL)
        return;
    hk_thread_exit_fini(); /* nothing is to run at the end of this thread, and there are few keys */
    fake_os_unmap_all();
    copy(__start_hk_state, kept, size_of_state());
    copy(__start_hk_state_zero, kept + size_of_state(), size_of_zero());
    *hk_front_mine() = (struct hk_front){{0}};
}
