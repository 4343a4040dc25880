"""What the questions of a matrix rest on: the shares of each attestation, from items.parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lmmbench.analysis.words import WORDS
from lmmbench.files import read_parquet

RECALL = "recall"


def lines(folders: Sequence[Path], lang: str) -> list[str]:
    """One line: for each pack the share of each attestation, and of recall by stratum where there is some; none where no run
    has its items."""
    asked: dict[str, dict[str, tuple[str, str]]] = {}
    for folder in folders:
        if (folder / "items.parquet").is_file():
            table = read_parquet(folder / "items.parquet", ["pack", "item_id", "stratum", "attestation"])
            for pack, item, stratum, kind in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
                asked.setdefault(pack, {})[item] = (stratum, kind)
    told = [f"{pack} {_shares(list(items.values()))}" for pack, items in asked.items()]
    return [WORDS[lang]["evidence"].format(each="; ".join(told))] if told else []


def _shares(items: Sequence[tuple[str, str]]) -> str:
    """`page 96 %, recall 4 % (jargon 10 %, register 5 %)`; most frequent first."""
    kinds, strata = Counter(kind for _, kind in items), Counter(stratum for stratum, _ in items)
    recalled = Counter(stratum for stratum, kind in items if kind == RECALL)
    where = ", ".join(f"{s} {_percent(n, strata[s])}" for s, n in recalled.items())
    # in a pack that is all recall, or in one stratum, the strata say nothing more
    more = f" ({where})" if len(recalled) > 0 and len(strata) > 1 and kinds[RECALL] < len(items) else ""
    return ", ".join(f"{k} {_percent(n, len(items))}{more if k == RECALL else ''}" for k, n in kinds.most_common())


def _percent(part: int, whole: int) -> str:
    """Rounded, but never to none of some or all of most."""
    share = 100 * part / whole
    return "< 1 %" if 0 < share < 1 else "> 99 %" if 99 < share < 100 else f"{share:.0f} %"
