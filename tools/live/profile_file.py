# SPDX-License-Identifier: MIT
"""The files that a profile is written to, in the forms of the library's own (docs/profile.md): a page, pprof's profile.proto,
collapsed stacks; and JSON, which is what the page has in it.

What is added is time: of a profile that was watched for some seconds, `total` is what was asked for in these, and `then`
what was live before them.
"""
import gzip
import json
import os
import time

from memory import Trouble
from show import replace

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = os.path.join(HERE, 'profile_page.html'), os.path.join(HERE, '..', '..', 'core', 'api', 'profile_page.html')
FOLDED = '.folded', '.txt', '.collapsed'
KNOWN = ('.html', '.pb.gz', '.json') + FOLDED

# What a name may say of the sum that collapsed stacks have, and which that is of a row.
SUMS = {'.live.': 'live_bytes', '.total.': 'total_bytes', '.peak.': 'peak_bytes', '.grown.': 'grown_bytes'}

# Functions that pprof leaves out, as in core/api/profile_proto.c.
OURS = ('hk_.*|hak_.*|malloc|calloc|realloc|reallocarray|operator new.*|aligned_alloc|memalign|posix_memalign|'
        'malloc_counted|resize_or_move|move_to_new')


class Row:
    """What a stack of functions has, of blocks of one size, in one thread. Numbers of blocks, and bytes."""
    __slots__ = ('stack', 'live', 'live_bytes', 'peak', 'peak_bytes', 'total', 'total_bytes', 'then', 'then_bytes')

    def __init__(self, stack, sums, then, then_bytes):
        self.stack, self.then, self.then_bytes = stack, whole(then), whole(then_bytes)
        self.live, self.live_bytes, self.peak, self.peak_bytes, self.total, self.total_bytes = map(whole, sums)

    @property
    def grown(self):
        return self.live - self.then

    @property
    def grown_bytes(self):
        return self.live_bytes - self.then_bytes

    def is_empty(self):
        return not (self.live or self.peak_bytes or self.total or self.then)


def whole(value):
    """As files have it: 0 where rounding has left less."""
    return int(value + 0.5) if value > 0 else 0


def plain(text):
    """What is no ASCII may be no UTF-8 either."""
    return ''.join(c if ' ' <= c <= '~' else '?' for c in text)


class Told:
    """What is written: rows, and what all of them are of."""

    def __init__(self, program, pid, symbols):
        self.program, self.pid, self.symbols = program, pid, symbols
        self.rows, self.sums, self.seconds = [], (0,) * 6, None
        self.interval = self.samples = self.lost = self.began = 0
        self.date = int(time.time())

    def function(self, address):
        return self.symbols.functions[address]


# ---- the page, and JSON ----

def as_data(told):
    """What core/api/profile_page.c puts into the page. Behind the stack of a row there is what was live before, if that is
    known."""
    numbers, names, files, rows = {}, [], [], []

    def number(address):
        function = told.function(address)
        key = function.name, function.path, function.start
        if key not in numbers:
            numbers[key] = len(names)
            names.append(plain(function.name))
            files.append(plain(function.path))
        return numbers[key]

    for row in told.rows:
        rows.append([plain(row.stack.thread), row.stack.bytes, row.live, row.live_bytes, row.peak, row.peak_bytes, row.total,
                     row.total_bytes, [number(address) for address in reversed(row.stack.addresses)]])
        if told.seconds is not None:
            rows[-1].append([row.then, row.then_bytes])
    data = {'program': plain(told.program), 'pid': told.pid, 'date': told.date, 'interval': told.interval,
            'samples': told.samples, 'lost': told.lost, 'sums': [0, *map(whole, told.sums)], 'names': names, 'files': files,
            'rows': rows}
    if told.seconds is not None:
        data['seconds'] = round(told.seconds, 1)
    return data


def as_json(told):
    return json.dumps(as_data(told)) + '\n'


def as_page(told):
    for path in TEMPLATES:
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                template = file.read()
            break
    else:
        raise Trouble('other', 'there is no %s: this hakmem is not whole' % TEMPLATES[0])
    text = json.dumps(as_data(told)).replace('<', '\\u003c').replace('&', '\\u0026')
    return template.replace('@DATA@', text)


# ---- collapsed stacks ----

def in_line(name):
    """What would end a frame or the line."""
    return ''.join(':' if c == ';' else '?' if c < ' ' else c for c in name)


