# SPDX-License-Identifier: MIT
"""Runs a workload twice, without and with hakmem, and compares all that came out.

A test of a program is a function `workload(run)` handed to `main`. It runs commands through its `Run`, in a fresh
folder, and what they print (stdout, stderr, exit status) and what it `note`s is compared between the two runs. It must
also show that hakmem was in the program: each test names the processes that must have had the library in their
/proc/PID/maps, and they must have had it in the second run and not in the first.

Exit status: 0 same, 1 different or not preloaded, 77 skipped with a line that says why.
"""
import difflib
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

from standstill import family, read  # noqa: E402

SKIP = 77


class Skip(Exception):
    pass


class Failure(Exception):
    pass


def need(*names, package):
    """The path of the first program of `names` that exists. Debian's own folders come first: it is Debian's programs
    that are tested, not what a developer has put before them in PATH."""
    for name in names:
        if "/" in name:
            found = sorted(glob.glob(name))
            if found:
                return found[-1]
        path = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin") or shutil.which(name)
        if path:
            return path
    raise Skip(f"{' or '.join(names)} is not installed (package {package})")


class Run:
    """One of the two runs: its folder, its environment, and what has come out so far."""

    def __init__(self, folder, library):
        self.dir = folder
        self.library = library  # None in the run without hakmem
        self.name = "hakmem" if library else "plain"
        self.log = []  # (label, bytes), compared
        self.loaded = set()  # names of the processes that had the library mapped
        self.env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder,
            "TMPDIR": folder,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        if library:
            self.env["LD_PRELOAD"] = library
            # Let the allocator's own options through: the whole suite can be run under one.
            self.env.update({k: v for k, v in os.environ.items() if k.startswith("HAKMEM_")})

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        """Makes a file in the run's folder."""
        with open(self.path(name), "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return self.path(name)

    def note(self, label, data):
        """Adds something to what is compared."""
        self.log.append((label, data if isinstance(data, bytes) else str(data).encode()))

    def cmd(self, argv, stdin=b"", hold=None, status=0, compare=True, env=None, timeout=200):
        """Runs a command in the folder and returns its stdout. `hold` names a process (the command or a descendant):
        stdin is not fed and stdout not read until it is seen, so that it is there to be looked at."""
        # stderr goes to a file: nobody reads a pipe while the process is held.
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(argv, cwd=self.dir, env={**self.env, **(env or {})}, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
            try:
                if hold:
                    self.look(process.pid, hold)
                out, _ = process.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                raise Failure(f"{self.name}: {argv} did not end within {timeout} s")
            finally:
                kill_session(process)
            errors.seek(0)
            err = errors.read()
        if process.returncode != status:
            raise Failure(f"{self.name}: {argv} ended with {process.returncode}, not {status}\n"
                          f"{out[-2000:].decode(errors='replace')}\n{err[-2000:].decode(errors='replace')}")
        if compare:
            self.note(f"{' '.join(map(str, argv))[:200]} (stdout)", out)
            self.note(f"{' '.join(map(str, argv))[:200]} (stderr)", err)
        return out

    def serve(self, argv, ready, executable=None):
        """Starts a server, whose output goes to the file log, and returns its process when `ready()` is true."""
        with open(self.path("log"), "ab") as log:
            process = subprocess.Popen(argv, executable=executable, cwd=self.dir, env=self.env,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        for _ in range(600):
            if process.poll() is not None:
                break
            if ready():
                return process
            time.sleep(0.1)
        kill_session(process)
        raise Failure(f"{self.name}: {argv[0]} did not start:\n" + read(self.path("log"))[-3000:])

    def look(self, pid, name, seconds=60):
        """Waits for a process called `name` among `pid` and its descendants, past its start, and notes whether it has
        the library."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for each in family(pid):
                if comm(each) == name[:15] and self.settled(each):
                    return
            time.sleep(0.005)
        raise Failure(f"{self.name}: no process '{name}' was seen (there are: "
                      f"{', '.join(comm(each) for each in family(pid))})")

    def settled(self, pid):
        """True when it is certain whether process `pid` has the library: it is mapped, or the process waits for input,
        output or a child, and so is past its loading."""
        maps = read(f"/proc/{pid}/maps")
        if "libhakmem" in maps:
            self.loaded.add(comm(pid))
            return True
        sleeping = read(f"/proc/{pid}/stat").rpartition(")")[2].startswith(" S")
        return sleeping and "libc.so" in maps and self.library is None

    def saw(self, maps, name):
        """Notes the library when `maps`, what process `name` read in /proc/self/maps, has it."""
        text = maps.decode(errors="replace") if isinstance(maps, bytes) else maps
        if "[stack]" not in text:
            raise Failure(f"{self.name}: {name} did not report its maps")
        if "libhakmem" in text:
            self.loaded.add(name)


def comm(pid):
    return read(f"/proc/{pid}/comm").strip()


def kill_session(process):
    """Ends a command that is still there, and whatever it left in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def differences(plain, hakmem):
    """Lines that tell what differs between the logs of the two runs."""
    lines = []
    for (label, a), (other, b) in zip(plain, hakmem):
        if label != other:
            return lines + [f"the runs went different ways: {label!r} and {other!r}"]
        if a != b:
            lines.append(f"different: {label}: {len(a)} and {len(b)} bytes")
            old, new = (x.decode(errors="replace").splitlines() for x in (a, b))
            lines += list(difflib.unified_diff(old[:2000], new[:2000], "plain", "hakmem", lineterm="", n=1))[:20]
    if len(plain) != len(hakmem):
        lines.append(f"{len(plain)} results without hakmem, {len(hakmem)} with it")
    return lines


def prepare(base, uid):
    """The folder of one run, empty. Its name is the same in both, as programs print where they are."""
    folder = os.path.join(base, "run")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    if uid is not None:
        os.chown(folder, uid, -1)
    return folder


def compare(workload, must_load, uid=None):
    """Both runs of `workload`; the processes `must_load` must have had the library in the second one only."""
    source = os.environ.get("HK_TEST_SO")
    if not source or not os.path.exists(source):
        raise Failure("HK_TEST_SO does not name the library to test")
    base = tempfile.mkdtemp(prefix="hk-", dir="/tmp")
    try:
        os.chmod(base, 0o755)
        # A copy where every user can read it (postgres runs as one), under a path without blanks.
        library = shutil.copyfile(os.path.realpath(source), os.path.join(base, "libhakmem.so"))
        os.chmod(library, 0o755)
        runs = []
        for preload in (None, library):
            run = Run(prepare(base, uid), preload)
            started = time.monotonic()
            workload(run)
            print(f"{run.name}: {len(run.log)} results, {sum(len(d) for _, d in run.log)} bytes, "
                  f"{time.monotonic() - started:.1f} s; library in: {' '.join(sorted(run.loaded)) or '-'}", flush=True)
            runs.append(run)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    plain, hakmem = runs
    if plain.loaded:
        raise Failure(f"the run without hakmem had it in {' '.join(plain.loaded)}")
    missing = set(must_load) - hakmem.loaded
    if missing:
        raise Failure(f"hakmem was not seen in {' '.join(sorted(missing))}")
    wrong = differences(plain.log, hakmem.log)
    if wrong:
        raise Failure("\n".join(wrong))
    if not plain.log:
        raise Failure("the workload produced nothing to compare")


def main(workload, must_load, uid=None):
    """Entry of every test: runs it and exits with its status."""
    # Children of ours shall not outlive the test when Meson ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        compare(workload, must_load, uid)
    except Skip as why:
        print(f"skipped: {why}")
        sys.exit(SKIP)
    except Failure as why:
        print(f"FAILED: {why}")
        sys.exit(1)
    print("same with and without hakmem")
