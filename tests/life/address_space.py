#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs run in 64 MiB of address space, as after `ulimit -v 65536`, with the output they have without hakmem.

usage: address_space.py LIBHAKMEM
"""
import os
import resource
import shutil
import subprocess
import sys

LIMIT = 65536 * 1024
COMMANDS = [
    ['ls', '/'],
    ['python3', '-c', 'pass'],
    ['python3', '-c', 'print(sum(len(str(i)) for i in range(10 ** 5)))'],
    ['sh', '-c', 'for i in 1 2 3; do echo $i | cat; done'],
    ['sort', '/etc/passwd'],
]


def run(command, preload):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_') and k != 'LD_PRELOAD'}
    if preload:
        env['LD_PRELOAD'] = preload
    return subprocess.run(command, env=env, capture_output=True, timeout=60,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)))


def main():
    library = os.path.abspath(sys.argv[1])
    for command in COMMANDS:
        if not shutil.which(command[0]):
            print('not installed, left out: ' + command[0])
            continue
        without, with_it = run(command, None), run(command, library)
        assert without.returncode == 0, 'fails without hakmem: %r %r' % (command, without)
        assert (with_it.returncode, with_it.stdout, with_it.stderr) == (0, without.stdout, without.stderr), \
            '%r: %r' % (command, with_it)
    return 0


if __name__ == '__main__':
    sys.exit(main())
