"""How long the labels and intervals of a matrix take: python -m benchmarks.labels [--models 10] [--cells 16] [--items 1000]

Graded scores, each cell a pack of its own with one stratum's worth of clusters; the numbers are made up. Printed twice:
with as many clusters in every cell, and with another number in each (which shares fewer random numbers).
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmmbench import stats
from lmmbench.analysis import field

GOAL_S = 2.0


def contests(models: int, cells: int, items: int, fewer: int) -> list[field.Contest]:
    """Made-up cells; each has `fewer` items less than the one before."""
    rng = np.random.default_rng(0)
    row = {"n_scored": items, "truncated_rate": 0.0}
    return [
        field.Contest([dict(row) for _ in range(models)], rng.random((models, n)), np.arange(n), 0.25)
        for n in (items - fewer * cell for cell in range(cells))
    ]


def means(contest: field.Contest) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """What each model's own interval is made of."""
    return [(scores, contest.clusters) for scores in contest.scores]


def timed(made: Sequence[field.Contest]) -> tuple[float, float]:
    """Seconds of wall time for the intervals of the means, and for differences, p values and labels."""
    start = time.perf_counter()
    stats.intervals([sample for contest in made for sample in means(contest)])
    half = time.perf_counter()
    field.compare(made)
    return half - start, time.perf_counter() - half


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of a matrix's labels and intervals.")
    for name, default in (("--models", 10), ("--cells", 16), ("--items", 1000)):
        parser.add_argument(name, type=int, default=default)
    given = parser.parse_args()
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"machine: {os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {platform.system()}")
    print(f"work: {given.models} models x {given.cells} cells x {given.items:,} items, best of 3; goal {GOAL_S:.0f} s")
    for text, fewer in (("the same clusters in every cell", 0), ("another number in each", 3)):
        made = contests(given.models, given.cells, given.items, fewer)
        of_means, of_labels = min((timed(made) for _ in range(3)), key=sum)
        print(f"{text:<34} intervals {of_means:.2f} s + labels {of_labels:.2f} s = {of_means + of_labels:.2f} s")


if __name__ == "__main__":
    main()
