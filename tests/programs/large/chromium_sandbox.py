# SPDX-License-Identifier: MIT
"""Chromium in its sandbox, as a user that is not root; see browser.py. Skipped where that does not work without hakmem
either."""
import browser
import harness
import os
import pwd


def workload(run):
    before = []
    if os.geteuid() == 0:
        before = [harness.need("setpriv", package="util-linux"), f"--reuid={UID}", f"--regid={GID}", "--clear-groups"]
    try:
        browser.load_page(run, before)
    except harness.Failure as failure:
        if run.library is None:
            raise harness.Skip("chromium's sandbox does not work here without hakmem: " + str(failure).splitlines()[-1])
        raise


UID, GID = pwd.getpwnam("nobody")[2:4] if os.geteuid() == 0 else (None, None)
harness.main(workload, ["chromium"], UID)
