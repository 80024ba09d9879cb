#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The statistics of `./hakmem ab`: from pairs of runs to a ratio, its interval, and whether it counts.

usage: ab_stats.py --self-test

Runs come in pairs, one of each side beside each other in time, and which one is first is drawn by lot. If the sides are
equal, then whatever the machine did, the sign of a pair's difference is a toss of a coin. So the signed-rank test
(Wilcoxon), with its exact distribution, needs no assumption about the noise; and being about ranks, it is not led away
by the few runs that took three times as long. Of times, the calmer three quarters of the pairs count: those whose slower
run was fastest. That choice does not look at which side was which, so it favours none.

A run of ab makes many comparisons. Holm's procedure keeps the chance that any of them is marked when there is nothing to
mark below ALPHA in total. A difference below LEAST is not marked however sure it is: where the linker happened to lay a
function makes as much.
"""

import dataclasses
import math
import random
import sys
from statistics import mean, median

# The chance of any wrong mark in one run of ab is 1 %, so that three in a row are clean 97 times in 100. Times get most
# of it, because the other figures hardly vary.
ALPHA = {"time": 0.006, "rss": 0.002, "faults": 0.002}
LEAST = 0.01
CALM = 0.75
RESAMPLES = 2000


def signed_rank(differences):
    """Two-sided exact p of Wilcoxon's signed-rank test. Zeros are left out, ties share their ranks."""
    sizes = sorted((abs(d), d > 0) for d in differences if d)
    count = len(sizes)
    if count == 0:
        return 1.0
    ranks = [0] * count  # twice the rank, so that shared ranks are whole numbers
    first = 0
    for at in range(1, count + 1):
        if at == count or sizes[at][0] != sizes[first][0]:
            ranks[first:at] = [first + at + 1] * (at - first)
            first = at
    positive = sum(rank for rank, (_, up) in zip(ranks, sizes) if up)
    tail = min(positive, sum(ranks) - positive)
    # How many of the 2^count choices of signs give each sum: a product of (1 + x^rank), kept as one long number with
    # a field of `width` bytes for each power.
    width = count // 8 + 1
    ways = 1
    for rank in ranks:
        ways += ways << (8 * width * rank)
    fields = ways.to_bytes(width * (sum(ranks) + 1), "little")
    below = sum(int.from_bytes(fields[at * width:(at + 1) * width], "little") for at in range(tail + 1))
    return min(1.0, 2 * below / 2 ** count)


def calm(pairs):
    """The indices of the calmer three quarters of the pairs of times."""
    order = sorted(range(len(pairs)), key=lambda at: max(pairs[at]))
    return sorted(order[:math.ceil(CALM * len(pairs))])


@dataclasses.dataclass
class Figure:
    """One comparison: B's figure as a multiple of A's (of times: A's of B's, which is B's speed)."""

    ratio: float
    low: float
    high: float
    p: float
    marked: bool = False


def of_logs(logs):
    """The Figure of some logarithms of ratios, each one of a pair of runs."""
    draw = random.Random(1)
    medians = sorted(median(draw.choices(logs, k=len(logs))) for _ in range(RESAMPLES))
    low, high = (medians[int(RESAMPLES * share)] for share in (0.025, 0.975))
    return Figure(*map(math.exp, (median(logs), low, high)), signed_rank(logs))


def kept(pairs, what):
    return calm(pairs) if what == "time" else range(len(pairs))


def log_ratio(pair, what):
    a, b = pair
    return math.log(a / b if what == "time" else b / a)


def compare(pairs, what):
    """The Figure of one line. `pairs` are (A, B), all above zero."""
    return of_logs([log_ratio(pairs[at], what) for at in kept(pairs, what)])


