# SPDX-License-Identifier: MIT
"""Programs under another preloaded library that puts itself before functions of the C library, hakmem before it and
behind it. Used by faketime.py and uid_wrapper.py."""
import glob
import harness

PERL = "my %h; $h{$_ % 5000} .= 'x' x ($_ % 100) for 1..200000; print length(join '', map {$h{$_}} sort keys %h)"
PYTHON = """
import sys, threading
sys.stdin.readline()
threads = [threading.Thread(target=lambda: [bytearray(i * 37) for i in range(3000)]) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(sum(len(str(i)) for i in range(10000)))
"""


def find(package, *patterns):
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        if found:
            return found[0]
    raise harness.Skip(f"{package} is not installed (package {package})")


def run_under(run, other, env, commands):
    """Each command in both orders; without hakmem both are the same."""
    for order in ("before", "behind"):
        libraries = [other, run.library] if order == "before" else [run.library, other]
        preload = {"LD_PRELOAD": ":".join(filter(None, libraries))}
        for argv in [*commands, ["perl", "-e", PERL]]:
            run.cmd(argv, env={**env, **preload}, timeout=60)
        run.cmd(["python3", "-c", PYTHON], stdin="x\n", hold="python3", env={**env, **preload}, timeout=60)


def workload(package, patterns, env, commands):
    return lambda run: run_under(run, find(package, *patterns), env, commands)
