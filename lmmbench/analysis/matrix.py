"""The matrix: models x cells, from the published rows of a run. Reads files only; knows no runner and no provider.

A cell is a pack (`korean-dialect`) or a stratum of one (`korean-dialect/jeju`). Trials are averaged within an item
first. Beside each mean stand its 95 % interval, its count and its coverage, how far the model stands from the field
(see `field`), and what it took; what was not measured is null, never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmbench import stats
from lmmbench.analysis import field
from lmmbench.analysis import rows as published
from lmmbench.analysis.field import Cell as Cell
from lmmbench.analysis.rows import Items, Rows
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet, write_parquet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    "copy_rate",
    "cached_share",
]


@cache
def schema() -> Any:
    """The explicit schema of matrix.parquet (pyarrow.Schema)."""
    import pyarrow as pa

    kinds = dict.fromkeys(_TEXT, pa.string()) | dict.fromkeys(_INT, pa.int64())
    return pa.schema([pa.field(name, kinds.get(name, pa.float64())) for name in COLUMNS])


def build(*folders: Path) -> list[Cell]:
    """Every (model, cell) of the published rows of one or more runs as one field: packs first, in the order of the
    plan. Raises UsageError when a folder is no run, is not published, or the runs did not ask the same."""
    if apart := differing(folders):
        raise UsageError(f"these runs are not one field: {apart}; give each to a matrix of its own")
    return cells_of(published.load(folders))


def cells_of(runs: published.Runs) -> list[Cell]:
    """The cells of `runs`, judged against their field."""
    import numpy as np

    cells: list[Cell] = []
    samples: list[tuple[Cell, NDArray[np.float64], NDArray[np.int64]]] = []
    parts = runs.items.parts()
    for rows in runs.rows:
        means = rows.means()
        for part, at in zip(parts, _places(rows, parts), strict=True):
            if not len(at):
                continue
            cells.append(_cell(rows, part, at, runs.items))
            there = part.items[~np.isnan(means[part.items])]
            samples.append((cells[-1], means[there], runs.items.cluster[there]))
    _estimate(samples)
    field.judge(runs, cells)
    return sorted(cells, key=lambda c: c["kind"] != "pack")


def _places(rows: Rows, parts: Sequence[published.Part]) -> Iterator[NDArray[np.int64]]:
    """Places of the rows that belong to each part."""
    import numpy as np

    for part in parts:
        inside = np.zeros(rows.items, dtype=bool)
        inside[part.items] = True
        yield np.flatnonzero(inside[rows.item])


def _cell(rows: Rows, part: published.Part, at: NDArray[np.int64], items: Items) -> Cell:
    """A cell with all that needs no other cell. `at`: places of its rows."""
    scored = at[rows.scored[at]]
    able = len(at) - int((rows.columns["status"][at] == "unsupported").sum())
    cell: Cell = dict.fromkeys(COLUMNS)
    cell |= rows.who | {"cell": part.name, "kind": part.kind, "n_planned": len(at), "n_scored": len(scored)}
    cell |= {"coverage": len(scored) / able if able else None, "clusters": 0}
    if len(scored):
        cell |= _conduct(rows, scored) | _speed_and_cost(rows, scored) | _tokens(rows, scored, items)
        cell |= _copying(rows, scored) | _cached(rows, scored)
    return cell


def _estimate(samples: Sequence[tuple[Cell, NDArray[np.float64], NDArray[np.int64]]]) -> None:
    """Fill in mean, interval and clusters of the cells. A sample: its items' means and their clusters."""
    import numpy as np

    measured = [sample for sample in samples if len(sample[1])]
    bounds = stats.intervals([(means, clusters) for _, means, clusters in measured])
    for (cell, means, clusters), (low, high, method) in zip(measured, bounds, strict=True):
        cell |= {"mean": float(means.mean()), "ci_low": low, "ci_high": high, "method": method}
        cell["clusters"] = len(np.unique(clusters))


def _conduct(rows: Rows, scored: NDArray[np.int64]) -> Cell:
    """Shares among the scored: refused (by the vendor's word, or in prose), truncated, parsed."""
    status, parsed = rows.columns["status"][scored], rows.columns["parse_status"][scored]
    return {
        "refused_rate": float(((status == "refused") | (parsed == "refuse")).mean()), "truncated_rate": float((status == "truncated").mean()),
        "parsed_rate": float((parsed == "ok").mean()),
    }  # fmt: skip


