"""AI Hub's 한국어 방언 발화 (Korean dialect speech), which its users fetch themselves and may not hand on: from their own files a
pack of sentences to be put into the standard language.

Layout: a JSON file a recording, `{"utterance": [{"dialect_form": …, "standard_form": …, "id": …}, …]}`, as read in public code that
loads these files (2026-11-22). Only 12 to 35 % of the pairs differ at all (Applied Sciences 15(17):9459): the others ask nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmbench import packs
from lmmbench.canon import sha256
from lmmbench.faults import UsageError
from lmmbench.files import make_folder, write_atomically
from lmmbench.hangul import squeeze
from lmmbench.imports.cards import text_of
from lmmbench.imports.tables import normal

TERMS = "https://aihub.or.kr"
LICENCE = "AI Hub's terms: for domestic users, not to be handed on"
SOURCE = "AI Hub 한국어 방언 발화, from files of your own."
SHORTEST = 8
"""Characters of a sentence that says enough to be translated."""
_MARKS = re.compile(r"[&{}()#@*/]|xx")
"""Names taken out, laughter, what could not be heard, two readings of a word."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence as it was said, and in the standard language."""

    dialect: str
    standard: str
    recording: str


def pairs(paths: Sequence[Path], left_out: Counter[str]) -> Iterator[Pair]:
    """The pairs of all JSON files under `paths` that ask something; `left_out` counts the others by reason."""
    files = [f for p in paths for f in (sorted(p.rglob("*.json")) if p.is_dir() else [p])]
    if not files:
        raise UsageError(f"there is no .json file in {', '.join(map(str, paths))}; name the folder of the labels")
    for path in files:
        for row in _utterances(path):
            dialect, standard = (str(row.get(k) or "").strip() for k in ("dialect_form", "standard_form"))
            if why := _why_not(dialect, standard):
                left_out[why] += 1
            else:
                yield Pair(dialect, standard, path.stem)


def _utterances(path: Path) -> list[dict[str, Any]]:
    try:
        found = normal(json.loads(path.read_bytes().decode("utf-8-sig")))
        rows = found["utterance"]
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise TypeError
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); name an existing file") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path}: is no label file of AI Hub's dialect speech (no list `utterance`); leave it out"
        ) from None
    return rows


def _why_not(dialect: str, standard: str) -> str:
    if not dialect or not standard:
        return "one form is missing"
    if _MARKS.search(dialect + standard):
        return "transcriber's marks"
    if squeeze(dialect) == squeeze(standard):
        return "the same in both forms"
    return "too short" if min(len(dialect), len(standard)) < SHORTEST else ""


def write(paths: Sequence[Path], to: Path, stratum: str, limit: int, today: str) -> tuple[int, Counter[str]]:
    """Write a pack of at most `limit` pairs into `to`, drawn by the hash of their text, each sentence once. Returns how many there
    are, and what was left out and why. Raises UsageError."""
    import yaml

    if to.exists():
        raise UsageError(f"{to} exists; remove it, or name another with --name")
    left_out: Counter[str] = Counter()
    drawn = {sha256(p.dialect + "\n" + p.standard): p for p in pairs(paths, left_out)}
    chosen = [drawn[key] for key in sorted(drawn)[:limit]]
    if not chosen:
        raise UsageError(f"no sentence there differs between dialect and standard; left out: {dict(left_out)}")
    text = text_of([_item(p, f"{stratum}-{n:05}", stratum, today) for n, p in enumerate(chosen, 1)])
    make_folder(to, new=True)
    write_atomically(to / "items.jsonl", text.encode())
    card = yaml.safe_dump(_card(to.name, sha256(text)), allow_unicode=True, sort_keys=False)
    write_atomically(to / "card.yaml", card.encode())
    packs.load(to)
    return len(chosen), left_out


def _item(pair: Pair, name: str, stratum: str, today: str) -> dict[str, Any]:
    evidence = {"kind": "corpus", "ref": f"AI Hub, {pair.recording}", "quote": pair.standard, "read_on": today}
    return {
        "id": name, "stratum": stratum, "type": "rewrite", "cluster_id": f"recording:{pair.recording}",
        "fields": {"source": pair.dialect}, "targets": [pair.standard], "params": {"must_not": _dialect_words(pair)},
        "provenance": {
            "made_on": today, "made_by": "AI Hub's transcribers", "claim": "the standard form of what was said",
            "evidence": [evidence], "attestation": "corpus",
        },
    }  # fmt: skip


def _dialect_words(pair: Pair) -> list[str]:
    """Words that must not be left: those that differ where both forms have as many, and are no part of the standard form."""
    said, meant = pair.dialect.split(), pair.standard.split()
    if len(said) != len(meant):
        return []
    words = (s.strip(".,?!") for s, m in zip(said, meant, strict=True) if s != m)
    return [w for w in dict.fromkeys(words) if len(w) > 1 and squeeze(w) not in squeeze(pair.standard)]


def _card(name: str, digest: str) -> dict[str, Any]:
    return {
        "id": name, "version": "1.0.0", "title": f"AI Hub 방언 발화 ({name})", "groups": [], "languages": ["ko"],
        "licence": LICENCE, "source": SOURCE, "items_sha256": digest, "max_output_tokens": 256, "chance": 0.0,
        "prompt": {"system": "설명 없이 답만 한 줄로 쓰십시오.", "user": "다음 말을 표준어로 바꾸십시오.\n\n{{source}}"},
        "scorer": {"name": "rewrite"},
    }  # fmt: skip
