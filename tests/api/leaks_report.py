#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HAKMEM_LEAKS: small programs with leaks and without, each line of the source at which blocks are leaked, and no other;
what is ignored, where the report goes, and what it says where it cannot be made.

usage: leaks_report.py LIBHAKMEM PROGRAM SOURCE
PROGRAM (leaks_subject, of SOURCE) ends with 7.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import leaks_read  # noqa: E402  (beside the tests)

LIMIT = 100  # seconds that anything may take
LEAKED = ['direct', 'indirect', 'cycle', 'moved', 'aligned', 'run', 'huge', 'string', 'ended']
REACHED = ['by_global', 'by_local', 'by_thread', 'by_register', 'by_middle', 'by_mapping', 'by_large', 'by_coroutine',
           'guarded', 'nothing']


def run(library, command, **options):
    env = {k: v for k, v in os.environ.items() if not k.startswith('HAKMEM_')}
    env.update(options, LD_PRELOAD=library)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT)


def check_lines(library, program, source):
    """Each case alone, and all at once: what one leaves behind must not reach what another leaks."""
    for case in LEAKED + REACHED:
        done = run(library, [program, case], HAKMEM_LEAKS='1')
        assert done.returncode == 7, (case, done)
        wrong = leaks_read.compare(leaks_read.Report(done.stderr), source, case)
        assert not wrong, wrong
        noted = leaks_read.noted(source, case)
        assert bool(noted) == (case in LEAKED), f'{case}: {noted} in {source}'


def check_frames(library, program, source):
    """The line that a frame itself has is the one that addr2line finds."""
    done = run(library, [program, 'indirect', 'aligned', 'ended'], HAKMEM_LEAKS='1')
    for row in leaks_read.Report(done.stderr).rows:
        line = leaks_read.line_of(row, source)
        assert row.lines[0] == f'{os.path.basename(source)}:{line}', (row.lines, line)


def check_sums(library, program):
    done = run(library, [program, 'indirect'], HAKMEM_LEAKS='1')
    report = leaks_read.Report(done.stderr)
    assert (report.direct, report.indirect) == (1, 2) and not report.rest, done.stderr
    sizes = [(row.kind, row.size) for row in report.rows]
    assert sizes == sorted(sizes, key=lambda s: (s[0] == 'indirect', -s[1])), sizes
    assert report.rows[0].frames[0][0] == 'indirect' and report.rows[0].frames[2][0] == 'main', report.rows[0].frames


def check_ignored(library, program, folder):
    path = os.path.join(folder, 'ignored')
    for patterns, direct, indirect, ignored in [
            ('leak:indirect\n', 0, 0, 1), ('# none\nleak:else*where\nrace:indirect\n', 1, 2, 0), ('leak:^main$\n', 0, 0, 1),
            ('leak:^ndirect\n', 1, 2, 0), ('  leak:in*rec*t \r\n', 0, 0, 1), ('leak:leaks_subject', 0, 0, 1),
            ('leak:main\n', 0, 0, 1), ('leak:mai$\n', 1, 2, 0)]:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(patterns)
        done = run(library, [program, 'indirect'], HAKMEM_LEAKS='1', HAKMEM_LEAKS_IGNORED=path)
        report = leaks_read.Report(done.stderr)
        assert (report.direct, report.indirect) == (direct, indirect), (patterns, done.stderr)
        said = re.search(r'were ignored \d+ bytes? in (\d+) block', done.stderr)
        assert (int(said[1]) if said else 0) >= ignored and bool(said) == bool(ignored), (patterns, done.stderr)
    done = run(library, [program, 'direct'], HAKMEM_LEAKS='1', HAKMEM_LEAKS_IGNORED=folder + '/none')
    assert 'no such file' in done.stderr and 'Direct leak of' in done.stderr, done.stderr


def check_files(library, program, folder):
    """%p, a child that writes nothing, stderr closed, and a folder that is not there."""
    path = os.path.join(folder, 'report-%p')
    done = run(library, [program, 'direct'], HAKMEM_LEAKS=path)
    names = [n for n in os.listdir(folder) if n.startswith('report-')]
    assert done.returncode == 7 and not done.stderr and len(names) == 1, (done, names)
    with open(os.path.join(folder, names[0]), encoding='utf-8') as file:
        assert leaks_read.Report(file.read()).direct == 3
    done = run(library, [program, 'direct', 'forks'], HAKMEM_LEAKS='1')
    assert leaks_read.Report(done.stderr).direct == 3, done.stderr
    done = run(library, [program, 'direct', 'forks'], HAKMEM_LEAKS=path)
    assert len([n for n in os.listdir(folder) if n.startswith('report-')]) == 3, os.listdir(folder)
    # A child that has none does not say so, one that has some does. (Whether the shell does depends on how it ends.)
    said = [run(library, ['sh', '-c', f'"$0" {case}; exit $?', program], HAKMEM_LEAKS='1').stderr.count('hakmem: leaks of')
            for case in ('nothing', 'direct')]
    assert said in ([0, 1], [1, 2]), said
    done = run(library, [program, 'direct', 'closes'], HAKMEM_LEAKS='1')
    assert leaks_read.Report(done.stderr).direct == 3, done.stderr
    path = os.path.join(folder, 'opened')
    done = run(library, ['sh', '-c', f'exec "$0" direct opens 2>&- 3>&- >{path}', program], HAKMEM_LEAKS='1')
    assert done.returncode == 7 and os.path.getsize(path) == 0, done
    done = run(library, [program, 'direct'], HAKMEM_LEAKS=folder + '/none/report')
    assert done.returncode == 7 and 'cannot be written: no such file or directory' in done.stderr, done


def check_sampled(library, program, folder):
    done = run(library, [program, 'direct', 'run'], HAKMEM_LEAKS='1', HAKMEM_PROFILE=folder + '/p.folded,8M')
    report = leaks_read.Report(done.stderr)
    # Counted, whoever asked; what was free before may hold an old link to another.
    assert report.direct + report.indirect == 4, done.stderr
    assert any('one block in 8388608 bytes' in line for line in report.rest), done.stderr


def check_refused(library, program):
    """Where threads cannot be stopped there is one line; without other threads none need be."""
    if not shutil.which('strace'):
        print('skipped: strace is not here, no tracer is in the way')
        return
    for case, refused in [('by_thread', True), ('direct', False)]:
        done = run('', ['strace', '-f', '-o', '/dev/null', '-E', 'LD_PRELOAD=' + library, '-E', 'HAKMEM_LEAKS=1', program,
                        'direct', case])
        assert done.returncode == 7 and ('not known: the other threads may not be stopped' in done.stderr) == refused, done
        assert len(done.stderr.splitlines()) == 1 or not refused, done.stderr


def main():
    library, program, source = sys.argv[1:]
    check_lines(library, program, source)
    check_frames(library, program, source)
    check_sums(library, program)
    with tempfile.TemporaryDirectory() as folder:
        check_ignored(library, program, folder)
        check_files(library, program, folder)
        check_sampled(library, program, folder)
    check_refused(library, program)


if __name__ == '__main__':
    main()
