# SPDX-License-Identifier: MIT
"""What lies at the return addresses of a process: the file, and the function's name.

Worked out from outside as core/api/profile_elf.c does it inside, so that a function has one name in both: by the file's own
table of symbols, by that of the file with its debugging information where the system has one, or else by what the file
exports; and of a function without a name, by where it begins (.eh_frame_hdr). What does not fit into a file is not there.
"""
import bisect
import os
import struct

from plain_names import plain_name

DEBUG = '/usr/lib/debug/.build-id/%s/%s.debug'
SYMTAB, DYNSYM = 2, 11
NOTE, LOAD, EH_FRAME = 4, 1, 0x6474e550
FUNCTION, INDIRECT = 2, 10
MOST = 1 << 30 # bytes of a table
SORTED = b'\x01\x1b\x03\x3b' # .eh_frame_hdr as linkers make it: a table of pairs of 4 bytes, relative to the header


class Function:
    """What places have in common. `name` is for people, `symbol` as in the file."""
    __slots__ = ('name', 'symbol', 'path', 'start')

    def __init__(self, name, symbol, path, start):
        self.name, self.symbol, self.path, self.start = name, symbol, path, start


class Module:
    """A mapping of code. `shift` is added to an address to have it as the file counts."""

    def __init__(self, mapping):
        self.start, self.end, self.offset, self.path = mapping.start, mapping.end, mapping.offset, mapping.path
        self.shift, self.build_id, self.named = mapping.offset - mapping.start, '', False


