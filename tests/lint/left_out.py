#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A box that is not chosen leaves nothing in the library.

usage: left_out.py CORE NM LIBRARY.a LIBRARY.so NAME=VALUE...   (the options of the build)
       left_out.py --self-test

Alternatives are files or folders of their own, so the archive tells which were chosen: its members are named after the
sources. What only the other files define, local names included, may be in neither library. A box that an option leaves
out without putting another in its place has its name in SYMBOLS.
"""
import os
import re
import subprocess
import sys

# (option, values) -> what no symbol may begin with while the option has another value
SYMBOLS = [
    ('tls_sll', ('enabled', 'auto'), r'hk_sll_'),  # auto: with front=none only, see check_options
    ('transfer', ('enabled', 'auto'), r'hk_transfer_'),
    ('telemetry', ('enabled',), r'hk_telemetry_'),
    ('check', ('fast', 'full'), r'(hk_\w+_check|hk_held_\w+)$'),
    ('override', ('true',), r'((malloc|free|calloc|realloc)$|_Zn[wa]|_Zd[la])'),
]

# Members of libhakmem.so that the archive has not.
SHARED_ONLY = ['api_override_loader.c.o', 'api_override_dlopen.c.o', 'api_override_dlsym.c.o']

# A definition at the left margin: type words, a name, then parameters and a body, or an initialiser, array or `;`.
FUNCTION = re.compile(r'^(?!typedef|extern|return|else|struct \w+\s*\{|union|enum)'
                      r'[A-Za-z_][\w\s*]*?[\s*](\w+)\s*\([^;{}]*\)[\w\s()]*\{', re.M)
OBJECT = re.compile(r'^(?!typedef|extern|return)(?:[A-Za-z_]\w*[\s*]+)+(\w+)(?:\[[^\]]*\])*\s*(?:=|;)', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
WORDS = {'if', 'while', 'for', 'switch', 'sizeof'}


def definitions(text):
    text = COMMENT.sub(' ', text)
    text = re.sub(r'^[ \t]*#.*?(?<!\\)$', '', text, flags=re.M | re.S)
    return (set(FUNCTION.findall(text)) | set(OBJECT.findall(text))) - WORDS


def sources(core):
    """path relative to core -> text, of all that could be compiled."""
    found = {}
    for folder, _, names in os.walk(core):
        for name in names:
            if name.endswith('.c'):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as file:
                    found[os.path.relpath(path, core)] = file.read()
    return found


def nm(tool, library):
    """(archive members, symbols defined)."""
    text = subprocess.run([tool, '--defined-only', library], check=True, capture_output=True, text=True).stdout
    members = re.findall(r'^(\S+\.o):$', text, re.M)
    # gcc names copies of a function name.part.0, name.constprop.1, statics in functions name.2
    return members, {line.split()[-1].split('.')[0].split('@')[0] for line in text.splitlines()
                     if re.match(r'[0-9a-f]+ \w ', line)}


def chosen_sources(paths, members):
    """(those that have a member, members without a source). Meson writes a path's slashes as underscores."""
    by_member = {path.replace('/', '_') + '.o': path for path in paths}
    return {by_member[member] for member in members if member in by_member}, \
        [member for member in members if member not in by_member]


def check_files(texts, members, symbols):
    chosen, unknown = chosen_sources(texts, members)
    faults = ['%s: of which source?' % member for member in unknown]
    if not chosen:
        return ['no member of the archive is a source of core']
    # Every word of the chosen ones: what a macro defines there is no finding.
    there = set().union(*(set(re.findall(r'\w+', COMMENT.sub(' ', texts[path]))) for path in chosen))
    for path in sorted(set(texts) - chosen):
        for name in sorted((definitions(texts[path]) - there) & symbols):
            faults.append('%s is not chosen, but its %s is in the library' % (path, name))
    return faults


def check_options(options, symbols):
    faults = []
    for option, values, prefix in SYMBOLS:
        there = options.get(option) in values or option not in options
        if option == 'tls_sll' and options.get(option) == 'auto':
            there = options.get('front') == 'none'
        found = [] if there else sorted(name for name in symbols if re.match(prefix, name))
        if found:
            faults.append('%s=%s, but %s is in the library' % (option, options[option], ', '.join(found[:5])))
    return faults


