/* SPDX-License-Identifier: MIT
 *
 * memory_limit MIB: run with HAKMEM_MEMORY_LIMIT set to that many MiB. Refusal comes at the limit, and goes when blocks
 * are freed.
 */
#include "check.h"
#include "proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t fill_until_refused(size_t size)
{
    static unsigned char *blocks[1 << 20];
    size_t count = 0;
    errno = 0;
    while (count < sizeof(blocks) / sizeof(blocks[0]) && (blocks[count] = malloc(size)))
        memset(blocks[count++], 1, size);
    CHECKF(errno == ENOMEM, "%zu blocks of %zu bytes, errno %d", count, size, errno);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    return count * size;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    check_watchdog(60);
    size_t limit = strtoull(arguments[1], NULL, 10) * MIB;
    static const size_t sizes[] = {500, 10000, 300000, 3000000, 500};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t bytes = fill_until_refused(sizes[i]);
        check_note("blocks of %zu bytes: %zu KiB below a limit of %zu KiB", sizes[i], bytes / KIB, limit / KIB);
        CHECK(bytes <= limit);
        CHECKF(bytes >= limit / 2, "refused long before the limit");
    }
    errno = 0;
    CHECK(!malloc(limit + MIB) && errno == ENOMEM);
    return 0;
}
