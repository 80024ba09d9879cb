#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: g++ clang-14 libcmocka-dev libnuma-dev pkg-config
# targets: libhakmem.so.0
"""Builds and tests configurations other than the default, with gcc and with clang: unit, API and a short stress; of
-Dhardened=true, which has ways of its own behind each name, misuse, life, stress and real programs too.

    ./hakmem test matrix                          # each option changed alone
    ./hakmem test matrix --pairs                  # every two choices meet in at least one configuration
    ./hakmem test matrix front=ring remote=cas    # that one

    tests/named/matrix.py --unit BUILD front=ring # suite boxes: unit tests alone, by gcc, not optimised, in BUILD/boxes

A case is one configuration with one compiler. Warnings are errors. Build folders (build-matrix/) go away when their
case passes; one that failed stays, and is taken up again the next time. Where `meson setup` must refuse is a case too.
"""

import argparse
import fnmatch
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import run_tests  # noqa: E402
from progress import Progress  # noqa: E402

FOLDER = os.path.join(ROOT, "build-matrix")
OURS = ("tests", "benchmarks", "record")

# What makes no sense together, and a word of the sentence that `meson setup` must say.
REFUSED = [
    ({"front": "none", "tls_sll": "disabled"}, "TLS SLL"),
    ({"front": "slab", "tls_sll": "enabled"}, "no place between"),
    ({"front": "slab", "transfer": "enabled"}, "no batches"),
    ({"front": "percpu", "tls_sll": "enabled"}, "no place between"),
    ({"fill": "start", "tail": "disabled"}, "there is none with tail"),
    ({"fill": "whole", "tail": "disabled"}, "there is none with tail"),
    *(({name: choice, "front": front}, "a thread")
      for name, choice in (("hardened", "true"), ("fill", "start"), ("fill", "whole"), ("links", "encoded"))
      for front in ("slab", "none")),
    *(({name: choice, "tls_sll": "enabled"}, "a thread")
      for name, choice in (("hardened", "true"), ("fill", "start"), ("fill", "whole"), ("links", "encoded"))),
    ({"shuffle": "enabled", "front": "slab"}, "as they lie"),
    ({"shuffle": "enabled", "front": "percpu"}, "as they lie"),
    ({"hardened": "true", "front": "percpu"}, "as they lie"),
]

# The tests of a case: whole suites, and some others by name. A pattern that fits none in a configuration is said to be
# left out there, because a part of the library that a test needs may not be in it.
SUITES = ("unit", "api")
OTHERS = ("tiny-4-threads-seed-3-*", "mixed-4-threads-seed-13-*", "large-8-threads-seed-24-*", "sequence-*-preload",
          "purge-at-once-mixed-*", "small-fronts-tiny-*", "left-out*")

# Ways to link one and the same test; how a library is reached is no matter of the boxes, so a case runs the first of
# these that there is.
WAYS = ("preload", "static", "hak", "linked", "shared", "libc")


class Failed(Exception):
    """Why a case failed; the log has more."""


