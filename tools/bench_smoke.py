#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the benchmarks themselves, with small counts; no time is looked at. Called by bench/meson.build.

bench_smoke.py program LAUNCH [--preload LIB] OPERATIONS PROGRAM [ARG...]
bench_smoke.py launch LAUNCH
bench_smoke.py runner BUILD
bench_smoke.py ab BUILD
bench_smoke.py scale BUILD
"""

import contextlib
import csv
import glob
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ab  # noqa: E402
import ab_sides  # noqa: E402
import bench_scale  # noqa: E402
import bench_count  # noqa: E402
import bench_run  # noqa: E402
import standstill  # noqa: E402
import usl  # noqa: E402

RESULT_KEYS = ["ops_per_sec", "ops", "elapsed_ns", "peak_rss_kib", "minor_faults", "major_faults"]
USAGE_KEYS = ["status", "signal", "wall_us", "user_us", "sys_us", "max_rss_kib", "minor_faults", "major_faults"]


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def check_program(launch, *rest):
    preload = ["--preload", rest[1]] if rest[0] == "--preload" else []
    operations, program, *args = rest[len(preload):]
    done = run(launch, *preload, "--", program, *args)
    expect(done.returncode == 0, f"status {done.returncode}: {done.stderr}")
    expect("cannot be preloaded" not in done.stderr, done.stderr)
    expect(done.stdout.count("\n") == 1 and done.stdout.endswith("\n"), f"not one line: {done.stdout!r}")
    fields = bench_run.parse_fields(done.stdout)
    name = os.path.basename(program)
    more = {"burst": bench_run.CALL_FIELDS, "aging": bench_run.LIVE_FIELDS, "handover": bench_run.TICK_FIELDS}.get(name, ())
    expect(list(fields) == [*RESULT_KEYS, *more], f"fields {list(fields)}")
    if name == "burst":
        expect(all(fields[f"slowest_{call}_ns"] >= fields[f"p9999_{call}_ns"] * 7 // 8 > 0
                   for call in ("malloc", "free")), "the slowest calls")
    if name == "aging" and fields["ops"] > 1000:
        expect(fields["worst_rss_percent"] >= fields["mean_rss_percent"] > 0, "RSS in percent of the live bytes")
    expect(fields["ops"] == int(operations), f"{fields['ops']} operations, not {operations}")
    expect(fields["elapsed_ns"] > 0 and fields["peak_rss_kib"] > 100 and fields["minor_faults"] > 10, done.stdout)
    expect(run(program, "--help").stdout.startswith(os.path.basename(program) + ": "), "--help")
    for wrong in ("--no-such-option", "--seed", "nonsense", "-1"):
        expect(run(program, wrong).returncode == 2, f"{wrong} was taken")


def check_launch(launch):
    def usage(*argv):
        done = run(launch, *argv)
        fields = bench_run.parse_fields(done.stderr.strip().splitlines()[-1])
        expect(list(fields) == USAGE_KEYS, f"fields {list(fields)}")
        return done, fields

    done, fields = usage("--", "sh", "-c", "echo out; exit 7")
    expect((done.returncode, fields["status"], fields["signal"], done.stdout) == (7, 7, 0, "out\n"), "exit status")
    done, fields = usage("sh", "-c", "kill -9 $$")
    expect((done.returncode, fields["signal"]) == (137, 9), "signal")
    done, fields = usage("no-such-program-here")
    expect((done.returncode, fields["status"]) == (127, 127), "a program that does not exist")
    done, _ = usage("--preload", "/no/such/library.so", "env")
    expect("LD_PRELOAD=/no/such/library.so\n" in done.stdout, "LD_PRELOAD is set for the program")
    os.environ["LD_PRELOAD"] = ""
    done, _ = usage("env")
    expect("LD_PRELOAD" not in done.stdout, "LD_PRELOAD is not handed on")
    expect(run(launch).returncode == 2 and run(launch, "--what", "x").returncode == 2, "wrong arguments")
    big = "x = bytearray(64 << 20); import subprocess; subprocess.run([%r, 'true'])" % launch
    done = run(sys.executable, "-c", big)
    fields = bench_run.parse_fields(done.stderr)
    expect(fields["max_rss_kib"] < 16 << 10, f"the parent's size shows in the peak RSS: {fields['max_rss_kib']} KiB")


def check_standstill(build):
    """A run that stands still ends, says so and shows where."""
    standstill.SECONDS = 2
    with tempfile.TemporaryFile("w+") as errors:
        kept = os.dup(2)
        os.dup2(errors.fileno(), 2)
        run_of_sleep = bench_run.run_once(build, None, ["launch", "sleep", "100"])
        os.dup2(kept, 2)
        errors.seek(0)
        text = errors.read()
    expect(run_of_sleep.status == "stood still for 2 s", f"a sleeping program: {run_of_sleep.status}")
    expect("sleep 100\n" in text and text.count("---- stacks of process") >= 2, f"no stacks of it: {text}")


def check_runner(build):
    check_standstill(build)
    tool = os.path.join(bench_run.ROOT, "tools", "bench.py")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.csv")
        argv = [sys.executable, tool, "--build", build, "--against", "glibc", "--quick", "--csv", path]
        for _ in range(2):  # the second time adds to the file
            done = run(*argv, "--only", "hot_pair*,batch-8-64-lifo,floor")
            expect(done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}")
        for word in ("hot_pair-64", "batch-8-64-lifo", "floor", "geomean", "slower than glibc"):
            expect(word in done.stdout, f"no {word} in the table:\n{done.stdout}")
        expect(max(map(len, done.stdout.splitlines())) <= 160, "the table is wider than 160 columns")
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        expect(len(rows) == 2 * 3 * 3 * 2, f"{len(rows)} raw rows")
        expect(all(row["status"] == "ok" and float(row["ops_per_sec"]) > 0 and int(row["peak_rss_kib"]) > 100
                   for row in rows), "a raw row without figures")
        expect({row["allocator"] for row in rows} == {"hakmem", "glibc"}, "allocators of the raw rows")
        with open(path, "w", encoding="utf-8") as file:
            file.write("something else\n")
        expect(run(*argv, "--only", "floor").returncode == 2, "a foreign file was written to")
        expect(run(*argv, "--only", "no-such-line").returncode == 2, "a line that does not exist was taken")
        expect(run(*argv, "--lib", "other=" + path).returncode == 2, "a library that is none was taken")
    trace = ('7 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY) = 3\n'
             '7 mmap(NULL, 9, PROT_READ, MAP_PRIVATE, 3, 0) = 0x1\n7 close(3) = 0\n'
             '7 mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n'
             '8 munmap(0x1, 9) = 0\n7 <... mmap resumed>) = 0x2\n'
             '8 mmap(NULL, 9, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_STACK, -1, 0) = 0x3\n')
    counts = bench_count.count_calls(trace)
    expect((counts["mmap"], counts["munmap"]) == (1, 1), f"system calls of a trace: {counts}")


def labels(one, two):
    sides = [ab_sides.read_side(words.split()) for words in (one, two)]
    ab_sides.name_sides(*sides)
    return tuple(side.label for side in sides)


def check_words():
    """How the words of a command line become sides."""
    words = ["-Da=b", "--rounds", "3", "--", "THP=1", "@.", "--quick", "--", "env", "--", "-Dx=y"]
    expect(ab.split_words(words) == ([["-Da=b"], ["THP=1", "@."]], ["--rounds", "3", "--quick"], ["env", "--", "-Dx=y"]),
           "the words of two sides and a program")
    expect(ab.split_words(["--", "-Da=b"]) == ([[], ["-Da=b"]], [], None), "a side without words")
    expect(labels("", "") == labels("-Da=b", "-Da=b") == ("A", "B"), "labels of equal sides")
    expect(labels("-Dfront=v2 HAKMEM_THP=1", "-Dfront=ring HAKMEM_THP=1") == ("front=v2", "front=ring"), "labels")
    expect(labels("", "HAKMEM_THP=1") == ("default", "THP=1"), "labels against the default")
    known = {name: {"name": name, "section": "user", "type": "combo", "choices": choices, "value": choices[0]}
             for name, choices in (("front", ["v2", "ring"]), ("c_args", ["", "-I/x y"]))}
    matter = ab_sides.options_that_matter(ab_sides.read_side(["-Dfront=v2"]), known)
    expect(matter == {} and ab_sides.folder_name(matter) == "default", "an option that says the default")
    expect(ab_sides.folder_name({"front": "ring", "tls": "pointer"}) == "front=ring+tls=pointer", "folder of options")
    odd = ab_sides.folder_name({"c_args": "-I/x y"})
    expect(not set(odd) & set("/ :") and odd != ab_sides.folder_name({"c_args": "-I-x-y"}), f"folder {odd}")
    for wrong in ("-Dfront=x", "-Dfrnt=v2", "-Dtests=true"):
        try:
            ab_sides.options_that_matter(ab_sides.read_side([wrong]), known)
            expect(False, f"{wrong} was taken")
        except bench_run.BenchError as error:
            expect("front" in str(error) or "v2" in str(error), str(error))


def check_ab(build):
    check_words()
    tool = os.path.join(bench_run.ROOT, "tools", "ab.py")
    library = "@" + os.path.join(build, "libhakmem.so")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.csv")
        argv = [sys.executable, tool, library, "--build", build, "--csv", path]
        done = run(*argv, "--quick", "--bench", "hot_pair*,floor", "--", library, "HAKMEM_PURGE_DELAY_MS=7")
        expect(done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}")
        for word in ("hot_pair-64", "floor", "geomean", "PURGE_DELAY_MS=7 against default", "too few for any mark"):
            expect(word in done.stdout, f"no {word!r} in:\n{done.stdout}")
        expect(max(map(len, done.stdout.splitlines())) <= 160, "a table is wider than 160 columns")
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        expect(len(rows) == 2 * 2 * 4 * ab.QUICK_ROUNDS, f"{len(rows)} raw rows")
        expect([row["allocator"] for row in rows[:4]] in (["default", *["PURGE_DELAY_MS=7"] * 2, "default"],
                                                           ["PURGE_DELAY_MS=7", *["default"] * 2, "PURGE_DELAY_MS=7"]),
               "the runs are not interleaved")
        expect({row["allocator"] for row in rows if "HAKMEM_PURGE_DELAY_MS=7" in row["options"]}
               == {"PURGE_DELAY_MS=7"}, "the settings of the rows")
        picture = os.path.join(folder, "rows.svg")
        if os.path.exists(picture):
            root = xml.etree.ElementTree.parse(picture).getroot()
            text = "".join(root.itertext())
            expect(all(word in text for word in ("hot_pair-64", "geomean", "prefers-color-scheme")), "the picture")
        else:
            expect("gnuplot is not installed" in done.stderr, "no picture, and no word about it")
        done = run(*argv, "--rounds", "1", "--", library, "X=y", "--", "sh", "-c", "test \"$X\" = y || sleep 0.01")
        expect(done.returncode == 0 and "sh" in done.stdout, f"a program: {done.stdout}{done.stderr}")
        expect(run(*argv, "--rounds", "1", "--", library, "--", "sh", "-c", "exit 3").returncode == 1, "it fails")
        for wrong in (["--", library, "--"], ["--", "@/no/such"], ["--", library, "-Dfront=v2"],
                      ["--", library, "--", "no-such-program-here"], ["--", library, "--bench", "none"]):
            expect(run(*argv[:-2], *wrong).returncode == 2, f"{wrong} was taken")
        expect(run(*argv).returncode == 2, "one side was taken for two")


def check_traces(build):
    """ab and choose with a trace in the place of a program."""
    tool, recorder = (os.path.join(build, "tools", "trace", name) for name in ("hakmem-trace", "libhakmem-record.so"))
    library = os.path.join(build, "libhakmem.so.0")
    tools = os.path.join(bench_run.ROOT, "tools")
    if not os.path.exists(tool):
        print("hakmem-trace is not built: libzstd was not there")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        path, rows = os.path.join(folder, "mixed.hkt"), os.path.join(folder, "rows.csv")
        run(tool, "record", path, "", f"{recorder}:{library}", os.path.join(build, "bench", "hot_pair"), "64", "20000")
        run(tool, "info", path)
        argv = [sys.executable, os.path.join(tools, "ab.py"), path, "@" + library, "--build", build, "--csv", rows]
        done = run(*argv, "--rounds", "1", "--", "@" + library, "HAKMEM_FRONT_BYTES=65536")
        expect(done.returncode == 0 and "mixed" in done.stdout and "Mop/s" in done.stdout, f"{done.stdout}{done.stderr}")
        for wrong in (["--bench", "floor"], ["--instructions"], [rows]):
            expect(run(*argv, *wrong, "--", "@" + library).returncode == 2, f"{wrong} was taken beside a trace")
        expect(run(argv[0], argv[1], rows, *argv[3:], "--", "@" + library).returncode == 2, "rows were taken for a trace")
        argv = [sys.executable, os.path.join(tools, "choose.py"), "--build", build, "--base", "@" + library, "--rounds", "1",
                "--only", "HAKMEM_MIN_KEEP,HAKMEM_FRONT_V2_CAP,remote", path]
        done = run(*argv)
        expect(done.returncode == 0, f"{done.stdout}{done.stderr}")
        for word in ("-Dremote=cas", "not tried", "HAKMEM_MIN_KEEP=0", "Best for time: ", "Best for memory: "):
            expect(word in done.stdout, f"no {word!r} in:\n{done.stdout}")
        told = json.loads(run(*argv, "--json").stdout)
        expect(len(told["tried"]) == 4 and set(told["best"]) == {"time", "memory"}, str(told))
        for wrong in (["--only", "stats", path], [rows], ["/no/such"], ["--rounds", "0", path]):
            expect(run(*argv[:4], *wrong).returncode == 2, f"choose took {wrong}")
        check_interrupted([*argv[:6], "--rounds", "3", "--only", "HAKMEM_FRONT_BYTES,HAKMEM_MIN_KEEP,HAKMEM_PURGE_DELAY_MS", path])


def processes_of(session):
    """Those that have not ended."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
            name, _, rest = file.read().rpartition(")")
            fields = rest.split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(name)
    return found


