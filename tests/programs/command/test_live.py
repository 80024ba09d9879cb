# SPDX-License-Identifier: MIT
"""`hakmem top`, `stats` and `heap PID`: what is told from outside of a process that does nothing for it."""
import ctypes
import fcntl
import http.client
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import types
import unittest.mock
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

sys.path.insert(0, os.path.join(tap.SOURCE, "tools", "live"))
import board
import memory
import reading
from series import KEPT, Series

LIBRARY = os.environ["HK_TEST_SO"]
WAIT = 60

# Fills a heap with blocks of all kinds, says `ready`, and then prints its own figures whenever a line comes.
SUBJECT = """
import ctypes, os, sys, threading
library = ctypes.CDLL(os.environ["LD_PRELOAD"])
blocks = [bytes(16 + i % 3000) for i in range(60000)][::2]
middle = [bytes(20000 + i % 9000) for i in range(60)]
runs = [bytes(40000 + i * 1000) for i in range(100)][::3]
huge = bytearray(40 << 20)
go = threading.Event()
def work():
    mine = [bytes(100 + i % 500) for i in range(5000)][::2]
    go.wait()
threads = [threading.Thread(target=work, daemon=True) for _ in range(int(sys.argv[1]))]
[t.start() for t in threads]
print("ready", flush=True)
for line in sys.stdin:
    library.hak_stats_json(1)
"""


