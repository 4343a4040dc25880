"""How fast lmmbench is, as ratios to a raw HTTP loop in the same run: python -m benchmarks.perf [--items N] [--repeat N]

Everything is measured in subprocesses against `benchmarks.server`, rounds interleaved, medians of the rounds' own ratios,
so that a busy or slow machine changes both sides alike. CPU is user + system of a process and of all it waited for.
Goals are printed beside each row and enforce nothing. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IN_FLIGHT = 256
LATENCY_MS = 50
SMALL = 100
"""Items of the run that stands for start-up: its CPU is taken off both sides of the ratio."""
QUESTION_BYTES = 300
CLIENTS = ("aiohttp", "httpx", "httpx2", "openai")
CLIENT_REQUESTS = 2000


# --- the work ----------------------------------------------------------------------------------------

_STEM = "{number}번. 다음 말을 들은 사람이 알아들은 뜻으로 가장 알맞은 것을 고르십시오. 말한 사람은 장터에서 이웃을 만나 안부를 나누던 중이었다"
_WORDS = ("상추", "부추", "배추", "고추", "옥수수", "감자", "고구마", "가지", "오이", "호박", "시금치", "미나리", "도라지", "더덕", "고사리", "마늘", "생강", "대파", "쑥갓")  # fmt: skip


def _item(number: int) -> dict[str, Any]:
    """A closed question whose rendered user text has QUESTION_BYTES bytes. One item in ten shares its cluster."""
    options = [f"{_WORDS[(number * 7 + 5 * n) % len(_WORDS)]} {number % 89 + n}" for n in range(4)]
    stem = _STEM.format(number=number)
    shown = len("\n\n".join((stem, "\n".join(f"A. {o}" for o in options))).encode())
    return {
        "id": f"q{number:06d}", "stratum": f"region-{number % 6}", "type": "meaning",
        "cluster_id": f"lex:{number - (number % 20 == 1)}",
        "fields": {"question": stem + "." * (QUESTION_BYTES - shown)}, "options": options,
        "targets": [str(1 + number % 4)],
        "provenance": {
            "made_on": "2026-11-22", "made_by": "benchmarks.perf", "claim": "made up", "attestation": "recall",
            "evidence": [{"kind": "recall", "ref": ""}],
        },
    }  # fmt: skip


def write_pack(folder: Path, count: int) -> Path:
    """A pack of `count` made-up closed questions. Returns its folder."""
    pack = folder / f"perf-{count}"
    pack.mkdir()
    lines = "".join(json.dumps(_item(n), ensure_ascii=False) + "\n" for n in range(count))
    (pack / "items.jsonl").write_text(lines, encoding="utf-8", newline="\n")
    card = {
        "id": pack.name, "version": "1.0.0", "title": "made-up questions", "groups": [], "languages": ["ko"],
        "licence": "CC0-1.0", "source": "benchmarks.perf", "items_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "max_output_tokens": 128, "chance": "1/options",
        "prompt": {"system": "마지막 줄에 '정답: A'와 같은 꼴로 답하십시오.", "user": "{{question}}\n\n{{options}}"},
        "scorer": {"name": "choice"},
    }  # fmt: skip
    (pack / "card.yaml").write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
    return pack


KEY_ENV = "PERF_API_KEY"


def write_providers(path: Path, url: str, *, keyed: bool = False) -> Path:
    """providers.yaml with the one model sim-a on the server. With a key the endpoint is one whose limit is to be found."""
    endpoint = {"api": "openai-chat", "base_url": url, "concurrency": IN_FLIGHT} | (
        {"key_env": KEY_ENV} if keyed else {}
    )
    model: dict[str, Any] = {
        "endpoint": "sim", "name": "sim-a", "vendor": "simulated", "family": "simulated", "region": "reference",
        "price": {"input": 0.0, "output": 0.0, "as_of": "2026-11-22", "source": "made up"},
    }  # fmt: skip
    text = json.dumps({"version": 1, "endpoints": {"sim": endpoint}, "models": {"sim-a": model}})
    path.write_text(text, encoding="utf-8")
    return path


def write_bodies(path: Path, pack: Path) -> Path:
    """The very bytes that lmmbench sends for the pack, a request a line, for the raw loops."""
    from lmmbench import packs
    from lmmbench.providers import openai_chat
    from lmmbench.types import Model

    model = Model("sim", "sim-a", "simulated", "simulated", "reference")
    loaded = packs.load(pack)
    bodies = (openai_chat.encode(packs.request(loaded, i, 0, seed=0), model).body for i in loaded.items)
    path.write_bytes(b"\n".join(bodies))
    return path


# --- what is measured --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process tree cost. `waited_s`: how long its main thread stood ready without a CPU (Linux, else 0).
    `peak_mb`: the most that all its processes held, what they share counted once (Linux, looked at 20 times a second; else of the
    largest of them).
    `first_s`: from its start to the first request that the server saw. `asking_s`: from there to the last request.
    `total_s`: from the first request to the published run."""

    cpu_s: float
    wall_s: float
    waited_s: float
    peak_mb: float
    first_s: float = 0.0
    asking_s: float = 0.0
    total_s: float = 0.0
    most_in_flight: int = 0
    body_bytes: int = 0


