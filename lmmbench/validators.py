"""Rules that a pack's items must keep; `lmmbench check` runs them all, offline.

A rule is a function of a pack's items that yields a `Problem` for each breach. Rules see plain items and
know nothing of models. The reasons behind them (position bias, length bias, leaks, normal forms) are the
known flaws of published Korean benchmarks; docs/packs.md names them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

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
    r"[‘“『「'\"][^‘’“”『』「」'\"\n]*?([가-힣])[’”』」'\"](이라는|라는|을|를|은|는|과|와|이|가)(?=[\s,.?!]|$)"
)
_WITH_FINAL = {"을", "은", "과", "이", "이라는"}
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_CANARY = re.compile(r"^canary:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A breach of one rule: the item (or "" for the pack), the rule's name and one sentence."""

    item_id: str
    rule: str
    text: str


def squeeze(text: str) -> str:
    """NFC without white space: the form in which options and leaks are compared."""
    return "".join(unicodedata.normalize("NFC", text).split())


def texts(item: Item) -> Iterator[str]:
    """Every text of an item that a model or a reader sees."""
    yield from item.fields.values()
    yield from item.options
    yield from item.targets
    yield from item.tags
    yield item.provenance.claim


def is_closed(item: Item) -> bool:
    return bool(item.options)


def gold_index(item: Item) -> int:
    """0-based index of the right option of a closed item."""
    return int(item.targets[0]) - 1


def initials(word: str) -> str:
    """초성 of each Hangul syllable; any other character stands for itself (Unicode 3.12, U+AC00 arithmetic)."""
    return "".join(_INITIALS[(ord(c) - 0xAC00) // 588] if "가" <= c <= "힣" else c for c in squeeze(word))


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
    """A particle after a quoted word agrees with its last syllable (을/를, 은/는, 이/가, 과/와)."""
    for item in items:
        for text in (*item.fields.values(), *item.options):
            for match in _QUOTED_JOSA.finditer(text):
                final = (ord(match[1]) - 0xAC00) % 28 != 0
                if final != (match[2] in _WITH_FINAL):
                    yield Problem(item.id, "particle", f"particle does not agree: {match[0][-12:]!r}")


def letters(items: Sequence[Item]) -> Problems:
    """초성 and 야민정음 items are derivable: by U+AC00 arithmetic, by the declared table."""
    for item in items:
        shown = str(item.params.get("chosung", ""))
        for target in item.targets if shown else ():
            if initials(target) != squeeze(shown):
                yield Problem(item.id, "chosung", f"초성 of {target!r} are {initials(target)}, the item shows {shown}")
        table = item.params.get("table")
        if isinstance(table, list) and table and not any(_derives(item, t, table) for t in item.targets[:1]):
            yield Problem(
                item.id, "yamin", "the first target does not become a text of the source by the declared table"
            )


def _derives(item: Item, target: str, table: Sequence[Sequence[str]]) -> bool:
    """Some choice of the table's substitutions turns the target into a text that the source shows."""
    shown = squeeze(" ".join(item.fields.values()))
    forms = {squeeze(target)}
    for plain, played in table:
        forms |= {f.replace(plain, played) for f in forms} | {f.replace(plain, played, 1) for f in forms}
    return any(f in shown for f in forms - {squeeze(target)})


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


Solver = Callable[[Item], int]


def _overlap(item: Item) -> int:
    stem = set(" ".join(item.fields.values()))
    return max(
        range(len(item.options)), key=lambda i: len(stem & set(item.options[i])) / max(1, len(set(item.options[i])))
    )


SOLVERS: dict[str, Solver] = {
    "always first": lambda item: 0,
    "longest": lambda item: max(range(len(item.options)), key=lambda i: len(item.options[i])),
    "shortest": lambda item: min(range(len(item.options)), key=lambda i: len(item.options[i])),
    "most overlap": _overlap,
}
"""Guessers that know no Korean. A pack that one of them can beat measures something else."""


def solver_scores(items: Iterable[Item]) -> dict[str, tuple[float, float, int]]:
    """For each solver: share right, the bound chance + 2 standard errors, and the number of closed items."""
    closed = [i for i in items if is_closed(i)]
    if not closed:
        return {}
    chances = [1 / len(i.options) for i in closed]
    error = math.sqrt(sum(c * (1 - c) for c in chances)) / len(closed)
    bound = sum(chances) / len(closed) + 2 * error
    return {
        name: (sum(solve(i) == gold_index(i) for i in closed) / len(closed), bound, len(closed))
        for name, solve in SOLVERS.items()
    }


def solvers(items: Sequence[Item]) -> Problems:
    """No heuristic solver beats chance by more than two standard errors."""
    for name, (share, bound, n) in solver_scores(items).items():
        if share > bound:
            yield Problem(
                "", "solver", f"the solver {name!r} gets {share:.1%} of {n} closed items, {bound:.1%} is the most"
            )


RULES: tuple[Callable[[Sequence[Item]], Problems], ...] = (
    normal_form, options_and_gold, no_leak, evidence, canary, particles, letters,
    positions, clusters, duplicates, solvers,
)  # fmt: skip


def problems(items: Sequence[Item]) -> list[Problem]:
    """Breaches of every rule by the active items. A gold that is out of range stops the rules that need one."""
    active = [i for i in items if i.status == "active"]
    found = list(options_and_gold(active))
    if any(p.rule == "gold" for p in found):
        return found
    return [p for rule in RULES for p in rule(active)]
