#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gdb
# targets: life-churn
"""Threads come and go, with all that makes the C library allocate and free inside its own locks: tests/life/churn.c.

    ./hakmem test churn             # 200 runs of some two seconds
    ./hakmem test churn 20 [SEED]   # 20 runs, the first with that seed

Runs take turns: preloaded and linked; the default settings, HAKMEM_PURGE_THREAD=1 and HAKMEM_PURGE_THREAD=0. A run that
stands still for 30 s, or takes much longer than any should, is killed after the stacks of all its threads were printed.
"""

import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import standstill  # noqa: E402

LIMIT_S = 300
THREADS = 600
TLS = (40, 5000, 200000, 1500000, 3000000, 700, 40000, 2000000)  # bytes; the first five stay
SETTINGS = ({}, {"HAKMEM_PURGE_THREAD": "1"}, {"HAKMEM_PURGE_THREAD": "0"})


def run_once(build, seed):
    """What went wrong, or None."""
    way = ("preload", "linked")[seed % 2]
    settings = SETTINGS[seed // 2 % len(SETTINGS)]
    folder = os.path.join(build, "tests", "life")
    modules = [os.path.join(folder, f"life_tls_{size}.so") for size in TLS]
    argv = [os.path.join(folder, "life_churn_" + way), str(THREADS), str(seed), *modules]
    env = {**os.environ, **settings}
    if way == "preload":
        env["LD_PRELOAD"] = os.path.join(build, "libhakmem.so")
    # What it prints is not held back in a pipe: a program that ends by a check says why at once.
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL) as process:
        why = standstill.finish(process, LIMIT_S)[2]
    if why is None and process.returncode != 0:
        why = f"ended with {process.returncode}"
    return why and f"seed {seed}, {way}, {settings or 'default settings'}: {why}"


def main():
    build, *words = sys.argv[1:]
    runs, first = (list(map(int, words)) + [200, 1][len(words):])[:2]
    begun, wrong = time.monotonic(), []
    for seed in range(first, first + runs):
        why = run_once(build, seed)
        if why:
            print(f"churn: {why}", flush=True)
            wrong.append(why)
    print(f"churn: {runs} runs, {len(wrong)} failed, {time.monotonic() - begun:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
