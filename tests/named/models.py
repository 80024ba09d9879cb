#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: gcc libc6-dev spin
# targets: libhakmem.so.0
"""Checks the protocols of docs/models with spin, every interleaving of each.

    ./hakmem test models                # all
    ./hakmem test models gate remote    # these
    ./hakmem test models --quotes       # no runs: only what the models quote of the code; the suite lint does it

The first comment of a model says how it is run:

    run: SCENE=1                                        must have no error; what follows is defined, as by -D
    fault: SCENE=1 FAULT=1 | assertion violated | why   a fault that is planted; that error must be found

A run fails as well where something was left out (memory, depth), and a model where a statement is reached in none of
its runs, unless its line says "never". What a model stands for is written beside it and looked up in the code, so that
the one cannot change without the other: after a line with @, a file and a function, the comments with = quote that
function, in its order. Ends with 77 where there is no spin.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = os.path.join(ROOT, 'docs', 'models')
MEMORY_MB = 2000
DEPTH = 2000000
LIMIT_S = 1200  # some hundred times what it takes: so that nothing stands still for ever


# ---- what a model stands for ----

def squeeze(text):
    return ' '.join(text.split())


def body_of(path, function):
    """The text of a function's definition, or None."""
    try:
        with open(os.path.join(ROOT, path), encoding='utf-8') as file:
            text = file.read()
    except OSError:
        return None
    found = re.search(r'^[^\s/#][^;{}]*\b%s\([^;{}]*\)\s*\{.*?^\}' % re.escape(function), text, re.S | re.M)
    return found and found.group()


def misquoted(text):
    """What a model says of the code and the code does not."""
    body, at, where = None, 0, ''
    for kind, words in re.findall(r'/\*([@=])(.*?)\*/', text, re.S):
        if kind == '@':
            path, _, function = squeeze(words).partition(': ')
            where, at, body = squeeze(words), 0, body_of(path, function)
            if body is None:
                yield f'there is no {where}'
            else:
                body = squeeze(body)
        elif body is None:
            yield f'{squeeze(words)}: quotes no function that there is'
        else:
            found = body.find(squeeze(words), at)
            if found < 0:
                yield f'{where} has no "{squeeze(words)}"' + (', or not there' if squeeze(words) in body else '')
            else:
                at = found + 1


# ---- runs ----

def plan(text):
    """(definitions, error that must be found or None, why) of each run."""
    for words in re.findall(r'^ \* run:(.*)$', text, re.M):
        yield words.split(), None, ''
    for words in re.findall(r'^ \* fault:(.*)$', text, re.M):
        definitions, error, why = words.split('|')
        yield definitions.split(), error.strip(), why.strip()


def call(*argv, cwd):
    return subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=LIMIT_S, check=False)


def must(*argv, cwd):
    done = call(*argv, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(argv)} ended with {done.returncode}\n{done.stdout}')
    return done.stdout


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0


def statements(text, name):
    """(process, state) -> line, of a verifier that was asked for its tables."""
    where, process = {}, ''
    for line in text.split('\n'):
        if line.startswith('proctype ') or line.startswith('init'):
            process = line.split()[-1]
        found = re.match(r'\s*state\s+(\d+) .*?\]\s+%s:(\d+) =>' % re.escape(name), line)
        if found:
            where[process, int(found.group(1))] = int(found.group(2))
    return where


def not_reached(text):
    """(process, state) of each statement that was not reached."""
    process = ''
    for line in text.split('\n'):
        found = re.match(r'unreached in (?:proctype )?(\w+)', line)
        if found:
            process = found.group(1)
        found = re.match(r'\t.*?, state (\d+), ', line)
        if found:
            yield process, int(found.group(1))


def check(model, definitions, error, folder):
    """(what went wrong or None, figures, lines there are, lines reached) of one run."""
    shutil.copy(os.path.join(MODELS, model), folder)
    flags = ['-D' + word for word in definitions]
    must('spin', *flags, '-a', model, cwd=folder)
    must('gcc', '-O1', '-w', '-DSAFETY', '-DCOLLAPSE', f'-DMEMLIM={MEMORY_MB}', '-DVECTORSZ=4096', '-o', 'pan', 'pan.c',
         cwd=folder)
    where = statements(call('./pan', '-d', cwd=folder).stdout, model)
    text = call('./pan', f'-m{DEPTH}', cwd=folder).stdout
    figures = '%.0f states, depth %.0f, %.0f MiB' % (
        number(r'([\d.e+]+) states, stored', text), number(r'depth reached (\d+)', text),
        number(r'([\d.]+)\s+total actual memory', text))
    missed = set(not_reached(text))
    lines = set(where.values())
    reached = {line for state, line in where.items() if state not in missed}
    wrong = None
    found = re.search(r'^pan:1: (.*?)(?: \(at depth \d+\))?$', text, re.M)
    if error is not None:
        if not found or error not in found.group(1):
            wrong = f'found {found.group(1) if found else "nothing"}, and not: {error}'
    elif found or ', errors: 0' not in text:
        trail = call('spin', *flags, '-t', '-p', '-g', model, cwd=folder).stdout if found else ''
        wrong = f'{found.group(1) if found else "did not run"}\n{trail}\n{text}'
    elif re.search('out of memory|reached -DMEMLIM|max search depth too small|not completed', text):
        wrong = f'not all was looked at\n{text}'
    elif not lines:
        wrong = f'no statement was found in the tables of the verifier\n{text}'
    return wrong, figures, lines, reached


def read(model):
    with open(os.path.join(MODELS, model), encoding='utf-8') as file:
        return file.read()


def check_model(model):
    """What went wrong, a line each."""
    text = read(model)
    wrong = list(misquoted(text))
    runs = list(plan(text))
    if not any(error is None for _, error, _ in runs) or sum(error is not None for _, error, _ in runs) < 2:
        wrong.append('a model has a run, and two faults that are planted')
    lines, reached = set(), set()
    for definitions, error, why in runs:
        label = ' '.join(definitions) or 'as it is'
        with tempfile.TemporaryDirectory(prefix='hakmem-models-') as folder:
            fault, figures, there, seen = check(model, definitions, error, folder)
        if error is None:
            lines |= there
            reached |= seen
        print(f'models: {model}, {label}: {"FAILED" if fault else error or "no error"} ({figures})', flush=True)
        if fault:
            wrong.append(f'{label}{why and ", "}{why}: {fault}')
    source = text.split('\n')
    wrong += [f'line {line} is never reached: {source[line - 1].strip()}' for line in sorted(lines - reached)
              if '/* never' not in source[line - 1]]
    return wrong


def main():
    quotes = '--quotes' in sys.argv[2:]
    names = [name + '.pml' for name in sys.argv[2:] if name != '--quotes'] or sorted(os.listdir(MODELS))
    for program in () if quotes else ('spin', 'gcc'):
        if shutil.which(program) is None:
            print(f'models: skipped, there is no {program} (Debian package {program})')
            return 77
    wrong = [f'{name}: {fault}' for name in names if name.endswith('.pml')
             for fault in (misquoted(read(name)) if quotes else check_model(name))]
    for fault in wrong:
        print(f'models: {fault}')
    print(f'models: {len(names)} models, {len(wrong)} faults')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
