/* SPDX-License-Identifier: MIT */
#include "api/profile.h"

#include "api/guard.h"
#include "api/profile_report.h"
#include "api/report_file.h"
#include "base/fmt.h"
#include "base/options.h"
#include "hakmem/hakmem.h"
#include "os/file.h"
#include "os/lock.h"

#include <errno.h>
#include <string.h>

#define USUAL_INTERVAL ((size_t)512 * HK_KIB)
#define INTERVAL_MOST ((size_t)1 << 40)

/* Outside of the ranks, as that of pictures: taken while nothing else is held. */
static struct hk_lock lock = HK_LOCK_FREE(HK_RANK_FILE);
static unsigned number;          /* of the last file; lock */
static char path[HK_TEXT_BYTES]; /* that is written at exit; written before main, and in a fork's child */

/* ---- formats ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_folded(const char *to)
{
    return ends_with(to, ".folded") || ends_with(to, ".txt") || ends_with(to, ".collapsed");
}

static bool is_known(const char *to)
{
    return is_folded(to) || ends_with(to, ".pb.gz") || ends_with(to, ".html");
}

static enum hk_profile_what what_of(const char *to)
{
    return strstr(to, ".live.") != NULL    ? HK_PROFILE_LIVE
           : strstr(to, ".total.") != NULL ? HK_PROFILE_TOTAL
                                           : HK_PROFILE_PEAK;
}

static bool write_report(const struct hk_report *r, int fd, const char *to)
{
    if (ends_with(to, ".pb.gz"))
        return hk_profile_write_proto(r, fd);
    if (ends_with(to, ".html"))
        return hk_profile_write_page(r, fd);
    return hk_profile_write_folded(r, fd, what_of(to));
}

/* False: file->fd says why, or a write failed. The caller closes it; its name is empty where there was no memory. Large
 * mappings come and go meanwhile: nobody waits for the lock who wants memory. */
static bool write_to(struct hk_report_file *file, const char *to)
{
    struct hk_report r;
    file->name[0] = 0;
    file->fd = -ENOMEM;
    hk_large_calls_begin();
    bool written = false;
    if (hk_report_make(&r)) {
        hk_report_open(file, to, ++number);
        written = file->fd >= 0 && write_report(&r, file->fd, to);
        hk_report_drop(&r);
    }
    hk_large_calls_end();
    return written;
}

static int fail(int number_of_error)
{
    errno = number_of_error;
    return -1;
}

/* ---- called ---- */

int hak_profile_start(size_t interval)
{
    size_t wanted = interval != 0 ? interval : USUAL_INTERVAL;
    if (wanted > INTERVAL_MOST)
        return fail(EINVAL);
    if (!hk_report_may_wait())
        return -1;
    hk_lock(&lock);
    bool begun = hk_front_profile_begin(wanted, hk_guard_write_asked);
    hk_unlock(&lock);
    return begun ? 0 : fail(ENOMEM);
}

void hak_profile_stop(void)
{
    int saved = errno;
    if (hk_report_may_wait()) {
        hk_lock(&lock);
        hk_front_profile_end();
        hk_unlock(&lock);
    }
    errno = saved;
}

int hak_profile_write(const char *to)
{
    int saved = errno;
    if (to == NULL || !is_known(to) || strlen(to) >= HK_TEXT_BYTES || !hk_load_relaxed(&hk_profile_used))
        return fail(EINVAL);
    if (!hk_report_may_wait())
        return -1;
    struct hk_report_file file;
    hk_lock(&lock);
    bool written = write_to(&file, to);
    hk_unlock(&lock);
    if (file.fd < 0)
        return fail(-file.fd);
    hk_file_close(file.fd);
    if (!written)
        return fail(EIO);
    errno = saved;
    return 0;
}

/* ---- asked for by HAKMEM_PROFILE ---- */

static HK_NOINLINE void complain(const char *text)
{
    struct hk_fmt f;
    hk_fmt_start(&f, 2);
    hk_fmt(&f, "hakmem: HAKMEM_PROFILE=%s%s\n", path, text);
    hk_fmt_end(&f);
}

/* A decimal number with an optional K, M or G; 0: it is none, or too large. */
static size_t read_interval(const char *text)
{
    size_t n = hk_file_number(text), digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    unsigned shift = *unit == 'K' || *unit == 'k'   ? 10
                     : *unit == 'M' || *unit == 'm' ? 20
                     : *unit == 'G' || *unit == 'g' ? 30
                                                    : 0;
    if (digits == 0 || unit[shift != 0] != 0 || n > INTERVAL_MOST >> shift)
        return 0;
    return n << shift;
}

void hk_profile_start_wanted(void)
{
    strcpy(path, hk_opt_text(HK_TEXT_PROFILE));
    char *comma = strrchr(path, ',');
    size_t interval = USUAL_INTERVAL;
    if (comma != NULL && strchr(comma, '/') == NULL) { /* a folder's name may have one */
        interval = read_interval(comma + 1);
        if (interval == 0)
            complain(": behind the comma stands a number of bytes from 1 to 1024G; it is 512K");
        interval = interval != 0 ? interval : USUAL_INTERVAL;
        *comma = 0;
    }
    if (!is_known(path))
        complain(": its name must end in .html, .pb.gz, .folded or .txt; no profile is made");
    else if (hk_front_profile_begin(interval, hk_guard_write_asked))
        return;
    else
        complain(": no memory for a profile");
    path[0] = 0;
}

void hk_profile_write_last(void)
{
    struct hk_report_file file;
    hk_lock(&lock);
    bool written = write_to(&file, path);
    if (file.name[0] == 0)
        complain(": no memory to write it");
    else
        hk_report_close(&file, written, "HAKMEM_PROFILE");
    hk_unlock(&lock);
}

void hk_profile_start(void)
{
    if (hk_opt_text(HK_TEXT_PROFILE)[0] != 0)
        hk_profile_start_wanted();
}

void hk_profile_finish(void)
{
    if (path[0] != 0)
        hk_profile_write_last();
}

void hk_profile_fork_child(void)
{
    hk_lock_reset(&lock);
    if (strstr(path, "%p") == NULL)
        path[0] = 0; /* it is the parent's */
}
