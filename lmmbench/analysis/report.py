"""The report: one HTML file that holds a run's matrix, items and answers, and opens without a network.

Reads a run's published files only. The page (report.html, report.css, report.js beside this file) is filled with data
that no browser runs: zlib in base64, in a script element of a type that is not executed. Only our own style and script
may act, by their hashes in the Content-Security-Policy. The same run files give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from lmmbench.analysis import evidence, matrix, profile, sealed
from lmmbench.analysis.field import Cell
from lmmbench.analysis.views import Sheet
from lmmbench.analysis.words import WORDS
from lmmbench.canon import sha256
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet, without_surrogates, write_atomically
from lmmbench.prompts import lettered

Record = dict[str, Any]

ITEM_COLUMNS = [
    "pack",
    "item_id",
    "stratum",
    "type",
    "cluster_id",
    "attestation",
    "claim",
    "chance",
    "system",
    "question",
    "options",
    "targets",
    "tags",
    "media_json",
]
ROW_COLUMNS = [
    "trial",
    "status",
    "error_kind",
    "error",
    "attempts",
    "maybe_billed",
    "finish",
    "answer",
    "parsed",
    "parse_status",
    "parse_rule",
    "score",
    "metric_id",
    "aux_json",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "latency_s",
    "ttft_s",
    "order_json",
    "served_model",
    "sent_json",
    "dropped_json",
]
"""What the page shows of an answer. Reasoning stays in the parquet: it would be most of the file."""


def write(folder: Path, lang: str = "en") -> Path:
    """Write report.html into a run's folder, in `lang` (en or ko; the page can switch), and return its path. Raises
    UsageError where the run is not published."""
    path = folder / "report.html"
    write_atomically(path, page(data(folder), lang).encode())
    return path


# --- what is in it -----------------------------------------------------------------------------------


def data(folder: Path) -> Record:
    """All that the page shows: {run, models, packs, matrix, evidence, tables, items, rows}. `items` and each of `rows` (by
    model) are columns; `rows` name their item by its place in `items`. `evidence` and `tables` are texts by language."""
    plan, manifest = _json_file(folder, "plan.json"), _json_file(folder, "run.json")
    items = read_parquet(folder / "items.parquet", ITEM_COLUMNS).to_pylist()
    place = {(r["pack"], r["item_id"]): n for n, r in enumerate(items)}
    cells, gaps = matrix.read(folder), sealed.gaps([folder])
    return {
        "run": _run(plan, manifest) | {"run_json_sha256": sha256((folder / "run.json").read_bytes())},
        "models": [_model(name, planned, manifest["models"].get(name, {})) for name, planned in plan["models"].items()],
        "packs": [_pack(name, planned) for name, planned in plan["packs"].items()],
        "matrix": cells,
        "evidence": {lang: evidence.lines([folder], lang) for lang in WORDS},
        "tables": {lang: [_table(s) for s in _sheets(cells, gaps, lang)] for lang in WORDS},
        "items": _items(items),
        "rows": {name: _rows(folder / "models" / f"{name}.parquet", place) for name in plan["models"]},
    }


def _sheets(cells: Sequence[Cell], gaps: Sequence[sealed.Gap], lang: str) -> list[Sheet]:
    """What the terminal shows below the matrix and the page has no table of its own for."""
    return [*profile.sheets(cells, lang), *sealed.sheets(gaps, lang)]


def _table(sheet: Sheet) -> Record:
    return {"title": sheet.title, "note": sheet.note, "keys": sheet.keys, "header": sheet.header, "rows": sheet.rows}


def _json_file(folder: Path, name: str) -> Record:
    try:
        found: Record = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{folder.name} is not published yet; publish what was answered with: lmmbench score {folder.name}"
        ) from None
    except ValueError:
        raise UsageError(f"{folder / name} is damaged; write it anew with: lmmbench score {folder.name}") from None
    return found


_OF_PLAN = ("run_id", "created_at", "harness_version", "plan_sha", "seed", "repeats", "option_order")
_OF_MANIFEST = (
    "ended_at",
    "published_by",
    "git_sha",
    "simulated",
    "planned",
    "by_status",
    "stop_reason",
    "cost_usd",
    "tokens",
    "sampling_policy",
    "alarms",
)


def _run(plan: Record, manifest: Record) -> Record:
    """The run's own facts. Addresses, headers and paths of the machine stay out: a report is handed on."""
    run = {k: plan.get(k) for k in _OF_PLAN} | {k: manifest.get(k) for k in _OF_MANIFEST}
    return run | {"damaged_records": len(manifest.get("damaged_records", ()))}


