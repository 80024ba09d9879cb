#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: valgrind libsqlite3-dev python3
# targets: libhakmem.so.0 tests/api/api_leaks_subject
"""Leaks that were planted in real programs are found at their lines, and no other; and valgrind counts the same.

usage: leaks.py BUILD    (./hakmem test leaks)

A C++ program with eight threads, one that uses SQLite, and Python with a library of its own; then the small programs of
tests/api/leaks_subject.c. Where valgrind is not there, only the lines are looked at.
"""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests', 'support'))
import leaks_read  # noqa: E402  (beside the tests)

LIMIT = 400  # seconds that anything may take
SOURCES = os.path.join(TOP, 'tests', 'support', 'leaks')
THREADED = ['server']
# Of the small programs those that valgrind can run: not those whose threads never end. What only a pointer into its
# middle reaches is "possibly lost" there, and reached here. Of 64 MiB it finds words that happen to lie in them.
SMALL = ['direct', 'indirect', 'cycle', 'moved', 'aligned', 'run', 'huge', 'string', 'by_global', 'by_local', 'by_middle',
         'by_large', 'nothing']
PYTHON = '''
import ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])
for i in range(300):
    assert library.record_add(json.dumps({'number': i}).encode()) == 0
assert library.record_drop_some() == 100
'''


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_') and k != 'LD_PRELOAD'}


def compiled(folder, name, *arguments):
    to = os.path.join(folder, name.partition('.')[0])
    compiler = os.environ.get('CXX', 'c++') if name.endswith('.cpp') else os.environ.get('CC', 'cc')
    subprocess.run([compiler, '-g', '-O1', '-fno-builtin', '-o', to, os.path.join(SOURCES, name), *arguments], check=True)
    return to


def check(build, program, source, command, env):
    """Prints a line; raises where a leak is told at another line, or valgrind counts others."""
    hakmem = dict(env, LD_PRELOAD=os.path.join(build, 'libhakmem.so.0'), HAKMEM_LEAKS='1')
    done = subprocess.run(command, env=hakmem, capture_output=True, text=True, timeout=LIMIT)
    report = leaks_read.Report(done.stderr)
    wrong = leaks_read.compare(report, source, program)
    assert not wrong, wrong
    counts = report.direct, report.indirect
    if leaks_read.VALGRIND and program != 'huge':
        theirs = leaks_read.valgrind_counts(command, env, LIMIT)
        # Where threads take turns as they like, an old pointer in the unused room of one leaked block makes another
        # an indirect leak now and then: there only all of them together are the same.
        same = sum(theirs) == sum(counts) if program in THREADED else theirs == counts
        assert same, f'{program}: valgrind counts {theirs}, hakmem {counts}\n{report.text}'
    print(f'{program}: {counts[0]} blocks leaked directly, {counts[1]} indirectly', flush=True)


def main():
    build = os.path.abspath(sys.argv[1])
    if not leaks_read.VALGRIND:
        print('valgrind is not here: nothing to compare with')
    env = clean()
    subject = os.path.join(build, 'tests', 'api', 'api_leaks_subject')
    for case in SMALL:
        check(build, case, os.path.join(TOP, 'tests', 'api', 'leaks_subject.c'), [subject, case], env)
    with tempfile.TemporaryDirectory() as folder:
        server = compiled(folder, 'server.cpp', '-pthread')
        check(build, 'server', os.path.join(SOURCES, 'server.cpp'), [server], env)
        if os.path.exists('/usr/include/sqlite3.h'):
            rows = compiled(folder, 'rows.c', '-lsqlite3')
            check(build, 'rows', os.path.join(SOURCES, 'rows.c'), [rows], env)
        else:
            print('skipped: SQLite is not here')
        record = compiled(folder, 'record.c', '-shared', '-fPIC', '-fvisibility=hidden')
        python = '/usr/bin/python3' if os.access('/usr/bin/python3', os.X_OK) else shutil.which('python3')
        check(build, 'record', os.path.join(SOURCES, 'record.c'), [python, '-c', PYTHON, record],
              dict(env, PYTHONMALLOC='malloc'))


if __name__ == '__main__':
    main()
