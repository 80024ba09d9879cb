#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each memory call of a program is refused, alone and with all that follow: tests/life/refusals.c.

    ./hakmem test refusals              # with ENOMEM, EPERM and EINVAL, linked and preloaded
    ./hakmem test refusals 12 1+        # with those; 1+: and all that follow
"""

import os
import subprocess
import sys

ERRORS = ("12", "1", "22", "12+", "1+", "22+")


def main():
    build, *errors = sys.argv[1:]
    failed = False
    for way in ("linked", "preload"):
        env = dict(os.environ)
        if way == "preload":
            env["LD_PRELOAD"] = os.path.join(build, "libhakmem.so")
        program = os.path.join(build, "tests", "life", "life_refusals_" + way)
        print(f"refusals: {way}", flush=True)
        status = subprocess.run([program, "1", *(errors or ERRORS)], env=env).returncode
        if status == 77:
            return 77
        failed = failed or status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
