# SPDX-License-Identifier: MIT
"""From raw runs to the table: medians, ratios, bootstrap intervals. Used by bench.py."""

import math
import os
import random
from statistics import median

import bench_run

WIDTH = 160
SHORT = {"mimalloc": "mi", "jemalloc": "je", "tcmalloc": "tc"}
RESAMPLES = 2000
RSS_FROM_KIB = 10 * 1024  # below, a line says nothing about memory but the floor
RSS_LIMIT = 1.15
LEGEND = (
    "Mop/s: hakmem's million operations (malloc + free) a second. /NAME: hakmem's speed as a multiple of NAME's, above "
    "1 = hakmem is faster. 95 %: bootstrap interval of /glibc. Then peak RSS in MiB, hakmem's as a multiple of "
    "glibc's, and minor faults (f). Marks: G slower than glibc (the whole interval), g its median is, p slower than "
    f"another peer, M RSS above {RSS_LIMIT} x glibc on a line above 10 MiB."
)
CALL_TITLES = {"slowest_malloc_ns": "malloc", "slowest_free_ns": "free", "p9999_malloc_ns": "malloc 99.99 %",
               "p9999_free_ns": "free 99.99 %"}
LIVE_TITLES = {"mean_rss_percent": "mean", "worst_rss_percent": "worst"}


def short(name):
    return SHORT.get(name, name[:7])


