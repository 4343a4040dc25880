"""Where an answer names an option: by a label (A, 2번, ㉯, 두 번째 보기) or by the option's own text, and which of these
belong together."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from lmmbench.hangul import is_syllable
from lmmbench.scorers.extract import words
from lmmbench.scorers.extract.clean import HANGUL_LABELS, JAMO_LABELS, plain

_SPACES = re.compile(r"\s+")
_GLOSS = re.compile(r"[은는이가]\s")
_LINE_HEADED = re.compile(r"(?:\A|\n)[\W_]*\Z")


class Mention(NamedTuple):
    """An option named in the text. `weak`: 0 by itself a label, 1 only where one is expected, 2 only after a marker."""

    start: int
    end: int
    choices: frozenset[int]
    kind: Literal["L", "T"]
    weak: int = 0


@dataclass(slots=True)
class Group:
    """Mentions that belong together: a label with its text, or several options named side by side (`units`).

    `commas`: nothing but commas between the units. `gloss`: a label explained by its text (`A는 부추를 뜻한다`).
    """

    start: int
    end: int
    units: list[frozenset[int]]
    kinds: str
    weak: int
    commas: bool = True
    gloss: bool = False
    verdict: str = ""

    @property
    def choices(self) -> frozenset[int]:
        return frozenset[int]().union(*self.units)


@lru_cache(maxsize=4096)
def key(option: str) -> str:
    """What options are compared by: plain, without spaces, lower case, no full stop at the end."""
    return _SPACES.sub("", plain(option)).lower().rstrip(".!?~。")


@lru_cache(maxsize=4096)
def _option_keys(options: tuple[str, ...]) -> list[tuple[str, re.Pattern[str], frozenset[int]]]:
    """Each different option text, the pattern that finds it whatever the spacing, and the options that read so; the
    longest first."""
    numbers: dict[str, set[int]] = {}
    for number, option in enumerate(options, 1):
        numbers.setdefault(key(option), set()).add(number)
    found = sorted(
        ((key, frozenset(members)) for key, members in numbers.items() if key), key=lambda p: (-len(p[0]), p[0])
    )
    return [(key, re.compile(r"\s*".join(map(re.escape, key))), members) for key, members in found]


def _wordlike(char: str) -> bool:
    return char.isalnum() or is_syllable(char)


def _stands_alone(text: str, start: int, end: int, key: str) -> bool:
    """An option's text is named only as a word: nothing of a word before it, a particle or an ending at most after."""
    if start and _wordlike(text[start - 1]) and _wordlike(text[start]):
        return False
    after = text[end : end + 1]
    if not after or not _wordlike(after) or not _wordlike(text[end - 1]):
        return True
    if not is_syllable(after):
        return not (after.isascii() and text[end - 1].isascii())
    if len(key) >= 6 or (len(key) > 3 and key[-1] in "다요음까"):
        return True
    return bool((words.ATTACHED if len(key) > 1 else words.HANGUL_ATTACHED).match(text, end))


def text_mentions(text: str, options: Sequence[str]) -> list[Mention]:
    """Where an option's own text stands, the longest first: a text inside another option's text is not named."""
    shown = text.lower()
    if len(shown) != len(text):  # İ becomes two characters: such ones stay as they are, so that places stay right
        shown = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    squeezed = "".join(shown.split())
    taken = bytearray(len(text))
    found: list[Mention] = []
    for key, pattern, choices in _option_keys(tuple(options)):
        for match in pattern.finditer(shown) if key in squeezed else ():
            start, end = match.span()
            if not taken[start] and not taken[end - 1] and _stands_alone(text, start, end, key):
                found.append(Mention(start, end, choices, "T"))
                taken[start:end] = b"\1" * (end - start)
    return sorted(found)


def _number(match: re.Match[str]) -> int:
    """The option's number that a label stands for, in whichever of the label systems it is written."""
    if match["latin"]:
        return ord(match["latin"].upper()) - ord("A") + 1
    if match["digit"]:
        return int(re.match(r"\d+", match["digit"])[0])  # type: ignore[index]
    for group, labels in (("sino", words.SINO), ("hangul", HANGUL_LABELS), ("jamo", JAMO_LABELS)):
        if match[group]:
            return labels.index(match[group]) + 1
    word = match["ordinal"].removesuffix(match["thing"] or "").replace("번째", "").strip().lower()
    return int(digits[0]) if (digits := re.match(r"\d+", word)) else words.ORDINALS.get(word, 0)


