# SPDX-License-Identifier: MIT
"""Reads the tables of docs/guards.md: the figures stand there and nowhere else."""
import os
import re

PAGE = 'docs/guards.md'


def rows(checkout, title):
    """The cells of each row of the table below a heading."""
    with open(os.path.join(checkout, PAGE), encoding='utf-8') as file:
        part = re.search(rf'^## {title}\n(.*?)(?=^## |\Z)', file.read(), re.M | re.S)
    if part is None:
        raise ValueError(f'{PAGE} has no part {title}')
    lines = re.findall(r'^\| (.*) \|$', part[1], re.M)
    return [[cell.strip() for cell in line.split(' | ')] for line in lines[1:]]  # the first one has the titles


def instructions(checkout):
    """operation -> instructions."""
    return {cells[0]: float(cells[1]) for cells in rows(checkout, 'Instructions')}


def work(checkout, what):
    """kind of work -> what is counted (a system call, the rank of a lock) -> how often for a thousand operations."""
    column = {'calls': 1, 'locks': 2}[what]
    found = {}
    for cells in rows(checkout, 'System calls and locks'):
        words = [] if cells[column] == 'none' else cells[column].split()
        found[cells[0]] = dict(zip(words[::2], map(float, words[1::2])))
    return found
