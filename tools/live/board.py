# SPDX-License-Identifier: MIT
"""The board of a process on hakmem: found, followed, and made into the figures that `hak_stats` has.

core/api/board.h says what a board is, core/api/board_list.h what is on it: the two lists here are the same ones (the test
`lint/board` compares). The process goes on meanwhile, so every walk has a bound and every number is doubted.
"""
import operator
import struct

from memory import Moved, Trouble

VERSION = 2
MAGIC = b'hakmem\0\0'
HEAD = struct.Struct('<8sIHH16s16s')

NUMBERS = '''classes class_bytes heap_link_at heap_state_at heap_alive heap_shared_at heap_refills_at heap_flushes_at
heap_chains_at thread_seen_at thread_metrics_at thread_own_at bin_kind bins_at bin_bytes back_at back_bytes back_count_at
superslab_bytes superslab_link_at superslab_empty_at superslab_unused_at superslab_huge_at superslab_slabs_at slabs
slab_size slab_bytes slab_used_at slab_carved_at slab_capacity_at slab_class_at slab_length_at slab_state_at
slab_remote_at remote_shift stages huge_buckets page unit_size tables_mib transfer_places transfer_count_at
superslab_purged_at superslab_owners_at private_at private_bytes transfer_nodes'''.split()

PLACES = '''classes_table heaps orphan_heap pool pool_owned_slabs arena_run_pages arena_dirty_pages
huge meta side_chunks side space_base space_units os locks purge peak transfer percpu profile'''.split()

BIN_HIDDEN, BIN_ARRAY, BIN_RING, BIN_LIST, BIN_SHELF = range(5)


# ---- where it is ----

def parse_notes(data):
    """The distance from the note's contents to the board and the offset of these contents in `data`, or None."""
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from('<III', data, at)
        name, contents = at + 12, at + 12 + (name_size + 3 & ~3)
        if data[name:name + name_size] == b'hakmem\0' and kind == 1 and contents + 8 <= len(data):
            return struct.unpack_from('<i', data, contents)[0], contents
        at = contents + (size + 3 & ~3)
    return None


def notes_of(process, start):
    """(address, bytes) of each PT_NOTE of the ELF file mapped at `start`."""
    head = process.read(start, 64)
    if head[:6] != b'\x7fELF\x02\x01':
        return
    offset, = struct.unpack_from('<Q', head, 32)
    entry, count = struct.unpack_from('<HH', head, 54)
    if entry != 56 or not 0 < count <= 64 or offset > 4096:
        return
    table = process.read(start + offset, entry * count)
    parts = [struct.unpack_from('<IIQQQQQ', table, i * entry) for i in range(count)]
    bias = [start - (address & -4096) for kind, _, at, address, _, _, _ in parts if kind == 1 and at == 0]
    for kind, _, _, address, _, size, _ in parts:
        if kind == 4 and bias and size <= 65536:
            yield address + bias[0], process.read(address + bias[0], size)


class Finder:
    """Finds boards, and remembers which files have none: most processes share most of their libraries."""

    def __init__(self):
        self.without = set()

    def addresses(self, process):
        for mapping in process.maps():
            if mapping.offset != 0 or mapping.path.startswith('[') or mapping.file[1] == '0':
                continue
            if mapping.file in self.without:
                continue
            try:
                found = [at + contents + distance
                         for at, data in notes_of(process, mapping.start)
                         for distance, contents in [parse_notes(data) or (None, None)] if distance is not None]
            except Moved:
                continue
            if not found:
                self.without.add(mapping.file)
            yield from found

    def find(self, process):
        """The board of a process; of several, the one that has memory. Trouble: there is none that we can read."""
        boards, trouble = [], None
        for address in self.addresses(process):
            try:
                boards.append(Board(process, address))
            except Moved:
                continue
            except Trouble as error:
                trouble = error
        if not boards:
            raise trouble or Trouble('none', 'process %d does not run on hakmem' % process.pid)
        return max(boards, key=lambda board: board.has_memory())


# ---- what it says ----

class Board:
    def __init__(self, process, address):
        self.process, self.address = process, address
        data = process.read(address, HEAD.size)
        magic, version, numbers, places, release, front = HEAD.unpack(data)
        if magic != MAGIC or numbers > 1024 or places > 1024:
            raise Moved
        self.release = release.partition(b'\0')[0].decode('ascii', 'replace')
        self.front = front.partition(b'\0')[0].decode('ascii', 'replace')
        if version != VERSION:
            raise Trouble('other', 'process %d runs hakmem %s, whose board has layout %d; this command reads layout %d'
                          % (process.pid, self.release, version, VERSION))
        rest = process.read(address + HEAD.size, places * 8 + numbers * 4)
        place = struct.unpack_from('<%dQ' % places, rest)
        number = struct.unpack_from('<%dI' % numbers, rest, places * 8)
        self.place = dict(zip(PLACES, place))
        self.number = dict(zip(NUMBERS, number))
        if len(self.place) < len(PLACES) or len(self.number) < len(NUMBERS):
            raise Trouble('other', 'process %d runs an older hakmem (%s) than this command reads'
                          % (process.pid, self.release))
        self.__dict__.update(self.number)
        if not 1 < self.classes <= 256 or self.slabs != 32 or max(number) > 1 << 22 or \
                0 in (self.class_bytes, self.bin_bytes, self.slab_size, self.slab_bytes, self.page, self.unit_size):
            raise Moved # a process may say what it likes
        self.known, self.superslab_sums, self.tables = {}, {}, (None, []) # of the last look (reading.py)
        self.slab_form, self.slab_fields = self.form_of_slab()
        table = process.read(self.place['classes_table'], self.classes * self.class_bytes)
        self.sizes = [struct.unpack_from('<I', table, i * self.class_bytes)[0] for i in range(self.classes)]

    def form_of_slab(self):
        """A Struct that takes what is wanted of a slab's record, and what brings that into the order used, carved,
        capacity, class, length, state, remote."""
        wanted = ((self.slab_used_at, 'I', 4), (self.slab_carved_at, 'I', 4), (self.slab_capacity_at, 'I', 4),
                  (self.slab_class_at, 'B', 1), (self.slab_length_at, 'B', 1), (self.slab_state_at, 'B', 1),
                  (self.slab_remote_at, 'Q', 8))
        form, at = '<', 0
        for offset, letter, size in sorted(wanted):
            if offset < at:
                raise Moved
            form += '%dx%s' % (offset - at, letter)
            at = offset + size
        places = [sorted(wanted).index(each) for each in wanted]
        return struct.Struct('%s%dx' % (form, self.slab_bytes - at)), operator.itemgetter(*places)

    def has_memory(self):
        try:
            return self.process.word(self.place['space_base']) != 0
        except Moved:
            return False

    def still_there(self):
        """The process runs the same program on the same library."""
        try:
            data = self.process.read(self.address, HEAD.size)
        except Moved:
            return False
        return data[:8] == MAGIC

    def inner(self, name, index=0):
        """An address out of a box's own list."""
        return self.process.word(self.place[name] + index * 8)

    def count(self, name, index=None):
        """A word of the process, by the name of its place, or of a box's own list; 0 where the build has none."""
        if self.place[name] == 0:
            return 0
        return self.process.word(self.place[name] if index is None else self.inner(name, index))
