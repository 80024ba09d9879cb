/* SPDX-License-Identifier: MIT
 * Takes blocks from hakmem under both names and gives each back under the other. */
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *ours = hak_malloc(1000), *theirs = malloc(1000);
    if (!ours || !theirs)
        return EXIT_FAILURE;
    memset(ours, 1, 1000);
    memset(theirs, 2, 1000);
    /* Only hakmem knows the usable size of its blocks, so malloc was replaced as well if this is right for both. */
    if (hak_malloc_usable_size(theirs) != hak_good_size(1000) || ours[999] != 1)
        return EXIT_FAILURE;
    free(ours);
    hak_free(theirs);
    printf("hakmem %s\n", hak_version());
    return EXIT_SUCCESS;
}
