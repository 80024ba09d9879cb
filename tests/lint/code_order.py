#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every program calls lies in the first 64 KiB of the library's code, which start at a multiple of 64 KiB, and what
most programs never call lies behind that: the kernel maps files by such windows.

usage: code_order.py LIBHAKMEM NM
"""
import re
import subprocess
import sys

WINDOW = 1 << 16
FIRST = ['malloc', 'free', 'calloc', 'realloc', '_Znwm', '_ZdlPv', 'start', 'finish', 'hk_options_init', 'hk_picture_start',
         'hk_picture_finish', 'hk_front_attach', 'hk_front_refill', 'hk_front_put', 'hk_heap_take', 'hk_heap_give',
         'hk_arena_take', 'hk_arena_give', 'hk_arena_take_superslab', 'hk_arena_purge', 'hk_pool_acquire',
         'hk_pool_release', 'hk_pool_purge', 'hk_pool_take_empty', 'hk_pool_take_new', 'hk_bits_find', 'hk_os_map_at']
BEHIND = ['hk_huge_alloc', 'hk_fmt', 'hk_usage_read', 'hk_picture_draw', 'hak_malloc', 'malloc_info']


def main():
    path, nm = sys.argv[1:3]
    listing = subprocess.run([nm, path], check=True, capture_output=True, text=True).stdout
    at = {name: int(address, 16) for address, name in re.findall(r'^([0-9a-f]+) [tTWw] (\S+)$', listing, re.M)}
    missing = [name for name in FIRST + BEHIND if name not in at]
    if missing:
        print('not there: ' + ', '.join(missing))
        return 1
    start = min(at.values()) // WINDOW * WINDOW
    late = ['%s is at 0x%x' % (name, at[name]) for name in FIRST if not start <= at[name] < start + WINDOW]
    last = max(at[name] for name in FIRST)
    early = ['%s is at 0x%x' % (name, at[name]) for name in BEHIND if at[name] < last]
    print('\n'.join(late + early) or 'ok')
    return 1 if late or early else 0


if __name__ == '__main__':
    sys.exit(main())
