/* SPDX-License-Identifier: MIT */
#include "os/os.h"

/* Where there is no room for more than is asked for: a mapping that may happen to lie right. */
static HK_SLOW_PATH void *map_exactly(size_t size, size_t align)
{
    char *map = hk_os_map(size);
    if (map == NULL || (uintptr_t)map % align == 0)
        return map;
    hk_os_unmap(map, size);
    return NULL;
}

/* Maps more than is asked for and gives back what lies outside; a refused unmap only leaves address space behind. */
void *hk_os_map_aligned(size_t size, size_t align)
{
    size_t more = align - hk_os_page_size();
    if (align <= hk_os_page_size())
        return hk_os_map(size);
    if (size > SIZE_MAX - more)
        return NULL;
    char *map = hk_os_map(size + more);
    if (map == NULL)
        return map_exactly(size, align);
    char *start = (char *)hk_align_up((uintptr_t)map, align), *end = map + size + more;
    if (start > map)
        hk_os_unmap(map, (size_t)(start - map));
    if (start + size < end)
        hk_os_unmap(start + size, (size_t)(end - start - size));
    return start;
}
