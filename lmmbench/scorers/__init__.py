"""Scorers: plain, named, versioned functions from an answer and an item to a `Grade` in 0…1.

A card names its scorers; `OURS` holds ours, and others add theirs through the entry point group
`lmmbench.scorers` (name = the scorer's name, value = a `Scorer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
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


OURS: dict[str, tuple[str, str, Literal["closed", "open"]]] = {
    "choice": ("choice", "SCORER", "closed"),
    "exact": ("exact", "SCORER", "open"),
    "chrf": ("chrf", "CHRF", "open"),
    "chrf++": ("chrf", "CHRF_PP", "open"),
    "bleu": ("chrf", "BLEU", "open"),
    "rewrite": ("dialect", "REWRITE", "open"),
    "dialect": ("dialect", "PRODUCTION", "open"),
    "rouge": ("overlap", "ROUGE", "open"),
    "summary": ("summary", "SCORER", "open"),
}
"""Name -> (module here, its `Scorer`, the kind of items). A module is loaded when something is scored by it: the rules
of `choice` take 0.1 s to compile, and nothing is scored before something was answered."""


@cache
def _installed() -> dict[str, Scorer]:
    """Scorers of installed packages."""
    found = {}
    for entry in entry_points(group="lmmbench.scorers"):
        if entry.name in OURS or entry.name in found:
            raise UsageError(f"the package {entry.value!r} names its scorer {entry.name!r}, which is taken; rename it")
        found[entry.name] = entry.load()
    return found


def names() -> list[str]:
    """All scorers that a card can name: ours, then those of installed packages."""
    return [*OURS, *_installed()]


@cache
def scorer(name: str) -> Scorer:
    """Raises UsageError with the nearest name."""
    check_name(name)
    if name not in OURS:
        return _installed()[name]
    module, attribute, _ = OURS[name]
    found: Scorer = getattr(import_module(f"lmmbench.scorers.{module}"), attribute)
    return found


def check_name(name: str) -> None:
    """Raises UsageError with the nearest name, without loading the scorer."""
    if name not in OURS and name not in _installed():
        raise UsageError(
            f"no scorer is called {name!r}{nearest(name, names())}; there are: {', '.join(sorted(names()))}"
        )


def items_of(name: str) -> Literal["closed", "open"]:
    """The kind of items that a scorer is for."""
    return OURS[name][2] if name in OURS else scorer(name).items
