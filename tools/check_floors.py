#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that no file in core/ includes a header of a higher floor, or of a box that stands later on its own floor, or
names a function of one without including it; and that a header is included by those only that it says.

usage: check_floors.py [CORE] | --self-test

The floor of a file is its folder; the order of the boxes on a floor is that of the table in core/meson.build, its rows
being ['box', ['folder/source.c', ...] + sources_of_a_choice, ['box it may use', ...]]. A header belongs to the box whose
name it bears (pool.h, pool_priv.h: pool), and a header named *_priv.h is for its own box alone. The header of a choice,
in a folder of its own (registry_flat/registry_lookup.h) and included by its bare name, is one of its box like the rest.

A header that is for a few files only says so in its first comment, in this wording:

    Included by front/room.c and front/ANY/front_box.h only.

These are paths below core/, with commas and `and` between them. ANY, or `*`, stands for any name or part of one.
"""
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import c_names  # noqa: E402

FLOORS = ['base', 'os', 'pages', 'superslab', 'large', 'box', 'front', 'api']

ROW = re.compile(r"\[\s*'(\w+)'\s*,\s*\[([^\[\]]*)\](?:\s*\+\s*\w+)*\s*,\s*\[([^\[\]]*)\]\s*,?\s*\]")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
WORD = re.compile(r"'([^']*)'")
RULE = re.compile(r'\bIncluded by ([\w./* ,]+?) only\b')
OTHER_RULE = re.compile(r'(?i)\b(?:included|used) by\b(?:[^.:;]|\.(?=\w))*\b(?:only|alone)\b'
                        r'|\balone (?:uses|includes)\b|\binclude it\b')


class Table:
    """The boxes in their order, with their sources."""

    def __init__(self, text):
        text = re.sub(r'(?m)^\s*#.*$', '', text)
        self.order, self.sources, self.uses = [], {}, {}
        for name, sources, uses in ROW.findall(text):
            self.order.append(name)
            self.uses[name] = WORD.findall(uses)
            for source in WORD.findall(sources):
                self.sources[source] = name

    def faults(self):
        if not self.order:
            return ['core/meson.build: no table of boxes found']
        found = []
        for at, name in enumerate(self.order):
            for used in self.uses[name]:
                if used not in self.order[:at]:
                    found.append('core/meson.build: box %s uses %s, which does not stand before it' % (name, used))
        return found

    def owner(self, path):
        """The box of a file, or None when its floor has none (api) or the name fits no box of the folder."""
        if path in self.sources:
            return self.sources[path]
        folder, file = path.split('/', 1)
        of_folder = {box for source, box in self.sources.items() if source.startswith(folder + '/')}
        stem = os.path.splitext(os.path.basename(file))[0]
        names = [box for box in self.order if stem == box or stem.startswith(box + '_')]
        if names:
            return max(names, key=len)
        return next(iter(of_folder)) if len(of_folder) == 1 else None

    def place(self, box):
        return self.order.index(box)


def check_include(table, path, header):
    """What is wrong with `path` including `header`, or None. Both are relative to core/."""
    if header == 'config.h':
        return None
    if '..' in header.split('/'):
        return 'includes "%s" by way of ..' % header
    if '/' not in header:
        header = os.path.dirname(path) + '/' + header
    floor, target = path.split('/')[0], header.split('/')[0]
    if header == 'hakmem/hakmem.h':
        target = 'api' # the public header stands above everything
    if target not in FLOORS:
        return 'includes "%s", which is on no floor' % header
    if FLOORS.index(target) > FLOORS.index(floor):
        return 'floor %d includes "%s" of floor %d' % (FLOORS.index(floor), header, FLOORS.index(target))
    own, other = table.owner(path), table.owner(header)
    if other and own != other and os.path.splitext(header)[0].endswith('_priv'):
        return 'includes "%s", which is private to the box %s' % (header, other)
    if target == floor and own and other and table.place(other) > table.place(own):
        return 'box %s includes "%s" of the later box %s' % (own, header, other)
    return None


# ---- who may include a header ----

def read_rule(header, text):
    """(the pattern of the paths that may include it, or None; what is wrong with what it says, or None)."""
    comment = c_names.first_comment(text)
    rule = RULE.search(comment)
    if OTHER_RULE.search(RULE.sub('', comment)):
        return None, 'says who includes it in other words than "Included by ... only"'
    if not rule:
        return None, None
    paths = [path for path in re.split(r'[ ,]+', rule.group(1)) if path != 'and']
    pattern = '|'.join(re.sub(r'ANY|\\\*', '[^/]*', re.escape(path)) for path in paths)
    wrong = [path for path in paths if path.split('/')[0] not in FLOORS]
    return re.compile(pattern), 'is for "%s", which is on no floor' % wrong[0] if wrong else None


def headers_meant(files, path, header):
    """The files that an include may find: one, or one for each choice."""
    if '/' in header:
        return [header] if header in files else []
    beside = os.path.dirname(path) + '/' + header
    of_choices = re.compile(re.escape(path.split('/')[0]) + r'/[^/]+/' + re.escape(header))
    return [beside] if beside in files else [file for file in files if of_choices.fullmatch(file)]


def check_rules(table, files):
    rules = {}
    for path, text in files.items():
        if path.endswith('.h'):
            rules[path], fault = read_rule(path, text)
            if fault:
                yield 'core/%s: %s' % (path, fault)
    for path, text in files.items():
        for header in INCLUDE.findall(text):
            for meant in headers_meant(files, path, header):
                if rules.get(meant) and not rules[meant].fullmatch(path) and not check_include(table, path, header):
                    yield 'core/%s: includes "%s", which is not for it by its first lines' % (path, meant)


# ---- names of what stands above ----

def check_names(table, files):
    names = {path: c_names.Names(text) for path, text in files.items()}
    homes = {}  # name -> the headers that have it
    for path in files:
        if path.endswith('.h'):
            for name in names[path].declared | names[path].defined:
                homes.setdefault(name, []).append(path)
    for path, own in names.items():
        for name in sorted(own.used - own.defined):
            faults = [check_include(table, path, home) for home in homes.get(name, []) if home != path]
            if name.startswith('hak_') and path.split('/')[0] != 'api':
                faults = [check_include(table, path, 'hakmem/hakmem.h')]
            elif path in homes.get(name, []):
                faults = []
            if faults and all(faults):
                yield 'core/%s: names %s: %s' % (path, name, faults[0].replace('includes', 'would include'))
        if path.endswith('.c'):
            for name in sorted(own.defined):
                for home in homes.get(name, []):
                    if check_include(table, home, path):
                        yield 'core/%s: declares %s, which core/%s of what stands above defines' % (home, name, path)


def read(core):
    """(the sources by their paths below core/, what lies where it must not)."""
    files, faults = {}, []
    for folder, _, names in sorted(os.walk(core)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), core)
            if not name.endswith(('.c', '.h', '.inc')) or '/' not in path:
                continue
            if path.split('/')[0] not in FLOORS:
                faults.append('core/%s: on no floor' % path)
                continue
            with open(os.path.join(core, path), encoding='utf-8') as file:
                files[path] = file.read()
    return files, faults


def check(core):
    with open(os.path.join(core, 'meson.build'), encoding='utf-8') as file:
        table = Table(file.read())
    files, faults = read(core)
    faults = table.faults() + faults
    for path, text in files.items():
        found = (check_include(table, path, header) for header in INCLUDE.findall(text))
        faults += ['core/%s: %s' % (path, fault) for fault in found if fault]
    faults += check_rules(table, files)
    faults += check_names(table, files)
    if not files:
        faults.append('no source found under %s' % core)
    return faults


SAMPLE = {
    'meson.build': """
