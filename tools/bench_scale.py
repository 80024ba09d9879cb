#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far hakmem scales, told from a few processors: for each line what an operation takes, how much of it under each
lock, and with how many processors that lock would be held all the time. With 8 processors or more also how the speed
grows with the threads. docs/scale.md says how to read it."""

import argparse
import json
import os
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bench_run  # noqa: E402
from progress import Progress  # noqa: E402
from usl import fit  # noqa: E402

# Name, the command of a run with T threads, step of T. N divides the count.
LINES = [
    ("Random Mixed", lambda n, t: ["lanes", 6000000 // n, t, 0, 16, 1024, 1024], 1),
    ("larson", lambda n, t: ["larson", 30000, t, 100 // n], 1),
    ("producer/consumer", lambda n, t: ["prodcons", 6000000 // n, 16, 1024, 4096, 256, 42, t // 2], 2),
    ("buffers 64 KiB-1 MiB", lambda n, t: ["lanes", 400000 // n, t, 0, "64k", "1m", 64], 1),
    ("thread churn", lambda n, t: ["threads", 20000 // n * t, t, 100], 1),
]

# Kinds of lock of which each thread has its own: others seldom want it, and it is no limit.
OF_THREADS = ("heap",)
# And kinds of which there are several places, among which threads are spread.
PLACES = {"array": 8, "strangers at the gate": 16}
MANY = 100000  # processors: more is no answer
ENOUGH_FOR_CURVES = 8
SHORTER = 5  # the part of its count that a second run has

# What a line takes from one core to another, at least, in ticks: about 60 ns within a socket of today's servers. Two
# processors of a virtual machine may be the two halves of a core and show nothing of it.
LINE_TICKS = 150


def run_line(build, library, command, folder, counted=False):
    """(a run, its statistics if they are to be counted)."""
    path = os.path.join(folder, "stats.json") if counted else None
    env = {"HAKMEM_STATS": "json:" + path} if path else None
    run = bench_run.run_once(build, os.path.join(library, "libhakmem.so"), [str(word) for word in command], env)
    if not run.ok:
        raise bench_run.BenchError(f"{' '.join(map(str, command))}: {run.status}")
    if path is None:
        return run, None
    with open(path, encoding="utf-8") as file:
        stats = json.load(file)
    if "locks" not in stats:
        raise bench_run.BenchError(f"{library}: built without -Dtelemetry=enabled")
    return run, stats


def operations(run):
    return run.ops_per_sec * run.elapsed


def counts_of(stats):
    """{lock: (times, waits, ticks, busiest lock's ticks)} and {word: times}, of a whole run."""
    locks = {}
    for name, row in stats["locks"].items():
        share = row["busiest_ticks"] / max(row["held_ticks"], 1)
        locks[name] = (row["taken"], row["waited"], row["held_99_ticks"], row["held_99_ticks"] * min(share, 1))
    return locks, {name: (times,) for name, times in stats["shared_words"].items()}


def per_operation(long, short):
    """The same of one operation, from the medians of runs of two lengths, [(counts, operations)]: what begins and ends a
    program is in both and goes out."""
    ops = statistics.median(ops for _, ops in long) - statistics.median(ops for _, ops in short)
    found = []
    for i in range(2):
        more, less = median_of([counts[i] for counts, _ in long]), median_of([counts[i] for counts, _ in short])
        found.append({key: tuple(max(a - b, 0) / ops for a, b in zip(row, less.get(key, (0,) * len(row))))
                      for key, row in more.items()})
    return found


def median_of(rows):
    """The medians, key by key and column by column; what a row lacks is 0."""
    keys = {key for row in rows for key in row}
    def column(key, i):
        return statistics.median(row[key][i] if key in row else 0 for row in rows)
    width = len(next((value for row in rows for value in row.values()), ()))
    return {key: tuple(column(key, i) for i in range(width)) for key in keys}


def saturation(ticks, kind, lock, threads, handover):
    """With how many processors one lock of a kind would be held all the time: while nobody waits for its line, and with
    the way of the line. None: each thread has its own."""
    times, _, held, busiest = lock
    if kind in OF_THREADS:
        return None
    if kind in PLACES:  # the busiest one, of a place that so many threads have now and one in PLACES then
        part = busiest / held if held else 0
        spread = PLACES[kind] / min(threads, PLACES[kind])
        held, times = busiest / spread, times * part / spread
    both = held + times * handover
    return ticks / held if held else float("inf"), ticks / both if both else float("inf")


def measure(args, progress):
    """[(line, threads, ticks of an operation, locks, words)], the hand-over, ticks a second."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        def rounds(what, command, counted=False):
            runs = []
            for i in range(args.rounds):
                progress(f"{what}, round {i + 1} of {args.rounds}")
                runs.append(run_line(args.build, args.telemetry if counted else args.build, command, folder, counted))
            return runs

        hands = [run for run, _ in rounds("hand-over", ["handover", 5000000 // args.divide, 2])]
        handover = statistics.median(run.more["ticks_per_100"] for run in hands) / 100
        hertz = statistics.median(run.more["ticks_per_sec"] for run in hands)
        for name, command, step in args.lines:
            for threads in (1, 2):
                if threads % step:
                    continue
                words = command(args.divide, threads)
                plain = [run for run, _ in rounds(f"{name}, {threads}", words)]
                ticks = statistics.median((run.user + run.sys) * hertz / operations(run) for run in plain)
                long, short = [[(counts_of(stats), operations(run)) for run, stats in
                                rounds(f"{name}, {threads}, counted", command(n, threads), True)]
                               for n in (args.divide, args.divide * SHORTER)]
                locks, shared = per_operation(long, short)
                found.append((name, threads, ticks, locks, {key: value[0] for key, value in shared.items()}))
    return found, handover, hertz


def number(processors):
    if processors is None:
        return "own"
    return f"{processors:.0f}" if processors < MANY else "-"


def table(found, handover):
    lines = [f"{'line':22}{'threads':>8}{'ticks/op':>10}  {'lock or word':24}{'taken/op':>10}{'waited':>9}"
             f"{'held/op':>10}{'share':>9}{'full at':>9}{'with its line':>15}"]
    for name, threads, ticks, locks, words in found:
        rows = []  # (order, text)
        for kind, lock in locks.items():
            full = saturation(ticks, kind, lock, threads, handover)
            times, waits, held, _ = lock
            if held / ticks >= 0.0001 or (full and full[1] < 10000):
                rows.append((full[1] if full else MANY, f"{kind:24}{times:10.5f}{waits / max(times, 1e-9):9.2%}{held:10.3f}"
                             f"{held / ticks:9.3%}{number(full and full[0]):>9}{number(full and full[1]):>15}"))
        for word, times in words.items():
            full = ticks / (times * handover) if times else float("inf")
            if full < 10000:
                rows.append((full, f"{'word: ' + word:24}{times:10.5f}{'':9}{'':10}{'':9}{'':9}{number(full):>15}"))
        for i, (_, text) in enumerate(sorted(rows, key=lambda row: row[0]) or [(0, "none")]):
            lines.append((f"{name:22}{threads:8}{ticks:10.1f}  " if i == 0 else " " * 42) + text)
    return lines


def curves(args, progress):
    processors = len(os.sched_getaffinity(0))
    if processors < ENOUGH_FOR_CURVES:
        return [f"no curves: this machine has {processors} processors; they take {ENOUGH_FOR_CURVES}"]
    counts = sorted({1, 2, 4, *range(8, processors, max(8, processors // 8)), processors})
    text = [f"{'line':22}" + "".join(f"{n:>9}" for n in counts) + f"{'contention':>12}{'coherence':>11}{'most at':>9}"]
    with tempfile.TemporaryDirectory() as folder:
        for name, command, step in args.lines:
            points = []
            for n in counts:
                if n % step:
                    continue
                progress(f"{name}, {n} threads")
                runs = [run_line(args.build, args.build, command(args.divide, n), folder)[0] for _ in range(args.rounds)]
                points.append((n, statistics.median(run.ops_per_sec for run in runs)))
            known = dict(points)
            cells = "".join(f"{known[n] / 1e6:9.2f}" if n in known else f"{'':9}" for n in counts)
            law = fit(points)
            most = f"{law.most:9.0f}" if law.most < MANY else f"{'-':>9}"
            text.append(f"{name:22}{cells}{law.contention:12.5f}{law.coherence:11.6f}{most}")
    return text


def arguments():
    parser = argparse.ArgumentParser(prog="hakmem bench scale", description=__doc__)
    parser.add_argument("--build", default=os.path.join(bench_run.ROOT, "build-bench"), metavar="DIR",
                        help="build folder with libhakmem.so and bench/")
    parser.add_argument("--telemetry", default=os.path.join(bench_run.ROOT, "build-bench-telemetry"), metavar="DIR",
                        help="build folder of the same with -Dtelemetry=enabled")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each, of which medians are shown")
    parser.add_argument("--quick", action="store_true", help="a tenth of each count: to try, not to quote")
    parser.add_argument("--line", type=int, default=LINE_TICKS, metavar="TICKS",
                        help="what a line takes from one processor to another, if what is measured is less (%(default)s)")
    parser.add_argument("--only", metavar="WORDS", help="lines that have one of these words in their name, by commas")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # the arguments, before building
    args = parser.parse_args()
    args.divide = 10 if args.quick else 1
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    args.lines = [line for line in LINES if not args.only or any(word in line[0] for word in args.only.split(","))]
    if not args.lines:
        parser.error(f"--only: no line has {args.only} in its name; there are {', '.join(name for name, _, _ in LINES)}")
    return args


def run(args, progress):
    if args.check:
        return 0
    for folder in (args.build, args.telemetry):
        if not os.path.isfile(os.path.join(folder, "libhakmem.so")):
            raise bench_run.BenchError(f"there is no {folder}/libhakmem.so (telemetry: -Dtelemetry=enabled)")
    found, handover, hertz = measure(args, progress)
    counted = max(handover, args.line)
    text = table(found, counted) + [""] + curves(args, progress)
    progress.close()
    print(f"{hertz / 1e6:.0f} million ticks a second; a word that two processors add to: {handover:.0f} ticks each time; "
          f"counted with {counted:.0f}")
    print("\n".join(text))
    return 0


def main():
    progress = Progress()
    return bench_run.end_with("scale", lambda: run(arguments(), progress), progress)


if __name__ == "__main__":
    sys.exit(main())
