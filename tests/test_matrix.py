"""The matrix: how rows become cells, and how cells are shown. All rows here are made up (sim-a, sim-b, …)."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from lmmbench import cli, results, stats
from lmmbench.analysis import matrix, views
from lmmbench.analysis import rows as rows_module
from lmmbench.analysis.matrix import Cell
from lmmbench.faults import UsageError
from lmmbench.files import write_parquet

Row = dict[str, Any]
QUESTION = "다음 말의 뜻은?"  # six Hangul syllables


def row(item: str, score: float | None = None, status: str = "", **more: Any) -> Row:
    """A row of models/*.parquet: scored, or with a status that leaves it without a score."""
    status = status or ("ok" if score is not None else "error")
    fixed = {"schema_version": 1, "run_id": "one", "vendor": "Simulated", "family": "Sim", "region": "overseas"}
    row: Row = fixed | {
        "model": "sim-a",
        "pack": "mini",
        "stratum": "jeju",
        "item_id": item,
        "cluster_id": item,
        "trial": 0,
    }
    return row | {"status": status, "score": score, "parse_status": "ok" if score is not None else None} | more


def write_run(folder: Path, rows: list[Row], models: list[str] | None = None) -> Path:
    """A run's folder with these rows; `models` in the plan's order."""
    models = models or list(dict.fromkeys(r["model"] for r in rows))
    (folder / "models").mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"models": {m: {} for m in models}}), encoding="utf-8")
    asked = dict.fromkeys((r["pack"], r["item_id"]) for r in rows)
    items = [{"schema_version": 1, "pack": p, "item_id": i, "system": "", "question": QUESTION} for p, i in asked]
    write_parquet(folder / "items.parquet", results.item_schema(), [items])
    for model in models:
        mine = [r for r in rows if r["model"] == model]
        write_parquet(folder / "models" / f"{model}.parquet", results.row_schema(), [mine])
    return folder


def cells_of(folder: Path, rows: list[Row]) -> dict[str, Cell]:
    """The cells of one model's rows, by name, as they are published and read back."""
    run = write_run(folder / "run", rows)
    matrix.publish(run)
    return {c["cell"]: c for c in matrix.read(run)}


# --- from rows to cells ------------------------------------------------------------------------------


def test_a_cell_is_a_pack_or_a_stratum_of_one(tmp_path: Path) -> None:
    """Packs come first, then the strata, each under its pack's name."""
    rows = [row("a", 1.0), row("b", 0.0, stratum="north"), row("c", 0.5, pack="other", stratum="x")]
    cells = cells_of(tmp_path, rows)
    assert list(cells) == ["mini", "other", "mini/jeju", "mini/north", "other/x"]
    assert [c["kind"] for c in cells.values()] == ["pack", "pack", "stratum", "stratum", "stratum"]
    assert [c["mean"] for c in cells.values()] == [0.5, 0.5, 1.0, 0.0, 0.5]


def test_trials_are_averaged_within_an_item_first(tmp_path: Path) -> None:
    """Each item weighs the same, however many of its trials were scored."""
    rows = [row("a", s, trial=t) for t, s in enumerate((1.0, 0.0, 1.0, 1.0))]
    rows += [row("b", 0.0, trial=0), *(row("b", trial=t) for t in (1, 2, 3))]
    cell = cells_of(tmp_path, rows)["mini"]
    assert cell["mean"] == (0.75 + 0.0) / 2
    assert (cell["n_planned"], cell["n_scored"], cell["clusters"], cell["coverage"]) == (8, 5, 2, 5 / 8)


def test_the_interval_is_that_of_the_items_and_their_clusters(tmp_path: Path) -> None:
    """Right-or-wrong items that stand alone get Wilson's interval, items that share a cluster move together."""
    rows = [row(f"q{n}", float(n % 3 == 0)) for n in range(12)]
    cell = cells_of(tmp_path, rows)["mini"]
    assert (cell["ci_low"], cell["ci_high"]) == stats.wilson(4, 12)
    assert (cell["method"], cell["clusters"]) == ("wilson", 12)
    paired = [r | {"cluster_id": f"c{n // 2}"} for n, r in enumerate(rows)]
    cell = cells_of(tmp_path / "paired", paired)["mini"]
    assert (cell["method"], cell["clusters"]) == ("cluster-bootstrap", 6)
    assert cell["ci_low"] < cell["mean"] < cell["ci_high"]


def test_what_failed_is_missing_and_what_is_unsupported_was_never_due(tmp_path: Path) -> None:
    """coverage = scored / (planned - unsupported); a failure is never a 0 in the mean."""
    lost = ["error", "invalid", "skipped"]
    rows = [row("a", 1.0), row("b", 1.0, "truncated"), row("c", 0.0, "refused")]
    rows += [row(s, status=s) for s in lost] + [row(f"u{n}", status="unsupported") for n in range(4)]
    cell = cells_of(tmp_path, rows)["mini"]
    assert (cell["n_planned"], cell["n_scored"], cell["coverage"]) == (10, 3, 3 / 6)
    assert cell["mean"] == pytest.approx(2 / 3)
    assert (cell["refused_rate"], cell["truncated_rate"]) == (1 / 3, 1 / 3)


@pytest.mark.parametrize(("status", "coverage"), [("error", 0.0), ("skipped", 0.0), ("unsupported", None)])
def test_where_nothing_was_measured_nothing_is_said(tmp_path: Path, status: str, coverage: float | None) -> None:
    """No mean, no interval, no rate: null, and a dash where it is shown. A cell that was not due has no coverage."""
    cell = cells_of(tmp_path, [row("a", status=status), row("b", status=status)])["mini"]
    assert (cell["n_planned"], cell["n_scored"], cell["clusters"], cell["coverage"]) == (2, 0, 0, coverage)
    numbers = ("mean", "ci_low", "ci_high", "method", "refused_rate", "truncated_rate", "parsed_rate", "latency_p50")
    assert {cell[n] for n in numbers} == {None}
    assert views.cell_text(cell) == "–"
    assert views.cell_text(None) == "–"


@given(st.lists(st.text(st.sampled_from("가힣a ㄱ\uabff\ud7a4한😀"), max_size=5), max_size=5), st.integers(0, 2))
def test_hangul_is_counted_in_each_text_of_any_number(texts: list[str], thousands: int) -> None:
    """Syllables only (가 to 힣), whatever stands before and after, empty texts too."""
    texts += ["한글 x"] * 1000 * thousands
    assert list(rows_module._hangul(texts)) == [len(re.findall("[가-힣]", text)) for text in texts]


def test_questions_that_were_read_before_are_not_read_again(tmp_path: Path) -> None:
    """Publishing reads them while answers are awaited; what it read is what the matrix is made of."""
    rows = [row(f"q{n}", n % 2, pack=f"p{n % 3}", input_tokens=1 + n) for n in range(30)]
    run = write_run(tmp_path / "run", rows)
    chance, hangul = rows_module.questions(run)
    alone = [cell["hangul_per_token"] for cell in matrix.publish(run)]
    assert alone == [cell["hangul_per_token"] for cell in matrix.publish(run, (chance, hangul))]
    assert [2 * x for x in alone] == [cell["hangul_per_token"] for cell in matrix.publish(run, (chance, 2 * hangul))]


def test_conduct_speed_and_cost_stand_beside_the_score(tmp_path: Path) -> None:
    """Rates are shares of the scored; latency is that of answers that were asked for; a cost that is not known for
    every answer is null, and so is a mean of it."""
    timed: Row = {"latency_s": 2.0, "output_tokens": 10, "input_tokens": 4, "cost_usd": 0.001}
    rows = [
        row("a", 1.0, **timed),
        row("b", 0.0, parse_status="none", **timed | {"latency_s": 4.0, "output_tokens": 20}),
    ]
    cell = cells_of(tmp_path, rows)["mini"]
    assert (cell["parsed_rate"], cell["latency_p50"], cell["tokens_per_s"]) == (0.5, 3.0, 30 / 6)
    assert cell["latency_p95"] == pytest.approx(3.9)
    assert cell["cost_per_1k"] == pytest.approx(1.0)
    assert cell["hangul_per_token"] == 6 / 4
    cell = cells_of(tmp_path / "unknown", [rows[0], row("b", 0.0, latency_s=0.0)])["mini"]
    assert (cell["cost_per_1k"], cell["latency_p50"]) == (None, 2.0)


def test_how_much_was_copied_stands_beside_a_score_of_summaries(tmp_path: Path) -> None:
    """The mean over the answers of which the scorer measured it; null, and no line, where it measured none."""
    rows = [row("a", 1.0, aux_json='{"copied_grams": 0.25}'), row("b", 0.0, aux_json='{"copied_grams": 1.0}')]
    rows += [
        row("c", 0.5, aux_json='{"copied_grams": null}'),
        row("d", 0.5, pack="other", aux_json='{"key_terms": 0.5}'),
    ]
    rows += [row("e", status="error"), row("f", 0.5, pack="other")]
    cells = cells_of(tmp_path, rows)
    assert {name: c["copy_rate"] for name, c in cells.items() if c["kind"] == "pack"} == {"mini": 0.625, "other": None}
    assert views.cell_text(shown(copy_rate=0.069)) == "52.8 [37.0,68.0]\nn=36 · 100 %\ncopied 6 %"
    assert views.cell_text(shown(copy_rate=1.0, label="even", diff=0.0), "ko").splitlines()[2:] == [
        "베낌 100 %",
        "대등 +0.0",
    ]


def test_a_matrix_of_before_a_column_says_nothing_of_it(tmp_path: Path) -> None:
    """It is read, and null there: a run is not published anew to be shown."""
    run = write_run(tmp_path / "run", [row("a", 1.0)])
    later = ("copy_rate", "cached_share")
    old = [{k: v for k, v in cell.items() if k not in later} for cell in matrix.publish(run)]
    schema = matrix.schema()
    for name in later:
        schema = schema.remove(schema.get_field_index(name))
    write_parquet(run / "matrix.parquet", schema, [old])
    cells = matrix.read(run)
    assert [list(c) for c in cells] == [matrix.COLUMNS] * len(cells)
    assert {c[name] for c in cells for name in later} == {None}


def test_a_run_that_is_not_published_is_said(tmp_path: Path) -> None:
    """The sentence names the command that finishes it."""
    run = write_run(tmp_path / "run", [row("a", 1.0)])
    with pytest.raises(UsageError, match="no matrix yet; finish it with: lmmbench run --resume run"):
        matrix.read(run)
    (run / "models" / "sim-a.parquet").unlink()
    with pytest.raises(UsageError, match="not published yet"):
        matrix.build(run)
    with pytest.raises(UsageError, match="is not a run"):
        matrix.build(tmp_path)


OUTCOMES = st.lists(st.sampled_from([0.0, 0.125, 0.5, 1.0, None]), min_size=16, max_size=16)


@settings(max_examples=25, deadline=None)
@given(OUTCOMES, OUTCOMES, st.randoms())
def test_no_order_changes_a_number(
    tmp_path_factory: pytest.TempPathFactory, a: list[float | None], b: list[float | None], rng: random.Random
) -> None:
    """A matrix is that of a set of rows and a set of models; the order in which they come decides nothing."""
    rows = [
        row(f"q{n // 2}", s, model=m, trial=n % 2, stratum=("jeju", "north")[n // 8], cluster_id=f"c{n // 4}")
        for m, scores in (("sim-a", a), ("sim-b", b))
        for n, s in enumerate(scores)
    ]
    folder = tmp_path_factory.mktemp("order")
    one = matrix.build(write_run(folder / "one", rows, ["sim-a", "sim-b"]))
    other = matrix.build(write_run(folder / "other", rng.sample(rows, len(rows)), ["sim-b", "sim-a"]))
    found = {(c["model"], c["cell"]): c for c in other}
    assert len(one) == len(found) == 6
    for cell in one:
        again = found[cell["model"], cell["cell"]]
        for name, value in cell.items():
            assert again[name] == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value), name


# --- how cells are shown -----------------------------------------------------------------------------


def shown(model: str = "sim-a", name: str = "mini", **more: Any) -> Cell:
    """A cell as it is read from matrix.parquet."""
    cell: Cell = dict.fromkeys(matrix.COLUMNS)
    cell |= {
        "run_id": "one",
        "model": model,
        "vendor": "Simulated",
        "cell": name,
        "kind": "stratum" if "/" in name else "pack",
    }
    cell |= {
        "n_planned": 36,
        "n_scored": 36,
        "clusters": 36,
        "coverage": 1.0,
        "mean": 0.528,
        "ci_low": 0.37,
        "ci_high": 0.68,
    }
    return cell | more


def grid(models: list[str], pack: str, strata: int, **more: Any) -> list[Cell]:
    """Cells of a pack and its strata for several models, each with a mean of its own."""
    names = [pack, *(f"{pack}/stratum-{k}" for k in range(strata))]
    means = iter(k / 1000 for k in range(1, 1000))
    return [shown(m, n, **{"mean": next(means), **more}) for n in names for m in models]


def printed(cells: list[Cell], width: int, lang: str = "en") -> str:
    """The tables as a terminal of that width shows them."""
    console = Console(file=io.StringIO(), width=width, highlight=False, safe_box=True)
    for table in views.tables(views.models(cells, lang), width):
        console.print(table)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def markdown(cells: list[Cell], lang: str, simulated: bool = False) -> str:
    """The matrix as Markdown."""
    return views.markdown(views.models(cells, lang), views.title(lang, simulated))


def test_a_cell_shows_score_interval_count_and_what_is_missing() -> None:
    """A number never stands without its interval and its count; coverage is said where it is not whole."""
    assert views.cell_text(shown()) == "52.8 [37.0,68.0]\nn=36 · 100 %"
    assert views.cell_text(shown(n_scored=18, coverage=0.5)) == "52.8 [37.0,68.0]\nn=18 · 50 %"
    assert views.cell_text(shown(ci_low=None, ci_high=None)) == "52.8\nn=36 · 100 %"


def test_coverage_that_is_not_whole_never_looks_whole() -> None:
    """One missing answer in a thousand is not `100 %`."""
    assert "100 %" not in views.cell_text(shown(n_planned=1000, n_scored=999, coverage=0.999))


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("model", ["sim-a", "sim-model-of-20-chars", "sim-" + "a" * 36, "sim-" + "b" * 60])
def test_tables_fit_the_terminal_and_lose_nothing(width: int, lang: str, model: str) -> None:
    """No line is wider than the terminal, and every score, interval and count is there, whatever the models' names."""
    models = [model, f"{model[:-1]}2"]
    cells = grid(models, "korean-dialect", 7, n_scored=1234, coverage=0.5)
    text = printed(cells, width, lang)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    for cell in cells:
        assert f"{100 * cell['mean']:.1f}" in text
    assert text.count("[37.0,68.0]") == len(cells)
    assert text.count("n=1234 · 50 %") == len(cells)
    for k in range(7):
        assert f"stratum-{k}" in text


def test_a_cell_that_is_all_right_fits_too() -> None:
    """The longest cell there is: `100.0 [100.0,100.0]`."""
    text = printed(grid(["sim-a"], "mini", 5, mean=1.0, ci_low=1.0, ci_high=1.0), 60)
    assert text.count("[100.0,100.0]") == 6
    assert max(map(cell_len, text.splitlines())) <= 60


def test_a_long_packs_name_can_be_read() -> None:
    """A pack's id has up to 64 characters; none of them is cut off."""
    name = "".join(f"part{k:02}-" for k in range(9))[:-1]
    text = printed(grid(["sim-a"], name, 1), 60)
    assert "…" not in text
    assert all(f"part{k:02}" in text for k in range(9))


@pytest.mark.parametrize("stratum", ["[red]", "[/b]", "a|b", "a[b]c"])
def test_a_stratums_name_is_shown_as_it_stands(stratum: str) -> None:
    """A stratum is a pack's own text: it never acts as markup, and never adds a column to a Markdown table."""
    cells = [shown(name="mini"), shown(name=f"mini/{stratum}")]
    text = printed(cells, 80)
    assert all(part in text for part in stratum.split("/"))
    lines = [line for line in markdown(cells, "en").splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {3, 10}


def test_made_up_models_are_called_so() -> None:
    """A matrix of simulated models says so before anything else, in every language."""
    for lang in ("en", "ko"):
        assert views.title(lang, simulated=True).startswith("SIMULATED")
        assert "SIMULATED" in markdown(grid(["sim-a"], "mini", 1), lang, simulated=True).splitlines()[0]
        assert "SIMULATED" not in markdown(grid(["sim-a"], "mini", 1), lang)


def test_markdown_is_a_table() -> None:
    """A row for each model, a column for each cell, a dash where nothing was measured."""
    cells = [shown("sim-a"), shown("sim-a", "other"), shown("sim-b", "other", mean=None)]
    lines = markdown(cells, "ko").splitlines()
    assert lines[2:6] == [
        "| 모델 | mini | other |",
        "|---|---:|---:|",
        "| sim-a | 52.8 [37.0,68.0]<br>n=36 · 100 % | 52.8 [37.0,68.0]<br>n=36 · 100 % |",
        "| sim-b | – | – |",
    ]


@pytest.mark.parametrize("show", [lambda c: printed(c, 80), lambda c: markdown(c, "en")], ids=["table", "markdown"])
def test_two_runs_of_one_model_are_two_rows(show: Any) -> None:
    """`lmmbench matrix RUN RUN` drops no run: each has its row, and the row says which run it is."""
    text = show([shown(run_id="monday", mean=0.111), shown(run_id="tuesday", mean=0.222)])
    assert "11.1" in text
    assert "22.2" in text
    assert "monday" in text
    assert "tuesday" in text


def test_csv_is_read_by_spreadsheets() -> None:
    """UTF-8 with a byte order mark; every column; null is empty; a text that would run as a formula is quoted, a
    negative number is not."""
    evil = ["=1+1", "+1", "-1", "@A1", "\t=1+1", "\r=1+1"]
    cells = [shown(vendor=v, diff=-0.25) for v in ["카카오, 주식회사", *evil]]
    text = views.cells_csv(cells, matrix.COLUMNS)
    assert text.startswith("\ufeffrun_id,model,")
    assert "\r\n" in text
    read = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert list(read[0]) == matrix.COLUMNS
    assert [r["vendor"] for r in read] == ["카카오, 주식회사", *(f"'{v}" for v in evil)]
    assert {(r["diff"], r["p"], r["mean"], r["n_scored"]) for r in read} == {("-0.25", "", "0.528", "36")}


def test_json_holds_every_column() -> None:
    """Null is null, and Hangul is Hangul."""
    text = views.as_json([shown(vendor="카카오", mean=None)])
    (cell,) = json.loads(text)
    assert list(cell) == matrix.COLUMNS
    assert (cell["mean"], cell["vendor"]) == (None, "카카오")
    assert "카카오" in text
    assert "NaN" not in text


@pytest.mark.parametrize("form", ["table", "md", "json", "csv"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_command_prints_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, lang: str
) -> None:
    """`lmmbench matrix RUN --format F`: results on stdout, nothing on stderr."""
    run = write_run(tmp_path / "run", [row(f"q{n}", float(n % 2)) for n in range(8)])
    matrix.publish(run)
    assert cli.run_cli(["matrix", str(run), "--format", form, "--lang", lang]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "sim-a" in out
    assert ("50.0 [" in out) == (form in ("table", "md"))
    if form == "json":
        assert [c["mean"] for c in json.loads(out)] == [0.5, 0.5]
    if form == "csv":
        assert out.startswith("\ufeff")
