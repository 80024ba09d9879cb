#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the system calls, or the locks, of each kind of work of work.c for a thousand operations, and compares with
the bounds in docs/guards.md.

usage: work.py calls|locks CHECKOUT PROGRAM [NAME...]
       work.py --self-test

PROGRAM is work.c with marks_calls.c, and is run by strace; or with marks_locks.c, and says the locks itself. What a row of the
table does not name has the bound of "others" there, else 0.
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import budgets  # noqa: E402

CALL = re.compile(r'(\d+) +(\w+)\((.*)')
MARK = re.compile(r'-1, "(begin|end)"')
# The program's own, which waits for its neighbour; and libc's, which makes and ends threads.
IGNORED = {'sched_yield', 'clone', 'clone3', 'set_robust_list', 'rseq', 'rt_sigprocmask', 'exit'}


def count_calls(trace):
    """Calls by name, of each thread between its marks, and of threads without any that began after a mark. One that is
    interrupted by another thread's is counted where it begins."""
    inside, marked, began = {}, set(), set()
    counts = collections.defaultdict(collections.Counter)
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        task, name, rest = match.groups()
        mark = MARK.match(rest) if name == 'write' else None
        if task not in inside:
            inside[task] = bool(marked)
            if inside[task]:
                began.add(task)
        if mark is None:
            counts[task][name] += inside[task] and name not in IGNORED
            continue
        if mark[1] == 'begin':
            counts[task].clear()
        inside[task] = mark[1] == 'begin'
        marked.add(task)
    return sum((counts[task] for task in marked | began), collections.Counter())


def strace(program, name):
    """None: it does not work here."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'trace')
        done = subprocess.run(['strace', '-f', '-qq', '-s', '16', '-e', 'signal=none', '-o', out, program, name],
                              env=environment(), check=False, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr)
            return None
        with open(out, encoding='utf-8', errors='replace') as file:
            return count_calls(file.read())


def environment():
    return {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD' and not name.startswith('HAKMEM_')}


def locks(program, name):
    """Those that the program prints, by rank."""
    done = subprocess.run([program, name], env=environment(), check=True, capture_output=True, text=True)
    return collections.Counter({rank.lower(): int(n) for rank, n in map(str.split, done.stdout.splitlines())})


def faults_of(name, found, bounds):
    """What there is more of than the bounds allow."""
    if bounds is None:
        return [f'{name}: no bounds in {budgets.PAGE}']
    others = bounds.get('others', 0)
    return [f'{name}: {rate:.2f} {what} for a thousand operations, and the bound is {bounds.get(what, others):g}'
            for what, rate in sorted(found.items()) if rate > bounds.get(what, others)]


SAMPLE = '''1 brk(0)
1 write(-1, "begin", 5) = -1 EBADF
1 mmap(NULL, 4096 <unfinished ...>
3 munmap(0x1000)
2 brk(NULL)
1 <... mmap resumed>)
2 write(-1, "begin", 5) = -1 EBADF
2 madvise(0)
2 write(1, "begin", 5) = 5
2 write(-1, "end", 3)
2 madvise(0)
1 sched_yield()
1 write(-1, "end", 3)
1 mmap(0)
'''


def self_test():
    found = +count_calls(SAMPLE)
    assert found == {'mmap': 1, 'munmap': 1, 'madvise': 1, 'write': 1}, found
    assert not faults_of('x', {'heap': 2}, {'heap': 2})
    assert len(faults_of('x', {'heap': 2.1, 'pool': 0.1}, {'heap': 2})) == 2
    assert not faults_of('x', {'pool': 0.1}, {'others': 1}) and faults_of('x', {'heap': 3}, {'heap': 2, 'others': 4})
    assert faults_of('x', {}, None)
    print('ok')


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    what, checkout, program, *chosen = sys.argv[1:]
    if what == 'calls' and shutil.which('strace') is None:
        print('skipped: system calls of work: strace is not installed')
        return 77
    table = budgets.work(checkout, what)
    kinds = dict(line.split() for line in subprocess.run([program], check=True, capture_output=True, env=environment(),
                                                         text=True).stdout.splitlines())
    faults = [f'{name}: bounds, and no such work' for name in table if name not in kinds]
    for name, operations in kinds.items():
        if chosen and name not in chosen:
            continue
        counts = strace(program, name) if what == 'calls' else locks(program, name)
        if counts is None:
            print('skipped: system calls of work: strace does not work here')
            return 77
        found = {key: 1000 * n / int(operations) for key, n in counts.items() if n}
        print(f'{name}: ' + (' '.join(f'{key} {rate:.2f}' for key, rate in sorted(found.items())) or 'none'))
        faults += faults_of(name, found, table.get(name))
    print('\n'.join(faults))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
