"""The runner: all models at once, each endpoint within its own limits, one retry layer, every outcome journaled.

It asks and records; it never scores. Scores follow from the journal (results.py), at any later time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from lmmbench import alarms, money, packs
from lmmbench.canon import sha256
from lmmbench.faults import Fault, Load
from lmmbench.journal import SCHEMA, JournalError, Record, Writer
from lmmbench.net.limits import Change, Gate
from lmmbench.providers import Provider
from lmmbench.providers.finish import LONGEST_WORD
from lmmbench.shards import Shard
from lmmbench.types import AskKey, Model, Price, Reply, Request

if TYPE_CHECKING:
    from tenacity import RetryCallState

ITEM_BUDGET_S = 900.0
"""Wall time that one item may spend on retries, waiting included."""
LONGEST_BACKOFF_S = 60.0
DRAIN_S = 5.0
"""How long asks on the wire may still take once a run is told to stop."""
AHEAD = 32_000_000
"""Bytes of questions, roughly, that are read while answers are awaited, those of all models together."""
QUESTION = 2_000
"""Bytes that a question takes beside its text, twice and two bytes a character, and its files, roughly."""


@dataclass(slots=True)
class Lane:
    """One model in a run: who is asked, what is left, and the counts that a person watches."""

    model_id: str
    model: Model
    provider: Provider
    gate: Gate
    pending: Iterator[Request]
    planned: int
    ahead: deque[Request] = field(default_factory=deque)
    """What was taken from `pending` and not asked yet."""
    answered_before: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    stopped: str = ""
    last_error: str = ""
    said: dict[str, Counter[str]] = field(default_factory=dict)
    """For each of alarms.WATCHED, the vendor's words so far, those of earlier sessions included."""
    cut: int = 0
    others: Mapping[str, Price] = field(default_factory=dict)
    """Prices of the other names at its endpoint."""
    alarms: list[str] = field(default_factory=list)
    final_faults: Counter[str] = field(default_factory=Counter)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def next(self) -> Request | None:
        """The next question, in the plan's order."""
        return self.ahead.popleft() if self.ahead else next(self.pending, None)

    @property
    def done(self) -> int:
        return self.answered_before + sum(self.statuses.values())


class Budget:
    """A hard cap on US dollars: the worst case of every ask is reserved before it is sent."""

    def __init__(self, cap: float | None, spent: float = 0.0) -> None:
        self._cap = cap
        self.spent = spent
        self._reserved = 0.0

    def reserve(self, worst: float) -> bool:
        if self._passes(worst):
            return False
        self._reserved += worst
        return True

    def is_passed(self) -> bool:
        """Whether more was spent than was reserved for it, and with what is still reserved more than the cap."""
        return self._passes(0.0)

    def _passes(self, more: float) -> bool:
        return self._cap is not None and self.spent + self._reserved + more > self._cap

    def settle(self, worst: float, actual: float) -> None:
        self._reserved -= worst
        self.spent += actual


OVER_BUDGET = "budget: the next ask could go past the cap"


class Stopped(Exception):
    """The run was told to stop while an ask waited."""


