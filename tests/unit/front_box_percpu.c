/* SPDX-License-Identifier: MIT */
#include "front_fixture.h"

#include "front/percpu/shelf.h"

#include <sched.h>

/* What was freed is found again where it was freed: all threads of a test run on one processor, but those that go
 * elsewhere on purpose. */
__attribute__((constructor)) static void stay_on_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    EXPECT(sched_setaffinity(0, sizeof one, &one) == 0);
}

/* Blocks of the right class, and no more than there is room for; heads where they were laid out. */
static void check_shelf(const struct hk_shelf *shelf)
{
    void *const *base = shelf->slots;
    for (unsigned cls = 1; cls < HK_CLASS_COUNT; cls++) {
        unsigned count = hk_shelf_count(shelf, cls);
        EXPECT(count <= hk_shelf_cap(shelf, cls) && hk_shelf_cap(shelf, cls) <= hk_percpu_most(cls));
        EXPECT(shelf->head[cls].cur == base + count);
        for (unsigned i = 1; i <= count; i++)
            EXPECT(hk_registry_class(base[i]) == cls && hk_slab_is_block(hk_slab_of(base[i]), base[i]));
        base += hk_percpu_most(cls) + 1;
    }
    EXPECT(base == shelf->slots + HK_FRONT_SLOTS);
}

/* All shelves: in a child of one thread. */
void front_check(void)
{
    struct hk_thread *thread = front_self();
    struct hk_shelf *_Atomic *table = hk_shelf_table(thread);
    EXPECT(thread->front == hk_front_mine() && hk_front_mine()->thread == thread);
    for (unsigned i = 0; table != NULL && i < hk_load_relaxed(&hk_shelf_processors); i++) {
        const struct hk_shelf *shelf = hk_shelf_of(table, i);
        EXPECT(shelf == NULL || shelf == hk_load_relaxed(&table[i])); /* nobody has it */
        if (shelf != NULL)
            check_shelf(shelf);
    }
    for (size_t i = 0; i < sizeof thread->front->bin[0]; i++)
        EXPECT(((const char *)&thread->front->bin[0])[i] == 0);
}
