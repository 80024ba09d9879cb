#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HAKMEM_HEAP_PICTURE and HAKMEM_HEAP_PICTURE_SIGNAL, the pages read with an XML parser.

usage: picture_report.py LIBHAKMEM PROGRAM
PROGRAM (stats_subject) keeps 40 MiB of blocks when it ends.
"""
import ctypes
import errno
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

LIMIT = 60  # seconds that anything may take
PITCH, WIDTH = 21, 18


def environment(library, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options, LD_PRELOAD=library)
    return env


def run(library, command, **options):
    done = subprocess.run(command, env=environment(library, **options), capture_output=True, timeout=LIMIT)
    assert done.returncode == 0, done
    return done


def plain(tag):
    return tag.rpartition('}')[2]


def read(path):
    """The page's tree; it must be well-formed, hold nothing from elsewhere, and its rows must be whole."""
    with open(path, encoding='ascii') as file:
        text = file.read()
    root = ElementTree.fromstring(text)
    for word in ('<script', 'http://', 'https://', 'src=', '@import'):
        assert word not in text.replace('http://www.w3.org/1999/xhtml', ''), word
    assert not re.search(r'url\((?!#)', text)
    assert all(plain(e.tag) not in ('script', 'link', 'img', 'iframe', 'object') for e in root.iter())
    rows = 0
    for svg in root.iter():
        if plain(svg.tag) == 'svg' and svg.get('viewBox') == '0 0 %d 20' % (32 * PITCH - 1):
            rows += 1
            at = 0
            for cell in svg:
                if plain(cell.tag) == 'rect':
                    assert int(cell.get('x')) == at * PITCH + 1, (at, cell.attrib)
                    at += (int(cell.get('width')) - WIDTH) // PITCH + 1
            assert at == 32, 'a row of %d slabs' % at
    count = [int(e.get('data-count')) for e in root.iter() if e.get('id') == 'superslabs']
    assert count == [rows] and rows > 0, (count, rows)
    # Every class that a drawing uses is in the style sheet, and has an entry in the legend.
    style = next(e for e in root.iter() if plain(e.tag) == 'style').text
    used = {word for e in root.iter() if plain(e.tag) in ('rect', 'path') for word in e.get('class', '').split()}
    assert all('.%s{' % word in style for word in used - {'h'}), (used, style)
    legend = {word for ul in root.iter() if ul.get('id') in ('groups', 'states') for e in ul.iter()
              for word in e.get('class', '').split()}
    assert used - {'ss', 'run'} <= legend, used - legend
    return root


def text_of(root):
    return ' '.join(''.join(root.itertext()).split())


def total(root, name):
    return next(int(e.get('data-bytes')) for e in root.iter() if e.get('id') == name)


def at_exit(library, program, folder):
    done = run(library, [program], HAKMEM_HEAP_PICTURE=folder + '/e-%p-%n.html')
    pid = done.stdout.decode().strip()
    assert done.stderr == b'', done.stderr
    assert os.listdir(folder) == ['e-%s-1.html' % pid], os.listdir(folder)
    root = read('%s/e-%s-1.html' % (folder, pid))
    assert total(root, 'live_bytes') >= 40 << 20
    assert 'process ' + pid in text_of(root) and 'at its end' in text_of(root), text_of(root)[:300]
    assert 'Heap of ' + os.path.basename(program)[:15] in text_of(root)


def nothing_unasked(library, program, folder):
    for options in ({}, {'HAKMEM_HEAP_PICTURE': ''}):
        done = subprocess.run([program], env=environment(library, **options), capture_output=True, cwd=folder)
        assert (done.returncode, done.stderr) == (0, b''), done
        assert os.listdir(folder) == [], os.listdir(folder)


def refused_files(library, program, folder):
    for path in ('/no/such/folder/x.html', '/dev/full', folder):
        done = run(library, [program], HAKMEM_HEAP_PICTURE=path)
        assert done.stderr.count(b'\n') == 1 and b'HAKMEM_HEAP_PICTURE' in done.stderr, done.stderr
    done = run(library, [program], HAKMEM_HEAP_PICTURE=folder + '/' + 'x' * 300)
    assert len(done.stderr) < 1000, done.stderr


def odd_names(library, program, folder):
    """The page stays well-formed whatever the program is called."""
    odd = os.path.join(folder, 'a<b>&"é')
    os.symlink(program, odd)
    run(library, [odd], HAKMEM_HEAP_PICTURE=folder + '/odd.html')
    assert 'Heap of a?b' in text_of(read(folder + '/odd.html'))


