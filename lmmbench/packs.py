"""Packs: a folder with card.yaml and items.jsonl. Data only; no code, no dotted paths, no model names."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import unicodedata
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from lmmbench.canon import sha256
from lmmbench.config import check_id
from lmmbench.doors import decode, decode_line, nearest, read_lines, read_text, read_yaml
from lmmbench.faults import UsageError
from lmmbench.media import flaw
from lmmbench.prompts import LETTERS, lettered, option_order, render, slots
from lmmbench.types import _STRICT, Item, Media, Request


@dataclass(frozen=True, slots=True)
class Prompt:
    """Templates of the system text and the user text, with `{{field}}` and `{{options}}` slots."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    user: str
    system: str = ""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """A scorer's name and the parameters that hold for all its items."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    name: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Files of a dataset whose rows have the same columns, and how a row becomes an item.

    `files`: paths, `*` for anything. `fields`: an item's field by a column's name. A closed question has `options` (columns, or one
    column that holds a list) or `labels` (the same texts for every row), and the column `answer`, which holds what `answer_is`
    says: a number from 1, an index from 0, a letter, or the option's text. An open one has `targets` (columns). `stratum` is the same
    for every row; `stratum_of_file` is a regular expression whose first group is taken from the path. `id`, `cluster`: columns.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    files: tuple[str, ...]
    fields: dict[str, str]
    type: str = "closed"
    stratum: str = "all"
    stratum_of_file: str = ""
    options: tuple[str, ...] | str = ()
    labels: tuple[str, ...] = ()
    answer: str = ""
    answer_is: Literal["number", "index", "letter", "text"] = "number"
    targets: tuple[str, ...] = ()
    id: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Data:
    """Where a pack's items come from, when they are not ours to hand out: a hub's dataset (`hub`, at `revision` where the card
    knows one), or files beside the card. `sha256` by path, where known; `terms`: where the licence is read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    sources: tuple[Source, ...]
    hub: str = ""
    revision: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """card.yaml. `prompts` and `scorers` hold what differs for an item type; `prompt` and `scorer` hold for the rest.
    `sealed_from`: the pack whose sealed part this one is. `data`: where the items are imported from; their hash then stands in
    imported.json, which the import writes, and not here."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    version: str
    title: str
    groups: tuple[str, ...]
    languages: tuple[str, ...]
    licence: str
    source: str
    items_sha256: str
    max_output_tokens: int
    chance: float | str
    prompt: Prompt
    scorer: ScorerSpec
    prompts: dict[str, Prompt] = field(default_factory=dict)
    scorers: dict[str, ScorerSpec] = field(default_factory=dict)
    sealed_from: str = ""
    data: Data | None = None

    def prompt_of(self, item_type: str) -> Prompt:
        return self.prompts.get(item_type, self.prompt)

    def scorer_of(self, item_type: str) -> ScorerSpec:
        return self.scorers.get(item_type, self.scorer)


class Head(NamedTuple):
    """What choosing needs of an item."""

    id: str
    stratum: str
    attestation: str
    status: str


AT_HAND = 16 * 1024 * 1024
"""Bytes of an items.jsonl up to which its items stay in memory (8 MB of 10,000 items: a run of 162 MB instead of 150).
Reading each again made that run 5 % slower."""


class Items:
    """The items of a pack: at hand where its file is small, else each read from it whenever it is asked for.

    Kept of an item that is not at hand are its head and where its line stands: 90 bytes. A line that is not the one that was checked when the pack was loaded is refused, so that nothing else is ever
    asked or graded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at_hand: list[Item] | None = [] if path.stat().st_size <= AT_HAND else None
        self.ids: list[str] = []
        self._kinds: dict[tuple[str, str, str], int] = {}
        self._kind = array("I")
        self._offsets = array("q")
        self._sums = array("I")

    def add(self, item: Item, offset: int, line: bytes) -> None:
        """Take in the item whose line, without its line break, stands at `offset`."""
        self.ids.append(item.id)
        if self._at_hand is not None:
            self._at_hand.append(item)
        kind = (item.stratum, item.provenance.attestation, item.status)
        self._kind.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._offsets.append(offset)
        self._sums.append(zlib.crc32(line))

    def heads(self) -> Iterator[Head]:
        kinds = list(self._kinds)
        return (Head(item_id, *kinds[kind]) for item_id, kind in zip(self.ids, self._kind, strict=True))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Item]:
        return self._read(range(len(self)))

    def __getitem__(self, number: int) -> Item:
        return next(self._read((range(len(self))[number],)))

    def of(self, ids: Iterable[str]) -> Iterator[Item]:
        """The items of these ids, which are in the pack's order. Raises UsageError for one that is not."""
        return self._read(self._numbers(ids))

    def _numbers(self, ids: Iterable[str]) -> Iterator[int]:
        number = -1
        for item_id in ids:
            try:
                number = self.ids.index(item_id, number + 1)
            except ValueError:
                raise UsageError(
                    f"{self._path}: the plan's item {item_id!r} is not there in its place; restore the plan and the pack"
                ) from None
            yield number

    def _read(self, numbers: Iterable[int]) -> Iterator[Item]:
        if self._at_hand is not None:
            yield from (self._at_hand[number] for number in numbers)
            return
        with self._path.open("rb") as f:
            at = 0
            for number in numbers:
                if at != self._offsets[number]:  # a needless seek would throw away what is read ahead
                    f.seek(self._offsets[number])
                line = f.readline()
                at = self._offsets[number] + len(line)
                line = line.removesuffix(b"\n")
                if zlib.crc32(line) != self._sums[number]:
                    raise UsageError(
                        f"{self._path} has changed while it was in use; restore it, then finish with --resume latest"
                    )
                yield decode_line(Item, line, self._path, 0)


