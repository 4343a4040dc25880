"""Rows of a data file: JSON Lines, JSON, CSV, TSV or parquet. Texts come out as NFC."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

from lmmbench.faults import UsageError

Row = dict[str, Any]


def rows(name: str, data: bytes) -> Iterator[Row]:
    """The rows of a file with this name. Raises UsageError where it cannot be read as what its name says."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in READERS:
        raise UsageError(f"{name}: what {suffix or 'no suffix'} holds is not known; use one of {', '.join(READERS)}")
    try:
        for row in READERS[suffix](data):
            if not isinstance(row, dict):
                raise ValueError(f"a row is {row!r:.40}, not an object with columns")
            yield normal(row)
    except (ValueError, csv.Error) as e:  # also UnicodeDecodeError, JSONDecodeError and pyarrow's ArrowInvalid
        raise UsageError(f"{name}: cannot be read as {suffix}: {e}; look at the file") from None


def normal(value: Any) -> Any:
    """A value with every text in it as NFC."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {normal(k): normal(v) for k, v in value.items()}
    return [normal(v) for v in value] if isinstance(value, list) else value


def _lines(data: bytes) -> Iterator[Any]:
    # not splitlines: U+2028 and its like may stand in a text
    return (json.loads(line) for line in data.decode("utf-8-sig").split("\n") if line.strip())


def _json(data: bytes) -> Iterator[Any]:
    found = json.loads(data.decode("utf-8-sig"))
    if isinstance(found, dict):  # {"data": [...]}, or whatever the one list in it is called
        lists = [v for v in found.values() if isinstance(v, list)]
        if len(lists) != 1:
            raise ValueError("it is an object, not a list of rows")
        found = lists[0]
    return iter(found)


def _separated(by: str) -> Callable[[bytes], Iterator[Any]]:
    def read(data: bytes) -> Iterator[Any]:
        for n, row in enumerate(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=by), 1):
            if None in row:
                raise ValueError(f"row {n} has more cells than the header")
            yield row

    return read


def _parquet(data: bytes) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return iter(pq.read_table(pa.BufferReader(data)).to_pylist())


READERS: dict[str, Callable[[bytes], Iterator[Any]]] = {
    ".jsonl": _lines, ".json": _json, ".csv": _separated(","), ".tsv": _separated("\t"), ".parquet": _parquet,
}  # fmt: skip
