#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every test that docs/reliability.md names exists: in this build, as a command of its own, or as the unit test of a box
that this build does not have.

usage: promises.py CHECKOUT BUILD
"""
import fnmatch
import json
import os
import re
import subprocess
import sys


def tests_of(build):
    text = subprocess.run(['meson', 'introspect', '--tests', build], check=True, capture_output=True, text=True).stdout
    return {suite.split(':')[-1] + '/' + test['name'] for test in json.loads(text) for suite in test['suite']}


def named(text):
    """(line, name) of what the tables name as tests: SUITE/NAME anywhere, and commands."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith('|'):
            for name in re.findall(r'(?<![\w/.(])((?:unit|api|life|misuse|stress|fuzz|lint|programs|trace)/[\w*-]+)', line):
                yield number, name
        for name in re.findall(r'`\./hakmem test ([a-z][\w-]*)', line):
            yield number, 'named/' + name


def main():
    checkout, build = sys.argv[1:3]
    known = tests_of(build)
    known |= {'named/' + os.path.splitext(name)[0] for name in os.listdir(os.path.join(checkout, 'tests', 'named'))}
    known |= {'unit/' + name[5:-2] for name in os.listdir(os.path.join(checkout, 'tests', 'unit'))
              if name.startswith('test_') and name.endswith('.c')}
    with open(os.path.join(checkout, 'tests', 'trace', 'trace.py'), encoding='utf-8') as file: # where libzstd is
        known |= {'trace/trace_' + name for name in re.findall(r'^def test_(\w+)', file.read(), re.M)}
    with open(os.path.join(checkout, 'docs', 'reliability.md'), encoding='utf-8') as file:
        found = list(named(file.read()))
    missing = ['docs/reliability.md:%d: there is no test %s' % (number, name)
               for number, name in found if not fnmatch.filter(known, name)]
    print('\n'.join(missing) or '%d names, all of them tests' % len(found))
    return 1 if missing or not found else 0


if __name__ == '__main__':
    sys.exit(main())
