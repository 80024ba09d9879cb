#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rules for source files that no compiler checks.

usage: sources.py conditionals|licence|lengths|layout ROOT
       sources.py --self-test

conditionals  no #if outside core/base and core/os; options are 0/1 constants and plain `if` (guards are
              allowed)
licence       an SPDX line in the first three lines of every source
lengths       no more than 400 lines in core/, unless the first comment gives the reason ("400 lines")
layout        no tabs, no blanks at line ends, and one line end at the end of the file
"""
import os
import re
import sys

FOLDERS = ['core', 'include', 'tests', 'bench', 'tools', 'subprojects/packagefiles', '.ci', 'docs/examples', 'docs/models']
EXAMPLE = re.compile('^docs/examples/[^/]+/')  # what is below has the paths that it has in a checkout
SOURCES = ('.c', '.h', '.inc', '.cpp', '.py', '.sh', '.rb', '.js', '.pl', '.pml', '.in')
BY_NAME = ('meson.build', 'meson_options.txt', 'hakmem', 'run')


def sources(root):
    """(path relative to root, text) of each source file."""
    paths = [name for name in os.listdir(root) if os.path.isfile(os.path.join(root, name))]
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            paths += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    for path in sorted(paths):
        if path.endswith(SOURCES) or os.path.basename(path) in BY_NAME:
            with open(os.path.join(root, path), encoding='utf-8') as file:
                yield path, file.read()


def without_comments(text):
    """The text with every comment replaced by its line ends, so that line numbers stay."""
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda match: '\n' * match.group().count('\n'), text, flags=re.S)


def conditionals(path, text):
    if not re.match(r'core/(?!base/|os/).*\.(c|h|inc)$', EXAMPLE.sub('', path, 1)):
        return
    lines = without_comments(text).split('\n')
    directives = [(i, line.split('#', 1)[1].split()) for i, line in enumerate(lines) if re.match(r'\s*#', line)]
    directives = [(i, words) for i, words in directives if words]
    guard = path.endswith('.h') and len(directives) > 2 and directives[0][1][0] == 'ifndef' and \
        directives[1][1][:2] == ['define', directives[0][1][-1]] and directives[-1][1][0] == 'endif'
    for i, words in directives[2:-1] if guard else directives:
        if words[0] in ('if', 'ifdef', 'ifndef', 'elif', 'else'):
            yield '%d: #%s' % (i + 1, ' '.join(words))


# REUSE-IgnoreStart
def licence(path, text):
    if not any('SPDX-License-Identifier: MIT' in line for line in text.split('\n')[:3]):
        yield '1: no SPDX-License-Identifier: MIT'
# REUSE-IgnoreEnd


def lengths(path, text):
    if not EXAMPLE.sub('', path, 1).startswith('core/') or not path.endswith(('.c', '.h', '.inc')):
        return
    count = text.count('\n')
    comment = re.match(r'\s*/\*.*?\*/', text, re.S)
    if count > 400 and not (comment and '400 lines' in comment.group()):
        yield '%d: %d lines' % (count, count)


def layout(path, text):
    if not text.endswith('\n') or text.endswith('\n\n'):
        yield '%d: the file does not end with one line end' % (text.count('\n') + 1)
    for i, line in enumerate(text.split('\n')):
        if '\t' in line:
            yield '%d: tab' % (i + 1)
        if line != line.rstrip():
            yield '%d: blanks at the end' % (i + 1)


RULES = {'conditionals': conditionals, 'licence': licence, 'lengths': lengths, 'layout': layout}

# REUSE-IgnoreStart
SPDX = '/* SPDX-License-Identifier: MIT */\n'
GUARDED = SPDX + '#ifndef A_H\n#define A_H\n%s\n#endif\n'

# rule, path, text, number of findings
SAMPLES = [
    ('conditionals', 'core/box/a.h', GUARDED % 'int a;', 0),
    ('conditionals', 'core/box/a.h', GUARDED % '#if X\n#else\n#endif', 2),
    ('conditionals', 'core/box/a.h', GUARDED % '/* #if X */\n#define Y 1\n/*\n#ifdef Z\n*/', 0),
    ('conditionals', 'core/front/a.c', SPDX + '#  ifdef X\nint a;\n#endif\n', 1),
    ('conditionals', 'core/front/a.c', SPDX + '#ifndef A\n#define A\n#endif\n', 1),
    ('conditionals', 'core/api/a.c', SPDX + '#include <x.h>\nif (X)\n', 0),
    ('conditionals', 'core/base/a.h', '#if X\n#endif\n', 0),
    ('conditionals', 'core/os/a.c', '#if X\n#endif\n', 0),
    ('conditionals', 'tests/unit/a.c', '#if X\n#endif\n', 0),
    ('conditionals', 'docs/examples/x/core/front/x/a.c', '#if X\n#endif\n', 1),
    ('conditionals', 'docs/examples/x/tests/unit/a.c', '#if X\n#endif\n', 0),
    ('licence', 'core/a.c', SPDX, 0),
    ('licence', 'tools/a.py', '#!/usr/bin/env python3\n# SPDX-License-Identifier: MIT\n', 0),
    ('licence', 'core/a.c', 'int a;\n\n\n' + SPDX, 1),
    ('lengths', 'core/a.c', SPDX + '\n' * 399, 0),
    ('lengths', 'core/a.c', SPDX + '\n' * 400, 1),
    ('lengths', 'core/a.c', '/* More than 400 lines, because. */\n' + '\n' * 500, 0),
    ('lengths', 'core/a.c', '/* First. */\n/* 400 lines */\n' + '\n' * 500, 1),
    ('lengths', 'tests/a.c', '\n' * 900, 0),
    ('lengths', 'docs/examples/x/core/front/x/a.c', SPDX + '\n' * 400, 1),
    ('layout', 'core/a.c', 'x\n\ny\n', 0),
    ('layout', 'core/a.c', '\tx\ny \n', 2),
    ('layout', 'core/a.c', 'x', 1),
    ('layout', 'core/a.c', 'x\n\n', 1),
]
# REUSE-IgnoreEnd


def self_test():
    faults = []
    for rule, path, text, expected in SAMPLES:
        found = list(RULES[rule](path, text))
        if len(found) != expected:
            faults.append('%s on %r gave %r' % (rule, text[:80], found))
    return faults


def check(rule, root):
    files = list(sources(root))
    if not any(path.startswith('core/') for path, _ in files):
        return ['no source found under ' + root]
    return ['%s:%s' % (path, finding) for path, text in files for finding in RULES[rule](path, text)]


def main():
    faults = self_test() if sys.argv[1] == '--self-test' else check(*sys.argv[1:3])
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
