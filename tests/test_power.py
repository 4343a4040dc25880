"""A power cut at any moment: the real code over a disk that keeps only what was synced (tests/weak_disk.py).

After every call that the code makes to the disk, and for every state in which the rest may be, the real recovery reads
what is left. Nothing that was promised may be gone, and nothing half made may be believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console

from lmmbench import bench, config, disk, files, journal, packs, plan, providers, results
from lmmbench.faults import Fault
from lmmbench.journal import Record, Waiting, Writer
from lmmbench.types import SCORED, Reply, Request, Usage
from tests.kit import providers_yaml, write_pack
from tests.weak_disk import Crash, Ignored, WeakDisk, emptied

CONCURRENCY = 2
ITEMS = 5


class Told:
    """A model in this process: each ask is noted, one question is refused by policy, and one gets no usable reply in the
    first session."""

    def __init__(self, log: WeakDisk, faulty: set[str]) -> None:
        self._log = log
        self._faulty = faulty

    def unsupported(self, request: Request) -> str:
        return "made so" if request.item.id == "q0004" else ""

    async def ask(self, request: Request) -> Reply:
        self._log.note(("asked", request.item.id))
        await asyncio.sleep(0)
        if request.item.id in self._faulty:
            raise Fault("invalid", "no answer in it", maybe_billed=True)
        if request.item.id == "q0000":
            raise Fault("policy", "blocked")
        return Reply("정답: A", "stop", usage=Usage(3, None, 2))

    async def close(self) -> None:
        """Nothing is open."""


def ready(home: Path) -> Path:
    """A folder with a pack and a providers.yaml; beside it `disk`, which is the weak one."""
    write_pack(home / "tasks" / "p", ITEMS)
    providers_yaml(home / "providers.yaml", "http://127.0.0.1:9", key_env="", concurrency=CONCURRENCY)
    (home / "disk").mkdir()
    return home


def session(home: Path, root: Path, log: WeakDisk, monkeypatch: pytest.MonkeyPatch, faulty: set[str]) -> None:
    """What `lmmbench run` does, or `run --resume` where there is a run, all of it over the weak disk."""
    folder = root / "results" / "r"
    real = Writer._tell

    def tell(self: Writer, group: list[Waiting]) -> None:
        real(self, group)
        for record, _, _ in group:
            log.note(("safe", record))

    with monkeypatch.context() as patch, log.recording(patch):
        patch.setattr(Writer, "_tell", tell)
        patch.setattr(providers, "make", lambda *_: Told(log, faulty))
        patch.setattr(bench, "prepare", lambda *_: None)  # a thread of its own would make each log another
        chosen = packs.select("p", home / "tasks")
        new = not (folder / "plan.json").is_file()
        if new:
            cfg = config.load(home / "providers.yaml")
            models = {"sim-a": plan.PlannedModel(cfg.models["sim-a"], cfg.endpoints["sim"])}
            made = bench.make_plan(bench.RunOptions("p"), "r", models, chosen)
            bench.prepare_folder(folder, 0, new=not folder.exists())
            plan.save(made, folder)
        run_plan = plan.load(folder)
        bench.prepare_folder(folder, 0, new=False)
        _, _, found = bench.execute(
            folder, run_plan, chosen, bench.Execution(backoff_s=0.0), Console(file=io.StringIO())
        )
        log.note(("publishing", None))
        bench.publish(folder, run_plan, chosen, None, found)
        log.note(("published", (folder / "run.json").read_bytes()))


@dataclass
class Tally:
    """How many states were looked at, and what was wrong with which."""

    states: int = 0
    crash_points: set[int] = field(default_factory=set)
    bad: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        wrong = ", ".join(f"{n} {what}" for what, n in sorted(self.bad.items())) or "0 bad"
        return f"{len(self.crash_points)} crash points, {self.states} states: {wrong}"


@contextlib.contextmanager
def without_syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looking at a state needs no disk that is really synced."""
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", lambda fd: None)
        patch.setattr(disk, "sync_folder", lambda path: None)
        yield


def look(
    log: WeakDisk, home: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally, *,
    every: int = 1, republish: int = 1, until: frozenset[str] | None = None, cuts: int = 1,
) -> None:  # fmt: skip
    """Look at every crash state of a log (or at one of `every`), and publish what one of `republish` has left. `until`:
    stop once all these kinds of harm were seen. `cuts`: power cuts so far, this one included."""
    whole = written_whole(log)
    with without_syncs(monkeypatch):
        for number, crash in enumerate(log.crashes()):
            if number % every:
                continue
            tally.states += 1
            tally.crash_points.add(crash.at)
            place = emptied(home / "crashed")
            crash.make(place)
            again = number // every % republish == republish - 1
            for what in {*wrong(crash, place / "results" / "r", home, whole, publish=again, cuts=cuts)}:
                tally.bad[what] += 1
            if until is not None and until <= set(tally.bad):
                break


