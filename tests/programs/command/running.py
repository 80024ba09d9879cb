# SPDX-License-Identifier: MIT
"""What `hakmem run` promises, whether it is the script of a checkout or the installed command. A test module makes a
class of both this and unittest.TestCase (through tap.Case) that sets `hakmem` to the command."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.dom.minidom


class Running:
    hakmem = None

    def run_on(self, *command, options=(), **more):
        return self.call(self.hakmem, "run", *options, "--", *command, **more)

    def one_line(self, text, *words):
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("hakmem: "), text)
        for word in words:
            self.assertIn(word, text)

    def test_command_has_the_library(self):
        status, out, err = self.run_on("cat", "/proc/self/maps")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("libhakmem.so", out)

    def test_children_have_the_library(self):
        _, out, _ = self.run_on("sh", "-c", "cat /proc/self/maps; :")
        self.assertIn("libhakmem.so", out)

    def test_nothing_else_has_the_library(self):
        strace = shutil.which("strace") or self.skipTest("strace is not installed")
        log = os.path.join(self.dir, "trace")
        status, _, err = self.call(strace, "-f", "-qq", "-e", "trace=execve,openat", "-o", log,
                                   self.hakmem, "run", "--", "expr", "3", "+", "4")
        if status != 0:
            self.skipTest(f"strace does not work here: {err.strip()[:80]}")
        program = {}
        loaded = set()
        with open(log, encoding="utf-8") as trace:
            for line in trace:
                pid = line.split()[0]
                if "execve(" in line and line.rstrip().endswith("= 0"):
                    program[pid] = os.path.basename(line.split('"')[1])
                elif "libhakmem" in line and "ENOENT" not in line:
                    loaded.add(program.get(pid, "?"))
        self.assertEqual(loaded, {"expr"})

    def test_streams_and_status(self):
        status, out, err = self.run_on("sh", "-c", "cat; echo two >&2; exit 7", stdin="one\n")
        self.assertEqual((status, out, err), (7, "one\n", "two\n"))

    def test_the_process_becomes_command(self):
        process = self.start(self.hakmem, "run", "--", "sh", "-c", "echo $$; exec sleep 60")
        self.addCleanup(process.communicate)
        self.assertEqual(int(process.stdout.readline()), process.pid)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), -signal.SIGTERM)

    def test_arguments_arrive_as_given(self):
        args = ["", "a b", "*", "--stats", "--", "-x", "new\nline", "$HOME", "`id`"]
        _, out, _ = self.run_on("printf", "[%s]", *args)
        self.assertEqual(out, "".join(f"[{a}]" for a in args))

    def test_the_two_dashes_may_be_left_out(self):
        self.assertEqual(self.call(self.hakmem, "run", "echo", "--stats"), (0, "--stats\n", ""))

    def test_environment_and_folder_arrive_as_given(self):
        env = {"top": "1", "dir": "2", "path": "3", "library": "4", "IFS": "x", "LC_ALL": "C", "PWD": "/usr"}
        _, plain, _ = self.call("bash", "-c", "exec env", env=env, cwd="/usr")
        _, out, _ = self.run_on("env", env=env, cwd="/usr")
        extra = ("LD_PRELOAD=", "_=", "SHLVL=")
        plain, out = (sorted(x for x in text.splitlines() if not x.startswith(extra)) for text in (plain, out))
        self.assertEqual(plain, out)
        self.assertEqual(self.run_on("pwd", cwd="/usr")[1], "/usr\n")

    def test_a_preload_is_kept_behind_ours(self):
        other = next((p for p in ("/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6",
                                  "/lib64/libm.so.6") if os.path.exists(p)), None) or self.skipTest("no libm found")
        _, out, err = self.run_on("sh", "-c", "echo $LD_PRELOAD; cat /proc/self/maps", env={"LD_PRELOAD": other})
        first, second = out.splitlines()[0].split(":")
        self.assertIn("libhakmem", first)
        self.assertEqual(second, other)
        self.assertEqual(err, "")
        self.assertIn("libm.so.6", out[out.index("\n"):])

    def test_stats(self):
        status, out, err = self.run_on("echo", "hi", options=["--stats"])
        self.assertEqual((status, out), (0, "hi\n"))
        self.assertIn("hakmem", err)
        self.assertGreater(err.count("\n"), 5)

    def page(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.endswith("</html>\n"))
        xml.dom.minidom.parseString(text)
        return text

    def page_soon(self, name):
        """One that is written a moment after a command has ended."""
        until = time.monotonic() + 60
        while not os.path.exists(os.path.join(self.dir, name)):
            self.assertLess(time.monotonic(), until, name)
            time.sleep(0.02)
        return self.page(name)

    def figure(self, text, name):
        return int(re.search(f'id="{name}" data-bytes="(\\d+)"', text).group(1))

    def test_record_and_replay(self):
        path = os.path.join(self.dir, "a trace.hkt")
        status, out, err = self.call(self.hakmem, "record", "-o", path, "--", "sh", "-c", "cat; exit 7", stdin="one\n")
        if "built without" in err:
            self.assertEqual((status, err.count("\n")), (125, 1))
            self.skipTest("libzstd was not there")
        self.assertEqual((status, out), (7, "one\n"))
        status, out, _ = self.call(self.hakmem, "replay", "--info", path)
        self.assertEqual(status, 0)
        told = json.loads(out)
        self.assertTrue(told["whole"] and told["events"] > 0, told)
        self.assertEqual(told["command"], "sh -c cat; exit 7")
        status, out, err = self.call(self.hakmem, "replay", "--rounds", "1", path)
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, f"(?s){told['peak_live_bytes']} bytes; recorded: {told['peak_live_bytes']}.*\nhakmem .*\nlibc ")

    def test_a_trace_is_named(self):
        folder = os.path.join(self.dir, "folder %p")
        os.mkdir(folder)
        for words, name in ([], r"trace-\d+\.hkt"), (["-o", "of-%p"], r"of-\d+"), (["-o", os.path.join(folder, "x")], r"\d+"):
            before = set(os.listdir(self.dir)) | set(os.listdir(folder))
            status, _, err = self.call(self.hakmem, "record", *words, "--", "true", cwd=folder)
            if "built without" in err:
                self.skipTest("libzstd was not there")
            if os.path.isabs((words or [""])[-1]): # the user's own %p, of a folder that is not there
                self.assertEqual(status, 125, err)
                continue
            self.assertEqual(status, 0, err)
            made = set(os.listdir(self.dir)) | set(os.listdir(folder))
            self.assertRegex(" ".join(made - before), f"^{name}$")

    def test_record_and_replay_refuse(self):
        for words in (["record"], ["record", "-o"], ["record", "--what", "--", "ls"], ["record", "--of"], ["replay"],
                      ["replay", "/no/such"], ["replay", "--info", self.hakmem], ["record", "--", "/no/such"]):
            status, out, err = self.call(self.hakmem, *words)
            self.assertEqual((status in (125, 127), out), (True, ""), f"{words}: {status} {err}")
            self.assertTrue(err.startswith("hakmem: "), err)
        self.assertEqual(self.call(self.hakmem, "choose", "/no/such")[0] != 0, True)

    GROWS = ("import time\nx = [bytearray(3000) for _ in range(10000)]\ntime.sleep(0.8)\n"
             "del x\nprint('done', flush=True)\ntime.sleep(0.4)\n")

    # On a busy machine a command may end before anybody could look at it: it is run again, for longer.
    TIMES = ("0.3", "1", "4", "16")

    def call_seen(self, *args, **kwargs):
        """A call of hakmem with --timeline; SECONDS in the last argument is how long the command takes at least."""
        for seconds in self.TIMES:
            result = self.call(*args[:-1], args[-1].replace("SECONDS", seconds), **kwargs)
            if "before it could be looked at" not in result[2]:
                break
        return result

    def test_heap(self):
        status, out, err = self.call_seen(self.hakmem, "heap", "--", "bash", "-c", "echo $$; sleep SECONDS; exit 7",
                                          cwd=self.dir)
        pid = out.strip()
        self.assertEqual(status, 7)
        self.one_line(err, f" heap-{pid}.html", "at its peak")
        self.assertIn(f"process {pid}, at its peak", self.page_soon(f"heap-{pid}.html"))
        self.assertEqual(os.listdir(self.dir), [f"heap-{pid}.html"])

    def test_heap_at_moments(self):
        env = {"PYTHONMALLOC": "malloc"}
        live = {}
        for at, words in (("peak", "at its peak"), ("0.65", "s after its beginning"), ("exit", "at its end")):
            status, out, err = self.call(self.hakmem, "heap", "--at", at, "-o", f"{at}.html", "--", "python3", "-c",
                                         self.GROWS, cwd=self.dir, env=env)
            self.assertEqual((status, out), (0, "done\n"))
            self.one_line(err, f"{at}.html")
            text = self.page_soon(f"{at}.html")
            self.assertIn(words, text)
            self.assertFalse('id="allocator"' in text, at)
            live[at] = self.figure(text, "live_bytes")
        self.assertGreater(live["peak"], 30000000)
        self.assertLess(live["exit"], 10000000)
        _, _, err = self.call(self.hakmem, "heap", "--at", "30", "-o", "30.html", "true", cwd=self.dir)
        self.assertIn("has ended after", err)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "30.html")))

    def test_heap_of_a_program_with_an_allocator_of_its_own(self):
        self.call_seen(self.hakmem, "heap", "-o", "x.html", "python3", "-c", "import time; time.sleep(SECONDS)",
                       cwd=self.dir)
        self.assertIn("PYTHONMALLOC=malloc", self.page_soon("x.html"))

    def test_heap_file(self):
        os.mkdir(os.path.join(self.dir, "a b"))
        for options, words in ((["--at", "exit"], "at its end"), ([], "at its peak")):
            status, out, err = self.call_seen(self.hakmem, "heap", *options, "-o", "a b/x-%p.html", "bash", "-c",
                                              "cd /; echo $$; read -t SECONDS < <(sleep SECONDS)", cwd=self.dir)
            self.one_line(err, f" a b/x-{out.strip()}.html" if options == [] else " a b/x-")
            self.assertIn(words, self.page_soon(f"a b/x-{out.strip()}.html"))
        status, _, err = self.call(self.hakmem, "heap", "--at", "exit", "-o", os.path.join(self.dir, "y"), "--", "true",
                                   cwd="/")
        self.assertEqual(status, 0)
        self.one_line(err, os.path.join(self.dir, "y"))
        self.page("y")

    def test_heap_signal(self):
        for name in ("USR2", "SIGUSR2", "12"):
            path = os.path.join(self.dir, "1.html")
            process = self.start(self.hakmem, "heap", "-o", "%n.html", "--signal", name, "cat", cwd=self.dir)
            process.stdin.write("line\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "line\n")
            process.send_signal(signal.SIGUSR2)
            until = time.monotonic() + 60
            while not os.path.exists(path) or os.path.getsize(path) == 0:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.02)
            out, err = process.communicate("more\n", timeout=60)
            self.assertEqual((process.returncode, out), (0, "more\n"))
            self.one_line(err, " %n.html")
            self.assertIn("when a signal asked", self.page("1.html"))
            self.assertIn("at its end", self.page("2.html"))
            os.unlink(path)

    def test_timeline(self):
        status, out, err = self.call_seen(self.hakmem, "run", "--timeline", "--", "sh", "-c",
                                          "echo $$; cat; sleep SECONDS; exit 7", cwd=self.dir, stdin="line\n")
        pid, line = out.splitlines()
        self.assertEqual((status, line), (7, "line"))
        self.one_line(err, f" timeline-{pid}.html")
        text = self.wait_for(os.path.join(self.dir, f"timeline-{pid}.html"))
        self.assertEqual(xml.dom.minidom.parseString(text).documentElement.tagName, "html")
        for word in (f"process {pid}", 'id="peak"', "At the peak, by block size"):
            self.assertIn(word, text)
        self.assertEqual(os.listdir(self.dir), [f"timeline-{pid}.html"])

    def test_timeline_leaves_everything_else_alone(self):
        path = os.path.join(self.dir, "%p.json")
        env = {"top": "1", "IFS": "x", "LC_ALL": "C", "PWD": "/usr"}
        _, plain, _ = self.run_on("env", env=env, cwd="/usr")
        _, out, _ = self.call(self.hakmem, "run", f"--timeline={path}", "env", env=env, cwd="/usr")
        self.assertEqual(*(sorted(text.splitlines()) for text in (plain, out)))
        show = "grep -h -e '^Sig' -e '^NSpid' -e Groups -e Cpus_allowed: /proc/self/status | grep -v -e NSpid -e SigQ"
        show += "; ls /proc/self/fd | wc -l; ulimit -a; umask; ps -o stat= -p $$ | cut -c1; test -z \"$(pgrep -P $$ ps)\""
        for trap in ("", "trap '' PIPE XFSZ INT; "):
            same = []
            for options in ((), (f"--timeline={path}",)):
                status, out, _ = self.call("bash", "-c", trap + 'exec "$@"', "-", self.hakmem, "run", *options, "--",
                                           "sh", "-c", show)
                same.append((status, out))
            self.assertEqual(*same)
        program = self.compile("#include <errno.h>\n#include <sys/wait.h>\n"
                               "int main(void) { return wait(0) == -1 && errno == ECHILD ? 3 : 4; }\n")
        self.assertEqual(self.call(self.hakmem, "run", f"--timeline={path}", program)[0], 3)

    def test_json_and_files(self):
        path = os.path.join(self.dir, "%p.stats")
        status, out, err = self.call(self.hakmem, "run", "--stats", "--json", "-o", path, "bash", "-c", "echo $$; exit 3")
        self.assertEqual(status, 3)
        self.one_line(err, path.replace("%p", out.strip()))
        with open(path.replace("%p", out.strip()), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["pid"], int(out))
        status, out, err = self.run_on("bash", "-c", "echo $$", options=["--json", "--stats"], cwd=self.dir)
        self.one_line(err, f" stats-{out.strip()}.json")
        with open(os.path.join(self.dir, f"stats-{out.strip()}.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["version"], 1)
        status, out, err = self.call_seen(self.hakmem, "run", "--timeline", "--json", "bash", "-c",
                                          "echo $$; sleep SECONDS", cwd=self.dir)
        self.assertEqual(status, 0)
        self.assertEqual(json.loads(self.wait_for(os.path.join(self.dir, f"timeline-{out.strip()}.json")))["pid"], int(out))

    def test_profile(self):
        status, out, err = self.run_on("bash", "-c", "echo $$; exit 3", options=["--profile"], cwd=self.dir)
        self.assertEqual(status, 3)
        self.one_line(err, f" profile-{out.strip()}.html")
        with open(os.path.join(self.dir, f"profile-{out.strip()}.html"), encoding="utf-8") as file:
            self.assertIn("</html>", file.read())
        path = os.path.join(self.dir, "%p.folded")
        status, out, err = self.run_on("bash", "-c", "echo $$", options=[f"--profile={path},1", "--stats"])
        self.assertEqual(status, 0)
        self.assertIn(" " + path.replace("%p", out.strip()) + "\n", err)  # without what stands behind the comma
        with open(path.replace("%p", out.strip()), encoding="utf-8") as file:
            for line in file:
                self.assertRegex(line, r"^\S.* [1-9][0-9]*$")
        status, out, err = self.run_on("true", options=["--profile=no/such/folder.txt"], cwd=self.dir)
        self.assertEqual((status, out), (0, ""))
        self.assertIn("no/such/folder.txt cannot be written: no such file or directory (2)\n", err)

    def test_profile_of_a_process_that_runs(self):
        process = self.start(self.hakmem, "run", "--profile=own.html,1", "--", "sh", "-c", "echo $$; read x", cwd=self.dir)
        self.assertEqual(process.stdout.readline(), f"{process.pid}\n")
        told = self.call(self.hakmem, "profile", "--seconds", "0.1", str(process.pid), cwd=self.dir)
        process.communicate("x\n")
        self.assertEqual(told, (0, f"profile-{process.pid}-now.html\n", ""))
        with open(os.path.join(self.dir, told[1].strip()), encoding="utf-8") as file:
            text = file.read()
        self.assertIn('"seconds": ', text)
        self.assertTrue(text.endswith("</html>\n"))

    def test_profile_in_a_folder_with_a_comma(self):
        folder = os.path.join(self.dir, "a,b")
        os.mkdir(folder)
        for option in ("--profile", "--profile=x.txt", "--profile=x.txt,1", f"--profile={folder}/x.txt"):
            status, out, err = self.run_on("bash", "-c", "echo $$", options=[option], cwd=folder)
            self.assertEqual(status, 0)
            name = "x.txt" if "=" in option else f"profile-{out.strip()}.html"
            self.one_line(err, f" {name}\n")
            os.unlink(os.path.join(folder, name))

    def test_leaks(self):
        """On stderr, or in a file; what is ignored; the status stays."""
        status, _, err = self.run_on("false", options=["--leaks"])
        self.assertEqual(status, 1)
        self.one_line(err, "hakmem: leaks of process ")
        status, out, err = self.run_on("bash", "-c", "echo $$", options=["--leaks=x-%p.txt"], cwd=self.dir)
        self.assertEqual(status, 0)
        self.one_line(err, f"the report on leaks at the end: x-{out.strip()}.txt")
        with open(os.path.join(self.dir, f"x-{out.strip()}.txt"), encoding="utf-8") as file:
            self.assertIn(f"hakmem: leaks of process {out.strip()}: ", file.read())
        status, _, err = self.run_on("true", options=["--leaks", "--leaks-ignored=no/such"])
        self.assertEqual(status, 125)
        self.one_line(err, "cannot be read")

    def test_guard(self):
        """The library is told, and guards blocks; the share is what is said, or the caller's."""
        for option, share in (("--guard", ""), ("--guard=40", "40"), ("--guard=0040", "40")):
            status, out, _ = self.run_on("bash", "-c", 'echo "$HAKMEM_GUARD,${HAKMEM_GUARD_COST-}"', options=[option])
            self.assertEqual((status, out), (0, f"1,{share}\n"))
        status, out, _ = self.run_on("bash", "-c", 'echo "$HAKMEM_GUARD_COST"', options=["--guard"], env={"HAKMEM_GUARD_COST": "7"})
        self.assertEqual((status, out), (0, "7\n"))
        path = os.path.join(self.dir, "stats.json")
        status, _, err = self.run_on(sys.executable, "-c", "x = [bytes(n % 900) for n in range(10 ** 6)]",
                                     options=["--guard=1000", "--stats", "--json", "-o", path], env={"PYTHONMALLOC": "malloc"})
        self.assertEqual(status, 0, err)
        with open(path, encoding="utf-8") as file:
            self.assertGreater(json.load(file)["guarded_taken"], 0)

    def test_profile_and_timeline(self):
        """Both, of the same process; what watches it makes no profile."""
        status, out, _ = self.run_on("bash", "-c", "echo $$; sleep 0.3", options=["--profile", "--timeline"], cwd=self.dir)
        self.assertEqual(status, 0)
        self.wait_for(os.path.join(self.dir, f"timeline-{out.strip()}.html"))
        self.assertEqual(set(os.listdir(self.dir)), {f"{kind}-{out.strip()}.html" for kind in ("timeline", "profile")})

    def test_timeline_of_what_a_signal_ends(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            for seconds in self.TIMES:
                path = os.path.join(self.dir, f"{number}-{seconds}.json")
                process = self.start(self.hakmem, "run", f"--timeline={path}", "--", "python3", "-c",
                                     "x = [bytearray(100000) for _ in range(300)]; print('ready', flush=True); input()")
                self.assertEqual(process.stdout.readline(), "ready\n")
                time.sleep(float(seconds))
                process.send_signal(number)
                self.assertEqual(process.wait(timeout=60), -number)
                process.communicate()
                told = json.loads(self.wait_for(path))
                if len(told["samples"]) > 3: # else the machine is busy
                    break
            self.assertEqual(told["pid"], process.pid)
            self.assertGreaterEqual(told["peak"]["live_bytes"], 30000000)
            self.assertLess(told["peak"]["live_bytes"], 40000000)
            self.assertGreater(len(told["samples"]), 3)

    def test_timeline_that_cannot_be(self):
        mark = os.path.join(self.dir, "ran")
        for path in ("/no/such/folder/x", self.dir):
            status, out, err = self.call(self.hakmem, "run", f"--timeline={path}", "--", "touch", mark)
            self.assertEqual((status, out, os.path.exists(mark)), (125, "", False))
            self.assertIn(f"{path} cannot be written: ", err)
        program = self.compile("#include <unistd.h>\nint main(void) { usleep(300000); return 5; }\n", "-static")
        status, out, err = self.call(self.hakmem, "run", f"--timeline={self.dir}/x", program)
        self.assertEqual((status, out), (5, ""))
        until = time.monotonic() + 60
        self.assertIn("static", err)
        self.assertIn("no timeline: process ", err)
        self.assertIn("does not run on hakmem", err)
        self.assertLess(time.monotonic(), until)
        self.assertFalse(os.path.exists(f"{self.dir}/x"))

    def test_missing_command(self):
        for command in ("no-such-command", "/no/such/command", "./no-such-command"):
            status, out, err = self.run_on(command)
            self.assertEqual((status, out), (127, ""))
            self.one_line(err, command)

    def test_command_that_cannot_run(self):
        for command in (self.write("data", "text", 0o644), "/usr"):
            status, _, err = self.run_on(command)
            self.assertEqual(status, 126)
            self.one_line(err, command)

    def test_scripts(self):
        self.assertEqual(self.run_on(self.write("with", "#!/bin/sh\necho $1\n"), "x"), (0, "x\n", ""))
        status, out, err = self.run_on(self.write("without", "cat /proc/$$/maps; echo $1\n"), "x")
        self.assertEqual((status, err, out.splitlines()[-1]), (0, "", "x"))
        self.assertIn("libhakmem", out)
        status, _, err = self.run_on(self.write("odd", "#!/no/interpreter -x\n"))
        self.assertEqual(status, 127)
        self.one_line(err, "/no/interpreter")

    def test_static_program(self):
        source = '#include <unistd.h>\nint main(void) { return write(1, "out\\n", 4) + 1; }\n'
        program = self.compile(source, "-static")
        status, out, err = self.run_on(program)
        self.assertEqual((status, out), (5, "out\n"))
        self.one_line(err, "warning", program, "static")

    def test_set_uid_program(self):
        program = shutil.copy(shutil.which("true"), os.path.join(self.dir, "program"))
        os.chmod(program, 0o4755)
        status, out, err = self.run_on(program)
        self.assertEqual((status, out), (0, ""))
        self.one_line(err, "warning", program, "set-uid")

    def test_program_with_capabilities(self):
        setcap = shutil.which("setcap", path="/usr/sbin:/sbin") or self.skipTest("setcap is not installed")
        program = shutil.copy(shutil.which("true"), os.path.join(self.dir, "program"))
        if subprocess.run([setcap, "cap_net_raw+ep", program], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("file capabilities cannot be set here")
        status, _, err = self.run_on(program)
        self.assertEqual(status, 0)
        self.one_line(err, "warning", program, "capabilities")

    def test_usage(self):
        for arguments in ((), ("run",), ("run", "--"), ("run", "--nonsense", "--", "ls"), ("nonsense",),
                          ("heap",), ("heap", "-o"), ("heap", "-o", "x"), ("heap", "--signal", "NONE", "--", "ls"),
                          ("heap", "--stats", "--", "ls"), ("heap", "-o", "x" * 300, "--", "ls"), ("heap", "--at", "x", "--", "ls"),
                          ("heap", "--at", "exit", "-o", "x" * 300, "--", "ls"), ("heap", "--at", "signal", "--", "ls"),
                          ("heap", "--at", "peak", "--signal", "USR2", "ls"), ("run", "--timeline=", "--", "ls"), ("run", "-o", "x", "ls"), ("run", "--json", "ls"),
                          ("run", "--stats", "-o", "x", "--", "ls"), ("run", "--timeline", "-o"), ("run", "--profile=", "ls"), ("run", "--leaks=", "ls"), ("run", "--leaks=" + "x" * 300, "ls"),
                          ("run", "--leaks-ignored=" + os.devnull, "ls"), ("run", "--guard=", "ls"), ("run", "--guard=0", "ls"), ("run", "--guard=1001", "ls"), ("run", "--guard=x", "ls"), ("run", "--profile=x", "ls"),
                          ("run", "--profile=" + "x" * 300 + ".html", "ls"), ("run", "--profile=" + "ä" * 150 + ".html", "ls"),
                          ("run", "--stats", "--json", "-o", "ä" * 150, "ls"), ("heap", "--at", "exit", "-o", "ä" * 150, "ls")):
            status, out, err = self.call(self.hakmem, *arguments, env={"LC_ALL": "C.UTF-8"})
            self.assertEqual((status, out), (125, ""), arguments)
            self.assertIn("hakmem", err)
        status, out, err = self.call(self.hakmem, "--help")
        self.assertEqual((status, err), (0, ""))
        self.assertLessEqual(len(out.splitlines()), 32)
        self.assertLessEqual(max(map(len, out.splitlines())), 80)
