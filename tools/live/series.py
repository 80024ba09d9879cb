# SPDX-License-Identifier: MIT
"""Samples of a process by time, in bounded memory for as long as it runs.

There are at most MOST of them. When there are as many, each two neighbours become one, and from then on one is kept for
twice the time. Of those that become one the one with the most live bytes stays, so that peaks do not flatten. The samples
of the highest live bytes and the highest resident bytes are kept aside, whole.
"""
MOST = 1024
FINEST = 0.01 # seconds a sample stands for at first

# What a sample has of a reading.
KEPT = ('live_bytes', 'resident_bytes', 'live_resident_bytes', 'front_bytes', 'slab_free_bytes', 'empty_bytes',
        'run_free_bytes', 'metadata_bytes', 'process_resident_bytes', 'threads', 'refilled', 'flushed', 'minor_faults',
        'major_faults', 'os_calls', 'lock_waits', 'mapped_bytes', 'run_bytes', 'huge_bytes', 'peak_live_bytes')


class Sample:
    __slots__ = ('seconds', 'of', 'classes')

    def __init__(self, seconds, of, classes=None):
        self.seconds, self.of, self.classes = seconds, of, classes


class Series:
    def __init__(self, most=MOST, step=FINEST):
        self.most, self.step = most, step
        self.samples = [] # by time; one for each `step` that had any
        self.peak = self.fullest = self.first = self.last = None
        self.seen = 0

    def add(self, seconds, reading):
        sample = Sample(seconds, {name: reading.of[name] for name in KEPT}, reading.classes)
        self.seen += 1
        self.first = self.first or sample
        self.last = sample
        if self.peak is None or sample.of['live_bytes'] > self.peak.of['live_bytes']:
            self.peak = sample
        if self.fullest is None or sample.of['resident_bytes'] > self.fullest.of['resident_bytes']:
            self.fullest = sample
        thin = Sample(seconds, sample.of)
        if self.samples and int(self.samples[-1].seconds / self.step) == int(seconds / self.step):
            self.samples[-1] = self.higher(self.samples[-1], thin)
        else:
            self.samples.append(thin)
        while len(self.samples) >= self.most:
            self.halve()

    @staticmethod
    def higher(one, other):
        return other if other.of['live_bytes'] >= one.of['live_bytes'] else one

    def halve(self):
        self.step *= 2
        merged = []
        for sample in self.samples:
            if merged and int(merged[-1].seconds / self.step) == int(sample.seconds / self.step):
                merged[-1] = self.higher(merged[-1], sample)
            else:
                merged.append(sample)
        self.samples = merged

    def points(self):
        """The samples, the last one included whatever it stands for."""
        points = list(self.samples)
        if self.last is not None and (not points or points[-1].seconds < self.last.seconds):
            points.append(self.last)
        return points
