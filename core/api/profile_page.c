/* SPDX-License-Identifier: MIT
 *
 * The page: profile_page.html, and in it what was found, as JSON.
 */
#include "api/profile_report.h"
#include "base/fmt.h"
#include "os/os.h"

#include "profile_page_text.h"

#include <errno.h>

static void put_long(struct hk_fmt *f, const char *text)
{
    hk_fmt(f, "%s", text);
}

/* Nothing may end the element that it stands in; what is no ASCII may be no UTF-8 either. */
static void put_string(struct hk_fmt *f, const char *text)
{
    hk_fmt(f, "\"");
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c > '~')
            hk_fmt(f, "?");
        else if (c == '"' || c == '\\')
            hk_fmt(f, "\\%c", c);
        else if (c == '<' || c == '&')
            hk_fmt(f, "\\u00%02x", c);
        else
            hk_fmt(f, "%c", c);
    }
    hk_fmt(f, "\"");
}

static void put_names(struct hk_fmt *f, const struct hk_report *r)
{
    char name[HK_NAME_BYTES];
    hk_fmt(f, ",\n\"names\":[");
    for (size_t i = 0; i < r->places; i++) {
        if (i > 0 && r->place[i - 1].function == r->place[i].function)
            continue;
        hk_report_name(r, &r->place[i], name);
        hk_fmt(f, "%s", i > 0 ? "," : "");
        put_string(f, name);
    }
    hk_fmt(f, "],\n\"files\":[");
    for (size_t i = 0; i < r->places; i++) {
        if (i > 0 && r->place[i - 1].function == r->place[i].function)
            continue;
        hk_fmt(f, "%s", i > 0 ? "," : "");
        put_string(f, r->place[i].module != 0 ? r->module[r->place[i].module - 1].path : "");
    }
    hk_fmt(f, "]");
}

static void put_value(struct hk_fmt *f, double value)
{
    hk_fmt(f, ",%llu", hk_profile_whole(value));
}

static void put_sums(struct hk_fmt *f, const struct hk_profile_sums *s)
{
    put_value(f, s->live);
    put_value(f, s->live_bytes);
    put_value(f, s->peak);
    put_value(f, s->peak_bytes);
    put_value(f, s->total);
    put_value(f, s->total_bytes);
}

static void put_row(struct hk_fmt *f, const struct hk_report *r, const struct hk_profile_row *row)
{
    hk_fmt(f, "[");
    put_string(f, row->stack->thread);
    hk_fmt(f, ",%zu", row->bytes);
    put_sums(f, &row->sums);
    hk_fmt(f, ",[");
    for (unsigned d = row->stack->depth; d-- > 0;)
        hk_fmt(f, "%u%s", r->place[hk_report_place(r, row->stack->pc[d])].function - 1, d > 0 ? "," : "");
    hk_fmt(f, "]]");
}

static void put_rows(struct hk_fmt *f, const struct hk_report *r)
{
    hk_fmt(f, ",\n\"rows\":[");
    for (size_t i = 0; i < r->result.rows && !f->failed; i++) {
        hk_fmt(f, "%s\n", i > 0 ? "," : "");
        put_row(f, r, &r->result.row[i]);
    }
    hk_fmt(f, "]");
}

bool hk_profile_write_page(const struct hk_report *r, int fd)
{
    struct hk_fmt f;
    const struct hk_profile_result *result = &r->result;
    hk_fmt_start(&f, fd);
    put_long(&f, page_head);
    hk_fmt(&f, "{\"program\":");
    put_string(&f, program_invocation_short_name);
    hk_fmt(&f, ",\"pid\":%d,\"date\":%llu,\"interval\":%zu,\"samples\":%llu,\"lost\":%llu,\"sums\":[0", hk_os_pid(),
           (unsigned long long)hk_os_date(), result->interval, (unsigned long long)result->samples,
           (unsigned long long)result->lost);
    put_sums(&f, &result->sums);
    hk_fmt(&f, "]");
    put_names(&f, r);
    put_rows(&f, r);
    hk_fmt(&f, "}");
    put_long(&f, page_tail);
    return hk_fmt_end(&f);
}
