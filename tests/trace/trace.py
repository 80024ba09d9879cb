#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records programs whose calls are known, and replays what was recorded.

usage: trace.py TEST HAKMEM_TRACE RECORDER LIBRARY SUBJECT [OPERATORS]
       trace.py program HAKMEM_TRACE RECORDER LIBRARY NAME COMMAND [ARG...]   (tests/named/replay.py)
"""
import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

MARK = 54321
TEST, SUBJECT, *OPERATORS = sys.argv[1], *sys.argv[5:]
TOOL, RECORDER, LIBRARY = map(os.path.abspath, sys.argv[2:5])
if TEST != "program":
    SUBJECT, *OPERATORS = map(os.path.abspath, sys.argv[5:])
Step = collections.namedtuple("Step", "number thread kind slot origin size align")


def expect(truth, what):
    if not truth:
        sys.exit(f"FAILED: {what}")


class Trace:
    """Records a command; the trace is whole when `info` has returned, which waits for its writer."""

    def __init__(self, folder, name, *command, only="", status=0, library=LIBRARY, env=None):
        self.path = os.path.join(folder, name)
        preload = RECORDER + (":" + library if library else "")
        done = subprocess.run([TOOL, "record", self.path, only, preload, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
                              env={**os.environ, **(env or {})})
        self.errors = done.stderr
        expect(done.returncode == status, f"{command}: status {done.returncode}: {done.stderr}")
        self.info = json.loads(run(TOOL, "info", self.path))
        self.steps = []
        for line in run(TOOL, "dump", self.path).splitlines():
            words = line.split()
            self.steps.append(Step(int(words[0]), int(words[1]), words[2], *map(int, words[3:])))

    def marked(self, closed=True):
        """What stands between the marks of the first thread."""
        own = [step for step in self.steps if step.thread == 0]
        marks = [at for at, step in enumerate(own) if step.size == MARK and step.kind == "free"]
        expect(len(marks) == (2 if closed else 1), f"{len(marks)} marks in {self.path}: {self.errors}")
        return own[marks[0] + 1:marks[1] - 1 if closed else None]

    def exact(self):
        expect(self.info["whole"] and self.info["lost"] == 0, f"not whole: {self.info}")
        expect(self.info["reused_addresses"] == 0, f"frees are missing: {self.info}")
        check_order(self.steps)


def run(*command, env=None, status=0):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=300, check=False, env={**os.environ, **(env or {})})
    expect(done.returncode == status, f"{command}: status {done.returncode}: {done.stderr}")
    return done.stdout


def check_order(steps):
    """A slot has one block at a time, whoever frees it; and the numbers are one order."""
    live = {}
    for before, step in zip(steps, steps[1:]):
        expect(before.number <= step.number, f"{step} comes after {before}")
    for step in steps:
        if step.kind in ("malloc", "calloc", "aligned", "resize"):
            expect(step.slot not in live, f"{step}: its slot has a block")
            live[step.slot] = step.size
            if step.origin >= 0:
                expect(live.pop(step.origin, None) is not None, f"{step}: there was no block")
        elif step.kind == "free":
            expect(step.slot in live, f"{step}: there is no block")
            del live[step.slot]


def peak(steps):
    """The most live bytes, found again without the tool."""
    most = live = 0
    for step in steps:
        if step.kind in ("free", "leave"):
            live -= step.size
        elif step.kind != "end":
            live += step.size
            most = max(most, live)
    return most


def replayed(path, library=LIBRARY):
    line = run(TOOL, "play", path, env={"LD_PRELOAD": library} if library else None)
    return {name: int(value) for name, value in (word.split("=") for word in line.split())}


def test_calls(folder):
    for library in (LIBRARY, ""):
        trace = Trace(folder, "calls.hkt", SUBJECT, "calls", library=library)
        trace.exact()
        said = [(step.kind, step.size, step.align) for step in trace.marked()]
        expected = [("malloc", 100, 1), ("calloc", 300, 1), ("resize", 70, 1), ("leave", 100, 1), ("resize", 5000, 1),
                    ("leave", 5000, 1), ("stay", 5000, 1), ("aligned", 128, 64), ("aligned", 33, 4096),
                    ("aligned", 10, 32), ("resize", 100, 1), ("malloc", 0, 1), ("leave", 300, 1)]
        expect(said[:len(expected)] == expected, f"with {library or 'libc'}: {said}")
        rest = [step for step in said[len(expected):]]
        # realloc to 0 is a free, or gives a block of 0 bytes that the subject frees
        if rest[0][0] == "resize":
            expect(rest[:2] == [("resize", 0, 1), ("free", 0, 1)], f"{rest}")
            rest = rest[2:]
        else:
            expect(rest[0] == ("free", 0, 1), f"{rest}")
            rest = rest[1:]
        expect([step[:2] for step in rest] == [("free", size) for size in (5000, 70, 128, 33, 10, 100, 0)], f"{rest}")
        expect(trace.info["refused"] == 2, f"{trace.info}")
        expect(trace.info["peak_live_bytes"] == peak(trace.steps), "the peak")
        play = replayed(trace.path)
        expect(play["peak_live_bytes"] == peak(trace.steps) and play["refused"] == 0, f"{play}")


def test_operators(folder):
    for library in (LIBRARY, ""):
        trace = Trace(folder, "operators.hkt", OPERATORS[0], library=library)
        trace.exact()
        said = [(step.kind, step.size) for step in trace.marked()]
        wanted = [("malloc", 4), ("free", 4), ("malloc", 200), ("free", 200), ("aligned", 256), ("free", 256),
                  ("malloc", 8), ("free", 8)]
        expect(said[:8] == wanted, f"with {library or 'libc'}: {said}")
        expect(trace.info["refused"] >= 2, f"{trace.info}")


    limit = {"HAKMEM_MEMORY_LIMIT": str(64 << 20)}
    trace = Trace(folder, "handler.hkt", OPERATORS[0], "handler", env=limit)
    trace.exact()
    said = [(step.kind, step.size >> 20) for step in trace.marked() if step.size >= 1 << 20]
    wanted = []
    for kind, size in (("malloc", 50), ("malloc", 51), ("aligned", 52)):
        wanted += [("malloc", 40), ("free", 40), (kind, size), ("free", size)]
    expect(said == wanted, f"with a handler: {said}")
    expect(trace.info["unknown_frees"] == 0, f"{trace.info}")


def test_aligned(folder):
    """How much of large aligned blocks was touched; and threads that reallocate when they have ended."""
    for library in (LIBRARY, ""):
        trace = Trace(folder, "aligned.hkt", SUBJECT, "aligned", library=library, env={"MALLOC_PERTURB_": "0"})
        trace.exact()
        expect(trace.info["blocks_partly_resident"] == 3 + 2, f"{trace.info}") # and what mark() makes
    for _ in range(3):
        trace = Trace(folder, "late.hkt", SUBJECT, "late")
        trace.exact()
        expect(trace.info["resizes"] >= 40000 and trace.info["unknown_frees"] == 0, f"{trace.info}")
        check_late([step for step in trace.steps if step.kind in ("leave", "resize")])


def check_late(steps):
    """Each realloc has the block that it left, which was 100 bytes smaller, or where it begins anew 5000."""
    left = {}
    for step in steps:
        if step.kind == "leave":
            left[step.slot] = step.size
        else:
            before = left.pop(step.origin, None)
            expect(step.size in ((before or 0) + 100, 100), f"{step}: it was {before}")
            expect(before is not None, f"{step}: nobody knows what it was")


def sequences(steps):
    """Thread -> what it asked for, in its order."""
    found = collections.defaultdict(list)
    for step in steps:
        found[step.thread].append((step.kind, step.size, step.align))
    return found


def is_within(short, long):
    """Is `short` what is left of `long` after leaving some out?"""
    rest = iter(long)
    return all(any(item == other for other in rest) for item in short)


def check_replay(folder, trace, library=LIBRARY):
    """A replay is recorded: the threads ask for the same in the same order, and no more is live than was."""
    play = replayed(trace.path, library)
    expect(play["peak_live_bytes"] == play["recorded_peak_bytes"] == trace.info["peak_live_bytes"] == peak(trace.steps),
           f"the peak is another: {play}, {trace.info}")
    again = Trace(folder, "again.hkt", TOOL, "play", trace.path, library=library)
    again.exact()
    one, two = sequences(trace.steps), sequences(again.steps)
    expect(is_within(one.pop(0), two.pop(0)), "the first thread asks for something else")
    left = collections.Counter(tuple(each) for each in two.values())
    for thread, asked in one.items():
        expect(left[tuple(asked)] > 0, f"thread {thread} asked for something else: {asked[:20]}")
        left[tuple(asked)] -= 1
    own = sum(step.size for step in again.steps if step.kind in ("malloc", "calloc", "aligned", "resize") and step.thread == 0)
    own -= sum(step.size for step in trace.steps if step.kind in ("malloc", "calloc", "aligned", "resize") and step.thread == 0)
    most = again.info["peak_live_bytes"]
    expect(play["peak_live_bytes"] <= most <= play["peak_live_bytes"] + own,
           f"the replay has {most} live, the trace {play['peak_live_bytes']}, the player itself up to {own}")


def test_threads(folder):
    trace = Trace(folder, "threads.hkt", SUBJECT, "threads", "6")
    trace.exact()
    made = [step for step in trace.steps if step.kind == "malloc" and 16 <= step.size < 2016 and step.thread > 0]
    expect(len(made) == 6 * 5000, f"{len(made)} mallocs")
    expect(sum(step.size for step in made) == sum(16 + (i * 37 + me) % 2000 for me in range(6) for i in range(5000)),
           "their sizes")
    expect(sum(step.kind == "end" for step in trace.steps) == 6, "the ends of threads")
    check_replay(folder, trace)
    check_replay(folder, trace, "")


def test_churn(folder):
    trace = Trace(folder, "churn.hkt", SUBJECT, "churn", "300")
    trace.exact()
    expect(sum(step.kind == "malloc" and step.size == 777 for step in trace.steps) == 300, "blocks")
    expect(sum(step.kind == "free" and step.size == 777 for step in trace.steps) == 300, "frees")
    check_replay(folder, trace)


def test_many(folder):
    count = int(os.environ.get("HK_TEST_MANY", "500"))
    trace = Trace(folder, "many.hkt", SUBJECT, "many", str(count))
    trace.exact()
    expect(sum(step.kind == "malloc" and step.size == 555 for step in trace.steps) == count, "blocks")
    expect(trace.info["peak_live_bytes"] >= 555 * count, f"{trace.info}")
    play = replayed(trace.path)
    expect(play["threads"] >= count and play["peak_live_bytes"] == peak(trace.steps), f"{play}")


def test_ends(folder):
    """However the program ends, what it did is there."""
    trace = Trace(folder, "exit.hkt", SUBJECT, "exit", status=3)
    trace.exact()
    expect(len(trace.marked(False)) == 1000, "before _exit")
    trace = Trace(folder, "kill.hkt", SUBJECT, "kill", status=-9)
    trace.exact()
    expect(len(trace.marked(False)) == 100000, "before SIGKILL")
    trace = Trace(folder, "exec.hkt", SUBJECT, "exec")
    trace.exact()
    expect(not [step for step in trace.steps if step.size == 48], "what was before exec")
    expect(trace.marked()[0].size == 100, "what came after exec")
    trace = Trace(folder, "closed.hkt", SUBJECT, "closed")
    trace.exact()
    expect(len(trace.marked()) == 100000, "with all files closed")
    trace = Trace(folder, "sandbox.hkt", SUBJECT, "sandbox")
    trace.exact()
    expect(len(trace.marked()) == 200000, "in a sandbox")


def test_forks(folder):
    trace = Trace(folder, "forks.hkt", SUBJECT, "forks")
    trace.exact()
    sizes = [step.size for step in trace.marked() if step.kind == "malloc"]
    expect(sizes == [888] * 3, f"{sizes[:20]}")
    trace = Trace(folder, "signals.hkt", SUBJECT, "signals")
    trace.exact()
    expect(len(trace.marked()) == 40000, "with signals")


def test_events(folder):
    """Of tests/life/events.c: 10,000 threads, a library that is unloaded, an exec beside threads."""
    for event, threads in (("threads", 10000), ("unloaded", 1), ("execs", 1)):
        trace = Trace(folder, event + ".hkt", SUBJECT, "record", event, *OPERATORS, env={"EVENTS_INSIDE": "1"})
        trace.exact()
        expect(trace.info["threads"] >= threads, f"{trace.info}")
        play = replayed(trace.path)
        expect(play["threads"] >= threads and play["peak_live_bytes"] == peak(trace.steps), f"{event}: {play}")


def test_named(folder):
    """The first process of a name that COMMAND starts; and none."""
    other = os.path.join(folder, "other-name")
    os.symlink(SUBJECT, other)
    trace = Trace(folder, "named.hkt", SUBJECT, "child", other, only="other-name")
    trace.exact()
    expect(trace.marked()[0].size == 100, "the child's calls")
    with open(os.path.join(folder, "slow.sh"), "w", encoding="utf-8") as file:
        file.write('"$@" >/dev/null 2>&1 & sleep 0.3\n') # COMMAND ends before what it has started
    trace = Trace(folder, "orphan.hkt", "sh", file.name, other, "slow", only="other-name")
    trace.exact()
    expect(trace.marked()[0].size == 99, "a child that outlives COMMAND")
    trace = Trace(folder, "nobody.hkt", SUBJECT, "calls", only="nobody")
    expect(trace.info["events"] == 0, f"{trace.info}")
    expect(replayed(trace.path)["events"] == 0, "an empty trace")


def test_damage(folder):
    """A trace that was cut off is one up to there; what is no trace, or damaged, is said to be."""
    trace = Trace(folder, "whole.hkt", SUBJECT, "threads", "3")
    with open(trace.path, "rb") as file:
        data = file.read()
    cut = os.path.join(folder, "cut.hkt")
    with open(cut, "wb") as file:
        file.write(data[:len(data) * 2 // 3])
    info = json.loads(run(TOOL, "info", cut))
    expect(not info["whole"] and 0 < info["events"] < trace.info["events"], f"{info}")
    expect(replayed(cut)["peak_live_bytes"] == info["peak_live_bytes"], "the replay of a part")
    for name, content in (("short", b"hk"), ("other", b"x" * 2000), ("bad", data[:700] + b"\0\1\2\3" * 8 + data[732:])):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        for command in ("dump", "play"):
            done = subprocess.run([TOOL, command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=60, check=False)
            expect(done.returncode == 125 and done.stderr.count("\n") == 1, f"{name}, {command}: {done}")


def test_full(folder):
    """Nobody can write the trace: the program does not notice. A file that cannot be made is said at once."""
    done = subprocess.run([TOOL, "record", "/no/such/folder/t", "", RECORDER, SUBJECT, "calls"], stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    expect(done.returncode == 125 and "/no/such/folder/t" in done.stderr, f"{done}")
    path = os.path.join(folder, "limited.hkt")
    done = subprocess.run(["bash", "-c", 'ulimit -f 2048; exec "$@"', "sh", TOOL, "record", path, "",
                           RECORDER + ":" + LIBRARY, SUBJECT, "threads", "20", "60000"], stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    expect(done.returncode == 0, f"{done}")
    until = time.monotonic() + 30
    while not os.path.getsize(path) and time.monotonic() < until:
        time.sleep(0.05)
    info = json.loads(run(TOOL, "info", path))
    expect(not info["whole"] and os.path.getsize(path) <= 2 << 20, f"{info}")
    done = subprocess.run(["sh", "-c", 'ulimit -v 300000; exec "$@"', "sh", TOOL, "record", path, "", RECORDER,
                           SUBJECT, "calls"], stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    expect(done.returncode == 0, f"with little address space: {done}")
    expect(json.loads(run(TOOL, "info", path))["whole"], "with little address space")
    # so little that there are more threads than chunks
    done = subprocess.run(["bash", "-c", 'ulimit -f 3000; exec "$@"', "sh", TOOL, "record", path, "", RECORDER, SUBJECT,
                           "many", "100"], stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    info = json.loads(run(TOOL, "info", path))
    expect(done.returncode == 0 and info["whole"] and info["lost"] > 0, f"more threads than chunks: {done}, {info}")
    writer_dies(folder)


def start_recording(path, *command, limit="true"):
    """A recording whose program waits for a line on its standard input; the pid of its writer."""
    process = subprocess.Popen(["bash", "-c", limit + '; exec "$@"', "sh", TOOL, "record", path, "", RECORDER, "sh", "-c",
                                'echo "$HAK_RECORD_RING"; read x; exec "$@"', "sh", *command], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline().split("/")[2])


def test_behind(folder):
    """The writer stands still for a while, and there is little room: the program waits, also where it may not sleep."""
    path = os.path.join(folder, "behind.hkt")
    for command in (["sandbox", "1500000"], ["threads", "4", "150000"]):
        process, writer = start_recording(path, SUBJECT, *command, limit="ulimit -f 3000")
        with process:
            os.kill(writer, signal.SIGSTOP)
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(0.4)
            expect(process.poll() is None, f"{command}: ended, though nobody read what it had written")
            os.kill(writer, signal.SIGCONT)
            with contextlib.suppress(ProcessLookupError):  # it may be through before the last of them
                for _ in range(3):
                    time.sleep(0.1)
                    os.kill(writer, signal.SIGSTOP)
                    time.sleep(0.4)
                    os.kill(writer, signal.SIGCONT)
            _, errors = process.communicate(timeout=120)
        info = json.loads(run(TOOL, "info", path))
        expect(process.returncode == 0 and info["whole"] and info["lost"] == 0, f"{command}: {process}, {errors}, {info}")
        expect(info["allocations"] >= int(command[-1]), f"{info}")


def test_wild(folder):
    """A program that writes over what it shares with the writer: both come to their ends, and a trace can be read."""
    for seed in range(8):
        path = os.path.join(folder, f"wild-{seed}.hkt")
        done = subprocess.run([TOOL, "record", path, "", RECORDER + ":" + LIBRARY, SUBJECT, "wild", str(seed)],
                              stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        expect(done.returncode == 0, f"seed {seed}: {done}")
        info = json.loads(run(TOOL, "info", path))
        expect(info["whole"] and info["events"] > 1000, f"seed {seed}: {info}, {done.stderr}")
        replayed(path)
    # what is at the place of the shared memory of a writer that has ended is left alone
    other = os.path.join(folder, "other")
    with open(other, "wb") as file:
        file.write(bytes(1 << 20))
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    for place in (f"{other}:1", other, f"{fifo}:{os.stat(fifo).st_ino}", "", ":", "/no/such:1", "x" * 9000 + ":1"):
        run(SUBJECT, "calls", env={"LD_PRELOAD": RECORDER, "HAK_RECORD_RING": place})
    with open(other, "rb") as file:
        expect(file.read() == bytes(1 << 20), "another file was written to")


def test_ignored(folder):
    """Who starts it ignores SIGCHLD: COMMAND does, too, and everything works."""
    path = os.path.join(folder, "ignored.hkt")
    for command in ([TOOL, "record", path, "", RECORDER, "grep", "SigIgn", "/proc/self/status"],
                    [TOOL, "info", path], [TOOL, "play", path], [TOOL, "replay", "--lib", "libc", "--rounds", "1", path]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120, check=False, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        expect(done.returncode == 0, f"{done}")
        if command[1] == "record":
            ignored = int(done.stdout.split()[-1], 16)
            expect(ignored >> (signal.SIGCHLD - 1) & 1, "COMMAND has another disposition")
    with open(path, "wb") as file:
        file.write(b"no trace" * 200)
    done = subprocess.run([TOOL, "replay", "--lib", "libc", path], stderr=subprocess.PIPE, timeout=60, check=False,
                          preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    expect(done.returncode == 125, f"what cannot be replayed: {done}")


def writer_dies(folder):
    """The process that writes is killed: the program goes on."""
    path = os.path.join(folder, "killed.hkt")
    process, writer = start_recording(path, SUBJECT, "threads", "20", "60000")
    with process:
        os.kill(writer, signal.SIGKILL)
        _, errors = process.communicate("go\n", timeout=120)
    expect(process.returncode == 0, f"the writer was killed: {process.returncode}, {errors}")
    expect(not json.loads(run(TOOL, "info", path))["whole"], "a trace without a writer")


def test_table(folder):
    """What `hakmem replay` prints."""
    trace = Trace(folder, "calls.hkt", SUBJECT, "threads", "2")
    argv = [TOOL, "replay", "--lib", "one=" + LIBRARY, "--lib", "libc", "--rounds", "2", trace.path]
    text = run(*argv)
    expect("one " in text and "libc " in text and str(trace.info["peak_live_bytes"]) in text, text)
    path = os.path.join(folder, "out.json")
    expect(run(*argv, "--json", "-o", path) == "", "something was printed")
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    expect([each["name"] for each in told["allocators"]] == ["one", "libc"], f"{told}")
    expect(all(each["peak_live_bytes"] == trace.info["peak_live_bytes"] and each["elapsed_ns"] > 0
               and each["heap_peak_kib"] > 0 for each in told["allocators"]), f"{told}")
    for wrong in (["--lib", "x=" + trace.path], ["--lib", "x"], ["--rounds", "0"], ["--what"], ["second"], ["--lib"]):
        done = subprocess.run([*argv[:2], trace.path, *wrong], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        expect(done.returncode == 125 and done.stderr, f"{wrong}: {done}")


def resident(folder, pid):
    with open(os.path.join(folder, f"stats-{pid}.json"), encoding="utf-8") as file:
        return json.load(file)["resident_bytes"]


def test_program(folder):
    """Any program, NAME or COMMAND itself where that is empty: order, sizes, peak, and the memory that hakmem has at the
    end, where nothing went back before."""
    env = {"HAKMEM_STATS": f"json:{folder}/stats-%p.json", "HAKMEM_PURGE_DELAY_MS": "3600000", "HAKMEM_MIN_KEEP": "1G"}
    os.chdir(folder)
    trace = Trace(folder, "program.hkt", *OPERATORS, only=SUBJECT, env=env)
    trace.exact()
    one = resident(folder, trace.info["pid"])
    for name in os.listdir(folder):
        if name.startswith("stats-"):
            os.unlink(name)
    check_replay(folder, trace)
    for name in os.listdir(folder):
        if name.startswith("stats-"):
            os.unlink(name)
    os.environ.update(env)
    replayed(trace.path)
    two = resident(folder, next(name for name in os.listdir(folder) if name.startswith("stats-"))[6:-5])
    info = trace.info
    print(f"{info['events']} events, {info['threads']} threads, {info['file_bytes'] / info['events']:.2f} bytes each, peak "
          f"{info['peak_live_bytes']} bytes live; resident {one >> 10} KiB, replayed {two >> 10} KiB: {two / one:.3f}")
    expect(abs(two - one) <= 0.1 * one + (256 << 10), f"resident: {one}, replayed {two}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as top:
        globals()["test_" + TEST](top)
