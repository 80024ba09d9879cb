# SPDX-License-Identifier: MIT
"""`hakmem profile PID`: the profile that a process makes, read from outside, beside the one that it writes itself."""
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

sys.path.insert(0, os.path.join(tap.SOURCE, "tools", "live"))
sys.path.insert(0, os.path.join(tap.SOURCE, "tests", "api"))
import memory
import profile_report
import profiled

LIBRARY = os.environ["HK_TEST_SO"]
WAIT = 60

# Allocates in functions whose names are looked for; does more whenever a letter comes, and says when that is done.
SUBJECT = """
#include <hakmem/hakmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *kept[20000], *high[100], *later[3000], *volatile big;

__attribute__((noinline)) void subject_keep(void)
{
    for (unsigned i = 0; i < 20000; i++)
        kept[i] = malloc(100);
}

__attribute__((noinline)) void subject_peak(void)
{
    for (unsigned i = 0; i < 100; i++)
        high[i] = malloc(60000);
    for (unsigned i = 0; i < 100; i++)
        free(high[i]);
}

__attribute__((noinline)) void subject_later(void)
{
    for (unsigned i = 0; i < 3000; i++)
        later[i] = malloc(250);
    for (unsigned i = 0; i < 1000; i++)
        free(later[i]);
    for (unsigned i = 0; i < 5000; i++)
        free(kept[i]);
}

__attribute__((noinline)) void *subject_thread(void *arg)
{
    prctl(PR_SET_NAME, "a-worker");
    big = malloc(3000000);
    return arg;
}

int main(int count, char **arguments)
{
    static char buffer[64];
    char letter;
    pthread_t thread;
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    if (strchr(arguments[1], 'b') != NULL)
        hak_profile_start(1);
    subject_keep();
    subject_peak();
    pthread_create(&thread, NULL, subject_thread, NULL);
    pthread_join(thread, NULL);
    for (puts("ready"); read(0, &letter, 1) == 1 && letter != 'e'; puts("done")) {
        if (letter == 'a')
            subject_later();
        else if (letter == 'b')
            hak_profile_start(1);
        else if (letter == 's')
            hak_profile_stop();
        else if (letter == 'w')
            hak_profile_write(arguments[2]);
        else if (letter == 'x')
            execv("/proc/self/exe", arguments);
    }
    return count > 100;
}
"""


