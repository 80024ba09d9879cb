/* SPDX-License-Identifier: MIT
 *
 * registry_fixture: what the tests of the registry's choices share. Uses EXPECT: for children.
 */
#ifndef HK_TEST_REGISTRY_FIXTURE_H
#define HK_TEST_REGISTRY_FIXTURE_H

#include "unit.h"

#include "fake_os.h"
#include "superslab/registry.h"

#define TOP ((char *)0x7fffffe00000) /* the last 2 MiB that a program can have on x86-64 */

struct hk_superslab *fake_superslab(unsigned n);

/* Chooses the base, which a registry needs, as the arena does: with a first unit, which is not covered yet. Returns it.
 */
char *begin(void);

/* Addresses that are never ours, wherever the arenas are. */
void expect_foreign(void);

/* A unit that was covered and not used yet: enters and removes codes and the n-th SuperSlab. */
void use_unit(char *unit, unsigned n);

/* Bytes of all mappings of the tables, and their number. */
size_t mapped_bytes(unsigned *mappings);

#endif