def wait_for(path, word):
    """The page at `path` once it is whole and says `word`."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        if os.path.exists(path):
            with open(path, encoding='ascii') as file:
                text = file.read()
            if text.endswith('</html>\n') and word in text:
                return read(path)
        time.sleep(0.02)
    raise AssertionError('no picture in %s: %s' % (path, os.listdir(os.path.dirname(path))))


def caught(pid, number):
    """Whether the process has a handler for the signal."""
    with open('/proc/%d/status' % pid) as status:
        return bool(int(re.search(r'SigCgt:\s*(\w+)', status.read()).group(1), 16) >> (number - 1) & 1)


def start(library, command, **options):
    """A process that waits for its input, after the library's constructor has run."""
    process = subprocess.Popen(command, env=environment(library, **options), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b'ready\n')
    process.stdin.flush()
    assert process.stdout.readline() == b'ready\n'
    return process


def finish(process):
    out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err) == (0, b''), (process.returncode, err)
    return out


def by_signal(library, folder):
    """A program asleep in read() is drawn, twice, goes on reading, and is drawn again when it ends."""
    process = start(library, ['cat'], HAKMEM_HEAP_PICTURE=folder + '/s-%n.html', HAKMEM_HEAP_PICTURE_SIGNAL='10')
    for n in (1, 2):
        os.kill(process.pid, signal.SIGUSR1)
        wait_for('%s/s-%d.html' % (folder, n), 'when a signal asked')
    process.stdin.write(b'more\n')
    assert finish(process) == b'more\n'
    assert 'at its end' in text_of(read(folder + '/s-3.html'))


def off_unless_chosen(library, folder):
    process = start(library, ['cat'], HAKMEM_HEAP_PICTURE=folder + '/off.html')
    assert not any(caught(process.pid, n) for n in range(1, 65))
    assert os.listdir('/proc/%d/task' % process.pid) == [str(process.pid)]
    finish(process)


def wrong_signals(library, program, folder):
    for number in ('9', '32', '65', '-1', 'USR1'):
        done = run(library, [program], HAKMEM_HEAP_PICTURE=folder + '/w.html', HAKMEM_HEAP_PICTURE_SIGNAL=number)
        assert done.stderr.count(b'\n') == 1 and b'HEAP_PICTURE_SIGNAL' in done.stderr, (number, done.stderr)
        read(folder + '/w.html')
    done = run(library, [program], HAKMEM_HEAP_PICTURE_SIGNAL='10')
    assert done.stderr.count(b'\n') == 1 and b'HAKMEM_HEAP_PICTURE ' in done.stderr, done.stderr


def refuse_threads():
    """Between fork and exec: clone and clone3 (of x86-64) fail with EAGAIN from now on."""
    def step(code, jt, jf, k):
        return struct.pack('HBBI', code, jt, jf, k)
    code = ctypes.create_string_buffer(b''.join([
        step(0x20, 0, 0, 0), step(0x15, 1, 0, 56), step(0x15, 0, 1, 435),
        step(0x06, 0, 0, 0x00050000 | errno.EAGAIN), step(0x06, 0, 0, 0x7fff0000)]))
    program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 5, ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
        os._exit(77)


def without_threads(library, program, folder):
    """Where no helper thread can be made, the signal is left alone and the rest works."""
    done = subprocess.run([program], capture_output=True, timeout=LIMIT, preexec_fn=refuse_threads,
                          env=environment(library, HAKMEM_HEAP_PICTURE=folder + '/t.html',
                                          HAKMEM_HEAP_PICTURE_SIGNAL='10'))
    if done.returncode == 77 or os.uname().machine != 'x86_64':
        return
    assert done.returncode == 0, done
    assert b'no thread can be made' in done.stderr and done.stderr.count(b'\n') == 1, done.stderr
    read(folder + '/t.html')


FORKS = """
import os, sys
child = os.fork()
if child == 0:
    os.write(1, b'%d\\n' % os.getpid())
    os.read(0, 1)
    sys.exit(0)
os.waitpid(child, 0)
"""


def after_fork(library, folder):
    """The child, which has none of its parent's threads, answers the signal too, and both draw at their end."""
    process = subprocess.Popen([sys.executable, '-c', FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE,
                               env=environment(library, HAKMEM_HEAP_PICTURE=folder + '/f-%p.html',
                                               HAKMEM_HEAP_PICTURE_SIGNAL='12'))
    child = int(process.stdout.readline())
    os.kill(child, signal.SIGUSR2)
    wait_for('%s/f-%d.html' % (folder, child), 'when a signal asked')
    process.stdin.write(b'\n')
    finish(process)
    for pid in (child, process.pid):
        assert 'at its end' in text_of(read('%s/f-%d.html' % (folder, pid)))


def main():
    library, program = map(os.path.abspath, sys.argv[1:3])
    steps = [(nothing_unasked, True), (at_exit, True), (refused_files, True), (odd_names, True), (by_signal, False),
             (off_unless_chosen, False), (wrong_signals, True), (without_threads, True), (after_fork, False)]
    for step, with_program in steps:
        with tempfile.TemporaryDirectory() as folder:
            step(library, *([program] if with_program else []), folder)
        print(step.__name__, flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