class Runner:
    """Asks everything that the lanes hold. `stop` may be called at any time, from the loop's thread."""

    def __init__(
        self,
        writer: Writer,
        lanes: list[Lane],
        *,
        budget: Budget,
        deadline_s: float | None = None,
        backoff_s: float = 0.5,
    ) -> None:
        self.lanes = lanes
        self.stop_reason = ""
        self.answered = asyncio.Event()
        """Set with the first answer."""
        self._writer = writer
        self._budget = budget
        self._deadline_s = deadline_s
        self._backoff_s = backoff_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Any]] = set()
        self._logging: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._abort = asyncio.Event()
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Ask until nothing is left or the run is stopped; afterwards `stop_reason` says which ("" = all asked).
        Raises JournalError when the disk refuses, and what else nobody foresaw."""
        async with contextlib.AsyncExitStack() as at_end:
            for lane in self.lanes:
                at_end.push_async_callback(lane.provider.close)
            if self._deadline_s:
                alarm = asyncio.get_running_loop().call_later(self._deadline_s, self.stop, "deadline")
                at_end.callback(alarm.cancel)
            endpoints = [_opening(gate) for gate in self._gates()]
            await self._writer.append(
                {"t": "mark", "what": "start", "schema": SCHEMA, "at": now(), "endpoints": endpoints}
            )
            everything = asyncio.create_task(self._ask_everything())
            stop = asyncio.create_task(self._stop.wait())
            at_end.callback(stop.cancel)
            await asyncio.wait({everything, stop}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain(everything)
        if self._error:
            raise self._error
        await self._mark_end()

    def stop(self, reason: str) -> None:
        """Begin nothing more; asks that have their slots get a few seconds. A second call does not wait for them."""
        if self._stop.is_set():
            self._abort.set()
        self.stop_reason = self.stop_reason or reason
        self._stop.set()

    def fail(self, error: BaseException) -> None:
        """Stop because of an error that nobody foresaw, or of a disk that refuses; `run` raises it."""
        self._error = self._error or error
        refused = isinstance(error, JournalError)
        if refused or not self._stop.is_set():  # a second error is no second Ctrl-C
            self.stop("disk" if refused else "internal")

    async def _ask_everything(self) -> None:
        for lane in self.lanes:
            self._spawn(lane, self._dispatch(lane))
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self, everything: asyncio.Task[None]) -> None:
        """Stop dispatching and waiting at once; let what is on the wire finish for a few seconds."""
        if everything.done():
            everything.result()
            return
        everything.cancel()
        for task in self._tasks - self._sending:
            task.cancel()
        if self._sending:
            abort = asyncio.create_task(self._abort.wait())
            whole = asyncio.create_task(asyncio.wait(set(self._sending)))
            await asyncio.wait({whole, abort}, timeout=DRAIN_S, return_when=asyncio.FIRST_COMPLETED)
            abort.cancel()
            whole.cancel()
        rest = {t for t in self._tasks if not t.done()}
        for task in rest:
            task.cancel()
        await asyncio.gather(everything, *rest, return_exceptions=True)

    async def _mark_end(self) -> None:
        while self._logging:
            await asyncio.wait(self._logging)
        stopped = {lane.model_id: lane.stopped for lane in self.lanes if lane.stopped}
        ended = asyncio.get_running_loop().time()
        closing = [_closing(gate, ended) for gate in self._gates()]
        await self._writer.append(
            {"t": "mark", "what": "end", "reason": self.stop_reason, "stopped": stopped, "endpoints": closing, "at": now()}
        )  # fmt: skip

    def _gates(self) -> list[Gate]:
        return list({id(lane.gate): lane.gate for lane in self.lanes}.values())

    async def _dispatch(self, lane: Lane) -> None:
        """Take a slot for each question, in the plan's order, and let a task of its own ask it."""
        loop = asyncio.get_running_loop()
        self._spawn(lane, self._read_ahead(lane))
        while (request := lane.next()) is not None:
            if lane.stopped or self._stop.is_set():
                return
            if reason := lane.provider.unsupported(request):
                self._spawn(lane, self._record_unsupported(lane, request, reason))
                continue
            tokens = money.worst_tokens(request, lane.model)
            worst = money.worst(*tokens, lane.model.price) or 0.0
            if not self._budget.reserve(worst):
                lane.stopped = OVER_BUDGET
                return
            queued = loop.time()
            try:
                slot = await lane.gate.acquire(sum(tokens))
            except asyncio.CancelledError:
                self._budget.settle(worst, 0.0)
                if lane.stopped:
                    return
                raise
            if self._budget.is_passed():  # by answers that came while it waited
                lane.stopped = lane.stopped or OVER_BUDGET
            if lane.stopped or self._stop.is_set():
                self._let_go(lane, slot, "", worst, 0.0)
                return
            lane.gate.budget.asks += 1
            intent = self._intend(lane, request, worst)
            # it holds a slot from here on, and is not cancelled before it has begun
            self._sending.add(self._spawn(lane, self._ask(lane, request, worst, queued, slot, intent)))

    async def _read_ahead(self, lane: Lane) -> None:
        """Read questions while answers are awaited, a few in a turn of the loop: an endpoint that begins with a few asks at
        once leaves time for it, and later there may be none."""
        held = 0
        for request in lane.pending:
            lane.ahead.append(request)
            held += QUESTION + 4 * len(request.system + request.user) + sum(len(media.data) for media in request.media)
            if held >= AHEAD / len(self.lanes) or lane.stopped or self._stop.is_set():
                return
            if len(lane.ahead) % 8 == 0:
                await asyncio.sleep(0)

    def _spawn(self, lane: Lane, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        lane.tasks.add(task)
        task.add_done_callback(partial(self._finished, lane))
        return task

    def _finished(self, lane: Lane, task: asyncio.Task[None]) -> None:
        lane.tasks.discard(task)
        self._tasks.discard(task)
        self._heed(task)

    def _heed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    def _intend(self, lane: Lane, request: Request, worst: float) -> asyncio.Future[None]:
        """Record that an ask is about to be sent; it may be once this is safe."""
        return self._writer.put({"t": "intent", **key_of(lane.model_id, request), "at": now(), "worst": worst})

    async def _ask(
        self, lane: Lane, request: Request, worst: float, queued: float, slot: int, intent: asyncio.Future[None]
    ) -> None:
        """One question to its end: answered, or failed for good. Enters with a slot and with `worst` reserved."""
        try:
            try:
                await self._send(lane, request, worst, queued, slot, intent)
            except Fault as fault:
                await self._retry(lane, request, fault, worst, queued)
            lane.final_faults.clear()
            lane.gate.final_faults.clear()
        except Fault as fault:
            self._final(lane, fault)
        except Stopped:
            return

    async def _send(
        self, lane: Lane, request: Request, worst: float, queued: float, slot: int, intent: asyncio.Future[None]
    ) -> None:
        """One attempt. The slot is held until its outcome is in line for the disk: the next ask's intent stands behind
        it, and is safe before that ask is sent, so a crash can cost no more asks than there are slots. The reserved
        dollars become what it cost, or stay spent where that is not known. Raises Fault."""
        loop = asyncio.get_running_loop()
        key = key_of(lane.model_id, request)
        task = asyncio.current_task()
        if task is not None:
            self._sending.add(task)
        spent, held = worst, True
        load: Load = ""
        try:
            await intent
            started, asked_at = loop.time(), datetime.now(UTC)
            try:
                reply = await lane.provider.ask(request)
                if not isinstance(reply, Reply):
                    raise TypeError(f"a provider returned {type(reply).__name__}, not a Reply")
            except Fault as fault:
                spent, load = worst if fault.maybe_billed else 0.0, fault.rule.load
                await self._fail(lane, key, fault)
                raise
            except Exception as e:
                broken = Fault("adapter", f"{e.__class__.__name__}: {e}", maybe_billed=True)
                await self._fail(lane, key, broken)
                raise broken from e
            load = "clean"
            took = loop.time() - started if reply.latency_s is None else reply.latency_s
            cut = alarms.prompt_cut(request.system + request.user, reply.usage.input)
            record = {
                **_done(key, request, reply),
                **_seldom(reply, cut),
                "latency_s": took,
                "queue_s": started - queued,
                "started_at": asked_at.isoformat(timespec="microseconds"),
            }
            saved = self._writer.put(record)
            price = money.price_of(lane.model, lane.others, reply.served_model)
            cost = money.cost(reply.usage, price, asked_at, reply.cost_usd)
            spent = worst if cost is None else cost
            held = self._let_go(lane, slot, load, worst, spent)
            await saved
            lane.cost_known = lane.cost_known and cost is not None
            lane.cost_usd += cost or 0.0
            lane.statuses[record["status"]] += 1
            _watch(lane, reply, cut)
            self.answered.set()
        finally:
            if held:
                self._let_go(lane, slot, load, worst, spent)
            if task is not None:
                self._sending.discard(task)

    def _let_go(self, lane: Lane, slot: int, load: Load, worst: float, spent: float) -> bool:
        """Give back a slot and the dollars that were reserved with it. Returns False: they are held no more."""
        self._budget.settle(worst, spent)
        for change in lane.gate.release(slot, load):
            self._changed(lane, change)
        return False

    def _changed(self, lane: Lane, change: Change) -> None:
        """Log what changed at an endpoint; where it was given up, its models are asked no more."""
        self._log(_change(lane.gate, change))
        if lane.gate.given_up:
            self._stop_models(
                [x for x in self.lanes if x.gate is lane.gate],
                f"{lane.last_error} (and nothing else was answered for a while)",
            )

    def _log(self, record: Record) -> None:
        """Journal a record that nobody waits for."""
        task = asyncio.create_task(self._writer.append(record))
        self._logging.add(task)
        task.add_done_callback(self._logged)

    def _logged(self, task: asyncio.Task[None]) -> None:
        self._logging.discard(task)
        self._heed(task)

    async def _fail(self, lane: Lane, key: Record, fault: Fault) -> None:
        lane.last_error = f"{fault.kind}: {fault.message}"
        if fault.rule.attempts != 1 and (fault.rule.load == "limited" or fault.retry_after):
            lane.gate.hold(fault.retry_after or self._backoff_s)
        unknown = {"unknown_finish": fault.unknown_finish} if fault.unknown_finish else {}
        sha = {"request_sha": fault.request_sha} if fault.rule.status == "refused" else {}
        await self._writer.append(
            {"t": "fail", **key, "kind": fault.kind, "error": fault.message, "billed": fault.maybe_billed, **unknown, **sha, "at": now()}
        )  # fmt: skip

    async def _retry(self, lane: Lane, request: Request, first: Fault, worst: float, queued: float) -> None:
        """The one retry layer. Enters after a first failure, without a slot; takes one for each further attempt."""
        from tenacity import AsyncRetrying, retry_if_exception_type

        loop = asyncio.get_running_loop()
        until = loop.time() + ITEM_BUDGET_S
        tokens = sum(money.worst_tokens(request, lane.model))
        used = 0  # attempts that count: a rate limit is the server's pace, not a failure of the ask
        failed: Fault | None = first

        async def attempt() -> None:
            nonlocal failed
            if failed is not None:
                fault, failed = failed, None
                raise fault
            lane.retries += 1
            slot = await lane.gate.acquire(tokens)
            stopped = bool(lane.stopped) or self._stop.is_set()
            if not stopped and not self._budget.reserve(worst):
                lane.stopped, stopped = OVER_BUDGET, True
            if stopped:
                lane.gate.release()
                raise Stopped
            await self._send(lane, request, worst, queued, slot, self._intend(lane, request, worst))

        def enough(state: RetryCallState) -> bool:
            nonlocal used
            fault = _fault(state)
            counts = fault.rule.attempts > 0
            used += counts
            over = bool(lane.stopped) or self._stop.is_set() or loop.time() > until or 0 < fault.rule.attempts <= used
            return over or (counts and not self._may_retry(lane))

        def wait(state: RetryCallState) -> float:
            ceiling = min(LONGEST_BACKOFF_S, self._backoff_s * 2**state.attempt_number)
            jitter = random.uniform(0, ceiling)  # noqa: S311 (spreads retries, guards no secret)
            said = _fault(state).retry_after
            return jitter if said is None else said + min(jitter, 0.1 * said + 0.05)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Fault), stop=enough, wait=wait, sleep=asyncio.sleep, reraise=True
        )
        await retrying(attempt)

    def _may_retry(self, lane: Lane) -> bool:
        """Take one retry of the endpoint's budget; the first that it does not have is logged."""
        budget, limit = lane.gate.budget, lane.gate.pace.limit
        granted = budget.take()
        if budget.refused == 1 and not granted:
            self._log(_change(lane.gate, Change(limit, limit, "retry budget")))
        return granted

    def _final(self, lane: Lane, fault: Fault) -> None:
        """An ask failed for good: count it, and stop what its kind stops."""
        rule = fault.rule
        lane.statuses[rule.status] += 1
        of_model, of_endpoint = (
            _in_a_row(counts, fault.kind) for counts in (lane.final_faults, lane.gate.final_faults)
        )
        if rule.stops == "endpoint" and of_endpoint >= rule.stop_after:
            stopped = [x for x in self.lanes if x.gate is lane.gate]
        elif rule.stops and of_model >= rule.stop_after:
            stopped = [lane]
        else:
            return
        self._stop_models(stopped, f"{fault.kind}: {fault.message}")

    def _stop_models(self, lanes: list[Lane], reason: str) -> None:
        for each in lanes:
            each.stopped = each.stopped or reason
            # what waits for a slot or a delay would wait for nothing; what is on the wire may end
            for task in each.tasks - self._sending - {asyncio.current_task()}:
                task.cancel()

    async def _record_unsupported(self, lane: Lane, request: Request, reason: str) -> None:
        await self._writer.append(unsupported_record(key_of(lane.model_id, request), reason))
        lane.statuses["unsupported"] += 1


