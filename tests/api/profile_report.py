#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HAKMEM_PROFILE: the files it writes, read by readers of their formats, and sampled profiles against exact ones.

usage: profile_report.py LIBHAKMEM PROGRAM
PROGRAM (profile_subject) asks for known amounts of memory in functions that are known, and takes 1 for twice as much.
"""
import gzip
import json
import math
import os
import re
import subprocess
import sys
import tempfile

LIMIT = 120  # seconds that anything may take
PYTHON_3 = '/usr/bin/python3' if os.access('/usr/bin/python3', os.X_OK) else sys.executable  # Debian's before others
PYTHON = '''
import json
kept = [str(i) * 3 for i in range(120000)]
table = {i: bytes(200) for i in range(60000)}
text = json.dumps([{'name': 'x' * (i % 60), 'values': list(range(i % 30))} for i in range(8000)])
parsed = json.loads(text)
'''


def environment(library, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options, LD_PRELOAD=library, PYTHONMALLOC='malloc', PYTHONHASHSEED='0')
    return env


def run(library, command, **options):
    return subprocess.run(command, env=environment(library, **options), capture_output=True, timeout=LIMIT)


# ---- profile.proto ----

def fields(data):
    """(field, value) of a message: numbers, and bytes of what has a length."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        else:
            assert tag & 7 == 2, tag
            length = number()
            assert at + length <= len(data)
            yield tag >> 3, data[at:at + length]
            at += length


def numbers(data):
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    assert shift == 0
    return found


def read_proto(path):
    """(types, [(stack outermost first, values, labels)], everything else)."""
    with gzip.open(path) as file:  # checks the sums
        message = list(fields(file.read()))
    strings = [value.decode('utf-8') for field, value in message if field == 6]
    assert strings[0] == ''

    def parts(field):
        return [dict(fields(value)) for found, value in message if found == field]
    types = [(strings[t[1]], strings[t[2]]) for t in parts(1)]
    mappings = {m[1]: m for m in parts(3)}
    for m in mappings.values():
        assert m[2] < m[3] and strings[m.get(5, 0)] is not None
    functions = {f[1]: strings[f[2]] for f in parts(5)}
    locations = {}
    for location in parts(4):
        line = dict(fields(location[4]))
        name = functions[line[1]]
        assert location[1] not in locations and location[3] != 0
        if 2 in location:
            mapping = mappings[location[2]]
            assert mapping[2] <= location[3] < mapping[3]
        locations[location[1]] = name
    samples = []
    for field, value in message:
        if field != 2:
            continue
        sample = list(fields(value))
        ids = [i for f, v in sample if f == 1 for i in numbers(v)]
        values = [i for f, v in sample if f == 2 for i in numbers(v)]
        labels = {}
        for f, v in sample:
            if f == 3:
                label = dict(fields(v))
                labels[strings[label[1]]] = strings[label[2]] if 2 in label else label.get(3, 0)
        assert len(values) == len(types)
        samples.append((tuple(locations[i] for i in reversed(ids)), values, labels))
    rest = dict((f, v) for f, v in message if f in (7, 9, 10, 12, 13, 14))
    assert strings[rest[14]] in [name for name, _ in types]
    re.compile(strings[rest[7]])
    build_ids = [strings[m[6]] for m in mappings.values() if m.get(6, 0)]
    assert any(re.fullmatch('[0-9a-f]{16,40}', i) for i in build_ids), build_ids
    assert any('libc' in strings[m.get(5, 0)] for m in mappings.values())
    return [name for name, _ in types], samples, rest


# ---- the other two ----

def read_folded(path):
    found = {}
    with open(path, encoding='utf-8') as file:
        for line in file:
            stack, _, value = line.rstrip('\n').rpartition(' ')
            found[tuple(stack.split(';'))] = found.get(tuple(stack.split(';')), 0) + int(value)
    return found


