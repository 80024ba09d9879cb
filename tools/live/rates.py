# SPDX-License-Identifier: MIT
"""What happens in a second: two readings of one process apart."""

# The name of a rate, and what counts for it.
RATES = (('refilled', 'refilled_per_second'), ('flushed', 'flushed_per_second'), ('os_calls', 'os_calls_per_second'),
         ('lock_waits', 'lock_waits_per_second'), ('minor_faults', 'minor_faults_per_second'),
         ('major_faults', 'major_faults_per_second'), ('processor_seconds', 'processors'))


def rates(before, after, seconds):
    """Names and values; none before there are two readings. A count that went back is that of another program."""
    if before is None or seconds <= 0:
        return {}
    found = {}
    for name, title in RATES:
        moved = after.of[name] - before.of[name]
        found[title] = round(max(moved, 0) / seconds, 3)
    found['live_bytes_per_second'] = round((after.of['live_bytes'] - before.of['live_bytes']) / seconds)
    return found


def growth(before, after):
    """The classes by how much their live bytes have grown, most first: (block size, live bytes, grown by)."""
    if before is None or len(before.classes) != len(after.classes):
        return []
    grown = [(now['block_bytes'], now['live_bytes'], now['live_bytes'] - then['live_bytes'])
             for then, now in zip(before.classes, after.classes)]
    grown.append(('runs', after.of['run_bytes'], after.of['run_bytes'] - before.of['run_bytes']))
    grown.append(('huge', after.of['huge_bytes'], after.of['huge_bytes'] - before.of['huge_bytes']))
    return sorted((g for g in grown if g[1] != 0 or g[2] != 0), key=lambda g: (-g[2], -g[1]))