def geomean(values):
    values = [value for value in values if value > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def interval(ours, theirs):
    """95 % bootstrap interval of the ratio of medians. Rounds are drawn as pairs, as they were run."""
    pairs = list(zip(ours, theirs))
    if len(pairs) < 3:
        return math.nan, math.nan
    draw = random.Random(1)
    ratios = []
    for _ in range(RESAMPLES):
        sample = draw.choices(pairs, k=len(pairs))
        ratios.append(median(pair[0] for pair in sample) / median(pair[1] for pair in sample))
    ratios.sort()
    return ratios[int(0.025 * RESAMPLES)], ratios[int(0.975 * RESAMPLES) - 1]


class LineResult:
    """The medians of one line. A missing figure (a run that failed) is absent from the dictionaries."""

    def __init__(self, name, runs):
        good = {who: [run for run in rows if run.ok] for who, rows in runs.items()}
        good = {who: rows for who, rows in good.items() if rows and len(rows) == len(runs[who])}
        self.name = name
        self.timed = name != "floor"
        self.speed = {who: median(run.ops_per_sec for run in rows) for who, rows in good.items()}
        self.rss = {who: median(run.rss for run in rows) for who, rows in good.items()}
        self.faults = {who: median(run.minor_faults for run in rows) for who, rows in good.items()}
        self.more = {field: {who: median(run.more[field] for run in rows) for who, rows in good.items()
                             if all(field in run.more for run in rows)} for field in bench_run.MORE_FIELDS}
        self.interval = (math.nan, math.nan)
        if "hakmem" in good and "glibc" in good:
            self.interval = interval(*([run.ops_per_sec for run in good[who]] for who in ("hakmem", "glibc")))

    def ratio(self, who):
        if not self.timed or "hakmem" not in self.speed or not self.speed.get(who):
            return math.nan
        return self.speed["hakmem"] / self.speed[who]

    def interval_text(self):
        return "-".join(map(ratio_text, self.interval)) if self.timed and not math.isnan(self.interval[0]) else "-"

    def rss_ratio(self):
        return self.rss["hakmem"] / self.rss["glibc"] if {"hakmem", "glibc"} <= self.rss.keys() else math.nan

    def marks(self):
        """G: slower than glibc, the whole interval; g: its median is; p: slower than the best other; M: RSS."""
        marks = ""
        if self.ratio("glibc") < 1:
            marks += "G" if self.interval[1] < 1 else "g"
        if any(self.ratio(who) < 1 for who in self.speed if who not in ("hakmem", "glibc")):
            marks += "p"
        if self.rss_ratio() > RSS_LIMIT and max(self.rss["hakmem"], self.rss["glibc"]) > RSS_FROM_KIB:
            marks += "M"
        return marks


def number(value, digits=2):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def ratio_text(value):
    return number(value, 1 if value >= 99.95 else 2)


def thousands(value):
    if value is None:
        return "-"
    return f"{value / 1e6:.1f}M" if value >= 999500 else f"{value / 1e3:.0f}k" if value >= 9999.5 else f"{value:.0f}"


def mib(kib):
    return number(kib / 1024 if kib is not None else None, 1)


def columns(names):
    """Title, width, text of a LineResult; in two groups, time and memory."""
    peers = [name for name in names if name not in ("hakmem", "glibc")]
    time = [
        ("Mop/s", 7, lambda r: number(r.speed["hakmem"] / 1e6 if r.timed and "hakmem" in r.speed else None)),
        ("/glibc", 6, lambda r: ratio_text(r.ratio("glibc"))),
        ("95 %", 11, LineResult.interval_text),
    ]
    time += [("/" + short(name), max(6, len(short(name)) + 1), lambda r, n=name: ratio_text(r.ratio(n)))
             for name in peers]
    time.append(("mark", 4, LineResult.marks))
    memory = [(short(name), max(6, len(short(name))), lambda r, n=name: mib(r.rss.get(n))) for name in names]
    memory.append(("/glibc", 6, lambda r: ratio_text(r.rss_ratio())))
    memory += [(f"f.{name}", 8, lambda r, n=name: thousands(r.faults.get(n))) for name in ("hakmem", "glibc")]
    return time, memory


def draw(title, cols, results, last):
    first = max(len("geomean"), *(len(result.name) for result in results))
    rows = [[title, *(col[0] for col in cols)]]
    rows += [[result.name, *(col[2](result) for col in cols)] for result in results]
    rows.append(["geomean", *(last.get(index, "") for index in range(len(cols)))])
    widths = [first, *(col[1] for col in cols)]
    text = [" ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in rows]
    rule = "-" * max(map(len, text))
    return [text[0].rstrip(), rule, *(row.rstrip() for row in text[1:-1]), rule, text[-1].rstrip()]


def draw_more(head, titles, unit, digits, names, results):
    """What only some programs print, by field; nothing where none of them ran. A figure is shown in units of `unit`."""
    cols = [(short(name), max(8, len(short(name))), name) for name in names]
    text = []
    for result in results:
        for field, title in titles.items():
            figures = result.more[field]
            if figures:
                cells = [number(figures[name] / unit if name in figures else None, digits).rjust(width)
                         for _, width, name in cols]
                text.append(" ".join([f"{result.name} {title}".ljust(30), *cells]))
    if not text:
        return []
    head = " ".join([head.ljust(30), *(title.rjust(width) for title, width, _ in cols)])
    return [head, "-" * len(head), *text, ""]


def geomeans(names, results):
    """The last row, by column index of each group."""
    peers = [name for name in names if name not in ("hakmem", "glibc")]
    time = {1: ratio_text(geomean(r.ratio("glibc") for r in results))}
    time.update({3 + i: ratio_text(geomean(r.ratio(name) for r in results)) for i, name in enumerate(peers)})
    return time, {len(names): ratio_text(geomean(r.rss_ratio() for r in results))}


def to_best(names, results):
    """The goal's own terms: each allocator's time and peak RSS as a ratio to the best of every line."""
    rows = []
    for title, pick in (
        ("time", lambda r, n: max(r.speed.values()) / r.speed[n] if r.timed and r.speed.get(n) else 0),
        ("peak RSS", lambda r, n: r.rss[n] / min(r.rss.values()) if r.rss.get(n) else 0),
        ("peak RSS, lines above 10 MiB",
         lambda r, n: r.rss[n] / min(r.rss.values()) if r.rss.get(n) and max(r.rss.values()) > RSS_FROM_KIB else 0),
    ):
        values = [ratio_text(geomean([pick(result, name) for result in results])).rjust(7) for name in names]
        rows.append(title.ljust(30) + " ".join(values))
    head = "ratio to the best of each line".ljust(30) + " ".join(short(name).rjust(7) for name in names)
    return [head, "-" * len(head), *rows]


def verdict(results):
    slower = [f"{r.name} {ratio_text(r.ratio('glibc'))} ({r.interval_text()})"
              for r in results if r.ratio("glibc") < 1]
    heavy = [f"{r.name} {ratio_text(r.rss_ratio())}" for r in results if "M" in r.marks()]
    behind = []
    for r in results:
        others = [name for name in r.speed if name not in ("hakmem", "glibc")]
        best = min(others, key=r.ratio, default=None)
        if best and r.ratio(best) < 1:
            behind.append(f"{r.name} {ratio_text(r.ratio(best))} {short(best)}")
    text = []
    for title, items in (("slower than glibc", slower), ("slower than the best other", behind),
                         (f"RSS above {RSS_LIMIT} x glibc, lines above 10 MiB", heavy)):
        text += wrap(f"{title}: {', '.join(items) or 'none'}")
    return text


def wrap(text):
    rows = [""]
    for word in text.split(" "):
        if len(rows[-1]) + 1 + len(word) > WIDTH:
            rows.append("   ")
        rows[-1] += (" " if rows[-1] else "") + word
    return rows


def render(results, allocators, rounds, facts):
    names = list(allocators)
    time, memory = columns(names)
    time_last, memory_last = geomeans(names, results)
    both_last = {**time_last, **{len(time) + index: text for index, text in memory_last.items()}}
    table = draw("line", time + memory, results, both_last)
    if max(map(len, table)) > WIDTH:
        table = [*draw("speed", time, results, time_last), "", *draw("memory", memory, results, memory_last)]
    legend = [f"{short(name)} = {os.path.basename(os.path.realpath(path))}" if path else f"{name} = no preload"
              for name, path in allocators.items()]
    return [
        *wrap(f"{facts['machine']}; THP {facts['thp']}; {facts['compiler']}; commit {facts['commit']}"),
        *wrap(f"Medians of {rounds} interleaved rounds, all preloaded. {', '.join(legend)}."),
        "",
        *table,
        "",
        *wrap(LEGEND),
        "",
        *draw_more("slowest call, microseconds", CALL_TITLES, 1e3, 1, names, results),
        *draw_more("RSS / live bytes", LIVE_TITLES, 100, 2, names, results),
        *to_best(names, results),
        "",
        *verdict(results),
    ]
