#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What names a C file of this project declares, defines and uses: enough of C for check_floors.py, by reading alone.

A name is a function, a function-like macro or a variable that is declared extern. Names in capitals are left out, as
macros that stand for constants and attributes, and names that follow `struct`, `enum`, `union`, `.` or `->`.
"""
import re

SKIPPED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r'(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$')
MACRO = re.compile(r'^[ \t]*#[ \t]*define[ \t]+(\w+)(\()?(.*)', re.S)
TOKEN = re.compile(r'[A-Za-z_]\w*|->|[^\s\w]')
EXTERN = re.compile(r'\bextern\b[^;{}()]*?(\w+)\s*(?:\[[^;]*\])?;')
STATIC = re.compile(r'\bstatic\b[^;{}()=]*?(\w+)\s*(?:\[[^\]]*\]\s*)*[=;]')
NO_FUNCTIONS = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'typeof', '__attribute__', '_Static_assert', '_Alignas',
                '__asm__', '__extension__', 'defined'}
TAGS = {'struct', 'enum', 'union', '.', '->', 'goto'}


def is_name(token):
    return (token[0].isalpha() or token[0] == '_') and token not in NO_FUNCTIONS and token.upper() != token


def without(text):
    """The text without comments and strings; line ends stay."""
    return SKIPPED.sub(lambda match: '\n' * match.group().count('\n') or ' ', text)


def first_comment(text):
    """The sentences of the comment that a file begins with, on one line."""
    match = re.match(r'\s*/\*(.*?)\*/', text, re.S)
    return re.sub(r'\s*\n[ \t]*\*?[ \t]*', ' ', match.group(1)).strip() if match else ''


class Names:
    def __init__(self, text):
        """declared: by a prototype or extern; defined: here, with a body, or a static variable; used: any name in code."""
        self.declared, self.defined, self.used = set(), set(), set()
        text = without(text)
        bodies = []
        for line in DIRECTIVE.findall(text):
            macro = MACRO.match(line)
            if macro and macro.group(2) and is_name(macro.group(1)):
                self.defined.add(macro.group(1))
            bodies.append(macro.group(3) if macro else '')
        code = DIRECTIVE.sub('', text)
        self.declared.update(name for name in EXTERN.findall(code) if is_name(name))
        self.defined.update(STATIC.findall(code))
        tokens = TOKEN.findall(code)
        self.read_outermost(tokens)
        tokens += TOKEN.findall(' ; '.join(bodies))
        self.used = {token for before, token in zip([';'] + tokens, tokens) if is_name(token) and before not in TAGS}

    def read_outermost(self, tokens):
        """The functions of a file: `name (`, outside of everything, with `{` or anything else behind its list."""
        braces = parens = 0
        name, begins = None, True
        for at, token in enumerate(tokens):
            if braces == 0 and parens == 0 and name is not None and at > 0 and tokens[at - 1] == ')':
                (self.defined if token == '{' else self.declared).add(name)
                name = None
            if token in '{}':
                braces += 1 if token == '{' else -1
            elif token in '()' and braces == 0:
                before = tokens[at - 1] if at > 0 else ''
                if token == '(' and parens == 0 and begins and before and is_name(before):
                    name, begins = before, False
                parens += 1 if token == '(' else -1
            if braces == 0 and parens == 0 and token in ';}':
                name, begins = None, True
