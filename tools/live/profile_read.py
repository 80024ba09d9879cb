# SPDX-License-Identifier: MIT
"""The heap profile that a process makes (HAKMEM_PROFILE, hak_profile_start), read from outside: what each stack has, had
when most was live, and asked for in all.

Records are added and never unmapped; what each is of, a stack, a block size and a thread's name, stays as it is. So that is
read once, and its sums at each look. core/box/profile.c has them, in the form that it says itself (hk_profile_form).
"""
import struct

from memory import Moved, Trouble

# What hk_profile_seen leads to, in order.
PLACES = 'slots slot_count number moment samples lost began sums interval now form'.split()
# What hk_profile_form says: offsets in a record, and where its addresses begin.
FORM = 'sums moment bytes number depth thread addresses'.split()

SUMS = ('live', 'live_bytes', 'peak', 'peak_bytes', 'total', 'total_bytes')
DEEPEST, NAME = 96, 16
MOST_RECORDS = 1 << 18
TRIES = 5

NO_PROFILE = ('process %d makes no profile: it has to be started with one (hakmem run --profile -- COMMAND, or '
              'HAKMEM_PROFILE=PATH in its environment), or to call hak_profile_start()')


class Stack:
    """What a record is of. `addresses` are return addresses, the innermost first."""
    __slots__ = ('bytes', 'thread', 'addresses')

    def __init__(self, size, thread, addresses):
        self.bytes, self.thread, self.addresses = size, thread, addresses


class Look:
    """The profile at one moment: `sums` of all, and `rows`, of each record by its address."""

    def __init__(self, number, sums, rows):
        self.number, self.sums, self.rows = number, sums, rows
        self.on = self.interval = self.samples = self.lost = self.began = 0


class Profile:
    """Of one process. Trouble: it makes none, or runs a hakmem without."""

    def __init__(self, board):
        self.process, self.stacks, self.kept = board.process, {}, {}
        try:
            self.place = dict(zip(PLACES, struct.unpack('<%dQ' % len(PLACES), self.process.read(
                board.place['profile'], 8 * len(PLACES)))))
            self.form = dict(zip(FORM, struct.unpack('<%dI' % len(FORM), self.process.read(
                self.place['form'], 4 * len(FORM)))))
        except Moved:
            raise Trouble('other', 'process %d cannot be read' % board.process.pid) from None
        if max(self.form.values()) > 4096 or self.form['addresses'] < max(self.form.values()):
            raise Trouble('other', 'process %d says of its profile what makes no sense' % board.process.pid)

    # ---- words ----

    def word(self, name):
        return self.process.word(self.place[name])

    def half(self, name):
        return self.process.half(self.place[name])

    def number(self):
        """Of the profile that the records are of; 0: there was none."""
        return self.half('number')

    # ---- records ----

    def slots(self):
        """The addresses of all records. Moved: the table has just grown."""
        slots, count = self.word('slots'), self.word('slot_count')
        if slots == 0:
            return []
        if count > 4 * MOST_RECORDS:
            raise Moved
        table = struct.unpack('<%dQ' % count, self.process.read(slots, 8 * count))
        if (slots, count) != (self.word('slots'), self.word('slot_count')):
            raise Moved
        return [address for address in table if address != 0]

    def read_stacks(self, heads):
        """Of the records that were not there before: (address, first bytes) of each."""
        form, new = self.form, []
        for address, head in heads:
            depth, = struct.unpack_from('<I', head, form['depth'])
            size, = struct.unpack_from('<Q', head, form['bytes'])
            thread = head[form['thread']:form['thread'] + NAME].partition(b'\0')[0].decode('latin-1')
            if depth > DEEPEST:
                raise Moved
            new.append((address, Stack(size, thread, ()), depth))
        deep = [(address, stack, depth) for address, stack, depth in new if depth != 0]
        data = self.process.read_all([(address + form['addresses'], 8 * depth) for address, _, depth in deep])
        for (_, stack, depth), part in zip(deep, data):
            stack.addresses = struct.unpack('<%dQ' % depth, part)
        self.stacks.update((address, stack) for address, stack, _ in new)

    def read_rows(self, number, moment):
        """The sums of each record of the profile of that number."""
        addresses, form = self.slots(), self.form
        heads = self.process.read_all([(address, form['addresses']) for address in addresses])
        rows, new = {}, []
        for address, head in zip(addresses, heads):
            if struct.unpack_from('<I', head, form['number'])[0] != number:
                continue
            sums = struct.unpack_from('<6d', head, form['sums'])
            if struct.unpack_from('<Q', head, form['moment'])[0] < moment: # as it was when most was live
                sums = sums[:2] + sums[:2] + sums[4:]
            rows[address] = sums
            if address not in self.stacks:
                new.append((address, head))
        self.read_stacks(new)
        return rows

    def look_once(self):
        """A Look, and whether nothing was sampled meanwhile."""
        number, moment, samples = self.number(), self.word('moment'), self.word('samples')
        sums = struct.unpack('<6d', self.process.read(self.place['sums'], 48))
        look = Look(number, sums, self.read_rows(number, moment) if number != 0 else {})
        look.on, look.samples, look.lost = self.half('now') != 0, samples, self.word('lost')
        look.interval, look.began = self.word('interval'), self.word('began')
        return look, (number, moment, samples) == (self.number(), self.word('moment'), self.word('samples'))

    def look(self):
        """A Look: of a busy process the parts are of slightly different moments. Trouble: there is no profile. Moved: it
        runs another program now."""
        for attempt in range(TRIES):
            try:
                look, quiet = self.look_once()
            except (Moved, struct.error):
                if attempt + 1 == TRIES:
                    raise Moved from None
                continue
            if look.number == 0:
                raise Trouble('none', NO_PROFILE % self.process.pid)
            if quiet:
                break
        return look
