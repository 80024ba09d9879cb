/* SPDX-License-Identifier: MIT
 *
 * maps: what is mapped in this process, as the kernel tells it, and which of its pages the process has made its own.
 *
 * A list is its caller's, and true for the moment. Allocates mappings of its own, and reads /proc: never in malloc.
 * Any thread; every call may fail. Knows whole_file and os.
 */
#ifndef HK_OS_MAPS_H
#define HK_OS_MAPS_H

#include "base/compiler.h"

struct hk_mapping {
    uintptr_t from, to;
    uint64_t offset;  /* in the file */
    const char *path; /* or the kernel's name for it, as [stack]; "" where it has none. In the list's text */
    bool readable, writable, executable;
    bool shared; /* with other processes: what is written is no copy */
};

struct hk_maps {
    struct hk_mapping *mapping; /* by address; a mapping of its own, as the text is */
    size_t count, mapped;
    char *text;
    size_t room;
};

/* False: no /proc, or no memory: then there is nothing of it. */
bool hk_maps_read(struct hk_maps *maps);
void hk_maps_drop(struct hk_maps *maps);

/* ---- pages ---- */

#define HK_PAGES_ASKED 512u

enum hk_pages {
    HK_PAGES_ALL,   /* not asked */
    HK_PAGES_THERE, /* in memory or swapped out */
    HK_PAGES_OWN,   /* these, and neither a file's nor shared: what the process has never written is not its own */
};

/* Opens what tells of pages; a descriptor, or a negative number. */
int hk_pages_open(void);

/* Of n pages (HK_PAGES_ASKED at most) from `from` on: which are such. Where the descriptor is none, or does not tell,
 * all may be its own, and none is there. */
void hk_pages_look(int fd, uintptr_t from, unsigned n, enum hk_pages which, bool *is);

#endif
