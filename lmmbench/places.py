"""Where things are: the option, else the environment variable, else the working folder's, else what the wheel carries."""

from __future__ import annotations

import os
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
            if not Path(value).exists():
                raise UsageError(f"{value}, {how}, does not exist; correct the path")
            return Path(value)
    return None


def tasks_dir(option: str | None) -> Path:
    found = _named(option, "LMMBENCH_TASKS")
    local = Path("tasks")
    return found or (local if local.is_dir() else _shipped("tasks"))


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

    tasks: Path
    providers: Path
    results: Path

    def __str__(self) -> str:
        return f"tasks: {self.tasks} · providers: {self.providers} · results: {self.results}"


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
