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
from lmmbench.files import coded, data, numbers, read_batches, read_parquet
from lmmbench.types import SCORED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHO = ("run_id", "model", "vendor", "family", "region")
_ITEM = ("pack", "item_id", "stratum", "cluster_id", "pack_sha")
_TEXT = ("status", "parse_status")
_NUMBER = ("score", "latency_s", "ttft_s", "output_tokens", "input_tokens", "cost_usd")

_KEY = ("pack", "item_id")
_QUESTION = ("chance", "system", "question")
_REPEATING = (*WHO, "pack", "stratum", "pack_sha", *_TEXT)
BATCH = 8192
"""Questions that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """A cell's name, kind (`pack` or `stratum`), its pack, and the places of its items in `Items`."""

    kind: str
    name: str
    pack: str
    items: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Items:
    """Every item that was planned, in the order of the rows; each array has one entry per item.

    `pack` and `stratum` are places in `packs` and in `strata`, (pack, stratum), which stand in the order in which they
    first appear. `cluster` ranks the clusters by name, so that their order is the same whatever came first; `chance` is
    nan where it is not known; `hangul` counts the syllables of the question as it was sent, system text included.
    """

    pack: NDArray[np.int64]
    packs: list[str]
    stratum: NDArray[np.int64]
    strata: list[tuple[str, str]]
    cluster: NDArray[np.int64]
    chance: NDArray[np.float64]
    hangul: NDArray[np.int64]
    pack_sha: dict[str, str | None]

    def parts(self) -> list[Part]:
        """All cells: packs first, then their strata, each in the order in which it first appears."""
        import numpy as np

        packs = [Part("pack", name, name, np.flatnonzero(self.pack == n)) for n, name in enumerate(self.packs)]
        return packs + [
            Part("stratum", f"{pack}/{stratum}", pack, np.flatnonzero(self.stratum == n))
            for n, (pack, stratum) in enumerate(self.strata)
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

    wanted = [*WHO, *_ITEM, *_TEXT, *_NUMBER]
    tables = [read_parquet(path, wanted, _REPEATING) for folder in folders for path in _model_files(folder)]
    asked = [read_parquet(folder / "items.parquet", list(_KEY), ["pack"]) for folder in folders]
    packs, ids = (coded([table[name] for table in tables + asked]) for name in _KEY)
    place, first = _by_first(packs[0] * len(ids[1]) + ids[0])
    places = np.split(place, np.cumsum([len(table) for table in tables + asked])[:-1])
    # what no model was asked is no item here
    first = first[first < sum(map(len, tables))]
    items = _items(tables, first, _questions(folders, places[len(tables) :], len(first)))
    return Runs(items, [_rows(t, at, len(first)) for t, at in zip(tables, places, strict=False) if len(at)])


def _by_first(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes numbered in the order in which they first appear, and where each does."""
    import numpy as np

    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse], first[order]


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


def _items(tables: Sequence[Any], first: NDArray[np.int64], asked: tuple[NDArray[Any], NDArray[Any]]) -> Items:
    """The items that first appear in these rows of the tables."""
    import numpy as np
    import pyarrow.compute as pc

    packs, strata, clusters, shas = (coded([t[name] for t in tables]) for name in ("pack", *_ITEM[2:]))
    pack, at_pack = _by_first(packs[0][first])
    stratum, at_stratum = _by_first(packs[0][first] * len(strata[1]) + strata[0][first])

    def text(column: tuple[NDArray[np.int64], Any], at: np.int64) -> Any:
        code = column[0][first[at]]
        return None if code < 0 else column[1][code].as_py()

    ranks = np.empty(len(clusters[1]), np.int64)
    ranks[data(pc.array_sort_indices(clusters[1]))] = np.arange(len(ranks))
    names = [text(packs, at) for at in at_pack]
    return Items(
        pack=pack, packs=names, stratum=stratum, strata=[(text(packs, at), text(strata, at)) for at in at_stratum],
        cluster=ranks[clusters[0][first]], chance=asked[0], hangul=asked[1],
        pack_sha={name: text(shas, at) for name, at in zip(names, at_pack, strict=True)},
    )  # fmt: skip


def _questions(
    folders: Sequence[Path], places: Sequence[NDArray[np.int64]], items: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What a guess earns at each item, and the Hangul syllables that its question holds. places: for each folder, where
    the items of its items.parquet stand; those beyond `items` do not count."""
    import numpy as np

    chance, hangul = np.full(items, np.nan), np.zeros(items, np.int64)
    for folder, place in zip(folders, places, strict=True):
        start = 0
        for batch in read_batches(folder / "items.parquet", _QUESTION, BATCH):
            at = place[start : start + len(batch["chance"])]
            start += len(at)
            known = at < items
            chance[at[known]] = np.array(batch["chance"], np.float64)[known]
            texts = [system + question for system, question in zip(batch["system"], batch["question"], strict=True)]
            hangul[at[known]] = _hangul(texts)[known]
    return chance, hangul


def _hangul(texts: Sequence[str]) -> NDArray[np.int64]:
    """Hangul syllables of each text."""
    import numpy as np

    code = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
    before = np.concatenate([[0], np.cumsum((code >= ord("가")) & (code <= ord("힣")))])
    return np.diff(before[list(accumulate(map(len, texts), initial=0))])


def _rows(table: Any, item: NDArray[np.int64], items: int) -> Rows:
    import numpy as np

    who = {name: table[name][0].as_py() for name in WHO}
    columns: dict[str, NDArray[Any]] = {}
    for name in _TEXT:
        codes, texts = coded([table[name]])
        columns[name] = np.array([*texts.to_pylist(), None], dtype=object)[codes]
    return Rows(who, item, columns | {name: numbers(table[name]) for name in _NUMBER}, items)
