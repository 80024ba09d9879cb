#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: qemu-system-x86 libnuma-dev
"""Memory by node, on a machine that has two: a virtual one with a Debian kernel.

usage: numa.py BUILD

Builds tests/numa/ once for -Dnuma=auto and once for -Dnuma=enabled, boots a kernel with nothing but that (qemu, two
processors, two nodes of 512 MiB), and reads the serial console. Both must keep at least 95 % of each thread's pages on
the thread's node. A third run, with HAKMEM_NUMA=0, must not: so the test can fail.

The kernel's package is fetched by `apt-get download` and unpacked in BUILD/numa/; nothing is installed. Ends with 77
where something that is needed cannot be had.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import machine  # noqa: E402

CASES = 5
NODES = ['-m', '1024'] + [word for node in range(2) for word in (
    '-object', 'memory-backend-ram,size=512M,id=m%d' % node,
    '-numa', 'node,nodeid=%d,cpus=%d,memdev=m%d' % (node, node, node))]

# All that is free stays resident, so that it is there to be used again.
KEEP = 'HAKMEM_PURGE_DELAY_MS=3600000 HAKMEM_MIN_KEEP=1G'

# Cases that need nodes to be known; in the other one first touch alone is enough.
MUST_FAIL_OFF = {'reused', 'moved', 'freed-far', 'crossed'}


def build(folder, numa):
    """The two programs, built with that option. BUILD itself serves where it has it."""
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        machine.run('meson', 'setup', folder, ROOT, '--buildtype=release', '-Dtests=true', '-Dnuma=' + numa,
                    stdout=subprocess.DEVNULL)
    programs = ['tests/machine/machine_init', 'tests/numa/numa_locality']
    machine.run('ninja', '-C', folder, *programs, stdout=subprocess.DEVNULL)
    return [os.path.join(folder, program) for program in programs]


def results(outputs, name):
    """The cases of a program: {case: ok}."""
    found = re.findall(r'^(ok|not ok) \d+ - (\S+)', outputs.get(name, ('', -1))[0], re.M)
    return {case: word == 'ok' for word, case in found}


def main():
    folder = os.path.abspath(sys.argv[1])
    work = os.path.join(folder, 'numa')
    os.makedirs(work, exist_ok=True)
    (init, auto), (_, enabled) = [build(os.path.join(work, numa), numa) for numa in ('auto', 'enabled')]
    plan = ['1-auto %s -- /tests/auto' % KEEP, '2-enabled %s -- /tests/enabled' % KEEP,
            '3-auto-off %s HAKMEM_NUMA=0 -- /tests/auto' % KEEP]
    text = machine.start(work, init, [('auto', auto), ('enabled', enabled)], plan, NODES)
    print(text)
    outputs = machine.outputs(text)
    faults = []
    for name in ('1-auto', '2-enabled'):
        got = results(outputs, name)
        faults += ['%s: %s' % (name, case) for case, ok in got.items() if not ok]
        if len(got) != CASES:
            faults.append('%s: %d of %d cases ran' % (name, len(got), CASES))
    off = results(outputs, '3-auto-off')
    faults += ['HAKMEM_NUMA=0: %s did not fail' % case for case in sorted(MUST_FAIL_OFF) if off.get(case, True)]
    print('\n'.join('numa: ' + fault for fault in faults) or 'numa: passed')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
