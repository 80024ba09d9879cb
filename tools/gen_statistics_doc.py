#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/statistics.md from the tables in core/api/statistic_list.h.

usage: gen_statistics_doc.py [--check]

--check writes nothing and ends with 1, and a line that says so, when docs/statistics.md is not what the tables give.
"""
import json
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import generated_page  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
TABLE = os.path.join(ROOT, 'core', 'api', 'statistic_list.h')
PAGE = os.path.join(ROOT, 'docs', 'statistics.md')

# type, name, unit, built, boxes, sentence; the value is C
ROW = re.compile(r'\bX\(\w+, (\w+), (\w+), (ALWAYS|TELEMETRY), "([^"]*)", *"([^"]*)", ')
JSON_ROW = re.compile(r'\bX\((\w+), (\w+), (ALWAYS|TELEMETRY), "([^"]*)", *"([^"]*)"\)')

UNITS = {'BYTES': 'bytes', 'BLOCKS': 'blocks', 'SLABS': 'slabs', 'BATCHES': 'batches', 'CHAINS': 'chains',
         'CALLS': 'calls', 'THREADS': 'threads', 'PAGES': 'pages of 4 KiB', 'NUMBER': '', 'TEXT': 'text',
         'CLASSES': 'a list', 'LOCKS': 'an object', 'TIMES': 'times', 'TICKS': 'ticks'}

# What the table's one sentence has no room for.
NOTES = {
    'live_bytes': 'A block counts with the size of its class, or its whole pages; what was asked for may be less. Exact '
                  'while the program is quiet, as `live_blocks` is.',
    'live_resident_bytes': 'Blocks that were never touched have no pages yet. In slabs live blocks are taken for '
                           'resident before free ones.',
    'slab_free_bytes': 'This is fragmentation: the slabs cannot go back while one block in each is live. The line of '
                       'each class says where.',
    'empty_bytes': 'Goes back after `HAKMEM_PURGE_DELAY_MS`, but for `HAKMEM_MIN_KEEP`; so does `run_free_bytes`. See '
                   '[idle memory](idle.md).',
    'front_bytes': '`HAKMEM_FRONT_BYTES` or a quarter of its slabs bounds it, for each thread (with `-Dfront=percpu` each processor), and once more of all slabs for what waits between them.',
    'first_pages': 'By what the page was for: class groups `C0` to `C7`, `MID`, `L25`, `HUGE`; and `SSM`, all pages '
                   'of slabs that were taken for blocks, of which `C0` to `MID` are those handed out. In C an array with the indices `HAK_PAGES_...`.',
    'peak_live_bytes': 'Never less than any `live_bytes` that was asked for. Nothing is counted for it when memory is taken: '
                       'free memory that is about to go back, and a huge block before it goes, tell what '
                       'was live. Of page runs and huge blocks it is right to 2 MiB, or `HAKMEM_MIN_KEEP` if that is more: '
                       'so much that is free may be taken for what was live a moment ago. Blocks up to 32 KiB count as '
                       'the slabs of 64 KiB that they are in (of those that it has when somebody asks, what was touched '
                       'of them, so that a small program has a small peak): `slab_free_bytes` and `front_bytes` of that moment are in it, so of a program whose slabs are sparse then it is above the peak. Page runs that threads keep count as live: it may be above by so much, up to a third of what is in runs. Where threads take and '
                       'free huge blocks at the same moment it may miss one of them.',
    'refills': 'Of the process all batches that heaps gave, of a class those that fronts asked for: with `-Dtransfer` some '
               'come from other fronts and not from slabs.',
}

# Which figures add up to which; tests/api/stats_report.py and tests/api/seen.c hold the library to it.
SUMS = [
    ('resident_bytes', '`live_resident_bytes` + `front_bytes` + `slab_free_bytes` + `empty_bytes` + `run_free_bytes` + '
                       '`metadata_bytes`'),
    ('live_bytes', '`run_bytes` + `huge_bytes` + for each class `live_blocks` times `block_bytes`; and the few blocks that '
                   'were taken while a fork was in progress'),
    ('hot_slabs', 'the `hot_slabs` of all classes; with `cold_slabs` it is their `slabs`'),
    ('acquired_partial', 'that of all classes; so are `acquired_empty`, `acquired_unused`, `acquired_new`, `refilled`, '
                         '`flushed`, `malloc_hits`, `malloc_misses`, `free_hits`, `free_misses`'),
]

# A program that keeps 40 MiB (tests/api/stats_subject.c).
EXAMPLE = {
    'version': 1, 'hakmem': '0.1.0', 'pid': 4990, 'threads': 1, 'live_bytes': 41947136, 'live_blocks': 166421,
    'live_resident_bytes': 41947136, 'front_bytes': 0, 'slab_free_bytes': 0, 'empty_bytes': 0, 'run_free_bytes': 0,
    'metadata_bytes': 122880, 'resident_bytes': 42070016, 'mapped_bytes': 44453888, 'peak_mapped_bytes': 44457984,
    'acquired_partial': 0, 'acquired_empty': 0, 'acquired_unused': 310, 'acquired_new': 11, 'refills': 3848,
    'flushes': 0, 'remote_chains': 0, 'purged_bytes': 0, 'os_calls': 57, 'huge_bytes': 0, 'run_bytes': 20971520,
    'refilled': 166401, 'flushed': 0, 'hot_slabs': 320, 'cold_slabs': 1, 'transfers': 0, 'peak_live_bytes': 42008576,
    'guarded_blocks': 0, 'guarded_taken': 0,
    'process_resident_bytes': 43868160, 'classes': [],
}
EXAMPLE_CLASS = {
    'block_bytes': 64, 'slabs': 160, 'hot_slabs': 160, 'live_blocks': 163840, 'cached_blocks': 0, 'free_blocks': 0,
    'resident_bytes': 10485760, 'acquired_partial': 0, 'acquired_empty': 0, 'acquired_unused': 155, 'acquired_new': 5,
    'refills': 1287, 'flushes': 0, 'refilled': 163840, 'flushed': 0, 'chained_blocks': 0,
}

HEAD = """# Statistics

