# SPDX-License-Identifier: MIT
"""A virtual machine with a Debian kernel and nothing but a few programs: for tests that need another machine than this
one, or settings of the kernel that belong to everybody.

The kernel's package is fetched by `apt-get download` and unpacked where the caller says; nothing is installed. What
cannot be had ends the test with 77.
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

SECONDS = 420  # on an emulated processor
KVM_SECONDS = 120  # where KVM works


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def run(*command, **kw):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **kw)


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


def libraries(program):
    """What the loader maps for it, itself included."""
    text = run('ldd', program, capture_output=True, text=True).stdout if is_dynamic(program) else ''
    return set(re.findall(r'(/\S+)', text))


def is_dynamic(program):
    with open(program, 'rb') as file:
        return b'/ld-linux' in file.read(4096)


def initramfs(path, init, programs, plan):
    """`programs`: names in /tests, and files; `plan`: lines as tests/machine/init.c reads them."""
    files = [('init', init)] + [('tests/' + name, program) for name, program in programs]
    files += sorted((library.lstrip('/'), library)
                    for library in set().union(*(libraries(program) for _, program in programs)))
    pack(path, files, plan)


def pack(path, files, plan):
    """An initramfs of (name in it, file) and the plan."""
    folders = {'dev', 'proc', 'sys', 'tmp', 'tests'}
    for name, _ in files:
        while name := os.path.dirname(name):
            folders.add(name)
    entries = [(name, stat.S_IFDIR | 0o755, b'') for name in sorted(folders)]
    entries.append(('dev/console', CONSOLE, b''))
    entries.append(('plan', stat.S_IFREG | 0o644, '\n'.join(plan).encode() + b'\n'))
    for name, program in files:
        with open(program, 'rb') as file:
            entries.append((name, stat.S_IFREG | 0o755, file.read()))
    with gzip.open(path, 'wb', 1) as file:
        file.write(cpio(entries))


# qemu's program and its machine, and where the kernel's console is.
X86_64 = (['qemu-system-x86_64', '-machine', 'q35'], 'ttyS0')
AARCH64 = (['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'neoverse-n1'], 'ttyAMA0')


def attempt(kernel, initrd, accelerator, seconds, machine, kind=X86_64):
    """(what the machine prints, why it did not end or None)."""
    command = kind[0] + ['-smp', '2', '-nodefaults', '-no-reboot',
               '-display', 'none', '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-accel', accelerator,
               '-append', 'console=%s quiet panic=-1 numa_balancing=disable' % kind[1]] + machine
    started = time.monotonic()
    fault = None
    try:
        text = run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds).stdout
    except subprocess.TimeoutExpired as late:
        text, fault = late.stdout or b'', 'did not end within %d seconds' % seconds
    except subprocess.CalledProcessError as failed:
        text, fault = failed.stdout, 'ended with %d' % failed.returncode
    if fault is None:
        print('the virtual machine took %d s (%s)' % (time.monotonic() - started, accelerator))
    return text.decode(errors='replace').replace('\r', ''), fault


def boot(kernel, initrd, machine):
    """What the machine prints; `machine`: its memory and nodes, as qemu is told. Some hosts have a /dev/kvm that cannot run a whole kernel: then without it."""
    if os.access('/dev/kvm', os.R_OK | os.W_OK):
        text, fault = attempt(kernel, initrd, 'kvm', KVM_SECONDS, machine)
        if fault is None:
            return text
        print('with KVM the virtual machine %s; again without' % fault, flush=True)
    text, fault = attempt(kernel, initrd, 'tcg,thread=multi', SECONDS, machine)
    if fault is not None:
        print(text)
        print('the virtual machine %s' % fault)
        sys.exit(1)
    return text


def start(work, init, programs, plan, machine):
    """Boots a machine with these programs in /tests, and returns what it prints."""
    if not shutil.which('qemu-system-x86_64'):
        skip('no qemu-system-x86_64')
    kernel = fetch_kernel(work)
    initrd = os.path.join(work, 'initramfs.gz')
    initramfs(initrd, init, programs, plan)
    return boot(kernel, initrd, machine)


def outputs(text):
    """What each line of the plan printed, and how its program ended: {name: (text, status)}."""
    found = re.findall(r'^# run (\S+)\n(.*?)^# end \1 (-?\d+)$', text, re.M | re.S)
    return {name: (printed, int(status)) for name, printed, status in found}