def environment() -> dict[str, str]:
    """This process's, without keys, proxies and settings of lmmbench, and with a key for our own server."""
    cut = ("_API_KEY", "_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith(cut) and not k.startswith("LMMBENCH_")}
    return kept | {KEY_ENV: "a-key-of-nobody"}


def spend(*arguments: str, timed: bool = False) -> tuple[Spent, int]:
    """Run this Python with the arguments. Returns what it cost and when it began (time.time_ns). Fails loudly. `timed`:
    nobody looks at its memory meanwhile."""
    with tempfile.TemporaryFile() as out:
        began_ns, began = time.time_ns(), time.perf_counter()
        child = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=out, stderr=out)
        with _memory(child.pid, wanted=not timed) as held:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wall, waited = time.perf_counter() - began, _waited_s(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            out.seek(0)
            raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}:\n{out.read().decode()[-3000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Spent(usage.ru_utime + usage.ru_stime, wall, waited, max(held, default=usage.ru_maxrss / unit)), began_ns


@contextmanager
def _memory(pid: int, *, wanted: bool) -> Iterator[list[float]]:
    """MB that a process and its children hold, again and again where that is wanted; of shared pages each has its share (proc_pid_smaps(5): Pss)."""
    held: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                held.append(sum(map(_pss_mb, [str(pid), *children])))
            except (OSError, ValueError):  # one has just ended, or this is no Linux
                continue

    thread = threading.Thread(target=look)
    if wanted:
        thread.start()
    try:
        yield held
    finally:
        over.set()
        if wanted:
            thread.join()


def _pss_mb(pid: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _waited_s(pid: int) -> float:
    """Seconds that the main thread of an ended process, not yet reaped, stood in the run queue."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


@contextmanager
def server(latency_ms: float) -> Iterator[str]:
    """The fake server; yields its address."""
    command = [sys.executable, "-m", "benchmarks.server", "--latency-ms", str(latency_ms)]
    child = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.terminate()
        child.wait()


def stats(url: str) -> dict[str, int]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/stats", timeout=10) as reply:
        found: dict[str, int] = json.load(reply)
    return found


def _seen(spent: Spent, url: str, began_ns: int, requests: int, done_ns: int = 0) -> Spent:
    """With what the server saw; each request must have come exactly once."""
    saw = stats(url)
    if saw["requests"] != requests:
        raise SystemExit(f"the server saw {saw['requests']} requests instead of {requests}")
    total = (done_ns - saw["first_ns"]) / 1e9 if done_ns else 0.0
    asking = (saw["last_ns"] - saw["first_ns"]) / 1e9
    return dataclasses.replace(
        spent, first_s=(saw["first_ns"] - began_ns) / 1e9, asking_s=asking, total_s=total, most_in_flight=saw["most_in_flight"],
        body_bytes=saw["body_bytes"],
    )  # fmt: skip


def lmmbench_run(folder: Path, pack: Path, latency_ms: float = 0.0, *, ramp: bool = False) -> Spent:
    """A whole `lmmbench run` of the pack, all slots at once or by the ramp of a vendor's endpoint. It ends when run.json,
    the commit mark, is in its place."""
    fixed = () if ramp else ("--concurrency", str(IN_FLIGHT))
    with server(latency_ms) as url, tempfile.TemporaryDirectory(dir=folder) as results:
        providers = write_providers(Path(results, "providers.yaml"), f"{url}/v1", keyed=ramp)
        spent, began_ns = spend(
            "-m", "lmmbench", "run", "--tasks", str(pack), "--models", "sim-a", *fixed,
            "--run-id", "perf", "--results", results, "--providers", str(providers), "--tasks-dir", str(pack.parent),
            timed=latency_ms > 0,
        )  # fmt: skip
        done_ns = Path(results, "perf", "run.json").stat().st_ctime_ns  # the rename's time
        return _seen(spent, url, began_ns, _count(pack), done_ns)


def _count(pack: Path) -> int:
    return int(pack.name.rpartition("-")[2])


def client_run(name: str, bodies: Path, count: int) -> Spent:
    """A raw loop: the first `count` requests by one HTTP client, each answer decoded from JSON, nothing else."""
    with server(0) as url:
        spent, began_ns = spend("-m", "benchmarks.perf", "--client", name, url, str(bodies), str(count))
        return _seen(spent, url, began_ns, count)


# --- raw loops (the children's side) -----------------------------------------------------------------


async def _flood(bodies: list[bytes], ask: Callable[[bytes], Awaitable[None]]) -> None:
    """IN_FLIGHT workers share the requests."""
    queue = iter(bodies)

    async def work() -> None:
        for body in queue:
            await ask(body)

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def _with_aiohttp(url: str, bodies: list[bytes]) -> None:
    import aiohttp

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def ask(body: bytes) -> None:
            async with session.post(f"{url}/chat/completions", data=body) as reply:
                assert json.loads(await reply.read())["choices"]

        await _flood(bodies, ask)


async def _with_httpx(name: str, url: str, bodies: list[bytes]) -> None:
    httpx = importlib.import_module(name)  # httpx and httpx2 have one interface
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(limits=limits, timeout=None, headers=headers) as client:

        async def ask(body: bytes) -> None:
            reply = await client.post(f"{url}/chat/completions", content=body)
            assert json.loads(reply.content)["choices"]

        await _flood(bodies, ask)


async def _with_openai(url: str, bodies: list[bytes]) -> None:
    openai = importlib.import_module("openai")
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=600) as client:

        async def ask(body: bytes) -> None:
            assert (await client.chat.completions.create(**json.loads(body))).choices

        await _flood(bodies, ask)


def client_main(name: str, url: str, path: str, count: int) -> None:
    """What the child of `client_run` does."""
    bodies = Path(path).read_bytes().split(b"\n")[:count]
    if name == "aiohttp":
        asyncio.run(_with_aiohttp(f"{url}/v1", bodies))
    elif name == "openai":
        asyncio.run(_with_openai(f"{url}/v1", bodies))
    else:
        asyncio.run(_with_httpx(name, f"{url}/v1", bodies))


# --- rounds and the table ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Round:
    """One round: everything once. `clients` maps a client's name to its runs of SMALL and of CLIENT_REQUESTS."""

    run: Spent
    run_small: Spent
    raw: Spent
    raw_small: Spent
    slow: Spent
    ramp: Spent
    version_s: float
    clients: dict[str, tuple[Spent, Spent]]


def one_round(folder: Path, items: int, clients: list[str]) -> Round:
    pack, small, bodies = folder / f"perf-{items}", folder / f"perf-{SMALL}", folder / "bodies"
    version, _ = spend("-m", "lmmbench", "--version")
    bare, _ = spend("-c", "pass")
    return Round(
        run=lmmbench_run(folder, pack),
        raw=client_run("aiohttp", bodies, items),
        run_small=lmmbench_run(folder, small),
        raw_small=client_run("aiohttp", bodies, SMALL),
        slow=lmmbench_run(folder, pack, LATENCY_MS),
        ramp=lmmbench_run(folder, pack, LATENCY_MS, ramp=True),
        version_s=version.cpu_s - bare.cpu_s,
        clients={
            name: (client_run(name, bodies, SMALL), client_run(name, bodies, min(items, CLIENT_REQUESTS)))
            for name in clients
        },
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `goal` and `stretch` are the most that `value` may be."""

    name: str
    value: float
    unit: str
    goal: float
    stretch: float
    made_of: str

    def text(self) -> str:
        verdict = (
            "meets, stretch too" if self.value <= self.stretch else "meets" if self.value <= self.goal else "misses"
        )
        shown, goals = f"{self.value:.2f} {self.unit}", f"≤ {self.goal:g} ({self.stretch:g})"
        return f"{self.name:<44} {shown:>9}  {goals:<12} {verdict:<19} {self.made_of}"


def rows(rounds: list[Round], items: int) -> list[Row]:
    """The goals' rows; each value is the median of the rounds' own values."""

    def mid(of: Callable[[Round], float]) -> float:
        return median(map(of, rounds))

    def per_item(many: Spent, few: Spent) -> float:
        return 1000 * (many.cpu_s - few.cpu_s) / (items - SMALL)

    ideal = items * LATENCY_MS / 1000 / IN_FLIGHT
    ours, raw = mid(lambda r: per_item(r.run, r.run_small)), mid(lambda r: per_item(r.raw, r.raw_small))
    whole, raw_whole = mid(lambda r: 1000 * r.run.cpu_s / items), mid(lambda r: 1000 * r.raw.cpu_s / items)
    wall, waited = mid(lambda r: r.slow.total_s), mid(lambda r: r.slow.waited_s)
    return [
        Row(
            "CPU per item / raw aiohttp, less start-up",
            mid(lambda r: per_item(r.run, r.run_small) / per_item(r.raw, r.raw_small)), "x", 4, 2.5,
            f"{ours:.3f} / {raw:.3f} ms",
        ),
        Row(
            "CPU per item / raw aiohttp, whole process", mid(lambda r: r.run.cpu_s / r.raw.cpu_s), "x", 4, 2.5,
            f"{whole:.3f} / {raw_whole:.3f} ms",
        ),
        Row(
            f"wall at {LATENCY_MS} ms / items x latency / in flight", mid(lambda r: r.slow.total_s / ideal), "x", 1.6, 1.3,
            f"{wall:.2f} / {ideal:.2f} s; until the last request {mid(lambda r: r.slow.asking_s):.2f} s; "
            f"ready without a CPU {waited:.2f} s; most in flight {mid(lambda r: r.slow.most_in_flight):.0f}",
        ),
        Row(
            "the same by a vendor's ramp, from 8 in flight", mid(lambda r: r.ramp.total_s / ideal), "x", 1.6, 1.3,
            f"{mid(lambda r: r.ramp.total_s):.2f} / {ideal:.2f} s; until the last request {mid(lambda r: r.ramp.asking_s):.2f} s",
        ),
        Row(
            f"start to first request, {SMALL} items", mid(lambda r: r.run_small.first_s), "s", 0.9, 0.6,
            f"whole run of {SMALL}: {mid(lambda r: r.run_small.cpu_s):.2f} CPU-s",
        ),
        Row(
            f"start to first request, {items:,} items", mid(lambda r: r.run.first_s), "s", 0.9, 0.6,
            f"whole run of {items:,}: {mid(lambda r: r.run.cpu_s):.2f} CPU-s, {mid(lambda r: r.run.wall_s):.2f} s, "
            f"{mid(lambda r: r.run.peak_mb):.0f} MB",
        ),
        Row("lmmbench --version less python -c pass", mid(lambda r: r.version_s), "CPU-s", 0.15, 0.10, ""),
    ]  # fmt: skip


def client_lines(rounds: list[Round], items: int) -> Iterator[str]:
    """The table of HTTP clients: CPU per request without start-up, and as a ratio to aiohttp."""
    count = min(items, CLIENT_REQUESTS)

    def cost(r: Round, name: str) -> float:
        few, many = r.clients[name]
        return 1000 * (many.cpu_s - few.cpu_s) / (count - SMALL)

    yield f"HTTP clients: {count:,} requests, {IN_FLIGHT} in flight, 0 ms, start-up taken off"
    yield f"{'client':<22} {'CPU ms/request':>14} {'x aiohttp':>10} {'requests/s':>11} {f'CPU-s of {SMALL}':>12}"
    for name in CLIENTS:
        if name not in rounds[0].clients:
            yield f"{name:<22} skipped: not installed (pip install {name})"
            continue
        ms, ratio = median(cost(r, name) for r in rounds), median(cost(r, name) / cost(r, "aiohttp") for r in rounds)
        speed = median((count - SMALL) / (r.clients[name][1].wall_s - r.clients[name][0].wall_s) for r in rounds)
        start = median(r.clients[name][0].cpu_s for r in rounds)
        label = f"{name} {importlib.metadata.version(name)}"
        yield f"{label:<22} {ms:>14.3f} {ratio:>10.1f} {speed:>11,.0f} {start:>12.2f}"


def machine() -> str:
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {platform.system()}"


def measure(items: int, repeat: int) -> None:
    clients = [name for name in CLIENTS if importlib.util.find_spec(name)]
    print(f"machine: {machine()}")
    print(f"work: {items:,} closed questions of {QUESTION_BYTES} bytes, answers of 400, {IN_FLIGHT} in flight, "
          f"median of {repeat} interleaved", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lmmbench-perf-") as name:
        folder = Path(name)
        pack, small = write_pack(folder, items), write_pack(folder, SMALL)
        bodies = write_bodies(folder / "bodies", pack)
        lmmbench_run(folder, small)  # compiles what is not compiled yet
        for client in clients:
            client_run(client, bodies, SMALL)
        rounds = [one_round(folder, items, clients) for _ in range(repeat)]
    if {r.run.body_bytes for r in rounds} != {r.raw.body_bytes for r in rounds}:
        raise SystemExit("lmmbench and the raw loop did not send the same bytes; mend write_bodies")
    print(f"\n{'measure':<44} {'value':>9}  {'goal':<12} {'verdict':<19} made of")
    for row in rows(rounds, items):
        print(row.text())
    print("\n" + "\n".join(client_lines(rounds, items)))
    print(f"\nmachine afterwards: {machine()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of lmmbench as ratios to a raw HTTP loop.")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--client", nargs=4, metavar=("NAME", "URL", "BODIES", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        name, url, bodies, count = options.client
        return client_main(name, url, bodies, int(count))
    if options.items <= SMALL or options.repeat < 1:
        parser.error(f"--items must be more than {SMALL}, --repeat at least 1")
    return measure(options.items, options.repeat)


if __name__ == "__main__":
    main()
