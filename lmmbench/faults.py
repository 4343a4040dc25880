"""The one table of faults: what can go wrong with an ask, and what follows from it.

A fault is data: it is recorded with its kind, and is never a text, a score or a 0.
This module imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Load = Literal["", "clean", "limited", "failing", "gone"]
"""What the end of an ask says of how much its endpoint can take: nothing · it was answered · it was refused because there
were too many · the server or the way to it failed · nobody is there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a kind of fault.

    status: of the item when attempts are used up. attempts: sends in all, 0 = as long as the item's wall budget
    lasts. load: what it says of the endpoint (net/pace.py); while it is limited, the endpoint takes no new ask until the
    delay is over. stops: what is stopped when this fault is final. stop_after: so many final faults of this kind in a row
    stop it (1 = at once); where one model meets them while others of its endpoint are answered, that model alone.
    """

    status: Literal["error", "invalid", "refused"]
    attempts: int
    load: Load = ""
    stops: Literal["", "model", "endpoint"] = ""
    stop_after: int = 1


FAULTS: dict[str, Rule] = {
    "rate": Rule("error", attempts=0, load="limited"),  # 429: the server says when
    "overload": Rule("error", attempts=5, load="failing"),  # 5xx, 529, 408, 409, 425
    "network": Rule("error", attempts=5, load="failing"),  # reset, cut, disconnected
    "timeout": Rule("error", attempts=2, load="failing"),  # the total deadline of one send
    "unreachable": Rule("error", attempts=4, load="gone", stops="endpoint"),  # refused connection, DNS
    "invalid": Rule("invalid", attempts=2),  # a reply came, and no answer is in it
    "page": Rule("invalid", attempts=1, stops="endpoint", stop_after=3),  # a web page: somebody else answers
    "quota": Rule("error", attempts=1, stops="endpoint"),  # money or a daily quota is used up
    "auth": Rule("error", attempts=1, stops="model"),  # 401, 403
    "config": Rule("error", attempts=1, stops="model"),  # 404, redirects, TLS: the entry is wrong
    "request": Rule("error", attempts=1, stops="model", stop_after=3),  # 400, 422: this request is refused
    "too_large": Rule("error", attempts=1),  # context or media limit
    "policy": Rule("refused", attempts=1),  # blocked by the vendor's policy, before or after generation
    "adapter": Rule("error", attempts=1, stops="model", stop_after=20),  # an exception inside a provider
}


class Fault(Exception):
    """An ask that brought no answer. `retry_after` is the server's own delay in seconds; `maybe_billed` is true
    when the vendor may have worked (and charged) for it. `unknown_finish` is the word that a reply ended with, where
    no table has it: such words are counted, so that they are noticed."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        retry_after: float | None = None,
        maybe_billed: bool = False,
        unknown_finish: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.maybe_billed = maybe_billed
        self.unknown_finish = unknown_finish
        self.request_sha = ""  # set by who sends: a refusal is an answer, and is known again by its request

    @property
    def rule(self) -> Rule:
        return FAULTS[self.kind]


class UsageError(Exception):
    """Bad input, found before anything is spent: one sentence that names the next action. Exit code 2 unless said."""

    def __init__(self, message: str, *, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
