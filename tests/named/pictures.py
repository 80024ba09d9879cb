#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: chromium
# targets: libhakmem.so.0
"""Looks at the picture of a real program's heap through headless Chromium, in light and in dark.

usage: pictures.py BUILD [FOLDER]    (./hakmem test pictures)

Python fills and thins out its heap, is asked for the picture by a signal, and the page is drawn. The screenshots must
have the size that was asked for, the page's background, and of every colour and pattern of the legend as much as its
sample covers at least; wide and narrow pages too. They stay in FOLDER, or BUILD/pictures, to be looked at.
"""
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

LIMIT = 240  # seconds that anything may take

SUBJECT = """
import json, random, sys, threading
random.seed(7)
sizes = [16, 40, 90, 120, 180, 230, 350, 480, 700, 1000, 2000, 6000, 20000]
blocks = [bytes(random.choices(sizes, range(26, 0, -2))[0]) for _ in range(120000)]
for i in range(40000, 80000):
    if random.random() < .3 + i / 160000:
        blocks[i] = None
left = []
def work():
    mine = [bytes(random.choice(sizes)) for _ in range(6000)]
    left.extend(mine[::3])
threads = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in threads], [t.join() for t in threads]
large = [bytearray(random.choice([50000, 200000, 1500000])) for _ in range(60)][::2]
huge = bytearray(40 << 20)
text = json.dumps([{'name': 'x' * (i % 60), 'values': list(range(i % 30))} for i in range(20000)])
parsed = json.loads(text)
print('ready', flush=True)
sys.stdin.read()
"""


def make_page(library, path):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(LD_PRELOAD=library, PYTHONMALLOC='malloc', HAKMEM_HEAP_PICTURE=path, HAKMEM_HEAP_PICTURE_SIGNAL='10')
    process = subprocess.Popen([sys.executable, '-c', SUBJECT], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b'ready\n'
        os.kill(process.pid, signal.SIGUSR1)
        until = time.monotonic() + LIMIT
        text = ''
        while not text.endswith('</html>\n'):
            assert time.monotonic() < until, 'no picture'
            time.sleep(0.05)
            if os.path.exists(path):
                with open(path, encoding='ascii') as file:
                    text = file.read()
    finally:
        process.kill()  # before it draws its end over this
        process.communicate()
    return text


def shoot(chromium, page, png, size, dark):
    """A screenshot of the page; Chromium with a profile of its own, without a network or a word to anybody."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking',
                   '--disable-component-update', '--disable-sync', '--no-first-run', '--hide-scrollbars',
                   '--force-device-scale-factor=1', '--force-color-profile=srgb', '--user-data-dir=' + home,
                   '--window-size=%d,%d' % size, '--screenshot=' + png, 'file://' + page]
        if dark:
            command.insert(1, '--blink-settings=preferredColorScheme=0')
        process = subprocess.Popen(command, env={**os.environ, 'HOME': home}, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            said = process.communicate(timeout=LIMIT)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0 and os.path.exists(png), said.decode(errors='replace')[-2000:]


def decode(path):
    """(width, height, rows of RGB or RGBA bytes, bytes of a pixel) of a PNG that is not interlaced, 8 bits deep."""
    with open(path, 'rb') as file:
        data = file.read()
    assert data[:8] == b'\x89PNG\r\n\x1a\n'
    at, packed = 8, b''
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b'IHDR':
            width, height, depth, colour, _, _, interlaced = struct.unpack('>IIBBBBB', body)
            assert depth == 8 and colour in (2, 6) and not interlaced
        elif kind == b'IDAT':
            packed += body
        at += length + 12
    raw, step = zlib.decompress(packed), 3 if colour == 2 else 4
    rows, before, line = [], bytearray(width * step), width * step + 1
    for y in range(height):
        method, row = raw[y * line], bytearray(raw[y * line + 1:(y + 1) * line])
        for i in range(len(row)) if method else ():
            a = row[i - step] if i >= step else 0
            b = before[i]
            c = before[i - step] if i >= step else 0
            if method == 4:
                p = a + b - c
                near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                near = (a, b, (a + b) // 2)[method - 1]
            row[i] = (row[i] + near) & 255
        rows.append(row)
        before = row
    return width, height, rows, step


def colours(page, dark):
    """name -> (r, g, b) of the variables in the page's style."""
    light, night = re.search(r':root\{(.*?)\}\n@media[^{]*\{:root\{(.*?)\}\}', page, re.DOTALL).groups()
    return {name: tuple(bytes.fromhex(value)) for name, value in
            re.findall(r'--(\w+):#([0-9a-f]{6})', night if dark else light)}


def coverage(page, png, size, dark):
    """name -> pixels of that colour of the page's style; the screenshot has the size and, in two corners, the background."""
    width, height, rows, step = decode(png)
    assert (width, height) == size, (width, height)
    count = {}
    for row in rows:
        for i in range(0, len(row), step):
            pixel = bytes(row[i:i + 3])
            count[pixel] = count.get(pixel, 0) + 1
    named = colours(page, dark)
    assert tuple(rows[1][:3]) == named['bg'] and tuple(rows[-2][-step:][:3]) == named['bg'], 'not the background'
    return {name: count.get(bytes(value), 0) for name, value in named.items()}


def check(page, png, size, dark):
    covered = coverage(page, png, size, dark)
    assert covered['bg'] < 0.9 * size[0] * size[1], 'hardly anything is drawn'
    # A sample of the legend is 18 x 18; a row of this heap has many cells more.
    for name in ['g%d' % i for i in range(9)]:
        assert covered[name] >= 280, (name, covered)
    for name in ('faint', 'grey', 'card', 'ss', 'run'):
        assert covered[name] >= 40, (name, covered)
    assert covered['g8'] > 2000 and covered['g0'] > 2000 and covered['ss'] > 2000, covered


def prepare():
    """(the build, the folder for screenshots, Chromium), of the arguments; ends the test where there is no Chromium."""
    build = os.path.abspath(sys.argv[1])
    folder = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(build, 'pictures')
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    if not chromium:
        print('skipped: chromium is not installed')
        sys.exit(77)
    os.makedirs(folder, exist_ok=True)
    return build, folder, chromium


def main():
    build, folder, chromium = prepare()
    path = os.path.join(folder, 'heap.html')
    page = make_page(os.path.join(build, 'libhakmem.so'), path)
    for name, size, dark in (('light', (1400, 1700), False), ('dark', (1400, 1700), True),
                             ('narrow', (700, 3000), False), ('wide', (2200, 1700), True)):
        png = os.path.join(folder, name + '.png')
        shoot(chromium, path, png, size, dark)
        check(page, png, size, dark)
        print('passed: %s' % png, flush=True)
    print('4 passed, 0 failed, 0 skipped')
    return 0


if __name__ == '__main__':
    sys.exit(main())
