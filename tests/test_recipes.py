"""docs/results.md: every code block is run over nights that are made here, and every column of the files is named."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from lmmbench.analysis import matrix
from lmmbench.results import item_schema, row_schema
from lmmbench.scorers import ParseStatus
from lmmbench.types import SCORED, Status
from tests import kit, nights

MISSING = [name for name in ("duckdb", "polars") if find_spec(name) is None]
needs_readers = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true",
    reason=f"{' and '.join(MISSING)} not installed; run: pip install -c constraints.txt -e '.[dev]'",
)
PAGE = (kit.ROOT / "docs" / "results.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPES = {"string": "text", "list<item: string>": "list of text", "list<element: string>": "list of text", "timestamp[us, tz=UTC]": "timestamp", "double": "float64"}  # fmt: skip

DUCKDB = """
import json, sys, duckdb
asked = duckdb.sql(sys.stdin.read())
print(json.dumps([dict(zip(asked.columns, row)) for row in asked.fetchall()]))
"""
"""Runs in a process of its own, since DuckDB fills the end of a long one with reports of leaks that are none of ours."""

Row = dict[str, Any]
Rows = list[Row]


def section(title: str) -> str:
    """What stands under a heading, up to the next heading of any level."""
    (found,) = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def table(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


# --- the tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "schema"),
    [
        ("Rows: `models/<model>.parquet`", row_schema),
        ("Questions: `items.parquet`", item_schema),
        ("Cells: `matrix.parquet`", matrix.schema),
    ],
)
def test_every_column_is_explained_with_its_type(title: str, schema: Callable[[], Any]) -> None:
    """The page has a line for each column of the schema, in its order, with its type, its meaning and when it is null."""
    lines = table(title)
    assert [(line[0].strip("`"), line[1]) for line in lines] == [
        (field.name, TYPES.get(str(field.type), str(field.type))) for field in schema()
    ]
    assert [line[0] for line in lines if len(line) != 4 or not all(line)] == []


def test_every_status_is_explained() -> None:
    """The closed list of statuses, and which of them carry a score; every parse_status stands on the page."""
    lines = table("Statuses")
    assert [line[0].strip("`") for line in lines] == list(get_args(Status))
    assert {line[0].strip("`") for line in lines if line[2] != "null"} == SCORED
    (explained,) = [line[2] for line in table("Rows: `models/<model>.parquet`") if line[0] == "`parse_status`"]
    assert all(f"`{status}`" in explained for status in get_args(ParseStatus))


@needs_readers
def test_columns_that_are_never_null_never_are(made: Path) -> None:
    """What the page says of null holds for the rows, the questions and the cells that were made."""
    import pandas as pd

    for title, pattern in {
        "Rows: `models/<model>.parquet`": "results/*/models/*.parquet", "Questions: `items.parquet`": "results/*/items.parquet",
        "Cells: `matrix.parquet`": "results/*/matrix.parquet",
    }.items():  # fmt: skip
        frame = pd.concat([pd.read_parquet(path) for path in sorted(made.glob(pattern))])
        never = [line[0].strip("`") for line in table(title) if line[3] == "never"]
        assert list(frame.columns[frame[list(frame.columns)].isna().any()].intersection(never)) == []


# --- the recipes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights of made-up models. Returns the folder that holds results/."""
    folder = tmp_path_factory.mktemp("nights")
    nights.make(folder, embedded=False)
    return folder