def written_whole(log: WeakDisk) -> dict[str, set[bytes]]:
    """For each name that was published, every content that was meant to stand under it."""
    out = {
        name: {data}
        for name, data in log.before.items()
        if data is not None and not name.endswith((".tmp", ".jsonl", ".lock"))
    }
    contents: dict[int, bytes] = {}
    for call in log.calls:
        if call.what == "create":
            contents[call.node] = b""
        elif call.what == "write":
            contents[call.node] += call.data
        elif call.what == "truncate":
            contents[call.node] = contents[call.node][: call.data]
        elif call.what == "rename":
            out.setdefault(call.data, set()).add(contents[call.node])
    # a name that was renamed before it was written is whole at the end
    for call in log.calls:
        if call.what == "rename":
            out[call.data].add(contents[call.node])
    return out


def wrong(
    crash: Crash, run: Path, home: Path, whole: dict[str, set[bytes]], *, publish: bool, cuts: int
) -> Iterator[str]:
    """What the real recovery finds that must not be."""
    safe = [data for what, data in crash.notes if what == "safe"]
    asked = Counter(data for what, data in crash.notes if what == "asked")
    for path, data in crash.tree.items():
        if path in whole and data not in whole[path]:
            yield "torn"
    yield from _false_marks(crash, run)
    if not (run / "plan.json").is_file():
        if safe or asked:
            yield "no plan"
        return
    try:
        run_plan, found, records = recovered(run)
    except Exception as e:
        yield f"not recovered ({e.__class__.__name__})"
        return
    there = {json.dumps(r, sort_keys=True) for r in records}
    if any(json.dumps(json.loads(json.dumps(r)), sort_keys=True) not in there for r in safe):
        yield "lost"
    kinds = {kind: Counter(r["item"] for r in records if r["t"] == kind) for kind in ("intent", "done", "fail")}
    if asked - kinds["intent"]:
        yield "asked without a word in the journal"
    if sum((asked - kinds["done"] - kinds["fail"]).values()) > CONCURRENCY * cuts:
        yield "more asks than slots to send again"
    if publish:
        yield from _published_again(run, run_plan, found, home, safe)


def recovered(run: Path) -> tuple[plan.Plan, results.Index, list[Record]]:
    """What a resumed run does first."""
    run_plan = plan.load(run)
    bench.prepare_folder(run, 0, new=False)
    path = run / "journal" / "main.jsonl"

    async def reopened() -> None:
        writer = Writer(path)
        await writer.append({"t": "mark", "what": "start", "at": "2026-11-22T00:00:00+00:00"})
        await writer.close()

    asyncio.run(reopened())
    lines = list(journal.read(path))
    assert lines[-1][1] is not None, "what is written after a crash can be read"
    return run_plan, results.index(run, run_plan), [r for _, r in lines if r is not None]


def _false_marks(crash: Crash, run: Path) -> Iterator[str]:
    """run.json is there when it was promised, and vouches for the files that are there."""
    last = next((n for n in reversed(crash.notes) if n[0] in ("publishing", "published")), ("", None))
    mark = run / "run.json"
    if last[0] == "published" and (not mark.is_file() or mark.read_bytes() != last[1]):
        yield "published and gone"
    if mark.is_file():
        try:
            said = json.loads(mark.read_bytes())["files"]
        except ValueError:
            return  # torn, which was said already
        there = {n: (run / n) for n in said}
        if any(not p.is_file() or hashlib.sha256(p.read_bytes()).hexdigest() != said[n] for n, p in there.items()):
            yield "a mark for other files"


def _published_again(
    run: Path, run_plan: plan.Plan, found: results.Index, home: Path, safe: list[Record]
) -> Iterator[str]:
    chosen = packs.select("p", home / "tasks")
    published = bench.publish(run, run_plan, chosen, None, found)
    rows = {r["item_id"]: r for r in files.read_parquet(run / "models" / "sim-a.parquet").to_pylist()}
    if sum(published.counts["sim-a"].values()) != ITEMS or len(rows) != ITEMS:
        yield "planned is not the sum"
    if any((r["score"] is None) != (r["status"] not in SCORED) for r in rows.values()):
        yield "a failure with a score"
    if any(r["t"] == "done" and r["status"] == "ok" and rows[r["item"]]["answer"] != r["answer"] for r in safe):
        yield "an answer that is not published"


def traced(home: Path, monkeypatch: pytest.MonkeyPatch, ignored: Ignored = lambda call, path: False) -> WeakDisk:
    """The log of two sessions: a run from nothing, and a resumed one that asks what failed and publishes anew."""
    log = WeakDisk(home / "disk", ignored)
    session(home, home / "disk", log, monkeypatch, {"q0001"})
    session(home, home / "disk", log, monkeypatch, set())
    return log


