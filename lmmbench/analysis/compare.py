"""Two runs, or two models, on the same questions: paired differences. Reads published files only.

An unpaired comparison of two means throws away that both sides met the same items; here each item is compared with
itself, and only items that both sides have a score for count (E. Miller 2024, arXiv 2411.00640). What was asked
differently is refused, with the difference named, never averaged over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmmbench import stats
from lmmbench.analysis.claims import probability
from lmmbench.analysis.views import Sheet
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet

Row = dict[str, Any]
COLUMNS = (
    "model_a", "model_b", "cell", "kind", "tested", "n_planned", "n_paired", "clusters", "coverage_a", "coverage_b",
    "mean_a", "mean_b", "diff", "diff_low", "diff_high", "better", "worse", "p", "p_adj", "method", "detectable",
)  # fmt: skip
"""One row per pair of models and cell. `diff` is b less a, in scores from -1 to 1; `better` and `worse` count items.
Only what is `tested` (packs, and the cells that were named) has a p, adjusted by Holm over all that is tested."""

_READ = [
    "pack", "pack_sha", "stratum", "item_id", "cluster_id", "trial", "status", "score", "metric_id", "prompt_sha",
    "served_model", "system_fingerprint", "endpoint",
]  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One model of a published run."""

    folder: Path
    model: str

    @property
    def name(self) -> str:
        return f"{self.folder.name}:{self.model}"

    @cached_property
    def rows(self) -> list[Row]:
        path = self.folder / "models" / f"{self.model}.parquet"
        if not path.is_file():
            raise UsageError(f"{self.folder.name} has no published model {self.model!r}; see: lmmbench list runs")
        return read_parquet(path, _READ).to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def by_item(self) -> dict[tuple[str, str], list[Row]]:
        """Rows by (pack, item), one per trial."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            found.setdefault((row["pack"], row["item_id"]), []).append(row)
        return found

    def values(self, column: str) -> dict[str, int]:
        """How often each value of a column stands in the rows, nulls left out."""
        counts: dict[str, int] = {}
        for row in self.rows:
            if row[column] is not None:
                counts[row[column]] = counts.get(row[column], 0) + 1
        return counts


class NotComparable(UsageError):
    """The two sides were asked differently; the message says in what."""


# --- who is compared with whom -----------------------------------------------------------------------


def models_of(folder: Path) -> list[str]:
    """The models of a run that answer for themselves: not the baselines, which are a rule and a seed."""
    try:
        planned = json.loads((folder / "plan.json").read_bytes())["models"]
    except (OSError, ValueError, KeyError):
        raise UsageError(f"{folder} is not a run: it has no readable plan.json; see: lmmbench list runs") from None
    return [m for m, p in planned.items() if p["endpoint"]["api"] != "baseline"]


def pairs(a: Path, b: Path, model_a: str | None = None, model_b: str | None = None) -> list[tuple[Side, Side]]:
    """The sides to compare: the models that were named, else every model that both runs have."""
    if model_a or model_b:
        return [(Side(a, model_a or model_b or ""), Side(b, model_b or model_a or ""))]
    common = [m for m in models_of(a) if m in models_of(b)]
    if not common:
        raise NotComparable(f"{a.name} and {b.name} have no model in common; name one of each: {a.name}:MODEL")
    return [(Side(a, m), Side(b, m)) for m in common]


def absent(a: Path, b: Path) -> list[Row]:
    """A tested row, with nothing in it, for every pack of a's models that b did not ask of the same model: what is gone
    must not be passed over in silence."""
    rows = []
    for model in models_of(a):
        there = {p for p, _ in Side(b, model).by_item} if model in models_of(b) else set()
        asked = Side(a, model).by_item
        for pack in dict.fromkeys(p for p, _ in asked if p not in there):
            row = dict.fromkeys(COLUMNS) | {
                "model_a": model,
                "model_b": model,
                "cell": pack,
                "kind": "pack",
                "tested": True,
            }
            planned = sum(p == pack for p, _ in asked)
            rows.append(row | {"n_planned": planned, "n_paired": 0, "clusters": 0, "better": 0, "worse": 0})
    return rows


def check_comparable(a: Side, b: Side) -> None:
    """Raises NotComparable where packs, prompts or metrics differ, and says which."""
    where = f"{a.name} and {b.name} cannot be compared: "
    packs_a, packs_b = ({(r["pack"], r["pack_sha"]) for r in side.rows} for side in (a, b))
    shas_a, shas_b = dict(packs_a), dict(packs_b)
    common = shas_a.keys() & shas_b.keys()
    if not common:
        raise NotComparable(f"{where}they have no pack in common ({', '.join(shas_a)} and {', '.join(shas_b)})")
    for pack in sorted(common):
        if shas_a[pack] != shas_b[pack]:
            raise NotComparable(
                f"{where}the pack {pack} changed between them (sha {shas_a[pack][:12]} and {shas_b[pack][:12]}); "
                "ask both with the same version"
            )
    _check_same(a, b, "prompt_sha", where, "were put in other words or another order of options; use one --seed")
    _check_same(a, b, "metric_id", where, "were graded by other versions; run lmmbench score on both")


def _check_same(a: Side, b: Side, column: str, where: str, what: str) -> None:
    differ: dict[str, int] = {}
    shared = 0
    for key in a.by_item.keys() & b.by_item.keys():
        said_a, said_b = ({r["trial"]: r[column] for r in side.by_item[key] if r[column]} for side in (a, b))
        for trial in said_a.keys() & said_b.keys():
            shared += 1
            if said_a[trial] != said_b[trial]:
                differ[key[0]] = differ.get(key[0], 0) + 1
    if differ:
        packs = ", ".join(sorted(differ))
        raise NotComparable(f"{where}{sum(differ.values())} of {shared} questions ({packs}) {what}")


def drift(a: Side, b: Side) -> list[str]:
    """What the vendor changed between the two: the served model or its fingerprint. One sentence each."""
    found = []
    for column, word in (("served_model", "served model"), ("system_fingerprint", "fingerprint")):
        was, now = sorted(a.values(column)), sorted(b.values(column))
        if was and now and was != now:
            found.append(f"{b.model}: the {word} changed from {', '.join(was)} to {', '.join(now)}")
    return found


# --- the differences ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """The items of one cell that both sides were asked, and those that both have a score for."""

    row: Row
    scores: Any  # float64, shape (n, 2): a, b
    clusters: list[str]


def compare(sides: Sequence[tuple[Side, Side]], cells: Iterable[str] = ()) -> list[Row]:
    """Rows with the keys COLUMNS for every pair: packs first, then strata. `cells` (`pack/stratum`) are tested beside the
    packs. Raises NotComparable, and UsageError for a cell that does not exist."""
    declared = set(cells)
    found = [cell for a, b in sides for cell in _cells(a, b, declared)]
    missing = declared - {cell.row["cell"] for cell in found}
    if missing:
        raise UsageError(f"no cell is called {min(missing)!r} in both runs; see: lmmbench matrix RUN")
    _measure([cell for cell in found if len(cell.scores)])
    return sorted((cell.row for cell in found), key=lambda r: r["kind"] != "pack")


def _cells(a: Side, b: Side, declared: set[str]) -> list[_Cell]:
    check_comparable(a, b)
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key in [k for k in a.by_item if k in b.by_item]:
        stratum = a.by_item[key][0]["stratum"]
        groups.setdefault(("pack", key[0]), []).append(key)
        groups.setdefault(("stratum", f"{key[0]}/{stratum}"), []).append(key)
    return [_cell(a, b, kind, name, keys, kind == "pack" or name in declared) for (kind, name), keys in groups.items()]


def _cell(a: Side, b: Side, kind: str, name: str, keys: list[tuple[str, str]], tested: bool) -> _Cell:
    import numpy as np

    paired = {key: both for key in keys if (both := _paired(a.by_item[key], b.by_item[key])) is not None}
    scores = np.array(list(paired.values()), dtype=np.float64).reshape(-1, 2)
    clusters = [a.by_item[key][0]["cluster_id"] for key in paired]
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "model_a": a.model, "model_b": b.model, "cell": name, "kind": kind, "tested": tested, "n_planned": len(keys),
        "n_paired": len(paired), "clusters": len(set(clusters)), "better": int((scores[:, 1] > scores[:, 0]).sum()),
        "worse": int((scores[:, 1] < scores[:, 0]).sum()), "coverage_a": _coverage(a, keys), "coverage_b": _coverage(b, keys),
    }  # fmt: skip
    if paired:
        row |= {"mean_a": float(scores[:, 0].mean()), "mean_b": float(scores[:, 1].mean())}
    return _Cell(row, scores, clusters)


def _paired(rows_a: list[Row], rows_b: list[Row]) -> tuple[float, float] | None:
    """An item's two scores, each the mean over the trials that both sides have a score for."""
    in_a = {r["trial"]: r["score"] for r in rows_a if r["score"] is not None}
    in_b = {r["trial"]: r["score"] for r in rows_b if r["score"] is not None}
    both = sorted(in_a.keys() & in_b.keys())
    if not both:
        return None
    return sum(in_a[t] for t in both) / len(both), sum(in_b[t] for t in both) / len(both)


