"""Intervals: against published values, against the closed form, and in what makes one wider than another."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

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


def pcg64(seed: int, count: int) -> list[int]:
    """Words of PCG64 (XSL RR 128/64) from its published recurrence (M. E. O'Neill 2014), started where numpy starts."""
    state = np.random.PCG64(seed).state["state"]
    at, step, words = int(state["state"]), int(state["inc"]), []
    for _ in range(count):
        at = (at * 0x2360ED051FC65DA44385DF649FCCF645 + step) % 2**128
        mixed, turn = (at >> 64) ^ (at & (2**64 - 1)), at >> 122
        words.append(((mixed >> turn) | (mixed << (64 - turn))) % 2**64)
    return words


def test_the_bootstrap_is_the_same_on_every_machine() -> None:
    """Written out with Python's own integers, bit for bit: the upper half of each word, scaled, is the cluster drawn."""
    scores = [0.25, 1.0, 0.5]
    places = [(word >> 32) * 3 >> 32 for word in pcg64(5, 3 * stats.DRAWS)]
    means = [sum(scores[k] for k in places[n : n + 3]) / 3 for n in range(0, len(places), 3)]
    assert stats.cluster_bootstrap(np.array(scores), alone(3), seed=5) == tuple(np.quantile(means, [0.025, 0.975]))


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


# --- against other people's digits (imported where they are needed: every process collects this file) --


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (41, 80), (80, 80), (813, 1000)])
def test_wilson_is_that_of_statsmodels(successes: int, n: int) -> None:
    """To the digit."""
    from statsmodels.stats.proportion import proportion_confint

    theirs = proportion_confint(successes, n, alpha=0.05, method="wilson")
    assert list(stats.wilson(successes, n)) == pytest.approx(list(theirs), abs=1e-14)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([0.0001, 0.001, 0.004, 0.01, 0.01, 0.03, 0.2, 0.9, 1.0]), min_size=1, max_size=40))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    """To the digit, ties and all, and in the order given."""
    from statsmodels.stats.multitest import multipletests

    theirs = multipletests(p, method="holm")[1]
    assert stats.holm(np.array(p)).tolist() == pytest.approx(theirs.tolist(), abs=1e-15)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (0, 1), (1, 1), (5, 0), (7, 3), (12, 29), (20, 20), (310, 240)])
def test_mcnemar_is_that_of_statsmodels_and_scipy(better: int, worse: int) -> None:
    """The exact p to the digit; mid-p counts the observed table by half in each tail, so that two-sided tails of all tables
    together are one."""
    import scipy.stats
    from statsmodels.stats.contingency_tables import mcnemar

    p = stats.mcnemar(better, worse)
    if better + worse:
        assert p == pytest.approx(scipy.stats.binomtest(better, better + worse, 0.5).pvalue, rel=1e-12)
        assert p == pytest.approx(float(mcnemar([[9, better], [worse, 9]], exact=True).pvalue), rel=1e-9)
    n = better + worse
    weights = scipy.stats.binom.pmf(range(n + 1), n, 0.5)
    shares = abs(np.arange(n + 1) - n / 2)
    seen = shares[better]
    by_half = weights[shares > seen].sum() + 0.5 * weights[shares == seen].sum()
    assert stats.mcnemar(better, worse, mid=True) == pytest.approx(by_half, rel=1e-9)
    assert stats.mcnemar(better, worse) == stats.mcnemar(worse, better)


@settings(max_examples=20)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=11))
def test_the_sign_flip_is_that_of_scipy_where_all_flips_are_tried(sums: list[int]) -> None:
    """To the digit, with ties: few values and zeros make many."""
    import scipy.stats

    theirs = scipy.stats.permutation_test(
        (np.array(sums, dtype=float), np.zeros(len(sums))), lambda x, y: abs((x - y).sum()), permutation_type="samples",
        alternative="greater", n_resamples=np.inf, vectorized=False,
    )  # fmt: skip
    (p,) = stats.sign_flip([np.array(sums)[:, None]])
    assert p.tolist() == [pytest.approx(theirs.pvalue, abs=1e-15)]


def share_of_flips(sums: Sequence[int]) -> Fraction:
    """The share of flips whose sum is as far from 0 as the observed one, or farther: Python's own integers, one
    cluster after the other."""
    ways = Counter({0: 1})
    for size in sums:
        ways = Counter({s: ways[s - size] + ways[s + size] for at in ways for s in (at - size, at + size)})
    return Fraction(sum(n for s, n in ways.items() if abs(s) >= abs(sum(sums))), 2 ** len(sums))


