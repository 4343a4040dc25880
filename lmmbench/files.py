"""Files that are the old one or the new one, never a part: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lmmbench import disk
from lmmbench.secret import clean, holds_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes, without any key; the file appears whole or not at all."""
    with replacing(path) as f:
        f.write(clean(data))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once all of it is on the disk. Where that fails nothing is left of it; where
    the process is killed, a temporary file, which the next one takes."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _synced(temporary) as f:
            yield f
        replace_synced(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[IO[bytes]]:
    """A file all of which is on the disk when it is closed."""
    with io.BufferedWriter(disk.File(path)) as f:
        yield f
        f.flush()
        disk.sync(f.fileno())


def create_atomically(path: Path, data: bytes) -> None:
    """Write bytes to a file that is not there yet; of several that try, in whatever process or machine, one does. It
    appears whole. Raises FileExistsError for the others."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with _synced(temporary) as f:
            f.write(clean(data))
        disk.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            disk.remove(temporary)
    disk.sync_folder(path.parent)


def replace_synced(temporary: Path, path: Path) -> None:
    """Rename over `path`, and make the rename itself durable."""
    _rename(temporary, path)
    disk.sync_folder(path.parent)


REFUSALS = 10
"""On Windows nobody may rename over a file that somebody reads: so often it is tried, a tenth of a second apart."""


def _rename(temporary: Path, path: Path) -> None:
    for _ in range(REFUSALS - 1):
        try:
            return disk.rename(temporary, path)
        except PermissionError:
            time.sleep(0.1)
    return disk.rename(temporary, path)


def remove_synced(path: Path) -> None:
    """Remove a file, if it is there, and make that durable before anything else happens."""
    with contextlib.suppress(FileNotFoundError):
        disk.remove(path)
        disk.sync_folder(path.parent)


def make_folder(path: Path, *, new: bool = False) -> None:
    """Make a folder and what is missing above it, each durable when this returns. Raises FileExistsError for one that
    must be `new` and is there."""
    if not new and path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent)
    try:
        disk.make_folder(path)
    except FileExistsError:
        if new:
            raise
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    disk.sync_folder(path.parent)


def write_parquet(path: Path, schema: Any, batches: Iterable[list[dict[str, Any]]]) -> None:
    """`write_columns` of batches of rows to a file that appears whole or not at all; what a row lacks is null."""
    columns = ({name: [row.get(name) for row in rows] for name in schema.names} for rows in batches)
    with replacing(path) as f:
        write_columns(f, schema, columns)


ROWS = 8192
"""Rows of a row group: what is held as Arrow's columns until it is written."""


def write_columns(
    f: IO[bytes], schema: Any, batches: Iterable[Mapping[str, list[Any]]], constant: Mapping[str, Any] | None = None
) -> None:
    """Write batches of columns, lists of one length, as parquet with an explicit schema (pyarrow.Schema). `constant`
    holds the columns that are the same in every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(f, schema, compression="zstd") as writer:
        group: list[Any] = []
        for batch in batches:
            group.append(_record_batch(batch, schema, constant or {}))
            if sum(map(len, group)) >= ROWS:
                writer.write_table(pa.Table.from_batches(group).combine_chunks())
                group.clear()
        if group:
            writer.write_table(pa.Table.from_batches(group).combine_chunks())


def _record_batch(batch: Mapping[str, list[Any]], schema: Any, constant: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    rows = len(next(iter(batch.values())))
    columns = [
        pa.repeat(_column([constant[field.name]], field.type)[0], rows)
        if field.name in constant
        else _column(batch[field.name], field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: Any) -> Any:
    """A pyarrow array of a type that our schemas have, in Arrow's own layout (arrow.apache.org/docs/format/Columnar.html).
    pa.array would import pandas, for longer than all our columns take, to ask whether a list is one of its own."""
    import pyarrow as pa

    absent = values.count(None)
    if absent == len(values):
        return pa.nulls(len(values), kind)
    known = _bits([v is not None for v in values]) if absent else None
    if pa.types.is_string(kind):
        if len(values) > 1 and values.count(values[0]) == len(values):
            return pa.repeat(_column(values[:1], kind)[0], len(values))
        texts = _utf8(values)
        return pa.Array.from_buffers(kind, len(texts), [known, _ends(texts), pa.py_buffer(b"".join(texts))])
    if pa.types.is_list(kind):
        inner = _column([part for v in values for part in v or ()], kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [known, _ends([v or () for v in values])], children=[inner])
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, len(values), [known, _bits(values)])
    if pa.types.is_timestamp(kind):
        values = [v and (v - _EPOCH) // _MICROSECOND for v in values]
    numbers = array(_CODES[str(kind)], [0 if v is None else v for v in values])
    return pa.Array.from_buffers(kind, len(values), [known, pa.py_buffer(numbers)])


_CODES = {"int16": "h", "int64": "q", "double": "d", "timestamp[us, tz=UTC]": "q"}
_PLACES = {"int32": "i", "uint64": "Q"}
"""What pyarrow counts places in: those of a dictionary's texts, and of sorted values."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _bits(flags: Sequence[bool | None]) -> Any:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.array(flags, dtype=bool), bitorder="little"))


def _ends(parts: Sequence[Sequence[Any]]) -> Any:
    """Where each part begins, and where the last one ends."""
    import pyarrow as pa

    return pa.py_buffer(array("i", accumulate(map(len, parts), initial=0)))


def _utf8(texts: Sequence[str | None]) -> list[bytes]:
    """Lone surrogates cannot stand in parquet: they become U+FFFD there. Keys may not stand anywhere."""
    try:
        written = [b"" if text is None else text.encode() for text in texts]
    except UnicodeEncodeError:
        written = [b"" if text is None else without_surrogates(text).encode() for text in texts]
    return [clean(text) for text in written] if holds_key(b"\n".join(written)) else written


def without_surrogates(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_parquet(path: Path, columns: list[str] | None = None, repeating: Sequence[str] = ()) -> Any:
    """A parquet file as a pyarrow.Table. Columns that are `repeating` hold each of their texts once."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(_source(path), read_dictionary=list(repeating)).read(columns=columns)


def rows_in(path: Path) -> int:
    """How many rows a parquet file has."""
    import pyarrow.parquet as pq

    rows: int = pq.ParquetFile(_source(path)).metadata.num_rows
    return rows


def numbers(column: Any) -> NDArray[np.float64]:
    """A column of numbers (pyarrow.ChunkedArray), nan for null. Its own to_numpy would import pandas."""
    import numpy as np

    if column.null_count == len(column):  # one number stands for all, whatever their count
        return np.broadcast_to(np.float64("nan"), len(column))
    return np.concatenate([np.empty(0), *(np.where(_known(c), data(c), np.nan) for c in column.chunks)])


def coded(columns: Sequence[Any]) -> tuple[NDArray[np.int32], Any]:
    """The values of columns (pyarrow.ChunkedArray) as places in the array of their different values, which stand as they
    first appear; -1 for null."""
    import numpy as np
    import pyarrow as pa

    chunks = [chunk for column in columns for chunk in column.chunks]
    if not chunks:
        return np.empty(0, np.int32), pa.nulls(0, pa.string())
    encoded = pa.chunked_array(chunks).dictionary_encode().combine_chunks()
    return np.where(_known(encoded), data(encoded.indices), np.int32(-1)), encoded.dictionary


def by_first(values: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Integers numbered in the order in which they first appear, and where each does."""
    import numpy as np
    import pyarrow as pa

    array = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
    numbered, _ = coded([pa.chunked_array([array])])
    return numbered, np.flatnonzero(np.diff(np.maximum.accumulate(numbered), prepend=-1))


def data(array: Any) -> NDArray[Any]:
    """The numbers of an array (pyarrow.Array), shape (n,); where one is null, any."""
    import numpy as np

    kind = np.dtype((_CODES | _PLACES)[str(array.type)])
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def _known(array: Any) -> NDArray[np.bool_]:
    import numpy as np

    if not array.null_count:
        return np.ones(len(array), bool)
    bits = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(bool)


def read_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[dict[str, list[Any]]]:
    """The columns of a parquet file as lists, so many rows at a time."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(_source(path)).iter_batches(rows, columns=list(columns)):
        yield {name: _values(batch.column(name)) for name in columns}


def _values(column: Any) -> list[Any]:
    """A column as a list, tuples where it holds lists of texts. They are cut from all its texts: pyarrow makes an object
    of each list, for long."""
    import pyarrow as pa

    if not pa.types.is_list(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    texts, ends = iter(column.flatten().to_pylist()), column.offsets.to_pylist()
    return [tuple(islice(texts, b - a)) for a, b in pairwise(ends)]


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
