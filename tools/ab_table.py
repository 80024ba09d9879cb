# SPDX-License-Identifier: MIT
"""What `./hakmem ab` prints: the figures of each line, side by side. Used by ab.py."""

import dataclasses
import math
from statistics import median

import ab_stats
from bench_count import SYSCALLS
from bench_table import draw, mib, number, ratio_text, thousands, wrap

WORDS = {"time": ("faster", "slower"), "rss": ("less", "more"), "faults": ("less", "more")}
LEGEND = (
    "B/A: median over pairs of runs beside each other; of times it is B's speed as a multiple of A's, above 1 = B is "
    "faster; of peak RSS, faults and counts below 1 = B needs less. 95 %: bootstrap interval, of that line alone. "
    f"faster, slower, less, more: significant, with at most {100 * sum(ab_stats.ALPHA.values()):.0f} % for any wrong "
    "such word in the whole table (Holm), and a difference of at least "
    f"{100 * ab_stats.LEAST:.0f} %. Counts are of one run and have no such words."
)


def seconds(line, run):
    """What a run is compared by: CPU time where one thread does the work, because a run that had to wait for other
    programs is not a slow one; elapsed time where threads may wait for each other."""
    busy = run.user + run.sys
    return busy if line.one_thread and busy > 0 else run.elapsed


@dataclasses.dataclass
class LineResult:
    """One line: all its runs in the order of the pairs, and the counts that were asked for. Counts may be missing."""

    line: object
    runs_a: list
    runs_b: list
    calls: tuple = (None, None)
    instructions: tuple = (None, None)

    def __post_init__(self):
        self.name = self.line.name
        self.ok = all(run.ok for run in self.runs_a + self.runs_b)
        self.pairs = {}
        if not self.ok:
            return
        both = list(zip(self.runs_a, self.runs_b))
        if self.line.timed:
            self.pairs["time"] = [(seconds(self.line, a), seconds(self.line, b)) for a, b in both]
        self.pairs["rss"] = [(a.rss, b.rss) for a, b in both]
        self.pairs["faults"] = [(max(1, a.minor_faults), max(1, b.minor_faults)) for a, b in both]
        self.figures = {what: ab_stats.compare(pairs, what) for what, pairs in self.pairs.items()}

    def middle(self, what, side):
        return median(pair[side] for pair in self.pairs[what]) if what in self.pairs else math.nan

    def speed(self, side):
        """Million operations a second, by the time that is compared."""
        if "time" not in self.pairs:
            return math.nan
        runs = (self.runs_a, self.runs_b)[side]
        return median(run.ops_per_sec * run.elapsed / pair[side] for run, pair in zip(runs, self.pairs["time"])) / 1e6


def judge(results, rounds):
    """Marks what is significant; gives the figures over all lines by name, for those compared on several lines."""
    overall = {}
    for what in WORDS:
        lines = [result for result in results if what in result.pairs]
        figures = [result.figures[what] for result in lines]
        if len(lines) > 1:
            overall[what] = ab_stats.over_lines([result.pairs[what] for result in lines], what, rounds)
            figures.append(overall[what])
        ab_stats.mark(figures, what)
    return overall


def word(figure, what):
    if figure is None or not figure.marked:
        return ""
    return WORDS[what][(figure.ratio > 1) != (what == "time")]


def interval(figure):
    return f"{ratio3(figure.low)}-{ratio3(figure.high)}" if figure else "-"


def ratio3(value):
    return number(value, 3) if value < 9.9995 else ratio_text(value)


def figure_columns(what):
    def of(result):
        return result.figures.get(what)
    return [("B/A", 6, lambda r: ratio3(of(r).ratio) if of(r) else "-"), ("95 %", 13, lambda r: interval(of(r))),
            ("", 6, lambda r: word(of(r), what))]


def last_cells(first, figure, what):
    """The three cells of the last row, by column index."""
    return {first: ratio3(figure.ratio), first + 1: interval(figure), first + 2: word(figure, what)} if figure else {}


