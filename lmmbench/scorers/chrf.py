"""chrF (Popović 2015, W15-3049) by sacrebleu, with its signature: the metric for text into Korean, where spacing
varies and word n-grams mislead. Scores are chrF / 100.

`rewrite` is chrF behind a gate: the key words of the standard sentence must be there and the dialect words gone,
since copying the source alone earns 17 to 39 chrF on dialect sentences.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from lmmbench.scorers import Grade, Scorer
from lmmbench.scorers.text import clean, holds, spaceless
from lmmbench.types import Item

VERSION = 1


@cache
def _metric() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()  # nc:6, nw:0, case:mixed, space:no


def _metric_id(name: str) -> str:
    import sacrebleu

    return f"{name}@{VERSION}|nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|norm:nfc|version:{sacrebleu.__version__}"


def chrf(text: str, references: Sequence[str]) -> float:
    """Sentence chrF in 0…1 against the best of the references, both in NFC."""
    refs = [unicodedata.normalize("NFC", r) for r in references]
    return float(_metric().sentence_score(unicodedata.normalize("NFC", text), refs).score) / 100


def share_found(text: str, groups: Iterable[Sequence[str]]) -> float | None:
    """Share of groups of which at least one string stands in the text, spaces ignored; None without groups."""
    shown = spaceless(text)
    hits = [any(holds(shown, s) for s in group) for group in groups]
    return sum(hits) / len(hits) if hits else None


def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
    """chrF; the share of key terms stands beside it in `aux`."""
    said = clean(answer)
    if not said:
        return Grade(0.0, None, "none")
    aux = {"key_terms": share_found(said, item.params.get("key_terms", ()))}
    return Grade(chrf(said, item.targets), said, aux=aux)


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


def _targets(item: Item, order: Sequence[int]) -> list[str]:
    return list(item.targets)


CHRF = Scorer("chrf", lambda: _metric_id("chrF"), grade, _targets, "open")
REWRITE = Scorer("rewrite", lambda: _metric_id("rewrite-chrF"), grade_rewrite, _targets, "open")
