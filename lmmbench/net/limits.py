"""What an endpoint may take: so many asks in flight, so many a minute, and nothing while the server says wait. And how
many asks this program lets go on at once."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

from lmmbench.faults import Load
from lmmbench.net.pace import RETRY_FLOOR, Breaker, Pace, RetryBudget
from lmmbench.types import Endpoint


@dataclass(slots=True)
class Bucket:
    """A token bucket: `per_minute` on average, at most a second's worth (or one ask) at once."""

    per_minute: float
    level: float = 0.0
    at: float = -1.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        rate = self.per_minute / 60
        ceiling = max(rate, amount)
        self.level = ceiling if self.at < 0 else min(ceiling, self.level + (now - self.at) * rate)
        self.at = now
        # a rounding error must not ask for a wait of 1e-17 s again and again
        return max(0.0, (amount - self.level) / rate) if amount - self.level > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        self.level -= amount


@dataclass(frozen=True, slots=True)
class Change:
    """An endpoint's limit of asks at once changed, or something else that its run should know: why says which."""

    before: int
    after: int
    why: str


@dataclass(slots=True)
class Gate:
    """The slots of one endpoint, or of several that share an account. A slot is held while an ask is on the wire, never
    while it waits.

    `start`: slots at first, where the limit adapts up to `endpoint.concurrency`; without one they are that many at once.
    `fixed`: nothing changes their number but the breaker. `pause_s`: its first pause, doubled with each failed probe.
    `resume_at` (loop time) is set by `hold`, for all models of the endpoint at once: otherwise another ask would
    take the freed slot and meet the same refusal.
    """

    endpoint: Endpoint
    ids: tuple[str, ...] = ()
    start: int | None = None
    fixed: bool = False
    pause_s: float = 5.0
    resume_at: float = 0.0
    in_flight: int = 0
    given_up: bool = False
    final_faults: Counter[str] = field(default_factory=Counter)
    """How often in a row, all models together, questions failed for good by this kind of fault; an answer ends it."""
    pace: Pace = field(init=False)
    budget: RetryBudget = field(init=False)
    _breaker: Breaker = field(default_factory=Breaker)
    _held_s: float = 0.0
    _line: deque[asyncio.Future[None]] = field(default_factory=deque)
    _buckets: list[tuple[Bucket, bool]] = field(init=False)

    def __post_init__(self) -> None:
        ceiling = self.endpoint.concurrency
        self.pace = Pace(ceiling, ceiling if self.start is None else self.start, self.fixed)
        self.budget = RetryBudget(max(RETRY_FLOOR, ceiling))
        limits = ((self.endpoint.rpm, False), (self.endpoint.tpm, True))
        self._buckets = [(Bucket(float(limit)), by_tokens) for limit, by_tokens in limits if limit]

    async def acquire(self, tokens: int) -> int:
        """Wait for the server's delay, the rates and a slot. `tokens` is the most that this ask can use. Returns the
        ask's number, for `release`."""
        while True:
            await self._place()
            wait = self._wait(tokens)
            if wait <= 0:
                return self.pace.begin(self.in_flight)
            self._free()
            await asyncio.sleep(wait)

    def release(self, number: int = 0, load: Load = "") -> list[Change]:
        """Give the slot back and say how the ask of that number ended, if it was sent. Returns what changed by it."""
        before = self.pace.limit
        verdict = self._breaker.end(number, self.pace.sent, load)
        if verdict == "closed":
            self.pace.resume()
        why = self.pace.end(number, load)
        if verdict in ("open", "failed probe"):
            self.pace.probe()
            self.hold(self.pause_s * 2**self._breaker.probes)
        self.given_up = self.given_up or verdict == "given up"
        self._free()
        return [Change(before, self.pace.limit, verdict or why)] if verdict or why else []

    def hold(self, seconds: float) -> None:
        """Nothing goes to this endpoint for so many seconds."""
        now = asyncio.get_running_loop().time()
        until = max(self.resume_at, now + seconds)
        self._held_s += until - max(self.resume_at, now)
        self.resume_at = until

    def waiting_s(self, now: float) -> float:
        return max(0.0, self.resume_at - now)

    def waited_s(self, now: float) -> float:
        """Seconds for which the endpoint was held, until now."""
        return self._held_s - self.waiting_s(now)

    async def _place(self) -> None:
        """Take a slot, in the order in which it was asked for."""
        if self.in_flight < self.pace.limit and not self._line:
            self.in_flight += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given one meanwhile
                self._free()
            raise

    def _free(self) -> None:
        """A slot less is taken: hand out what the limit allows."""
        self.in_flight -= 1
        while self._line and self.in_flight < self.pace.limit:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                self.in_flight += 1

    def _wait(self, tokens: int) -> float:
        now = asyncio.get_running_loop().time()
        if self.resume_at > now:
            return self.resume_at - now
        if not self._buckets:
            return 0.0
        amounts = [(bucket, tokens if by_tokens else 1) for bucket, by_tokens in self._buckets]
        wait = max(bucket.wait(amount, now) for bucket, amount in amounts)
        if wait == 0:
            for bucket, amount in amounts:
                bucket.take(amount)
        return wait


AT_ONCE = 16


class Turns:
    """Lets AT_ONCE tasks go on in a turn of the event loop, the others in the turns after it, in order.

    A loop takes all that is ready through one stage before any of it through the next. So hundreds of answers that come
    together are all decoded, then all recorded, then all make room for the next ask, and then all wait for the network
    together: it is idle while we work, and we are idle while it works. A few at a time, their next asks are on
    the wire while the others are still to be decoded (docs/performance.md says what that brings).
    """

    def __init__(self) -> None:
        self._left = AT_ONCE
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._counting = False

    async def take(self) -> None:
        """Returns at once while this turn of the loop has places left."""
        loop = asyncio.get_running_loop()
        if not self._counting:
            self._counting = True
            loop.call_soon(self._next)
        if self._left:
            self._left -= 1
            return
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append(place)
        await place

    def _next(self) -> None:
        """The next turn: hand out its places, and count on while somebody waits."""
        self._left = AT_ONCE
        while self._left and self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # whoever was cancelled needs none
                place.set_result(None)
                self._left -= 1
        self._counting = bool(self._waiting)
        if self._counting:
            asyncio.get_running_loop().call_soon(self._next)
