"""Open questions with a closed set of right answers (abbreviations, cloze words): 1 when the answer is one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.text import bare, clean
from lmmbench.types import Item

VERSION = 1
_MARKED = re.compile(r"(?:최종\s*)?(?:정답|답)(?:[\s*_]*(?:은|는)?[\s*_]*[:：]\s*|은\s+)(.+)")
# What may follow the right answer without changing it. Anchored on the gold: 사과 is never cut to 사.
_ENDINGS = frozenset(
    [
        "입니다",
        "이다",
        "다",
        "임",
        "이에요",
        "예요",
        "이예요",
        "에요",
        "요",
        "이야",
        "야",
        "이라는뜻입니다",
        "라는뜻입니다",
        "을뜻합니다",
        "를뜻합니다",
        "을의미합니다",
        "를의미합니다",
        "의줄임말입니다",
        "의준말입니다",
        "의줄임말",
        "의준말",
        "라고합니다",
        "이라고합니다",
        "이옵니다",
    ]
)


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """1 when the answer, in its bare form, is a target, or a target and one of the closed endings."""
    said, rule = _said("\n".join(map(clean, answer.splitlines())))
    if not bare(said):
        return Grade(0.0, None, "none")
    got = bare(said)
    right = any(got == t or (got.startswith(t) and got[len(t) :] in _ENDINGS) for t in map(bare, item.targets))
    return Grade(float(right), said, "ok", rule)


def _said(answer: str) -> tuple[str, str]:
    """The part of an answer that counts: after the last `정답:`, else the last line that is not empty."""
    marked = _MARKED.findall(answer)
    if marked:
        return marked[-1].strip(), "marker"
    lines = [line.removeprefix("- ").strip() for line in answer.splitlines() if line.strip()]
    return (lines[-1], "whole" if len(lines) == 1 else "last-line") if lines else ("", "")


SCORER = Scorer("exact", lambda: f"exact-ko@{VERSION}", grade, lambda item, order: list(item.targets), "open")