hk_boxes = [
  # box      sources               may use
  ['base',   ['base/bits.c'],      []],
  ['os',     ['os/lock.c'],        ['base']],
  ['slab',   ['superslab/slab.c'], ['os']],
  ['remote', [],                   ['slab']],
  ['pool',   ['box/pool.c', 'box/pool_new.c'],
             ['slab', 'remote']],
  ['heap',   ['box/heap.c'] + heap_choice, ['pool']],
  ['front',  ['front/slow.c'],     ['heap']],
]
""",
    'base/bits.c': '#include "base/bits.h"\n#include <string.h>\n#include "config.h"\n',
    'os/lock.c': '#include "os/lock.h"\n#include "base/bits.h"\n',
    'superslab/slab.c': '#include "superslab/slab.h"\n#include "slab_lookup.h"\n#include "os/lock.h"\n',
    'superslab/slab_flat/slab_lookup.h': '#include "os/lock.h"\n',
    'box/pool.c': '#include "box/pool.h"\n#include "box/pool_priv.h"\n#include "box/remote.h"\n',
    'box/pool_new.c': '  #  include "pool_priv.h"\n',
    'box/heap.h': 'struct hk_heap;\nextern int hk_orphans;\n'
                  'HK_COLD int hk_heap_take(struct hk_heap *heap, void (*each)(void));\n',
    'box/heap.c': '#include "box/pool.h"\n#include "superslab/slab.h"\nint hk_heap_take(struct hk_heap *heap)\n{\n}\n',
    'box/pool_priv.h': '/* What the pool shares. Included by\n * box/pool*.c only. */\nvoid hk_pool_help(void);\n',
    'front/fast.h': 'static inline int hk_fast(struct hk_heap *heap)\n{\n    return hk_heap_take(heap, help) + hk_orphans;\n}\n',
    'front/inside.h': '/*\n * inside. Included by front/slow.c, front/thread.c and front/ANY/ANY.h only.\n */\n',
    'front/slow.c': '#include "front/fast.h"\n#include "box/heap.h"\n#include "front/inside.h"\n',
    'front/fifo/bin.h': '#include "front/inside.h"\n/* Included by front/slow.c only. */\n',
    'api/malloc.c': '#include <x.h>\n#include "hakmem/hakmem.h"\n#include "front/fast.h"\n#include "api/entry.h"\n'
                    'void *hak_malloc(void)\n{\n}\n',
    'api/entry.h': '/* Included by api/malloc.c only. */\n#define hk_entry(x) hk_fast(x)\n',
}

# A line added to a file of the sample, and a word of what must be said about it.
WRONG = [
    ('base/bits.c', '#include "os/lock.h"', 'floor 0 includes'),
    ('os/lock.c', '#include "box/pool.h"', 'floor 1 includes'),
    ('superslab/slab.c', '# include "front/fast.h"', 'floor 3 includes'),
    ('superslab/slab_flat/slab_lookup.h', '#include "box/pool.h"', 'floor 3 includes'),
    ('base/bits.c', '#include "slab_lookup.h"', 'later box slab'),
    ('box/pool.c', '#include "api/entry.h"', 'floor 5 includes'),
    ('front/slow.c', '#include "hakmem/hakmem.h"', 'floor 6 includes'),
    ('box/pool.c', '#include "box/heap.h"', 'later box heap'),
    ('box/pool_new.c', '#include "heap.h"', 'later box heap'),
    ('box/heap.c', '#include "box/pool_priv.h"', 'private'),
    ('front/slow.c', '#include "../api/entry.h"', 'by way of'),
    ('front/slow.c', '#include "elsewhere/x.h"', 'on no floor'),
    ('meson.build', "x = [['early', ['box/early.c'], ['late']], ['late', [], []]]", 'not stand before'),
    ('attic/old.c', '', 'on no floor'),
    ('os/lock.c', 'int x(void) { return hk_heap_take(0); }', 'names hk_heap_take: floor 1 would'),
    ('os/lock.c', 'int hk_heap_take(void *heap);', 'names hk_heap_take: floor 1 would'),
    ('os/lock.c', 'static int (*take)(void) = hk_fast;', 'names hk_fast: floor 1 would'),
    ('os/lock.c', '#define take(x) \\\n    hk_fast(x)', 'names hk_fast: floor 1 would'),
    ('os/lock.c', 'int n(void) { return hk_orphans; }', 'names hk_orphans: floor 1 would'),
    ('box/pool_new.c', 'int x(void) { return hk_heap_take(0); }', 'later box heap'),
    ('box/heap.c', 'void x(void) { hk_pool_help(); }', 'private to the box pool'),
    ('front/slow.c', 'void x(void) { hk_entry(1); }', 'names hk_entry: floor 6 would'),
    ('front/slow.c', 'void x(void) { hak_malloc(); }', 'names hak_malloc'),
    ('base/bits.h', 'int hk_heap_take(void);', 'declares hk_heap_take, which core/box/heap.c'),
    ('front/bins.c', '#include "front/inside.h"', 'not for it'),
    ('front/fifo/bins.c', '#include "front/inside.h"', 'not for it'),
    ('api/other.c', '#include "entry.h"', 'not for it'),
    ('superslab/slab_flat/x.h', '/* Included by the slab box only. */', 'on no floor'),
    ('front/wrong.h', '/* Used by slow.c alone. */', 'in other words'),
    ('front/wrong.h', '/* Included by the/slow.c only. */', 'on no floor'),
]

# The same, about which nothing is to be said.
RIGHT = [
    ('os/lock.c', '/* hk_heap_take(1) */ const char *x = "hk_fast(1)"; struct hk_fast *y(z.hk_fast, z->hk_orphans);'),
    ('os/lock.c', 'static int hk_fast(void) { } int x(void) { return hk_fast(); }'),
    ('os/lock.c', 'static int hk_fast[2] = {1}; int x(void) { return hk_fast[0]; }'),
    ('front/fifo/bin.h', '#include "inside.h"'),
    ('front/wrong.h', '/* What others have put in; used by a thread. Only one of them at a time, in slow.c alone. */'),
]


def check_sample(extra_path=None, extra_line=''):
    with tempfile.TemporaryDirectory() as core:
        files = dict(SAMPLE)
        if extra_path:
            files[extra_path] = files.get(extra_path, '') + extra_line + '\n'
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(core, path)), exist_ok=True)
            with open(os.path.join(core, path), 'w', encoding='utf-8') as file:
                file.write(text)
        return check(core)


def self_test():
    failed = ['the sample is right, but: ' + fault for fault in check_sample()]
    for path, line, word in WRONG:
        faults = check_sample(path, line)
        if len(faults) != 1 or word not in faults[0]:
            failed.append('%s with %r gave %r' % (path, line, faults))
    for path, line in RIGHT:
        failed += ['%s with %r gave %r' % (path, line, fault) for fault in check_sample(path, line)]
    return failed


def main():
    if sys.argv[1:] == ['--self-test']:
        faults = self_test()
    else:
        here = os.path.dirname(os.path.abspath(__file__))
        faults = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, '..', 'core'))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
