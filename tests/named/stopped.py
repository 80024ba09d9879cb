#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: g++
# targets: libhakmem.so.0 tests/misuse/misuse_stopped
"""What is stopped of wrong writes and calls, at which size of block, and when; of other libraries too, beside it.

usage: stopped.py BUILD [--times N] [NAME=LIBRARY...]    (./hakmem test stopped scudo=/usr/lib/.../libscudo.so)

Prints a table in Markdown, of tests/misuse/stopped.cpp, where the letters are explained: for each wrong thing a line, for
each library a column with a letter for each size. Of a hakmem with -Dhardened=true it is an error where what
docs/hardened.md says is stopped was not.
"""
import json
import os
import subprocess
import sys

LIMIT = 600  # seconds that one library may take
NOT_STOPPED = ('second free after it was handed out again', 'write into another live block')


def said(build, library, times):
    """{wrong: [field for each size]} and the sizes."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    program = os.path.join(build, 'tests', 'misuse', 'misuse_stopped')
    done = subprocess.run([program, str(times)], env=dict(env, LD_PRELOAD=library), capture_output=True, text=True,
                          timeout=LIMIT, check=True)
    rows = [line.split('\t') for line in done.stdout.splitlines()]
    return {row[0]: row[1:] for row in rows[1:]}, rows[0][1:]


def is_hardened(build):
    with open(os.path.join(build, 'meson-info', 'intro-buildoptions.json')) as options:
        return any(o['name'] == 'hardened' and o['value'] for o in json.load(options))


def table(found, sizes):
    names = list(found)
    yield '| %s, at %s bytes | %s |' % ('wrong', ', '.join(sizes), ' | '.join(names))
    yield '|---' * (len(names) + 1) + '|'
    for wrong in found[names[0]]:
        yield '| %s | %s |' % (wrong, ' | '.join('`' + ' '.join(found[name][wrong]) + '`' for name in names))


def main(build, *arguments):
    arguments = list(arguments)
    times = int(arguments.pop(arguments.index('--times') + 1)) if '--times' in arguments else 10
    others = [a.partition('=') for a in arguments if a != '--times']
    libraries = {'hakmem': os.path.join(build, 'libhakmem.so.0'), **{name: path for name, _, path in others}}
    found = {}
    for name, library in libraries.items():
        found[name], sizes = said(build, os.path.abspath(library), times)
    print('\n'.join(table(found, sizes)))
    missed = [(wrong, size, field) for wrong, fields in found['hakmem'].items() if wrong not in NOT_STOPPED
              for size, field in zip(sizes, fields) if field[0] in '-o']
    if is_hardened(build) and missed:
        sys.exit('not stopped: %s' % missed)
    calls = [w for w in found['hakmem'] if 'second free at once' in w or 'free of a pointer' in w]
    if len(calls) != 3 or any(found['hakmem'][w][0][0] != 'w' for w in calls):
        sys.exit('every build of hakmem stops these: %s' % {w: found['hakmem'][w] for w in calls})


if __name__ == '__main__':
    main(*sys.argv[1:])
