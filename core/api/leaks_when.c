/* SPDX-License-Identifier: MIT */
#include "api/leaks.h"

#include "api/guard.h"
#include "api/leaks_report.h"
#include "api/report_file.h"
#include "base/fmt.h"
#include "base/options.h"
#include "hakmem/hakmem.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/parent.h"

#include <errno.h>
#include <string.h>

/* Outside of the ranks, as that of profiles: taken while nothing else is held. */
static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_FILE);
static unsigned number;          /* of the last file; lock */
static char path[HK_TEXT_BYTES]; /* that is written at exit; written before main, and in a fork's child */
static int stderr_copy = -1;     /* many programs close theirs before they end */

static bool is_child; /* its parent is looked at, too: not each of many says that it has none */

#define TO_STDERR "1"

/* Writes what there is to say, to the file of that name or else to fd, or where there are no leaks may write nothing:
 * how many blocks were found, or -1. */
static int64_t look_and_write(struct hk_report_file *file, const char *to, int fd, bool only_leaks)
{
    struct hk_leaks_told told;
    int64_t blocks = -1;
    bool written;
    *file = (struct hk_report_file){.fd = fd};
    hk_large_calls_begin(); /* large mappings come and go: nobody waits for the lock who wants memory */
    bool found = hk_leaks_look(&told, hk_opt_text(HK_TEXT_LEAKS_IGNORED));
    if (to != NULL)
        hk_report_open(file, to, ++number);
    if (file->fd < 0)
        written = false;
    else if (found)
        written = (only_leaks && told.leaks.direct.blocks == 0) || hk_leaks_write(&told, file->fd);
    else
        written = hk_leaks_write_refusal(&told.leaks, file->fd);
    if (!written)
        errno = file->fd < 0 ? -file->fd : EIO;
    else if (!found)
        errno = told.leaks.refusal == HK_STILL_NO_MEMORY || told.leaks.refusal == HK_STILL_NO_MAPS ? ENOMEM : EPERM;
    else
        blocks = (int64_t)(told.leaks.direct.blocks + told.leaks.indirect.blocks);
    if (found)
        hk_leaks_drop(&told);
    hk_large_calls_end();
    return blocks;
}

/* ---- called ---- */

int64_t hak_leaks(const char *to)
{
    struct hk_report_file file;
    int saved = errno;
    if (to != NULL && (to[0] == 0 || strlen(to) >= HK_TEXT_BYTES)) {
        errno = EINVAL;
        return -1;
    }
    if (!hk_report_may_wait())
        return -1;
    hk_lock(&lock);
    int64_t blocks = look_and_write(&file, to, 2, false);
    hk_unlock(&lock);
    if (to != NULL && file.fd >= 0)
        hk_file_close(file.fd);
    if (blocks >= 0)
        errno = saved;
    return blocks;
}

/* ---- asked for by HAKMEM_LEAKS ---- */

void hk_leaks_start_wanted(void)
{
    strcpy(path, hk_opt_text(HK_TEXT_LEAKS));
    if (strcmp(path, TO_STDERR) == 0)
        stderr_copy = hk_file_copy(2, 100);
    if (stderr_copy == -EBADF) { /* what has that number at the end may be anything */
        path[0] = 0;
        return;
    }
    char entry[HK_TEXT_BYTES + sizeof "HAKMEM_LEAKS="] = "HAKMEM_LEAKS=";
    is_child = hk_parent_began_with(strcat(entry, path));
    if (hk_profile_is_on() || hk_front_profile_begin(1, hk_guard_write_asked))
        return;
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_LEAKS=%s: no memory to record who asks for blocks\n", path);
    hk_fmt_end(&f);
}

void hk_leaks_write_last(void)
{
    struct hk_report_file file;
    bool is_file = strcmp(path, TO_STDERR) != 0;
    hk_lock(&lock);
    errno = 0;
    int fd = stderr_copy >= 0 ? stderr_copy : 2;
    bool written = look_and_write(&file, is_file ? path : NULL, fd, !is_file && is_child) >= 0;
    if (is_file)
        hk_report_close(&file, written || errno != EIO, "HAKMEM_LEAKS");
    hk_unlock(&lock);
}

void hk_leaks_start(void)
{
    if (hk_opt_text(HK_TEXT_LEAKS)[0] != 0)
        hk_leaks_start_wanted();
}

void hk_leaks_finish(void)
{
    if (path[0] != 0)
        hk_leaks_write_last();
}

void hk_leaks_fork_child(void)
{
    hk_lock_reset(&lock);
    if (strstr(path, "%p") == NULL)
        path[0] = 0; /* it is the parent's */
}
