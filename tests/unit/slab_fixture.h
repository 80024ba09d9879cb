/* SPDX-License-Identifier: MIT
 *
 * slab_fixture: SuperSlabs without a pool, for the tests of what is below it.
 */
#ifndef HK_TEST_SLAB_FIXTURE_H
#define HK_TEST_SLAB_FIXTURE_H

#include "unit.h"

#include "superslab/slab.h"

/* A new SuperSlab, registered; all slabs UNUSED. */
struct hk_superslab *fixture_superslab(void);

/* Opens a span as the pool would. */
struct hk_slab *fixture_open(struct hk_superslab *ss, unsigned index, unsigned cls, struct hk_owner *owner);

/* Links n blocks to a chain, the first given at its head. */
void *fixture_chain(void **blocks, unsigned n);

#endif