def _model(name: str, planned: Record, ran: Record) -> Record:
    model = planned["model"]
    kept = ("vendor", "family", "region", "options", "drops", "verified", "price")
    # an embedded model's name may be the path of a file on this machine
    called = re.split(r"[\\/]", model["name"])[-1] if planned["endpoint"]["api"] == "embedded" else model["name"]
    return {"id": name, "name": called} | {k: model.get(k) for k in kept} | ran


def _pack(name: str, planned: Record) -> Record:
    card = planned["card"]
    kept = ("version", "title", "languages", "licence", "source", "chance", "max_output_tokens")
    prompts = {"": card["prompt"]} | card.get("prompts", {})
    scorers = {"": card["scorer"]} | card.get("scorers", {})
    return {
        "id": name, "sha": planned["sha"], "items": len(planned["items"]), **{k: card.get(k) for k in kept},
        "prompts": [{"type": t, **p} for t, p in prompts.items()],
        "scorers": [{"type": t, **s} for t, s in scorers.items()],
    }  # fmt: skip


def _items(rows: Sequence[Record]) -> Record:
    """Columns of the items. `question` is [text] or, where it holds the options, [before, after] them, so that the page
    can put them there in the order in which they were shown."""
    columns = {name: [r[name] for r in rows] for name in ITEM_COLUMNS if name != "question"}
    return {k: _column(v) for k, v in columns.items()} | {"question": {"is": [_question(r) for r in rows]}}


def _question(row: Record) -> list[str]:
    options = row["options"]
    block = lettered(options, range(1, len(options) + 1))
    return row["question"].split(block, 1) if block else [row["question"]]


def _rows(path: Path, place: dict[tuple[str, str], int]) -> Record:
    """Columns of one model's answers, in the plan's order."""
    table = read_parquet(path, ["pack", "item_id", *ROW_COLUMNS])
    got = {name: table[name].to_pylist() for name in table.column_names}
    item = [place[key] for key in zip(got.pop("pack"), got.pop("item_id"), strict=True)]
    return {"item": {"is": item}} | {name: _column([_short(v) for v in values]) for name, values in got.items()}


def _short(value: Any) -> Any:
    """Six digits are more than any clock or score here has."""
    return round(value, 6) if isinstance(value, float) else value


def _column(values: list[Any]) -> Record:
    """{"is": values}, or {"of": distinct values, "at": places in them} where most values repeat."""
    keys = [json.dumps(v) for v in values]
    distinct = {k: n for n, k in enumerate(dict.fromkeys(keys))}
    if len(distinct) * 2 > len(values):
        return {"is": values}
    return {"of": [json.loads(k) for k in distinct], "at": [distinct[k] for k in keys]}


# --- how it is packed --------------------------------------------------------------------------------


def page(content: Record, lang: str) -> str:
    """The whole HTML file. Deterministic: nothing of today or of this machine is in it."""
    html, css, js = (_shipped(f"report.{kind}") for kind in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; script-src {_source(js)}; style-src {_source(css)}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return Template(html).substitute(lang=lang, policy=policy, css=css, js=js, data=pack(content))


def pack(content: Record) -> str:
    """Data as text that can stand in HTML: JSON, zlib, base64. A lone surrogate becomes U+FFFD."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(without_surrogates(text).encode(), 6)).decode()


def _shipped(name: str) -> str:
    return resources.files("lmmbench.analysis").joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """An inline script or style as the policy names it: by the hash of what stands between its tags."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
