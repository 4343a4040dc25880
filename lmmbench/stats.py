"""Estimates, intervals and tests: arrays in, numbers out. Nothing here knows of models, packs or files.

Three rules make a p value and an interval of differences the same on every machine. Scores are rounded to whole
millionths (`millionths`), so that every sum is a sum of integers: exact in any order, and equal where it should be
equal, so that ties are counted as ties. The sign-flip test draws nothing: it adds up all flips, in an order that the
data alone decide. And random numbers, where there are any, are read from the raw words of PCG64, whose stream numpy
promises never to change (NEP 19: bit generators are stable, what `Generator` makes of them is not).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Z95 = 1.959963984540054
UNIT = 1_000_000
"""Integers to a whole score: scores are compared in millionths."""
STEPS = 1 << 15
"""Into so many steps the sizes of all differences together are divided, where they are not whole steps already."""
BLOCKS = 1000
"""At most so many signs are flipped: 2**-1000, the share of one flip, is still a number."""
LOTS = 19_999
"""Random draws of two groups; with the observed one 20,000."""
DRAWS = 10_000
"""Resamples of a bootstrap, fewer where there are many clusters (see `_draws`)."""
_AT_ONCE = 1 << 17
"""Random numbers that are worked on at once: what the processor's own memory holds."""


# --- one share, one mean -----------------------------------------------------------------------------


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


def interval(scores: Floats, clusters: Sequence[str]) -> tuple[float, float, str]:
    """`intervals` of one mean."""
    return intervals([(scores, clusters)])[0]


def intervals(samples: Sequence[tuple[Floats, Sequence[str] | Integers]]) -> list[tuple[float, float, str]]:
    """95 % interval of the mean of each sample, and its method. A sample: scores in 0…1, shape (n,), and n clusters.

    `wilson` where every score is 0 or 1 and every item is a cluster of its own, else `cluster-bootstrap`. Where all
    scores are the same, resampling sees no spread and would claim certainty: then `wilson-clusters`, Wilson's
    interval with clusters as the count. One cluster with a spread says nothing: 0 to 1, `none`.
    """
    tables = [by_cluster(scores, clusters) for scores, clusters in samples]
    found = [_closed_form(scores, len(sizes)) for (scores, _), (_, sizes) in zip(samples, tables, strict=True)]
    left = [n for n, known in enumerate(found) if known is None]
    for n, bounds in zip(left, bootstrap([tables[n] for n in left]), strict=True):
        found[n] = (float(bounds[0, 0]), float(bounds[1, 0]), "cluster-bootstrap")
    return [known for known in found if known is not None]


def _closed_form(scores: Floats, clusters: int) -> tuple[float, float, str] | None:
    """The interval that needs no resampling, or None."""
    if clusters == len(scores) and bool(((scores == 0) | (scores == 1)).all()):
        return (*wilson(float(scores.sum()), len(scores)), "wilson")
    if float(scores.max() - scores.min()) == 0.0:
        return (*wilson(float(scores[0]) * clusters, clusters), "wilson-clusters")
    return (0.0, 1.0, "none") if clusters < 2 else None


# --- clusters ----------------------------------------------------------------------------------------


def by_cluster(values: NDArray[Any], clusters: Sequence[str] | Integers) -> tuple[NDArray[Any], Floats]:
    """Sums of values over clusters, in the order of the clusters' names, and the clusters' sizes.

    values: shape (n,) or (n, k), integers stay integers; clusters: n labels. Returns shapes (C, k) and (C, 1).
    """
    import numpy as np

    names = np.asarray(clusters)
    order = np.argsort(names, kind="stable")
    names = names[order]
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    sums = np.add.reduceat(values.reshape(len(order), -1)[order], starts, axis=0)
    return sums, np.diff(starts, append=len(order)).astype(np.float64)[:, None]


