"""Any sequence of asking, answering, failing, crashing, resuming and publishing keeps the promises G1 to G5.

Hypothesis chooses the sequence and shrinks what breaks. The runner, the journal and the publishing are the real ones, over
a disk that loses what was not synced (tests/weak_disk.py); the model answers when the machine says so, and keeps the
history of what it was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lmmbench import bench, config, journal, packs, plan, results, runner
from lmmbench.faults import FAULTS, Fault
from lmmbench.files import read_parquet
from lmmbench.journal import Record, Waiting, Writer
from lmmbench.net.limits import Gate
from lmmbench.runner import Budget, Lane, Runner
from lmmbench.types import SCORED, Reply, Request
from tests.kit import providers_yaml, write_pack
from tests.weak_disk import WeakDisk, emptied

ITEMS, SLOTS = 5, 2
KINDS = sorted(set(FAULTS) - {"rate", "overload", "network", "unreachable"})
"""Kinds that are retried at once, or not at all: nothing here waits."""


class Asked:
    """A model that answers when it is told to."""

    def __init__(self, history: list[str]) -> None:
        self.history = history
        self.waiting: dict[str, asyncio.Future[Reply]] = {}

    def unsupported(self, request: Request) -> str:
        return "made so" if request.item.id == "q0004" else ""

    async def ask(self, request: Request) -> Reply:
        self.history.append(request.item.id)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.waiting[request.item.id] = answer
        try:
            return await answer
        finally:
            del self.waiting[request.item.id]

    async def close(self) -> None:
        """Nothing is open."""


class Machine(RuleBasedStateMachine):
    """One run, from its plan to whatever becomes of it."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.disk = self.home / "disk"
        self.disk.mkdir()
        write_pack(self.home / "tasks" / "p", ITEMS)
        providers_yaml(self.home / "providers.yaml", "http://127.0.0.1:9", concurrency=SLOTS)
        self.chosen = packs.select("p", self.home / "tasks")
        self.folder = self.disk / "results" / "r"
        self.patched = contextlib.ExitStack()
        self.loop = asyncio.new_event_loop()
        self.history: list[str] = []
        self.safe: list[Record] = []
        self.published: bytes | None = None
        self.crashes = 0
        self.running: asyncio.Task[None] | None = None
        self._attach()
        cfg = config.load(self.home / "providers.yaml")
        models = {"sim-a": plan.PlannedModel(cfg.models["sim-a"], cfg.endpoints["sim"])}
        bench.prepare_folder(self.folder, 0, new=True)
        plan.save(bench.make_plan(bench.RunOptions("p"), "r", models, self.chosen), self.folder)

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self._let_go()
            self.patched.close()
            self.loop.close()
            shutil.rmtree(self.home)

    def _attach(self) -> None:
        """Log from here on; what is on the disk now is safe."""
        self.patched.close()
        self.log = WeakDisk(self.disk)
        patch = self.patched.enter_context(pytest.MonkeyPatch.context())
        self.patched.enter_context(self.log.recording(patch))
        real = Writer._tell

        def tell(writer: Writer, group: list[Waiting]) -> None:
            real(writer, group)
            self.safe += [record for record, _, _ in group]

        patch.setattr(Writer, "_tell", tell)

    def _turn(self) -> None:
        """Let the runner go on until it waits for the model."""

        async def turns() -> None:
            for _ in range(60):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        if self.running is not None and self.running.done():
            self.running.result()
            self.loop.run_until_complete(self.writer.close())
            self.running = None

    def _let_go(self) -> None:
        """The process ends at once: nothing of it goes on, its locks and files are closed by the system."""
        if self.running is None:
            return
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.wait(tasks))
        self.log.close(self.writer._fd)
        self.writer._lock.close()
        self.running = None

    # --- rules ---

    @precondition(lambda self: self.running is None)
    @rule()
    def resume(self) -> None:
        """`lmmbench run`, or `run --resume`: everything without an answer is asked, two at a time."""
        run_plan = plan.load(self.folder)
        bench.prepare_folder(self.folder, 0, new=False)
        path = self.folder / "journal" / "main.jsonl"

        async def start() -> None:
            self.writer = Writer(path)
            answered = results.index(self.folder, run_plan).answered
            self.answered = {r["item"] for r in self.safe if r["t"] == "done" or r.get("kind") == "policy"}
            planned = run_plan.models["sim-a"]
            todo = runner.pending(
                self.chosen, {"p": run_plan.packs["p"].items}, "sim-a", answered, repeats=1, seed=0, shuffled=True
            )
            self.model = Asked(self.history)
            lane = Lane("sim-a", planned.model, self.model, Gate(planned.endpoint), todo, ITEMS)
            self.runner = Runner(self.writer, [lane], budget=Budget(None), backoff_s=0.0)
            self.running = asyncio.ensure_future(self.runner.run())

        before = len(self.history)
        self.loop.run_until_complete(start())
        self._turn()
        assert not set(self.history[before:]) & self.answered, "G2"

    @precondition(lambda self: self.running is not None and self.model.waiting)
    @rule(
        data=st.data(),
        text=st.sampled_from(["정답: A", "정답: B", "", "\ud800"]),
        finish=st.sampled_from(["stop", "length", "refusal"]),
    )
    def answer(self, data: st.DataObject, text: str, finish: Any) -> None:
        """One of the questions on the wire is answered."""
        item = data.draw(st.sampled_from(sorted(self.model.waiting)))
        self.model.waiting[item].set_result(Reply(text, finish))
        self._turn()

    @precondition(lambda self: self.running is not None and self.model.waiting)
    @rule(data=st.data(), kind=st.sampled_from(KINDS), billed=st.booleans())
    def fault(self, data: st.DataObject, kind: str, billed: bool) -> None:
        """One of the questions on the wire fails."""
        item = data.draw(st.sampled_from(sorted(self.model.waiting)))
        self.model.waiting[item].set_exception(Fault(kind, "told", maybe_billed=billed))
        self._turn()

    @precondition(lambda self: self.running is not None)
    @rule()
    def interrupt(self) -> None:
        """Ctrl-C twice: nothing is waited for."""
        self.runner.stop("interrupted")
        self.runner.stop("interrupted")
        self._turn()

    @rule(power=st.booleans(), seed=st.integers(0, 2**16))
    def crash(self, power: bool, seed: int) -> None:
        """`kill -9`, or a power cut that loses some of what was not synced."""
        self._let_go()
        self.crashes += 1
        if power:
            self._cut(len(self.log.calls), random.Random(seed))  # noqa: S311

    def _cut(self, at: int, draw: random.Random) -> None:
        """Go on with what a power cut after so many calls has left."""
        left = draw.choice(list(self.log.crashes_at(at, draw)))
        self.patched.close()
        left.make(emptied(self.disk))
        self._attach()

    @precondition(lambda self: self.running is None)
    @rule(cut=st.none() | st.integers(0, 2**16))
    def publish(self, cut: int | None) -> None:
        """Publish, whole or cut off by a power cut at any of its calls to the disk."""
        first = len(self.log.calls)
        run_plan = plan.load(self.folder)
        with journal.held(self.folder):
            bench.publish(self.folder, run_plan, self.chosen, None)
        self.published = (self.folder / "run.json").read_bytes()
        if cut is not None:
            draw = random.Random(cut)  # noqa: S311
            self.crashes += 1
            self.published = None
            self._cut(draw.randint(first, len(self.log.calls)), draw)

    # --- promises ---

    @invariant()
    def promises_are_kept(self) -> None:
        if not hasattr(self, "folder"):
            return
        path = self.folder / "journal" / "main.jsonl"
        records = [r for _, r in journal.read(path) if r is not None] if path.exists() else []
        there = Counter(json.dumps(r, sort_keys=True) for r in records)
        assert all(there[json.dumps(json.loads(json.dumps(r)), sort_keys=True)] for r in self.safe), "G1"
        asked, ended = Counter(self.history), Counter(r["item"] for r in records if r["t"] in ("done", "fail"))
        assert not asked - Counter(r["item"] for r in records if r["t"] == "intent"), "G3: an ask that no journal lists"
        assert sum((asked - ended).values()) <= SLOTS * (self.crashes + (self.running is not None)) + self._cancelled(
            records
        ), "G3"
        if self.published is not None and (self.folder / "run.json").is_file():
            self._files_are_whole(json.loads(self.published))

    def _cancelled(self, records: list[Record]) -> int:
        """Asks that an interruption left without an outcome: as many as the slots, each time."""
        return SLOTS * sum(bool(r["t"] == "mark" and r.get("reason") == "interrupted") for r in records)

    def _files_are_whole(self, manifest: dict[str, Any]) -> None:
        assert sum(manifest["by_status"].values()) == manifest["planned"] == ITEMS, "G5"
        rows = read_parquet(self.folder / "models" / "sim-a.parquet").to_pylist()
        assert Counter(r["status"] for r in rows) == manifest["by_status"], "G4"
        assert all((r["score"] is None) == (r["status"] not in SCORED) for r in rows), "G5"


@pytest.mark.parametrize(
    ("examples", "steps"), [(25, 20), pytest.param(300, 30, marks=pytest.mark.prove)], ids=["some", "many"]
)
def test_any_sequence_keeps_the_promises(examples: int, steps: int) -> None:
    """G1 to G5, after every step of every sequence."""
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True)
    )
    print(f"\nstate machine: {examples} sequences of up to {steps} steps, no promise broken")