def _in_a_row(counts: Counter[str], kind: str) -> int:
    """Count one more of a kind, and none of the others any more. Returns how many there are."""
    times = counts[kind] + 1
    counts.clear()
    counts[kind] = times
    return times


def _opening(gate: Gate) -> Record:
    """What the start mark says of an endpoint."""
    return {"ids": list(gate.ids), "start": gate.pace.start, "ceiling": gate.pace.ceiling, "fixed": gate.fixed}


def _change(gate: Gate, change: Change) -> Record:
    """The mark of a changed limit."""
    return {
        "t": "mark", "what": "limit", "ids": list(gate.ids), "from": change.before, "to": change.after, "why": change.why,
        "at": now(),
    }  # fmt: skip


def _closing(gate: Gate, ended: float) -> Record:
    """What the end mark says of an endpoint."""
    budget = gate.budget
    return {
        "ids": list(gate.ids), "waited_s": round(gate.waited_s(ended), 3), "retries": budget.retries,
        "not_retried": budget.refused,
    }  # fmt: skip


def _fault(state: RetryCallState) -> Fault:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, Fault):
        raise TypeError("retried without a fault")
    return error


def _watch(lane: Lane, reply: Reply, cut: str) -> None:
    """Note what an answer says of who gave it; an alarm sounds when a new word comes, and with the first cut prompt."""
    lane.cut += bool(cut)
    if lane.cut == 1 and cut:
        lane.alarms.append(cut)
    for what in alarms.WATCHED:
        if word := getattr(reply, what):
            words = lane.said.get(what) or lane.said.setdefault(what, Counter())
            words[word] += 1
            if words[word] == 1 and (text := alarms.changed(what, words)):
                lane.alarms.append(text)


