/* SPDX-License-Identifier: MIT */
#include "api/leaks_match.h"

#include <string.h>

/* The part of a pattern up to the next *, at the start of a text. */
static bool begins_with(const char *part, size_t n, const char *text)
{
    return strncmp(text, part, n) == 0;
}

/* Each part where it is found first: a later place would leave less for those behind it. The last one stands at the
 * end, if it has to. */
bool hk_leaks_match(const char *pattern, size_t length, const char *text)
{
    bool at_start = length > 0 && *pattern == '^', at_end = length > 1 && pattern[length - 1] == '$';
    pattern += at_start;
    length -= (size_t)at_start + at_end;
    for (const char *end = pattern + length; pattern <= end;) {
        size_t n = 0;
        while (pattern + n < end && pattern[n] != '*')
            n++;
        bool last = pattern + n == end;
        size_t left = strlen(text);
        if (last && at_end && !at_start)
            text += left >= n ? left - n : 0;
        while (!at_start && *text != 0 && !begins_with(pattern, n, text))
            text++;
        if (!begins_with(pattern, n, text) || (last && at_end && text[n] != 0))
            return false;
        text += n;
        pattern += n + 1;
        at_start = false;
    }
    return true;
}
