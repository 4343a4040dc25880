"""The journal is the one source of truth: nothing that was written is lost, and nothing damaged is believed."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import disk, journal
from lmmbench.faults import UsageError
from lmmbench.journal import JournalError, Record, Writer
from lmmbench.runner import _done
from lmmbench.types import Item, Provenance, Reply, Request
from tests.kit import clean_env, journal_of, lmmbench, manifest_of, providers_yaml, rows_of, write_pack

TEXT = st.text(st.characters() | st.sampled_from('\u2028\u2029\u0085\x00\x1f"\\\n\r\ud800\udfff한ㅋ🙂'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(TEXT.filter(lambda k: k not in ("t", "crc")), VALUES, max_size=4).map(
    lambda r: {"t": "done", **r}
)


def as_json(value: Any) -> Any:
    """The value as JSON sees it: a high and a low surrogate side by side are one character."""
    return json.loads(json.dumps(value))


def written(path: Path, *records: Record) -> list[Record]:
    """The records in the file, after these were appended by a writer of their own."""

    async def write() -> None:
        writer = Writer(path)
        try:
            await asyncio.gather(*(writer.append(r) for r in records))
        finally:
            await writer.close()

    asyncio.run(write())
    return [r for _, r in journal.read(path) if r is not None]


# --- a line ------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Any JSON survives, lone surrogates and U+2028 too; a record is one line of ASCII with `crc` as its last key."""
    line = journal.line_of(record)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert list(json.loads(line))[-1] == "crc"
    assert journal.parse(line) == as_json(record)


@settings(max_examples=300, deadline=None)
@given(RECORDS, st.data())
def test_any_single_changed_byte_is_detected(record: Record, data: st.DataObject) -> None:
    """A line with one byte changed is no record, or (never seen) the same one; it is never another."""
    line = bytearray(journal.line_of(record))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] = data.draw(st.integers(0, 255).filter(lambda b: b != line[at]))
    assert journal.parse(bytes(line)) in (None, journal.parse(journal.line_of(record)))


@settings(max_examples=200, deadline=None)
@given(RECORDS, st.data())
def test_a_part_of_a_line_is_no_record(record: Record, data: st.DataObject) -> None:
    """What a crash leaves of a line is not believed, wherever it was cut."""
    line = journal.line_of(record)
    assert journal.parse(line[: data.draw(st.integers(0, len(line) - 1))]) is None
    assert journal.parse(line[data.draw(st.integers(1, len(line))) :]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"[]\n", b'{"t":"done"}\n', journal.line_of({}), b"\xff" * 40])
def test_what_is_no_record_is_none(line: bytes) -> None:
    """A line without a checksum, or that is no object with a key of its own, is no record."""
    assert journal.parse(line) is None


ASKED = Request(
    "p", Item("i", "s", "t", "c", {}, ("1",), Provenance("", "", "", (), "recall")), 0, "", "", (2, 1), 8, 0
)
NASTY = st.lists(
    TEXT | st.sampled_from((',"answer":', ',"finish":"', '"', "\\", ',"reasoning":null,"finish":"x"'))
).map("".join)


@settings(max_examples=300, deadline=None)
@given(NASTY, NASTY | st.none(), NASTY, st.dictionaries(TEXT | st.just("finish"), NASTY, max_size=2))
def test_an_index_reads_all_but_the_texts(answer: str, reasoning: str | None, word: str, sent: dict[str, str]) -> None:
    """Without its texts an answer's record is the same but for `answer` and `reasoning`, whatever is said in it."""
    line = journal.line_of(_done({"item": "i"}, ASKED, Reply(answer, "unknown", word, reasoning, sent=sent)))
    whole = journal.parse(line)
    assert whole is not None
    assert journal.parse(line, texts=False) == {k: v for k, v in whole.items() if k not in ("answer", "reasoning")}


@settings(deadline=None)
@given(RECORDS, st.sampled_from(("intent", "fail", "mark")))
def test_other_records_are_read_whole(record: Record, kind: str) -> None:
    """Only answers have texts that an index leaves out."""
    line = journal.line_of(record | {"t": kind, "told": {"x": 0, "answer": 1, "finish": 2}})
    assert journal.parse(line, texts=False) == journal.parse(line) is not None


