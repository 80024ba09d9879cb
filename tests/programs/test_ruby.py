# SPDX-License-Identifier: MIT
"""ruby: objects, strings, the garbage collector, threads and a forked child; see ruby_workload.rb."""
import harness
import os

WORKLOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ruby_workload.rb")


def workload(run):
    run.cmd([harness.need("ruby", package="ruby"), WORKLOAD])
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "ruby")


harness.main(workload, ["ruby"])