class Elf:
    """A file, read in parts: it may be large, or change. OSError, ValueError: there is none."""

    def __init__(self, path):
        self.file = open(path, 'rb', buffering=0) # pylint: disable=consider-using-with
        try:
            head = self.read(0, 64)
            if len(head) < 64 or head[:5] != b'\x7fELF\x02':
                raise ValueError
            self.segments = list(self.table(head, 32, 54, '<IIQQQQQQ'))
            self.sections = list(self.table(head, 40, 58, '<IIQQQQIIQQ'))
        except BaseException:
            self.close()
            raise

    def close(self):
        self.file.close()

    def read(self, offset, size):
        """As much of that as there is."""
        return os.pread(self.file.fileno(), min(size, MOST), offset) if offset < 1 << 62 else b''

    def table(self, head, offset_at, size_at, form):
        offset, = struct.unpack_from('<Q', head, offset_at)
        each, count = struct.unpack_from('<HH', head, size_at)
        size = struct.calcsize(form)
        data = self.read(offset, each * count) if each == size else b''
        return struct.iter_unpack(form, data[:len(data) // size * size])

    def build_id(self):
        for kind, _, offset, _, _, size, _, _ in self.segments:
            data, at = self.read(offset, size) if kind == NOTE else b'', 0
            while at + 12 <= len(data):
                name_size, length, number = struct.unpack_from('<III', data, at)
                contents = at + 12 + (name_size + 3 & ~3)
                if number == 3 and data[at + 12:at + 16] == b'GNU\0' and contents + length <= len(data):
                    return data[contents:contents + length][:20].hex()
                at = contents + (length + 3 & ~3)
        return ''

    def shift(self, module):
        """Of the code that the module maps."""
        found = module.offset - module.start
        for kind, flags, offset, address, _, size, _, _ in self.segments:
            if kind == LOAD and flags & 1 and module.offset + (module.end - module.start) > offset and \
                    module.offset < offset + size:
                found = address - offset + module.offset - module.start
        return found

    def symbols(self, kind):
        """(address, size, where its name is) of each function in the table of that kind, and the text with the names; None:
        there is no such table."""
        section = next((s for s in self.sections if s[1] == kind and s[6] < len(self.sections)), None)
        if section is None:
            return None
        table, text = (self.read(s[4], s[5]) for s in (section, self.sections[section[6]]))
        if not table or not text or text[-1] != 0:
            return None
        return ([(value, size, name) for name, info, _, index, value, size in
                 struct.iter_unpack('<IBBHQQ', table[:len(table) // 24 * 24])
                 if info & 15 in (FUNCTION, INDIRECT) and index != 0 and 0 < name < len(text)], text)

    def frame_table(self):
        """The address of .eh_frame_hdr and its bytes, or None."""
        for kind, _, offset, address, _, size, _, _ in self.segments:
            if kind == EH_FRAME and size >= 12:
                data = self.read(offset, size)
                if data[:4] == SORTED and len(data) == size:
                    return address, data
        return None

    def at(self, address, size):
        """Bytes of the file that lie there once it is mapped."""
        for kind, _, offset, start, _, length, _, _ in self.segments:
            if kind == LOAD and start <= address and address + size <= start + length:
                return self.read(offset + address - start, size)
        return b''

    def function_at(self, found, address):
        """Where the function begins that the address is in, by its description in the frame table; None: not known."""
        header, data = found
        low, high = 0, min(struct.unpack_from('<I', data, 8)[0], (len(data) - 12) // 8)
        while low < high: # the first that is behind the address lies in [low, high]
            middle = (low + high) // 2
            if header + struct.unpack_from('<i', data, 12 + 8 * middle)[0] <= address:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        start, description = (header + each for each in struct.unpack_from('<ii', data, 12 + 8 * (low - 1)))
        entry = self.at(description, 16)
        if len(entry) < 16 or description + 8 + struct.unpack_from('<i', entry, 8)[0] != start:
            return None # of a form that no linker makes
        return start if address - start < struct.unpack_from('<I', entry, 12)[0] else None


class Symbols:
    """Of one process, which may end: what was found stays."""

    def __init__(self, process):
        self.process = process
        self.modules, self.starts = [], []
        self.functions = {} # by address
        self.places = {}    # the module of each

    def use_maps(self, maps):
        """Those of the process at the moment that addresses are of; the code among them."""
        self.modules = [Module(mapping) for mapping in maps if mapping.executable]
        self.starts = [module.start for module in self.modules]

    def module_of(self, address):
        index = bisect.bisect_right(self.starts, address) - 1
        return self.modules[index] if index >= 0 and address < self.modules[index].end else None

    def look_up(self, addresses):
        """Finds the functions of return addresses that are not known yet. A call returns behind itself: the byte before
        is in it."""
        by_module = {}
        for address in sorted(set(addresses) - self.functions.keys()):
            self.places[address] = module = self.module_of(address - 1)
            by_module.setdefault(module, []).append(address)
        for module, places in by_module.items():
            if module is None:
                for address in places:
                    self.functions[address] = Function('[made at run time]', None, '', address - 1)
            else:
                self.name_module(module, places)

    def open_elf(self, path):
        """A file as the process sees it, which may live in another root; None: it cannot be read."""
        for name in ('/proc/%d/root%s' % (self.process.pid, path), path):
            try:
                return Elf(name)
            except (OSError, ValueError, struct.error):
                continue
        return None

    def name_module(self, module, places):
        elf = self.open_elf(module.path) if module.path.startswith('/') else None
        if elf is None:
            for address in places:
                self.functions[address] = self.nameless(module, address - 1 + module.shift)
            return
        module.shift, module.build_id = elf.shift(module), elf.build_id()
        symbols, frames = self.symbols_of(elf, module.build_id), elf.frame_table()
        module.named = symbols is not None
        at = [address - 1 + module.shift for address in places]
        found = name_places(symbols[0], at) if symbols is not None else {}
        for address, place in zip(places, at):
            if place in found:
                start, name = found[place]
                symbol = symbols[1][name:symbols[1].index(b'\0', name)].decode('latin-1')
                self.functions[address] = Function(plain_name(symbol), symbol, module.path, start)
            else:
                start = elf.function_at(frames, place) if frames is not None else None
                self.functions[address] = self.nameless(module, place if start is None else start)
        elf.close()

    def symbols_of(self, elf, build_id):
        symbols = elf.symbols(SYMTAB)
        debug = self.open_elf(DEBUG % (build_id[:2], build_id[2:])) if symbols is None and len(build_id) >= 8 else None
        if debug is not None:
            symbols = debug.symbols(SYMTAB)
            debug.close()
        return symbols if symbols is not None else elf.symbols(DYNSYM)

    def nameless(self, module, start):
        """Is called as its file, and where in that it begins."""
        name = os.path.basename(module.path) or '[made at run time]'
        return Function('%s+0x%x' % (name, start) if module.path.startswith('/') else name, None, module.path, start)


def name_places(symbols, places):
    """By place, (beginning, name's place) of the function that it is in; of several the one that begins last. `places` are
    in order. Labels of no length say nothing of what is behind them."""
    found = {}
    for start, size, name in symbols:
        index = bisect.bisect_left(places, start)
        while index < len(places) and places[index] - start < size:
            if places[index] not in found or start > found[places[index]][0]:
                found[places[index]] = start, name
            index += 1
    return found
