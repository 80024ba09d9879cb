# SPDX-License-Identifier: MIT
"""The page of a timeline: what is resident, by time, with the peak marked. HTML with SVG in it, well-formed XML, without
scripts; it loads nothing, and is light or dark as the reader's system is set.

Drawings stretch with the page and have no text in them: numbers and names stand beside them as HTML, so that they stay
legible on a small screen.
"""
import time
from xml.sax.saxutils import escape

from reading import PARTS
from show import NAMES, rate, size

TOLD = {'live_resident_bytes': "blocks in the program's hands",
        'front_bytes': 'free, ready for their thread or on the way',
        'slab_free_bytes': 'free between live blocks of the same size',
        'empty_bytes': 'slabs in which nothing lives, for any size',
        'run_free_bytes': 'free, for blocks above 32 KiB',
        'metadata_bytes': "the allocator's own"}

STYLE = """
:root{color-scheme:light dark;--bg:#ffffff;--ink:#1c2433;--dim:#5d6678;--line:#dfe3ea;--card:#f5f7fa;--faint:#f0f2f6;
--p0:#4663dc;--p1:#0a9fae;--p2:#e8711a;--p3:#9aa3b2;--p4:#8a6552;--p5:#8e46c9;--mark:#c2184b}
@media (prefers-color-scheme:dark){:root{--bg:#12161d;--ink:#e4e8ef;--dim:#9aa5b5;--line:#2a323e;--card:#1a2029;
--faint:#181d26;--p0:#7d93f7;--p1:#35c3cf;--p2:#f7924a;--p3:#66707f;--p4:#b98d76;--p5:#b681f0;--mark:#ff6b98}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px 32px 48px;max-width:1200px;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,
sans-serif}
h1{font-size:26px;font-weight:650;margin:0 0 2px;overflow-wrap:anywhere}h2{font-size:18px;margin:34px 0 4px}
p{margin:4px 0 12px;color:var(--dim);max-width:75em;overflow-wrap:anywhere}
td,dd,.axis{font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:8px;margin:14px 0}
dl div{background:var(--card);border-radius:8px;padding:8px 12px}dt{font-size:13px;color:var(--dim)}
dd{margin:0;font-size:19px;font-weight:600}dd small{font-size:13px;font-weight:400;color:var(--dim);display:block}
figure{margin:14px 0 6px;display:grid;grid-template-columns:5.2em minmax(0,1fr)}
figure .y{position:relative;font-size:12px;color:var(--dim)}figure .y span{position:absolute;right:8px;
transform:translateY(50%);white-space:nowrap}
figure .x{grid-column:2;position:relative;height:22px;font-size:12px;color:var(--dim)}figure .x span{position:absolute;
transform:translateX(-50%);white-space:nowrap;top:3px}figure .x span:first-child{transform:none}
figure .x span.last{transform:translateX(-100%)}
.draw{position:relative;background:var(--faint);border-radius:4px}.draw svg{display:block;width:100%;height:100%;
position:absolute;inset:0}
.tall .draw{height:380px}.low .draw{height:110px}
.mark{position:absolute;top:0;font-size:12px;line-height:1.3;color:var(--ink);background:var(--bg);
border:1px solid var(--mark);border-radius:4px;padding:1px 6px;margin:6px;white-space:nowrap}
.mark.left{transform:translateX(calc(-100% - 12px))}
path,line{vector-effect:non-scaling-stroke}
ul{list-style:none;margin:8px 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));
gap:6px 20px}li{display:flex;gap:9px;align-items:flex-start;line-height:1.35}li small{display:block;color:var(--dim)}
li svg{width:20px;height:20px;flex:none;margin-top:1px}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:8px 0}td,th{padding:3px 18px 3px 0;text-align:right;
font-weight:400;white-space:nowrap}th{color:var(--dim);font-size:13px}td:first-child,th:first-child{text-align:left}
tr+tr td{border-top:1px solid var(--line)}tr.sum td{font-weight:600}
@media (max-width:600px){body{padding:16px 12px 32px}h1{font-size:21px}.tall .draw{height:260px}.low .draw{height:80px}
figure{grid-template-columns:4.4em minmax(0,1fr)}figure .x span.odd{display:none}td,th{padding-right:12px}
dl{grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}}
"""

