# SPDX-License-Identifier: MIT
"""The universal scalability law: how the speed of a program grows with its threads, in two coefficients.

speed(n) = one * n / (1 + contention * (n - 1) + coherence * n * (n - 1))

`contention` is the part of the work that waits for one place, `coherence` what each thread costs each other one. With
coherence 0 it is Amdahl's law. Used by bench_scale.py."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Law:
    one: float  # speed of one thread
    contention: float
    coherence: float

    @property
    def most(self):
        """With how many threads it is fastest."""
        return math.sqrt((1 - self.contention) / self.coherence) if self.coherence > 0 and self.contention < 1 else math.inf

    def speed(self, n):
        return self.one * n / (1 + self.contention * (n - 1) + self.coherence * n * (n - 1))


def solve(matrix, right):
    """Gauss, with pivots; None: there is no one answer."""
    rows = [list(row) + [value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-300:
            return None
        for k in range(len(rows)):
            if k != i:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def least_squares(points, columns):
    """n / speed is linear in 1, n - 1 and n * (n - 1); each point counts by its relative error."""
    terms = [(lambda n: 1), (lambda n: n - 1), (lambda n: n * (n - 1))]
    terms = [terms[i] for i in columns]
    rows = [[term(n) * speed / n for term in terms] for n, speed in points]
    normal = [[sum(row[i] * row[k] for row in rows) for k in range(len(terms))] for i in range(len(terms))]
    found = solve(normal, [sum(row[i] for row in rows) for i in range(len(terms))])
    if found is None:
        return None
    values = dict(zip(columns, found))
    return [values.get(i, 0.0) for i in range(3)]


def fit(points):
    """Of [(threads, speed)], at least as many as there are coefficients. None of these is below 0: what the least squares
    put there is left out."""
    best, error = None, math.inf
    for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        found = least_squares(points, columns) if len(points) >= len(columns) else None
        if found is None or found[0] <= 0 or min(found[1:]) < -1e-12:
            continue
        law = Law(1 / found[0], max(found[1], 0) / found[0], max(found[2], 0) / found[0])
        off = sum((speed / law.speed(n) - 1) ** 2 for n, speed in points)
        if off < error - 1e-12:
            best, error = law, off
    return best
