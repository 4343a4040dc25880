"""`lmmbench datasheet`: what a pack is and what it can tell. The prose is hand-written and stands beside the pack, in
datasheet.en.md and datasheet.ko.md; every number in it is in a marked table that is made from the items.

    <!-- table: counts -->
    …
    <!-- end -->
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lmmbench import stats, validators
from lmmbench.analysis.views import Sheet, markdown
from lmmbench.check import excuses
from lmmbench.doors import nearest, read_text
from lmmbench.faults import UsageError
from lmmbench.files import write_atomically
from lmmbench.guessers import closed, gold_index, guesses
from lmmbench.packs import Pack
from lmmbench.types import Item

LANGUAGES = ("en", "ko")
CELLS = 10
"""Comparisons of a usual matrix: the family that the second column of `power` is corrected for."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "stratum": "stratum", "all": "all", "items": "items", "clusters": "clusters", "type": "type", "none": "none",
        "position": "gold at {n} of {width}", "passes": "blind passes", "agreed": "agreed", "twice": "items with two that agreed",
        "guesser": "guesser", "share": "right %", "bound": "at most %", "closed": "closed items", "fact": "", "value": "",
        "version": "version", "licence": "licence", "active": "items asked", "disputed": "disputed, not asked", "retired": "retired, not asked",
        "made_on": "written", "languages": "languages", "chance": "chance", "sha": "items.jsonl, SHA-256", "scorers": "scorers",
        "differ": "models differ on", "alone": "alone, points", "family": "among {n} comparisons, points",
        "half": "95 % interval of one model at 50 % right: ±{half:.1f} points ({n} clusters)",
        "rule": "rule", "reason": "reason",
    },
    "ko": {
        "stratum": "층", "all": "전체", "items": "문항", "clusters": "군집", "type": "유형", "none": "없음",
        "position": "정답이 {width}개 중 {n}번째", "passes": "블라인드 풀이", "agreed": "일치", "twice": "두 번 일치한 문항",
        "guesser": "찍기 방법", "share": "정답 %", "bound": "허용 한도 %", "closed": "선택형 문항", "fact": "", "value": "",
        "version": "판", "licence": "이용 허락", "active": "묻는 문항", "disputed": "이견이 있어 묻지 않음", "retired": "은퇴하여 묻지 않음",
        "made_on": "작성", "languages": "언어", "chance": "우연 수준", "sha": "items.jsonl의 SHA-256", "scorers": "채점기",
        "differ": "두 모델의 답이 갈리는 비율", "alone": "비교 하나, 점", "family": "비교 {n}개 중 하나, 점",
        "half": "정답률 50 %인 한 모델의 95 % 신뢰구간: ±{half:.1f}점 (군집 {n}개)",
        "rule": "규칙", "reason": "까닭",
    },
}  # fmt: skip


# --- tables ------------------------------------------------------------------------------------------


def _by_stratum(items: Sequence[Item]) -> Iterator[tuple[str, list[Item]]]:
    """The strata in the order of the file."""
    for stratum in dict.fromkeys(i.stratum for i in items):
        yield stratum, [i for i in items if i.stratum == stratum]


def _sheet(pack: Pack, lang: str, header: Sequence[str], row: Callable[[Sequence[Item]], Sequence[object]]) -> Sheet:
    """A row a stratum, and one for all."""
    words = WORDS[lang]
    groups = [*_by_stratum(pack.active), (words["all"], list(pack.active))]
    return Sheet([words["stratum"], *header], [[name, *map(str, row(items))] for name, items in groups])


def _facts(pack: Pack, lang: str) -> Sheet:
    card, words = pack.card, WORDS[lang]
    days = sorted({i.provenance.made_on for i in pack.active})
    status = Counter(i.status for i in pack.items.heads())
    scorers = sorted({card.scorer_of(i.type).name for i in pack.active})
    told = {
        "version": card.version, "licence": card.licence, "active": status["active"], "disputed": status["disputed"],
        "retired": status["retired"], "languages": ", ".join(card.languages), "made_on": "–".join(dict.fromkeys((days[0], days[-1]))) if days else "–",
        "scorers": ", ".join(scorers), "chance": card.chance, "sha": f"`{card.items_sha256}`",
    }  # fmt: skip
    return Sheet([words["fact"], words["value"]], [[words[k], str(v)] for k, v in told.items()], prose=True)


def _counts(pack: Pack, lang: str) -> Sheet:
    types = list(dict.fromkeys(i.type for i in pack.active))
    words = WORDS[lang]

    def row(items: Sequence[Item]) -> list[int]:
        found = Counter(i.type for i in items)
        return [len(items), len({i.cluster_id for i in items}), *(found[t] for t in types)]

    return _sheet(pack, lang, [words["items"], words["clusters"], *types], row)


