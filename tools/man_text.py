# SPDX-License-Identifier: MIT
"""The troff of manual pages: text that is escaped, a sentence to a line, and the few macros of man(7) that ours need."""
import re


def escape(text):
    """Plain text, as troff shows it."""
    text = text.replace('\\', '\\e').replace('-', '\\-').replace("'", '\\(aq').replace('`', '\\(ga').replace('^', '\\(ha')
    return text.replace('"', '\\(dq').replace('~', '\\(ti')


def bold(text):
    return '\\fB%s\\fR' % escape(text)


def from_markdown(text):
    """Text with `code` and [links](to): what a page links to is named, and a decision only where it stands."""
    text = re.sub(r'\[(?:decision )?(\d{4})\]\([^)]*\)', r'docs/decisions/\1', text)
    text = re.sub(r'\[([^]]*)\]\(([^)]*)\)', r'\1 (docs/\2)', text)
    parts = text.split('`')
    return ''.join(bold(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def lines(text):
    """A sentence to a line. None begins with a dot or a quote, which troff would take for a command. (A dot that begins
    a word, as in .html, keeps the blank before it.)"""
    text = re.sub(r'(?<=[a-z0-9)R][.:;]) +(?=[A-Z])', '\n', re.sub(r' \.(?!\w)', '.', ' '.join(text.split())))
    return '\n'.join('\\&' + line if line[:1] in ".'" else line for line in text.split('\n'))


def section(name):
    return '.SH "%s"\n' % name


def paragraph(text):
    return '.PP\n%s\n' % lines(text)


def tagged(tag, text):
    return '.TP\n%s\n%s\n' % (tag, lines(text))


def see_also(*pages):
    return ',\n'.join('.BR %s (%s)' % re.match(r'([\w.]+)\((\d)\)', page).groups() for page in pages).replace(
        '),', ') ,') + '\n'
