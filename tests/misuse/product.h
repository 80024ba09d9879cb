/* SPDX-License-Identifier: MIT
 *
 * The whole product of wrong uses, sizes and origins of blocks, of which misuse.c runs each in a child.
 */
#ifndef HK_TEST_PRODUCT_H
#define HK_TEST_PRODUCT_H

#include "misuse.h"

#include <stdbool.h>

/* All of that origin, each by `run`, which tells what went wrong; 0: all were told. */
int product(const char *origin, int (*run)(const struct misuse *misuse, size_t size));

/* ---- of product_origins.c ---- */

typedef void give_fn(char *block, size_t size);

struct origin {
    const char *name;
    char *(*take)(size_t size);
    give_fn *give;       /* how such a block is freed */
    give_fn *give_sized; /* and with its size; NULL: there is no such call */
    bool in_heap, leaves_holes, is_aligned;
};

/* Before blocks of a heap are asked for. */
bool product_make_heap(void);

const struct origin *product_origin(const char *name);

/* Are its functions there? C++'s operators and heaps are weak, for programs that are linked with neither. */
bool product_has(const struct origin *origin);

#endif
