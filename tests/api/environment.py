#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Garbage in the environment: wrong numbers, printf directives, huge values, duplicates, empty ones.

usage: environment.py LIBHAKMEM PROGRAM
PROGRAM must do what it does without them. A wrong value costs one line on stderr and no more.
"""
import ctypes
import os
import subprocess
import sys

NAMES = ['PURGE_DELAY_MS', 'FRONT_BYTES', 'MIN_KEEP', 'MEMORY_LIMIT', 'SS_EMPTY_REUSE',
         'FRONT_V2_CAP', 'MISUSE', 'THP']
WRONG = ['', ' ', 'x', '-', '--1', '12abc', '%n%n%s', '0x', '99999999999999999999999999', '-99999999999999999999',
         '1e9', '\xff\xfe', 'A' * 120000, '1\n2']


def environment(**options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options)
    return env


def run(library, program, env):
    done = subprocess.run([program], env=dict(env, LD_PRELOAD=library), capture_output=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr[:500])
    assert done.stdout.strip().isdigit(), done.stdout[:200]
    return done.stderr


def one_line_each(library, program):
    for name in NAMES:
        for value in WRONG:
            key = 'HAKMEM_' + name
            err = run(library, program, environment(**{key: value}))
            assert err.count(b'\n') <= 1 and len(err) < 1000, (key, value[:40], err[:500])
            assert not err or err.startswith(b'hakmem: '), (key, value[:40], err[:200])
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
        argv = (ctypes.c_char_p * 2)(program.encode(), None)
        pid = os.fork()
        if pid == 0:
            null = os.open('/dev/null', os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            libc.execve(program.encode(), argv, block)
            os._exit(126)
        _, status = os.waitpid(pid, 0)
        assert status == 0, (extra[0][:40], status)


def help_goes_on(library, program):
    err = run(library, program, environment(HAKMEM_OPTIONS='help'))
    for name in NAMES:
        assert name.encode() in err, (name, err[:2000])


def main():
    library, program = map(os.path.abspath, sys.argv[1:3])
    one_line_each(library, program)
    unusual_blocks(library, program)
    help_goes_on(library, program)
    return 0


if __name__ == '__main__':
    sys.exit(main())