def interrupt_at(word, argv):
    """Sends what Control-C sends, to all processes of the session, as soon as choose says the word. Its status, and what it
    wrote."""
    terminal, there = pty.openpty()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=there, start_new_session=True,
                          text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        os.close(there)
        said = ""
        while word not in said:
            said += os.read(terminal, 4096).decode(errors="replace")
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal is gone when nobody has it any more
            while os.read(terminal, 4096):
                pass
        output, _ = process.communicate(timeout=170)
    os.close(terminal)
    expect(not processes_of(process.pid), f"left behind: {processes_of(process.pid)}")
    return process.returncode, output


def check_interrupted(argv):
    """Control-C ends the looking of choose, and what was found is told; where there is nothing, it ends."""
    status, output = interrupt_at("4 of 7", argv)
    expect(status == 0 and "3 choices beside the default" in output and "of 7, the others were not tried" in output,
           f"status {status}:\n{output}")
    expect("Best for time: " in output and "Best for memory: " in output, output)
    status, output = interrupt_at("1 of 7", argv)
    expect((status, output) == (130, ""), f"nothing was tried, status {status}:\n{output}")


def check_law():
    """The law's coefficients come out of what follows it; of what does not, never less than 0."""
    counts = (1, 2, 4, 8, 16, 32)
    for law in (usl.Law(3e6, 0.03, 0.0004), usl.Law(1e7, 0.2, 0.0), usl.Law(5.0, 0.0, 0.001), usl.Law(2.0, 0.0, 0.0)):
        found = usl.fit([(n, law.speed(n)) for n in counts])
        expect(abs(found.one / law.one - 1) < 1e-6 and abs(found.contention - law.contention) < 1e-7
               and abs(found.coherence - law.coherence) < 1e-8, f"{law} was taken for {found}")
    found = usl.fit([(1, 1.0), (2, 2.5), (4, 6.0)])
    expect(found.contention == 0 and found.coherence == 0, f"more than linear: {found}")
    expect(abs(usl.Law(1.0, 0.1, 0.001).most - 30) < 1e-9, "where the law is highest")


