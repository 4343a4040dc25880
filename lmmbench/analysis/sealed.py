"""Does a model do better on the public part of a pack than on the part that was kept from it? Reads a run's files only.

Clusters went to one part or the other by lot, within strata and types. A model that has seen neither part, or both, does
as well on the one as on the other but for that lot; one that has learned the public part by heart does not. The test
draws the lot anew 19,999 times within each stratum and type (`stats.shift`), one-sided, Holm-adjusted over all models and
packs of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmmbench import stats
from lmmbench.analysis import rows as published
from lmmbench.analysis.rows import Items, Runs
from lmmbench.analysis.views import Sheet, name
from lmmbench.analysis.words import WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = tuple[NDArray[np.float64], NDArray[np.bool_]]

ALPHA = 0.05


@dataclass(slots=True)
class Gap:
    """A model on both parts: means in 0…1, scored items, the difference weighted over strata and types, its p value and
    the smallest gap that such a test finds 8 times in 10. Without `shift` nothing can be compared."""

    run_id: str
    model: str
    pack: str
    public: float
    sealed: float
    n_public: int
    n_sealed: int
    shift: stats.Shift | None
    p_adj: float | None = None
    detectable: float | None = None

    @property
    def verdict(self) -> str:
        """`better_on_public`, `as_chance_allows` or `not_comparable`."""
        if self.p_adj is None:
            return "not_comparable"
        return "better_on_public" if self.p_adj < ALPHA else "as_chance_allows"


def parts(folders: Sequence[Path], alone: bool = False) -> dict[str, str]:
    """The public pack of each sealed one that the runs asked; only where they asked both, unless `alone`."""
    cards = {pack: told["card"] for f in folders for pack, told in published.planned(f).get("packs", {}).items()}
    return {
        pack: c["sealed_from"]
        for pack, c in cards.items()
        if c.get("sealed_from") and (alone or c["sealed_from"] in cards)
    }


def gaps(folders: Sequence[Path]) -> list[Gap]:
    """Every model on every pack that was asked in both parts, adjusted as one family; empty where there is none."""
    pairs = parts(folders)
    if not pairs:
        return []
    runs = published.load(folders)
    found = [gap for sealed, public in pairs.items() for gap in _gaps(runs, public, sealed)]
    _adjust([g for g in found if g.shift])
    return found


def _gaps(runs: Runs, public: str, sealed: str) -> list[Gap]:
    """Each model's gap, in the order of the rows. Models that have scored the same items are tested by the same draws."""
    import numpy as np

    packs = np.array(runs.items.packs, dtype=object)[runs.items.pack]
    means = np.stack([rows.means() for rows in runs.rows])
    scored = ~np.isnan(means) & ((packs == public) | (packs == sealed))
    found: dict[int, Gap] = {}
    for pattern in np.unique(scored, axis=0):
        models = np.flatnonzero((scored == pattern).all(axis=1)).tolist()
        ours, theirs = (means[models][:, pattern & (packs == p)] for p in (public, sealed))
        if ours.size and theirs.size:
            blocks = _blocks(runs.items, means[models], pattern, sealed)
            able = any(second.any() and not second.all() for _, second in blocks)
            shifts: Sequence[stats.Shift | None] = stats.shift(blocks) if able else [None] * len(models)
            for m, a, b, shift in zip(models, ours, theirs, shifts, strict=True):
                who = (runs.rows[m].who["run_id"], runs.rows[m].who["model"], public)
                found[m] = Gap(*who, float(a.mean()), float(b.mean()), len(a), len(b), shift)
    return [found[m] for m in sorted(found)]


def _blocks(items: Items, means: NDArray[np.float64], there: NDArray[np.bool_], sealed: str) -> list[Block]:
    """The clusters of the items that are `there`, those with items of the same strata and types together: the models'
    means, shape (clusters, models), and which clusters are sealed."""
    import numpy as np

    clusters: dict[tuple[str, int], list[int]] = {}
    for n in np.flatnonzero(there).tolist():
        clusters.setdefault((items.packs[items.pack[n]], int(items.cluster[n])), []).append(n)
    blocks: dict[tuple[tuple[str, str], ...], list[tuple[NDArray[np.float64], bool]]] = {}
    for (pack, _), places in clusters.items():
        alike = tuple(sorted((items.strata[items.stratum[n]][1], items.types[items.type[n]]) for n in places))
        blocks.setdefault(alike, []).append((means[:, places].mean(axis=1), pack == sealed))
    return [(np.stack([v for v, _ in b]), np.array([s for _, s in b])) for _, b in sorted(blocks.items())]


def _adjust(compared: Sequence[Gap]) -> None:
    import numpy as np

    shifts = [g.shift for g in compared if g.shift]
    for gap, shift, p in zip(compared, shifts, stats.holm(np.array([s.p for s in shifts])), strict=True):
        gap.p_adj = float(p)
        # where all scores are the same, no draw differs from another: that says nothing of what could be found
        gap.detectable = stats.minimum_shift(shift.error, len(shifts)) if shift.error else None


def sheets(found: Sequence[Gap], lang: str) -> list[Sheet]:
    """A row for each model and pack; no sheet where nothing was sealed."""
    words = WORDS[lang]
    several = len({g.run_id for g in found}) > 1
    header = [
        words[k] for k in ("model", "pack", "public_part", "sealed_part", "gap", "p_holm", "least_gap", "verdict")
    ]
    rows = [[_name(g, several), g.pack, *_numbers(g, words["none"]), words[g.verdict]] for g in found]
    return [Sheet(header, rows, title=words["sealed_title"], note=words["sealed_note"], keys=2)] if rows else []


def _name(gap: Gap, several: bool) -> str:
    return name({"model": gap.model, "run_id": gap.run_id}, several)


def _numbers(gap: Gap, none: str) -> list[str]:
    shares = [f"{100 * gap.public:.1f} n={gap.n_public}", f"{100 * gap.sealed:.1f} n={gap.n_sealed}"]
    if gap.shift is None or gap.p_adj is None:
        return [*shares, none, none, none]
    p = f"{gap.p_adj:.4f}" if gap.p_adj >= 0.0001 else "< 0.0001"
    least = none if gap.detectable is None else f"{100 * gap.detectable:.1f}"
    return [*shares, f"{100 * gap.shift.diff:+.1f}", p, least]
