"""Closed questions: right is 1, everything else 0. An answer that cannot be read is wrong and flagged, never a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.prompts import LETTERS
from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.extract import EXTRACTOR_VERSION, extract_choice
from lmmbench.types import Item


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """1 when the option read from the answer is the right one. `parsed` is its original number, whatever order was shown."""
    found = extract_choice(answer, [item.options[number - 1] for number in order], " ".join(item.fields.values()))
    if found.choice is None:
        return Grade(0.0, None, found.status, found.rule)
    parsed = str(order[found.choice - 1])
    return Grade(float(parsed == item.targets[0]), parsed, found.status, found.rule)


def _gold(item: Item, order: Sequence[int]) -> list[str]:
    return [f"정답: {LETTERS[list(order).index(int(item.targets[0]))]}"]


SCORER = Scorer("choice", lambda params: f"choice@{EXTRACTOR_VERSION}", grade, _gold, "closed")
