# SPDX-License-Identifier: MIT
"""What runs and how long is left, on stderr. Used by bench.py, ab.py and matrix.py."""

import sys
import time


class Progress:
    """One line on stderr: rewritten in place on a terminal, otherwise a new one every `every` seconds."""

    def __init__(self, every=10):
        self.terminal = sys.stderr.isatty()
        self.every = every
        self.last = 0.0

    def __call__(self, text):
        now = time.monotonic()
        if self.terminal:
            print(f"\r\033[K{text[:110]}", end="", file=sys.stderr, flush=True)
        elif now - self.last >= self.every:
            self.last = now
            print(text, file=sys.stderr, flush=True)

    def close(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Remaining:
    """How long is left: what each run took last time, or the mean of all where it has not run yet."""

    def __init__(self, keys, rounds):
        self.left = dict.fromkeys(keys, rounds)
        self.took = {}

    def done(self, key, seconds):
        self.left[key] -= 1
        self.took[key] = seconds

    def text(self):
        if not self.took:
            return "time left unknown"
        mean = sum(self.took.values()) / len(self.took)
        seconds = sum(count * self.took.get(key, mean) for key, count in self.left.items())
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} left"
