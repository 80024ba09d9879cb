#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: musl-tools tcl
# targets: libhakmem.so.0
"""hakmem with musl, by Debian's musl-gcc: the library without the kernel's headers, the suites, and sqlite.

    ./hakmem test musl            # all
    ./hakmem test musl suites     # unit, api, life and stress: linked with libhakmem.a, and preloaded by musl's loader
    ./hakmem test musl sqlite     # one workload, on glibc and on musl: preloaded, and static

Fetched by apt, and not installed: the sources of cmocka and sqlite. There is no C++ for musl in Debian.
"""
import os
import subprocess
import sys
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import packages  # noqa: E402
import ports  # noqa: E402

NATIVE = '--native-file=' + os.path.join(ROOT, 'tests', 'machines', 'musl.ini')

OTHERS = 'starts programs of this machine, which are glibc\'s'
LEFT_OUT = {name: OTHERS for name in ('stats-report', 'environment', 'picture-report', 'profile-report', 'address-space')}
LEFT_OUT['sandbox-one-loader'] = 'is of glibc\'s loader'
for way in ('preload', 'linked'):
    LEFT_OUT['fork-in-handlers-' + way] = \
        'musl\'s fork holds a lock while it calls handlers: of several threads none may fork in a signal handler'

# A table with an index, updates, text that grows, a sort, a join, a recursive query.
WORKLOAD = '''
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, size INT, note TEXT);
CREATE INDEX by_size ON item (size, name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  INSERT INTO item SELECT i, 'item ' || (i * 7919 % 60000), i * i % 9973, hex(zeroblob(i % 400)) FROM n;
UPDATE item SET note = note || name || note WHERE id % 3 = 0;
DELETE FROM item WHERE id % 7 = 1;
SELECT count(*), sum(length(note)), max(name) FROM item;
SELECT a.size, count(*), group_concat(a.id % 100) FROM item a JOIN item b ON a.size = b.size AND a.id < b.id
  GROUP BY a.size ORDER BY 2 DESC, 1 LIMIT 200;
SELECT name, length(note) FROM item ORDER BY note DESC, id LIMIT 1000;
SELECT printf('%.3f', avg(size * 1.5)), count(DISTINCT substr(note, 1, 20)) FROM item;
'''


def headers():
    """A folder with the kernel's headers, which Debian has beside glibc's."""
    folder = os.path.join(ports.WORK, 'kernel-headers')
    os.makedirs(folder, exist_ok=True)
    triplet = subprocess.run(['cc', '-print-multiarch'], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    for name, path in (('linux', 'linux'), ('asm-generic', 'asm-generic'), ('asm', triplet + '/asm')):
        link = os.path.join(folder, name)
        if not os.path.lexists(link):
            os.symlink(os.path.join('/usr/include', path), link)
    return folder


def suites():
    folder = ports.with_tests('musl', NATIVE, '-Dc_args=-isystem ' + headers())
    programs = os.path.join(ports.WORK, 'musl-programs')
    os.makedirs(programs, exist_ok=True)
    ports.call('musl-gcc', '-O2', os.path.join(ROOT, 'tests', 'machines', 'true.c'), '-o', os.path.join(programs, 'true'))
    return ports.run_suites(folder, LEFT_OUT, env={'PATH': programs + ':' + os.environ['PATH']})


def amalgamation():
    """The folder with sqlite3.c and shell.c, made from Debian's source."""
    folder = os.path.join(ports.WORK, 'sqlite')
    if not os.path.exists(os.path.join(folder, 'shell.c')):
        try:
            archive = ports.apt('amd64').source('sqlite3', 'sqlite3_*.orig.tar.xz')
        except packages.Missing as missing:
            ports.skip(str(missing))
        os.makedirs(folder, exist_ok=True)
        with tarfile.open(archive) as tar:
            top = tar.getnames()[0].split('/')[0]
            tar.extractall(folder)  # Debian's archive, whose signature apt has checked
        source = os.path.join(folder, top)
        ports.call('./configure', '--disable-tcl', '--disable-readline', cwd=source)
        ports.call('make', 'sqlite3.c', 'shell.c', cwd=source)
        for name in ('sqlite3.c', 'sqlite3.h', 'shell.c'):
            os.replace(os.path.join(source, name), os.path.join(folder, name))
    return folder


def compile_sqlite(name, compiler, *more):
    folder = amalgamation()
    program = os.path.join(folder, 'sqlite-' + name)
    ports.call(compiler, '-O1', '-w', '-DSQLITE_OMIT_LOAD_EXTENSION', '-DSQLITE_THREADSAFE=1', 'sqlite3.c', 'shell.c', '-o', program,
               *more, '-pthread', '-lm', cwd=folder)
    return program


def run_sqlite(what, program, preload=None):
    """What the workload prints; it has to have run on hakmem."""
    env = {'HAKMEM_STATS': '1', 'PATH': os.environ['PATH'], **({'LD_PRELOAD': preload} if preload else {})}
    done = subprocess.run([program, ':memory:'], input=WORKLOAD, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=300)
    if done.returncode != 0 or not done.stderr.startswith('hakmem '):
        print('%s: sqlite ended with %d\n%s' % (what, done.returncode, done.stderr[-2000:]))
        sys.exit(1)
    return done.stdout


def sqlite(glibc_build):
    ports.demand(tclsh='tcl', make='make')
    folder = ports.configure('musl-plain', NATIVE)
    ports.call('ninja', '-C', folder)
    expected = run_sqlite('glibc', compile_sqlite('glibc', 'cc'), os.path.join(glibc_build, 'libhakmem.so.0'))
    shared = run_sqlite('musl, preloaded', compile_sqlite('musl', 'musl-gcc'), os.path.join(folder, 'libhakmem.so.0'))
    static = run_sqlite('musl, static', compile_sqlite('musl-static', 'musl-gcc', '-static', os.path.join(folder, 'libhakmem.a')))
    if len(expected.splitlines()) < 1000 or shared != expected or static != expected:
        print('sqlite prints something else on musl: %d, %d and %d lines' % tuple(
            len(text.splitlines()) for text in (expected, shared, static)))
        return 1
    print('sqlite: the same %d lines on glibc, on musl, and in a static program' % len(expected.splitlines()))
    return 0


def main():
    ports.demand(musl_gcc='musl-tools', meson='meson', ninja='ninja-build')
    steps = {'sqlite': lambda: sqlite(os.path.abspath(sys.argv[1])), 'suites': suites}
    return ports.run_steps('musl', steps, sys.argv[2:])


if __name__ == '__main__':
    sys.exit(main())
