#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gcc-riscv64-linux-gnu libc6-dev-riscv64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-i686-linux-gnu libc6-dev-i386-cross
# targets: libhakmem.so.0
"""Machines that hakmem is not written for are refused by `meson setup`, with one line that says so: riscv64, and 32 bits
(armhf, i386, and x86-64 with pointers of four bytes).

    ./hakmem test other-machines [NAME...]
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import ports  # noqa: E402

MACHINES = {'riscv64': 'riscv64-linux-gnu-gcc', 'armhf': 'arm-linux-gnueabihf-gcc', 'i386': 'i686-linux-gnu-gcc'}
SAYS = 'hakmem is for Linux on 64-bit x86-64 and aarch64, not for'


def is_refused(name):
    """Why that is not so, or None."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(['meson', 'setup', folder, ROOT, '--cross-file',
                               os.path.join(ROOT, 'tests', 'machines', name + '.ini')], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if 'ERROR' in line]
    if done.returncode == 0 or len(lines) != 1 or SAYS not in lines[0]:
        return done.stdout[-2000:] or 'nothing was printed'
    print('%s: %s' % (name, lines[0].split('ERROR: ')[-1]))
    return None


def main():
    names = ports.those_there('other-machines', MACHINES, sys.argv[2:])
    faults = {name: fault for name in names for fault in [is_refused(name)] if fault}
    for name, fault in faults.items():
        print('%s is not refused as it should be:\n%s' % (name, fault))
    print('other-machines: %d refused' % (len(names) - len(faults)))
    return 1 if faults else 0 if names else 77


if __name__ == '__main__':
    sys.exit(main())