def _speed_and_cost(rows: Rows, scored: NDArray[np.int64]) -> Cell:
    """Latency of the successful attempt, output tokens a second, dollars per 1,000 items.

    Tokens a second are all output tokens, reasoning included, over the whole latency, streamed or not. Counting from the
    first token on would measure how finely a vendor cuts its stream: an answer that comes in one event takes no time.
    """
    import numpy as np

    latency, output, cost = (rows.columns[name][scored] for name in ("latency_s", "output_tokens", "cost_usd"))
    out: Cell = {}
    timed = latency > 0  # an answer that took no time was computed, not asked for
    if timed.any():
        p50, p95 = np.quantile(latency[timed], [0.5, 0.95])
        out |= {"latency_p50": float(p50), "latency_p95": float(p95)}
    counted = timed & ~np.isnan(output)
    if counted.any():
        out["tokens_per_s"] = float(output[counted].sum() / latency[counted].sum())
    if not np.isnan(cost).any():
        out["cost_per_1k"] = float(1000 * cost.mean())
    return out


def _tokens(rows: Rows, scored: NDArray[np.int64], items: Items) -> Cell:
    """Hangul syllables per input token, as the vendor counts tokens, over the answers whose count is known."""
    tokens, hangul = rows.columns["input_tokens"][scored], items.hangul[rows.item[scored]]
    fed = tokens > 0
    return {"hangul_per_token": float(hangul[fed].sum() / tokens[fed].sum())} if fed.any() else {}


def _cached(rows: Rows, scored: NDArray[np.int64]) -> Cell:
    """How much of the input came from the vendor's cache, over the answers that say so and whose latency is known."""
    tokens, cached, latency = (rows.columns[name][scored] for name in ("input_tokens", "cached_tokens", "latency_s"))
    told = (tokens > 0) & (cached >= 0) & (latency > 0)
    return {"cached_share": float(cached[told].sum() / tokens[told].sum())} if told.any() else {}


def _copying(rows: Rows, scored: NDArray[np.int64]) -> Cell:
    """How much of its summaries a model copied, the mean over the answers of which that was measured."""
    import numpy as np

    copied = rows.columns[published.COPIED][scored]
    measured = copied[~np.isnan(copied)]
    return {"copy_rate": float(measured.mean())} if len(measured) else {}


# --- files -------------------------------------------------------------------------------------------


def publish(folder: Path, questions: published.Questions | None = None) -> list[Cell]:
    """Write matrix.parquet and return its cells. `questions`: those of the run, where they were read before."""
    cells = cells_of(published.load([folder], {folder: questions} if questions else None))
    write_parquet(folder / "matrix.parquet", schema(), [cells])
    return cells


def read(folder: Path) -> list[Cell]:
    """The published matrix. Raises UsageError when there is none."""
    path = folder / "matrix.parquet"
    if not path.is_file():
        raise UsageError(f"{folder.name} has no matrix yet; finish it with: lmmbench run --resume {folder.name}")
    # a matrix that was written before a column was added says nothing of it
    return [dict.fromkeys(COLUMNS) | cell for cell in read_parquet(path).to_pylist()]


def together(folders: Sequence[Path]) -> tuple[list[Cell], str]:
    """The cells of one or more runs, and why they are not one field ("" if they are): then each run's cells stand as
    they were published, judged within their own run."""
    if len(folders) == 1:
        return read(folders[0]), ""
    if apart := differing(folders):
        return [cell for folder in folders for cell in read(folder)], apart
    return build(*folders), ""


def differing(folders: Sequence[Path]) -> str:
    """What keeps the models of several runs from being one field: a model that is in two of them, another seed or
    option order, or another hash or prompt of a pack that both asked. "" when nothing does."""
    plans = [published.planned(folder) for folder in folders]
    names = [folder.name for folder in folders]
    found = [_apart(plans[a], plans[b], f"{names[a]} and {names[b]}") for b in range(len(plans)) for a in range(b)]
    return next(filter(None, found), "")


def _apart(one: Cell, other: Cell, both: str) -> str:
    packs = sorted(set(one["packs"]) & set(other["packs"]))
    if packs and (shared := sorted(set(one["models"]) & set(other["models"]))):
        return f"{both} both asked {', '.join(shared)} the same"
    for key, what in (("seed", "seeds"), ("option_order", "option orders")):
        if one.get(key) != other.get(key):
            return f"{both} have different {what} ({one.get(key)}, {other.get(key)})"
    for pack in packs:
        mine, yours = one["packs"][pack], other["packs"][pack]
        if mine["sha"] != yours["sha"]:
            return f"{both} differ in the {_what(mine['card'], yours['card'])} of {pack} ({mine['sha'][:12]}…, {yours['sha'][:12]}…)"
    return ""


def _what(mine: Cell, yours: Cell) -> str:
    """Which part of a pack's card is not the same."""
    if mine["items_sha256"] != yours["items_sha256"]:
        return "items"
    prompts = ("prompt", "prompts", "max_output_tokens")
    return "prompts" if any(mine[k] != yours[k] for k in prompts) else "card"
