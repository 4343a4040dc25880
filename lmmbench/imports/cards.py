"""Packs whose card names data of others: a Hugging Face dataset, or files beside the card.

Nothing is fetched but at the user's word, and not before the licence was shown and accepted. Where a card knows no commit
and no hashes, the first import is trusted and written down in imported.json; every later one must bring the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lmmbench import __version__, packs
from lmmbench.canon import sha256
from lmmbench.doors import read_text
from lmmbench.faults import UsageError
from lmmbench.files import make_folder, write_atomically
from lmmbench.hangul import squeeze
from lmmbench.imports import hub, tables
from lmmbench.imports.tables import Row
from lmmbench.packs import Card, Data, Source
from lmmbench.prompts import LETTERS

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said: the revision (of a hub), a folder that holds the dataset's files under their paths, whether the
    licence is accepted, and whether what was pinned may be replaced."""

    revision: str = ""
    source: Path | None = None
    accept: bool = False
    repin: bool = False
    today: str = ""


@dataclass(slots=True)
class Imported:
    """What came of it: the items as lines, and the rows that are no question, with the reason."""

    lines: list[Line] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def run(folder: Path, to: Path, options: Options) -> Imported:
    """Import the items of the card in `folder` into the pack's folder `to` (often the same). Raises UsageError."""
    card = packs.load_card(folder)
    if card.data is None:
        raise UsageError(f"{folder / 'card.yaml'} names no data to import; its items are its own")
    ask_for_licence(card.licence, card.data.terms, card.source, options.accept)
    pinned = _pinned(to)
    commit, files = _files(card.data, folder, options, pinned)
    hashes = {path: sha256(data) for path, data in files.items()}
    _check_pins(card.data.sha256, hashes, "the card")
    if not options.repin:
        _check_pins(pinned.get("files", {}), hashes, f"{to / packs.IMPORTED}", "; take the new ones with --repin")
    origin = f"{card.data.hub}@{commit}" if commit else folder.name
    made = items(card, files, origin)
    _write(
        card,
        folder,
        to,
        made,
        {
            "hub": card.data.hub,
            "commit": commit,
            "files": hashes,
            "licence": card.licence,
            "accepted_on": options.today,
        },
    )
    return made


def ask_for_licence(licence: str, terms: str, source: str, accepted: bool) -> None:
    """Raises UsageError with what there is to read, unless it was accepted."""
    if not accepted:
        read = f" ({terms})" if terms else ""
        raise UsageError(
            f"{source} Licence: {licence}{read}. Nothing was fetched; if you accept it, add --accept-licence"
        )


def _pinned(to: Path) -> dict[str, Any]:
    """What an earlier import wrote down; nothing where there was none."""
    path = to / packs.IMPORTED
    found: dict[str, Any] = json.loads(read_text(path)) if path.is_file() else {}
    return found


def _files(data: Data, folder: Path, options: Options, pinned: Mapping[str, Any]) -> tuple[str, dict[str, bytes]]:
    """(commit, bytes by path) of the card's files: from a folder of the user's, else from the hub."""
    patterns = [p for source in data.sources for p in source.files]
    if options.source or not data.hub:
        return "", _local(options.source or folder, patterns)
    revision = options.revision or str(pinned.get("commit") or data.revision)
    if not revision:
        raise UsageError(
            f"which revision of {data.hub}? Look at {data.terms or 'its page'} and name a commit (or main) with --revision; "
            "what it brings is then pinned"
        )
    snapshot = hub.fetch(data.hub, revision, patterns)
    return snapshot.commit, snapshot.files


