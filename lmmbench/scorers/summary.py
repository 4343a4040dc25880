"""Summaries: the share of a document's key facts that are stated within the length limit, less one for each trap
that was fallen into. Character ROUGE against the reference, length and copying stand beside the score.

ROUGE: Lin 2004 (W04-1013), on NFC characters without spaces and punctuation; never `rouge_score` with its default
tokenizer, which drops all Hangul.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.text import clean, holds, letters, spaceless
from lmmbench.types import Item

VERSION = 1


def rouge_n(text: str, reference: str, n: int) -> float:
    """ROUGE-n F1 over character n-grams, in 0…1."""
    a, b = letters(text), letters(reference)
    grams_a = Counter(a[i : i + n] for i in range(len(a) - n + 1))
    grams_b = Counter(b[i : i + n] for i in range(len(b) - n + 1))
    return _f1(sum((grams_a & grams_b).values()), grams_a.total(), grams_b.total())


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F1: longest common subsequence of characters, in 0…1."""
    from rapidfuzz.distance import LCSseq

    a, b = letters(text), letters(reference)
    return _f1(LCSseq.similarity(a, b), len(a), len(b))


def _f1(common: int, size_a: int, size_b: int) -> float:
    return 2 * common / (size_a + size_b) if size_a + size_b else 0.0


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """(facts found - traps hit) / facts, at least 0. What stands past the item's `limit` of characters is not read,
    so that copying the document cannot win."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    limit = int(item.params.get("limit", 10**9))
    read = spaceless(said[:limit])
    facts = [any(holds(read, s) for s in group) for group in item.params.get("facts", ())]
    traps = sum(any(holds(read, s) for s in group) for group in item.params.get("traps", ()))
    score = max(0.0, (sum(facts) - traps) / len(facts)) if facts else 0.0
    reference = item.targets[0]
    aux = {
        "facts": sum(facts), "of": len(facts), "traps": traps, "characters": len(said), "over_limit": len(said) > limit,
        "rouge1_char": rouge_n(said, reference, 1), "rouge2_char": rouge_n(said, reference, 2),
        "rougeL_char": rouge_l(said, reference),
    }  # fmt: skip
    return Grade(score, said, aux=aux)


SCORER = Scorer(
    "summary",
    lambda: f"key-facts@{VERSION}|rouge-char@{VERSION}",
    grade,
    lambda item, order: list(item.targets),
    "open",
)
