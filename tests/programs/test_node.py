# SPDX-License-Identifier: MIT
"""node: objects and buffers in the main thread and in workers; see node_workload.js."""
import harness
import os

WORKLOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_workload.js")


def workload(run):
    run.cmd([harness.need("node", package="nodejs"), WORKLOAD])
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "node")


harness.main(workload, ["node"])
