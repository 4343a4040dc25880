"""The journal: append-only, the one source of truth of a run.

One JSON object a line, ASCII, its last key `crc` (CRC-32 of the line before it). Record types (`t`):
`intent` an ask is about to be sent · `done` an answer came · `fail` an attempt brought none · `mark` something about
the run (a start, a stop with its reason, a changed limit of an endpoint).

One writer per file, which holds the file's lock. Records are written in groups: one write, one fsync, then everybody
in the group goes on. On opening a torn last line (a crash) is cut off, and what is left is synced before anybody reads
it: after kill -9 it may be in memory only. Damage in the middle is skipped and counted.

A quick disk is synced on the loop's own thread: handing 0.4 ms of work to another thread and back costs ten times as
much, since both wait for the interpreter's lock. A slow one is synced in a thread, so that it holds up nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from lmmbench import disk
from lmmbench.canon import read_json
from lmmbench.faults import UsageError
from lmmbench.files import make_folder
from lmmbench.secret import clean

Record = dict[str, Any]
Waiting = tuple[Record, bytes, "asyncio.Future[None]"]
"""A record, its line, and who waits for it to be safe."""
SCHEMA = 1
"""Stands in start marks; journals without it are of schema 1."""
GATHER = 3
"""Turns of the loop in which records gather before they are written: those of other asks that are about to come share
the sync. Where nothing else is to be done a turn takes 2 microseconds."""
RECORDS = ("intent", "done", "fail", "mark")
QUICK_SYNC_S = 0.01
"""Syncs that take longer than this on average are made in a thread."""
SLOW_SYNCS = 100
"""So many syncs are made in a thread before the disk is tried again."""
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False)


class JournalError(Exception):
    """The disk refused a record. The run stops asking; what is in the journal is safe."""


def line_of(record: Record) -> bytes:
    """The record as a line, with its checksum and without any key."""
    body = clean(_ENCODER.encode(record).encode("ascii"))
    return b'%b,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body[:-1]))


def parse(line: bytes, *, texts: bool = True) -> Record | None:
    """The record of a whole and undamaged line, else None; without `texts` an answer's record lacks its texts."""
    # the last 19 bytes are ,"crc":"xxxxxxxx"} and the line break
    if not line.endswith(b',"crc":"%08x"}\n' % zlib.crc32(memoryview(line)[:-19])):
        return None
    try:
        record = read_json(line if texts else _without_texts(line))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    del record["crc"]
    return record


