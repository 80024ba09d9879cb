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


def build(folder, name, source):
    """A shared library of C source."""
    path = os.path.join(folder, name)
    subprocess.run([os.environ.get('CC', 'cc'), '-shared', '-fPIC', '-x', 'c', '-', '-o', path], input=source, text=True,
                   check=True)
    return path


class OnOtherLibraries(unittest.TestCase):
    def test_a_library_that_is_not_hakmem(self):
        with tempfile.TemporaryDirectory() as folder:
            only_version = build(folder, 'one.so', 'const char *hak_version(void) { return "0.1.0"; }')
            no_text = build(folder, 'two.so', 'const char *hak_version(void) { return 0; } int hak_stats_json(int f) { return f; }')
            other = build(folder, 'three.so', '''const char *hak_version(void) { return "other allocator"; }
int hak_stats_json(int f) { return f; }''')
            for library in (only_version, no_text, other):
                run('''
assert not hakmem.loaded()
for call in (hakmem.version, hakmem.stats, hakmem.trim):
    try:
        call()
    except hakmem.TooOld:
        raise SystemExit('it is no hakmem')
    except hakmem.NotLoaded:
        pass
''', LD_PRELOAD=library)

    def test_an_older_hakmem(self):
        with tempfile.TemporaryDirectory() as folder:
            older = build(folder, 'older.so', '''#include <unistd.h>
const char *hak_version(void) { return "0.0.9"; }
int hak_stats_json(int f) { return write(f, "{\\"live_bytes\\": 7}", 17) != 17; }''')
            run('''
assert hakmem.loaded() and hakmem.version() == '0.0.9' and hakmem.stats() == {'live_bytes': 7}
for call in (hakmem.trim, hakmem.profile_start, lambda: hakmem.option('STATS')):
    try:
        call()
    except hakmem.TooOld as error:
        assert '0.0.9' in str(error) and 'hak_' in str(error) and isinstance(error, hakmem.NotLoaded)
    else:
        raise SystemExit('%r went through' % call)
''', LD_PRELOAD=older)


class OnHakmem(unittest.TestCase):
    def test_wrong_values(self):
        on_hakmem('''
def refuses(kind, call, *arguments):
    try:
        call(*arguments)
    except kind:
        return
    raise SystemExit('%r took %r' % (call, arguments))

for call in (hakmem.trim, hakmem.profile_start, hakmem.usable_size):
    for value in ('1', b'bytes', 1.5, [1]):
        refuses(TypeError, call, value)
    for value in (-1, 1 << 64, 1 << 200):
        refuses(ValueError, call, value)
refuses(TypeError, hakmem.usable_size, None)
refuses(TypeError, hakmem.option, 1)
refuses(KeyError, hakmem.option, 'STATS\\0')
refuses(TypeError, hakmem.set_option, 'PURGE_DELAY_MS', '1')
refuses(ValueError, hakmem.set_option, 'PURGE_DELAY_MS', (1 << 64) + 100)
refuses(KeyError, hakmem.set_option, 'STATS\\0', 1)
refuses(TypeError, hakmem.profile_write, 1.5)
refuses(ValueError, hakmem.profile_write, '/tmp/a\\0.html')
assert hakmem.option('PURGE_DELAY_MS') == 500
''')

    def test_a_profile_ends_where_it_cannot_be_written(self):
        with tempfile.TemporaryDirectory() as folder:
            on_hakmem('''
import os
def told(path):
    with hakmem.profile(path, interval=1):
        pass
try:
    told('/nonexistent/x.folded')
except FileNotFoundError as error:
    assert error.filename == '/nonexistent/x.folded'
else:
    raise SystemExit('it was written')
path = os.environ['FOLDER'] + '/x.total.folded'
hakmem.profile_write(path)
before = os.path.getsize(path)
keep = [bytes(3000) for _ in range(1000)]
hakmem.profile_write(path)
assert os.path.getsize(path) == before, 'it goes on'
''', FOLDER=folder)

    def test_children_and_threads(self):
        on_hakmem('''
import os, threading
barrier, wrong = threading.Barrier(8), []
def look():
    barrier.wait()
    try:
        assert hakmem.stats()['live_bytes'] > 0 and hakmem.option('STATS') == 0 and hakmem.version()
    except BaseException as error:
        wrong.append(error)
threads = [threading.Thread(target=look) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong
for _ in range(5):
    child = os.fork()
    if child == 0:
        try:
            assert hakmem.stats()['live_bytes'] > 0 and hakmem.trim() in (True, False)
            hakmem.picture('/dev/null')
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
''')

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
