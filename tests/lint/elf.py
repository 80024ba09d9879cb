#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the dynamic linker reads of libhakmem.so: it needs libc and what is NEEDED here alone, has its soname, little
static TLS, no text relocations and no executable stack.

usage: elf.py LIBHAKMEM READELF TLS_BUDGET [NEEDED...]
"""
import re
import subprocess
import sys


def read(readelf, flag, path):
    return subprocess.run([readelf, '-W', flag, path], check=True, capture_output=True, text=True,
                          env={'LC_ALL': 'C', 'PATH': '/usr/bin:/bin'}).stdout


def main():
    path, readelf, budget = sys.argv[1], sys.argv[2], int(sys.argv[3])
    faults = []
    dynamic, headers = read(readelf, '-d', path), read(readelf, '-l', path)

    needed = re.findall(r'\(NEEDED\).*\[(.*)\]', dynamic)
    expected = ['libc'] + sys.argv[4:]
    if sorted(name.split('.')[0] for name in needed) != sorted(expected):
        faults.append('NEEDED is %s, not %s' % (needed, ' and '.join(expected)))
    soname = re.findall(r'\(SONAME\).*\[(.*)\]', dynamic)
    if soname != ['libhakmem.so.0']:
        faults.append('SONAME is %s' % soname)
    if 'INITFIRST' not in dynamic:
        faults.append('its constructor, and with it its fork handlers, would come late')
    if 'TEXTREL' in dynamic:
        faults.append('text relocations')
    if re.search(r'\((RPATH|RUNPATH)\)', dynamic):
        faults.append('a search path of this build is in it')

    for line in headers.splitlines():
        words = line.split()
        if words[:1] == ['TLS'] and int(words[5], 16) > budget:
            faults.append('%d bytes of static TLS, the budget is %d' % (int(words[5], 16), budget))
        if words[:1] == ['GNU_STACK'] and 'E' in words[6]:
            faults.append('an executable stack')
    print('\n'.join(faults) or 'ok')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
