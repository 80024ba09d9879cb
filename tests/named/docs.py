#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: chromium mkdocs
# targets: libhakmem.so.0
"""Makes the site of ./hakmem docs, follows every link of it, and opens pages of it in headless Chromium.

usage: docs.py BUILD    (./hakmem test docs)

mkdocs warns of what it cannot resolve, and a warning is a fault. Chromium must show of each page what only its end has: the
whole page was understood. That a dead link is seen is tried on a copy.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tools'))
import check_links  # noqa: E402

# A page of the site, and words that stand near its end.
OPENED = [('index.html', 'third party'), ('docs/options.html', 'HAKMEM_HEAP_PICTURE'), ('docs/abi.html', 'How it is held'),
          ('docs/decisions/index.html', 'Decisions')]


def dom(chromium, path):
    """The page as Chromium has it after it ran what is in it, as text."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        done = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking',
                               '--disable-sync', '--no-first-run', '--user-data-dir=' + home, '--dump-dom', 'file://' + path],
                              env={**os.environ, 'HOME': home}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=240, check=False)
    return re.sub(r'<[^>]*>', ' ', done.stdout)


def faults_of(site):
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    if not chromium:
        print('docs: chromium is not installed: pages are not opened')
    for name, words in OPENED if chromium else ():
        if words not in dom(chromium, os.path.join(site, name)):
            yield 'Chromium does not show %r of %s' % (words, name)
    index = os.path.join(site, 'index.html')
    with open(index, 'a', encoding='utf-8') as file:
        file.write('<a href="docs/nowhere.html">planted</a><a href="docs/abi.html#nowhere">planted</a>\n')
    if len(list(check_links.site_faults(site))) != 2:
        yield 'two dead links were planted, and are not seen'


def main():
    if not shutil.which('mkdocs'):
        print('docs: skipped: mkdocs is not installed')
        return 77
    folder = os.path.join(os.path.abspath(sys.argv[1]), 'docs')
    made = subprocess.run([sys.executable, os.path.join(ROOT, 'tools', 'docs_site.py'), folder], check=False)
    faults = list(faults_of(os.path.join(folder, 'site'))) if made.returncode == 0 else ['the site cannot be made']
    print('docs: %s' % ('FAILED: ' + '; '.join(faults) if faults else 'passed'))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
