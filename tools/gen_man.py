#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages in docs/man: hakmem(1) from tools/commands.txt, hakmem(3) from
hakmem.h, hakmem_options(7) from the tables that docs/options.md and docs/statistics.md are made of.

usage: gen_man.py [--check]

--check writes nothing and ends with 1, and a line that says so, when a page is not what those give, or names a page of docs
that debian/hakmem.docs leaves out.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gen_options_doc  # noqa: E402
import gen_statistics_doc  # noqa: E402
import man_text  # noqa: E402
from man_text import bold, escape, from_markdown, paragraph, section, tagged  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
FOLDER = os.path.join(ROOT, 'docs', 'man')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


VERSION = re.search(r"^  version: '([^']+)'", read('meson.build'), re.M)[1]


def title(name, number):
    # REUSE-IgnoreStart
    return ('.\\" SPDX-License-Identifier: MIT\n.\\" Made by tools/gen_man.py; do not edit it by hand.\n'
            '.TH %s %d "" "hakmem %s"\n' % (name, number, VERSION))
    # REUSE-IgnoreEnd


# ---- hakmem(1) ----

def commands():
    """(how it is called, what it does, [(option or None, text)...]) of each command that is installed."""
    blocks = re.findall(r'^== \w+ both\n([^\n]+)\n([^\n]+)\n(.*?)(?=^== |\Z)', read('tools', 'commands.txt'), re.M | re.S)
    if not blocks:
        sys.exit('gen_man.py: no command in tools/commands.txt')
    return [('hakmem ' + usage, brief[0].upper() + brief[1:] + '.', list(details(text))) for usage, brief, text in blocks]


def details(text):
    """Paragraphs, and options: these stand behind two blanks, their text behind two more, or deeper on the next lines."""
    option, words = None, []
    for line in text.split('\n') + ['']:
        begins = re.match(r'  (-\S.*?)(?:  +(.*))?$', line)
        if (begins or not line.strip()) and words:
            yield option, ' '.join(words)
            option, words = None, []
        if begins:
            option, words = begins[1], [begins[2]] if begins[2] else []
        elif line.strip():
            words.append(line.strip())


STATUSES = [('125', 'hakmem itself failed, or was called in a wrong way.'),
            ('126', 'COMMAND was found and cannot be run.'),
            ('127', 'COMMAND was not found.'),
            ('else', 'that of COMMAND, or the signal that ended it.')]


def usage_line(usage):
    """Words in capitals are to be replaced: they are set in italics, the rest in bold."""
    words = [re.sub(r'[A-Z]{2,}', lambda match: '\\fI%s\\fB' % match[0], escape(word)) for word in usage.split()]
    return '\\fB%s\\fR' % ' '.join(words)


def command_page():
    lines = [title('hakmem', 1), section('NAME'), 'hakmem \\- run programs on the hakmem memory allocator\n',
             section('SYNOPSIS')]
    lines += ['%s\n.br\n' % usage_line(usage) for usage, _, _ in commands()]
    lines += ['%s\n.br\n' % usage_line('hakmem --version')]
    lines += [section('DESCRIPTION'), paragraph(
        'hakmem is a memory allocator that takes the place of the C library\'s malloc. This command runs a program on '
        'it, unchanged: it sets LD_PRELOAD and becomes COMMAND, which keeps its process id, its input and output, its '
        'signals and its exit status. What COMMAND starts runs on hakmem too.'), paragraph(
        'The loader preloads nothing into programs that are static, set-uid or set-gid, or have file capabilities; '
        'hakmem says so in one line and runs them all the same.'), section('COMMANDS')]
    for usage, brief, more in commands():
        lines += [tagged(usage_line(usage), escape(brief)), '.RS\n']
        lines += [tagged(bold(option), escape(text)) if option else paragraph(escape(text)) for option, text in more]
        lines += ['.RE\n']
    lines += [section('EXIT STATUS')] + [tagged(bold(code), escape(text)) for code, text in STATUSES]
    lines += [section('ENVIRONMENT'), paragraph(
        'Variables that begin with HAKMEM_ are options of the library; `HAKMEM_OPTIONS=help` in the environment of a '
        'COMMAND prints them. See hakmem_options(7). An LD_PRELOAD that is set already stays, behind hakmem\'s.')]
    lines += [section('EXAMPLES')]
    for example, what in (('hakmem run --stats -- python3 -c "print(2 ** 100)"', 'A page about the heap at the end.'),
                          ('hakmem heap -o heap.html -- make', 'A picture of the heap at its peak, for a browser.'),
                          ('hakmem run --timeline -- make', 'A page of its memory by time.'),
                          ('hakmem top', 'A screen of what runs on hakmem.'),
                          ('hakmem record -o t.hkt -- make; hakmem replay t.hkt', 'Its calls of malloc again, on hakmem '
                           'and on libc.'),
                          ('HAKMEM_MEMORY_LIMIT=1G hakmem run -- server', 'Allocations beyond one GiB fail.')):
        lines.append(tagged(bold(example), escape(what)))
    return ''.join(lines + [section('SEE ALSO'), man_text.see_also('hakmem(3)', 'hakmem_options(7)', 'ld.so(8)')])


