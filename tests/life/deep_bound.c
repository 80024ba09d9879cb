/* SPDX-License-Identifier: MIT
 *
 * What deep_bind.c opens.
 */
#include "deep_bound.h"

#include <stdlib.h>
#include <string.h>

extern struct deep_bound deep_bound;
struct deep_bound deep_bound;

__attribute__((constructor)) static void begin(void)
{
    deep_bound = (struct deep_bound){malloc, realloc, free, strdup, malloc(100)};
}
