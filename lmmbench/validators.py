"""Rules that a pack's items must keep; `lmmbench check` runs them all, offline. One by one, with reasons: docs/rules.md.

A rule is a function of a pack's items that yields a `Problem` for each breach. Rules see plain items and
know nothing of models. The reasons behind them (position bias, length bias, leaks, normal forms) are the
known flaws of published Korean benchmarks.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lmmbench.doors import read_yaml
from lmmbench.guessers import bound, closed, gold_index, guesses
from lmmbench.hangul import initials, parts, rotated, squeeze, substituted
from lmmbench.types import Item

Problems = Iterator["Problem"]

ATTESTATIONS = ("page", "corpus", "lexicon", "arithmetic", "recall")
"""Kinds of evidence, best first; an item's attestation is the best kind that it has."""

NO_ANSWER = "정답 없음"
_ALL_OR_NONE = re.compile(
    r"^(?:위의?\s*)?(?:것\s*)?(?:모두|전부|다|없음|정답\s*없음|해당\s*없음)(?:\s*(?:맞음|아님|정답))?$"
)
_CONJOINING = re.compile(r"[ᄀ-ᇿꥠ-꥿ힰ-퟿]")
_QUOTED_JOSA = re.compile(
    r"[‘“『「'\"][^‘’“”『』「」'\"\n]*?([가-힣])[’”』」'\"]"
    r"(이라는|라는|이라고|라고|이란|란|이나|나|이랑|랑|으로|로|을|를|은|는|과|와|이|가)(?=[\s,.?!]|$)"
)
_WITH_FINAL = {"을", "은", "과", "이", "이라는", "이라고", "이란", "이나", "이랑"}
_OPEN_JOSA = re.compile(r"(?:을\(를\)|를\(을\)|은\(는\)|는\(은\)|이\(가\)|가\(이\)|과\(와\)|와\(과\)|\(으\)로)")
_CANARY = re.compile(r"^canary:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A breach of one rule: the item (or "" for the pack), the rule's name and one sentence."""

    item_id: str
    rule: str
    text: str


def texts(item: Item) -> Iterator[str]:
    """Every text of an item that a model or a reader sees."""
    yield from item.fields.values()
    yield from item.options
    yield from item.targets
    yield from item.tags
    yield item.provenance.claim


def is_closed(item: Item) -> bool:
    return bool(item.options)


def stem(item: Item) -> str:
    """What stands before the options, without white space."""
    return squeeze(" ".join(item.fields.values()))


def lexeme(item: Item) -> str:
    """The word that the item is about, "" where its cluster is no word: `lex:정구지` is 정구지."""
    return item.cluster_id.removeprefix("lex:") if item.cluster_id.startswith("lex:") else ""


# --- one item at a time ------------------------------------------------------------------------------


def normal_form(items: Sequence[Item]) -> Problems:
    """All text is NFC, without U+FFFD, and without conjoining jamo unless tagged as old Hangul."""
    for item in items:
        for text in texts(item):
            if not unicodedata.is_normalized("NFC", text):
                yield Problem(item.id, "normal-form", f"text is not in Unicode NFC: {text[:30]!r}")
            elif "�" in text:
                yield Problem(item.id, "normal-form", "text holds U+FFFD, the mark of a broken character")
            elif _CONJOINING.search(text) and "orthography:old_hangul" not in item.tags:
                yield Problem(item.id, "normal-form", "conjoining jamo are for items tagged orthography:old_hangul")


def options_and_gold(items: Sequence[Item]) -> Problems:
    """Options are distinct, the gold is one of them, and all-or-none options stand in `reject` items only."""
    for item in items:
        if not is_closed(item):
            continue
        if not all(squeeze(o) for o in item.options):
            yield Problem(item.id, "options", "an option is empty")
        if len({squeeze(o) for o in item.options}) != len(item.options):
            yield Problem(item.id, "options", "two options are the same text")
        if len(item.targets) != 1 or item.targets[0] not in map(str, range(1, len(item.options) + 1)):
            yield Problem(item.id, "gold", f"targets must hold the number of one option, 1 to {len(item.options)}")
        if item.type != "reject" and any(_ALL_OR_NONE.match(o) for o in item.options):
            yield Problem(item.id, "options", "an all-or-none option is allowed in type reject only")


def no_leak(items: Sequence[Item]) -> Problems:
    """The answer's text does not stand in the question."""
    for item in items:
        if is_closed(item) and item.type != "reject" and item.targets[0].isdigit():
            gold, shown = squeeze(item.options[gold_index(item)]), squeeze(" ".join(item.fields.values()))
            if len(gold) > 1 and gold in shown and not all(squeeze(o) in shown for o in item.options):
                yield Problem(item.id, "leak", "the right option's text stands in the question, the others' do not")
        elif item.type in ("expand", "restore", "produce"):
            shown = squeeze(" ".join(item.fields.values()))
            if any(len(squeeze(t)) > 1 and squeeze(t) in shown for t in item.targets):
                yield Problem(item.id, "leak", "an accepted answer stands in the question or the source")


def evidence(items: Sequence[Item]) -> Problems:
    """Each item states a claim and evidence, and its attestation is the best kind of that evidence."""
    for item in items:
        kinds = [e.kind for e in item.provenance.evidence]
        if not item.provenance.claim.strip() or not kinds:
            yield Problem(item.id, "evidence", "provenance needs a claim and at least one piece of evidence")
            continue
        unknown = [k for k in kinds if k not in ATTESTATIONS]
        if unknown:
            yield Problem(item.id, "evidence", f"evidence kind {unknown[0]!r} is none of {', '.join(ATTESTATIONS)}")
        elif min(kinds, key=ATTESTATIONS.index) != item.provenance.attestation:
            best = min(kinds, key=ATTESTATIONS.index)
            yield Problem(
                item.id, "evidence", f"attestation is {item.provenance.attestation}, its best evidence is {best}"
            )
        for e in item.provenance.evidence:
            if e.kind in ("page", "corpus") and not (e.ref.strip() and e.quote.strip() and e.read_on):
                yield Problem(item.id, "evidence", f"evidence of kind {e.kind} needs ref, quote and read_on")


def canary(items: Sequence[Item]) -> Problems:
    """Every item of a pack carries the pack's one canary tag, so that a leaked copy can be recognised."""
    found = {t for i in items for t in i.tags if _CANARY.match(t)}
    if len(found) > 1:
        yield Problem("", "canary", f"a pack has one canary, this one has {len(found)}")
    for item in items:
        if sum(bool(_CANARY.match(t)) for t in item.tags) != 1:
            yield Problem(item.id, "canary", "tags need exactly one canary:<uuid>")


def particles(items: Sequence[Item]) -> Problems:
    """A particle after a quoted word agrees with its last syllable (을/를, 은/는, 이/가, 과/와, 으로/로 …), and none is
    left open, as in 을(를)."""
    for item in items:
        for text in (*item.fields.values(), *item.options):
            for match in _QUOTED_JOSA.finditer(text):
                if not _agrees(match[1], match[2]):
                    yield Problem(item.id, "particle", f"particle does not agree: {match[0][-12:]!r}")
            for left in _OPEN_JOSA.findall(text):
                yield Problem(item.id, "particle", f"a particle is left open: {left!r}; write the one that fits")


def _agrees(syllable: str, particle: str) -> bool:
    final = parts(syllable)[2]
    if particle in ("으로", "로"):
        return (particle == "으로") == (final not in ("", "ㄹ"))
    return bool(final) == (particle in _WITH_FINAL)


def letters(items: Sequence[Item]) -> Problems:
    """초성 and 야민정음 items are derivable: by U+AC00 arithmetic, by the declared table, by turning the paper."""
    for item in items:
        shown = squeeze(str(item.params.get("chosung", "")))
        if shown and shown not in stem(item):
            yield Problem(item.id, "chosung", f"the item declares {shown}, its text does not show it")
        for target in item.targets if shown else ():
            if initials(target) != shown:
                yield Problem(item.id, "chosung", f"초성 of {target!r} are {initials(target)}, the item shows {shown}")
        table = item.params.get("table")
        if isinstance(table, list) and table and not any(f in stem(item) for f in substituted(item.targets[0], table)):
            yield Problem(
                item.id, "yamin", "the first target does not become a text of the source by the declared table"
            )
        if item.params.get("rotation") and (rotated(item.targets[0]) or "\0") not in stem(item):
            yield Problem(item.id, "yamin", "the first target, turned by 180 degrees, is no text of the source")


_STEP = re.compile(r"([가-힣][가-힣 ]*?)\s*→\s*([가-힣ㄱ-ㅎ][가-힣ㄱ-ㅎ ]*)")


def arithmetic(items: Sequence[Item]) -> Problems:
    """Evidence of kind arithmetic is right: `제곧내 → ㅈㄱㄴ` by 초성, `대박 → 머박 (대→머)` by the table in brackets, what
    says 180도 by turning. What is written otherwise is left to readers."""
    for item in items:
        for e in item.provenance.evidence:
            for said, became in _false_steps(e.quote) if e.kind == "arithmetic" else ():
                yield Problem(item.id, "arithmetic", f"{said} does not become {became} by what the evidence says")


def _false_steps(quote: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"[,;](?![^(]*\))", quote):
        outside, _, inside = part.partition("(")
        table = _STEP.findall(inside)
        for said, became in (map(squeeze, step) for step in _STEP.findall(outside)):
            if re.fullmatch("[ㄱ-ㅎ]+", became):
                if initials(said) != became:
                    yield said, became
            elif "180" in quote:
                if rotated(said) != became:
                    yield said, became
            elif table and became not in substituted(said, table):
                yield said, became


def recall(items: Sequence[Item]) -> Problems:
    """An item that nothing but a writer's knowledge backs is asked only if two blind passes agreed with its gold. So is
    one whose best evidence is a lexicon's form, which says nothing of meaning, unless it asks for the region."""
    for item in items:
        if item.provenance.attestation == "recall" or (
            item.provenance.attestation == "lexicon" and item.type != "region"
        ):
            agreed, passes = blind_passes(item)
            if agreed < 2:
                yield Problem(
                    item.id,
                    "recall",
                    f"{agreed} of {passes} blind passes agreed, two must; ask again, or mark it disputed",
                )


def blind_passes(item: Item) -> tuple[int, int]:
    """How many blind answers agreed with the gold, and how many there were."""
    said = [c.get("agreed") is True for c in item.provenance.checks if c.get("kind") == "blind_answer"]
    return sum(said), len(said)


def lengths_apart(items: Sequence[Item]) -> Problems:
    """Options are about as long as each other: within 30 % of their mean or two characters of it, so that no length stands out.
    정답 없음 is as long as it is."""
    for item in items:
        sizes = [len(o) for o in item.options if squeeze(o) != squeeze(NO_ANSWER)]
        mean = sum(sizes) / max(1, len(sizes))
        if any(abs(size - mean) > max(2, 0.3 * mean) for size in sizes):
            yield Problem(item.id, "length", f"options of {sizes} characters; keep each within 30 % of their mean")


_SENTENCE = re.compile(r"[^.?!…]+[.?!…]?")
_TURN = re.compile(r"“([^“”]+)”")
_TO_ELDERS = re.compile(r"(?:습니다|습니까|십시오|으세요|하세요)[.?!…]?$")
_TO_JUNIORS = re.compile(r"(?:느냐|했냐|하냐|거라|어라|려무나)[.?!…]?$")


def speech_levels(items: Sequence[Item]) -> Problems:
    """Within one quoted turn nobody is spoken to both up and down. Only endings that cannot be anything else are read, so
    that musing aloud, quoting and dialect endings raise no alarm."""
    for item in items:
        for text in (*item.fields.values(), *item.options):
            for turn in _TURN.findall(text):
                sentences = [s.strip() for s in _SENTENCE.findall(turn)]
                if any(map(_TO_ELDERS.search, sentences)) and any(map(_TO_JUNIORS.search, sentences)):
                    yield Problem(item.id, "speech-level", f"one turn speaks both up and down: {turn[:30]!r}")


@cache
def dialect_words() -> Any:
    """dialect_words.yaml: `several_regions`, `standard`, `legends`."""
    return read_yaml(Path(__file__).with_name("dialect_words.yaml"))[0]


_PARTICLES = "(?:을|를|이|가|은|는|도|만|로|에|랑|하고|다가)?"


def regions(items: Sequence[Item]) -> Problems:
    """A `region` item holds no word that several of its regions have, and is not about a standard word; a legend is
    asked about in `reject` items only."""
    words = dialect_words()
    for item in items:
        if item.type != "reject" and lexeme(item) in words["legends"]:
            yield Problem(item.id, "region", f"{lexeme(item)} is a legend; only reject items may ask about it")
        if item.type != "region":
            continue
        if lexeme(item) in words["standard"]:
            yield Problem(item.id, "region", f"{lexeme(item)} is a standard word; it tells no region")
        text = " ".join(item.fields.values())
        for word, where in words["several_regions"].items():
            if re.search(f"(?<![가-힣]){word}{_PARTICLES}(?![가-힣])", text) and _many(where, item.options):
                known = "·".join(where) if isinstance(where, list) else f"{where} regions"
                yield Problem(item.id, "region", f"{word} is known in {known}; leave it out, or ask for its meaning")


def _many(where: int | list[str], options: Sequence[str]) -> bool:
    """Whether more than one option may be right; where the regions are only counted, that cannot be ruled out."""
    return isinstance(where, int) or sum(any(o.startswith(r) for r in where) for o in options) > 1


# --- all items together ------------------------------------------------------------------------------


def positions(items: Sequence[Item]) -> Problems:
    """The gold's positions are even: within stratum × type they differ by at most 1, within a stratum by 2."""
    cells: dict[tuple[str, str, int], Counter[int]] = defaultdict(Counter)
    for item in items:
        if is_closed(item):
            for part in (item.type, ""):
                cells[item.stratum, part, len(item.options)][gold_index(item)] += 1
    for (stratum, part, width), counts in cells.items():
        shown = [counts[p] for p in range(width)]
        if max(shown) - min(shown) > (1 if part else 2):
            where = f"{stratum} {part}".strip()
            yield Problem("", "positions", f"{where}, {width} options: gold positions {shown} are uneven")


def clusters(items: Sequence[Item]) -> Problems:
    """At most two items share a cluster (a lexeme, an ending, a text)."""
    for cluster, count in Counter(i.cluster_id for i in items).items():
        if count > 2:
            yield Problem("", "clusters", f"{cluster} has {count} items, two is the most")


def duplicates(items: Sequence[Item]) -> Problems:
    """No two items of different clusters ask nearly the same (edit distance below 3)."""
    from rapidfuzz.distance import Levenshtein

    asked = [(i, squeeze(" ".join([*i.fields.values(), *sorted(i.options)]))) for i in items]
    for n, (a, text_a) in enumerate(asked):
        for b, text_b in asked[n + 1 :]:
            near = abs(len(text_a) - len(text_b)) < 3 and Levenshtein.distance(text_a, text_b, score_cutoff=2) < 3
            if near and (a.cluster_id != b.cluster_id or text_a == text_b):
                yield Problem(a.id, "duplicate", f"asks nearly the same as {b.id}")


def lengths_of_golds(items: Sequence[Item]) -> Problems:
    """Where one option is the longest, or the shortest, it is not the gold more often than chance and two standard errors
    allow. Items where several are as long are left out: they would hide it."""
    for what, extreme in (("longest", max), ("shortest", min)):
        apart = [i for i in closed(items) if Counter(map(len, i.options))[extreme(map(len, i.options))] == 1]
        hits = sum(len(i.options[gold_index(i)]) == extreme(map(len, i.options)) for i in apart)
        if apart and hits / len(apart) > bound([1 / len(i.options) for i in apart]):
            yield Problem(
                "", "length", f"the gold is the {what} in {hits} of the {len(apart)} items that have one such option"
            )


ANSWERED_IN_WORDS = ("rewrite", "expand", "restore", "produce")


def giveaways(items: Sequence[Item]) -> Problems:
    """No closed item of a word tells, in its question or its right option, what an open item of that word asks for."""
    opened = [(i, set(_wanted(i)), stem(i)) for i in items if i.type in ANSWERED_IN_WORDS and not is_closed(i)]
    for item in closed(items):
        word, told = lexeme(item).removesuffix("다"), stem(item) + squeeze(item.options[gold_index(item)])
        for other, wanted, source in opened:
            if item.cluster_id == other.cluster_id or (len(word) > 1 and word in source):
                for text in sorted(t for t in wanted if t in told and t not in source):
                    yield Problem(other.id, "giveaway", f"{item.id} tells its answer {text!r}")


def _wanted(item: Item) -> Iterator[str]:
    """What an answer must hold: the key texts where there are some, else a whole target."""
    groups = item.params.get("must")
    texts = [t for group in groups for t in group] if isinstance(groups, list) else item.targets
    return (squeeze(str(t)) for t in texts if len(squeeze(str(t))) > 1)


def solvers(items: Sequence[Item]) -> Problems:
    """No heuristic solver beats chance by more than two standard errors."""
    for name, guess in guesses(items).items():
        if guess.share > guess.bound:
            yield Problem(
                "",
                "solver",
                f"the solver {name!r} gets {guess.share:.1%} of {guess.n} closed items, {guess.bound:.1%} is the most",
            )


RULES: tuple[Callable[[Sequence[Item]], Problems], ...] = (
    normal_form, options_and_gold, no_leak, evidence, recall, canary, particles, speech_levels, letters, arithmetic,
    regions, lengths_apart, lengths_of_golds, positions, clusters, giveaways, duplicates, solvers,
)  # fmt: skip


def problems(items: Iterable[Item]) -> list[Problem]:
    """Breaches of every rule by the active items. A gold that is out of range stops the rules that need one."""
    active = [i for i in items if i.status == "active"]
    found = list(options_and_gold(active))
    if any(p.rule == "gold" for p in found):
        return found
    return [p for rule in RULES for p in rule(active)]
