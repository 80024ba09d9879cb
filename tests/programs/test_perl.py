# SPDX-License-Identifier: MIT
"""perl: hashes, strings, sorts, threads and a forked child; see perl_workload.pl."""
import harness
import os

WORKLOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "perl_workload.pl")


def workload(run):
    run.cmd([harness.need("perl", package="perl"), WORKLOAD])
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "perl")


harness.main(workload, ["perl"])