@settings(max_examples=30)
@given(st.lists(st.integers(-70, 70), min_size=1, max_size=40))
def test_every_flip_is_counted_to_the_last_bit(sums: list[int]) -> None:
    """However many there are: the whole number of hits over the whole number of flips. In other units the same."""
    for unit in (1, 41_667):
        (p,) = stats.sign_flip([np.array(sums)[:, None] * unit])
        assert p.tolist() == [float(share_of_flips(sums))]


@settings(max_examples=30)
@given(st.integers(0, 597), st.integers(0, 400))
def test_where_all_clusters_differ_by_as_much_it_is_mcnemar_s_test(better: int, worse: int) -> None:
    """The flips of ±1 are a binomial: the same p, down to 1e-180, and none is ever 0."""
    sums = np.repeat([7, -7, 0], [better, worse, 3])
    (p,) = stats.sign_flip([sums[:, None]])
    assert p.tolist() == [pytest.approx(stats.mcnemar(better, worse), rel=1e-11)]
    assert p[0] > 0


def test_rounding_to_steps_hardly_moves_a_p_value() -> None:
    """Millionths that have no divisor in common are rounded: p is that of all 2**18 flips of the millionths but for about
    a hundredth of itself."""
    patterns = 1 - 2 * ((np.arange(2**18)[:, None] >> np.arange(18)) & 1)
    for seed in range(5):
        sums = np.random.Generator(np.random.PCG64(seed)).integers(-900_000, 1_500_000, size=18)
        (p,) = stats.sign_flip([sums[:, None]])
        assert p.tolist() == [pytest.approx((abs(patterns @ sums) >= abs(sums.sum())).mean(), rel=0.02)]


