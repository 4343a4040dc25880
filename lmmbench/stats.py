"""Interval estimates. Each function names its source; nothing here knows of models or packs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Z95 = 1.959963984540054
RESAMPLES = 10_000


def wilson(successes: float, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a share (E. B. Wilson 1927, JASA 22:209-212, without continuity correction).

    Bounds in 0…1. Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError("an interval needs at least one item")
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def cluster_bootstrap(
    scores: NDArray[np.float64], clusters: Sequence[str], seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap of the mean over whole clusters (Davison & Hinkley 1997, 3.8; Miller 2024,
    arXiv 2411.00640, on why items that share a text must move together).

    scores: shape (n,), in 0…1; clusters: n labels. Seeded, so that the same scores give the same interval.
    """
    import numpy as np

    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=scores, minlength=len(names))
    sizes = np.bincount(index, minlength=len(names)).astype(np.float64)
    rng = np.random.Generator(np.random.PCG64(seed))
    kinds, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    if 4 * kinds.shape[1] < len(names):  # clusters that are alike are drawn as one kind: the same law, at once
        drawn = rng.multinomial(len(names), counts / len(names), size=RESAMPLES)
        means = (drawn @ kinds[0]) / (drawn @ kinds[1])
    else:
        means = np.empty(RESAMPLES)
        step = max(1, 200_000 // len(names))
        for start in range(0, RESAMPLES, step):
            stop = min(RESAMPLES, start + step)
            chosen = rng.integers(0, len(names), size=(stop - start, len(names)))
            means[start:stop] = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def interval(scores: NDArray[np.float64], clusters: Sequence[str]) -> tuple[float, float, str]:
    """95 % interval of the mean and its method.

    `wilson` where every score is 0 or 1 and every item is a cluster of its own, else `cluster-bootstrap`. Where all
    scores are the same, resampling sees no spread and would claim certainty: then `wilson-clusters`, Wilson's
    interval with clusters as the count.
    """
    import numpy as np

    distinct = len(set(clusters))
    if distinct == len(scores) and bool(np.isin(scores, (0.0, 1.0)).all()):
        return (*wilson(float(scores.sum()), len(scores)), "wilson")
    if float(np.ptp(scores)) == 0.0:
        return (*wilson(float(scores[0]) * distinct, distinct), "wilson-clusters")
    if distinct < 2:
        return 0.0, 1.0, "none"
    return (*cluster_bootstrap(scores, clusters), "cluster-bootstrap")
