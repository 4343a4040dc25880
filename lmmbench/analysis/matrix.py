"""The matrix: models x cells, from the published rows of a run. Reads files only; knows no runner and no provider.

A cell is a pack (`korean-dialect`) or a stratum of one (`korean-dialect/jeju`). Trials are averaged within an item
first. Beside each mean stand its 95 % interval, its count and its coverage; what was not measured is null, never 0.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmbench import stats
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet, write_parquet
from lmmbench.types import SCORED

if TYPE_CHECKING:
    from rich.table import Table

Cell = dict[str, Any]
_NOT_HANGUL = re.compile("[^가-힣]+")

_TEXT = ("run_id", "model", "vendor", "region", "family", "cell", "kind", "label", "field_sha", "method")
_INT = ("n_planned", "n_scored", "clusters")
COLUMNS = [
    "run_id",
    "model",
    "vendor",
    "family",
    "region",
    "cell",
    "kind",
    "n_planned",
    "n_scored",
    "clusters",
    "coverage",
    "mean",
    "ci_low",
    "ci_high",
    "diff",
    "diff_low",
    "diff_high",
    "p",
    "p_adj",
    "profile_diff",
    "label",
    "field_sha",
    "method",
    "refused_rate",
    "truncated_rate",
    "parsed_rate",
    "latency_p50",
    "latency_p95",
    "tokens_per_s",
    "cost_per_1k",
    "hangul_per_token",
]
_READ = [
    "run_id",
    "model",
    "vendor",
    "family",
    "region",
    "pack",
    "stratum",
    "item_id",
    "cluster_id",
    "trial",
    "status",
    "score",
    "parse_status",
    "latency_s",
    "output_tokens",
    "input_tokens",
    "cost_usd",
]


@cache
def schema() -> Any:
    """The explicit schema of matrix.parquet (pyarrow.Schema)."""
    import pyarrow as pa

    kinds = dict.fromkeys(_TEXT, pa.string()) | dict.fromkeys(_INT, pa.int64())
    return pa.schema([pa.field(name, kinds.get(name, pa.float64())) for name in COLUMNS])


def build(folder: Path) -> list[Cell]:
    """Every (model, cell) of a run's published rows, packs first, in the order of the plan."""
    files = _model_files(folder)
    hangul = _hangul(folder)
    cells: list[Cell] = []
    for path in files:
        rows = read_parquet(path, _READ).to_pylist()
        groups: dict[tuple[str, str], list[Cell]] = {}
        for row in rows:
            groups.setdefault(("pack", row["pack"]), []).append(row)
            groups.setdefault(("stratum", f"{row['pack']}/{row['stratum']}"), []).append(row)
        cells += [_cell(kind, name, group, hangul) for (kind, name), group in groups.items()]
    return sorted(cells, key=lambda c: c["kind"] != "pack")


def _model_files(folder: Path) -> list[Path]:
    """Files of the run's models, in the plan's order."""
    try:
        planned = json.loads((folder / "plan.json").read_bytes())["models"]
    except (OSError, ValueError, KeyError):
        raise UsageError(f"{folder} is not a run: it has no readable plan.json") from None
    found = [folder / "models" / f"{model}.parquet" for model in planned]
    missing = [p.stem for p in found if not p.is_file()]
    if missing:
        raise UsageError(f"{folder.name} is not published yet; finish it with: lmmbench run --resume {folder.name}")
    return found


def _hangul(folder: Path) -> dict[tuple[str, str], int]:
    """Hangul syllables of each question as it was sent, system text included."""
    names = ["pack", "item_id", "system", "question"]
    rows = read_parquet(folder / "items.parquet", names).to_pylist()
    return {(r["pack"], r["item_id"]): len(_NOT_HANGUL.sub("", r["system"] + r["question"])) for r in rows}


