"""A run that is published while it is asked is published to the same bytes, and never stands in the way of its asks."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import bench, packs, plan, publisher, results
from tests.fake_server import Answer, Exchange, FakeServer
from tests.kit import clean_env, lmmbench, manifest_of, providers_yaml, run_here, start, write_pack

JOURNAL = Path("journal") / "main.jsonl"
forks = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks a publisher")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published run of two models, one of which failed here and there, one of whose records is damaged."""
    home = tmp_path_factory.mktemp("home")
    write_pack(home / "tasks" / "p", 30)
    with FakeServer(lambda x: Answer(status=413) if x.model == "sim-a" and "q0007" in x.question else None) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        folder = run_here(home, min_coverage=0).folder
    data = (folder / JOURNAL).read_bytes()
    (folder.parent / "whole.jsonl").write_bytes(data)
    at = data.index(b'"t":"done"', len(data) // 2) + 20
    (folder / JOURNAL).write_bytes(data[:at] + b"~" + data[at + 1 :])
    bench.publish(folder, plan.load(folder), None, None)
    assert manifest_of(folder)["damaged_records"]
    return folder


def published(folder: Path) -> dict[str, bytes]:
    """The bytes of all files that publishing writes."""
    files = [*folder.glob("*.parquet"), *folder.glob("models/*"), folder / "run.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def grows(journal: Path, data: bytes, cuts: list[int]) -> Callable[[float | None], bool]:
    """An `over` before each of whose answers the journal has grown up to the next cut; once it is whole, True."""
    ends = iter([*sorted(cuts), len(data)])
    journal.write_bytes(b"")

    def over(seconds: float | None) -> bool:
        end = next(ends, None)
        if end is not None:
            journal.write_bytes(data[:end])
        return end is None

    return over


def allowed() -> None:
    """The journals' locks are held."""


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=12))
def test_in_whatever_pieces_the_journal_comes_the_files_are_the_same(
    done: Path, tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    """Publishing while the journal grows, also by parts of lines, gives the bytes of publishing it whole."""
    data = (done / JOURNAL).read_bytes()
    folder = tmp_path_factory.mktemp("grown") / done.name
    (folder / "journal").mkdir(parents=True)
    shutil.copy(done / "plan.json", folder)
    over = grows(folder / JOURNAL, data, [cut % len(data) for cut in cuts])
    run_plan = plan.load(folder)
    follower = publisher.Follower(run_plan, folder / JOURNAL, over, allowed)
    chosen = packs.select("p", done.parents[1] / "tasks")
    bench.publish(folder, run_plan, chosen, None, live=follower)
    assert published(folder) == published(done)


def test_who_is_answered_first_is_written_first(done: Path, tmp_path: Path) -> None:
    """Of several models the one whose asks are all answered is chosen, however long the others take; the last one left
    at once."""
    lines = (done.parent / "whole.jsonl").read_bytes().splitlines(keepends=True)
    others = b"".join(line for line in lines if b'"model":"sim-a"' not in line)
    looks: list[float | None] = []
    grow = grows(tmp_path / "j", others + others, [len(others) // 2, len(others)])

    def over(seconds: float | None) -> bool:
        looks.append(seconds)
        return grow(seconds)

    follower = publisher.Follower(plan.load(done), tmp_path / "j", over, allowed)
    assert follower.choose(["sim-a"]) == "sim-a"
    assert looks == []
    assert follower.choose(["sim-a", "sim-b"]) == "sim-b"
    assert len(looks) == 2


def test_no_file_takes_its_place_before_the_asks_are_over(done: Path, tmp_path: Path) -> None:
    """Until nothing more will come and the locks are held, an earlier publishing stands, its commit mark too."""
    folder = tmp_path / done.name
    shutil.copytree(done, folder)
    before = published(folder)
    data = (folder / JOURNAL).read_bytes()
    seen: list[tuple[str, dict[str, bytes]]] = []
    grow = grows(folder / JOURNAL, data, [len(data) // 3, len(data)])

    def look(who: str) -> None:
        seen.append((who, {name: text for name, text in published(folder).items() if not name.endswith(".tmp")}))

    def over(seconds: float | None) -> bool:
        look("over")
        return grow(seconds)

    run_plan = plan.load(folder)
    follower = publisher.Follower(run_plan, folder / JOURNAL, over, lambda: look("allowed"))
    bench.publish(folder, run_plan, None, None, live=follower)
    assert [who for who, _ in seen[-2:]] == ["over", "allowed"]
    assert len(seen) > 3
    assert all(each == before for _, each in seen)
    assert published(folder) == before


def test_a_journal_that_grew_before_its_locks_were_held_is_not_published(done: Path, tmp_path: Path) -> None:
    """Between the end of the asks and the locks another process may write and go; whoever holds the locks reads it anew."""
    folder = tmp_path / done.name
    shutil.copytree(done, folder)
    before, data = published(folder), (folder / JOURNAL).read_bytes()

    def allowed() -> None:
        (folder / JOURNAL).write_bytes(data + data.splitlines(keepends=True)[-1])

    run_plan = plan.load(folder)
    follower = publisher.Follower(run_plan, folder / JOURNAL, grows(folder / JOURNAL, data, [9]), allowed)
    with pytest.raises(RuntimeError, match="somebody wrote"):
        bench.publish(folder, run_plan, None, None, live=follower)
    assert published(folder) == before


def test_what_is_answered_is_written_before_the_asks_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several models, too: when all is answered, all rows are written while nobody has said yet that nothing more will
    come."""
    monkeypatch.setattr(results, "BATCH", 5)
    write_pack(tmp_path / "tasks" / "p", 30)
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, ("sim-a", "sim-b"))
        folder = run_here(tmp_path).folder
    run_plan, before = plan.load(folder), published(folder)
    written: list[bool] = []

    def over(seconds: float | None) -> bool:
        written.append(seconds is None)
        return len(written) > 10 or seconds is None

    follower = publisher.Follower(run_plan, folder / JOURNAL, over, allowed)
    bench.publish(folder, run_plan, None, None, live=follower)
    assert written == [False, True]
    assert published(folder) == before


def test_a_process_with_threads_is_not_forked(tmp_path: Path, done: Path) -> None:
    """What another thread holds would be held in the fork for ever."""
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        assert not publisher._may_fork(tmp_path, plan.load(done))
    finally:
        wait.set()
        thread.join()


@forks
def test_where_the_system_refuses_a_process_the_run_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of processes costs no run, and leaves no descriptor open."""

    def refused() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    before = sorted(Path("/proc/self/fd").iterdir())
    assert publisher._fork(lambda over: pytest.fail("nobody was forked")) is None
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@forks
def test_who_stood_aside_comes_back() -> None:
    """When the asks are over the publisher is scheduled like whoever forked it."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        try:
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(process.pid, os.SCHED_OTHER, os.sched_param(0))
        except PermissionError:
            process.kill()
            pytest.skip("nobody comes back from SCHED_IDLE here; give the tests CAP_SYS_NICE")
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
        publisher._come_back(process.pid)
        assert os.sched_getscheduler(process.pid) == os.sched_getscheduler(0)
        process.kill()


def test_an_outcome_that_breaks_off_is_none() -> None:
    """A publisher that is killed while it tells what it published has told nothing."""
    (ordered, orders), (told, telling) = os.pipe(), os.pipe()
    os.write(telling, b'{"cells": [')
    os.close(telling)
    os.close(ordered)
    with pytest.raises(publisher.Unfinished, match="killed"):
        publisher.Publisher(0, orders, told).finish()
    os.close(orders)
    os.close(told)


# --- the process itself ------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with one pack `p` of 40 questions."""
    write_pack(tmp_path / "tasks" / "p", 40)
    return tmp_path


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def held_run(server: FakeServer, home: Path, at: int = 21) -> tuple[int, int, Callable[[], tuple[int, str, str]]]:
    """A run that stands still at its 21st ask: its pid, its publisher's, and how to let it end."""

    def script(_: Exchange) -> Answer | None:
        return Answer(held=True) if len(server.history) >= at else None

    server.script = script
    providers_yaml(home / "providers.yaml", server.url, concurrency=1)
    process = start("run", "--tasks", "p", "--run-id", "r", cwd=home)
    server.wait_until(lambda: len(server.history) == at)
    (child,) = children(process.pid)

    def end() -> tuple[int, str, str]:
        server.script = lambda _: None
        server.let_go()
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return process.pid, child, end


def assert_scored_alike(home: Path, folder: Path) -> None:
    """`lmmbench score`, which forks nobody, gives the same bytes."""
    once = published(folder)
    assert lmmbench("score", "r", cwd=home).returncode == 0
    assert published(folder) == once


@forks
def test_a_run_is_published_by_a_process_of_its_own(home: Path) -> None:
    """It gives the bytes that `lmmbench score` gives afterwards, and leaves nothing behind."""
    with FakeServer() as server:
        _, _, end = held_run(server, home)
        code, out, err = end()
    assert (code, "publishing here" in err) == (0, False), err
    assert "sim-a" in out
    folder = home / "results" / "r"
    assert not [name for name in published(folder) if name.endswith(".tmp")]
    assert_scored_alike(home, folder)


@forks
def test_without_its_publisher_a_run_publishes_itself(home: Path) -> None:
    """A publisher that is killed costs a sentence, and no file."""
    with FakeServer() as server:
        _, child, end = held_run(server, home)
        os.kill(child, signal.SIGKILL)
        code, _, err = end()
    assert code == 0, err
    assert "publishing here, since the process that had begun to has ended: killed" in err
    folder = home / "results" / "r"
    assert_scored_alike(home, folder)


@forks
def test_a_publisher_ends_with_its_run(home: Path) -> None:
    """However the run ends: after kill -9 nobody is left who could publish beside whoever resumes it."""
    with FakeServer() as server:
        pid, child, end = held_run(server, home)
        watched = os.pidfd_open(child)
        os.kill(pid, signal.SIGKILL)
        assert select.select([watched], [], [], 20)[0], "the publisher lives on"
        os.close(watched)
        end()
        providers_yaml(home / "providers.yaml", server.url)
        done = lmmbench("run", "--resume", "r", cwd=home)
    assert (done.returncode, "publishing here" in done.stderr) == (0, False), done.stderr
    folder = home / "results" / "r"
    assert manifest_of(folder)["by_status"] == {"ok": 40}
    assert_scored_alike(home, folder)


@forks
def test_an_interrupted_run_is_published_by_its_publisher(home: Path) -> None:
    """Ctrl-C goes to all processes of a terminal: the run stops in good order, and its publisher publishes what is there."""
    with FakeServer() as server:
        pid, child, end = held_run(server, home)
        os.kill(child, signal.SIGINT)
        os.kill(pid, signal.SIGINT)
        code, _, err = end()
    assert (code, "publishing here" in err) == (130, False), err
    counts = manifest_of(home / "results" / "r")["by_status"]
    assert counts["ok"] >= 20
    assert counts["skipped"] > 0


FULL = """
import errno, os, sys
from pathlib import Path
from lmmbench import bench, cli, disk

real, publish, run, left = disk.sync, bench.publish, os.getpid(), [25]

def sync(fd):
    left[0] -= 1
    if left[0] == 0 and os.getpid() == run:
        raise OSError(errno.ENOSPC, "No space left on device")
    real(fd)

def counted(*given, **more):
    if os.getpid() == run:
        print("children:", Path(f"/proc/{run}/task/{run}/children").read_text().split(), file=sys.stderr)
    return publish(*given, **more)

disk.sync, bench.publish = sync, counted
sys.exit(cli.run_cli(["run", "--tasks", "p", "--run-id", "r"]))
"""


@forks
def test_after_a_refused_write_nobody_else_publishes(home: Path) -> None:
    """What the publisher has read may not be on the disk then: it is gone before the run publishes what is."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        ended = subprocess.run(
            [sys.executable, "-c", FULL],
            cwd=home,
            env=clean_env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 4, ended.stderr
    assert "children: []" in ended.stderr
    assert manifest_of(home / "results" / "r")["by_status"]["ok"] < 40