def cluster_bootstrap(
    scores: Floats, clusters: Sequence[str], seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """`bootstrap` of one mean. scores: shape (n,); clusters: n labels."""
    (bounds,) = bootstrap([by_cluster(scores, clusters)], (level,), seed)
    return float(bounds[0, 0]), float(bounds[1, 0])


def bootstrap(
    tables: Sequence[tuple[NDArray[Any], Floats]], levels: Sequence[float] = (0.95,), seed: int = 0
) -> list[Floats]:
    """Percentile bootstrap of means over whole clusters (Davison & Hinkley 1997, Bootstrap Methods, 3.8 and 5.2;
    E. Miller 2024, arXiv 2411.00640, on why items that share a text must move together).

    Each table: sums over clusters, shape (C, k), and sizes of the clusters, shape (C, 1). Returns for each table the
    bounds of its k means, shape (2 * levels, k): low and high of the first level, then of the next. The
    bounds of a table of whole numbers depend on nothing but the table and the seed; of others the last bits may differ
    with the tables beside it.
    """
    import numpy as np

    shares = [tail for level in levels for tail in ((1 - level) / 2, (1 + level) / 2)]
    found: dict[int, Floats] = {}
    # all tables of a height at once: the machine multiplies one wide table much faster than many narrow ones
    for height in {len(sizes) for _, sizes in tables}:
        group = [n for n, (_, sizes) in enumerate(tables) if len(sizes) == height]
        widths = [tables[n][0].shape[1] for n in group]
        sums = np.hstack([tables[n][0] for n in group]).astype(np.float64, copy=False)
        sizes, owner = np.hstack([tables[n][1] for n in group]), np.repeat(np.arange(len(group)), widths)
        work = partial(_means, height, seed, sums, sizes, owner)
        means = np.concatenate([part for span in _in_threads(work, _spans(height)) for part in span])
        bounds = np.split(np.quantile(means, shares, axis=0), np.cumsum(widths)[:-1], axis=-1)
        found |= zip(group, bounds, strict=True)
    return [found[n] for n in range(len(tables))]


def _draws(clusters: int) -> int:
    """Resamples: 10,000, down to 2,000 where there are many clusters and a mean's distribution is smooth."""
    return max(DRAWS // 5, min(DRAWS, 4_000_000 // clusters))


def _means(
    clusters: int, seed: int, sums: Floats, sizes: Floats, owner: NDArray[np.int64], starts: range
) -> list[Floats]:
    """The means of the resamples that begin with these, shape (some, k) each."""
    drawn = _resamples(clusters, seed, starts)
    # of one column adding up what was drawn takes less than counting it
    if sums.shape[1] == 1 and clusters <= _AT_ONCE // 2:
        total, size = sums.ravel(), sizes.ravel()
        return [(total[places].sum(axis=1) / size[places].sum(axis=1))[:, None] for places in drawn]
    counted = map(_counts, drawn)
    return [(counts @ sums) / (counts @ sizes)[:, owner] for counts in counted]


_SPANS = 4
_MANY = 4_000_000
"""Random numbers from which on a bootstrap is worth several threads; while no more than _AT_ONCE / 2 are worked on for a
resample, since then memory is what is waited for."""


def _spans(clusters: int) -> list[range]:
    """The first resamples of what is worked on at once, split into parts. What is worked on together does not depend
    on the split."""
    starts = range(0, _draws(clusters), max(1, _AT_ONCE // clusters))
    parts = _SPANS if _draws(clusters) * clusters > _MANY and clusters <= _AT_ONCE // 2 else 1
    return [starts[len(starts) * n // parts : len(starts) * (n + 1) // parts] for n in range(parts)]


def _in_threads(work: Callable[[range], list[Floats]], spans: Sequence[range]) -> list[list[Floats]]:
    """What becomes of each span, in threads where there are several: numpy draws without the interpreter's lock."""
    if len(spans) == 1:
        return [work(spans[0])]
    with ThreadPoolExecutor(min(len(spans), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, spans))


def _resamples(clusters: int, seed: int, starts: range) -> Iterator[Integers]:
    """The places of the clusters that are drawn in the resamples that begin with these, shape (some, clusters)."""
    import numpy as np

    stream, draws = np.random.PCG64(seed), _draws(clusters)
    stream.advance(starts.start * clusters)
    for start in starts:
        rows = min(starts.step, draws - start)
        words = stream.random_raw(rows * clusters)
        # the upper 32 bits, scaled to 0…clusters-1: off from uniform by less than clusters / 2**32
        words >>= np.uint64(32)
        words *= np.uint64(clusters)
        words >>= np.uint64(32)
        yield words.view(np.int64).reshape(rows, clusters)


def _counts(places: Integers) -> Floats:
    """How often each cluster was drawn in each resample, of the same shape."""
    import numpy as np

    rows, clusters = places.shape
    places += np.arange(0, rows * clusters, clusters)[:, None]
    return np.bincount(places.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


# --- paired differences ------------------------------------------------------------------------------


def millionths(scores: Floats) -> Integers:
    """Scores as whole millionths, nearest, ties to even: 1/3 is 333,333. Differences of them are exact."""
    import numpy as np

    return np.rint(scores * UNIT).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences on the same items. values: integers, shape (n, k), `unit` of them to a whole score; clusters: n
    labels. For a against b: `millionths(a) - millionths(b)` with the unit UNIT."""

    values: Integers
    clusters: Sequence[str] | Integers
    unit: int = UNIT


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean differences with their 95 % and 90 % intervals and two-sided p values: shape (k,) each, in scores (0.05 is
    5 points). `low` to `high90` are nan with fewer than two clusters."""

    n: int
    clusters: int
    diff: Floats
    low: Floats
    high: Floats
    low90: Floats
    high90: Floats
    p: Floats


def against_others(scores: Floats) -> tuple[Integers, int]:
    """Each model's score less the mean of the others on the same item, as integers, and how many of them make a score.

    scores: shape (models, n), at least two models, no nan. Returns shape (n, models) and (models - 1) * UNIT:
    s - (total - s) / (k - 1) = (k * s - total) / (k - 1).
    """
    whole = millionths(scores)
    return (len(whole) * whole - whole.sum(axis=0)).T, (len(whole) - 1) * UNIT


def differences(problems: Sequence[Paired], seed: int = 0) -> list[Difference]:
    """Mean, cluster bootstrap intervals and sign-flip p of paired differences (Miller 2024, arXiv 2411.00640: pairing,
    clusters). All problems at once, since the same resamples serve them all; each result depends on its own problem
    only (and the intervals on `seed`). A problem without items is refused by ValueError."""
    if any(len(problem.values) == 0 for problem in problems):
        raise ValueError("a difference needs at least one item that both sides have")
    tables = [by_cluster(problem.values, problem.clusters) for problem in problems]
    bounds = bootstrap(tables, (0.95, 0.90), seed)
    tests = sign_flip([sums for sums, _ in tables])
    return [_difference(*each) for each in zip(problems, tables, bounds, tests, strict=True)]


def _difference(problem: Paired, table: tuple[Integers, Floats], bounds: Floats, p: Floats) -> Difference:
    import numpy as np

    sums, sizes = table
    count, n = len(sums), len(problem.values)
    diff = sums.sum(axis=0) / (n * problem.unit)
    if count < 2:
        bounds = np.full_like(bounds, np.nan)
    else:
        still = (sums * sizes[0] == sums[0] * sizes).all(axis=0)
        bounds = np.where(still, _unseen(diff, count), bounds / problem.unit)
    low, high, low90, high90 = bounds
    return Difference(n, count, diff, low, high, low90, high90, p)


def _unseen(diff: Floats, clusters: int) -> Floats:
    """Bounds (95 %, 90 %) where all clusters differ alike and resampling sees no spread: the largest share of clusters
    that could differ by anything in -1…1 and have none among those seen (C. J. Clopper & E. S. Pearson 1934,
    Biometrika 26:404-413, at none of n)."""
    import numpy as np

    shares = [1 - tail ** (1 / clusters) for tail in (0.025, 0.05)]
    return np.array([end for u in shares for end in ((1 - u) * diff - u, (1 - u) * diff + u)])


def sign_flip(tables: Sequence[Integers]) -> list[Floats]:
    """Two-sided permutation test of no difference: under it, a cluster's summed difference could as well have the other
    sign (R. A. Fisher 1935, The Design of Experiments, 21; P. Good 2005, Permutation, Parametric and Bootstrap Tests,
    3.6; whole clusters because items of one cluster are not free to differ).

    Each table: integer sums over clusters, shape (C, k). Returns p, shape (k,) each: the share of all 2**C flips whose
    sum lies as far from 0 as the observed one, or farther. All flips are counted, none drawn, by adding the clusters
    one at a time to the distribution of the sum (M. Pagano & D. Tritchler 1983, JASA 78:435-440). Two things bound the
    work, and the test stays exact, since what they make of a difference changes sign with it: beyond BLOCKS clusters
    neighbours are flipped together, and sizes that together are more than STEPS times their greatest common divisor
    are rounded to steps.
    """
    import numpy as np

    return [np.array([_share_of_flips(column) for column in _blocks(sums).T]) for sums in tables]


def _blocks(sums: Integers) -> Integers:
    """Sums over at most BLOCKS groups of neighbouring rows."""
    import numpy as np

    if len(sums) <= BLOCKS:
        return sums
    blocks: Integers = np.add.reduceat(sums, np.arange(BLOCKS) * len(sums) // BLOCKS, axis=0)
    return blocks


def _share_of_flips(sums: Integers) -> float:
    """`sign_flip` of one column. A flip's sum is that of all sizes less twice that of the negative ones. So it is at least
    the observed one where the negative sizes add up to at most `most`, and as often it is at most minus that."""
    import numpy as np

    steps = _in_steps(sums)
    sizes = np.sort(np.abs(steps[steps != 0]))
    most = int(sizes.sum() - abs(steps.sum())) // 2
    # the shares of the flips whose negative sizes add up to 0, 1, … most; additions in a fixed order, of numbers that are
    # exact up to 52 clusters, so the same on every machine
    share, longer = np.zeros(most + 1), np.zeros(most + 1)
    share[0] = 0.5 ** len(sizes)
    reached = 0
    for size in sizes[sizes <= most].tolist():
        reached = min(reached + size, most)
        longer[:size] = share[:size]
        np.add(share[size : reached + 1], share[: reached + 1 - size], out=longer[size : reached + 1])
        share, longer = longer, share
    return min(1.0, 2 * float(np.add.accumulate(share)[-1]))


def _in_steps(sums: Integers) -> Integers:
    """The sums in whole steps, half a step away from 0: nothing is lost where they are at most STEPS divisors in all."""
    import numpy as np

    sizes = np.abs(sums)
    step = max(int(np.gcd.reduce(sums)), -(-int(sizes.sum()) // STEPS), 1)
    steps: Integers = np.sign(sums) * ((2 * sizes + step) // (2 * step))
    return steps


# --- verdicts ----------------------------------------------------------------------------------------


def holm(p: Floats) -> Floats:
    """Adjusted p values that hold the error rate of the whole family (S. Holm 1979, Scand. J. Statist. 6:65-70).

    p: shape (m,), no nan. Returns shape (m,), at most 1, in the order given.
    """
    import numpy as np

    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def equivalent(low90: float, high90: float, margin: float) -> bool:
    """Two one-sided tests at 5 % each: equivalent where the 90 % interval lies inside ±margin (D. J. Schuirmann 1987,
    J. Pharmacokinet. Biopharm. 15:657-680). nan is not equivalent."""
    return -margin < low90 and high90 < margin


def mcnemar(better: int, worse: int, mid: bool = False) -> float:
    """Exact two-sided p of McNemar's test for right-or-wrong scores (Q. McNemar 1947, Psychometrika 12:153-157), from
    the two counts of items that changed. `mid`: count the observed table by half (M. W. Fagerland, S. Lydersen &
    P. Laake 2013, BMC Med. Res. Methodol. 13:91): less cautious, and closer to its level.

    Holds for items that are clusters of their own; else use `sign_flip`.
    """
    n, fewer = better + worse, min(better, worse)
    ways = [math.comb(n, k) for k in range(fewer + 1)]
    whole = min(1.0, 2 * sum(ways) / (1 << n))
    # the observed table stands in both tails, and where both counts are equal in one
    half = ways[-1] / (1 << (n + (better == worse)))
    return whole - half if mid else whole


def minimum_detectable(
    low: float, high: float, comparisons: int, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest true difference that is found with this power beside so many others (Miller 2024, arXiv 2411.00640,
    5; the level of Holm's first step, alpha / comparisons): (z(1 - alpha / 2m) + z(power)) standard errors.

    low, high: the 95 % interval of a difference, from which its standard error is read. In scores (0.05 is 5 points);
    None where it would be above 1, since no two scores differ by more: so few items can show no difference at all.
    """
    return _detectable((high - low) / (2 * Z95), alpha / (2 * comparisons), power)


def minimum_shift(error: float, comparisons: int, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """`minimum_detectable` of a one-sided test, from the standard error itself."""
    return _detectable(error, alpha / comparisons, power)


def _detectable(error: float, level: float, power: float) -> float | None:
    normal = NormalDist()
    found = (normal.inv_cdf(1 - level) + normal.inv_cdf(power)) * error
    return found if found <= 1 else None


# --- two groups of clusters, stratum by stratum -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shift:
    """How much higher the first group stands: the difference in scores, the standard deviation that it has by chance, and
    the one-sided p value."""

    diff: float
    error: float
    p: float


def shift(blocks: Sequence[tuple[Floats, NDArray[np.bool_]]], draws: int = LOTS, seed: int = 0) -> list[Shift]:
    """Permutation test of a first group against a second, within blocks of alike clusters: had the groups been drawn by
    lot, any other draw of the same sizes would have been as likely (P. Good 2005, 3.4, stratified). Blocks are weighted
    by n1 n2 / (n1 + n2), the inverse of what their difference varies (N. Mantel & W. Haenszel 1959, JNCI 22:719).

    Each block: scores of its clusters, shape (c, k), and which are of the second group, shape (c,). Returns one Shift for
    each of the k columns, all tested by the same draws. Raises ValueError where no block has clusters of both.
    """
    import numpy as np

    usable = [(millionths(v), second) for v, second in blocks if second.any() and not second.all()]
    if not usable:
        raise ValueError("no block has clusters of both groups")
    scale = UNIT * sum(float((~s).sum() * s.sum() / len(s)) for _, s in usable)
    # first less second, times its weight, is (sum of all) * n2 / n less the second's sum: only that sum changes
    observed = sum(v[s].sum(axis=0) for v, s in usable)
    expected = sum(v.sum(axis=0) * (s.sum() / len(s)) for v, s in usable)
    stream, sums = np.random.PCG64(seed), np.zeros((draws, usable[0][0].shape[1]))
    for values, second in usable:
        for at, picked in _lots(stream, draws, len(second), int(second.sum())):
            sums[at : at + len(picked)] += picked @ values
    p = ((sums <= observed).sum(axis=0) + 1) / (draws + 1)
    told = zip((expected - observed) / scale, sums.std(axis=0) / scale, p, strict=True)
    return [Shift(float(diff), float(error), float(each)) for diff, error, each in told]


def _lots(stream: np.random.PCG64, draws: int, count: int, taken: int) -> Iterator[tuple[int, Floats]]:
    """Draws of `taken` out of `count` without putting back: where they start, and 1 for each that is taken, shape (some, count)."""
    import numpy as np

    step = max(1, _AT_ONCE // count)
    for at in range(0, draws, step):
        rows = min(step, draws - at)
        keys = stream.random_raw(rows * count).reshape(rows, count)
        picked = np.zeros((rows, count))
        np.put_along_axis(picked, np.argpartition(keys, taken - 1, axis=1)[:, :taken], 1.0, axis=1)
        yield at, picked