def _local(root: Path, patterns: Sequence[str]) -> dict[str, bytes]:
    if not root.is_dir():
        raise UsageError(f"{root} is no folder; name the one that holds the dataset's files")
    paths = {p.relative_to(root).as_posix(): p for p in sorted(root.rglob("*")) if p.is_file()}
    found = {name: p.read_bytes() for name, p in paths.items() if any(fnmatchcase(name, x) for x in patterns)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise UsageError(f"{root} holds no file {pattern}; put it there, or mend the card")
    return found


def _check_pins(pins: Mapping[str, str], found: Mapping[str, str], who: str, advice: str = "") -> None:
    """Every pinned file is there and is the one that was pinned; none has come beside them."""
    for path in sorted(pins.keys() | found.keys() if pins else ()):
        if pins.get(path) != found.get(path):
            is_, was = (h[:12] + "…" if h else "not there" for h in (found.get(path, ""), pins.get(path, "")))
            raise UsageError(f"{path}: SHA-256 {is_}, {who} says {was}{advice or '; ask whoever wrote it'}")


# --- rows to items -----------------------------------------------------------------------------------


class _NoQuestion(Exception):
    """Why a row is left out."""


def items(card: Card, files: Mapping[str, bytes], origin: str) -> Imported:
    """Every row that is a question, in the order of sources, files and rows. Raises UsageError where a column is missing."""
    made, seen = Imported(), Counter[str]()
    for source in card.data.sources if card.data else ():
        for path in sorted(p for p in files if any(fnmatchcase(p, pattern) for pattern in source.files)):
            for number, row in enumerate(tables.rows(path, files[path]), 1):
                try:
                    made.lines.append(_line(source, row, path, number, origin, seen))
                except _NoQuestion as e:
                    made.left_out.append(f"{path} row {number}: {e}")
    if not made.lines:
        raise UsageError(
            f"no row of {', '.join(files)} is a question; the first: {made.left_out[0] if made.left_out else 'none'}"
        )
    return made


def _line(source: Source, row: Row, path: str, number: int, origin: str, seen: Counter[str]) -> Line:
    options = _options(source, row, path)
    targets = [_gold(source, row, path, options)] if options else [_text(row, c, path) for c in source.targets]
    if not all(targets) or not targets:
        raise _NoQuestion("it has no answer")
    name = _name(_text(row, source.id, path) if source.id else f"{Path(path).stem}-{number:05}", seen)
    cluster = f"{source.cluster}:{sha256(_text(row, source.cluster, path))[:12]}" if source.cluster else name
    evidence = {"kind": "corpus", "ref": f"{origin} {path}", "quote": f"row {number}"}
    return {
        "id": name, "stratum": _stratum(source, path), "type": source.type, "cluster_id": cluster,
        "fields": {f: _text(row, column, path) for f, column in source.fields.items()}, "options": options, "targets": targets,
        "provenance": {"made_on": "", "made_by": origin, "claim": "as published", "evidence": [evidence], "attestation": "corpus"},
    }  # fmt: skip


def _column(row: Row, column: str, path: str) -> Any:
    if column not in row:
        raise UsageError(
            f"{path}: there is no column {column!r}; there are: {', '.join(map(str, row))}; mend the card's data"
        )
    return row[column]


def _text(row: Row, column: str, path: str) -> str:
    value = _column(row, column, path)
    return "" if value is None else str(value).strip()


def _options(source: Source, row: Row, path: str) -> list[str]:
    if source.labels:
        return list(source.labels)
    if isinstance(source.options, str):
        found = _column(row, source.options, path)
        if not isinstance(found, list):
            raise UsageError(f"{path}: the column {source.options!r} holds no list of options; mend the card's data")
        options = [str(o).strip() for o in found]
    else:
        options = [_text(row, column, path) for column in source.options]
    if len(options) > len(LETTERS):
        raise _NoQuestion(f"{len(options)} options; {len(LETTERS)} is the most")
    if not all(options) or len(set(options)) != len(options):
        raise _NoQuestion("an option is empty, or stands twice")
    return options


def _gold(source: Source, row: Row, path: str, options: Sequence[str]) -> str:
    """The right option's number, from 1. Raises _NoQuestion where the answer names none."""
    said = _text(row, source.answer, path)
    if source.answer_is == "text":
        at = [n for n, o in enumerate(options) if squeeze(o) == squeeze(said)]
        number = at[0] + 1 if len(at) == 1 else 0
    elif source.answer_is == "letter":
        number = LETTERS.find(said.upper()) + 1 if len(said) == 1 else 0
    else:
        whole = re.fullmatch(r"(\d+)(?:\.0)?", said)
        number = int(whole[1]) + (source.answer_is == "index") if whole else 0
    if not 1 <= number <= len(options):
        raise _NoQuestion(f"its answer {said[:30]!r} names none of {len(options)} options")
    return str(number)


def _name(text: str, seen: Counter[str]) -> str:
    """An item id from a text: what an id may not hold becomes a hyphen, and one that stands already gets a number."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:56] or "row"
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def _stratum(source: Source, path: str) -> str:
    if not source.stratum_of_file:
        return source.stratum
    found = re.search(source.stratum_of_file, path)
    if not found or not found.groups():
        raise UsageError(f"stratum_of_file {source.stratum_of_file!r} finds nothing in {path}; mend the card's data")
    return found[1]


# --- writing -----------------------------------------------------------------------------------------


def text_of(lines: Sequence[Line]) -> str:
    """items.jsonl."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _write(card: Card, folder: Path, to: Path, made: Imported, told: Line) -> None:
    """The items, and last what they were made from: without it the items are not taken."""
    make_folder(to)
    if to != folder:
        write_atomically(to / "card.yaml", read_text(folder / "card.yaml").encode())
    text = text_of(made.lines)
    told |= {"items_sha256": sha256(text), "harness_version": __version__, "left_out": made.left_out}
    write_atomically(to / "items.jsonl", text.encode())
    write_atomically(to / packs.IMPORTED, (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())
    packs.load(to)
