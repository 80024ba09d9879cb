#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The statistics at exit: HAKMEM_STATS=1 and HAKMEM_STATS=json:PATH, read with a real parser, and the two tables.

usage: stats_report.py LIBHAKMEM PROGRAM STATS TELEMETRY   (enabled or disabled: what LIBHAKMEM was built with)
PROGRAM (stats_subject) keeps 40 MiB of blocks when it ends.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

STAGES = ('partial', 'empty', 'unused', 'new')


def run(library, program, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options, LD_PRELOAD=library)
    done = subprocess.run([program], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done


def figures(tree, found=None):
    """All numbers of the tree, by the last part of their name."""
    found = {} if found is None else found
    for key, value in tree.items():
        if isinstance(value, dict):
            figures(value, found)
        elif isinstance(value, (int, float)):
            found.setdefault(key, value)
    return found


def table(text):
    """{block size or 'all': numbers} of the lines of one table."""
    found = {}
    for line in text.splitlines():
        words = re.findall(r'all|[\d.]+', line) if re.match(r'  +(\d+|all) ', line) else []
        if words:
            found[words[0] if words[0] == 'all' else int(words[0])] = [float(word) for word in words[1:]]
    return found


HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'include', 'hakmem', 'hakmem.h')
TELEMETRY = ('malloc_hits', 'malloc_misses', 'free_hits', 'free_misses', 'first_pages')


