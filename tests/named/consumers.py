#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# packages: cmake git pkg-config
# targets: libhakmem.so.0
"""Installs hakmem into a fresh folder and builds programs against it, in each of the ways that the README names.

    ./hakmem test consumers                # all
    ./hakmem test consumers cmake static   # these

  pkg-config   $(pkg-config --cflags --libs hakmem)
  cmake        find_package(hakmem CONFIG): hakmem::hakmem, hakmem::static, hakmem::override; also after the tree moved, and
               what must be refused
  meson        dependency('hakmem'): the installed one, and one in subprojects/
  static       libhakmem.a in a dynamic program
  all-static   -static
  beside       a library built with -Doverride=false, in the first four ways
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = os.path.join(ROOT, 'tests', 'consumers')


class Failed(Exception):
    """What went wrong, for a reader who has not seen more."""


def call(*argv, cwd=None, env=None, refused=None):
    """Output of a command that must succeed; or, with `refused`, must fail and say that."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(('HAKMEM_', 'LD_', 'MESON', 'PKG_CONFIG'))}
    done = subprocess.run(argv, cwd=cwd, env={**plain, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
    if (done.returncode != 0) != bool(refused) or (refused and refused not in done.stdout):
        raise Failed('%s\n%s ended with %d%s' % (done.stdout, ' '.join(argv), done.returncode,
                                                 ', and had to say %r' % refused if refused else ''))
    return done.stdout


class Installed:
    """A hakmem in PREFIX, and the programs that are built against it in folders beside."""

    def __init__(self, folder, override):
        self.folder, self.override = folder, override
        self.prefix = os.path.join(folder, 'prefix')
        self.lib = os.path.join(self.prefix, 'lib')
        build = os.path.join(folder, 'build')
        call('meson', 'setup', build, ROOT, '--prefix=' + self.prefix, '-Doverride=' + str(override).lower())
        said = call('meson', 'install', '-C', build)
        options = json.loads(call('meson', 'introspect', '--projectinfo', build))
        self.version = options['version']
        self.says = '%s %s\n' % (self.version, 'replaced' if override else 'beside')
        if 'the loader does not look into ' + self.lib not in said:
            raise Failed('%s\nmeson install does not say that the loader will not find it' % said)

    def expect(self, program, *linked, output=None):
        """Runs it; `linked`: whether libhakmem.so is among what the loader loads for it."""
        env = {'LD_LIBRARY_PATH': self.lib}
        said = call(program, env=env)
        if said != (output or self.says):
            raise Failed('%s printed %r and not %r' % (program, said, output or self.says))
        needed = 'libhakmem.so.0' in call('readelf', '-d', program)
        if needed != bool(linked):
            raise Failed('%s %s libhakmem.so.0' % (program, 'needs' if needed else 'does not need'))

    def plain(self, program, *linked):
        """The same for a program in which only the C library allocates: that it does so with hakmem is seen in the
        page at its end."""
        self.expect(program, *linked, output='plain\n')
        page = call(program, env={'LD_LIBRARY_PATH': self.lib, 'HAKMEM_STATS': '1'})
        if ('blocks' in page) != self.override:
            raise Failed('%s\nthat is what %s printed with HAKMEM_STATS=1' % (page, program))

    def cc(self, name, package, *options, source='uses.c'):
        flags = call('pkg-config', '--cflags', '--libs', package,
                     env={'PKG_CONFIG_PATH': os.path.join(self.lib, 'pkgconfig')}).split()
        program = os.path.join(self.folder, name)
        call(os.environ.get('CC', 'cc'), os.path.join(SOURCES, source), '-o', program, *options, *flags)
        return program

    def pkg_config(self):
        self.expect(self.cc('with-pkg-config', 'hakmem'), 'shared')

    def static(self):
        self.expect(self.cc('static', 'hakmem-static'))
        self.plain(self.cc('static-plain', 'hakmem-static', source='plain.c'))

    def all_static(self):
        self.expect(self.cc('all-static', 'hakmem-static', '-static'))
        self.expect(self.cc('all-static-2', 'hakmem', '-static'))
        self.plain(self.cc('all-static-plain', 'hakmem-static', '-static', source='plain.c'))

    def cmake(self):
        build = os.path.join(self.folder, 'cmake')
        command = ['cmake', '-S', os.path.join(SOURCES, 'cmake'), '-B']
        prefix = '-DCMAKE_PREFIX_PATH=' + self.prefix
        override = '-DOVERRIDE=' + ('ON' if self.override else 'OFF')
        call(*command, build, prefix, override)
        call('cmake', '--build', build)
        self.expect(os.path.join(build, 'shared'), 'shared')
        self.expect(os.path.join(build, 'static'))
        self.plain(os.path.join(build, 'static_plain'))
        if self.override:
            self.plain(os.path.join(build, 'override'), 'shared')
        major, minor = self.version.split('.')[:2]
        for wanted in ('%s.%s.99' % (major, minor), '%s.%d' % (major, int(minor) + 1), '%d' % (int(major) + 1)):
            call(*command, build + '-' + wanted, prefix, '-DWANTED=' + wanted, refused='version')
        call(*command, build + '-component', prefix, '-DCOMPONENT=nonsense', refused="no component 'nonsense'")
        if not self.override:
            call(*command, build + '-override', prefix, '-DCOMPONENT=override', refused="no component 'override'")
            return
        call(*command, build + '-override', prefix, '-DCOMPONENT=override')
        moved = os.path.join(self.folder, 'moved here')
        shutil.copytree(self.prefix, moved, symlinks=True)
        call(*command, build + '-moved', '-DCMAKE_PREFIX_PATH=' + moved)
        call('cmake', '--build', build + '-moved')
        self.expect(os.path.join(build + '-moved', 'static'))

    def meson(self):
        project = os.path.join(self.folder, 'meson')
        shutil.copytree(os.path.join(SOURCES, 'meson'), project)
        shutil.copy(os.path.join(SOURCES, 'uses.c'), project)
        env = {'PKG_CONFIG_PATH': os.path.join(self.lib, 'pkgconfig')}
        call('meson', 'setup', 'build', cwd=project, env=env)
        call('ninja', '-C', 'build', cwd=project)
        self.expect(os.path.join(project, 'build', 'uses'), 'shared')
        os.mkdir(os.path.join(project, 'subprojects'))
        os.symlink(ROOT, os.path.join(project, 'subprojects', 'hakmem'))
        own = '-Dhakmem:override=' + str(self.override).lower()
        call('meson', 'setup', 'build-sub', '--force-fallback-for=hakmem', own, cwd=project, env=env)
        call('ninja', '-C', 'build-sub', cwd=project)
        self.expect(os.path.join(project, 'build-sub', 'uses'))


WAYS = {'pkg-config': 'pkg_config', 'cmake': 'cmake', 'meson': 'meson', 'static': 'static', 'all-static': 'all_static'}
BESIDE = ('pkg-config', 'cmake', 'meson', 'static')


def main():
    names = sys.argv[2:] or [*WAYS, 'beside']
    unknown = set(names) - {*WAYS, 'beside'}
    if unknown:
        sys.exit('consumers: unknown: %s; there are %s' % (', '.join(sorted(unknown)), ', '.join([*WAYS, 'beside'])))
    missing = [tool for tool in ('meson', 'ninja', 'cmake', 'pkg-config', 'readelf') if not shutil.which(tool)]
    if missing:
        print('consumers: skipped: %s is not installed' % ', '.join(missing))
        return 77
    failed = 0
    with tempfile.TemporaryDirectory(prefix='hakmem-consumers-') as folder:
        folder = os.path.realpath(folder)
        plan = [(True, [name for name in names if name != 'beside']), (False, BESIDE if 'beside' in names else [])]
        for override, ways in plan:
            if not ways:
                continue
            where = os.path.join(folder, 'replaced' if override else 'beside')
            os.mkdir(where)
            installed = Installed(where, override)
            for way in ways:
                try:
                    getattr(installed, WAYS[way])()
                    print('passed: %s%s' % (way, '' if override else ', -Doverride=false'), flush=True)
                except Failed as error:
                    failed += 1
                    print('%s\nfailed: %s%s' % (error, way, '' if override else ', -Doverride=false'), flush=True)
    print('consumers: %s' % ('%d failed' % failed if failed else 'all passed'))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
