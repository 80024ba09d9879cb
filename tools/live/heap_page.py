# SPDX-License-Identifier: MIT
"""The picture of a heap that was looked at from outside: what is resident, a table by block size, and a cell for every
slab. A page like the one that the library draws of itself (docs/heap-picture.md), of any process and of any moment.
"""
import os
import struct
import time

from memory import PAGE, Trouble
from reading import LONGEST, PARTS
from show import NAMES, size
from timeline_page import TOLD, clock, head, key, text_of

MOST_ROWS = 2048 # units of 2 MiB that are drawn
TOLD_ROWS = 512  # of which every cell tells what it is when pointed at
CELL, PITCH, HIGH = 18, 21, 18

MORE_STYLE = """
.bar{display:flex;height:30px;border-radius:6px;overflow:hidden;background:var(--faint)}.bar i{display:block;height:100%}
td .bar{height:12px;width:180px;border-radius:3px}td b{display:inline-block;width:12px;height:12px;border-radius:2px;
margin-right:8px;vertical-align:-1px}
.row{display:grid;grid-template-columns:8.4em minmax(0,1fr) 3.4em;gap:10px;align-items:center;margin:2px 0;font-size:12px;
color:var(--dim)}.row svg{display:block;width:100%}.row span{text-align:right}
.row code{font:12px/1 ui-monospace,monospace}.few{max-width:1000px}
rect.o{fill:none;stroke:var(--line)}rect.w{fill:var(--faint)}rect.e{fill:url(#empty)}rect.p{fill:url(#gone)}
rect.r{fill:var(--p4)}path.x{stroke:var(--ink);stroke-width:2;vector-effect:none}
.note{border-left:4px solid var(--mark);padding:4px 12px;color:var(--ink)}
@media (max-width:600px){.row{grid-template-columns:minmax(0,1fr) 2.8em}.row code{display:none}td .bar{width:90px}}
"""

PATTERNS = ('<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
            '<pattern id="empty" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<rect width="6" height="6" style="fill:var(--faint)"/><rect width="2.6" height="6" style="fill:var(--p3)"/>'
            '</pattern><pattern id="gone" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<rect width="6" height="6" style="fill:var(--faint)"/><circle cx="3" cy="3" r="1.1" style="fill:var(--p3)"/>'
            '</pattern></defs></svg>\n')


def colour(number, classes):
    """From small blocks to large ones round the wheel, with lightness going up and down: neighbours differ."""
    share = (number - 1) / max(classes - 2, 1)
    return 'hsl(%d 62%% %d%%)' % (round(275 - 290 * share) % 360, (46, 58, 52)[number % 3])


# ---- cells ----

def cells_of(reading, data, pages):
    """(first slab, slabs, kind, class, used, capacity, resident bytes) of a SuperSlab. Kinds: owned, left (its thread has
    ended), empty, purged, unused."""
    board = reading.board
    each = board.slab_size // PAGE
    empty, purged = (struct.unpack_from('<I', data, at)[0]
                     for at in (board.superslab_empty_at, board.superslab_purged_at))
    owners = struct.unpack_from('<%dQ' % board.slabs, data, board.superslab_owners_at)
    slabs = data[board.superslab_slabs_at:board.superslab_slabs_at + board.slabs * board.slab_bytes]
    next_one = 0
    for index, fields in enumerate(board.slab_form.iter_unpack(slabs)):
        if index < next_one:
            continue
        used, _, capacity, number, length, state, _ = board.slab_fields(fields)
        owned = state != 0 and 0 < number < board.classes and 0 < length <= LONGEST
        length = min(length if owned else 1, board.slabs - index)
        next_one = index + length
        resident = pages.count(1, index * each, next_one * each) * PAGE if pages is not None else None
        kind = ('left' if owners[index] == board.place['orphan_heap'] else 'owned') if owned else \
            'empty' if empty >> index & 1 else 'purged' if purged >> index & 1 else 'unused'
        yield index, length, kind, number, min(used, capacity), max(capacity, 1), resident


def draw_cell(reading, cell, told):
    index, length, kind, number, used, capacity, resident = cell
    x, width = index * PITCH + 1, (length - 1) * PITCH + CELL
    if kind in ('owned', 'left'):
        high = round(used / capacity * HIGH)
        text = '<rect class="w" x="%d" y="1" width="%d" height="%d"/>' % (x, width, HIGH)
        text += '<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>' % (
            x, 1 + HIGH - high, width, high, colour(number, reading.board.classes))
        if kind == 'left':
            text += '<path class="x" d="M%d %dL%d 1"/>' % (x, HIGH + 1, x + width)
        words = '%d of %d blocks of %d bytes used' % (used, capacity, reading.board.sizes[number])
        words += '; its thread has ended' if kind == 'left' else ''
    else:
        text = '<rect class="%s" x="%d" y="1" width="%d" height="%d"/>' % (
            {'empty': 'e', 'purged': 'p', 'unused': 'o'}[kind], x, width, HIGH)
        words = {'empty': 'EMPTY: nothing lives in it', 'purged': 'given back to the system', 'unused': 'never used'}[kind]
    if not told:
        return text
    if resident is not None:
        words += '; %s resident' % size(resident)
    return '<g><title>slab%s %d%s: %s</title>%s</g>' % (
        's' if length > 1 else '', index, ' to %d' % (index + length - 1) if length > 1 else '', words, text)


