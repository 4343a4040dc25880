"""The laws of adaptive concurrency, of the retry budget and of the breaker, over any sequence of events."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import bench, runner
from lmmbench.faults import Load
from lmmbench.net import delay, pace
from lmmbench.net.pace import (
    CUT,
    CUT_FOR,
    GROWN,
    HOLD,
    PROBES,
    RETRY_SHARE,
    STEP,
    TRIP_AFTER,
    Breaker,
    Pace,
    RetryBudget,
)

LOADS: tuple[Load, ...] = ("clean", "clean", "clean", "clean", "limited", "failing", "gone", "")
Event = tuple[Load, float]
"""How an ask ends, and which of those on the wire: 0 the oldest, 1 the newest."""
EVENTS = st.lists(st.tuples(st.sampled_from(LOADS), st.floats(0, 1)), max_size=300)


@dataclass(slots=True)
class Step:
    """One end of an ask, as the controller took it."""

    number: int
    load: Load
    sent: int
    before: int
    after: int
    why: str


@dataclass(slots=True)
class World:
    """Keeps as many asks on the wire as the limit allows, or one less where it is idle, and ends them as told."""

    pace: Pace
    idle: bool = False
    wire: list[int] = field(default_factory=list)

    def end(self, event: Event) -> Step:
        load, which = event
        while len(self.wire) < max(1, self.pace.limit - self.idle):
            self.wire.append(self.pace.begin(len(self.wire) + 1))
        number = self.wire.pop(round(which * (len(self.wire) - 1)))
        before, sent = self.pace.limit, self.pace.sent
        why = self.pace.end(number, load)
        return Step(number, load, sent, before, self.pace.limit, why)


def steps(ceiling: int, start: int, events: list[Event], *, fixed: bool = False, idle: bool = False) -> list[Step]:
    world = World(Pace(ceiling, start, fixed), idle)
    return [world.end(event) for event in events]


# --- the limit ---------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 64), EVENTS)
@settings(deadline=None)
def test_the_limit_stays_between_one_and_the_ceiling(ceiling: int, start: int, events: list[Event]) -> None:
    """Whatever happens, in whatever order."""
    assert all(1 <= step.after <= ceiling for step in steps(ceiling, start, events))


@given(st.integers(1, 300), st.integers(1, 64), EVENTS)
@settings(deadline=None)
def test_an_episode_is_cut_for_once(ceiling: int, start: int, events: list[Event]) -> None:
    """Only a rate limit cuts, to 0.8; and of all those that were sent before a cut none makes another."""
    sent_at_the_cut = 0
    for step in steps(ceiling, start, events):
        if step.after < step.before:
            assert (step.load, step.why) == ("limited", CUT_FOR)
            assert step.after == max(1, int(step.before * CUT))
            assert step.number > sent_at_the_cut
        if step.load == "limited" and step.number > sent_at_the_cut:
            assert step.after < step.before or step.before == 1, "a new episode is cut for"
            sent_at_the_cut = step.sent


@given(st.integers(1, 300), st.integers(1, 64), EVENTS)
@settings(deadline=None)
def test_the_limit_grows_after_a_clean_round_only(ceiling: int, start: int, events: list[Event]) -> None:
    """As many clean ends as the limit, of asks sent since the last cut, with no failure and no growth among them. It
    doubles, but goes no more than half the way to the limit that was last refused; past that, and only after ten clean
    rounds next to it, it adds a twentieth."""
    clean = sent_at_the_cut = refused = held = 0
    for step in steps(ceiling, start, events):
        clean += step.load == "clean" and step.number > sent_at_the_cut
        if step.after > step.before:
            assert (step.load, step.why) == ("clean", GROWN)
            assert clean >= step.before
            near = min(2 * step.before, (step.before + refused) // 2) if refused else 2 * step.before
            if near > step.before:
                assert step.after == min(ceiling, near)
            else:
                assert step.after == min(ceiling, step.before + max(1, step.before // STEP))
                assert held >= (HOLD - 1) * (refused - 1), "so many answers at least next to what was refused"
        held += step.load == "clean" and step.before + 1 >= refused > 0
        if step.after > step.before or step.load in ("limited", "failing", "gone"):
            clean = 0
        if step.load == "limited" and step.number > sent_at_the_cut:
            refused, held, sent_at_the_cut = step.before, 0, step.sent


@given(st.integers(1, 300), st.integers(1, 64), EVENTS)
@settings(deadline=None)
def test_the_same_events_give_the_same_limits(ceiling: int, start: int, events: list[Event]) -> None:
    """Nothing else has a say: no clock, no chance."""
    assert steps(ceiling, start, events) == steps(ceiling, start, events)


@given(st.integers(1, 300), EVENTS)
@settings(deadline=None)
def test_a_fixed_limit_never_changes(ceiling: int, events: list[Event]) -> None:
    """`--concurrency N` is N."""
    assert {step.after for step in steps(ceiling, ceiling, events, fixed=True)} <= {ceiling}


@given(st.integers(3, 300), st.integers(2, 64), st.integers(0, 500))
@settings(deadline=None)
def test_what_nobody_used_was_not_tried(ceiling: int, start: int, answers: int) -> None:
    """Where something else paces (rpm, few questions), so that the limit is never reached, answers do not raise it."""
    world = steps(ceiling, start, [("clean", 0.0)] * answers, idle=True)
    assert {step.after for step in world} <= {min(start, ceiling)}


@pytest.mark.parametrize("load", ["failing", "gone"])
def test_a_failing_server_stops_growth_and_cuts_nothing(load: Load) -> None:
    """One failure a round: the limit stays where it is."""
    answers: list[Event] = [("clean", 0.0)] * 7
    world = steps(256, 8, answers + [(load, 0.0), *answers] * 50)
    assert {step.after for step in world} == {8}


def test_five_clean_rounds_reach_256() -> None:
    """8 + 16 + 32 + 64 + 128 answers."""
    world = steps(256, pace.START, [("clean", 0.0)] * 248)
    assert [step.after for step in world if step.why] == [16, 32, 64, 128, 256]
    assert world[-1].after == 256


def against(takes: Callable[[int], int], rounds: int = 600) -> tuple[list[int], float]:
    """A server that in each round refuses what is above what it takes. Returns the limits, and the share refused."""
    control, refused, limits = Pace(256, pace.START), 0, []
    for n in range(rounds):
        wire = [control.begin(k + 1) for k in range(control.limit)]
        limits.append(len(wire))
        for k, number in enumerate(wire):
            control.end(number, "clean" if k < takes(n) else "limited")
        refused += max(0, len(wire) - takes(n))
    return limits, refused / sum(limits)


@pytest.mark.parametrize(("capacity", "most"), [(1, 0.12), (5, 0.02), (20, 0.01), (100, 0.01)])
def test_it_settles_near_what_the_server_takes(capacity: int, most: float) -> None:
    """From the first cuts on the limit stays within 0.75 and 1.1 of it (and one ask), on average above 0.9 of it, and hardly
    anything that is sent is refused."""
    limits, refused = against(lambda _: capacity)
    settled = limits[100:]
    assert min(settled) >= int(0.75 * capacity)
    assert max(settled) <= 1.1 * capacity + 1
    assert sum(min(n, capacity) for n in settled) >= 0.9 * capacity * len(settled)
    assert refused < most


def test_it_finds_what_a_server_takes_later() -> None:
    """From 20 to 100 in the end, and what that costs in refusals stays small; so it does on the way back."""
    limits, refused = against(lambda n: 20 if n < 100 else 100)
    assert max(limits[50:100]) <= 21
    assert min(limits[150:]) >= 75
    assert refused < 0.01
    limits, refused = against(lambda n: 100 if n < 100 else 20)
    assert max(limits[110:]) <= 23
    assert refused < 0.02


# --- the budget of retries ---------------------------------------------------------------------------


@given(st.integers(0, 50), st.lists(st.booleans(), max_size=300))
def test_retries_never_exceed_their_share(floor: int, events: list[bool]) -> None:
    """True is a question put to the endpoint, False a failure that asks to be sent again; whoever is refused is counted."""
    budget = RetryBudget(floor)
    for asked in events:
        if asked:
            budget.asks += 1
        else:
            budget.take()
        assert budget.retries < floor + RETRY_SHARE * budget.asks + 1
    assert budget.retries + budget.refused == events.count(False)
    assert budget.refused == 0 or budget.retries >= floor


# --- the breaker -------------------------------------------------------------------------------------


@given(EVENTS)
@settings(deadline=None)
def test_the_breaker_opens_after_so_many_failures_in_a_row_and_no_sooner(events: list[Event]) -> None:
    """An answer or a rate limit between them begins the count anew, and closes it; other outcomes say nothing."""
    breaker, in_a_row = Breaker(), 0
    for number, (load, _) in enumerate(events, 1):
        was_open = breaker.is_open
        verdict = breaker.end(number, number, load)
        in_a_row = 0 if load in ("clean", "limited") else in_a_row + (load == "failing")
        assert breaker.is_open == (in_a_row >= TRIP_AFTER) == (verdict in ("open", "failed probe", "given up") or (was_open and load == ""))  # fmt: skip
        assert (verdict == "closed") == (was_open and load in ("clean", "limited"))


def test_what_was_on_the_wire_when_it_opened_is_no_probe() -> None:
    """Thirty asks fail together: one opening, and no failed probe before one was sent."""
    breaker = Breaker()
    assert [breaker.end(n, 30, "failing") for n in range(1, 31)] == [""] * (TRIP_AFTER - 1) + ["open"] + [""] * 20
    assert [breaker.end(n, n, "failing") for n in range(31, 31 + PROBES)] == ["failed probe"] * (PROBES - 1) + ["given up"]  # fmt: skip


@pytest.mark.parametrize("back", [lambda b: b.end(1, 40, "clean"), lambda b: b.end(40, 40, "limited")])
def test_any_answer_closes_it(back: Callable[[Breaker], str]) -> None:
    """Also a late one of an ask from before, and a rate limit: somebody is there."""
    breaker = Breaker()
    for number in range(2, 2 + TRIP_AFTER):
        breaker.end(number, 30, "failing")
    assert breaker.end(31, 31, "failing") == "failed probe"
    assert (back(breaker), breaker.failures, breaker.probes) == ("closed", 0, 0)


def test_nobody_there_is_a_failed_probe_and_does_not_open_it() -> None:
    """A refused connection stops an endpoint by a rule of its own; but a probe that meets one has failed."""
    breaker = Breaker()
    assert {breaker.end(n, n, "gone") for n in range(1, 50)} == {""}
    for number in range(50, 50 + TRIP_AFTER):
        breaker.end(number, number, "failing")
    assert breaker.end(70, 70, "gone") == "failed probe"


# --- the page ----------------------------------------------------------------------------------------


def test_the_page_says_the_numbers_of_the_code() -> None:
    """The table of docs/faults.md, and what its text says of them."""
    page = (Path(__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\|[^|]*\| `([a-zA-Z_.]+)` \| ([\d.]+) \|$", page, re.MULTILINE))
    homes = {"pace": pace, "bench": bench, "runner": runner, "delay": delay}
    numbers = {f"pace.{name}": value for name, value in vars(pace).items() if isinstance(value, int | float)}
    assert set(numbers) <= set(said)
    for name, value in said.items():
        module, _, rest = name.partition(".")
        assert float(value) == (bench.Execution().backoff_s if rest.startswith("Execution") else getattr(homes[module], rest)), name  # fmt: skip
    pauses = [bench.PAUSE * bench.Execution().backoff_s * 2**n for n in range(PROBES)]
    text = " ".join(page.split())
    for sentence in (
        f"begins with {pace.START} and may reach", f"A 429 cuts it to {CUT}, once an episode",
        f"budget allows: {pace.RETRY_FLOOR} retries", f"After {TRIP_AFTER} failures (5xx",
        f"left alone for {pauses[0]:.0f} s", "after {:.0f}, {:.0f}, {:.0f} s; after 4".format(*pauses[1:]),
    ):  # fmt: skip
        assert sentence in text, sentence
    reasons = {CUT_FOR, GROWN, *get_args(pace.Verdict), "retry budget"} - {""}
    assert all(f"`{reason}`" in text for reason in reasons)
