/* SPDX-License-Identifier: MIT */
#include "api/leaks_report.h"

#include "api/leaks_lines.h"
#include "api/report_frame.h"
#include "base/fmt.h"
#include "os/os.h"

/* ---- looking ---- */

static bool look_once(struct hk_leaks_told *told, const struct hk_leak_ignored *ignored)
{
    told->report = (struct hk_report){.modules = 0};
    if (!hk_front_find_leaks(&told->leaks, ignored))
        return false;
    told->report.result = told->leaks.found; /* from now on the report's */
    if (hk_report_complete(&told->report)) {
        hk_lines_read(&told->report);
        return true;
    }
    told->leaks.refusal = HK_STILL_NO_MEMORY;
    return false;
}

/* Where something is ignored, what that alone points to is no leak either: so leaks are looked for once more. */
bool hk_leaks_look(struct hk_leaks_told *told, const char *ignored_path)
{
    static const struct hk_leak_ignored nothing;
    struct hk_leak_ignored ignored;
    size_t mapped;
    if (!look_once(told, &nothing))
        return false;
    if (ignored_path[0] == 0 || told->report.result.rows == 0 ||
        !hk_leaks_ignored(&told->report, ignored_path, &ignored, &mapped))
        return true;
    bool found = true;
    if (ignored.count != 0) {
        hk_leaks_drop(told);
        found = look_once(told, &ignored);
    }
    hk_os_unmap(ignored.stack, mapped);
    return found;
}

void hk_leaks_drop(struct hk_leaks_told *told)
{
    hk_report_drop(&told->report);
}

/* ---- writing ---- */

static void put_sum(struct hk_fmt *f, unsigned long long blocks, unsigned long long bytes)
{
    hk_fmt(f, "%llu byte%s in %llu block%s", bytes, bytes == 1 ? "" : "s", blocks, blocks == 1 ? "" : "s");
}

static void put_row(struct hk_fmt *f, const struct hk_report *r, size_t i, bool direct)
{
    const struct hk_profile_row *row = &r->result.row[i];
    hk_fmt(f, "\n%s leak of ", direct ? "Direct" : "Indirect");
    put_sum(f, hk_profile_whole(row->sums.live), hk_profile_whole(row->sums.live_bytes));
    hk_fmt(f, ", asked for by\n");
    for (unsigned d = 0; d < row->stack->depth; d++)
        hk_report_put_frame(f, r, d, row->stack->pc[d]);
    if (row->stack->depth == 0)
        hk_fmt(f, "    [no stack]\n");
}

static void put_rest(struct hk_fmt *f, const struct hk_leaks *leaks)
{
    if (leaks->unrecorded.blocks != 0) {
        hk_fmt(f, "hakmem: of these it is not known who asked for ");
        put_sum(f, leaks->unrecorded.blocks, leaks->unrecorded.bytes);
        hk_fmt(f, "%s\n",
               leaks->found.interval <= HK_PROFILE_ALL
                   ? ": they are older than the recording, or there was no memory for that"
                   : ": not sampled");
    }
    if (leaks->ignored.blocks != 0) {
        hk_fmt(f, "hakmem: beside these were ignored ");
        put_sum(f, leaks->ignored.blocks, leaks->ignored.bytes);
        hk_fmt(f, "\n");
    }
}

bool hk_leaks_write(const struct hk_leaks_told *told, int fd)
{
    const struct hk_leaks *leaks = &told->leaks;
    struct hk_fmt f;
    hk_fmt_start(&f, fd);
    for (size_t i = 0; i < told->report.result.rows && !f.failed; i++)
        put_row(&f, &told->report, i, i < leaks->direct_rows);
    hk_fmt(&f, "%shakmem: leaks of process %d: ", told->report.result.rows != 0 ? "\n" : "", hk_os_pid());
    if (leaks->direct.blocks + leaks->indirect.blocks == 0) {
        hk_fmt(&f, "none; something points to each of ");
        put_sum(&f, leaks->looked_at.blocks, leaks->looked_at.bytes);
        hk_fmt(&f, "\n");
    } else {
        put_sum(&f, leaks->direct.blocks, leaks->direct.bytes);
        hk_fmt(&f, " directly, ");
        put_sum(&f, leaks->indirect.blocks, leaks->indirect.bytes);
        hk_fmt(&f, " indirectly\n");
    }
    if (leaks->found.interval > HK_PROFILE_ALL)
        hk_fmt(&f,
               "hakmem: one block in %zu bytes was recorded: the numbers at stacks are estimates, and some have none\n",
               leaks->found.interval);
    put_rest(&f, leaks);
    return hk_fmt_end(&f);
}

bool hk_leaks_write_refusal(const struct hk_leaks *leaks, int fd)
{
    static const char *const words[] = {
        [HK_STILL_DONE] = "it was not looked for them",
        [HK_STILL_NO_MEMORY] = "no memory to look for them",
        [HK_STILL_NO_TASKS] = "/proc does not tell of this process",
        [HK_STILL_NO_MAPS] = "the system does not tell what memory there is, or there is none for the answer",
        [HK_STILL_NO_PROCESS] = "no process can be made to stop the other threads",
        [HK_STILL_NO_TRACE] = "the other threads may not be stopped (ptrace)",
        [HK_STILL_NO_STOP] = "a thread does not stop",
        [HK_STILL_DIED] = "the search was ended, or the program ends inside malloc",
    };
    struct hk_fmt f;
    hk_fmt_start(&f, fd);
    hk_fmt(&f, "hakmem: leaks of process %d: not known: %s", hk_os_pid(), words[leaks->refusal]);
    if (leaks->error != 0)
        hk_fmt(&f, ", error %d", leaks->error);
    hk_fmt(&f, "\n");
    return hk_fmt_end(&f);
}
