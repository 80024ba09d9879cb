/* SPDX-License-Identifier: MIT
 *
 * Collapsed stacks: a line for each, thread;outermost;...;innermost and a number of bytes. For flamegraph.pl,
 * speedscope and their like.
 */
#include "api/profile_report.h"
#include "base/fmt.h"

static double bytes_of(const struct hk_profile_row *row, enum hk_profile_what what)
{
    return what == HK_PROFILE_LIVE   ? row->sums.live_bytes
           : what == HK_PROFILE_PEAK ? row->sums.peak_bytes
                                     : row->sums.total_bytes;
}

/* What would end a frame or the line. */
static void put_frame(struct hk_fmt *f, const char *name)
{
    for (; *name != 0; name++)
        hk_fmt(f, "%c", *name == ';' ? ':' : (unsigned char)*name < ' ' ? '?' : *name);
}

bool hk_profile_write_folded(const struct hk_report *r, int fd, enum hk_profile_what what)
{
    struct hk_fmt f;
    char name[HK_NAME_BYTES];
    hk_fmt_start(&f, fd);
    for (size_t i = 0; i < r->result.rows && !f.failed; i++) {
        const struct hk_profile_row *row = &r->result.row[i];
        unsigned long long bytes = hk_profile_whole(bytes_of(row, what));
        if (bytes == 0)
            continue;
        put_frame(&f, row->stack->thread[0] != 0 ? row->stack->thread : "thread");
        if (row->stack->depth == 0)
            hk_fmt(&f, ";[no stack]");
        for (unsigned d = row->stack->depth; d-- > 0;) {
            hk_report_name(r, &r->place[hk_report_place(r, row->stack->pc[d])], name);
            hk_fmt(&f, ";");
            put_frame(&f, name);
        }
        hk_fmt(&f, " %llu\n", bytes);
    }
    return hk_fmt_end(&f);
}
