"""The matrix as the articles tell it: overseas and domestic, a row a vendor, its strengths (강점) and weaknesses (과제).

A statement is a labelled cell and nothing else. Where nothing was measured that is said; where cells were measured and carry
no statement, they are counted by label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lmmbench.analysis.claims import Family, book
from lmmbench.analysis.field import REGIONS, Cell, is_simulated
from lmmbench.analysis.views import Sheet, name
from lmmbench.analysis.words import WORDS

_NUMBERS = ("diff", "diff_low", "diff_high", "p_adj", "n_scored")


def data(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row for every family of the articles, then for every other measured one, by region; reference models are in
    none. `otherwise` counts the measured cells without a statement, by label (`no field` where there is none)."""
    known = book().families
    told = [c for c in cells if c["region"] in REGIONS]
    rest = {
        (c["region"], c["vendor"], c["family"]): Family(c["family"], c["vendor"], c["region"], (c["family"],))
        for c in told
        if not any(f.holds(c) for f in known)
    }
    rows = [(f, [c for c in told if f.holds(c)]) for f in known]
    rows += [(f, [c for c in told if (c["region"], c["vendor"], c["family"]) == key]) for key, f in rest.items()]
    return [_row(f, mine) for region in REGIONS for f, mine in rows if f.region == region]


def _row(family: Family, cells: Sequence[Cell]) -> dict[str, Any]:
    measured = [c for c in cells if c["mean"] is not None]
    several = len({c["run_id"] for c in cells}) > 1
    silent = Counter(c["label"] or "no field" for c in measured if c["label"] not in ("strength", "weakness"))
    return {
        "region": family.region, "vendor": family.vendor, "family": family.name,
        "models": list(dict.fromkeys(name(c, several) for c in measured)), "measured": bool(measured),
        "simulated": any(map(is_simulated, measured)),
        "strengths": [_statement(c, several) for c in measured if c["label"] == "strength"],
        "weaknesses": [_statement(c, several) for c in measured if c["label"] == "weakness"],
        "otherwise": dict(silent.most_common()),
    }  # fmt: skip


def _statement(cell: Cell, several: bool) -> dict[str, Any]:
    return {"model": name(cell, several), "cell": cell["cell"]} | {key: cell[key] for key in _NUMBERS}


def sheets(cells: Sequence[Cell], lang: str) -> list[Sheet]:
    """A sheet for each region: vendor, strengths, weaknesses, and how many cells say neither."""
    words = WORDS[lang]
    header = [words[key] for key in ("vendor", "strengths", "weaknesses", "others")]
    rows = data(cells)
    note = words["article_note"].format(**words)
    return [
        Sheet(header, [_texts(r, lang) for r in rows if r["region"] == region], words[region], note * (n == 1), prose=True, titles=words["region"])
        for n, region in enumerate(REGIONS)
    ]  # fmt: skip


def _texts(row: dict[str, Any], lang: str) -> list[str]:
    words = WORDS[lang]
    who = row["family"] if row["family"] == row["vendor"] else f"{row['vendor']}\n{row['family']}"
    who += f"\n{words['simulated']}" * row["simulated"]
    if not row["measured"]:
        return [who, words["not_measured"], words["not_measured"], words["none"]]
    labels = {"no field": words["no_label"]}
    otherwise = " · ".join(f"{labels.get(k) or words[k]} {n}" for k, n in row["otherwise"].items())
    several = len(row["models"]) > 1
    said = ("\n".join(_said(row[key], several)) or words["none"] for key in ("strengths", "weaknesses"))
    return [who, *said, otherwise or words["none"]]


def _said(statements: Sequence[dict[str, Any]], several: bool) -> Iterator[str]:
    """`korean-dialect +8.1 [3.0,13.2]`, and the model where the family has several."""
    for s in statements:
        interval = "" if s["diff_low"] is None else f" [{100 * s['diff_low']:.1f},{100 * s['diff_high']:.1f}]"
        yield f"{s['cell']} {100 * s['diff']:+.1f}{interval}" + (f" ({s['model']})" if several else "")
