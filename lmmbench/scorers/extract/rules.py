"""The rules, in order: the first that has something to say decides."""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from lmmbench.scorers.extract import words
from lmmbench.scorers.extract.claims import Claim, ends, sentence_end
from lmmbench.scorers.extract.mentions import Group, heads_line, key
from lmmbench.scorers.extract.reading import TRIVIAL, Reading, scan
from lmmbench.scorers.numbers import with_digits

Found = frozenset[int] | Literal["refuse"] | None
"""What a rule found: the options named (one is an answer, more are `multi`), a refusal, or nothing to say."""


def _only(reading: Reading, start: int, end: int) -> Group | None:
    """The group that is all of a line or of the answer, but for interjections, endings and emoji."""
    at = bisect.bisect_left(reading.starts, start)
    if at == len(reading.groups) or not words.LEAD.fullmatch(reading.text, start, (group := reading.groups[at]).start):
        return None
    text, rest = reading.text, group.end
    ending = words.ENDING.match(text, rest) or words.SAID_OF.match(text, rest)
    rest = ending.end() if ending else rest
    if group.weak > 1 or group.gloss or group.verdict in ("no", "doubt") or group.end > end:
        return None
    among = words.AMONG.match(text, rest)
    hedged = among and len(group.units) > 1 and (at + 1 == len(reading.groups) or reading.starts[at + 1] >= end)
    return group if hedged or words.REST.fullmatch(text, rest, end) else None


def _bare(reading: Reading, claims: list[Claim]) -> Found:
    """The whole answer is an option: `B`, `2번이라예`, `② 상추`, `A 또는 B`."""
    group = _only(reading, 0, len(reading.text))
    return group.choices if group else None


def _claimed(rank: int) -> Callable[[Reading, list[Claim]], Found]:
    def last(reading: Reading, claims: list[Claim]) -> Found:
        return next((claim.choices for claim in reversed(claims) if claim.rank == rank), None)

    return last


def _last_line(reading: Reading, claims: list[Claim]) -> Found:
    """The last line or sentence is an option and nothing else; not where several lines are (a list)."""
    if not reading.lines or not (group := _only(reading, *reading.lines[-1])):
        return None
    first = _only(reading, *reading.lines[0])
    return group.choices | first.choices if first else group.choices


def _first_line(reading: Reading, claims: list[Claim]) -> Found:
    """The answer opens with an option: alone on its line, or `B. 상추 - 이유…`; not where a list goes on below."""
    if not reading.groups or not words.LEAD.fullmatch(reading.text, 0, (group := reading.groups[0]).start):
        return None
    alone = reading.lines and _only(reading, *reading.lines[0])
    if (not alone and not _opens(reading.text, group)) or group.verdict in ("no", "doubt"):
        return None
    heads = [other for other in reading.groups[1:] if "L" in other.kinds and heads_line(reading.text, other.start)]
    listed = [other for other in reading.groups[1:2] if TRIVIAL.fullmatch(reading.text, group.end, other.start)]
    beside = reading.groups[1:] if _is_topic(reading.text, group) else []
    if any(other.choices != group.choices and other.verdict != "no" for other in [*heads, *listed, *beside]):
        return None
    plain = next((claim.choices for claim in reversed(claims) if claim.rank == 1), group.choices)
    named = frozenset[int]().union(
        *(other.choices for other in reading.groups[1:] if other.kinds == "T" and other.verdict != "no")
    )
    apart = named if group.kinds == "L" and not alone and len(named) == 1 else frozenset[int]()
    return group.choices | (plain if alone else frozenset()) | apart


def _opens(text: str, group: Group) -> bool:
    """A firm label with punctuation after it, or a label with its own text, may open an explanation."""
    if len(group.units) > 1:
        return False
    whole = text.rstrip()[-1:] in tuple(".!다요)")
    if group.kinds != "L":
        return "L" in group.kinds and not group.gloss and (whole or not _is_particle(text, group))
    after = text[group.end : group.end + 2].strip()[:1]
    return group.weak == 0 and (after in tuple(",;-–—(\n") or (after in (".", ":") and whole))


def _is_particle(text: str, group: Group) -> bool:
    return bool(words.TOPIC.match(text, group.end))


def _is_topic(text: str, group: Group) -> bool:
    """`A. 부추는 …` goes on to speak of that option; broken off there, it chose nothing yet."""
    return bool(words.ABOUT.match(text, group.end))


def _named_texts(reading: Reading) -> list[Group]:
    """Options named by their own text, neither denied nor doubted, nor the gloss of a label (`A는 상추를…`)."""
    found = [group for group in reading.groups if "T" in group.kinds and group.verdict not in ("no", "doubt")]
    return [group for group in found if not _is_gloss(reading, group) and not _is_heading(reading.text, group)]


