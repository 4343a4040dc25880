"""What the questions of a matrix rest on: the shares of each attestation, from items.parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lmmbench.analysis.words import WORDS
from lmmbench.files import read_batches

RECALL = "recall"
BATCH = 1024
_COLUMNS = ("pack", "item_id", "stratum", "attestation")


Held = Counter[tuple[str, str]]
"""How many questions of a pack are of each (stratum, attestation)."""


def lines(folders: Sequence[Path], lang: str) -> list[str]:
    """One line: for each pack the share of each attestation, and of recall by stratum where there is some; none where no run
    has its items. A question that several runs asked counts once."""
    asked: dict[str, Held] = {}
    seen: set[tuple[str, str]] = set()
    for path in (folder / "items.parquet" for folder in folders):
        for batch in read_batches(path, _COLUMNS, BATCH) if path.is_file() else ():
            for pack, item, stratum, kind in zip(*(batch[name] for name in _COLUMNS), strict=True):
                if len(folders) > 1:  # one run has each but once, and may have a million
                    if (pack, item) in seen:
                        continue
                    seen.add((pack, item))
                asked.setdefault(pack, Counter())[stratum, kind] += 1
    told = [f"{pack} {_shares(held)}" for pack, held in asked.items()]
    return [WORDS[lang]["evidence"].format(each="; ".join(told))] if told else []


def _shares(held: Held) -> str:
    """`page 96 %, recall 4 % (jargon 10 %, register 5 %)`; most frequent first."""
    kinds: Counter[str] = Counter()
    strata: Counter[str] = Counter()
    for (stratum, kind), n in held.items():
        kinds[kind] += n
        strata[stratum] += n
    recalled = {stratum: n for (stratum, kind), n in held.items() if kind == RECALL}
    where = ", ".join(f"{s} {_percent(n, strata[s])}" for s, n in recalled.items())
    # in a pack that is all recall, or in one stratum, the strata say nothing more
    more = f" ({where})" if recalled and len(strata) > 1 and kinds[RECALL] < held.total() else ""
    return ", ".join(f"{k} {_percent(n, held.total())}{more if k == RECALL else ''}" for k, n in kinds.most_common())


def _percent(part: int, whole: int) -> str:
    """Rounded, but never to none of some or all of most."""
    share = 100 * part / whole
    return "< 1 %" if 0 < share < 1 else "> 99 %" if 99 < share < 100 else f"{share:.0f} %"
