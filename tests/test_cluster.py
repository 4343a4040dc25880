"""Shards on a real Dask cluster on this machine: workers are killed, and nothing is lost, nothing answered asked again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lmmbench import __version__, cluster, shards
from tests.fake_server import Answer, FakeServer
from tests.kit import (
    ROOT,
    clean_env,
    journal_of,
    lmmbench,
    manifest_of,
    needs,
    providers_yaml,
    rows_of,
    start,
    write_pack,
)
from tests.test_shards import as_one, published

pytestmark = needs("distributed", install='pip install "lmmbench[dask]"')
ITEMS = 60
KEY = {"SIM_API_KEY": "sk-workers-only"}


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A cluster of two workers of a thread each; only they have the key. A worker that is killed again 15 s after it was
    killed counts as lost, and LocalCluster starts no other; here it always does."""
    import dask as config
    from distributed import LocalCluster

    env = {**clean_env(), **KEY}
    with config.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}), LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0", env=env, silence_logs=50,
    ) as local:  # fmt: skip
        yield local


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_pack(tmp_path / "tasks" / "p", ITEMS)
    return tmp_path


def asked(server: FakeServer) -> Counter[tuple[str, str]]:
    return Counter((x.model, x.question.split("번")[0]) for x in server.history)


def answered(run: Path) -> set[tuple[str, str]]:
    """(model, item) of every whole answer in the journals."""
    return {(r["model"], r["item"]) for r in journal_of(run) if r["t"] == "done"}


def test_a_run_on_a_cluster_is_one_run(dask: Any, home: Path) -> None:
    """A shard for each worker, the limits kept together, the key from the workers' environment and in no file; every
    question is asked once, and the run is published and printed as any other."""
    with FakeServer(lambda _: Answer(delay_s=0.01)) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=6, key_env="SIM_API_KEY")
        options = ("--tasks", "p", "--models", "sim-a,sim-b", "--run-id", "r", "--allow-unknown-cost")
        done = lmmbench("run", *options, "--dask", dask.scheduler_address, cwd=home)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"run: {Path('results') / 'r'}"
        assert {x.headers["authorization"] for x in server.history} == {f"Bearer {KEY['SIM_API_KEY']}"}
        assert asked(server).total() == len(asked(server)) == 2 * ITEMS
        assert server.peak["sim"] <= 6
    run = home / "results" / "r"
    assert {p.stem for p in (run / "journal").glob("*.jsonl")} == set(shards.writers(2))
    assert {r["status"] for r in rows_of(run)} == {"ok"}
    assert KEY["SIM_API_KEY"] not in done.stdout + done.stderr
    for path in run.rglob("*"):
        assert path.is_dir() or KEY["SIM_API_KEY"].encode() not in path.read_bytes()


def moment_or_end(server: FakeServer, process: subprocess.Popen[str]) -> None:
    """Fifteen more answers, or the end of the run."""
    enough = len(server.sent) + 15
    while len(server.sent) < enough and process.poll() is None:
        with contextlib.suppress(AssertionError):
            server.wait_until(lambda: len(server.sent) >= enough, timeout=1)


def kill_one(dask: Any, client: Any, killed: set[int]) -> int:
    """Kill a worker that has started, and return its pid."""
    while True:
        whole = [n.pid for n in dask.workers.values() if n.process and n.process.status.name == "running"]
        if left := [pid for pid in whole if pid and pid not in killed]:
            os.kill(min(left), signal.SIGKILL)
            return int(min(left))
        client.wait_for_workers(1, timeout=30)
        client.run(os.getpid, on_error="ignore")  # lets nannies see who has died, and who has come


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.prove)])
def test_killed_workers_cost_no_answer(dask: Any, tmp_path: Path, kills: int) -> None:
    """Workers are killed at work: their shards go on where the journals end. No answer that was in a journal is asked
    for again, at most a shard's share of the concurrency is asked twice for each kill, and those are marked. Three
    shards on two workers are published to the byte as one journal of the same records would be."""
    from distributed import Client

    items, share = 30 * kills, 2
    write_pack(tmp_path / "tasks" / "p", items)
    run, to_run = tmp_path / "results" / "r", ("run", "--tasks", "p", "--run-id", "r", "--shards", "3")
    safe: list[tuple[int, set[tuple[str, str]]]] = []
    killed: set[int] = set()
    with FakeServer(lambda _: Answer(delay_s=0.03)) as server, Client(dask, set_as_default=False) as client:
        providers_yaml(tmp_path / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=3 * share)
        process = start(*to_run, "--dask", dask.scheduler_address, cwd=tmp_path)
        while len(safe) < kills:
            if process.poll() is not None:  # the scheduler gave up a task whose worker died four times
                process.communicate()
                process = start("run", "--resume", "r", "--dask", dask.scheduler_address, cwd=tmp_path)
            moment_or_end(server, process)
            found = answered(run)  # before what was heard: meanwhile more is asked and answered
            safe.append((len(server.history), found))
            killed.add(kill_one(dask, client, killed))
        _, err = process.communicate(timeout=60)
        if process.returncode == 3:
            assert lmmbench("run", "--resume", "r", "--dask", dask.scheduler_address, cwd=tmp_path).returncode == 0
        else:
            assert process.returncode == 0, err
        for heard, found in safe:
            again = {(x.model, x.question.split("번")[0]) for x in server.history[heard:]}
            assert again & found == set(), "an answer in a journal was asked for again"
        assert asked(server).keys() == {(m, f"q{n:04}") for m in ("sim-a", "sim-b") for n in range(items)}
        assert asked(server).total() - 2 * items <= kills * share
    rows = rows_of(run)
    assert {r["status"] for r in rows} == {"ok"}
    twice = {key for key, times in asked(server).items() if times > 1}
    assert twice <= {(r["model"], r["item_id"]) for r in rows if r["maybe_billed"]}
    whole = as_one(run, tmp_path / "elsewhere")
    assert lmmbench("score", whole, cwd=tmp_path).returncode == 0
    assert published(whole) == published(run)


