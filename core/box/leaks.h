/* SPDX-License-Identifier: MIT
 *
 * leaks: which live blocks nobody can reach any more.
 *
 * All other threads stand still meanwhile (os/standstill.h). Words that may be pointers to a block, into its middle
 * too, are looked for in registers, in stacks above their stack pointers, and in all memory that the process has
 * written itself, but what is hakmem's own; then in the blocks that are found, and so on. What is not found is leaked:
 * indirectly, where another leaked block points to it, else directly. Of blocks that point to each other in a ring,
 * and to which none else does, one counts as direct.
 *
 * The caller has closed the gate (box/gate.h): every structure is whole and no lock is held. Allocates mappings of its
 * own. Knows all boxes that have blocks; must not know what is done with the answer.
 */
#ifndef HK_BOX_LEAKS_H
#define HK_BOX_LEAKS_H

#include "box/profile.h"
#include "os/standstill.h"

/* Blocks really found, whatever they count for. */
struct hk_leak_sum {
    size_t blocks, bytes;
};

struct hk_leaks {
    /* Rows of those that were recorded: sums.live of each is what was found, by its weight, the stack's all threads'
     * and block sizes' together; the direct ones first, each kind by falling bytes. hk_profile_drop. */
    struct hk_profile_result found;
    size_t direct_rows;
    struct hk_leak_sum looked_at; /* all live blocks */
    struct hk_leak_sum ignored;   /* those whose stacks were to be */
    struct hk_leak_sum direct, indirect;
    struct hk_leak_sum unrecorded; /* those of both of which nobody knows who asked for them */
    enum hk_still_refusal refusal; /* else than HK_STILL_DONE: there is no answer, and why */
    int error;                     /* what the system said to that, or 0 */
};

/* Stacks whose blocks count as reached, whatever points to them; by what is in them. */
struct hk_leak_ignored {
    const struct hk_stack **stack;
    size_t count;
};

/* False: leaks->refusal tells why not. */
bool hk_leaks_find(struct hk_leaks *leaks, const struct hk_leak_ignored *ignored);

/* After a process that worked has died in the middle: locks that it held are free again. */
void hk_leaks_recover(void);

#endif
