"""Overlap of characters between two texts: ROUGE and copying. On NFC letters and digits (`text.letters`); spacing and
punctuation do not count, and Hangul does (`rouge_score` with its default tokenizer drops all of it)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.text import clean, hangul_share, letters
from lmmbench.types import Item

VERSION = 2
COPY_GRAM = 8
"""Characters: a run as long as three or four Korean words is copied, not found by chance."""


def rouge_n(text: str, reference: str, n: int) -> float:
    """ROUGE-n F1 over character n-grams, in 0…1 (Lin 2004, W04-1013)."""
    a, b = _grams(letters(text), n), _grams(letters(reference), n)
    return _f1(sum((a & b).values()), a.total(), b.total())


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F1: longest common subsequence of characters, in 0…1 (Lin 2004)."""
    from rapidfuzz.distance import LCSseq

    a, b = letters(text), letters(reference)
    return _f1(LCSseq.similarity(a, b), len(a), len(b))


def rouges(text: str, reference: str) -> dict[str, float]:
    """ROUGE-1, -2 and -L by the names that they have in `aux_json`."""
    return {
        "rouge1_char": rouge_n(text, reference, 1),
        "rouge2_char": rouge_n(text, reference, 2),
        "rougeL_char": rouge_l(text, reference),
    }


def copied_grams(text: str, source: str) -> float | None:
    """Share of the text's character 8-grams that stand in the source, 0…1; None for a text shorter than that."""
    grams = _grams(letters(text), COPY_GRAM)
    known = set(_grams(letters(source), COPY_GRAM))
    return sum(count for gram, count in grams.items() if gram in known) / grams.total() if grams else None


def copied_run(text: str, source: str) -> float | None:
    """The longest run of characters that text and source share, over the text's length, 0…1; None without letters."""
    a, b = letters(text), letters(source)
    low, high = 0, min(len(a), len(b))
    while low < high:  # a shared run of n implies one of n - 1
        n = (low + high + 1) // 2
        shared = not {b[i : i + n] for i in range(len(b) - n + 1)}.isdisjoint(
            a[i : i + n] for i in range(len(a) - n + 1)
        )
        low, high = (n, high) if shared else (low, n - 1)
    return low / len(a) if a else None


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _f1(common: int, size_a: int, size_b: int) -> float:
    return 2 * common / (size_a + size_b) if size_a + size_b else 0.0


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """Character ROUGE-L against the best target; ROUGE-1 and -2 against that target stand beside."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    best = max(item.targets, key=lambda target: rouge_l(said, target))
    aux = {**rouges(said, best), "hangul_share": hangul_share(said)}
    return Grade(aux["rougeL_char"] or 0.0, said, aux=aux)


ROUGE = Scorer(
    "rouge", lambda params: f"rougeL-char@{VERSION}|f1|tok:char|norm:nfc+letters+lower", grade, lambda item, order: list(item.targets), "open"
)  # fmt: skip
