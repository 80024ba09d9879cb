#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: debootstrap git
# targets: libhakmem.so.0
"""Runs every command that README.md and the pages of docs print, in their order, in a bare Debian 12 with a clone of this
checkout.

    ./hakmem test readme                    # all of them, long ones with less to do
    ./hakmem test readme README.md          # those of one page
    ./hakmem test readme --list             # what would be run, in place of what
    ./hakmem test readme --long             # long ones as they stand, too: hours

A command is a line of a block that is indented by four blanks and begins with the name of a program. It is run as it is
printed, but for what a reader has to fill in (FILL) and what would take long (SHORT). What cannot be run there is not
(NEVER), for a reason. A new line of a page is run, unless somebody writes here why not. Needs root and debootstrap.
"""
import os
import re
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import bare  # noqa: E402

PAGES = ['README.md', 'docs/heap-picture.md', 'docs/architecture.md', 'bench/README.md', 'CONTRIBUTING.md']

COMMAND = re.compile(r'^ {4,8}((?:[A-Z_]+=\S+ )*(?:\./hakmem|hakmem|meson|ninja|cc|gcc|c\+\+|apt-get|git|cp|mv|sed|cd|python3|'
                     r'ldconfig|pkg-config|cmake|reuse|man|valgrind|objdump|gdb|perf|LD_PRELOAD=\S+)(?: .*)?)$')

# What stands for the reader's own, and what it is here.
FILL = [
    (r'\bCOMMAND\b', 'ls /'),
    (r'\bPROGRAM( ARG\.\.\.)?', 'ls /'),
    (r'python3 program\.py', "python3 -c 'print(1)'"),
    (r'(?<=--signal USR2) -- server\b', " -- bash -c 'kill -USR2 $$; sleep 1; kill -USR2 $$; sleep 1; ls h-1.html'"),
    (r'-- server\b', '-- ls /'),
    (r'^(\./hakmem \w+ .*?)\b(?:PID|4711)$', r'./hakmem run -- sleep 60 & sleep 3; \1$!'),
    (r'@\.\./(before|other-checkout)', '@../hakmem-before'),
    (r'mine=/path/to/libmine\.so', 'mine=build/libhakmem.so.0'),
    (r'other-build/', 'build/'),
    (r'callgrind\.out\.PID', 'callgrind.out.*'),
]

# Long ones, and what waits for keys: what is done in their place.
LINES = "--quick --%s 'hot_pair*'"
SHORT = [
    (r'^\./hakmem top$', './hakmem run -- sleep 60 & sleep 3; ./hakmem top --once'),
    (r'^\./hakmem test$', './hakmem test api'),
    (r'^\./hakmem test --no-install$', './hakmem test --no-install misuse'),
    (r'^\./hakmem test matrix$', './hakmem test matrix remote=cas'),
    (r'^\./hakmem test churn$', './hakmem test churn 2'),
    (r'^\./hakmem test replay$', './hakmem test replay python gcc'),
    (r'^\./hakmem choose (\S+)$', r'./hakmem choose --only classes --rounds 2 \1'),
    (r'^(\./hakmem ab \S+\.hkt .*)$', r'\1 --quick'),
    (r'^\./hakmem test soak 60$', './hakmem test soak 1'),
    (r'^\./hakmem test fuzz 600 operations$', './hakmem test fuzz 20 operations'),
    (r'^\./hakmem test models$', './hakmem test models gate'),
    (r'^\./hakmem bench scale$', './hakmem bench scale --quick'),
    (r'^\./hakmem bench$', './hakmem bench ' + LINES % 'only'),
    (r'^(\./hakmem bench (?!.*--(?:only|bench)).*)$', r'\1 ' + LINES % 'only'),
    (r'^(\./hakmem bench .*)--rounds \d+$', r'\1--quick'),
    (r'^(\./hakmem ab .*-- .*-- ls /)$', r'\1'),
    (r'^(\./hakmem ab .* )(-- (?:env|gzip) .*)$', r'\1--rounds 1 \2'),
    (r'^(\./hakmem ab .*)--bench .*$', r'\1' + LINES % 'bench'),
    (r'^(\./hakmem ab .*)$', r'\1 ' + LINES % 'bench'),
]

