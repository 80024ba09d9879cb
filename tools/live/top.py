# SPDX-License-Identifier: MIT
"""`hakmem top`: a screen of the processes on hakmem, or of one; `--once` and `--json` print one look."""
import curses
import os
import select
import signal
import sys
import time

import memory
from rates import growth
from reading import PARTS
from show import NAMES, as_json, as_text, rate, short, size, write
from watch import Watch

# Title, width, what it is sorted by, how it is written.
COLUMNS = (
    ('PID', 8, lambda w: -w.process.pid, lambda w: str(w.process.pid)),
    ('LIVE', 8, lambda w: w.now.of['live_bytes'], lambda w: short(w.now.of['live_bytes'])),
    ('HAKMEM', 8, lambda w: w.now.of['resident_bytes'], lambda w: short(w.now.of['resident_bytes'])),
    ('RSS', 8, lambda w: w.now.of['process_resident_bytes'], lambda w: short(w.now.of['process_resident_bytes'])),
    ('THREADS', 9, lambda w: w.now.of['os_threads'], lambda w: str(w.now.of['os_threads'])),
    ('REFILL/s', 10, lambda w: w.rates.get('refilled_per_second', 0), lambda w: of_rate(w, 'refilled_per_second')),
    ('FLUSH/s', 9, lambda w: w.rates.get('flushed_per_second', 0), lambda w: of_rate(w, 'flushed_per_second')),
    ('FAULT/s', 9, lambda w: w.rates.get('minor_faults_per_second', 0),
     lambda w: of_rate(w, 'minor_faults_per_second')),
    ('CALL/s', 8, lambda w: w.rates.get('os_calls_per_second', 0), lambda w: of_rate(w, 'os_calls_per_second')),
    ('WAIT/s', 8, lambda w: w.rates.get('lock_waits_per_second', 0), lambda w: of_rate(w, 'lock_waits_per_second')),
    ('CPU%', 7, lambda w: w.rates.get('processors', 0),
     lambda w: '%.0f' % (w.rates['processors'] * 100) if 'processors' in w.rates else '-'),
)
SORTS = 'plhrtmfacwu' # a key for each column
KEYS = 'q quit  arrows, Enter: one process  Esc: all  sort by p l h r t m f a c w u: the columns from left to right'


def of_rate(watched, name):
    return rate(watched.rates[name]) if name in watched.rates else '-'


def sorted_by(watch, column):
    rows = [w for w in watch.watched.values() if w.now is not None]
    return sorted(rows, key=COLUMNS[column][2], reverse=True)


# ---- lines, for the screen and for --once ----

def table_lines(rows, width):
    lines = [''.join(title.rjust(wide) for title, wide, _, _ in COLUMNS) + '  COMMAND']
    for w in rows:
        line = ''.join(text(w).rjust(wide) for _, wide, _, text in COLUMNS)
        state = {'T': ' (stopped)', 't': ' (traced)', 'Z': ' (ended)'}.get(w.now.of['state'], '')
        lines.append(line + '  ' + w.name + state)
    return [line[:width] for line in lines]


def head_line(watch):
    rows = [w for w in watch.watched.values() if w.now is not None]
    text = '%d process%s on hakmem' % (len(rows), '' if len(rows) == 1 else 'es')
    if rows:
        text += ': %s live, %s resident of theirs' % (size(sum(w.now.of['live_bytes'] for w in rows)),
                                                     size(sum(w.now.of['resident_bytes'] for w in rows)))
    if watch.forbidden:
        text += '; %d more may not be looked into' % watch.forbidden
    return text


def bar(share, width):
    filled = share * width
    return '#' * int(filled + 0.5)


def detail_lines(w, width):
    """One process: what is resident, rates, and which classes grow."""
    of = w.now.of
    lines = ['process %d, hakmem %s %s: %s' % (w.process.pid, w.board.release, w.board.front, w.name)]
    lines.append('live %s, resident %s (peak live %s), whole process %s, address space %s' % (
        size(of['live_bytes']), size(of['resident_bytes']), size(of['peak_live_bytes']),
        size(of['process_resident_bytes']), size(of['mapped_bytes'])))
    if w.now.counted:
        lines.append('(which pages are resident the kernel does not tell: what was touched counts)')
    lines.append('')
    for name in PARTS:
        share = of[name] / max(of['resident_bytes'], 1)
        lines.append('%18s %10s %5.1f %% %s' % (NAMES[name], short(of[name]), share * 100,
                                              bar(share, max(width - 40, 10))))
    lines.append('')
    lines.append('a second, through slabs (what front caches serve is not counted): %s malloc, %s free; %s faults, '
                 '%s system calls, %s lock waits' % (
                     of_rate(w, 'refilled_per_second'), of_rate(w, 'flushed_per_second'),
                     of_rate(w, 'minor_faults_per_second'), of_rate(w, 'os_calls_per_second'),
                     of_rate(w, 'lock_waits_per_second')))
    lines.append('')
    lines.append('%12s %10s %12s %12s' % ('BLOCK SIZE', 'LIVE', 'GROWN', 'LAST LOOK'))
    recent = {cls: grown for cls, _, grown in growth(w.before, w.now)}
    for cls, live, grown in growth(w.first, w.now):
        lines.append('%12s %10s %12s %12s' % (cls, short(live), signed(grown), signed(recent.get(cls, 0))))
    for at, (live, names) in enumerate(w.stacks()):
        if at == 0:
            lines += ['', '%12s  %s' % ('LIVE', 'STACK (of the profile that it makes), the innermost function first')]
        lines.append('%12s  %s' % (short(live), ' < '.join(names)))
    return [line[:width] for line in lines]


