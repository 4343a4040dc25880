"""Files that are the old one or the new one, never a part: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
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
    """Write batches of rows with an explicit schema; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as f:
        with pq.ParquetWriter(f, schema, compression="zstd") as writer:
            for rows in batches:
                columns = [pa.array([row.get(name) for row in rows], schema.field(name).type) for name in schema.names]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        f.flush()
        os.fsync(f.fileno())
    replace_synced(temporary, path)


def read_parquet(path: Path, columns: list[str] | None = None, filters: Any = None) -> Any:
    """A parquet file as a pyarrow.Table. The file is opened here, since not every path can be passed on to pyarrow."""
    import pyarrow.parquet as pq

    with path.open("rb") as f:
        if filters is not None:
            return pq.read_table(f, columns=columns, filters=filters)
        return pq.ParquetFile(f).read(columns=columns)