def _weakness(match: re.Match[str], text: str) -> int | None:
    """How far a label stands on its own (see Mention.weak); None where it is part of a word or an article."""
    attached = is_syllable(text[match.end() : match.end() + 1])
    if match["close"]:
        return 0 if match["open"] or match["noun"] or (match["latin"] or "").isupper() else 1
    if match["hangul"] and not match["beon"]:
        if attached:
            return 2 if words.HANGUL_ATTACHED.match(text, match.end()) else None
        return 0 if match["noun"] else 1
    if attached and not words.ATTACHED.match(text, match.end()) and not words.ENDING.match(text, match.end()):
        return None
    if match["latin"] and match["latin"] in "aAiI" and not match["noun"] and words.ARTICLE.match(text, match.end()):
        return None
    if match["sino"]:
        return 1
    return 0 if _is_firm(match, attached) else 1


def _is_firm(match: re.Match[str], attached: bool) -> bool:
    """Written so that it can only be a label: `B`, `2번`, `보기 2`, `ㄴ`, `두 번째 보기`, `2가`."""
    named = match["noun"] or match["beon"] or match["thing"] or match["counted_thing"] or match["jamo"]
    return bool(named or attached or (match["latin"] or "").isupper())


def label_mentions(text: str, count: int) -> list[Mention]:
    """Every label within the options' number; a last-option word (`마지막 보기`) is the last one."""
    found = []
    for match in words.LABEL.finditer(text):
        weak = _weakness(match, text)
        if weak is None:  # most often the first syllable of a word, such as 다른 or 나이
            continue
        last = (match["ordinal"] or "").lower().startswith(("마지막", "last"))
        number = count if last else _number(match)
        if 1 <= number <= count:
            found.append(Mention(match.start(), match.end(), frozenset({number}), "L", weak))
    return found


def without_overlap(labels: list[Mention], texts: list[Mention]) -> list[Mention]:
    """Labels inside an option's text are part of it; one that is the whole text counts for both readings."""
    kept = {mention.start: mention for mention in texts}
    starts = [mention.start for mention in texts]
    for label in labels:
        at = bisect.bisect_left(starts, label.end) - 1
        inside = texts[at] if at >= 0 and texts[at].end > label.start else None
        if inside is None:
            kept[label.start] = label
        elif label.end - label.start >= inside.end - inside.start:
            kept[inside.start] = label._replace(start=inside.start, choices=label.choices | inside.choices, kind="T")
    return [kept[start] for start in sorted(kept)]


def _link(text: str, group: Group, mention: Mention) -> str:
    """How a mention hangs together with the group before it: `pair`, `clash`, `join`, `comma` or not at all."""
    gap = text[group.end : mention.start]
    if len(gap) > 16:
        return ""
    if group.kinds[-1] != mention.kind:
        agreed = bool(group.units[-1] & mention.choices)
        if agreed and words.PAIR_AGREED.fullmatch(gap):
            return "pair"
        if not agreed and words.PAIR.fullmatch(gap) and _clashes(text, group, mention):
            return "clash"
    elif words.COMMA.fullmatch(gap):
        return "comma"
    return "join" if words.JOIN.fullmatch(gap) or (not gap and text[mention.start] in "([") else ""


def _clashes(text: str, group: Group, mention: Mention) -> bool:
    """`A. 상추` and `상추 (A)` say two things; `B. 부추와 달리…` and `상추, A는…` go on to something else."""
    if mention.kind == "L":
        return text[mention.start] in "([" and group.kinds[-2:] != "LT"
    rest = text[mention.end : mention.end + 24]
    return not words.DENIED_DIRECTLY.match(rest) and bool(words.CLOSED.match(rest) or words.ENDING.match(rest))


def grouped(text: str, mentions: list[Mention]) -> list[Group]:
    groups: list[Group] = []
    for mention in mentions:
        link = _link(text, groups[-1], mention) if groups else ""
        if not link:
            groups.append(Group(mention.start, mention.end, [mention.choices], mention.kind, mention.weak))
            continue
        group = groups[-1]
        gap = text[group.end : mention.start]
        group.end, group.weak = mention.end, min(group.weak, mention.weak)
        group.commas &= link != "join"
        group.gloss |= bool(group.kinds == "L" and _GLOSS.match(gap))
        if link == "pair":
            group.units[-1] &= mention.choices
        elif link == "clash":
            group.units[-1] |= mention.choices
        else:
            group.units.append(mention.choices)
        group.kinds += mention.kind
    return groups


def heads_line(text: str, start: int) -> bool:
    """Nothing but marks stands before it on its line."""
    return bool(_LINE_HEADED.search(text[max(0, start - 8) : start]))
