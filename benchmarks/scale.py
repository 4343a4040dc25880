"""What an ask takes in bytes, memory and time when a run is split and merged: python -m benchmarks.scale [--items N] [--shards N]

Three runs against `benchmarks.server`, in shards one after another, then merged: some questions by one model, the same by
four, and four times as many by one. What an ask adds is what the second takes above the first, over the asks between
them; what an item adds beyond its ask is the third's share. docs/scale.md multiplies these numbers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import perf


@dataclass(frozen=True, slots=True)
class Size:
    """A merged run: bytes of its files, and what the slowest shard and the merge cost."""

    count: int
    journal: int
    items: int
    rows: int
    packed: int
    shard: perf.Spent
    merge: perf.Spent


def write_providers(path: Path, url: str, models: int) -> Path:
    """providers.yaml with this many models on the server."""
    data = json.loads(perf.write_providers(path, f"{url}/v1").read_text(encoding="utf-8"))
    (row,) = data["models"].values()
    data["models"] = {f"sim-{n}": row for n in range(models)}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def measured(folder: Path, items: int, models: int, shards: int) -> Size:
    """A run of `items` questions by simulated models, in shards, merged and packed."""
    folder.mkdir()
    pack = perf.write_pack(folder, items)
    run = folder / "results" / pack.name
    where = ["--results", str(folder / "results"), "--tasks-dir", str(folder)]
    with perf.server(0) as url:
        providers = write_providers(folder / "providers.yaml", url, models)
        asked = [
            perf.spend(
                "-m", "lmmbench", "run", "--tasks", str(pack), "--run-id", pack.name, "--shard", f"{n}/{shards}",
                "--providers", str(providers), *where,
            )[0]
            for n in range(1, shards + 1)
        ]  # fmt: skip
    merged, _ = perf.spend("-m", "lmmbench", "merge", pack.name, *where)
    packed = folder / "packed.tar.gz"
    perf.spend("-m", "lmmbench", "pack", pack.name, "--results", str(folder / "results"), "--to", str(packed))

    def size(pattern: str) -> int:
        return sum(p.stat().st_size for p in run.glob(pattern))

    slowest = max(asked, key=lambda spent: spent.wall_s)
    return Size(
        items * models, size("journal/*.jsonl"), size("items.parquet"), size("models/*.parquet"), packed.stat().st_size,
        slowest, merged,
    )  # fmt: skip


def lines(one: Size, more_asks: Size, more_items: Size, shards: int) -> list[str]:
    """What an ask adds, and what an item adds beside its ask."""
    asks = more_asks.count - one.count

    def both(what: str, unit: float, get: Callable[[Size], float]) -> str:
        ask = (get(more_asks) - get(one)) / asks * unit
        item = (get(more_items) - get(one)) / asks * unit - ask
        return f"{what:28} {ask:10.3f} an ask, {item:10.3f} an item beside"

    return [
        both("journal, bytes", 1, lambda x: x.journal),
        both("models/*.parquet, bytes", 1, lambda x: x.rows),
        both("items.parquet, bytes", 1, lambda x: x.items),
        both("packed run, bytes", 1, lambda x: x.packed),
        both(f"one shard of {shards}, bytes", 2**20, lambda x: x.shard.peak_mb),
        both("all shards, CPU ms", 1e3 * shards, lambda x: x.shard.cpu_s),
        both("merge, bytes of memory", 2**20, lambda x: x.merge.peak_mb),
        both("merge, wall ms", 1e3, lambda x: x.merge.wall_s),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="What an ask takes when a run is split and merged.")
    parser.add_argument("--items", type=int, default=10_000, help="questions of the first run")
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [(options.items, 1), (options.items, 4), (4 * options.items, 1)]
        one, more_asks, more_items = (
            measured(Path(folder) / f"{n}", *size, options.shards) for n, size in enumerate(sizes)
        )
    print(f"{perf.machine()}; {options.items:,} items, {options.shards} shards")
    print("\n".join(lines(one, more_asks, more_items, options.shards)))


if __name__ == "__main__":
    main()