NEVER = [
    (r'^\./hakmem test mutants$', 'takes hours'),
    (r'^\./hakmem test (deb|readme)$', 'makes a bare Debian itself'),
    (r'^\./hakmem test sanitizers$', 'takes half an hour'),
    (r'^\./hakmem test kernel-settings$', 'needs a virtual machine'),
    (r'^\./hakmem test programs-large ', 'installs large programs'),
    (r'^\./hakmem bench --lib mimalloc3=\.\.\.', 'needs the other allocators, built by the reader'),
    (r'front=two|build-two', 'is about a front that the reader writes: ./hakmem test example'),
    (r'^perf ', 'needs a machine that lets perf count'),
]

PREPARE = ('apt-get -q update && apt-get -q install -y --no-install-recommends git ca-certificates && git init -q . && '
           'git config user.email you@example.org && git config user.name you && git add -A && git commit -qm all && '
           'cp -r . ../hakmem-before')


def read(page):
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        return file.read()


def pages():
    rest = [folder + '/' + name for folder in ('docs', 'docs/tutorials')
            for name in sorted(os.listdir(os.path.join(ROOT, folder))) if name.endswith('.md')]
    return PAGES + [page for page in rest if page not in PAGES]


def commands(page):
    """The commands of a page as they are printed, without the remarks behind them."""
    text = re.sub(r'^```.*?^```$', '', read(page), flags=re.S | re.M).replace('\\\n', ' ')
    for line in text.split('\n'):
        found = COMMAND.match(line)
        if found:
            yield ' '.join(re.sub(r'\s+# .*$', '', found[1]).split())


def planned(command, long):
    """(what is run, None) or (None, why it is not)."""
    for pattern, why in NEVER:
        if re.search(pattern, command):
            return None, why
    for pattern, instead in FILL:
        command = re.sub(pattern, instead, command)
    for pattern, instead in SHORT if not long else ():
        if re.search(pattern, command):
            return re.sub(pattern, instead, command), None
    return command, None


def run_page(machine, page, long, seen):
    """The commands of the page that failed."""
    failed = []
    for command in commands(page):
        line, why = planned(command, long)
        if why or line in seen:
            print('not run: %s: %s (%s)' % (page, command, why or 'ran before'), flush=True)
            continue
        seen.add(line)
        begun = time.monotonic()
        status, said = machine.run('cd /root/hakmem || exit; %s%s' % (line, ' && ./a.out' if re.match('cc (?!.* -o )', line) else ''))
        if 'cannot be preloaded' in said:
            status = status or 1  # the loader says so, and goes on without
        print('%s: %s: %s (%d s)' % ('passed' if status == 0 else 'FAILED', page, line, time.monotonic() - begun), flush=True)
        if status != 0:
            print('%s\nended with %d' % ('\n'.join(said.split('\n')[-40:]), status), flush=True)
            failed.append(line)
    return failed


def main():
    arguments = sys.argv[2:]
    long = '--long' in arguments
    chosen = [argument for argument in arguments if not argument.startswith('--')] or pages()
    if '--list' in arguments:
        for page in chosen:
            for command in commands(page):
                line, why = planned(command, long)
                print('%s: %s\n    %s' % (page, command, line or 'not run: ' + why))
        return 0
    failed, seen = [], set()
    with bare.Machine() as machine:
        machine.put_checkout(ROOT)
        with open(machine.root + '/root/hakmem/program.c', 'w', encoding='utf-8') as file:
            file.write(re.search(r'^```c\n(.*?)^```$', read('README.md'), re.S | re.M)[1])
        with open(machine.root + '/etc/apt/apt.conf.d/90-yes', 'w', encoding='ascii') as file:
            file.write('APT::Get::Assume-Yes "true";\n')  # as the reader says when apt-get asks
        status, said = machine.run('cd /root/hakmem && ' + PREPARE)
        if status != 0:
            bare.skip('no clone in a bare Debian: ' + said[-300:])
        for page in chosen:
            failed += run_page(machine, page, long, seen)
    print('readme: %s' % ('%d commands failed' % len(failed) if failed else 'all passed'))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
