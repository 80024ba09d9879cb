/* SPDX-License-Identifier: MIT */
#include "slab_fixture.h"

#include "os/os.h"

struct hk_superslab *fixture_superslab(void)
{
    size_t unit;
    struct hk_superslab *ss = hk_os_map(hk_align_up(sizeof *ss, hk_os_page_size()));
    assert_non_null(ss);
    assert_int_equal(hk_space_extend(1, 1, &unit), 1);
    char *base = hk_space_address(unit);
    assert_true(hk_registry_cover(base, HK_SUPERSLAB_SIZE));
    hk_superslab_init(ss, base);
    hk_registry_set_superslab(base, ss);
    return ss;
}

struct hk_slab *fixture_open(struct hk_superslab *ss, unsigned index, unsigned cls, struct hk_owner *owner)
{
    struct hk_slab *slab = hk_slab_open(ss, index, cls, true);
    slab->state = HK_SLAB_PARTIAL;
    hk_slab_set_owner(slab, owner);
    hk_registry_set_code(hk_slab_base(slab), slab->slabs, hk_code_of_class(cls));
    return slab;
}

void *fixture_chain(void **blocks, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        hk_link_to(blocks[i], i + 1 < n ? blocks[i + 1] : NULL);
    return n > 0 ? blocks[0] : NULL;
}
