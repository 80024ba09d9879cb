/* SPDX-License-Identifier: MIT
 *
 * leaks_match: patterns for leaks that are known. Included by api/leaks_ANY.c only.
 *
 * Pure. Knows nobody.
 */
#ifndef HK_API_LEAKS_MATCH_H
#define HK_API_LEAKS_MATCH_H

#include "base/compiler.h"

/* Does a pattern of that length describe a text? A part of it is enough; * is anything, ^ at the start of the pattern
 * the start of the text, $ at its end the end. */
bool hk_leaks_match(const char *pattern, size_t length, const char *text);

#endif
