"""An answer read once: its plain text, every group of options that it names, and what is said of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lmmbench.scorers.extract.clean import clean
from lmmbench.scorers.extract.mentions import Group, Mention, grouped, label_mentions, text_mentions, without_overlap
from lmmbench.scorers.extract.verdicts import judge

_LINE_END = re.compile(r"[\n.!?](?:(?<=\n)\n*|(?<=[가-힣][다요까죠네음임유여][.!?])[.!?]*\s+)")
"""Line breaks, and the end of a closed Korean sentence. It begins with plain characters, so that the search is quick."""
_STOP = re.compile(r"[\n.!?](?:(?<!\.)|(?<!\.\.)(?=\s|$))")
_LIST_END = re.compile(r"[ ).\]|,]*(?:$|\n|(?:최종 )?정답|답|answer|중|[(]?[1Aㄱ가][).])", re.IGNORECASE)
TRIVIAL = re.compile(r"[\s,;/|·•().*\[\]>-]*")


@dataclass(frozen=True)
class Reading:
    """A clean answer, the options, what it names of them, and the text with the options' own texts blanked."""

    text: str
    options: tuple[str, ...]
    groups: list[Group] = field(default_factory=list)
    masked: str = ""

    @property
    def count(self) -> int:
        return len(self.options)

    @cached_property
    def starts(self) -> list[int]:
        return [group.start for group in self.groups]

    @cached_property
    def stops(self) -> list[int]:
        """Where sentences end, the whole text last; the full stop of `B.` ends nothing."""
        named = {group.end for group in self.groups}
        stops = [stop.start() for stop in _STOP.finditer(self.text)]
        return [*(at for at in stops if at not in named or not self.text[at + 1 : at + 3].strip()), len(self.text)]

    @cached_property
    def lines(self) -> list[tuple[int, int]]:
        """Where lines and closed Korean sentences begin and end, the empty ones left out."""
        cuts = [0, *(cut.end() for cut in _LINE_END.finditer(self.text)), len(self.text)]
        spans = itertools.pairwise(cuts)
        return [(start, end) for start, end in spans if self.text[start:end].strip(" \n|-*•·")]


def _masked(text: str, texts: list[Mention]) -> str:
    """The text with the options' own texts blanked, so that no marker or refusal is read inside one."""
    cuts = [0, *(edge for mention in texts for edge in (mention.start, mention.end)), len(text)]
    pieces = (text[a:b] if at % 2 == 0 else "\1" * (b - a) for at, (a, b) in enumerate(itertools.pairwise(cuts)))
    return "".join(pieces)


def scan(text: str, options: Sequence[str]) -> Reading:
    texts = text_mentions(text, options)
    mentions = without_overlap(label_mentions(text, len(options)), texts)
    return Reading(text, tuple(options), judge(text, grouped(text, mentions)), _masked(text, texts))


def _echoes(reading: Reading) -> list[tuple[int, int]]:
    """The spans of option lists that are only repeated: all options in order with nothing said between them."""
    spans: list[tuple[int, int]] = []
    run: list[Group] = []
    everything = [frozenset({number}) for number in range(1, reading.count + 1)]
    for group in reading.groups:
        following = run and TRIVIAL.fullmatch(reading.text, run[-1].end, group.start)
        run = [*run, group] if following and group.units == [{len(run) + 1}] else [group]
        whole = group.units == everything and len(group.kinds) == 2 * reading.count
        listed = len(run) == reading.count > 1 and run[0].units == [{1}]
        if (whole or listed) and not _followed(reading.text, group.end):
            spans.append((run[0].start, group.end))
            run = []
    return spans


def _followed(text: str, end: int) -> bool:
    """The last of a list is still only repeated when its line ends there; else something is said of it."""
    return not _LIST_END.match(text, end)


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    cuts = [0, *(edge for span in spans for edge in span), len(text)]
    return "\n\n".join(text[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True))


def read(answer: str, options: Sequence[str]) -> Reading:
    """Clean the answer, cut repeated option lists, and find every option named in what is left."""
    reading = scan(clean(answer), options)
    spans = _echoes(reading)
    return scan(_without(reading.text, spans), options) if spans else reading
