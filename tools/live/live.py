#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `hakmem` does with processes that run: top, stats, heap PID, profile, timeline, run --timeline. docs/live.md has more.

Called by the command `hakmem` alone, with the command's name first. Needs Python 3.9 and its standard library.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import memory  # noqa: E402

FAILED = 1   # the process could not be read: one line says why
USAGE = 125  # as the other commands of hakmem have it


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.stderr.write('hakmem: %s: %s\n' % (self.prog, message))
        sys.stderr.write('hakmem: hakmem %s --help tells more\n' % self.prog)
        sys.exit(USAGE)


def a_pid(text):
    if not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError("'%s' is no process id" % text)
    return int(text)


def a_port(text):
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError("'%s' is no port" % text)
    return int(text)


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0.01 <= value <= 86400 * 365:
        raise argparse.ArgumentTypeError("'%s' is no number of seconds from 0.01 on" % text)
    return value


def parser_of(name):
    parser = Parser(prog=name, add_help=False, allow_abbrev=False)
    parser.add_argument('-o', dest='output', metavar='FILE')
    return parser


def stats(arguments):
    parser = parser_of('stats')
    parser.add_argument('pid', type=a_pid)
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args(arguments)
    import show
    with memory.Process(options.pid) as process:
        told = look_once(process)
        text = show.as_text(show.as_json(told)) if options.json else show.as_page(told)
    show.write(text, options.output)


def top(arguments):
    parser = parser_of('top')
    parser.add_argument('pids', metavar='PID', type=a_pid, nargs='*')
    parser.add_argument('--once', action='store_true')
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--interval', type=seconds, default=None)
    parser.add_argument('--web', action='store_true')
    parser.add_argument('--port', type=a_port, default=0)
    options = parser.parse_args(arguments)
    options.pids = options.pids or None
    if options.interval is None:
        options.interval = 0.5 if options.once or options.json or options.output else 2.0
    if options.web:
        if options.once or options.json or options.output:
            parser.error('--web goes on until it is interrupted: not with --once, --json or -o')
        import web
        web.serve(options)
    elif options.port:
        parser.error('--port goes with --web')
    else:
        import top as screen
        screen.top(options)


def heap(arguments):
    parser = parser_of('heap')
    parser.add_argument('pid', type=a_pid)
    options = parser.parse_args(arguments)
    import heap_page
    import show
    path = options.output or 'heap-%d.html' % options.pid
    show.check_file(path)
    with memory.Process(options.pid) as process:
        told = look_once(process)
        show.replace(heap_page.page(told, process.name(), 'as it was looked at', heap_page.own_allocator(process)), path)
    print(path)


def parse_watch(name, arguments):
    """Of a command that looks at a process for some time."""
    parser = parser_of(name)
    parser.add_argument('pid', type=a_pid)
    parser.add_argument('--seconds', type=seconds, default=None)
    parser.add_argument('--json', action='store_true')
    return parser, parser.parse_args(arguments)


def profile(arguments):
    parser, options = parse_watch('profile', arguments)
    if options.json and options.output and not options.output.endswith('.json'):
        parser.error('with --json the FILE has to end in .json')
    import profiled
    profiled.profile(options.pid, options.output or 'profile-%d-now.%s' % (options.pid, 'json' if options.json else 'html'),
                     options.seconds)


def look_once(process):
    import board
    import reading
    try:
        return reading.look(board.Finder().find(process))
    except memory.Moved:
        raise memory.Trouble('other', 'process %d changes too fast to be read' % process.pid) from None


def timeline(arguments):
    _, options = parse_watch('timeline', arguments)
    import timeline as watcher
    path = options.output or 'timeline-%d.%s' % (options.pid, 'json' if options.json else 'html')
    watcher.attach(options.pid, path, options.seconds, options.json)


def run(arguments):
    """Of the shell alone: timeline, timeline-json, peak or seconds; FILE, LD_PRELOAD, the ignored signals (hexadecimal), COMMAND."""
    import timeline as watcher
    watcher.run(arguments[0], arguments[1], arguments[2], int(arguments[3], 16), arguments[4:])


COMMANDS = {'stats': stats, 'top': top, 'heap': heap, 'profile': profile, 'timeline': timeline, 'run': run}


def main():
    try:
        COMMANDS[sys.argv[1]](sys.argv[2:])
    except memory.Trouble as error:
        sys.stderr.write('hakmem: %s\n' % error)
        sys.exit(USAGE if error.kind in ('usage', 'file') else FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == '__main__':
    main()
