#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that hak_malloc and hak_free execute when the bin has a block, or room: from the entry to the
first return, which no conditional jump to a slow path leaves before; so for Mid blocks, of hk_malloc_slow. C++'s primitives have the same count, and what
forwards to them is a jump by the table of global offsets, with at most one argument moved before.

usage: fastpath.py LIBRARY OBJDUMP MALLOC FREE [operators] [mid=N]   (the budgets; for a Mid block so many more)
"""
import re
import subprocess
import sys

MID = 3  # a Mid block costs so many more, after the jump to hk_malloc_slow; with -Dsignals=enabled (`held`) one more yet
NEW = ["_Znwm"]
DELETE = ["_ZdlPv", "_ZdlPvSt11align_val_t"]
FORWARDS = {
    "_Znam": 1, "_ZnamSt11align_val_t": 1,
    "_ZdlPvm": 1, "_ZdlPvRKSt9nothrow_t": 1, "_ZdaPv": 1, "_ZdaPvm": 1, "_ZdaPvRKSt9nothrow_t": 1,
    "_ZdlPvmSt11align_val_t": 2, "_ZdlPvSt11align_val_tRKSt9nothrow_t": 1,
    "_ZdaPvSt11align_val_t": 1, "_ZdaPvmSt11align_val_t": 2, "_ZdaPvSt11align_val_tRKSt9nothrow_t": 1,
}


def instructions(library, objdump, name):
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout
    found = re.search(r"<%s>:\n((?:.+\n)+)" % name, text)
    assert found, f"{name} is not in {library}"
    count = 0
    for line in found.group(1).splitlines():
        words = line.split("\t", 1)[1].split()
        count += 1
        assert not words[0].startswith("call") and words[0] not in ("bl", "blr"), f"{name} calls: {line}"
        if words[0] in ("ret", "retq", "br") or words[0].startswith("jmp") and words[1].startswith("*"):
            return count
    raise AssertionError(f"{name} does not return")


def main():
    library, objdump, malloc, free, *more = sys.argv[1:]
    mid = [int(word[4:]) for word in more if word.startswith("mid=")] or [MID]
    budgets = {"hak_malloc": int(malloc), "hak_free": int(free), "hk_malloc_slow": int(malloc) + mid[0] + ("held" in more)}
    if "operators" in more:
        budgets.update(dict.fromkeys(NEW, int(malloc)), **dict.fromkeys(DELETE, int(free)), **FORWARDS)
    wrong = 0
    for name, budget in budgets.items():
        count = instructions(library, objdump, name)
        print(f"{name}: {count} instructions, budget {budget}")
        wrong += count > budget
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
