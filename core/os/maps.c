/* SPDX-License-Identifier: MIT */
#include "os/maps.h"

#include "base/bits.h"
#include "base/sys.h"
#include "os/file.h"
#include "os/os.h"
#include "os/whole_file.h"

#include <errno.h>
#include <string.h>

#define ROOM_AT_FIRST (256 * HK_KIB)

/* What comes next, until there is no room or no more: how many bytes; negative: an error. */
static long read_on(int fd, char *to, size_t room)
{
    size_t size = 0;
    for (long n = 1; n != 0 && size<room; size += n> 0 ? (size_t)n : 0) {
        n = hk_sys3(SYS_read, fd, (long)(to + size), (long)(room - size));
        if (n < 0 && n != -EINTR)
            return n;
    }
    return (long)size;
}

/* All of a file of /proc, whose size nobody knows before, as a string. False: not all of it. */
static bool read_text(struct hk_maps *maps, int fd)
{
    size_t size = 0;
    maps->text = hk_os_map(ROOM_AT_FIRST);
    maps->room = ROOM_AT_FIRST;
    while (maps->text != NULL) {
        long n = read_on(fd, maps->text + size, maps->room - 1 - size);
        if (n < 0)
            return false;
        size += (size_t)n;
        if (size + 1 < maps->room)
            return size != 0;
        char *larger = hk_os_remap(maps->text, maps->room, 2 * maps->room);
        if (larger == NULL)
            return false;
        maps->text = larger;
        maps->room *= 2;
    }
    return false;
}

static uint64_t read_hex(const char **at)
{
    uint64_t value = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

/* from-to rwxp offset device inode    path */
static bool read_line(const char *line, struct hk_mapping *m)
{
    m->from = read_hex(&line);
    line += *line == '-';
    m->to = read_hex(&line);
    if (strlen(line) < 7)
        return false;
    m->readable = line[1] == 'r';
    m->writable = line[2] == 'w';
    m->executable = line[3] == 'x';
    m->shared = line[4] == 's';
    line += 6;
    m->offset = read_hex(&line);
    for (unsigned field = 0; field < 2; field++) {
        line += strspn(line, " ");
        line += strcspn(line, " ");
    }
    m->path = line + strspn(line, " ");
    return true;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != 0; text++)
        n += *text == '\n';
    return n;
}

bool hk_maps_read(struct hk_maps *maps)
{
    *maps = (struct hk_maps){.count = 0};
    int fd = hk_file_open("/proc/self/maps");
    bool whole = fd >= 0 && read_text(maps, fd);
    if (fd >= 0)
        hk_file_close(fd);
    maps->mapped = whole ? hk_align_up((count_lines(maps->text) + 1) * sizeof *maps->mapping, hk_os_page_size()) : 0;
    maps->mapping = whole ? hk_os_map(maps->mapped) : NULL;
    if (maps->mapping == NULL) {
        hk_maps_drop(maps);
        return false;
    }
    for (char *line = maps->text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        maps->count += read_line(line, &maps->mapping[maps->count]);
    }
    return true;
}

void hk_maps_drop(struct hk_maps *maps)
{
    if (maps->mapping != NULL)
        hk_os_unmap(maps->mapping, maps->mapped);
    if (maps->text != NULL)
        hk_os_unmap(maps->text, maps->room);
    *maps = (struct hk_maps){.count = 0};
}

/* ---- pages ---- */

#define PRESENT ((uint64_t)1 << 63)
#define SWAPPED ((uint64_t)1 << 62)
#define FILES ((uint64_t)1 << 61) /* a file's, or shared */

int hk_pages_open(void)
{
    return hk_file_open("/proc/self/pagemap");
}

void hk_pages_look(int fd, uintptr_t from, unsigned n, enum hk_pages which, bool *is)
{
    uint64_t entry[HK_PAGES_ASKED];
    long size = (long)(n * sizeof *entry), got = -1;
    if (fd >= 0 && which != HK_PAGES_ALL)
        got = hk_sys4(SYS_pread64, fd, (long)entry, size, (long)(from / hk_os_page_size() * sizeof *entry));
    for (unsigned i = 0; i < n; i++) {
        if (got != size)
            is[i] = which != HK_PAGES_THERE;
        else
            is[i] = (entry[i] & (PRESENT | SWAPPED)) != 0 && (which == HK_PAGES_THERE || (entry[i] & FILES) == 0);
    }
}