# --- a file ------------------------------------------------------------------------------------------


def test_what_was_appended_is_in_the_file(tmp_path: Path) -> None:
    """Many tasks append at once; each record is whole, once, in the order of the calls, at the offset that is named."""
    path = tmp_path / "main.jsonl"
    records = [{"t": "done", "n": n, "answer": "가" * n} for n in range(200)]
    assert written(path, *records) == records
    with path.open("rb") as f:
        for offset, record in journal.read(path):
            f.seek(offset)
            assert journal.parse(f.readline()) == record


def test_a_record_is_on_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`append` returns after the write and after the fsync, not before; the file can be read while it is written."""
    path = tmp_path / "main.jsonl"
    synced = [0]
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        synced[0] = os.fstat(fd).st_size

    async def write() -> None:
        writer = Writer(path)
        for n in range(5):
            await writer.append({"t": "done", "n": n})
            assert len(list(journal.read(path))) == n + 1
            assert synced[0] == path.stat().st_size
        await writer.close()

    monkeypatch.setattr("os.fsync", fsync)
    asyncio.run(write())


def test_records_of_a_few_turns_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks that are about to be recorded need not each wait for the disk."""
    synced: list[int] = []

    async def write(writer: Writer, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await writer.append({"t": "done", "n": turns})

    async def main() -> None:
        writer = Writer(tmp_path / "main.jsonl")
        monkeypatch.setattr(disk, "sync", lambda fd: synced.append(os.fstat(fd).st_size))
        await asyncio.gather(*(write(writer, turns) for turns in range(3)))
        await writer.close()

    asyncio.run(main())
    assert len(synced) == 1
    assert [r["n"] for _, r in journal.read(tmp_path / "main.jsonl") if r] == [0, 1, 2]


@pytest.mark.parametrize("quick", [60.0, -1.0], ids=["quick", "slow"])
def test_who_listens_is_told_of_every_safe_record_and_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: float
) -> None:
    """`on_safe` hears of each record once, in order, after its sync, with the offset that reading finds; after a slow
    sync the next ones are made in a thread, and nothing else changes. A torn tail does not shift the offsets."""
    monkeypatch.setattr(journal, "QUICK_SYNC_S", quick)
    path = tmp_path / "main.jsonl"
    path.write_bytes(journal.line_of({"t": "mark"}) + b'{"t":"do')
    synced, threads = [0], set()
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        synced[0] = os.fstat(fd).st_size
        threads.add(threading.get_ident() == threading.main_thread().ident)

    told: list[tuple[int, Record]] = []

    def on_safe(offset: int, record: Record) -> None:
        assert offset < synced[0]
        told.append((offset, record))

    async def write() -> None:
        writer = Writer(path, on_safe)
        for n in range(0, 12, 4):
            await asyncio.gather(*(writer.append({"t": "done", "n": m}) for m in range(n, n + 4)))
        await writer.close()

    monkeypatch.setattr("os.fsync", fsync)
    asyncio.run(write())
    assert told == list(journal.read(path))[1:]
    assert [r["n"] for _, r in told] == list(range(12))
    assert threads == ({True} if quick > 0 else {True, False})


