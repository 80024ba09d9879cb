#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: g++ libcmocka-dev pkg-config
# targets: libhakmem.so.0
"""Unit and stress tests, and those of the interface, built with gcc's sanitizers.

    ./hakmem test sanitizers               # all
    ./hakmem test sanitizers thread        # data races
    ./hakmem test sanitizers address       # address and undefined are one build, as they go together
    ./hakmem test sanitizers undefined
    ./hakmem test sanitizers address hardened   # the same with -Dhardened=true

    tests/named/sanitizers.py --short BUILD thread   # suite boxes: what meets most, by one job

The libraries have the hak_ names only: malloc is the sanitizers' own. The front is reached by a pointer, as gcc's
sanitizers take an address relative to %fs for a plain one. Any report fails the test, of a child that was to end badly
too. Build folders lie in the build folder of the tests, and are kept.
"""

import glob
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

KINDS = {"thread": "thread", "address": "address,undefined", "undefined": "address,undefined"}
SUITES = ("unit", "stress", "api")

# What is run on every change: where threads meet, and what needs little time. The latter with other boxes than the
# usual ones, which the suite boxes would else build once more.
SHORT = {
    "thread": ("contend-all-hak", "contend-forks-hak", "contend-ends-hak", "waits", "transfer", "remote", "heap", "heap_life",
               "pool", "pool_purge", "huge", "peak", "purge", "gate", "lock", "meta", "registry", "registry_window",
               "front_thread"),
    "address": ("fmt", "options", "bits", "list", "assert", "size_class", "registry", "registry_leaf", "registry_flat", "slab",
                "hot_cold", "remote", "pool", "heap", "heap_life", "heap_corrupt", "huge", "page_heap", "hot_span", "side",
                "transfer", "tls_sll", "held", "telemetry", "shared_use", "waits", "front", "front_slow", "front_room",
                "front_off", "front_drain", "front_unified", "front_sll", "front_thread", "front_wide", "front_refused",
                "front_wrong", "front_corrupt", "mixed-4-threads-seed-13-hak", "contend-all-hak"),
}
SHORT_OPTIONS = {
    "thread": ("-Ddebug=false",),
    "address": ("-Ddebug=false", "-Dfront=unified", "-Dtls_sll=enabled", "-Dregistry=flat", "-Dtelemetry=enabled",
                "-Dcheck=full"),
}

# Threads after a fork of several are what some tests are about. In the child the runtime takes those that it does not
# have for threads that nobody joined.
THREAD = "die_after_fork=0:report_thread_leaks=0:halt_on_error=1:exitcode=66:second_deadlock_stack=1"
# Blocks of hakmem's are none of the runtime's, so it cannot tell what is lost; and it asks for ptrace.
ADDRESS = "detect_leaks=0:halt_on_error=1:allocator_may_return_null=1"
UNDEFINED = "halt_on_error=1:print_stacktrace=1"


def build(folder, kind, options):
    if not os.path.isfile(os.path.join(folder, "build.ninja")):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["meson", "setup", folder, ROOT, "-Dbuildtype=debugoptimized", "-Doptimization=1",
                        "-Dtests=true", "-Doverride=false", "-Dtls=pointer", "-Db_lundef=false",
                        "-Db_sanitize=" + kind, *options],
                       check=True, stdout=subprocess.DEVNULL)


def choose(folder, short):
    """Names of tests, and what is built for them. `short`: the names, of which none may be missing; or None."""
    tests, targets = (json.loads(subprocess.run(["meson", "introspect", what, folder], check=True,
                                                stdout=subprocess.PIPE).stdout) for what in ("--tests", "--targets"))
    made = {path for target in targets for path in target["filename"]}
    chosen = [test for test in tests
              if (test["name"] in short if short else
                  any(suite.split(":", 1)[-1] in SUITES for suite in test["suite"]))]
    assert not short or len(chosen) == len(short), sorted(set(short) - {test["name"] for test in chosen})
    wanted = {path for test in chosen for path in test["cmd"] if path in made}
    by_id = {target["id"]: target["filename"] for target in targets}
    wanted.update(path for test in chosen for name in test["depends"] for path in by_id.get(name, ()))
    return ([test["name"] for test in chosen], sorted(os.path.relpath(path, folder) for path in wanted))


def without_random_places():
    """Runtimes of gcc 12 end a program whose mappings lie as far apart as newer kernels place them at random."""
    words = ["setarch", "-R"]
    return words if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0 else []


def run(top, kind, short=None, options=()):
    """True when all passed and nothing was reported."""
    hardened = "-hardened" if "-Dhardened=true" in options else ""
    folder = os.path.join(top, "sanitizers-" + kind.replace(",", "-") + hardened)
    build(folder, kind, options)
    subprocess.run(["ninja", "-C", folder, "build.ninja"], check=True, stdout=subprocess.DEVNULL)  # tests may be new
    names, targets = choose(folder, short)
    jobs = ["-j1"] if short else []
    subprocess.run(["ninja", "-C", folder, *jobs, *targets], check=True, stdout=subprocess.DEVNULL)
    reports = os.path.join(folder, "reports")
    shutil.rmtree(reports, ignore_errors=True)
    os.makedirs(reports)
    env = {**os.environ, **({"TEST_STRIDE": "7"} if short else {})}
    for name, options in {"TSAN_OPTIONS": THREAD, "ASAN_OPTIONS": ADDRESS, "UBSAN_OPTIONS": UNDEFINED}.items():
        env[name] = f"{options}:log_path={reports}/report"
    done = subprocess.run([*without_random_places(), "meson", "test", "-C", folder, "--no-rebuild", "-q",
                           "--print-errorlogs", "--timeout-multiplier", "4",
                           *(["--num-processes", "1"] if short else []), *names], env=env, check=False)
    found = sorted(glob.glob(os.path.join(reports, "*")))
    for path in found[:10]:
        with open(path, encoding="utf-8", errors="replace") as file:
            print(file.read()[:6000])
    print(f"sanitizers: {os.path.basename(folder)}: {len(names)} test programs, {len(found)} reports, "
          f"{'passed' if done.returncode == 0 and not found else 'FAILED'}", flush=True)
    return bool(names) and done.returncode == 0 and not found


def main():
    if sys.argv[1] == "--short":
        top, word = sys.argv[2:]
        return 0 if run(os.path.join(os.path.abspath(top), "boxes"), KINDS[word], SHORT[word], SHORT_OPTIONS[word]) else 1
    top, *words = sys.argv[1:]
    options = ("-Dhardened=true",) if "hardened" in words else ()
    words = [word for word in words if word != "hardened"]
    if any(word not in KINDS for word in words):
        print(__doc__)
        return 2
    kinds = dict.fromkeys(KINDS[word] for word in words or KINDS)
    return 0 if all([run(os.path.abspath(top), kind, options=options) for kind in kinds]) else 1


if __name__ == "__main__":
    sys.exit(main())
