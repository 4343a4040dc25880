"""Made-up runs with known truths: what simulated models answer is drawn, what becomes of it is the real publishing.

    folder = run(tmp_path, {"sim-a": Model(), "sim-b": Model(gap={"dialect/jeju": 1.2})}, {"dialect": {"jeju": 100}})

An item's difficulty is normal (-1, 1.3) on the logit, each model's luck with it normal (0, 1): a model without a gap is
right in about two thirds of them. The same seed draws the same difficulties for every model, whatever else is drawn.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmmbench import bench, config, journal, packs, plan
from lmmbench.prompts import LETTERS
from lmmbench.runner import _done
from lmmbench.types import Reply, Request, Usage
from tests import kit

Change = Callable[[str, Request], str | None]
"""(model, request) -> `error`, `truncated`, or None for a plain answer."""


@dataclass(frozen=True)
class Model:
    """A made-up model. `gap`: logits added to its ability in a pack or a stratum; `tokens` per Hangul syllable."""

    region: str = "overseas"
    family: str = "Sim"
    vendor: str = "Simulated"
    gap: Mapping[str, float] = field(default_factory=dict)
    latency_s: float = 1.0
    ttft_s: float | None = None
    tokens: float = 1.0
    endpoint: str = "sim"


def _noise(*name: Any) -> random.Random:
    """A stream of its own for each thing that is drawn, so that nothing else moves it."""
    return random.Random(hashlib.sha256(repr(name).encode()).digest())  # noqa: S311


def write_packs(tasks: Path, strata: Mapping[str, Mapping[str, int]], per_cluster: int = 1) -> None:
    """Packs of closed questions: {pack: {stratum: items}}."""
    for pack, counts in strata.items():
        items = [
            kit.item(f"{stratum}{n:04}", stratum=stratum, cluster_id=f"{stratum}:{n // per_cluster}")
            for stratum, count in counts.items()
            for n in range(count)
        ]
        kit.write_pack(tasks / pack, items)


def run(
    cwd: Path, models: Mapping[str, Model], strata: Mapping[str, Mapping[str, int]], *, run_id: str = "sim", seed: int = 0,
    repeats: int = 1, per_cluster: int = 1, change: Change | None = None, night: int = 0,
) -> Path:  # fmt: skip
    """A published run of these models over these packs. Returns its folder. Another `night` draws anew what each model answers
    to each item, and nothing of how hard the item is for it."""
    write_packs(cwd / "tasks", strata, per_cluster)
    rows = {
        m: {"region": s.region, "family": s.family, "vendor": s.vendor, "endpoint": s.endpoint} for m, s in models.items()
    }  # fmt: skip
    cfg = config.load(kit.providers_yaml(cwd / "providers.yaml", "http://127.0.0.1:9", rows, {"far": {"base_url": "https://far.test/v1", "key_env": "FAR_API_KEY"}}))  # fmt: skip
    chosen = packs.select(",".join(strata), cwd / "tasks")
    planned = {m: plan.PlannedModel(cfg.models[m], cfg.endpoints[cfg.models[m].endpoint]) for m in models}
    run_plan = bench.make_plan(bench.RunOptions(",".join(strata), None, repeats=repeats), run_id, planned, chosen)
    folder = cwd / "results" / run_id
    bench.prepare_folder(folder, 0, new=True)
    plan.save(run_plan, folder)
    lines = [
        journal.line_of(_record(m, s, r, seed, change, night))
        for m, s in models.items()
        for r in _asked(chosen, repeats)
    ]
    (folder / "journal" / "main.jsonl").write_bytes(b"".join(lines))
    bench.publish(folder, run_plan, chosen, cwd / "tasks")
    return folder


def _asked(chosen: list[packs.Pack], repeats: int) -> list[Request]:
    return [packs.request(p, i, t, seed=0) for p in chosen for i in p.active for t in range(repeats)]


def _record(model: str, made: Model, asked: Request, seed: int, change: Change | None, night: int) -> dict[str, Any]:
    key = {"model": model, "pack": asked.pack, "item": asked.item.id, "trial": asked.trial}
    what = change(model, asked) if change else None
    if what == "error":
        return {
            "t": "fail",
            **key,
            "kind": "server",
            "error": "simulated",
            "billed": False,
            "at": "2026-11-01T00:00:00+00:00",
        }
    syllables = sum("가" <= c <= "힣" for c in asked.system + asked.user)
    reply = Reply(
        f"정답: {LETTERS[asked.order.index(1 if _right(model, made, asked, seed, night) else 2)]}",
        "length" if what == "truncated" else "stop", usage=Usage(math.ceil(syllables * made.tokens), 0, 8, 0),
        ttft_s=made.ttft_s,
    )  # fmt: skip
    luck = _noise(seed, "speed", model, asked.item.id, asked.trial).lognormvariate(0, 0.2)
    return _done(key, asked, reply) | {"latency_s": made.latency_s * luck, "queue_s": 0.0, "started_at": "2026-11-01T00:00:00+00:00"}  # fmt: skip


def _right(model: str, made: Model, asked: Request, seed: int, night: int) -> bool:
    place = (asked.pack, asked.item.id)
    gap = made.gap.get(asked.pack, 0.0) + made.gap.get(f"{asked.pack}/{asked.item.stratum}", 0.0)
    logit = gap + _noise(seed, "luck", model, *place).gauss() - _noise(seed, "item", *place).gauss(-1, 1.3)
    again = (night,) if night else ()
    return _noise(seed, "coin", model, *place, asked.trial, *again).random() < 1 / (1 + math.exp(-logit))
