#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gdb
# targets: life-forks
"""Many forks beside everything that could hold a lock which a child, or the parent, then waits for.

    ./hakmem test forks            # 10000 forks
    ./hakmem test forks 500

Eight threads work on the heap, and one each is in stdio, dlopen, the resolver, iconv, locales, time, in threads that
come and go, in spawn, in fork, and in a library that holds its lock over fork (tests/life/fork_beside.c, `all`). Beside
that program runs another, in turns: forks out of signal handlers, clone without fork's handlers, handlers of two
libraries. Programs are preloaded and linked in turn. One that stands still for 30 s, or whose watchdog finds that a
fork does not end, prints the stacks of all threads.
"""

import os
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import standstill  # noqa: E402

LIMIT_S = 1200
CHUNK = 125  # odd: handlers allocate, too


class Program(threading.Thread):
    """One run of one of the programs; `why` tells what went wrong with it."""

    def __init__(self, build, way, name, *arguments):
        super().__init__()
        self.words = [os.path.join(build, "tests", "life", f"life_fork_{name}_{way}"), *map(str, arguments)]
        self.env = dict(os.environ)
        if way == "preload":
            self.env["LD_PRELOAD"] = os.path.join(build, "libhakmem.so.0")
        self.why = None
        self.start()

    def run(self):
        with subprocess.Popen(self.words, env=self.env, stdin=subprocess.DEVNULL) as process:
            self.why = standstill.finish(process, LIMIT_S)[2]
        if self.why is None and process.returncode != 0:
            self.why = f"ended with {process.returncode}"


def run_chunk(build, turn, forks):
    """What went wrong."""
    folder = os.path.join(build, "tests", "life")
    way = ("preload", "linked")[turn % 2]
    linked, first, second = (os.path.join(folder, name) for name in
                             ("liblife_fork_linked.so", "life_fork_first.so", "life_fork_second.so"))
    others = (("in_handlers", 400), ("raw", "clone"), ("raw", "leave"),
              ("handlers_early", 60, "busy", 4, linked, second), ("handlers_early", 60, "quiet", 4, linked, second),
              ("handlers_late", 60, "busy", 4, first, second))
    programs = [Program(build, way, "beside", forks, 8, os.path.join(folder, "life_tls_40.so"), "all"),
                Program(build, way, *others[turn // 2 % len(others)])]
    for program in programs:
        program.join()
    return [f"{' '.join(program.words)}: {program.why}" for program in programs if program.why]


def main():
    build, total = os.path.abspath(sys.argv[1]), int((sys.argv[2:] or [10000])[0])
    begun, done, wrong = time.monotonic(), 0, []
    for turn in range(-(-total // CHUNK)):
        forks = min(CHUNK, total - done)
        for why in run_chunk(build, turn, forks):
            print(f"forks: {why}", flush=True)
            wrong.append(why)
        done += forks
        print(f"forks: {done} of {total}, {len(wrong)} failures, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