def unsupported_record(key: Record, reason: str) -> Record:
    """The record of an ask that its model cannot be sent."""
    return {"t": "done", **key, "status": "unsupported", "error": reason, "started_at": now()}


def key_of(model_id: str, request: Request) -> Record:
    """What each record of an ask begins with."""
    return {"model": model_id, "pack": request.pack, "item": request.item.id, "trial": request.trial}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


_STATUS = {"length": "truncated", "refusal": "refused"}


def _done(key: Record, request: Request, reply: Reply) -> Record:
    """The journal's record of an answer: everything from which its row follows."""
    usage = reply.usage
    return {
        "t": "done", **key, "status": _STATUS.get(reply.finish, "ok"), "answer": reply.text,
        "reasoning": reply.reasoning, "finish": reply.finish_raw or reply.finish,
        "tokens": [usage.input, usage.cached, usage.output, usage.reasoning, usage.cache_write],
        "served_model": reply.served_model, "system_fingerprint": reply.system_fingerprint,
        "request_id": reply.request_id, "service_tier": reply.service_tier,
        "request_sha": reply.request_sha, "prompt_sha": prompt_sha(request),
        "order": request.order, "sent": reply.sent, "dropped": reply.dropped,
        "media": [[m.mime, m.sha256, len(m.data)] for m in request.media], "ttft_s": reply.ttft_s,
    }  # fmt: skip