SAMPLE = {
    'box/remote_chain.c': '/* void hk_ghost(int a) { } */\nbool hk_remote_push(struct hk_slab *slab, void *block)\n{\n'
                          '    return hk_chain_link(slab);\n}\n\nstatic void link_chain(void)\n{\n}\n',
    'box/remote_cas.c': '#define X(a) \\\n    f(a)\nbool hk_remote_push(struct hk_slab *slab,\n                    '
                        'void *block)\n{\n    return push_one(slab);\n}\n\nstatic bool push_one(struct hk_slab *slab)\n'
                        '{\n}\nint hk_remote_tries;\nstatic const char *const cas_names[2] = {\n};\n',
    'front/v2/front.c': 'HK_COLD void hk_front_flush(void)\n{\n}\n',
    'front/ring/front.c': 'HK_COLD void hk_front_flush(void)\n{\n}\nvoid hk_front_turn(void)\n{\n}\n',
}
GOOD_MEMBERS = ['box_remote_chain.c.o', 'front_v2_front.c.o']
GOOD_SYMBOLS = {'hk_remote_push', 'link_chain', 'hk_front_flush'}


def self_test():
    faults = []
    cas = definitions(SAMPLE['box/remote_cas.c'])
    if cas != {'hk_remote_push', 'push_one', 'hk_remote_tries', 'cas_names'}:
        faults.append('definitions: %s' % sorted(cas))
    if definitions(SAMPLE['box/remote_chain.c']) != {'hk_remote_push', 'link_chain'}:
        faults.append('definitions: %s' % sorted(definitions(SAMPLE['box/remote_chain.c'])))
    if check_files(SAMPLE, GOOD_MEMBERS, GOOD_SYMBOLS):
        faults.append('the sample is right, but: %s' % check_files(SAMPLE, GOOD_MEMBERS, GOOD_SYMBOLS))
    for extra in ('push_one', 'hk_remote_tries', 'cas_names', 'hk_front_turn'):
        if len(check_files(SAMPLE, GOOD_MEMBERS, GOOD_SYMBOLS | {extra})) != 1:
            faults.append('%s went unseen' % extra)
    if not check_files(SAMPLE, GOOD_MEMBERS + ['box_other.c.o'], GOOD_SYMBOLS) or not check_files(SAMPLE, [], set()):
        faults.append('members that are no sources went unseen')
    for options, symbol, wrong in (
            ({'tls_sll': 'disabled', 'front': 'v2'}, 'hk_sll_put', 1),
            ({'tls_sll': 'auto', 'front': 'v2'}, 'hk_sll_put', 1),
            ({'tls_sll': 'auto', 'front': 'none'}, 'hk_sll_put', 0),
            ({'override': 'false'}, 'malloc', 1), ({'override': 'true'}, 'malloc', 0),
            ({'telemetry': 'disabled'}, 'hk_telemetry_hit', 1),
            ({'check': 'off'}, 'hk_arena_check', 1), ({'check': 'full'}, 'hk_arena_check', 0)):
        if len(check_options(options, {symbol, 'hk_malloc'})) != wrong:
            faults.append('%s with %s' % (options, symbol))
    return faults


def main():
    if sys.argv[1:] == ['--self-test']:
        faults = self_test()
    else:
        core, tool, archive, library, *options = sys.argv[1:]
        texts = sources(core)
        options = dict(option.split('=', 1) for option in options)
        members, symbols = nm(tool, archive)
        shared = nm(tool, library)[1]
        of_shared = members + (SHARED_ONLY if options['override'] == 'true' else [])
        faults = check_files(texts, members, symbols) + check_files(texts, of_shared, shared)
        faults += check_options(options, symbols | shared)
        chosen = chosen_sources(texts, members)[0]
        print('%d sources chosen, not: %s' % (len(chosen), ' '.join(sorted(set(texts) - chosen)) or 'none'))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
