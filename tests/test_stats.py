"""Intervals: against published values, against the closed form, and in what makes one wider than another."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmmbench import stats


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_values(successes: int, n: int, low: float, high: float) -> None:
    """R. G. Newcombe 1998 (Statistics in Medicine 17:857-872), table I, method 3: the score interval."""
    assert list(stats.wilson(successes, n)) == pytest.approx([low, high], abs=5e-5)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_the_score_equation(drawn: tuple[int, int]) -> None:
    """Each bound is a share p at which the observed one lies z standard errors away: (x/n - p)² = z² p(1-p)/n."""
    successes, n = drawn
    low, high = stats.wilson(successes, n)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= successes / n <= high + 1e-12
    for bound in (low, high):
        if 0 < bound < 1:
            distance = (successes / n - bound) ** 2 - stats.Z95**2 * bound * (1 - bound) / n
            assert distance == pytest.approx(0, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_symmetric(drawn: tuple[int, int]) -> None:
    """The interval of the failures is the mirror of that of the successes; it is never a single point."""
    successes, n = drawn
    low, high = stats.wilson(successes, n)
    assert list(stats.wilson(n - successes, n)) == pytest.approx([1 - high, 1 - low])
    assert low < high


def test_wilson_needs_an_item() -> None:
    """Nothing measured is no interval, not [0, 1]."""
    with pytest.raises(ValueError, match="at least one"):
        stats.wilson(0, 0)


def width(scores: Sequence[float] | NDArray[np.float64], clusters: Sequence[str]) -> float:
    low, high = stats.cluster_bootstrap(np.asarray(scores, dtype=np.float64), clusters)
    return high - low


def alone(n: int) -> list[str]:
    """Every item a cluster of its own."""
    return [f"c{k}" for k in range(n)]


def in_pairs(n: int) -> list[str]:
    """Items two by two in a cluster."""
    return [f"c{k // 2}" for k in range(n)]


SCORES = np.random.Generator(np.random.PCG64(1)).beta(2, 3, size=200)


def test_the_bootstrap_can_be_reproduced() -> None:
    """The same scores give the same interval, bit by bit, and a seed of its own gives another; the level widens it."""
    pairs = in_pairs(200)
    assert stats.cluster_bootstrap(SCORES, pairs) == stats.cluster_bootstrap(SCORES.copy(), list(pairs))
    assert stats.cluster_bootstrap(SCORES, pairs) != stats.cluster_bootstrap(SCORES, pairs, seed=1)
    low, high = stats.cluster_bootstrap(SCORES, pairs)
    low99, high99 = stats.cluster_bootstrap(SCORES, pairs, level=0.99)
    assert low99 < low < SCORES.mean() < high < high99


def test_the_bootstrap_of_single_clusters_is_the_plain_one() -> None:
    """Where each item stands alone, the width is that of mean ± 1.96 s/√n, and of resampling items one by one."""
    normal = 2 * stats.Z95 * SCORES.std() / math.sqrt(len(SCORES))
    rng = np.random.Generator(np.random.PCG64(2))
    plain = SCORES[rng.integers(0, 200, size=(10_000, 200))].mean(axis=1)
    low, high = np.quantile(plain, [0.025, 0.975])
    assert width(SCORES, alone(200)) == pytest.approx(normal, rel=0.05)
    assert width(SCORES, alone(200)) == pytest.approx(float(high - low), rel=0.05)


def test_items_that_say_the_same_thing_twice_count_once() -> None:
    """Two items of a cluster with the same score hold the information of one: the interval is √2 wider than if the
    400 items were taken for independent, and as wide as that of the 200."""
    doubled = np.repeat(SCORES, 2)
    assert width(doubled, in_pairs(400)) == pytest.approx(width(SCORES, alone(200)), rel=0.05)
    assert width(doubled, in_pairs(400)) == pytest.approx(math.sqrt(2) * width(doubled, alone(400)), rel=0.07)


def test_the_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    """Over 200 made-up samples of correlated pairs with a known mean, about 95 % of the intervals hold it; taking
    the items for independent, clearly fewer do."""
    rng = np.random.Generator(np.random.PCG64(3))
    held = naive = 0
    for _ in range(200):
        scores = np.repeat(rng.random(30) < 0.4, 2).astype(np.float64)
        low, high = stats.cluster_bootstrap(scores, in_pairs(60))
        held += low <= 0.4 <= high
        low, high = stats.wilson(int(scores.sum()), 60)
        naive += low <= 0.4 <= high
    assert 180 <= held <= 198
    assert naive < held - 10


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcdef")), min_size=1, max_size=20))
def test_an_interval_is_one_whatever_was_measured(drawn: list[tuple[float, str]]) -> None:
    """For any scores and clusters: two numbers within 0…1 in their order, never nan, and never a claim of certainty
    where there are few items."""
    scores, clusters = np.array([s for s, _ in drawn]), [c for _, c in drawn]
    low, high, method = stats.interval(scores, clusters)
    assert 0 <= low <= high <= 1
    if method == "cluster-bootstrap":
        assert scores.min() - 1e-9 <= low
        assert high <= scores.max() + 1e-9
    else:
        assert low - 1e-9 <= scores.mean() <= high + 1e-9
    if np.ptp(scores) == 0:
        assert low < high


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from("abcdef")), min_size=2, max_size=20), st.randoms())
def test_the_order_of_items_changes_nothing(drawn: list[tuple[int, str]], rng: random.Random) -> None:
    """The interval is that of a set of items, not of a list."""
    shuffled = list(drawn)
    rng.shuffle(shuffled)
    one, other = (stats.interval(np.array([s / 8 for s, _ in x]), [c for _, c in x]) for x in (drawn, shuffled))
    assert one[2] == other[2]
    assert one[:2] == pytest.approx(other[:2], abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "clusters", "method"),
    [
        ([1, 0, 1], ["a", "b", "c"], "wilson"),
        ([1], ["a"], "wilson"),
        ([1, 0, 1], ["a", "a", "b"], "cluster-bootstrap"),
        ([1, 0, 0.5], ["a", "b", "c"], "cluster-bootstrap"),
        ([1, 1, 1], ["a", "a", "b"], "wilson-clusters"),
        ([0.5, 0.5], ["a", "b"], "wilson-clusters"),
        ([0.5], ["a"], "wilson-clusters"),
        ([1, 0], ["a", "a"], "none"),
    ],
)
def test_the_method_follows_from_the_scores(scores: list[float], clusters: list[str], method: str) -> None:
    """Wilson for right-or-wrong items that stand alone; Wilson over clusters where all scores are the same, since
    resampling would claim certainty; whole clusters otherwise; a single cluster with a spread says nothing: 0 to 1."""
    array = np.array(scores, dtype=np.float64)
    low, high, used = stats.interval(array, clusters)
    expected = {
        "wilson": lambda: stats.wilson(int(sum(scores)), len(scores)),
        "wilson-clusters": lambda: stats.wilson(scores[0] * len(set(clusters)), len(set(clusters))),
        "cluster-bootstrap": lambda: stats.cluster_bootstrap(array, clusters),
        "none": lambda: (0.0, 1.0),
    }
    assert (low, high, used) == (*expected[method](), method)
