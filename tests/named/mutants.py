#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# targets: libhakmem.a
"""Plants faults in a copy of the checkout, one at a time, and fails unless the project's suites catch every one.

    ./hakmem test mutants                  # all of mutants.txt
    ./hakmem test mutants arena-lock ...   # these only, in a minute or so
    ./hakmem test mutants -j 4             # so many compilers and tests at a time (one)
    ./hakmem test mutants --list

The copy is BUILD/mutants/source, built in BUILD/mutants/build; what an earlier run built there is used again. Of each
fault the tests are asked in this order, until one fails, crashes or runs into its time limit: those that the table
names, the unit tests of the box, all unit tests, the order of atomics, then the suites api, misuse, stress and life. At
the end those that caught something run without a fault: one that fails then has caught nothing.

    tests/named/mutants.py --self-test     # reads the table and looks whether every fault fits; builds nothing
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tools"))

import standstill  # noqa: E402

TABLE = os.path.join(HERE, "mutants.txt")
KEYS = ("breaks", "file", "function", "tests")  # the last may be left out
SUITES = ("api", "misuse", "stress", "life")
BAD = ("FAIL", "TIMEOUT", "ERROR", "UNEXPECTEDPASS")
MOST_OF_A_LINE = 110
PATIENCE = 4  # times the limit of each test: a busy machine catches nothing, and what stands still is found before


# ---- the table ----

def parse(text):
    """[{name, breaks, file, function, tests, old, new}]; raises ValueError with the number of a wrong line."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        head = re.fullmatch(r"\[([a-z0-9-]+)\]", line)
        word = re.fullmatch(r"([a-z]+): (.+)", line)
        if not line or line.startswith("#"):
            continue
        if head:
            found.append({"name": head[1], "tests": "", "old": "", "new": ""})
        elif found and line[0] in "-+":
            found[-1]["old" if line[0] == "-" else "new"] += line[1:] + "\n"
        elif found and word and word[1] in KEYS:
            found[-1][word[1]] = word[2]
        else:
            raise ValueError(f"line {number}: {line!r}")
    for mutant in found:
        missing = [key for key in KEYS[:-1] if key not in mutant] + ([] if mutant["old"] else ["old text"])
        if missing:
            raise ValueError(f"{mutant['name']} has no {', '.join(missing)}")
    names = [mutant["name"] for mutant in found]
    if len(set(names)) < len(names):
        raise ValueError(f"twice: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
    return found


def function_at(text, name):
    """Where the definition of a function begins and ends; raises ValueError unless there is exactly one."""
    heads = [match for match in re.finditer(rf"^[A-Za-z_][^\n;{{}}]*\b{name}\([^;{{}}]*\)\n\{{\n", text, re.M)]
    if len(heads) != 1:
        raise ValueError(f"{len(heads)} functions {name}")
    return heads[0].start(), text.index("\n}\n", heads[0].start()) + 3


def plant(text, mutant):
    """The text of the file with the fault in it; raises ValueError where it does not fit exactly once."""
    start, end = function_at(text, mutant["function"])
    body = text[start:end]
    count = len(re.findall("^" + re.escape(mutant["old"]), body, re.M))
    if count != 1:
        raise ValueError(f"{count} times in {mutant['function']}: {mutant['old']!r}")
    at = start + re.search("^" + re.escape(mutant["old"]), body, re.M).start()
    return text[:at] + mutant["new"] + text[at + len(mutant["old"]):]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def faults_of_table(mutants, top):
    """What does not fit any more."""
    wrong = []
    for mutant in mutants:
        try:
            text = read(os.path.join(top, mutant["file"]))
            if plant(text, mutant) == text:
                wrong.append(f"{mutant['name']}: changes nothing")
        except (OSError, ValueError) as why:
            wrong.append(f"{mutant['name']}: {mutant['file']}: {why}")
    return wrong


# ---- the copy ----

def sources():
    """Paths of what belongs to the checkout, whether it was committed or not."""
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            stdout=subprocess.PIPE, check=False)
    if listed.returncode == 0:
        return [path for path in listed.stdout.decode().split("\0") if os.path.isfile(os.path.join(TOP, path))]
    found = []  # a checkout without git
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if not name.startswith(("build", "."))]
        found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return found