class Live(tap.Case):
    hakmem = os.path.join(tap.SOURCE, "hakmem")

    def begin(self, *argv, library=LIBRARY, **more):
        """A process on hakmem, ended with the test."""
        process = self.start(*argv, env={"LD_PRELOAD": library, "PYTHONMALLOC": "malloc"}, **more)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def subject(self, threads=0):
        process = self.begin(sys.executable, "-c", SUBJECT, str(threads))
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def sleeper(self, **more):
        process = self.begin("sh", "-c", "echo ready; exec sleep 600", **more)
        self.assertEqual(process.stdout.readline(), "ready\n")
        time.sleep(0.1)
        return process

    def told(self, pid):
        status, out, err = self.call(self.hakmem, "stats", "--json", str(pid))
        self.assertEqual((status, err), (0, ""))
        return json.loads(out)

    def own_figures(self, process):
        process.stdin.write("go\n")
        process.stdin.flush()
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        return json.loads(text)

    def one_line(self, result, *words):
        status, out, err = result
        self.assertEqual((status, out), (1, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err.startswith("hakmem: "), err)
        for word in words:
            self.assertIn(word, err)

    # ---- what is told ----

    def agree(self, outside, inside):
        for name in ("refills", "flushes", "refilled", "flushed", "huge_bytes", "acquired_new", "acquired_unused",
                     "acquired_empty", "acquired_partial", "purged_bytes"):
            near = 200 + inside[name] // 20
            self.assertLessEqual(abs(outside[name] - inside[name]), near, name)
        for name in ("live_bytes", "live_resident_bytes", "resident_bytes", "mapped_bytes", "slab_free_bytes",
                     "run_bytes", "empty_bytes"):
            hidden = outside["threads"] << 21 if outside["front"] == "front=slab" else 0 # a list of each class
            self.assertLessEqual(abs(outside[name] - inside[name]), inside["resident_bytes"] // 50 + 65536 + hidden,
                                 (name, outside[name], inside[name]))
        self.assertLessEqual(abs(outside["metadata_bytes"] - inside["metadata_bytes"]), 262144)
        self.assertGreaterEqual(outside["peak_live_bytes"], outside["live_bytes"]) # nobody there looks just now
        self.assertLessEqual(outside["peak_live_bytes"], inside["peak_live_bytes"] + inside["live_bytes"] // 50)
        self.assertEqual(outside["resident_bytes"],
                         sum(outside[name] for name in reading.PARTS))
        mine = {c["block_bytes"]: c for c in outside["classes"]}
        for c in inside["classes"]:
            other = mine[c["block_bytes"]]
            self.assertLessEqual(abs(other["slabs"] - c["slabs"]), 2, c)
            self.assertLessEqual(abs(other["live_blocks"] - c["live_blocks"]), c["live_blocks"] // 10 + 300 +
                                 (65536 // c["block_bytes"] * 9 if outside["front"] == "front=slab" else 0), c)

    def test_agrees_with_what_the_process_says(self):
        process = self.subject()
        outside = self.told(process.pid)
        inside = self.own_figures(process)
        self.assertFalse(outside["counted"])
        self.assertEqual(outside["threads"], inside["threads"])
        self.assertEqual(outside["hakmem"], inside["hakmem"])
        self.agree(outside, inside)

    def test_agrees_with_eight_threads(self):
        process = self.subject(8)
        time.sleep(0.5)
        outside = self.told(process.pid)
        inside = self.own_figures(process)
        self.assertEqual((outside["threads"], inside["threads"]), (9, 9))
        self.agree(outside, inside)

    def test_by_the_file_as_by_the_call(self):
        process = self.sleeper()
        with memory.Process(process.pid) as by_call, memory.Process(process.pid) as by_file:
            by_file.by_call = False
            one, other = (reading.look(board.Finder().find(p)) for p in (by_call, by_file))
            self.assertIsNotNone(by_file.mem)
            self.assertEqual({k: v for k, v in one.of.items() if k != "processor_seconds"},
                             {k: v for k, v in other.of.items() if k != "processor_seconds"})
            by_call.residents = lambda *_: None
            counted = reading.look(board.Finder().find(by_call))
            self.assertTrue(counted.counted)
            self.assertEqual(counted.of["live_bytes"], one.of["live_bytes"])
            self.assertEqual(counted.of["metadata_bytes"], 0)

    def test_more_nodes_than_the_library_has_room_for(self):
        """As with -Dnuma=disabled on two sockets: what lies behind the table of arrays is no array."""
        process = self.sleeper()
        with memory.Process(process.pid) as looked_into:
            found = board.Finder().find(looked_into)
            one = reading.look(found)
            for nodes in (2, 4096):
                with unittest.mock.patch.object(reading.glob, "glob", lambda _, nodes=nodes: [""] * nodes):
                    other = reading.look(found)
                self.assertEqual(one.of["live_bytes"], other.of["live_bytes"])

    def test_a_page_and_a_file(self):
        process = self.subject()
        status, out, err = self.call(self.hakmem, "stats", str(process.pid))
        self.assertEqual((status, err), (0, ""))
        for word in ("resident", "live_bytes", "lock_waits", "block_bytes", str(process.pid)):
            self.assertIn(word, out)
        path = os.path.join(self.dir, "out.json")
        self.assertEqual(self.call(self.hakmem, "stats", "--json", "-o", path, str(process.pid)), (0, "", ""))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["pid"], process.pid)
        self.assertEqual(os.listdir(self.dir), ["out.json"])
        status, out, err = self.call(self.hakmem, "stats", "-o", "/no/such/folder/x", str(process.pid))
        self.assertEqual((status, out), (125, ""))
        self.assertIn("/no/such/folder/x cannot be written: No such file or directory", err)

    # ---- who is told of ----

    def test_started_before_and_found_among_all(self):
        process = self.sleeper()
        status, out, err = self.call(self.hakmem, "top", "--json")
        self.assertEqual((status, err), (0, ""))
        found = {p["pid"]: p for p in json.loads(out)["processes"]}
        self.assertIn(process.pid, found)
        self.assertNotIn(os.getpid(), found)
        self.assertEqual(found[process.pid]["command"], "sleep 600")
        self.assertEqual(found[process.pid]["rates"]["refilled_per_second"], 0)
        status, out, err = self.call(self.hakmem, "top", "--once", str(process.pid))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("front caches", out)

    def test_rates(self):
        process = self.begin(sys.executable, "-c", "while True: x = [bytes(100 + i % 900) for i in range(20000)]")
        time.sleep(0.5)
        _, out, _ = self.call(self.hakmem, "top", "--json", str(process.pid))
        rates = json.loads(out)["processes"][0]["rates"]
        self.assertGreater(rates["refilled_per_second"], 1000)
        self.assertGreater(rates["flushed_per_second"], 1000)
        self.assertGreater(rates["processors"], 0.05)

    def test_stopped(self):
        process = self.sleeper()
        process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + WAIT
        while memory.Process(process.pid).state() != "T" and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.told(process.pid)["state"], "T")
        status, out, _ = self.call(self.hakmem, "top", "--once")
        self.assertIn("(stopped)", out)

    def test_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("not root, so there is nobody else to be")
        process = self.sleeper()
        python = shutil.which("python3", path="/usr/bin:/bin") or self.skipTest("no python3 for all users")
        live = shutil.copytree(os.path.join(tap.SOURCE, "tools", "live"), os.path.join(self.dir, "live"))
        for command in (["stats", str(process.pid)], ["top", "--once", str(process.pid)]):
            result = self.call(python, "-I", "-S", os.path.join(live, "live.py"), *command, user=65534, group=65534,
                               extra_groups=[])
            self.one_line(result, str(process.pid), "another user (uid 0)")
        self.assertIsNone(process.poll())

    def test_not_there_and_not_on_hakmem(self):
        plain = self.start("sleep", "600")
        self.addCleanup(plain.communicate)
        self.addCleanup(plain.kill)
        time.sleep(0.1)
        self.one_line(self.call(self.hakmem, "stats", str(plain.pid)), str(plain.pid), "does not run on hakmem")
        plain.kill()
        plain.wait()
        for command in ("stats", "top", "heap"):
            self.one_line(self.call(self.hakmem, command, *(["--once"] if command == "top" else []), str(plain.pid)),
                          "no process %d" % plain.pid)

    def test_a_zombie(self):
        process = self.sleeper()
        process.kill()
        until = time.monotonic() + WAIT
        while memory.Process(process.pid).state() != "Z" and time.monotonic() < until:
            time.sleep(0.01)
        self.one_line(self.call(self.hakmem, "stats", str(process.pid)), str(process.pid))

    def test_it_ends_between_two_looks(self):
        process = self.sleeper()
        command = self.start(self.hakmem, "top", "--once", "--interval", "2", str(process.pid))
        time.sleep(1)
        process.kill()
        process.wait()
        out, err = command.communicate(timeout=WAIT)
        self.one_line((command.returncode, out, err), "no process %d" % process.pid)

    def test_it_ends_in_the_middle_of_a_look(self):
        for by_call in (True, False):
            process = self.subject()
            with memory.Process(process.pid) as seen:
                seen.by_call = by_call
                found = board.Finder().find(seen)
                records = reading.Reading.visit_superslabs

                def kill_first(look):
                    process.kill()
                    process.wait()
                    records(look)

                reading.Reading.visit_superslabs = kill_first
                try:
                    with self.assertRaises(memory.Trouble) as caught:
                        reading.look(found)
                finally:
                    reading.Reading.visit_superslabs = records
                self.assertEqual(caught.exception.kind, "gone")

    def test_a_busy_process_is_never_in_the_way(self):
        process = self.begin(sys.executable, "-c", """
import threading
def work():
    while True:
        x = [bytes(16 + i * 7 % 40000) for i in range(3000)]
        threading.Thread(target=lambda: [bytes(300) for _ in range(100)]).start()
for _ in range(3): threading.Thread(target=work).start()
""")
        time.sleep(0.5)
        with memory.Process(process.pid) as seen:
            found = board.Finder().find(seen)
            for _ in range(60):
                of = reading.look(found).of
                self.assertLess(of["live_bytes"], of["mapped_bytes"] + 1)
                self.assertLess(of["resident_bytes"], 4 << 30)
        self.assertIsNone(process.poll())

    def test_a_process_that_grows_is_never_seen_small(self):
        process = self.begin(sys.executable, "-c", """
import sys
x = []
print("ready", flush=True)
for i in range(1500):
    x.append([bytes(20 + j * 3 % 30000) for j in range(300)])
sys.stdin.read()
""")
        self.assertEqual(process.stdout.readline(), "ready\n")
        with memory.Process(process.pid) as seen:
            found, most, looks = board.Finder().find(seen), 0, 0
            while most < 150 << 20:
                live = reading.look(found).of["live_bytes"]
                self.assertGreaterEqual(live, most - most // 20 - (1 << 20), looks)
                most, looks = max(most, live), looks + 1
        self.assertGreater(looks, 5)

    def test_the_child_of_a_fork(self):
        process = self.begin(sys.executable, "-c", SUBJECT.replace(
            'print("ready", flush=True)', """pid = os.fork()
if pid:
    os.write(1, b"%d\\n" % pid)
    os.waitpid(pid, 0)
os.write(1, b"ready\\n")"""), "2")
        lines = {process.stdout.readline(), process.stdout.readline()}
        child = int((lines - {"ready\n"}).pop())
        self.addCleanup(os.kill, child, signal.SIGKILL)
        parent, told = self.told(process.pid), self.told(child)
        self.assertEqual((parent["threads"], told["threads"]), (3, 1))
        self.assertGreater(told["live_bytes"], 90 << 20)
        self.assertEqual(told["huge_bytes"], parent["huge_bytes"])

    STATIC = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    char *volatile block[1000];
    for (int i = 0; i < 1000; i++)
        block[i] = memset(malloc(10000), 1, 10000);
    write(1, "ready\\n", 6);
    pause();
    return block[0] == 0;
}
"""

    def test_static_and_stripped(self):
        archive = os.path.join(tap.BUILD, "libhakmem.a")
        program = self.compile(self.STATIC, "-static", "-s", "-Wl,--gc-sections", archive, "-pthread")
        process = self.begin(program)
        self.assertEqual(process.stdout.readline(), "ready\n")
        told = self.told(process.pid)
        self.assertGreaterEqual(told["live_bytes"], 10000000)
        self.assertLess(told["live_bytes"], 12500000)
        _, out, _ = self.call(self.hakmem, "top", "--json")
        self.assertIn(process.pid, [p["pid"] for p in json.loads(out)["processes"]])

    def test_in_a_sandbox(self):
        program = self.compile(self.STATIC.replace("#include <stdlib.h>", """
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>""").replace("pause();", "char c; prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); read(0, &c, 1);"))
        process = self.begin(program)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.assertGreaterEqual(self.told(process.pid)["live_bytes"], 10000000)
        self.assertIsNone(process.poll())

    def test_exec_while_it_is_watched(self):
        import watch
        process = self.begin("sh", "-c", "echo ready; read line; exec sleep 600")
        self.assertEqual(process.stdout.readline(), "ready\n")
        seen = watch.Watch([process.pid])
        seen.look()
        process.stdin.write("\n")
        process.stdin.flush()
        until = time.monotonic() + WAIT
        while memory.Process(process.pid).name() != "sleep 600" and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)
        seen.look()
        self.assertEqual(seen.watched[process.pid].name, "sleep 600")
        seen.drop(process.pid)

    def test_another_layout(self):
        with open(LIBRARY, "rb") as file:
            data = file.read()
        at = data.index(b"hakmem\0\0" + struct.pack("<I", board.VERSION))
        path = os.path.join(self.dir, "libother.so")
        with open(path, "wb") as file:
            file.write(data[:at + 8] + struct.pack("<I", 9) + data[at + 12:])
        process = self.sleeper(library=path)
        self.one_line(self.call(self.hakmem, "stats", str(process.pid)), "layout 9", "layout %d" % board.VERSION)

    # ---- by time ----

    def test_a_series_is_bounded(self):
        series = Series(64, 1)
        for i in range(20000):
            of = dict.fromkeys(KEPT, 0)
            of["live_bytes"], of["resident_bytes"] = (10**6 if i == 12345 else i % 1000), 7
            series.add(i, types.SimpleNamespace(of=of, classes=[i]))
            self.assertLess(len(series.samples), 64)
        self.assertEqual((series.peak.seconds, series.peak.classes, series.seen), (12345, [12345], 20000))
        points = series.points()
        self.assertGreaterEqual(len(points), 30)
        self.assertIn(12345, [p.seconds for p in points])
        self.assertEqual([p.seconds for p in points], sorted(p.seconds for p in points))
        self.assertEqual(points[-1].seconds, 19999)

    def timeline(self, name, *command):
        path = os.path.join(self.dir, name)
        process = self.start(sys.executable, "-I", "-S", os.path.join(tap.SOURCE, "tools", "live", "live.py"), "run", "timeline",
                             path, LIBRARY, "0", *command)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process, path

    def of_timeline(self, path):
        return json.loads(self.wait_for(path))

    def test_timeline_through_exec_and_fork(self):
        process, path = self.timeline("t.json", "sh", "-c", "sleep 0.3; sleep 600 & echo $!; exec python3 -c '"
                                      "import os, time; x = bytearray(50 << 20); time.sleep(0.4); os._exit(9)'")
        child = int(process.stdout.readline())
        self.assertEqual(process.wait(timeout=WAIT), 9)
        os.kill(child, signal.SIGKILL)
        told = self.of_timeline(path)
        self.assertEqual([name.split()[0] for name in told["programs"]], ["sh", "python3"])
        self.assertGreater(told["peak"]["live_bytes"], 50 << 20)
        self.assertLess(told["samples"][0]["live_bytes"], 1 << 20)

    def test_timeline_of_threads(self):
        process, path = self.timeline("t.json", sys.executable, "-c", """
import threading, time
def work():
    x = [bytes(1000) for _ in range(20000)]
    time.sleep(0.5)
for _ in range(2):
    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
""")
        self.assertEqual(process.wait(timeout=WAIT), 0)
        told = self.of_timeline(path)
        self.assertGreater(told["peak"]["live_bytes"], 100 << 20)
        self.assertLess(told["peak"]["live_bytes"], 300 << 20)
        self.assertGreaterEqual(max(s["threads"] for s in told["samples"]), 8)

    def test_timeline_of_a_sandbox(self):
        program = self.compile(self.STATIC.replace("#include <stdlib.h>", """
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>""").replace("pause();", "char c; prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); read(0, &c, 1);"
                                                  "syscall(SYS_exit, 6);"))
        process, path = self.timeline("t.json", program)
        self.assertEqual(process.stdout.readline(), "ready\n")
        time.sleep(0.3)
        process.stdin.write("x")
        process.stdin.flush()
        self.assertEqual(process.wait(timeout=WAIT), 6)
        self.assertGreaterEqual(self.of_timeline(path)["peak"]["live_bytes"], 10000000)

    def test_timeline_of_a_process_that_runs(self):
        process = self.subject()
        path = os.path.join(self.dir, "t.json")
        status, out, err = self.call(self.hakmem, "timeline", "-o", path, "--seconds", "0.5", str(process.pid))
        self.assertEqual((status, out, err), (0, path + "\n", ""))
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        self.assertFalse(told["ended"])
        self.assertGreater(told["looks"], 3)
        self.assertIsNone(process.poll())
        os.unlink(path)
        command = self.start(self.hakmem, "timeline", "-o", path, str(process.pid))
        until = time.monotonic() + WAIT
        while not os.path.exists(path) or os.path.getsize(path) == 0: # it is written now and then
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=WAIT)
        self.assertEqual((command.returncode, out, err), (0, path + "\n", ""))
        self.one_line(self.call(self.hakmem, "timeline", "-o", path, "999999999"), "no process 999999999")

    # ---- the screen ----

    def test_the_screen(self):
        process = self.sleeper()
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        top = subprocess.Popen([self.hakmem, "top", "--interval", "0.2"], stdin=slave, stdout=slave, stderr=slave,
                               env={**os.environ, "TERM": "xterm"}, close_fds=True)
        self.addCleanup(top.kill)
        os.close(slave)

        def until(*words):
            text, end = "", time.monotonic() + WAIT
            while not all(word in text for word in words):
                self.assertLess(time.monotonic(), end, text)
                if select.select([master], [], [], 0.1)[0]:
                    text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(master, 65536).decode("utf-8", "replace"))
            return text

        until("LIVE", "COMMAND", str(process.pid), "sleep")
        os.write(master, b"p\r")
        until("front caches")
        os.write(master, b"q")
        end = time.monotonic() + WAIT
        while top.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    break
        self.assertEqual(top.wait(timeout=WAIT), 0)
        os.close(master)
        status, out, err = self.call(self.hakmem, "top", str(process.pid))
        self.assertEqual((status, out), (125, ""))
        self.assertIn("--once", err)

    def test_the_page_that_refreshes_itself(self):
        process = self.subject()
        command = self.start(self.hakmem, "top", "--web", "--interval", "0.2")
        self.addCleanup(command.communicate)
        self.addCleanup(command.kill)
        address = command.stdout.readline().strip()
        host, port, token = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)/(\S{20,})/", address).groups()

        def get(path, host_header=None):
            connection = http.client.HTTPConnection(host, int(port), timeout=WAIT)
            connection.request("GET", path, headers={"Host": host_header or f"{host}:{port}"})
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text

        status, text = get(f"/{token}/")
        self.assertEqual(status, 200)
        xml.dom.minidom.parseString(text)
        self.assertIn(f'href="/{token}/{process.pid}"', text)
        self.assertIn('http-equiv="refresh"', text)
        time.sleep(0.3)
        status, text = get(f"/{token}/{process.pid}")
        self.assertEqual(status, 200)
        xml.dom.minidom.parseString(text)
        self.assertIn("front caches", text)
        status, text = get(f"/{token}/{process.pid}/heap")
        self.assertEqual((status, "By block size" in text), (200, True))
        for path, header in (("/", None), ("/x/", None), (f"/{token[:-1]}/", None), (f"/{token}/", "example.org"),
                             (f"/{token}/999999999", None), (f"/{token}/../x", None), (f"/{token}/{process.pid}/x", None)):
            self.assertEqual(get(path, header), (404, "There is nothing here.\n"), path)
        with open("/proc/net/tcp", encoding="ascii") as file:
            listening = [line.split()[1] for line in file if line.split()[3] == "0A"]
        self.assertEqual([at for at in listening if at.endswith(":%04X" % int(port))], ["0100007F:%04X" % int(port)])
        for _ in range(5): # a browser that goes on to another page meanwhile
            leaving = socket.create_connection((host, int(port)), timeout=WAIT)
            leaving.sendall(f"GET /{token}/{process.pid}/heap HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.close()
            self.assertEqual(get(f"/{token}/")[0], 200)
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=WAIT)
        self.assertEqual((command.returncode, err.count("\n")), (130, 1), err)

    # ---- the picture ----

    def test_heap_of_a_process(self):
        process = self.subject(2)
        status, out, err = self.call(self.hakmem, "heap", str(process.pid), cwd=self.dir)
        self.assertEqual((status, out, err), (0, f"heap-{process.pid}.html\n", ""))
        with open(os.path.join(self.dir, out.strip()), encoding="utf-8") as file:
            text = file.read()
        xml.dom.minidom.parseString(text)
        inside = self.own_figures(process)
        told = int(re.search(r'id="live_bytes" data-bytes="(\d+)"', text).group(1))
        self.assertLess(abs(told - inside["live_bytes"]), inside["live_bytes"] // 20)
        self.assertEqual(text.count('<div class="row">'), len(re.findall("SuperSlab: |page runs, live and free:", text)))
        in_use = sum(int(n) for n in re.findall(r"SuperSlab: (\d+) slabs in use", text))
        owned = inside["hot_slabs"] + inside["cold_slabs"]
        self.assertLess(abs(in_use - owned), owned // 10 + 4)
        for c in inside["classes"]:
            if c["live_blocks"]:
                self.assertIn(">%d bytes</td>" % c["block_bytes"], text.replace("</b>", ">"))
        path = os.path.join(self.dir, "x.html")
        self.assertEqual(self.call(self.hakmem, "heap", "-o", path, str(process.pid)), (0, path + "\n", ""))
        self.one_line(self.call(self.hakmem, "heap", "-o", path, "999999999"), "no process 999999999")

    def test_usage(self):
        for arguments in (("stats",), ("stats", "x"), ("stats", "1", "2"), ("top", "x"), ("top", "--interval", "0"),
                          ("top", "--nonsense"), ("top", "--web", "--json"), ("top", "--port", "80"), ("stats", "-o")):
            status, out, err = self.call(self.hakmem, *arguments)
            self.assertEqual((status, out), (125, ""), arguments)
            self.assertTrue(err.startswith("hakmem: " + arguments[0]), err)
        for command in ("top", "stats", "heap", "run"):
            status, out, err = self.call(self.hakmem, command, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith("usage: hakmem " + command), out)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)


if __name__ == "__main__":
    tap.main()
