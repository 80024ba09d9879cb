#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The reader's lists of what stands on a board are those of the library, in order, and both have the same version.

usage: board.py SOURCE
"""
import os
import re
import sys

sys.dont_write_bytecode = True


def names(text, macro):
    body = text[text.index('#define %s(X)' % macro):]
    body = body[:body.index('\n\n')]
    return re.findall(r'\bX\((\w+),', body)


def main():
    source = sys.argv[1]
    sys.path.insert(0, os.path.join(source, 'tools', 'live'))
    import board
    with open(os.path.join(source, 'core', 'api', 'board_list.h'), encoding='utf-8') as file:
        text = file.read()
    with open(os.path.join(source, 'core', 'api', 'board.h'), encoding='utf-8') as file:
        header = file.read()
    faults = []
    for macro, here in (('HK_BOARD_NUMBERS', board.NUMBERS), ('HK_BOARD_PLACES', board.PLACES)):
        there = names(text, macro)
        if there != here:
            faults.append('%s: the library has %s, the reader %s' % (macro, there, here))
    version = int(re.search(r'#define HK_BOARD_VERSION (\d+)', header).group(1))
    if version != board.VERSION:
        faults.append('the library has version %d, the reader %d' % (version, board.VERSION))
    kinds = re.findall(r'HK_BOARD_BIN_(\w+)(?: = 0)?,', header)
    if [getattr(board, 'BIN_' + kind, None) for kind in kinds] != list(range(len(kinds))):
        faults.append('the kinds of bins differ: %s' % kinds)
    print('\n'.join(faults) or '%d numbers, %d places' % (len(board.NUMBERS), len(board.PLACES)))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
