/* SPDX-License-Identifier: MIT
 *
 * arena_model: what the tests of the ss_arena box believe about every page they were given: live runs with a tag in
 * each page, and which free pages may be resident. Uses EXPECT: for children.
 */
#ifndef HK_TEST_ARENA_MODEL_H
#define HK_TEST_ARENA_MODEL_H

#include "unit.h"

#include "pages/ss_arena_source.h"

#define MODEL_RUNS 128u

struct model_run {
    char *start; /* NULL: not in use */
    size_t pages;
    uint64_t tag;   /* written at both ends of every page */
    bool superslab; /* then: which slabs were never written */
    uint32_t clean;
};

struct model {
    uint64_t seed;
    uint64_t tags;
    size_t live_pages;
    struct model_run run[MODEL_RUNS];
};

/* Each true when the run was there; take: false when the arena gave nothing. All verify what they see. */
bool model_take(struct model *m, size_t pages, size_t align);
bool model_take_superslab(struct model *m);
bool model_resize(struct model *m, unsigned i, size_t pages);
void model_give(struct model *m, unsigned i);
void model_give_all(struct model *m);

/* One random operation, of runs up to `most` pages; allocations may be refused only if `may_fail`. */
void model_step(struct model *m, size_t most, bool may_fail);

/* The arena's own check, its sums, its answers about random addresses in every run, and all contents. */
void model_check(struct model *m);

/* Purges piece by piece until at most `keep` dirty bytes are left, or no run has been free for delay_ms; one that the
 * system refuses is not asked for again. Returns the bytes given back. */
size_t purge_runs(uint32_t now, uint32_t delay_ms, size_t keep);

#endif
