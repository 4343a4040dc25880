"""The field and its labels: each rule, in its order, and what must never move one. All models here are made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lmmbench import bench, plan, stats
from lmmbench.analysis import field, matrix, profile
from lmmbench.analysis.field import Cell
from lmmbench.faults import UsageError
from tests import simulate
from tests.simulate import Model

FOUR = ("sim-a", "sim-b", "sim-c", "sim-d")
PACK = {"mini": {"one": 100}}


def cells_of(folder: Path) -> dict[tuple[str, str], Cell]:
    """The published matrix by (model, cell)."""
    return {(c["model"], c["cell"]): c for c in matrix.read(folder)}


def labels(folder: Path) -> dict[tuple[str, str], str | None]:
    return {key: cell["label"] for key, cell in cells_of(folder).items()}


def four(**gaps: float) -> dict[str, Model]:
    """Four models, with a gap in the pack `mini` for some: four(a=2.0)."""
    return {f"sim-{k}": Model(gap={"mini": gaps.get(k, 0.0)}) for k in "abcd"}


# --- one rule after the other -------------------------------------------------------------------------


def told(**more: Any) -> str:
    """The label of a cell that is a clear strength but for `more`."""
    about: dict[str, Any] = {"clusters": 40, "field_mean": 0.6, "chance": 0.25, "even": False}
    about |= {k: more.pop(k) for k in list(more) if k in about}
    cell: Cell = {"n_scored": 80, "truncated_rate": 0.05, "p_adj": 0.0499, "diff": 0.05}
    return field.label(cell | more, **about)


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({}, "strength"),
        ({"diff": -0.05}, "weakness"),
        # each threshold, at its edge
        ({"n_scored": 79}, "thin"), ({"clusters": 39}, "thin"), ({"truncated_rate": 0.0501}, "thin"),
        ({"p_adj": 0.05}, "unclear"), ({"diff": 0.0499}, "unclear"), ({"diff": -0.0499}, "unclear"),
        ({"field_mean": 0.95}, "strength"), ({"field_mean": 0.9501}, "saturated"), ({"field_mean": 0.3}, "saturated"),
        ({"field_mean": 0.3001}, "strength"), ({"field_mean": 0.55, "chance": 0.5}, "saturated"),
        ({"field_mean": 0.2}, "saturated"), ({"field_mean": 0.19}, "strength"),
        ({"even": True, "p_adj": 0.5}, "even"), ({"even": True, "diff": 0.01}, "even"),
        # their order: thin, saturated, strength and weakness, even, unclear
        ({"n_scored": 79, "field_mean": 0.99, "even": True}, "thin"),
        ({"field_mean": 0.99, "even": True}, "saturated"),
        ({"even": True}, "strength"),
        # a chance that is not known saturates nothing
        ({"field_mean": 0.25, "chance": float("nan")}, "strength"),
    ],
)  # fmt: skip
def test_the_first_rule_that_holds_gives_the_label(more: dict[str, Any], label: str) -> None:
    """The rules at the top of lmmbench/analysis/field.py, in their order, each at its edge."""
    assert told(**more) == label


def test_a_true_strength_and_a_true_weakness_are_found(tmp_path: Path) -> None:
    """Far better and far worse than the others over 100 items: labelled so, in the pack and in its stratum, with the
    difference, its interval and both p values beside it."""
    cells = cells_of(simulate.run(tmp_path, four(a=2.5, d=-2.5), PACK))
    for cell in ("mini", "mini/one"):
        assert [cells[m, cell]["label"] for m in ("sim-a", "sim-d")] == ["strength", "weakness"]
    found = cells["sim-a", "mini"]
    assert found["diff_low"] < found["diff"] < found["diff_high"]
    assert 0 < found["p"] <= found["p_adj"] < 0.05
    others = np.mean([cells[m, "mini"]["mean"] for m in FOUR[1:]])
    assert found["diff"] == pytest.approx(found["mean"] - others, abs=1e-6)


def test_holm_runs_over_packs_and_strata_together(tmp_path: Path) -> None:
    """Every p of the matrix is in one family: adjusting them all at once gives p_adj."""
    folder = simulate.run(tmp_path, four(a=0.8), {"mini": {"one": 60, "two": 50}, "other": {"x": 90}})
    compared = [c for c in matrix.read(folder) if c["p"] is not None]
    assert len(compared) == 4 * 5
    assert [c["p_adj"] for c in compared] == stats.holm(np.array([c["p"] for c in compared])).tolist()


def test_the_profile_is_a_model_against_itself(tmp_path: Path) -> None:
    """profile_diff = diff less the mean of the model's diffs over the packs' cells; over the packs it adds up to nothing."""
    folder = simulate.run(tmp_path, four(a=-1.0), {"mini": {"one": 90}, "other": {"x": 45, "y": 45}})
    for model in FOUR:
        mine = [c for c in matrix.read(folder) if c["model"] == model]
        mean = sum(c["diff"] for c in mine if c["kind"] == "pack") / 2
        assert [c["profile_diff"] for c in mine] == pytest.approx([c["diff"] - mean for c in mine])
        assert sum(c["profile_diff"] for c in mine if c["kind"] == "pack") == pytest.approx(0)


# --- who is in the field ------------------------------------------------------------------------------


def test_reference_models_are_never_in_the_field_and_never_labelled(tmp_path: Path) -> None:
    """With three others there is a field; a reference model is a row that moves nothing."""
    three = {m: s for m, s in four(a=2.5).items() if m != "sim-d"}
    alone = cells_of(simulate.run(tmp_path / "alone", three, PACK))
    beside = cells_of(simulate.run(tmp_path / "beside", three | {"sim-d": Model(region="reference")}, PACK))
    assert beside["sim-d", "mini"]["mean"] is not None
    for column in ("diff", "diff_low", "p", "p_adj", "profile_diff", "label", "field_sha"):
        assert beside["sim-d", "mini"][column] is None
    assert {k: c for k, c in beside.items() if k[0] != "sim-d"} == alone


def test_two_models_are_no_field(tmp_path: Path) -> None:
    """With fewer than three there is nothing to be compared with: all is null."""
    two = {"sim-a": Model(gap={"mini": 3.0}), "sim-b": Model(), "sim-c": Model(region="reference")}
    for cell in cells_of(simulate.run(tmp_path, two, PACK)).values():
        assert {cell[n] for n in ("label", "diff", "p", "p_adj", "profile_diff", "field_sha")} == {None}


def lose(model: str, items: Sequence[int], how: str = "error") -> simulate.Change:
    """What befalls some items of a model."""
    return lambda m, asked: how if m == model and int(asked.item.id[-4:]) in items else None


def test_a_model_with_too_little_coverage_is_not_in_the_field(tmp_path: Path) -> None:
    """Nine in ten is enough, less is not: then the others are compared among themselves."""
    enough = cells_of(simulate.run(tmp_path / "enough", four(), PACK, change=lose("sim-d", range(10))))
    less = cells_of(simulate.run(tmp_path / "less", four(), PACK, change=lose("sim-d", range(11))))
    assert enough["sim-d", "mini"]["label"] is not None
    assert less["sim-d", "mini"]["label"] is less["sim-d", "mini"]["diff"] is None
    three = {m: s for m, s in four().items() if m != "sim-d"}
    without = cells_of(simulate.run(tmp_path / "without", three, PACK))
    assert {k: c for k, c in less.items() if k[0] != "sim-d"} == without


def test_the_field_s_hash_names_its_models_and_packs(tmp_path: Path) -> None:
    """The same models and pack give the same hash, in any order; another model or another pack another."""
    one = cells_of(simulate.run(tmp_path / "one", four(), PACK))
    turned = dict(reversed(four().items()))
    other = cells_of(simulate.run(tmp_path / "other", turned, PACK))
    more = cells_of(simulate.run(tmp_path / "more", four() | {"sim-e": Model()}, PACK))
    changed = cells_of(simulate.run(tmp_path / "changed", four(), {"mini": {"one": 101}}))
    (sha,) = {c["field_sha"] for c in one.values()}
    assert {c["field_sha"] for c in other.values()} == {sha}
    assert sha == field.sha(FOUR, [plan.load(tmp_path / "one/results/sim").packs["mini"].sha])
    assert sha not in {c["field_sha"] for c in [*more.values(), *changed.values()]}


def test_truncated_answers_make_a_cell_thin(tmp_path: Path) -> None:
    """More than five in a hundred: no word, however clear the difference; the others keep theirs."""
    found = labels(simulate.run(tmp_path, four(a=2.5, d=-2.5), PACK, change=lose("sim-a", range(6), "truncated")))
    assert found["sim-a", "mini"] == "thin"
    assert found["sim-d", "mini"] == "weakness"


def test_items_of_one_cluster_are_not_many(tmp_path: Path) -> None:
    """Two hundred items of twenty clusters cannot carry a word."""
    found = labels(simulate.run(tmp_path, four(a=3.0), {"mini": {"one": 200}}, per_cluster=10))
    assert set(found.values()) == {"thin"}


# --- what moves no label ------------------------------------------------------------------------------


SCORES = np.random.Generator(np.random.PCG64(21)).integers(0, 5, size=(5, 3, 96)) / 4


def judged(scores: NDArray[np.float64], models: Sequence[int], items: Sequence[int], cells: Sequence[int]) -> dict[tuple[int, int], Cell]:  # fmt: skip
    """Cells by (model, cell) of scores of shape (models, cells, items), taken in these orders. Model 0 is better."""
    lifted = scores.copy()
    lifted[0] = np.minimum(1, lifted[0] + 0.3)
    clusters = np.arange(scores.shape[2]) // 2
    row: Cell = {"n_scored": 96, "truncated_rate": 0.0}
    contests = [
        field.Contest([dict(row) for _ in models], lifted[np.ix_(models, [c], items)][:, 0], clusters[items], 0.0)
        for c in cells
    ]
    field.compare(contests)
    return {(m, c): cell for c, contest in zip(cells, contests, strict=True) for m, cell in zip(models, contest.cells, strict=True)}  # fmt: skip


@settings(max_examples=15)
@given(st.permutations(range(5)), st.permutations(range(3)), st.randoms())
def test_no_order_of_models_items_or_cells_moves_a_label(
    models: list[int], cells: list[int], rng: random.Random
) -> None:
    """Labels, differences, intervals and p values: the same to the last bit."""
    items = list(range(96))
    rng.shuffle(items)
    plain = judged(SCORES, range(5), range(96), range(3))
    assert {cell["label"] for cell in plain.values()} >= {"strength", "unclear"}
    assert judged(SCORES, models, items, cells) == plain


def test_an_unanswered_item_changes_coverage_only(tmp_path: Path) -> None:
    """It leaves the comparison for all, as the item's own absence would; nobody earns or loses a score by it. The others'
    rows are untouched but for what follows from the items in common."""
    whole = cells_of(simulate.run(tmp_path / "whole", four(a=2.5, d=-2.5), PACK))
    lost = cells_of(simulate.run(tmp_path / "lost", four(a=2.5, d=-2.5), PACK, change=lose("sim-b", [7])))
    assert labels(tmp_path / "whole/results/sim") == labels(tmp_path / "lost/results/sim")
    mine = lost["sim-b", "mini"]
    assert (mine["coverage"], mine["n_scored"], mine["n_planned"]) == (0.99, 99, 100)
    relative = {"diff", "diff_low", "diff_high", "p", "p_adj", "profile_diff"}
    for key in [k for k in whole if k[0] != "sim-b"]:
        assert {n for n in whole[key] if whole[key][n] != lost[key][n]} <= relative
    everyone = simulate.run(tmp_path / "all", four(a=2.5, d=-2.5), PACK, change=lambda m, asked: lose(m, [7])(m, asked))
    for key, cell in cells_of(everyone).items():
        assert {n: cell[n] for n in relative} == {n: lost[key][n] for n in relative}


def test_another_publishing_gives_the_same_labels(tmp_path: Path) -> None:
    """`lmmbench score` writes matrix.parquet anew, byte for byte."""
    folder = simulate.run(tmp_path, four(a=1.0), {"mini": {"one": 90, "two": 30}}, repeats=2)
    before = (folder / "matrix.parquet").read_bytes()
    bench.publish(folder, plan.load(folder), None, None)
    assert (folder / "matrix.parquet").read_bytes() == before


def test_models_that_answer_alike_are_even(tmp_path: Path) -> None:
    """The same answers to a hundred questions: no difference, and the room that is left for one is within five points."""
    same = lambda m, r, s: int(r.item.id[-4:]) % 3 > 0  # noqa: E731
    found = labels(_answered(tmp_path, same))
    assert set(found.values()) == {"even"}


def test_a_cell_at_its_ceiling_or_at_chance_is_saturated(tmp_path: Path) -> None:
    """All right but a few, or one in four: no word for anyone."""
    high = labels(_answered(tmp_path / "high", lambda m, r, s: int(r.item.id[-4:]) % 25 != 0))
    low = labels(_answered(tmp_path / "low", lambda m, r, s: int(r.item.id[-4:]) % 4 == 0))
    assert set(high.values()) == set(low.values()) == {"saturated"}


def _answered(cwd: Path, right: Any) -> Path:
    """A run of four models that are right where `right(model, request, ...)` says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "_right", lambda m, made, asked, seed, night: right(m, asked, seed))
        return simulate.run(cwd, four(), PACK)


