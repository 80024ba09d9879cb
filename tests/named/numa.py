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
import glob
import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECONDS = 420  # for the virtual machine: two minutes on an emulated processor
KVM_SECONDS = 120  # half a minute where KVM works
CASES = 5

# Cases that need nodes to be known; in the other one first touch alone is enough.
MUST_FAIL_OFF = {'reused', 'moved', 'freed-far', 'crossed'}


def skip(why):
    print('numa: skipped: ' + why)
    sys.exit(77)


def run(*command, **kw):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **kw)


def build(folder, numa):
    """The two programs, built with that option. BUILD itself serves where it has it."""
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        run('meson', 'setup', folder, ROOT, '--buildtype=release', '-Dbenchmarks=false', '-Dnuma=' + numa,
            stdout=subprocess.DEVNULL)
    run('ninja', '-C', folder, 'tests/numa/numa_init', 'tests/numa/numa_locality', stdout=subprocess.DEVNULL)
    return os.path.join(folder, 'tests', 'numa')


def fetch_kernel(folder):
    """The path of a bzImage: one that was fetched before, or Debian's small one for virtual machines."""
    pattern = os.path.join(folder, 'boot', 'vmlinuz-*')
    if not glob.glob(pattern):
        if not shutil.which('apt-get') or not shutil.which('dpkg-deb'):
            skip('no apt-get or dpkg-deb to fetch a kernel with')
        text = run('apt-cache', 'depends', 'linux-image-cloud-amd64', capture_output=True, text=True).stdout
        found = re.search(r'Depends: (linux-image-[0-9]\S*)', text)
        if not found:
            skip('apt knows no package linux-image-cloud-amd64')
        try:
            run('apt-get', '-q', 'download', found.group(1), cwd=folder, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            skip('%s cannot be downloaded' % found.group(1))
        package = glob.glob(os.path.join(folder, found.group(1) + '_*.deb'))[0]
        with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', package], stdout=subprocess.PIPE) as tar:
            run_tar = ['tar', '-x', '-C', folder, '--wildcards', './boot/vmlinuz-*']
            subprocess.run(run_tar, check=True, stdin=tar.stdout)
        os.remove(package)
    return glob.glob(pattern)[0]


def cpio(entries):
    """An archive as the kernel unpacks it ("newc"): (name, mode, contents) each."""
    out = []
    for inode, (name, mode, data) in enumerate(entries + [('TRAILER!!!', 0, b'')], 1):
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 5 if mode == CONSOLE else 0, 1 if mode == CONSOLE else 0,
                  len(name) + 1, 0]
        head = b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
        out += [head, b'\0' * (-len(head) % 4), data, b'\0' * (-len(data) % 4)]
    return b''.join(out)


CONSOLE = stat.S_IFCHR | 0o600


def initramfs(path, init, programs):
    entries = [(name, stat.S_IFDIR | 0o755, b'') for name in ('dev', 'proc', 'sys', 'tests')]
    entries.append(('dev/console', CONSOLE, b''))
    for name, program in [('init', init)] + [('tests/' + name, program) for name, program in programs]:
        with open(program, 'rb') as file:
            entries.append((name, stat.S_IFREG | 0o755, file.read()))
    with gzip.open(path, 'wb', 1) as file:
        file.write(cpio(entries))


def attempt(kernel, initrd, accelerator, seconds):
    """(what the machine prints, why it did not end or None)."""
    command = ['qemu-system-x86_64', '-machine', 'q35', '-m', '1024', '-smp', '2', '-nodefaults', '-no-reboot',
               '-display', 'none', '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-accel', accelerator,
               '-append', 'console=ttyS0 quiet panic=-1 numa_balancing=disable']
    for node in range(2):
        command += ['-object', 'memory-backend-ram,size=512M,id=m%d' % node,
                    '-numa', 'node,nodeid=%d,cpus=%d,memdev=m%d' % (node, node, node)]
    started = time.monotonic()
    fault = None
    try:
        text = run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds).stdout
    except subprocess.TimeoutExpired as late:
        text, fault = late.stdout or b'', 'did not end within %d seconds' % seconds
    except subprocess.CalledProcessError as failed:
        text, fault = failed.stdout, 'ended with %d' % failed.returncode
    if fault is None:
        print('numa: the virtual machine took %d s (%s)' % (time.monotonic() - started, accelerator))
    return text.decode(errors='replace').replace('\r', ''), fault


def boot(kernel, initrd):
    """What the machine prints. Some hosts have a /dev/kvm that cannot run a whole kernel: then without it."""
    if os.access('/dev/kvm', os.R_OK | os.W_OK):
        text, fault = attempt(kernel, initrd, 'kvm', KVM_SECONDS)
        if fault is None:
            return text
        print('numa: with KVM the virtual machine %s; again without' % fault, flush=True)
    text, fault = attempt(kernel, initrd, 'tcg,thread=multi', SECONDS)
    if fault is not None:
        print(text)
        print('numa: the virtual machine %s' % fault)
        sys.exit(1)
    return text


def results(text, name):
    """The cases of a program: {case: ok}."""
    part = re.search(r'# run %s\n(.*?)# end %s (-?\d+)' % (name, name), text, re.S)
    found = re.findall(r'^(ok|not ok) \d+ - (\S+)', part.group(1), re.M) if part else []
    return {case: word == 'ok' for word, case in found}


def main():
    folder = os.path.abspath(sys.argv[1])
    if not shutil.which('qemu-system-x86_64'):
        skip('no qemu-system-x86_64')
    work = os.path.join(folder, 'numa')
    os.makedirs(work, exist_ok=True)
    auto, enabled = [build(os.path.join(work, numa), numa) for numa in ('auto', 'enabled')]
    kernel = fetch_kernel(work)
    initrd = os.path.join(work, 'initramfs.gz')
    locality = os.path.join(auto, 'numa_locality')
    initramfs(initrd, os.path.join(auto, 'numa_init'),
              [('1-auto', locality), ('2-enabled', os.path.join(enabled, 'numa_locality')), ('3-auto-off', locality)])
    text = boot(kernel, initrd)
    print(text)
    faults = []
    for name in ('1-auto', '2-enabled'):
        got = results(text, name)
        faults += ['%s: %s' % (name, case) for case, ok in got.items() if not ok]
        if len(got) != CASES:
            faults.append('%s: %d of %d cases ran' % (name, len(got), CASES))
    off = results(text, '3-auto-off')
    faults += ['HAKMEM_NUMA=0: %s did not fail' % case for case in sorted(MUST_FAIL_OFF) if off.get(case, True)]
    print('\n'.join('numa: ' + fault for fault in faults) or 'numa: passed')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
