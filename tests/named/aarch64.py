#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static qemu-system-arm
# targets: libhakmem.so.0
"""hakmem on aarch64, built by Debian's compiler for it and run by emulators.

    ./hakmem test aarch64            # all
    ./hakmem test aarch64 fastpath   # instructions of the two fast paths
    ./hakmem test aarch64 suites     # unit, api, life, stress by qemu-user: fast, but its system calls are its own
    ./hakmem test aarch64 kernel     # what that cannot, in a virtual machine with Debian's kernel: slow
    ./hakmem test aarch64 kernel 'fork-.*'   # the tests of that name, of all four suites

Fetched by apt, and not installed: the source of cmocka, a kernel, and for the virtual machine a C library and some tools.
docs/machines.md says what was run, and what an emulator cannot do.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import machine  # noqa: E402
import packages  # noqa: E402
import ports  # noqa: E402

CROSS = '--cross-file=' + os.path.join(ROOT, 'tests', 'machines', 'aarch64.ini')

# Instructions: malloc, free, and how many more a Mid block takes. gcc 12.2.
FASTPATH = ['20', '45', 'mid=9']

# So many times as long as on the machine that emulates.
SLOWNESS = 20

# Of many like cases one in so many, and as many less steps as TEST_SLOWNESS says.
STRIDE = 5

SCRIPT = 'a script of this machine starts programs of the other'

# What the virtual machine runs: names of tests.
KERNEL = ['assert', 'front_wrong', 'os', 'space', 'huge', 'front_slow', 'ss_arena_numa', 'auxv', 'unwind', 'vdso', 'lock',
          'sys', 'purge', 'page_heap', 'operators-linked', 'operators-preload', 'zeroed-preload',
          'early-start-preload', 'spawn-preload', 'small-stacks-preload', 'fork-raw-clone-preload',
          'profiled-exact-linked', 'stats-at-exit-preload', 'guarded-reports-linked', 'raw-clone-preload',
          'leaks-asked-linked', 'leaks-beside-linked', 'sandbox-two-preload', 'fork-helpers-preload',
          'refused-calls-preload', 'out-of-memory-preload', 'freed-space-preload', 'locked-memory-user-preload',
          'fork-storm-all-preload']
KERNEL_SECONDS = 1500
KERNEL_PACKAGES = ('coreutils', 'dash', 'libc6', 'libgcc-s1', 'libstdc++6', 'libacl1', 'libattr1', 'libselinux1', 'libpcre2-8-0',
                   'libgmp10')


def build():
    return ports.with_tests('aarch64', CROSS)


def fastpath():
    folder = build()
    print(ports.call(sys.executable, os.path.join(ROOT, 'tests', 'lint', 'fastpath.py'),
                     os.path.join(folder, 'libhakmem.so.0'), 'aarch64-linux-gnu-objdump', *FASTPATH), end='')
    return 0


def is_script(test):
    return 'python' in os.path.basename(test['cmd'][0])


def suites():
    folder = build()
    left_out = {test['name']: SCRIPT for test in ports.tests_of(folder) if is_script(test)}
    env = {'TEST_SLOWNESS': str(SLOWNESS), 'TEST_STRIDE': str(STRIDE)}
    return ports.run_suites(folder, left_out, ports.SUITES, SLOWNESS, env)


# ---- the virtual machine ----

def fetch():
    """A kernel, and the folder of what Debian's packages have."""
    apt = ports.apt('arm64')
    kernel, root = os.path.join(ports.WORK, 'kernel-arm64'), os.path.join(ports.WORK, 'root-arm64')
    try:
        if not glob.glob(os.path.join(kernel, 'boot', 'vmlinuz-*')):
            apt.unpack(apt.dependency('linux-image-cloud-arm64'), kernel)
        for name in KERNEL_PACKAGES:
            apt.unpack(name, root)
    except packages.Missing as missing:
        ports.skip(str(missing))
    return glob.glob(os.path.join(kernel, 'boot', 'vmlinuz-*'))[0], root


def system_files(root):
    """Libraries and tools, as (name in the machine, file)."""
    libraries = os.path.join(root, 'lib', 'aarch64-linux-gnu')
    files = [('lib/ld-linux-aarch64.so.1', os.path.join(libraries, 'ld-linux-aarch64.so.1')),
             ('bin/sh', os.path.join(root, 'bin', 'dash')), ('usr/bin/env', os.path.join(root, 'usr', 'bin', 'env'))]
    files += [('bin/' + name, os.path.join(root, 'bin', name)) for name in ('true', 'cat', 'echo')]
    for folder in (libraries, os.path.join(root, 'usr', 'lib', 'aarch64-linux-gnu')):
        files += [('lib/aarch64-linux-gnu/' + os.path.basename(path), os.path.realpath(path))
                  for path in glob.glob(os.path.join(folder, '*.so*'))]
    return files


def plan_of(folder, tests):
    """Lines for tests/machine/init.c, and the files that they name: as they are here, at the same paths."""
    plan, files = [], {os.path.join(folder, 'libhakmem.so.0'), *glob.glob(os.path.join(folder, 'tests', '*', '*.so'))}
    for test in tests:
        words = [os.path.join(folder, word) if os.path.isfile(os.path.join(folder, word)) else word for word in test['cmd']]
        env = {'PATH': '/bin', 'TEST_SLOWNESS': str(SLOWNESS), **test['env']}
        files.update(word for word in words if os.path.isfile(word))
        plan.append('%s %s -- %s' % (test['name'], ' '.join('%s=%s' % item for item in env.items()), ' '.join(words)))
    return plan, [(path.lstrip('/'), os.path.realpath(path)) for path in sorted(files)]


def kernel(pattern='|'.join(KERNEL)):
    ports.demand(qemu_system_aarch64='qemu-system-arm')
    folder = build()
    ports.call('ninja', '-C', folder, 'tests/machine/machine_init')
    image, root = fetch()
    tests = [test for test in ports.tests_of(folder)
             if re.fullmatch(pattern, test['name']) and not is_script(test)]
    if not tests:
        sys.exit('no test has a name like that')
    plan, files = plan_of(folder, tests)
    initrd = os.path.join(ports.WORK, 'aarch64-initramfs.gz')
    files = [('init', os.path.join(folder, 'tests', 'machine', 'machine_init'))] + files + system_files(root)
    machine.pack(initrd, sorted(dict(reversed(files)).items()), plan)
    text, fault = machine.attempt(image, initrd, 'tcg,thread=multi', KERNEL_SECONDS, ['-m', '4096'], machine.AARCH64)
    outputs = machine.outputs(text)
    failed = [test['name'] for test in tests if outputs.get(test['name'], ('', -1))[1] not in (0, 77)]
    for name in failed:
        print('%s: %s' % (name, '%s\nended with %d' % outputs[name] if name in outputs else 'did not run'))
    if fault:
        print('the virtual machine ' + fault)
    print('kernel: %d of %d passed' % (len(tests) - len(failed), len(tests)))
    return 1 if failed or fault else 0


def main():
    ports.demand(aarch64_linux_gnu_gcc='gcc-aarch64-linux-gnu', meson='meson', ninja='ninja-build')
    steps = {'fastpath': fastpath, 'suites': suites, 'kernel': kernel}
    if sys.argv[2:3] == ['kernel'] and len(sys.argv) == 4:
        sys.exit(kernel(sys.argv[3]))
    return ports.run_steps('aarch64', steps, sys.argv[2:])


if __name__ == '__main__':
    sys.exit(main())
