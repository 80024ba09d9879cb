# SPDX-License-Identifier: MIT
"""What `meson install` puts in place: the command keeps the promises of running.py, and a program can be compiled and
linked with nothing but pkg-config."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import running
import tap

PROGRAM = """
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *p = hak_malloc(100);
    void *q = malloc(100);
    size_t usable = hak_malloc_usable_size(p);
    hak_free(q);
    free(p);
    printf("%s %d\\n", hak_version(), usable >= 100);
    return 0;
}
"""


class Installed(running.Running, tap.Case):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="hk-", dir="/tmp")
        subprocess.run(["meson", "install", "-C", tap.BUILD, "--no-rebuild", "--quiet", "--destdir", cls.base],
                       check=True, stdout=subprocess.DEVNULL)
        found = [os.path.join(folder, name) for folder, _, names in os.walk(cls.base) for name in names]
        cls.hakmem = next(path for path in found if path.endswith("/bin/hakmem"))
        cls.found = {os.path.basename(path): path for path in found}
        cls.found["completion"] = next(path for path in found if path.endswith("/completions/hakmem"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def test_files(self):
        for name in ("hakmem", "hakmem.h", "hakmem.pc", "hakmem-static.pc", "hakmem-config.cmake",
                     "hakmem-config-version.cmake", "libhakmem.a", "libhakmem.so.0", "libhakmem.so", "run.sh", "hakmem.1",
                     "hakmem.3", "hakmem_options.7", "_hakmem"):
            self.assertIn(name, self.found)
        self.assertFalse([path for path in self.found.values() if "cmocka" in path or "test" in path.split("/")[3:]])

    def test_pkg_config(self):
        tool = shutil.which("pkg-config") or self.skipTest("pkg-config is not installed")
        folder = os.path.dirname(self.found["hakmem.pc"])
        env = {**os.environ, "PKG_CONFIG_LIBDIR": folder, "PKG_CONFIG_SYSROOT_DIR": self.base}
        for static in ([], ["--static"]):
            flags = subprocess.run([tool, "--cflags", "--libs", *static, "hakmem"], env=env, check=True, text=True,
                                   stdout=subprocess.PIPE).stdout.split()
            program = self.compile(PROGRAM, *(["-static"] if static else []), "-x", "none", *flags)
            library = os.path.dirname(self.found["libhakmem.so.0"])
            status, out, err = self.call(program, env={"LD_LIBRARY_PATH": library})
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, r"^\d+\.\d+\.\d+ 1\n$")

    def complete(self, *words):
        """What bash offers behind these words; the last may be a beginning."""
        script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hakmem; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        status, out, err = self.call("bash", "-c", script, "bash", self.found["completion"], self.hakmem, *words)
        self.assertEqual((status, err), (0, ""))
        return out.split()

    def test_completion(self):
        self.assertLessEqual({"run", "heap", "--version", "--help"}, set(self.complete("")))
        self.assertEqual(self.complete("ru"), ["run"])
        self.assertEqual(self.complete("run", "--st"), ["--stats"])
        self.assertEqual(self.complete("run", "--p"), ["--profile"])
        self.assertEqual(set(self.complete("heap", "-")), {"-o", "--at", "--signal", "--", "--help"})
        self.assertEqual(self.complete("heap", "--signal", "SIGUSR2"), ["SIGUSR2"])
        self.assertIn("true", self.complete("run", "--", "tru"))
        self.assertIn("true", self.complete("heap", "-o", "file", "tru"))
        self.assertEqual(self.complete("run", "--", "true", "--st"), []) # that is COMMAND's to say

    def test_manual_pages(self):
        tool = shutil.which("man") or self.skipTest("man is not installed")
        for name in ("hakmem.1", "hakmem.3", "hakmem_options.7"):
            status, out, err = self.call(tool, "--warnings", "-l", self.found[name],
                                         env={"LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"})
            self.assertEqual((status, err), (0, ""), name)
            self.assertIn("NAME", out)

    def test_version(self):
        status, out, _ = self.call(self.hakmem, "--version")
        self.assertEqual(status, 0)
        self.assertRegex(out, r"^hakmem \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    tap.main()
