#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that the allocator executes for each operation of operations.c, by callgrind, and compares
with the budgets in docs/guards.md.

usage: instructions.py CHECKOUT FOLDER [NAME...]
       instructions.py --self-test

The library is built in FOLDER by gcc 12 as a release, with the default boxes, whatever the build is that this test
belongs to. Counted are its own functions; what libc does for it (memcpy, memset, a new thread) depends on the
processor. The same library has the same counts in each run. Above its budget an operation fails, and so it does where
it is a tenth below: then the budget is to be lowered, so that what was won is kept.
"""
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import budgets  # noqa: E402

COMPILER = 'gcc-12'
LOW = 0.9  # of the budget
# Nothing goes back to the system: when it does depends on the time.
SETTINGS = {'HAKMEM_MIN_KEEP': str(1 << 30), 'HAKMEM_NUMA': '0'}


def missing():
    """Why nothing can be counted here; None: it can."""
    if platform.machine() != 'x86_64':
        return f'the budgets are those of x86_64, and this is {platform.machine()}'
    for tool in ('valgrind', COMPILER, 'meson', 'ninja', 'nm'):
        if shutil.which(tool) is None:
            return f'{tool} is not installed'
    return None


def environment(more):
    """Not the caller's compiler, flags, preload or options."""
    drop = re.compile(r'CC$|CXX$|CC_LD$|(C|CXX|CPP|LD)FLAGS$|LD_PRELOAD$|HAKMEM_|DESTDIR$|MESON_|NINJA')
    return {**{name: value for name, value in os.environ.items() if not drop.match(name)}, **more}


def call(log, *argv):
    with open(log, 'a', encoding='utf-8') as file:
        done = subprocess.run(argv, env=environment({'CC': COMPILER}), stdout=file, stderr=file,
                              stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f'{" ".join(argv[:3])} failed: {log}')


def build(checkout, folder):
    """(the program, the names of the library's functions)."""
    release, log = os.path.join(folder, 'release'), os.path.join(folder, 'log.txt')
    library, program = os.path.join(release, 'libhakmem.a'), os.path.join(folder, 'operations')
    if not os.path.exists(os.path.join(release, 'build.ninja')):
        call(log, 'meson', 'setup', release, checkout, '--buildtype=release', '-Dtests=false', '-Dbenchmarks=false')
    call(log, 'ninja', '-C', release, 'libhakmem.a')
    source = os.path.join(checkout, 'tests', 'guards', 'operations.c')
    call(log, COMPILER, '-O2', '-Wall', '-Werror', '-fno-builtin', '-D_GNU_SOURCE', '-I', os.path.join(checkout, 'include'),
         source, library, '-Wl,-u,malloc', '-pthread', '-o', program)  # -u: libc's own blocks come from there too
    listing = subprocess.run(['nm', '--defined-only', library], check=True, capture_output=True, text=True).stdout
    return program, set(re.findall(r'^[0-9a-f]+ [tTwW] (\S+)$', listing, re.M))


def own_cost(text, program, names):
    """Instructions that these functions of the program executed, what they called not included, in a profile of
    callgrind."""
    total, here, counts, skip = 0, False, False, False
    for line in text.splitlines():
        if line.startswith('ob='):
            here = line[3:] == program
        elif line.startswith('fn='):
            counts = here and line[3:] in names
        elif line.startswith('calls='):
            skip = True  # the next line is what the callee cost
        elif re.match(r'\d+ \d+$', line):
            total += int(line.split()[1]) if counts and not skip else 0
            skip = False
    return total


def measure(program, name, names):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'profile')
        argv = ['valgrind', '--tool=callgrind', '--compress-strings=no', '--compress-pos=no', '--demangle=no',
                '--zero-before=guard_begin', '--dump-before=guard_end', f'--callgrind-out-file={out}', program, name]
        done = subprocess.run(argv, env=environment(SETTINGS), capture_output=True, text=True, errors='replace', check=False)
        if done.returncode != 0 or not os.path.exists(out + '.1'):
            sys.exit(f'{name}: valgrind --tool=callgrind does not work here:\n{done.stderr}')
        if 'hakmem:' in done.stderr:
            sys.exit(f'{name}: {done.stderr}')
        with open(out + '.1', encoding='utf-8') as file:
            return own_cost(file.read(), os.path.realpath(program), names)


def verdict(name, count, budget):
    """What is wrong with it, or None."""
    if budget is None:
        return f'{name}: {count:.2f} instructions, and no budget in {budgets.PAGE}'
    if count > budget:
        return f'{name}: {count:.2f} instructions, more than its budget of {budget:g}'
    if count < LOW * budget:
        return f'{name}: {count:.2f} instructions, far below its budget of {budget:g}: lower it in {budgets.PAGE}'
    return None


SAMPLE = '''ob=/a/program
fn=(below main)
0 7
fn=malloc
16 10
calls=1 0
0 5
fn=slow
0 5
fn=guard
0 100
ob=/b/libc.so
fn=malloc
0 1000
'''


def self_test():
    found = own_cost(SAMPLE, '/a/program', {'malloc', 'slow'})
    assert found == 15, found
    assert verdict('x', 10, 10) is None and verdict('x', 9.01, 10) is None
    assert 'more' in verdict('x', 10.01, 10) and 'lower' in verdict('x', 8.9, 10) and 'no budget' in verdict('x', 1, None)
    print('ok')


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    checkout, folder, *chosen = sys.argv[1:]
    why = missing()
    if why:
        print(f'skipped: instructions of operations: {why}')
        return 77
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'lock'), 'w', encoding='utf-8') as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        program, names = build(checkout, folder)
        table = budgets.instructions(checkout)
        counts = [line.split() for line in subprocess.run([program], check=True, capture_output=True,
                                                          text=True).stdout.splitlines()]
        faults = []
        for name, count in counts:
            if not chosen or name in chosen:
                found = measure(program, name, names) / int(count)
                print(f'{name}: {found:.2f} instructions, budget {table.get(name, "none")}')
                faults.append(verdict(name, found, table.get(name)))
    faults += [f'{name}: a budget, and no such operation' for name in table if name not in dict(counts)]
    faults = [fault for fault in faults if fault]
    print('\n'.join(faults))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
