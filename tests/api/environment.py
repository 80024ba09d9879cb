#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Garbage in the environment: wrong numbers, printf directives, huge values, duplicates, empty ones.

usage: environment.py LIBHAKMEM PROGRAM
PROGRAM (stats_subject.c) must do what it does without them. A wrong value costs one line on stderr and no more.
"""
import ctypes
import os
import re
import subprocess
import sys

PART = '10'  # of what the program can do
WRONG = ['', ' ', 'x', '-', '--1', '12abc', '%n%n%s', '0x', '99999999999999999999999999', '-99999999999999999999',
         '1e9', '\xff\xfe', 'A' * 120000, '1\n2']


def environment(**options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options)
    return env


def run(library, program, env):
    done = subprocess.run([program, PART], env=dict(env, LD_PRELOAD=library), capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[:500])
    assert done.stdout.strip().isdigit(), done.stdout[:200]
    return done.stderr


def help_goes_on(library, program):
    """Prints every option that is built in and goes on; returns their names, texts last, and those that are not."""
    err = run(library, program, environment(HAKMEM_OPTIONS='help')).decode()
    numbers = re.findall(r'^  HAKMEM_(\w+) +-?\d+  \(', err, re.M)
    texts = re.findall(r'^  HAKMEM_(\w+) +none  \(', err, re.M)
    more = re.search(r'^(\d+) more are of choices that are not built in', err, re.M)
    assert len(numbers) + len(texts) == err.count('\n') - 1 - (more is not None), err
    assert {'PURGE_DELAY_MS', 'FRONT_BYTES', 'MIN_KEEP', 'MEMORY_LIMIT', 'MISUSE', 'THP'} <= set(numbers), numbers
    assert texts, err
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'docs', 'options.md'),
              encoding='utf-8') as file:
        documented = set(re.findall(r'^\| `HAKMEM_(\w+)` \|', file.read(), re.M))
    others = sorted(documented - set(numbers) - set(texts))
    assert set(numbers) | set(texts) <= documented and len(others) == int(more.group(1) if more else 0), (others, err)
    return numbers, texts, others


def one_line_each(library, program, names):
    """All options, or ten where there is no room for more, have the same wrong value: no more than a line for each."""
    for value in WRONG:
        together = 10 if len(value) > 1000 else len(names)
        for start in range(0, len(names), together):
            wrong = names[start:start + together]
            err = run(library, program, environment(**{'HAKMEM_' + name: value for name in wrong}))
            lines = err.splitlines()
            assert len(lines) <= len(wrong) and len(err) < 130 * len(wrong), (wrong, value[:40], err[:2000])
            assert all(line.startswith(b'hakmem: ') for line in lines), (wrong, value[:40], err[:2000])
    # A word where a number belongs is always worth the line.
    err = run(library, program, environment(HAKMEM_PURGE_DELAY_MS='soon'))
    assert err.count(b'\n') == 1 and b'PURGE_DELAY_MS' in err, err


def unusual_blocks(library, program):
    """Entries that no shell would make: without '=', twice the same name, nothing at all."""
    libc = ctypes.CDLL(None, use_errno=True)
    for extra in ([b'HAKMEM_PURGE_DELAY_MS'], [b'HAKMEM_'], [b'HAKMEM_=1'], [b'=1'], [b''],
                  [b'HAKMEM_MIN_KEEP=1', b'HAKMEM_MIN_KEEP=1'], [b'HAKMEM_STATS=json:'],
                  [b'HAKMEM_STATS=json:/no/such/folder/x'], [b'HAKMEM_STATS=' + b'y' * 100000]):
        entries = [b'LD_PRELOAD=' + library.encode()] + extra
        block = (ctypes.c_char_p * (len(entries) + 1))(*entries, None)
        argv = (ctypes.c_char_p * 3)(program.encode(), PART.encode(), None)
        pid = os.fork()
        if pid == 0:
            null = os.open('/dev/null', os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            libc.execve(program.encode(), argv, block)
            os._exit(126)
        _, status = os.waitpid(pid, 0)
        assert status == 0, (extra[0][:40], status)


def unknown_names(library, program):
    err = run(library, program, environment(HAKMEM_PURGE_DELAY='1'))
    assert err == b'hakmem: HAKMEM_PURGE_DELAY is no option; did you mean HAKMEM_PURGE_DELAY_MS?\n', err
    err = run(library, program, environment(**{'HAKMEM_' + 'N' * 100000: '1'}))
    assert err.count(b'\n') == 1 and len(err) < 200 and b'is no option' in err, err[:500]


def children_do_not_repeat(library):
    """A shell and two children of its, which have the same environment: one line."""
    env = dict(environment(HAKMEM_THP='x', HAKMEM_NOTHING='1'), LD_PRELOAD=library)
    err = subprocess.run(['sh', '-c', 'env true; sh -c "env true; env true"; :'], env=env, capture_output=True,
                         check=True).stderr
    assert err.count(b'\n') == 2, err
    # What is new in a child's environment, or was not preloaded into its parent, is said.
    err = subprocess.run(['sh', '-c', 'HAKMEM_THP=y /bin/true; :'], env=env, capture_output=True, check=True).stderr
    assert err.count(b'\n') == 3 and b'HAKMEM_THP=y' in err, err
    err = subprocess.run(['sh', '-c', 'LD_PRELOAD=%s /bin/true; :' % library], env=environment(HAKMEM_THP='x'),
                         capture_output=True, check=True).stderr
    assert err.count(b'\n') == 1, err


def files_that_cannot_be_written(library, program):
    for name, value in (('HAKMEM_STATS', 'json:%s'), ('HAKMEM_HEAP_PICTURE', '%s')):
        for path, why in (('/no/such/folder/x', b'no such file or directory (2)'), ('/tmp', b'is a directory (21)')):
            err = run(library, program, environment(**{name: value % path}))
            assert err.count(b'\n') == 1 and name.encode() in err, err
            assert b' %s cannot be written: %s\n' % (path.encode(), why) in err, err
        if os.path.exists('/dev/full'):
            err = run(library, program, environment(**{name: value % '/dev/full'}))
            assert err.endswith(b'/dev/full cannot be written: a write failed\n'), err


def no_effect(library, program, names):
    """The default build has one front: the options of the others say that they do nothing."""
    assert names
    err = run(library, program, environment(**{'HAKMEM_' + name: '1' for name in names}))
    said = re.findall(rb'^hakmem: HAKMEM_(\w+) has no effect: built with -D\w+=\w+$', err, re.M)
    assert err.count(b'\n') == len(names) and {name.decode() for name in said} == set(names), err


def main():
    library, program = map(os.path.abspath, sys.argv[1:3])
    numbers, texts, others = help_goes_on(library, program)
    one_line_each(library, program, numbers)
    unusual_blocks(library, program)
    unknown_names(library, program)
    no_effect(library, program, others)
    children_do_not_repeat(library)
    files_that_cannot_be_written(library, program)
    for name in texts:
        err = run(library, program, environment(**{'HAKMEM_' + name: 'A' * 120000}))
        assert err.count(b'\n') == 1 and len(err) < 200, err[:500]
    return 0


if __name__ == '__main__':
    sys.exit(main())