def read_options():
    """name -> (default, [choices]) of our own options, as Meson reads them."""
    text = subprocess.run(["meson", "introspect", "--buildoptions", os.path.join(ROOT, "meson.build")], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    options = {}
    for option in json.loads(text):
        if option["section"] == "user" and option["name"] not in OURS:
            if option["type"] == "boolean":
                options[option["name"]] = (str(option["value"]).lower(), ["true", "false"])
            else:
                options[option["name"]] = (option["value"], option["choices"])
    return options


def find_compilers():
    """name -> (C, C++) or None where it is not there."""
    found = {"gcc": ("gcc", "g++") if shutil.which("gcc") and shutil.which("g++") else None, "clang": None}
    for suffix in ["", *(f"-{version}" for version in range(30, 10, -1))]:
        if found["clang"] is None and shutil.which("clang" + suffix) and shutil.which("clang++" + suffix):
            found["clang"] = ("clang" + suffix, "clang++" + suffix)
    return found


def is_refused(choices):
    return any(all(choices.get(name) == value for name, value in wrong.items()) for wrong, _ in REFUSED)


def singles(options):
    """The default, then each other choice alone. Where that alone makes no sense, it is no single change."""
    yield {}
    for name, (default, choices) in options.items():
        for choice in choices:
            if choice != default:
                yield {name: choice}


def all_pairs(factors, refused=is_refused):
    """Configurations such that every two choices of two factors meet in one, none of them refused. Greedy: each starts
    from a pair that has not met yet, then takes, factor by factor, the choice that brings the most new pairs."""
    names = list(factors)
    left = dict.fromkeys(pair for one, two in itertools.combinations(names, 2)
                         for pair in itertools.product(((one, c) for c in factors[one]), ((two, c) for c in factors[two]))
                         if not refused(dict(pair)))

    def gain(chosen, item):
        """New pairs that `item` brings, or -1 where it must not stand with what is chosen."""
        if refused({**chosen, item[0]: item[1]}):
            return -1
        return sum(pair in left or pair[::-1] in left for pair in ((item, other) for other in chosen.items()))

    while left:
        chosen = dict(next(iter(left)))
        for name in sorted(names, key=lambda each: -len(factors[each])):
            if name not in chosen:
                chosen[name] = max(factors[name], key=lambda choice: gain(chosen, (name, choice)))
        for one, two in itertools.combinations(names, 2):
            left.pop(((one, chosen[one]), (two, chosen[two])), None)
        yield {name: chosen[name] for name in names}


def name_of(choices):
    return " ".join(f"{name}={value}" for name, value in choices.items()) or "default"


class Case:
    suites, others, how, jobs, without = SUITES, OTHERS, ("--buildtype=release", "--werror"), (), ()
    libraries = ("libhakmem.a", "libhakmem.so.0")  # built for themselves

    def __init__(self, compiler, commands, choices, folder=FOLDER):
        self.compiler, self.commands, self.choices = compiler, commands, choices
        self.name = f"{compiler} {name_of(choices)}"
        self.build = os.path.join(folder, compiler, name_of(choices).replace(" ", "+"))
        if len(os.path.basename(self.build)) > 200:
            self.build = os.path.join(folder, compiler, f"{len(choices)}-options-{abs(hash_of(choices)):x}")
        self.log = self.build + ".log"
        self.left_out = []
        self.env = {name: value for name, value in os.environ.items()
                    if name != "LD_PRELOAD" and not name.startswith("HAKMEM_")}
        if commands:
            self.env["CC"], self.env["CXX"] = commands

    def call(self, *argv):
        """The output of a command, which the log has too."""
        done = subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(argv)}\n{done.stdout}\n")
        return done

    def setup(self):
        if os.path.isfile(os.path.join(self.build, "build.ninja")):
            return None
        shutil.rmtree(self.build, ignore_errors=True)
        return self.call("meson", "setup", self.build, ROOT, *self.how, "-Dtests=true",
                         *(f"-D{name}={value}" for name, value in self.choices.items()))

    def run(self, say):
        if os.path.exists(self.log):
            os.unlink(self.log)
        say("configuring")
        done = self.setup()
        if done and done.returncode != 0:
            error = re.search(r"ERROR: (.*)", done.stdout)
            raise Failed(f"meson setup: {error.group(1) if error else 'failed'}")
        tests, targets = self.choose_tests()
        say("building")
        if self.call("ninja", "-C", self.build, *self.jobs, *targets).returncode != 0:
            raise Failed("it does not build")
        say(f"running {len(tests)} test programs")
        self.call("meson", "test", "-C", self.build, "--no-rebuild", "--print-errorlogs", *tests)
        self.judge(tests)

    def choose_tests(self):
        """The names of the tests, and what has to be built for them: the libraries and the tests' programs."""
        introspected = [json.loads(subprocess.run(["meson", "introspect", what, self.build], check=True, env=self.env,
                                                  stdout=subprocess.PIPE).stdout) for what in ("--tests", "--targets")]
        tests, files = introspected[0], {target["id"]: target["filename"] for target in introspected[1]}
        made = {path for target in introspected[1] for path in target["filename"]}
        chosen = {}
        for pattern in self.others:
            fitting = [test for test in tests if fnmatch.fnmatch(test["name"], pattern)]
            chosen.update((test["name"], test) for test in fitting)
            if not fitting:
                self.left_out.append(pattern)
        chosen.update((test["name"], test) for test in one_way(tests)
                      for suite in test["suite"] if suite.split(":", 1)[-1] in self.suites
                      and not any(fnmatch.fnmatch(test["name"], pattern) for pattern in self.without))
        wanted = {path for target in introspected[1] for path in target["filename"]
                  if os.path.basename(path) in self.libraries}
        for test in chosen.values():
            wanted.update(path for path in test["cmd"] if path in made)
            wanted.update(path for target in test["depends"] for path in files.get(target, ()))
        return sorted(chosen), sorted(os.path.relpath(path, self.build) for path in wanted)

    def judge(self, tests):
        path = os.path.join(self.build, "meson-logs", "testlog.json")
        with open(path, encoding="utf-8", errors="replace") as file:
            records = [json.loads(line) for line in file if line.strip()]
        failed = [name for record in records for name in run_tests.cases(record)[1]]
        missing = set(tests) - {run_tests.short_name(record) for record in records}
        if failed or missing:
            raise Failed(", ".join(failed + [f"{name} did not run" for name in sorted(missing)]))


