"""Open questions with a closed set of right answers (abbreviations, cloze words, numbers): 1 when the answer is one.

Both sides are brought to one form (`text.bare`; the card's `normalise` names the steps). Beyond that an answer may be
the gold and one closed ending (서울입니다, 서울이요, 서울은): anchored on the gold, so that nothing of a word is ever cut;
or the gold's number in other writing (스물세 마리, 23마리, 3만 5천 원, ₩35,000) or in another unit of its kind (1 km, 1,000 m).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.hangul import is_syllable, parts
from lmmbench.scorers import Grade, Scorer, numbers
from lmmbench.scorers.text import DEFAULT_STEPS, bare, clean
from lmmbench.types import Item

VERSION = 3
_MARKED = re.compile(
    r"(?:최종\s*)?(?:정답|답변?|answer)(?:[\s*_\])】]*(?:은|는)?[\s*_]*[:：]\s*|[은는]\s+| is\s+)(.+)", re.IGNORECASE
)
_AFTER_CONSONANT = [
    "이다",
    "이요",
    "이야",
    "이에요",
    "이라고합니다",
    "이란뜻입니다",
    "이라는뜻입니다",
    "이라는말입니다",
    "을뜻합니다",
    "을의미합니다",
    "을말합니다",
    "은",
    "을",
]
_AFTER_VOWEL = [
    "다",
    "요",
    "야",
    "예요",
    "라고합니다",
    "란뜻입니다",
    "라는뜻입니다",
    "라는말입니다",
    "를뜻합니다",
    "를의미합니다",
    "를말합니다",
    "는",
    "를",
]
_AFTER_ANY = [
    "입니다",
    "입니다만",
    "임",
    "이옵니다",
    "이예요",
    "에요",
    "인것같습니다",
    "인것같아요",
    "일것입니다",
    "의줄임말입니다",
    "의준말입니다",
    "의줄임말",
    "의준말",
    "의뜻입니다",
    "라는뜻",
    "이라는뜻",
]
ENDINGS = frozenset([*_AFTER_CONSONANT, *_AFTER_VOWEL, *_AFTER_ANY])
"""What may follow the right answer without changing it, without spaces."""


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """1 when the whole answer, or the part that its marker or its last line gives, is one of the targets."""
    steps = tuple(params.get("normalise", DEFAULT_STEPS))
    shown = "\n".join(map(clean, answer.splitlines()))
    if any(bare(shown, steps) == gold for gold in _golds(item, steps)):
        return Grade(1.0, shown, "ok", "whole")
    said, rule = _said(shown)
    if not bare(said, steps):
        return Grade(0.0, None, "none")
    return Grade(float(any(same(said, target, steps) for target in item.targets)), said, "ok", rule)


def _golds(item: Item, steps: tuple[str, ...]) -> list[str]:
    return [gold for target in item.targets if (gold := bare(target, steps))]


def same(said: str, target: str, steps: Sequence[str] = DEFAULT_STEPS) -> bool:
    """Whether `said` is the target: in the same form, with a closed ending, or as the same number."""
    got, gold = bare(said, tuple(steps)), bare(target, tuple(steps))
    if not gold or got == gold:
        return bool(gold)
    if got.startswith(gold) and _may_follow(gold, got[len(gold) :]):
        return True
    if numbers.value(gold) is None or (len(gold) == 1 and not gold.isdigit()):  # 사 may be four, or a word
        return False
    stems = [got, *(got.removesuffix(ending) for ending in ENDINGS if got.endswith(ending))]
    return any(numbers.same(stem, gold) for stem in stems)


def _may_follow(gold: str, ending: str) -> bool:
    """A closed ending that agrees with the gold's last sound; after a single syllable only one that no word ends in:
    게임 is not 게, 사이다 not 사, 마을 not 마."""
    if ending not in ENDINGS:
        return False
    last = gold[-1]
    if not is_syllable(last):
        return True
    closed = parts(last)[2] != ""
    agrees = ending not in (_AFTER_VOWEL if closed else _AFTER_CONSONANT)
    if len(gold) == 1:
        return agrees and len(ending) > 1
    return agrees or len(ending) > 1


def _said(answer: str) -> tuple[str, str]:
    """The part of an answer that counts: after the last `정답:`, else the last line that is not empty."""
    marked = _MARKED.findall(answer)
    if marked:
        return marked[-1].strip(), "marker"
    lines = [line.removeprefix("- ").strip() for line in answer.splitlines() if line.strip()]
    return (lines[-1], "whole" if len(lines) == 1 else "last-line") if lines else ("", "")


def _metric_id(params: Mapping[str, Any]) -> str:
    return f"exact-ko@{VERSION}|norm:{'+'.join(params.get('normalise', DEFAULT_STEPS))}|numbers:yes|units:metric+time|endings:anchored"


SCORER = Scorer("exact", _metric_id, grade, lambda item, order: list(item.targets), "open")
