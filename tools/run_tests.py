#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests of a build folder and says what happened in lines that can be read without Meson at hand.

usage: run_tests.py BUILD [--list] [NAME...]

A NAME is a suite (unit, api, programs, ...) or a test. Without one, all are run. Each skipped test is listed with its
reason, each failed one with its name; the last line is `N passed, N failed, N skipped`, counted in cases: a test
program may hold many. The exit status is 0 when nothing failed. A test that stands still for 30 s is killed, and the
stacks of all its threads are printed.
"""
import json
import os
import re
import subprocess
import sys

import standstill

# What the test programs print for one case: cmocka's own output, or TAP.
CMOCKA = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (?!\d+ test\(s\))(\S+)", re.M)
TAP = re.compile(r"^(ok|not ok) \d+(?: - (.*?))?(?: *# *(SKIP|TODO)\b *(.*))?$", re.M | re.I)


def introspect(build):
    """[(name, suites)] of all tests, suites without the project's name."""
    text = subprocess.run(["meson", "introspect", "--tests", build], check=True, stdout=subprocess.PIPE).stdout
    return [(t["name"], [s.split(":", 1)[-1] for s in t["suite"]]) for t in json.loads(text)]


def named_tests():
    """The tests of tests/named, which the `hakmem` script runs itself."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "named")
    files = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(os.path.splitext(file)[0] for file in files if os.access(os.path.join(folder, file), os.X_OK))


def choose(tests, names):
    """The arguments of `meson test` that select what was asked for."""
    suites = {suite for _, of in tests for suite in of}
    chosen = []
    for name in names:
        if name in suites:
            chosen += [test for test, of in tests if name in of]
        elif any(name == test for test, _ in tests):
            chosen.append(name)
        elif name in named_tests():
            sys.exit(f"hakmem: '{name}' takes arguments of its own, so it comes first: ./hakmem test {name}")
        else:
            sys.exit(f"hakmem: no suite or test '{name}'; ./hakmem test --list shows them")
    return list(dict.fromkeys(chosen))


def show(tests):
    for suite in sorted({suite for _, of in tests for suite in of}):
        print(f"{suite}: {' '.join(sorted(test for test, of in tests if suite in of))}")
    print(f"only when named, one at a time: {' '.join(named_tests())}")


def short_name(record):
    """Meson writes `project:suite / test`."""
    return record["name"].rpartition(" / ")[2]


def reason(record):
    """Why a test skipped itself: the line that says so, or its last one."""
    lines = [line.strip() for part in ("stdout", "stderr") for line in record.get(part, "").splitlines()]
    lines = [line for line in lines if line]
    said = [line for line in lines if "skip" in line.lower()] or lines
    return re.sub(r"^(\S+: )?skipp?(ed|ing)?:? *", "", said[-1], flags=re.I) if said else "it gave no reason"


def cases(record):
    """(passed, [failed cases], [(case, reason) skipped]) of one test program."""
    passed = 0
    failed, skipped = [], []
    program = short_name(record)
    output = record.get("stdout", "") + "\n" + record.get("stderr", "")
    for state, name in dict.fromkeys(CMOCKA.findall(output)):  # cmocka lists all but the good ones a second time
        passed += state == "OK"
        if state == "FAILED":
            failed.append(f"{program}/{name}")
        elif state == "SKIPPED":
            skipped.append((f"{program}/{name}", "see its output"))
    for state, name, directive, why in TAP.findall(output):
        if directive.upper() == "SKIP":
            skipped.append((f"{program}/{name}", why or "it gave no reason"))
        elif state.lower() == "ok":
            passed += 1
        else:
            failed.append(f"{program}/{name}")
    # The verdict on the whole program stands above what it printed.
    if record["result"] in ("OK", "EXPECTEDFAIL"):
        return max(passed, 0 if skipped else 1), [], skipped
    if record["result"] == "SKIP":
        return passed, [], skipped or [(program, reason(record))]
    return passed, failed or [f"{program} ({record['result'].lower()})"], skipped


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, names = sys.argv[1], sys.argv[2:]
    tests = introspect(build)
    if names[:1] == ["--check"]:  # the names, before anything is built
        choose(tests, [name for name in names[1:] if name != "--list"])
        return 0
    if "--list" in names:
        return show(tests)
    selected = choose(tests, names)
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    # A preload or an option of the developer's shell is not part of the tests.
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("HAKMEM_")}
    # Some tests wait: one more than there are processors keeps all of those at work.
    jobs = str(len(os.sched_getaffinity(0)) + 1)
    command = ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", "--num-processes", jobs, *selected]
    with subprocess.Popen(command, env=env) as meson:
        status = standstill.finish_children(meson, "this test")
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            records = [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        sys.exit("hakmem: meson ran no test")
    passed, failed, skipped = 0, [], []
    for record in records:
        good, bad, left_out = cases(record)
        passed += good
        failed += bad
        skipped += left_out
    expected = len(selected) or len(tests)
    if len(records) < expected:
        failed.append(f"{expected - len(records)} test programs that did not run")
    print(f"\n{len(records)} test programs.")
    for name, why in skipped:
        print(f"skipped: {name}: {why}")
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or status else 0


if __name__ == "__main__":
    sys.exit(main())