def check_figures():
    """What follows from counts that are known."""
    row = {"taken": 10, "waited": 2, "held_ticks": 1000, "held_99_ticks": 800, "busiest_ticks": 500}
    counts = bench_scale.counts_of({"locks": {"pool": row, "array": row}, "shared_words": {"transfer": 40}})
    expect(counts == ({"pool": (10, 2, 800, 400), "array": (10, 2, 800, 400)}, {"transfer": (40,)}), str(counts))
    none = ({}, {})
    locks, words = bench_scale.per_operation([(counts, 120)], [(none, 20)])
    expect(locks["pool"] == (0.1, 0.02, 8, 4) and words["transfer"] == (0.4,), f"{locks} {words}")
    full = bench_scale.saturation(800, "pool", locks["pool"], 2, 100)
    expect(abs(full[0] - 100) < 1e-9 and abs(full[1] - 800 / 18) < 1e-9, f"one lock: {full}")
    # two threads, in two of eight places; in the busiest array half of what is held and of the times
    full = bench_scale.saturation(800, "array", locks["array"], 2, 100)
    expect(abs(full[0] - 800 / (4 / 4)) < 1e-9 and abs(full[1] - 800 / ((4 + 5) / 4)) < 1e-9, f"arrays: {full}")
    expect(bench_scale.saturation(800, "heap", locks["pool"], 2, 100) is None, "one of each thread's own")


def check_scale(build):
    check_law()
    check_figures()
    tool = os.path.join(bench_run.ROOT, "tools", "bench_scale.py")
    with tempfile.TemporaryDirectory() as folder:
        done = run(sys.executable, tool, "--build", build, "--telemetry", folder)
        expect(done.returncode == 2 and "telemetry" in done.stderr, f"a library without telemetry: {done.stderr}")
        expect(run(sys.executable, tool, "--build", build, "--telemetry", build, "--rounds", "0").returncode == 2, "0 rounds")
        expect(run(sys.executable, tool, "--check", "--only", "larson,mixed").returncode == 0, "a line by its name")
        done = run(sys.executable, tool, "--check", "--only", "none")
        expect(done.returncode == 2 and "larson" in done.stderr, f"no line of that name: {done.stderr}")


if __name__ == "__main__":
    {"program": check_program, "launch": check_launch, "runner": check_runner, "ab": check_ab,
     "scale": check_scale, "traces": check_traces}[sys.argv[1]](*sys.argv[2:])
