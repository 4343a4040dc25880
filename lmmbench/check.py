"""`lmmbench check`: packs, providers.yaml, and every scorer against every gold answer. Asks nothing, costs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lmmbench import config, packs, scorers, validators
from lmmbench.canon import sha256
from lmmbench.doors import read_text
from lmmbench.faults import UsageError
from lmmbench.types import Item


def check_pack(pack: packs.Pack) -> list[str]:
    """Everything that is wrong with a pack, as sentences with the item's id."""
    found = [
        f"{p.item_id + ': ' if p.item_id else ''}{p.rule}: {p.text}" for p in validators.problems(list(pack.items))
    ]
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


def check_all(tasks_dir: Path, providers: Path) -> tuple[list[str], list[str]]:
    """(what was checked, what is wrong)."""
    done: list[str] = []
    wrong: list[str] = []
    try:
        cfg = config.load(providers)
        done.append(f"{providers}: {len(cfg.models)} models on {len(cfg.endpoints)} endpoints")
    except UsageError as e:
        wrong.append(str(e))
    for name, folder in packs.find(tasks_dir).items():
        try:
            pack = packs.load(folder)
        except UsageError as e:
            wrong.append(str(e))
            continue
        problems = check_pack(pack)
        wrong += [f"{name}: {text}" for text in problems]
        solvers = {} if any(": gold: " in t for t in problems) else validators.solver_scores(pack.active)
        best = max(solvers.items(), key=lambda s: s[1][0], default=None)
        note = f"; best guesser {best[0]!r} {best[1][0]:.1%} (bound {best[1][1]:.1%})" if best else ""
        done.append(f"{name} {pack.card.version}: {len(pack.active)} of {len(pack.items)} items active{note}")
    return done, wrong


_HASH_LINE = re.compile(r"^items_sha256:.*$", re.MULTILINE)


def write_hash(folder: Path) -> str:
    """Put the SHA-256 of items.jsonl into card.yaml, leaving all else as it stands. Returns the hash."""
    digest = sha256(read_text(folder / "items.jsonl"))
    card = folder / "card.yaml"
    text, count = _HASH_LINE.subn(f"items_sha256: {digest}", read_text(card))
    if count != 1:
        raise UsageError(f"{card}: needs exactly one line items_sha256: …; add it at the top level")
    card.write_text(text, encoding="utf-8", newline="\n")
    packs.load(folder)
    return digest
