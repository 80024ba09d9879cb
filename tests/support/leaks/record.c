/* SPDX-License-Identifier: MIT
 *
 * A library for Python's ctypes that forgets each third of the texts that it is given.
 */
#include <stdlib.h>
#include <string.h>

struct record {
    struct record *next;
    char *text;
};

static struct record *all;

__attribute__((visibility("default"))) int record_add(const char *text)
{
    struct record *r = malloc(sizeof *r);
    if (r == NULL)
        return -1;
    r->text = malloc(strlen(text) + 1); /* leaked: record direct 100 */
    if (r->text != NULL)
        strcpy(r->text, text);
    r->next = all;
    all = r;
    return 0;
}

__attribute__((visibility("default"))) int record_drop_some(void)
{
    int dropped = 0, number = 0;
    for (struct record **at = &all; *at != NULL; number++) {
        struct record *r = *at;
        if (number % 3 != 0) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        free(r); /* and not its text */
        dropped++;
    }
    return dropped;
}