def _is_heading(text: str, group: Group) -> bool:
    """`A. 부추: 제주에서는 …` heads a line of a list, and chooses nothing."""
    return (
        group.kinds == "LT"
        and heads_line(text, group.start)
        and bool(re.match(r"\s?(?:[:→=]|[은는]\s)", text[group.end : group.end + 3]))
    )


def _is_gloss(reading: Reading, group: Group) -> bool:
    """An option's text in a sentence that speaks of a label just before (`A는 …, 부추를 뜻한다`) explains that label."""
    line = reading.text.rfind("\n", 0, group.start) + 1
    at = bisect.bisect_left(reading.starts, max(line, group.start - 60))
    here = bisect.bisect_left(reading.starts, group.start)
    labels = [other for other in reading.groups[at:here] if not other.weak and (other.gloss or "T" not in other.kinds)]
    listed = "L" in group.kinds and not group.verdict and _is_topic(reading.text, group)
    return group.gloss or listed or bool(labels and not labels[-1].verdict)


def _option_text(reading: Reading, claims: list[Claim]) -> Found:
    """Exactly one option is named by its own text, un-denied; not where the sentence only refuses to speak of it."""
    groups = _named_texts(reading)
    firm = [group for group in groups if group.verdict and len(group.units) == 1]
    named = frozenset[int]().union(*(group.choices for group in firm or groups))
    if len(named) != 1:
        return None
    said = any(group.verdict or ends(reading.text, group, sentence_end(reading, group.end)) for group in groups)
    return named if said or not words.REFUSAL.search(reading.masked) else None


def _option_value(reading: Reading, claims: list[Claim]) -> Found:
    """The options are numbers and one is named in other writing: `세 명입니다` for `3명`, `만 원` for `10,000원`."""
    options = [with_digits(option) for option in reading.options]
    text = with_digits(reading.text)
    if not any(map(str.isdigit, "".join(options))) or (text == reading.text and options == list(reading.options)):
        return None
    return _option_text(scan(text, options), claims)


_INFLECTION = re.compile(
    unicodedata.normalize("NFD", r"(?:음|다|습니다|어요?|아요?|네요?|음입니다|음이다)$") + "|\u11b8니다$"
)
_NO_PARTICLE = re.compile(r"[이가은는도](?=없|있|아니)")


def _stem(key: str) -> str:
    """`정답이없습니다`, `정답없음`: the same predicate in another form; empty for what does not end as one."""
    stem, cut = _INFLECTION.subn("", unicodedata.normalize("NFD", _NO_PARTICLE.sub("", key)))
    return stem if cut else ""


def _inflected(reading: Reading, claims: list[Claim]) -> Found:
    """The whole answer is one option's predicate in another form: `알 수 없습니다` for the option `알 수 없음`."""
    stem = _stem(key(reading.text.strip()))
    same = [number for number, option in enumerate(reading.options, 1) if stem and _stem(key(option)) == stem]
    return frozenset(same) or None


def _refusal(reading: Reading, claims: list[Claim]) -> Found:
    """The answer says that it will not or cannot answer, outside any option's own text."""
    return "refuse" if words.REFUSAL.search(reading.masked) else None


def _several(reading: Reading, claims: list[Claim]) -> Found:
    """Two options or more are named side by side or by their texts, but not the whole list."""
    sizes = range(2, max(3, reading.count))
    joined = [group for group in reading.groups if len(group.choices) in sizes and not group.gloss]
    hedged = [group for group in joined if group.verdict not in ("no", "doubt")]
    named = frozenset[int]().union(*(group.choices for group in hedged or _named_texts(reading)))
    return named if len(named) > 1 and (hedged or len(named) < reading.count) else None


RULES: tuple[tuple[str, Callable[[Reading, list[Claim]], Found]], ...] = (
    ("bare-label", _bare),  # the whole answer is a label (with its text, an ending)
    ("final-marker", _claimed(3)),  # 최종 정답: B
    ("marker", _claimed(2)),  # 정답은 B, B가 정답입니다, 다시 보니 B가 맞습니다, 고르자면 B
    ("last-line", _last_line),  # …라는 뜻이다.\nB
    ("first-line", _first_line),  # B. 상추 - 이유: …
    ("statement", _claimed(1)),  # 저는 B라고 생각합니다
    ("option-text", _option_text),  # 상추를 뜻하는 말입니다
    ("option-value", _option_value),  # 세 명입니다, where `3명` is an option
    ("option-form", _inflected),  # 정답이 없습니다, where `정답 없음` is an option
    ("refusal", _refusal),  # 답변하기 어렵습니다
    ("several", _several),  # A 또는 B, 부추이거나 상추
)
