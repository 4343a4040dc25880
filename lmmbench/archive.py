"""A run as one file: a tar.gz of what its folder must hold, the same bytes whenever it is packed.

Such a file is data from elsewhere: only plain files with the names that a run has are taken out of it, up to a size,
and nothing is ever put anywhere but into the folder of that run.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import tarfile
import zlib
from datetime import datetime
from pathlib import Path

from lmmbench import disk
from lmmbench.faults import UsageError
from lmmbench.files import make_folder, replacing

SUFFIX = ".tar.gz"
MAX_BYTES = 20_000_000_000
"""What may come out of one file; more is taken for a decompression bomb."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INSIDE = re.compile(
    rf"plan\.json|run\.json|items\.parquet|matrix\.parquet|journal/{_NAME.pattern}\.jsonl|models/{_NAME.pattern}\.parquet"
)


def pack(folder: Path, target: Path) -> Path:
    """Write a run's plan, items, journals, parquet files and manifest to `target`, whole or not at all."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    with (
        replacing(target) as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in filter(_INSIDE.fullmatch, names):
            info = tarfile.TarInfo(f"{folder.name}/{name}")
            info.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as f:
                tar.addfile(info, f)
    return target


def unpack(path: Path, results: Path) -> Path:
    """Put a packed run into the results folder and return its own. A run that is there already is used when it holds
    the same, and never overwritten. Raises UsageError for anything that is no packed run."""
    make_folder(results)
    made = results / f".unpacking-{os.getpid()}"
    try:
        run_id = _extract(path, made)
        folder = results / run_id
        if folder.exists():
            _check_same(made, folder, path)
            return folder
        _keep_age(made)
        disk.rename(made, folder)
        disk.sync_folder(results)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OSError) as e:
        raise UsageError(f"{path} is no packed run ({e}); make one with: lmmbench pack RUN") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _extract(path: Path, made: Path) -> str:
    """The files of the archive in `made`; returns the run's id."""
    left, run_id = MAX_BYTES, ""
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            run_id, inside = _checked(member, run_id, path)
            left -= member.size
            source = tar.extractfile(member)
            if left < 0 or source is None:
                raise UsageError(f"{path} holds more than a run does; it was not unpacked")
            target = made / inside
            make_folder(target.parent)
            with replacing(target) as f:
                shutil.copyfileobj(source, f)
    if not (made / "plan.json").is_file():
        raise UsageError(f"{path} is no packed run: it holds no plan.json; make one with: lmmbench pack RUN")
    return run_id


def _checked(member: tarfile.TarInfo, run_id: str, path: Path) -> tuple[str, str]:
    """(run id, name inside the run). Raises UsageError for links, devices, other names and a second run."""
    first, _, inside = member.name.partition("/")
    good = member.isreg() and _NAME.fullmatch(first) and _INSIDE.fullmatch(inside) and run_id in ("", first)
    if not good:
        raise UsageError(f"{path} holds {member.name!r}, which no run has; it was not unpacked")
    return first, inside


def _check_same(made: Path, folder: Path, path: Path) -> None:
    for file in (p for p in made.rglob("*") if p.is_file()):
        there = folder / file.relative_to(made)
        if not there.is_file() or there.read_bytes() != file.read_bytes():
            raise UsageError(
                f"the run {folder.name} is in {folder.parent} already and differs from {path} in {there.name}; name it by "
                "its id, or unpack elsewhere with --results"
            )


def _keep_age(made: Path) -> None:
    """plan.json keeps the run's own date, so that an unpacked run is not taken for the latest."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        created = json.loads((made / "plan.json").read_bytes())["created_at"]
        at = datetime.fromisoformat(created).timestamp()
        os.utime(made / "plan.json", (at, at))
