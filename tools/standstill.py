#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Notices that a program stands still, and prints the stack of every thread of it. Used by the bench, by ab, and by the
tests.

usage: standstill.py --stacks PID              prints the stacks of that process
       standstill.py [--seconds N] -- COMMAND  runs COMMAND; one that stands still is printed and killed, status 124
       standstill.py --self-test

Still is a program that, with all its descendants, for N seconds (30) uses no processor time, gives up no processor by
itself, starts and ends no thread, and has no thread that could run or waits for a disk. So a program that sleeps for
less is left alone, and a machine with much else to do makes no program still. Stacks are gdb's; where it is not
installed or may not look, what /proc tells of each thread.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

SECONDS = 30
STATUS = 124
GDB_SECONDS = 60


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def threads(pid):
    try:
        return sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return []


def parents():
    """Every process there is -> its parent."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read(f"/proc/{name}/stat").rpartition(")")[2].split()
            if fields:
                found[int(name)] = int(fields[1])
    return found


def family(pid):
    """`pid` and its descendants, parents first."""
    children = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:  # grows while it is walked
        found += sorted(children.get(each, []))
    return found


class Watch:
    """Looks at one program and its descendants, each time `still` is asked."""

    def __init__(self, pid, seconds=SECONDS):
        self.pid = pid
        self.seconds = seconds
        self.before = None
        self.since = time.monotonic()

    def still(self):
        """True when nothing has moved for so many seconds. The look itself costs the machine a millisecond or so."""
        state = self.look()
        now = time.monotonic()
        if state is None or state != self.before:
            self.before, self.since = state, now
        return now - self.since >= self.seconds

    def look(self):
        """What all threads have done so far; None when one of them could run, or there is none."""
        done = []
        for pid in family(self.pid):
            for thread in threads(pid):
                fields = read(f"/proc/{pid}/task/{thread}/stat").rpartition(")")[2].split()
                if not fields or fields[0] in "RD":
                    return None
                switches = [line for line in read(f"/proc/{pid}/task/{thread}/status").splitlines()
                            if line.startswith("voluntary_ctxt_switches")]
                done.append((thread, fields[0], fields[11], fields[12], switches))
        return done or None


def by_gdb(pid):
    """The stacks as gdb prints them; nothing where it cannot."""
    gdb = shutil.which("gdb")
    if gdb is None:
        return ""
    argv = [gdb, "-p", str(pid), "-batch", "-nx", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
            "-ex", "set pagination off", "-ex", "thread apply all backtrace"]
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    try:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=GDB_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = done.stdout.decode(errors="replace")
    return text if "\n#0 " in text else ""


def by_proc(pid):
    """What the kernel tells without a debugger."""
    lines = []
    for thread in threads(pid):
        lines.append(f"Thread {thread}:")
        for name in ("comm", "wchan", "syscall", "stack"):
            text = read(f"/proc/{pid}/task/{thread}/{name}").strip()
            if text:
                lines.append(f"    {name}: " + text.replace("\n", "\n           "))
    return "\n".join(lines + ["Mappings:", read(f"/proc/{pid}/maps")])


def print_stacks(pid, file=None):
    """All threads of one process, on stderr."""
    command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    print(f"---- stacks of process {pid}: {command[:300]}", file=file or sys.stderr)
    print(by_gdb(pid) or by_proc(pid), file=file or sys.stderr, flush=True)


def print_family(pid, why, file=None):
    """All threads of a program and of its descendants that are no zombies."""
    print(f"\nstandstill: {why}", file=file or sys.stderr)
    for each in family(pid):
        if not read(f"/proc/{each}/stat").rpartition(")")[2].startswith((" Z", " X")):
            print_stacks(each, file)


def kill(pid):
    """A program and its descendants, leaves first."""
    for each in reversed(family(pid)):
        try:
            os.kill(each, signal.SIGKILL)
        except OSError:
            pass


def finish(process, limit, seconds=SECONDS, file=None):
    """As Popen.communicate: (stdout, stderr, None) of a process that ends by itself. One that stands still or runs for
    longer than `limit` seconds is printed and killed, and the third word says why. `seconds`: None looks at the limit
    only."""
    watch = Watch(process.pid, seconds if seconds is not None else limit)
    every = min(5, watch.seconds / 4)
    deadline = time.monotonic() + limit
    while True:
        try:
            out, err = process.communicate(timeout=min(every, max(0.1, deadline - time.monotonic())))
            return out, err, None
        except subprocess.TimeoutExpired:
            why = f"ran longer than {limit} s" if time.monotonic() >= deadline else None
            if seconds is not None and watch.still():
                why = f"stood still for {watch.seconds} s"
            if why:
                print_family(process.pid, why, file)
                kill(process.pid)
                out, err = process.communicate()
                return out, err, why


def finish_children(process, name, seconds=SECONDS):
    """The exit status of a process that runs programs. Each that stands still is printed and killed."""
    watches = {}
    while True:
        try:
            return process.wait(timeout=min(5, seconds / 4))
        except subprocess.TimeoutExpired:
            children = [child for child, parent in parents().items() if parent == process.pid]
            watches = {pid: watches.get(pid) or Watch(pid, seconds) for pid in children}
            for pid in [pid for pid, watch in watches.items() if watch.still()]:
                print_family(pid, f"{name} stood still for {seconds} s")
                kill(pid)


def run(command, seconds):
    with subprocess.Popen(command) as process:
        why = finish(process, float("inf"), seconds)[2]
    code = process.returncode
    if why:
        return STATUS
    return 128 - code if code < 0 else code


HANG = """
import os, threading, time
lock = threading.Lock()
lock.acquire()
if os.fork() == 0:
    threading.Thread(target=lock.acquire).start()
    lock.acquire()
