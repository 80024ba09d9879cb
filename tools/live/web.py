# SPDX-License-Identifier: MIT
"""`hakmem top --web`: the screen as a page for the browser that refreshes itself, and the heap of each process.

Served on 127.0.0.1 alone, below a path that nobody can guess: other users of the machine, and pages of other sites that
the same browser shows, have no token. Requests that name another host are refused (a name that leads here is not ours).
"""
import hmac
import http.server
import secrets
import sys
import threading
import time

import heap_page
import memory
from rates import growth
from reading import PARTS
from show import NAMES, rate, short, size
from timeline_page import head, text_of
from top import COLUMNS, head_line, no_process, signed, sorted_by
from watch import Watch

MORE_STYLE = """
.bar{display:flex;height:26px;border-radius:6px;overflow:hidden;background:var(--faint);margin:12px 0}.bar i{display:block}
th.name{text-align:left}td.name{text-align:left;max-width:14em;overflow:hidden;text-overflow:ellipsis}a{color:inherit}
td.stack{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:16em}
"""
HEADERS = (('Cache-Control', 'no-store'), ('Referrer-Policy', 'no-referrer'), ('X-Content-Type-Options', 'nosniff'),
           ('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"))


def frame(title, body, seconds):
    again = '<meta http-equiv="refresh" content="%g"/>' % seconds if seconds else ''
    return head(title, MORE_STYLE, again) + body + '</body></html>\n'


def table(watch, root):
    rows = sorted_by(watch, 1)
    text = '<h1>hakmem</h1>\n<p>%s</p>\n' % text_of(head_line(watch))
    if not rows:
        return text + '<p>%s</p>\n' % text_of(no_process(watch))
    text += '<div class="scroll"><table id="processes">\n<tr><th>%s</th><th class="name">COMMAND</th>%s</tr>\n' % (
        COLUMNS[0][0], ''.join('<th>%s</th>' % title for title, _, _, _ in COLUMNS[1:]))
    for w in rows:
        cells = [show(w) for _, _, _, show in COLUMNS]
        cells[0] = '<a href="%s/%s">%s</a>' % (root, cells[0], cells[0])
        text += '<tr><td>%s</td><td class="name">%s</td>%s</tr>\n' % (cells[0], text_of(w.name[:160]), ''.join(
            '<td>%s</td>' % cell for cell in cells[1:]))
    return text + '</table></div>\n'


def one(w, root):
    of = w.now.of
    whole = max(of['resident_bytes'], 1)
    text = '<p><a href="%s/">all processes</a> · <a href="%s/%d/heap">its heap, drawn now</a></p>\n' % (
        root, root, w.process.pid)
    text += '<h1>%s</h1>\n<p>process %d, hakmem %s %s</p>\n<dl>\n' % (
        text_of(w.name[:160]), w.process.pid, text_of(w.board.release), text_of(w.board.front))
    for title, name in (('live', 'live_bytes'), ('resident', 'resident_bytes'), ('peak live', 'peak_live_bytes'),
                        ('whole process', 'process_resident_bytes')):
        text += '<div><dt>%s</dt><dd id="%s">%s</dd></div>\n' % (title, name, size(of[name]))
    for title, name in (('refilled a second', 'refilled_per_second'), ('flushed a second', 'flushed_per_second'),
                        ('faults a second', 'minor_faults_per_second'), ('lock waits a second', 'lock_waits_per_second')):
        text += '<div><dt>%s</dt><dd>%s</dd></div>\n' % (title, rate(w.rates[name]) if name in w.rates else '-')
    text += '</dl>\n<div class="bar">%s</div>\n<ul>\n' % ''.join(
        '<i style="width:%.2f%%;background:var(--p%d)"></i>' % (of[name] * 100 / whole, i) for i, name in enumerate(PARTS))
    for i, name in enumerate(PARTS):
        text += '<li><svg viewBox="0 0 20 20"><rect width="20" height="20" style="fill:var(--p%d)"/></svg><span>%s: %s ' \
                '(%.1f %%)</span></li>\n' % (i, NAMES[name], size(of[name]), of[name] * 100 / whole)
    recent = {cls: grown for cls, _, grown in growth(w.before, w.now)}
    text += ('</ul>\n<h2>Which sizes grow</h2>\n<div class="scroll"><table>\n<tr><th>block size</th><th>live</th>'
             '<th>grown since the first look</th><th>since the last</th></tr>\n')
    for cls, live, grown in growth(w.first, w.now)[:30]:
        text += '<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n' % (cls, short(live), signed(grown),
                                                                           signed(recent.get(cls, 0)))
    text += '</table></div>\n'
    stacks = w.stacks()
    if stacks:
        text += ('<h2>Who has most</h2>\n<p>Of the profile that it makes.</p>\n<div class="scroll"><table id="stacks">\n'
                 '<tr><th>live</th><th class="name">stack, the innermost function first</th></tr>\n')
        for live, names in stacks:
            text += '<tr><td>%s</td><td class="stack">%s</td></tr>\n' % (short(live), text_of(' < '.join(names)))
        text += '</table></div>\n'
    return text


class Pages:
    """What is shown by path below the token. One look serves all requests of an interval."""

    def __init__(self, options):
        self.options, self.watch, self.looked = options, Watch(options.pids), None
        self.lock = threading.Lock()

    def look(self):
        if self.looked is None or time.monotonic() - self.looked >= self.options.interval * 0.9:
            self.watch.look()
            self.looked = time.monotonic()

    def page(self, path, root):
        """None: there is no such page."""
        with self.lock:
            try:
                self.look()
                words = path.strip('/').split('/')
                if words == ['']:
                    return frame('hakmem top', table(self.watch, root), self.options.interval)
                w = self.watch.watched.get(int(words[0])) if words[0].isdigit() else None
                if w is None or w.now is None or words[1:] not in ([], ['heap']):
                    return None
                if words[1:] == ['heap']:
                    return heap_page.page(w.now, w.name, 'as it was looked at', heap_page.own_allocator(w.process))
                return frame(w.name[:60], one(w, root), self.options.interval)
            except memory.Trouble as error:
                return frame('hakmem top', '<h1>hakmem</h1>\n<p>%s</p>\n' % text_of(str(error)), self.options.interval)


def handler_of(pages, token):
    class Handler(http.server.BaseHTTPRequestHandler):
        server_version, sys_version = 'hakmem', ''

        def do_GET(self): # pylint: disable=invalid-name
            port = self.server.server_address[1]
            first, _, rest = self.path.lstrip('/').partition('/')
            ours = self.headers.get('Host') in ('127.0.0.1:%d' % port, 'localhost:%d' % port)
            text = pages.page(rest, '/' + token) if ours and hmac.compare_digest(first.encode(), token.encode()) else None
            body = (text or 'There is nothing here.\n').encode()
            self.send_response(200 if text else 404)
            self.send_header('Content-Type', ('application/xhtml+xml' if text else 'text/plain') + '; charset=utf-8')
            self.send_header('Content-Length', str(len(body)))
            for name, value in HEADERS:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError): # a browser may go on to another page
            super().handle_error(request, client_address)


def serve(options):
    token = secrets.token_urlsafe(24)
    pages = Pages(options)
    if options.pids is not None:
        pages.look() # a Trouble is the caller's to tell
    try:
        server = Server(('127.0.0.1', options.port), handler_of(pages, token))
    except OSError as error:
        raise memory.Trouble('usage', 'top: 127.0.0.1:%d: %s' % (options.port, error.strerror)) from None
    print('http://127.0.0.1:%d/%s/' % (server.server_address[1], token), flush=True)
    sys.stderr.write('hakmem: open this in a browser here; it holds the key to it. Interrupt to end\n')
    with server:
        server.serve_forever()
