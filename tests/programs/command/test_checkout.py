# SPDX-License-Identifier: MIT
"""`./hakmem run` in a copy of the checkout whose path has a blank: it builds once, silently thereafter, and keeps the
promises of running.py."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import running
import tap


class Checkout(running.Running, tap.Case):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="hk-", dir="/tmp")
        cls.top = os.path.join(cls.base, "check out")
        cls.hakmem = os.path.join(cls.top, "hakmem")
        leave_out = shutil.ignore_patterns("build*", ".git", "__pycache__")
        shutil.copytree(tap.SOURCE, cls.top, symlinks=True, ignore=leave_out)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def test_0_two_at_once_build_once(self):
        """(First by its name: the others find the build there.)"""
        env = {"XDG_CACHE_HOME": self.base, "CFLAGS": "-O0"}  # a quick one: what it builds is not what is looked at
        both = [self.start(self.hakmem, "run", "--", "cat", env=env) for _ in range(2)]
        results = [process.communicate(f"input {i}\n", timeout=280) for i, process in enumerate(both)]
        self.assertEqual([process.returncode for process in both], [0, 0], results)
        self.assertEqual([out for out, _ in results], ["input 0\n", "input 1\n"])
        silent, said = sorted((err for _, err in results), key=len)
        self.assertEqual(silent, "")
        self.one_line(said, "this once", "seconds")
        self.assertTrue(os.path.exists(os.path.join(self.top, "build", "libhakmem.so")))
        self.assertTrue(os.path.exists(os.path.join(self.top, "build", "libhakmem.a")))

    def test_1_a_changed_source_is_built(self):
        self.assertEqual(self.run_on("true"), (0, "", ""))
        library = os.path.join(self.top, "build", "libhakmem.so")
        before = os.stat(library).st_mtime_ns
        api = os.path.join(self.top, "core", "api")
        source = os.path.join(api, sorted(name for name in os.listdir(api) if name.endswith(".c"))[0])
        with open(source, "a", encoding="utf-8") as file:
            file.write("extern const char hk_test_of_the_build[];\nconst char hk_test_of_the_build[] = \"changed\";\n")
        status, out, err = self.run_on("echo", "hi", env={"LD_PRELOAD": ""})
        self.assertEqual((status, out), (0, "hi\n"), err)
        self.one_line(err, "builds what has changed")
        self.assertGreater(os.stat(library).st_mtime_ns, before)
        self.assertEqual(self.run_on("true"), (0, "", ""))

    def test_a_broken_source_runs_nothing(self):
        header = os.path.join(self.top, "include", "hakmem", "hakmem.h")
        with open(header, encoding="utf-8") as file:
            good = file.read()
        try:
            with open(header, "w", encoding="utf-8") as file:
                file.write("#error broken\n")
            status, out, err = self.run_on("echo", "hi")
            self.assertEqual((status, out), (125, ""))
            self.assertIn("#error broken", err)
            log = os.path.join(self.top, "build-run.log")
            self.assertTrue(err.endswith(f"hakmem: the build failed; all of it is in {log}\n"), err)
            with open(log, encoding="utf-8") as file:
                self.assertIn("#error broken", file.read())
        finally:
            with open(header, "w", encoding="utf-8") as file:
                file.write(good)
        self.assertEqual(self.run_on("true")[0], 0)

    def test_through_a_link_from_elsewhere(self):
        link = os.path.join(self.dir, "link")
        os.symlink(self.hakmem, link)
        self.assertEqual(self.call(link, "run", "--", "pwd", cwd="/"), (0, "/\n", ""))


if __name__ == "__main__":
    tap.main()
