"""The published rows of one or more runs as columns: what every analysis starts from. Reads files only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmbench.faults import UsageError
from lmmbench.files import read_parquet
from lmmbench.types import SCORED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHO = ("run_id", "model", "vendor", "family", "region")
_ITEM = ("pack", "item_id", "stratum", "type", "cluster_id", "pack_sha")
_TEXT = ("status", "parse_status")
_NUMBER = ("score", "latency_s", "ttft_s", "output_tokens", "input_tokens", "cost_usd")

ItemKey = tuple[str, str]
"""(pack, item)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A cell's name, kind (`pack` or `stratum`) and the places of its items in `Items`."""

    kind: str
    name: str
    items: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Items:
    """Every item that was planned, in the order of the rows; each array has one entry per item.

    `cluster` ranks the clusters by name, so that their order is the same whatever came first; `chance` is nan where it
    is not known; `hangul` counts the syllables of the question as it was sent, system text included.
    """

    pack: list[str]
    stratum: list[str]
    type: list[str]
    cluster: NDArray[np.int64]
    chance: NDArray[np.float64]
    hangul: NDArray[np.int64]
    pack_sha: dict[str, str | None]

    def parts(self) -> list[Part]:
        """All cells: packs first, then their strata, each in the order in which it first appears."""
        import numpy as np

        names = {"pack": self.pack, "stratum": [f"{p}/{s}" for p, s in zip(self.pack, self.stratum, strict=True)]}
        return [
            Part(kind, name, np.flatnonzero(np.array(of, dtype=object) == name))
            for kind, of in names.items()
            for name in dict.fromkeys(of)
        ]


@dataclass(frozen=True)
class Rows:
    """One model's rows in one run. `item`: the place in `Items` of each row; `columns`: texts, and floats with nan for
    null."""

    who: dict[str, str]
    item: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    items: int

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """Rows that carry a score."""
        import numpy as np

        found: NDArray[np.bool_] = np.isin(self.columns["status"], sorted(SCORED)) & ~np.isnan(self.columns["score"])
        return found

    def means(self, column: str = "score") -> NDArray[np.float64]:
        """Mean of a column over each item's scored trials, shape (items,); nan where there is none."""
        import numpy as np

        there = self.scored & ~np.isnan(self.columns[column])
        sums = np.bincount(self.item[there], self.columns[column][there], self.items)
        counts = np.bincount(self.item[there], minlength=self.items)
        means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(self.items, np.nan), where=counts > 0)
        return means


@dataclass(frozen=True, slots=True)
class Runs:
    """The rows of one or more runs on one list of items, models in the order of the plans."""

    items: Items
    rows: list[Rows]


def load(folders: Sequence[Path]) -> Runs:
    """Raises UsageError when a folder is no run, or is not published yet."""
    import numpy as np

    tables = [read_parquet(p, [*WHO, *_ITEM, *_TEXT, *_NUMBER]) for f in folders for p in _model_files(f)]
    known: dict[ItemKey, tuple[Any, ...]] = {}
    places: list[NDArray[np.int64]] = []
    rank: dict[ItemKey, int] = {}
    for table in tables:
        about = list(zip(*(table[name].to_pylist() for name in _ITEM), strict=True))
        for pack, item, *more in about:
            known.setdefault((pack, item), tuple(more))
            rank.setdefault((pack, item), len(rank))
        places.append(np.array([rank[key] for key in ((a[0], a[1]) for a in about)], np.int64))
    items = _items(known, folders)
    rows = [_rows(t, place, len(known)) for t, place in zip(tables, places, strict=True) if len(place)]
    return Runs(items, rows)


def _model_files(folder: Path) -> Iterator[Path]:
    """Files of the run's models, in the plan's order."""
    for model in planned(folder)["models"]:
        path = folder / "models" / f"{model}.parquet"
        if not path.is_file():
            raise UsageError(f"{folder.name} is not published yet; finish it with: lmmbench run --resume {folder.name}")
        yield path


def planned(folder: Path) -> dict[str, Any]:
    """plan.json. Raises UsageError when the folder is no run."""
    try:
        plan: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
        plan["models"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder} is not a run: it has no readable plan.json") from None
    return plan


def _items(known: dict[ItemKey, tuple[Any, ...]], folders: Sequence[Path]) -> Items:
    import numpy as np

    asked: dict[ItemKey, tuple[float, int]] = {}
    for folder in folders:
        asked |= _questions(folder)
    strata, types, clusters, shas = zip(*known.values(), strict=True) if known else ((), (), (), ())
    rank = {name: n for n, name in enumerate(sorted(set(clusters)))}
    about = [asked.get(key, (np.nan, 0)) for key in known]
    return Items(
        pack=[pack for pack, _ in known], stratum=list(strata), type=list(types), cluster=np.array([rank[c] for c in clusters], np.int64),
        chance=np.array([a[0] for a in about], np.float64), hangul=np.array([a[1] for a in about], np.int64),
        pack_sha=dict(zip((pack for pack, _ in known), shas, strict=True)),
    )  # fmt: skip


def _questions(folder: Path) -> dict[ItemKey, tuple[float, int]]:
    """What a guess earns at each question, and the Hangul syllables that it holds."""
    names = ("pack", "item_id", "chance", "system", "question")
    table = read_parquet(folder / "items.parquet", list(names))
    packs, items, chances, systems, questions = (table[name].to_pylist() for name in names)
    counts = _hangul([system + question for system, question in zip(systems, questions, strict=True)])
    return {
        (pack, item): (float("nan") if chance is None else chance, count)
        for pack, item, chance, count in zip(packs, items, chances, counts, strict=True)
    }


def _hangul(texts: Sequence[str]) -> Iterator[int]:
    """Hangul syllables of each text, of a thousand texts at a time."""
    import numpy as np

    for start in range(0, len(texts), 1000):
        some = texts[start : start + 1000]
        code = np.frombuffer("".join(some).encode("utf-32-le"), "<u4")
        before = np.concatenate([[0], np.cumsum((code >= ord("가")) & (code <= ord("힣")))])
        yield from np.diff(before[list(accumulate(map(len, some), initial=0))]).tolist()


def _rows(table: Any, item: NDArray[np.int64], items: int) -> Rows:
    import numpy as np

    who = {name: table[name][0].as_py() for name in WHO}
    columns: dict[str, NDArray[Any]] = {name: np.array(table[name].to_pylist(), dtype=object) for name in _TEXT}
    columns |= {name: np.array(table[name].to_pylist(), dtype=np.float64) for name in _NUMBER}
    return Rows(who, item, columns, items)
