#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares two builds of hakmem, or one build under two settings, on the bench set or on any program.

    ./hakmem ab -Dfront=v2 -- -Dfront=unified
    ./hakmem ab HAKMEM_FRONT_V2_CAP=16 -- HAKMEM_FRONT_V2_CAP=64 --bench 'mixed-*'
    ./hakmem ab -- -Dss_arena=disabled -- python3 -c 'print(sum(range(10**7)))'
    ./hakmem ab @../other-checkout -- @.
    ./hakmem ab trace.hkt -Dclasses=dense -- -Dclasses=fine

A side is any of: -DNAME=VALUE, an option of the build; NAME=VALUE, the environment of what runs; @FOLDER, another
checkout; @FILE.so, a library. No word is the default. Builds are kept in build-ab/. What stands after a second `--` is
run as it is, with its input and output closed off, and measured as a whole. A file of `hakmem record` is replayed:
its time is that of its calls alone, its memory that of the heap alone.
"""

import argparse
import json
import dataclasses
import os
import random
import re
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ab_picture  # noqa: E402
import ab_sides  # noqa: E402
import ab_table  # noqa: E402
import bench_count  # noqa: E402
import bench_rows  # noqa: E402
import bench_run  # noqa: E402
from bench_run import BenchError  # noqa: E402
from progress import Progress, Remaining  # noqa: E402

ROUNDS = 20
PROGRAM_ROUNDS = 6
PAIRS = 4  # of runs, in a round and line
THREADED = ("prodcons", "larson", "threads", "cycles", "sharing", "queue", "kv", "aging", "lanes")
QUICK_DIVIDE = 10
QUICK_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class AbLine:
    """A line of the bench, or the user's program. `short` and `longer` are its commands for callgrind: the second less
    the first leaves out start and end; a whole program has but one."""

    name: str
    command: list
    longer: list
    short: list
    measured: bool
    timed: bool
    one_thread: bool


def bench_lines(patterns, divide, elapsed):
    lines = []
    for line in bench_run.read_lines(patterns):
        count = int(line.args[line.count_at])
        small = max(1, count // 100)
        lines.append(AbLine(line.name, line.command(divide=divide), line.command(max(small + 1, count // 20)),
                            line.command(small), True, line.program != "floor",
                            line.program not in THREADED and not elapsed))
    return lines


def trace_line(path, tool):
    """A trace is one line: its calls run again, by threads of their own."""
    if not bench_run.is_trace(path):
        raise BenchError(f"{path}: no trace of `hakmem record`")
    name = os.path.splitext(os.path.basename(path))[0][:20]
    command = [tool, "play", os.path.abspath(path)]
    return AbLine(name, command, command, None, True, True, False)


def program_line(argv):
    path = shutil.which(argv[0])
    if path is None:
        raise BenchError(f"{argv[0]}: command not found")
    command = [os.path.abspath(path), *argv[1:]]
    return AbLine(os.path.basename(path)[:20], command, command, None, False, True, False)


def measure(args, lines, sides, rows, progress):
    """Every round runs every line in pairs A B B A or, by lot, B A A B. Gives line -> (runs of A, runs of B)."""
    remaining = Remaining([(line.name, side.label) for line in lines for side in sides], args.rounds * PAIRS)
    runs = {line.name: ([], []) for line in lines}
    lot = random.Random()
    for turn in range(args.rounds):
        for line in lines:
            for _ in range(PAIRS // 2):
                first = lot.randrange(2)
                for which in (first, 1 - first, 1 - first, first):
                    side = sides[which]
                    progress(f"round {turn + 1} of {args.rounds}, {line.name} with {side.label}; {remaining.text()}")
                    start = time.monotonic()
                    run = bench_run.run_once(args.build, side.library, line.command, side.env, line.measured)
                    remaining.done((line.name, side.label), time.monotonic() - start)
                    runs[line.name][which].append(run)
                    rows.add(line, line.command, turn, side.label, run)
    return runs


def count(args, lines, sides, progress):
    """Line -> the pair of counts of system calls, and line -> the pair of instructions. One run each."""
    calls, instructions = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for at, line in enumerate(lines if args.calls else ()):
            progress(f"system calls, {line.name}; {len(lines) - at} lines left")
            calls[line.name] = tuple(bench_count.strace(args.build, side.library, line.command, folder, side.env)
                                     for side in sides)
    for at, line in enumerate(lines if args.instructions else ()):
        progress(f"instructions, {line.name}; {len(lines) - at} lines left")
        instructions[line.name] = tuple(instructions_of(args.build, line, side) for side in sides)
    return calls, instructions


def instructions_of(build, line, side):
    total = bench_count.callgrind(build, side.library, line.longer, side.env)
    less = bench_count.callgrind(build, side.library, line.short, side.env) if line.short else 0
    return None if None in (total, less) else total - less


def split_words(words):
    """(words of A, words of B, other arguments, program or None)."""
    parts = [[]]
    while words and (words[0] != "--" or len(parts) < 3):
        word, words = words[0], words[1:]
        if word == "--":
            parts.append([])
            if len(parts) == 3:
                parts[2] = words
                break
        else:
            parts[-1].append(word)
    sides = [[word for word in part if ab_sides.is_side_word(word)] for part in parts[:2]]
    rest = [word for part in parts[:2] for word in part if not ab_sides.is_side_word(word)]
    return sides, rest, parts[2] if len(parts) > 2 else None


def arguments(argv):
    parser = argparse.ArgumentParser(prog="hakmem ab", description=__doc__, usage=argparse.SUPPRESS,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", "--only", metavar="LINES", help="only these lines of the bench, comma or glob")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds of {PAIRS} pairs (default {ROUNDS}, of a program {PROGRAM_ROUNDS})")
    parser.add_argument("--instructions", action="store_true", help="count instructions too, by callgrind")
    parser.add_argument("--no-calls", action="store_false", dest="calls", help="do not count system calls by strace")
    parser.add_argument("--elapsed", action="store_true",
                        help="elapsed time on every line (else CPU time where one thread does the work)")
    parser.add_argument("--quick", action="store_true",
                        help=f"a tenth of each count and {QUICK_ROUNDS} rounds: to try, not to quote")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")
    parser.add_argument("-o", "--csv", dest="csv", metavar="FILE",
                        help="raw rows (default: a new file in build-ab/results)")
    parser.add_argument("--svg", metavar="FILE", help="the picture (default: beside the rows)")
    parser.add_argument("trace", nargs="?", metavar="TRACE", help="a file of `hakmem record` that is replayed")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # the arguments, before building
    parser.add_argument("--build", default=os.path.join(bench_run.ROOT, "build-bench"), help=argparse.SUPPRESS)
    sides, rest, program = split_words(argv)
    args = parser.parse_args(rest)
    args.sides, args.program = sides, program
    if len(sides) < 2:
        parser.error("two sides are needed: SIDE -- SIDE, see --help")
    if program == [] or (program and args.bench):
        parser.error("a program stands after the second --, and --bench without one")
    if args.trace and (program or args.bench or args.instructions):
        parser.error("a TRACE stands alone: without a program, --bench and --instructions")
    args.calls = args.calls and not args.trace  # the reader's would be counted with them
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be at least 1")
    args.rounds = args.rounds or (QUICK_ROUNDS if args.quick else PROGRAM_ROUNDS if program or args.trace else ROUNDS)
    args.build = os.path.abspath(args.build)
    return args


def leave_out_what_is_missing(args):
    """A tool that is not there costs its column, not the comparison."""
    for tool, wanted in (("strace", "calls"), ("valgrind", "instructions")):
        if getattr(args, wanted) and shutil.which(tool) is None:
            print(f"ab: {tool} is not installed: no {wanted}", file=sys.stderr)
            setattr(args, wanted, False)


def output_paths(args, sides):
    stamp = time.strftime("%Y-%m-%dT%H%M%S")
    name = "--".join(re.sub(r"[^A-Za-z0-9_.=+-]+", "-", side.label) for side in sides)
    folder = os.path.join(bench_run.ROOT, ab_sides.FOLDER, "results")
    rows = args.csv or os.path.join(folder, f"{stamp}-{name}.csv")
    picture = args.svg or os.path.splitext(rows)[0] + ".svg"
    for path in (rows, picture):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    return rows, picture


def run(args, progress):
    lines = [program_line(args.program)] if args.program else \
        [trace_line(args.trace, bench_run.trace_tool(args.build, args.check))] if args.trace else \
        bench_lines(args.bench, QUICK_DIVIDE if args.quick else 1, args.elapsed)
    sides = [ab_sides.read_side(words) for words in args.sides]
    ab_sides.name_sides(*sides)
    bench_run.check_output(args.csv, args.svg)
    if args.check:
        for side in sides:
            ab_sides.check_options(side)
        return 0
    leave_out_what_is_missing(args)
    for side in sides:
        ab_sides.build_side(side, progress)
        ab_sides.check_settings(side)
    libraries = {side.label: side.library for side in sides}
    bench_run.check_preload(args.build, libraries)
    if os.getloadavg()[0] > 0.5 * len(os.sched_getaffinity(0)):
        print("ab: this machine is busy with something else; times will vary more", file=sys.stderr)
    facts = {side.label: side.facts() for side in sides}
    rows_path, picture_path = output_paths(args, sides)
    rows = bench_rows.Rows(rows_path, facts, libraries)
    runs = measure(args, lines, sides, rows, progress)
    calls, instructions = count(args, lines, sides, progress)
    progress("working out the intervals")
    none = (None, None)
    results = [ab_table.LineResult(line, *runs[line.name], calls.get(line.name, none),
                                   instructions.get(line.name, none)) for line in lines]
    good = [result for result in results if result.ok]
    overall = ab_table.judge(good, args.rounds)
    progress.close()
    drawn = False
    if args.json:
        print(json.dumps(ab_table.as_plain(good, overall, sides, facts, args.rounds, PAIRS), indent=1))
    elif good:
        print("\n".join(ab_table.render(good, overall, sides, facts[sides[0].label], args.rounds, PAIRS)))
    if good:
        drawn = ab_picture.draw(picture_path, good, overall, sides, [facts[side.label] for side in sides],
                                f"{args.rounds} rounds of {PAIRS} pairs")
    for result in results:
        for side, of_side in zip(sides, (result.runs_a, result.runs_b)):
            bad = [run.status for run in of_side if not run.ok]
            if bad:
                print(f"{result.name} with {side.label}: {len(bad)} of {len(of_side)} runs failed: {bad[0]}",
                      file=sys.stderr if args.json else sys.stdout)
    print(f"raw rows: {rows_path}" + (f"\npicture: {picture_path}" if drawn else ""), file=sys.stderr)
    return 0 if len(good) == len(results) else 1


def main():
    progress = Progress(every=30)
    return bench_run.end_with("ab", lambda: run(arguments(sys.argv[1:]), progress), progress)


if __name__ == "__main__":
    sys.exit(main())
