# SPDX-License-Identifier: MIT
"""Runs unittest cases and reports them as TAP, the form that Meson counts."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE, BUILD = (sys.argv + ["", ""])[1:3]


class Tap(unittest.TestResult):
    count = 0

    def say(self, state, case, why=""):
        self.count += 1
        print(f"{state} {self.count} - {case.id().split('.')[-1]}{why}", flush=True)

    def addSuccess(self, case):
        self.say("ok", case)

    def addSkip(self, case, why):
        self.say("ok", case, f" # SKIP {why}")

    def addFailure(self, case, error):
        self.say("not ok", case)
        for line in self._exc_info_to_string(error, case).splitlines():
            print(f"# {line}", flush=True)
        super().addFailure(case, error)

    addError = addFailure


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print(f"1..{suite.countTestCases()}", flush=True)
    suite.run(Tap())


class Case(unittest.TestCase):
    """A case with a folder of its own, that every user may look into."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hk-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        os.chmod(self.dir, 0o755)

    def write(self, name, text, mode=0o755):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def compile(self, text, *options):
        path = os.path.join(self.dir, "program")
        cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-14") or self.skipTest("no C compiler")
        subprocess.run([cc, "-x", "c", "-", "-o", path, "-x", "none", *options], input=text, text=True, check=True)
        return path

    def wait_for(self, path):
        """The text of a page or of JSON of a process's memory that is written a moment after it has ended."""
        until = time.monotonic() + 60
        while True:
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                if '"ended": true' in text or "it ended after" in text:
                    return text
            except FileNotFoundError:
                pass
            self.assertLess(time.monotonic(), until, f"no {path}")
            time.sleep(0.02)

    def start(self, *argv, env=None, **more):
        """A command with an environment that has nothing of the test's own in it."""
        plain = {k: v for k, v in os.environ.items()
                 if not k.startswith(("LD_PRELOAD", "LD_LIBRARY_PATH", "HAKMEM_", "MESON", "MALLOC_"))}
        return subprocess.Popen(argv, env={**plain, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **more)

    def call(self, *argv, stdin="", **more):
        """(status, stdout, stderr) of a command."""
        process = self.start(*argv, **more)
        out, err = process.communicate(stdin, timeout=250)
        return process.returncode, out, err