@dataclass(frozen=True, slots=True)
class Pack:
    """A card with its items, the folder, and the SHA-256 over card and items that a run records."""

    card: Card
    items: Items
    folder: Path
    sha: str

    @property
    def id(self) -> str:
        return self.card.id

    @property
    def active(self) -> tuple[Item, ...]:
        return tuple(i for i in self.items if i.status == "active")


IMPORTED = "imported.json"
"""What an import fetched, beside the items that it made."""


def load_card(folder: Path) -> Card:
    """Read a pack's card. Raises UsageError with file, line and what to do about it."""
    path = folder / "card.yaml"
    data, lines = read_yaml(path)
    card = decode(Card, data, path, lines)
    check_id(card.id, "pack", f"{path}: ")
    _check_card(card, f"{path}: ")
    if card.id != folder.name:
        raise UsageError(f"{path}: id {card.id!r} is not the folder's name {folder.name!r}; make them the same")
    return card


def awaits_import(folder: Path) -> bool:
    """Whether the pack is a card whose items the user has not imported yet."""
    return not (folder / "items.jsonl").exists() and load_card(folder).data is not None


def name_of(folder: Path) -> str:
    """The name by which a pack is asked for: `public/<id>` for one of others, else its id."""
    return f"public/{folder.name}" if folder.parent.name == "public" else folder.name


def load(folder: Path) -> Pack:
    """Read one pack. Raises UsageError with file, line and what to do about it."""
    items_path = folder / "items.jsonl"
    _check_own(folder, folder / "card.yaml")
    _check_own(folder, items_path)
    card = load_card(folder)
    if card.data and not items_path.exists():
        raise UsageError(f"{folder}: its items are not here yet; fetch them with: lmmbench import {name_of(folder)}")
    items, actual = _items(items_path, card)
    return Pack(card, items, folder, sha256(read_text(folder / "card.yaml") + actual))


def _imported_sha(folder: Path) -> str:
    try:
        return str(json.loads(read_text(folder / IMPORTED))["items_sha256"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder / IMPORTED} is damaged; import again with: lmmbench import {name_of(folder)}"
        ) from None


def _check_own(folder: Path, path: Path) -> None:
    """A pack's files lie in the pack, and are files: a link may lead anywhere, a pipe never ends."""
    try:
        own = path.resolve().is_relative_to(folder.resolve()) and (path.is_file() or not path.exists())
    except (OSError, RuntimeError):  # a link to itself
        own = False
    if not own:
        raise UsageError(f"{path} is no file of its pack; put the file itself there")


