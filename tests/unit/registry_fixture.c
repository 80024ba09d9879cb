/* SPDX-License-Identifier: MIT */
#include "registry_fixture.h"

#include <stdlib.h>

struct hk_superslab *fake_superslab(unsigned n)
{
    return (struct hk_superslab *)(uintptr_t)(0x1000 + n * 64);
}

char *begin(void)
{
    size_t first;
    EXPECT(hk_space_extend(1, 1, &first) == 1 && first == 0);
    return hk_space_address(0);
}

void expect_foreign(void)
{
    uintptr_t ours = hk_space_base;
    static int in_bss;
    int on_stack;
    void *on_heap = malloc(10);
    const void *pointers[] = {
        NULL,
        (void *)1,
        (void *)0xffff,
        &in_bss,
        &on_stack,
        on_heap,
        (void *)&expect_foreign,
        (void *)0x8000000000000000u,
        (void *)(ours | 0xffff000000000000u),
        (void *)(ours | 0x0100000000000000u),
        (void *)(ours - HK_SLAB_SIZE),
        (void *)(ours - 1),
        (void *)(ours + HK_SPACE_MOST),
        (void *)((uintptr_t)TOP + 0x200000),
        (void *)UINTPTR_MAX,
    };
    for (size_t i = 0; i < HK_COUNT(pointers); i++) {
        EXPECT(hk_registry_code(pointers[i]) == 0);
        EXPECT(hk_registry_superslab(pointers[i]) == NULL);
    }
    free(on_heap);
}

void use_unit(char *unit, unsigned n)
{
    for (unsigned i = 0; i < HK_SLABS; i++)
        EXPECT(hk_registry_code(unit + i * HK_SLAB_SIZE) == 0);
    EXPECT(hk_registry_superslab(unit) == NULL);
    hk_registry_set_superslab(unit, fake_superslab(n));
    for (unsigned i = 0; i < HK_SLABS; i++)
        hk_registry_set_code(unit + i * HK_SLAB_SIZE, 1, hk_code_of_class(1 + (i + n) % (HK_CLASS_COUNT - 1)));
    for (unsigned i = 0; i < HK_SLABS; i++) {
        unsigned want = 2 * (1 + (i + n) % (HK_CLASS_COUNT - 1));
        char *slab = unit + i * HK_SLAB_SIZE;
        EXPECT(hk_registry_code(slab) == want);
        EXPECT(hk_registry_code(slab + HK_SLAB_SIZE - 1) == want);
        EXPECT(hk_registry_code(slab + 4321) == want);
        EXPECT(hk_registry_superslab(slab + 4321) == fake_superslab(n));
        EXPECT(hk_registry_superslab_of_block(slab + 4321) == fake_superslab(n));
    }
    hk_registry_set_code(unit + HK_SLAB_SIZE, 4, 0);
    EXPECT(hk_registry_code(unit) != 0);
    for (unsigned i = 1; i < 5; i++)
        EXPECT(hk_registry_code(unit + i * HK_SLAB_SIZE) == 0);
    EXPECT(hk_registry_code(unit + 5 * HK_SLAB_SIZE) != 0);
    EXPECT(hk_registry_unit(unit) < HK_UNITS_MAX && hk_registry_unit(unit) == hk_registry_unit(unit + 4321));
    EXPECT(hk_registry_superslab_at(hk_registry_unit(unit)) == fake_superslab(n));
}

static void add_mapping(void *ctx, void *start, size_t size)
{
    size_t *sum = ctx;
    EXPECT(start != NULL && size > 0);
    sum[0] += size;
    sum[1]++;
}

size_t mapped_bytes(unsigned *mappings)
{
    size_t sum[2] = {0, 0};
    hk_registry_visit(add_mapping, sum);
    *mappings = (unsigned)sum[1];
    return sum[0];
}
