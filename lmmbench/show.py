"""What is printed of models, packs, runs and single items. Text from models is shown with its control characters
escaped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmmbench import bench, config, packs, places, retired
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet
from lmmbench.terminal import visible


def models(providers: Path) -> list[dict[str, Any]]:
    """Every configured model, and whether it can be asked from here."""
    cfg = config.load(providers)
    rows = []
    for name, model in cfg.models.items():
        try:
            reason, _ = bench.why_not(model, cfg.endpoints[model.endpoint])
        except UsageError as e:
            reason = str(e)
        rows.append({
            "model": name, "vendor": model.vendor, "family": model.family, "region": model.region,
            "endpoint": model.endpoint, "key_env": cfg.endpoints[model.endpoint].key_env or None,
            "ready": not reason, "why_not": reason or None, "verified": model.verified,
            "retires_on": retired.end(model.name, cfg.endpoints[model.endpoint].base_url, model.retires_on)[0] or None,
        })  # fmt: skip
    return rows


def tasks(folders: packs.Folders) -> list[dict[str, Any]]:
    """Every pack with its groups, counts and licence."""
    rows = []
    for name, folder in packs.find(folders).items():
        pack = None if packs.awaits_import(folder) else packs.load(folder)
        card, active = (pack.card, pack.active) if pack else (packs.load_card(folder), ())
        title = card.title if pack else f"{card.title} (not imported: lmmbench import {name})"
        rows.append({
            "task": name, "version": card.version, "title": title, "groups": list(card.groups),
            "items": len(active), "strata": sorted({i.stratum for i in active}), "licence": card.licence,
        })  # fmt: skip
    return rows


def runs(results: Path) -> list[dict[str, Any]]:
    """Every run under the results folder, oldest first; one without run.json is unfinished."""
    rows = []
    for run_id in places.runs(results):
        path = results / run_id / "run.json"
        manifest = json.loads(path.read_bytes()) if path.is_file() else {}
        rows.append({
            "run": run_id, "planned": manifest.get("planned"), "by_status": manifest.get("by_status"),
            "stop_reason": manifest.get("stop_reason", "not published"), "cost_usd": manifest.get("cost_usd"),
        })  # fmt: skip
    return rows


def item(folder: Path, item_id: str) -> str:
    """A question, every model's answer, what was parsed, and the score. `item_id`: the id, or pack/id."""
    if not (folder / "items.parquet").is_file():
        raise UsageError(f"{folder.name} is not published yet; finish it with: lmmbench run --resume {folder.name}")
    rows = read_parquet(folder / "items.parquet").to_pylist()
    found = [r for r in rows if item_id in (r["item_id"], f"{r['pack']}/{r['item_id']}")]
    if not found:
        from lmmbench.doors import nearest

        raise UsageError(f"no item {item_id!r} in {folder.name}{nearest(item_id, [r['item_id'] for r in rows])}")
    if len(found) > 1:
        raise UsageError(f"{item_id!r} is in {len(found)} packs; write pack/item: {found[0]['pack']}/{item_id}")
    return "\n".join(_item_lines(folder, found[0]))


def _item_lines(folder: Path, row: dict[str, Any]) -> list[str]:
    import pyarrow.compute as pc

    lines = [visible(f"{row['pack']}/{row['item_id']}  {row['stratum']} · {row['type']} · {row['attestation']}"), ""]
    lines.append(visible(row["question"]))
    lines += [visible(f"shown with {m['path']} ({m['mime']})") for m in json.loads(row["media_json"] or "[]")]
    lines += ["", f"targets: {visible(' | '.join(row['targets']))}"]
    if row["options"]:
        lines.append("options as written: " + visible("  ".join(f"{n}={o}" for n, o in enumerate(row["options"], 1))))
    lines.append(f"claim: {visible(row['claim'])}")
    columns = [
        "latency_s",
        "ttft_s",
        "model",
        "trial",
        "status",
        "error_kind",
        "error",
        "answer",
        "order_json",
        "parsed",
        "parse_status",
        "parse_rule",
        "score",
    ]
    for path in sorted((folder / "models").glob("*.parquet")):
        table = read_parquet(path, [*columns, "pack", "item_id"])
        wanted = pc.and_(pc.equal(table["pack"], row["pack"]), pc.equal(table["item_id"], row["item_id"]))
        for got in table.filter(wanted).to_pylist():
            lines += ["", *_answer_lines(got)]
    return lines


def _answer_lines(got: dict[str, Any]) -> list[str]:
    score = "–" if got["score"] is None else f"{got['score']:.3f}"
    first = "" if got["ttft_s"] is None else f" (first token after {got['ttft_s']:.2f} s)"
    took = f", {got['latency_s']:.2f} s{first}" if got["latency_s"] else ""
    head = f"{got['model']} (trial {got['trial']}): {got['status']}, score {score}{took}"
    if got["answer"] is None:
        return [head + (f", {got['error_kind'] or ''} {visible(got['error'] or '')}".rstrip())]
    shown = f", options shown as {got['order_json']}" if got["order_json"] not in (None, "[]") else ""
    parsed = f"parsed {visible(got['parsed'])!r}" if got["parsed"] is not None else "nothing parsed"
    return [head + shown, *("  | " + x for x in visible(got["answer"]).splitlines()), f"  {parsed} ({got['parse_status']} {got['parse_rule'] or ''})".rstrip()]  # fmt: skip
