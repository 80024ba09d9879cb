#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: abigail-tools git
# targets: libhakmem.so.0
"""Compares the interface of libhakmem.so with that of the last release, by abidiff, as docs/abi.md promises it.

    ./hakmem test abi          # with the last tag v*; without one, with tests/abi/libhakmem.abi
    ./hakmem test abi write    # the library's interface becomes what is in tests/abi/libhakmem.abi

What is new is listed, and is no fault. What is gone or has changed is one, but for structures of statistics that grew at
their end. That a difference would be seen is tried first, on copies of the old interface in which a function has
another name, a parameter another type, a structure another layout or a field less.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STORED = os.path.join(ROOT, 'tests', 'abi', 'libhakmem.abi')
RULES = os.path.join(ROOT, 'tests', 'abi', 'rules.ini')


class Failed(Exception):
    """What went wrong, for a reader who has not seen more."""


def call(*argv, cwd=ROOT):
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False)
    if done.returncode != 0:
        raise Failed('%s\n%s ended with %d' % (done.stdout, ' '.join(argv), done.returncode))
    return done.stdout


def interface(source, build, to):
    """Builds the library of a checkout with debug information, from which its interface is written to a file."""
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        call('meson', 'setup', build, source, '--buildtype=release', '-Ddebug=true', '-Dtests=false', '-Dbenchmarks=false')
    call('ninja', '-C', build, 'libhakmem.so.0')
    call('abidw', '--exported-interfaces-only', '--no-show-locs', '--no-comp-dir-path', '--no-corpus-path', '--out-file', to,
         os.path.join(build, 'libhakmem.so.0'))


def last_tag():
    done = subprocess.run(['git', 'describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*'], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.strip()


def released(tag, folder):
    """The interface of a release, built from its tag."""
    source, path = os.path.join(folder, 'source'), os.path.join(folder, 'released.abi')
    os.mkdir(source)
    call('git', 'archive', '--format=tar', '--output=' + source + '.tar', tag)
    call('tar', '-xf', source + '.tar', '-C', source)
    interface(source, os.path.join(folder, 'build'), path)
    return path


def compare(old, new, *options):
    """(whether they differ, what abidiff says). Bits 1 and 2 of its status: it could not compare."""
    done = subprocess.run(['abidiff', '--suppressions', RULES, *options, old, new], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
    if done.returncode & 3:
        raise Failed('%s\nabidiff cannot compare %s with %s' % (done.stdout, old, new))
    return done.returncode != 0, done.stdout


def growing(path):
    """name -> [(offset, field, type)] of the structures that may grow at their end (tests/abi/rules.ini)."""
    root = xml.etree.ElementTree.parse(path).getroot()
    types = {node.get('id'): node.get('name') for node in root.iter() if node.get('id')}
    return {node.get('name'): [(member.get('layout-offset-in-bits'), member[0].get('name'), types[member[0].get('type-id')])
                               for member in node.iter('data-member')]
            for node in root.iter('class-decl') if re.search('^hak_(.*_)?stats$', node.get('name'))}


def faults(old, new):
    """What of the old interface the new one does not keep."""
    differs, said = compare(old, new, '--no-added-syms')
    found = [said] if differs else []
    now = growing(new)
    for name, fields in growing(old).items():
        for i, field in enumerate(fields):
            if now.get(name, [])[i:i + 1] != [field]:
                found.append('struct %s: where %s of type %s was, at bit %s, there is %s' %
                             (name, field[1], field[2], field[0], now.get(name, [])[i:i + 1] or 'nothing'))
                break
    return '\n'.join(found)


def plant(text):
    """(name, interface) of faults planted in an interface."""
    struct = re.search(r"<class-decl name='hak_stats' size-in-bits='\d+'.*?</class-decl>", text, re.S)[0]
    bits = re.findall(r"layout-offset-in-bits='(\d+)'", struct)
    moved = struct.replace("'%s'" % bits[5], "'x'").replace("'%s'" % bits[6], "'%s'" % bits[5]).replace("'x'", "'%s'" % bits[6])
    last = re.findall(r"\s*<data-member .*?</data-member>", struct, re.S)[-1]
    trim = re.search(r"<function-decl name='hak_trim'.*?</function-decl>", text, re.S)[0]
    other = re.search(r"<type-decl name='char' .*? id='([^']+)'", text)[1]
    return [('a function that is gone', text.replace('hak_good_size', 'hak_fine_size')),
            ('two fields in each other\'s place', text.replace(struct, moved)),
            ('a field that is gone', text.replace(struct, struct.replace(last, ''))),
            ('a parameter of another type', text.replace(trim, re.sub("(<parameter type-id=')[^']+", r'\g<1>' + other, trim)))]


def try_the_eye(old, folder):
    """A test that cannot fail is none: planted faults must be seen."""
    with open(old, encoding='utf-8') as file:
        text = file.read()
    path = os.path.join(folder, 'planted.abi')
    for name, other in plant(text):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(other)
        if other == text or not faults(old, path):
            raise Failed('planted and not seen: %s' % name)


def check(build, folder):
    new, tag = os.path.join(folder, 'now.abi'), last_tag()
    interface(ROOT, os.path.join(build, 'abi'), new)
    old = released(tag, folder) if tag else STORED
    try_the_eye(old, folder)
    said = faults(old, new)
    if said:
        raise Failed('%s\nthe interface of %s is not kept; docs/abi.md says what may change' %
                     (said, tag or 'tests/abi/libhakmem.abi'))
    added = re.findall(r"^  \[A\] '(.*?)'", compare(old, new)[1], re.M)
    print('\n'.join(['new: ' + name for name in added] +
                    ['abi: what %s promised is kept, %d are new' % (tag or 'tests/abi/libhakmem.abi', len(added))]))


def main():
    if not shutil.which('abidiff'):
        print('abi: skipped: abidiff (abigail-tools) is not installed')
        return 77
    build = os.path.abspath(sys.argv[1])
    try:
        if sys.argv[2:] == ['write']:
            interface(ROOT, os.path.join(build, 'abi'), STORED)
        else:
            with tempfile.TemporaryDirectory(prefix='hakmem-abi-') as folder:
                check(build, folder)
    except Failed as error:
        print('%s\nabi: FAILED' % error)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