def same(one, other):
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def copy(to):
    """What is in the copy already keeps its time, so that little is built again."""
    wanted = set(sources())
    for folder, _, names in os.walk(to):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, to) not in wanted:
                os.unlink(path)
    for path in wanted:
        source, target = os.path.join(TOP, path), os.path.join(to, path)
        if not same(source, target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


class Copy:
    """The copy of the checkout and its build folder."""

    def __init__(self, folder, jobs):
        self.source = os.path.join(folder, "source")
        self.build = os.path.join(folder, "build")
        self.log = os.path.join(folder, "log.txt")
        self.jobs = str(jobs)
        os.makedirs(self.source, exist_ok=True)
        self.alone = open(os.path.join(folder, "lock"), "w", encoding="utf-8")  # held until the end
        try:
            fcntl.flock(self.alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"mutants: another run is at work in {folder}")
        copy(self.source)
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            self.call(["meson", "setup", self.build, self.source, "--buildtype=release", "-Dtests=true"])
        self.call(["ninja", "-C", self.build, "build.ninja"])
        targets = {target["id"]: target["filename"] for target in self.ask("--targets")}
        self.suite, self.needs = {}, {}
        for test in self.ask("--tests"):
            self.suite[test["name"]] = [suite.split(":", 1)[-1] for suite in test["suite"]][0]
            files = [file for name in test["depends"] for file in targets[name]]
            self.needs[test["name"]] = [os.path.relpath(file, self.build) for file in files]

    def call(self, command):
        with open(self.log, "a", encoding="utf-8") as log:
            if subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode:
                sys.exit(f"mutants: {' '.join(command[:2])} failed: {self.log}")

    def ask(self, what):
        return json.loads(subprocess.run(["meson", "introspect", what, self.build], stdout=subprocess.PIPE,
                                         check=True).stdout)

    def make(self, tests):
        """False: it does not compile."""
        files = sorted({file for test in tests for file in self.needs[test]})
        with open(self.log, "a", encoding="utf-8") as log:
            return not files or subprocess.run(["ninja", "-C", self.build, "-j", self.jobs, *files], stdout=log,
                                               stderr=log, check=False).returncode == 0

    def failures(self, tests, most):
        """[(test, how)], no more than `most`; 0 is no bound. They are built."""
        results = os.path.join(self.build, "meson-logs", "testlog.json")
        if os.path.exists(results):
            os.unlink(results)
        command = ["meson", "test", "-C", self.build, "--no-rebuild", "--num-processes", self.jobs, "--maxfail",
                   str(most), "--timeout-multiplier", str(PATIENCE), *tests]
        with open(self.log, "a", encoding="utf-8") as log, \
                contextlib.redirect_stderr(log), \
                subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as meson:
            standstill.finish_children(meson, "this test")
        records = [json.loads(line) for line in read(results).splitlines() if line.strip()]
        return [(record["name"].rpartition(" / ")[2], how(record)) for record in records if record["result"] in BAD]


def how(record):
    """What the test said about it, in a few words."""
    if record["result"] == "TIMEOUT":
        return "it takes too long"
    if record.get("returncode") == -signal.SIGKILL:
        return "it stands still"
    if record.get("returncode", 0) < 0:
        return f"signal {-record['returncode']}"
    text = (record.get("stderr", "") + "\n" + record.get("stdout", "")).strip()
    lines = text.splitlines() or [f"status {record.get('returncode')}"]
    failed = [line for line in lines if re.search(r"\[  FAILED  \] (?!\d)|not ok|not true|hakmem: ", line)]
    return (failed or lines[-1:])[0].strip()


# ---- one fault ----

def of_box(file, test):
    """Is this unit test one of the box that the file belongs to?"""
    folder, stem = os.path.split(os.path.splitext(file)[0])
    box = "ss_arena" if stem.startswith("ss_arena") else stem.split("_")[0]
    return test.startswith((box, "front") if folder.endswith("front") else box)


def rounds(copied, mutant):
    """Lists of tests, in the order in which they are asked."""
    unit = [test for test, suite in copied.suite.items() if suite == "unit"]
    asked = []
    for tests in (mutant["tests"].split(), [test for test in unit if of_box(mutant["file"], test)], unit,
                  ["memory-orders"], *[[t for t, of in copied.suite.items() if of == suite] for suite in SUITES]):
        tests = [test for test in tests if test in copied.suite and test not in asked]
        asked += tests
        if tests:
            yield tests


def hunt(copied, mutant):
    """(the test that caught it or None, how); the fault is in the copy meanwhile."""
    path = os.path.join(copied.source, mutant["file"])
    text = read(path)
    try:
        write(path, plant(text, mutant))
        for tests in rounds(copied, mutant):
            if not copied.make(tests):
                return None, f"does not compile: {copied.log}"
            failed = copied.failures(tests, 1)
            if failed:
                return failed[0]
        return None, "no test failed"
    finally:
        write(path, text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def confirm(copied, caught):
    """The tests that fail without a fault, too."""
    tests = sorted({test for test, _ in caught.values() if test})
    if not tests:
        return set()
    if not copied.make(tests):
        sys.exit(f"mutants: the copy does not compile without a fault: {copied.log}")
    return {test for test, _ in copied.failures(tests, 0)}


# ---- the command ----

SAMPLE = "#include <x.h>\n\nint f(int a);\n\nstatic int f(int a,\n             int b)\n{\n    x();\n    y();\n}\n\n" \
         "void g(void)\n{\n    x();\n    x();\n}\n"


def self_test(mutants):
    """What is wrong with this program or its table."""
    wrong = faults_of_table(mutants, TOP)
    sample = {"function": "f", "old": "    x();\n", "new": ""}
    if plant(SAMPLE, sample) != SAMPLE.replace("    x();\n", "", 1):
        wrong.append("a fault is planted elsewhere")
    for function, old in (("g", "    x();\n"), ("g", "    y();\n"), ("f", "x();\n"), ("h", "    x();\n")):
        try:
            plant(SAMPLE, {"function": function, "old": old, "new": ""})
            wrong.append(f"planted in {function}: {old!r}")
        except ValueError:
            pass
    for text in ("[a]\nfile: b\n", "file: b\n", "[a]\nother: b\n"):
        try:
            parse(text)
            wrong.append(f"read as a table: {text!r}")
        except ValueError:
            pass
    return wrong


def main():
    mutants = parse(read(TABLE))
    if sys.argv[1:] == ["--self-test"]:
        wrong = self_test(mutants)
        print("\n".join(wrong) if wrong else f"{len(mutants)} faults fit")
        return 1 if wrong else 0
    parser = argparse.ArgumentParser(prog="./hakmem test mutants")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("-j", type=int, default=1, metavar="N", help="compilers and tests at a time")
    parser.add_argument("--list", action="store_true", help="say which faults there are")
    parser.add_argument("name", nargs="*", help="only these faults")
    args = parser.parse_args()
    unknown = set(args.name) - {mutant["name"] for mutant in mutants}
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}; --list shows them")
    chosen = [mutant for mutant in mutants if not args.name or mutant["name"] in args.name]
    if args.list:
        for mutant in chosen:
            print(f"{mutant['name']:28} {mutant['file']}, {mutant['function']}: {mutant['breaks']}")
        return 0
    wrong = faults_of_table(mutants, TOP)
    if wrong:
        sys.exit("mutants: " + "\nmutants: ".join(wrong))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    copied = Copy(os.path.join(os.path.abspath(args.build), "mutants"), args.j)
    caught = {}
    for mutant in chosen:
        begun = time.monotonic()
        caught[mutant["name"]] = hunt(copied, mutant)
        test, said = caught[mutant["name"]]
        print(f"{mutant['name']:28} {test or 'SURVIVES'}: {said}"[:MOST_OF_A_LINE]
              + f" ({time.monotonic() - begun:.0f} s)", flush=True)
    broken = confirm(copied, caught)
    survivors = [name for name, (test, _) in caught.items() if test is None or test in broken]
    for test in sorted(broken):
        print(f"mutants: {test} fails without a fault, too")
    print(f"mutants: {len(chosen)} faults, {len(chosen) - len(survivors)} caught"
          + (f"; not caught: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
