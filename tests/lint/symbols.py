#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What libhakmem.so exports: every function of this machine's C library that belongs to the malloc family, every C++
operator new and delete but the nothrow forms of new, the loader's dlopen, dlmopen and dlsym, and nothing else but hak_ names.
The operators are weak. The hak_ names have a version, HAKMEM_ and the release that brought them; all others have none
(docs/abi.md).

usage: symbols.py LIBHAKMEM HEADER NM
"""
import ctypes
import itertools
import re
import subprocess
import sys

# Wide on purpose, so that a function a newer C library brings along is asked for. Data (the old hooks) is left out by
# its type, what belongs to the C library alone (GLIBC_PRIVATE) by its version.
FAMILY = re.compile(r'^(__libc_)?(malloc(_\w+)?|mall(info|opt)\w*|calloc|realloc\w*|(posix_)?memalign|'
                    r'aligned_alloc|p?valloc|c?free(_(aligned_)?sized)?)$')

ALWAYS = '''malloc free calloc realloc reallocarray memalign posix_memalign aligned_alloc valloc pvalloc cfree
malloc_usable_size malloc_trim malloc_stats malloc_info mallinfo mallinfo2 mallopt free_sized free_aligned_sized
__libc_malloc __libc_free __libc_calloc __libc_realloc __libc_memalign __libc_valloc __libc_pvalloc
__libc_mallinfo __libc_mallopt'''.split()

# By which a library would come by the C library's malloc all the same (core/api/override_dlopen.c, override_dlsym.c).
LOADER = ['dlopen', 'dlmopen', 'dlsym']

OPERATOR = re.compile(r'^_Z(n[wa]|d[la])')


VERSION = re.compile(r'^HAKMEM_\d+\.\d+$')

RUNTIME_S = re.compile(r'^_Zn[wa].*RKSt9nothrow_t$')


def operators():
    """The mangled names of C++17's twenty, less four that must catch, and so are the C++ runtime's."""
    new = ['_Zn%sm%s' % pair for pair in itertools.product('wa', ['', 'St11align_val_t'])]
    delete = ['_Zd%sPv%s' % pair for pair in itertools.product('la', ['', 'm', 'RKSt9nothrow_t', 'St11align_val_t',
                                                                     'mSt11align_val_t',
                                                                     'St11align_val_tRKSt9nothrow_t'])]
    return new + delete


def defined(nm, path):
    """(name, version, type) of each dynamic symbol that is defined."""
    text = subprocess.run([nm, '-D', '--defined-only', path], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        kind, name = line.split()[-2:]
        name, _, version = name.partition('@')
        yield name, version.lstrip('@'), kind


def path_of(library):
    """The file the loader takes for a name such as libc.so.6, or None."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return None
    with open('/proc/self/maps') as maps:
        for line in maps:
            if line.rstrip().endswith('/' + library):
                return line.split()[-1]
    return None


def main():
    library, header, nm = sys.argv[1:4]
    # (nm lists the versions themselves too, as absolute symbols.)
    listed = [row for row in defined(nm, library) if not (row[2] == 'A' and VERSION.match(row[0]))]
    ours = {name: kind for name, _, kind in listed}
    required = set(ALWAYS) | set(operators())

    libc = path_of('libc.so.6')
    if libc:
        family = {name for name, version, kind in defined(nm, libc)
                  if FAMILY.match(name) and version != 'GLIBC_PRIVATE' and kind in 'TWi'}
        assert {'malloc', 'mallinfo2', 'cfree', '__libc_memalign', 'pvalloc', 'malloc_info'} <= family, sorted(family)
        required |= family | set(LOADER)
    libstdcxx = path_of('libstdc++.so.6')
    if libstdcxx:
        required |= {name for name, _, _ in defined(nm, libstdcxx)
                     if OPERATOR.match(name) and not RUNTIME_S.match(name)}

    with open(header, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    own = set(re.findall(r'HAK_API\b[^;]*?\b(hak_\w+|free_sized|free_aligned_sized)\(', text))
    assert len(own) >= 20, own
    required |= own

    faults = ['missing: ' + name for name in sorted(required - set(ours))]
    for name, kind in sorted(ours.items()):
        if name.startswith('hak_') and name not in own:
            faults.append('not in the public header: ' + name)
        elif not (name.startswith('hak_') or FAMILY.match(name) or name in required):
            faults.append('neither hak_ nor of the malloc family: ' + name)
        elif kind not in 'TWi':
            faults.append('no function: %s (%s)' % (name, kind))
        elif OPERATOR.match(name) and kind != 'W':
            faults.append('not weak, so that a program cannot replace it beside libhakmem.a: ' + name)
    for name, version, _ in sorted(listed):
        if name.startswith('hak_') != bool(VERSION.match(version)):
            faults.append('%s has the version %r' % (name, version))
    print('\n'.join(faults) or '%d symbols' % len(ours))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
