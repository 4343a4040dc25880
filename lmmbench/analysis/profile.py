"""Each model against itself: where does it stand better, or worse, against the others than it does elsewhere?

profile_diff of a cell is the model's `diff` there less the mean of its `diff` over the packs (see `field`). Its standard error
is read from the intervals of those diffs: packs share no cluster, so their errors are independent, and a stratum is a part of
its own pack. Said is only what Holm's correction over all such cells leaves (two-sided t test with a degree of freedom less than
the cell has clusters, p < .05: taken as normal, equal models would be told apart twice as often) and what is at least 5 points; cells that are `thin` or `saturated` say nothing. Never a strength by itself: a model can be relatively best where
it is still worse than the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from lmmbench import stats
from lmmbench.analysis.field import ALPHA, MARGIN, Cell
from lmmbench.analysis.views import Sheet, name
from lmmbench.analysis.words import WORDS

SILENT = ("thin", "saturated", None)


@dataclass(frozen=True, slots=True)
class Leaning:
    """A cell's profile_diff and its standard error, in scores."""

    cell: Cell
    diff: float
    error: float

    @property
    def p(self) -> float:
        return student_p(self.diff / self.error, self.cell["clusters"] - 1)

    @property
    def text(self) -> str:
        """`korean-dialect/jeju +8.1 [3.0,13.2]`, the 95 % interval in points."""
        half = stats.Z95 * self.error
        low, high = 100 * (self.diff - half), 100 * (self.diff + half)
        return f"{self.cell['cell']} {100 * self.diff:+.1f} [{low:.1f},{high:.1f}]"


def student_p(t: float, df: int) -> float:
    """Two-sided p of Student's t, within a hundredth of itself down to 1e-5 from 39 degrees of freedom on: t as the normal
    deviate of D. L. Wallace 1959, Ann. Math. Statist. 30:1124, sqrt(df ln(1 + t²/df)) (8 df + 1) / (8 df + 3)."""
    z = math.sqrt(df * math.log1p(t * t / df)) * (8 * df + 1) / (8 * df + 3)
    return 2 * NormalDist().cdf(-z)


def leanings(cells: Sequence[Cell]) -> list[Leaning]:
    """What stands after correction, in the order of the cells."""
    import numpy as np

    found = [leaning for mine in _by_model(cells) for leaning in _of_model(mine)]
    adjusted = stats.holm(np.array([each.p for each in found])) if found else ()
    kept = zip(found, adjusted, strict=True)
    return [each for each, p in kept if p < ALPHA and abs(each.diff) >= MARGIN]


def _by_model(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The compared cells of each model of each run that was compared in more than one, and whose every pack has an interval:
    an error that is not known cannot be added up."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell["profile_diff"] is not None:
            found.setdefault((cell["run_id"], cell["model"]), []).append(cell)
    known = (c for c in found.values() if all(x["diff_low"] is not None for x in c if x["kind"] == "pack"))
    return [mine for mine in known if len(mine) > 1]


def _of_model(cells: Sequence[Cell]) -> Iterator[Leaning]:
    packs = {c["cell"]: c for c in cells if c["kind"] == "pack"}
    for cell in cells:
        # one without an interval has one cluster, and so is thin
        if cell["label"] not in SILENT and (error := _error(cell, packs)) > 0:
            yield Leaning(cell, cell["profile_diff"], error)


def _error(cell: Cell, packs: dict[str, Cell]) -> float:
    """Standard error of diff - mean over packs of diff. With v of a stratum, V of its pack of which it is the share w, and P
    packs: of diff - (w diff + (1 - w) rest) / P - …, whose parts are independent, and (1 - w)² var(rest) = V - w² v."""
    pack = packs.get(cell["cell"].partition("/")[0])
    count = len(packs)
    mine, elsewhere = _variance(cell), sum(_variance(p) for p in packs.values() if p is not pack)
    if pack is None:
        return math.sqrt(mine + elsewhere / count**2) if count else 0.0
    share = cell["n_scored"] / pack["n_scored"]
    rest = max(0.0, _variance(pack) - share**2 * mine)
    return math.sqrt((1 - share / count) ** 2 * mine + (rest + elsewhere) / count**2)


def _variance(cell: Cell) -> float:
    """Of a cell's diff, from its 95 % interval: a bootstrap of C clusters spreads by (C - 1) / C too little."""
    clusters = cell["clusters"]
    return float(((cell["diff_high"] - cell["diff_low"]) / (2 * stats.Z95)) ** 2 * clusters / (clusters - 1))


def sheets(cells: Sequence[Cell], lang: str) -> list[Sheet]:
    """A row for each model that was compared in more than one cell; no sheet where nothing stands of any."""
    words = WORDS[lang]
    several = len({c["run_id"] for c in cells}) > 1
    found = leanings(cells)
    said: dict[str, tuple[list[str], list[str]]] = {name(mine[0], several): ([], []) for mine in _by_model(cells)}
    for each in found:
        said[name(each.cell, several)][each.diff < 0].append(each.text)
    rows = [[model, *("\n".join(texts) or words["none"] for texts in both)] for model, both in said.items()]
    header = [words[key] for key in ("model", "relatively_better", "relatively_worse")]
    return [Sheet(header, rows, words["profile_title"], words["profile_note"], prose=True)] if found else []
