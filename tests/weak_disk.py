"""A disk that keeps no more than it must: the real journal and the real publishing write through `lmmbench.disk`, which
is logged here call by call, and every state in which a power cut could leave that disk is made from the log.

    with WeakDisk(folder).recording(monkeypatch) as log:
        …                                   # the real code; log.note(…) says what was promised, and when
    for crash in log.crashes():             # every crash point, every state of what was not synced
        crash.make(elsewhere)               # as real files, for the real recovery to read

What is promised is what POSIX promises, and less than any file system in use gives: a file's bytes are there once the
file was synced; a name (made, replaced, removed) once its folder was. Until then each name may be the old or the new
one, whatever happened to the others, and a file's bytes may be there, gone, cut in the middle, or zeros, in any order.
A rename replaces a name in one step (POSIX `rename`), but says nothing of the bytes behind it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lmmbench import disk

Tree = dict[str, bytes | None]
"""What stands on a disk, by its path: a file's bytes, None for a folder."""
Ignored = Callable[[str, str], bool]
"""(call, path): whether a call of the code is left out of the log, as if the code did not make it."""
MOST = 200
"""States of one crash point that are made; where there are more, so many are drawn."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, or a `note` of the test. `node` is the file that it was about, whatever its name."""

    what: str
    path: str = ""
    node: int = -1
    data: Any = None


@dataclass(frozen=True, slots=True)
class Crash:
    """A state in which a power cut after `at` calls may leave the disk, and what the test had noted by then."""

    at: int
    tree: Tree
    notes: tuple[Any, ...]
    calls: tuple[Call, ...]

    def make(self, folder: Path) -> None:
        """Make it as real files in an empty folder."""
        folder.mkdir(parents=True)
        for path, data in sorted(self.tree.items()):
            if data is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(data)


@dataclass(slots=True)
class _File:
    """Bytes that are safe, and the writes and cuts since then."""

    safe: bytes = b""
    pending: list[bytes | int] = field(default_factory=list)

    def states(self) -> list[bytes]:
        """What may be there after a power cut."""
        found = [_applied(self.safe, self.pending[:kept]) for kept in range(len(self.pending) + 1)]
        for n, change in enumerate(self.pending):
            before, after = self.pending[:n], self.pending[n + 1 :]
            if isinstance(change, bytes):
                half = len(change) // 2
                found.append(_applied(self.safe, [*before, change[:half]]))
                found.append(_applied(self.safe, [*before, bytes(len(change)), *after]))  # later bytes came first
                found.append(_applied(self.safe, [*before, bytes(half) + change[half:], *after]))
            else:
                found.append(_applied(self.safe, [*before, *after]))
        return list(dict.fromkeys(found))


def _applied(data: bytes, changes: Sequence[bytes | int]) -> bytes:
    for change in changes:
        data = data + change if isinstance(change, bytes) else data[:change]
    return data


Names = dict[str, int | None]
"""Names in one folder: the file's node, None for a folder."""
Step = tuple[str, str, int | None]
"""(old name or "", new name or "", node): a name that was made, replaced, moved or removed."""


@dataclass(slots=True)
class _Folder:
    safe: Names = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)

    def states(self) -> list[Names]:
        """Each name that was not synced may be the old or the new one, whatever became of the others."""
        found = [_renamed(self.safe, list(itertools.compress(self.pending, kept))) for kept in self._kept()]
        return [names for n, names in enumerate(found) if names not in found[:n]]

    def _kept(self) -> Iterator[Sequence[bool]]:
        """Which steps came out: every choice; of many steps the first few, all but one, and none or all."""
        count = len(self.pending)
        if count <= 6:
            return itertools.product((True, False), repeat=count)
        first = ([step < n for step in range(count)] for n in range(count, -1, -1))
        return itertools.chain(first, ([step != n for step in range(count)] for n in range(count)))


def _renamed(names: Names, steps: Sequence[Step]) -> Names:
    names = dict(names)
    for old, new, node in steps:
        names.pop(old, None)
        if new:
            names[new] = node
    return names