class Profile(tap.Case):
    hakmem = os.path.join(tap.SOURCE, "hakmem")

    def subject(self, letters="b", options=None, **more):
        """A process on hakmem; with a `b` among the letters it makes a profile of all blocks."""
        program = os.path.join(self.dir, "program")
        if not os.path.exists(program):
            self.compile(SUBJECT, "-O1", "-I" + os.path.join(tap.SOURCE, "include"), "-pthread", LIBRARY,
                         "-Wl,-rpath," + os.path.dirname(LIBRARY))
        process = self.start(program, letters, os.path.join(self.dir, "own.html"), env=options or {}, **more)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def tell(self, process, letter, answer="done\n"):
        process.stdin.write(letter)
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), answer)

    def path(self, name):
        return os.path.join(self.dir, name)

    def of(self, process, *options):
        """What is told of it, by the names of the page."""
        path = self.path("told.json")
        self.assertEqual(self.call(self.hakmem, "profile", "-o", path, *options, str(process.pid)), (0, path + "\n", ""))
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def sums(self, data, function):
        """Blocks and bytes, live, at the peak and in all, of the stacks with a function; and live before."""
        rows = [row for row in data["rows"] if function in [data["names"][f] for f in row[8]]]
        return [sum(row[i] for row in rows) for i in range(2, 8)] + \
            [sum(row[9][i] for row in rows) for i in (0, 1) if "seconds" in data]

    def one_line(self, result, *words):
        status, out, err = result
        self.assertEqual((status, out), (1, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        for word in words:
            self.assertIn(word, err)

    # ---- now ----

    def test_known_sums(self):
        data = self.of(self.subject())
        keep, peak, thread = (self.sums(data, "subject_" + name) for name in ("keep", "peak", "thread"))
        self.assertEqual(keep[0::2], [20000] * 3)
        self.assertEqual(keep[1::2], [keep[1]] * 3)
        self.assertTrue(20000 * 100 <= keep[1] <= 20000 * 128)
        self.assertEqual((peak[:2], peak[2:4]), ([0, 0], peak[4:]))
        self.assertEqual(peak[2], 100)
        self.assertEqual(thread[0::2], [1, 0, 1]) # the peak was before
        self.assertEqual({row[0] for row in data["rows"] if "subject_thread" in [data["names"][f] for f in row[8]]}, {"a-worker"})
        self.assertEqual(data["interval"], 1)
        self.assertEqual(data["sums"][6], sum(row[7] for row in data["rows"]))
        self.assertNotIn("seconds", data)

    def test_same_as_the_process_writes(self):
        """Names, files and sums, of its own functions and of those of libraries."""
        process = self.subject("")
        self.tell(process, "b")
        self.tell(process, "a")
        data = self.of(process)
        self.tell(process, "w") # which asks for nothing
        own = profile_report.read_page(self.path("own.html"))

        def rows(data):
            return sorted([row[:8] + [[(data["names"][f], data["files"][f]) for f in row[8]]] for row in data["rows"]], key=repr)
        self.assertEqual(rows(data), rows(own))
        self.assertGreater(len(own["rows"]), 0)
        for name in ("program", "pid", "interval", "samples", "lost", "sums"):
            self.assertEqual(data[name], own[name], name)

    def test_same_of_a_real_program(self):
        """Its functions are partly without names, and it was built without frame pointers."""
        path = self.path("own.html")
        process = self.start("python3", "-c", """
import json, sys
x = json.loads(json.dumps([str(i) for i in range(30000)]))
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
import os; os._exit(0)
""", env={"LD_PRELOAD": LIBRARY, "PYTHONMALLOC": "malloc", "HAKMEM_PROFILE": path + ",4K"})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        data = self.of(process)
        process.kill()
        process.wait()
        process = self.start("python3", "-c", "import json\nx = json.loads(json.dumps([str(i) for i in range(30000)]))",
                             env={"LD_PRELOAD": LIBRARY, "PYTHONMALLOC": "malloc", "HAKMEM_PROFILE": path + ",4K"})
        process.communicate(timeout=WAIT)
        own = profile_report.read_page(path)
        seen, written = ({(data["names"][f], data["files"][f]) for row in data["rows"] if row[7] > 100000 for f in row[8]}
                         for data in (data, own))
        self.assertGreater(len(seen & written), len(written) // 2, (seen - written, written - seen))

    def test_each_form(self):
        process = self.subject()
        data = self.of(process)
        known = self.sums(data, "subject_peak")
        for name in ("p.html", "p.pb.gz", "p.folded", "p.live.folded", "p.total.txt"):
            path = self.path(name)
            self.assertEqual(self.call(self.hakmem, "profile", "-o", path, str(process.pid)), (0, path + "\n", ""))
        self.assertEqual(self.sums(profile_report.read_page(self.path("p.html")), "subject_peak"), known)
        types, samples, rest = profile_report.read_proto(self.path("p.pb.gz"))
        self.assertEqual(types, ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space", "peak_objects", "peak_space"])
        mine = [values for stack, values, labels in samples if "subject_peak" in stack and labels["bytes"] >= 60000]
        self.assertEqual([sum(v[i] for v in mine) for i in (2, 3, 4, 5, 0, 1)], known)
        self.assertEqual(rest[12], 1)
        self.assertEqual({labels.get("thread") for stack, _, labels in samples if "subject_thread" in stack}, {"a-worker"})
        for name, at in (("p.folded", 3), ("p.total.txt", 5)):
            found = profile_report.read_folded(self.path(name))
            self.assertEqual(sum(v for stack, v in found.items() if "subject_peak" in stack), known[at], name)
        self.assertFalse(any("subject_peak" in stack for stack in profile_report.read_folded(self.path("p.live.folded"))))
        status, out, err = self.call(self.hakmem, "profile", str(process.pid), cwd=self.dir)
        self.assertEqual((status, out, err), (0, f"profile-{process.pid}-now.html\n", ""))

    # ---- some seconds ----

    def test_what_was_asked_for_meanwhile(self):
        process = self.subject()
        watched = profiled.Watched(process.pid)
        self.addCleanup(watched.process.close)
        self.tell(process, "a")
        data = profiled.profile_file.as_data(watched.told(watched.watch(0.01)))
        later, keep, peak = (self.sums(data, "subject_" + name) for name in ("later", "keep", "peak"))
        self.assertEqual((later[0], later[4], later[6]), (2000, 3000, 0)) # live, asked for, live before
        self.assertEqual(later[5], 3000 * (later[1] // 2000))
        self.assertEqual((keep[0], keep[4], keep[6]), (15000, 0, 20000))
        self.assertEqual(peak[4:6], [0, 0])
        self.assertGreaterEqual(data["sums"][6], later[5])
        self.assertLess(data["sums"][6], later[5] + 100000)

    def test_what_has_grown(self):
        process = self.subject()
        watched = profiled.Watched(process.pid)
        self.addCleanup(watched.process.close)
        self.tell(process, "a")
        told = watched.told(watched.watch(0.01))
        for name in ("g.pb.gz", "g.grown.folded", "g.folded", "g.html"):
            profiled.profile_file.write(told, self.path(name))
        types, samples, rest = profile_report.read_proto(self.path("g.pb.gz"))
        self.assertEqual(types[6:], ["grown_objects", "grown_space"])
        self.assertIn(10, rest)
        grown = {}
        for stack, values, _ in samples:
            for name in {name for name in stack if name.startswith("subject_")}:
                grown[name] = grown.get(name, 0) + (values[6] - (1 << 64) if values[6] >> 63 else values[6])
        self.assertEqual((grown["subject_later"], grown["subject_keep"]), (2000, -5000))
        folded = profile_report.read_folded(self.path("g.grown.folded"))
        self.assertEqual({n for stack in folded for n in stack if n.startswith("subject_")}, {"subject_later"})
        folded = profile_report.read_folded(self.path("g.folded")) # what was asked for
        self.assertEqual({n for stack in folded for n in stack if n.startswith("subject_")}, {"subject_later"})

    def test_for_some_seconds(self):
        process = self.subject()
        data = self.of(process, "--seconds", "0.3")
        self.assertGreaterEqual(data["seconds"], 0.3)
        self.assertEqual(self.sums(data, "subject_keep")[4:7], [0, 0, 20000])

    def watched_by(self, process, path):
        """The command, for long; it has looked once."""
        command = self.start(self.hakmem, "profile", "--seconds", "600", "-o", path, str(process.pid))
        self.addCleanup(command.communicate)
        self.addCleanup(command.kill)
        until = time.monotonic() + WAIT
        while not (os.path.exists(f"/proc/{command.pid}/comm") and self.waits(command.pid)):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        return command

    def waits(self, pid):
        """It sleeps until the process ends, and so has looked."""
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            place = file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            ours = b"live.py" in file.read()
        return ours and ("select" in place or "poll" in place or place in ("", "0"))

    def test_interrupted(self):
        process, path = self.subject(), self.path("i.json")
        command = self.watched_by(process, path)
        time.sleep(0.5)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=WAIT)
        if command.returncode == 130:
            self.skipTest("it was interrupted before it had looked")
        self.assertEqual((command.returncode, out, err), (0, path + "\n", ""))
        with open(path, encoding="utf-8") as file:
            self.assertLess(json.load(file)["seconds"], 599)
        self.assertIsNone(process.poll())

    def watch(self, watched, seconds, line):
        """What is told of so many seconds, while exactly one line is said, which has this in it."""
        said = []
        profiled.say, before = said.append, profiled.say
        try:
            data = profiled.profile_file.as_data(watched.told(watched.watch(seconds)))
        finally:
            profiled.say = before
            watched.process.close()
        self.assertEqual(len(said), 1, said)
        self.assertIn(line, said[0])
        return data

    def test_it_ends_meanwhile(self):
        for end in (lambda process: process.kill(), lambda process: self.tell(process, "e", "")):
            process = self.subject()
            watched = profiled.Watched(process.pid)
            end(process)
            process.wait()
            self.assertEqual(self.sums(self.watch(watched, 100, "has ended"), "subject_keep")[0], 20000)

    def test_it_executes_another_program(self):
        process = self.subject()
        watched = profiled.Watched(process.pid)
        self.tell(process, "x", "ready\n")
        data = self.watch(watched, 1.5, "runs another program now")
        self.assertEqual(self.sums(data, "subject_keep")[0], 20000)

    def test_another_profile_begins(self):
        process = self.subject()
        watched = profiled.Watched(process.pid)
        self.tell(process, "b")
        self.tell(process, "a")
        data = self.watch(watched, 0.01, "begun another profile")
        self.assertEqual(self.sums(data, "subject_later")[4], 3000)
        self.assertEqual(self.sums(data, "subject_keep")[:6], [0] * 6)

    # ---- who is told of ----

    def test_none_is_made(self):
        process = self.subject("")
        self.one_line(self.call(self.hakmem, "profile", str(process.pid)), "makes no profile", "HAKMEM_PROFILE=PATH")
        self.tell(process, "b")
        self.tell(process, "a")
        self.tell(process, "s")
        self.assertEqual(self.sums(self.of(process), "subject_later")[0], 2000)
        path = self.path("s.json")
        status, out, err = self.call(self.hakmem, "profile", "--seconds", "0.1", "-o", path, str(process.pid))
        self.assertEqual((status, out, err.count("\n")), (0, path + "\n", 1))
        self.assertIn("has stopped its profile", err)

    def test_stopped(self):
        process = self.subject()
        process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + WAIT
        while memory.Process(process.pid).state() != "T" and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.sums(self.of(process, "--seconds", "0.1"), "subject_keep")[0], 20000)

    def test_not_there_not_on_hakmem_and_a_zombie(self):
        plain = self.start("sleep", "600")
        self.addCleanup(plain.communicate)
        self.addCleanup(plain.kill)
        time.sleep(0.1)
        self.one_line(self.call(self.hakmem, "profile", str(plain.pid)), "does not run on hakmem")
        plain.kill()
        plain.wait()
        self.one_line(self.call(self.hakmem, "profile", "--seconds", "1", str(plain.pid)), f"no process {plain.pid}")
        process = self.subject()
        process.kill()
        until = time.monotonic() + WAIT
        while memory.Process(process.pid).state() != "Z" and time.monotonic() < until:
            time.sleep(0.01)
        self.one_line(self.call(self.hakmem, "profile", str(process.pid)), str(process.pid))

    def test_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("not root, so there is nobody else to be")
        process = self.subject()
        python = shutil.which("python3", path="/usr/bin:/bin") or self.skipTest("no python3 for all users")
        live = shutil.copytree(os.path.join(tap.SOURCE, "tools", "live"), self.path("live"))
        folder = self.path("theirs")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        result = self.call(python, "-I", "-S", os.path.join(live, "live.py"), "profile", "-o", folder + "/x.html",
                           str(process.pid), user=65534, group=65534, extra_groups=[])
        self.one_line(result, str(process.pid), "another user (uid 0)")
        self.assertEqual(os.listdir(folder), [])
        self.assertIsNone(process.poll())

    def test_files(self):
        process = self.subject()
        for path, words in (("/no/such/folder/x.html", "cannot be written: No such file or directory"),
                            (self.path("x.svg"), "must end in")):
            status, out, err = self.call(self.hakmem, "profile", "-o", path, str(process.pid))
            self.assertEqual((status, out, err.count("\n")), (125, "", 1), err)
            self.assertIn(words, err)
        for arguments in ((), ("x",), ("1", "2"), ("--seconds", "0", "1"), ("--seconds", "x", "1"), ("--nonsense", "1"),
                          ("--json", "-o", "x.html", "1")):
            status, out, err = self.call(self.hakmem, "profile", *arguments)
            self.assertEqual((status, out), (125, ""), arguments)
            self.assertTrue(err.startswith("hakmem: profile"), err)

    # ---- a busy one ----

    def test_a_busy_process_is_never_in_the_way(self):
        """Records come, and the table of them grows, while it is looked at."""
        process = self.start("python3", "-c", """
import threading
def deeper(n, size):
    return [bytes(size) for _ in range(3)] if n == 0 else deeper(n - 1, size)
def work(seed):
    kept = []
    i = seed
    while True:
        i = i * 1103515245 + 12345 & 0x7fffffff
        kept.append(deeper(i // 7 % 60, i // 65536 % 40000))
        if len(kept) > 300: kept = kept[150:]
for seed in range(3): threading.Thread(target=work, args=(seed,)).start()
""", env={"LD_PRELOAD": LIBRARY, "PYTHONMALLOC": "malloc", "HAKMEM_PROFILE": self.path("x.html,300")})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        time.sleep(0.5)
        watched, most = profiled.Watched(process.pid), 0
        self.addCleanup(watched.process.close)
        for _ in range(40):
            watched.look()
            sums = watched.last.sums
            rows = sum(row[5] for row in watched.last.rows.values())
            self.assertGreaterEqual(sums[5], most)
            self.assertLessEqual(abs(rows - sums[5]), sums[5] / 4 + (64 << 20))
            most = sums[5]
        self.assertTrue(all(len(row) == 6 for row in watched.last.rows.values()))
        watched.told()
        self.assertIsNone(process.poll())

    def test_top_shows_who_has_most(self):
        process = self.subject()
        status, out, err = self.call(self.hakmem, "top", "--once", str(process.pid))
        self.assertEqual((status, err), (0, ""))
        lines = [line for line in out.splitlines() if "subject_" in line]
        self.assertRegex(lines[0], r"^ +2\.9M  subject_thread")
        self.assertRegex(lines[1], r"^ +2\.\dM  subject_keep < main")
        self.assertEqual(len([line for line in lines if "subject_peak" in line]), 0)
        _, out, _ = self.call(self.hakmem, "top", "--once", str(self.subject("").pid))
        self.assertNotIn("subject_", out)


if __name__ == "__main__":
    tap.main()
