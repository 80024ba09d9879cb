# SPDX-License-Identifier: MIT
"""Figures as people read them, as JSON, and where they are written to."""
import contextlib
import json
import os
import sys

from reading import PARTS
from memory import Trouble

# What resident memory is made of, in a word or three.
NAMES = {'live_resident_bytes': 'live', 'front_bytes': 'front caches', 'slab_free_bytes': 'free beside live',
         'empty_bytes': 'EMPTY slabs', 'run_free_bytes': 'free page runs', 'metadata_bytes': 'records'}

SENTENCES = {
    'live_bytes': "in the program's hands, in block sizes, touched or not; page runs and huge blocks whole",
    'live_resident_bytes': 'resident part of live_bytes',
    'front_bytes': 'free, in front caches for their thread or on the way to their owner',
    'slab_free_bytes': 'resident and free beside live blocks of the same class',
    'empty_bytes': 'resident in EMPTY slabs, free for any class',
    'run_free_bytes': 'resident in free page runs, for blocks above 32 KiB',
    'metadata_bytes': 'resident records of the allocator itself',
    'resident_bytes': 'resident pages of all of hakmem\'s mappings',
    'process_resident_bytes': 'resident pages of the whole process',
    'mapped_bytes': 'address space held, most of it untouched',
    'peak_mapped_bytes': 'the most that mapped_bytes was so far',
    'peak_live_bytes': 'the most that live_bytes was so far; slabs of small blocks count whole',
    'run_bytes': 'part of live_bytes above 32 KiB, in page runs',
    'huge_bytes': 'part of live_bytes above 32 MiB, in mappings of their own',
    'huge_blocks': 'blocks in huge_bytes',
    'slab_blocks': 'blocks of classes in the program\'s hands',
    'threads': 'threads that have a heap now',
    'superslabs': 'SuperSlabs of 2 MiB in use',
    'refilled': 'blocks moved from slabs to fronts: mallocs that a front cache had not',
    'flushed': 'blocks moved from fronts to slabs: frees that a front cache had no room for',
    'refills': 'batches of these',
    'flushes': 'batches of these',
    'remote_chains': 'chains of blocks pushed to slabs of other threads',
    'os_calls': 'system calls made to manage memory',
    'lock_waits': 'times a thread found a lock of hakmem\'s held, and waited',
    'purged_bytes': 'given back to the system since the start',
    'minor_faults': 'page faults of the process without a read',
    'major_faults': 'page faults of the process that read a file or swap',
    'processor_seconds': 'processor time of the process',
    'hot_slabs': 'owned slabs of which more than three quarters are used',
    'cold_slabs': 'the other owned slabs',
    'acquired_partial': 'slabs taken over from threads that ended',
    'acquired_empty': 'EMPTY slabs taken from the shared pool',
    'acquired_unused': 'UNUSED slabs taken from the shared pool',
    'acquired_new': 'slabs for which a SuperSlab was made',
}

CLASS_COLUMNS = ('block_bytes', 'slabs', 'live_blocks', 'cached_blocks', 'free_blocks', 'live_bytes', 'resident_bytes',
                 'refilled', 'flushed')


def size(number):
    """800 bytes, 1.5 KiB, 207.0 MiB: as the library writes it."""
    if number < 1024:
        return '%d bytes' % number
    value, unit = float(number), 0
    while value >= 1024 and unit < 4:
        value, unit = value / 1024, unit + 1
    return '%.1f %s' % (value, ('', 'KiB', 'MiB', 'GiB', 'TiB')[unit])


def in_column(number, step, letters):
    """At most three digits, and the letter of a power of `step`; above the last letter more digits."""
    value, power = float(number), 0
    while value >= 999.5 and power < len(letters):
        value, power = value / step, power + 1
    if power == 0:
        return '%.0f' % value
    return ('%.1f%s' if value < 99.95 else '%.0f%s') % (value, letters[power - 1])


def short(number):
    """The same in a column: 800, 1.5K, 207M."""
    return in_column(number, 1024, 'KMGTP')


def rate(number):
    """A count for each second, in a column: 12, 1.5k, 2.0M (thousands)."""
    return in_column(number, 1000, 'kMGT')


# ---- what a reading looks like ----

def used(reading):
    """The classes that were ever used."""
    return [c for c in reading.classes if c['slabs'] + c['refills'] != 0]


def as_json(reading):
    """The names of docs/statistics.md, as far as they can be told from outside, and those of docs/live.md."""
    process = reading.process
    found = {'version': 1, 'hakmem': reading.board.release, 'front': reading.board.front, 'pid': process.pid,
             'command': process.name(), 'counted': reading.counted}
    found.update({name: value for name, value in reading.of.items() if name != 'started'})
    found['classes'] = used(reading)
    return found


def as_page(reading):
    of, process = reading.of, reading.process
    lines = ['hakmem %s (%s), process %d: %s' % (reading.board.release, reading.board.front, process.pid,
                                                 process.name()[:100])]
    lines.append(' The program has %s, for which %s is resident; the whole process has %s.' % (
        size(of['live_bytes']), size(of['resident_bytes']), size(of['process_resident_bytes'])))
    whole = max(of['resident_bytes'], 1)
    lines.append(' Of %s resident:' % size(of['resident_bytes']))
    for name in PARTS:
        lines.append('  %5.1f %%  %-12s %s' % (of[name] * 100 / whole, size(of[name]), SENTENCES[name]))
    if reading.counted:
        lines.append(' (The kernel does not tell which pages are resident: what was touched counts, and records do not.)')
    lines.append(' figures (docs/statistics.md and docs/live.md have more of each)')
    for name, sentence in SENTENCES.items():
        if name in of:
            value = of[name]
            text = size(value) if name.endswith('_bytes') else '%.2f' % value if isinstance(value, float) else str(value)
            lines.append('  %-24s %14s  %s' % (name, text, sentence))
    lines.append(' classes')
    lines.append(''.join('%16s' % name for name in CLASS_COLUMNS))
    for c in used(reading):
        lines.append(''.join('%16d' % c[name] for name in CLASS_COLUMNS))
    return '\n'.join(lines) + '\n'


# ---- where to ----

def as_text(value):
    return json.dumps(value, indent=1) + '\n'


def write(text, path):
    """To a file, made anew, or to standard output. A reader that goes away is no fault."""
    if path is None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return
    replace(text, path)


def replace(contents, path):
    """A text, or bytes. Whole or not at all where that is possible: whoever reads it meanwhile has the one before."""
    data = contents if isinstance(contents, bytes) else contents.encode('utf-8')
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, 'wb') as file:
                file.write(data)
            return
        beside = '%s.%d.part' % (path, os.getpid())
        try:
            with open(beside, 'wb') as file:
                file.write(data)
            os.replace(beside, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)
    except OSError as error:
        raise Trouble('file', '%s cannot be written: %s' % (path, error.strerror)) from None


def check_file(path):
    """Before anything is done: can the file be made? It is not left behind."""
    try:
        new = not os.path.lexists(path)
        with open(path, 'a', encoding='utf-8'):
            pass
        if new:
            os.unlink(path)
    except OSError as error:
        raise Trouble('file', '%s cannot be written: %s' % (path, error.strerror)) from None