def one_way(tests):
    """The tests, those that are linked in several ways once."""
    best = {}
    for test in tests:
        stem, _, way = test["name"].rpartition("-")
        rank = WAYS.index(way) if way in WAYS else -1
        key = stem if rank >= 0 else test["name"]
        if key not in best or rank < best[key][0]:
            best[key] = rank, test
    return [test for _, test in best.values()]


# Unit tests of floors that no choice of the suite boxes reaches, and of protocols that have one form; and those of
# front=percpu by which the way to a processor's shelf makes no difference.
UNREACHED = ("front_slow-own", "front_wrong-own", "front_corrupt-own", "meet", "own", "ss_arena*", "purge", "profile*", "leaks*", "guarded*", "file", "fmt", "vdso", "unwind", "meta",
             "numa*", "space", "bits", "list", "sys", "lock", "gate", "peak", "pool*")


class UnitCase(Case):
    """Short: its folder is kept, and it takes one core, for others are at work beside it. The libraries are not put
    together. Optimised only where a test goes through all instructions, of which there are fewer then."""
    suites, others, jobs, without, libraries = ("unit",), (), ("-j1",), UNREACHED, ()

    def __init__(self, *args):
        super().__init__(*args)
        self.env["TEST_STRIDE"] = "7"

    @property
    def how(self):
        return ("--buildtype=plain", "-Drecord=disabled",
                f"-Doptimization={1 if self.choices.get('signals') == 'enabled' else 0}")

    def call(self, *argv):
        return super().call(*argv, *(["--num-processes", "1"] if argv[:2] == ("meson", "test") else []))


class HardenedCase(Case):
    suites = (*SUITES, "misuse", "life", "stress", "programs")


def case_of(compiler, commands, choices):
    return (HardenedCase if choices == {"hardened": "true"} else Case)(compiler, commands, choices)


class RefusedCase(Case):
    """A configuration that Meson must not take, and must say why."""

    def __init__(self, compiler, commands, choices, said):
        super().__init__(compiler, commands, choices)
        self.said = said
        self.name += " (to be refused)"

    def run(self, say):
        say("configuring")
        shutil.rmtree(self.build, ignore_errors=True)
        done = self.setup()
        error = re.search(r"ERROR: (.*)", done.stdout)
        if done.returncode == 0:
            raise Failed("meson setup took it")
        if error is None or self.said not in error.group(1):
            raise Failed(f"no sentence about {self.said}: {error.group(1) if error else done.stdout[-200:]}")


def run_unit_case(case):
    """What the log of a failure says is printed: its folder may be gone with the machine."""
    try:
        case.run(lambda what: None)
    except Failed as error:
        with open(case.log, encoding="utf-8") as file:
            print(f"{file.read()[-20000:]}\n{case.name}: {error}")
        return 1
    print(f"{case.name}: passed")
    return 0


def hash_of(choices):
    value = 0
    for letter in name_of(choices):
        value = (value * 131 + ord(letter)) % (1 << 61)
    return value


def cases_of(args, options, compilers):
    if args.choices:
        chosen = dict(word.split("=", 1) for word in args.choices)
        return [case_of(compiler, commands, chosen) for compiler, commands in compilers.items()]
    if args.pairs:
        factors = {"compiler": list(compilers), **{name: choices for name, (_, choices) in options.items()}}
        rows = []
        for row in all_pairs(factors):
            compiler = row.pop("compiler")
            changed = {name: value for name, value in row.items() if value != options[name][0]}
            rows.append(Case(compiler, compilers[compiler], changed))
        return rows
    cases = [case_of(compiler, commands, choices) for choices in singles(options)
             for compiler, commands in compilers.items()]
    return cases + [RefusedCase(compiler, commands, wrong, said) for wrong, said in REFUSED
                    for compiler, commands in compilers.items()]


