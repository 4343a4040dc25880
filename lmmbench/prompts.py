"""Rendering: an item and a card's template become the text that is sent. Nothing is evaluated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

LETTERS = "ABCDEFGHIJ"
_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


def option_order(count: int, *, seed: int, pack: str, item_id: str, trial: int) -> tuple[int, ...]:
    """The original numbers (1-based) in the order shown: a Fisher-Yates shuffle driven by SHA-256 of
    (seed, pack, item, trial), so that every machine and version shows the same."""
    digest = hashlib.sha256(f"{seed}\x1f{pack}\x1f{item_id}\x1f{trial}".encode()).digest()
    order = list(range(1, count + 1))
    for n in range(count - 1, 0, -1):
        swap = int.from_bytes(digest[2 * n : 2 * n + 2], "big") % (n + 1)
        order[n], order[swap] = order[swap], order[n]
    return tuple(order)


def lettered(options: Sequence[str], order: Sequence[int]) -> str:
    """The options as lines `A. …`, in the order shown."""
    return "\n".join(f"{LETTERS[p]}. {options[number - 1]}" for p, number in enumerate(order))


@lru_cache(maxsize=256)
def slots(template: str) -> frozenset[str]:
    """Names of the template's `{{slots}}`."""
    return frozenset(_SLOT.findall(template))


def render(template: str, fields: Mapping[str, str]) -> str:
    """Replace each `{{name}}` by its text, in one pass: text that is put in is never looked at again."""
    return _SLOT.sub(lambda m: fields[m[1]], template) if "{{" in template else template