def fields(structure, telemetry):
    """The names of the fields of a structure of hakmem.h; without telemetry those that are zero then are left out."""
    with open(HEADER, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    body = re.search(r'struct %s \{(.*?)\}' % structure, text, re.S).group(1)
    names = re.findall(r'\w+ (\w+)(?:\[\w+\])?;', body)
    assert len(names) == body.count(';'), body
    return [name for name in names if telemetry or name not in TELEMETRY]


def names(tree, telemetry):
    """The JSON calls things what the structures call them, in their order."""
    own = ['hakmem', 'pid', 'process_resident_bytes', 'classes'] + ['locks', 'shared_words'] * telemetry
    expected = [name for name in fields('hak_stats', telemetry) if name != 'size']
    assert [key for key in tree if key not in own] == expected, (list(tree), expected)
    for row in tree['classes']:
        assert list(row) == fields('hak_class_stats', telemetry), row


def sums(tree):
    """What docs/statistics.md says adds up."""
    classes = tree['classes']
    parts = ['live_resident', 'front', 'slab_free', 'empty', 'run_free', 'metadata']
    assert tree['resident_bytes'] == sum(tree[part + '_bytes'] for part in parts), tree
    small = sum(row['live_blocks'] * row['block_bytes'] for row in classes)
    assert tree['live_bytes'] == tree['run_bytes'] + tree['huge_bytes'] + small, tree
    assert tree['hot_slabs'] + tree['cold_slabs'] == sum(row['slabs'] for row in classes), tree
    for name in ['acquired_' + stage for stage in STAGES] + ['hot_slabs', 'refilled', 'flushed'] + list(TELEMETRY[:4]):
        assert tree.get(name, 0) == sum(row.get(name, 0) for row in classes), (name, tree)


def locks(tree, page):
    """Each kind of lock that was taken, in the JSON and on the page, and what its figures cannot be."""
    words = ['taken', 'waited', 'held_ticks', 'held_99_ticks', 'busiest_ticks']
    found = tree['locks']
    assert {'pool', 'arena', 'heap', 'meta', 'records'} <= set(found), found
    for name, row in found.items():
        assert list(row) == words and row['taken'] > 0, (name, row)
        assert row['held_99_ticks'] <= row['held_ticks'] and row['busiest_ticks'] <= row['held_ticks'], (name, row)
    assert tree['shared_words']['system calls'] == tree['os_calls'], (tree['shared_words'], tree['os_calls'])
    lines = page.splitlines()
    at = lines.index(' locks')
    assert lines[at + 1].split() == words, lines[at + 1]
    end = lines.index(' shared words written')
    assert [line[2:24].rstrip() for line in lines[at + 2:end]] == list(found), lines[at:end]
    assert [line[2:24].rstrip() for line in lines[end + 1:]] == list(tree['shared_words']), lines[end:]


def stages(library, program, tree):
    done = run(library, program, HAKMEM_SHARED_POOL_STAGE_STATS='1')
    lines = table(done.stderr.decode())
    total = lines.pop('all')
    assert done.stderr.decode().splitlines()[0].endswith('process ' + done.stdout.decode().strip()), done.stderr
    assert lines and total[0] == sum(line[0] for line in lines.values()), done.stderr
    for taken, *parts in list(lines.values()) + [total]:
        assert taken == sum(parts[::2]) and len(parts) == 8, (taken, parts)
        for count, share in zip(parts[::2], parts[1::2]):
            assert abs(100 * count / taken - share) <= 0.1, (taken, parts)
    by_class = {row['block_bytes']: [row['acquired_' + name] for name in STAGES] for row in tree['classes']}
    for size, (taken, *parts) in lines.items():
        assert sum(by_class[size]) == taken, (size, taken, by_class[size])
    assert total[1::2] == [tree['acquired_' + name] for name in STAGES], (total, tree)


def fronts(library, program, tree, telemetry):
    done = run(library, program, HAKMEM_TINY_FRONT_METRICS='1')
    lines = table(done.stderr.decode())
    total = lines.pop('all')
    assert len(total) == (8 if telemetry else 4), done.stderr
    assert lines and total == [sum(line[i] for line in lines.values()) if i not in (5, 7) else total[i]
                               for i in range(len(total))], done.stderr
    assert total[:2] == [sum(row[name] for row in tree['classes']) for name in ('refills', 'flushes')], total
    assert total[2:4] == [tree['refilled'], tree['flushed']], total
    if telemetry:
        assert total[4] == tree['malloc_hits'] and total[6] == tree['free_hits'], (total, tree)
        calls = tree['malloc_hits'] + tree['malloc_misses']
        assert abs(100 * total[4] / calls - total[5]) <= 0.1, (total, tree)


def both_tables(library, program):
    done = run(library, program, HAKMEM_TINY_FRONT_METRICS='1', HAKMEM_SHARED_POOL_STAGE_STATS='1')
    assert len(re.findall('^hakmem .* statistics of process', done.stderr.decode(), re.M)) == 2, done.stderr


UNITS = {'bytes': 1, 'KiB': 1 << 10, 'MiB': 1 << 20, 'GiB': 1 << 30}


def amounts(line):
    """The amounts of memory in a line, in bytes."""
    return [float(number) * UNITS[unit] for number, unit in re.findall(r'([\d.]+) (bytes|KiB|MiB|GiB)', line)]


def near(one, other):
    """Is one the other as the page rounds it?"""
    return abs(one - other) <= max(0.1 * one, 200 << 10)


def page_text(lines, tree):
    """Sentences come first, then every figure under its name, and only then the classes."""
    assert lines[1].startswith(' The program has '), lines[1]
    assert near(amounts(lines[1])[0], tree['live_bytes']), lines[1]
    assert '%d blocks' % tree['live_blocks'] in lines[1], lines[1]
    share = re.fullmatch(r' (\d+) % of .* is free beside live blocks: fragmentation\.', lines[2])
    assert abs(int(share.group(1)) - 100 * tree['slab_free_bytes'] / tree['resident_bytes']) <= 1, lines[2]
    assert near(amounts(lines[2])[0], tree['resident_bytes']), lines[2]
    peak = amounts(lines[5])
    assert near(peak[0], tree['peak_live_bytes']) and near(peak[1], tree['peak_mapped_bytes']), lines[5]
    assert all(line.endswith('.') for line in lines[1:6]), lines[:6]
    named = [key for key in tree if key not in ('version', 'hakmem', 'pid', 'classes', 'first_pages', 'locks', 'shared_words')]
    found = [line.split()[0] for line in lines[7:lines.index(' classes')]]
    assert sorted(found) == sorted(named), (found, named)
    for line in lines[7:lines.index(' classes')]:
        name, value = line.split()[:2]
        shown = amounts(line)[0] if name.endswith('_bytes') and value != '0' else float(value)
        exact = tree[name]
        assert near(shown, exact) if name.endswith('_bytes') else abs(shown - exact) <= 0.1 * exact, (line, exact)


def small(library):
    """A small program's page speaks of KiB."""
    lines = run(library, '/bin/echo', HAKMEM_STATS='1').stderr.decode().splitlines()
    text = '\n'.join(lines)
    assert not re.search(r'(?<!\d)0\.0 ', text.split(' classes')[0]), text
    assert lines[1] == ' The program took no memory.' or 0 < amounts(lines[1])[0] < 1 << 20, text


def without(library, program):
    """Built without statistics: one line for each option, and no file."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(library, program, HAKMEM_STATS='json:' + folder + '/x', HAKMEM_TINY_FRONT_METRICS='1',
                   HAKMEM_SHARED_POOL_STAGE_STATS='1')
        assert os.listdir(folder) == [], os.listdir(folder)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 3 and all(line.endswith('has no effect: built with -Dstats=disabled') for line in lines), lines


def main():
    library, program = map(os.path.abspath, sys.argv[1:3])
    telemetry = sys.argv[4] == 'enabled'
    if sys.argv[3] == 'disabled':
        without(library, program)
        return 0
    plain = run(library, program)
    assert plain.stderr == b'', 'statistics that nobody asked for: %r' % plain.stderr

    page = run(library, program, HAKMEM_STATS='1')
    pid = page.stdout.strip()
    text = page.stderr.decode()
    assert pid.decode() in text.splitlines()[0], 'the page is not headed by the process id: %r' % text[:200]
    assert page.stdout == pid + b'\n', 'the page went to stdout'

    with tempfile.TemporaryDirectory() as folder:
        done = run(library, program, HAKMEM_STATS='json:' + folder + '/s-%p.json')
        pid = done.stdout.decode().strip()
        assert done.stderr == b'', done.stderr
        assert os.listdir(folder) == ['s-%s.json' % pid], os.listdir(folder)
        with open('%s/s-%s.json' % (folder, pid)) as file:
            tree = json.load(file)
    found = figures(tree)
    parts = ['live_bytes', 'front_bytes', 'slab_free_bytes', 'empty_bytes', 'run_free_bytes', 'metadata_bytes']
    for name in parts + ['resident_bytes', 'mapped_bytes', 'live_blocks', 'acquired_new', 'refills', 'flushes']:
        assert name in found, 'no %s in %r' % (name, sorted(found))
    assert found['live_bytes'] >= 40 << 20, found
    total = sum(found[name] for name in parts)
    for row in tree['classes']:
        assert row['hot_slabs'] <= row['slabs'], row
    assert found['hot_slabs'] > 0, tree
    assert ('first_pages' in tree) == ('malloc_hits' in tree) == telemetry, sorted(tree)
    if telemetry:
        pages = tree['first_pages']
        assert list(pages) == ['C%d' % i for i in range(8)] + ['MID', 'L25', 'HUGE', 'SSM'], pages
        assert pages['C0'] >= 2560 and pages['MID'] >= 2560 and pages['L25'] >= 5120 and pages['SSM'] > 0, pages
    if telemetry:
        locks(tree, text)
    page_text(text.splitlines(), tree)
    small(library)
    names(tree, telemetry)
    sums(tree)
    stages(library, program, tree)
    fronts(library, program, tree, telemetry)
    both_tables(library, program)
    apart = abs(total - found['resident_bytes'])
    assert apart <= found['resident_bytes'] * 0.02, 'parts %d, resident %d' % (total, found['resident_bytes'])
    return 0


if __name__ == '__main__':
    sys.exit(main())
