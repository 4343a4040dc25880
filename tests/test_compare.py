"""Two runs on the same questions: what is paired, what is refused, and what is said. All rows are made up (sim-a, …)."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import results
from lmmbench.analysis import compare
from lmmbench.analysis.compare import NotComparable, Side
from lmmbench.faults import UsageError
from lmmbench.files import write_parquet

Row = dict[str, Any]


def row(item: int, score: float | None, **more: Any) -> Row:
    """A row of models/*.parquet; without a score it is an error."""
    name = f"q{item:04}"
    made: Row = {
        "schema_version": 1, "model": "sim-a", "pack": "mini", "pack_sha": "a" * 64, "stratum": f"s{item % 2}",
        "item_id": name, "cluster_id": name, "trial": 0, "status": "ok" if score is not None else "error",
        "score": score, "metric_id": "choice|v1", "prompt_sha": f"prompt of {name}", "served_model": "sim-a-1",
        "system_fingerprint": "fp", "endpoint": "sim",
    }  # fmt: skip
    return made | more


def write_run(folder: Path, rows: list[Row], api: str = "openai-chat") -> Path:
    """A published run with these rows."""
    models = list(dict.fromkeys(r["model"] for r in rows))
    (folder / "models").mkdir(parents=True)
    planned = {m: {"endpoint": {"api": api}} for m in models}
    (folder / "plan.json").write_text(json.dumps({"models": planned}), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"simulated": True, "run": folder.name}), encoding="utf-8")
    for model in models:
        mine = [r for r in rows if r["model"] == model]
        write_parquet(folder / "models" / f"{model}.parquet", results.row_schema(), [mine])
    return folder


def compared(tmp_path: Path, a: list[Row], b: list[Row], cells: tuple[str, ...] = ()) -> dict[str, Row]:
    """The rows of the comparison of two runs, by cell."""
    sides = compare.pairs(write_run(tmp_path / "a", a), write_run(tmp_path / "b", b))
    return {r["cell"]: r for r in compare.compare(sides, cells)}


def test_only_items_that_both_sides_have_a_score_for_are_paired(tmp_path: Path) -> None:
    """An item without a score on one side changes coverage and n there, and no mean of either side."""
    a = [row(0, 1.0), row(1, 0.0), row(2, 1.0), row(3, None)]
    b = [row(0, 0.0), row(1, 0.0), row(2, None), row(3, 1.0)]
    cell = compared(tmp_path, a, b)["mini"]
    assert (cell["n_planned"], cell["n_paired"]) == (4, 2)
    assert (cell["mean_a"], cell["mean_b"], cell["diff"]) == (0.5, 0.0, -0.5)
    assert (cell["coverage_a"], cell["coverage_b"]) == (0.75, 0.75)
    assert (cell["better"], cell["worse"]) == (0, 1)


def test_trials_that_both_sides_have_are_averaged_within_an_item(tmp_path: Path) -> None:
    """Items weigh the same; a trial that one side lacks is left out on the other too."""
    a = [row(0, 1.0, trial=0), row(0, 0.0, trial=1), row(1, 1.0)]
    b = [row(0, 1.0, trial=0), row(0, None, trial=1), row(1, 0.0)]
    cell = compared(tmp_path, a, b)["mini"]
    assert (cell["mean_a"], cell["mean_b"]) == (1.0, 0.5)


def test_nothing_that_pairs_is_null_and_not_zero(tmp_path: Path) -> None:
    """A cell without a pair has no means, no difference and no p."""
    cell = compared(tmp_path, [row(0, 1.0)], [row(0, None)])["mini"]
    assert cell["n_paired"] == 0
    assert [cell[k] for k in ("mean_a", "mean_b", "diff", "diff_low", "p", "p_adj", "detectable")] == [None] * 7
    assert "–" in compare.texts(cell)


def test_right_or_wrong_items_are_tested_by_mcnemar_and_graded_ones_by_sign_flips(tmp_path: Path) -> None:
    """The test follows the scores and the clusters, and its name stands in `method`."""
    a = [row(n, float(n < 30)) for n in range(40)]
    b = [row(n, float(n < 18)) for n in range(40)]
    cell = compared(tmp_path / "1", a, b)["mini"]
    assert cell["method"] == "mcnemar-mid-p"
    assert cell["p"] == pytest.approx(2 * 0.5**12 * 0.5)  # none better, twelve worse; the observed table by half
    graded = [r | {"score": r["score"] * 0.5} for r in b]
    assert compared(tmp_path / "2", a, graded)["mini"]["method"] == "sign-flip"
    shared = [r | {"cluster_id": f"c{n // 2}"} for n, r in enumerate(a)]
    assert compared(tmp_path / "3", shared, b)["mini"]["method"] == "sign-flip"


def test_holm_runs_over_all_that_is_tested_and_nothing_else(tmp_path: Path) -> None:
    """Packs are tested; a stratum has a difference but no p until it is named, and then the others' p grows."""
    a = [row(n, float(n % 5 > 0)) for n in range(60)]
    b = [row(n, float(n % 5 > 2)) for n in range(60)]
    alone = compared(tmp_path / "1", a, b)
    assert alone["mini/s0"]["diff"] is not None
    assert (alone["mini/s0"]["p"], alone["mini/s0"]["tested"]) == (None, False)
    named = compared(tmp_path / "2", a, b, cells=("mini/s0",))
    assert named["mini"]["p"] == alone["mini"]["p"] == alone["mini"]["p_adj"]
    assert named["mini"]["p_adj"] == pytest.approx(2 * named["mini"]["p"])
    assert named["mini/s0"]["p_adj"] is not None
    with pytest.raises(UsageError, match="mini/nowhere"):
        compared(tmp_path / "3", a, b, cells=("mini/nowhere",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pack_sha": "b" * 64}, "pack mini changed.*aaaaaaaaaaaa and bbbbbbbbbbbb"),
        ({"prompt_sha": "other"}, "2 of 2 questions .mini. were put in other words"),
        ({"metric_id": "choice|v2"}, "graded by other versions; run lmmbench score"),
        ({"pack": "other"}, "no pack in common .mini and other"),
    ],
)
def test_what_was_asked_or_graded_differently_is_refused_by_name(tmp_path: Path, change: Row, said: str) -> None:
    """Mixed packs, prompts or metrics are never averaged over; the message says which differs."""
    a = [row(0, 1.0), row(1, 0.0)]
    with pytest.raises(NotComparable, match=said):
        compared(tmp_path, a, [r | change for r in a])


def test_baselines_are_not_compared_unless_named(tmp_path: Path) -> None:
    """A rule and a seed answer the same every night; testing them would only widen the family of tests."""
    run = write_run(tmp_path / "a", [row(0, 1.0, model="baseline-chance")], api="baseline")
    with pytest.raises(NotComparable, match="no model in common"):
        compare.pairs(run, run)
    assert compare.pairs(run, run, "baseline-chance") == [(Side(run, "baseline-chance"), Side(run, "baseline-chance"))]


def test_two_models_of_one_run(tmp_path: Path) -> None:
    """A model is compared with another by naming both."""
    run = write_run(tmp_path / "r", [row(0, 1.0), row(1, 1.0), row(0, 0.0, model="sim-b"), row(1, 1.0, model="sim-b")])
    (first, *_) = compare.compare(compare.pairs(run, run, "sim-a", "sim-b"))
    assert (first["model_a"], first["model_b"], first["diff"]) == ("sim-a", "sim-b", -0.5)
    assert compare.who(first) == "sim-a → sim-b"


def test_a_changed_served_model_is_drift(tmp_path: Path) -> None:
    """Served model and fingerprint are compared where both sides know them."""
    a, b = write_run(tmp_path / "a", [row(0, 1.0)]), write_run(tmp_path / "b", [row(0, 1.0, served_model="sim-a-2")])
    c = write_run(tmp_path / "c", [row(0, 1.0, served_model=None)])
    assert compare.drift(Side(a, "sim-a"), Side(b, "sim-a")) == [
        "sim-a: the served model changed from sim-a-1 to sim-a-2"
    ]
    assert compare.drift(Side(a, "sim-a"), Side(c, "sim-a")) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, None]), st.sampled_from([0.0, 0.25, 1.0])), min_size=2, max_size=25), st.randoms())  # fmt: skip
def test_sides_and_order(
    tmp_path_factory: pytest.TempPathFactory, scores: list[tuple[float | None, float]], shuffle: random.Random
) -> None:
    """B less A is minus A less B with the same p; and the order in which rows were published changes nothing."""
    tmp_path = tmp_path_factory.mktemp("law")
    a, b = ([row(n, pair[side]) for n, pair in enumerate(scores)] for side in (0, 1))
    there, back = compared(tmp_path / "1", a, b)["mini"], compared(tmp_path / "2", b, a)["mini"]
    assert there["p"] == back["p"]
    assert (there["better"], there["worse"]) == (back["worse"], back["better"])
    if there["diff"] is not None:
        assert there["diff"] == -back["diff"]
    mixed = list(a)
    shuffle.shuffle(mixed)
    again = compared(tmp_path / "3", mixed, b)["mini"]
    assert {k: v for k, v in again.items() if k not in ("mean_a", "mean_b")} == {
        k: v for k, v in there.items() if k not in ("mean_a", "mean_b")
    }
