#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The statistics at exit: HAKMEM_STATS=1 and HAKMEM_STATS=json:PATH, read with a real parser.

usage: stats_report.py LIBHAKMEM PROGRAM
PROGRAM (stats_subject) keeps 40 MiB of blocks when it ends.
"""
import json
import os
import subprocess
import sys
import tempfile


def run(library, program, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options, LD_PRELOAD=library)
    done = subprocess.run([program], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done


def figures(tree, found=None):
    """All numbers of the tree, by the last part of their name."""
    found = {} if found is None else found
    for key, value in tree.items():
        if isinstance(value, dict):
            figures(value, found)
        elif isinstance(value, (int, float)):
            found.setdefault(key, value)
    return found


def main():
    library, program = map(os.path.abspath, sys.argv[1:3])
    plain = run(library, program)
    assert plain.stderr == b'', 'statistics that nobody asked for: %r' % plain.stderr

    page = run(library, program, HAKMEM_STATS='1')
    pid = page.stdout.strip()
    text = page.stderr.decode()
    assert pid.decode() in text.splitlines()[0], 'the page is not headed by the process id: %r' % text[:200]
    assert page.stdout == pid + b'\n', 'the page went to stdout'

    with tempfile.TemporaryDirectory() as folder:
        done = run(library, program, HAKMEM_STATS='json:' + folder + '/s-%p.json')
        pid = done.stdout.decode().strip()
        assert done.stderr == b'', done.stderr
        assert os.listdir(folder) == ['s-%s.json' % pid], os.listdir(folder)
        with open('%s/s-%s.json' % (folder, pid)) as file:
            tree = json.load(file)
    found = figures(tree)
    parts = ['live_bytes', 'front_bytes', 'slab_free_bytes', 'empty_bytes', 'run_free_bytes', 'metadata_bytes']
    for name in parts + ['resident_bytes', 'mapped_bytes', 'live_blocks', 'acquired_new', 'refills', 'flushes']:
        assert name in found, 'no %s in %r' % (name, sorted(found))
    assert found['live_bytes'] >= 40 << 20, found
    total = sum(found[name] for name in parts)
    apart = abs(total - found['resident_bytes'])
    assert apart <= found['resident_bytes'] * 0.02, 'parts %d, resident %d' % (total, found['resident_bytes'])
    return 0


if __name__ == '__main__':
    sys.exit(main())
