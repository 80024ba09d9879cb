# SPDX-License-Identifier: MIT
"""Packages of Debian 12 that are not installed: those of another architecture, and sources. They are downloaded and
unpacked into a folder, by an apt with lists of its own, so nothing of this machine's own apt changes and nobody needs to
be root.

What cannot be had raises Missing, which says what.
"""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bare  # noqa: E402

KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'


class Missing(Exception):
    """What is not there, for a reader."""


def call(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False, **more)
    if done.returncode != 0:
        raise Missing('%s\n%s failed' % (done.stdout, ' '.join(command)))
    return done.stdout


class Apt:
    """`folder` keeps lists and packages; what is there is not fetched again."""

    def __init__(self, folder, architecture, suite='bookworm'):
        if not shutil.which('apt-get') or not shutil.which('dpkg-deb') or not os.path.exists(KEYS):
            raise Missing('no apt-get, dpkg-deb or ' + KEYS)
        self.folder = os.path.join(folder, 'apt-%s-%s' % (suite, architecture))
        for name in ('state/lists/partial', 'cache/archives/partial', 'etc', 'files'):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self.files = os.path.join(self.folder, 'files')
        sources = os.path.join(self.folder, 'etc', 'sources.list')
        with open(sources, 'w', encoding='ascii') as file:
            for kind in ('deb', 'deb-src'):
                file.write('%s [signed-by=%s] %s %s main\n' % (kind, KEYS, bare.mirror(), suite))
        self.options = [word for option in (
            'Dir::State=%s/state' % self.folder, 'Dir::Cache=%s/cache' % self.folder, 'Dir::Etc::SourceList=' + sources,
            'Dir::Etc::SourceParts=/dev/null', 'Dir::State::status=/dev/null', 'APT::Architecture=' + architecture,
            'APT::Architectures::=' + architecture, 'APT::Sandbox::User=root') for word in ('-o', option)]
        self.updated = False

    def apt(self, tool, *words):
        if not self.updated:
            call('apt-get', *self.options, '-q', 'update')
            self.updated = True
        return call(tool, *self.options, *words, cwd=self.files)

    def package(self, name):
        """The file of a package."""
        pattern = os.path.join(self.files, name + '_*.deb')
        if not glob.glob(pattern):
            self.apt('apt-get', '-q', 'download', name)
        return glob.glob(pattern)[0]

    def unpack(self, name, into):
        os.makedirs(into, exist_ok=True)
        call('dpkg-deb', '-x', self.package(name), into)

    def dependency(self, name):
        """The first package that another one depends on."""
        for line in self.apt('apt-cache', 'depends', name).splitlines():
            if 'Depends: ' in line:
                return line.split('Depends: ')[1].strip()
        raise Missing('apt knows no package ' + name)

    def source(self, name, pattern):
        """The file of a source package that the pattern names."""
        found = glob.glob(os.path.join(self.files, pattern))
        if not found:
            self.apt('apt-get', '-q', 'source', '--download-only', name)
            found = glob.glob(os.path.join(self.files, pattern))
        if not found:
            raise Missing('no %s in the sources of %s' % (pattern, name))
        return found[0]