def count_columns(names):
    """Two columns a name, A's and B's count; `names` are those with any count."""
    columns = []
    for name in names:
        for side, letter in enumerate("AB"):
            columns.append((f"{name} {letter}" if side == 0 else letter, max(8, len(name) + 2),
                            lambda r, n=name, s=side: "-" if r.calls[s] is None else str(r.calls[s][n])))
    return columns


def tables(results, overall):
    whole_program = not results[0].line.measured
    if whole_program:
        time = [(f"s {letter}", 7, lambda r, s=s: number(r.middle("time", s), 3)) for s, letter in enumerate("AB")]
    else:
        time = [(f"Mop/s {letter}", 7, lambda r, s=s: number(r.speed(s))) for s, letter in enumerate("AB")]
    rss = [(f"MiB {letter}", 7, lambda r, s=s: mib(r.middle("rss", s))) for s, letter in enumerate("AB")]
    faults = [(f"faults {letter}", 8, lambda r, s=s: thousands(r.middle("faults", s))) for s, letter in enumerate("AB")]
    first, second = time + figure_columns("time"), rss + figure_columns("rss") + faults + figure_columns("faults")
    if any(result.calls[0] for result in results):
        second += [(f"calls {letter}", 7, lambda r, s=s: "-" if r.calls[s] is None else str(sum(r.calls[s].values())))
                   for s, letter in enumerate("AB")]
    if any(result.instructions[0] for result in results):
        first += [(f"M instr {letter}", 9, lambda r, s=s: number(r.instructions[s] and r.instructions[s] / 1e6))
                  for s, letter in enumerate("AB")]
        first.append(("B/A", 6, lambda r: ratio3(r.instructions[1] / r.instructions[0])
                      if None not in r.instructions and r.instructions[0] > 0 else "-"))
    text = draw("time", first, results, last_cells(2, overall.get("time"), "time"))
    memory_last = {**last_cells(2, overall.get("rss"), "rss"), **last_cells(7, overall.get("faults"), "faults")}
    text += ["", *draw("memory", second, results, memory_last)]
    names = [name for name in SYSCALLS if any(calls and calls[name] for r in results for calls in r.calls)]
    if names:
        text += ["", *without_mean(draw("system calls", count_columns(names), results, {}))]
    return text if len(results) > 1 else without_mean(text)


def without_mean(text):
    """A table without its last row, where that has nothing to say."""
    return [row for row in text if not row.startswith("geomean")]


def as_plain(results, overall, sides, facts, rounds, pairs):
    """The same as numbers, for other programs."""
    def figures(of):
        return {what: {"ratio": f.ratio, "low": f.low, "high": f.high, "says": word(f, what) or None}
                for what, f in of.items()}

    return {"version": 1, "rounds": rounds, "pairs": pairs,
            "sides": [{"label": side.label, **facts[side.label]} for side in sides],
            "lines": [{"line": result.name, **figures(result.figures),
                       "system_calls": list(result.calls), "instructions": list(result.instructions)}
                      for result in results],
            "geomean": figures(overall)}


def render(results, overall, sides, facts, rounds, pairs):
    a, b = sides
    text = wrap(f"{facts['machine']}; THP {facts['thp']}; {facts['compiler']}")
    for letter, side in zip("AB", sides):
        text += wrap(f"{letter} = {side.label}: {side.library}" + "".join(f", {k}={v}" for k, v in side.env.items()))
    text += wrap(f"{rounds} rounds of {pairs} pairs of runs, A and B beside each other.")
    text += ["", *tables(results, overall), "", *wrap(LEGEND), ""]
    for what, name in (("time", "time"), ("rss", "peak RSS"), ("faults", "minor faults")):
        marked = [f"{r.name} {ratio3(r.figures[what].ratio)} {word(r.figures[what], what)}"
                  for r in results if what in r.figures and r.figures[what].marked]
        text += wrap(f"{name}, {b.label} against {a.label}: {', '.join(marked) or 'no line differs significantly'}")
    comparisons = len(results) + (len(results) > 1)
    if not ab_stats.can_mark(rounds * pairs, comparisons):
        text += wrap(f"{rounds} rounds are too few for any mark on {len(results)} lines: more with --rounds")
    return text