def _cell(kind: str, name: str, rows: Sequence[Cell], hangul: Mapping[tuple[str, str], int]) -> Cell:
    first = rows[0]
    scored = [r for r in rows if r["status"] in SCORED and r["score"] is not None]
    able = sum(r["status"] != "unsupported" for r in rows)
    cell: Cell = dict.fromkeys(COLUMNS)
    cell |= {k: first[k] for k in ("run_id", "model", "vendor", "family", "region")}
    cell |= {"cell": name, "kind": kind, "n_planned": len(rows), "n_scored": len(scored)}
    cell |= {"coverage": len(scored) / able if able else None}
    cell |= _estimate(scored)
    cell |= _conduct(scored)
    cell |= _speed_and_cost(scored, hangul)
    return cell


def _estimate(scored: Sequence[Cell]) -> Cell:
    """Mean and interval over items, trials averaged first."""
    import numpy as np

    items: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for row in scored:
        items.setdefault(row["item_id"], []).append(row["score"])
        clusters[row["item_id"]] = row["cluster_id"]
    if not items:
        return {"clusters": 0}
    means = np.array([sum(s) / len(s) for s in items.values()])
    low, high, method = stats.interval(means, list(clusters.values()))
    return {
        "clusters": len(set(clusters.values())), "mean": float(means.mean()), "method": method,
        "ci_low": low, "ci_high": high,
    }  # fmt: skip


def _conduct(scored: Sequence[Cell]) -> Cell:
    """Shares of refused, truncated and parsed answers among the scored."""
    if not scored:
        return {}
    n = len(scored)
    truncated = sum(r["status"] == "truncated" for r in scored) / n
    return {
        "refused_rate": sum(r["status"] == "refused" for r in scored) / n, "truncated_rate": truncated,
        "parsed_rate": sum(r["parse_status"] == "ok" for r in scored) / n,
    }  # fmt: skip


def _speed_and_cost(scored: Sequence[Cell], hangul: Mapping[tuple[str, str], int]) -> Cell:
    """Latency of the successful attempt, output tokens a second, dollars per 1,000 items, Hangul per input token.

    Tokens a second are all output tokens, reasoning included, over the whole latency, streamed or not. Counting from the
    first token on would measure how finely a vendor cuts its stream: an answer that comes in one event takes no time.
    """
    import numpy as np

    # an answer that took no time was computed, not asked for
    timed = [r for r in scored if r["latency_s"]]
    out: Cell = {}
    if timed:
        latency = np.array([r["latency_s"] for r in timed])
        out |= {"latency_p50": float(np.quantile(latency, 0.5)), "latency_p95": float(np.quantile(latency, 0.95))}
        counted = [r for r in timed if r["output_tokens"] is not None]
        if counted:
            out["tokens_per_s"] = sum(r["output_tokens"] for r in counted) / sum(r["latency_s"] for r in counted)
    priced = [r["cost_usd"] for r in scored if r["cost_usd"] is not None]
    if priced and len(priced) == len(scored):
        out["cost_per_1k"] = 1000 * sum(priced) / len(priced)
    fed = [r for r in scored if r["input_tokens"]]
    if fed:
        syllables = sum(hangul.get((r["pack"], r["item_id"]), 0) for r in fed)
        out["hangul_per_token"] = syllables / sum(r["input_tokens"] for r in fed)
    return out


def publish(folder: Path) -> list[Cell]:
    """Write matrix.parquet and return its cells."""
    cells = build(folder)
    write_parquet(folder / "matrix.parquet", schema(), [cells])
    return cells


def read(folder: Path) -> list[Cell]:
    """The published matrix. Raises UsageError when there is none."""
    path = folder / "matrix.parquet"
    if not path.is_file():
        raise UsageError(f"{folder.name} has no matrix yet; finish it with: lmmbench run --resume {folder.name}")
    return read_parquet(path).to_pylist()  # type: ignore[no-any-return]


# --- how it is shown ---------------------------------------------------------------------------------

