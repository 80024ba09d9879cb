# SPDX-License-Identifier: MIT
"""One look at a process on hakmem: the figures of `hak_stats`, under their names, worked out from outside.

What is live is what slabs have handed out, less what front caches, arrays between them and chains hold, and whole page
runs and huge blocks. What is resident is asked of the kernel page by page (/proc/PID/pagemap); where that is not told,
what was ever touched counts (`counted`). A busy program is seen at slightly different moments.
"""
import glob
import struct
import time

from board import BIN_ARRAY, BIN_HIDDEN, BIN_LIST, BIN_RING, BIN_SHELF
from memory import PAGE, Moved

MOST_UNITS = 1 << 22
LONGEST = 5 # slabs of a span
MOST_RECORDS = 1 << 22


class ClassSums:
    __slots__ = ('slabs', 'hot', 'used', 'front', 'remote', 'carved', 'resident', 'refills', 'flushes', 'refilled',
                 'flushed')

    def __init__(self):
        for name in self.__slots__:
            setattr(self, name, 0)


class Reading:
    """The figures: `of` by name, `classes` a list of dictionaries by name, smallest blocks first."""

    def __init__(self, board, patient=True):
        """`patient`: where a list made no sense, this look is given up (Moved); else it is told as far as it went."""
        self.board, self.process, self.patient = board, board.process, patient
        self.cls = [ClassSums() for _ in range(board.classes)]
        self.of = {}
        began, self.date = time.process_time(), time.time()
        self.of.update(self.process.figures())
        self.base = board.count('space_base')
        self.units = min(board.count('space_units'), MOST_UNITS)
        self.counted = False
        self.visit_heaps()
        self.visit_superslabs()
        self.add_transfers()
        self.add_large()
        self.add_records()
        self.add_sums()
        self.seconds = time.process_time() - began # of a processor, that the look took

    # ---- threads ----

    def records(self, name, first, size, link_at):
        """(address, bytes) of each record of a list. Those that were there at the last look are read in one call."""
        known = self.board.known.setdefault(name, [])
        try:
            there = dict(zip(known, self.process.read_all([(start, size) for start in known])))
        except Moved:
            there = {}
        found, address = [], first
        while address != 0 and len(found) < MOST_RECORDS:
            start = address - link_at
            data = there.pop(start, None) or self.process.read(start, size)
            found.append(start)
            yield start, data
            address, = struct.unpack_from('<Q', data, link_at)
        self.board.known[name] = found

    def heap_records(self):
        """Of threads, and of processors."""
        board = self.board
        return self.records('heaps', self.process.word(board.inner('heaps')),
                            board.thread_metrics_at + board.classes * 32, board.heap_link_at)

    def visit_heaps(self):
        board = self.board
        orphan = self.process.read(board.place['orphan_heap'], board.heap_chains_at + 8)
        sums = [self.heap_sums(orphan)]
        living, fronts, moved = 0, [], [0] * (board.classes * 4)
        form = struct.Struct('<%dQ' % (board.classes * 4))
        for start, data in self.heap_records():
            sums.append(self.heap_sums(data))
            moved = [a + b for a, b in zip(moved, form.unpack_from(data, board.thread_metrics_at))]
            state, = struct.unpack_from('<I', data, board.heap_state_at)
            seen, = struct.unpack_from('<Q', data, board.thread_seen_at)
            shared = data[board.heap_shared_at] != 0
            if state == board.heap_alive and not shared and seen != 0:
                living += 1
                fronts.append((start, seen))
        for number, c in enumerate(self.cls):
            c.refills, c.flushes, c.refilled, c.flushed = moved[number * 4:number * 4 + 4]
        refills, flushes, chains = (sum(each) for each in zip(*sums))
        self.of.update(threads=living, refills=refills, flushes=flushes, remote_chains=chains,
                       refilled=sum(c.refilled for c in self.cls), flushed=sum(c.flushed for c in self.cls))
        self.count_fronts(fronts)

    def heap_sums(self, data):
        board = self.board
        return tuple(struct.unpack_from('<Q', data, at)[0]
                     for at in (board.heap_refills_at, board.heap_flushes_at, board.heap_chains_at))

    def count_fronts(self, fronts):
        board = self.board
        if board.bin_kind == BIN_SHELF:
            self.count_shelves(fronts)
        elif board.bin_kind != BIN_HIDDEN:
            size = board.classes * board.bin_bytes
            for data in self.read_or_not([(front + board.bins_at, size) for _, front in fronts]):
                self.count_bins(data)
        if board.back_at != 0:
            size = board.classes * board.back_bytes
            for data in self.read_or_not([(start + board.back_at, size) for start, _ in fronts]):
                for number in range(1, board.classes):
                    self.cls[number].front += struct.unpack_from(
                        '<H', data, number * board.back_bytes + board.back_count_at)[0]

    def read_or_not(self, pieces):
        """As read_all, without those that are not there any more: a thread may end at any moment."""
        try:
            return self.process.read_all(pieces)
        except Moved:
            pass
        found = []
        for address, size in pieces:
            try:
                found.append(self.process.read(address, size))
            except Moved:
                continue
        return found

    def count_bins(self, data):
        board = self.board
        for number in range(1, board.classes):
            at = number * board.bin_bytes
            if board.bin_kind == BIN_ARRAY:
                current, empty = struct.unpack_from('<QH', data, at)
                self.cls[number].front += (current - empty & 0xffff) // 8
            elif board.bin_kind == BIN_RING:
                self.cls[number].front += data[at + 9] - data[at + 8] & 0xff
            elif board.bin_kind == BIN_LIST:
                self.cls[number].front += struct.unpack_from('<H', data, at + 8)[0]

    def count_shelves(self, fronts):
        """Of processors, or where there are no sequences of each thread."""
        board = self.board
        shared = self.process.word(board.inner('percpu', 0))
        if shared != 0:
            processors = min(self.process.half(board.inner('percpu', 1)), 65536)
            table = self.process.read(shared + processors * 8, processors * 8)
            shelves = struct.unpack('<%dQ' % processors, table)
        else:
            shelves = [struct.unpack('<Q', data)[0]
                       for data in self.read_or_not([(start + board.thread_own_at + 8, 8) for start, _ in fronts])]
        size = board.classes * 16
        for data in self.read_or_not([(shelf, size) for shelf in shelves if shelf != 0]):
            for number in range(1, board.classes):
                current, empty = struct.unpack_from('<QH', data, number * 16)
                self.cls[number].front += (current - empty & 0xffff) // 8

    # ---- slabs ----

    def superslab_records(self):
        board, seen = self.board, set()
        for _, data in self.records('superslabs', self.process.word(board.inner('pool', 0)), board.superslab_bytes,
                                    board.superslab_link_at):
            unit = (struct.unpack_from('<Q', data)[0] - self.base) // board.unit_size
            if unit >= self.units: # made since this look began
                self.units, self.pages = min(board.count('space_units'), MOST_UNITS), {}
            if unit in seen or not 0 <= unit < self.units: # it has left the list meanwhile, and leads elsewhere
                if self.patient:
                    raise Moved
                return
            seen.add(unit)
            yield unit, data

    def unit_pages(self, unit):
        """A byte for each page of a unit, or None: not told. Read by 64 units."""
        board, size = self.board, self.board.unit_size
        group = unit // 64
        if group not in self.pages:
            first = group * 64
            self.pages[group] = self.process.residents(self.base + first * size,
                                                       min(64, self.units - first) * size)
        pages = self.pages[group]
        if pages is None:
            self.counted = True
            return None
        each = size // PAGE
        return pages[unit % 64 * each:(unit % 64 + 1) * each]

    def unit_pages_kept(self, unit):
        """The same of what was asked for already: the process may be gone."""
        pages, each = self.pages.get(unit // 64), self.board.unit_size // PAGE
        return pages[unit % 64 * each:(unit % 64 + 1) * each] if pages is not None else None

    def visit_superslabs(self):
        board, self.pages, self.small_units = self.board, {}, set()
        self.empty_bytes, known = 0, board.superslab_sums
        sums, owned = {}, 0
        for unit, data in self.superslab_records():
            self.small_units.add(unit)
            pages = self.unit_pages(unit)
            seen = known.get(unit)
            if seen is None or seen[0] != data or seen[1] != pages: # most of a heap is as it was at the last look
                seen = data, pages, *self.sum_superslab(pages, data)
            sums[unit] = seen
            owned += seen[4]
            self.empty_bytes += seen[2]
            for number, (slabs, hot, used, carved, remote, resident) in seen[3].items():
                c = self.cls[number]
                c.slabs += slabs
                c.hot += hot
                c.used += used
                c.carved += carved
                c.remote += remote
                c.resident += resident
        expected = board.count('pool_owned_slabs')
        if self.patient and abs(owned - expected) > 32 + expected // 16:
            raise Moved # a part of the list was missed
        self.superslabs = board.superslab_sums = sums
        self.of['superslabs'] = len(self.small_units)

    def sum_superslab(self, pages, data):
        """Resident bytes of slabs that nobody owns; for each class its slabs, hot ones, used, carved and remote blocks,
        and resident bytes; and how many slabs are owned."""
        board, sizes = self.board, self.board.sizes
        each, size = board.slab_size // PAGE, board.slab_size
        empty, unused = (struct.unpack_from('<I', data, at)[0]
                         for at in (board.superslab_empty_at, board.superslab_unused_at))
        kept = empty | (unused if data[board.superslab_huge_at] else 0)
        free, of, next_one, all_owned = 0, {}, 0, 0
        slabs = data[board.superslab_slabs_at:board.superslab_slabs_at + board.slabs * board.slab_bytes]
        for index, fields in enumerate(board.slab_form.iter_unpack(slabs)):
            if index < next_one:
                continue # a later slab of a span
            used, carved, capacity, number, length, state, remote = board.slab_fields(fields)
            owned = state != 0 and 0 < number < board.classes and 0 < length <= LONGEST
            next_one = index + (length if owned else 1)
            resident = pages.count(1, index * each, next_one * each) * PAGE if pages is not None else None
            if not owned:
                free += (kept >> index & 1) * size if resident is None else resident
                continue
            all_owned += length
            used, carved = min(used, capacity), min(carved, capacity)
            if resident is None:
                resident = min(carved * sizes[number], length * size)
            sums = of.get(number)
            if sums is None:
                sums = of[number] = [0] * 6
            sums[0] += 1
            sums[1] += used * 4 > capacity * 3
            sums[2] += used
            sums[3] += carved
            sums[4] += remote >> board.remote_shift
            if board.private_at != 0: # freed by the slab's thread, and not back in it
                opened, left = struct.unpack_from('<II', data, board.private_at + index * board.private_bytes + 8)
                sums[4] += opened - left if left <= opened <= used else 0
            sums[5] += resident
        return free, of, all_owned

    def add_transfers(self):
        """What waits in the arrays between fronts counts as in a front."""
        board = self.board
        if board.place['transfer'] == 0:
            return
        nodes = len(glob.glob('/sys/devices/system/node/node[0-9]*')) # the library may have room for fewer, or for one
        places = board.transfer_places * min(max(nodes, 1), board.transfer_nodes)
        table = self.process.read(board.inner('transfer'), places * board.classes * 8)
        arrays = [(i % board.classes, address)
                  for i, address in enumerate(struct.unpack('<%dQ' % (places * board.classes), table)) if address != 0]
        counts = self.process.read_all([(address + board.transfer_count_at, 4) for _, address in arrays])
        for (number, _), data in zip(arrays, counts):
            self.cls[number].front += min(struct.unpack('<I', data)[0], 1 << 16)

    # ---- page runs, huge blocks, records ----

    def add_large(self):
        board = self.board
        page = board.page
        self.run_bytes = board.count('arena_run_pages') * page
        free = board.count('arena_dirty_pages') * page
        touched = self.run_bytes + free
        if not self.counted:
            pages = 0
            for unit in range(self.units):
                if unit not in self.small_units:
                    told = self.unit_pages(unit)
                    pages += told.count(1) if told is not None else 0
            if not self.counted:
                touched = min(touched, pages * PAGE)
        self.run_free = min(free, touched)
        self.run_resident = touched - self.run_free
        self.huge_bytes = self.huge_resident = self.huge_blocks = 0
        self.huge_sizes = []
        for start, size in self.huge_records():
            told = None if self.counted else self.process.resident_bytes(start, size)
            self.huge_bytes += size
            self.huge_blocks += 1
            self.huge_sizes.append(size)
            self.huge_resident += size if told is None else told

    def linked(self, address, size):
        """The records of a list whose links stand at their start."""
        for _ in range(MOST_RECORDS):
            if address == 0:
                return
            data = self.process.read(address, size)
            yield address, data
            address, = struct.unpack_from('<Q', data)

    def huge_records(self):
        board = self.board
        table = self.process.read(board.inner('huge'), board.huge_buckets * 8)
        for first in struct.unpack('<%dQ' % board.huge_buckets, table):
            for _, data in self.linked(first, 24):
                _, start, size = struct.unpack('<QQQ', data)
                if start != 0:
                    yield start, size

    def add_records(self):
        """The allocator's own records: regions of metadata, tables below the base, the side box's chunks."""
        board = self.board
        ranges = [(address, struct.unpack_from('<Q', data, 8)[0])
                  for address, data in self.linked(self.process.word(board.inner('meta')), 16)]
        ranges += [(address, struct.unpack_from('<Q', data, 8)[0])
                   for address, data in self.linked(board.count('side_chunks'), 16)]
        below = self.base - (board.tables_mib << 20)
        if self.base != 0 and not self.counted:
            if board.tables[0] != (self.base, self.units): # tables grow with the units
                board.tables = (self.base, self.units), [(m.start, m.end - m.start) for m in self.process.maps()
                                                         if below <= m.start and m.end <= self.base]
            ranges += board.tables[1]
        self.side_live = board.count('side', 0)
        records = 0
        for start, size in ranges:
            told = None if self.counted else self.process.resident_bytes(start, min(size, 1 << 40))
            records += told if told is not None else 0
        self.records = max(records - self.side_live, 0)

    # ---- sums ----

    def class_figures(self, number):
        """As add_class of core/api/usage.c has it."""
        c, size = self.cls[number], self.board.sizes[number]
        cached = c.front + c.remote
        live = max(c.used - cached, 0)
        live_resident = min(live * size, c.resident)
        cached_resident = min(cached * size, c.resident - live_resident)
        return {'block_bytes': size, 'slabs': c.slabs, 'hot_slabs': c.hot, 'live_blocks': live, 'cached_blocks': cached,
                'free_blocks': max(c.carved - c.used, 0), 'resident_bytes': c.resident, 'refills': c.refills,
                'flushes': c.flushes, 'refilled': c.refilled, 'flushed': c.flushed,
                'live_bytes': live * size, 'live_resident_bytes': live_resident, 'front_bytes': cached_resident,
                'slab_free_bytes': c.resident - live_resident - cached_resident}

    def add_sums(self):
        board, of = self.board, self.of
        self.classes = [self.class_figures(number) for number in range(1, board.classes)]
        small = {name: sum(c[name] for c in self.classes)
                 for name in ('live_bytes', 'live_resident_bytes', 'front_bytes', 'slab_free_bytes', 'live_blocks')}
        of['live_bytes'] = small['live_bytes'] + self.run_bytes + self.huge_bytes + self.side_live
        of['slab_blocks'] = small['live_blocks']
        of['run_bytes'], of['huge_bytes'], of['huge_blocks'] = self.run_bytes, self.huge_bytes, self.huge_blocks
        of['live_resident_bytes'] = (small['live_resident_bytes'] + self.run_resident + self.huge_resident +
                                     self.side_live)
        of['front_bytes'], of['slab_free_bytes'] = small['front_bytes'], small['slab_free_bytes']
        of['empty_bytes'], of['run_free_bytes'], of['metadata_bytes'] = self.empty_bytes, self.run_free, self.records
        of['resident_bytes'] = sum(of[name] for name in PARTS)
        of['mapped_bytes'] = board.count('os', 1)
        of['peak_mapped_bytes'] = max(board.count('os', 2), of['mapped_bytes'])
        of['os_calls'] = board.count('os', 0)
        of['lock_waits'] = board.count('locks', 0)
        of['purged_bytes'] = board.count('purge', 0)
        of['peak_live_bytes'] = max(board.count('peak', 0), of['live_bytes'])
        of['hot_slabs'] = sum(c.hot for c in self.cls)
        of['cold_slabs'] = sum(c.slabs for c in self.cls) - of['hot_slabs']
        stages = struct.unpack('<%dQ' % (board.stages * board.classes),
                               self.process.read(board.inner('pool', 1), board.stages * board.classes * 8))
        for i, name in enumerate(('partial', 'empty', 'unused', 'new')[:board.stages]):
            of['acquired_' + name] = sum(stages[i * board.classes:(i + 1) * board.classes])


# What is resident is made of these, in the order in which they are drawn.
PARTS = ('live_resident_bytes', 'front_bytes', 'slab_free_bytes', 'empty_bytes', 'run_free_bytes', 'metadata_bytes')

TRIES = 5


def look(board):
    """A Reading. A list may lead elsewhere just then: it is tried again. Moved: so often that the program is another."""
    for attempt in range(TRIES):
        try:
            return Reading(board, attempt + 1 < TRIES)
        except (Moved, struct.error, ValueError, IndexError, MemoryError): # what was read made no sense
            if attempt + 1 == TRIES or not board.still_there():
                raise Moved from None
