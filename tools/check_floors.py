#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that no file in core/ includes a header of a higher floor, or of a box that stands later on its own floor.

usage: check_floors.py [CORE] | --self-test

The floor of a file is its folder; the order of the boxes on a floor is that of the table in core/meson.build, its rows
being ['box', ['folder/source.c', ...] + sources_of_a_choice, ['box it may use', ...]]. A header belongs to the box whose
name it bears (pool.h, pool_priv.h: pool), and a header named *_priv.h is for its own box alone. The header of a choice,
in a folder of its own (registry_flat/registry_lookup.h) and included by its bare name, is one of its box like the rest.
"""
import os
import re
import sys
import tempfile

FLOORS = ['base', 'os', 'pages', 'superslab', 'large', 'box', 'front', 'api']

ROW = re.compile(r"\[\s*'(\w+)'\s*,\s*\[([^\[\]]*)\](?:\s*\+\s*\w+)*\s*,\s*\[([^\[\]]*)\]\s*,?\s*\]")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
WORD = re.compile(r"'([^']*)'")


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


def check(core):
    with open(os.path.join(core, 'meson.build'), encoding='utf-8') as file:
        table = Table(file.read())
    faults, files = table.faults(), 0
    for folder, _, names in sorted(os.walk(core)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), core)
            if not name.endswith(('.c', '.h', '.inc')) or '/' not in path:
                continue
            files += 1
            if path.split('/')[0] not in FLOORS:
                faults.append('core/%s: on no floor' % path)
                continue
            with open(os.path.join(core, path), encoding='utf-8') as file:
                for header in INCLUDE.findall(file.read()):
                    fault = check_include(table, path, header)
                    if fault:
                        faults.append('core/%s: %s' % (path, fault))
    if files == 0:
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
    'box/heap.c': '#include "box/pool.h"\n#include "superslab/slab.h"\n',
    'front/slow.c': '#include "front/fast.h"\n#include "box/heap.h"\n',
    'api/malloc.c': '#include <x.h>\n#include "hakmem/hakmem.h"\n#include "front/fast.h"\n#include "api/entry.h"\n',
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
