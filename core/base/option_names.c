/* SPDX-License-Identifier: MIT */
#include "base/option_names.h"

#include "base/options.h"

#include <string.h>

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The least number of letters to insert, remove or exchange that makes `to` of `from`, capitals or not; both are
 * shorter than HK_OPTION_NAME_BYTES. */
static unsigned edit_distance(const char *from, const char *to)
{
    unsigned char
        row[HK_OPTION_NAME_BYTES]; /* row[j]: edits from the letters of `from` so far to the first j of `to` */
    size_t n = strlen(to);
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned char)j;
    for (size_t i = 0; from[i] != 0; i++) {
        unsigned before = row[0]; /* without this letter, at j - 1 */
        row[0] = (unsigned char)(i + 1);
        for (size_t j = 1; j <= n; j++) {
            unsigned exchanged = before + (to_upper(from[i]) != to[j - 1]);
            unsigned other = 1u + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            before = row[j];
            row[j] = (unsigned char)(exchanged < other ? exchanged : other);
        }
    }
    return row[n];
}

/* A name so near that it was probably meant: about one letter in four is wrong, or it is a large part of a longer name.
 * NULL: none. */
const char *hk_option_nearest(const char *name)
{
    size_t n = strlen(name);
    unsigned least = 1 + (unsigned)n / 4;
    const char *found = NULL;
    for (unsigned i = 0; i < HK_OPTION_COUNT + HK_TEXT_COUNT; i++) {
        const char *known = hk_option_name(i);
        unsigned distance = edit_distance(name, known);
        if (n >= 8 && strstr(known, name) != NULL)
            distance = 1;
        if (distance < least || (distance == least && found == NULL)) {
            least = distance;
            found = known;
        }
    }
    return edit_distance(name, "OPTIONS") < least ? "OPTIONS" : found;
}
