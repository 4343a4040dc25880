"""What tests share: small packs, providers.yaml for a fake server, the command line as a subprocess, a run's files.

Importing this module takes keys, proxies and lmmbench's own variables out of this process's environment, and says there
how wide a table is and how threads wait.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import json
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from lmmbench import bench, config, journal, packs, plan, results
from lmmbench.canon import sha256
from lmmbench.faults import Fault
from lmmbench.net.http import Sender
from lmmbench.providers import make
from lmmbench.types import Capabilities, Endpoint, Item, Media, Model, Provenance, Reply, Request

ROOT = Path(__file__).parents[1]


BLIND = {"kind": "blind_answer", "on": "2026-11-01", "by": "the tests", "agreed": True}
"""A check: someone answered without the gold, and agreed with it."""


def item(item_id: str, *, options: Sequence[str] = ("하나", "둘", "셋", "넷"), **more: Any) -> dict[str, Any]:
    """An item as a line of items.jsonl holds it: closed, or open with `options=()`. Its question names its id."""
    made: dict[str, Any] = {
        "id": item_id, "stratum": "s1", "type": "closed" if options else "open", "cluster_id": item_id,
        "fields": {"question": f"{item_id}번 문제: 알맞은 답은?", "source": f"{item_id} 원문"},
        "options": list(options), "targets": ["1"] if options else [f"{item_id} 답"],
        "provenance": {
            "made_on": "2026-11-01", "made_by": "the tests", "claim": "made up",
            "evidence": [{"kind": "recall", "ref": "made up"}], "attestation": "recall", "checks": [BLIND, BLIND],
        },
    }  # fmt: skip
    return made | more


def write_pack(folder: Path, items: int | Iterable[Mapping[str, Any]] = 10, **card: Any) -> Path:
    """A valid pack in `folder` (whose name becomes its id), with the right hash. `items`: how many closed ones, or the
    items themselves (see `item`). `card` replaces keys of card.yaml. Returns `folder`."""
    lines = [item(f"q{n:04}") for n in range(items)] if isinstance(items, int) else list(items)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    whole: dict[str, Any] = {
        "id": folder.name, "version": "1.0.0", "title": "A pack of the tests", "groups": ["tests"],
        "languages": ["ko"], "licence": "CC-BY-4.0", "source": "made up", "items_sha256": sha256(text),
        "max_output_tokens": 64, "chance": "1/options",
        "prompt": {"system": "답만 쓰십시오.", "user": "{{question}}\n\n{{options}}"}, "scorer": {"name": "choice"},
        "prompts": {"open": {"system": "답만 쓰십시오.", "user": "{{question}}"}}, "scorers": {"open": {"name": "exact"}},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.jsonl").write_text(text, encoding="utf-8", newline="\n")
    _write_yaml(folder / "card.yaml", whole | card)
    return folder


def providers_yaml(
    path: Path,
    url: str,
    models: Iterable[str] | Mapping[str, Mapping[str, Any]] = ("sim-a",),
    endpoints: Mapping[str, Mapping[str, Any]] | None = None,
    **every_endpoint: Any,
) -> Path:
    """providers.yaml with models on the server at `url`. `models`: ids, or ids with keys of their rows. Every endpoint
    that a model names (`sim` unless said) is made, at `url/<endpoint>/v1`, keyless, with the keys of `endpoints` and
    `every_endpoint`. Returns `path`."""
    given = models if isinstance(models, Mapping) else {m: {} for m in models}
    rows = {
        m: {"endpoint": "sim", "name": m, "vendor": "Simulated", "family": "Sim", "region": "overseas", **more}
        for m, more in given.items()
    }
    made = {}
    for name in dict.fromkeys(str(r["endpoint"]) for r in rows.values()):
        keys: dict[str, Any] = {"api": "openai-chat", "concurrency": 4, "timeout_s": 20.0, **every_endpoint}
        keys |= (endpoints or {}).get(name, {})
        if keys["api"] in config.REMOTE_APIS:
            version = "/v1" if keys["api"] == "openai-chat" else ""
            keys = {"base_url": f"{url}/{name}{version}", **keys}
        made[name] = keys
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_yaml(path, {"version": 1, "endpoints": made, "models": rows})
    return path


class _Plain(yaml.SafeDumper):
    """Writes the same value twice rather than an alias, which the doors refuse."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_yaml(path: Path, data: Any) -> None:
    text = yaml.dump(data, Dumper=_Plain, allow_unicode=True, sort_keys=False)
    path.write_text(text, encoding="utf-8", newline="\n")


