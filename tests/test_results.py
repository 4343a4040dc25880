"""What a run publishes: the contract's columns, one row for every planned ask, and the same bytes from the same journal."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmbench as product
from lmmbench import bench, files, journal, plan, prompts, results
from lmmbench.canon import read_json
from lmmbench.faults import FAULTS, UsageError
from lmmbench.types import SCORED
from tests.fake_server import Answer, FakeServer
from tests.kit import ROOT, journal_of, lmmbench, manifest_of, providers_yaml, rows_of, write_pack

TEXT, WHOLE, NUMBER = pa.string(), pa.int64(), pa.float64()

ROW_COLUMNS: dict[str, Any] = {
    "schema_version": pa.int16(), "run_id": TEXT, "model": TEXT, "vendor": TEXT, "family": TEXT, "region": TEXT,
    "endpoint": TEXT, "served_model": TEXT, "system_fingerprint": TEXT, "pack": TEXT, "pack_version": TEXT,
    "pack_sha": TEXT, "stratum": TEXT, "type": TEXT, "item_id": TEXT, "cluster_id": TEXT, "trial": WHOLE,
    "request_sha": TEXT, "prompt_sha": TEXT, "order_json": TEXT, "status": TEXT, "error_kind": TEXT, "error": TEXT,
    "attempts": WHOLE, "maybe_billed": pa.bool_(), "finish": TEXT, "answer": TEXT, "reasoning": TEXT, "parsed": TEXT,
    "parse_status": TEXT, "parse_rule": TEXT, "score": NUMBER, "metric_id": TEXT, "aux_json": TEXT,
    "input_tokens": WHOLE, "cached_tokens": WHOLE, "output_tokens": WHOLE, "reasoning_tokens": WHOLE,
    "cost_usd": NUMBER, "latency_s": NUMBER, "ttft_s": NUMBER, "queue_s": NUMBER, "sent_json": TEXT,
    "dropped_json": TEXT, "media_json": TEXT, "started_at": pa.timestamp("us", tz="UTC"), "harness_version": TEXT,
}  # fmt: skip
"""Columns of models/*.parquet, in order. Others read these files: a name is never changed, an old one stays."""

MATRIX_COLUMNS: dict[str, Any] = {
    "run_id": TEXT, "model": TEXT, "vendor": TEXT, "family": TEXT, "region": TEXT, "cell": TEXT, "kind": TEXT,
    "n_planned": WHOLE, "n_scored": WHOLE, "clusters": WHOLE, "coverage": NUMBER, "mean": NUMBER, "ci_low": NUMBER,
    "ci_high": NUMBER, "diff": NUMBER, "diff_low": NUMBER, "diff_high": NUMBER, "p": NUMBER, "p_adj": NUMBER,
    "profile_diff": NUMBER, "label": TEXT, "field_sha": TEXT, "method": TEXT, "refused_rate": NUMBER,
    "truncated_rate": NUMBER, "parsed_rate": NUMBER, "latency_p50": NUMBER, "latency_p95": NUMBER,
    "tokens_per_s": NUMBER, "cost_per_1k": NUMBER, "hangul_per_token": NUMBER, "copy_rate": NUMBER, "cached_share": NUMBER,
}  # fmt: skip
"""Columns of matrix.parquet, in order."""

STATUSES = {"ok", "truncated", "refused", "invalid", "error", "unsupported", "skipped"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of our packs by the baselines, twelve items a pack, two trials."""
    folder = tmp_path_factory.mktemp("real")
    done = lmmbench(
        "run", "--tasks", "all", "--models", "baseline-chance,baseline-copy", "--limit", "12", "--repeats", "2",
        "--run-id", "real", "--tasks-dir", ROOT / "tasks", "--providers", ROOT / "providers.yaml",
        "--results", folder, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"run: {folder / 'real'}"
    return folder / "real"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four closed questions by one simulated model."""
    folder = tmp_path_factory.mktemp("small")
    write_pack(folder / "tasks" / "mini", 4)
    models = {"sim-a": {"endpoint": "here", "name": "chance"}}
    providers_yaml(folder / "providers.yaml", "", models, {"here": {"api": "baseline"}})
    done = lmmbench("run", "--tasks", "mini", "--run-id", "small", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "small"


def contents(folder: Path) -> dict[str, str]:
    """Hashes of a run's files, by name."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def publish(folder: Path) -> bench.Published:
    """Publish again what the journal holds."""
    return bench.publish(folder, plan.load(folder), None, None)


def copy_of(run: Path, tmp_path: Path, records: list[dict[str, Any]] | None = None) -> Path:
    """The run in a folder of its own, with this journal in place of its own."""
    folder = tmp_path / run.name
    shutil.copytree(run, folder)
    if records is not None:
        write_journal(folder, records)
    return folder


def write_journal(folder: Path, records: list[dict[str, Any]], name: str = "main") -> None:
    lines = [journal.line_of({k: v for k, v in r.items() if k != "crc"}) for r in records]
    (folder / "journal" / f"{name}.jsonl").write_bytes(b"".join(lines))


def rewritten(run: Path, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """A copy of the run whose answers were changed, published."""
    records = [change(r) if r["t"] == "done" else r for r in journal_of(run)]
    folder = copy_of(run, tmp_path, records)
    publish(folder)
    return folder


def by_item(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["item_id"]: row for row in rows_of(folder)}


# --- columns -----------------------------------------------------------------------------------------


def test_rows_have_the_columns_of_the_contract(run: Path) -> None:
    """models/*.parquet: exactly these columns with these types, in this order, for every model."""
    for path in sorted((run / "models").glob("*.parquet")):
        schema = pq.read_schema(path)
        assert dict(zip(schema.names, schema.types, strict=True)) == ROW_COLUMNS
        assert schema.names == list(ROW_COLUMNS)


def test_the_matrix_has_the_columns_of_the_contract(run: Path) -> None:
    """matrix.parquet: exactly these columns with these types, in this order; a row for each model and cell."""
    schema = pq.read_schema(run / "matrix.parquet")
    assert dict(zip(schema.names, schema.types, strict=True)) == MATRIX_COLUMNS
    assert schema.names == list(MATRIX_COLUMNS)
    cells = pq.read_table(run / "matrix.parquet").to_pylist()
    assert len({(c["model"], c["cell"]) for c in cells}) == len(cells)
    assert {(c["kind"], "/" in c["cell"]) for c in cells} == {("pack", False), ("stratum", True)}


def test_items_hold_the_questions_as_they_were_asked(run: Path) -> None:
    """items.parquet: one row per (pack, item), with all that grading and reading need."""
    rows = pq.read_table(run / "items.parquet").to_pylist()
    planned = plan.load(run)
    assert [(r["pack"], r["item_id"]) for r in rows] == [(p, i) for p, x in planned.packs.items() for i in x.items]
    assert {"question", "options", "targets", "media_json", "tags", "stratum", "cluster_id", "attestation"} <= set(
        rows[0]
    )
    for row in rows:
        assert all(option in row["question"] for option in row["options"])
        assert row["question"]
        assert row["targets"]


def test_what_is_not_known_is_null_and_never_nan(run: Path) -> None:
    """A number that nobody measured is null; a NaN would spread through every mean that touches it."""
    for path in [*run.glob("*.parquet"), *run.glob("models/*.parquet")]:
        table = pq.read_table(path)
        for name in table.column_names:
            if pa.types.is_floating(table.schema.field(name).type):
                assert not pc.any(pc.is_nan(table[name])).as_py(), f"{path.name}: {name}"
    rows = rows_of(run)
    assert {row["cost_usd"] for row in rows} == {None}, "a cost that is not known is null, never 0"
    assert {row["input_tokens"] for row in rows} == {None}


# --- rows --------------------------------------------------------------------------------------------


def test_there_is_a_row_for_every_planned_ask(run: Path) -> None:
    """One row for each (model, pack, item, trial) of the plan, in its order, answered or not."""
    planned = plan.load(run)
    for model in planned.models:
        asked = [(p, i, t) for p, x in planned.packs.items() for i in x.items for t in range(2)]
        assert [(r["pack"], r["item_id"], r["trial"]) for r in rows_of(run, model)] == asked


def test_planned_is_the_sum_of_the_statuses(run: Path) -> None:
    """Every planned ask has one status out of seven; rows, run.json and the matrix count alike."""
    manifest = manifest_of(run)
    counts = Counter(row["status"] for row in rows_of(run))
    assert manifest["by_status"] == counts
    assert set(counts) <= STATUSES
    assert manifest["planned"] == sum(counts.values()) == sum(m["planned"] for m in manifest["models"].values())
    for model, told in manifest["models"].items():
        assert told["by_status"] == Counter(row["status"] for row in rows_of(run, model))
        cells = pq.read_table(run / "matrix.parquet", filters=[("model", "=", model)]).to_pylist()
        for kind in ("pack", "stratum"):
            assert sum(c["n_planned"] for c in cells if c["kind"] == kind) == told["planned"]


def test_scores_are_shares_and_carry_their_metric(run: Path) -> None:
    """A score is in 0…1, stands where an answer stands, and names the metric that gave it."""
    for row in rows_of(run):
        assert (row["score"] is not None) == (row["status"] in SCORED)
        if row["score"] is not None:
            assert 0 <= row["score"] <= 1
            assert row["metric_id"]
            assert "@" in row["metric_id"]


def test_what_was_parsed_is_in_the_terms_of_the_targets(run: Path) -> None:
    """A choice is recorded by the option's own number, whatever order was shown."""
    items = {(r["pack"], r["item_id"]): r for r in pq.read_table(run / "items.parquet").to_pylist()}
    closed = [r for r in rows_of(run, "baseline-chance") if r["status"] == "ok"]
    assert closed
    for row in closed:
        told = items[row["pack"], row["item_id"]]
        order = prompts.option_order(
            len(told["options"]), seed=0, pack=row["pack"], item_id=row["item_id"], trial=row["trial"]
        )
        assert json.loads(row["order_json"]) == list(order)
        assert row["parsed"] == str(order[prompts.LETTERS.index(row["answer"][-1])])
        assert row["score"] == float(row["parsed"] == told["targets"][0])


# --- the same journal gives the same files -----------------------------------------------------------


def test_publishing_twice_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    """Everything published follows from the plan, the items and the journal."""
    folder = copy_of(run, tmp_path)
    publish(folder)
    before = contents(folder)
    publish(folder)
    assert contents(folder) == before
    assert {n: h for n, h in before.items() if n != "run.json"} == {
        n: h for n, h in contents(run).items() if n != "run.json"
    }


def test_published_files_can_be_made_again(run: Path, tmp_path: Path) -> None:
    """With the packs at hand, even items.parquet can go: the journal is the one source of truth."""
    folder = copy_of(run, tmp_path)
    before = contents(folder)
    for path in [*folder.rglob("*.parquet"), folder / "run.json"]:
        path.unlink()
    bench.publish(folder, plan.load(folder), None, ROOT / "tasks")
    after = contents(folder)
    assert {n: h for n, h in after.items() if n != "run.json"} == {n: h for n, h in before.items() if n != "run.json"}


def test_the_manifest_comes_last_and_names_every_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json is the commit mark: written after all else, with the SHA-256 of each parquet file."""
    folder = copy_of(run, tmp_path)
    order: list[str] = []
    real = files.replace_synced

    def replace(temporary: Path, path: Path) -> None:
        order.append(path.name)
        real(temporary, path)

    monkeypatch.setattr(files, "replace_synced", replace)
    publish(folder)
    assert order == ["baseline-chance.parquet", "baseline-copy.parquet", "matrix.parquet", "run.json"]
    hashes = {n: h for n, h in contents(folder).items() if n.endswith(".parquet")}
    assert manifest_of(folder)["files"] == hashes


def test_publishing_that_breaks_off_leaves_no_false_mark(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """run.json says that all is there: after a publishing that broke off it is gone, or still true of every file."""
    records = [r | {"answer": "정답: A"} if r["t"] == "done" else r for r in journal_of(run)]
    folder = copy_of(run, tmp_path, records)
    real = files.replace_synced

    def replace(temporary: Path, path: Path) -> None:
        if path.name == "baseline-copy.parquet":
            raise OSError(28, "No space left on device")
        real(temporary, path)

    monkeypatch.setattr(files, "replace_synced", replace)
    with pytest.raises(OSError, match="No space"):
        publish(folder)
    there = contents(folder)
    if "run.json" in there:
        assert manifest_of(folder)["files"] == {n: h for n, h in there.items() if n.endswith(".parquet")}


def test_the_manifest_tells_how_the_run_went(run: Path, small: Path) -> None:
    """run.json: versions, commit, counts, coverage, tokens, cost, times, and whether the models were made up."""
    manifest = manifest_of(run)
    told = {"run_id", "plan_sha", "published_by", "git_sha", "planned", "by_status", "models", "cost_usd", "created_at", "ended_at", "stop_reason", "damaged_records"}  # fmt: skip
    assert told <= set(manifest)
    assert manifest["plan_sha"] == plan.plan_sha(plan.load(run))
    assert [m["coverage"] for m in manifest["models"].values()] == [1.0, 1.0]
    assert (manifest["simulated"], manifest_of(small)["simulated"]) == (False, True)
    assert "tokens" in json.dumps(manifest), "the contract: run.json holds the run's tokens"


# --- what decides a row ------------------------------------------------------------------------------

FAILURES = sorted(FAULTS)


def fail(ask: dict[str, Any], kind: str) -> dict[str, Any]:
    """A record of an attempt that brought no answer."""
    key = {k: ask[k] for k in ("model", "pack", "item", "trial")}
    return {
        "t": "fail",
        **key,
        "kind": kind,
        "error": f"{kind} happened",
        "billed": kind == "timeout",
        "at": "2026-11-01",
    }


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_a_status_and_never_an_answer_or_a_score(small: Path, tmp_path: Path, kind: str) -> None:
    """Each fault becomes its status, with kind and text; a refusal by policy is an answer, and scores 0 as one."""
    folder = rewritten(small, tmp_path, lambda r: fail(r, kind))
    for row in rows_of(folder):
        assert row["status"] == FAULTS[kind].status
        assert (row["error_kind"], row["error"]) == (kind, f"{kind} happened")
        assert (row["answer"], row["parsed"], row["latency_s"], row["cost_usd"]) == (None, None, None, None)
        assert (row["score"], row["parse_status"]) == ((0.0, "refuse") if kind == "policy" else (None, None))
        assert row["maybe_billed"] == (kind == "timeout")
        assert (row["metric_id"] is None) == (row["score"] is None), "a score names its metric"


def test_the_first_whole_answer_wins(small: Path, tmp_path: Path) -> None:
    """An answer once received is never replaced: not by a later answer, a later failure, or another journal."""
    records = journal_of(small)
    first = by_item(small)
    answers = [r for r in records if r["t"] == "done"]
    later = [r | {"answer": "정답: 모르겠음"} for r in answers] + [fail(r, "network") for r in answers]
    folder = copy_of(small, tmp_path, records + later)
    write_journal(folder, later, "second")
    publish(folder)
    for row in rows_of(folder):
        before = first[row["item_id"]]
        assert {k: row[k] for k in ("answer", "status", "score", "parsed")} == {
            k: before[k] for k in ("answer", "status", "score", "parsed")
        }


def test_an_answer_after_failures_counts_and_failures_are_counted(small: Path, tmp_path: Path) -> None:
    """A retry that was answered is an answer; attempts are what was sent; the last failure speaks where none was."""
    records = journal_of(small)
    intent, answer = (next(r for r in records if r["t"] == t) for t in ("intent", "done"))
    other = next(r for r in records if r["t"] == "done" and r["item"] != answer["item"])
    told = [
        intent, fail(answer, "rate"), intent, fail(answer, "timeout"), intent, answer,
        intent | {"item": other["item"]}, fail(other, "rate"), intent | {"item": other["item"]}, fail(other, "overload"),
    ]  # fmt: skip
    folder = copy_of(small, tmp_path, told)
    publish(folder)
    rows = by_item(folder)
    answered, failed = rows[answer["item"]], rows[other["item"]]
    assert (answered["status"], answered["attempts"], answered["maybe_billed"]) == ("ok", 3, True)
    assert (failed["status"], failed["attempts"], failed["error_kind"]) == ("error", 2, "overload")


def test_what_was_not_asked_is_skipped_with_the_reason(small: Path, tmp_path: Path) -> None:
    """No record, no failure: `skipped`, and why. An ask that was on the wire when the run died may have been billed."""
    intent = next(r for r in journal_of(small) if r["t"] == "intent")
    folder = copy_of(small, tmp_path, [intent])
    publish(folder)
    rows = by_item(folder)
    sent = rows.pop(intent["item"])
    assert (sent["status"], sent["attempts"], sent["maybe_billed"]) == ("skipped", 1, True)
    for row in rows.values():
        assert (row["status"], row["error_kind"], row["attempts"]) == ("skipped", "interrupted", 0)
        assert (row["score"], row["answer"], row["maybe_billed"]) == (None, None, False)
    assert manifest_of(folder)["stop_reason"] == "interrupted"
    end: dict[str, Any] = {"t": "mark", "what": "end", "reason": "budget", "stopped": {}, "at": "2026-11-01"}
    start: dict[str, Any] = {"t": "mark", "what": "start", "at": "2026-11-01"}
    for marks, reason in (([end], "budget"), ([end, start], "interrupted")):
        write_journal(folder, marks)
        publish(folder)
        assert {(r["status"], r["error_kind"]) for r in rows_of(folder)} == {("skipped", reason)}


def test_a_refusal_in_the_vendors_own_words_scores_nothing(small: Path, tmp_path: Path) -> None:
    """A reply that the vendor marks as refused scores 0 as a refusal, even where its text holds the right answer."""
    gold = {
        r["item"]: f"정답: {prompts.LETTERS[list(r['order']).index(1)]}" for r in journal_of(small) if r["t"] == "done"
    }
    assert {
        r["score"] for r in rows_of(rewritten(small, tmp_path / "ok", lambda r: r | {"answer": gold[r["item"]]}))
    } == {1.0}
    folder = rewritten(small, tmp_path, lambda r: r | {"answer": gold[r["item"]], "status": "refused"})
    told = {(r["status"], r["score"], r["parse_status"], r["parsed"]) for r in rows_of(folder)}
    assert told == {("refused", 0.0, "refuse", None)}


def test_a_truncated_answer_scores_what_it_earned(small: Path, tmp_path: Path) -> None:
    """The cap cut it: what can be read is graded, what cannot is wrong, and flagged as truncated."""
    gold = {
        r["item"]: f"정답: {prompts.LETTERS[list(r['order']).index(1)]}" for r in journal_of(small) if r["t"] == "done"
    }
    read = rewritten(small, tmp_path / "a", lambda r: r | {"answer": gold[r["item"]], "status": "truncated"})
    assert {(r["score"], r["parse_status"]) for r in rows_of(read)} == {(1.0, "ok")}
    cut = rewritten(small, tmp_path / "b", lambda r: r | {"answer": "음, 생각해", "status": "truncated"})
    assert {(r["score"], r["parse_status"]) for r in rows_of(cut)} == {(0.0, "truncated")}


def test_a_scorer_that_fails_costs_no_answer(small: Path, tmp_path: Path) -> None:
    """The answer is kept, the score is null and says why; an ask without a score is nowhere counted as covered."""
    folder = rewritten(small, tmp_path, lambda r: r | {"order": [99]})
    for row in rows_of(folder):
        assert (row["status"], row["score"], row["parsed"], row["error_kind"]) == ("ok", None, None, "scorer")
        assert row["answer"]
        assert "IndexError" in row["error"]
    cells = pq.read_table(folder / "matrix.parquet").to_pylist()
    assert {(c["mean"], c["n_scored"], c["coverage"]) for c in cells} == {(None, 0, 0.0)}
    assert manifest_of(folder)["models"]["sim-a"]["coverage"] == 0.0


HISTORY = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(["intent", "done", "network", "timeout", "invalid", "policy", "auth"])
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(HISTORY)
def test_any_history_gives_one_status_for_every_ask(
    small: Path, tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, str]]
) -> None:
    """Whatever the journal holds: the first answer decides, else the last failure, else the ask is skipped."""
    answers = {r["item"]: r for r in journal_of(small) if r["t"] == "done"}
    names = sorted(answers)
    folder = tmp_path_factory.mktemp("history")
    (folder / "journal").mkdir()
    records = []
    for number, (which, what) in enumerate(history):
        at = f"2026-11-01T00:00:{number:02}+00:00"
        answer = answers[names[which]] | {"started_at": at}
        if what == "intent":
            records.append({k: answer[k] for k in ("model", "pack", "item", "trial")} | {"t": "intent"})
        else:
            records.append(answer | {"answer": f"답 {number}"} if what == "done" else fail(answer, what) | {"at": at})
    write_journal(folder, records)
    run_plan = plan.load(small)
    counts, _ = results.publish_models(
        folder, run_plan, results.Asked(small, run_plan), results.index(folder, run_plan)
    )
    rows = by_item(folder)
    assert counts["sim-a"] == Counter(r["status"] for r in rows.values())
    for which, name in enumerate(names):
        told = [(n, what) for n, (w, what) in enumerate(history) if w == which]
        decided = [x for x in told if x[1] in ("done", "policy")]
        failed = [x for x in told if x[1] in FAULTS]
        number, what = decided[0] if decided else failed[-1] if failed else (-1, "")
        expected = "skipped" if not what else "ok" if what == "done" else FAULTS[what].status
        row = rows[name]
        assert row["status"] == expected
        assert row["answer"] == (f"답 {number}" if what == "done" else None)
        assert (row["score"] is None) == (expected not in SCORED)
        assert row["attempts"] == sum(what == "intent" for _, what in told)


# --- texts as vendors send them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        ("정답 \ud800A", "정답 \ufffdA"), ("\udfff", "\ufffd"), ("\ud800", "\ufffd"), ("a\udc00\ud800b", "a\ufffd\ufffdb"),
        ("\ud83d\ude00", "😀"), ("줄\u2028바꿈\u0000끝", "줄\u2028바꿈\u0000끝"), ("", ""),
    ],
)  # fmt: skip
def test_any_answer_can_be_stored(small: Path, tmp_path: Path, answer: str, stored: str) -> None:
    """A lone surrogate becomes U+FFFD in parquet and stays as it is in the journal; every other text is kept."""
    folder = rewritten(small, tmp_path, lambda r: r | {"answer": answer, "reasoning": answer})
    assert {(r["answer"], r["reasoning"]) for r in rows_of(folder)} == {(stored, stored)}
    assert {r["answer"] for r in journal_of(folder) if r["t"] == "done"} == {json.loads(json.dumps(answer))}
    assert set(product.load(folder)["answer"]) == {stored}


WELL_FORMED = st.text(st.characters(codec="utf-8"))
STORED: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): WELL_FORMED, pa.list_(pa.string()): st.lists(WELL_FORMED, max_size=3), pa.bool_(): st.booleans(),
    pa.int16(): st.integers(-(2**15), 2**15 - 1), pa.int64(): st.integers(-(2**63), 2**63 - 1), pa.float64(): st.floats(),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=9)))),
}  # fmt: skip


@pytest.mark.parametrize("kind", STORED, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_a_column_is_what_pyarrow_would_make_of_it(kind: Any, data: st.DataObject) -> None:
    """Nulls, empty texts, the first and the last number: the same array, and a valid one."""
    values = data.draw(st.lists(st.none() | STORED[kind]))
    column = files._column(values, kind)
    column.validate(full=True)
    # by the bytes of a file, since nan is not equal to itself
    assert _written(column) == _written(pa.array(values, kind))


def _written(column: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": column}), sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1.5, pa.int64()), (2**63, pa.int64()), ("1", pa.float64()), (1, pa.string()), (1, pa.int32())],
    ids=str,
)
def test_a_column_takes_no_value_of_another_type(value: Any, kind: Any) -> None:
    """What is no value of a column's type, or of a type that no column has, is an error and never a number that it is not."""
    with pytest.raises((TypeError, OverflowError, AttributeError, KeyError)):
        files._column([value], kind)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.none() | WELL_FORMED), max_size=3), st.lists(st.none() | st.integers(-(2**53), 2**53))
)  # fmt: skip
def test_columns_are_read_as_they_were_written(parts: list[list[str | None]], values: list[int | None]) -> None:
    """Texts as places in the list of different texts, as they first appear, -1 for null; numbers, nan for null."""
    whole = [value for part in parts for value in part]
    codes, texts = files.coded([pa.chunked_array([files._column(part, TEXT)]) for part in parts])
    assert [None if code < 0 else texts[code].as_py() for code in codes.tolist()] == whole
    assert texts.to_pylist() == list(dict.fromkeys(v for v in whole if v is not None))
    found = files.numbers(pa.chunked_array([files._column(values, WHOLE)])).tolist()
    assert [None if v != v else v for v in found] == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3)))
def test_numbering_by_first_appearance(values: list[int]) -> None:
    """The first value is 0, the next new one 1, and where each first stood is known."""
    places, first = files.by_first(np.array(values, np.int64))
    seen = list(dict.fromkeys(values))
    assert places.tolist() == [seen.index(v) for v in values]
    assert first.tolist() == [values.index(v) for v in seen]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
HOSTILE = [
    b"", b" ", b"nul", b"{}x", b"01", b"1.", b'"\xff"', b'"\x01"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", "[1]".encode("utf-16"),
    b"1e400", b"-0", b"-0.0", b'{"a":1,"a":2}', b"[" * 500 + b"]" * 500, b"[" * 9999, b"-Infinity", b"\x0c1",
]  # fmt: skip


def read_by(reader: Callable[[bytes], Any], body: bytes) -> str:
    try:
        return repr(reader(body))
    except (ValueError, RecursionError):
        return "refused"


@settings(max_examples=300, deadline=None)
@given(JSON, st.booleans())
def test_quick_reading_reads_what_json_reads(value: Any, ascii_only: bool) -> None:
    """Integers of any size, lone surrogates, nan: not one value differs, not even in its type."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert read_by(read_json, body) == read_by(json.loads, body)


@pytest.mark.parametrize("body", HOSTILE, ids=repr)
def test_quick_reading_refuses_what_json_refuses(body: bytes) -> None:
    """A body that is no JSON, or JSON in another encoding, is read or refused as json does."""
    assert read_by(read_json, body) == read_by(json.loads, body)


def test_rows_do_not_depend_on_how_many_are_made_at_once(small: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A file's bytes follow from the journal, not from the memory that is spent on it."""
    folder = rewritten(small, tmp_path, lambda r: r)
    files_of = sorted([*folder.glob("*.parquet"), *folder.glob("models/*.parquet")])
    before = [path.read_bytes() for path in files_of]
    monkeypatch.setattr(results, "BATCH", 1)
    (folder / "items.parquet").unlink()
    run_plan = plan.load(folder)
    results.publish_items(folder, run_plan, results.planned_packs(run_plan, small.parent.parent / "tasks"))
    publish(folder)
    assert [path.read_bytes() for path in files_of] == before


def test_items_of_another_plan_are_refused(small: Path, tmp_path: Path) -> None:
    """Answers are graded by the items that the plan names, in its order, or not at all."""
    folder = shutil.copytree(small, tmp_path / small.name)
    written = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    (pack,) = written["packs"].values()
    pack["items"].reverse()
    (folder / "plan.json").write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(UsageError, match=r"items\.parquet is not of this plan"):
        list(results.Asked(folder, plan.load(folder)))


def test_records_of_what_is_not_planned_change_nothing(small: Path, tmp_path: Path) -> None:
    """An ask that the plan does not hold (another item, a trial too many) has no row, no cost and no count."""
    run_plan = plan.load(small)
    stray = [r | {"item": "q99"} for r in journal_of(small)[1:3]] + [r | {"trial": 7} for r in journal_of(small)[1:3]]
    folder = tmp_path / "r"
    (folder / "journal").mkdir(parents=True)
    write_journal(folder, [*journal_of(small), *stray])
    found, known = (results.index(f, run_plan) for f in (folder, small))
    assert (found.outcomes, found.tokens, found.said) == (known.outcomes, known.tokens, known.said)


def test_publishing_asks_nothing_of_pandas(small: Path, tmp_path: Path) -> None:
    """Tables are written and read without it: its import would take longer than they do."""
    folder = shutil.copytree(small, tmp_path / small.name)
    code = "import sys; from lmmbench import cli; cli.run_cli(sys.argv[1:]); print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    command = [sys.executable, "-c", code, "score", folder.name, "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.stdout.endswith("True False\n"), done.stderr


def test_equal_settings_of_another_type_stay_apart(small: Path, tmp_path: Path) -> None:
    """What was sent is published as it was sent, however often something equal was: 0 is neither 0.0 nor false."""
    values = [0, 0.0, False, 0]
    sent = iter(values * 100)
    folder = rewritten(small, tmp_path, lambda r: r | {"sent": {"seed": next(sent)}})
    by_order = {r["item"]: r["sent"] for r in journal_of(folder) if r["t"] == "done"}
    assert {repr(x["seed"]) for x in by_order.values()} == {"0", "0.0", "False"}
    assert {r["item_id"]: r["sent_json"] for r in rows_of(folder)} == {
        item: json.dumps(x, separators=(",", ":")) for item, x in by_order.items()
    }


@pytest.mark.parametrize("key", ["finish", "served_model", "system_fingerprint", "reasoning"])
def test_a_lone_surrogate_beside_the_answer_can_be_stored(small: Path, tmp_path: Path, key: str) -> None:
    """What a vendor says of itself and of the answer is text like any other."""
    folder = rewritten(small, tmp_path, lambda r: r | {key: "v\ud800"})
    assert {(r["status"], r[key]) for r in rows_of(folder)} == {("ok", "v\ufffd")}
    assert manifest_of(folder)["planned"] == 4


ODD: list[dict[str, Any]] = [
    {"model": 7},
    {"model": ["m"]},
    {"model": "v\ud800"},
    {"system_fingerprint": {"a": 1}},
    {"id": 12},
    {"usage": {"prompt_tokens": 10**20, "completion_tokens": 10**19}},
    {"usage": {"prompt_tokens": "10", "completion_tokens": 5, "completion_tokens_details": []}},
    {"usage": [1]},
    {"choices": [{"message": {"content": "정답: A", "reasoning_content": ["x"]}, "finish_reason": "stop"}]},
    {"choices": [{"message": {"content": "정답: A"}, "finish_reason": "st\ud800p"}]},
    {"choices": [{"message": {"content": "정답: A"}, "finish_reason": {"type": "stop"}}]},
]
"""What stands in a reply beside an answer that is whole."""


def test_odd_words_beside_an_answer_never_cost_the_run(tmp_path: Path) -> None:
    """Every answer came whole, so every answer is published, whatever types a server gave to what stands beside it."""
    normal = {"choices": [{"message": {"content": "정답: A"}, "finish_reason": "stop"}], "model": "m"}
    write_pack(tmp_path / "tasks" / "mini", len(ODD))
    with FakeServer(script=[Answer(body=json.dumps(normal | odd)) for odd in ODD]) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=1)
        done = lmmbench("run", "--tasks", "mini", "--run-id", "odd", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "results" / "odd")
    assert [(r["status"], r["answer"]) for r in rows] == [("ok", "정답: A")] * len(ODD)


def test_a_vendors_odd_error_never_keeps_a_run_from_being_published(small: Path, tmp_path: Path) -> None:
    """An error text with a lone surrogate, in a failed ask and as the reason why a model was stopped."""
    first = next(r for r in journal_of(small) if r["t"] == "done")
    end = {"t": "mark", "what": "end", "reason": "", "stopped": {"sim-a": "auth: bad \ud800 key"}, "at": "2026-11-01"}
    folder = copy_of(small, tmp_path, [fail(first, "auth") | {"error": "bad \ud800 key"}, end])
    publish(folder)
    rows = by_item(folder)
    assert rows.pop(first["item"])["error"] == "bad \ufffd key"
    assert {(r["status"], r["error"]) for r in rows.values()} == {("skipped", "auth: bad \ufffd key")}
    assert manifest_of(folder)["models"]["sim-a"]["stopped"].startswith("auth: bad")


# --- reading back ------------------------------------------------------------------------------------


def test_a_copier_is_seen_in_the_matrix(run: Path) -> None:
    """baseline-copy keeps to the limit, and all that it says is copied; where nothing is summed up there is no rate."""
    cells = product.matrix(run).set_index("cell")["copy_rate"].dropna()
    assert set(cells) == {1.0}
    assert {cell.split("/")[0] for cell in cells.index} == {"summarization"}
    said = [r for r in rows_of(run, "baseline-copy") if r["pack"] == "summarization"]
    assert said
    assert {json.loads(r["aux_json"])["over_limit"] for r in said} == {False}


def test_rows_are_read_with_pandas(run: Path) -> None:
    """`lmmbench.load` takes a run, a results folder, a file or a glob, and gives the columns of the contract."""
    frame = product.load(run)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(ROW_COLUMNS)
    assert len(frame) == manifest_of(run)["planned"]
    assert str(frame["started_at"].dt.tz) == "UTC"
    assert frame["score"].isna().sum() == (~frame["status"].isin(SCORED)).sum()
    assert len(product.load(run.parent)) == len(frame)
    assert len(product.load(f"{run.parent}/*/models/baseline-c*.parquet")) == len(frame)
    assert set(product.load(run / "models" / "baseline-copy.parquet")["model"]) == {"baseline-copy"}
    means = frame[frame["pack"] == "translation"].groupby("item_id")["score"].mean().mean()
    cells = product.matrix(run).set_index(["model", "cell"])
    assert cells.loc[("baseline-copy", "translation"), "mean"] == pytest.approx(means)


def test_rows_are_read_inside_a_running_loop(run: Path) -> None:
    """A notebook has an event loop running already."""

    async def notebook() -> int:
        return len(product.load(run)) + len(product.matrix(run))

    assert asyncio.run(notebook()) > 0


def test_a_folder_may_have_any_name(small: Path, tmp_path: Path) -> None:
    """A path that is there is that path, even where it could be read as a pattern."""
    folder = tmp_path / "old [2026]" / "small"
    shutil.copytree(small, folder)
    assert len(product.load(folder)) == 4


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    """One sentence that names what to give."""
    with pytest.raises(UsageError, match="no results at"):
        product.load(tmp_path / "nothing")
    with pytest.raises(UsageError):
        product.matrix(tmp_path)
