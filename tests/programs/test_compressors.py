# SPDX-License-Identifier: MIT
"""xz and zstd with threads: the same compressed bytes, and what was compressed comes back."""
import harness
import random


def data():
    """4 MiB that compress to about a third, the same each time."""
    dice = random.Random(2)
    words = [dice.randbytes(dice.randrange(3, 20)) for _ in range(3000)]
    return b"".join(dice.choice(words) for _ in range(375000))[: 4 << 20]


def workload(run):
    text = data()
    for tool, options, hold in (
        (harness.need("xz", package="xz-utils"), ["-T2", "-1", "--block-size=2MiB"], "xz"),
        (harness.need("xz", package="xz-utils"), ["-T2", "-3", "--block-size=1MiB"], None),
        (harness.need("zstd", package="zstd"), ["-T2", "-3", "-q"], "zstd"),
        (harness.need("zstd", package="zstd"), ["-T2", "-12", "--long=24", "-q"], None),
        (harness.need("gzip", package="gzip"), ["-2", "-n"], "gzip"),
        (harness.need("bzip2", package="bzip2"), ["-1"], "bzip2"),
    ):
        packed = run.cmd([tool, *options, "-c"], stdin=text, hold=hold)
        if run.cmd([tool, "-d", "-c", *(["-T2"] if tool.endswith(("xz", "zstd")) else [])], stdin=packed,
                   compare=False) != text:
            raise harness.Failure(f"{run.name}: {tool} {options}: the bytes did not come back")


harness.main(workload, ["xz", "zstd"])