def _seldom(reply: Reply, cut: str) -> Record:
    """What few answers say: that the prompt may have been cut, a finish word that no table has, what was billed."""
    told: Record = {"cut": True} if cut else {}
    if reply.finish == "unknown":
        told["unknown_finish"] = reply.finish_raw[:LONGEST_WORD]
    if reply.cost_usd is not None:
        told["cost_usd"] = reply.cost_usd
    return told


def prompt_sha(request: Request) -> str:
    """SHA-256 of what every vendor is given alike: system text, user text, media."""
    return sha256("\x1f".join((request.system, request.user, *(m.sha256 for m in request.media))))


def pending(
    chosen: list[packs.Pack], asked: dict[str, tuple[str, ...]], model_id: str, answered: Callable[[AskKey], bool],
    *, repeats: int, seed: int, shuffled: bool, stream: bool = False, shard: Shard | None = None,
) -> Iterator[Request]:  # fmt: skip
    """The questions of a plan (of a shard of it) that a model has not answered yet, read and rendered one at a time."""
    for pack in chosen:
        left: dict[str, list[int]] = {}

        def wanted(pack_id: str = pack.id, left: dict[str, list[int]] = left) -> Iterator[str]:
            for item_id in asked[pack_id]:
                keys = [(model_id, pack_id, item_id, trial) for trial in range(repeats)]
                trials = [key[3] for key in keys if not answered(key) and (shard is None or shard.holds(key))]
                if trials:
                    left[item_id] = trials
                    yield item_id

        for item in pack.items.of(wanted()):
            for trial in left.pop(item.id):
                yield packs.request(pack, item, trial, seed=seed, shuffled=shuffled, stream=stream)
