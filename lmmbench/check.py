"""`lmmbench check`: packs, providers.yaml, and every scorer against every gold answer. Asks nothing, costs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lmmbench import config, packs, scorers, validators
from lmmbench.canon import sha256
from lmmbench.doors import decode, read_text, read_yaml
from lmmbench.faults import UsageError
from lmmbench.files import write_atomically
from lmmbench.guessers import guesses
from lmmbench.types import _STRICT, Item


@dataclass(frozen=True, slots=True)
class Excuse:
    """Items ("" is the pack as a whole) that may break a rule, and why. It stands in the pack's excused.yaml, is said at
    every check and in the datasheet, and is itself a problem once it excuses nothing."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    rule: str
    items: tuple[str, ...]
    reason: str


def excuses(folder: Path) -> tuple[Excuse, ...]:
    """The pack's excuses; none where it has no excused.yaml. Raises UsageError."""
    path = folder / "excused.yaml"
    if not path.is_file():
        return ()
    data, lines = read_yaml(path)
    return decode(tuple[Excuse, ...], data, path, lines)


def _unexcused(pack: packs.Pack) -> Iterator[str]:
    """Breaches of the rules that nothing excuses, and excuses that nothing needs."""
    excused = {(e.rule, item) for e in excuses(pack.folder) for item in e.items}
    # others' packs are as they are: what our rules would say of them is no reason not to ask them
    found = [] if pack.card.data else validators.problems(pack.items)
    for problem in found:
        if (problem.rule, problem.item_id) not in excused:
            yield f"{problem.item_id + ': ' if problem.item_id else ''}{problem.rule}: {problem.text}"
    for rule, item in sorted(excused - {(p.rule, p.item_id) for p in found}):
        yield f"{item + ': ' if item else ''}excused.yaml excuses a breach of {rule} that is not there; take it out"


def check_pack(pack: packs.Pack) -> list[str]:
    """Everything that is wrong with a pack, as sentences with the item's id."""
    found = list(_unexcused(pack))
    if any(": gold: " in text for text in found):
        return found
    for item in pack.active:
        found += [f"{item.id}: {text}" for text in _scores_gold(pack, item)]
        try:
            packs.chance(pack.card, item)
            list(packs.read_media(pack.folder, item))
        except UsageError as e:
            found.append(f"{item.id}: {e}")
    return found


def _scores_gold(pack: packs.Pack, item: Item) -> Iterator[str]:
    """The item's scorer gives its gold full marks, whatever order is shown, and an empty answer none."""
    spec = pack.card.scorer_of(item.type)
    metric = scorers.scorer(spec.name)
    if (metric.items == "closed") != bool(item.options):
        yield f"the scorer {spec.name!r} is for {metric.items} questions, this item is not"
        return
    for trial in range(3):
        order = packs.request(pack, item, trial, seed=0).order
        for answer in metric.gold(item, order):
            got = metric.grade(answer, item, order, spec.params).score
            if abs(got - 1) > 1e-9:
                yield f"its own gold {answer[:40]!r} gets {got:.3f} from {spec.name}, not 1"
        if metric.grade("", item, order, spec.params).score != 0:
            yield f"an empty answer gets a score from {spec.name}"
        if not order:
            return


def check_all(tasks: packs.Folders, providers: Path) -> tuple[list[str], list[str]]:
    """(what was checked, what is wrong)."""
    done: list[str] = []
    wrong: list[str] = []
    try:
        cfg = config.load(providers)
        done.append(f"{providers}: {len(cfg.models)} models on {len(cfg.endpoints)} endpoints")
    except UsageError as e:
        wrong.append(str(e))
    for name, folder in packs.find(tasks).items():
        try:
            if packs.awaits_import(folder):
                done.append(f"{name}: not imported; lmmbench import {name}")
                continue
            pack = packs.load(folder)
            problems = check_pack(pack)
            wrong += [f"{name}: {text}" for text in problems]
            done += _notes(name, pack, problems)
        except UsageError as e:
            wrong.append(str(e))
    return done, wrong


def _notes(name: str, pack: packs.Pack, problems: Sequence[str]) -> Iterator[str]:
    """What a reader should know of a pack beside its problems: counts, the best guesser, what is excused and not asked."""
    found = {} if any(": gold: " in t for t in problems) else guesses(pack.active)
    best = max(found.items(), key=lambda g: g[1].share, default=None)
    note = f"; best guesser {best[0]!r} {best[1].share:.1%} (bound {best[1].bound:.1%})" if best else ""
    yield f"{name} {pack.card.version}: {len(pack.active)} of {len(pack.items)} items active{note}"
    for excuse in excuses(pack.folder):
        yield f"{name}: excused from {excuse.rule}: {_few(excuse.items)}: {excuse.reason}"
    if disputed := [i.id for i in pack.items.heads() if i.status == "disputed"]:
        yield f"{name}: disputed, not asked: {_few(disputed)}"


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


_HASH_LINE = re.compile(r"^items_sha256:.*$", re.MULTILINE)


def write_hash(folder: Path) -> str:
    """Put the SHA-256 of items.jsonl into card.yaml, leaving all else as it stands. Returns the hash."""
    digest = sha256(read_text(folder / "items.jsonl"))
    card = folder / "card.yaml"
    text, count = _HASH_LINE.subn(f"items_sha256: {digest}", read_text(card))
    if count != 1:
        raise UsageError(f"{card}: needs exactly one line items_sha256: …; add it at the top level")
    write_atomically(card, text.encode("utf-8"))
    packs.load(folder)
    return digest