class WeakDisk:
    """The log of what was done below `root`."""

    def __init__(self, root: Path, ignored: Ignored = lambda call, path: False) -> None:
        self.calls: list[Call] = []
        self._root = root
        self._ignored = ignored
        self._nodes = itertools.count()
        self._names: dict[str, int] = {}
        self._open: dict[int, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self.before: Tree = {}
        for path in sorted(root.rglob("*")):
            self._take(path.relative_to(root).as_posix(), path)
        self._first = len(self.calls)

    def _take(self, path: str, real: Path) -> None:
        """What was there before is safe."""
        self.before[path] = None if real.is_dir() else real.read_bytes()
        if real.is_dir():
            self.calls.append(Call("make_folder", path))
        else:
            node = self._names[path] = next(self._nodes)
            for what in ("create", "write", "sync"):
                self.calls.append(Call(what, path, node, self.before[path]))
        self.calls.append(Call("sync_folder", _above(path)))

    def note(self, said: Any) -> None:
        """Something that the code has promised, at this point of the log."""
        self._log("note", data=said)

    def _log(self, what: str, path: str = "", node: int = -1, data: Any = None) -> None:
        if not self._ignored(what, path):
            self.calls.append(Call(what, path, node, data))

    def _path(self, path: Path) -> str:
        return path.absolute().relative_to(self._root.absolute()).as_posix()

    # --- in the place of lmmbench.disk ---

    @contextlib.contextmanager
    def recording(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeakDisk]:
        """Log every call that the code makes. Files are real; they are not synced in earnest, which only takes time."""
        with monkeypatch.context() as patch:
            for name in ("create", "extend", "write", "sync", "truncate", "close", "rename", "remove"):
                patch.setattr(disk, name, getattr(self, name))
            patch.setattr(disk, "make_folder", self.make_folder)
            patch.setattr(disk, "sync_folder", self.sync_folder)
            yield self

    def create(self, path: Path) -> int:
        return self._opened(_REAL["create"](path), path, empties=True)

    def extend(self, path: Path) -> int:
        return self._opened(_REAL["extend"](path), path, empties=False)

    def _opened(self, fd: int, path: Path, *, empties: bool) -> int:
        name = self._path(path)
        with self._lock:
            if name not in self._names:
                self._names[name] = next(self._nodes)
                self._log("create", name, self._names[name])
            elif empties:
                self._log("truncate", name, self._names[name], 0)
            self._open[fd] = self._names[name], name
        return fd

    def write(self, fd: int, data: Any) -> int:
        written: int = _REAL["write"](fd, data)
        with self._lock:
            node, name = self._open[fd]
            self._log("write", name, node, bytes(data)[:written])
        return written

    def sync(self, fd: int) -> None:
        with self._lock:
            node, name = self._open[fd]
            self._log("sync", name, node)

    def truncate(self, fd: int, size: int) -> None:
        _REAL["truncate"](fd, size)
        with self._lock:
            node, name = self._open[fd]
            self._log("truncate", name, node, size)

    def close(self, fd: int) -> None:
        with self._lock:
            del self._open[fd]
        _REAL["close"](fd)

    def rename(self, old: Path, new: Path) -> None:
        _REAL["rename"](old, new)
        with self._lock:
            node = self._names[self._path(new)] = self._names.pop(self._path(old))
            self._log("rename", self._path(old), node, self._path(new))

    def remove(self, path: Path) -> None:
        _REAL["remove"](path)
        with self._lock:
            self._log("remove", self._path(path), self._names.pop(self._path(path)))

    def make_folder(self, path: Path) -> None:
        _REAL["make_folder"](path)
        with self._lock:
            self._log("make_folder", self._path(path))

    def sync_folder(self, path: Path) -> None:
        with self._lock:
            self._log("sync_folder", self._path(path))

    # --- what a power cut leaves ---

    def crashes(self, *, seed: int = 0) -> Iterator[Crash]:
        """Every state after every call and what was noted right after it, those that are alike left out."""
        for at in range(self._first, len(self.calls) + 1):
            if at == len(self.calls) or self.calls[at].what != "note":
                yield from self.crashes_at(at, random.Random(seed + at))  # noqa: S311

    def crashes_at(self, at: int, draw: random.Random) -> Iterator[Crash]:
        """Every state in which a power cut after `at` calls may leave the disk."""
        calls = tuple(self.calls[:at])
        files, folders = _replayed(calls)
        notes = tuple(c.data for c in calls if c.what == "note")
        seen: list[Tree] = []
        for names, data in _choices(files, folders, draw):
            tree = dict(_reached(names, data))
            if tree not in seen:
                seen.append(tree)
                yield Crash(at, tree, notes, calls)


_REAL = {
    n: getattr(disk, n) for n in ("create", "extend", "write", "truncate", "close", "rename", "remove", "make_folder")
}


def _above(path: str) -> str:
    return Path(path).parent.as_posix()


def _replayed(calls: Sequence[Call]) -> tuple[dict[int, _File], dict[str, _Folder]]:
    """What is safe and what is pending after these calls."""
    files: dict[int, _File] = {}
    folders: dict[str, _Folder] = {".": _Folder()}
    for call in calls:
        name, above = Path(call.path).name, folders.get(_above(call.path), _Folder())
        if call.what == "create":
            files[call.node] = _File()
            above.pending.append(("", name, call.node))
        elif call.what in ("write", "truncate"):
            files[call.node].pending.append(call.data)
        elif call.what == "sync":
            files[call.node] = _File(_applied(files[call.node].safe, files[call.node].pending))
        elif call.what == "rename":
            above.pending.append((name, Path(call.data).name, call.node))
        elif call.what == "remove":
            above.pending.append((name, "", None))
        elif call.what == "make_folder":
            above.pending.append(("", name, None))
            folders[call.path] = _Folder()
        elif call.what == "sync_folder":
            folder = folders[call.path]
            folders[call.path] = _Folder(_renamed(folder.safe, folder.pending))
    return files, folders


def _choices(
    files: dict[int, _File], folders: dict[str, _Folder], draw: random.Random
) -> Iterator[tuple[dict[str, Names], dict[int, bytes]]]:
    """Every way in which what is pending may have come out; a draw of them where they are too many."""
    options: list[list[Any]] = [f.states() for f in folders.values()] + [f.states() for f in files.values()]
    if math.prod(map(len, options)) <= MOST:
        chosen: Iterator[tuple[Any, ...]] = itertools.product(*options)
    else:
        ends = [tuple(o[0] for o in options), tuple(o[-1] for o in options)]
        chosen = itertools.chain(ends, (tuple(draw.choice(o) for o in options) for _ in range(MOST)))
    for choice in chosen:
        names = dict(zip(folders, choice[: len(folders)], strict=True))
        yield names, dict(zip(files, choice[len(folders) :], strict=True))


def _reached(names: dict[str, Names], data: dict[int, bytes], at: str = ".") -> Iterator[tuple[str, bytes | None]]:
    """What has a name, from the root on: a folder whose own name is gone holds nothing that anybody finds."""
    for name, node in names[at].items():
        path = (Path(at) / name).as_posix()
        yield path, None if node is None else data[node]
        if node is None:
            yield from _reached(names, data, path)


def emptied(folder: Path) -> Path:
    """A folder that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
