# SPDX-License-Identifier: MIT
"""`hakmem profile PID`: the heap profile that a process makes, as it is now or of the next seconds; and the stacks that
`hakmem top` shows.

Nothing is asked of the process. Of some seconds the profile is the difference of what it had recorded before and has then.
"""
import os
import signal
import sys
import time

import board
import memory
import profile_file
import show
from memory import Moved, Trouble
from profile_read import SUMS, Profile
from symbols import Symbols

SHARE = 0.05 # of a processor is the most that looking takes: of large heaps there are fewer looks
PAUSE = 1.0 # seconds between looks, so that one that ends meanwhile was looked at shortly before
NOTHING = (0.0,) * len(SUMS)
LIVE, LIVE_BYTES, TOTAL, TOTAL_BYTES = (SUMS.index(name) for name in ('live', 'live_bytes', 'total', 'total_bytes'))


def say(text):
    sys.stderr.write('hakmem: %s\n' % text)


def program_of(process):
    """As the process calls itself."""
    try:
        return os.path.basename(process.text('cmdline').split(b'\0')[0].decode('utf-8', 'replace')) or '?'
    except Trouble:
        return '?'


class Watched:
    """A process whose profile is looked at once, or twice and in between."""

    def __init__(self, pid):
        self.process = memory.Process(pid)
        self.process.watch_end()
        try:
            self.board = board.Finder().find(self.process)
            self.profile = Profile(self.board)
            self.symbols = Symbols(self.process)
            self.before = None
            self.program = program_of(self.process)
            self.look()
        except Moved:
            raise Trouble('other', 'process %d changes too fast to be read' % pid) from None

    def look(self):
        """Trouble: it has ended. Moved: it runs another program."""
        begin = time.process_time()
        maps = self.process.maps() # before it may execute something else, and used if it has not
        self.last, self.looked = self.profile.look(), time.monotonic()
        self.symbols.use_maps(maps)
        self.cost = time.process_time() - begin

    def watch(self, seconds):
        """Looks until so many seconds have gone by, it has ended, or this command is interrupted. Returns how many seconds
        the last look is behind the first."""
        began, self.before = self.looked, self.last
        if not self.last.on:
            say('process %d has stopped its profile: what it asks for now is not in it' % self.process.pid)
        try:
            self.look_until(began + seconds)
        except (Trouble, Moved):
            say('process %d %s: this is of the %.1f s before' % (
                self.process.pid, 'has ended' if self.process.state() in (None, 'Z', 'X') else 'runs another program now',
                self.looked - began))
        if self.last.number != self.before.number:
            say('process %d has begun another profile meanwhile: this is of that' % self.process.pid)
            self.before.rows, self.before.sums = {}, NOTHING
        return self.looked - began

    def look_until(self, end):
        """Of many records there are fewer looks. Trouble, Moved: as `look`."""
        interrupted = False
        while self.looked < end and not interrupted:
            try:
                pause = min(max(PAUSE, self.cost / SHARE), end - time.monotonic())
                if not self.process.wait(max(pause, 0)):
                    raise Trouble('gone', 'process %d has ended' % self.process.pid)
            except KeyboardInterrupt:
                interrupted = True
            try:
                self.look()
            except Moved:
                if not self.board.still_there():
                    raise

    def told(self, seconds=None):
        """What is to be written."""
        last, before = self.last, self.before
        told = profile_file.Told(self.program, self.process.pid, self.symbols)
        told.interval, told.samples, told.lost, told.began = last.interval, last.samples, last.lost, last.began
        told.seconds, told.sums = seconds, less(last.sums, before.sums if before else NOTHING)
        for address, sums in last.rows.items():
            then = before.rows.get(address, NOTHING) if before else NOTHING
            row = profile_file.Row(self.profile.stacks[address], less(sums, then), then[LIVE], then[LIVE_BYTES])
            if not row.is_empty():
                told.rows.append(row)
        self.symbols.look_up(address for row in told.rows for address in row.stack.addresses)
        return told


def less(sums, then):
    """The sums, but of what was asked for in all only what came later."""
    found = list(sums)
    found[TOTAL] -= then[TOTAL]
    found[TOTAL_BYTES] -= then[TOTAL_BYTES]
    return found


def profile(pid, path, seconds):
    if not profile_file.is_known(path):
        raise Trouble('usage', 'profile: FILE must end in .html, .pb.gz, .json, .folded or .txt, not \'%s\'' % path)
    show.check_file(path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    watched = Watched(pid)
    took = watched.watch(seconds) if seconds is not None else None
    profile_file.write(watched.told(took), path)
    print(path)


# ---- the stacks that have most ----

class Stacks:
    """Of a process that `top` shows."""

    def __init__(self, found):
        self.process, self.symbols = found.process, Symbols(found.process)
        self.profile = Profile(found)

    def most(self, count):
        """(live bytes, names of functions, the innermost first) of the stacks with most live bytes; none where no profile is
        made."""
        try:
            maps = self.process.maps()
            look = self.profile.look()
            self.symbols.use_maps(maps)
        except (Trouble, Moved):
            return []
        sums = {}
        for address, row in look.rows.items():
            stack = self.profile.stacks[address].addresses
            sums[stack] = sums.get(stack, 0) + row[LIVE_BYTES]
        found = sorted(((value, stack) for stack, value in sums.items() if value >= 1), key=lambda each: -each[0])[:count]
        self.symbols.look_up(address for _, stack in found for address in stack)
        return [(int(value), [self.symbols.functions[address].name for address in stack]) for value, stack in found]
