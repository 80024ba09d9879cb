#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: chromium clang-14 default-jdk-headless ffmpeg g++ gdb golang-go libfaketime libuid-wrapper mariadb-client-core mariadb-server-core nginx nodejs php-cli python3-lmdb
# targets: libhakmem.so.0
"""Large programs with and without hakmem: the same output, and the library seen in them. tests/programs/large/ has a
file for each.

    ./hakmem test programs-large              # all of them
    ./hakmem test programs-large nginx java   # these

A program that is not installed is skipped by name. One that stands still for 30 s, or runs past its time, is killed
after the stacks of all its threads were printed, and has failed. They need some gigabytes of packages.
"""

import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))

import standstill  # noqa: E402

SKIPPED = 77

# Seconds that both runs of a program may take; a slow machine takes half of it at most.
CASES = {
    "nginx": 300,
    "java": 300,
    "php": 300,
    "go": 900,
    "ffmpeg": 600,
    "clang": 600,
    "chromium": 400,
    "chromium_sandbox": 400,
    "faketime": 300,
    "uid_wrapper": 300,
    "mariadb": 900,
    "lmdb": 300,
    "wasm": 300,
}


def run_case(build, name):
    """(exit status, what it printed)"""
    programs = os.path.join(TOP, "tests", "programs")
    env = {**os.environ, "HK_TEST_SO": os.path.join(build, "libhakmem.so.0"), "PYTHONPATH": programs,
           "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen([sys.executable, os.path.join(programs, "large", name + ".py")], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:
        output, _, why = standstill.finish(process, CASES[name])
    return (1, f"{output}FAILED: {why}\n") if why else (process.returncode, output)


def main():
    build, *names = sys.argv[1:]
    unknown = set(names) - set(CASES)
    if unknown:
        sys.exit(f"programs-large: no {', '.join(sorted(unknown))}; there are {' '.join(CASES)}")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name in names or CASES:
        begun = time.monotonic()
        status, output = run_case(os.path.abspath(build), name)
        verdict = {0: "passed", SKIPPED: "skipped"}.get(status, "failed")
        counts[verdict] += 1
        for line in output.splitlines():
            print(f"    {line}")
        print(f"programs-large: {name} {verdict}, {time.monotonic() - begun:.0f} s", flush=True)
    print("programs-large: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if counts["failed"]:
        return 1
    return 0 if counts["passed"] else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
