"""How many asks an endpoint gets at once, how many of its failures are sent again, and when it is left alone.

Three small machines without a clock and without I/O: the same events in the same order give the same decisions.
net/limits.py tells them what happens and carries out what they decide. docs/faults.md explains them with their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmmbench.faults import Load

START = 8
"""Asks at once with which a vendor's endpoint begins, where its ceiling is higher."""
GROWTH = 2
"""Times the limit after a clean round, and at most half the way to the limit that was last refused."""
HOLD = 10
"""So many clean rounds next to the limit that was last refused, before more is tried."""
STEP = 20
"""From then on a clean round adds one in so many (at least one)."""
CUT = 0.8
"""Times the limit after an episode of rate limits."""
GROWN = "clean round"
CUT_FOR = "rate limit"


@dataclass(slots=True)
class Pace:
    """The limit of asks at once: grows while all goes well, shrinks when the server says that there are too many.

    A round is as many clean ends as the limit, while that many were on the wire at once: what nobody used was not tried.
    A failing server (5xx, network) begins the round anew, and cuts nothing. An episode is every rate limit of an ask
    that was sent before the last cut: it was cut for already.

    A clean round doubles the limit. The limit that was last refused is remembered, as TCP does (RFC 5681, 3.1: slow
    start and its threshold; CUBIC, RFC 9438, stays long near the last loss): no step goes more than half the way to it.
    Next to it the limit stays for a while, and then goes past it by small steps. Doubling always, against a server that
    takes 20 at once, a third of all sends would be refused.
    """

    ceiling: int
    start: int
    fixed: bool = False
    limit: int = field(init=False)
    sent: int = 0
    _refused: int = 0
    """The limit that was last refused, 0 before that."""
    _held: int = 0
    _cut_at: int = 0
    _clean: int = 0
    _full: bool = False

    def __post_init__(self) -> None:
        self.start = min(self.start, self.ceiling)
        self.limit = self.start

    def begin(self, in_flight: int) -> int:
        """An ask begins, and `in_flight` are on the wire with it. Returns its number, from 1."""
        self.sent += 1
        self._full = self._full or in_flight >= self.limit
        return self.sent

    def end(self, number: int, load: Load) -> str:
        """The ask of that number is over. Returns why the limit changed, "" where it did not."""
        if self.fixed or load == "":
            return ""
        if load == "limited":
            return self._limited(number)
        if load != "clean":
            self._clean, self._full = 0, False
        elif number > self._cut_at:
            self._clean += 1
            if self._clean >= self.limit:
                return self._round()
        return ""

    def probe(self) -> None:
        """One at a time, until `resume`."""
        self.limit = 1

    def resume(self) -> None:
        """The endpoint is back: begin as at the start, but not above what the last cut left."""
        self.limit = min(self.start, _cut(self._refused) if self._refused else self.ceiling)
        self._clean, self._full = 0, False

    def _limited(self, number: int) -> str:
        self._clean, self._full = 0, False
        if number <= self._cut_at:
            return ""
        self._cut_at, self._refused, self._held = self.sent, self.limit, 0
        self.limit = _cut(self.limit)
        return CUT_FOR if self.limit < self._refused else ""

    def _round(self) -> str:
        full, before = self._full, self.limit
        self._clean, self._full = 0, False
        if full:
            self.limit = min(self._next(), self.ceiling)
        return GROWN if self.limit > before else ""

    def _next(self) -> int:
        """The limit after a clean round."""
        doubled = self.limit * GROWTH
        near = min(doubled, (self.limit + self._refused) // 2) if self._refused else doubled
        if near > self.limit:
            return near
        self._held += 1
        return self.limit + (max(1, self.limit // STEP) if self._held >= HOLD else 0)


def _cut(limit: int) -> int:
    return max(1, int(limit * CUT))


RETRY_SHARE = 1.0
"""Retries that an endpoint earns with each question that is put to it: it is used up where more than half of all that is
sent fails."""
RETRY_FLOOR = 20
"""Retries that it has at least; where more asks may be on the wire at once, as many as these."""


@dataclass(slots=True)
class RetryBudget:
    """Bounds what a failing endpoint is sent in vain. Rate limits are not counted: they follow the server's delay.

    Finagle's budget (20 % of the requests and ten a second) and gRPC's throttling (proposal A6) keep clients from adding
    load to a server in trouble. Here a retry takes the place of another ask and adds none, so the share can be larger:
    with 20 %, a server that failed 30 % of what it was sent cost 381 of 2,000 questions; with this share 4, as without a
    budget.
    """

    floor: int
    asks: int = 0
    retries: int = 0
    refused: int = 0

    def take(self) -> bool:
        """Whether one more failure may be sent again."""
        granted = self.retries < self.floor + RETRY_SHARE * self.asks
        self.retries += granted
        self.refused += not granted
        return granted


TRIP_AFTER = 10
"""So many failures without an answer between them, and the endpoint is left alone for a while."""
PROBES = 4
"""So many probes in a row may fail before the endpoint is given up."""

Verdict = Literal["", "open", "failed probe", "given up", "closed"]


@dataclass(slots=True)
class Breaker:
    """Leaves an endpoint alone that only fails, then tries it with one question at a time.

    `gone` does not open it: a kind of fault that stops the endpoint by itself is quicker (faults.py)."""

    failures: int = 0
    """In a row: since the last answer, or rate limit."""
    probes: int = 0
    """That failed, since it opened."""
    is_open: bool = False
    _opened_at: int = 0

    def end(self, number: int, sent: int, load: Load) -> Verdict:
        """The ask of that number is over, and `sent` were sent so far. Returns what follows."""
        if load in ("clean", "limited"):
            return self._alive()
        if load == "":
            return ""
        self.failures += load == "failing"
        if self.is_open:
            return self._failed_probe() if number > self._opened_at else ""
        if self.failures < TRIP_AFTER:
            return ""
        self.is_open, self._opened_at = True, sent
        return "open"

    def _alive(self) -> Verdict:
        was_open, self.is_open = self.is_open, False
        self.failures = self.probes = 0
        return "closed" if was_open else ""

    def _failed_probe(self) -> Verdict:
        self.probes += 1
        return "given up" if self.probes >= PROBES else "failed probe"