# --- several runs -------------------------------------------------------------------------------------


def halves(cwd: Path, **other: Any) -> list[Path]:
    """Two runs of the same questions by two models each; `other`: how the second differs."""
    models = list(four(a=2.5).items())
    one = simulate.run(cwd / "one", dict(models[:2]), PACK, run_id="one")
    return [one, simulate.run(cwd / "two", dict(models[2:]), other.pop("strata", PACK), run_id="two", **other)]


def test_runs_that_asked_the_same_are_one_field(tmp_path: Path) -> None:
    """Two models here and two there: the labels are those of one run of all four."""
    whole = cells_of(simulate.run(tmp_path / "whole", four(a=2.5), PACK))
    cells, apart = matrix.together(halves(tmp_path))
    assert apart == ""
    ours = {(c["model"], c["cell"]): c for c in cells}
    assert {k: c | {"run_id": "sim"} for k, c in ours.items()} == whole
    assert {c["run_id"] for c in cells} == {"one", "two"}


def test_runs_that_did_not_ask_the_same_are_kept_apart(tmp_path: Path) -> None:
    """Another pack: what differs is said, and each run keeps its own (here: no) labels."""
    folders = halves(tmp_path, strata={"mini": {"one": 99}})
    cells, apart = matrix.together(folders)
    assert "one and two differ in the items of mini" in apart
    assert {c["label"] for c in cells} == {None}
    with pytest.raises(UsageError, match="not one field: one and two differ in the items of mini"):
        matrix.build(*folders)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 1}, "different seeds (0, 1)"), ({"option_order": "given"}, "different option orders"),
        ({"system": "영어로 답하십시오."}, "differ in the prompts of mini"), ({"title": "다른 이름"}, "differ in the card of mini"),
        ({"model": "sim-a"}, "both asked sim-a the same"), ({}, ""),
    ],
)  # fmt: skip
def test_what_keeps_runs_apart_is_named(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    """Seed, order, prompt, card, or the same model twice in one pack."""
    plans = [
        {"models": {m: {}}, "seed": 0, "option_order": "shuffled", "packs": {"mini": {"sha": "1" * 64, "card": {
            "items_sha256": "2", "prompt": {"system": "s"}, "prompts": {}, "max_output_tokens": 9, "title": "t"}}}}
        for m in ("sim-a", "sim-b")
    ]  # fmt: skip
    second: Any = plans[1]
    for key, value in change.items():
        if key == "model":
            second["models"] = {value: {}}
        elif key in ("seed", "option_order"):
            second[key] = value
        else:
            second["packs"]["mini"]["sha"] = "3" * 64
            card = second["packs"]["mini"]["card"]
            card["prompt" if key == "system" else key] = {"system": value} if key == "system" else value
    assert sentence in matrix._apart(plans[0], second, "one and two")
    assert (sentence == "") == (matrix._apart(plans[0], second, "one and two") == "")


def test_the_simulator_s_answers_are_read(tmp_path: Path) -> None:
    """The made-up runs go through the real extraction: what they mean is what was parsed."""
    folder = simulate.run(tmp_path, {"sim-a": Model()}, {"mini": {"one": 5}})
    assert cells_of(folder)["sim-a", "mini"]["parsed_rate"] == 1.0


# --- proofs -------------------------------------------------------------------------------------------


def drawn(rng: np.random.Generator, items: int, gap: float = 0.0) -> list[field.Contest]:
    """Eight equal models in sixteen cells, but for `gap` logits of the first in the first cell: items of difficulty
    N(-1, 1.3), luck of a model with an item N(0, 1)."""
    difficulty = rng.normal(-1, 1.3, (16, 1, items))
    ability = rng.normal(0, 1, (16, 8, items))
    ability[0, 0] += gap
    right = rng.random((16, 8, items)) < 1 / (1 + np.exp(difficulty - ability))
    row: Cell = {"n_scored": items, "truncated_rate": 0.0}
    return [field.Contest([dict(row) for _ in range(8)], r.astype(float), np.arange(items), 0.25) for r in right]


@pytest.mark.prove
def test_equal_models_are_rarely_called_unequal() -> None:
    """8 equal models x 16 cells of 80 items, 2,000 draws: any false strength or weakness among the 128 labels comes in so
    few that the upper end of the 95 % interval of its rate is at most 7.5 %."""
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(2000):
        contests = drawn(rng, 80)
        field.compare(contests)
        wrong += any(c["label"] in ("strength", "weakness") for contest in contests for c in contest.cells)
    low, high = stats.wilson(wrong, 2000)
    print(
        f"\nany false label in 8 equal models x 16 cells, n=80: {wrong}/2000 = {wrong / 20:.2f} % [{100 * low:.2f}, {100 * high:.2f}]; at most 7.5 %"
    )
    assert high <= 0.075


def matrix_of(contests: list[field.Contest], strata: int) -> list[Cell]:
    """The cells of `drawn` as those of a run whose packs have so many strata each."""
    packs, rows = [contests[n : n + strata] for n in range(0, 15, strata)], []
    for n, parts in enumerate(packs):
        whole = np.concatenate([p.scores for p in parts], axis=1)
        cells = [dict(c) | {"n_scored": whole.shape[1]} for c in parts[0].cells]
        rows += [("pack", f"p{n}", field.Contest(cells, whole, np.arange(whole.shape[1]), 0.25))]
        rows += [("stratum", f"p{n}/s{m}", part) for m, part in enumerate(parts)]
    problems = [stats.Paired(stats.against_others(c.scores)[0], c.clusters, 7 * stats.UNIT) for _, _, c in rows]
    for (_, _, contest), found in zip(rows, stats.differences(problems), strict=True):
        for m, cell in enumerate(contest.cells):
            cell |= {"diff": found.diff[m], "diff_low": found.low[m], "diff_high": found.high[m], "label": "unclear"}
    out = [
        c
        | {
            "clusters": c["n_scored"],
            "run_id": "r",
            "model": f"sim-{m}",
            "cell": name,
            "kind": kind,
            "profile_diff": None,
        }
        for kind, name, contest in rows
        for m, c in enumerate(contest.cells)
    ]
    field._profile(out)
    return out


@pytest.mark.prove
def test_equal_models_rarely_lean() -> None:
    """8 equal models, 5 packs of 3 strata of 80 items: that anything is said of any of the 160 cells against the model's
    own profile comes in so few draws that the upper end of the 95 % interval of its rate is at most 7.5 %."""
    rng, wrong, draws = np.random.default_rng(6), 0, 600
    for _ in range(draws):
        wrong += bool(profile.leanings(matrix_of(drawn(rng, 80), 3)))
    low, high = stats.wilson(wrong, draws)
    print(f"\nany false word on a profile, 8 equal models x 20 cells: {wrong}/{draws} = {100 * wrong / draws:.2f} % [{100 * low:.2f}, {100 * high:.2f}]; at most 7.5 %")  # fmt: skip
    assert high <= 0.075


def t_and_holm(contests: Sequence[field.Contest]) -> bool:
    """Whether the first model is told from the others in the first cell by Student's t instead of sign flips."""
    against = (stats.against_others(c.scores)[0] for c in contests)
    p = np.concatenate([scipy.stats.ttest_1samp(values, 0).pvalue for values in against])
    return bool(stats.holm(p)[0] < field.ALPHA)


@pytest.mark.prove
@pytest.mark.parametrize(("items", "draws", "expected"), [(80, 2000, 0.50), (160, 1000, 0.92)])
def test_a_true_strength_is_found_as_often_as_expected(items: int, draws: int, expected: float) -> None:
    """A true +16 points in one of 128 cells is labelled with the power that 400 repetitions of this design by t tests and
    Holm gave, to about ±.05: .50 with 80 items, .92 with 160. The t test, run on the same draws, says so too; it finds a
    little more, as it is above its level in small samples. A label of the wrong sign never comes."""
    gap = 1.215  # logits that make 16.0 points here, by quadrature; measured below too
    rng, found, by_t, points = np.random.default_rng(5), 0, 0, []
    for _ in range(draws):
        contests = drawn(rng, items, gap)
        field.compare(contests)
        first = contests[0].cells[0]
        found += first["label"] == "strength"
        by_t += t_and_holm(contests)
        points.append(first["diff"])
        assert first["label"] != "weakness"
    told = {name: (n / draws, *stats.wilson(n, draws)) for name, n in (("labels", found), ("t + Holm", by_t))}
    print(
        f"\ntrue +{100 * np.mean(points):.1f} points, n={items}, {draws} draws; expected of t + Holm {100 * expected:.0f} % ± 5"
    )
    for name, (share, low, high) in told.items():
        print(f"  found by {name}: {100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
        assert low <= expected + 0.05
        assert high >= expected - 0.05
    assert found >= by_t - 0.05 * draws
    assert np.mean(points) == pytest.approx(0.16, abs=0.005)
