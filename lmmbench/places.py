"""Where things are: the option, else the environment variable, else the working folder's, else what the wheel carries."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmmbench.faults import UsageError


def _shipped(name: str) -> Path:
    """tasks/ or providers.yaml as shipped: inside an installed wheel, or beside the package in a checkout."""
    inside = Path(__file__).parent / "_data" / name
    return inside if inside.exists() else Path(__file__).parent.parent / name


def is_packaged(path: Path) -> bool:
    """Whether a file belongs to the installed package, which an update replaces."""
    return path.resolve().is_relative_to(Path(__file__).parent.resolve())


def _named(option: str | None, variable: str) -> Path | None:
    """A path that the user named. Raises UsageError when it is not there."""
    for value, how in ((option, "named on the command line"), (os.environ.get(variable), f"named by {variable}")):
        if value:
            return _existing(value, how)
    return None


def _existing(value: str, how: str) -> Path:
    if not Path(value).exists():
        raise UsageError(f"{value}, {how}, does not exist; correct the path")
    return Path(value)


def tasks_dirs(options: Sequence[str]) -> tuple[Path, ...]:
    """Where packs are looked for: every --tasks-dir, else the folders that LMMBENCH_TASKS names (with the system's path
    separator between them), else ./tasks, else the shipped one."""
    variable = os.environ.get("LMMBENCH_TASKS", "").split(os.pathsep)
    named = [_existing(o, "named on the command line") for o in options if o]
    named = named or [_existing(v, "named by LMMBENCH_TASKS") for v in variable if v]
    local = Path("tasks")
    return tuple(named) or (local if local.is_dir() else _shipped("tasks"),)


def providers_file(option: str | None) -> Path:
    found = _named(option, "LMMBENCH_PROVIDERS")
    local = Path("providers.yaml")
    return found or (local if local.is_file() else _shipped("providers.yaml"))


def results_dir(option: str | None) -> Path:
    """The results folder, which need not exist yet. Raises UsageError when it is a file."""
    path = Path(option or os.environ.get("LMMBENCH_RESULTS") or "results")
    if path.exists() and not path.is_dir():
        raise UsageError(f"the results folder {path} is a file; name a folder with --results")
    return path


@dataclass(frozen=True, slots=True)
class Places:
    """The three places of a command."""

    tasks: tuple[Path, ...]
    providers: Path
    results: Path

    def __str__(self) -> str:
        return f"tasks: {', '.join(map(str, self.tasks))} · providers: {self.providers} · results: {self.results}"


def find_run(name: str, results: Path) -> Path:
    """RUN is an id under the results folder, a path, a packed run (which is unpacked there), or `latest`. Raises
    UsageError with the nearest id."""
    from lmmbench import archive
    from lmmbench.doors import nearest

    ids = runs(results)
    if name == "latest":
        if not ids:
            raise UsageError(f"there is no run in {results} yet; start one with: lmmbench run --tasks korean")
        return results / ids[-1]
    for path in (results / name, Path(name)):
        if (path / "plan.json").is_file():
            return path
    if name.endswith(archive.SUFFIX) and Path(name).is_file():
        return archive.unpack(Path(name), results)
    raise UsageError(f"no run is called {name!r}{nearest(name, ids)}; see: lmmbench list runs")


def runs(results: Path) -> list[str]:
    """Ids of all runs, oldest first (by when plan.json was written, then by id)."""
    found = [(p.stat().st_mtime_ns, p.parent.name) for p in results.glob("*/plan.json")]
    return [name for _, name in sorted(found)]
