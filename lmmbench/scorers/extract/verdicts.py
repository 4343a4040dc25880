"""What a clause says of the option that it names: denied, doubted, called the answer, affirmed, or simply said."""

from __future__ import annotations

import re

from lmmbench.scorers.extract import words
from lmmbench.scorers.extract.mentions import Group, heads_line

_CLAUSE = re.compile(r"[^\n.!?;]{0,80}\??")
_TAKEN_BACK = re.compile(r"지만|으나|않|못|없|어렵|했는데|았는데")


def judge(text: str, groups: list[Group]) -> list[Group]:
    """Set each group's verdict, from the clause up to the next group."""
    for at, group in enumerate(groups):
        group.verdict = _verdict(text, group, groups[at + 1].start if at + 1 < len(groups) else len(text))
    return groups


def _verdict(text: str, group: Group, stop: int) -> str:
    if words.DENIED_BEFORE.search(text[max(0, group.start - 24) : group.start]):
        return "no"
    if at_line_end := _line_verdict(text, group):
        return at_line_end
    clause = _CLAUSE.match(text, group.end, min(stop, len(text)))
    rest = clause[0] if clause else ""
    if words.DENIED_DIRECTLY.match(text, group.end, stop):
        return "no"
    if words.AFFIRMED_DIRECTLY.match(text, group.end, stop):
        return "yes"
    found = words.VERDICT.search(rest)
    ending = words.ENDING.match(text, group.end)
    if ending and (not found or (found.lastgroup in ("yes", "answer") and found.start() > 0)) and "?" not in rest[-1:]:
        return "doubt" if _TAKEN_BACK.search(ending[0]) else "said"
    if found and found.lastgroup in ("answer", "yes") and not _may_affirm(group, rest[: found.start()]):
        return ""
    return str(found.lastgroup) if found else ""


def _line_verdict(text: str, group: Group) -> str:
    """`- B: 상추는 부루입니다. (정답)`: the judgement in brackets that closes the line an option heads."""
    if "L" not in group.kinds or not heads_line(text, group.start):
        return ""
    end = text.find("\n", group.end, group.end + 300)
    found = words.LINE_JUDGEMENT.search(text[group.end : end if end >= 0 else group.end + 300][-16:])
    return "" if not found else "answer" if found[1] in ("정답", "O") else "no"


def _may_affirm(group: Group, between: str) -> bool:
    """A label may be affirmed from afar (`B는 …므로 적절하다`); an option's text only from next to it."""
    if "L" in group.kinds and not group.weak:
        return True
    if "T" in group.kinds:
        return bool(words.TIGHT.fullmatch(between))
    return bool(re.fullmatch(r"\s?[가이를을]\s.{0,6}", between))
