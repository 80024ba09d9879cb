#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gdb
# targets: soak
"""One process works for a long time, in phases that come again and again, and must not grow: tests/stress/soak.c.

    ./hakmem test soak              # 5 minutes
    ./hakmem test soak 60 [SEED]    # 60 minutes; the seed of a run is printed

The minutes are shared by four processes, one after the other: preloaded; linked, with HAKMEM_PURGE_DELAY_MS=0 and
HAKMEM_MIN_KEEP=0; preloaded, with HAKMEM_PURGE_THREAD=1; linked, with HAKMEM_FRONT_BYTES=4096. Each makes three cycles
at least. For each phase a line shows the figures when all its blocks are there, and when all are freed. Judged is:

- blocks are whole, calloc's are zero, children of fork end well: the program itself says so;
- what is live is at least what was asked for, and at most a quarter more (aligned blocks: half), and 32 KiB for each
  thread; freed, no more blocks are live than libc keeps;
- freed, after a pause and a few calls, RSS less the allocator's records is within 18 MiB of the start (docs/idle.md);
- records, address space beside what is live, and mappings are in no later cycle more than a quarter above the most of the first two, and a
  little: of each size below 16 KiB the side box keeps the most that all threads together held there during one fork, and
  how long a fork lasts, and what they take meanwhile, is chance;
- descriptors and threads are as many as at the start.

    tests/named/soak.py --self-test     # what is wrong in made-up figures is seen
"""

import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import standstill  # noqa: E402

MIB = 1 << 20
RUNS = (("preload", {}), ("linked", {"HAKMEM_PURGE_DELAY_MS": "0", "HAKMEM_MIN_KEEP": "0"}),
        ("preload", {"HAKMEM_PURGE_THREAD": "1"}), ("linked", {"HAKMEM_FRONT_BYTES": "4096"}))
IDLE = 18 * MIB
MORE = {"metadata": MIB, "mapped": 64 * MIB, "maps": 16}  # beside a quarter
LIBC_BLOCKS = 64


def parse(text):
    """The lines of the program, as dictionaries."""
    lines = [dict(word.split("=", 1) for word in line.split()) for line in text.splitlines()
             if line.startswith("cycle=")]
    return [{key: value if key in ("phase", "when") else int(value) for key, value in line.items()} for line in lines]


def wrong_now(start, line):
    """What is wrong with one line by itself."""
    if line["when"] == "full":
        most = line["asked"] + line["asked"] // (2 if line["phase"] == "aligned" else 4) + line["threads"] * 32768
        if not line["asked"] <= line["live"] <= most:
            yield f"{line['live']} bytes are live where {line['asked']} were asked for"
    else:
        idle = (line["rss"] - line["metadata"]) - (start["rss"] - start["metadata"])
        if idle > IDLE:
            yield f"{idle / MIB:.1f} MiB more than at the start are resident"
        if line["blocks"] > start["blocks"] + LIBC_BLOCKS:
            yield f"{line['blocks']} blocks are live"
        if line["threads"] != start["threads"]:
            yield f"{line['threads']} threads"
    if line["descriptors"] != start["descriptors"]:
        yield f"{line['descriptors']} descriptors, {start['descriptors']} at the start"


def beside_live(line, key):
    """A huge block is a mapping, so it comes and goes with its phase's chance."""
    return line[key] - (line["asked"] if key == "mapped" else 0)


def wrong_in_time(early, line):
    """What has grown since the first two cycles."""
    for key, more in MORE.items():
        now, most = beside_live(line, key), max(beside_live(each, key) for each in early)
        if line["cycle"] > 2 and now > most + most // 4 + more:
            yield f"{key} {now}, and {most} at most in the first two cycles"


def judge(lines):
    """All that is wrong, as text."""
    start, early = lines[0], [line for line in lines if line["cycle"] <= 2]
    return [f"cycle {line['cycle']}, {line['phase']}, {line['when']}: {why}" for line in lines
            for why in (*wrong_now(start, line), *wrong_in_time(early, line))]


