#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: clang
# targets: libhakmem.so.0
"""Lets libFuzzer look for bytes that the programs of tests/fuzz do not stand.

    ./hakmem test fuzz                      # a minute for each program
    ./hakmem test fuzz 600 operations       # ten minutes for that one
    ./hakmem test fuzz keep [operations]    # what was found anew, minimised, into tests/fuzz/corpus

Builds in build-fuzz/, and keeps there what it found, so that the next run goes on from it. It says how many inputs ran
and how many were worth keeping. A failure is one: the input stays, and the line that runs it again is printed.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.path.join(ROOT, "tests", "fuzz")
FOLDER = os.path.join(ROOT, "build-fuzz")

# The address sanitizer sees nothing of what lies in blocks of ours, and costs the program that has many half its speed.
SANITIZERS = {"operations": "undefined", "options": "address,undefined", "fmt": "address,undefined"}
MOST_BYTES = {"operations": 401, "options": 900, "fmt": 500}
KEPT_FILES = 150  # of a program, in git


def find_clang():
    for suffix in ["", *(f"-{version}" for version in range(30, 13, -1))]:
        clang = shutil.which("clang" + suffix)
        if clang:
            found = subprocess.run([clang, "-print-runtime-dir"], stdout=subprocess.PIPE, text=True, check=False)
            if glob.glob(os.path.join(found.stdout.strip(), "libclang_rt.fuzzer*")) or \
                    glob.glob(os.path.join(os.path.dirname(found.stdout.strip()), "*", "libclang_rt.fuzzer*")):
                return clang
    return None


def build(clang, program):
    """The path of the program."""
    sanitizers = SANITIZERS[program]
    folder = os.path.join(FOLDER, sanitizers.split(",", 1)[0])
    unwatched = os.path.join(TESTS, "unwatched.txt")
    # What a byte means is found by trying: a call for each compare costs half of the time, and four fifths of options'.
    c_args = ["-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp", "-fsanitize=" + sanitizers,
              "-fno-sanitize-recover=undefined", "-fsanitize-ignorelist=" + unwatched,
              "-fsanitize-coverage-ignorelist=" + unwatched, "-include", os.path.join(TESTS, "state_section.h")]
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["meson", "setup", folder, ROOT, "-Dtests=true", "-Dcheck=fast", "-Db_lundef=false",
                        "--buildtype=debugoptimized", "-Dc_args=" + " ".join(c_args),
                        "-Dc_link_args=-fsanitize=" + sanitizers, "-Dcpp_link_args=-fsanitize=" + sanitizers],
                       env={**os.environ, "CC": clang}, check=True, stdout=subprocess.DEVNULL)
    name = os.path.join("tests", "fuzz", "fuzz_" + program)
    subprocess.run(["ninja", "-C", folder, name], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, name)


def found_folder(program):
    folder = os.path.join(FOLDER, "found-" + program)
    os.makedirs(folder, exist_ok=True)
    return folder


def call(path, *arguments):
    """(status, what it printed)"""
    options = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run([path, *arguments], env={**os.environ, **options}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def look(path, program, seconds, build_folder):
    """False: it failed."""
    found, corpus = found_folder(program), os.path.join(TESTS, "corpus", program)
    before = len(os.listdir(found))
    words = os.path.join(TESTS, program + ".dict")
    status, text = call(path, found, corpus, f"-max_len={MOST_BYTES[program]}", f"-max_total_time={seconds}",
                        f"-artifact_prefix={FOLDER}/{program}-", "-print_final_stats=1", "-timeout=120",
                        "-rss_limit_mb=0", "-len_control=10", *(["-dict=" + words] if os.path.exists(words) else []))
    runs = re.search(r"number_of_executed_units: *(\d+)", text)
    print(f"fuzz: {program}: {runs.group(1) if runs else 'unknown'} inputs in {seconds} s, "
          f"{len(os.listdir(found)) - before} new ones kept", flush=True)
    if status == 0:
        return True
    print(text[-6000:])
    kept = re.findall(r"Test unit written to (\S+)", text)
    for file in kept or ["FILE"]:
        print(f"fuzz: {program} FAILED; again: {os.path.join(build_folder, 'tests', 'fuzz', 'fuzz_' + program)} {file}")
    return False


def keep(path, program):
    """What the corpus and the new inputs reach together, by as few of them as can be."""
    corpus, merged = os.path.join(TESTS, "corpus", program), os.path.join(FOLDER, "merged-" + program)
    shutil.rmtree(merged, ignore_errors=True)
    os.makedirs(merged)
    status, text = call(path, "-set_cover_merge=1", "-max_len=" + str(MOST_BYTES[program]), "-rss_limit_mb=0", merged,
                        corpus, found_folder(program))
    if status != 0:
        print(text[-6000:])
        return False
    # The first inputs of a cover reach most. With more, what git keeps would grow for ever.
    names = sorted(os.listdir(merged), key=lambda name: os.path.getmtime(os.path.join(merged, name)))[:KEPT_FILES]
    for name in os.listdir(corpus):
        os.unlink(os.path.join(corpus, name))
    for name in names:
        shutil.copyfile(os.path.join(merged, name), os.path.join(corpus, name[:16]))
    print(f"fuzz: {program}: {len(names)} inputs kept in {os.path.relpath(corpus, ROOT)}")
    return True


def main():
    build_folder, *words = sys.argv[1:]
    keeps = words[:1] == ["keep"]
    seconds = int(words.pop(0)) if words and words[0].isdigit() else 60
    programs = words[keeps:] or list(SANITIZERS)
    for program in programs:
        if program not in SANITIZERS:
            sys.exit(f"fuzz: there is no program '{program}', but {', '.join(SANITIZERS)}")
    clang = find_clang()
    if clang is None:
        print("fuzz: skipped: there is no clang 14 or newer with libFuzzer")
        return 77
    good = True
    for program in programs:
        path = build(clang, program)
        good &= keep(path, program) if keeps else look(path, program, seconds, build_folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