def row(reading, unit, svg, title, share):
    address = reading.base + unit * reading.board.unit_size
    return ('<div class="row"><code>%x</code><svg viewBox="0 0 %d %d" role="img"><title>%s</title>%s</svg><span>%s</span>'
            '</div>\n' % (address, reading.board.slabs * PITCH - 1, HIGH + 2, title, svg, share))


def superslab_row(reading, unit, seen, told):
    cells = list(cells_of(reading, seen[0], seen[1]))
    used = sum(c[4] * reading.board.sizes[c[3]] for c in cells if c[2] in ('owned', 'left'))
    title = 'SuperSlab: ' + ', '.join('%d %s' % (sum(c[1] for c in cells if c[2] == kind), name) for kind, name in (
        ('owned', 'slabs in use'), ('left', 'of threads that ended'), ('empty', 'EMPTY'), ('purged', 'given back'),
        ('unused', 'never used')))
    return row(reading, unit, ''.join(draw_cell(reading, c, told) for c in cells), title,
               '%d %%' % (used * 100 // reading.board.unit_size))


def runs_row(reading, unit, pages):
    """A unit of page runs: how much of each 64 KiB is resident."""
    each, svg = reading.board.slab_size // PAGE, ''
    for index in range(reading.board.slabs):
        there = pages.count(1, index * each, (index + 1) * each)
        x, high = index * PITCH, round(there / each * HIGH)
        svg += '<rect class="w" x="%d" y="1" width="%d" height="%d"/>' % (x, PITCH, HIGH)
        if high:
            svg += '<rect class="r" x="%d" y="%d" width="%d" height="%d"/>' % (x, 1 + HIGH - high, PITCH, high)
    return row(reading, unit, svg, 'page runs, live and free: blocks above 32 KiB',
               '%d %%' % (pages.count(1) * 100 // len(pages)))


def rows(reading):
    text, drawn, left_out = '', 0, 0
    for unit in range(reading.units):
        seen = reading.superslabs.get(unit)
        pages = None if seen or reading.counted else reading.unit_pages_kept(unit)
        if seen is None and (pages is None or not pages.count(1)):
            continue
        if drawn == MOST_ROWS:
            left_out += 1
            continue
        text += superslab_row(reading, unit, seen, drawn < TOLD_ROWS) if seen else runs_row(reading, unit, pages)
        drawn += 1
    if left_out:
        text += '<p>and %d rows more at higher addresses, which the figures count.</p>\n' % left_out
    return text or '<p>There is nothing yet.</p>\n'


# ---- words and tables ----

def bar(parts, whole):
    return '<div class="bar">%s</div>' % ''.join(
        '<i style="width:%.2f%%;background:%s" title="%s"></i>' % (part * 100 / max(whole, 1), style, name)
        for part, style, name in parts if part > 0)


def figures(reading):
    of = reading.of
    resident = [(of[name], 'var(--p%d)' % i, '%s: %s' % (NAMES[name], size(of[name]))) for i, name in enumerate(PARTS)]
    text = '<dl>\n'
    for name, value in (('live', 'live_bytes'), ('resident', 'resident_bytes'), ('whole process', 'process_resident_bytes'),
                        ('address space', 'mapped_bytes')):
        text += '<div><dt>%s</dt><dd id="%s" data-bytes="%d">%s</dd></div>\n' % (name, value, of[value], size(of[value]))
    text += '</dl>\n' + bar(resident, of['resident_bytes']) + '\n<ul>\n'
    for i, name in enumerate(PARTS):
        share = '%s (%.1f %%)' % (size(of[name]), of[name] * 100 / max(of['resident_bytes'], 1))
        text += key('fill:var(--p%d)' % i, NAMES[name], TOLD[name], share)
    return text + '</ul>\n'


def counted(number, word):
    return '%d %s%s' % (number, word, '' if number == 1 else 's')


def by_size(reading):
    board = reading.board
    classes = [(number, c) for number, c in enumerate(reading.classes, 1) if c['slabs']]
    most = max((c['resident_bytes'] for _, c in classes), default=1)
    def line(name, style, live, cached, free, resident, slabs='', blocks='', drawn=''):
        cells = [size(number) if number else '' for number in (live, cached, free, resident)] + [slabs, blocks, drawn]
        return '<tr><td><b style="background:%s"></b>%s</td>%s</tr>\n' % (
            style, name, ''.join('<td>%s</td>' % cell for cell in cells))

    text = ('<tr><th>block size</th><th>live</th><th>cached</th><th>free beside</th><th>resident</th><th>slabs</th>'
            '<th>live blocks</th><th style="text-align:left">live, cached, free</th></tr>\n')
    for number, c in classes:
        parts = [(c['live_resident_bytes'], 'var(--p0)', 'live'), (c['front_bytes'], 'var(--p1)', 'cached'),
                 (c['slab_free_bytes'], 'var(--p2)', 'free beside')]
        text += line('%d bytes' % c['block_bytes'], colour(number, board.classes), c['live_bytes'], c['front_bytes'],
                     c['slab_free_bytes'], c['resident_bytes'], counted(c['slabs'], 'slab'), c['live_blocks'] or '',
                     bar(parts, most))
    of = reading.of
    text += line('page runs', 'var(--p4)', of['run_bytes'], 0, of['run_free_bytes'], reading.run_resident + reading.run_free)
    if reading.huge_blocks:
        text += line('huge', 'none', reading.huge_bytes, 0, 0, reading.huge_resident, '', reading.huge_blocks)
    return ('<h2>By block size</h2>\n<p>Live: with the program. Cached: free, in front caches or on the way to their owner. '
            'Free beside: between live blocks of the same size, of use for that size only.</p>\n<div class="scroll">'
            '<table id="sizes">\n%s</table></div>\n' % text)


def environment_of(process):
    try:
        return {entry.partition(b'=')[0]: entry.partition(b'=')[2] for entry in process.text('environ').split(b'\0')}
    except Trouble:
        return {}


def own_allocator(process):
    """What a program has on top of malloc, as far as it is known: a name for the note, or None."""
    try:
        paths = {os.path.basename(mapping.path) for mapping in process.maps()}
    except Trouble:
        return None
    if any(path.startswith(('python3', 'libpython3')) and not path.startswith('python3-config') for path in paths):
        env = environment_of(process) # empty while it is being started
        if len(env) > 1 and not env.get(b'PYTHONMALLOC', b'').startswith(b'malloc'):
            return ('Python has an allocator of its own for objects of up to 512 bytes, in mappings that are not of malloc. '
                    'PYTHONMALLOC=malloc in its environment lets them be blocks here.')
    for name, words in (('node', 'Node has its objects in the heap of V8'), ('libjvm.so', 'Java has its objects in a heap '
                        'of its own'), ('libruby', 'Ruby has its objects in pages of its own, which are blocks here')):
        if any(path == name or (name.startswith('lib') and path.startswith(name)) for path in paths):
            return words + '.'
    return None


def notes(reading, allocator):
    of, text = reading.of, ''
    if allocator:
        text += '<p class="note" id="allocator">%s</p>\n' % text_of(allocator)
    rest = of['process_resident_bytes'] - of['resident_bytes']
    if rest > 2 * of['resident_bytes'] and rest > 16 << 20:
        text += ('<p class="note">%s of the process is resident that is not of hakmem: code, stacks, files, and what the '
                 'program maps by itself.</p>\n' % size(rest))
    if reading.counted:
        text += '<p class="note">Which pages are resident the kernel does not tell: what was touched counts.</p>\n'
    return text


def legend():
    def sample(inner, name, words):
        return ('<li><svg viewBox="0 0 20 20" aria-hidden="true">%s</svg><span>%s<small>%s</small></span></li>\n'
                % (inner, name, words))
    full = '<rect class="w" x="1" y="1" width="18" height="18"/><rect x="1" y="%d" width="18" height="%d" fill="%s"/>'
    return '<ul>\n%s</ul>\n' % ''.join((
        sample(full % (7, 12, colour(20, 64)), 'in use', 'its colour is the block size, its level the used blocks'),
        sample(full % (7, 12, colour(20, 64)) + '<path class="x" d="M1 19L19 1"/>', 'left behind',
               'its thread has ended; others adopt it'),
        sample('<rect class="e" x="1" y="1" width="18" height="18"/>', 'EMPTY', 'free for any size; may be resident'),
        sample('<rect class="p" x="1" y="1" width="18" height="18"/>', 'given back', 'was in use; the system has its pages'),
        sample('<rect class="o" x="1" y="1" width="18" height="18"/>', 'never used', 'address space'),
        sample(full % (7, 12, 'var(--p4)'), 'page runs', 'blocks above 32 KiB, live and free; its level is what is '
                                                         'resident')))


def page(reading, name, moment, allocator, looks=None):
    text = head('Heap of %s (%d)' % (name[:120], reading.process.pid), MORE_STYLE) + PATTERNS
    text += '<h1>Heap of %s</h1>\n<p>process %d, %s, %s; hakmem %s</p>\n' % (
        text_of(name[:120]), reading.process.pid, moment,
        time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(reading.date)), text_of(reading.board.release))
    if looks is not None:
        text += ('<p>The highest of %d looks, by live bytes. The library itself has had at most %s live, slabs of small '
                 'blocks counted whole.</p>\n' % (looks[0], size(looks[1])))
    text += notes(reading, allocator) + figures(reading) + by_size(reading)
    text += ('<h2>By address</h2>\n<p>A row is 2 MiB, lowest address first: 32 slabs of 64 KiB, of which a wide cell has '
             'several as one; or page runs. Behind it stands how much of it is used, or resident. What is in use includes what front '
             'caches hold.</p>\n')
    return text + legend() + '<div class="few">\n' + rows(reading) + '</div>\n</body></html>\n'


def moment_at_peak(seconds):
    return 'at its peak, %s after its beginning' % clock(seconds)
