"""Key facts: whether strings that an item lists stand in a text. A group holds the wordings of one fact; spaces and
commas between thousands do not count, full-width forms are plain ones (２８％, 28%), and a number is the same in
digits and in Hangul (세 명, 3명)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lmmbench.scorers.numbers import with_digits
from lmmbench.scorers.text import clean, narrow, spaceless


def found(text: str, groups: Iterable[Sequence[str]]) -> list[bool]:
    """For each group, whether any of its wordings stands in the text."""
    plain, digits = spaceless(text), spaceless(_in_digits(text))
    return [any(holds(plain, w) or holds(digits, _in_digits(w)) for w in group) for group in groups]


def _in_digits(text: str) -> str:
    return with_digits(narrow(clean(text)))


def share_found(text: str, groups: Sequence[Sequence[str]]) -> float | None:
    """Share of the groups that are found, 0…1; None without groups."""
    return sum(found(text, groups)) / len(groups) if groups else None


def holds(shown: str, wanted: str) -> bool:
    """Whether `wanted` stands in a `spaceless` text, and not as a part of a longer number: 1,412억 is not 412억."""
    exact = spaceless(wanted)
    before = r"(?<!\d)(?<!\d\.)" if exact[:1].isdigit() else ""
    after = r"(?!\d)(?!\.\d)" if exact[-1:].isdigit() else ""
    return bool(exact) and re.search(before + re.escape(exact) + after, shown) is not None
