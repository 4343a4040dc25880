"""Scorers: plain, named, versioned functions from an answer and an item to a `Grade` in 0…1.

A card names its scorers; `SCORERS` holds ours, and others add theirs through the entry point group
`lmmbench.scorers` (name = the scorer's name, value = a `Scorer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from lmmbench.doors import nearest
from lmmbench.faults import UsageError
from lmmbench.types import Item

ParseStatus = Literal["ok", "multi", "none", "refuse", "truncated"]


@dataclass(frozen=True, slots=True)
class Grade:
    """What a scorer read and gave. `score` is in 0…1; `parsed` is in the terms of the item's targets; `aux` holds
    further numbers that stand beside the score and never enter it."""

    score: float
    parsed: str | None
    parse_status: ParseStatus = "ok"
    parse_rule: str = ""
    aux: dict[str, Any] = field(default_factory=dict)


GradeFunction = Callable[[str, Item, Sequence[int], Mapping[str, Any]], Grade]
"""(answer, item, order shown, the card's parameters) -> Grade."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A grading function, the id that its numbers carry (name, version, normalisation, tokenizer, signature; from the
    card's parameters) and the answers that it must give full marks to: `gold(item, order)` yields every right one."""

    name: str
    metric_id: Callable[[Mapping[str, Any]], str]
    grade: GradeFunction
    gold: Callable[[Item, Sequence[int]], list[str]]
    items: Literal["closed", "open"]


@cache
def registry() -> dict[str, Scorer]:
    """All scorers by name: ours, then those of installed packages."""
    from lmmbench.scorers import choice, chrf, dialect, exact, overlap, summary

    ours = (
        choice.SCORER, exact.SCORER, chrf.CHRF, chrf.CHRF_PP, chrf.BLEU, dialect.REWRITE, dialect.PRODUCTION,
        overlap.ROUGE, summary.SCORER,
    )  # fmt: skip
    found = {s.name: s for s in ours}
    for entry in entry_points(group="lmmbench.scorers"):
        if entry.name in found:
            raise UsageError(f"the package {entry.value!r} names its scorer {entry.name!r}, which is taken; rename it")
        found[entry.name] = entry.load()
    return found


def scorer(name: str) -> Scorer:
    """Raises UsageError with the nearest name."""
    known = registry()
    if name not in known:
        raise UsageError(f"no scorer is called {name!r}{nearest(name, known)}; there are: {', '.join(sorted(known))}")
    return known[name]
