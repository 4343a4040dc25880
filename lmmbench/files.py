"""Files that are the old one or the new one, never a part: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes; the file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    replace_synced(temporary, path)


def replace_synced(temporary: Path, path: Path) -> None:
    """Rename over `path`, and make the rename itself durable."""
    temporary.replace(path)
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_parquet(path: Path, schema: Any, batches: Iterable[list[dict[str, Any]]]) -> None:
    """`write_columns` of batches of rows; what a row lacks is null."""
    names = schema.names
    write_columns(path, schema, ({name: [row.get(name) for row in rows] for name in names} for rows in batches))


def write_columns(
    path: Path, schema: Any, batches: Iterable[Mapping[str, list[Any]]], constant: Mapping[str, Any] | None = None
) -> None:
    """Write batches of columns, lists of one length, with an explicit schema (pyarrow.Schema); the file appears whole or
    not at all. `constant` holds the columns that are the same in every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    same = constant or {}
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as f:
        with pq.ParquetWriter(f, schema, compression="zstd") as writer:
            for batch in batches:
                rows = len(next(iter(batch.values())))
                columns = [
                    pa.repeat(_column([same[field.name]], field.type)[0], rows)
                    if field.name in same
                    else _column(batch[field.name], field.type)
                    for field in schema
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        f.flush()
        os.fsync(f.fileno())
    replace_synced(temporary, path)


def _column(values: list[Any], kind: Any) -> Any:
    """A pyarrow array. Lone surrogates cannot stand in parquet: they become U+FFFD there."""
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([without_surrogates(v) if isinstance(v, str) else v for v in values], kind)


def without_surrogates(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_parquet(path: Path, columns: list[str] | None = None) -> Any:
    """A parquet file as a pyarrow.Table."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(_source(path)).read(columns=columns)


def _source(path: Path) -> Any:
    """The file for pyarrow, in memory that is pyarrow's own: its threads may let go of it after the reading is over, and
    where that needed Python, a process that is about to end would abort."""
    import pyarrow as pa

    try:
        return pa.memory_map(str(path))
    except UnicodeEncodeError:  # a path that is no Unicode cannot be passed on
        data = path.read_bytes()
        buffer = pa.allocate_buffer(len(data))
        memoryview(buffer).cast("B")[:] = data
        return pa.BufferReader(buffer)
