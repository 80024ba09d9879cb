/* SPDX-License-Identifier: MIT */
#include "os/os.h"

/* Maps more than is asked for and gives back what lies outside; a refused unmap only leaves address space behind. */
void *hk_os_map_aligned(size_t size, size_t align)
{
    if (align <= hk_os_page_size())
        return hk_os_map(size);
    if (size > SIZE_MAX - align)
        return NULL;
    char *map = hk_os_map(size + align);
    if (map == NULL)
        return NULL;
    char *start = (char *)hk_align_up((uintptr_t)map, align);
    if (start > map)
        hk_os_unmap(map, (size_t)(start - map));
    if (start < map + align)
        hk_os_unmap(start + size, (size_t)(map + align - start));
    return start;
}
