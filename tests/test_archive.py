"""A packed run is the same run elsewhere; a file that only looks like one harms nothing."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from lmmbench import archive, places
from lmmbench.faults import UsageError
from tests.fake_server import FakeServer
from tests.kit import lmmbench, providers_yaml, run_here, write_pack


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A folder with one finished run, `r`."""
    write_pack(tmp_path / "tasks" / "p", 12)
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url)
        run_here(tmp_path)
    return tmp_path


def test_the_same_run_gives_the_same_bytes(ran: Path) -> None:
    """Neither the day nor the machine is in the file."""
    first = archive.pack(ran / "results" / "r", ran / "one.tar.gz").read_bytes()
    os.utime(ran / "results" / "r" / "run.json", (1, 1))
    (ran / "results" / "r" / "report.html").write_text("made on demand", encoding="utf-8")
    assert archive.pack(ran / "results" / "r", ran / "two.tar.gz").read_bytes() == first


def test_a_packed_run_scored_elsewhere_gives_the_same_bytes(ran: Path) -> None:
    """score, matrix and compare take the file as a RUN; grading it again, without packs, keys or providers.yaml,
    writes the very same parquet."""
    there = ran / "elsewhere"
    there.mkdir()
    assert lmmbench("pack", "r", "--to", there / "r.tar.gz", cwd=ran).returncode == 0
    shutil.rmtree(ran / "tasks")
    before = {p.name: p.read_bytes() for p in (ran / "results" / "r").rglob("*.parquet")}
    scored = lmmbench("score", "r.tar.gz", cwd=there)
    assert scored.returncode == 0, scored.stderr
    assert {p.name: p.read_bytes() for p in (there / "results" / "r").rglob("*.parquet")} == before
    assert lmmbench("compare", "r", "r.tar.gz", cwd=there).returncode == 0


def test_an_unpacked_run_is_not_the_latest(ran: Path) -> None:
    """It keeps its own date; and unpacking it again finds it there."""
    results = ran / "results"
    packed = archive.pack(results / "r", ran / "r.tar.gz")
    shutil.rmtree(results / "r")
    run_here_again(ran)
    assert places.find_run(str(packed), results) == results / "r"
    assert places.find_run(str(packed), results) == results / "r"
    os.utime(results / "later" / "plan.json")
    assert places.find_run("latest", results) == results / "later"


def run_here_again(cwd: Path) -> None:
    with FakeServer() as server:
        providers_yaml(cwd / "providers.yaml", server.url)
        run_here(cwd, run_id="later")


def test_a_run_that_is_there_is_never_overwritten(ran: Path) -> None:
    """Another content under the same id is refused, and both stay as they are."""
    results = ran / "results"
    packed = archive.pack(results / "r", ran / "r.tar.gz")
    (results / "r" / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"differs from .* in run.json"):
        places.find_run(str(packed), results)
    assert (results / "r" / "run.json").read_text(encoding="utf-8") == "{}"
    assert [p.name for p in results.iterdir() if p.name.startswith(".un")] == []


def hostile(path: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, "/etc/passwd", 2 if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(b"{}"))
    return path


@pytest.mark.parametrize("name", ["../plan.json", "/plan.json", "r/../../x.json", "r/plan.json/..", "r/evil.py", "plan.json", "r/models/.parquet"])  # fmt: skip
def test_nothing_leaves_the_runs_folder(tmp_path: Path, name: str) -> None:
    """A name that no run has, or a way out of the folder, is refused before anything is written."""
    with pytest.raises(UsageError, match="which no run has"):
        archive.unpack(hostile(tmp_path / "x.tar.gz", name), tmp_path / "results")
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    """Only plain files are taken out."""
    with pytest.raises(UsageError, match="which no run has"):
        archive.unpack(hostile(tmp_path / "x.tar.gz", "r/plan.json", kind), tmp_path / "results")


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"\x1f\x8b\x08\x00"])
def test_what_is_no_packed_run_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    """An empty, foreign or cut file: exit 2, and how to make a right one."""
    (tmp_path / "x.tar.gz").write_bytes(data)
    done = lmmbench("score", "x.tar.gz", cwd=tmp_path)
    assert done.returncode == 2
    assert "lmmbench pack RUN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cut_file_is_refused_whole(ran: Path) -> None:
    """Half a packed run leaves nothing behind."""
    packed = archive.pack(ran / "results" / "r", ran / "r.tar.gz")
    half = packed.read_bytes()[: packed.stat().st_size // 2]
    packed.write_bytes(half)
    with pytest.raises(UsageError, match="no packed run"):
        archive.unpack(packed, ran / "other")
    assert list((ran / "other").iterdir()) == []


def test_more_than_a_run_holds_is_refused(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would come out is counted before it is written."""
    packed = archive.pack(ran / "results" / "r", ran / "r.tar.gz")
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="more than a run does"):
        archive.unpack(packed, ran / "other")
