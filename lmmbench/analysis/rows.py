"""The published rows of one or more runs as columns: what every analysis starts from. Reads files only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmbench.faults import UsageError
from lmmbench.files import by_first, coded, data, numbers, read_batches, read_parquet, rows_in
from lmmbench.types import SCORED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHO = ("run_id", "model", "vendor", "family", "region")
_TEXT = ("status", "parse_status")
_NUMBER = ("score", "latency_s", "ttft_s", "output_tokens", "input_tokens", "cached_tokens", "cost_usd")

_KEY = ("pack", "item_id")
_QUESTION = ("chance", "system", "question")
_DISTINCT = ("item_id", "cluster_id")
"""Columns in which a text hardly ever stands twice."""
COPIED = "copied_grams"
"""The scorer's own number in `aux_json`: how much of an answer stands in the text that it was to sum up."""
BATCH = 1024
"""Questions that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """A cell's name, kind (`pack` or `stratum`), its pack, and the places of its items in `Items`."""

    kind: str
    name: str
    pack: str
    items: NDArray[np.int64]


Questions = tuple["NDArray[np.float64]", "NDArray[np.int64]"]
"""The chance and the Hangul syllables of each question."""


@dataclass(frozen=True, slots=True)
class Items:
    """Every item that was planned, in the order of the rows; each array has one entry per item.

    `pack`, `type` and `stratum` are places in `packs`, `types` and `strata`, (pack, stratum), which stand in the order in
    which they first appear. `cluster` ranks the clusters by name, so that their order is the same whatever came first;
    `chance` is nan where it is not known; `hangul` counts the syllables of the question as it was sent, system text
    included.
    """

    pack: NDArray[np.int32]
    packs: list[str]
    stratum: NDArray[np.int32]
    strata: list[tuple[str, str]]
    type: NDArray[np.int32]
    types: list[str]
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
    item: NDArray[np.int32]
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


def load(folders: Sequence[Path], known: Mapping[Path, Questions] | None = None) -> Runs:
    """Raises UsageError when a folder is no run, or is not published yet. `known`: the questions of folders whose
    questions were read before."""
    models = [path for folder in folders for path in _model_files(folder)]
    asked = [folder / "items.parquet" for folder in folders]
    places, first = _places([*models, *asked])
    # what no model was asked is no item here
    first = first[first < sum(map(len, places[: len(models)]))]
    told = ((known or {}).get(folder) or questions(folder) for folder in folders)
    items = _items(models, first, *_by_item(told, places[len(models) :], len(first)))
    return Runs(items, [_rows(path, at, len(first)) for path, at in zip(models, places, strict=False) if len(at)])


def _places(paths: Sequence[Path]) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """For each file the item of each of its rows, numbered as they first appear, and where each item first stands."""
    import numpy as np

    packs, items = (_texts(paths, name)[0] for name in _KEY)
    place, first = by_first(_pairs(packs, items))
    return np.split(place, np.cumsum([rows_in(path) for path in paths])[:-1]), first


Texts = tuple["NDArray[np.int32]", Any]
"""A column of texts: for each row a place in the array of the different texts, -1 for null."""


def _texts(paths: Sequence[Path], name: str) -> Texts:
    """A column of several files as one. Columns are read one by one: all together would take four times the memory."""
    import pyarrow as pa

    found = coded([read_parquet(path, [name], () if name in _DISTINCT else (name,))[name] for path in paths])
    pa.default_memory_pool().release_unused()  # the column, before the next is read
    return found


def _pairs(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
    """A number for each pair of places."""
    import numpy as np

    return (one.astype(np.int64) << 32) + other


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


def _items(
    models: Sequence[Path],
    first: NDArray[np.int64],
    chances: NDArray[np.float64],
    hangul: NDArray[np.int64],
) -> Items:
    """The items that first appear in these rows of the models."""
    import numpy as np
    import pyarrow.compute as pc

    def text(column: Texts, at: np.int64) -> Any:
        code = column[0][first[at]]
        return None if code < 0 else column[1][code].as_py()

    packs, strata, types = (_texts(models, name) for name in ("pack", "stratum", "type"))
    pack, at_pack = by_first(packs[0][first].astype(np.int64))
    stratum, at_stratum = by_first(_pairs(packs[0][first], strata[0][first]))
    kind, at_kind = by_first(types[0][first].astype(np.int64))
    names = [text(packs, at) for at in at_pack]
    shas = _texts(models, "pack_sha")
    clusters = _texts(models, "cluster_id")
    ranks = np.empty(len(clusters[1]), np.int64)
    ranks[data(pc.array_sort_indices(clusters[1]))] = np.arange(len(ranks))
    return Items(
        pack=pack, packs=names, stratum=stratum, strata=[(text(packs, at), text(strata, at)) for at in at_stratum],
        type=kind, types=[text(types, at) for at in at_kind],
        cluster=ranks[clusters[0][first]], chance=chances, hangul=hangul,
        pack_sha={name: text(shas, at) for name, at in zip(names, at_pack, strict=True)},
    )  # fmt: skip


def questions(folder: Path) -> Questions:
    """What a guess earns at each question of a run and the Hangul syllables that it holds, as they stand in
    items.parquet."""
    import numpy as np

    chances, hangul = [np.empty(0)], [np.empty(0, np.int64)]
    for batch in read_batches(folder / "items.parquet", _QUESTION, BATCH):
        chances.append(np.array(batch["chance"], np.float64))
        texts = [system + question for system, question in zip(batch["system"], batch["question"], strict=True)]
        hangul.append(_hangul(texts))
    return np.concatenate(chances), np.concatenate(hangul)


def _by_item(told: Iterable[Questions], places: Sequence[NDArray[np.int32]], items: int) -> Questions:
    """The questions of all runs, an entry per item. places: for each run where its items stand; those beyond `items` do
    not count."""
    import numpy as np

    chance, hangul = np.full(items, np.nan), np.zeros(items, np.int64)
    for (chances, syllables), at in zip(told, places, strict=True):
        known = at < items
        chance[at[known]], hangul[at[known]] = chances[known], syllables[known]
    return chance, hangul


def _hangul(texts: Sequence[str]) -> NDArray[np.int64]:
    """Hangul syllables of each text."""
    import numpy as np

    code = np.frombuffer("".join((*texts, " ")).encode("utf-32-le"), "<u4")
    hangul = (code - np.uint32(ord("가")) <= ord("힣") - ord("가")).view(np.uint8)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    # reduceat gives the first of what is not there: an empty text has nothing
    return np.add.reduceat(hangul, np.cumsum(lengths) - lengths, dtype=np.int64) * (lengths > 0)


def _rows(path: Path, item: NDArray[np.int32], items: int) -> Rows:
    import numpy as np

    who = {name: values[0] for name, values in next(read_batches(path, WHO, 1)).items()}
    columns: dict[str, NDArray[Any]] = {}
    for name in _TEXT:
        codes, texts = _texts([path], name)
        columns[name] = np.array([*texts.to_pylist(), None], dtype=object)[codes]
    columns |= {name: numbers(read_parquet(path, [name])[name]) for name in _NUMBER}
    return Rows(who, item, columns | {COPIED: _copied(path)}, items)


def _copied(path: Path) -> NDArray[np.float64]:
    """`COPIED` of each row, nan where its scorer does not measure it. Most rows' `aux_json` is not parsed."""
    import numpy as np

    told = (aux for batch in read_batches(path, ["aux_json"], BATCH) for aux in batch["aux_json"])
    return np.fromiter(
        (json.loads(aux).get(COPIED, np.nan) if aux and COPIED in aux else np.nan for aux in told), float
    )
