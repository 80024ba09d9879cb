#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python module in an interpreter on hakmem, and in one that is not.

usage: test_hakmem.py LIBHAKMEM.SO
"""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = None


def run(code, **environment):
    """A program in an interpreter of its own, with the module at hand."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith('HAKMEM_') and name not in ('LD_PRELOAD', 'PYTHONMALLOC')}
    env.update(environment, PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE='1')
    done = subprocess.run([sys.executable, '-c', 'import hakmem\n' + code], env=env, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def on_hakmem(code, **environment):
    return run(code, LD_PRELOAD=LIBRARY, PYTHONMALLOC='malloc', **environment)


class WithoutHakmem(unittest.TestCase):
    def test_every_call_says_so(self):
        done = run('''
assert not hakmem.loaded()
calls = [hakmem.version, hakmem.stats, hakmem.classes, hakmem.print_stats, hakmem.trim, hakmem.profile_start,
         hakmem.profile_stop, lambda: hakmem.picture('/nonexistent/x'), lambda: hakmem.profile_write('/tmp/x.html'),
         lambda: hakmem.option('STATS'), lambda: hakmem.set_option('STATS', 1), lambda: hakmem.usable_size(0)]
for call in calls:
    try:
        call()
    except hakmem.NotLoaded as error:
        assert 'LD_PRELOAD' in str(error)
    else:
        raise SystemExit('%r went through' % call)
''')
        self.assertEqual(done.stderr, '')


class OnHakmem(unittest.TestCase):
    def test_statistics(self):
        done = on_hakmem('''
import re
assert hakmem.loaded() and re.match(r'\\d+\\.\\d+\\.\\d+$', hakmem.version())
before = hakmem.stats()
keep = [bytes(1000) for _ in range(10000)]
after = hakmem.stats()
assert after['live_bytes'] - before['live_bytes'] >= 10000 * 1000, (before['live_bytes'], after['live_bytes'])
assert len(hakmem.classes()) > 10 and all('block_bytes' in one for one in hakmem.classes())
hakmem.print_stats()
''')
        self.assertIn('The program has', done.stderr)

    def test_trim(self):
        on_hakmem('''
keep = [bytes(1000) for _ in range(50000)]
del keep
assert hakmem.trim() is True
assert hakmem.stats()['resident_bytes'] < 50 << 20
''')

    def test_picture_and_profile(self):
        with tempfile.TemporaryDirectory() as folder:
            on_hakmem('''
import os
folder = os.environ['FOLDER']
hakmem.picture(folder + '/heap.html')
with hakmem.profile(folder + '/profile.folded', interval=1):
    keep = [bytes(5000) for _ in range(100)]
hakmem.profile_write(folder + '/profile.html')
for wrong in ('/nonexistent/heap.html', folder):
    try:
        hakmem.picture(wrong)
    except OSError as error:
        assert error.filename == wrong
    else:
        raise SystemExit('wrote ' + wrong)
try:
    hakmem.profile_write(folder + '/profile.unknown')
except OSError as error:
    assert error.errno == 22
else:
    raise SystemExit('wrote an unknown kind')
''', FOLDER=folder)
            for name, begin in (('heap.html', '<!'), ('profile.html', '<!')):
                with open(os.path.join(folder, name), encoding='utf-8') as file:
                    self.assertTrue(file.read(2).startswith(begin), name)
            with open(os.path.join(folder, 'profile.folded'), encoding='utf-8') as file:
                self.assertGreater(sum(int(line.rsplit(' ', 1)[1]) for line in file), 100 * 5000)

    def test_options(self):
        on_hakmem('''
assert hakmem.option('PURGE_DELAY_MS') == hakmem.option('HAKMEM_PURGE_DELAY_MS') == 500
hakmem.set_option('PURGE_DELAY_MS', 100)
assert hakmem.option('PURGE_DELAY_MS') == 100
for name, value, kind in (('NO_SUCH_OPTION', 1, KeyError), ('PURGE_DELAY_MS', -5, ValueError)):
    try:
        hakmem.set_option(name, value)
    except kind:
        pass
    else:
        raise SystemExit('set ' + name)
try:
    hakmem.option('NO_SUCH_OPTION')
except KeyError:
    pass
else:
    raise SystemExit('read an unknown option')
''')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    LIBRARY = os.path.abspath(sys.argv.pop())
    unittest.main()
