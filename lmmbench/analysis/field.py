"""Each model against the field: who is in it, how far a model stands from the others, and the word for it.

The field of a cell is every model of region overseas or domestic with coverage of at least 0.9 there; with fewer than
three there is none, and nothing is said. A model is compared with the mean of the others on the items that the whole
field has scored. Holm's correction runs over all field models and cells, packs and strata together.

A label is the first of these that holds:
  1. thin       fewer than 80 scored, fewer than 40 clusters in the comparison, or more than 5 % truncated
  2. saturated  the field's mean is within 5 points of chance, or above 95: the cell cannot tell models apart
  3. strength   adjusted p < .05 and at least 5 points above the others; weakness: as far below
  4. even       the 90 % interval of the difference lies inside ±5 points
  5. unclear    all else
What a cell cannot say comes before what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmmbench import stats
from lmmbench.analysis.rows import Part, Runs
from lmmbench.canon import canonical, sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cell = dict[str, Any]

REGIONS = ("overseas", "domestic")
MIN_MODELS = 3
MIN_COVERAGE = 0.9
MIN_SCORED = 80
MIN_CLUSTERS = 40
MAX_TRUNCATED = 0.05
MARGIN = 0.05
"""Five points: the smallest difference that is worth a word, and the nearness that counts as even."""
CEILING = 0.95
ALPHA = 0.05

LABELS = ("strength", "weakness", "even", "saturated", "thin", "unclear")


def is_simulated(cell: Cell) -> bool:
    """Whether a row of the matrix is a made-up model's."""
    return str(cell["model"]).startswith("sim-")


@dataclass(frozen=True, slots=True)
class Contest:
    """A cell's field on its common items. scores: shape (models, n), no nan; clusters: shape (n,); `cells` are the
    rows of the matrix that the models' numbers go to."""

    cells: Sequence[Cell]
    scores: NDArray[np.float64]
    clusters: NDArray[np.int64]
    chance: float

    @property
    def mean(self) -> float:
        """The field's mean on the common items, from whole millionths."""
        return int(stats.millionths(self.scores).sum()) / (self.scores.size * stats.UNIT)


def in_field(cell: Cell) -> bool:
    """Whether a model belongs to the field of a cell, from its row there."""
    return cell["region"] in REGIONS and (cell["coverage"] or 0) >= MIN_COVERAGE


def common(part: Part, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the part's items for which every model has a value. values: shape (models, items), nan for none."""
    import numpy as np

    return part.items[~np.isnan(values[:, part.items]).any(axis=0)]


def sha(models: Sequence[str], pack_shas: Sequence[str | None]) -> str:
    """SHA-256 of the sorted ids of a field's models and of the packs' hashes: the same hash, the same field."""
    return sha256(canonical({"models": sorted(models), "packs": sorted(map(str, pack_shas))}))


def judge(runs: Runs, cells: Sequence[Cell]) -> None:
    """Fill in diff, diff_low, diff_high, p, p_adj, profile_diff, label and field_sha of the cells of `runs`: one cell
    for each of `runs.rows` and each of its parts, those of a part in the order of the rows."""
    contests = list(_contests(runs, cells))
    ready = [c for c in contests if len(c.clusters)]
    compare(ready)
    for contest in contests:
        if not len(contest.clusters):
            for cell in contest.cells:
                cell["label"] = "thin"
    _profile(cells)


def _contests(runs: Runs, cells: Sequence[Cell]) -> Iterator[Contest]:
    """The cells that have a field; also where it has no item in common."""
    import numpy as np

    by_name: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        by_name.setdefault((cell["kind"], cell["cell"]), []).append(cell)
    means = {(r.who["run_id"], r.who["model"]): r.means() for r in runs.rows}
    for part in runs.items.parts():
        field = [c for c in by_name[part.kind, part.name] if in_field(c)]
        if len(field) < MIN_MODELS:
            continue
        pack_sha = runs.items.pack_sha[part.pack]
        for cell in field:
            cell["field_sha"] = sha([c["model"] for c in field], [pack_sha])
        scores = np.stack([means[c["run_id"], c["model"]] for c in field])
        shared = common(part, scores)
        chance = float(runs.items.chance[shared].mean()) if len(shared) else float("nan")
        yield Contest(field, scores[:, shared], runs.items.cluster[shared], chance)


def compare(contests: Sequence[Contest]) -> None:
    """Fill in the differences of every contest's cells, adjust their p values as one family, and label them."""
    import numpy as np

    problems = []
    for contest in contests:
        values, unit = stats.against_others(contest.scores)
        problems.append(stats.Paired(values, contest.clusters, unit))
    found = stats.differences(problems)
    adjusted = iter(stats.holm(np.concatenate([f.p for f in found]))) if found else iter(())
    for contest, difference in zip(contests, found, strict=True):
        for n, cell in enumerate(contest.cells):
            cell |= {"diff": float(difference.diff[n]), "p": float(difference.p[n]), "p_adj": float(next(adjusted))}
            cell |= {"diff_low": _known(difference.low[n]), "diff_high": _known(difference.high[n])}
            even = stats.equivalent(difference.low90[n], difference.high90[n], MARGIN)
            cell["label"] = label(cell, difference.clusters, contest.mean, contest.chance, even)


def _known(value: float) -> float | None:
    return None if value != value else float(value)


def label(cell: Cell, clusters: int, field_mean: float, chance: float, even: bool) -> str:
    """The word for a field model's cell, by the rules at the top of this file. `clusters` are those of the common
    items; `chance` may be nan."""
    if cell["n_scored"] < MIN_SCORED or clusters < MIN_CLUSTERS or cell["truncated_rate"] > MAX_TRUNCATED:
        return "thin"
    if round(abs(field_mean - chance), 9) <= MARGIN or field_mean > CEILING:
        return "saturated"
    if cell["p_adj"] < ALPHA and abs(cell["diff"]) >= MARGIN:
        return "strength" if cell["diff"] > 0 else "weakness"
    return "even" if even else "unclear"


def _profile(cells: Sequence[Cell]) -> None:
    """profile_diff = a model's diff in a cell less the mean of its diffs over the packs' cells: where it is better than
    it is elsewhere. Null where diff is."""
    diffs: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        if cell["kind"] == "pack" and cell["diff"] is not None:
            diffs.setdefault((cell["run_id"], cell["model"]), []).append(cell["diff"])
    for cell in cells:
        mine = diffs.get((cell["run_id"], cell["model"]))
        if mine and cell["diff"] is not None:
            cell["profile_diff"] = cell["diff"] - sum(mine) / len(mine)