def as_folded(told, what):
    lines = []
    for row in told.rows:
        value = getattr(row, what)
        if value > 0:
            frames = [told.function(address).name for address in reversed(row.stack.addresses)] or ['[no stack]']
            lines.append('%s %d\n' % (';'.join(map(in_line, [row.stack.thread or 'thread', *frames])), value))
    return ''.join(lines)


def folded_sum(path, seconds):
    """Which sum: a part of the name says so, or else it is what was asked for in the seconds, or was there at the peak."""
    name = os.path.basename(path)
    return next((what for part, what in SUMS.items() if part in name),
                'total_bytes' if seconds is not None else 'peak_bytes')


# ---- pprof's ----

def varint(number):
    found = bytearray()
    number &= (1 << 64) - 1 # what shrinks is negative
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number, value):
    """A number, or bytes; what is 0 is left out."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b''
    return varint(number << 3 | 2) + varint(len(value)) + value


class Proto:
    """profile.proto, as core/api/profile_proto.c writes it."""

    def __init__(self, told):
        self.told, self.strings, self.parts = told, {'': 0}, []

    def text(self, string):
        return self.strings.setdefault(string, len(self.strings))

    def value_type(self, number, name, unit):
        self.parts.append(field(number, field(1, self.text(name)) + field(2, self.text(unit))))

    def head(self):
        told = self.told
        kinds = ['alloc', 'inuse', 'peak'] + (['grown'] if told.seconds is not None else [])
        for kind in kinds:
            self.value_type(1, kind + '_objects', 'count')
            self.value_type(1, kind + '_space', 'bytes')
        self.parts.append(field(14, self.text('alloc_space' if told.seconds is not None else 'peak_space')))
        self.value_type(11, 'space', 'bytes')
        seconds = told.seconds if told.seconds is not None else max(told.date - told.began, 0)
        self.parts += [field(12, told.interval), field(9, told.date * 10**9), field(10, int(seconds * 10**9)),
                       field(7, self.text(OURS))]
        if told.lost:
            self.parts.append(field(13, self.text('hakmem had no memory for some records: what they held is missing')))

    def places(self, modules):
        """Of each address: the one inside the call, and not the one behind it."""
        functions, numbers = {}, {}
        for address in sorted({address for row in self.told.rows for address in row.stack.addresses}):
            function, module = self.told.function(address), self.told.symbols.places[address]
            key = function.name, function.path, function.start
            if key not in functions:
                functions[key] = len(functions) + 1
                self.parts.append(field(5, field(1, functions[key]) + field(2, self.text(plain(function.name))) +
                                        field(3, self.text(plain(function.symbol or function.name)))))
            numbers[address] = len(numbers) + 1
            self.parts.append(field(4, field(1, numbers[address]) + field(2, modules.get(module, 0)) +
                                    field(3, address - 1) + field(4, field(1, functions[key]))))
        return numbers

    def mappings(self):
        modules = {module: i + 1 for i, module in enumerate(self.told.symbols.modules)}
        for module, number in modules.items():
            self.parts.append(field(3, field(1, number) + field(2, module.start) + field(3, module.end) + field(
                4, module.offset) + field(5, self.text(plain(module.path))) + field(6, self.text(module.build_id)) +
                field(7, int(module.named))))
        return modules

    def samples(self, numbers):
        thread, size = self.text('thread'), self.text('bytes')
        for row in self.told.rows:
            values = [row.total, row.total_bytes, row.live, row.live_bytes, row.peak, row.peak_bytes]
            values += [row.grown, row.grown_bytes] if self.told.seconds is not None else []
            message = field(1, b''.join(varint(numbers[address]) for address in row.stack.addresses))
            message += field(2, b''.join(map(varint, values)))
            message += field(3, field(1, size) + field(3, row.stack.bytes) + field(4, size))
            if row.stack.thread:
                message += field(3, field(1, thread) + field(2, self.text(plain(row.stack.thread))))
            self.parts.append(field(2, message))

    def whole(self):
        self.head()
        self.samples(self.places(self.mappings()))
        return b''.join(self.parts + [field(6, text.encode()) for text in self.strings])


def as_proto(told):
    return gzip.compress(Proto(told).whole(), 6, mtime=0)


# ---- all ----

def is_known(path):
    return path.endswith(KNOWN)


def write(told, path):
    """The end of the name chooses. Whole or not at all."""
    if path.endswith('.pb.gz'):
        replace(as_proto(told), path)
    elif path.endswith(FOLDED):
        replace(as_folded(told, folded_sum(path, told.seconds)), path)
    elif path.endswith('.json'):
        replace(as_json(told), path)
    else:
        replace(as_page(told), path)