def test_ctrl_c_stops_the_shards(dask: Any, home: Path) -> None:
    """A signal to the launcher reaches the workers: they send nothing more, what was answered is published, exit code
    130; resumed on the cluster, the rest is asked."""
    with FakeServer(lambda _: Answer(delay_s=0.3)) as server:
        providers_yaml(home / "providers.yaml", server.url)
        command = ("run", "--dask", dask.scheduler_address)
        process = start(*command, "--tasks", "p", "--run-id", "r", cwd=home)
        server.wait_until(lambda: len(server.sent) >= 6)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert out.splitlines()[-1] == f"run: {Path('results') / 'r'}"
        heard = len(server.history)
        assert heard < ITEMS
        reasons = {r["error_kind"] for r in rows_of(home / "results" / "r") if r["status"] == "skipped"}
        assert reasons == {"interrupted"}
        server.script = ()
        assert lmmbench(*command, "--resume", "r", cwd=home).returncode == 0
        assert asked(server).total() == len(asked(server)) == ITEMS
    assert manifest_of(home / "results" / "r")["by_status"] == {"ok": ITEMS}


def test_workers_without_the_key_say_so(dask: Any, home: Path) -> None:
    """A key that the workers' environment lacks is exit code 2, names the variable, and nothing is asked."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="OTHER_API_KEY")
        options = ("--tasks", "p", "--models", "sim-a", "--run-id", "r", "--allow-unknown-cost")
        done = lmmbench("run", *options, "--dask", dask.scheduler_address, cwd=home, env={"OTHER_API_KEY": "sk-here"})
        assert (done.returncode, server.history) == (2, [])
    assert "cannot be asked from this worker: OTHER_API_KEY is not set" in done.stderr


def test_what_a_worker_cannot_do_is_one_sentence(home: Path) -> None:
    """A folder that it does not see, and a plan of another version."""
    job = cluster.Job(str(home / "nowhere"), [str(home / "tasks")], {}, "1/2", None, None, 0.98, 5.0, "stop")
    assert cluster.work(asdict(job))["code"] == 2
    assert "a file system that all workers share" in cluster.work(asdict(job))["text"]
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url)
        assert lmmbench("run", "--tasks", "p", "--run-id", "r", "--shard", "1/2", cwd=home).returncode == 0
    path = home / "results" / "r" / "plan.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace(f'"{__version__}"', '"9.9.9"'), encoding="utf-8", newline="\n"
    )
    assert "planned by lmmbench 9.9.9" in cluster.work(asdict(replace(job, folder=str(path.parent))))["text"]


def test_a_cluster_that_is_not_there(home: Path) -> None:
    """Nobody listens: exit code 4. No worker: exit code 2. In both cases no run is begun."""
    from distributed import LocalCluster

    providers_yaml(
        home / "providers.yaml", "", {"sim-a": {"endpoint": "here", "name": "chance"}}, {"here": {"api": "baseline"}}
    )
    command = ("run", "--tasks", "p", "--run-id", "r", "--dask")
    nobody = lmmbench(*command, "nonsense", cwd=home)
    assert (nobody.returncode, "no Dask scheduler answers at nonsense" in nobody.stderr) == (4, True)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0", silence_logs=50) as empty:
        idle = lmmbench(*command, empty.scheduler_address, cwd=home)
    assert (idle.returncode, "no worker yet" in idle.stderr) == (2, True)
    assert not (home / "results").exists()


@contextlib.contextmanager
def worker(address: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker without a nanny: nobody starts it again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]  # fmt: skip
    process = subprocess.Popen(
        command, env=clean_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def empty() -> Iterator[Any]:
    """A cluster without workers."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0", silence_logs=50) as local:
        yield local


