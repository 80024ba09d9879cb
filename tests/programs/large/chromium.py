# SPDX-License-Identifier: MIT
"""Chromium without its sandbox, which root may not have; see browser.py."""
import browser
import harness


def workload(run):
    browser.load_page(run, flags=["--no-sandbox"])


harness.main(workload, ["chromium"])
