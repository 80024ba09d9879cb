#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/options.md from the rows that the boxes bring (core/base/options.h says what is in one).

usage: gen_options_doc.py [--check]

--check writes nothing and ends with 1, and a line that says so, when docs/options.md is not what the table gives.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import generated_page  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
CORE = os.path.join(ROOT, 'core')
PAGE = os.path.join(ROOT, 'docs', 'options.md')

ROWS = {
    'NUMBER': re.compile(r'NUMBER\((\w+), ([^,()]+), ([^,()]+), ([^,()]+), "([^"]*)", (\w+), "([^"]*)"\)'),
    'TEXT': re.compile(r'TEXT\((\w+), (\w+), "([^"]*)"\)'),
    'CHOICE': re.compile(r'CHOICE\((\w+), \w+, "([^"]*)", (?:"[^"]*"|\w+)\)'),
}

# What the table's one sentence has no room for.
NOTES = {
    'STATS': 'A number, or the word `json:PATH`: then the value stays 0 and the JSON goes to PATH, in which `%p` is '
             'replaced by the process id. PATH has at most 255 bytes.',
    'TINY_FRONT_METRICS': 'Hits and misses are counted with `-Dtelemetry=enabled` only. The page of `HAKMEM_STATS=1` has '
                          'the table too.',
    'SHARED_POOL_STAGE_STATS': 'The page of `HAKMEM_STATS=1` has the table too.',
    'PURGE_DELAY_MS': 'With 0 calls that free give back all beyond `MIN_KEEP`, 2 MiB at most in each. More than 10.5 MiB '
                      'beyond that, or half of what is live, goes back whatever its age; see [idle memory](idle.md).',
    'PURGE_THREAD': 'Read at the start. The process then has a second thread from its start on, and so has each child '
                    'of a fork; see [idle memory](idle.md).',
    'GUARD': 'Read at the start, also by `hak_guard_start`. With 1 the process has a second thread; see '
             '[guarded blocks](guarded.md).',
    'GUARD_COST': 'Of the time that the program runs, all its threads together. Without the thread, of the time that goes by.',
    'GUARD_SLOTS': 'Read when the first block is guarded.',
    'FRONT_BYTES': 'Or a quarter of the slabs that the thread owns (16 KiB for each), whichever is more. With more than four '
                   'threads they share four times as much, down to a sixteenth of it for each; see '
                   '[decision 0004](decisions/0004-bins-for-mid-classes.md).',
    'TINY_FRONT_SLIM': 'Blocks go straight to and from their slabs, or the TLS SLL with `-Dtls_sll=enabled`. As the three '
                       'that follow, read when a thread first uses a class.',
    'FRONT_V2_CAP': 'Each class also has a limit of its own: 512 blocks up to 32 bytes, 256 up to 128, 128 up to 256, 64 up to 512, above that 64 KiB; Mid classes 64 blocks up to 2 KiB, 128 KiB up to 8 KiB, above that 16 blocks.',
    'FRONT_V2_OFF': 'Blocks of these classes go straight to and from their slabs. Read when a thread first uses a class.',
    'TINY_UNIFIED_C0': 'As `C1` to `C7`, read when a thread first uses a class; `HAKMEM_FRONT_BYTES` may leave it '
                       'fewer. Without entries, or with one, blocks go straight to and from their slabs.',
    'TINY_HOT_RING_C0': 'As `C1` to `C7`, read when a thread first uses a class: how far its ring may grow, as far as '
                        '`HAKMEM_FRONT_BYTES` allows. Without entries, or with one, blocks go straight to and from '
                        'their slabs.',
    'WALL_EVERY': 'With 1 each has one, as far as there are places for them (4096), and a free and a malloc of such a block '
                  'take two more system calls. Mappings, from 32 MiB on, always have one. See [hardened](hardened.md).',
    'MIN_KEEP': '`mallopt(M_TRIM_THRESHOLD, n)` sets it too, when n is in its bounds. `hak_trim(pad)` keeps `pad` '
                'bytes instead.',
    'MEMORY_LIMIT': 'Counted are SuperSlabs, page runs and huge blocks in use; memory that is free is not. `auto` is '
                    'nine tenths of the cgroup\'s limit, or no limit where there is none. With a limit blocks of '
                    '33 to 256 KiB are page runs as in a process of one thread, because SuperSlabs in use count whole.',
    'MISUSE': 'The words `abort` and `warn`, or the numbers. A corrupted free list ends the process with either.',
    'SS_EMPTY_REUSE': 'With 0 an EMPTY slab is not taken again before it was purged, as UNUSED.',
    'HOT_COLD_SCAN': 'Slabs with free blocks, of the own heap or of threads that ended.',
    'SS_EMPTY_SCAN_LIMIT': 'Only those count in which the class has room. With 1 it is the one at the lowest address, '
                           'which is found without looking at others. In a heap above 6 MiB a Mid class first takes the '
                           'slab that it held last, wherever that is.',
    'THP': 'Read when memory is mapped: set it in the environment, not by `hak_option_set`. Blocks of up to 8 MiB that '
           'are written from end to end are up to four times as fast with it, what goes back of them may come back, and memory of theirs that nobody writes is '
           'resident too ([0022](decisions/0022-huge-pages.md)). With 0 the first 64 MiB of a node have none, and what '
           'comes after leaves them to the system\'s setting, but for `HUGE_FROM`.',
    'HUGE_FROM': 'Of SuperSlabs that are new, where the system allows huge pages (`madvise` or `always`). Slabs in use '
                 'of one thread count; tiny blocks are those up to 1 KiB. Of the others those ask that are longer than '
                 'half of this, from malloc or made longer by realloc (not from calloc), where there is no '
                 '`MEMORY_LIMIT`.',
    'NUMA': 'Set in the environment, 0 also keeps the library from looking which nodes there are; see '
            '[memory by node](numa.md).',
    'HEAP_PICTURE_SIGNAL': 'Read at the start; needs `HEAP_PICTURE`. The handler only wakes a helper thread, which draws: '
                           'it exists where a signal is chosen, in children of a fork too. A handler that the program '
                           'installs for the same signal replaces ours.',
    'HEAP_PICTURE': 'See [heap-picture.md](heap-picture.md). A page without `%n` in its name replaces the one before. '
                    'Programs that end by `_exit` (dash does) or by a signal draw none at their end.',
}

