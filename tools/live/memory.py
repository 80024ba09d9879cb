# SPDX-License-Identifier: MIT
"""Another process, as this user may see it: its memory, its mappings, what /proc tells of it.

Nothing is stopped and nothing is written there. The process may end, exec, or be another's: each of these is a `Trouble`
with one sentence for the user.
"""
import ctypes
import errno
import os
import select
import struct
import time

PAGE = os.sysconf('SC_PAGESIZE')
MOST_AT_ONCE = 1024 # pieces that process_vm_readv takes


class Trouble(Exception):
    """Why a process cannot be read: one sentence. `kind` is gone, forbidden, none (not on hakmem) or other; or, of
    this command and no process, usage or file."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Moved(Exception):
    """What was at an address is not there any more: the process goes on meanwhile, or runs another program now."""


class Piece(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]


LIBC = ctypes.CDLL(None, use_errno=True)
try:
    READ = LIBC.process_vm_readv
    READ.argtypes = [ctypes.c_int, ctypes.POINTER(Piece), ctypes.c_ulong, ctypes.POINTER(Piece), ctypes.c_ulong,
                     ctypes.c_ulong]
    READ.restype = ctypes.c_ssize_t
except AttributeError:
    READ = None


def owner_of(pid):
    try:
        return os.stat('/proc/%d' % pid).st_uid
    except OSError:
        return None


def yama_scope():
    try:
        with open('/proc/sys/kernel/yama/ptrace_scope') as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def trouble_of(pid, error):
    """What an errno means for the user."""
    owner = owner_of(pid)
    if error in (errno.ESRCH, errno.ENOENT) or owner is None:
        return Trouble('gone', 'there is no process %d (any more)' % pid)
    if error in (errno.EPERM, errno.EACCES):
        if owner != os.geteuid():
            return Trouble('forbidden', 'process %d is of another user (uid %d): only that user or root may look'
                           % (pid, owner))
        if yama_scope() != 0:
            return Trouble('forbidden', 'the kernel lets only ancestors look into process %d '
                           '(kernel.yama.ptrace_scope is %d): ask as root' % (pid, yama_scope()))
        return Trouble('forbidden', 'process %d lets nobody look into it (it is not dumpable, or in another user '
                       'namespace): ask as root' % pid)
    return Trouble('other', 'process %d cannot be read: %s' % (pid, os.strerror(error)))


class Mapping:
    __slots__ = ('start', 'end', 'offset', 'file', 'path', 'executable')

    def __init__(self, line):
        words = line.split(None, 5)
        self.start, self.end = (int(word, 16) for word in words[0].split('-'))
        self.executable = 'x' in words[1]
        self.offset = int(words[2], 16)
        self.file = words[3], words[4] # device and inode
        self.path = words[5].rstrip('\n') if len(words) > 5 else ''


class Process:
    """A process that may be read. Use it as a context, or close it."""

    def __init__(self, pid):
        self.pid = pid
        self.mem = self.pagemap = self.end = None
        self.by_call = READ is not None

    def close(self):
        for fd in (self.mem, self.pagemap, self.end):
            if fd is not None:
                os.close(fd)
        self.mem = self.pagemap = self.end = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- memory ----

    def read(self, address, size):
        return self.read_all([(address, size)])[0]

    def read_all(self, pieces):
        """The bytes of each (address, size). Moved: one of them is not there."""
        found = []
        for at in range(0, len(pieces), MOST_AT_ONCE):
            found += self._read_some(pieces[at:at + MOST_AT_ONCE])
        return found

    def _read_some(self, pieces):
        if not all(0 < address < 1 << 63 for address, _ in pieces):
            raise Moved
        if self.by_call:
            try:
                return self._by_call(pieces)
            except OSError as error:
                if error.errno == errno.EFAULT:
                    raise Moved from None
                if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EACCES):
                    raise trouble_of(self.pid, error.errno) from None
                self.by_call = False # a filter of system calls forbids it, or all is forbidden: the file tells
        return [self._by_file(address, size) for address, size in pieces]

    def _by_call(self, pieces):
        size = sum(size for _, size in pieces)
        room = ctypes.create_string_buffer(size)
        there = (Piece * len(pieces))(*pieces)
        here = Piece(ctypes.addressof(room), size)
        got = READ(self.pid, ctypes.byref(here), 1, there, len(pieces), 0)
        if got < 0:
            raise OSError(ctypes.get_errno(), 'process_vm_readv')
        if got != size:
            raise Moved
        found, at = [], 0
        view = memoryview(room).cast('B')
        for _, size in pieces:
            found.append(bytes(view[at:at + size]))
            at += size
        return found

    def _by_file(self, address, size):
        try:
            if self.mem is None:
                self.mem = os.open('/proc/%d/mem' % self.pid, os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self.mem, size, address)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EFAULT):
                self._check_alive()
                raise Moved from None
            raise trouble_of(self.pid, error.errno) from None
        if len(data) != size:
            self._check_alive() # the file of a process that has ended or execs reads as empty
            os.close(self.mem)
            self.mem = None
            raise Moved
        return data

    def _check_alive(self):
        if self.state() in (None, 'Z', 'X'):
            raise trouble_of(self.pid, errno.ESRCH)

    def word(self, address):
        return struct.unpack('<Q', self.read(address, 8))[0]

    def half(self, address):
        return struct.unpack('<I', self.read(address, 4))[0]

    # ---- which pages are there ----

    def _residents(self, start, size):
        """Bytes for the pages of the range, some at a time: 1 where one is resident. OSError: that is not told."""
        if self.pagemap is None:
            self.pagemap = os.open('/proc/%d/pagemap' % self.pid, os.O_RDONLY | os.O_CLOEXEC)
        first, pages = start // PAGE, -(-size // PAGE)
        while pages > 0:
            data = os.pread(self.pagemap, min(pages, 1 << 17) * 8, first * 8)
            if len(data) < 8:
                raise OSError
            yield data[7::8].translate(PRESENT)
            first += len(data) // 8
            pages -= len(data) // 8

    def residents(self, start, size):
        """A byte for each page of the range: 1 where it is resident, or None where that is not told."""
        try:
            return b''.join(self._residents(start, size))
        except OSError:
            return None

    def resident_bytes(self, start, size):
        """How much of the range is resident, or None: the range may be a terabyte."""
        try:
            return sum(part.count(1) for part in self._residents(start, size)) * PAGE
        except OSError:
            return None

    # ---- /proc ----

    def text(self, name):
        try:
            with open('/proc/%d/%s' % (self.pid, name), 'rb') as file:
                return file.read()
        except OSError as error:
            raise trouble_of(self.pid, error.errno) from None

    def maps(self):
        text = self.text('maps').decode('utf-8', 'surrogateescape')
        return [Mapping(line) for line in text.splitlines(True)]

    def stat(self):
        """Fields of /proc/PID/stat by number, from 3 (state) on."""
        return self.text('stat').rpartition(b')')[2].split()

    def state(self):
        try:
            return self.stat()[0].decode()
        except (Trouble, IndexError):
            return None

    def figures(self):
        """Resident bytes of the whole process, page faults, processor time in seconds, threads, start time, state."""
        fields = self.stat()
        if fields[0] in (b'Z', b'X'):
            raise trouble_of(self.pid, errno.ESRCH)
        tick = os.sysconf('SC_CLK_TCK')
        return {'state': fields[0].decode(), 'minor_faults': int(fields[7]), 'major_faults': int(fields[9]),
                'processor_seconds': (int(fields[11]) + int(fields[12])) / tick, 'os_threads': int(fields[17]),
                'started': int(fields[19]), 'process_resident_bytes': int(fields[21]) * PAGE}

    def watch_end(self):
        """From now on `wait` notices the end at once, where the kernel can tell."""
        try:
            self.end = os.pidfd_open(self.pid)
        except (OSError, AttributeError):
            self.end = None

    def wait(self, seconds):
        """False: it has ended."""
        if self.end is not None:
            return not select.select([self.end], [], [], seconds)[0]
        time.sleep(seconds)
        return self.state() not in (None, 'Z', 'X')

    def name(self):
        """The command, as short as top shows it."""
        try:
            words = self.text('cmdline').split(b'\0')
        except Trouble:
            return '?'
        text = b' '.join(word for word in words if word).decode('utf-8', 'replace')
        text = ' '.join(text.split())
        if text:
            first, _, rest = text.partition(' ')
            text = os.path.basename(first) + (' ' + rest if rest else '')
        else:
            try:
                text = self.text('comm').decode('utf-8', 'replace').strip()
            except Trouble:
                return '?'
        return ''.join(c if c.isprintable() else '?' for c in text)


# The top byte of an entry of pagemap: present is its bit 63.
PRESENT = bytes(byte >> 7 for byte in range(256))


def all_pids():
    return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