def _items(path: Path, card: Card) -> tuple[Items, str]:
    """The checked items, and the file's SHA-256. That the file is not the card's is said before what is wrong in it."""
    items, digest = Items(path), hashlib.sha256()
    seen: dict[str, int] = {}
    wrong: UsageError | None = None
    for number, offset, line, text in read_lines(path, digest):
        if wrong or not text.strip():
            continue
        try:
            item = _checked(card, path, number, text)
            if item.id in seen:
                raise UsageError(
                    f"{path}:{number}: the id {item.id!r} stands already on line {seen[item.id]}; ids are unique"
                )
            check_media(path.parent, item)
        except UsageError as e:
            wrong = e
        else:
            seen[item.id] = number
            items.add(item, offset, line)
    _check_hash(path, card, digest.hexdigest())
    if wrong:
        raise wrong
    if not items:
        raise UsageError(f"{path}: holds no item; add at least one line")
    return items, digest.hexdigest()


def _check_hash(path: Path, card: Card, actual: str) -> None:
    folder = path.parent
    expected = _imported_sha(folder) if card.data else card.items_sha256
    if actual != expected:
        how = f"import {name_of(folder)}" if card.data else f"check --write-hash {card.id} --tasks-dir {folder.parent}"
        raise UsageError(
            f"{path}: its SHA-256 is {actual[:12]}…, the card says {expected[:12] or 'nothing'}…; "
            f"if you changed it on purpose, run: lmmbench {how}"
        )


def _checked(card: Card, path: Path, number: int, text: str) -> Item:
    """The item of a line. Raises UsageError where it could not be asked or graded."""
    where = f"{path}:{number}: "
    if not unicodedata.is_normalized("NFC", text):
        raise UsageError(f"{where}the line is not in Unicode NFC; normalise the file to NFC")
    item = decode_line(Item, text, path, number)
    check_id(item.id, "item", where)
    shown = [*item.fields.values(), *item.options, *item.targets]
    # parts of a line in NFC are in NFC, but for what it writes as \uXXXX
    if "\\u" in text and not all(unicodedata.is_normalized("NFC", part) for part in shown):
        raise UsageError(f"{where}item {item.id!r} is not in Unicode NFC; normalise its texts to NFC")
    _check_answerable(item, where)
    _check_slots(card, item, where)
    _check_scorer(card, item, where)
    return item


def _check_answerable(item: Item, where: str) -> None:
    """What could be asked and not be graded is refused here, before anything is spent."""
    if not item.targets:
        raise UsageError(f"{where}item {item.id!r} has no target; add the right answer")
    if len(item.options) > len(LETTERS):
        raise UsageError(f"{where}item {item.id!r} has {len(item.options)} options; {len(LETTERS)} is the most")
    if item.options and item.targets[0] not in map(str, range(1, len(item.options) + 1)):
        raise UsageError(
            f"{where}item {item.id!r}: targets must hold the number of one option, 1 to {len(item.options)}"
        )


def _check_scorer(card: Card, item: Item, where: str) -> None:
    import lmmbench.scorers

    spec = card.scorer_of(item.type)
    wanted = lmmbench.scorers.items_of(spec.name)
    if (wanted == "closed") != bool(item.options):
        has = "has options" if item.options else "has none"
        raise UsageError(f"{where}the scorer {spec.name!r} is for {wanted} questions, item {item.id!r} {has}")
    if spec.name == "summary" and not item.params.get("facts"):
        raise UsageError(f"{where}item {item.id!r} is scored by key facts and names none; add params.facts")


_ANY_SLOT = re.compile(r"\{\{.*?\}\}")


def _check_card(card: Card, where: str) -> None:
    from lmmbench.scorers import check_name

    if card.max_output_tokens < 1:
        raise UsageError(f"{where}max_output_tokens must be 1 or more")
    if isinstance(card.chance, str) and card.chance != "1/options":
        raise UsageError(f"{where}chance is {card.chance!r}; it must be a number or 1/options")
    for prompt in (card.prompt, *card.prompts.values()):
        for text in (prompt.system, prompt.user):
            for slot in _ANY_SLOT.findall(text):
                if slot[2:-2] not in slots(text):
                    raise UsageError(f"{where}{slot} is no slot; write {{{{name}}}} in lower case, without spaces")
    for spec in (card.scorer, *card.scorers.values()):
        try:
            check_name(spec.name)
        except UsageError as e:
            raise UsageError(f"{where}{e}") from None


