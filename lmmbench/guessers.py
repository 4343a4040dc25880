"""Guessers that know no Korean: what can be had from the form of the options alone. A pack that one of them can beat
measures something else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lmmbench.hangul import jamo, squeeze
from lmmbench.types import Item

Guesser = Callable[[Item, Mapping[str, int]], Sequence[float]]
"""(item, how many items have an option of this text) -> a weight for each option; the heaviest is guessed."""


def closed(items: Sequence[Item]) -> list[Item]:
    """Items with options."""
    return [i for i in items if i.options]


def gold_index(item: Item) -> int:
    """0-based index of the right option of a closed item."""
    return int(item.targets[0]) - 1


def _first(item: Item, seen: Mapping[str, int]) -> Sequence[float]:
    return [-n for n in range(len(item.options))]


def _longest(item: Item, seen: Mapping[str, int]) -> Sequence[float]:
    return [len(o) for o in item.options]


def _shortest(item: Item, seen: Mapping[str, int]) -> Sequence[float]:
    return [-len(o) for o in item.options]


def _overlap(item: Item, seen: Mapping[str, int]) -> Sequence[float]:
    """The share of an option's jamo that stand in the question."""
    stem = jamo(" ".join(item.fields.values()))
    return [len(stem & jamo(o)) / max(1, len(jamo(o))) for o in item.options]


def _frequent(item: Item, seen: Mapping[str, int]) -> Sequence[float]:
    return [seen[squeeze(o)] for o in item.options]


GUESSERS: dict[str, Guesser] = {
    "always first": _first, "longest": _longest, "shortest": _shortest, "most overlap": _overlap,
    "most frequent": _frequent,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """What a guesser earns: the share right (ties shared evenly), the bound (chance and two standard errors, the most
    that a guesser may have) and the number of closed items."""

    share: float
    bound: float
    n: int


def earned(item: Item, weights: Sequence[float]) -> float:
    """What a guess at the heaviest option earns: all, nothing, or its part of a tie."""
    top = [n for n, w in enumerate(weights) if w == max(weights)]
    return (gold_index(item) in top) / len(top)


def bound(chances: Sequence[float]) -> float:
    """Chance and two standard errors of as many independent guesses."""
    return (sum(chances) + 2 * math.sqrt(sum(c * (1 - c) for c in chances))) / len(chances)


def guesses(items: Sequence[Item]) -> dict[str, Guess]:
    """What each guesser earns over the closed items; empty where there is none."""
    asked = closed(items)
    if not asked:
        return {}
    seen = Counter(option for i in asked for option in {squeeze(o) for o in i.options})
    most = bound([1 / len(i.options) for i in asked])
    return {
        name: Guess(sum(earned(i, guess(i, seen)) for i in asked) / len(asked), most, len(asked))
        for name, guess in GUESSERS.items()
    }