def test_a_cluster_that_has_lost_its_workers_is_waited_for_only_so_long(empty: Any, home: Path) -> None:
    """The last worker is killed: the loss is said, the run ends when the time is over, publishes what was answered, exits 3
    and says how to go on; that command asks what is left, and nothing again that was in a journal."""
    address = empty.scheduler_address
    with FakeServer(lambda _: Answer(delay_s=0.02)) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=2)
        with worker(address) as only:
            options = ("--tasks", "p", "--run-id", "r", "--shards", "2", "--dask-wait", "1500ms")
            process = start("run", *options, "--dask", address, cwd=home)
            server.wait_until(lambda: len(server.sent) >= 10)
            only.kill()
            out, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        assert "the cluster has no worker; waiting 1.5 s for one" in err
        next_action = f"lmmbench run --resume r --dask {address}"
        assert (
            f"the cluster has had no worker for 1.5 s, so 2 shards are not done; start some, then: {next_action}" in err
        )
        assert out.splitlines()[-1] == f"run: {Path('results') / 'r'}"
        run = home / "results" / "r"
        before, heard = answered(run), len(server.history)
        assert len(before) >= 9
        assert manifest_of(run)["by_status"]["ok"] == len(before)
        with worker(address):
            assert lmmbench(*next_action.split()[1:], cwd=home).returncode == 0
        assert not before & {(x.model, x.question.split("번")[0]) for x in server.history[heard:]}
    assert manifest_of(run)["by_status"] == {"ok": ITEMS}


def test_a_cluster_that_never_had_a_worker_is_waited_for_only_so_long(empty: Any, home: Path) -> None:
    """Nobody came: nothing was asked, exit 4, and whoever comes later finds nothing to do."""
    from distributed import Client

    address = empty.scheduler_address
    with FakeServer() as server, Client(empty, set_as_default=False) as client:
        providers_yaml(home / "providers.yaml", server.url)
        options = ("--tasks", "p", "--run-id", "r", "--shards", "2", "--dask-wait", "300ms")
        done = lmmbench("run", *options, "--dask", address, cwd=home)
        assert (done.returncode, "start some, then: lmmbench run --resume r --dask" in done.stderr) == (4, True)
        with worker(address):
            assert client.submit(len, "abc", pure=False).result(30) == 3, "it came, and is free"
        assert server.history == []


@contextlib.contextmanager
def scheduler() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler in a process of its own, and its address."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]  # fmt: skip
    process = subprocess.Popen(
        command, env=clean_env(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        assert process.stderr
        line = next(text for text in process.stderr if "Scheduler at:" in text)
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def test_a_scheduler_that_is_gone_ends_the_run(home: Path) -> None:
    """Killed in the middle: no traceback, what was answered is published, exit 3; on another cluster the rest is asked."""
    with FakeServer(lambda _: Answer(delay_s=0.1)) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=2)
        with scheduler() as (killed, address), worker(address) as only:
            options = ("--tasks", "p", "--run-id", "r", "--shards", "2")
            process = start("run", *options, "--dask", address, cwd=home)
            server.wait_until(lambda: len(server.sent) >= 5)
            only.kill()
            killed.kill()
            _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (3, False), err
        assert "the scheduler dropped it, or is gone" in err
        before, heard = answered(home / "results" / "r"), len(server.history)
        server.script = ()
        with scheduler() as (_, address), worker(address):
            assert lmmbench("run", "--resume", "r", "--dask", address, cwd=home).returncode == 0
        assert not before & {(x.model, x.question.split("번")[0]) for x in server.history[heard:]}


def test_a_scheduler_that_is_stopped_holds_nobody(home: Path) -> None:
    """Its connections stay open and nothing answers: after `--dask-wait` the run publishes and ends all the same."""
    with FakeServer(lambda _: Answer(delay_s=0.1)) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=2)
        with scheduler() as (frozen, address), worker(address) as only:
            options = ("--tasks", "p", "--run-id", "r", "--shards", "2", "--dask-wait", "1s")
            process = start("run", *options, "--dask", address, cwd=home)
            server.wait_until(lambda: len(server.sent) >= 5)
            only.kill()
            frozen.send_signal(signal.SIGSTOP)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (3, False), err
        assert "lmmbench run --resume r --dask" in err


def test_time_without_workers_counts_from_the_last_one(empty: Any) -> None:
    """A worker that comes in time begins the count anew."""
    from distributed import Client

    said: list[str] = []
    with Client(empty, set_as_default=False) as client:
        alone = cluster._Alone(client, said.append, 0.0)
        assert alone.too_long()
        patient = cluster._Alone(client, said.append, 1e9)
        patient._looked = patient._seen = 0.0
        assert not patient.too_long()
        assert said[-1] == "the cluster has no worker; waiting 1e+09 s for one"
        with worker(empty.scheduler_address):
            client.wait_for_workers(1, timeout=30)
            patient._looked = 0.0
            assert not patient.too_long()
            assert patient._seen > 0


def test_without_dask_the_install_line_is_said(home: Path) -> None:
    """`--dask` without the extra is one sentence with how to install it, exit code 2; nothing else needs dask."""
    (home / "stub").mkdir()
    (home / "stub" / "distributed.py").write_text("raise ModuleNotFoundError('distributed')", encoding="utf-8")
    done = lmmbench(
        "run",
        "--tasks",
        "p",
        "--dask",
        "tcp://127.0.0.1:1",
        cwd=home,
        env={"PYTHONPATH": f"{home / 'stub'}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1] == f"lmmbench: --dask needs dask, which is not installed; run: {cluster.INSTALL}"
    )
