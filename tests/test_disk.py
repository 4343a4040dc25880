"""A disk that refuses: at any call that lmmbench makes to it, the run ends in one sentence, and nothing is lost."""

from __future__ import annotations

import ast
import errno
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lmmbench as product
from lmmbench import disk, files, places
from lmmbench.cli import run_cli
from tests.fake_server import FakeServer
from tests.kit import journal_of, manifest_of, providers_yaml, rows_of, write_pack

CALLS = ("create", "extend", "write", "sync", "rename", "remove", "make_folder", "sync_folder")
ITEMS, CONCURRENCY = 6, 2
Place = tuple[str, str, int]
"""(call, name of the file or folder, the how-manieth of its kind, from 1)."""


class Refusing:
    """Stands before `lmmbench.disk`: counts its calls, and refuses one of them, or that one and whatever would need room
    from then on. Half of a refused write is taken."""

    def __init__(self, at: Place | None = None, number: int = errno.ENOSPC, *, once: bool = False) -> None:
        self.made: list[Place] = []
        self.refused = False
        self._at, self._number, self._once = at, number, once
        self._times: Counter[tuple[str, str]] = Counter()
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()
        self._real = {name: getattr(disk, name) for name in CALLS}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in CALLS:
            patch.setattr(disk, name, self._call(name))

    def _call(self, name: str) -> Any:
        def call(first: Any, *rest: Any) -> Any:
            with self._lock:
                path = self._names.get(first, "") if isinstance(first, int) else Path(first).name
                self._times[name, path] += 1
                self.made.append((name, path, self._times[name, path]))
                refuse = self.made[-1] == self._at or (
                    self.refused and not self._once and name not in ("remove", "sync_folder")
                )
                self.refused = self.refused or refuse
            if refuse:
                if name == "write":
                    self._real[name](first, bytes(rest[0])[: len(rest[0]) // 2])
                raise OSError(self._number, os.strerror(self._number), None if isinstance(first, int) else str(first))
            done = self._real[name](first, *rest)
            if name in ("create", "extend"):
                self._names[done] = path
            return done

        return call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_pack(tmp_path / "tasks" / "p", ITEMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = ["run", "--tasks", "p", "--run-id", "r"]


def calls_of_a_run(home: Path, server: FakeServer) -> list[Place]:
    """Every call to the disk of a run that meets no harm."""
    watching = Refusing()
    with pytest.MonkeyPatch.context() as patch:
        watching.install(patch)
        assert run_cli([*RUN[:-1], "whole"]) == 0
    server.history.clear()
    server._times.clear()
    return watching.made


def refused(home: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], place: Place, **how: Any) -> bool:
    """A run whose disk refuses at this place, and the run that follows once it does not. Whether it was refused."""
    run = home / "results" / "r"
    told = Refusing(place, **how)
    with pytest.MonkeyPatch.context() as patch:
        told.install(patch)
        code = run_cli(RUN)
    err = capsys.readouterr().err
    if not told.refused:
        assert code == 0, err
        return False
    assert "Traceback" not in err and "unforeseen" not in err
    of_items = place[1] in (".items.parquet.tmp", "items.parquet") or place == ("remove", "run.json", 1)
    again = how.get("once") and of_items
    if code or not again:
        assert code == 4, (place, err)
        said = [line for line in err.splitlines() if line.startswith("lmmbench: ")]
        assert len(said) in (1, 2), err  # the journal's, and then that of the results
        assert any(word in err.splitlines()[-1] for word in ("space", "room", "--results", "--resume")), err
    safe = [r["item"] for r in journal_of(run) if r["t"] == "done"] if (run / "journal").is_dir() else []
    asked = len(server.history)
    assert len(safe) <= asked <= len(safe) + CONCURRENCY

    whole = run_cli(["run", "--resume", "r"] if (run / "plan.json").is_file() else RUN)
    assert whole == 0, (place, capsys.readouterr().err)
    sent = Counter(x.question.split("번")[0] for x in server.history[asked:])
    assert not set(sent) & set(safe), "an answer in the journal was asked for again"
    assert manifest_of(run)["by_status"] == {"ok": ITEMS}
    assert len(rows_of(run)) == ITEMS
    assert not manifest_of(run)["damaged_records"]
    assert not list(run.rglob(".*.tmp")), "nothing half made is left"
    return True


def some(places_: list[Place]) -> Iterator[Place]:
    """The first and the last call of each kind to each file."""
    first = {p[:2]: p for p in reversed(places_)}
    last = {p[:2]: p for p in places_}
    yield from sorted({*first.values(), *last.values()})


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.prove)], ids=["ends", "every"])
def test_a_full_disk_at_any_call_loses_nothing(home: Path, capsys: pytest.CaptureFixture[str], every: bool) -> None:
    """From any write, sync, rename or new name on, the disk is full: exit 4 and one sentence that names the next action;
    once there is room, the same run is finished, asks nothing that is in the journal, and has lost nothing."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=CONCURRENCY)
        made = calls_of_a_run(home, server)
        met = 0
        for place in made if every else some(made):
            if place[0] in ("remove", "sync_folder"):
                continue  # a full disk refuses neither
            met += _in_a_new_folder(home, server, capsys, place)
        capsys.readouterr()
        print(f"\nfull disk: refused at {met} of {len(made)} calls, exit 4 each time, nothing lost")
        assert met > 20


@pytest.mark.prove
def test_one_failing_call_loses_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any single call fails with an I/O error, a failed sync among them, and all later ones work."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=CONCURRENCY)
        made = [p for p in calls_of_a_run(home, server) if p[1] not in (".write-test", "..write-test.tmp")]
        late = [
            p for p in made if not (p[0] in ("make_folder", "sync_folder") and p[1] in ("r", "results", "journal", ""))
        ]
        met = sum(_in_a_new_folder(home, server, capsys, p, number=errno.EIO, once=True) for p in late)
        capsys.readouterr()
        print(f"\nI/O error: at {met} of {len(made)} calls, one at a time, nothing lost")
        assert met > 40


def _in_a_new_folder(
    home: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], place: Place, **how: Any
) -> bool:
    import shutil

    shutil.rmtree(home / "results" / "r", ignore_errors=True)
    server.history.clear()
    return refused(home, server, capsys, place, **how)


def test_a_reader_on_windows_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody reads the old file and the system refuses to rename over it, it is tried again for a second."""
    real, tried = disk.rename, [0]

    def rename(old: Path, new: Path) -> None:
        tried[0] += 1
        if tried[0] < 4:
            raise PermissionError(errno.EACCES, "in use")
        real(old, new)

    monkeypatch.setattr(disk, "rename", rename)
    monkeypatch.setattr("time.sleep", lambda _: None)
    files.write_atomically(tmp_path / "x", b"new")
    assert ((tmp_path / "x").read_bytes(), tried[0]) == (b"new", 4)
    tried[0] = -100
    with pytest.raises(PermissionError):
        files.write_atomically(tmp_path / "x", b"newer")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