# ---- hakmem(3) ----

COMMENT = re.compile(r'/\*(.*?)\*/', re.S)


def comment_text(text):
    return ' '.join(re.sub(r'^\s*\* ?', '', line) for line in text.split('\n')).strip()


def entries():
    """What hakmem.h declares, in its order: ('section', heading) or ('functions', [prototype...], what they do)."""
    text = read('include', 'hakmem', 'hakmem.h')
    text = text[text.index('/* ---- '):]
    comment, prototypes = '', []
    for piece in re.finditer(r'/\*(?P<comment>.*?)\*/|^HAK_API (?P<function>[^;{]*);|^(?P<other>struct|enum)\b[^;]*?\{.*?^\};',
                             text, re.S | re.M):
        if piece['function'] is not None:
            prototypes.append(' '.join(re.sub(r'HAK_(MALLOC|NOEXCEPT|SIZE\([^)]*\))', '', piece['function']).split()))
            continue
        if prototypes:
            yield 'functions', prototypes, comment
        prototypes = []
        if piece['comment'] is None:
            comment = ''
            continue
        comment = comment_text(piece['comment'])
        if comment.startswith('---- '):
            yield 'section', comment.strip('- .'), ''
            comment = ''
    if prototypes:
        yield 'functions', prototypes, comment


def prototype(text):
    name = re.search(r'(\w+)\(', text)[1]
    before, after = text.split(name + '(', 1)
    after = re.sub(r'(\w+)([,)])', r'\\fI\1\\fB\2', escape(after)) if after != 'void)' else after
    return '.B "%s%s(%s;"\n' % (before.replace('"', '\\(dq'), name, after)


def library_page():
    found = list(entries())
    names = {re.search(r'(\w+)\(', text)[1] for kind, texts, _ in found if kind == 'functions' for text in texts}
    declared = set(re.findall(r'HAK_API\b[^;]*?\b(hak_\w+|free_\w+)\(', COMMENT.sub('', read('include', 'hakmem', 'hakmem.h'))))
    if names != declared:
        sys.exit('gen_man.py: not understood in hakmem.h: %s' % ', '.join(sorted(names ^ declared)))
    head = comment_text(COMMENT.search(read('include', 'hakmem', 'hakmem.h'))[1])
    head = [part for part in head.split('  ') if 'SPDX' not in part]
    lines = [title('hakmem', 3), section('NAME'), 'hakmem \\- functions of the hakmem memory allocator\n',
             section('SYNOPSIS'), '.nf\n.B #include <hakmem/hakmem.h>\n.fi\n.PP\n',
             'cc \\fIprogram.c\\fR $(pkg\\-config \\-\\-cflags \\-\\-libs hakmem)\n', section('DESCRIPTION')]
    lines += [paragraph(from_markdown(text)) for text in head]
    lines.append(paragraph(from_markdown('The fields of `struct hak_stats` and `struct hak_class_stats` are told in '
                                         'hakmem_options(7), under their names.')))
    for kind, what, text in found:
        if kind == 'section':
            heading, *rest = re.split('[.:;] ', what, 1)
            lines.append(section(heading.upper()))
            lines += [paragraph(from_markdown(rest[0][0].upper() + rest[0][1:] + '.'))] if rest else []
            continue
        body = from_markdown(text) if text else 'As above.'
        lines.append('.PP\n.nf\n' + ''.join(map(prototype, what)) + '.fi\n.RS 4\n%s\n.RE\n' % man_text.lines(body))
    return ''.join(lines + [section('SEE ALSO'), man_text.see_also('hakmem(1)', 'hakmem_options(7)', 'malloc(3)')])


