"""A dump of 우리말샘 (the open dictionary of the National Institute of Korean Language), which its users fetch themselves: a local
list of dialect words, and a second look at what a pack claims of them. Nothing of the dump is kept by us.

Layout: `channel.item[]`, each with `wordinfo.word` and `senseinfo.definition`, `.type` (일반어, 방언, 북한어, 옛말), in JSON as read in public
code that loads these files (2026-11-22); the XML has elements of the same names, `wordInfo` in places. A dialect's definition
says ‘부추’의 방언(경상, 전라, 충청): what that form does not match is kept with its definition alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmmbench.faults import UsageError
from lmmbench.files import replacing
from lmmbench.hangul import squeeze
from lmmbench.imports.tables import normal
from lmmbench.packs import Pack
from lmmbench.types import Item
from lmmbench.validators import lexeme

TYPES = ("방언", "북한어")
REGIONS = {
    "gyeongsang": ("경상", "경남", "경북"), "jeolla": ("전라", "전남", "전북"), "chungcheong": ("충청", "충남", "충북"),
    "gangwon": ("강원",), "jeju": ("제주",), "north": ("함경", "함남", "함북", "평안", "평남", "평북", "황해"),
}  # fmt: skip
"""Regions as the dictionary writes them, by our strata."""
_DIALECT = re.compile(r"[‘'](?P<standard>[^’']+)[’']의 (?:방언|북한어)(?:\((?P<regions>[^)]*)\))?")


@dataclass(frozen=True, slots=True)
class Sense:
    """One sense of a word; `standard` and `regions` where the definition says them."""

    word: str
    type: str
    definition: str
    standard: str
    regions: tuple[str, ...]


def senses(paths: Sequence[Path]) -> Iterator[Sense]:
    """Dialect and northern senses of all dumps, in their order. Raises UsageError where a file is no such dump."""
    files = [f for p in paths for f in (sorted([*p.rglob("*.json"), *p.rglob("*.xml")]) if p.is_dir() else [p])]
    if not files:
        raise UsageError(f"there is no .json or .xml file in {', '.join(map(str, paths))}; name the dump")
    for path in files:
        for entry in _xml(path) if path.suffix.lower() == ".xml" else _json(path):
            word, info = entry.get("wordinfo", {}).get("word", ""), entry.get("senseinfo", {})
            if word and info.get("type") in TYPES:
                yield _sense(str(word), str(info["type"]), str(info.get("definition") or ""))


def _sense(word: str, kind: str, definition: str) -> Sense:
    said = _DIALECT.search(definition)
    regions = re.split(r"[,·\s]+", said["regions"]) if said and said["regions"] else []
    # headwords carry marks of their parts and homonyms: 가-새, 가새01
    return Sense(
        re.sub(r"[-^\d]", "", word), kind, definition, said["standard"] if said else "", tuple(filter(None, regions))
    )


def _json(path: Path) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))["channel"]["item"]
        yield from (_lower(normal(entry)) for entry in found)
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); name an existing file") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path}: is no dump of 우리말샘 (channel.item); leave it out") from None


def _xml(path: Path) -> Iterator[dict[str, Any]]:
    """The items of an XML dump, one at a time. Its own parser refuses entities that blow up (expat 2.4.1 and later)."""
    from xml.etree import ElementTree

    try:
        for _, element in ElementTree.iterparse(path):  # noqa: S314
            if element.tag.lower() == "item":
                yield _lower({part.tag: {x.tag: x.text or "" for x in part} for part in element})
                element.clear()
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); name an existing file") from None
    except ElementTree.ParseError as e:
        raise UsageError(f"{path}: is no XML ({e}); leave it out") from None


def _lower(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the two parts in lower case: the dumps write them both ways."""
    return {
        k.lower(): normal(v) for k, v in entry.items() if k.lower() in ("wordinfo", "senseinfo") and isinstance(v, dict)
    }


def write_list(paths: Sequence[Path], to: Path) -> int:
    """The senses as JSON Lines. Returns how many."""
    count = 0
    with replacing(to) as f:
        for sense in senses(paths):
            f.write((json.dumps(asdict(sense), ensure_ascii=False) + "\n").encode())
            count += 1
    return count


# --- what a pack claims ------------------------------------------------------------------------------

VERDICTS = ("agrees", "other region", "other meaning", "not there")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the dictionary says to one item: a verdict of VERDICTS, and the senses that it has of the item's word."""

    item: str
    word: str
    verdict: str
    senses: tuple[Sense, ...]


def check(pack: Pack, paths: Sequence[Path]) -> list[Finding]:
    """A finding for every active item that is about one word (`lex:` clusters). Looks at meanings and regions only as far as
    the dictionary's definitions state them; a person must read what disagrees."""
    wanted = {squeeze(lexeme(i)): i for i in pack.active if lexeme(i)}
    found: dict[str, list[Sense]] = {}
    for sense in senses(paths):
        if squeeze(sense.word) in wanted:
            found.setdefault(squeeze(sense.word), []).append(sense)
    return [_finding(i, found.get(squeeze(lexeme(i)), [])) for i in pack.active if lexeme(i)]


def _finding(item: Item, known: Sequence[Sense]) -> Finding:
    claim = squeeze(item.provenance.claim)
    meant = [s for s in known if s.standard and squeeze(s.standard).removesuffix("다") in claim]
    here = REGIONS.get(item.stratum, ())
    local = [
        s
        for s in meant
        if s.type == "북한어" or not s.regions or not here or any(r.startswith(here) for r in s.regions)
    ]
    verdict = VERDICTS[0 if local else 1 if meant else 2 if known else 3]
    return Finding(item.id, lexeme(item), verdict, tuple(known))