# --- the door is the only one ------------------------------------------------------------------------

WRITES = {
    "write_text",
    "write_bytes",
    "unlink",
    "rename",
    "mkdir",
    "rmdir",
    "touch",
    "fsync",
    "ftruncate",
    "makedirs",
    "mkstemp",
}
EXCUSED = {
    ("cli.py", "open"): "standard output that is closed goes to the null device",
    ("archive.py", "open"): "tarfile writes into a file of the door",
    ("ci.py", "open"): "GitHub's step summary is appended to, as its documentation says",
    ("journal.py", "open"): "the lock, which has no content",
}
"""(file, call): why it writes past the door."""


def past_the_door(tree: ast.AST) -> set[str]:
    """Calls that change a disk: by their name, or `open` with a mode that writes."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).startswith("disk."):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [*node.args, *(k.value for k in node.keywords)]
        modes = [
            a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str) and len(a.value) < 4
        ]
        if name in WRITES or (name == "open" and any(set(m) & set("wax+") for m in modes)):
            found.add(name)
    return found


def test_nothing_is_written_past_the_door() -> None:
    """What is kept is written through lmmbench/disk.py, so that the weak disk sees every call; the excuses are in use."""
    root = Path(product.__file__).parent
    found = {
        (path.name, name)
        for path in root.rglob("*.py")
        if path.name != "disk.py"
        for name in past_the_door(ast.parse(path.read_bytes()))
    }
    assert found == set(EXCUSED)
    assert past_the_door(ast.parse("p.open('wb'); open('x', 'a'); q.write_text('y'); p.open('rb')")) == {
        "open",
        "write_text",
    }


def test_nothing_is_left_of_a_run_that_never_began(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that could not be written leaves no folder: it would be `latest`."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url)
        with pytest.MonkeyPatch.context() as patch:
            Refusing(("write", ".plan.json.tmp", 1)).install(patch)
            assert run_cli(RUN) == 4
        assert places.runs(home / "results") == []
        assert not (home / "results" / "r").exists()
        assert server.history == []
