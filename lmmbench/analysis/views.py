"""How cells and statements are shown: as tables for a terminal, as Markdown, as CSV for spreadsheets, as JSON.

A view makes `Sheet`s of texts; what is drawn from a sheet is the same for all views. No score stands without its
interval and its count, no statement without a label, and what was not measured is a dash.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from lmmbench import stats
from lmmbench.analysis.field import Cell
from lmmbench.analysis.words import WORDS
from lmmbench.terminal import visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

CONDUCT = ("latency_p50", "latency_p95", "tokens_per_s", "cost_per_1k", "hangul_per_token", "refused_rate", "truncated_rate", "parsed_rate")  # fmt: skip
_STYLES = {
    "strength": "bold green", "weakness": "bold red", "supported": "bold green", "contradicted": "bold red",
    "not measured": "dim", "thin": "dim", "unclear": "dim",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts. `keys` leading columns are repeated where it is split; `prose` columns wrap and are never split
    off; `note` stands under it; `titles`: what the titles of such sheets are called, where they tell them apart."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    keys: int = 1
    prose: bool = False
    titles: str = ""


# --- the matrix ---------------------------------------------------------------------------------------


def title(lang: str, simulated: bool = False, what: str = "title") -> str:
    """What a view shows, in one line; made-up models are called so before anything else."""
    return (f"{WORDS[lang]['SIMULATED']}  " if simulated else "") + WORDS[lang][what]


def cell_text(cell: Cell | None, lang: str = "en") -> str:
    """`52.8 [37.0,68.0]`, `n=36 · 100 %` (scored, coverage), for summaries `copied 7 %` and, where there is a label,
    `strength +7.1` (points from the mean of the others) and the 95 % interval of that, a line each; `–` where nothing was
    measured."""
    if cell is None or cell["mean"] is None:
        return WORDS[lang]["none"]
    interval = "" if cell["ci_low"] is None else f" [{100 * cell['ci_low']:.1f},{100 * cell['ci_high']:.1f}]"
    # rounded down: what is not whole never looks whole
    lines = [f"{100 * cell['mean']:.1f}{interval}", f"n={cell['n_scored']} · {math.floor(100 * cell['coverage'])} %"]
    if cell["copy_rate"] is not None:
        lines.append(f"{WORDS[lang]['copied']} {math.floor(100 * cell['copy_rate'])} %")
    if cell["label"] is not None:
        points = "" if cell["diff"] is None else f" {100 * cell['diff']:+.1f}"
        lines.append(WORDS[lang][cell["label"]] + points)
    if cell["label"] is not None and cell["diff_low"] is not None:
        lines.append(f"[{100 * cell['diff_low']:+.1f},{100 * cell['diff_high']:+.1f}]")
    return "\n".join(lines)


def models(cells: Sequence[Cell], lang: str, apart: bool = False) -> list[Sheet]:
    """Models x cells: the packs, then the strata of each, then speed, cost and conduct for each pack. `apart`: the runs
    are not one field, so that each has a family of its own."""
    packs = list(dict.fromkeys(c["cell"] for c in cells if c["kind"] == "pack"))
    family = Counter(_family(c, apart) for c in cells if c["p"] is not None)
    several = len({c["run_id"] for c in cells}) > 1
    groups = [[c for c in cells if c["kind"] == "pack"]]
    groups += [[c for c in cells if c["kind"] == "stratum" and c["cell"].startswith(f"{p}/")] for p in packs]
    sheets = [_grid(group, lang, several, _detectable(group, lang, family, apart)) for group in groups if group]
    if sheets and not family:
        sheets[0] = replace(sheets[0], note=WORDS[lang]["no_field"])
    conduct = [_conduct([c for c in groups[0] if c["cell"] == p], p, lang, several) for p in packs]
    if conduct:
        conduct[-1] = replace(conduct[-1], note=WORDS[lang]["conduct_note"])
    return sheets + conduct


def _family(cell: Cell, apart: bool) -> str:
    return str(cell["run_id"]) if apart else ""


def name(cell: Cell, several: bool) -> str:
    """The model, and its run where there are several."""
    return f"{cell['model']} @ {cell['run_id']}" if several else str(cell["model"])


def _grid(cells: Sequence[Cell], lang: str, several: bool, note: str) -> Sheet:
    rows = list(dict.fromkeys(name(c, several) for c in cells))
    columns = list(dict.fromkeys(c["cell"] for c in cells))
    at = {(name(c, several), c["cell"]): c for c in cells}
    texts = [[row, *(cell_text(at.get((row, column)), lang) for column in columns)] for row in rows]
    return Sheet([WORDS[lang]["model"], *(c.replace("/", "/\n") for c in columns)], texts, note=note)


def _detectable(cells: Sequence[Cell], lang: str, family: Mapping[str, int], apart: bool) -> str:
    """The smallest true difference that these cells can show, for each cell the median over its field; "" where none
    was compared."""
    lines = []
    for of, size in family.items():
        found: dict[str, list[float]] = {}
        for c in cells:
            if c["diff_low"] is not None and _family(c, apart) == of:
                least = stats.minimum_detectable(c["diff_low"], c["diff_high"], size)
                found.setdefault(c["cell"].rpartition("/")[2], []).append(math.inf if least is None else least)
        if found:
            each = {cell: _least(median(values), lang) for cell, values in found.items()}
            text = " · ".join(f"{cell} {least}" for cell, least in each.items())
            why = WORDS[lang]["undetectable"] if WORDS[lang]["none"] in each.values() else ""
            lines.append((f"{of}: " if of else "") + WORDS[lang]["detectable"].format(family=size, each=text) + why)
    return "\n".join(lines)


def _least(share: float, lang: str) -> str:
    return f"{100 * share:.1f}" if share <= 1 else WORDS[lang]["none"]


def _conduct(cells: Sequence[Cell], pack: str, lang: str, several: bool) -> Sheet:
    words = WORDS[lang]
    rows = [[name(c, several), *(_number(n, c, words) for n in CONDUCT)] for c in cells]
    return Sheet([words["model"], *(words[n] for n in CONDUCT)], rows, title=words["conduct"].format(pack=pack))


def _number(column: str, cell: Cell, words: Mapping[str, str]) -> str:
    value = cell[column]
    if value is None:
        return words["none"]
    if column.endswith("_rate"):
        # answers of one cluster may fail together: as many are counted as can be independent
        low, high = stats.wilson(value * cell["clusters"], cell["clusters"])
        return f"{100 * value:.1f}\n[{math.floor(100 * low)},{math.ceil(100 * high)}]"
    shown = f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    cached = cell["cached_share"] if column == "latency_p50" else None
    # rounded up: a little is not none
    return f"{shown}\n{words['cached']} {math.ceil(100 * cached)} %" if cached else shown


# --- a terminal ---------------------------------------------------------------------------------------


def tables(sheets: Iterable[Sheet], width: int) -> list[Table | Text]:
    """Sheets for a terminal of that width, their notes after them: as many columns a table as fit."""
    from rich.text import Text

    out: list[Table | Text] = []
    for sheet in map(_safe, sheets):
        parts = (
            [_table(sheet, _widths(sheet, width))] if sheet.prose else [_table(*part) for part in _split(sheet, width)]
        )
        out += [*parts, *([Text(sheet.note)] if sheet.note else [])]
    return out


def _safe(sheet: Sheet) -> Sheet:
    """The sheet with nothing in it that acts on a terminal: vendors and strata are other people's texts."""
    rows = [[visible(text) for text in row] for row in sheet.rows]
    return replace(
        sheet,
        header=[visible(text) for text in sheet.header],
        rows=rows,
        title=visible(sheet.title),
        note=visible(sheet.note),
    )


