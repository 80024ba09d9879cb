/* SPDX-License-Identifier: MIT
 *
 * The hak_ names of include/hakmem/hakmem.h, but for statistics.
 */
#include "api/entry.h"
#include "base/options.h"
#include "large/page_heap.h"
#include "hakmem/hakmem.h"
#include "os/os.h"

HK_LINK_LIFECYCLE;

void *hak_malloc(size_t size)
{
    return hk_entry_malloc(size);
}

void *hak_calloc(size_t count, size_t size)
{
    return hk_entry_calloc(count, size);
}

void *hak_realloc(void *ptr, size_t size)
{
    return hk_entry_realloc(ptr, size);
}

void *hak_reallocarray(void *ptr, size_t count, size_t size)
{
    return hk_entry_reallocarray(ptr, count, size);
}

void hak_free(void *ptr)
{
    hk_entry_free(ptr);
}

void hak_free_sized(void *ptr, size_t size)
{
    hk_entry_free_sized(ptr, size);
}

void hak_free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    hk_entry_free_sized(ptr, size);
}

void *hak_aligned_alloc(size_t alignment, size_t size)
{
    return hk_entry_aligned_alloc(alignment, size);
}

int hak_posix_memalign(void **memptr, size_t alignment, size_t size)
{
    return hk_entry_posix_memalign(memptr, alignment, size);
}

void *hak_memalign(size_t alignment, size_t size)
{
    return hk_entry_memalign(alignment, size);
}

void *hk_entry_valloc(size_t size)
{
    return hk_entry_aligned(hk_os_page_size(), size);
}

void *hk_entry_pvalloc(size_t size)
{
    size_t page = hk_os_page_size();
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return hk_entry_aligned(page, hk_align_up(hk_max(size, 1), page));
}

void *hak_valloc(size_t size)
{
    return hk_entry_valloc(size);
}

void *hak_pvalloc(size_t size)
{
    return hk_entry_pvalloc(size);
}

size_t hak_malloc_usable_size(const void *ptr)
{
    return hk_entry_usable_size(ptr);
}

size_t hak_good_size(size_t size)
{
    if (size > PTRDIFF_MAX)
        return 0;
    if (HK_TAIL)
        return size; /* behind it is the end */
    if (hk_front_has_class(size))
        return hk_class_size(hk_class_of(size));
    return hk_align_up(size, size <= HK_RUN_MAX ? HK_PAGE : hk_os_page_size());
}

int hak_trim(size_t pad)
{
    return hk_trim(pad);
}

int64_t hak_option_get(const char *name)
{
    enum hk_option option;
    if (name != NULL && hk_option_find(name, &option))
        return hk_opt(option);
    errno = EINVAL;
    return -1;
}

int hak_option_set(const char *name, int64_t value)
{
    enum hk_option option;
    if (name == NULL || !hk_option_find(name, &option)) {
        errno = EINVAL;
        return -1;
    }
    if (!hk_option_is_built(option)) {
        errno = ENOTSUP;
        return -1;
    }
    if (hk_option_store(option, value))
        return 0;
    errno = ERANGE;
    return -1;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *hak_version(void)
{
    return TEXT(HAKMEM_VERSION_MAJOR) "." TEXT(HAKMEM_VERSION_MINOR) "." TEXT(HAKMEM_VERSION_PATCH);
}
