"""What an endpoint may take: slots, rates, and the server's own delay. Time is the loop's, and jumps."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench.faults import Load
from lmmbench.net import limits
from lmmbench.net.limits import Bucket, Gate
from lmmbench.types import Endpoint

T = TypeVar("T")
LOADS: tuple[Load, ...] = ("clean", "clean", "clean", "clean", "limited", "failing", "gone", "")


class _NoWait(selectors.SelectSelector):
    """Never blocks: where the loop would wait for a timer, its clock is moved there instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits and nothing is planned: a deadlock")
        self.now += timeout
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only where it would have waited."""

    def __init__(self) -> None:
        self._jumps = _NoWait()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work())


def now() -> float:
    return asyncio.get_running_loop().time()


def endpoint(**keys: Any) -> Endpoint:
    return Endpoint("openai-chat", **keys)


# --- slots -------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.lists(st.floats(0.01, 5), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_no_more_than_the_slots_are_ever_taken_and_everybody_is_served(slots: int, work: list[float]) -> None:
    """At most `concurrency` asks hold a slot at any time; none is forgotten; none idles while a slot is free."""

    async def main() -> tuple[int, int, float]:
        gate, peak, served = Gate(endpoint(concurrency=slots)), 0, 0

        async def ask(seconds: float) -> None:
            nonlocal peak, served
            await gate.acquire(1)
            peak = max(peak, gate.in_flight)
            await asyncio.sleep(seconds)
            gate.release()
            served += 1

        await asyncio.gather(*map(ask, work))
        assert gate.in_flight == 0
        return peak, served, now()

    peak, served, took = run(main)
    assert peak == min(slots, len(work))
    assert served == len(work)
    assert took <= sum(work) / slots + max(work) + 1e-6


@given(st.integers(1, 40), st.lists(st.tuples(st.floats(0.01, 5), st.sampled_from(LOADS)), min_size=1, max_size=120))
@settings(max_examples=50, deadline=None)
def test_a_moving_limit_is_kept_too(ceiling: int, work: list[tuple[float, Load]]) -> None:
    """No ask begins above the limit of that moment, everybody is served, and all slots are free at the end. A change is
    told with its reason, from the limit that was to the limit that is."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=ceiling), start=8, pause_s=1)
        known, served = gate.pace.limit, 0

        async def ask(seconds: float, load: Load) -> None:
            nonlocal known, served
            number = await gate.acquire(1)
            assert gate.in_flight <= gate.pace.limit
            await asyncio.sleep(seconds)
            if load == "limited":  # always comes with a delay, so that nobody begins in the turn of the cut
                gate.hold(0.5)
            for change in gate.release(number, load):
                assert change.why
                assert change.before == known
                known = change.after
            assert gate.pace.limit == known
            served += 1

        await asyncio.gather(*(ask(*each) for each in work))
        assert (served, gate.in_flight) == (len(work), 0)

    run(main)


