#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a site of the pages of a checkout, by mkdocs, and follows its links: ./hakmem docs

usage: docs_site.py FOLDER

The pages go to FOLDER/pages as they lie in the checkout, with every file that they link to, and the site to FOLDER/site:
FOLDER/site/index.html is README.md. Nothing of it is loaded from elsewhere.
"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check_links  # noqa: E402

ROOT = check_links.ROOT

# The pages as a reader meets them; what is not named is found from these.
NAV = [
    ('Start', ['README.md', 'docs/options.md', 'docs/statistics.md', 'docs/heap-picture.md', 'docs/heaps.md', 'docs/hardened.md', 'docs/idle.md', 'docs/numa.md', 'docs/machines.md',
               'docs/abi.md', 'SECURITY.md', 'CHANGELOG.md']),
    ('Tutorials', ['docs/tutorials/my-service-grows.md', 'docs/tutorials/my-program-is-slow.md', 'docs/tutorials/which-allocator.md',
                   'docs/tutorials/write-a-front.md', 'docs/tutorials/read-the-code.md', 'docs/comparison.md']),
    ('How it works', ['docs/architecture.md', 'docs/life-of-an-allocation.md', 'docs/walks.md', 'docs/concurrency.md',
                      'docs/process.md', 'docs/boxes.md', 'docs/glossary.md', 'core/README.md']),
    ('How it is held', ['docs/reliability.md', 'docs/limits.md', 'docs/programs.md', 'docs/guards.md',
                        'docs/benchmarks.md', 'bench/README.md', 'CONTRIBUTING.md']),
]

CONFIG = '''site_name: hakmem
docs_dir: pages
site_dir: site
use_directory_urls: false
theme:
  name: mkdocs
  highlightjs: false
plugins: [search]
extra_css: [wide.css]
markdown_extensions:
  - toc:
      permalink: false
'''


# Our tables are wide, and some of their words long.
CSS = '''@media (min-width: 1000px) { .container { max-width: 96% } }
table { font-size: 88% }
.table td, .table th { padding: 4px 8px }
td code { overflow-wrap: anywhere }
'''


def put(path, to):
    target = os.path.join(to, os.path.relpath(path, ROOT))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not path.endswith('.md'):
        shutil.copyfile(path, target)
        return
    text = check_links.read(path)
    # A list needs an empty line before it to be one here; on the pages of a repository it does not.
    text = re.sub(r'^((?![-*] |\s|\||#|\d+\. ).+)\n(?=(?:[-*]|\d+\.) )', r'\1\n\n', text, flags=re.M)
    # A link to a folder, or to a page of the same name in one, has no page here.
    text = re.sub(r'\]\(([^):#]*)/\)', r'](\1/README.md)', text)
    with open(target, 'w', encoding='utf-8') as file:
        file.write(text)


def linked(path):
    """The files of the checkout that a page links to."""
    for link in check_links.LINK.findall(check_links.without_code(check_links.read(path))):
        target = os.path.normpath(os.path.join(os.path.dirname(path), link.partition('#')[0]))
        if link[:1] != '#' and os.path.isfile(target) and not target.endswith('.md'):
            yield target


def index_of(folder, to):
    """A page for a folder that others link to: what is in it."""
    names = sorted(name for name in os.listdir(os.path.join(to, folder)) if name.endswith('.md') and name != 'README.md')
    titles = [(name, re.search('^# +(.*)', check_links.read(os.path.join(to, folder, name)), re.M)[1]) for name in names]
    with open(os.path.join(to, folder, 'README.md'), 'w', encoding='utf-8') as file:
        file.write('# %s\n\n%s' % (os.path.basename(folder).capitalize(),
                                   ''.join('- [%s](%s)\n' % (title, name) for name, title in titles)))


def make(folder):
    to = os.path.join(folder, 'pages')
    shutil.rmtree(to, ignore_errors=True)
    for path in check_links.pages(ROOT):
        put(path, to)
        for other in linked(path):
            put(other, to)
    index_of('docs/decisions', to)
    with open(os.path.join(to, 'wide.css'), 'w', encoding='ascii') as file:
        file.write(CSS)
    known = {page for _, pages in NAV for page in pages}
    missing = [page for page in known if not os.path.exists(os.path.join(to, page))]
    if missing:
        sys.exit('docs: in NAV of tools/docs_site.py, and not there: ' + ', '.join(missing))
    nav = ['nav:\n'] + ['  - %s:\n%s' % (name, ''.join('    - %s\n' % page for page in pages)) for name, pages in NAV]
    nav.append('  - Decisions:\n' + ''.join('    - docs/decisions/%s\n' % name for name in
                                            sorted(os.listdir(os.path.join(to, 'docs/decisions'))) if name.endswith('.md')))
    with open(os.path.join(folder, 'mkdocs.yml'), 'w', encoding='utf-8') as file:
        file.write(CONFIG + ''.join(nav))
    done = subprocess.run(['mkdocs', '--quiet', 'build', '--clean', '--strict', '--config-file',
                           os.path.join(folder, 'mkdocs.yml')], stdin=subprocess.DEVNULL, check=False)
    return done.returncode


def main():
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(folder, exist_ok=True)
    if make(folder) != 0:
        return 1
    site = os.path.join(folder, 'site')
    faults = list(check_links.site_faults(site))
    print('\n'.join(faults) or os.path.join(site, 'index.html'))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
