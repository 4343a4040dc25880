"""Read which option a model chose from its free-text answer to a closed question.

The way of an answer: `clean` (what is markup, thinking or a look-alike character goes), `read` (where is an option
named, and is it affirmed or denied there), then `RULES` in order: the first rule that has something to say decides.
No rule guesses: two options that stand side by side are `multi`, nothing found is `none`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lmmbench.scorers.extract.asked import ASKED_WRONG, ASKS_WRONG, FIT
from lmmbench.scorers.extract.clean import HEAD

EXTRACTOR_VERSION = 3

Status = Literal["ok", "multi", "none", "refuse"]


class Extraction(NamedTuple):
    """What was read. `choice` is the 1-based number of the option as shown, and stands only with status ok."""

    status: Status
    choice: int | None
    rule: str


def _fast(answer: str, options: Sequence[str]) -> Extraction | None:
    """The commonest answers by one anchored pattern, only where no option's text could be part of such an answer."""
    match = _FAST.fullmatch(answer) if len(answer) < 32 else _fast_marker(answer) or _fast_statement(answer, options)
    if not match or not all(map(_FAST_OPTION.search, options)) or _CONJOINING.search("".join(options)):
        return None
    label = match["label"]
    number = int(label) if label.isdecimal() else ord(label) - ord("A") + 1
    if number > len(options) or (match["text"] and match["text"] != options[number - 1]):
        return None
    if match.re is _FAST_STATEMENT:
        return Extraction("ok", number, "statement")
    rule = "final-marker" if match["final"] else "marker" if match["marker"] else "bare-label"
    return Extraction("ok", number, rule)


def _fast_marker(answer: str) -> re.Match[str] | None:
    """`정답: B`, `따라서 정답은 **B. 상추**입니다.` where its line ends there, no markup is in the text, and no word
    after it could be another claim."""
    at = answer.rfind("정답")
    if at < 0 or len(answer) > HEAD or _OVERRULES.search(answer) or _NO_MORE.fullmatch(answer):
        return None
    match = _FAST_MARKER.match(answer, at)
    return None if match is None or _CLAIMS_AGAIN.search(answer, match.end()) else match


def _fast_statement(answer: str, options: Sequence[str]) -> re.Match[str] | None:
    """`그래서 저는 B라고 생각합니다.` at the end, where no markup is in the text, no word before it could be a claim that
    outranks it, and the answer does not open with an option."""
    match = _FAST_STATEMENT.search(answer, max(0, len(answer) - 64))
    if (
        match is None
        or len(answer) > HEAD
        or _OVERRULES.search(answer)
        or _CLAIMS_AGAIN.search(answer, 0, match.start())
    ):
        return None
    opening = _OPENING.match(answer)
    if opening is None or opening["first"] in "".join(options) or not all(map(_STATED_OPTION.search, options)):
        return None
    from lmmbench.scorers.extract.words import LABEL, LEAD

    at = opening.start("first")
    lead = LEAD.match(answer, at)
    named = LABEL.match(answer, at) or (lead and lead.end() > at) or _CONJOINING.search(answer)
    return None if named else match


_FAST = re.compile(
    r"(?:(?P<final>최종 )?(?P<marker>정답|답)(?: ?: ?|은 | ))?\(?(?P<label>[A-J]|10|[1-9])(?:\)|번)?(?P<text>)(?:입니다)?\.?\n?"
)
_FAST_MARKER = re.compile(
    r"(?<![^\s*])(?<![^\s*]\*)(?<![^\s*]\*\*)(?<![^\s*]\*\*\*)(?P<final>)(?P<marker>정답)(?:\*{0,2}: ?|은 )\*{0,2}(?P<label>[A-J])(?:\. (?P<text>[가-힣]{1,20}))?\*{0,2}"
    r"(?:(?<=[A-J가-힣*])입니다)?\.?\*{0,2}(?=\s*\n|\s*\Z)"
)
_FAST_STATEMENT = re.compile(
    r"(?<!\S)(?:따라서|그러므로|그래서),? (?:저는 )?\*{0,2}(?P<label>[A-J])(?P<text>)\*{0,2}(?:이?라고 (?:생각|판단)합니다|입니다)\.?\*{0,2}\s*\Z"
)
_OPENING = re.compile(r"[\s*'\"‘“]*(?P<first>[가-힣])[가-힣]+ [가-힣]{2}")
# every branch begins with a plain letter, and so the search looks for these letters only
_OVERRULES = re.compile(r"<|>|\[|\]|\{|\}|\||\\|◁|▷|~|최종|결론|f(?i:inal)|F(?i:inal)")
_NO_MORE = re.compile(r"\s*정답: ?[A-J]\.?", re.IGNORECASE)
_CLAIMS_AGAIN = re.compile(
    r"[답✅✔✓☑⭕◯🟢○◎]|[A-Za-z]{2}|[A-J]\W*(?:\n|\Z)|\bO\b|선택|나머지|[자으다라하르]면|다시|아니|아뇨|아냐|아차?[.,!…]|앗|정정|수정|사실|실은|실제|오히려|잠깐|잠시"
    rf"|{FIT} "
)
_FAST_OPTION = re.compile(r"[가-힣](?<![최종정답은번입니다])|[K-Zk-z]")
_STATED_OPTION = re.compile(r"[가-힣](?<![따라서그러므로래저는이고생각판단합니다입])|[K-Zk-z]")
_CONJOINING = re.compile(r"[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")


def _settled(found: frozenset[int] | Literal["refuse"], rule: str) -> Extraction:
    if found == "refuse":
        return Extraction("refuse", None, rule)
    return Extraction("ok", min(found), rule) if len(found) == 1 else Extraction("multi", None, rule)


def _decide(answer: str, options: Sequence[str]) -> Extraction:
    """By the rules. They are loaded with the first answer that needs them: their vocabulary takes 0.1 s to compile."""
    from lmmbench.scorers.extract.claims import claims_of
    from lmmbench.scorers.extract.reading import read
    from lmmbench.scorers.extract.rules import RULES

    reading = read(answer, options)
    claims = claims_of(reading)
    for name, rule in RULES:
        if found := rule(reading, claims):
            return _settled(found, name)
    return Extraction("none", None, "")


def extract_choice(answer: str, options: Sequence[str], question: str = "") -> Extraction:
    """Which of the 2 to 10 options (as shown, first is 1) a free-text answer chooses; never a guess, never an error.

    Only the question tells whether `옳지 않은 것은 C입니다` chooses C: where it asks for the wrong one, it does.
    """
    if ASKS_WRONG.search(question):
        answer = ASKED_WRONG.sub("정답", unicodedata.normalize("NFC", answer))
    return _fast(answer, options) or _decide(answer, options)
