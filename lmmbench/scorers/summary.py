"""Summaries: the share of a document's key facts that are stated within the length limit, less one for each trap that
was fallen into. Character ROUGE, length, copying and the share of Hangul stand beside the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.scorers import Grade, Scorer, facts, overlap
from lmmbench.scorers.text import clean, hangul_share
from lmmbench.types import Item

VERSION = 3


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """(facts found - traps hit) / facts, at least 0. What stands past the item's `limit` of characters is not read,
    so that copying the document cannot win."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    limit = int(item.params.get("limit", 10**9))
    stated = facts.found(said[:limit], item.params.get("facts", ()))
    traps = sum(facts.found(said[:limit], item.params.get("traps", ())))
    score = max(0.0, (sum(stated) - traps) / len(stated)) if stated else 0.0
    document = item.fields.get("document", "")
    aux = {
        "facts": sum(stated), "of": len(stated), "traps": traps, "characters": len(said), "over_limit": len(said) > limit,
        **overlap.rouges(said, item.targets[0]), "copied_grams": overlap.copied_grams(said, document),
        "copied_run": overlap.copied_run(said, document), "hangul_share": hangul_share(said),
    }  # fmt: skip
    return Grade(score, said, aux=aux)


SCORER = Scorer(
    "summary",
    lambda params: (
        f"key-facts@{VERSION}|rouge-char@{overlap.VERSION}|copy:char{overlap.COPY_GRAM}|norm:nfc+width+space+digits"
    ),
    grade,
    lambda item, order: list(item.targets),
    "open",
)