def test_who_is_cancelled_with_a_slot_in_hand_gives_it_back() -> None:
    """Also in the very turn in which it was let in."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=1))
        await gate.acquire(1)
        waiting = asyncio.create_task(gate.acquire(1))
        await asyncio.sleep(0)
        gate.release()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await gate.acquire(1)
        assert gate.in_flight == 1

    run(main)


def test_a_limit_that_grew_lets_in_all_that_it_allows() -> None:
    """Those that wait need not wait for one release each."""

    async def main() -> int:
        gate = Gate(endpoint(concurrency=64), start=8)
        waiting = [asyncio.create_task(gate.acquire(1)) for _ in range(40)]
        await asyncio.sleep(1)
        for number in range(1, 9):
            gate.release(number, "clean")
        await asyncio.sleep(1)
        for task in waiting:
            task.cancel()
        return gate.in_flight

    assert run(main) == 16


def test_after_many_failures_one_ask_at_a_time_goes_until_one_is_answered() -> None:
    """The breaker: a pause, then one ask; the pause doubles with each that fails. The first answer opens the endpoint as
    at its start; four failures give it up."""

    async def main(back_after: int) -> tuple[list[float], bool]:
        gate = Gate(endpoint(concurrency=32), start=8, pause_s=5)
        began: list[float] = []

        async def ask(nth: int) -> None:
            number = await gate.acquire(1)
            began.append(now())
            gate.release(number, "failing" if nth < back_after else "clean")

        for nth in range(18):
            if not gate.given_up:
                await ask(nth)
        return began, gate.given_up

    began, given_up = run(lambda: main(12))
    assert began == pytest.approx([0] * 10 + [5, 15] + [35] * 6)
    assert not given_up
    began, given_up = run(lambda: main(99))
    assert began == pytest.approx([0] * 10 + [5, 15, 35, 75])
    assert given_up


def test_time_that_is_held_is_counted_once() -> None:
    """Holds that overlap are one wait, and what is still ahead was not waited for yet."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=1))
        gate.hold(10)
        gate.hold(4)
        await asyncio.sleep(5)
        assert gate.waited_s(now()) == pytest.approx(5)
        gate.hold(10)
        await asyncio.sleep(100)
        assert gate.waited_s(now()) == pytest.approx(15)
        gate.hold(2)
        await asyncio.sleep(2)
        assert gate.waited_s(now()) == pytest.approx(17)

    run(main)


def test_a_waiter_that_gives_up_takes_no_slot_with_it() -> None:
    """Cancelling an ask that waits for a slot, or for the server's delay, leaves all slots to the others."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=1))
        gate.hold(10)
        held = asyncio.create_task(gate.acquire(1))
        await asyncio.sleep(1)
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        await gate.acquire(1)
        waiting = asyncio.create_task(gate.acquire(1))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gate.release()
        await gate.acquire(1)
        assert gate.in_flight == 1

    run(main)


# --- the server's delay ------------------------------------------------------------------------------


def test_a_hold_stops_the_whole_endpoint_and_no_other() -> None:
    """While a server says wait, no ask of that endpoint starts; another endpoint goes on at once."""

    async def main() -> tuple[list[float], float]:
        held, other = Gate(endpoint(concurrency=3)), Gate(endpoint(concurrency=3))
        held.hold(7)
        assert held.waiting_s(now()) == 7
        started: list[float] = []

        async def ask(gate: Gate) -> None:
            await gate.acquire(1)
            started.append(now())
            gate.release()

        await ask(other)
        first = started.pop()
        await asyncio.gather(*(ask(held) for _ in range(5)))
        assert held.waiting_s(now()) == 0
        return started, first

    started, first = run(main)
    assert first == 0
    assert started == pytest.approx([7] * 5)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 20)), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_longest_hold_counts(holds: list[tuple[float, float]]) -> None:
    """A later and shorter delay does not undo an earlier and longer one, even for those who wait already."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=1))
        until = 0.0
        waiter = None
        for pause, seconds in holds:
            await asyncio.sleep(pause)
            gate.hold(seconds)
            until = max(until, now() + seconds)
            if waiter is None:
                waiter = asyncio.create_task(gate.acquire(1))
        assert waiter is not None
        first_over = waiter.done()
        await waiter
        assert first_over or now() >= until - 1e-6

    run(main)


def test_waiting_for_the_server_holds_no_slot() -> None:
    """An ask that waits for a delay or a rate leaves its slot free: `in_flight` counts the wire only."""

    async def main() -> None:
        gate = Gate(endpoint(concurrency=1))
        gate.hold(5)
        waiting = [asyncio.create_task(gate.acquire(1)) for _ in range(3)]
        await asyncio.sleep(1)
        assert gate.in_flight == 0
        await asyncio.sleep(5)
        assert gate.in_flight == 1
        for _ in range(3):
            gate.release()
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    run(main)


# --- rates -------------------------------------------------------------------------------------------


