#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that replaces some of C++'s operators gets its own called where the C++ runtime alone would call them.

usage: replaced.py LIBHAKMEM.so LIBHAKMEM.a NM [-lLIBRARY...] -- COMPILER...

replaced.cpp is linked with every single operator of replaced_operators.cpp and with some sets of them, and what it says
without hakmem is compared with what it says with hakmem preloaded, linked as a shared library and as an archive, with
the C++ runtime shared and static. bare.cpp is a program with as little of the C++ runtime as there can be.
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
(NEW, NEW_ARRAY, NEW_NOTHROW, NEW_ARRAY_NOTHROW, NEW_ALIGNED, NEW_ARRAY_ALIGNED, NEW_ALIGNED_NOTHROW,
 NEW_ARRAY_ALIGNED_NOTHROW, DELETE, DELETE_ARRAY, DELETE_SIZED, DELETE_ARRAY_SIZED, DELETE_NOTHROW, DELETE_ARRAY_NOTHROW,
 DELETE_ALIGNED, DELETE_ARRAY_ALIGNED, DELETE_ALIGNED_SIZED, DELETE_ARRAY_ALIGNED_SIZED, DELETE_ALIGNED_NOTHROW,
 DELETE_ARRAY_ALIGNED_NOTHROW) = ALL = range(20)
PLAIN, ALIGNED = [NEW, DELETE], [NEW_ALIGNED, DELETE_ALIGNED]
# operators, do their blocks begin behind something of the program's own
SETS = [([], 0)] + [([one], 0) for one in ALL] + [
    (PLAIN, 1), (ALIGNED, 1), (PLAIN + ALIGNED, 1),
    ([NEW, NEW_ARRAY, DELETE, DELETE_ARRAY], 1),
    (PLAIN + [DELETE_SIZED, NEW_NOTHROW, DELETE_NOTHROW], 1),
    ([NEW_ARRAY, DELETE_ARRAY], 0), ([DELETE, DELETE_SIZED], 0), ([NEW_NOTHROW, DELETE_NOTHROW], 0), (ALL, 1),
]
# What is linked behind the objects; {so} and {a} are the library. Single operators are tried preloaded, and every second
# one with SINGLE; none and all in every way, the other sets in two by turns: each link needs a tenth of a second or more.
LINKAGES = {
    'shared': ['{so}'],
    'shared, static C++ runtime': ['{so}', '-static-libstdc++'],
    'archive': ['{a}'],
    'archive, static C++ runtime': ['{a}', '-static-libstdc++'],
    'archive, static': ['{a}', '-static'],
}
SINGLE = ['archive, static']


class Builder:
    def __init__(self, arguments, folder):
        at = arguments.index('--')
        self.so, self.a, self.nm = *map(os.path.abspath, arguments[:2]), arguments[2]
        self.libraries, self.compiler, self.folder = arguments[3:at], arguments[at + 1:], folder

    def call(self, *arguments):
        return subprocess.run([*self.compiler, '-w', '-pthread', *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8')

    def compile(self, source, out, *flags):
        path = os.path.join(self.folder, out)
        done = self.call('-std=c++17', '-fsized-deallocation', *flags, '-c', os.path.join(HERE, source), '-o', path)
        assert done.returncode == 0, done.stdout
        return path

    def link(self, objects, linkage):
        """(the program, None) or (None, why not)."""
        path = os.path.join(self.folder, 'program')
        words = [word.format(so=self.so, a=self.a) for word in linkage]
        done = self.call(*objects, *words, *self.libraries, '-Wl,-rpath,' + os.path.dirname(self.so), '-o', path)
        return (path, None) if done.returncode == 0 else (None, done.stdout)


def run(program, preload=None):
    environment = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
    if preload:
        environment['LD_PRELOAD'] = preload
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                          env=environment, timeout=60)
    return 'exit status %d\n%s' % (done.returncode, done.stdout)


def difference(expected, found):
    expected, found = expected.splitlines(), found.splitlines()
    for number, line in enumerate(expected):
        if found[number:number + 1] != [line]:
            return 'line %d: %s, not %s' % (number + 1, found[number:number + 1], [line])
    return 'more lines: %s' % found[len(expected):] if len(found) > len(expected) else None


def check_sets(builder, linkages):
    main = builder.compile('replaced.cpp', 'replaced.o', '-O0')
    for at, (operators, shift) in enumerate(SETS):
        name = 'replaced %s' % list(operators)
        mask = sum(1 << which for which in operators)
        own = builder.compile('replaced_operators.cpp', 'own.o', '-DREPLACE=%#x' % mask, '-DSHIFT=%d' % shift)
        program, why = builder.link([main, own], [])
        assert program, why
        expected = run(program)
        assert expected.startswith('exit status 0\n'), expected
        results = {'preloaded': run(program, builder.so)}
        ways = linkages
        if len(operators) == 1:
            ways = [linkage for linkage in linkages if linkage in SINGLE and operators[0] % 2 == 0]
        elif operators and operators is not ALL:  # two of them each, by turns
            ways = [linkages[(2 * at + step) % len(linkages)] for step in (0, 1)]
        for linkage in ways:
            program, why = builder.link([main, own], LINKAGES[linkage])
            results[linkage] = run(program) if program else why
        for linkage, found in results.items():
            fault = difference(expected, found)
            if fault:
                yield '%s, %s: %s' % (name, linkage, fault)


def check_bare(builder, linkages):
    bare = builder.compile('bare.cpp', 'bare.o', '-O0')
    for linkage in linkages:
        program, why = builder.link([bare], LINKAGES[linkage])
        found = run(program) if program else why
        if found != 'exit status 0\n':
            yield 'bare.cpp, %s: %s' % (linkage, found)
        if program and 'archive' in linkage:
            symbols = subprocess.run([builder.nm, program], stdout=subprocess.PIPE, encoding='utf-8').stdout.split('\n')
            names = {line.split()[-1] for line in symbols if line}
            # glibc's malloc has a function of this name.
            if not {'_Znwm', 'malloc', 'hk_malloc_slow'} <= names or '_int_malloc' in names:
                yield 'bare.cpp, %s: malloc is not hakmem\'s beside operator new' % linkage


def main():
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(sys.argv[1:], folder)
        bare = builder.compile('bare.cpp', 'bare.o')
        linkages = []
        for linkage, words in LINKAGES.items():
            program, why = builder.link([bare], [word for word in words if '{' not in word])
            if program:
                linkages.append(linkage)
            else:
                print('not tried, as the compiler alone does not link it: %s: %s' % (linkage, why.splitlines()[-1:]))
        faults = list(check_bare(builder, linkages)) + list(check_sets(builder, linkages))
    print('\n'.join(faults) or 'ok: %d sets, %s' % (len(SETS), '; '.join(linkages)))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