_WORDS = {
    "en": {
        "model": "model",
        "title": "Scores 0-100 [95 % interval], n scored · coverage",
        "none": "–",
    },
    "ko": {"model": "모델", "title": "점수 0-100 [95 % 신뢰구간], 채점 문항 수 · 채점률", "none": "–"},
}


def cell_text(cell: Cell | None, none: str = "–") -> str:
    """`52.8 [37.0,68.0]` and `n=36 · 100 %` (scored, coverage) on two lines; `–` where nothing was measured."""
    if cell is None or cell["mean"] is None:
        return none
    interval = "" if cell["ci_low"] is None else f" [{100 * cell['ci_low']:.1f},{100 * cell['ci_high']:.1f}]"
    # rounded down: what is not whole never looks whole
    return f"{100 * cell['mean']:.1f}{interval}\nn={cell['n_scored']} · {math.floor(100 * cell['coverage'])} %"


def _grid(cells: Sequence[Cell], kind: str) -> tuple[list[str], list[str], dict[tuple[str, str], Cell]]:
    chosen = [c for c in cells if c["kind"] == kind]
    several = len({c["run_id"] for c in cells}) > 1

    def row(cell: Cell) -> str:
        return f"{cell['model']} @ {cell['run_id']}" if several else str(cell["model"])

    models = list(dict.fromkeys(map(row, chosen)))
    names = list(dict.fromkeys(c["cell"] for c in chosen))
    return models, names, {(row(c), c["cell"]): c for c in chosen}


def title(lang: str, simulated: bool = False) -> str:
    """What the numbers in a cell are."""
    return ("SIMULATED  " if simulated else "") + _WORDS[lang]["title"]


def tables(cells: Sequence[Cell], lang: str, width: int) -> list[Table]:
    """The matrix for a terminal: packs, then the strata of each pack, as many columns a table as fit."""
    from rich.table import Table
    from rich.text import Text

    words = _WORDS[lang]
    parts: list[tuple[str, str]] = [("pack", "")]
    parts += [("stratum", f"{p}/") for p in dict.fromkeys(c["cell"] for c in cells if c["kind"] == "pack")]
    out: list[Table] = []
    for kind, prefix in parts:
        models, names, at = _grid([c for c in cells if c["cell"].startswith(prefix)], kind)
        widest = max(8, width - 26)
        room = max(1, (width - 3 - min(widest, max(map(len, models), default=0))) // 21)
        for start in range(0, len(names), room):
            table = Table(show_lines=True)
            table.add_column(words["model"], max_width=widest, overflow="fold")
            part = names[start : start + room]
            for name in part:
                table.add_column(Text(name.replace("/", "/\n")), justify="right", overflow="fold")
            for model in models:
                table.add_row(model, *(cell_text(at.get((model, name)), words["none"]) for name in part))
            out.append(table)
    return out


def markdown(cells: Sequence[Cell], lang: str, simulated: bool = False) -> str:
    """The matrix as Markdown tables: packs, then strata."""
    lines = [title(lang, simulated), ""]
    for kind in ("pack", "stratum"):
        models, names, at = _grid(cells, kind)
        lines.append(f"| {_WORDS[lang]['model']} | " + " | ".join(n.replace("|", "\\|") for n in names) + " |")
        lines.append("|---|" + "---:|" * len(names))
        for model in models:
            shown = (cell_text(at.get((model, name)), _WORDS[lang]["none"]).replace("\n", "<br>") for name in names)
            lines.append(f"| {model} | " + " | ".join(shown) + " |")
        lines.append("")
    return "\n".join(lines)


def as_csv(cells: Sequence[Cell]) -> str:
    """The matrix as CSV with a byte order mark, so that spreadsheets read it as UTF-8."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({k: _no_formula(v) for k, v in cell.items()} for cell in cells)
    return "\ufeff" + out.getvalue()


def _no_formula(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_json(cells: Sequence[Cell]) -> str:
    return json.dumps(list(cells), ensure_ascii=False, indent=1)
