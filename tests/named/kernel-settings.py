#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: qemu-system-x86
"""Settings of the kernel that belong to everybody on a machine, so that a test cannot change them: in a virtual one.

usage: kernel-settings.py BUILD

  strict   overcommit is off (mode 2): what is mapped counts, and is refused
  huge     transparent huge pages always
  maps     a process may have 200 mappings

Under each of them programs of tests/life must behave as they do elsewhere. Ends with 77 where something that is needed
cannot be had.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import machine  # noqa: E402

NORMAL = {'/proc/sys/vm/overcommit_memory': '0', '/proc/sys/vm/overcommit_ratio': '50',
          '/proc/sys/vm/max_map_count': '65530', '/sys/kernel/mm/transparent_hugepage/enabled': 'madvise'}
STRICT = {'/proc/sys/vm/overcommit_memory': '2', '/proc/sys/vm/overcommit_ratio': '20'}
HUGE = {'/sys/kernel/mm/transparent_hugepage/enabled': 'always'}
MAPS = {'/proc/sys/vm/max_map_count': '200'}

# Where nothing but the setting differs: each case must pass without it as well.
CASES = [
    ('strict-freed', STRICT, 'freed_again 0 0 1'),
    ('strict-threads', STRICT, 'thread_churn 3000'),
    ('strict-fork', STRICT, 'fork_storm 20 paced'),
    ('strict-idle', STRICT, 'idle 128 small random sleeps 1 16'),
    ('huge-idle', HUGE, 'idle 256 small random sleeps 1 16'),
    ('huge-idle-mid', HUGE, 'idle 256 mid random sleeps 1 18'),
    ('huge-idle-large', HUGE, 'idle 256 large random sleeps 1 18'),
    ('huge-untouched', HUGE, 'untouched 20'),
    ('huge-freed', HUGE, 'freed_again 90 90 1'),
    ('maps-few', MAPS, 'few_maps 200'),
    ('maps-freed', MAPS, 'freed_again 150 150 1'),
    ('maps-space', MAPS, 'freed_space'),
    ('maps-idle', MAPS, 'idle 256 large random sleeps 1 18'),
    ('maps-threads', MAPS, 'thread_churn 3000'),
]


def main():
    folder = os.path.abspath(sys.argv[1])
    work = os.path.join(folder, 'kernel-settings')
    os.makedirs(work, exist_ok=True)
    names = sorted({case[2].split()[0] for case in CASES})
    targets = ['tests/machine/machine_init'] + ['tests/life/life_%s_linked' % name for name in names]
    machine.run('ninja', '-C', folder, *targets, stdout=subprocess.DEVNULL)
    programs = [(name, os.path.join(folder, 'tests', 'life', 'life_%s_linked' % name)) for name in names]
    plan = []
    for name, settings, command in CASES:
        words = ['%s=%s' % setting for setting in {**NORMAL, **settings}.items()]
        plan.append('%s %s -- /tests/%s' % (name, ' '.join(words), command))
    text = machine.start(work, os.path.join(folder, targets[0]), programs, plan, ['-m', '2048'])
    print(text)
    outputs = machine.outputs(text)
    faults = ['%s is refused' % line for line in text.splitlines() if line.endswith(' is refused')]
    faults += ['%s: %s' % (name, 'ends with %d' % outputs[name][1] if name in outputs else 'did not run')
               for name, _, _ in CASES if outputs.get(name, ('', -1))[1] != 0]
    print('\n'.join('kernel-settings: ' + fault for fault in faults) or
          'kernel-settings: %d cases passed' % len(CASES))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