WIDE, HIGH = 10000, 1000 # of drawings


def text_of(value):
    """Text from outside, which may hold what XML may not."""
    return escape(''.join(c if c.isprintable() else '?' for c in value), {'"': '&quot;'})


def head(title, style='', more=''):
    """A page down to its body, which whoever writes it ends."""
    return ('<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="utf-8"/>%s'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n<title>%s</title>\n'
            '<style>%s%s</style></head>\n<body>\n' % (more, text_of(title), STYLE, style))


def clock(seconds):
    if seconds < 1:
        return '%d ms' % round(seconds * 1000)
    if seconds < 60:
        return '%.2f s' % seconds if seconds < 10 else '%.1f s' % seconds
    if seconds < 3600:
        return '%d min %d s' % (seconds // 60, seconds % 60)
    return '%d h %d min' % (seconds // 3600, seconds % 3600 // 60)


# ---- axes ----

def byte_ticks(top):
    """Round sizes from 0 on, and the end of the axis: the last one."""
    step = 1024
    while top / step > 5:
        step *= 2
    count = max(-(-top // step), 1)
    return [i * step for i in range(int(count) + 1)]


def number_ticks(top):
    step, factors = 1, (2, 2.5, 2)
    i = 0
    while top / step > 3:
        step *= factors[i % 3]
        i += 1
    return [n * step for n in range(int(-(-top // step)) + 1)] if top > 0 else [0, 1]


STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
         7200, 14400, 21600, 43200, 86400)


def time_ticks(end):
    step = next((s for s in STEPS if end / s <= 8), 86400 * max(1, round(end / 86400 / 8)))
    return [i * step for i in range(int(end / step) + 1)]


def tick_name(seconds):
    if seconds == 0:
        return '0'
    if seconds < 1:
        return '%g ms' % round(seconds * 1000, 3)
    if seconds < 60:
        return '%g s' % round(seconds, 3)
    if seconds < 3600:
        return '%d min' % (seconds // 60) if seconds % 60 == 0 else '%d:%02d' % (seconds // 60, seconds % 60)
    return '%d h' % (seconds // 3600) if seconds % 3600 == 0 else '%d:%02d h' % (seconds // 3600, seconds % 3600 // 60)


def short_size(number):
    value = size(number).replace('.0 ', ' ')
    return '0' if number == 0 else value


class Drawing:
    """A picture with its axes. Values are drawn from the bottom up to `top`, times from `begin` to `end`."""

    def __init__(self, kind, ticks, begin, end, name, y_name):
        self.kind, self.ticks, self.top, self.name, self.y_name = kind, ticks, ticks[-1], name, y_name
        self.begin, self.end = begin, max(end, begin + 1e-6)
        self.parts, self.over = [], []

    def x(self, seconds):
        return round((seconds - self.begin) / (self.end - self.begin) * WIDE)

    def y(self, value):
        return HIGH - round(min(value, self.top) / self.top * HIGH)

    def percent(self, seconds):
        return (seconds - self.begin) / (self.end - self.begin) * 100

    def add(self, svg):
        self.parts.append(svg)

    def line(self, points, style):
        if len(points) == 1:
            points = [(self.begin, points[0][1]), (self.end, points[0][1])]
        self.add('<path fill="none" style="%s" d="M%s"/>' % (
            style, 'L'.join('%d %d' % (self.x(s), self.y(v)) for s, v in points)))

    def area(self, seconds, low, high, style):
        if len(seconds) == 1:
            seconds, low, high = [self.begin, self.end], low * 2, high * 2
        there = ['%d %d' % (self.x(s), self.y(v)) for s, v in zip(seconds, high)]
        back = ['%d %d' % (self.x(s), self.y(v)) for s, v in zip(reversed(seconds), reversed(low))]
        self.add('<path style="%s" d="M%sZ"/>' % (style, 'L'.join(there + back)))

    def upright(self, seconds, style):
        self.add('<line x1="{0}" x2="{0}" y1="0" y2="{1}" style="{2}"/>'.format(self.x(seconds), HIGH, style))

    def tip(self, first, last, text):
        self.add('<rect x="%d" width="%d" y="0" height="%d" fill="transparent"><title>%s</title></rect>'
                 % (self.x(first), max(self.x(last) - self.x(first), 1), HIGH, text_of(text)))

    def html(self):
        lines = ''.join('<line x1="0" x2="{0}" y1="{1}" y2="{1}" style="stroke:var(--line)"/>'.format(WIDE, self.y(t))
                        for t in self.ticks[1:-1])
        y = ''.join('<span style="bottom:%.2f%%">%s</span>' % (t / self.top * 100, self.y_name(t)) for t in self.ticks)
        times = [t for t in time_ticks(self.end) if t >= self.begin]
        x = ''
        for i, t in enumerate(times):
            at = self.percent(t)
            kinds = ('odd ' if i % 2 else '') + ('last' if at > 95 else '')
            x += '<span class="%s" style="left:%.2f%%">%s</span>' % (kinds.strip(), at, tick_name(t))
        return ('<figure class="{0}"><div class="y axis">{1}</div><div class="draw"><svg viewBox="0 0 {2} {3}" '
                'preserveAspectRatio="none" role="img"><title>{4}</title>{5}{6}</svg>{7}</div><div class="x axis">{8}'
                '</div></figure>\n').format(self.kind, y, WIDE, HIGH, text_of(self.name), lines, ''.join(self.parts),
                                            ''.join(self.over), x)


# ---- the drawings ----

def memory_drawing(series, end):
    points = series.points()
    resident = max(max(p.of['resident_bytes'], p.of['process_resident_bytes']) for p in points)
    live = max(p.of['live_bytes'] for p in points)
    drawing = Drawing('tall', byte_ticks(max(resident, min(live, 2 * resident), 1024)), 0, end,
                      'resident memory by time', short_size)
    seconds = [p.seconds for p in points]
    low = [0] * len(points)
    for i, name in enumerate(PARTS):
        high = [a + p.of[name] for a, p in zip(low, points)]
        if high != low:
            drawing.area(seconds, low, high, 'fill:var(--p%d)' % i)
        low = high
    drawing.line([(p.seconds, p.of['process_resident_bytes']) for p in points],
                 'stroke:var(--dim);stroke-width:1.2;stroke-dasharray:2 3')
    drawing.line([(p.seconds, p.of['live_bytes']) for p in points], 'stroke:var(--ink);stroke-width:1.4')
    peak = series.peak
    drawing.upright(peak.seconds, 'stroke:var(--mark);stroke-width:1.6')
    at = drawing.percent(peak.seconds)
    drawing.over.append('<div class="mark%s" id="peak" data-bytes="%d" style="left:%.2f%%">peak: %s live<br/>at %s</div>' % (
        ' left' if at > 50 else '', peak.of['live_bytes'], at, size(peak.of['live_bytes']), clock(peak.seconds)))
    add_tips(drawing, points, lambda p: '\n'.join(
        ['at %s' % clock(p.seconds), 'live: %s' % size(p.of['live_bytes']),
         'resident: %s' % size(p.of['resident_bytes'])] +
        ['%s: %s' % (NAMES[name], size(p.of[name])) for name in PARTS] +
        ['whole process: %s' % size(p.of['process_resident_bytes'])]))
    return drawing.html()


def add_tips(drawing, points, text):
    """What is pointed at tells its figures: in at most 120 places."""
    each = max(1, len(points) // 120)
    chosen = points[::each]
    for i, p in enumerate(chosen):
        before = (chosen[i - 1].seconds + p.seconds) / 2 if i > 0 else drawing.begin
        after = (chosen[i + 1].seconds + p.seconds) / 2 if i + 1 < len(chosen) else drawing.end
        drawing.tip(before, after, text(p))


def rate_points(points, *names):
    """(seconds, rates): of what was counted between two samples; for the middle between them."""
    found = []
    for before, after in zip(points, points[1:]):
        apart = after.seconds - before.seconds
        if apart > 0:
            found.append(((before.seconds + after.seconds) / 2,
                          [max(after.of[name] - before.of[name], 0) / apart for name in names]))
    return found


def rate_drawing(points, end, title, names, styles):
    found = rate_points(points, *names)
    if not found:
        return ''
    top = max(max(values) for _, values in found)
    drawing = Drawing('low', number_ticks(top), 0, end, title, rate)
    for i, style in enumerate(styles):
        drawing.line([(s, values[i]) for s, values in found], style)
    return '<h2>%s</h2>\n' % title + drawing.html()


# ---- words and tables ----

def key(style, name, told, figure, dashed=False):
    sample = ('<line x1="0" y1="10" x2="20" y2="10" style="%s"/>' if dashed else
              '<rect width="20" height="20" style="%s"/>') % style
    return ('<li><svg viewBox="0 0 20 20" aria-hidden="true">%s</svg><span>%s%s<small>%s</small></span></li>\n'
            % (sample, name, ': ' + figure if figure else '', told))


def legend(series):
    peak = series.peak.of
    items = [key('fill:var(--p%d)' % i, NAMES[name], TOLD[name], size(peak[name])) for i, name in enumerate(PARTS)]
    items.append(key('stroke:var(--ink);stroke-width:2', 'all live blocks', 'touched or not', size(peak['live_bytes']),
                     True))
    items.append(key('stroke:var(--dim);stroke-width:2;stroke-dasharray:2 3', 'whole process',
                     'with code, stacks and what is not of hakmem', size(peak['process_resident_bytes']), True))
    return '<p>Colours from the bottom up; the figures are those of the peak.</p>\n<ul>\n%s</ul>\n' % ''.join(items)


def cards(series, end):
    def card(name, identity, sample, field):
        return '<div><dt>%s</dt><dd id="%s" data-bytes="%d">%s<small>at %s</small></dd></div>\n' % (
            name, identity, sample.of[field], size(sample.of[field]), clock(sample.seconds))

    text = card('peak of live bytes', 'peak-live', series.peak, 'live_bytes')
    text += card('peak of resident bytes', 'peak-resident', series.fullest, 'resident_bytes')
    text += card('live when last seen', 'last-live', series.last, 'live_bytes')
    text += card('resident when last seen', 'last-resident', series.last, 'resident_bytes')
    return '<dl>\n%s</dl>\n' % text


def moments(series):
    columns = (('most live', series.peak), ('most resident', series.fullest), ('last seen', series.last))
    rows = [('at', [clock(s.seconds) for _, s in columns])]
    rows += [(NAMES[name], [size(s.of[name]) for _, s in columns]) for name in PARTS]
    rows.append(('resident', [size(s.of['resident_bytes']) for _, s in columns]))
    rows += [(title, [size(s.of[name]) for _, s in columns]) for title, name in (
        ('live, touched or not', 'live_bytes'), ('of it in page runs', 'run_bytes'), ('of it in huge blocks', 'huge_bytes'),
        ('whole process', 'process_resident_bytes'), ('address space', 'mapped_bytes'))]
    rows += [(title, ['%d' % s.of[name] for _, s in columns]) for title, name in (
        ('threads', 'threads'), ('system calls for memory', 'os_calls'), ('waits for a lock', 'lock_waits'),
        ('page faults', 'minor_faults'))]
    text = '<tr><th></th>%s</tr>\n' % ''.join('<th>%s</th>' % title for title, _ in columns)
    for title, values in rows:
        text += '<tr%s><td>%s</td>%s</tr>\n' % (' class="sum"' if title == 'resident' else '', title,
                                                ''.join('<td>%s</td>' % value for value in values))
    return '<h2>Three moments</h2>\n<div class="scroll"><table>\n%s</table></div>\n' % text


def block_sizes(series):
    """What was live at the peak, by block size: the largest first."""
    of = series.peak.of
    rows = [('%d bytes' % c['block_bytes'], c['live_bytes'], '%d' % c['live_blocks'],
             c['cached_blocks'] * c['block_bytes'], c['slab_free_bytes']) for c in series.peak.classes]
    rows += [('page runs, to 32 MiB', of['run_bytes'], '', 0, of['run_free_bytes']),
             ('huge, above', of['huge_bytes'], '', 0, 0)]
    rows = sorted((row for row in rows if row[1] + row[3] + row[4] > 0), key=lambda row: -row[1])
    shown, rest = rows[:24], rows[24:]
    if rest:
        shown.append(('%d other sizes' % len(rest), sum(r[1] for r in rest), '', sum(r[3] for r in rest),
                      sum(r[4] for r in rest)))
    text = '<tr><th>block size</th><th>live</th><th>share</th><th>blocks</th><th>cached</th><th>free beside</th></tr>\n'
    for name, live, blocks, cached, free in shown:
        text += '<tr><td>%s</td><td>%s</td><td>%.1f %%</td><td>%s</td><td>%s</td><td>%s</td></tr>\n' % (
            name, size(live), live * 100 / max(of['live_bytes'], 1), blocks, size(cached) if cached else '',
            size(free) if free else '')
    return ('<h2>At the peak, by block size</h2>\n<div class="scroll"><table id="sizes">\n%s</table></div>\n' % text)


def page(timeline):
    series, process = timeline.series, timeline.process
    points = series.points()
    end = max(timeline.end or 0, series.last.seconds)
    names = [name for _, name in timeline.others] or [str(process.pid)]
    title = names[-1][:120]
    how = 'it ended after %s' % clock(timeline.end) if timeline.end is not None else \
        'watched for %s so far; it was running when this was written' % clock(timeline.seconds())
    text = head('Memory of %s by time' % title) + '<h1>Memory of %s</h1>\n' % text_of(title)
    text += '<p>process %d, begun %s, %s; hakmem %s, %d looks</p>\n' % (
        process.pid, time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(timeline.date)), how,
        text_of(timeline.board.release if timeline.board else '?'), series.seen)
    if len(names) > 1:
        text += '<p>The process was other programs before: %s.</p>\n' % '; '.join(
            '%s from %s' % (text_of(name[:80]), clock(at)) for at, name in timeline.others)
    text += cards(series, end) + memory_drawing(series, end) + legend(series) + moments(series) + block_sizes(series)
    text += rate_drawing(points, end, 'Blocks a second that left slabs (solid) and came back (dashed)',
                         ('refilled', 'flushed'), ('stroke:var(--p0);stroke-width:1.5',
                                                   'stroke:var(--p2);stroke-width:1.5;stroke-dasharray:5 3'))
    text += ('<p>What front caches serve by themselves passes no slab and is not counted: malloc and free are called more '
             'often.</p>\n')
    text += rate_drawing(points, end, 'Page faults a second', ('minor_faults',), ('stroke:var(--p0);stroke-width:1.5',))
    text += ('<p>Looked at from outside, while the program went on: what is live is known to a part in a hundred or '
             'better, and what came and went between two looks is not seen. The library itself has had at most %s '
             'live, slabs of small blocks counted whole.</p>\n' % size(series.last.of['peak_live_bytes']))
    return text + '</body></html>\n'