def test_an_append_that_nobody_waits_for_any_more_hurts_nobody(tmp_path: Path) -> None:
    """A cancelled ask leaves a whole line or none, and the others' records are written."""
    path = tmp_path / "main.jsonl"

    async def write() -> None:
        writer = Writer(path)
        tasks = [asyncio.create_task(writer.append({"t": "done", "n": n})) for n in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await writer.append({"t": "done", "n": 10})
        await writer.close()

    asyncio.run(write())
    numbers = [r["n"] for _, r in journal.read(path) if r]
    assert set(numbers) | {3} == set(range(11))
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("tail", [b"{", b'{"t":"done","answer":"half', b"\x00" * 5000, b"x" * 200_000, journal.line_of({"t": "x"})[:-1]])  # fmt: skip
def test_a_torn_tail_is_cut_on_opening(tmp_path: Path, tail: bytes) -> None:
    """The half line of a crash goes, however long, and the next record stands on a line of its own."""
    path = tmp_path / "main.jsonl"
    whole = [{"t": "done", "n": 1}, {"t": "done", "n": 2}]
    path.write_bytes(b"".join(map(journal.line_of, whole)) + tail)
    assert written(path, {"t": "done", "n": 3}) == [*whole, {"t": "done", "n": 3}]
    assert all(record for _, record in journal.read(path))


def test_a_file_of_nothing_but_a_torn_tail_becomes_empty(tmp_path: Path) -> None:
    """A crash in the first record leaves a journal that can be used."""
    path = tmp_path / "main.jsonl"
    path.write_bytes(b"x" * 100_000)
    assert written(path, {"t": "mark"}) == [{"t": "mark"}]


def test_damage_in_the_middle_is_skipped(tmp_path: Path) -> None:
    """A damaged line costs itself only: it is named by its offset, and what stands around it is read."""
    path = tmp_path / "main.jsonl"
    lines = [journal.line_of({"t": "done", "n": n}) for n in range(4)]
    path.write_bytes(lines[0] + lines[1].replace(b'"n":1', b'"n":7') + b"\x00\xff\n" + lines[2] + lines[3])
    read = list(journal.read(path))
    assert [record and record["n"] for _, record in read] == [0, None, None, 2, 3]
    assert read[1][0] == len(lines[0])
    assert written(path, {"t": "done", "n": 4})[-1] == {"t": "done", "n": 4}


# --- a disk that refuses -----------------------------------------------------------------------------


def appended_until_it_breaks(path: Path, count: int = 200) -> tuple[list[int], list[BaseException]]:
    """Append `count` records, six at a time. Returns which were promised to be safe, and what was raised."""
    safe: list[int] = []
    raised: list[BaseException] = []

    async def one(writer: Writer, n: int) -> None:
        try:
            await writer.append({"t": "done", "n": n, "answer": "가" * 50})
            safe.append(n)
        except JournalError as e:
            raised.append(e)

    async def write() -> None:
        writer = Writer(path)
        try:
            for start in range(0, count, 6):
                await asyncio.gather(*(one(writer, n) for n in range(start, min(count, start + 6))))
        finally:
            await writer.close()

    asyncio.run(write())
    return safe, raised


def assert_nothing_is_lost(path: Path, safe: list[int], count: int = 200) -> None:
    """Everything that was promised can be read, and the file can be written again."""
    assert safe
    assert len(safe) < count
    there = [r["n"] for _, r in journal.read(path) if r]
    assert set(safe) <= set(there)
    assert written(path, {"t": "done", "n": count})[-1] == {"t": "done", "n": count}
    assert set(safe) <= {r["n"] for _, r in journal.read(path) if r}


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A real small file system that fills up: JournalError for what did not fit, everything promised is there."""
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, check=False) if sys.platform == "linux" else None  # fmt: skip
    if mounted is None or mounted.returncode:
        return  # mounting is for root only; the tests below make the disk refuse in other ways
    try:
        safe, raised = appended_until_it_breaks(disk / "main.jsonl")
        assert "No space left" in str(raised[0])
        copy = tmp_path / "main.jsonl"
        copy.write_bytes((disk / "main.jsonl").read_bytes())
    finally:
        subprocess.run(["umount", disk], check=True)
    assert_nothing_is_lost(copy, safe)


def test_a_write_that_fails_half_way_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short writes go on where they stopped; when the disk is full in the middle of a record, only that one is lost."""
    path = tmp_path / "main.jsonl"
    room = [5000]
    real = os.write

    def write(fd: int, data: Any) -> int:
        if fd <= 2:
            return real(fd, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = real(fd, bytes(data)[: min(7, room[0])])
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr("os.write", write)
        safe, raised = appended_until_it_breaks(path)
    assert "No space left" in str(raised[0])
    assert path.stat().st_size == 5000
    assert_nothing_is_lost(path, safe)


def test_nothing_is_written_after_a_failed_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel may have dropped what it held, so no later success is believed."""
    path = tmp_path / "main.jsonl"
    calls = [0]
    real = os.fsync

    def fsync(fd: int) -> None:
        calls[0] += 1
        if calls[0] == 6:  # two are made on opening
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        safe, raised = appended_until_it_breaks(path)
    assert safe == list(range(18))
    assert [r["n"] for _, r in journal.read(path) if r] == safe, "what the kernel may only pretend to have is not shown"
    assert len(raised) == 200 - 18
    assert calls[0] == 6
    assert_nothing_is_lost(path, safe)


# --- what nobody foresaw -----------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["on_safe", "sync", "sync in a thread", "write"])
def test_nobody_waits_for_a_writer_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """An error of any kind, in the disk's calls or in who listens, wakes everybody who waits with that error, in the group
    that met it and after it, and is met by nobody's silence; what was written stays, and the next writer can begin."""
    path = tmp_path / "main.jsonl"
    error = KeyError("odd")
    heard: list[Record] = []

    def odd(*_: Any) -> int:
        raise error

    def on_safe(_: int, record: Record) -> None:
        if fails == "on_safe" and record["n"] == 3:
            raise error
        heard.append(record)

    async def write() -> list[BaseException | None]:
        unheard: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        writer = Writer(path, on_safe)
        if fails == "sync in a thread":
            writer._in_thread = 1
        if fails != "on_safe":
            monkeypatch.setattr(f"lmmbench.disk.{fails.split()[0]}", odd)
        async with asyncio.timeout(10):
            raised = await asyncio.gather(*(writer.append({"t": "done", "n": n}) for n in range(6)), return_exceptions=True)  # fmt: skip
            raised += await asyncio.gather(writer.append({"t": "done", "n": 6}), return_exceptions=True)
            await writer.close()
        gc.collect()
        assert unheard == []
        return raised

    assert asyncio.run(write()) == [error] * 7
    monkeypatch.undo()
    assert heard == [{"t": "done", "n": n} for n in range(3 if fails == "on_safe" else 0)]
    before = [] if fails == "write" else [{"t": "done", "n": n} for n in range(6)]
    assert written(path, {"t": "done", "n": 7}) == [*before, {"t": "done", "n": 7}]


def test_a_writer_that_is_cancelled_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Whoever waits for it is told, and it lets others write."""
    path = tmp_path / "main.jsonl"

    async def write() -> None:
        writer = Writer(path)
        task = asyncio.create_task(writer.append({"t": "done"}))
        for _ in range(2):  # both begin
            await asyncio.sleep(0)
        assert writer._flusher
        writer._flusher.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(JournalError, match="stopped"):
                await task
        await writer.close()

    asyncio.run(write())
    assert written(path, {"t": "mark"}) == [{"t": "mark"}]


# --- a run -------------------------------------------------------------------------------------------


def simulated(folder: Path, items: int = 40) -> list[str | Path]:
    """Options of `lmmbench run` with a small pack and one model that needs no key."""
    write_pack(folder / "tasks" / "mini", items)
    models = {"sim-a": {"endpoint": "here", "name": "chance", "region": "reference"}}
    providers_yaml(folder / "providers.yaml", "", models, {"here": {"api": "baseline"}})
    return ["--tasks-dir", folder / "tasks", "--providers", folder / "providers.yaml", "--results", folder / "results"]


def test_a_run_that_is_being_written_is_busy(tmp_path: Path) -> None:
    """One writer per run: a second process gets exit code 5 and one sentence, and disturbs nothing; whether it resumes
    the run or names a new one like it. The lock goes with its process."""
    where = simulated(tmp_path)
    assert lmmbench("run", "--tasks", "mini", "--run-id", "one", *where, cwd=tmp_path).returncode == 0
    path = tmp_path / "results" / "one" / "journal" / "main.jsonl"
    before = path.read_bytes()

    async def hold() -> list[subprocess.CompletedProcess[str]]:
        writer = Writer(path)
        with pytest.raises(UsageError, match="being written") as caught:
            Writer(path)
        assert caught.value.exit_code == 5
        tried = [
            lmmbench("run", "--resume", "one", *where, cwd=tmp_path),
            lmmbench("run", "--tasks", "mini", "--run-id", "one", *where, cwd=tmp_path),
        ]
        await writer.close()
        return tried

    resumed, renamed = asyncio.run(hold())
    assert resumed.returncode == 5
    assert "the run one is being written by another process" in resumed.stderr
    assert path.read_bytes() == before
    assert lmmbench("run", "--resume", "one", *where, cwd=tmp_path).returncode == 0
    again = lmmbench("run", "--tasks", "mini", "--run-id", "one", *where, cwd=tmp_path)
    assert (again.returncode, "--resume one" in again.stderr) == (2, True)
    assert renamed.returncode == 5, "the contract: --run-id of a run that is running is exit code 5"


def test_whoever_publishes_is_alone(tmp_path: Path) -> None:
    """`score` while another process publishes or writes the same run is exit 5, and it writes to none of its files: two
    that publish at once would write to one temporary file."""
    where = simulated(tmp_path)
    assert lmmbench("run", "--tasks", "mini", "--run-id", "one", *where, cwd=tmp_path).returncode == 0
    run = tmp_path / "results" / "one"
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file()}
    score = ["score", "one", *where[:2], *where[4:]]
    with journal.held(run):
        refused = [lmmbench(*score, cwd=tmp_path), lmmbench("run", "--resume", "one", *where, cwd=tmp_path)]
    assert [r.returncode for r in refused] == [5, 5], refused[0].stderr
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file()} == before
    assert lmmbench(*score, cwd=tmp_path).returncode == 0


def test_what_a_killed_writer_left_is_synced_before_it_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 the last records may be in memory only: nothing is published from them before they are on the disk,
    and half a record is cut off."""
    folder = tmp_path / "journal"
    folder.mkdir()
    path = folder / "main.jsonl"
    path.write_bytes(journal.line_of({"t": "mark"}) + b'{"t":"do')
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        synced.append(os.fstat(fd).st_ino)

    monkeypatch.setattr("os.fsync", fsync)
    with journal.held(tmp_path):
        assert {path.stat().st_ino, folder.stat().st_ino} == set(synced)
        assert path.read_bytes() == journal.line_of({"t": "mark"})


def test_damaged_records_are_counted_and_asked_again(tmp_path: Path) -> None:
    """A run says which records were damaged; what they answered is asked again, and the rest is not."""
    where = simulated(tmp_path)
    run = tmp_path / "results" / "one"
    assert lmmbench("run", "--tasks", "mini", "--run-id", "one", *where, cwd=tmp_path).returncode == 0
    path = run / "journal" / "main.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"t":"done"' in line)
    lines[at] = lines[at].replace(b'"t":"done"', b'"t":"dome"')
    path.write_bytes(b"".join(lines))
    resumed = lmmbench("run", "--resume", "one", *where, cwd=tmp_path)
    assert resumed.returncode == 0
    assert "1 damaged journal records were skipped" in resumed.stderr
    assert manifest_of(run)["damaged_records"] == [f"main.jsonl at byte {len(b''.join(lines[:at]))}"]
    assert manifest_of(run)["by_status"] == {"ok": 40}
    again = [r["t"] for r in journal_of(run) if r["t"] != "mark"]
    assert (again.count("intent"), again.count("done")) == (41, 40), "the damaged one was asked again, no other"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on a file's size")
def test_a_run_whose_disk_refuses_can_be_finished(tmp_path: Path) -> None:
    """A file that may not grow (a real limit of the operating system): exit code 4, one sentence that names the next
    action, and the resumed run asks only what no answer is there for."""
    where = simulated(tmp_path, items=120)
    run = tmp_path / "results" / "one"
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000));"
        "from lmmbench.cli import run_cli; sys.exit(run_cli(sys.argv[1:]))"
    )
    first = subprocess.run(
        [sys.executable, "-c", limited, "run", "--tasks", "mini", "--run-id", "one", *map(str, where)],
        cwd=tmp_path, env=clean_env(), capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert first.returncode == 4, first.stderr
    assert "Traceback" not in first.stderr
    assert "lmmbench run --resume " in first.stderr
    answered = [r["item"] for r in journal_of(run) if r["t"] == "done"]
    assert 0 < len(answered) < 120
    assert lmmbench("run", "--resume", "one", *where, cwd=tmp_path).returncode == 0
    done = [r["item"] for r in journal_of(run) if r["t"] == "done"]
    assert done[: len(answered)] == answered
    assert len(done) == len(set(done)) == 120
    assert {row["status"] for row in rows_of(run)} == {"ok"}