def _check_slots(card: Card, item: Item, where: str) -> None:
    prompt = card.prompt_of(item.type)
    for name in slots(prompt.user) | slots(prompt.system):
        if name == "options" and not item.options:
            raise UsageError(
                f"{where}the card's prompt for type {item.type!r} shows options, item {item.id!r} has none"
            )
        if name != "options" and name not in item.fields:
            known = nearest(name, item.fields)
            raise UsageError(f"{where}the card's prompt needs the field {name!r}, item {item.id!r} lacks it{known}")
    if item.options and "options" not in slots(prompt.user):
        raise UsageError(
            f"{where}item {item.id!r} has options, the card's prompt for type {item.type!r} does not show them"
        )


Folders = Path | Sequence[Path]
"""One tasks folder, or several."""


def find(tasks: Folders) -> dict[str, Path]:
    """Folders of all packs: ours, and those of public/ by the name `public/<id>`. Raises UsageError where two tasks
    folders have a pack of one name."""
    found: dict[str, Path] = {}
    for folder in [tasks] if isinstance(tasks, Path) else tasks:
        for name, pack in _inside(folder).items():
            if name in found:
                raise UsageError(
                    f"the pack {name!r} is in {found[name].parent} and in {pack.parent}; take one of them away"
                )
            found[name] = pack
    return found


def listed(tasks: Folders) -> str:
    """The folders, for a message."""
    return str(tasks) if isinstance(tasks, Path) else ", ".join(map(str, tasks))


def _inside(tasks: Path) -> dict[str, Path]:
    if not tasks.is_dir():
        what = "is a file" if tasks.exists() else "does not exist"
        raise UsageError(f"the tasks folder {tasks} {what}; name one with --tasks-dir")
    found = {c.parent.name: c.parent for c in sorted(tasks.glob("*/card.yaml"))}
    return found | {f"public/{c.parent.name}": c.parent for c in sorted(tasks.glob("public/*/card.yaml"))}


def select(names: str, tasks: Folders) -> list[Pack]:
    """Packs named by id, group or folder, comma-separated; `all` is every pack of ours that is in a group, so that a
    control, which is in none, is asked for by its name only. Raises UsageError."""
    folders = find(tasks)
    loaded: dict[str, Pack] = {}
    ours = {name: f for name, f in folders.items() if not name.startswith("public/")}
    for name in [n.strip() for n in names.split(",") if n.strip()]:
        if name in folders:
            chosen = [load(folders[name])]
        elif (Path(name) / "card.yaml").is_file():
            chosen = [load(Path(name).resolve())]
        else:
            packs = [load(f) for f in ours.values() if not awaits_import(f)]
            chosen = [p for p in packs if name in p.card.groups or (name == "all" and p.card.groups)]
            if not packs:
                raise UsageError(f"there is no pack in {listed(tasks)}; name another folder with --tasks-dir")
            if not chosen:
                known = sorted({*folders, *(g for p in packs for g in p.card.groups), "all"})
                raise UsageError(
                    f"no pack or group is called {name!r}{nearest(name, known)}; there are: {', '.join(known)}"
                )
        loaded.update((p.id, p) for p in chosen)
    if not loaded:
        raise UsageError("--tasks names no pack; try --tasks korean, or see: lmmbench list tasks")
    return list(loaded.values())


Chosen = TypeVar("Chosen", Head, Item)


def sample(items: Sequence[Chosen], limit: int | None) -> list[Chosen]:
    """At most `limit` items: round-robin over strata, within a stratum by SHA-256 of the item's id, so that nights
    pair and a smaller sample is a subset of a larger one. The result keeps the order of the pack."""
    if limit is None or limit >= len(items):
        return list(items)
    by_stratum: dict[str, list[Chosen]] = {}
    for item in sorted(items, key=lambda i: hashlib.sha256(i.id.encode()).digest()):
        by_stratum.setdefault(item.stratum, []).append(item)
    queues = [by_stratum[s] for s in sorted(by_stratum)]
    ranked = [q[rank] for rank in range(max(map(len, queues))) for q in queues if rank < len(q)]
    chosen = {i.id for i in ranked[:limit]}
    return [i for i in items if i.id in chosen]


