# SPDX-License-Identifier: MIT
"""The raw rows of a bench: one for each run, nothing filtered or averaged. Used by bench.py and ab.py."""

import csv
import os

import bench_run

COLUMNS = ("date", "commit", "compiler", "options", "machine", "thp", "line", "command", "round", "allocator",
           "library", "status", "ops_per_sec", "elapsed_s", "wall_s", "user_s", "sys_s", "peak_rss_kib",
           "minor_faults", "major_faults", *bench_run.MORE_FIELDS)


class Rows:
    """A file of rows. One that is there already is continued; its header must be ours. `facts` are those of each
    allocator (bench_run.facts), `allocators` their libraries, by name."""

    def __init__(self, path, facts, allocators):
        self.facts = facts
        self.libraries = {name: os.path.basename(os.path.realpath(library)) if library else ""
                          for name, library in allocators.items()}
        new = not os.path.exists(path) or os.path.getsize(path) == 0
        if not new and bench_run.first_line(path) != ",".join(COLUMNS):
            raise bench_run.BenchError(f"{path} is not a file of this bench; name another with --csv")
        self.file = open(path, "a", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.file, COLUMNS, lineterminator="\n")
        if new:
            self.writer.writeheader()

    def add(self, line, command, turn, name, run):
        self.writer.writerow({
            **self.facts[name], "line": line.name, "command": " ".join(command), "round": turn + 1,
            "allocator": name, "library": self.libraries[name], "status": run.status,
            "ops_per_sec": run.ops_per_sec, "elapsed_s": f"{run.elapsed:.6f}", "wall_s": f"{run.wall:.6f}",
            "user_s": f"{run.user:.6f}", "sys_s": f"{run.sys:.6f}", "peak_rss_kib": run.rss,
            "minor_faults": run.minor_faults, "major_faults": run.major_faults,
            **{field: run.more.get(field, "") for field in bench_run.MORE_FIELDS},
        })
        self.file.flush()
