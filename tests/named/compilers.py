#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gcc-11 gcc-12 clang-14 clang-15 clang-16 clang-19
# targets: libhakmem.so.0
"""The library and its unit tests by each compiler that Debian 12 has: built without a warning, and the unit tests pass.

    ./hakmem test compilers              # all
    ./hakmem test compilers clang-19     # these

clang-17 and 18 are not in Debian 12. What is not installed is skipped by name.
"""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import ports  # noqa: E402

# So many times as long as a test alone has: beside builds it may take much longer.
SLOWNESS = 5

COMPILERS = ('gcc-11', 'gcc-12', 'clang-14', 'clang-15', 'clang-16', 'clang-19')


def build(compiler):
    """(build folder, why it did not succeed or None)."""
    folder = os.path.join(ports.WORK, compiler)
    env = {**os.environ, 'CC': compiler}
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        shutil.rmtree(folder, ignore_errors=True)
        ports.call('meson', 'setup', folder, ROOT, '--buildtype=release', '--werror', '-Dtests=true', env=env)
    targets = ['libhakmem.so.0', 'libhakmem.a']
    targets += sorted({os.path.relpath(test['cmd'][0], folder) for test in ports.tests_of(folder, ('unit',))})
    done = subprocess.run(['ninja', '-C', folder, *targets], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return folder, None if done.returncode == 0 else done.stdout[-4000:]


def main():
    names = ports.those_there('compilers', {name: name for name in COMPILERS}, sys.argv[2:])
    failed = []
    for name in names:
        folder, fault = build(name)
        if fault is None:
            fault = ports.run_suites(folder, {}, ('unit',), SLOWNESS) or None
        else:
            print(fault)
        print('%s: %s' % (name, 'passed' if fault is None else 'failed'), flush=True)
        failed += [name] if fault is not None else []
    print('compilers: ' + ('failed: ' + ' '.join(failed) if failed else 'all passed'))
    return 1 if failed else 0 if names else 77


if __name__ == '__main__':
    sys.exit(main())
