#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links between the pages of a checkout lead somewhere: to a file that is there, and to a heading that its page has.

usage: check_links.py [ROOT]           (./hakmem test links; without ROOT, this checkout)
       check_links.py --site FOLDER    the same for what ./hakmem docs made: every href and src
       check_links.py --self-test

Addresses on the web are not looked at: a test must not depend on somebody else's machine.
"""
import html.parser
import os
import re
import sys
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINK = re.compile(r'(?<!\\)\[(?:[^][]|\[[^][]*\])*\]\(<?([^()\s>]*(?:\([^()\s]*\))?[^()\s>]*)>?(?: "[^"]*")?\)')


def pages(root):
    """The Markdown files of a checkout."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(('build', '.git', '__pycache__', 'cmocka-')))
        for name in sorted(names):
            if name.endswith('.md'):
                yield os.path.join(folder, name)


def without_code(text):
    text = re.sub(r'^(```|~~~).*?^\1', '', text, flags=re.S | re.M)
    text = re.sub(r'(?:^|(?<=\n\n))(?:(?: {4}|\t).*\n)+', '\n', text)
    return re.sub(r'(`+)(?!`).*?(?<!`)\1(?!`)', 'code', text, flags=re.S)


def anchors(text):
    """What `#...` may name in a page: its headings, in small letters, with a dash for each blank."""
    found = set()
    for heading in re.findall(r'^#+ +(.*?) *#*$', re.sub(r'^```.*?^```', '', text, flags=re.S | re.M), re.M):
        heading = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).lower()
        found.add(re.sub(r'[^\w\- ]', '', heading).replace(' ', '-'))
    return found


def faults_of(path, text, read):
    """What is wrong with the links of a page; `read` gives the text of another, or None."""
    for link in LINK.findall(without_code(text)):
        where, _, name = link.partition('#')
        if re.match(r'[a-z][a-z0-9+.-]*:', where):
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(path), urllib.parse.unquote(where))) if where else path
        there = text if not where else read(target)
        if there is None:
            yield '%s: there is no %s' % (path, link)
        elif name and target.endswith('.md') and name not in anchors(there):
            yield '%s: %s has no heading #%s' % (path, where or path, name)


def read(path):
    if os.path.isdir(path):
        return ''
    if not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


class Page(html.parser.HTMLParser):
    """Links and names of an HTML page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(read(path))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names |= {attrs[key] for key in ('id', 'name') if attrs.get(key)}
        self.links += [attrs[key] for key in ('href', 'src') if attrs.get(key)]


def site_faults(folder):
    found = {}
    for where, _, names in os.walk(folder):
        found.update({os.path.join(where, name): None for name in names})
    read_pages = {path: Page(path) for path in found if path.endswith('.html') and not path.endswith('/404.html')}
    for path, page in sorted(read_pages.items()):
        for link in page.links:
            where, _, name = link.partition('#')
            where = urllib.parse.unquote(where.split('?')[0])
            if re.match(r'[a-z][a-z0-9+.-]*:|//', link):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), where)) if where else path
            target = os.path.join(target, 'index.html') if os.path.isdir(target) else target
            if target not in found:
                yield '%s: there is no %s' % (path, link)
            elif name and target in read_pages and name not in read_pages[target].names:
                yield '%s: %s has no #%s' % (path, where or path, name)


SAMPLES = [
    ('[a](b.md)', 0), ('[a](c.md)', 1), ('[a](b.md#one-two)', 0), ('[a](b.md#three)', 1), ('`[a](c.md)`', 0),
    ('text\n\n    [a](c.md)\n', 0), ('```\n[a](c.md)\n```\n', 0), ('[a](https://x.y/z)', 0), ('# Here\n[a](#here)', 0),
    ('[a](#there)', 1), ('![a](c.png)', 1), ('[![a](c.png)](c.md)', 1), ('[a](b.md "title")', 0),
]


def self_test():
    others = {'b.md': '# One, two\n'}
    return ['%r gave %r' % (text, found) for text, expected in SAMPLES
            for found in [list(faults_of('a.md', text, others.get))] if len(found) != expected]


def main():
    if sys.argv[1:2] == ['--self-test']:
        faults = self_test()
    elif sys.argv[1:2] == ['--site']:
        faults = list(site_faults(os.path.abspath(sys.argv[2])))
    else:
        root = sys.argv[1] if len(sys.argv) > 1 else ROOT
        faults = [fault for path in pages(root) for fault in faults_of(path, read(path), read)]
    print('\n'.join(faults) or 'all links lead somewhere')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
