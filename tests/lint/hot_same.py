#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The machine code of the entries, and so of the fast paths, is the same with -Dstats=enabled and -Dstats=disabled.

usage: hot_same.py BUILD OBJDUMP SOURCE...
Each SOURCE is compiled twice more, with its command from compile_commands.json in BUILD, against a copy of config.h in
which HK_STATS is the other number. To see that the comparison can fail, the same is done with HK_TELEMETRY, which adds
a counter to the fast paths.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

def commands(build):
    """source: (folder, words) of each compilation, without what names the output."""
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        for entry in json.load(file):
            words = shlex.split(entry['command'])
            for flag in ('-o', '-MF', '-MQ', '-MT'):
                if flag in words:
                    at = words.index(flag)
                    del words[at:at + 2]
            words = [word for word in words if word not in ('-MD', '-MMD')]
            path = os.path.realpath(os.path.join(entry['directory'], entry['file']))
            yield path, entry['directory'], words


def flipped(config, name):
    """config.h with another value of one option."""
    line = r'(#define %s) ([01])\b' % name
    changed, count = re.subn(line, lambda m: '%s %d' % (m.group(1), m.group(2) == '0'), config)
    assert count == 1, 'no %s in config.h' % name
    return changed


def functions(objdump, path):
    """name: instructions, with the names that they refer to, of each function in an object file; of several names of one
    function the disassembler chooses."""
    text = subprocess.run([objdump, '-dr', '--no-show-raw-insn', path], check=True, capture_output=True,
                          text=True).stdout
    found = {}
    for name, body in re.findall(r'^[0-9a-f]+ <(\w+)>:\n((?:.+\n)+)', text, re.M):
        # Addresses are those of the whole section: a slow function before this one may be longer.
        body = re.sub(r'^\s*[0-9a-f]+:', '', body, flags=re.M)
        found[name] = re.sub(r'\b[0-9a-f]+ <(?:\w+)(\+0x[0-9a-f]+)?>', r'<\1>', body)
    return found


def compiled(objdump, words, folder, config):
    with tempfile.TemporaryDirectory() as temporary:
        with open(os.path.join(temporary, 'config.h'), 'w', encoding='utf-8') as file:
            file.write(config)
        out = os.path.join(temporary, 'out.o')
        first = next(i for i, word in enumerate(words) if word.startswith('-')) # the compiler may be two words
        subprocess.run(words[:first] + ['-I' + temporary] + words[first:] + ['-o', out], cwd=folder, check=True)
        return functions(objdump, out)


def main():
    build, objdump, *sources = sys.argv[1:]
    with open(os.path.join(build, 'core', 'config.h'), encoding='utf-8') as file:
        config = file.read()
    wanted = {os.path.realpath(source) for source in sources}
    faults, seen = [], set()
    for path, folder, words in commands(build):
        if path not in wanted or path in seen:
            continue
        seen.add(path)
        here = compiled(objdump, words, folder, config)
        other = compiled(objdump, words, folder, flipped(config, 'HK_STATS'))
        counted = compiled(objdump, words, folder, flipped(config, 'HK_TELEMETRY'))
        for name in sorted(set(here) | set(other)):
            if other.get(name) != here.get(name):
                faults.append('%s: %s depends on HK_STATS:\n%s\n--- and\n%s' %
                              (path, name, here.get(name), other.get(name)))
        changed = [name for name in here if here[name] != counted.get(name)]
        if len(changed) < 2: # a malloc and a free
            faults.append('%s: HK_TELEMETRY changes only %s, so the comparison sees nothing' % (path, changed))
        print('%s: %d functions are the same; a counter would change %s' % (path, len(here), ' '.join(changed)))
    assert seen == wanted, 'not compiled in this build: %s' % (wanted - seen)
    print('\n'.join(faults))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
