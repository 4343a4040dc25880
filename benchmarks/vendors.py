"""Whether one slow endpoint of seven delays the six others: python -m benchmarks.vendors [--items N] [--repeat N]

Six endpoints answer after 50 ms, the seventh after 30 s. What is compared is how long the six are asked, from their first
request to their last, in a run with the seventh and in one without. The run with it is told to stop some time after the
six are done: what the seventh has not answered by then is not asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import perf

SLOW_MS = 30_000
CONCURRENCY = 32
DEADLINE_S = 8
QUICK = [f"v{n}" for n in range(1, 7)]


def write_providers(path: Path, quick: str, slow: str) -> Path:
    """Seven endpoints with a model each: v1 to v6 on one server, v0 on the slow one."""
    urls = {"v0": slow} | dict.fromkeys(QUICK, quick)
    price = {"input": 0.0, "output": 0.0, "as_of": "2026-11-22", "source": "made up"}
    who = {"vendor": "simulated", "family": "simulated", "region": "reference", "price": price}
    endpoints = {v: {"api": "openai-chat", "base_url": f"{u}/v1", "concurrency": CONCURRENCY} for v, u in urls.items()}
    models = {f"sim-{v}": {"endpoint": v, "name": f"sim-{v}", **who} for v in urls}
    path.write_text(json.dumps({"version": 1, "endpoints": endpoints, "models": models}), encoding="utf-8")
    return path


def asked_s(folder: Path, pack: Path, items: int, *, with_slow: bool) -> float:
    """Seconds from the first to the last request of the six. Fails loudly where one of their questions was not asked
    exactly once."""
    models = [*QUICK, "v0"] if with_slow else QUICK
    with (
        perf.server(perf.LATENCY_MS) as quick,
        perf.server(SLOW_MS) as slow,
        tempfile.TemporaryDirectory(dir=folder) as results,
    ):
        providers = write_providers(Path(results, "providers.yaml"), quick, slow)
        command = [
            sys.executable, "-m", "lmmbench", "run", "--tasks", str(pack), "--models", ",".join(f"sim-{v}" for v in models),
            "--results", results, "--providers", str(providers), "--tasks-dir", str(pack.parent), "--deadline", f"{DEADLINE_S}s",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=perf.ROOT, env=perf.environment(), capture_output=True, text=True, check=False
        )
        saw = perf.stats(quick)
        if done.returncode != (3 if with_slow else 0) or saw["requests"] != len(QUICK) * items:
            raise SystemExit(f"exit {done.returncode}, {saw['requests']} requests:\n{done.stderr[-3000:]}")
        return (saw["last_ns"] - saw["first_ns"]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether one slow endpoint of seven delays the six others.")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"machine: {perf.machine()}")
    with tempfile.TemporaryDirectory(prefix="lmmbench-vendors-") as name:
        folder = Path(name)
        pack = perf.write_pack(folder, options.items)
        pairs = [
            (
                asked_s(folder, pack, options.items, with_slow=True),
                asked_s(folder, pack, options.items, with_slow=False),
            )
            for _ in range(options.repeat)
        ]
    beside, alone = (median(side) for side in zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    print(
        f"six endpoints at {perf.LATENCY_MS} ms, {options.items:,} questions each, {CONCURRENCY} in flight, median of {options.repeat}: asked within "
        f"{beside:.2f} s beside a seventh at {SLOW_MS // 1000} s, {alone:.2f} s without it: {ratio:.2f} x"
    )


if __name__ == "__main__":
    main()
