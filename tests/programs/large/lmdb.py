# SPDX-License-Identifier: MIT
"""LMDB with a map of 1 TiB, as its users give it so that it need never grow: most of the address space near us is
taken, and malloc goes on."""
import harness

PROGRAM = """
import hashlib, lmdb, random, sys
sys.stdin.readline()
dice = random.Random(1)
with lmdb.open("base", map_size=1 << 40, max_dbs=4) as base:
    with base.begin(write=True) as change:
        for i in range(100000):
            change.put(b"key%d" % dice.randrange(10 ** 6), b"v" * dice.randrange(300))
    blocks = [bytearray(dice.randrange(1, 100000)) for _ in range(10000)]  # half a GiB
    with base.begin() as view:
        digest = hashlib.sha256()
        for key, value in view.cursor():
            digest.update(key + value)
        print(view.stat()["entries"], digest.hexdigest())
    print(sum(map(len, blocks)))
"""


def workload(run):
    python = harness.need("python3", package="python3")
    find = "import importlib.util; print(importlib.util.find_spec('lmdb'))"
    if not run.library and b"lmdb" not in run.cmd([python, "-c", find], compare=False):
        raise harness.Skip("there is no Python module lmdb (package python3-lmdb)")
    run.cmd([python, "-c", PROGRAM], stdin="x\n", hold="python3", env={"PYTHONMALLOC": "malloc"})


harness.main(workload, ["python3"])