HEAD = """# Run-time options

Made from the rows that the boxes bring (`core/base/options.h`) by `python3 tools/gen_options_doc.py`; do not edit it by
hand. `python3 tools/gen_options_doc.py --check` tells whether it is up to date.

An option is an environment variable `HAKMEM_<NAME>`, read once, by a constructor of the library, before `main`. Malloc
works before that, with the defaults. A number may end in `K`, `M` or `G` (powers of 1024); an empty value is none. One
line on stderr says that a value is wrong or out of bounds (the default stays), and what is allowed; that a `HAKMEM_` name
is unknown (with the nearest name that is known); or that an option has no effect because what it is for is not built in
(last column: what puts it in). Where the library is preloaded the children of a program do not repeat such a line.
`HAKMEM_OPTIONS=help` prints what is built in to stderr, and the program goes on. Set-uid and set-gid programs, and those
with file capabilities, read no option.

From a program: `hak_option_get("MIN_KEEP")`, `hak_option_set("MIN_KEEP", 0)`, at any time; texts are set in the
environment only. What `malloc_conf`, `mallctl`, `MIMALLOC_` and `TCMALLOC_` names are here stands in
[the comparison](comparison.md#the-names-you-know).

| name | default | least | most | unit | what it does | needs |
|---|---|---|---|---|---|---|
"""


def number(text):
    """One column of the table as it is shown."""
    return '2^63 - 1' if text == 'INT64_MAX' else text


def read(kind):
    """The rows of one kind, in the order of the list of headers in core/meson.build."""
    with open(os.path.join(CORE, 'meson.build'), encoding='utf-8') as file:
        headers = re.search(r'^hk_option_rows = \[(.*?)^\]', file.read(), re.M | re.S)[1]
    found = []
    for header in re.findall(r"'([^']+)'", headers):
        with open(os.path.join(CORE, header), encoding='utf-8') as file:
            text = file.read()
        body = re.sub(r'\s*\\\n\s*', ' ', text[text.index('#define HK_%s(' %
                      os.path.basename(header)[:-2].upper()):]).split('\n')[0].split(') ', 1)[1]
        rows_here = ROWS[kind].findall(body)
        if len(rows_here) != len(re.findall(r'\b%s\(' % kind, body)):
            sys.exit('gen_options_doc.py: %d rows %s of %s understood in %r' % (len(rows_here), kind, header, body))
        found += rows_here
    return found


def rows():
    """(name, default, least, most, unit, box, sentence) of each option; the texts last."""
    table = [(name, number(default), number(least), number(most), unit, box, text)
             for name, default, least, most, unit, box, text in read('NUMBER')]
    return table + [(name, 'none', '', '255', 'bytes', box, text)
                    for name, box, text in read('TEXT')]


def page():
    table = rows()
    needs = dict(read('CHOICE'))
    unknown = set(NOTES) - {row[0] for row in table}
    if unknown:
        sys.exit('gen_options_doc.py: notes on options that are not there: %s' % ', '.join(sorted(unknown)))
    lines = [HEAD]
    for name, default, least, most, unit, box, text in table:
        cells = ['`HAKMEM_%s`' % name, default, least, most, unit, text, needs[box] and '`-D%s`' % needs[box]]
        lines.append('| ' + ' | '.join(cells) + ' |\n')
    lines.append('\n')
    for name, *_ in table:
        if name in NOTES:
            lines.append('- `%s`: %s\n' % (name, NOTES[name]))
    return ''.join(lines)


if __name__ == '__main__':
    sys.exit(generated_page.main(PAGE, page()))