Made from the tables in `core/api/statistic_list.h` by `python3 tools/gen_statistics_doc.py`; do not edit it by hand.
`python3 tools/gen_statistics_doc.py --check` tells whether it is up to date.

A figure has one name: the field of `struct hak_stats` or `struct hak_class_stats` (`hakmem.h`) is the key in the JSON, and
stands on the page. `hak_stats` and `hak_stats_classes` fill the structures; `hak_stats_json`, or
`HAKMEM_STATS=json:PATH` at exit, writes the JSON; `hak_stats_print`, or `HAKMEM_STATS=1`, writes the page. The totals of
the [picture](heap-picture.md) are some of them. All walk the heap when they are asked and allocate nothing; those of
a busy program belong to slightly different moments. "Who counts" are boxes ([architecture](architecture.md)); `usage`
asks the system which pages are resident, and divides them. The words are those of the [glossary](glossary.md).

"""

ONLY = ' (with `-Dtelemetry=enabled` only)'

LOCKS = """
## Of a kind of lock

With `-Dtelemetry=enabled` only, in the JSON and on the page. A kind is a rank ([concurrency](concurrency.md)); there is one
lock of most, and one for each thread or each array of some. `strangers at the gate` is no lock, but as good as one: threads
without a record go in one at a time by each of sixteen doors. A tick is one of the processor's constant counter (`rdtsc`, `cntvct_el0`). Reading it
costs some 20, which are in what is held. Sums are kept for sixteen groups of threads, so that counting does not make
threads wait that would not have. [Scale](scale.md) says what follows from these figures.

"""


def read(macro, row):
    """The rows of one table: what `row` understands between its #define and the next empty line."""
    with open(TABLE, encoding='utf-8') as file:
        text = file.read()
    start = text.index('\n#define %s(X)' % macro) + len(macro) + 12
    body = re.sub(r'\s*\\\n\s*', ' ', text[start:]).split('\n')[0]
    found = row.findall(body)
    if not found or len(found) != len(re.findall(r'\bX\(', body)):
        sys.exit('gen_statistics_doc.py: %d rows of %s understood in %r' % (len(found), macro, body))
    return found


def table(rows, only=' (with `-Dtelemetry=enabled`, else 0 and not in the JSON)'):
    lines = ['| name | unit | what it is | who counts |\n|---|---|---|---|\n']
    for name, unit, built, boxes, text in rows:
        lines.append('| `%s` | %s | %s%s | %s |\n' % (name, UNITS[unit], text, only if built == 'TELEMETRY' else '', boxes))
    return ''.join(lines)


def example(process, classes, extra):
    """The JSON of EXAMPLE, if it has what the tables say, in their order."""
    extra = [row[0] for row in extra if row[2] == 'ALWAYS']
    keys = extra[:3] + [row[0] for row in process if row[2] == 'ALWAYS'] + extra[3:]
    class_keys = [row[0] for row in classes if row[2] == 'ALWAYS']
    if list(EXAMPLE) != keys or list(EXAMPLE_CLASS) != class_keys:
        sys.exit('gen_statistics_doc.py: EXAMPLE has other keys than the tables: %s' %
                 ', '.join(sorted(set(EXAMPLE) ^ set(keys) | set(EXAMPLE_CLASS) ^ set(class_keys)) or ['the order']))
    lines = ['  "%s": %s' % (key, json.dumps(value)) for key, value in EXAMPLE.items() if key != 'classes']
    lines.append('  "classes": [\n    %s\n  ]' % json.dumps(EXAMPLE_CLASS))
    return '```json\n{\n%s\n}\n```\n' % ',\n'.join(lines)


def page():
    process, classes, extra = (read('HK_STATISTICS', ROW), read('HK_CLASS_STATISTICS', ROW),
                               read('HK_JSON_ONLY', JSON_ROW))
    locks = read('HK_LOCK_STATISTICS', ROW)
    known = {row[0] for row in process}
    unknown = (set(NOTES) | {name for name, _ in SUMS}) - known
    unknown |= set(re.findall('`([a-z_]+)`', ' '.join(text for _, text in SUMS))) - known - {row[0] for row in classes}
    if unknown:
        sys.exit('gen_statistics_doc.py: sentences on statistics that are not there: %s' % ', '.join(sorted(unknown)))
    parts = [HEAD, '## Of the process\n\n', table(process), '\n']
    parts += ['- `%s`: %s\n' % (row[0], NOTES[row[0]]) for row in process if row[0] in NOTES]
    parts += ['\n## Of a class\n\n', table(classes)]
    parts += [LOCKS, table(locks, '')]
    parts += ['\n## What adds up\n\nWhile the program is quiet:\n\n| figure | is |\n|---|---|\n']
    parts += ['| `%s` | %s |\n' % row for row in SUMS]
    parts += ['\n## The JSON\n\nOne object. Beside the statistics of the process it has\n\n| key | unit | what it is |\n'
              '|---|---|---|\n']
    parts += ['| `%s` | %s | %s%s |\n' % (name, UNITS[unit], text, ONLY if built == 'TELEMETRY' else '')
              for name, unit, built, _, text in extra]
    parts += ['\nAt the end of a program that keeps 40 MiB, with one of its classes:\n\n',
              example(process, classes, extra)]
    return ''.join(parts)


if __name__ == '__main__':
    sys.exit(generated_page.main(PAGE, page()))
