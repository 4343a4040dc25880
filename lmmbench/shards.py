"""A run in parts. A shard is the run with fewer asks: those whose hash falls to it. It has a journal of its own, and its
share of the limits that all shards meet at the same vendor.

Nothing is coordinated: which shard an ask belongs to follows from the ask alone, on every machine, in every order.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from lmmbench.faults import UsageError
from lmmbench.types import AskKey, Endpoint

MAIN = "main"
"""The writer of a run that is not split."""


def number_of(key: AskKey, of: int) -> int:
    """The shard of an ask, 1 to `of`: SHA-256 of (model, pack, item, trial), which within a run are the request."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % of + 1


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` (from 1) of `of` parts."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def writer(self) -> str:
        """The stem of its journal's file name."""
        return f"shard-{self.number}-of-{self.of}"

    def holds(self, key: AskKey) -> bool:
        return number_of(key, self.of) == self.number

    def part(self, total: int) -> int:
        """Its share of a whole number; the shares of all shards add up to it."""
        return total * self.number // self.of - total * (self.number - 1) // self.of


def parse(text: str) -> Shard:
    """`2/3`. Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    shard = Shard(*map(int, match.groups())) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise UsageError(f"--shard {text!r} is no part of a run; write I/N with I from 1 to N, for example 2/3")
    return shard


def all_of(of: int) -> list[Shard]:
    return [Shard(number, of) for number in range(1, of + 1)]


def writers(of: int) -> list[str]:
    """Who writes the journals of a run that is split so (0: it is not)."""
    return [shard.writer for shard in all_of(of)] if of else [MAIN]


def writer_of(key: AskKey, of: int) -> str:
    """Whose journal an ask belongs to."""
    return Shard(number_of(key, of), of).writer if of else MAIN


def share(name: str, endpoint: Endpoint, shard: Shard) -> Endpoint:
    """The endpoint with a shard's share of its concurrency and rates. Raises UsageError where there is less than one
    for each: a limit must never be exceeded because a run was split."""
    for what, limit in (("concurrency", endpoint.concurrency), ("rpm", endpoint.rpm), ("tpm", endpoint.tpm)):
        if limit is not None and limit < shard.of:
            raise UsageError(
                f"the endpoint {name!r} has {what} {limit}, too little to share among {shard.of} shards; split the run "
                f"into {limit} at most, or raise the limit"
            )
    rpm, tpm = (None if limit is None else shard.part(limit) for limit in (endpoint.rpm, endpoint.tpm))
    return replace(endpoint, concurrency=shard.part(endpoint.concurrency), rpm=rpm, tpm=tpm)
