# SPDX-License-Identifier: MIT
"""Counts that no other load disturbs: instructions by callgrind, system calls by strace. Used by bench.py and ab.py."""

import os
import re
import shutil
import subprocess
import tempfile

from bench_run import RUN_LIMIT_S, BenchError, program_path, read_lines
from bench_table import short

# line -> the two counts; the second less the first leaves out start, warm-up and end
INSTRUCTION_LINES = {"hot_pair-64": (50000, 150000), "mixed-256": (100000, 300000)}
SYSCALLS = ("mmap", "munmap", "mremap", "madvise", "mprotect", "brk")
SYSCALL_LINE = "mixed-256"
CALL = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)$")


def need(tool):
    if shutil.which(tool) is None:
        raise BenchError(f"{tool} is not installed")


def environment(preload, more=None):
    env = {name: value for name, value in {**os.environ, **(more or {})}.items() if name != "LD_PRELOAD"}
    if preload:
        env["LD_PRELOAD"] = preload
    return env


def callgrind(build, preload, command, env=None):
    argv = ["valgrind", "--tool=callgrind", "--trace-children=no", "--callgrind-out-file=/dev/null",
            program_path(build, command[0]), *command[1:]]
    done = subprocess.run(argv, env=environment(preload, env), capture_output=True, text=True,
                          errors="replace", timeout=RUN_LIMIT_S, check=False)
    collected = re.search(r"^==\d+== Collected : (\d+)", done.stderr, re.MULTILINE)
    if done.returncode != 0 or collected is None:
        return None
    return int(collected.group(1))


def per_operation(build, preload, line, counts, flags):
    totals = [callgrind(build, preload, line.command(count) + flags) for count in counts]
    if None in totals:
        return None
    return (totals[1] - totals[0]) / (counts[1] - counts[0])


def instructions(build, allocators, progress, quick=False):
    """Instructions inside malloc and free for one operation: the loop that calls empty functions is taken off."""
    need("valgrind")
    lines = [line for line in read_lines() if line.name in INSTRUCTION_LINES]
    rows = [f"{'instructions per operation, loop taken off':44}" + " ".join(short(n).rjust(7) for n in allocators)
            + "     loop"]
    rows.append("-" * len(rows[0]))
    for line in lines:
        counts = tuple(count // (5 if quick else 1) for count in INSTRUCTION_LINES[line.name])
        progress(f"callgrind: {line.name}, the loop alone")
        loop = per_operation(build, None, line, counts, ["--loop-only"])
        if loop is None:
            raise BenchError("valgrind --tool=callgrind does not work here")
        cells = []
        for name, path in allocators.items():
            progress(f"callgrind: {line.name}, {name}")
            total = per_operation(build, path, line, counts, [])
            cells.append(f"{total - loop:7.1f}" if total is not None else "   fail")
        rows.append(f"{line.name:44}" + " ".join(cells) + f"  {loop:7.1f}")
    return rows


def count_calls(trace):
    """Counts by name, without what the loader does to load files (from an openat to the close of what it gave) and
    without thread stacks. A call that strace splits into 'unfinished' and 'resumed' is counted where it begins."""
    counts = dict.fromkeys(SYSCALLS, 0)
    loading = {}
    for text in trace.splitlines():
        match = CALL.match(text)
        if match is None:
            continue
        task, name, rest = match.groups()
        if name == "openat":
            opened = re.search(r"= (\d+)$", rest)
            if opened:
                loading[task] = opened.group(1)
        elif name == "close":
            if loading.get(task) == rest.split(")")[0]:
                del loading[task]
        elif name in counts and task not in loading and "MAP_STACK" not in rest:
            counts[name] += 1
    return counts


def strace(build, preload, command, folder, env=None):
    output = os.path.join(folder, "trace")
    argv = ["strace", "-f", "-qq", "-o", output, "-e", "trace=openat,close," + ",".join(SYSCALLS)]
    argv += ["-E", f"LD_PRELOAD={preload}"] if preload else []
    argv += [program_path(build, command[0]), *command[1:]]
    done = subprocess.run(argv, env=environment(None, env), capture_output=True, text=True, errors="replace",
                          timeout=RUN_LIMIT_S, check=False)
    if done.returncode != 0:
        return None
    with open(output, encoding="utf-8", errors="replace") as file:
        return count_calls(file.read())


def syscalls(build, allocators, progress, quick=False):
    """Memory system calls of a whole run, beyond those of the same program that does nothing on glibc (count 0)."""
    need("strace")
    line = next(line for line in read_lines() if line.name == SYSCALL_LINE)
    count = 500000 if quick else 5000000
    rows = [f"{f'system calls, {line.name}, {count} operations':44}" + " ".join(name.rjust(8) for name in SYSCALLS)]
    rows.append("-" * len(rows[0]))
    with tempfile.TemporaryDirectory() as folder:
        progress(f"strace: {line.name}, the program that does nothing")
        base = strace(build, None, line.command(0), folder)
        if base is None:
            raise BenchError("strace does not work here")
        for name, path in allocators.items():
            progress(f"strace: {line.name}, {name}")
            counts = strace(build, path, line.command(count), folder)
            cells = [f"{counts[call] - base[call]:8d}" if counts else "    fail" for call in SYSCALLS]
            rows.append(f"{name:44}" + " ".join(cells))
        rows.append(f"{'taken off: the loader and the program itself':44}"
                    + " ".join(f"{base[call]:8d}" for call in SYSCALLS))
    return rows
