#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Finds the boxes and settings of hakmem that are best for a program, by its trace.

    ./hakmem record -o trace.hkt -- COMMAND
    ./hakmem choose trace.hkt
    ./hakmem choose trace.hkt --only front,classes,HAKMEM_FRONT_BYTES

Each choice that could matter is built and replayed beside the default. Those that look better are then added up, the best
first: one stays where it is better than what has been found so far. That is done twice, once for time and once for memory
(the heap's peak). What is found is compared with the default at last, in runs of its own, so that its figures are not
those that it was chosen by. Time is that of the calls and of touching the blocks: of a program it is a part.

Before it begins it says how much there is to do. Control-C ends the looking: what was found until then is added up. Once more,
and it ends.
"""

import argparse
import dataclasses
import json
import os
import random
import shlex
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ab_sides  # noqa: E402
import ab_stats  # noqa: E402
import bench_run  # noqa: E402
from bench_run import BenchError  # noqa: E402
from progress import Progress  # noqa: E402

ROUNDS = 6        # of two pairs, for each comparison while looking
FINAL = 4         # times as many at last
BEST = 8          # so many are tried together
BUILD = 45        # seconds for a library, as it is said beforehand
GOALS = ("time", "rss")
WORDS = {"time": "time", "rss": "memory"}

# Options of the build that change neither speed nor memory, or what the program may do: those that tell or check, and
# the two that are about where the library is loaded and which memory a machine has.
NOT_CHOSEN = {"stats", "telemetry", "signals", "override", "check", "tests", "benchmarks", "record", "tls", "numa"}
SAME = {"auto"}   # another word for one of the others

# Settings that trade time for memory, at values on both sides of the default. (docs/options.md)
SETTINGS = {
    "HAKMEM_FRONT_BYTES": ("65536", "262144", "4194304"),
    "HAKMEM_FRONT_V2_CAP": ("32",),
    "HAKMEM_PURGE_DELAY_MS": ("0", "10000"),
    "HAKMEM_MIN_KEEP": ("0", "67108864"),
    "HAKMEM_THP": ("1",),
    "HAKMEM_HUGE_FROM": ("0",),
    "HAKMEM_HOT_COLD_SCAN": ("16",),
    "HAKMEM_SS_EMPTY_SCAN_LIMIT": ("8",),
}


@dataclasses.dataclass
class Tried:
    """A choice beside the default: its word, and the figures that it had."""

    word: str
    figures: dict
    refused: str = None


def name_of(word):
    return word.removeprefix("-D").partition("=")[0]


def candidates(source, only):
    """The words of all choices: those of the build that are not the default, then settings."""
    found = []
    for name, option in ab_sides.known_options(source).items():
        if option["section"] == "user" and option["type"] == "combo" and name not in NOT_CHOSEN:
            found += [f"-D{name}={value}" for value in option["choices"] if value not in SAME | {option["value"]}]
    # where `auto` is the default it is the one that the other word does not say
    found = [word for word in found if word not in ("-Dtransfer=enabled", "-Dtls_sll=disabled")]
    found += [f"{name}={value}" for name, values in SETTINGS.items() for value in values]
    if only is None:
        return found
    names = {name_of(word) for word in found}
    for name in only:
        if name not in names:
            raise BenchError(f"--only: there is no choice {name!r}; there are {', '.join(sorted(names))}")
    return [word for word in found if name_of(word) in only]


class Bench:
    """Runs the trace on two sides beside each other. Sides are tuples of words."""

    def __init__(self, args, progress):
        self.args = args
        self.progress = progress
        self.command = [bench_run.trace_tool(args.build), "play", os.path.abspath(args.trace)]
        self.sides = {}
        self.lot = random.Random()

    def side(self, words):
        """Built; raises BenchError where these do not go together."""
        if words not in self.sides:
            side = ab_sides.read_side([*self.args.base, *words])
            ab_sides.build_side(side, self.progress)
            ab_sides.check_settings(side)
            bench_run.check_preload(self.args.build, {"side": side.library})
            self.sides[words] = side
        return self.sides[words]

    def run(self, words):
        side = self.side(words)
        run = bench_run.run_once(self.args.build, side.library, self.command, side.env)
        if not run.ok:
            raise BenchError(f"{' '.join(words) or 'default'}: {run.status}")
        return run

    def compare(self, one, two, rounds, what):
        """Figures of `two` against `one`: time's ratio is a speed, above 1 is faster; rss below 1 is less."""
        runs = ([], [])
        for at in range(rounds):
            first = self.lot.randrange(2)
            for which in (first, 1 - first, 1 - first, first):
                self.progress(f"{what}: round {at + 1} of {rounds}")
                runs[which].append(self.run((one, two)[which]))
        pairs = {"time": [(a.elapsed, b.elapsed) for a, b in zip(*runs)], "rss": [(a.rss, b.rss) for a, b in zip(*runs)]}
        return {goal: ab_stats.compare(pairs[goal], goal) for goal in GOALS}


def gain(figure, goal):
    """Above 1 is better, for both."""
    return figure.ratio if goal == "time" else 1 / figure.ratio


def is_better(figure, goal):
    """Surely, and by enough: the interval leaves out 1."""
    sure = figure.low > 1 if goal == "time" else figure.high < 1
    return sure and gain(figure, goal) >= 1 + ab_stats.LEAST


def has_to_be_built(base, word):
    """What cannot be tried is said when its turn comes."""
    try:
        return word.startswith("-D") and not ab_sides.is_built(ab_sides.read_side([*base, word]))
    except BenchError:
        return False


def say_work(args, words, seconds):
    """On stderr, how much there is to do; `seconds` is what a run takes."""
    looking = 4 * args.rounds * len(words)
    most = looking + len(GOALS) * 4 * args.rounds * (BEST + FINAL)
    builds = sum(has_to_be_built(args.base, word) for word in words)
    text = f"choose: {len(words)} choices: {looking} runs of {seconds:.2f} s to look, {most} at most"
    if builds:
        text += f", and {builds} libraries to build, half a minute to a minute each"
    left = (looking + (most - looking) / 2) * seconds + builds * BUILD
    print(f"{text}: some {int(left) // 60 + 1} min. Control-C: no more looking", file=sys.stderr, flush=True)


def look(bench, words, progress):
    """Each choice alone, beside the default, until somebody says that it is enough."""
    tried = []
    try:
        look_at_each(bench, words, progress, tried)
    except KeyboardInterrupt:
        progress.close()
        print(f"choose: {len(tried)} of {len(words)} choices were tried", file=sys.stderr, flush=True)
        if not any(each.figures for each in tried):
            raise
    return tried


def look_at_each(bench, words, progress, tried):
    begin = time.monotonic()
    for at, word in enumerate(words):
        left = f"{int((time.monotonic() - begin) / at * (len(words) - at)) // 60 + 1} min left" if at else "time left unknown"
        try:
            figures = bench.compare((), (word,), bench.args.rounds, f"{at + 1} of {len(words)}, {word}; {left}")
            tried.append(Tried(word, figures))
        except BenchError as error:
            progress.close()
            print(f"choose: without {word}: {str(error).splitlines()[0][:150]}", file=sys.stderr)
            tried.append(Tried(word, {}, str(error)))


def add_up(bench, tried, goal):
    """The words that are best together."""
    found = ()
    better = sorted((each for each in tried if each.figures and gain(each.figures[goal], goal) > 1 + ab_stats.LEAST / 2),
                    key=lambda each: -gain(each.figures[goal], goal))
    for each in better[:BEST]:
        if any(name_of(word) == name_of(each.word) for word in found):
            continue
        try:
            figures = bench.compare(found, (*found, each.word), bench.args.rounds,
                                    f"for {WORDS[goal]}: {' '.join(found) or 'default'} and {each.word}")
        except BenchError:
            continue  # the two do not go together
        if is_better(figures[goal], goal):
            found = (*found, each.word)
    return found


def build_line(words):
    """How to have it."""
    options = [word for word in words if word.startswith("-D")]
    settings = [word for word in words if not word.startswith("-D")]
    setup = "meson setup build --buildtype=release " + " ".join(options) if options else "meson setup build --buildtype=release"
    run = " ".join([*settings, "LD_PRELOAD=$PWD/build/libhakmem.so", "COMMAND"])
    return f"{setup} && ninja -C build && {run}"


def figure_text(figure, goal):
    ratio, low, high = (100 * (value - 1) for value in (figure.ratio, figure.low, figure.high))
    says = ("faster" if ratio >= 0 else "slower") if goal == "time" else ("more memory" if ratio >= 0 else "less memory")
    return f"{abs(ratio):.1f} % {says} ({low:+.1f} to {high:+.1f})"


def report(args, tried, results):
    lines = [f"{args.trace}: {len(tried)} choices beside the default, {args.rounds} rounds each{args.cut}", "",
             f"{'choice':34} {'speed':>7} {'95 %':>15} {'memory':>8} {'95 %':>15}"]
    for each in tried:
        if not each.figures:
            lines.append(f"{each.word:34} not tried: {each.refused.splitlines()[0][:70]}")
            continue
        cells = [(f"{f.ratio:.3f}", f"{f.low:.3f}-{f.high:.3f}") for f in (each.figures[goal] for goal in GOALS)]
        lines.append(f"{each.word:34} {cells[0][0]:>7} {cells[0][1]:>15} {cells[1][0]:>8} {cells[1][1]:>15}")
    lines += ["", "Speed above 1: faster than the default; memory (the heap's peak) below 1: less. 95 %: bootstrap interval."]
    for goal in GOALS:
        words, figures = results[goal]
        lines.append("")
        if not words:
            lines.append(f"Best for {WORDS[goal]}: the default. No choice is surely better.")
            continue
        if not is_better(figures[goal], goal):
            lines.append(f"Best for {WORDS[goal]}: the default. {' '.join(words)} looked better, but in the last runs is not surely:")
            lines += [f"  {figure_text(figures[each], each)}" for each in GOALS]
            continue
        lines.append(f"Best for {WORDS[goal]}: {' '.join(words)}")
        lines += [f"  {figure_text(figures[each], each)}" for each in GOALS]
        lines.append(f"  {build_line(words)}")
        lines.append(f"  on the program itself: ./hakmem ab -- {shlex.join(words)} -- COMMAND")
    return "\n".join(lines) + "\n"


def as_plain(args, tried, results):
    def plain(figures):
        return {WORDS[goal]: {"ratio": f.ratio, "low": f.low, "high": f.high} for goal, f in figures.items()}

    return {"version": 1, "trace": args.trace, "rounds": args.rounds, "facts": bench_run.facts(args.build),
            "tried": [{"choice": each.word, **plain(each.figures), **({"refused": each.refused} if each.refused else {})}
                      for each in tried],
            "best": {WORDS[goal]: {"words": list(words), "sure": bool(words) and is_better(figures[goal], goal),
                                   "build": build_line(words), **plain(figures or {})}
                     for goal, (words, figures) in results.items()}}


def arguments(argv):
    parser = argparse.ArgumentParser(prog="hakmem choose", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", metavar="TRACE", help="a file of `hakmem record`")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N",
                        help=f"rounds of two pairs for each comparison (default {ROUNDS}; {FINAL} times as many at last)")
    parser.add_argument("--only", metavar="NAMES", help="only these options and settings, with commas between")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write there")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # the arguments, before building
    parser.add_argument("--base", action="append", default=[], help=argparse.SUPPRESS)  # words of all sides
    parser.add_argument("--build", default=os.path.join(bench_run.ROOT, "build-bench"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    args.only = args.only.split(",") if args.only else None
    args.build = os.path.abspath(args.build)
    return args


def run(args, progress):
    if not bench_run.is_trace(args.trace):
        raise BenchError(f"{args.trace}: no trace of `hakmem record`")
    bench_run.check_output(args.output)
    words = candidates(bench_run.ROOT, args.only) if not args.check or args.only else []
    if args.check:
        return 0
    bench = Bench(args, progress)
    bench.run(())  # the default works, and its pages are in memory
    begin = time.monotonic()
    bench.run(())
    say_work(args, words, time.monotonic() - begin)
    tried = look(bench, words, progress)
    args.cut = f"; of {len(words)}, the others were not tried" if len(tried) < len(words) else ""
    results = {}
    for goal in GOALS:
        found = add_up(bench, tried, goal)
        figures = bench.compare((), found, FINAL * args.rounds, f"the best for {WORDS[goal]} at last") if found else None
        results[goal] = (found, figures)
    progress.close()
    text = json.dumps(as_plain(args, tried, results), indent=1) + "\n" if args.json else report(args, tried, results)
    if args.output:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


def main():
    progress = Progress(every=30)
    return bench_run.end_with("choose", lambda: run(arguments(sys.argv[1:]), progress), progress)


if __name__ == "__main__":
    sys.exit(main())
