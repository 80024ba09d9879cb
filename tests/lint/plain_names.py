#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names of functions are the same in a profile that a process writes itself and in one that is read from outside: the reader
gives each symbol of the library's unit test the name that is expected there, and each part of one something.

usage: plain_names.py SOURCE
"""
import os
import re
import sys

sys.dont_write_bytecode = True


def main():
    source = sys.argv[1]
    sys.path.insert(0, os.path.join(source, 'tools', 'live'))
    from plain_names import OPERATORS, STANDARD, plain_name
    with open(os.path.join(source, 'tests', 'unit', 'test_profile_names.c'), encoding='utf-8') as file:
        known = re.findall(r'^    \{"([^"]*)", "([^"]*)"\},', file.read(), re.M)
    faults = ['%s is %s, not %s' % (symbol, plain_name(symbol), name) for symbol, name in known if plain_name(symbol) != name]
    if len(known) < 25:
        faults.append('only %d names in the unit test' % len(known))
    for symbol, _ in known:
        for end in range(len(symbol)):
            for letter in '_ZNESILJTDUCBAl0917':
                plain_name(symbol[:end] + letter)
    for part in ('Z', 'N', 'P', 'ZN', '1aI', 'IJ', 'F'): # ever deeper
        if plain_name('_Z' + part * 10000) != ('_Z' + part * 10000)[:511]:
            faults.append('%s again and again was understood' % part)
    with open(os.path.join(source, 'core', 'api', 'profile_names.c'), encoding='utf-8') as file:
        text = file.read()
    for name, table, pattern in (('operators', OPERATORS, r'\{"(\w\w)", +"([^"]+)"\}'),
                                 ('standard names', STANDARD, r"\{'(\w)', +\"([^\"]+)\"\}")):
        if dict(re.findall(pattern, text)) != table:
            faults.append('the library has other %s' % name)
    print('\n'.join(faults) or '%d names' % len(known))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
