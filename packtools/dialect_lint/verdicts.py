"""Which text of an item is linted, and what the tokens of it say. Pure: needs no kiwipiepy."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmmbench.canon import sha256
from lmmbench.types import Item

HERE = Path(__file__).parent
FILE = HERE / "verdicts.jsonl"
LEFT = HERE / "left.json"
PACK = "korean-dialect"

BITS = {
    "gyeonggi": 1, "chungcheong": 2, "gangwon": 4, "gyeongsang": 8, "jeolla": 16,
    "jeju": 32, "hwanghae": 64, "hamgyeong": 128, "pyeongan": 256,
}  # fmt: skip
"""kiwipiepy's flags of regions (`kiwipiepy.Dialect`). Its tenth, 512, marks old words and names no region."""
VERDICTS = ("supports", "other_region", "standard_only", "unknown_words", "not_applicable")
AGAINST = ("other_region", "standard_only")
"""The verdicts after which someone has to read the item again."""


@dataclass(frozen=True, slots=True)
class Token:
    """A morpheme as kiwipiepy reads it; `dialect` is the sum of its regions' flags, 0 for a standard word."""

    form: str
    tag: str
    dialect: int
    oov: bool

    def __str__(self) -> str:
        """As evidence of kind `lexicon` quotes it; a lone final consonant of an ending stays a conjoining jamo."""
        known = "oov" if self.oov else f"dialect={self.dialect}"
        return unicodedata.normalize("NFC", f"{self.form}/{self.tag} {known}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of verdicts.jsonl: the item, the hash of the text that was linted, and the tokens that carry the verdict."""

    id: str
    sha256: str
    verdict: str
    tokens: tuple[str, ...] = ()


def region(item: Item) -> str | None:
    """The region whose speech the item shows; none for 문화어, which is a standard and no dialect."""
    if item.stratum in BITS:
        return item.stratum
    return next((tag for tag in item.tags if tag in BITS), None)


def text(item: Item) -> str:
    """What is linted, a line each: the dialect sentence, then the word that the item turns on, where it turns on one."""
    return "\n".join([_sentence(item), *_words(item.cluster_id)])


def _sentence(item: Item) -> str:
    """The sentence to rewrite, the one with its blank filled, the option that is right, or what the question quotes."""
    if item.type == "rewrite":
        return item.fields["source"]
    if item.type == "produce":
        return _filled(item.fields["source"], item.targets[0])
    quoted = _quoted(item.fields["question"])
    if item.type == "acceptability" or not quoted or _asks_for_the_sentence(item):
        return item.options[int(item.targets[0]) - 1]
    return " ".join(quoted)


def _words(cluster: str) -> list[str]:
    """`lex:그카다/단디` → both words, without what is said of them in brackets; none for an ending or a topic."""
    kind, _, names = cluster.partition(":")
    return re.sub(r"\(.*\)", "", names).split("/") if kind == "lex" else []


def _asks_for_the_sentence(item: Item) -> bool:
    """A question of region offers provinces for a sentence, or sentences for a province; those quote the standard."""
    return item.type == "region" and not any(option.endswith("도") for option in item.options)


def _filled(source: str, answer: str) -> str:
    """The dialect half of `표준어: … 경상도 말: …`, each blank filled."""
    return re.sub("＿+", answer, source.rpartition(": ")[2])


def _quoted(question: str) -> list[str]:
    """What stands in double quotation marks, curly or straight; else what stands in single ones."""
    doubles = re.findall('“(.+?)”|"(.+?)"', question)
    singles = re.findall("‘(.+?)’|'(.+?)'", question)
    return [one or other for one, other in doubles or singles]


def judge(item: Item, tokens: Iterable[Token]) -> Verdict:
    """The first that holds: a token of the item's region, one of another region, one in no lexicon, standard words only."""
    sha, own = sha256(text(item)), region(item)
    if own is None:
        return Verdict(item.id, sha, "not_applicable")
    seen = list(tokens)
    tests = {
        "supports": [t for t in seen if t.dialect & BITS[own]],
        "other_region": [t for t in seen if t.dialect & sum(BITS.values())],
        "unknown_words": [t for t in seen if t.oov],
    }
    verdict = next((name for name, carry in tests.items() if carry), "standard_only")
    return Verdict(item.id, sha, verdict, tuple(dict.fromkeys(map(str, tests.get(verdict, ())))))


def write(versions: dict[str, str], verdicts: Iterable[Verdict], path: Path = FILE) -> None:
    """The versions on the first line, then one verdict a line."""
    lines = [versions, *(asdict(v) for v in verdicts)]
    path.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8", newline="\n"
    )


def read(path: Path = FILE) -> tuple[dict[str, str], list[Verdict]]:
    """The versions, and the verdicts in the order of the file."""
    lines: Iterator[dict[str, Any]] = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return next(lines), [Verdict(**line | {"tokens": tuple(line["tokens"])}) for line in lines]


def left() -> dict[str, str]:
    """Item → why it stands although its verdict speaks against it."""
    classes = json.loads(LEFT.read_text(encoding="utf-8")).values()
    return {item: one["why"] for one in classes for item in one["items"]}