def show(lines):
    """A table: of each phase the first cycle, the second, and the last."""
    print(f"{'phase':8} {'cycle':>5}  full: {'live':>7} {'RSS':>7} {'fronts':>7}  freed: {'RSS':>7} {'records':>7} "
          f"{'mapped':>7} {'maps':>5}   (MiB)")
    last = lines[-1]["cycle"]
    for full, freed in zip(lines[1::2], lines[2::2]):
        if full["cycle"] in (1, 2, last):
            mib = [each / MIB for each in (full["live"], full["rss"], full["fronts"], freed["rss"], freed["metadata"],
                                           freed["mapped"])]
            print(f"{full['phase']:8} {full['cycle']:5}        {mib[0]:7.1f} {mib[1]:7.1f} {mib[2]:7.2f}         "
                  f"{mib[3]:7.1f} {mib[4]:7.2f} {mib[5]:7.0f} {freed['maps']:5}")


def run_once(build, way, settings, seconds, seed):
    """All that went wrong."""
    argv = [os.path.join(build, "tests", "stress", "soak_" + way), str(seconds), str(seed)]
    env = {**os.environ, **settings}
    if way == "preload":
        env["LD_PRELOAD"] = os.path.join(build, "libhakmem.so.0")
    print(f"soak: seed {seed}, {way}, {settings or 'default settings'}", flush=True)
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        out, _, why = standstill.finish(process, float("inf"))
    lines = parse(out)
    wrong = [why] if why else [f"ended with {process.returncode}"] if process.returncode else judge(lines)
    if lines:
        show(lines)
    if not wrong and lines[-1]["cycle"] < 3:
        wrong = ["too few cycles"]
    return [f"seed {seed}, {way}, {settings or 'default settings'}: {each}" for each in wrong]


def made_up(cycles=6, **grown):
    """The lines of a run in which nothing grows, but for what is named: by so much in each cycle after the second."""
    start = {"cycle": 0, "phase": "start", "when": "freed", "asked": 0, "live": 5000, "blocks": 20, "rss": 4 * MIB,
             "metadata": MIB, "mapped": 8 * MIB, "maps": 40, "descriptors": 3, "threads": 1, "fronts": 0}
    yield start
    for cycle in range(1, cycles + 1):
        for when, more in (("full", {"asked": 50 * MIB, "live": 52 * MIB, "rss": 70 * MIB, "blocks": 90000}),
                           ("freed", {"rss": 12 * MIB})):
            line = {**start, "cycle": cycle, "phase": "small", "when": when, **more}
            for key, by in grown.items():
                line[key] += by * max(cycle - 2, 0)
            yield line


def self_test():
    assert judge(list(made_up())) == []
    for key, by in {"blocks": 20, "rss": 3 * MIB, "metadata": MIB, "mapped": 20 * MIB, "maps": 10, "descriptors": 1,
                    "threads": 1, "live": 4 * MIB}.items():
        wrong = judge(list(made_up(**{key: by})))
        assert wrong and all("cycle 1," not in why and "cycle 2," not in why for why in wrong), (key, wrong)
    assert judge(list(made_up(live=-MIB)))
    text = "noise\ncycle=1 phase=small when=full asked=7\n"
    assert parse(text) == [{"cycle": 1, "phase": "small", "when": "full", "asked": 7}]
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    build, *words = sys.argv[1:]
    minutes = float(words[0]) if words else 5
    seed = int(words[1]) if len(words) > 1 else int(time.time()) % 1000000
    wrong = []
    for number, (way, settings) in enumerate(RUNS):
        wrong += run_once(build, way, settings, int(minutes * 60 / len(RUNS)), seed + number * 1000)
    for why in wrong:
        print(f"soak: {why}")
    print(f"soak: {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
