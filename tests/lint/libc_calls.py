#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the library takes from others is exactly what libc_calls.txt lists: the undefined symbols of libhakmem.so, and
those of libhakmem.a that no member of it defines.

usage: libc_calls.py LIST NM exact|subset LIBHAKMEM.so LIBHAKMEM.a
       libc_calls.py --self-test

subset: a symbol of the list need not be there (a build with options, or by a compiler, that the list is not for).
"""
import re
import subprocess
import sys


def read_list(text):
    """{symbol: it may be missing}, faults."""
    symbols, faults, heading = {}, [], None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        if line.startswith('== '):
            heading = line
            if ': ' not in line:
                faults.append('%d: the heading gives no reason' % number)
            continue
        names, dash, reason = line.partition(' - ')
        if heading is None:
            faults.append('%d: no heading above' % number)
        if dash and not reason.strip():
            faults.append('%d: an empty reason' % number)
        for name in names.split():
            plain = name.strip('()')
            if not re.fullmatch(r'\w+', plain):
                faults.append('%d: %s is no symbol' % (number, name))
            if plain in symbols:
                faults.append('%d: %s a second time' % (number, plain))
            symbols[plain] = name != plain
    return symbols, faults


def compare(symbols, found, exact):
    faults = ['%s is not in the list: say why it may be called, or do without' % name
              for name in sorted(found - set(symbols))]
    if exact:
        faults += ['%s is in the list, but not needed any more' % name
                   for name, optional in sorted(symbols.items()) if not optional and name not in found]
    return faults


def nm(tool, *arguments):
    """Last words of nm's lines for symbols, without versions."""
    text = subprocess.run([tool, *arguments], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].partition('@')[0] for line in text.splitlines() if re.match(r'\s*[0-9a-f]*\s+\w \S', line)}


def self_test():
    symbols, faults = read_list('# x\n\n== pure: y\nmemcpy (bcmp) - bytes\n== data: z\nenviron\n')
    wrong = [] if (symbols, faults) == ({'memcpy': False, 'bcmp': True, 'environ': False}, []) else ['the good list']
    for text in ('memcpy - x\n', '== pure\n', '== a: b\nx y x\n', '== a: b\nx - \n', '== a: b\na-b\n'):
        if len(read_list(text)[1]) != 1:
            wrong.append(repr(text))
    for found, exact, count in (({'memcpy', 'environ'}, True, 0), ({'memcpy'}, True, 1), ({'memcpy'}, False, 0),
                                ({'memcpy', 'environ', 'open'}, True, 1), ({'open', 'read'}, False, 2)):
        if len(compare(symbols, found, exact)) != count:
            wrong.append('%s %s' % (sorted(found), exact))
    return wrong


def main():
    if sys.argv[1:] == ['--self-test']:
        faults = self_test()
    else:
        path, tool, how, shared, archive = sys.argv[1:]
        with open(path, encoding='utf-8') as file:
            symbols, faults = read_list(file.read())
        found = nm(tool, '-D', '--undefined-only', shared)
        found |= nm(tool, '--undefined-only', archive) - nm(tool, '--defined-only', archive)
        assert len(found) > 10, found
        faults += compare(symbols, found, how == 'exact')
        print('%d symbols are needed' % len(found))
    print('\n'.join(faults) or 'ok')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
