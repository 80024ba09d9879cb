#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: git
# targets: libhakmem.so.0
"""Makes the tarball of a release from the last commit, and builds and tests what is in it, away from the checkout.

    ./hakmem test tarball              # unit, api and lint
    ./hakmem test tarball unit life    # these suites
"""
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*argv, cwd):
    return subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, check=False).returncode


def main():
    suites = sys.argv[2:] or ['unit', 'api', 'lint']
    if not os.path.exists(os.path.join(ROOT, '.git')) or not shutil.which('git'):
        print('tarball: skipped: this is no checkout of git')
        return 77
    done = subprocess.run([os.path.join(ROOT, 'hakmem'), 'package', 'tar'], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        print('tarball: FAILED: it cannot be made')
        return 1
    path = os.path.join(ROOT, done.stdout.split()[-1])
    with tempfile.TemporaryDirectory(prefix='hakmem-tarball-') as folder:
        with tarfile.open(path) as file:
            file.extractall(folder)
        top, = (os.path.join(folder, name) for name in os.listdir(folder))
        known = subprocess.run(['git', 'ls-tree', '-r', '--name-only', 'HEAD'], cwd=ROOT, check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split('\n')[:-1]
        missing = [name for name in known if not os.path.lexists(os.path.join(top, name))]
        if missing:
            print('tarball: FAILED: not in it: %s' % ', '.join(missing[:10]))
            return 1
        status = run('./hakmem', 'test', '--no-install', *suites, cwd=top)
    print('tarball: %s' % ('FAILED' if status else 'passed'))
    return 1 if status else 0


if __name__ == '__main__':
    sys.exit(main())
