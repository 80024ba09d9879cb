# SPDX-License-Identifier: MIT
"""`hakmem run --timeline` and `hakmem timeline PID`: looks at a process from outside until it ends, and writes a page.

`run` becomes COMMAND, with its process id, so whoever waits for it waits for COMMAND. The process that looks stands
beside it: it was started before, is nobody's child, has a session of its own so that no key of the terminal reaches it,
and has none of COMMAND's descriptors but stderr. It looks as often as the series keeps samples, and at least each LATEST.
It takes ALLOWANCE seconds of a processor to begin with, and in the long run SHARE of the time: of a large heap there are
fewer looks.
"""
import ctypes
import json
import os
import signal
import sys
import time

import board
import heap_page
import memory
import reading
import show
import timeline_page
from series import Series

SHARE = 0.03
ALLOWANCE = 0.5
LATEST = 1.0       # seconds between two looks, however long it runs
SOONEST = 0.002    # between two tries to find the board of a program that has just begun
WRITTEN = 60.0     # the page is at most so old while the program runs
PR_SET_PTRACER = 0x59616d61
NOTHING = 'no picture', 'no timeline'


class Timeline:
    """Looks at a process, and writes a page of what it saw."""

    def __init__(self, pid, path, as_json=False):
        self.process, self.path, self.as_json = memory.Process(pid), path, as_json or path.endswith('.json')
        self.began, self.date = time.monotonic(), time.time()
        self.series, self.finder, self.board = Series(), board.Finder(), None
        self.end = None         # how it ended, as far as can be told
        self.others = []        # other programs that it became: (seconds, name)
        self.spent = 0.0        # seconds of a processor, on looks
        self.written = 0.0      # when, last
        self.trouble = None
        self.process.watch_end()

    def seconds(self):
        return time.monotonic() - self.began

    def look(self):
        """One sample. True: there was one."""
        try:
            if self.board is None:
                self.board = self.finder.find(self.process)
                name = self.process.name()
                if not self.others or self.others[-1][1] != name:
                    self.others.append((self.seconds(), name))
            found = reading.look(self.board)
        except memory.Moved:
            self.board = None # it runs another program, or is just becoming one
            return False
        self.spent += found.seconds
        self.trouble = None
        self.add(self.seconds(), found)
        return True

    def add(self, seconds, found):
        self.series.add(seconds, found)

    def text(self):
        return json_of(self) if self.as_json else timeline_page.page(self)

    def watch(self, until=None):
        """Until it has ended, or for so many seconds."""
        pause = SOONEST
        while until is None or self.seconds() < until:
            try:
                had = self.look()
            except memory.Trouble as error:
                had = False
                self.trouble = error
                if error.kind == 'gone':
                    break
                if error.kind in ('forbidden', 'other'):
                    raise
            if had:
                pause = max(min(self.series.step, LATEST), (self.spent - ALLOWANCE) / SHARE - self.seconds())
            else:
                pause = min(max(pause * 1.5, SOONEST), 0.5)
            if until is not None:
                pause = min(pause, max(until - self.seconds(), 0.001))
            if not self.process.wait(pause):
                break
            self.write_now_and_then()
        self.end = self.seconds()

    def write_now_and_then(self):
        """So that there is a page if this process is ended too: with a container, or a machine."""
        age = self.seconds() - self.written
        if self.series.last is not None and age > min(max(1.0, self.written / 5), WRITTEN):
            try:
                self.write()
            except memory.Trouble:
                self.written = self.seconds() # a disk may be full for a while; the last one says so

    def write(self):
        show.replace(self.text(), self.path)
        self.written = self.seconds()


class Heap(Timeline):
    """The heap at one moment: when most was live, or so many seconds after the beginning."""

    def __init__(self, pid, path, at=None):
        super().__init__(pid, path)
        self.at, self.kept, self.allocator, self.ask_again = at, None, None, 0.0

    def add(self, seconds, found):
        super().add(seconds, found)
        if seconds >= self.ask_again:
            self.allocator = heap_page.own_allocator(self.process)
            self.ask_again = seconds + 0.5
        if self.at is not None or self.series.peak is self.series.last:
            self.kept = seconds, found, self.process.name()

    def text(self):
        seconds, found, name = self.kept
        moment = heap_page.moment_at_peak(seconds) if self.at is None else '%s after its beginning' % \
            timeline_page.clock(seconds)
        looks = (self.series.seen, self.series.last.of['peak_live_bytes']) if self.at is None else None
        return heap_page.page(found, name, moment, self.allocator, looks)

    def watch(self, until=None):
        if self.at is None:
            super().watch(until)
            return
        while self.seconds() < self.at:
            if not self.process.wait(max(self.at - self.seconds(), 0.001)):
                raise memory.Trouble('gone', 'process %d has ended after %s' % (
                    self.process.pid, timeline_page.clock(self.seconds())))
        while not self.look_or_wait():
            pass

    def look_or_wait(self):
        """False: not yet, it may be loading. A Trouble other than that it is not on hakmem yet is the caller's."""
        try:
            if self.look():
                return True
        except memory.Trouble as error:
            if error.kind != 'none':
                raise
            self.trouble = error
        if not self.process.wait(0.02):
            raise self.trouble or memory.Trouble('gone', 'process %d has ended just then' % self.process.pid)
        return False