def _coverage(side: Side, keys: list[tuple[str, str]]) -> float | None:
    """scored / (planned - unsupported); None where everything is unsupported."""
    rows = [r for key in keys for r in side.by_item[key] if r["status"] != "unsupported"]
    return sum(r["score"] is not None for r in rows) / len(rows) if rows else None


def _measure(cells: list[_Cell]) -> None:
    """Fill in differences, intervals, tests and what could have been found."""
    import numpy as np

    whole = [stats.millionths(cell.scores) for cell in cells]
    problems = [stats.Paired(w[:, 1:] - w[:, :1], c.clusters) for w, c in zip(whole, cells, strict=True)]
    for cell, found in zip(cells, stats.differences(problems), strict=True):
        cell.row["diff"] = float(found.diff[0])
        if found.clusters > 1:
            cell.row.update(diff_low=float(found.low[0]), diff_high=float(found.high[0]))
        if cell.row["tested"]:
            cell.row["p"], cell.row["method"] = _p(cell, float(found.p[0]))
    tested = [cell.row for cell in cells if cell.row["tested"]]
    for row, adjusted in zip(tested, stats.holm(np.array([r["p"] for r in tested])), strict=True):
        row["p_adj"] = float(adjusted)
        if row["diff_low"] is not None:
            row["detectable"] = stats.minimum_detectable(row["diff_low"], row["diff_high"], len(tested))


