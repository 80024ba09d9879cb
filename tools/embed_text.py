#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes C string literals of a text, so that a library can have it: the parts before and behind a mark.

usage: embed_text.py TEXT MARK NAME OUTPUT
"""
import sys

ESCAPES = {'"': '\\"', '\\': '\\\\', '\n': '\\n', '?': '\\?'}


def literal(name, text):
    lines = [''.join(ESCAPES.get(c, c) if c < '\x7f' else ''.join('\\%03o' % byte for byte in c.encode()) for c in line)
             for line in text.splitlines(keepends=True)]
    return 'static const char %s[] =\n%s;\n' % (name, '\n'.join('    "%s"' % line for line in lines))


def main():
    path, mark, name, output = sys.argv[1:5]
    with open(path, encoding='utf-8') as file:
        before, behind = file.read().split(mark)
    with open(output, 'w', encoding='ascii') as file:
        file.write('/* Made from %s by embed_text.py. */\n%s%s' % (
            path.rsplit('/', 1)[-1], literal(name + '_head', before), literal(name + '_tail', behind)))


if __name__ == '__main__':
    main()
