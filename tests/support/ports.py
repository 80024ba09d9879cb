# SPDX-License-Identifier: MIT
"""Builds of hakmem for another machine or C library, and their suites: what tests/named/musl.py, aarch64.py and others
share. Everything lies in build-machines/, and what was fetched or built is kept there.

What a step needs and is not there ends the test with 77 and says which.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import packages  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, 'build-machines')
SUITES = ('unit', 'api', 'life', 'stress')


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def demand(**tools):
    """Ends the test where a tool (command='package') is missing."""
    for tool, package in tools.items():
        tool = tool.replace('_', '-')
        if not shutil.which(tool):
            skip('no %s (on Debian: apt-get install %s)' % (tool, package))


def choose(test, names, words):
    """The words, or all names where there are none; the end where one is no name."""
    if set(words) - set(names):
        sys.exit('usage: ./hakmem test %s [%s]...' % (test, '|'.join(names)))
    return words or list(names)


def those_there(test, tools, words):
    """Of {name: tool} those that are named, or all, whose tool is there; the others are said."""
    names = choose(test, tools, words)
    missing = [name for name in names if not shutil.which(tools[name])]
    for name in missing:
        print('skipped: %s: no %s' % (name, tools[name]))
    return [name for name in names if name not in missing]


def run_steps(test, steps, words):
    """Runs the steps ({name: function}) that are named, or all, and says what failed. The exit status."""
    failed = [name for name in choose(test, steps, words) if steps[name]() != 0]
    print('%s: %s' % (test, 'failed: ' + ' '.join(failed) if failed else 'all passed'))
    return 1 if failed else 0


def call(*command, cwd=None, env=None, limit=None):
    """Output of a command that must succeed: the test fails else, and shows it."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False,
                          timeout=limit)
    if done.returncode != 0:
        print('%s\n%s ended with %d' % (done.stdout[-6000:], ' '.join(command), done.returncode))
        sys.exit(1)
    return done.stdout


def apt(architecture, suite='bookworm'):
    try:
        return packages.Apt(WORK, architecture, suite)
    except packages.Missing as missing:
        skip(str(missing))


def have_cmocka():
    """cmocka's source from Debian, where the wrap in subprojects/ looks for it: no built one fits another machine."""
    cache = os.path.join(ROOT, 'subprojects', 'packagecache')
    path = os.path.join(cache, 'cmocka-1.1.5.tar.xz')
    if os.path.exists(path):
        return
    try:
        source = apt('amd64').source('cmocka', 'cmocka_1.1.5.orig.tar.xz')
    except packages.Missing as missing:
        skip(str(missing))
    os.makedirs(cache, exist_ok=True)
    shutil.copy(source, path)


def configure(name, machine, *options):
    """The build folder of that name, with the machine file (--native-file=PATH or --cross-file=PATH)."""
    folder = os.path.join(WORK, name)
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        shutil.rmtree(folder, ignore_errors=True)
        call('meson', 'setup', folder, ROOT, machine, '--buildtype=release', *options)
    return folder


def with_tests(name, machine, *options):
    """The same with tests, and built."""
    have_cmocka()
    folder = configure(name, machine, '-Dtests=true', '--force-fallback-for=cmocka', *options)
    print('builds %s' % os.path.relpath(folder, ROOT), flush=True)
    call('ninja', '-C', folder)
    return folder


def tests_of(folder, suites=SUITES):
    """What meson knows of each test of the suites: [{'name', 'cmd', 'env', 'suite', 'timeout'}]."""
    text = subprocess.run(['meson', 'introspect', '--tests', folder], check=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL).stdout
    return [test for test in json.loads(text) if any(name.split(':')[-1] in suites for name in test['suite'])]


def run_suites(folder, left_out, suites=SUITES, factor=1, env=None):
    """Runs all tests of the suites but those left out ({name: why}), and returns how many failed."""
    names = [test['name'] for test in tests_of(folder, suites)]
    for name in sorted(set(left_out) - set(names)):
        print('nothing is named %s' % name)
    run = [name for name in names if name not in left_out]
    for name in names:
        if name in left_out:
            print('left out: %s: %s' % (name, left_out[name]))
    sys.stdout.flush()
    done = subprocess.run(['meson', 'test', '-C', folder, '--no-rebuild', '--print-errorlogs', '--timeout-multiplier',
                           str(factor), '--num-processes', str(min(4, os.cpu_count() or 1)), *run],
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, check=False)
    return done.returncode
