/* SPDX-License-Identifier: MIT
 *
 * Where a program may have pointers: its threads' registers, their stacks as far as they are in use, and every page
 * that it has written, of whatever mapping, but for hakmem's own.
 */
#include "box/leaks_priv.h"

#include "box/side.h"
#include "os/os.h"

#include <string.h>

/* Below its stack pointer a function may use so much. */
#define RED_ZONE 128u

/* ---- what is left out ---- */

/* The first range that is skipped and ends behind an address. */
static size_t first_skipped(const struct hk_leak_scan *s, uintptr_t address)
{
    size_t low = 0, n = s->skipped.count; /* it lies in [low, low + n] */
    while (n > 0) {
        const struct hk_leak_block *middle = &s->skipped.item[low + n / 2];
        if (middle->start + middle->size <= address) {
            low += n / 2 + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return low;
}

static void use_range(struct hk_leak_scan *s, uintptr_t from, uintptr_t to, enum hk_pages which, hk_leak_use *use)
{
    for (size_t i = first_skipped(s, from); from < to; i++) {
        const struct hk_leak_block *skipped = i < s->skipped.count ? &s->skipped.item[i] : NULL;
        uintptr_t end = skipped != NULL ? hk_min(skipped->start, to) : to;
        if (from < end)
            hk_leaks_words(s, from, end, which, use);
        from = skipped != NULL ? hk_max(from, skipped->start + skipped->size) : to;
    }
}

/* ---- stacks ---- */

/* The start of a thread's own memory on a stack: on x86-64 its first and third words are its own address. (Elsewhere
 * nothing tells, and a stack without a thread counts as memory.) 0: none. */
static uintptr_t find_thread_memory(struct hk_leak_scan *s, uintptr_t from, uintptr_t to)
{
    size_t page = hk_os_page_size();
    bool own[HK_PAGES_ASKED];
    for (uintptr_t end = to; HK_SELF_POINTERS && end > from;) { /* it is at the end, mostly */
        unsigned n = (unsigned)hk_min((end - from) / page, HK_PAGES_ASKED);
        uintptr_t start = end - n * page;
        hk_pages_look(s->pages, start, n, HK_PAGES_OWN, own);
        for (unsigned i = n; i-- > 0;) {
            uintptr_t at = start + i * page;
            bool readable = own[i] && hk_unwind_can_read(at);
            for (uintptr_t p = at; readable && p < at + page; p += HK_CACHE_LINE) {
                if (((const uintptr_t *)p)[0] == p && ((const uintptr_t *)p)[2] == p)
                    return p;
            }
        }
        end = start;
    }
    return 0;
}

/* From where on a mapping that is a stack is in use: from the stack pointer of its thread on, or all of it where that
 * runs on another stack now (a signal's, a coroutine's). Of one whose thread has ended, kept by the C library for the
 * next, only what that itself keeps there. */
static uintptr_t start_of_stack(struct hk_leak_scan *s, const struct hk_mapping *m, bool is_main)
{
    uintptr_t lowest = m->to;
    bool is_own = is_main;
    for (size_t i = 0; i < s->still->threads; i++) {
        const struct hk_still_thread *t = &s->still->thread[i];
        if (t->sp >= m->from && t->sp < m->to)
            lowest = hk_min(lowest, t->sp - RED_ZONE);
        is_own |= t->tp >= m->from && t->tp < m->to;
    }
    if (lowest != m->to)
        return hk_max(hk_align_down(lowest, sizeof(uintptr_t)), m->from);
    uintptr_t left = is_own ? 0 : find_thread_memory(s, m->from, m->to);
    return left != 0 ? left : m->from;
}

/* ---- mappings ---- */

/* Memory that has no file which may become shorter, so that its pages can be read as long as they are there. */
static bool is_shared_memory(const struct hk_mapping *m)
{
    return m->writable && (strncmp(m->path, "/dev/zero", 9) == 0 || strncmp(m->path, "/memfd:", 7) == 0 ||
                           strncmp(m->path, "/SYSV", 5) == 0);
}

static void use_mapping(struct hk_leak_scan *s, size_t i, hk_leak_use *use)
{
    const struct hk_mapping *m = &s->maps.mapping[i], *before = i > 0 ? m - 1 : NULL;
    bool is_main = strcmp(m->path, "[stack]") == 0;
    bool is_guarded = before != NULL && before->to == m->from && !before->readable && !before->writable;
    if (!m->readable || strncmp(m->path, "[v", 2) == 0) /* the kernel's, as [vvar] */
        return;
    if (m->shared) {
        if (is_shared_memory(m))
            use_range(s, m->from, m->to, HK_PAGES_THERE, use);
        return;
    }
    bool is_stack = m->writable && (is_main || (is_guarded && m->path[0] != '/'));
    use_range(s, is_stack ? start_of_stack(s, m, is_main) : m->from, m->to, HK_PAGES_OWN, use);
}

void hk_leaks_roots(struct hk_leak_scan *s, hk_leak_use *use)
{
    for (size_t i = 0; i < s->still->threads; i++) {
        const struct hk_still_thread *t = &s->still->thread[i];
        for (unsigned w = 0; w < HK_STILL_WORDS; w++) {
            if (t->word[w] - s->lowest < s->span)
                use(s, t->word[w]);
        }
    }
    use(s, (uintptr_t)hk_load_relaxed(&hk_side_notes)); /* blocks that are to be freed when the gate is open again */
    for (size_t i = 0; i < s->unclear.count; i++) {
        const struct hk_leak_block *u = &s->unclear.item[i];
        hk_leaks_words(s, u->start, u->start + u->size, HK_PAGES_OWN, use);
    }
    for (size_t i = 0; i < s->maps.count; i++)
        use_mapping(s, i, use);
}
