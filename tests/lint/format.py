#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each C file is as `.clang-format` has it.

usage: format.py ROOT
       format.py --self-test

Releases of clang-format differ in what they make of one and the same file, so it is that of clang 14 or none.
"""
import os
import shutil
import subprocess
import sys
import tempfile

TOOL = "clang-format-14"
FOLDERS = ("core", "include", "tests", "bench", "tools")


def sources(root):
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith((".c", ".h")))


def others(root):
    """What clang-format says of the files that are not as it would have them."""
    done = subprocess.run([TOOL, "--dry-run", "-Werror", "--style=file", *sources(root)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout if done.returncode != 0 else ""


def self_test(root):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(root, ".clang-format"), folder)
        os.mkdir(os.path.join(folder, "core"))
        for text, is_good in (("int a;\n", True), ("int  a;\n", False)):
            with open(os.path.join(folder, "core", "a.c"), "w", encoding="utf-8") as file:
                file.write(text)
            assert (others(folder) == "") == is_good, text


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not shutil.which(TOOL):
        print(f"skipped: {TOOL} is not installed")
        return 77
    if sys.argv[1:] == ["--self-test"]:
        self_test(root)
        return 0
    said = others(sys.argv[1])
    print(said, end="")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