@pytest.fixture
def rows(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    """All rows as plain dicts, read without any of the three; the working folder is where the page says."""
    monkeypatch.chdir(made)
    yield [row for run in sorted((made / "results").iterdir()) for row in kit.rows_of(run)]


def run_block(language: str, text: str) -> Rows:
    """What a block's last expression gives, as plain dicts."""
    if language == "sql":
        command = [sys.executable, "-c", DUCKDB]
        asked = subprocess.run(
            command, input=text, env=kit.clean_env(), capture_output=True, encoding="utf-8", check=False
        )
        assert asked.returncode == 0, asked.stderr
        return list(json.loads(asked.stdout))
    assert language == "python", f"no test runs a block of {language!r}"
    tree = ast.parse(text)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "the block ends in what it shows"
    names: dict[str, Any] = {}
    exec(compile(tree, "docs/results.md", "exec"), names)  # noqa: S102 (our own page)
    found = eval(compile(ast.Expression(last.value), "docs/results.md", "eval"), names)  # noqa: S307
    if hasattr(found, "to_dicts"):
        return list(found.to_dicts())
    return list(found.reset_index().astype(object).where(lambda f: f.notna(), None).to_dict("records"))


def groups(rows: Rows, *names: str) -> dict[tuple[Any, ...], Rows]:
    found: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        found[tuple(row[n] for n in names)].append(row)
    return found


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def means(found: Rows, rows: Rows) -> None:
    """Nulls stay out of the mean; what is unsupported stays out of coverage, and is null where that is all."""
    cells = groups(rows, "run_id", "model", "pack", "stratum")
    assert len(found) == len(cells)
    for got in found:
        mine = cells[got["run_id"], got["model"], got["pack"], got["stratum"]]
        scores = [r["score"] for r in mine if r["score"] is not None]
        able = sum(r["status"] != "unsupported" for r in mine)
        assert got["mean"] == (pytest.approx(mean(scores)) if scores else None)
        assert got["coverage"] == (pytest.approx(len(scores) / able) if able else None)
    assert {got["coverage"] for got in found} > {None, 1.0}


def refusals(found: Rows, rows: Rows) -> None:
    """sim-c refused one of its scored answers by the vendor's word."""
    scored = groups([r for r in rows if r["score"] is not None], "model", "pack")
    assert [(r["model"], r["pack"]) for r in found] == sorted(scored)
    for got in found:
        mine = scored[got["model"], got["pack"]]
        assert got["scored"] == len(mine)
        assert got["refused_by_vendor"] == pytest.approx(mean([r["status"] == "refused" for r in mine]))
        assert got["refused_in_prose"] == 0
    assert {got["model"] for got in found if got["refused_by_vendor"]} == {"sim-c"}


def costs(found: Rows, rows: Rows) -> None:
    """Known for the models with a price, null for the others, and 0 for none."""
    scored = groups([r for r in rows if r["score"] is not None], "model", "pack")
    assert len(found) == len(scored)
    for got in found:
        each = [r["cost_usd"] for r in scored[got["model"], got["pack"]]]
        assert got["usd_per_1k"] == (None if None in each else pytest.approx(1000 * sum(each) / len(each)))
    assert {got["model"] for got in found if got["usd_per_1k"]} == {"sim-a", "sim-b"}


def drift(found: Rows, rows: Rows) -> None:
    """The one change that was made."""
    assert found == [{"model": "sim-b", "run_id": "night-3", "before": "sim-b", "served": "sim-b-2"}]


def slowest(found: Rows, rows: Rows) -> None:
    """The ten longest latencies, longest first."""
    took = sorted((r["latency_s"] for r in rows if r["latency_s"]), reverse=True)
    assert [got["latency_s"] for got in found] == took[:10]
    assert set(found[0]) > {"model", "item_id", "queue_s"}


def failed(found: Rows, rows: Rows) -> None:
    """Every question with a mean below one half, once a night, with its text; an unscored answer is no 0."""
    scored = groups([r for r in rows if r["score"] is not None], "run_id", "pack", "item_id")
    low = {key: len(mine) for key, mine in scored.items() if sum(r["score"] for r in mine) < len(mine) / 2}
    assert [(r["run_id"], r["pack"], r["item_id"]) for r in found] == sorted(low)
    assert [r["scored"] for r in found] == [low[key] for key in sorted(low)]
    assert all(len(got["question"]) > 10 and got["targets"] for got in found)
    assert 0 < len(found) < len(scored)


CHECKS: dict[str, Callable[[Rows, Rows], None]] = {
    "Mean by cell, with coverage": means,
    "Refusal rates": refusals,
    "Cost per 1,000 items": costs,
    "Served models that changed from night to night": drift,
    "Slowest items": slowest,
    "What was asked, where most failed": failed,
}


@needs_readers
@pytest.mark.parametrize("title", CHECKS)
def test_a_recipe_gives_what_the_rows_say(title: str, rows: Rows) -> None:
    """Each recipe runs as it stands, and its numbers are those of the rows, counted here by hand."""
    ((language, text),) = BLOCK.findall(section(title))
    CHECKS[title](run_block(language, text), rows)


def test_no_block_of_the_page_goes_untried() -> None:
    """All blocks of code stand under a heading that has a check; all three readers are shown."""
    tried = [block for title in CHECKS for block in BLOCK.findall(section(title))]
    assert [block for block in BLOCK.findall(PAGE) if block[0] != "text"] == tried
    assert {"sql", "python"} == {language for language, _ in tried}
    assert all(f"{reader}" in PAGE for reader in ("lmmbench.load(", "read_parquet('results", "pl.scan_parquet("))
