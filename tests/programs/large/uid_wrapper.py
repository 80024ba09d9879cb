# SPDX-License-Identifier: MIT
"""Programs under libuid_wrapper, whose syscall() allocates at its first call; see preloads.py."""
import harness
import preloads

WORK = preloads.workload("libuid-wrapper", ["/usr/lib/*/libuid_wrapper.so*"],
                         {"UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}, [["id", "-u"]])
harness.main(WORK, ["python3"])
