"""What a run costs as it grows: python -m benchmarks.growth [--items 1000,10000,100000] [--folder DIR]

For each size, each in a process of its own, against `benchmarks.server` without latency: a whole `lmmbench run`, then
`lmmbench score` of the same run (journal to parquet and matrix), then `lmmbench.load` of its rows beside pyarrow to
pandas alone. CPU is user + system; memory is the most that its processes held.
Needs a POSIX system; a million items take some minutes and 4 GB of disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.perf import IN_FLIGHT, Spent, machine, server, spend, stats, write_pack, write_providers

ROUNDS = 5
GOALS_MB = {10_000: 200, 1_000_000: 600}
LOAD_GOAL = 1.3


@dataclass(frozen=True, slots=True)
class Size:
    """What so many items took. `load_s` and `alone_s`: wall seconds to a DataFrame, by us and by pyarrow alone."""

    items: int
    run: Spent
    score: Spent
    load_s: float
    alone_s: float

    def text(self) -> str:
        goal = GOALS_MB.get(self.items)
        met = "" if goal is None else f" (≤ {goal}: {'meets' if self.run.peak_mb <= goal else 'misses'})"
        return (
            f"{self.items:>9,} {self.run.cpu_s:>8.2f} {1000 * self.run.cpu_s / self.items:>9.3f} {self.run.peak_mb:>7.0f}{met:<18}"
            f"{self.items / self.score.cpu_s:>9,.0f} {self.score.peak_mb:>6.0f} {self.load_s:>7.2f} / {self.alone_s:.2f} s = {self.load_s / self.alone_s:.2f} x"
        )


def measured(folder: Path, items: int) -> Size:
    pack = Path(_aside(write_pack, folder, items))
    common = ("--results", str(folder), "--tasks-dir", str(folder))
    with server(0) as url:
        providers = write_providers(folder / "providers.yaml", f"{url}/v1")
        run, _ = spend(
            "-m", "lmmbench", "run", "--tasks", str(pack), "--models", "sim-a", "--concurrency", str(IN_FLIGHT),
            "--run-id", f"run-{items}", "--providers", str(providers), *common,
        )  # fmt: skip
        if stats(url)["requests"] != items:
            raise SystemExit(f"the server saw {stats(url)['requests']} requests instead of {items}")
    score, _ = spend("-m", "lmmbench", "score", f"run-{items}", *common[:2])
    return Size(items, run, score, *_aside(_loading, folder / f"run-{items}"))


def _aside(do: Callable[..., Any], *given: Any) -> Any:
    """What a function gives, called in a process of its own: a child's peak memory counts that of who started it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(do, *given).result()


def _loading(run: Path) -> tuple[float, float]:
    """Seconds of `lmmbench.load`, and of pyarrow and pandas without us, rounds interleaved, after one of each."""
    import pyarrow.parquet as pq

    import lmmbench

    paths = list(run.glob("models/*.parquet"))

    def took(act: object) -> float:
        start = time.perf_counter()
        assert len(act()) > 0  # type: ignore[operator]
        return time.perf_counter() - start

    rounds = [
        (took(lambda: lmmbench.load(run)), took(lambda: pq.read_table(paths[0]).to_pandas())) for _ in range(ROUNDS + 1)
    ]
    ours, alone = zip(*rounds[1:], strict=True)
    return median(ours), median(alone)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a run costs as it grows.")
    parser.add_argument("--items", default="1000,10000,100000", help="sizes, comma-separated")
    parser.add_argument("--folder", help="where packs and runs go and stay; else a temporary folder")
    given = parser.parse_args()
    print(f"machine: {machine()}\nload goal: ≤ {LOAD_GOAL} x\n")
    print(
        f"{'items':>9} {'CPU s':>8} {'ms/item':>9} {'MB':>7} {'':<17}{'scored/s':>9} {'MB':>6} {'load / pyarrow to pandas':>24}"
    )
    with tempfile.TemporaryDirectory(prefix="lmmbench-growth-") as name:
        for items in map(int, given.items.split(",")):
            print(measured(Path(given.folder or name), items).text(), flush=True)
    print(f"\nmachine afterwards: {machine()}")


if __name__ == "__main__":
    main()