@pytest.mark.parametrize(("clusters", "blocks"), [(10, 1000), (11, 1000), (10, 5), (11, 4)])
def test_the_sign_flip_is_exact_whatever_it_rounds_or_joins(
    clusters: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all flips of any data, p <= a comes in at most the share a: with millionths that are rounded to few steps, and
    with neighbours that are flipped together."""
    monkeypatch.setattr(stats, "BLOCKS", blocks)
    monkeypatch.setattr(stats, "STEPS", 64)
    patterns = 1 - 2 * ((np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1)
    sums = np.random.Generator(np.random.PCG64(17)).integers(-900_000, 900_000, size=clusters)
    (p,) = stats.sign_flip([(patterns * sums).T])
    assert len(np.unique(p)) > 4
    assert all((p <= a).mean() <= a for a in np.unique(p))


def test_many_clusters_are_tested_in_blocks() -> None:
    """2,500 clusters of ±1 are flipped in a thousand blocks of two or three: p comes near that of McNemar's test, which
    flips each, and is never 0 however clear the difference."""
    rng = np.random.Generator(np.random.PCG64(19))
    sums = rng.permutation(np.repeat([1, -1], [1310, 1190]))
    near, clear = stats.sign_flip([sums[:, None], np.ones((2500, 1), dtype=np.int64)])
    assert near[0] == pytest.approx(stats.mcnemar(1310, 1190), rel=0.3)
    assert 0 < clear[0] < 1e-250


def test_a_p_value_depends_on_its_own_table_only() -> None:
    """Tested alone or beside others, of whatever heights: the same p, bit for bit; so do the intervals."""
    rng = np.random.Generator(np.random.PCG64(9))
    tables = [
        rng.integers(-9, 9, size=(n, k)) for n, k in ((5, 1), (40, 3), (40, 1), (63, 1), (64, 2), (200, 1), (200, 2))
    ]
    sizes = [np.ones((len(t), 1)) for t in tables]
    for table, size, p, bounds in zip(
        tables, sizes, stats.sign_flip(tables), stats.bootstrap(list(zip(tables, sizes, strict=True))), strict=True
    ):
        assert stats.sign_flip([table])[0].tolist() == p.tolist()
        assert stats.bootstrap([(table, size)])[0].tolist() == bounds.tolist()


def test_the_sign_flip_keeps_its_level() -> None:
    """Under no difference p < .05 comes at most about once in twenty, with whole clusters flipped; and flipping items of
    a cluster one by one it would come far more often."""
    rng = np.random.Generator(np.random.PCG64(11))
    pairs = rng.integers(-3, 4, size=(40, 2000))
    together, apart = stats.sign_flip([2 * pairs, np.repeat(pairs, 2, axis=0)])
    assert 0.03 < (together < 0.05).mean() < 0.065
    assert (apart < 0.05).mean() > 0.1


# --- paired differences ------------------------------------------------------------------------------


def difference(values: NDArray[np.int64], clusters: Sequence[str], unit: int = 1) -> stats.Difference:
    return stats.differences([stats.Paired(values.reshape(len(clusters), -1), clusters, unit)])[0]


def test_scores_are_compared_in_whole_millionths() -> None:
    """A third is 333,333, half way goes to even, and ten thousand times 0.1 is a thousand."""
    assert stats.millionths(np.array([1 / 3, 2 / 3, 1.0, 0.0000005, 0.0000015])).tolist() == [333_333, 666_667, 1_000_000, 0, 2]  # fmt: skip
    assert stats.millionths(np.full(10_000, 0.1)).sum() == 1_000 * stats.UNIT


def test_a_model_is_compared_with_the_mean_of_the_others() -> None:
    """Its score less theirs, item by item; the differences of all models add up to nothing."""
    scores = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, 1.0], [1.0, 1.0, 0.25]])
    values, unit = stats.against_others(scores)
    by_hand = [scores[m] - np.delete(scores, m, axis=0).mean(axis=0) for m in range(3)]
    assert (values / unit).T.tolist() == pytest.approx(np.array(by_hand))
    assert values.sum(axis=1).tolist() == [0, 0, 0]


def test_five_points_are_five_points() -> None:
    """A difference that is exactly .05 is not .049999: it is one division of whole numbers."""
    values = np.array([1] * 4 + [0] * 76, dtype=np.int64)
    assert difference(values * stats.UNIT, alone(80), stats.UNIT).diff.tolist() == [0.05]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-4, 4), st.sampled_from("abcdefghijklmnopqrstu")), min_size=1, max_size=60),
    st.randoms(),
)
def test_no_order_of_items_moves_a_difference(drawn: list[tuple[int, str]], rng: random.Random) -> None:
    """Difference, intervals and p are those of a set of items: the same to the last bit in any order."""
    shuffled = list(drawn)
    rng.shuffle(shuffled)
    one, other = (difference(np.array([v for v, _ in x]), [c for _, c in x], 4) for x in (drawn, shuffled))
    for name in ("n", "clusters", "diff", "low", "high", "low90", "high90", "p"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    """95 of 100, over 400 made-up samples of clusters of two; the 90 % interval lies within it."""
    rng = np.random.Generator(np.random.PCG64(13))
    values = np.repeat(rng.integers(-1, 3, size=(60, 400)), 2, axis=0)
    found = difference(values, in_pairs(120))
    held = ((found.low <= 0.5) & (found.high >= 0.5)).mean()
    assert 0.92 <= held <= 0.975
    assert ((found.low <= found.low90) & (found.high90 <= found.high)).all()


def test_no_spread_is_no_certainty() -> None:
    """Forty clusters that all agree leave room for one in eleven that would not; one cluster says nothing."""
    found = difference(np.zeros(40, dtype=np.int64), alone(40))
    assert (found.low[0], found.high[0]) == (-found.high[0], pytest.approx(1 - 0.025 ** (1 / 40)))
    assert difference(np.array([1, 1]), ["a", "a"]).p.tolist() == [1.0]
    assert math.isnan(difference(np.array([1, 1]), ["a", "a"]).low[0])
    with pytest.raises(ValueError, match="at least one item"):
        stats.differences([stats.Paired(np.zeros((0, 1), dtype=np.int64), [])])


@pytest.mark.parametrize(
    ("low", "high", "inside"),
    [(-0.04, 0.04, True), (-0.05, 0.04, False), (-0.04, 0.05, False), (0.01, 0.06, False), (math.nan, math.nan, False)],
)
def test_equivalence_is_the_whole_interval_inside_the_margin(low: float, high: float, inside: bool) -> None:
    """Schuirmann's two one-sided tests: a bound on the margin is not inside, and what is not known is not equivalent."""
    assert stats.equivalent(low, high, 0.05) is inside


def test_the_detectable_difference_is_found_as_often_as_it_says() -> None:
    """The closed form against the normal law: at the detectable difference, beside 127 others, power is 80 %."""
    import scipy.stats

    least = stats.minimum_detectable(-1.96 * 0.02, 1.96 * 0.02, comparisons=128)
    needed = scipy.stats.norm.isf(0.05 / 256) * 0.02
    assert scipy.stats.norm.sf(needed, least, 0.02) == pytest.approx(0.8, abs=1e-4)


def test_no_difference_is_promised_that_no_scores_can_have() -> None:
    """Above 100 points there is nothing to detect: null, at any size that gives such an interval, two-sided or one-sided."""
    assert stats.minimum_detectable(-1.0, 1.0, comparisons=16) is None
    assert stats.minimum_shift(0.5, comparisons=16) is None
    assert stats.minimum_detectable(-0.4, 0.4, comparisons=1) == pytest.approx(0.5718, abs=1e-4)