os.wait()
"""


def self_test():
    """A parent and a child that wait for ever are found and both end; who works, or sleeps for a shorter time, is left
    alone."""
    def tried(code, seconds):
        argv = [sys.executable, __file__, "--seconds", str(seconds), "--", sys.executable, "-c", code]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=300, check=False)
        return done.returncode, done.stderr

    status, text = tried(HANG, 2)
    assert status == STATUS, f"status {status}: {text}"
    assert text.count("---- stacks of process ") == 2, text
    assert text.count("\n#0 ") >= 3 or text.count("\nThread ") >= 3, text
    for pid in [line.split()[4].rstrip(":") for line in text.splitlines() if line.startswith("---- stacks")]:
        assert read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] in ([], ["Z"]), f"process {pid} is left"
    for code, seconds in (("import time; time.sleep(1)", 4), ("import time; [time.sleep(0.1) for _ in range(30)]", 1),
                          ("import time\nwhile time.process_time() < 2: pass", 1)):
        status, text = tried(code, seconds)
        assert status == 0, f"{code}: {status}: {text}"
    both = ["sh", "-c", "sleep 100; echo first $?; sleep 1; echo second $?"]
    with subprocess.Popen(both, stdout=subprocess.PIPE, text=True) as process:
        assert finish_children(process, "what this test expects:", 3) == 0
        assert process.stdout.read() == "first 137\nsecond 0\n"
    assert tried("import sys; sys.exit(7)", 2)[0] == 7
    assert tried("import os; os.kill(os.getpid(), 15)", 2)[0] == 128 + 15
    print("standstill: passed")


def main(words):
    if words == ["--self-test"]:
        return self_test()
    if len(words) == 2 and words[0] == "--stacks" and words[1].isdigit():
        return print_stacks(int(words[1]))
    seconds = SECONDS
    if words[:1] == ["--seconds"]:
        seconds, words = float(words[1]), words[2:]
    if words[:1] != ["--"] or len(words) < 2:
        sys.exit(__doc__)
    return run(words[1:], seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
