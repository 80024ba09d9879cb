/* SPDX-License-Identifier: MIT
 *
 * Fronts that use room.c and have an option that leaves a group of classes without bins. Each case runs in a child.
 */
#include "front_fixture.h"

#include "front/bin.h"

#include "base/options.h"

#include <signal.h>
#include <sys/wait.h>

static void *blocks[400];

static void turn_off(void *arg)
{
    unsigned group = *(const unsigned *)arg;
    front_turn_off(group);
    struct hk_thread *thread = hk_front_attach();
    front_be_threaded();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        bool off = hk_class_group(cls) == group;
        size_t size = hk_class_size(cls);
        unsigned n = (unsigned)hk_min(400, 4 * HK_MIB / size);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < n; i++)
                memset(blocks[i] = front_take(size), (int)i, size);
            for (unsigned i = 0; i < n; i++) {
                EXPECT(((char *)blocks[i])[0] == (char)i && ((char *)blocks[i])[size - 1] == (char)i);
                front_free(blocks[i]);
                EXPECT(!off || hk_bin_count(thread, cls) == 0);
            }
        }
        EXPECT((thread->own.room.cap[cls].max != 0) == !off);
        EXPECT(hk_front_is_bypassed(thread, cls) || !off);
        EXPECT((thread->metrics[cls].refills == 0) == off && (thread->metrics[cls].flushes == 0 || !off));
    }
    front_check();
    EXPECT(hk_heap_check(&thread->heap));
    hk_front_flush_all(thread);
    EXPECT(front_owned_slabs() == 0);
}

static void free_twice_when_off(void *arg)
{
    unsigned group = *(const unsigned *)arg;
    front_turn_off(group);
    void *p = front_take(hk_class_size(front_first_of(group)));
    front_free(p);
    front_free(p);
}

static void a_group_can_be_off(void **state)
{
    (void)state;
    unsigned groups[] = {0, 1, 3, 5, 7};
    for (unsigned i = 0; i < HK_COUNT(groups); i++) {
        struct unit_child child;
        unit_passes(turn_off, &groups[i]);
        unit_run(&child, free_twice_when_off, &groups[i]);
        assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
        assert_non_null(strstr(child.text, "double free"));
    }
}

/* The front is out of the way: what it would hold goes to the slabs, or to the TLS SLL. */
static void turn_all_off(void *slim)
{
    if (slim != NULL)
        EXPECT(hk_option_store(HK_OPT_TINY_FRONT_SLIM, 1));
    else
        front_turn_all_off();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 50; i++)
                memset(blocks[i] = front_take(hk_class_size(cls)), (int)i, hk_class_size(cls));
            for (unsigned i = 0; i < 50; i++) {
                EXPECT(((char *)blocks[i])[hk_class_size(cls) - 1] == (char)i);
                front_free(blocks[i]);
            }
            EXPECT(!HK_TLS_SLL || cls > HK_TINY_LAST || hk_front_count(front_self(), cls) != 0);
        }
    }
    struct hk_thread *thread = front_self();
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++)
        EXPECT(hk_bin_count(thread, cls) == 0 && thread->own.room.cap[cls].max == 0);
    EXPECT(hk_heap_check(&thread->heap));
    hk_front_flush_all(thread);
    EXPECT(front_owned_slabs() == 0);
}

static void the_front_can_be_off(void **state)
{
    (void)state;
    bool slim = true;
    unit_passes(turn_all_off, NULL);
    unit_passes(turn_all_off, &slim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_can_be_off),
        cmocka_unit_test(the_front_can_be_off),
    };
    return cmocka_run_group_tests_name("front_off", tests, NULL, NULL);
}
