#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: chromium
# targets: libhakmem.so.0
"""Looks at the pages that are drawn from outside a process, a timeline and a heap at its peak, and at profiles, which draw
themselves, one that a process wrote and one of some seconds of a process that runs, through headless Chromium.

usage: live-pages.py BUILD [FOLDER]    (./hakmem test live-pages)

In light and in dark the screenshots must have the page's background, and enough of the colours of what is drawn. In 360
pixels nothing may be wider than the window, but for tables, which scroll by themselves. The screenshots stay in FOLDER, or
BUILD/pictures, to be looked at.
"""
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
LIVE = os.path.join(HERE, '..', '..', 'tools', 'live', 'live.py')
SPEC = importlib.util.spec_from_file_location('pictures', os.path.join(HERE, 'pictures.py'))
pictures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pictures)

SUBJECT = """
import random, time
random.seed(3)
x = []
for step in range(60):
    x += [bytes(random.choice([30, 60, 200, 700, 1500, 5000])) for _ in range(3000)]
    if step == 20:
        big = [bytearray(200000) for _ in range(100)]
    if step == 35:
        big, x = None, x[::3]
    time.sleep(0.02)
z = bytearray(60 << 20)
time.sleep(0.3)
"""

FRAME = """<!DOCTYPE html><html><body style="margin:0;background:#777777">
<iframe src="file://%s" style="width:360px;height:%dpx;border:0" onload="
let page = this.contentDocument.documentElement; let wide = [];
for (const e of page.querySelectorAll('body *'))
    if (!e.closest('.scroll') && e.getBoundingClientRect().right > 361) wide.push(e.tagName + '.' + e.className);
document.title = 'width ' + page.scrollWidth + ' ' + wide.slice(0, 5).join(' ')"></iframe></body></html>"""


def make_page(kind, library, path):
    env = {**{k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}, 'PYTHONMALLOC': 'malloc'}
    subprocess.run([sys.executable, '-I', '-S', LIVE, 'run', kind, path, library, '0', sys.executable, '-c', SUBJECT],
                   env=env, check=True)
    until = time.monotonic() + pictures.LIMIT
    while True:
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                text = file.read()
            if kind == 'peak' or 'it ended after' in text:
                return text
        assert time.monotonic() < until, 'no page'
        time.sleep(0.05)


def make_profile(library, path):
    env = {**{k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}, 'PYTHONMALLOC': 'malloc',
           'LD_PRELOAD': library, 'HAKMEM_PROFILE': path + ',64K'}
    subprocess.run([sys.executable, '-c', 'import json; x = [json.loads(json.dumps(list(range(9000)))) for _ in range(30)]'],
                   env=env, check=True)


def make_profile_of_seconds(library, path):
    env = {**{k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}, 'PYTHONMALLOC': 'malloc',
           'LD_PRELOAD': library, 'HAKMEM_PROFILE': path + '.own.html,64K'}
    with subprocess.Popen([sys.executable, '-c', 'import json, time; x = []\nprint("ready", flush=True)\nwhile True:\n'
                           '    x.append(json.loads(json.dumps(list(range(9000)))))\n    time.sleep(0.01)'],
                          env=env, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            time.sleep(1)
            subprocess.run([sys.executable, '-I', '-S', LIVE, 'profile', '--seconds', '2', '-o', path, str(process.pid)],
                           check=True, stdout=subprocess.DEVNULL)
        finally:
            process.kill()
    with open(path, encoding='utf-8') as file:
        text = file.read()
    pressed = path.replace('.html', '-grown.html') # as after its button was pressed
    with open(pressed, 'w', encoding='utf-8') as file:
        file.write(text.replace('</script></body>', '$("grown").click();</script></body>'))
    return pressed


def check_drawn(png, dark):
    """The background is what the reader's system wants, and a tenth at least is something else."""
    width, height, rows, step = pictures.decode(png)
    ground = bytes(rows[0][:3])
    assert (sum(ground) < 180) == dark, ground
    others = sum(bytes(row[x:x + 3]) != ground for row in rows[::4] for x in range(0, width * step, 4 * step))
    assert others >= width * height // 160, others


def check_colours(page, png, size, dark, least):
    covered = pictures.coverage(page, png, size, dark)
    for name, pixels in least.items():
        assert covered[name] >= pixels, (name, covered)


def check_narrow(chromium, path, png, height):
    frame = os.path.join(os.path.dirname(path), 'narrow-frame.html')
    with open(frame, 'w', encoding='ascii') as file:
        file.write(FRAME % (path, height))
    pictures.shoot(chromium, frame, png, (400, height), False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        text = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files',
                               '--user-data-dir=' + home, '--virtual-time-budget=5000', '--dump-dom', 'file://' + frame],
                              env={**os.environ, 'HOME': home}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=pictures.LIMIT, check=True).stdout.decode(errors='replace')
    os.unlink(frame)
    said = re.search(r'<title>width (\d+) (.*?)</title>', text)
    assert said, text[:500]
    assert int(said.group(1)) <= 360 and not said.group(2).strip(), said.group(0)


def main():
    build, folder, chromium = pictures.prepare()
    passed = 0
    for kind, least in (('timeline', {'p0': 20000, 'p2': 5000, 'mark': 100, 'card': 5000}),
                        ('peak', {'p0': 5000, 'p1': 100, 'p2': 100, 'p4': 100, 'card': 5000})):
        path = os.path.join(folder, kind + '.html')
        if os.path.exists(path):
            os.unlink(path)
        page = make_page(kind, os.path.join(build, 'libhakmem.so'), path)
        for name, size, dark in (('light', (1300, 1500), False), ('dark', (1300, 1500), True)):
            png = os.path.join(folder, '%s-%s.png' % (kind, name))
            pictures.shoot(chromium, path, png, size, dark)
            check_colours(page, png, size, dark, least)
            print('passed: %s' % png, flush=True)
        check_narrow(chromium, path, os.path.join(folder, kind + '-narrow.png'), 3000)
        print('passed: %s-narrow.png' % os.path.join(folder, kind), flush=True)
        passed += 3
    path, seconds = (os.path.join(folder, 'profile%s.html' % what) for what in ('', '-seconds'))
    make_profile(os.path.join(build, 'libhakmem.so'), path)
    for each in (path, seconds, make_profile_of_seconds(os.path.join(build, 'libhakmem.so'), seconds)):
        for name, dark in (('light', False), ('dark', True)):
            png = each.replace('.html', '-%s.png' % name)
            pictures.shoot(chromium, each, png, (1300, 1200), dark)
            check_drawn(png, dark)
            print('passed: %s' % png, flush=True)
        check_narrow(chromium, each, each.replace('.html', '-narrow.png'), 3000)
        print('passed: %s' % each.replace('.html', '-narrow.png'), flush=True)
        passed += 3
    print('%d passed, 0 failed, 0 skipped' % passed)
    return 0


if __name__ == '__main__':
    sys.exit(main())
