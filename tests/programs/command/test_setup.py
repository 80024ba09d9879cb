# SPDX-License-Identifier: MIT
"""What `./hakmem run` does about packages, and that help needs none: on a PATH that has only what every Debian has, a false apt-get that writes
down what it is asked, and no compiler."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

ESSENTIAL = "bash sh env readlink dirname flock cat od grep mkdir cksum ln mv rm tee true echo".split()


class Setup(tap.Case):
    def setUp(self):
        super().setUp()
        os.mkdir(os.path.join(self.dir, "bin"))
        for name in ESSENTIAL:
            os.symlink(shutil.which(name), os.path.join(self.dir, "bin", name))
        os.makedirs(os.path.join(self.dir, "tools"))
        self.hakmem = shutil.copy(os.path.join(tap.SOURCE, "hakmem"), self.dir)
        shutil.copy(os.path.join(tap.SOURCE, "tools", "run.sh"), os.path.join(self.dir, "tools"))
        self.env = {"PATH": os.path.join(self.dir, "bin"), "CC": ""}

    def fake(self, name, text):
        self.write(os.path.join("bin", name), "#!/bin/sh\n" + text)

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def as_user(self):
        """The start of a command line that is not root's."""
        if os.geteuid() != 0:
            return []
        setpriv = shutil.which("setpriv") or self.skipTest("setpriv is not installed")
        return [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]

    def run_true(self, user=()):
        return self.call(*user, self.hakmem, "run", "--", "true", env=self.env, stdin="kept\n")

    def test_root_installs(self):
        if os.geteuid() != 0:
            self.skipTest("not root")
        self.fake("apt-get", f"cat; echo apt-get $DEBIAN_FRONTEND \"$@\" >> '{self.dir}/log'; echo said\nexit 1\n")
        status, out, err = self.run_true()
        self.assertEqual((status, out), (125, ""))
        self.assertIn("said", err)
        self.assertNotIn("kept", err)
        first, *_, last = err.splitlines()
        self.assertRegex(first, "^hakmem: this once: installs gcc .*meson.* a minute or two$")
        self.assertRegex(last, "apt-get install --no-install-recommends gcc .* failed; all of it is in /.*/build-run.log$")
        update, install = self.log().splitlines()
        self.assertIn(" update", update)
        self.assertRegex(install, "^apt-get noninteractive .* install -y --no-install-recommends gcc .*meson")

    def test_user_without_sudo_is_told(self):
        self.fake("apt-get", f"echo \"$@\" >> '{self.dir}/log'\n")
        status, out, err = self.run_true(self.as_user())
        self.assertEqual((status, out, err.count("\n")), (125, "", 1), err)
        self.assertIn("apt-get install --no-install-recommends gcc ", err)
        self.assertEqual(self.log(), "")

    def test_user_with_sudo_uses_it(self):
        os.chmod(self.dir, 0o777)
        self.fake("apt-get", "exit 1\n")
        self.fake("sudo", f"echo \"$@\" >> '{self.dir}/log'; [ \"$1\" = -n ] && shift; exec \"$@\"\n")
        status, _, err = self.run_true(self.as_user())
        self.assertEqual(status, 125, err)
        self.assertIn("apt-get -q", self.log())

    def test_user_whom_sudo_refuses_is_told(self):
        self.fake("apt-get", "exit 1\n")
        self.fake("sudo", "exit 1\n")
        status, _, err = self.run_true(self.as_user())
        self.assertEqual((status, err.count("\n")), (125, 1), err)
        self.assertIn("sudo apt-get install", err)

    def test_help_of_all_that_build_needs_no_build(self):
        shutil.copytree(os.path.join(tap.SOURCE, "tools"), os.path.join(self.dir, "tools"), dirs_exist_ok=True)
        for command in ("run", "heap", "test", "bench", "ab", "docs", "package"):
            status, out, err = self.call(self.hakmem, command, "--help")
            self.assertEqual((status, err), (0, ""), command)
            self.assertIn(command, out)
        self.assertEqual([name for name in os.listdir(self.dir) if name.startswith("build")], [])

    def test_no_apt_at_all(self):
        status, _, err = self.run_true()
        self.assertEqual((status, err.count("\n")), (125, 1), err)
        self.assertIn("gcc", err)


if __name__ == "__main__":
    tap.main()