def signed(number):
    return '0' if number == 0 else ('+' if number > 0 else '-') + short(abs(number))


# ---- one look ----

def once(options):
    watch = Watch(options.pids)
    watch.look()
    if watch.watched:
        time.sleep(options.interval)
        watch.look(now=True)
    if not watch.watched and not options.json:
        raise memory.Trouble('none', no_process(watch))
    if options.json:
        write(as_text({'version': 1, 'not_looked_into': watch.forbidden,
                       'processes': [dict(as_json(w.now), rates=w.rates) for w in sorted_by(watch, 1)]}), options.output)
    elif options.pids is not None:
        write('\n\n'.join('\n'.join(detail_lines(w, 200)) for w in sorted_by(watch, 1)) + '\n', options.output)
    else:
        write('\n'.join([head_line(watch)] + table_lines(sorted_by(watch, 1), 200)) + '\n', options.output)


def no_process(watch):
    if watch.troubles:
        return next(iter(watch.troubles.values()))
    others = '; %d may not be looked into' % watch.forbidden if watch.forbidden else ''
    return 'no process of this user runs on hakmem%s' % others


# ---- the screen ----

class Screen:
    def __init__(self, window, options):
        self.window, self.options = window, options
        self.watch = Watch(options.pids)
        self.sort, self.row, self.skip = 1, 0, 0
        self.shown = options.pids[0] if options.pids and len(options.pids) == 1 else None
        self.message = ''
        curses.curs_set(0)
        curses.use_default_colors()
        window.timeout(0)

    def put(self, y, text, attribute=0):
        height, width = self.window.getmaxyx()
        if 0 <= y < height and width > 1:
            try:
                self.window.addnstr(y, 0, text, width - 1, attribute)
            except curses.error:
                pass # the corner of a screen that is just being made smaller

    def look(self):
        self.message = ''
        try:
            self.watch.look()
        except memory.Trouble as error:
            self.message = str(error)
            if not self.watch.watched:
                raise

    def draw(self):
        height, width = self.window.getmaxyx()
        self.window.erase()
        rows = sorted_by(self.watch, self.sort)
        self.row = max(0, min(self.row, len(rows) - 1))
        chosen = self.watch.watched.get(self.shown)
        if chosen is not None and chosen.now is not None:
            for y, line in enumerate(detail_lines(chosen, width)[:height - 1]):
                self.put(y, line, curses.A_BOLD if y == 0 else 0)
        else:
            self.draw_table(rows, height, width)
        self.put(height - 1, self.message or KEYS, curses.A_DIM)
        self.window.refresh()

    def draw_table(self, rows, height, width):
        self.put(0, head_line(self.watch), curses.A_BOLD)
        lines = table_lines(rows, width)
        room = max(height - 3, 1)
        self.skip = max(min(self.skip, self.row), self.row - room + 1)
        self.put(1, lines[0], curses.A_UNDERLINE)
        for y, line in enumerate(lines[1 + self.skip:1 + self.skip + room]):
            self.put(2 + y, line, curses.A_REVERSE if y + self.skip == self.row else 0)
        if not rows:
            self.put(2, no_process(self.watch))

    def key(self, key):
        """False: quit."""
        rows = sorted_by(self.watch, self.sort)
        if key in (ord('q'), ord('Q')):
            return False
        if key == curses.KEY_UP:
            self.row -= 1
        elif key == curses.KEY_DOWN:
            self.row += 1
        elif key in (10, 13, curses.KEY_ENTER) and rows:
            self.shown = rows[min(self.row, len(rows) - 1)].process.pid
        elif key in (27, curses.KEY_BACKSPACE, 127):
            self.shown = None
        elif 0 < key < 256 and chr(key) in SORTS:
            self.sort = SORTS.index(chr(key))
        return True

    def run(self):
        while True:
            self.look()
            self.draw()
            until = time.monotonic() + self.options.interval
            while time.monotonic() < until:
                select.select([sys.stdin], [], [], max(0, until - time.monotonic()))
                key = self.window.getch()
                while key != -1:
                    if not self.key(key):
                        return
                    key = self.window.getch()
                self.draw()


def screen(options):
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise memory.Trouble('usage', 'top: no terminal here; --once or --json print one look')
    os.environ.setdefault('ESCDELAY', '25')
    try:
        curses.wrapper(lambda window: Screen(window, options).run())
    except curses.error as error:
        raise memory.Trouble('usage', 'top: this terminal (TERM=%s) cannot show a screen: %s; --once prints one look'
                             % (os.environ.get('TERM', ''), error)) from None


def top(options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # the terminal is put in order on the way out
    if options.once or options.json or options.output:
        once(options)
    else:
        screen(options)