def _positions(pack: Pack, lang: str) -> Sheet:
    places = sorted({(len(i.options), n) for i in closed(pack.active) for n in range(len(i.options))})
    header = [WORDS[lang]["position"].format(n=n + 1, width=width) for width, n in places]

    def row(items: Sequence[Item]) -> list[int]:
        found = Counter((len(i.options), gold_index(i)) for i in closed(items))
        return [found[place] for place in places]

    return _sheet(pack, lang, header, row)


def _attestation(pack: Pack, lang: str) -> Sheet:
    def row(items: Sequence[Item]) -> list[str]:
        found = Counter(i.provenance.attestation for i in items)
        return [f"{found[kind]} ({100 * found[kind] / len(items):.0f} %)" for kind in validators.ATTESTATIONS]

    return _sheet(pack, lang, validators.ATTESTATIONS, row)


def _blind(pack: Pack, lang: str) -> Sheet:
    words = WORDS[lang]

    def row(items: Sequence[Item]) -> list[object]:
        found = [validators.blind_passes(i) for i in items]
        agreed, passes = sum(a for a, _ in found), sum(p for _, p in found)
        return [passes, f"{agreed} ({100 * agreed / passes:.0f} %)" if passes else 0, sum(a > 1 for a, _ in found)]

    return _sheet(pack, lang, [words["passes"], words["agreed"], words["twice"]], row)


def _guessers(pack: Pack, lang: str) -> Sheet:
    words = WORDS[lang]
    rows = [
        [name, f"{100 * g.share:.1f}", f"{100 * g.bound:.1f}", str(g.n)] for name, g in guesses(pack.active).items()
    ]
    return Sheet([words["guesser"], words["share"], words["bound"], words["closed"]], rows)


def _power(pack: Pack, lang: str) -> Sheet:
    """What two models must differ by to be told apart 8 times in 10, by `stats.minimum_detectable`.

    The standard error of a paired difference is sqrt(d / clusters), d the mean squared difference of two scores on an
    item: for right and wrong, the share of items where the models differ (McNemar).
    """
    words, n = WORDS[lang], len({i.cluster_id for i in pack.active})
    low, high = stats.wilson(n / 2, n)
    rows = []
    for differ in (0.2, 0.3, 0.4):
        half = stats.Z95 * math.sqrt(differ / n)
        found = [stats.minimum_detectable(-half, half, family) for family in (1, CELLS)]
        rows.append([f"{100 * differ:.0f} %", *(words["none"] if f is None else f"{100 * f:.0f}" for f in found)])
    note = words["half"].format(half=50 * (high - low), n=n)
    return Sheet([words["differ"], words["alone"], words["family"].format(n=CELLS)], rows, note=note)


def _excused(pack: Pack, lang: str) -> Sheet:
    words = WORDS[lang]
    rows = [[e.rule, str(len(e.items)), e.reason] for e in excuses(pack.folder)]
    return Sheet([words["rule"], words["items"], words["reason"]], rows or [[words["none"], "", ""]], prose=True)


TABLES: dict[str, Callable[[Pack, str], Sheet]] = {
    "facts": _facts, "counts": _counts, "positions": _positions, "attestation": _attestation, "blind": _blind,
    "guessers": _guessers, "power": _power, "excused": _excused,
}  # fmt: skip


# --- the page ----------------------------------------------------------------------------------------

_MARK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(pack: Pack, name: str, lang: str) -> str:
    """One table as Markdown; "–" where the pack has nothing to put there."""
    sheet = TABLES[name](pack, lang)
    return markdown([sheet], "").strip() if sheet.rows and len(sheet.header) > 1 else "–"


def tables(pack: Pack, lang: str) -> str:
    """Every table as Markdown."""
    return "\n\n".join(f"**{name}**\n\n{table(pack, name, lang)}" for name in TABLES) + "\n"


def path(pack: Pack, lang: str) -> Path:
    """Where the pack's page in this language stands."""
    return pack.folder / f"datasheet.{lang}.md"


def page(pack: Pack, lang: str) -> str:
    """The pack's page with its tables made anew; the tables alone where nobody has written one. Raises UsageError."""
    where = path(pack, lang)
    return filled(read_text(where), pack, lang, where) if where.is_file() else tables(pack, lang)


def filled(text: str, pack: Pack, lang: str, where: Path) -> str:
    """A page's text with what stands between its marks replaced."""

    def made(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise UsageError(
                f"{where}: no table is called {match[2]!r}{nearest(match[2], TABLES)}; there are: {', '.join(TABLES)}"
            )
        return f"{match[1]}{table(pack, match[2], lang)}\n{match[3]}"

    return _MARK.sub(made, text)


def write(pack: Pack) -> list[Path]:
    """Fill in the tables of the pack's pages. Returns the pages. Raises UsageError when there is none."""
    found = [(lang, path(pack, lang)) for lang in LANGUAGES if path(pack, lang).is_file()]
    if not found:
        raise UsageError(
            f"{pack.folder} has no datasheet; write {path(pack, 'en').name} there, with <!-- table: counts --> marks"
        )
    for lang, where in found:
        write_atomically(where, page(pack, lang).encode())
    return [where for _, where in found]
