# SPDX-License-Identifier: MIT
"""What the tools that make a page of docs have in common: they write it, or with --check tell whether it is up to date."""
import os
import sys


def main(path, text):
    """`path` of the page, and what it has to say; the status of the tool."""
    if sys.argv[1:] == ['--check']:
        have = ''
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                have = file.read()
        if have != text:
            print('docs/%s is not up to date: run tools/%s' % (os.path.basename(path), os.path.basename(sys.argv[0])))
            return 1
        return 0
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return 0
