"""`lmmbench seal`: a pack in two parts, one to publish, one to keep, so that a model that has learned the public part by
heart can be told from one that has not.

    DIR/public/PACK/           card.yaml, items.jsonl, sealed.json (a hash of every sealed item)
    DIR/sealed/PACK-sealed/    card.yaml, items.jsonl, salt

Both come from one secret salt of 32 random bytes and from nothing else: the same salt makes the same parts. Which
clusters are sealed is drawn by HMAC-SHA256 of the cluster's name, so that nobody can tell from outside. A sealed item is
committed to by SHA-256 of its own salt (HMAC of its id) and its canonical JSON: without the salt no item can be guessed
from its hash, however short, and one item can be opened without opening the others.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmbench import packs, validators
from lmmbench.canon import canonical, sha256
from lmmbench.check import excuses
from lmmbench.doors import read_text, read_yaml
from lmmbench.faults import UsageError
from lmmbench.files import make_folder, write_atomically
from lmmbench.packs import Pack
from lmmbench.types import Item

HASHES = "sealed.json"
SALT = "salt"
SUFFIX = "-sealed"

Cell = tuple[str, str]
"""(stratum, type)."""
Line = dict[str, Any]
"""An item as it stands in items.jsonl."""


def new_salt() -> bytes:
    return secrets.token_bytes(32)


def read_salt(path: Path) -> bytes:
    """A salt as `lmmbench seal` wrote it. Raises UsageError."""
    try:
        salt = bytes.fromhex(read_text(path).strip())
    except ValueError:
        salt = b""
    if len(salt) != 32:
        raise UsageError(
            f"{path} is no salt: it must hold 64 hexadecimal digits; take the file that lmmbench seal wrote"
        )
    return salt


def _keyed(salt: bytes, *name: str) -> bytes:
    return hmac.digest(salt, "\x1f".join(name).encode(), "sha256")


# --- which items -------------------------------------------------------------------------------------


def drawn(items: Iterable[Item], share: float, salt: bytes) -> set[str]:
    """The clusters that are sealed: a systematic sample (W. G. Cochran 1977, Sampling Techniques, 8.1) of the clusters in
    the order of the strata and types of their items, among alike ones in an order that the salt draws. So each cluster
    has the same chance, and each stratum and type its share. Items that are not asked go with their cluster and
    count for nothing."""
    cells: dict[str, Counter[Cell]] = {}
    for item in items:
        if item.status == "active":
            cells.setdefault(item.cluster_id, Counter())[item.stratum, item.type] += 1
    order = sorted(cells, key=lambda c: (sorted(cells[c].items()), _keyed(salt, "cluster", c)))
    start = int.from_bytes(_keyed(salt, "start")[:4], "big") / 2**32
    return {c for n, c in enumerate(order) if int((n + 1) * share + start) > int(n * share + start)}


# --- the two parts -----------------------------------------------------------------------------------


def commitment(line: Line, salt: bytes) -> str:
    """What the public part says of a sealed item: SHA-256 of the item's salt and its canonical JSON."""
    return hashlib.sha256(_keyed(salt, "item", line["id"]) + canonical(line).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where the two parts lie, and how many items each has."""

    public: Path
    sealed: Path
    kept: int
    taken: int


def seal(pack: Pack, share: float, to: Path, salt: bytes) -> Sealed:
    """Write both parts of a pack under `to`. The pack itself is left as it is. Raises UsageError."""
    if pack.card.sealed_from or (pack.folder / HASHES).exists():
        raise UsageError(f"{pack.id} is itself a part of a sealed pack; seal the whole pack")
    public, sealed = to / "public" / pack.id, to / "sealed" / f"{pack.id}{SUFFIX}"
    for folder in (public, sealed):
        if folder.exists():
            raise UsageError(f"{folder} exists; remove it, or name another folder with --to")
    chosen = drawn(pack.items, share, salt)
    lines = _lines(pack.folder)
    taken = [_with_canary(line, salt) for line in lines if line["cluster_id"] in chosen]
    kept = [line for line in lines if line["cluster_id"] not in chosen]
    if not taken or not kept:
        raise UsageError(f"a share of {share} of {pack.id} leaves one part empty; choose another --share")
    _write_part(
        pack,
        sealed,
        taken,
        {"id": sealed.name, "title": f"{pack.card.title} (sealed)", "sealed_from": pack.id},
        "sealed",
    )
    _write_part(pack, public, kept, {}, "public")
    write_atomically(sealed / SALT, f"{salt.hex()}\n".encode())
    told = {
        "about": "SHA-256 commitments to sealed items: sha256(hmac_sha256(salt, 'item' 0x1f id) + canonical JSON)",
        "pack": pack.id, "version": pack.card.version, "items": len(taken), "hashes": sorted(commitment(x, salt) for x in taken),
    }  # fmt: skip
    write_atomically(public / HASHES, (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())
    return Sealed(public, sealed, len(kept), len(taken))


def _lines(folder: Path) -> list[Line]:
    return [json.loads(line) for line in read_text(folder / "items.jsonl").split("\n") if line.strip()]


def _with_canary(line: Line, salt: bytes) -> Line:
    """A sealed item has a canary of its own, so that a leaked copy says which part leaked."""
    mark = f"canary:{uuid.UUID(bytes=_keyed(salt, 'canary')[:16], version=4)}"
    return line | {"tags": [mark if str(t).startswith("canary:") else t for t in line.get("tags", [])]}


def _write_part(pack: Pack, folder: Path, lines: Sequence[Line], card: Line, part: str) -> None:
    """A folder that is a pack: its items, their media, the card, and what the split makes it break."""
    make_folder(folder, new=True)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_atomically(folder / "items.jsonl", text.encode())
    for path in {m["path"] for line in lines for m in line.get("media", ())}:
        make_folder((folder / path).parent)
        write_atomically(folder / path, (pack.folder / path).read_bytes())
    data = read_yaml(pack.folder / "card.yaml")[0] | card
    data |= {"version": f"{pack.card.version}+{part}", "items_sha256": sha256(text)}
    _write_yaml(folder / "card.yaml", data)
    if found := list(_excused(pack, packs.load(folder))):
        _write_yaml(folder / "excused.yaml", found)


def _write_yaml(path: Path, data: Any) -> None:
    import yaml

    write_atomically(path, yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode())


def _excused(whole: Pack, part: Pack) -> Iterator[Line]:
    """The whole's excuses as far as the part needs them, and what is uneven only since the whole was split."""
    broken = {(p.rule, p.item_id) for p in validators.problems(part.items)}
    for excuse in excuses(whole.folder):
        if items := [i for i in excuse.items if (excuse.rule, i) in broken]:
            yield {"rule": excuse.rule, "items": items, "reason": excuse.reason}
            broken -= {(excuse.rule, i) for i in items}
    for rule in sorted(
        {rule for rule, item in broken if not item} - {p.rule for p in validators.problems(whole.items)}
    ):
        yield {"rule": rule, "items": [""], "reason": f"a part of {whole.id}, which keeps this rule as a whole"}


# --- do they belong together? ------------------------------------------------------------------------


def verify(public: Path, sealed: Path) -> list[str]:
    """What is wrong with a sealed part, going by the public part's hashes; empty where each item is the one committed to."""
    promised = Counter(json.loads(read_text(public / HASHES))["hashes"])
    salt = read_salt(sealed / SALT)
    found = {commitment(line, salt): line["id"] for line in _lines(sealed)}
    wrong = [
        f"{name}: not an item that the public part's {HASHES} commits to"
        for h, name in found.items()
        if h not in promised
    ]
    missing = len(promised - Counter(found.keys()))
    return wrong + ([f"{missing} sealed items that {HASHES} commits to are not there"] if missing else [])


def verify_all(tasks: packs.Folders) -> Iterator[str]:
    """`verify` of every pair of parts that is at hand."""
    folders = packs.find(tasks)
    for name, folder in folders.items():
        other = folders.get(name + SUFFIX)
        if other and (folder / HASHES).is_file():
            yield from (f"{other.name}: {text}" for text in verify(folder, other))