def _lines(texts: Iterable[str]) -> int:
    """Width of the widest line."""
    from rich.cells import cell_len

    return max((cell_len(line) for text in texts for line in text.splitlines()), default=0)


def _widths(sheet: Sheet, width: int) -> list[int]:
    """Widths of the columns: those of the body; a header may fold. The first column leaves room for one more; where
    prose is too wide, the widest columns give way."""
    body = [_lines(row[n] for row in sheet.rows) for n in range(len(sheet.header))]
    least = [min(_lines([text]), 19) for text in sheet.header]
    wanted = [max(b, w) for b, w in zip(body, least, strict=True)]
    if sheet.prose:
        while sum(wanted) + 3 * len(wanted) + 1 > width and max(wanted) > 8:
            wanted[wanted.index(max(wanted))] -= 1
        return wanted
    widest = max(wanted[1:], default=0)
    return [max(8, min(wanted[0], width - widest - 7)), *wanted[1:]]


def _split(sheet: Sheet, width: int) -> Iterator[tuple[Sheet, list[int]]]:
    """The sheet in parts that fit the width, each with its key columns, and the widths of their columns."""
    widths = _widths(sheet, width)
    keys = list(range(sheet.keys))
    chosen: list[int] = []
    for column in range(sheet.keys, len(widths)):
        if chosen and sum(widths[c] + 3 for c in [*keys, *chosen, column]) + 1 > width:
            yield _part(sheet, keys + chosen), [widths[c] for c in keys + chosen]
            chosen = []
        chosen.append(column)
    yield _part(sheet, keys + chosen), [widths[c] for c in keys + chosen]


