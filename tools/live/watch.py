# SPDX-License-Identifier: MIT
"""All processes on hakmem that this user may look into, or some of them, looked at again and again."""
import time

import board
import memory
import profiled
import reading
from rates import rates

SHARE = profiled.SHARE
STACKS = 10


class Watched:
    """A process, its board, and the last two readings."""

    def __init__(self, process, found):
        self.process, self.board = process, found
        self.name = process.name()
        self.first = self.before = self.now = None
        self.when = self.then = 0.0
        self.rates = {}
        self.profile = self.most = None # what `stacks` has found, and when

    def look(self, now=False):
        if not now and self.now is not None and time.monotonic() - self.when < self.now.seconds / SHARE:
            return
        new = reading.look(self.board)
        moment = time.monotonic()
        if self.now is not None and self.now.of['started'] != new.of['started']:
            raise memory.Trouble('gone', 'process %d has ended' % self.process.pid)
        self.before, self.then = self.now, self.when
        self.now, self.when = new, moment
        self.first = self.first or new
        self.rates = rates(self.before, new, moment - self.then)

    def stacks(self):
        """Those with most live bytes, where a profile is made (profiled.Stacks). Asked for by who shows them."""
        if self.most is None or self.most[0] != self.when:
            try:
                self.profile = self.profile or profiled.Stacks(self.board)
                self.most = self.when, self.profile.most(STACKS)
            except memory.Trouble:
                self.most = self.when, []
        return self.most[1]


class Watch:
    """Of one process a Trouble is the caller's; of all, who cannot be looked into is left out and counted."""

    def __init__(self, pids=None):
        self.pids = pids
        self.finder = board.Finder()
        self.watched = {}
        self.skipped = {} # pid: start time, of those that have no board
        self.forbidden = 0
        self.troubles = {}

    def add(self, pid):
        process = memory.Process(pid)
        try:
            self.watched[pid] = Watched(process, self.finder.find(process))
        except BaseException:
            process.close()
            raise

    def drop(self, pid):
        self.watched.pop(pid).process.close()

    def find_all(self):
        """New processes; whoever had no board is asked again only when it may have become another program."""
        self.forbidden = 0
        alive = set(memory.all_pids())
        for pid in [pid for pid in self.skipped if pid not in alive]:
            del self.skipped[pid]
        for pid in alive:
            if pid in self.watched:
                continue
            try:
                with open('/proc/%d/cmdline' % pid, 'rb') as file:
                    mark = file.read(256)
                if not mark or self.skipped.get(pid) == mark:
                    continue # of the kernel, or known
                self.add(pid)
            except memory.Trouble as error:
                if error.kind == 'forbidden':
                    self.forbidden += 1
                elif error.kind == 'none':
                    self.skipped[pid] = mark
                elif error.kind == 'other':
                    self.troubles[pid] = str(error)
            except (OSError, memory.Moved):
                continue

    def look(self, now=False):
        """A reading of each, but of those with a large heap only now and then, unless it shall be now. By pid."""
        if self.pids is None:
            self.find_all()
        else:
            for pid in self.pids:
                if pid not in self.watched:
                    self.add(pid)
        for pid, watched in list(self.watched.items()):
            try:
                watched.look(now)
            except memory.Moved:
                self.look_again(pid)
            except memory.Trouble:
                self.drop(pid)
                if self.pids is not None:
                    raise
        return self.watched

    def look_again(self, pid):
        """It runs another program now, or is just becoming one."""
        self.drop(pid)
        try:
            self.add(pid)
            self.watched[pid].look()
        except memory.Moved:
            if self.pids is not None:
                raise memory.Trouble('other', 'process %d changes too fast to be read' % pid) from None
        except memory.Trouble:
            if self.pids is not None:
                raise