# What `run` may be asked for, by the word that the shell uses.
def watcher(kind, pid, path):
    if kind.startswith('timeline'):
        return Timeline(pid, path, kind == 'timeline-json')
    return Heap(pid, path, None if kind == 'peak' else float(kind))


def json_of(timeline):
    series = timeline.series

    def plain(sample):
        return dict({'seconds': round(sample.seconds, 4)}, **sample.of)

    return json.dumps({'version': 1, 'pid': timeline.process.pid, 'programs': [name for _, name in timeline.others],
                       'hakmem': timeline.board.release if timeline.board else None, 'date': int(timeline.date),
                       'ended': timeline.end is not None, 'seconds': round(timeline.end or timeline.seconds(), 4),
                       'step': series.step, 'looks': series.seen,
                       'peak': plain(series.peak) if series.peak else None,
                       'fullest': plain(series.fullest) if series.fullest else None,
                       'samples': [plain(sample) for sample in series.points()]}, indent=1) + '\n'


# ---- beside a command ----

def be_beside(kind, pid, path, begun):
    """The process that looks. `begun` is the end of a pipe that closes when COMMAND runs."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    keep = {2, begun}
    for name in os.listdir('/proc/self/fd'):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                pass
    os.read(begun, 1)
    os.close(begun)
    beside = watcher(kind, pid, path)
    try:
        beside.watch()
        if beside.series.last is None:
            raise beside.trouble if beside.trouble is not None and beside.trouble.kind != 'gone' else \
                memory.Trouble('gone', 'process %d ended before it could be looked at' % pid)
    except memory.Trouble as error:
        raise memory.Trouble('none', '%s: %s' % (NOTHING[kind.startswith('timeline')], error)) from None
    beside.write()


def original_environment():
    """As this process got it: an interpreter may add to its own (LC_CTYPE)."""
    try:
        with open('/proc/self/environ', 'rb') as file:
            entries = [entry.partition(b'=') for entry in file.read().split(b'\0')]
    except OSError:
        return dict(os.environb)
    return {name: value for name, equals, value in entries if equals}


def put_signals_back(ignored):
    """Python ignores two signals; COMMAND is to have them as whoever called had them."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        was_ignored = ignored >> (number - 1) & 1
        signal.signal(number, signal.SIG_IGN if was_ignored else signal.SIG_DFL)


def start_beside(kind, path):
    """Returns the process id of who looks, and the descriptor that must close with exec."""
    pid = os.getpid()
    begun, running = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.fork() != 0:
                os._exit(0)
            os.write(tell, b'%d' % os.getpid())
            os.close(tell)
            os.close(running)
            be_beside(kind, pid, path, begun)
            status = 0
        except memory.Trouble as error:
            os.write(2, ('hakmem: %s\n' % error).encode('utf-8', 'replace'))
        except OSError as error:
            os.write(2, ('hakmem: %s: %s\n' % (NOTHING[kind.startswith('timeline')], error)).encode('utf-8', 'replace'))
        except Exception as error: # pylint: disable=broad-except
            os.write(2, ('hakmem: %s: an error of ours: %r\n' % (NOTHING[kind.startswith('timeline')], error)).encode(
                'utf-8', 'replace'))
        finally:
            os._exit(status)
    os.waitpid(child, 0)
    os.close(tell)
    os.close(begun)
    looker = int(os.read(told, 32) or b'0')
    os.close(told)
    return looker, running


def run(kind, path, preload, ignored, command):
    """Becomes COMMAND, watched from beside."""
    show.check_file(path)
    env = original_environment()
    env[b'LD_PRELOAD'] = os.fsencode(preload)
    try:
        looker, _ = start_beside(kind, path)
    except OSError as error:
        raise memory.Trouble('usage', 'no process can be made that looks: %s' % error.strerror) from None
    # Where only ancestors may look into a process (Yama) this one says who else may. It stays so after exec.
    memory.LIBC.prctl(PR_SET_PTRACER, ctypes.c_ulong(looker), 0, 0, 0)
    put_signals_back(ignored)
    try:
        os.execvpe(command[0], command, env)
    except OSError as error:
        sys.stderr.write('hakmem: %s: %s\n' % (command[0], error.strerror))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


# ---- of a process that runs ----

def attach(pid, path, seconds, as_json):
    show.check_file(path)
    timeline = Timeline(pid, path, as_json)
    timeline.look() # a Trouble is the caller's to tell
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        timeline.watch(seconds)
    except KeyboardInterrupt:
        timeline.end = None
    if timeline.series.last is None:
        raise memory.Trouble('other', 'process %d changes too fast to be read' % pid)
    if seconds is not None and timeline.process.state() not in (None, 'Z', 'X'):
        timeline.end = None
    timeline.write()
    print(path)
