# SPDX-License-Identifier: MIT
"""Programs under libfaketime, whose clock_gettime allocates at its first call; see preloads.py."""
import harness
import preloads

WORK = preloads.workload("libfaketime", ["/usr/lib/*/faketime/libfaketime.so.1"], {"FAKETIME": "2001-02-03 04:05:06"},
                         [["date", "+%Y"], ["python3", "-c", "import time; print(time.gmtime().tm_year)"]])
harness.main(WORK, ["python3"])