@given(st.floats(1, 6000), st.lists(st.tuples(st.floats(0.1, 500), st.floats(0, 30)), min_size=1, max_size=30))
@settings(deadline=None)
def test_a_bucket_never_gives_more_than_its_rate(per_minute: float, asks: list[tuple[float, float]]) -> None:
    """Over any stretch of time what was taken is at most the rate times the time, plus a second's worth or the largest
    single ask; and the wait that it names is enough."""
    bucket, at = Bucket(per_minute), 0.0
    rate = per_minute / 60
    taken: list[tuple[float, float]] = []
    for amount, idle in asks:
        at += idle
        at += bucket.wait(amount, at)
        assert bucket.wait(amount, at) <= 1e-6
        bucket.take(amount)
        taken.append((at, amount))
    burst = max(rate, *(a for a, _ in asks))
    for first, (start, _) in enumerate(taken):
        total = 0.0
        for end, amount in taken[first:]:
            total += amount
            assert total <= rate * (end - start) + burst + 1e-6 * (1 + total)


def test_requests_a_minute_are_kept() -> None:
    """With rpm 60 and many slots, asks start one second apart after the first."""
    assert run(lambda: starts(endpoint(concurrency=50, rpm=60), [1] * 5)) == pytest.approx([0, 1, 2, 3, 4])


def test_tokens_a_minute_are_kept() -> None:
    """With tpm 600 an ask of up to 100 tokens is followed by ten seconds without one; one that is larger than a
    minute's worth is late, never stuck."""
    assert run(lambda: starts(endpoint(concurrency=50, tpm=600), [100] * 3)) == pytest.approx([0, 10, 20])
    assert run(lambda: starts(endpoint(concurrency=50, tpm=600), [1200] * 2)) == pytest.approx([0, 120])


def test_both_rates_hold_at_once_and_a_wait_for_one_does_not_use_up_the_other() -> None:
    """The slower of rpm and tpm paces, and only it: what waits for tokens has not used a request."""
    assert run(lambda: starts(endpoint(concurrency=50, rpm=60, tpm=600), [100] * 3)) == pytest.approx([0, 10, 20])
    assert run(lambda: starts(endpoint(concurrency=50, rpm=6, tpm=60_000), [100] * 3)) == pytest.approx([0, 10, 20])


async def starts(limits: Endpoint, asks: list[int]) -> list[float]:
    """When each ask may start."""
    gate, out = Gate(limits), []

    async def ask(tokens: int) -> None:
        await gate.acquire(tokens)
        out.append(now())
        gate.release()

    waits: list[Awaitable[None]] = [ask(tokens) for tokens in asks]
    await asyncio.gather(*waits)
    return sorted(out)


# --- turns of the loop -------------------------------------------------------------------------------


@given(st.integers(0, 100), st.sets(st.integers(0, 99)))
def test_so_many_go_on_in_a_turn_of_the_loop_and_all_go_on(takers: int, cancelled: set[int]) -> None:
    """At most AT_ONCE tasks pass in one turn, in the order in which they came; who is cancelled takes nobody's place;
    nobody is forgotten."""

    async def run() -> tuple[list[int], list[int]]:
        loop = asyncio.get_running_loop()
        turns, turn = limits.Turns(), 0
        passed: list[int] = []
        when: list[int] = []

        async def go(number: int) -> None:
            await turns.take()
            passed.append(number)
            when.append(turn)

        tasks = [loop.create_task(go(n)) for n in range(takers)]
        for n in cancelled & set(range(takers)):
            loop.call_soon(tasks[n].cancel)
        while not all(task.done() for task in tasks):
            turn += 1
            await asyncio.sleep(0)
        return passed, when

    passed, when = asyncio.run(run())
    assert passed == sorted(passed)
    assert set(range(takers)) - cancelled <= set(passed)
    assert max(Counter(when).values(), default=0) <= limits.AT_ONCE
