#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that the kernel marks AT_SECURE read no option: a set-uid copy, a set-gid copy and one with a file capability.

usage: secure.py PROGRAM
PROGRAM (secure_subject) prints AT_SECURE and PURGE_DELAY_MS. Only root can make such copies; others skip.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

NOBODY = 65534
SKIP = 77


def run(program, folder, **how):
    """What PROGRAM prints, with variables that would all leave a trace."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(HAKMEM_PURGE_DELAY_MS='7', HAKMEM_OPTIONS='help', HAKMEM_MIN_KEEP='wrong', HAKMEM_NO_SUCH='1',
               HAKMEM_STATS='json:%s/%%p.json' % folder)
    done = subprocess.run([program], env=env, capture_output=True, timeout=60, **how)
    assert done.returncode == 0, done
    secure, value = done.stdout.split()
    return secure == b'1', int(value), done.stderr, [name for name in os.listdir(folder) if name.endswith('.json')]


def copies(program, folder):
    """(name, path, how to run it) of each copy; run by somebody who is not its owner."""
    for name in ('set-uid', 'set-gid', 'capability'):
        path = os.path.join(folder, name)
        shutil.copy(program, path)
        os.chown(path, 0, 0)
        os.chmod(path, {'set-uid': 0o4755, 'set-gid': 0o2755, 'capability': 0o755}[name])
        if name == 'capability': # version 2, effective: CAP_NET_BIND_SERVICE
            try:
                os.setxattr(path, 'security.capability', struct.pack('<5I', 0x02000001, 1 << 10, 0, 0, 0))
            except OSError as error:
                print('no capability in the file: %s' % error)
                continue
        yield name, path, {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}


def main():
    program = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0:
        print('only root can make set-uid copies')
        return SKIP
    tested = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        for name, path, how in copies(program, folder):
            secure, value, err, files = run(path, folder, **how)
            if not secure:
                print('%s: the kernel does not mark it here (nosuid, or no capabilities)' % name)
                continue
            assert value == 500 and err == b'' and not files, (name, value, err, files)
            tested += 1
        # The same variables, read by a program that is not marked.
        secure, value, err, files = run(program, folder)
        assert not secure and value == 7 and b'HAKMEM_NO_SUCH' in err, (value, err)
        assert files or b'stats=disabled' in err, err
    print('%d copies' % tested)
    return 0 if tested else SKIP


if __name__ == '__main__':
    sys.exit(main())
