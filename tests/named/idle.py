#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# targets: libhakmem.so.0 tests/life/life_idle_preload
"""What a process that has freed a burst and sleeps still has, as in the tests life/idle-*, of larger bursts.

    ./hakmem test idle          # 1 GiB of each kind of block, freed in each order
    ./hakmem test idle 2048     # 2 GiB

tests/life/idle.c has what the kinds and orders are. The bounds are those of docs/idle.md.
"""

import os
import subprocess
import sys

SIZES, ORDERS = ("small", "mid", "large", "huge"), ("in-order", "random", "other", "ended")
BOUNDS = {"sleeps": "18", "calls": "16", "ends": "16"}  # MiB, by what the threads do afterwards
LIMIT_S = 300


def main():
    build, *words = sys.argv[1:]
    mib = str(int(words[0]) if words else 1024)
    program = os.path.join(build, "tests", "life", "life_idle_preload")
    env = {**os.environ, "LD_PRELOAD": os.path.join(build, "libhakmem.so")}
    cases = [(sizes, order, "sleeps") for sizes in SIZES for order in ORDERS]
    cases += [(sizes, "random", after) for sizes in SIZES for after in ("calls", "ends")]
    failed = 0
    for sizes, order, after in cases:
        status = subprocess.run([program, mib, sizes, order, after, "1", BOUNDS[after], "100"], env=env,
                                timeout=LIMIT_S, check=False).returncode
        if status == 77:
            return 77
        failed += status != 0
        print(f"idle: {mib} MiB {sizes} {order} {after}: {'passed' if status == 0 else f'FAILED, {status}'}", flush=True)
    print(f"idle: {len(cases)} runs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
