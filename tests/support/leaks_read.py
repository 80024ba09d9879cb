# SPDX-License-Identifier: MIT
"""Reads reports on leaks, and what the sources of test programs say of theirs.

In a source a comment `leaked: NAME KIND N` stands behind a line that asks for N blocks that program NAME leaks; KIND is
direct, indirect or any.
"""
import os
import re
import shutil
import subprocess

ROW = re.compile(r'(Direct|Indirect) leak of (\d+) bytes? in (\d+) blocks?, asked for by$')
FRAME = re.compile(r'    #\d+ 0x[0-9a-f]+(?: in (.*?)(?: (\S+:\d+))?)?(?: \((.*)\+0x([0-9a-f]+)\))?$')
SUM = re.compile(r'hakmem: leaks of process \d+: (?:none; .* in (\d+) blocks?|'
                 r'(\d+) bytes? in (\d+) blocks? directly, (\d+) bytes? in (\d+) blocks? indirectly)$')
NOTE = re.compile(r'leaked: (\w+) (direct|indirect|any) (\d+)')


class Row:
    def __init__(self, kind, size, blocks):
        self.kind, self.size, self.blocks = kind, size, blocks
        self.frames, self.lines = [], []  # (function, file, offset in it); FILE:LINE of the source, or ''


class Report:
    """rows; direct and indirect: numbers of blocks in the last line, and rest: the lines that are neither."""

    def __init__(self, text):
        self.rows, self.rest = [], []
        self.direct = self.indirect = self.text = None
        self.text = text
        for line in text.splitlines():
            if row := ROW.match(line):
                self.rows.append(Row(row[1].lower(), int(row[2]), int(row[3])))
            elif frame := FRAME.match(line):
                self.rows[-1].frames.append((frame[1], frame[3], int(frame[4], 16) if frame[4] else 0))
                self.rows[-1].lines.append(os.path.basename(frame[2] or ''))
            elif found := SUM.match(line):
                assert self.direct is None, f'two reports:\n{text}'
                self.direct, self.indirect = int(found[3] or 0), int(found[5] or 0)
            elif line:
                self.rest.append(line)
        assert self.direct is not None, f'no report:\n{text}'


def line_of(row, source):
    """The line of the source that asked for the blocks of a row: of the innermost frame that lies in it."""
    name = os.path.basename(source)
    for _, file, offset in row.frames:
        if not file or not os.path.exists(file):
            continue
        answer = subprocess.run(['addr2line', '-i', '-e', file, hex(offset)], capture_output=True, text=True, check=True)
        for place in answer.stdout.splitlines():  # the innermost of inlined functions first
            path, _, line = place.split(' ')[0].rpartition(':')
            if os.path.basename(path) == name:
                return int(line)
    return None


def noted(source, program):
    """[(line, kind, blocks)] that the source says."""
    found = []
    with open(source, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            note = NOTE.search(line)
            if note and note[1] == program:
                found.append((number, note[2], int(note[3])))
    return found


def compare(report, source, program):
    """'' where the report tells what the source says, line by line; else what differs."""
    told = {}
    for row in report.rows:
        key = line_of(row, source), row.kind
        told[key] = told.get(key, 0) + row.blocks
    for line, kind, blocks in noted(source, program):
        kinds = ('direct', 'indirect') if kind == 'any' else (kind,)
        here = sum(told.pop((line, k), 0) for k in kinds)
        if here != blocks:
            return f'{program}: line {line}: {here} blocks {kind}, not {blocks}\n{report.text}'
    return f'{program}: also {told}\n{report.text}' if told else ''


VALGRIND = shutil.which('valgrind')


def valgrind_counts(command, env, limit):
    """(definitely lost, indirectly lost) blocks as valgrind counts them."""
    done = subprocess.run([VALGRIND, '--leak-check=full', '--num-callers=40', *command], env=env, capture_output=True,
                          text=True, timeout=limit)
    if 'All heap blocks were freed' in done.stderr:
        return 0, 0
    counts = [re.search(kind + r' lost: [\d,]+ bytes in ([\d,]+) blocks', done.stderr) for kind in ('definitely', 'indirectly')]
    assert all(counts), done.stderr
    return tuple(int(c[1].replace(',', '')) for c in counts)
