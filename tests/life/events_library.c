/* SPDX-License-Identifier: MIT
 *
 * A library that allocates, to be loaded and unloaded (tests/life/events.c).
 */
#include <stdlib.h>

void *events_take(size_t size);

void *events_take(size_t size)
{
    char *block = malloc(size);
    if (block != NULL)
        block[0] = 1; /* no tail call: this is in the stack */
    return block;
}