def over_lines(lines, what, rounds):
    """The Figure of the geometric mean over lines. Each line's pairs are those of round 0, then those of round 1, ...
    Rounds are drawn whole: what the machine did to one line it may have done to the next."""
    by_round = []
    for pairs in lines:
        table = [[] for _ in range(rounds)]
        for at in kept(pairs, what):
            table[at * rounds // len(pairs)].append(log_ratio(pairs[at], what))
        by_round.append(table)

    def middle(chosen):
        return mean(median([log for turn in chosen for log in table[turn]] or [0.0]) for table in by_round)

    draw = random.Random(1)
    means = sorted(middle(draw.choices(range(rounds), k=rounds)) for _ in range(RESAMPLES // 4))
    low, high = (means[int(len(means) * share)] for share in (0.025, 0.975))
    turns = [mean(median(table[turn]) for table in by_round if table[turn]) for turn in range(rounds)
             if any(table[turn] for table in by_round)]
    return Figure(*map(math.exp, (middle(range(rounds)), low, high)), signed_rank(turns))


def mark(figures, what):
    """Marks those of the figures that count, by Holm's procedure."""
    for at, figure in enumerate(sorted(figures, key=lambda each: each.p)):
        if figure.p > ALPHA[what] / (len(figures) - at):
            return
        figure.marked = abs(figure.ratio - 1) >= LEAST


def can_mark(pairs, comparisons, what="time"):
    """Whether so many pairs, all alike, could give a mark at all."""
    count = math.ceil(CALM * pairs) if what == "time" else pairs
    return 2 / 2 ** count <= ALPHA[what] / comparisons


# ---- Self-test: simulated runs, because real ones say nothing about how often a rare event happens ----

def noisy(draw, runs):
    """Logarithms of times as bench/results/*.csv have them: a quarter of the runs is off by more than 2 %, one in ten by
    10 %, now and then the machine is busy for some runs (30 %, up to three times), and over minutes it drifts."""
    times, drift, busy = [], 0.0, False
    for at in range(runs):
        if at % 8 == 0:
            drift = 0.9 * drift + draw.gauss(0, 0.03)
        busy = draw.random() < (0.75 if busy else 0.04)
        time = drift + draw.gauss(0, 0.025)
        time += draw.expovariate(1 / 0.3) if busy else 0
        time += draw.expovariate(1 / 0.05) if draw.random() < 0.1 else 0
        times.append(time)
    return times


def simulated(draw, pairs, shift):
    """Pairs of one line, in the order that ab runs them; B takes `shift` longer (a logarithm)."""
    times, result = noisy(draw, 2 * pairs), []
    for at in range(0, 2 * pairs, 4):
        one, two, three, four = times[at:at + 4]
        of_a, of_b = ((one, four), (two, three)) if draw.random() < 0.5 else ((two, three), (one, four))
        result += [(math.exp(a), math.exp(b + shift)) for a, b in zip(of_a, of_b)]
    return result


def marks(draw, lines, pairs, slower=()):
    """The lines that a whole run of ab would mark; `slower` ones are 3 % slower with B. (Without intervals: those take
    time and decide nothing.)"""
    figures = []
    for line in range(lines):
        sample = simulated(draw, pairs, math.log(1.03) if line in slower else 0)
        logs = [log_ratio(sample[at], "time") for at in calm(sample)]
        figures.append(Figure(math.exp(median(logs)), 0, 0, signed_rank(logs)))
    mark(figures, "time")
    return [line for line, figure in enumerate(figures) if figure.marked]


def self_test(lines=25, pairs=80, runs=200):
    faults = []

    def expect(truth, what):
        if not truth:
            faults.append(what)

    # critical values of the tables: n = 10: 8 at 5 %, n = 20: 52 at 5 %, 37 at 1 %
    for count, tail, low, high in ((10, 8, 0.0487, 0.0489), (20, 52, 0.048, 0.05), (20, 37, 0.0083, 0.0097)):
        signs, rest = [], tail
        for rank in range(count, 0, -1):
            signs.append(rank if rank <= rest else -rank)
            rest -= rank if rank <= rest else 0
        expect(low < signed_rank(signs) < high, f"signed rank {tail} of {count}: {signed_rank(signs)}")
    expect(signed_rank([]) == signed_rank([0, 0]) == 1, "no difference")
    expect(signed_rank([1] * 8) == 2 / 256 and signed_rank([-1, 1]) == 1, "ties")
    three = [Figure(1.1, 1, 1, p) for p in (0.0028, 0.0021, 0.0019)]
    mark(three, "time")
    expect([f.marked for f in three] == [True, True, True], "Holm: 0.0019 and 0.0021 let 0.0028 in")
    three = [Figure(1.1, 1, 1, p) for p in (0.0028, 0.0031, 0.0029)]
    mark(three, "time")
    expect(not any(f.marked for f in three), "Holm: the smallest is above a third")
    small = [Figure(1.005, 1, 1, 0)]
    mark(small, "time")
    expect(not small[0].marked, "half a percent was marked")

    draw = random.Random(20)
    wrong = sum(bool(marks(draw, lines, pairs)) for _ in range(runs))
    print(f"equal sides: {wrong} of {runs} runs marked a line")
    expect(wrong < 0.05 * runs, "wrong marks")
    found = [len(marks(draw, lines, pairs, slower=(0, 1, 2, 3))) for _ in range(runs // 4)]
    print(f"3 % slower on four lines: {sum(found)} of {4 * len(found)} marked")
    expect(sum(found) >= 0.85 * 4 * len(found), "3 % was missed")
    expect(min(found) > 0, "a run found none of the four lines")

    for size, covered in ((0.0, 0), (0.03, 0)):
        for _ in range(100):
            sample = [math.log(b / a) for a, b in simulated(draw, pairs, size)]
            medians = sorted(median(draw.choices(sample, k=pairs)) for _ in range(200))
            covered += medians[5] <= size <= medians[194]
        print(f"95 % interval of a shift of {size}: holds it {covered} times of 100")
        expect(covered >= 88, "the interval is too narrow")

    same = [[(100.0, 101.0 + turn % 2) for turn in range(40)] for _ in range(3)]
    whole = over_lines(same, "rss", 10)
    expect(1.009 < whole.low <= whole.ratio <= whole.high < 1.021 and whole.p == 2 / 2 ** 10, f"geomean: {whole}")
    expect(can_mark(pairs, lines + 1) and not can_mark(8, lines + 1), "how many rounds it takes")
    return faults


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        sys.exit(__doc__)
    wrong_ones = self_test()
    print("\n".join(f"FAILED: {fault}" for fault in wrong_ones) or "ok")
    sys.exit(1 if wrong_ones else 0)