def read_page(path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    for word in ('http://', 'https://', 'src=', '@import', 'url('):
        assert word not in text, word
    assert text.rstrip().endswith('</html>')
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    assert len(data['names']) == len(data['files'])
    for row in data['rows']:
        assert len(row) == 9 and all(0 <= f < len(data['names']) for f in row[8])
    return data


# ---- tests ----

def check_formats(library, program, folder):
    """The same profile, of all blocks, in three files: the same sums, which are known."""
    paths = {}
    for end in ('folded', 'live.folded', 'total.folded', 'pb.gz', 'html'):
        paths[end] = os.path.join(folder, 'f.' + end)
        done = run(library, [program], HAKMEM_PROFILE=paths[end] + ',1')
        assert done.returncode == 0 and done.stderr == b'', done
    tiny, dropped, thread = map(int, done.stdout.split())
    types, samples, rest = read_proto(paths['pb.gz'])
    assert types == ['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space', 'peak_objects', 'peak_space'], types
    assert rest[12] == 1 and 13 not in rest
    page = read_page(paths['html'])
    known = {  # function: (bytes, blocks), live, at the peak and in all
        'subject_keep': [(tiny * 20000, 20000)] * 3,
        'subject_peak': [(0, 0), (65536 * 100, 100), (65536 * 100, 100)],
        'subject_drop': [(0, 0), (0, 0), (dropped * 50000, 50000)],
        'subject_thread': [(thread * 3000, 3000)] * 3,
    }
    for name, sums in known.items():
        mine = [(v, labels) for stack, v, labels in samples if name in stack]
        proto = [(sum(v[2 * k + 1] for v, _ in mine), sum(v[2 * k] for v, _ in mine)) for k in (1, 2, 0)]
        rows = [row for row in page['rows'] if name in [page['names'][f] for f in row[8]]]
        html = [(sum(row[2 * k + 3] for row in rows), sum(row[2 * k + 2] for row in rows)) for k in (0, 1, 2)]
        folded = [sum(v for stack, v in read_folded(paths[end]).items() if name in stack)
                  for end in ('live.folded', 'folded', 'total.folded')]
        assert proto == sums and html == sums, (name, sums, proto, html)
        assert folded == [b for b, _ in sums], (name, sums, folded)
        assert all(labels['bytes'] * v[0] == v[1] for v, labels in mine)
        if name == 'subject_thread':
            assert all(labels['thread'] == 'a-worker' for _, labels in mine), mine
    return page


def check_agrees(what, sampled, exact, interval, block):
    """Top stacks of a sampled profile against those of an exact one; values in bytes. Five standard errors."""
    top = sorted(exact.items(), key=lambda item: -item[1])[:10]
    total = sum(exact.values())
    for stack, value in top + [('all', total)]:
        got = sum(sampled.values()) if stack == 'all' else sampled.get(stack, 0)
        error = 5 * math.sqrt(value * (interval + block)) + 5 * interval
        assert abs(got - value) <= error, (what, stack, got, value, error)
    covered = sum(sampled.get(stack, 0) for stack, value in top if value > 20 * interval)
    assert covered > 0, what
    print('%s: %.1f MiB sampled, %.1f exact' % (what, sum(sampled.values()) / 2**20, total / 2**20))


def by_stack(samples, at):
    found = {}
    for stack, values, _ in samples:
        found[stack] = found.get(stack, 0) + values[at]
    return found


def check_real(library, folder):
    """A program that was built without frame pointers, sampled and exactly."""
    exact_path, path = os.path.join(folder, 'exact.pb.gz'), os.path.join(folder, 'sampled.pb.gz')
    for to, interval in ((exact_path, '1'), (path, '16K')):
        done = run(library, [PYTHON_3, '-c', PYTHON], HAKMEM_PROFILE=to + ',' + interval)
        assert done.returncode == 0, done
    types, exact, _ = read_proto(exact_path)
    _, sampled, _ = read_proto(path)
    for value in ('alloc_space', 'peak_space'):
        at = types.index(value)
        check_agrees('python3 ' + value, by_stack(sampled, at), by_stack(exact, at), 16384, 65536)
    depths = [len(stack) for stack, _, _ in exact]
    assert sum(depth >= 8 for depth in depths) > len(depths) * 0.9, 'stacks are cut'


def check_messages(library, program, folder):
    def told(value):
        done = run(library, [program], HAKMEM_PROFILE=value)
        assert done.returncode == 0, done
        return done.stderr.decode()
    assert 'must end in' in told(os.path.join(folder, 'x.svg'))
    assert 'cannot be written' in told(os.path.join(folder, 'no', 'x.html'))
    for wrong in ('', '0', '12x', '-3', '99999G', '1.5', 'K'):
        path = os.path.join(folder, 'wrong.folded')
        assert 'behind the comma' in told(path + ',' + wrong), wrong
        assert os.path.exists(path)
        os.unlink(path)
    assert told(os.path.join(folder, 'right.folded,64k')) == ''
    assert told('') == ''


def check_children(library, folder):
    """Without %p the file is the parent's; with it each process has one."""
    code = 'import os\nx = [bytes(1000) for i in range(3000)]\nif os.fork() == 0:\n    raise SystemExit(0)\nos.wait()\n'
    done = run(library, [sys.executable, '-c', code], HAKMEM_PROFILE=os.path.join(folder, 'one.folded,1'))
    assert done.returncode == 0, done
    assert sum(read_folded(os.path.join(folder, 'one.folded')).values()) > 3000000
    done = run(library, [sys.executable, '-c', code], HAKMEM_PROFILE=os.path.join(folder, 'p-%p.folded,1'))
    assert done.returncode == 0, done
    names = [name for name in os.listdir(folder) if name.startswith('p-')]
    assert len(names) == 2, names


def main():
    library, program = (os.path.abspath(path) for path in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        check_formats(library, program, folder)
        check_messages(library, program, folder)
        check_children(library, folder)
        check_real(library, folder)
    print('ok')


if __name__ == '__main__':
    main()