def needs(*modules: str, install: str) -> pytest.MarkDecorator:
    """Skips a test, with the line that installs them, where modules are not there; with CI=true it fails instead."""
    absent = [name for name in modules if not _installed(name)]
    return pytest.mark.skipif(
        bool(absent) and os.environ.get("CI") != "true",
        reason=f"{' and '.join(absent)} not installed; run: {install}",
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


class _Refuses(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(10_000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


class _Server(socketserver.ThreadingTCPServer):
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        raw, address = super().get_request()
        return (self.tls.wrap_socket(raw, server_side=True) if self.tls else raw), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what these tests are about."""


@contextlib.contextmanager
def tcp_server(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that answers anything with a plain 400, inside TLS or outside."""
    with _Server(("127.0.0.1", 0), _Refuses) as server:
        server.tls = tls
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


# --- the command line --------------------------------------------------------------------------------


def _foreign(variable: str) -> bool:
    """Whether a variable of this machine would change what lmmbench does."""
    name = variable.upper()
    return name.endswith(("_API_KEY", "_PROXY", "_BASE_URL")) or name.startswith(("LMMBENCH_", "GITHUB_"))


for _name in [name for name in os.environ if _foreign(name)]:
    del os.environ[_name]
os.environ["COLUMNS"] = "120"  # tables are as wide as on no terminal, whatever this shell, or pytest-xdist, says
# threads of llama.cpp (through OpenMP) that wait for each other sleep: spinning, they take all cores from the other tests
os.environ["OMP_WAIT_POLICY"] = "passive"


def clean_env(**more: str) -> dict[str, str]:
    """This process's environment, which knows no key and no proxy, with `more`."""
    kept = {k: v for k, v in os.environ.items() if not _foreign(k)}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | more


def start(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """`lmmbench ARGS…` as a process that runs on; `env` is added to a clean environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "lmmbench", *map(str, args)], cwd=cwd, env=clean_env(**(env or {})),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8",
    )  # fmt: skip


def lmmbench(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """`lmmbench ARGS…` to its end; `env` is added to a clean environment."""
    process = start(*args, cwd=cwd, env=env)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# --- the same inside this process: faster, and with a short backoff -----------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: its folder, its exit code, why it stopped, the counts by status of each model."""

    folder: Path
    code: int
    stop_reason: str
    counts: dict[str, Counter[str]]


def run_here(
    cwd: Path, *, tasks: str = "p", models: str | None = None, run_id: str = "r", resume: bool = False, repeats: int = 1,
    stream: bool = False, backoff_s: float = 0.01, min_coverage: float = 0.98, **execution: Any,
) -> Ran:  # fmt: skip
    """What `lmmbench run` does with cwd/tasks, cwd/providers.yaml and cwd/results. `execution`: the other keys of
    `bench.Execution`, such as concurrency, deadline_s, max_cost."""
    folder = cwd / "results" / run_id
    if resume:
        run_plan = plan.load(folder)
        chosen = results.planned_packs(run_plan, cwd / "tasks")
    else:
        chosen = packs.select(tasks, cwd / "tasks")
        planned, _ = bench.choose_models(models, config.load(cwd / "providers.yaml"))
        run_plan = bench.make_plan(
            bench.RunOptions(tasks, models, repeats=repeats, stream=stream), run_id, planned, chosen
        )
        bench.prepare_folder(folder, 0, new=True)
        plan.save(run_plan, folder)
    how = bench.Execution(backoff_s=backoff_s, **execution)
    reason, caught, found = bench.execute(folder, run_plan, chosen, how, Console(file=io.StringIO()))
    assert found == results.index(folder, run_plan), "what the writer noted is not what the journal says"
    published = bench.publish(folder, run_plan, chosen, cwd / "tasks", found)
    return Ran(folder, bench.exit_code(published, caught, reason, min_coverage), reason, published.counts)


# --- one ask -----------------------------------------------------------------------------------------

PIXEL = Media("image/png", b"\x89PNG\r\n\x1a\n\xfb\xff\xfe", "0" * 64)
"""Not an image, but bytes whose base64 has every letter that its alphabets write differently."""


def request(user: str = "안녕하십니까?", *media: Media) -> Request:
    """An open question, as it is put to a model."""
    asked = Item("q", "s", "open", "c", {}, ("x",), Provenance("2026-11-01", "the tests", "made up", (), "recall"))
    return Request("p", asked, 0, "한국어로 답하십시오.", user, (), max_output_tokens=64, seed=3, media=media)


def ask(
    api: str, transport: Any, url: str, times: int = 1, *, key_env: str = "SIM_API_KEY", timeout_s: float = 10,
    asked: Request | None = None, headers: Mapping[str, str] | None = None, can: Capabilities | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Reply | Fault]:  # fmt: skip
    """Ask `sim-a` at the server's `url` so many times, one after the other, by one transport; faults are returned."""
    base_url = f"{url}/sim" + ("/v1" if api == "openai-chat" else "")
    endpoint = Endpoint(
        api, base_url, key_env=key_env, transport=transport, timeout_s=timeout_s, headers=dict(headers or {})
    )
    can = can or config.PLAIN.get(api, Capabilities())
    model = Model(
        "sim", "sim-a", "Simulated", "Sim", "overseas", ("text", "image"), dict(options or {}), capabilities=can
    )

    async def main() -> list[Reply | Fault]:
        outcomes: list[Reply | Fault] = []
        async with Sender() as sender:
            provider = make(model, "sim", endpoint, sender)
            for _ in range(times):
                try:
                    outcomes.append(await provider.ask(asked or request()))
                except Fault as fault:
                    outcomes.append(fault)
            await provider.close()
        return outcomes

    return asyncio.run(main())


# --- these tests -------------------------------------------------------------------------------------


def names_of_tests() -> set[str]:
    """Every test, as `test_file.py::test_name`."""
    return {
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


# --- a run's files -----------------------------------------------------------------------------------


def journal_of(run: Path) -> list[dict[str, Any]]:
    """Every whole record of a run's journals, in order."""
    return [r for path in sorted((run / "journal").glob("*.jsonl")) for _, r in journal.read(path) if r is not None]


def rows_of(run: Path, model: str = "*") -> list[dict[str, Any]]:
    """The rows of models/*.parquet as plain dicts."""
    import pyarrow.parquet as pq

    return [row for path in sorted((run / "models").glob(f"{model}.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]  # fmt: skip


def manifest_of(run: Path) -> dict[str, Any]:
    """run.json."""
    found: dict[str, Any] = json.loads((run / "run.json").read_bytes())
    return found