def _without_texts(line: bytes) -> bytes:
    """An answer's line without `answer` and `reasoning`, most of what there is to read. No text holds what stands around
    them: within one, JSON writes a quote as \\"."""
    start = line.find(b',"answer":') if line.startswith(b'{"t":"done"') else -1
    end = line.find(b',"finish":', start)
    return line[:start] + line[end:] if 0 < start < end else line


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every line, damaged or not."""
    offset = 0
    with path.open("rb") as f:
        for line in f:
            yield offset, line
            offset += len(line)


def read(path: Path) -> Iterator[tuple[int, Record | None]]:
    """(offset, record) of every line; None for a damaged one."""
    for offset, line in lines(path):
        yield offset, parse(line)


class Writer:
    """Appends to one journal file. `append` returns when the record is on the disk.

    `on_safe(offset, record)` is told of every record that is. Raises UsageError(exit code 5) when another process
    writes here, JournalError when the disk refuses.
    """

    def __init__(self, path: Path, on_safe: Callable[[int, Record], None] | None = None) -> None:
        self._lock = _lock(path.with_suffix(".lock"))
        self._fd, self._end = _open(path)
        self._on_safe = on_safe
        self._pending: list[Waiting] = []
        self._flusher: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        self._sync_s = 0.0
        self._in_thread = 0

    async def append(self, record: Record) -> None:
        """Write one record; it is safe when this returns. Raises JournalError; after an error of any other kind, in
        writing or in `on_safe`, that error: whatever stops the writer, nobody waits for it."""
        await self.put(record)

    def put(self, record: Record) -> asyncio.Future[None]:
        """`append` without waiting: the future is done when the record is safe. Records are written in the order in
        which they were put, so what was put before a record that is safe is safe as well."""
        if self._broken:
            raise self._broken
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((record, line_of(record), done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        return done

    async def _flush(self) -> None:
        """Write and sync whatever has gathered, again and again until nothing has."""
        group: list[Waiting] = []
        try:
            while self._pending:
                for _ in range(GATHER):
                    await asyncio.sleep(0)
                group, self._pending = self._pending, []
                await self._write(b"".join(line for _, line, _ in group))
                self._tell(group)
                _wake(group)
        except OSError as e:
            self._broken = JournalError(f"the journal cannot be written: {e}")
        except Exception as e:
            self._broken = e
        except BaseException:
            self._broken = JournalError("the journal's writer was stopped")
            raise
        finally:
            self._flusher = None
            if self._broken:
                _wake([*group, *self._pending], self._broken)
                self._pending = []

    async def _write(self, data: bytes) -> None:
        try:
            _write_all(self._fd, data)
        except OSError:
            # records that were taken whole are answers that were paid for
            await self._sync()
            raise
        await self._sync()

    async def _sync(self) -> None:
        """Raises OSError, and then the file ends where it was safe: after a failed fsync the kernel may show bytes that
        it has dropped, and whoever reads them would believe them."""
        try:
            await self._timed_sync()
        except OSError:
            with contextlib.suppress(OSError):
                disk.truncate(self._fd, self._end)
            raise

    async def _timed_sync(self) -> None:
        if self._in_thread:
            self._in_thread -= 1
            await asyncio.get_running_loop().run_in_executor(None, disk.sync, self._fd)
            return
        began = time.perf_counter()
        disk.sync(self._fd)
        # an average of the last dozen: one sync may have waited for another thread, not for the disk
        self._sync_s += (time.perf_counter() - began - self._sync_s) / 12
        if self._sync_s > QUICK_SYNC_S:
            self._sync_s, self._in_thread = 0.0, SLOW_SYNCS

    def _tell(self, group: list[Waiting]) -> None:
        for record, line, _ in group:
            if self._on_safe:
                self._on_safe(self._end, record)
            self._end += len(line)

    async def close(self) -> None:
        """Write what has gathered, and let others write."""
        try:
            if self._flusher is not None:
                await self._flusher
        finally:
            self.release()

    def release(self) -> None:
        """Let others write, whatever has become of this writer. A second time it does nothing."""
        if self._lock.closed:
            return
        try:
            disk.close(self._fd)
        finally:
            self._lock.close()


def _wake(group: Iterable[Waiting], error: Exception | None = None) -> None:
    for _, _, done in group:
        if done.done():
            continue
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)


def check_free(run: Path) -> None:
    """Raises UsageError (exit code 5) while a process writes to a journal of this run."""
    for lock in sorted((run / "journal").glob("*.lock")):
        _lock(lock).close()


@contextlib.contextmanager
def held(run: Path, writers: Iterable[str] = ()) -> Iterator[None]:
    """The journals of a run as their writers would open them, with their locks, and with those of `writers` that have not
    begun: nobody writes while somebody publishes what they say, or publishes at the same time. Raises UsageError (exit
    code 5) while one of them is at work."""
    folder = run / "journal"
    make_folder(folder)
    with contextlib.ExitStack() as locks:
        for writer in sorted({*writers, *(path.stem for path in folder.glob("*.jsonl"))}):
            locks.enter_context(_lock(folder / f"{writer}.lock"))
        for path in sorted(folder.glob("*.jsonl")):
            disk.close(_open(path)[0])
        yield


def _open(path: Path) -> tuple[int, int]:
    """(descriptor, size) of a journal in which every byte and its own name are on the disk, and every line ends."""
    fd = disk.extend(path)
    try:
        end = _whole_lines(path)
        if end < path.stat().st_size:
            disk.truncate(fd, end)
        disk.sync(fd)
        disk.sync_folder(path.parent)
    except OSError:
        disk.close(fd)
        raise
    return fd, end


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[disk.write(fd, view) :]


def _whole_lines(path: Path) -> int:
    """Bytes up to the last line break: what a crash left after it is no record, and the next begins a line of its own."""
    with path.open("rb") as f:
        end = f.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            f.seek(start)
            at = f.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _lock(path: Path) -> IO[bytes]:
    """An exclusive lock that the operating system drops when this process ends, however it ends."""
    handle = path.open("ab")
    try:
        if os.name == "nt":  # pragma: no cover (Windows)
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise UsageError(
            f"the run {path.parent.parent.name} is being written by another process ({path.stem}); wait for it, or stop it "
            "first",
            exit_code=5,
        ) from None
    return handle
