#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: build-essential debhelper debootstrap git lintian meson
# targets: libhakmem.so.0
"""Makes the Debian packages and uses them as somebody does who never saw this checkout.

    ./hakmem test deb          # build, lintian, and in a bare Debian: install, use, remove, purge
    ./hakmem test deb build    # without the bare Debian, which needs root and debootstrap

After the purge the bare Debian must have the files that it had before, with the packages that the test itself brought
(a compiler) left aside.
"""
import glob
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import bare  # noqa: E402

PACKAGES = os.path.join(ROOT, 'build-packages', 'deb')

# What a package manager itself keeps of what came and went, and the folders of this test.
OURS = r'/(proc|sys|dev|run|tmp|root|var/log|var/cache|var/lib/apt|var/lib/dpkg|etc/ld\.so\.cache)(/|$)'

# Each step is a bash command that must succeed, in a machine with the packages in /root/packages.
STEPS = [
    ('the compiler comes', 'apt-get -q update && apt-get -q install -y --no-install-recommends gcc libc6-dev pkg-config'),
    ('files before', "find / -xdev | grep -Ev '%s' | sort >/root/before; dpkg-query -W | sort >/root/packages-before" % OURS),
    ('install', 'apt-get -q install -y --no-install-recommends /root/packages/*.deb'),
    ('the packages\' own test', 'cd /root/hakmem && AUTOPKGTEST_TMP=/tmp sh debian/tests/uses'),
    ('what there should be', 'ls /usr/share/man/man*/hakmem* /usr/share/bash-completion/completions/hakmem && '
                             'test "$(hakmem --version)" = "hakmem $(pkg-config --modversion hakmem)"'),
    ('other programs are as they were', '! grep -q libhakmem /proc/self/maps && ! ldd /bin/ls | grep hakmem'),
    ('remove', 'apt-get -q remove -y hakmem && ! type -P hakmem && ldd /tmp/uses | grep hakmem && /tmp/uses'),
    ('what is linked stays with its library', 'apt-get -q remove -y libhakmem-dev && ! pkg-config --exists hakmem && /tmp/uses'),
    ('purge', 'dpkg --purge hakmem libhakmem-dev libhakmem0 && ! ls /usr/lib/*/libhakmem* 2>/dev/null'),
    ('nothing is left', "find / -xdev | grep -Ev '%s' | sort >/root/after; diff /root/before /root/after && "
                        "dpkg-query -W | sort | diff /root/packages-before -" % OURS),
    ('reinstall', 'apt-get -q install -y --no-install-recommends /root/packages/*.deb && hakmem run -- true'),
]


def build():
    """The packages, and what lintian says of them."""
    if subprocess.run([os.path.join(ROOT, 'hakmem'), 'package', 'deb'], check=False).returncode != 0:
        return 'they do not build'
    if not shutil.which('lintian'):
        print('deb: lintian is not installed: not looked at')
        return None
    done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning',
                           *glob.glob(os.path.join(PACKAGES, '*.changes'))],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, end='')
    return 'lintian says errors or warnings' if done.returncode != 0 else None


def use():
    """The first step that failed, or None."""
    with bare.Machine() as machine:
        machine.put_checkout(ROOT)
        folder = os.path.join(machine.root, 'root', 'packages')
        os.mkdir(folder)
        for path in glob.glob(os.path.join(PACKAGES, '*.deb')):
            if 'dbgsym' not in path:
                shutil.copy(path, folder)
        for name, command in STEPS:
            status, said = machine.run(command)
            if status != 0:
                return '%s\n%s: ended with %d' % (said[-3000:], name, status)
            print('passed: ' + name, flush=True)
    return None


def main():
    if not shutil.which('dpkg-buildpackage'):
        print('deb: skipped: dpkg-buildpackage is not installed')
        return 77
    fault = build()
    with open('/etc/os-release', encoding='utf-8') as file:
        here = 'VERSION_CODENAME=bookworm' in file.read()
    if not here:
        print('deb: packages of another system than Debian 12 are not tried on it')
    elif not fault and sys.argv[2:] != ['build']:
        fault = use()
    print('deb: FAILED: ' + fault if fault else 'deb: all passed')
    return 1 if fault else 0


if __name__ == '__main__':
    sys.exit(main())
