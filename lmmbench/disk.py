"""The door to the disk: what lmmbench keeps is opened, written, synced, renamed and removed here, and nowhere else.

Each function is one call of the operating system. So a test can stand in for the disk: it fails any one call, or loses,
tears and reorders whatever was not synced, while the journal and the publishing are the real ones.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FLAGS = os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def create(path: Path) -> int:
    """A descriptor of a new or emptied file."""
    return os.open(path, _FLAGS | os.O_WRONLY | os.O_TRUNC, 0o666)


def extend(path: Path) -> int:
    """A descriptor that writes at the end of a file, which is made if it is not there."""
    return os.open(path, _FLAGS | os.O_WRONLY | os.O_APPEND, 0o666)


def write(fd: int, data: Buffer) -> int:
    """Bytes that were taken: on a full disk fewer than were given, or OSError."""
    return os.write(fd, data)


def sync(fd: int) -> None:
    """Return when the file's content is on the disk; its name need not be (`sync_folder`)."""
    os.fsync(fd)


def truncate(fd: int, size: int) -> None:
    os.ftruncate(fd, size)


def close(fd: int) -> None:
    os.close(fd)


def rename(old: Path, new: Path) -> None:
    old.replace(new)


def link(old: Path, new: Path) -> None:
    """A second name for a file; unlike a rename it fails where the name is taken."""
    new.hardlink_to(old)


def remove(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.mkdir()


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk. Windows does that by itself, and opens no folder."""
    if os.name == "nt":  # pragma: no cover (Windows)
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class File(io.RawIOBase):
    """A new file as Python and pyarrow write one."""

    def __init__(self, path: Path) -> None:
        self._fd = create(path)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Buffer, /) -> int:
        return write(self._fd, data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            close(self._fd)
