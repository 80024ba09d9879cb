#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# targets: libhakmem.so.0
"""Handlers that allocate interrupt malloc for a long time: tests/life/signals.c in a build with -Dsignals=enabled.

    ./hakmem test signals        # 60 seconds each: preloaded and linked, with and without forks
    ./hakmem test signals 600    # 600 seconds each

Two threads, each with a timer signal every 150 us. The build is BUILD/signals and is used again.
"""

import os
import subprocess
import sys

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def run(argv, **more):
    print("signals:", " ".join(argv), flush=True)
    return subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, **more).returncode


def main():
    build, *words = sys.argv[1:]
    seconds, build = words[0] if words else "60", os.path.join(build, "signals")
    library = os.path.join(build, "libhakmem.so.0")
    programs = {way: os.path.join(build, "tests", "life", "life_signals_" + way) for way in ("preload", "linked")}
    targets = [os.path.relpath(path, build) for path in (library, *programs.values())]
    if not os.path.exists(os.path.join(build, "build.ninja")):
        if run(["meson", "setup", build, TOP, "--buildtype=release", "-Dsignals=enabled", "-Dtests=true"]) != 0:
            return 1
    if run(["ninja", "-C", build, *targets]) != 0:
        return 1
    wrong = 0
    for way, program in programs.items():
        env = {**os.environ, **({"LD_PRELOAD": library} if way == "preload" else {})}
        for more in ([], ["fork"]):
            wrong += run([program, seconds, *more], env=env) != 0
    print(f"signals: {wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