def request(pack: Pack, item: Item, trial: int, *, seed: int, shuffled: bool = True, stream: bool = False) -> Request:
    """The question as it is put to a model: a pure function of pack, item, trial and what the plan says."""
    count = len(item.options)
    order = (
        option_order(count, seed=seed, pack=pack.id, item_id=item.id, trial=trial)
        if shuffled
        else tuple(range(1, count + 1))
    )
    system, user = texts(pack.card, item, order)
    return Request(
        pack=pack.id,
        item=item,
        trial=trial,
        system=system,
        user=user,
        order=order,
        max_output_tokens=pack.card.max_output_tokens,
        seed=seed + trial,
        media=tuple(read_media(pack.folder, item)),
        stream=stream,
    )


def texts(card: Card, item: Item, order: Sequence[int]) -> tuple[str, str]:
    """System text and user text of a question, its options in this order."""
    fields = {**item.fields, "options": lettered(item.options, order)} if item.options else item.fields
    prompt = card.prompt_of(item.type)
    return render(prompt.system, fields), render(prompt.user, fields)


class MediaError(UsageError):
    """A file of a pack that can be sent to nobody: what is wrong with it, what to do, and the kind of input that it is to
    be (image, audio)."""

    def __init__(self, what: str, do: str, mime: str) -> None:
        super().__init__(f"{what}; {do}")
        self.what = what
        self.do = do
        self.kind = mime.split("/")[0]


def check_media(folder: Path, item: Item) -> None:
    """Refuse files that could not be sent to any model: missing, changed, cut short, not what their `mime` says."""
    for ref, media in zip(item.media, read_media(folder, item), strict=True):
        if wrong := flaw(media.data, media.mime):
            raise MediaError(
                f"{folder / ref.path}: this file of item {item.id!r} of the pack {folder.name!r} {wrong}",
                "put the right file there, and its mime and sha256 into items.jsonl",
                ref.mime,
            )


def read_media(folder: Path, item: Item) -> Iterable[Media]:
    """The item's files; a path may not leave the pack's folder, and the bytes must be those of the hash."""
    for ref in item.media:
        owner = f"item {item.id!r} of the pack {folder.name!r}"
        if "://" in ref.path or ref.path.startswith("data:"):
            raise MediaError(
                f"{folder}: {owner} names a URL, and nothing is fetched: {ref.path[:80]!r}",
                "save the file in the pack's folder and give its path there",
                ref.mime,
            )
        path = folder / ref.path
        try:
            inside = path.resolve().is_relative_to(folder.resolve())
            data = _bytes(path) if inside else b""
        except (OSError, ValueError, RuntimeError) as e:  # a zero byte, a link to itself
            reason = getattr(e, "strerror", None) or e
            do = "make it smaller" if getattr(e, "errno", None) == errno.EFBIG else "put it there, or correct its path"
            raise MediaError(
                f"{folder}: the file {ref.path!r} of {owner} cannot be read ({reason})", do, ref.mime
            ) from None
        if not inside:
            raise MediaError(
                f"{folder}: {owner} names a file outside its pack: {ref.path!r}",
                "copy it into the pack's folder",
                ref.mime,
            )
        if sha256(data) != ref.sha256:
            raise MediaError(
                f"{path}: its SHA-256 is {sha256(data)[:12]}…, {owner} says {ref.sha256[:12]}…",
                "put the file of that hash back, or write the new hash into items.jsonl",
                ref.mime,
            )
        yield Media(ref.mime, data, ref.sha256)


MAX_MEDIA = 100_000_000
"""Bytes of one file. No vendor takes as much inline."""


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise OSError(errno.ENOENT, "no file" if path.exists() else os.strerror(errno.ENOENT))
    if path.stat().st_size > MAX_MEDIA:
        raise OSError(errno.EFBIG, f"larger than {MAX_MEDIA} bytes")
    return path.read_bytes()


def chance(card: Card, item: Item) -> float:
    """The score of a uniform guess at this item."""
    if isinstance(card.chance, str):
        if card.chance != "1/options":
            raise UsageError(f"pack {card.id}: chance is {card.chance!r}; it must be a number or 1/options")
        return 1 / len(item.options) if item.options else 0.0
    return float(card.chance)
