#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the entries of the API go: the figures of each walk, and the drawings of docs/walks.md, are what they were.

usage: walks.py PROGRAM CHECKOUT exact|loose     the figures below, and the page; loose: only that nothing goes upward
       walks.py PROGRAM CHECKOUT show [WALK...]  every call of them
       walks.py PROGRAM CHECKOUT write           new figures and drawings into the page; prints the figures
       walks.py --self-test

PROGRAM (walks.c) performs a walk and says which functions were entered. Files of the floors base and os are words, and
no walk is told by them. On the way are sources, front/fast.h, where the fast paths are, and each header through which
the way goes on to one of these; all other headers are only looked into.

A call goes upward when the callee's floor is a higher one, or its box a later one of the same floor
(tools/check_floors.py), whether it was called by name or by a pointer. It goes back when its file is waiting already for
the caller to return, and is on the way again.
"""
import collections
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools'))

import check_floors  # noqa: E402

WORDS = ('base', 'os')
BODIES = ('front/fast.h',)  # beside the sources
CHECK = ('base/held.c', 'base/held.h')  # is not there without the check

# What is counted, by the functions that do it. One inside another of the same row is the same.
COUNTED = {
    'code': ('hk_registry_lookup', 'hk_registry_code'),
    'SuperSlab': ('hk_registry_superslab', 'hk_registry_superslab_of_block', 'hk_registry_superslab_at'),
    'page': ('hk_arena_page',),
    'has_room': ('hk_bin_has_room',),
    'gate': ('hk_gate_enter', 'hk_gate_wait', 'hk_gate_enter_stranger'),
}
KIND = {function: kind for kind, functions in COUNTED.items() for function in functions}

# files on the way, sources among them; look-ups of codes, SuperSlabs, page records; has_room; through the gate; locks;
# functions by which the walk goes back. (What goes upward: nothing, ever.)
EXPECTED = {
    'malloc-hit': (3, 1, 0, 0, 0, 0, 0, '', ''),
    'malloc-slab': (11, 7, 0, 0, 0, 0, 1, 'heap 1', ''),
    'malloc-transfer': (8, 4, 0, 0, 0, 0, 1, 'array 1', ''),
    'malloc-collect': (11, 7, 0, 0, 0, 0, 1, 'heap 1', ''),
    'malloc-superslab': (21, 17, 0, 0, 0, 0, 1, 'arena 1 heap 1 meta 1 pool 1', ''),
    'malloc-units': (22, 18, 0, 0, 0, 0, 1, 'arena 1 heap 1 meta 1 pool 1', 'hk_arena_insert'),
    'free-hit': (3, 1, 1, 0, 0, 1, 0, '', ''),
    'free-name': (3, 1, 1, 0, 0, 1, 0, '', ''),
    'free-slab': (11, 6, 1, 2, 0, 2, 1, 'array 1 heap 1', ''),
    'free-transfer': (10, 5, 1, 1, 0, 2, 1, 'array 1', ''),
    'free-chains': (14, 7, 1, 2, 0, 2, 1, 'array 1 heap 1', ''),
    'realloc-stays': (7, 5, 1, 0, 3, 0, 1, 'arena 1', ''),
    'realloc-moves': (9, 7, 1, 0, 3, 0, 2, 'arena 2', ''),
    'calloc-run': (5, 4, 0, 0, 0, 0, 1, 'arena 1', ''),
    'free-run': (8, 6, 2, 0, 2, 0, 1, 'arena 1', ''),
    'thread-end': (13, 8, 0, 0, 0, 0, 2, 'array 1 heap 2 orphans 1 records 1', ''),
    'size-slab': (1, 1, 1, 1, 0, 0, 0, '', ''),
    'size-run': (6, 4, 1, 0, 1, 0, 0, '', ''),
    'size-huge': (7, 5, 1, 0, 1, 0, 0, '', ''),
    'size-side': (5, 3, 1, 0, 0, 0, 0, '', ''),
}


class Call:
    """A function that was entered, and what happened until it was left."""

    def __init__(self, function, file, parent):
        self.function, self.file, self.parent = function, file, parent
        self.calls, self.locks = [], []

    def is_word(self):
        return self.file.split('/')[0] in WORDS

    def is_body(self):
        return (self.file.endswith('.c') or self.file in BODIES) and not self.is_word()

    def leads_on(self):
        return not self.is_word() and (self.is_body() or any(call.leads_on() for call in self.calls))

    def above(self):
        at = self.parent
        while at is not None:
            yield at
            at = at.parent

    def all(self):
        for call in self.calls:
            yield call
            yield from call.all()


class Program:
    def __init__(self, path, checkout):
        self.path, self.core = path, os.path.join(os.path.realpath(checkout), 'core') + '/'
        self.env = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'HAKMEM_NUMA': '0'}
        self.known = {}
        symbols = self.call('nm', path).splitlines()
        self.origin = next(int(line.split()[0], 16) for line in symbols if line.endswith(' record_show'))

    def call(self, *argv, given=None):
        done = subprocess.run(argv, input=given, env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def names(self):
        return self.call(self.path).split()

    def learn(self, offsets):
        """The name and the file of each function. One byte behind its start it still is its own line."""
        new = sorted(set(offsets) - set(self.known))
        addresses = ''.join('%x\n' % ((int(offset, 16) + self.origin + 1) % 2**64) for offset in new)
        lines = self.call('addr2line', '-f', '-e', self.path, given=addresses).splitlines()
        for i, offset in enumerate(new):
            file = lines[2 * i + 1].rsplit(':', 1)[0]
            if not file.startswith('/'):  # as the compiler was called, in the build folder
                file = os.path.join(os.path.dirname(self.path), '..', '..', file)
            self.known[offset] = lines[2 * i], os.path.realpath(file).replace(self.core, '')

    def walk(self, name):
        """The tree of calls; None: there is no such walk with these boxes."""
        steps = [line.split() for line in self.call(self.path, name).splitlines()]
        self.learn(step[1] for step in steps if step[0] == 'in')
        root = at = Call(name, '', None)
        for step in steps:
            if step[0] == 'in':
                at.calls.append(Call(*self.known[step[1]], at))
                at = at.calls[-1]
            elif step[0] == 'out':
                at = at.parent
            else:
                at.locks.append(step[1].lower())
        return root if steps else None


# ---- figures ----

def counted(root):
    """(call, kind) of what is counted, and of locks."""
    for call in [root, *root.all()]:
        kind = KIND.get(call.function)
        if kind and not any(KIND.get(other.function) == kind for other in call.above()):
            yield call, kind
        for lock in call.locks:
            yield call, 'lock ' + lock


def upward(root, table):
    def place(file):
        owner = table.owner(file)
        return check_floors.FLOORS.index(file.split('/')[0]), table.place(owner) if owner else None
    for call in root.all():
        if call.parent is root or call.file in CHECK:
            continue
        (floor, box), (own_floor, own_box) = place(call.file), place(call.parent.file)
        if floor > own_floor or (floor == own_floor and None not in (box, own_box) and box > own_box):
            yield '%s (%s) calls %s (%s)' % (call.parent.function, call.parent.file, call.function, call.file)


def goes_back(call):
    return call.parent.file != call.file and call.leads_on() and call.file in [each.file for each in call.above()]


def files_of(root):
    """(on the way, only looked into), each in order of first entry."""
    way = list(dict.fromkeys(call.file for call in root.all() if call.leads_on()))
    other = dict.fromkeys(call.file for call in root.all() if not call.is_word() and call.file not in way)
    return way, list(other)


def figures(root):
    way, _ = files_of(root)
    kinds = collections.Counter(kind for _, kind in counted(root))
    locks = ' '.join('%s %d' % (kind[5:], n) for kind, n in sorted(kinds.items()) if kind.startswith('lock '))
    back = ' '.join(sorted({call.function for call in root.all() if goes_back(call)}))
    return (len(way), len([file for file in way if file.endswith('.c')]), *(kinds[kind] for kind in COUNTED), locks, back)


TITLES = ('files', 'sources', 'codes', 'SuperSlabs', 'pages', 'has_room', 'gate', 'locks', 'back')


def compare(name, found):
    """What differs from the table above."""
    if name not in EXPECTED:
        return ['%s: not in the table: %r' % (name, found)]
    return ['%s: %s: %r and not %r' % (name, title, now, then)
            for title, now, then in zip(TITLES, found, EXPECTED[name]) if now != then]


# ---- the page ----

class Place:
    """A file in a drawing, entered from another."""

    def __init__(self, file):
        self.file, self.functions, self.notes, self.places = file, {}, collections.Counter(), {}


def draw_calls(call, place):
    for inner in call.calls:
        at = place
        if inner.leads_on() and inner.file != place.file:
            at = place.places.setdefault(inner.file, Place(inner.file))
            at.functions[inner.function] = goes_back(inner)
        draw_calls(inner, at)


def notes_of(root, top):
    """Puts what is counted beside the file on the way that it happens for."""
    for call, kind in counted(root):
        files = [each.file for each in reversed(list(call.above())) if each.leads_on()][1:]
        files += [call.file] if call.leads_on() and call is not root else []
        at = top
        for file in files:
            at = at if file == at.file else at.places.get(file, at)
        at.notes[kind] += 1


def cells_of(place, depth=0):
    """What stands in the columns, line by line."""
    for inner in place.places.values():
        functions = ['%s%s' % (name, ' (back)' if back else '') for name, back in inner.functions.items()]
        notes = [kind if n == 1 else '%s %d times' % (kind, n) for kind, n in inner.notes.items()]
        yield '  ' * depth + inner.file, ', '.join(functions), ', '.join(notes)
        yield from cells_of(inner, depth + 1)


def drawing(root):
    top = Place('')
    draw_calls(root, top)
    notes_of(root, top)
    rows = list(cells_of(top))
    widths = [max(len(cells[i]) for cells in rows) for i in range(2)]
    return ''.join(('%-*s  %-*s  %s' % (widths[0], cells[0], widths[1], cells[1], cells[2])).rstrip() + '\n' for cells in rows)


def row(name, found):
    return '| [%s](#%s) | %s |' % (name, name, ' | '.join(str(value) or 'none' for value in found))


FENCE = r'(?ms)^(### %s\n.*?^```text\n)(.*?)(^```$)'
TABLE = r'(?ms)^(<!-- figures -->\n)(.*?)(^<!-- end -->$)'


def page_parts(measured):
    """(pattern, what stands there, its name) for each part of the page that is measured."""
    head = ['| walk | ' + ' | '.join(TITLES) + ' |', '|---' * (len(TITLES) + 1) + '|']
    yield TABLE, '\n'.join(head + [row(name, figures(root)) for name, root in measured.items()]) + '\n', 'figures'
    for name, root in measured.items():
        yield FENCE % name, drawing(root), name


def compare_page(page, measured):
    for pattern, text, name in page_parts(measured):
        match = re.search(pattern, page)
        if not match:
            yield 'docs/walks.md: nothing about %s' % name
            continue
        was, now = match.group(2).splitlines(), text.splitlines()
        for i in range(max(len(was), len(now))):
            if was[i:i + 1] != now[i:i + 1]:
                yield 'docs/walks.md: %s: it says %r, and it is %r' % (name, was[i:i + 1], now[i:i + 1])
                break


# ---- what is asked for ----

def show(root, depth=0):
    for call in root.calls:
        print('  ' * depth + call.function, call.file, ' '.join('lock ' + lock for lock in call.locks))
        show(call, depth + 1)


def write(path, page, measured):
    for pattern, text, name in page_parts(measured):
        page, n = re.subn(pattern, lambda match, text=text: match.group(1) + text + match.group(3), page)
        if n != 1:
            print('docs/walks.md: nothing about %s' % name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(page)
    for name, root in measured.items():
        print('    %r: %r,' % (name, figures(root)))


def check(program, checkout, measured, exact):
    with open(os.path.join(program.core, 'meson.build'), encoding='utf-8') as file:
        table = check_floors.Table(file.read())
    faults = []
    for name, root in measured.items():
        faults += ['%s: goes upward: %s' % (name, call) for call in sorted(set(upward(root, table)))]
        if exact:
            faults += compare(name, figures(root))
    if exact:
        faults += ['%s: there is no such walk' % name for name in EXPECTED if name not in measured]
        with open(os.path.join(checkout, 'docs', 'walks.md'), encoding='utf-8') as file:
            faults += compare_page(file.read(), measured)
    return faults


SAMPLE = '''
in hak_free api/hak_api.c
 in hk_free_fast front/fast.h
  in hk_registry_code superslab/registry_lookup.h
   in hk_registry_lookup superslab/registry_lookup.h
 in hk_free_slow front/slow.c
  in hk_opt base/options.h
  in hk_lock os/lock.h
   lock heap
  in hk_settle box/heap_priv.h
   in hk_pool_release box/pool.c
    in help box/pool_new.c
     in hk_pool_index box/pool.c
    in visit box/heap.c
'''
SAMPLE_FOUND = (7, 5, 1, 0, 0, 0, 0, 'heap 1', 'hk_pool_index')
SAMPLE_UP = ['hk_pool_release (box/pool.c) calls visit (box/heap.c)']
SAMPLE_DRAWN = '''api/hak_api.c           hak_free
  front/fast.h          hk_free_fast                        code
  front/slow.c          hk_free_slow                        lock heap
    box/heap_priv.h     hk_settle
      box/pool.c        hk_pool_release
        box/pool_new.c  help
          box/pool.c    hk_pool_index (back)
        box/heap.c      visit
'''


def sample():
    root = Call('sample', '', None)
    trail = [root]
    for line in SAMPLE.strip().splitlines():
        what, *words = line.split()
        del trail[len(line) - len(line.lstrip()) + 1:]
        if what == 'in':
            trail.append(Call(*words, trail[-1]))
            trail[-2].calls.append(trail[-1])
        else:
            trail[-1].locks.append(words[0])
    return root


def self_test():
    root = sample()
    found = [(figures(root), SAMPLE_FOUND), (list(upward(root, check_floors.Table(check_floors.SAMPLE['meson.build']))),
                                             SAMPLE_UP), (drawing(root).split(), SAMPLE_DRAWN.split())]
    return ['%r and not %r' % (now, then) for now, then in found if now != then]


def main():
    if sys.argv[1:] == ['--self-test']:
        faults = self_test()
        print('\n'.join(faults) or 'ok')
        return 1 if faults else 0
    program, checkout, what = Program(sys.argv[1], sys.argv[2]), sys.argv[2], sys.argv[3]
    measured = {name: program.walk(name) for name in sys.argv[4:] or program.names()}
    measured = {name: root for name, root in measured.items() if root}
    if what == 'show':
        for root in measured.values():
            show(root)
        return 0
    if what == 'write':
        path = os.path.join(checkout, 'docs', 'walks.md')
        with open(path, encoding='utf-8') as file:
            write(path, file.read(), measured)
        return 0
    faults = check(program, checkout, measured, what == 'exact')
    print('\n'.join(faults) or '%d walks' % len(measured))
    return 1 if faults or not measured else 0


if __name__ == '__main__':
    sys.exit(main())
