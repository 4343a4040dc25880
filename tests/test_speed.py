"""What may be compared as speed: answers of slow service tiers are left out, and what came from a cache is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmmbench import results
from lmmbench.analysis import matrix, views
from tests import kit
from tests.fake_server import Answer, FakeServer, openai


def run(folder: Path, answers: list[Answer], **row: Any) -> Path:
    """A run of one answer each, one after the other."""
    kit.write_pack(folder / "tasks/p", len(answers))
    with FakeServer(answers) as server:
        kit.providers_yaml(folder / "providers.yaml", server.url, {"sim-a": row}, concurrency=1)
        done = kit.run_here(folder)
    assert done.counts["sim-a"] == {"ok": len(answers)}
    return done.folder


def tier(name: str | None) -> Answer:
    return Answer(body=openai("정답: A") | {"service_tier": name})


def test_a_slow_tier_is_scored_and_not_timed(tmp_path: Path) -> None:
    """Its rows have no latency and every other number, the journal has the latency too; the cells, run.json and a
    sentence at the end say the same. A tier of the usual speed is timed."""
    tiers = ("flex", "batch", "FLEX", "default", "priority", None)
    folder = run(tmp_path, [tier(name) for name in tiers])
    told = {r["item"]: r for r in kit.journal_of(folder) if r["t"] == "done"}
    assert all(r["latency_s"] > 0 for r in told.values())
    for row in kit.rows_of(folder):
        record = told[row["item_id"]]
        slow = str(record["service_tier"]).lower() in ("flex", "batch")
        assert row["latency_s"] == (None if slow else record["latency_s"])
        assert row["score"] is not None and row["queue_s"] is not None and row["output_tokens"] == 5
    cell = matrix.read(folder)[0]
    timed = [r["latency_s"] for r in told.values() if r["service_tier"] in ("default", "priority", None)]
    assert (cell["n_scored"], cell["latency_p50"]) == (6, pytest.approx(sorted(timed)[1]))
    assert cell["tokens_per_s"] == pytest.approx(5 * len(timed) / sum(timed))
    manifest = kit.manifest_of(folder)
    assert manifest["models"]["sim-a"]["untimed"] == 3
    (said,) = results.warnings(manifest)
    assert said.startswith("sim-a: 3 answers came by a service tier that may be slow (batch or flex)")


@pytest.mark.parametrize(("said", "timed"), [(None, 0), ("default", 2)])
def test_a_tier_that_was_asked_for_counts_unless_another_was_given(
    said: str | None, timed: int, tmp_path: Path
) -> None:
    """Not every vendor says the tier again; one that says another has served that other."""
    folder = run(tmp_path, [tier(said)] * 2, options={"service_tier": "flex"})
    assert sum(row["latency_s"] is not None for row in kit.rows_of(folder)) == timed


def test_a_slow_tier_gives_no_first_token_either(tmp_path: Path) -> None:
    """Streamed: neither the rows nor run.json have the time to the first token."""
    kit.write_pack(tmp_path / "tasks/p", 2)
    with FakeServer() as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, {"sim-a": {"options": {"service_tier": "flex"}}})
        folder = kit.run_here(tmp_path, stream=True).folder
    assert {row["ttft_s"] for row in kit.rows_of(folder)} == {None}
    assert kit.manifest_of(folder)["models"]["sim-a"]["ttft_s"] is None


def cached(tokens: int | None, service_tier: str = "default") -> Answer:
    body = openai("정답: A", usage=(100, 5)) | {"service_tier": service_tier}
    body["usage"] |= {} if tokens is None else {"prompt_tokens_details": {"cached_tokens": tokens}}
    return Answer(body=body)


@pytest.mark.parametrize(
    ("tokens", "share", "line"),
    [([0, 80, 40, None], 0.4, "cached 40 %"), ([0, 0, 1, 0], 0.0025, "cached 1 %"), ([0, 0], 0.0, ""), ([None, None], None, "")],
)  # fmt: skip
def test_what_came_from_a_cache_stands_below_the_latency(
    tokens: list[int | None], share: float | None, line: str, tmp_path: Path
) -> None:
    """As a share of the input of those answers that say so and have a latency; no line where nothing came from it or
    nobody said."""
    folder = run(tmp_path, [*map(cached, tokens), cached(100, "flex")])
    cells = matrix.read(folder)
    assert cells[0]["cached_share"] == share
    speed = next(sheet for sheet in views.models(cells, "en") if sheet.title.startswith("p:"))
    assert speed.rows[0][1].partition("\n")[2] == line
