# SPDX-License-Identifier: MIT
"""A bare Debian 12 in a folder, entered by chroot: for tests of what somebody meets who has just installed Debian.

The base is made once by debootstrap (/var/tmp/hakmem-bare-debian, or BARE_DEBIAN) and copied for each machine. A machine
has its own mounts and process ids, so that nothing of it outlives the test, even one that is killed. Needs root, debootstrap
and a mirror; where one is missing the test ends with 77 and says which.
"""
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile

BASE = os.environ.get('BARE_DEBIAN', '/var/tmp/hakmem-bare-debian')
MIRROR = 'http://deb.debian.org/debian'
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# Makes the mounts, for the shell's own view of the machine only, and becomes what is asked for inside.
ENTER = '''
cd "$1" && mount --rbind /dev dev && mount -t proc proc proc && mount -t sysfs sys sys || exit 77
shift
exec chroot . env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=%s DEBIAN_FRONTEND=noninteractive bash -c "$1"
''' % PATH


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def copy_apt_settings(root):
    """How this machine reaches its mirror is part of the machine; what else it installs from is not."""
    lists = [path for path in ['/etc/apt/sources.list', *glob.glob('/etc/apt/sources.list.d/*')]
             if os.path.isfile(path) and path.endswith(('.list', '.sources'))]
    ours = [path for path in lists if 'bookworm' in read(path) and '/debian' in read(path)]
    if ours:
        for path in ['/etc/apt/sources.list', *glob.glob('/etc/apt/sources.list.d/*')]:
            if os.path.exists(root + path):
                os.unlink(root + path)
        for path in ours:
            shutil.copy(path, root + path)
    for folder in ('/etc/apt/apt.conf.d', '/etc/apt/keyrings', '/usr/share/keyrings', '/etc/ssl/certs',
                   '/usr/local/share/ca-certificates'):
        if os.path.isdir(folder):
            os.makedirs(root + folder, exist_ok=True)
            subprocess.run(['cp', '-aL', folder + '/.', root + folder], stderr=subprocess.DEVNULL, check=False)


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def mirror():
    """The first one that this machine's own lists name for Debian 12, or Debian's."""
    for path in ['/etc/apt/sources.list', *glob.glob('/etc/apt/sources.list.d/*.sources')]:
        text = read(path) if os.path.isfile(path) else ''
        for word in text.split() if 'bookworm' in text else ():
            if word.startswith(('http://', 'https://')) and word.rstrip('/').endswith('/debian'):
                return word
    return MIRROR


def make_base():
    if os.path.lexists(BASE) and os.lstat(BASE).st_uid != 0:  # what is in it will be run as root
        skip('%s is somebody else\'s' % BASE)
    if os.path.exists(BASE + '/.ready'):
        return
    if os.path.exists(BASE):
        shutil.rmtree(BASE)
    log = BASE + '.log'
    with open(log, 'w', encoding='utf-8') as file:
        done = subprocess.run(['debootstrap', '--variant=minbase', 'bookworm', BASE, mirror()], stdout=file,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        skip('debootstrap cannot make a Debian 12; see ' + log)
    copy_apt_settings(BASE)
    with open(BASE + '/.ready', 'w', encoding='ascii'):
        pass


def demand():
    """Ends the test where there can be no such machine."""
    if os.geteuid() != 0:
        skip('a bare Debian in a chroot needs root')
    for tool in ('debootstrap', 'chroot', 'unshare', 'mount'):
        if not shutil.which(tool, path=os.environ.get('PATH', '') + ':' + PATH):
            skip('%s is not installed' % tool)
    make_base()


class Machine:
    """`with Machine() as machine:`; the folder goes away at the end, but for `keep`."""

    def __init__(self, keep=False):
        self.keep = keep

    def __enter__(self):
        demand()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder goes away then, too
        self.root = tempfile.mkdtemp(prefix='hakmem-bare-', dir=os.path.dirname(BASE))
        subprocess.run(['cp', '-a', '--reflink=auto', BASE + '/.', self.root], check=True)
        for path in ('/etc/resolv.conf', '/etc/hosts'):
            if os.path.exists(path):
                shutil.copy(path, self.root + path)
        return self

    def __exit__(self, *_):
        if self.keep:
            print('kept: ' + self.root)
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    def put_checkout(self, checkout, to='/root/hakmem'):
        """What git knows of a checkout, as it is now, in a repository of its own."""
        names = subprocess.run(['git', 'ls-files', '-z'], cwd=checkout, check=True, stdout=subprocess.PIPE).stdout
        os.makedirs(self.root + to)
        with subprocess.Popen(['tar', '-c', '--null', '--ignore-failed-read', '-T', '-'], cwd=checkout,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tar:
            with subprocess.Popen(['tar', '-x', '--no-same-owner', '-C', self.root + to], stdin=tar.stdout) as untar:
                tar.stdin.write(names)
                tar.stdin.close()
                untar.wait()

    def run(self, command, log=None):
        """The status of a bash command inside, and what it printed; with `log`, an open file, that goes there."""
        done = subprocess.run(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', 'bash',
                               '-c', ENTER, 'bare', self.root, command], stdin=subprocess.DEVNULL,
                              stdout=log or subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
        return done.returncode, done.stdout or ''
