/* SPDX-License-Identifier: MIT
 *
 * taken: what a block takes of the heap: its usable size, or with -Dtail=enabled what that is a part of.
 */
#ifndef HK_TEST_TAKEN_H
#define HK_TEST_TAKEN_H

#include "config.h"
#include "superslab/size_class.h"

/* Bytes at the end of a block that are not the program's. */
#define TAKEN_END (HK_TAIL ? (size_t)8 : (size_t)0)
#define TAKEN_LEAST ((size_t)32)

#define TAKEN_ONE(size, n) (size),

/* By a block of that usable size whose alignment nobody asked for. */
static inline size_t taken_for(size_t usable)
{
    static const size_t classes[] = {HK_TINY_CLASSES(TAKEN_ONE, 0) HK_MID_CLASSES(TAKEN_ONE, 0)};
    size_t wants = usable + TAKEN_END;
    if (!HK_TAIL)
        return usable;
    wants = wants > TAKEN_LEAST ? wants : TAKEN_LEAST;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i] >= wants)
            return classes[i];
    }
    return (wants + 4095) / 4096 * 4096;
}

#endif