# ---- hakmem_options(7) ----

def option(name, default, least, most, unit, text, needs):
    facts = ['default %s' % default] + (['%s to %s' % (least, most)] if least else ['at most %s' % most] if most else [])
    facts = ', '.join(facts) + (' %s' % unit if unit and unit != 'none' else '')
    body = '%s (%s). ' % (from_markdown(text[0].upper() + text[1:]), escape(facts))
    if needs:
        body += 'Needs a library built with %s. ' % bold('-D' + needs)
    if name in gen_options_doc.NOTES:
        body += from_markdown(gen_options_doc.NOTES[name])
    return tagged(bold('HAKMEM_' + name), body.strip())


def figures(macro):
    for name, unit, built, _, text in gen_statistics_doc.read(macro, gen_statistics_doc.ROW):
        unit = gen_statistics_doc.UNITS[unit]
        only = ' Counted with \\fB\\-Dtelemetry=enabled\\fR only.' if built == 'TELEMETRY' else ''
        yield tagged(bold(name) + (' (%s)' % escape(unit) if unit else ''), from_markdown(text[0].upper() + text[1:]) + '.' + only)


def options_page():
    head = gen_options_doc.HEAD.split('\n\n')
    lines = [title('hakmem_options', 7), section('NAME'),
             'hakmem_options \\- run\\-time options and statistics of the hakmem memory allocator\n', section('DESCRIPTION')]
    lines += [paragraph(from_markdown(' '.join(text.replace('(last column: what puts it in)', '').split())))
              for text in head[2:4]]
    needs = dict(gen_options_doc.read('CHOICE'))
    lines += [section('OPTIONS')] + [option(*row[:5], row[6], needs[row[5]]) for row in gen_options_doc.rows()]
    lines += [section('STATISTICS'), paragraph(from_markdown(
        'Each figure has one name: on the page of `HAKMEM_STATS=1`, in the JSON, and as a field of `struct hak_stats` '
        'in hakmem(3).'))] + list(figures('HK_STATISTICS'))
    lines += [section('STATISTICS OF A CLASS'), paragraph(from_markdown(
        'The same for each size class, and the fields of `struct hak_class_stats`.'))] + list(figures('HK_CLASS_STATISTICS'))
    return ''.join(lines + [section('SEE ALSO'), man_text.see_also('hakmem(1)', 'hakmem(3)')])


PAGES = {'hakmem.1': command_page, 'hakmem.3': library_page, 'hakmem_options.7': options_page}


def not_packaged(text):
    """Pages of docs that a manual page names and that the package of the command lacks."""
    named = set(re.findall(r'docs/[\w-]+\.md', text.replace('\\-', '-')))
    return sorted(named - set(read('debian', 'hakmem.docs').split()))


def main():
    stale, lacking = [], set()
    os.makedirs(FOLDER, exist_ok=True)
    for name, page in PAGES.items():
        path, text = os.path.join(FOLDER, name), page()
        if sys.argv[1:] == ['--check']:
            if not os.path.exists(path) or read('docs', 'man', name) != text:
                stale.append(name)
            lacking.update(not_packaged(text))
            continue
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    for name in stale:
        print('docs/man/%s is not up to date: run tools/gen_man.py' % name)
    for page in sorted(lacking):
        print('debian/hakmem.docs lacks %s, which a manual page names' % page)
    return 1 if stale or lacking else 0


if __name__ == '__main__':
    sys.exit(main())
