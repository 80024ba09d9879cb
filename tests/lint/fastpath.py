#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that hak_malloc and hak_free execute when the bin has a block, or room: from the entry to the
first return, which no conditional jump to a slow path leaves before.

usage: fastpath.py LIBRARY OBJDUMP MALLOC FREE   (the budgets)
"""
import re
import subprocess
import sys


def instructions(library, objdump, name):
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout
    found = re.search(r"<%s>:\n((?:.+\n)+)" % name, text)
    assert found, f"{name} is not in {library}"
    count = 0
    for line in found.group(1).splitlines():
        words = line.split("\t")[1].split()
        count += 1
        assert not words[0].startswith("call"), f"{name} calls: {line}"
        if words[0].startswith("ret"):
            return count
    raise AssertionError(f"{name} does not return")


def main():
    library, objdump, *budgets = sys.argv[1:]
    wrong = 0
    for name, budget in zip(("hak_malloc", "hak_free"), map(int, budgets)):
        count = instructions(library, objdump, name)
        print(f"{name}: {count} instructions, budget {budget}")
        wrong += count > budget
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
