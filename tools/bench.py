#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares hakmem with other allocators, line by line, and prints one table of medians (see bench/README.md)."""

import argparse
import csv
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_count  # noqa: E402
import bench_run  # noqa: E402
import bench_table  # noqa: E402

COLUMNS = ("date", "commit", "compiler", "options", "machine", "thp", "line", "command", "round", "allocator",
           "library", "status", "ops_per_sec", "elapsed_s", "wall_s", "user_s", "sys_s", "peak_rss_kib",
           "minor_faults", "major_faults")
QUICK_DIVIDE = 10
QUICK_ROUNDS = 3


class Progress:
    """One line on stderr: rewritten in place on a terminal, otherwise a new one every ten seconds."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def __call__(self, text):
        now = time.monotonic()
        if self.terminal:
            print(f"\r\033[K{text[:110]}", end="", file=sys.stderr, flush=True)
        elif now - self.last >= 10:
            self.last = now
            print(text, file=sys.stderr, flush=True)

    def close(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Remaining:
    """How long is left: what each run took last time, or the mean of all where it has not run yet."""

    def __init__(self, keys, rounds):
        self.left = dict.fromkeys(keys, rounds)
        self.took = {}

    def done(self, key, seconds):
        self.left[key] -= 1
        self.took[key] = seconds

    def text(self):
        if not self.took:
            return "time left unknown"
        mean = sum(self.took.values()) / len(self.took)
        seconds = sum(count * self.took.get(key, mean) for key, count in self.left.items())
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} left"


class Rows:
    """The raw rows. A file that is there already is continued; its header must be ours."""

    def __init__(self, path, facts, allocators):
        self.facts = facts
        self.libraries = {name: os.path.basename(os.path.realpath(library)) if library else ""
                          for name, library in allocators.items()}
        new = not os.path.exists(path) or os.path.getsize(path) == 0
        if not new and bench_run.first_line(path) != ",".join(COLUMNS):
            raise bench_run.BenchError(f"{path} is not a file of this bench; name another with --csv")
        self.file = open(path, "a", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.file, COLUMNS, lineterminator="\n")
        if new:
            self.writer.writeheader()

    def add(self, line, command, turn, name, run):
        self.writer.writerow({
            **self.facts, "line": line.name, "command": " ".join(command), "round": turn + 1, "allocator": name,
            "library": self.libraries[name], "status": run.status, "ops_per_sec": run.ops_per_sec,
            "elapsed_s": f"{run.elapsed:.6f}", "wall_s": f"{run.wall:.6f}", "user_s": f"{run.user:.6f}",
            "sys_s": f"{run.sys:.6f}", "peak_rss_kib": run.rss, "minor_faults": run.minor_faults,
            "major_faults": run.major_faults,
        })
        self.file.flush()


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
    parser.add_argument("--only", metavar="LINES", help="only these lines, comma or glob")
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="a tenth of each count and 3 rounds: to try, not to quote")
    parser.add_argument("--csv", metavar="PATH", help="raw rows, added at its end (default: DIR/bench.csv)")
    parser.add_argument("--instructions", action="store_true", help="count instructions by callgrind instead")
    parser.add_argument("--syscalls", action="store_true", help="count memory system calls by strace instead")
    parser.add_argument("--list", action="store_true", help="print the lines and end")
    args = parser.parse_args()
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be at least 1")
    args.rounds = args.rounds or (QUICK_ROUNDS if args.quick else 7)
    args.build = os.path.abspath(args.build)
    return args


def run(args, progress):
    lines = bench_run.read_lines(args.only)
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
    rows = Rows(path, facts, allocators)
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
    try:
        return run(arguments(), progress)
    except (bench_run.BenchError, OSError) as error:
        progress.close()
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.close()
        return 130


if __name__ == "__main__":
    sys.exit(main())
