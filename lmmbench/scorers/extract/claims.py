"""Claims: where an answer says "this one", by a marker (`정답은 B`) or by affirming an option where it stands."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from typing import NamedTuple

from lmmbench.scorers.extract import words
from lmmbench.scorers.extract.clean import HANGUL_LABELS
from lmmbench.scorers.extract.mentions import Group
from lmmbench.scorers.extract.reading import Reading

_LINE_START = re.compile(r"(?:^|\n)[^\n가-힣A-Za-z0-9]*(?:\d[.)] ?)?[^\n가-힣A-Za-z0-9]*\Z")


class Claim(NamedTuple):
    """Somewhere the answer says which option it chooses: 3 finally, 2 by a marker, 1 by a plain statement."""

    at: int
    rank: int
    choices: frozenset[int]


def claims_of(reading: Reading) -> list[Claim]:
    """Every claim, in the order of the text. A statement after a correction outweighs the claim that it corrects:
    `정답은 A... 아, 잠깐만요. B입니다.`"""
    found = sorted([*_marked_claims(reading), *_judged_claims(reading)], key=lambda claim: claim.at)
    for at, claim in enumerate(found[1:], 1):
        since = reading.text[max(found[at - 1].at, claim.at - 160) : claim.at]
        if claim.rank == 1 and found[at - 1].rank == 2 and words.CORRECTION.search(since):
            found[at] = claim._replace(rank=2)
    return found


def _marked_claims(reading: Reading) -> Iterator[Claim]:
    """What stands after a marker (`정답은 …`); nothing where the marker itself follows the option it speaks of."""
    for mark in words.MARK.finditer(reading.masked):
        if _belongs_back(reading, mark):
            continue
        rank = 3 if mark["final"] else 2
        if choices := _after_mark(reading, mark):
            yield Claim(mark.start(), rank, choices)


def _belongs_back(reading: Reading, mark: re.Match[str]) -> bool:
    """`B가 정답`, `B (정답)`: a marker without particle or colon right after an option says that of the option."""
    at = bisect.bisect_left(reading.starts, mark.start()) - 1
    if at < 0 or mark["says"] or re.match(r"[\s)\]]*[:=]", reading.text[mark.end() : mark.end() + 4]):
        return False
    return bool(
        re.fullmatch(
            r"(?:\s?[이가]\s| ?[(\[|→=>:-]+ ?| )(?:바로 )?", reading.text[reading.groups[at].end : mark.start()]
        )
    )


def _after_mark(reading: Reading, mark: re.Match[str]) -> frozenset[int] | None:
    at = bisect.bisect_left(reading.starts, mark.end())
    group = reading.groups[at] if at < len(reading.groups) else None
    direct = group is not None and group.start - mark.end() < 40 and _is_glued(reading, mark, group.start)
    if group and direct and _usable(reading.text, group):
        if len(group.choices) == reading.count > 2 and words.AMONG.match(reading.text, group.end):
            return None
        colon = not mark["says"]
        if (
            group.commas
            and len(group.units) > 1
            and words.TOPIC.match(reading.text, group.end)
            and (colon or group.verdict != "no")
        ):
            return group.units[0]
        if group.verdict not in ("no", "doubt"):
            later = _farther(reading, group.end) if _goes_on(reading.text, group) else None
            return later or group.choices
        return _farther(reading, group.end)
    glue = words.GLUE.match(reading.text, mark.end())
    far = (mark["says"] and mark["says"] != "을") or mark["picks"] or (glue and glue["colon"])
    return _farther(reading, mark.end()) if far else None


def _goes_on(text: str, group: Group) -> bool:
    """`정답은 A와 B 중 B`, `정답은 부추와 비슷한 상추`: what stands first only leads up to the answer."""
    leads = words.AMONG if group.verdict else words.LEADS_UP if group.kinds[-1] == "T" else words.LIKENED
    return bool(words.AMONG.match(text, group.end) or leads.match(text, group.end))


def _is_glued(reading: Reading, mark: re.Match[str], start: int) -> bool:
    """Only punctuation lies between marker and option; a line break too when the marker heads its line."""
    gap = reading.text[mark.end() : start]
    if words.GLUE.fullmatch(gap):
        return True
    over = words.GLUE_LINES.fullmatch(gap)
    if re.fullmatch(r"\. ?[(\[]?", gap) and mark.start() == 0:
        return True
    heads = _LINE_START.search(reading.text[max(0, mark.start() - 12) : mark.start()])
    return bool(over and (over["as"] or ":" in gap or heads))


def _usable(text: str, group: Group) -> bool:
    """A bare Hangul label after a marker must end there: `정답은 다` counts, `정답은 다 맞는다` does not."""
    if group.kinds != "L" or group.weak != 1 or text[group.end - 1] not in HANGUL_LABELS:
        return True
    return bool(words.CLOSED.match(text, group.end) or words.HANGUL_ATTACHED.match(text, group.end))


def _farther(reading: Reading, start: int) -> frozenset[int] | None:
    """The last option that the rest of the sentence says outright: `정답은 A가 아니라 B입니다`."""
    stop = sentence_end(reading, start)
    first, last = bisect.bisect_left(reading.starts, start), bisect.bisect_left(reading.starts, stop)
    for group in reversed(reading.groups[first:last][-40:]):
        if group.verdict in ("said", "answer", "yes") or (not group.verdict and ends(reading.text, group, stop)):
            return group.choices
    return None


def sentence_end(reading: Reading, start: int) -> int:
    """Where the sentence ends, at most 300 characters on."""
    return min(reading.stops[bisect.bisect_left(reading.stops, start)], start + 300)


def ends(text: str, group: Group, stop: int) -> bool:
    return group.weak < 2 and not text[group.end : stop].strip(' )]."')


def _judged_claims(reading: Reading) -> Iterator[Claim]:
    """Options that are affirmed where they stand: `B가 정답입니다`, `다시 보니 B가 맞습니다`, `저는 B라고 봅니다`."""
    text = reading.text
    for at, group in enumerate(reading.groups):
        before = text[max(0, group.start - 28) : group.start]
        closes = not group.verdict and ends(text, group, sentence_end(reading, group.end))
        contrasted = closes and at > 0 and _contrasted(text, reading.groups[at - 1], group)
        if group.verdict in ("answer", "yes", "said") or closes:
            stated = contrasted or _is_statement(group, before, closes)
            if group.verdict == "answer" or words.CORRECTED_BEFORE.search(before):
                yield Claim(group.start, 2, group.choices)
            elif stated:
                yield Claim(group.start, 1, group.choices)


def _contrasted(text: str, denied: Group, group: Group) -> bool:
    """`A 말고 C`, `A가 아니라 C`: the one that closes the sentence is meant."""
    return denied.verdict == "no" and bool(words.CONTRASTED_BEFORE.fullmatch(text, denied.end, group.start))


def _is_statement(group: Group, before: str, closes: bool) -> bool:
    """A firm label that is affirmed or said; an option's text only when affirmed; a bare one after `따라서`."""
    if closes:
        return group.weak < 2 and bool(words.SO_BEFORE.search(before))
    if group.gloss and group.verdict == "said":
        return False
    if "L" not in group.kinds:
        return group.verdict == "yes" or (len(group.units) == 1 and bool(words.SO_BEFORE.search(before)))
    return group.weak == 0
