/* SPDX-License-Identifier: MIT
 *
 * seen: the addresses of what a box keeps to itself, for who looks at it from outside the process (api/board.h).
 * Nothing in the process reads them, and nothing is written for them: they are constants, and what they lead to changes
 * as it always does. Knows nobody.
 */
#ifndef HK_BASE_SEEN_H
#define HK_BASE_SEEN_H

typedef const void *const hk_seen;

#endif