@pytest.mark.parametrize(
    ("every", "republish"),
    [(2, 9), pytest.param(1, 1, marks=pytest.mark.prove)],
    ids=["every other state", "every state"],
)
def test_a_power_cut_breaks_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, republish: int
) -> None:
    """Two sessions of a run, cut off after every call to the disk, in every state of what was not synced: every record
    that was promised is read, every ask that was sent is in the journal, at most `concurrency` are without an outcome,
    every published file is old or new, run.json vouches for what is there, and the run can be finished."""
    home = ready(tmp_path)
    log = traced(home, monkeypatch)
    promised = Counter(data["t"] for what, data in list(log.crashes())[-1].notes if what == "safe")
    assert min(promised["intent"], promised["done"], promised["fail"]) > 0, "promises that nobody looks at"
    tally = Tally()
    look(log, home, monkeypatch, tally, every=every, republish=republish)
    print(f"\npower cuts: {tally}")
    assert tally.bad == {}
    assert tally.states > 150 / every
    assert len(tally.crash_points) > len(log.calls) / 2 / every


@pytest.mark.parametrize("starts", [2, pytest.param(40, marks=pytest.mark.prove)])
def test_a_power_cut_while_recovering_breaks_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: int
) -> None:
    """The disk that one power cut left, resumed, and cut again at every moment."""
    home = ready(tmp_path)
    first = list(traced(home, monkeypatch).crashes())
    able = [c for c in first if "results/r/plan.json" in c.tree]
    tally = Tally()
    for crash in able[:: len(able) // starts][:starts]:
        root = emptied(home / "disk")
        crash.make(root)
        log = WeakDisk(root)
        for said in crash.notes:
            if said[0] != "published":
                log.note(said)
        session(home, root, log, monkeypatch, set())
        look(log, home, monkeypatch, tally, every=1 if starts > 2 else 7, republish=20, cuts=2)
    print(f"\npower cuts while recovering from {starts} power cuts: {tally}")
    assert tally.bad == {}
    assert tally.states > 15 * starts


# --- a protocol that is broken is caught -------------------------------------------------------------


@contextlib.contextmanager
def renamed_first(path: Path) -> Iterator[IO[bytes]]:
    """`files.replacing` as it must not be: the name is there before the bytes are."""
    temporary = path.with_name(f".{path.name}.tmp")
    with io.BufferedWriter(disk.File(temporary)) as f:
        yield f
        f.flush()
        disk.rename(temporary, path)
        disk.sync_folder(path.parent)
        disk.sync(f.fileno())


BROKEN: dict[str, tuple[Ignored, set[str]]] = {
    "the journal is not synced": (lambda call, path: call == "sync" and path.endswith(".jsonl"), {"lost"}),
    "nothing is synced": (lambda call, path: call.startswith("sync"), {"lost", "torn"}),
    "files are not synced": (lambda call, path: call == "sync" and path.endswith(".tmp"), {"torn"}),
    "the journal's name is not synced": (
        lambda call, path: call == "sync_folder" and path.endswith("journal"), {"lost"},
    ),
    "no folder is synced": (lambda call, path: call == "sync_folder", {"published and gone", "no plan"}),
    "the old mark is not removed": (
        lambda call, path: call == "remove" and path.endswith("run.json"), {"a mark for other files"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_protocol_that_leaves_something_out_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The same code with one kind of call left out breaks promises on the weak disk: the proof can fail."""
    ignored, kinds = BROKEN[name]
    home = ready(tmp_path)
    tally = Tally()
    log = traced(home, monkeypatch, ignored)
    look(log, home, monkeypatch, tally, every=3, republish=10**9, until=frozenset(kinds))
    print(f"\n{name}: {tally}")
    assert kinds <= set(tally.bad), str(tally)


def test_a_rename_before_the_sync_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A published name whose bytes are not there yet."""
    home = ready(tmp_path)
    tally = Tally()
    with monkeypatch.context() as patch:
        for module in (files, bench, plan, results):
            if hasattr(module, "replacing"):
                patch.setattr(module, "replacing", renamed_first)
        log = traced(home, monkeypatch)
    look(log, home, monkeypatch, tally, republish=10**9, until=frozenset({"torn"}))
    print(f"\nrename before sync: {tally}")
    assert tally.bad["torn"]


def test_an_ask_before_its_intent_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that promises before the record is on the disk lets an ask out that no journal knows."""
    home = ready(tmp_path)
    tally = Tally()
    real = Writer.put

    def put(self: Writer, record: Record) -> asyncio.Future[None]:
        real(self, record)
        promised: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        promised.set_result(None)
        return promised

    monkeypatch.setattr(Writer, "put", put)
    log = WeakDisk(home / "disk")
    with contextlib.suppress(Exception):
        session(home, home / "disk", log, monkeypatch, set())
    look(log, home, monkeypatch, tally, republish=10**9, until=frozenset({"asked without a word in the journal"}))
    print(f"\nasked before the intent is safe: {tally}")
    assert tally.bad["asked without a word in the journal"]