def _p(cell: _Cell, flipped: float) -> tuple[float, str]:
    """McNemar's exact test (mid-p) where every score is right or wrong and every item stands for itself; else sign
    flips over clusters."""
    import numpy as np

    alone = cell.row["clusters"] == cell.row["n_paired"]
    if alone and bool(np.isin(cell.scores, (0.0, 1.0)).all()):
        return stats.mcnemar(cell.row["better"], cell.row["worse"], mid=True), "mcnemar-mid-p"
    return flipped, "sign-flip"


# --- how it is shown ---------------------------------------------------------------------------------


def points(value: float | None, signed: bool = False) -> str:
    """A score or difference in points of 100, with a real minus sign; `–` where there is none."""
    if value is None:
        return "–"
    return f"{100 * value:{'+' if signed else ''}.1f}".replace("-", "−")


def difference_text(row: Row) -> str:
    """`−3.4 [−5.9, −0.9]`, in points."""
    bounds = "" if row["diff_low"] is None else f" [{points(row['diff_low'], True)}, {points(row['diff_high'], True)}]"
    return points(row["diff"], True) + bounds


def p_text(p: float | None) -> str:
    """`.012`, `<.001`, or `–` where there is none."""
    return "–" if p is None else probability(p).removeprefix("=")


def who(row: Row) -> str:
    return str(row["model_a"] if row["model_a"] == row["model_b"] else f"{row['model_a']} → {row['model_b']}")


HEADER = ("model", "cell", "n", "A", "B", "B − A [95 %]", "better/worse", "p (Holm)", "detectable")
TITLE = "Scores 0-100 on the questions that both answered; detectable: the smallest true difference found 8 times in 10 (–: none, not even 100 points)"


def sheet(rows: Sequence[Row]) -> Sheet:
    """The tested rows as a table, with the verdicts where there are any; under it, where else most was lost."""
    tested = [r for r in rows if r["tested"]]
    judged = any("verdict" in r for r in tested)
    header = (*HEADER, "verdict") if judged else HEADER
    lines = [(*texts(r), r["verdict"]) if judged else texts(r) for r in tested]
    return Sheet(header, lines, note="\n".join(map(lost, largest(rows))), keys=2)


def texts(row: Row) -> tuple[str, ...]:
    """The row as the columns of HEADER."""
    return (
        who(row), row["cell"], f"{row['n_paired']}/{row['n_planned']}", points(row["mean_a"]), points(row["mean_b"]),
        difference_text(row), f"{row['better']}/{row['worse']}", p_text(row["p_adj"]), points(row["detectable"]),
    )  # fmt: skip


def largest(rows: Sequence[Row], count: int = 5) -> list[Row]:
    """The untested cells that lost most: where to look, and no verdict."""
    lost = [r for r in rows if not r["tested"] and r["diff"] is not None and r["diff"] < 0]
    return sorted(lost, key=lambda r: (r["diff"], r["cell"]))[:count]


def lost(row: Row) -> str:
    return f"lost most, not tested: {who(row)} {row['cell']} {difference_text(row)} (n {row['n_paired']})"
