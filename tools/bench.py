#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares hakmem with other allocators, line by line, and prints one table of medians (see bench/README.md)."""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_count  # noqa: E402
import bench_rows  # noqa: E402
import bench_run  # noqa: E402
import bench_table  # noqa: E402
from progress import Progress, Remaining  # noqa: E402

QUICK_DIVIDE = 10
QUICK_ROUNDS = 3


def measure(build, lines, allocators, rounds, divide, rows, progress):
    """Interleaved: every round runs every line on every allocator, in an order that moves on with line and round."""
    names = list(allocators)
    runs = {line.name: {name: [] for name in names} for line in lines}
    remaining = Remaining([(line.name, name) for line in lines for name in names], rounds)
    for turn in range(rounds):
        for index, line in enumerate(lines):
            command = line.command(divide=divide)
            first = (turn + index) % len(names)
            for name in names[first:] + names[:first]:
                progress(f"round {turn + 1} of {rounds}, {line.name} on {name}; {remaining.text()}")
                start = time.monotonic()
                run = bench_run.run_once(build, allocators[name], command)
                remaining.done((line.name, name), time.monotonic() - start)
                runs[line.name][name].append(run)
                rows.add(line, command, turn, name, run)
    return runs


def failures(runs):
    found = []
    for line, by_name in runs.items():
        for name, rows in by_name.items():
            bad = [run.status for run in rows if not run.ok]
            if bad:
                found.append((name, f"{line} on {name}: {len(bad)} of {len(rows)} runs failed: {bad[0]}"))
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="hakmem bench", description=__doc__)
    parser.add_argument("--build", default=os.path.join(bench_run.ROOT, "build"), metavar="DIR",
                        help="build folder with libhakmem.so and bench/ (default: build)")
    parser.add_argument("--lib", action="append", default=[], metavar="NAME=PATH",
                        help="adds an allocator to preload; hakmem=PATH measures another build of it; repeatable")
    parser.add_argument("--against", metavar="NAMES",
                        help="only these peers beside glibc, comma or glob; 'glibc' for none but glibc")
    parser.add_argument("--bench", "--only", dest="only", metavar="LINES", help="only these lines, comma or glob")
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="a tenth of each count and 3 rounds: to try, not to quote")
    parser.add_argument("-o", "--csv", dest="csv", metavar="FILE",
                        help="raw rows, added at its end (default: DIR/bench.csv)")
    parser.add_argument("--instructions", action="store_true", help="count instructions by callgrind instead")
    parser.add_argument("--syscalls", action="store_true", help="count memory system calls by strace instead")
    parser.add_argument("--list", action="store_true", help="print the lines and end")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # the arguments, before building
    args = parser.parse_args()
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be at least 1")
    args.rounds = args.rounds or (QUICK_ROUNDS if args.quick else 7)
    args.build = os.path.abspath(args.build)
    return args


def run(args, progress):
    lines = bench_run.read_lines(args.only)
    bench_run.check_output(args.csv)
    if args.check:
        return 0
    if args.list:
        for line in lines:
            print(f"{line.name:24}{' '.join(line.command())}")
        return 0
    allocators = bench_run.find_allocators(args.build, args.lib, args.against)
    bench_run.check_preload(args.build, allocators)
    if args.instructions or args.syscalls:
        tables = [bench_count.instructions] * args.instructions + [bench_count.syscalls] * args.syscalls
        text = ["\n".join(table(args.build, allocators, progress, args.quick)) for table in tables]
        progress.close()
        print("\n\n".join(text))
        return 0
    if os.getloadavg()[0] > 0.5 * len(os.sched_getaffinity(0)):
        print("bench: this machine is busy with something else; the times will not hold", file=sys.stderr)
    facts = bench_run.facts(args.build)
    path = args.csv or os.path.join(args.build, "bench.csv")
    rows = bench_rows.Rows(path, dict.fromkeys(allocators, facts), allocators)
    runs = measure(args.build, lines, allocators, args.rounds, QUICK_DIVIDE if args.quick else 1, rows, progress)
    progress.close()
    results = [bench_table.LineResult(line.name, runs[line.name]) for line in lines]
    failed = failures(runs)
    print("\n".join(bench_table.render(results, allocators, args.rounds, facts)))
    for _, text in failed:
        print(text)
    print(f"raw rows: {path}", file=sys.stderr)
    return 1 if any(name == "hakmem" for name, _ in failed) else 0


def main():
    progress = Progress()
    return bench_run.end_with("bench", lambda: run(arguments(), progress), progress)


if __name__ == "__main__":
    sys.exit(main())
