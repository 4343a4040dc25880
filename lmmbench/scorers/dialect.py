"""Dialect in and out, without a classifier. `rewrite`: a dialect sentence into the standard language; `dialect`: a
standard sentence into a dialect. Both look at words that the item lists and at chrF, and give copying nothing: copying
the source alone earns 17 to 39 chrF on dialect sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.chrf import chrf, chrf_id, targets
from lmmbench.scorers.facts import share_found
from lmmbench.scorers.text import clean, letters, spaceless
from lmmbench.types import Item

COPY = 0.95
"""chrF against the source above which a text is a copy of it."""


def grade_rewrite(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """chrF where every `must` group is met and no `must_not` string is left, else 0; ungated chrF is in `aux`."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    shown = spaceless(said)
    kept = share_found(said, item.params.get("must", ()))
    left = [s for s in item.params.get("must_not", ()) if spaceless(s) in shown]
    value = chrf(said, item.targets)
    gated = value if kept in (None, 1.0) and not left else 0.0
    aux = {"chrf": value, "must": kept, "left": left, "copy_chrf": chrf(said, [item.fields.get("source", "")])}
    return Grade(gated, said, aux=aux)


def grade_production(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """1 where at least one of the item's dialect `markers` is used, every group of `key_terms` kept, and the source not
    copied; else 0. The four numbers stand in `aux`: `chrf` against the dialect references, `copy_chrf` against the
    source, `markers` (share used), `kept` (share of key terms; null without any)."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    source = item.fields.get("source", "")
    markers = share_found(said, [[marker] for marker in item.params.get("markers", ())])
    kept = share_found(said, item.params.get("key_terms", ()))
    copy_chrf = chrf(said, [source])
    copied = copy_chrf > COPY or letters(said) == letters(source)
    aux = {"chrf": chrf(said, item.targets), "copy_chrf": copy_chrf, "markers": markers, "kept": kept, "copied": copied}
    return Grade(float(bool(markers) and kept in (None, 1.0) and not copied), said, aux=aux)


REWRITE = Scorer("rewrite", lambda params: chrf_id("rewrite-chrF", 0), grade_rewrite, targets, "open")
PRODUCTION = Scorer("dialect", lambda params: chrf_id("dialect-production", 0), grade_production, targets, "open")