def _part(sheet: Sheet, columns: Sequence[int]) -> Sheet:
    rows = [[row[c] for c in columns] for row in sheet.rows]
    return replace(sheet, header=[sheet.header[c] for c in columns], rows=rows)


def _table(sheet: Sheet, widths: Sequence[int]) -> Table:
    from rich.table import Table
    from rich.text import Text

    tall = any("\n" in text for row in sheet.rows for text in row)
    table = Table(
        show_lines=tall or sheet.prose, title=Text(sheet.title) if sheet.title else None, title_justify="left"
    )
    for n, (text, width) in enumerate(zip(sheet.header, widths, strict=True)):
        left = n < sheet.keys or sheet.prose
        table.add_column(Text(text), justify="left" if left else "right", width=width, overflow="fold")
    for row in sheet.rows:
        table.add_row(*(_styled(text) for text in row))
    return table


def _styled(text: str) -> Text:
    """A text with its label coloured: the word says it, the colour repeats it."""
    from rich.text import Text

    styled = Text(text)
    for key, style in _STYLES.items():
        for words in WORDS.values():
            styled.highlight_regex(rf"(?m)^{words[key]}(?= [+-]|$)", style)
    return styled


# --- files --------------------------------------------------------------------------------------------


def markdown(sheets: Iterable[Sheet], heading: str) -> str:
    """Sheets as Markdown tables, their notes after them."""
    lines = [heading, ""]
    for sheet in sheets:
        align = ["---" if n < sheet.keys or sheet.prose else "---:" for n in range(len(sheet.header))]
        lines += [f"**{sheet.title}**", ""] if sheet.title else []
        lines += [
            _line(text.replace("/\n", "/").replace("\n", " ") for text in sheet.header),
            "|" + "|".join(align) + "|",
        ]
        lines += [_line(text.replace("\n", "<br>") for text in row) for row in sheet.rows]
        lines += ["", sheet.note.replace("\n", "<br>")] if sheet.note else []
        lines.append("")
    return "\n".join(lines)


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def sheets_csv(sheets: Iterable[Sheet]) -> str:
    """Sheets of one header as CSV with a byte order mark, each row after its sheet's title where there are several."""
    listed = list(sheets)
    first = [[sheet.title] if sheet.titles else [] for sheet in listed]
    header = [*([listed[0].titles] if listed[0].titles else []), *listed[0].header]
    return _csv(header, ([*title, *row] for title, sheet in zip(first, listed, strict=True) for row in sheet.rows))


def cells_csv(cells: Sequence[Cell], columns: Sequence[str]) -> str:
    """Cells as CSV with a byte order mark, so that spreadsheets read it as UTF-8; null is empty."""
    return _csv(columns, ([cell[column] for column in columns] for cell in cells))


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_no_formula(value) for value in row] for row in rows)
    return "\ufeff" + out.getvalue()


def _no_formula(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_json(data: Sequence[Mapping[str, Any]], ascii_only: bool = False) -> str:
    return json.dumps(list(data), ensure_ascii=ascii_only, indent=1)
