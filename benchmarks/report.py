"""How long a large report takes: 10,000 items x 3 made-up models (sim-a, sim-b, sim-c).

    python -m benchmarks.report [ITEMS] [FOLDER]

Writes a simulated run of ITEMS (default 10,000) into FOLDER (default: a temporary one), makes its report, and opens it
in a headless browser: from navigation until the matrix, the filters and the first items are there to be used.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmmbench import results
from lmmbench.analysis import matrix, report
from lmmbench.files import write_parquet
from lmmbench.prompts import lettered, option_order
from tests.browser import NoBrowser, browser

MODELS = ("sim-a", "sim-b", "sim-c")
STRATA = ("gyeongsang", "jeolla", "chungcheong", "gangwon", "jeju", "north")
WORDS = (
    "하루", "아침", "저녁", "사람", "마을", "시장", "학교", "바다", "산길", "노래", "이야기", "어머니", "할아버지", "동생", "친구", "날씨",
    "비가", "눈이", "바람이", "먹었다", "갔다", "왔다", "보았다", "들었다", "말했다", "생각했다", "그래서", "그러나", "그런데", "아마", "정말",
    "조금", "많이", "다시", "먼저", "나중에", "혼자", "함께", "여기", "저기", "무엇을", "어떻게", "왜냐하면", "뜻은", "표준어로", "방언에서",
    "쓰는", "말이며", "문맥을", "보면", "알맞은", "답은",
)  # fmt: skip


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) + rng.choice(("", "", "은", "도", ".", ",")) for _ in range(words))


def item(rng: random.Random, n: int) -> dict[str, Any]:
    """A row of items.parquet: three of four closed, with a question of about 200 characters."""
    options = [text(rng, 4) for _ in range(4)] if n % 4 else []
    question = text(rng, 50) + ("\n\n" + lettered(options, range(1, 5)) if options else "")
    return {
        "schema_version": 1, "pack": f"sim-pack-{n % 2}", "pack_version": "1.0.0", "item_id": f"q{n:05}",
        "stratum": STRATA[n % 6], "type": "closed" if options else "open", "cluster_id": f"c{n // 2}",
        "system": "답만 쓰십시오.", "question": question, "fields_json": "{}", "options": options, "targets": ["1"],
        "params_json": "{}", "media_json": "[]", "tags": [], "attestation": "recall", "claim": text(rng, 8),
        "chance": 0.25 if options else 0.0,
    }  # fmt: skip


def answer(rng: random.Random, model: str, asked: dict[str, Any]) -> dict[str, Any]:
    """A row of models/*.parquet: answers of 5 to 700 characters, one in fifty an error."""
    closed = bool(asked["options"])
    order = option_order(4, seed=0, pack=asked["pack"], item_id=asked["item_id"], trial=0) if closed else ()
    row = {k: asked[k] for k in ("pack", "pack_version", "stratum", "type", "item_id", "cluster_id", "schema_version")}
    row |= {
        "run_id": "large", "model": model, "vendor": "Simulated", "family": "Sim", "region": "overseas", "trial": 0,
        "attempts": 1, "maybe_billed": False, "order_json": json.dumps(order), "harness_version": "0",
    }  # fmt: skip
    if rng.random() < 0.02:
        return row | {"status": "error", "error_kind": "timeout", "error": "no answer within 120 s"}
    right = rng.random() < 0.6
    said = f"정답: {rng.choice('ABCD')}" if rng.random() < 0.4 else text(rng, rng.randrange(5, 150))
    return row | {
        "status": "ok", "finish": "stop", "answer": said, "parsed": rng.choice("1234") if closed else said[:20],
        "parse_status": "ok", "parse_rule": "marker", "score": float(right) if closed else round(rng.random(), 4),
        "metric_id": "choice/1" if closed else "chrf/1", "input_tokens": rng.randrange(90, 300), "served_model": model,
        "output_tokens": rng.randrange(4, 400), "latency_s": rng.lognormvariate(0, 0.6), "cost_usd": rng.random() / 1e3,
        "sent_json": '{"max_tokens":128,"temperature":0}', "dropped_json": "{}", "started_at": datetime(2026, 11, 22, tzinfo=UTC),
    }  # fmt: skip


def write_run(folder: Path, items: int) -> Path:
    """A published run of made-up answers."""
    rng = random.Random(7)  # noqa: S311 (no secret hangs on it)
    asked = [item(rng, n) for n in range(items)]
    (folder / "models").mkdir(parents=True, exist_ok=True)
    write_parquet(folder / "items.parquet", results.item_schema(), [asked])
    model = {"vendor": "Simulated", "family": "Sim", "region": "overseas", "options": {}, "verified": "never"}
    prompt, scorer = {"system": "답만 쓰십시오.", "user": "{{question}}"}, {"name": "choice", "params": {}}
    card = {
        "version": "1.0.0",
        "title": "made up",
        "languages": ["ko"],
        "licence": "none",
        "prompt": prompt,
        "scorer": scorer,
    }
    packs = {p: {"card": card, "sha": "0" * 64, "items": [a["item_id"] for a in asked if a["pack"] == p]} for p in ("sim-pack-0", "sim-pack-1")}  # fmt: skip
    plan = {"run_id": "large", "created_at": "2026-11-22T00:00:00+00:00", "harness_version": "0", "packs": packs, "repeats": 1}  # fmt: skip
    plan["models"] = {m: {"model": model | {"name": m}, "endpoint": {"api": "openai-chat"}} for m in MODELS}
    _write_json(folder / "plan.json", plan)
    for m in MODELS:
        write_parquet(folder / "models" / f"{m}.parquet", results.row_schema(), [[answer(rng, m, a) for a in asked]])
    matrix.publish(folder)
    _write_json(folder / "run.json", {"run_id": "large", "simulated": True, "planned": items * 3, "by_status": {}, "models": {}})  # fmt: skip
    return folder


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8", newline="\n")


def opened(path: Path, times: int = 5) -> Iterator[tuple[float, float]]:
    """Seconds from navigation until the page can be used, and of one search over all texts, `times` times."""
    with browser() as started:
        for _ in range(times):
            tab = started.new_context().new_page()
            tab.goto(path.resolve().as_uri())
            tab.wait_for_selector("html[data-ready]")
            ready = tab.evaluate("performance.getEntriesByName('ready')[0].startTime / 1000")
            searched = tab.evaluate(
                "() => { const start = performance.now(); filterBy({text: '할아버지도 산길'}); document.body.offsetHeight; "
                "return (performance.now() - start) / 1000; }"
            )
            yield ready, searched
            tab.close()


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_run(Path(sys.argv[2] if len(sys.argv) > 2 else temporary), items)
        start = time.perf_counter()
        path = report.write(folder)
        took = time.perf_counter() - start
        print(f"{items:,} items x {len(MODELS)} models: made in {took:.1f} s, {path.stat().st_size / 1e6:.1f} MB")
        try:
            ready, searched = zip(*opened(path), strict=True)
        except NoBrowser as e:
            print(f"not opened: {e}")
            return
        print(
            f"opens in {statistics.median(ready):.2f} s (median of {len(ready)}; {min(ready):.2f} to {max(ready):.2f})"
        )
        print(f"a search over every text: {statistics.median(searched):.2f} s")


if __name__ == "__main__":
    main()
