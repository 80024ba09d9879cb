#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the atomics of core/ to the table "Releases and acquires" of docs/concurrency.md: where a row says that a
function releases or acquires, its code does. A weaker order is seen by no test that runs on x86, where the processor
gives the stronger one for nothing.

usage: orders.py ROOT
       orders.py --self-test

A cell of the table begins with functions and, behind a colon, has words that they read or write. At least one operation
on one of these words must have the order, or, where the cell names none, at least one operation of the function. A
function that a file is named for is looked up there. Of several definitions, each for a choice at build time, one is
enough: others have nothing to order.
"""
import os
import re
import sys

TITLE = "## Releases and acquires"
ORDERS = {"releases": ("release", "acq_rel", "full"), "acquires": ("acquire", "acq_rel", "full")}


def rows(text):
    """The cells of each row of the first table below the title."""
    section = text.partition("\n" + TITLE + "\n")[2].lstrip("\n").partition("\n\n")[0]
    lines = [line for line in section.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def read_cell(cell):
    """[(function, file or None)], [words]."""
    head, colon, tail = cell.partition(":")
    if not colon:
        return [], []
    functions = []
    for part in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", head):
        file = re.search(r"`([\w/]+\.[ch])`", part[1])
        functions.append((part[0], file[1] if file else None))
    # `owner[i]` is the word owner; what stands in brackets tells of builds and files
    words = [re.match(r"\w+", word)[0] for word in re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", tail))]
    return functions, words


def bodies(sources, name, file):
    """Every definition of a function, in the file or, if none is named, anywhere."""
    head = re.compile(rf"^[A-Za-z_][^\n;{{}}]*\b{name}\([^;{{}}]*\)\n\{{\n", re.M)
    return [text[match.start():text.index("\n}\n", match.start())]
            for path, text in sources.items() if file is None or path.endswith(file) for match in head.finditer(text)]


def does(body, orders, words):
    for operation in re.finditer(rf"\bhk_\w+?_(?:{'|'.join(orders)})\(([^;]*)", body):
        if not words or any(re.search(rf"\b{word}\b", operation[1]) for word in words):
            return True
    return False


def check(text, sources):
    """What is wrong, and how many functions were looked at."""
    wrong, looked = [], 0
    for cells in rows(text):
        for verb, cell in zip(ORDERS, cells):
            functions, words = read_cell(cell)
            for name, file in functions:
                found = bodies(sources, name, file)
                looked += 1
                if not found:
                    wrong.append(f"{name}: there is no such function{' in ' + file if file else ''}")
                elif not any(does(body, ORDERS[verb], words) for body in found):
                    wrong.append(f"{name} {verb} nothing{' of ' + ', '.join(words) if words else ''}")
    return wrong, looked


SAMPLE = f"""
{TITLE}

| release | acquire | what |
|---|---|---|
| `f`: store of `w[i]` | `g` (`x.c`): load | a |

none
"""
GOOD = {"x.c": "int f(void)\n{\n    hk_store_release(&w[1], 1);\n}\n\nint g(int a,\n      int b)\n{\n    hk_load_acquire(p);\n}\n"}


def self_test():
    wrong, looked = check(SAMPLE, GOOD)
    assert (wrong, looked) == ([], 2), wrong
    for before, after in (("store_release(&w", "store_relaxed(&w"), ("&w", "&v"), ("load_acquire", "load_relaxed"),
                          ("int g", "int h")):
        wrong, _ = check(SAMPLE, {"x.c": GOOD["x.c"].replace(before, after)})
        assert len(wrong) == 1, (before, wrong)
    assert len(check(SAMPLE, {"y.c": GOOD["x.c"]})[0]) == 1
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root, sources = sys.argv[1], {}
    for folder, _, names in os.walk(os.path.join(root, "core")):
        for name in names:
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    sources[os.path.join(folder, name)] = file.read()
    with open(os.path.join(root, "docs", "concurrency.md"), encoding="utf-8") as file:
        wrong, looked = check(file.read(), sources)
    if looked < 20:
        wrong.append(f"the table names {looked} functions only: it was not found, or is not read as it should be")
    for line in wrong:
        print(f"docs/concurrency.md: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