def run_all(cases, progress):
    passed, failed, skipped, started = 0, [], [], time.monotonic()
    for at, case in enumerate(cases):
        if case.commands is None:
            skipped.append(f"{case.name}: {case.compiler} is not installed")
            continue
        begun = time.monotonic()
        done = passed + len(failed)
        left = f"about {(begun - started) / done * (len(cases) - at) / 60:.0f} min left" if done else "time left unknown"
        place = f"[{at + 1}/{len(cases)}]"
        try:
            case.run(lambda what: progress(f"{place} {case.name}: {what}; {left}"))
            passed += 1
            verdict = "passed"
            shutil.rmtree(case.build, ignore_errors=True)
            os.unlink(case.log)
        except Failed as error:
            failed.append(f"{case.name}: {error}")
            verdict = f"FAILED: {error} (see {case.log})"
        progress.close()
        out = f"; not in it: {', '.join(case.left_out)}" if case.left_out else ""
        print(f"{place} {case.name}: {verdict} in {time.monotonic() - begun:.0f} s{out}", flush=True)
    for text in skipped:
        print(f"skipped: {text}")
    for text in failed:
        print(f"failed: {text}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed else 0


def self_test():
    """The pairs of the real options meet, and nothing refused is among the configurations."""
    options = read_options()
    factors = {"compiler": ["gcc", "clang"], **{name: choices for name, (_, choices) in options.items()}}
    rows = list(all_pairs(factors))
    for one, two in itertools.combinations(factors, 2):
        for pair in itertools.product(factors[one], factors[two]):
            met = any((row[one], row[two]) == pair for row in rows)
            assert met != is_refused(dict(zip((one, two), pair))), (one, two, pair)
    assert not any(map(is_refused, rows))
    most = sorted(map(len, factors.values()))
    assert most[-1] * most[-2] <= len(rows) <= 3 * most[-1] * most[-2], len(rows)
    assert all(is_refused(wrong) for wrong, _ in REFUSED)
    small = list(all_pairs({"a": "xy", "b": "xy", "c": "xy"}, lambda chosen: False))
    assert len(small) <= 6 and {(row["a"], row["c"]) for row in small} == set(itertools.product("xy", "xy"))
    names = [test["name"] for test in one_way([{"name": name} for name in ("a-hak", "a-preload", "b-static", "c-hak", "d-e")])]
    assert sorted(names) == ["a-preload", "b-static", "c-hak", "d-e"], names
    assert {} in singles(options) and {"front": "ring"} in singles(options)
    print(f"{len(rows)} configurations for all pairs, {len(list(singles(options)))} for single changes")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="hakmem test matrix", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", action="store_true", help="every two choices meet")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    parser.add_argument("--unit", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--compiler", choices=("gcc", "clang"), help="with this one only")
    parser.add_argument("build", metavar="BUILD", help="the build folder of the tests: not used, each case has its own")
    parser.add_argument("choices", nargs="*", metavar="NAME=VALUE", help="this configuration alone")
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    args = parser.parse_intermixed_args()
    options = read_options()
    for word in args.choices:
        name, _, value = word.partition("=")
        if name not in options or value not in options[name][1]:
            parser.error(f"{word}: no such choice. There are: "
                         + "; ".join(f"{each}={'|'.join(of[1])}" for each, of in options.items()))
    if args.unit:
        chosen = dict(word.split("=", 1) for word in args.choices)
        return run_unit_case(UnitCase("gcc", ("gcc", "g++"), chosen, os.path.join(args.build, "boxes")))
    compilers = {name: commands for name, commands in find_compilers().items() if args.compiler in (None, name)}
    cases = cases_of(args, options, compilers)
    if args.list:
        print("\n".join(case.name for case in cases))
        return 0
    progress = Progress(every=60)
    try:
        return run_all(cases, progress)
    except KeyboardInterrupt:
        progress.close()
        return 130


if __name__ == "__main__":
    sys.exit(main())
