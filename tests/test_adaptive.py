"""Waiting, retries and limits of a whole run over real sockets: it finds what a server takes, waits as told, gives a dead
one up, and nobody else is delayed. The run's files say all of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lmmbench import bench, config, journal, packs, plan, results
from lmmbench.net.pace import CUT_FOR, GROWN, PROBES, TRIP_AFTER
from tests.fake_server import Answer, Exchange, FakeServer
from tests.kit import (
    journal_of,
    lmmbench,
    manifest_of,
    providers_yaml,
    rows_of,
    run_here,
    start,
    write_pack,
)

KEYS = ("A_API_KEY", "B_API_KEY")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one pack `p` of 40 questions; the keys are set."""
    for name in KEYS:
        monkeypatch.setenv(name, f"secret-{name}")
    write_pack(tmp_path / "tasks" / "p", 40)
    return tmp_path


def marks(run: Path) -> list[dict[str, Any]]:
    """Every logged change."""
    return [r for r in journal_of(run) if r["t"] == "mark" and r["what"] == "limit"]


# --- the limit ---------------------------------------------------------------------------------------


def test_a_vendor_begins_with_eight_and_a_server_without_a_key_with_its_own_number(home: Path) -> None:
    """Both at one address: the first answers are held until as many were asked for as ever will be. A key on this
    machine is a gateway's, with a vendor behind it."""
    write_pack(home / "tasks" / "q", 60)
    with FakeServer() as server:

        def script(_: Exchange) -> Answer:
            if server.peak["a"] >= 8 and server.peak["own"] >= 24:
                server.let_go()
            return Answer(held=True)

        server.script = script
        rows = {"sim-a": {"endpoint": "a"}, "sim-b": {"endpoint": "own"}}
        providers_yaml(home / "providers.yaml", server.url, rows, {"a": {"key_env": "A_API_KEY"}}, concurrency=24)
        ran = run_here(home, tasks="q", deadline_s=20)
        held = {e: sum(x.answer.held and x.number < 32 for x in server.history if x.endpoint == e) for e in ("a", "own")}  # fmt: skip
    assert ran.code == 0
    assert held == {"a": 8, "own": 24}
    told = manifest_of(ran.folder)["endpoints"]
    assert (told["a"]["start"], told["a"]["ceiling"], told["a"]["fixed"]) == (8, 24, False)
    assert (told["own"]["start"], told["own"]["highest"], told["own"]["changes"]) == (24, 24, [])
    assert next((m["ids"], m["from"], m["to"], m["why"]) for m in marks(ran.folder)) == (["a"], 8, 16, GROWN)


def test_a_run_settles_near_what_a_server_takes_and_answers_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes 20 at once and refuses more: every question is answered, each cut was for an episode and is
    logged with its reason, and the limit ends near 20 though 64 were allowed."""
    monkeypatch.setenv("A_API_KEY", "k")
    write_pack(tmp_path / "tasks" / "p", 500)
    with FakeServer() as server:

        def script(x: Exchange) -> Answer:
            if server.in_flight[x.endpoint] > 20:
                return Answer(status=429, headers={"retry-after-ms": "5"})
            return Answer(delay_s=0.1)

        server.script = script
        providers_yaml(tmp_path / "providers.yaml", server.url, key_env="A_API_KEY", concurrency=64)
        ran = run_here(tmp_path)
        refused = sum(x.answer.status == 429 for x in server.history)
    assert ran.counts == {"sim-a": Counter(ok=500)}
    told = manifest_of(ran.folder)["endpoints"]["sim"]
    changes = marks(ran.folder)
    assert told["highest"] == 32, "8, 16, 32, and then the first refusal"
    assert 10 <= told["last"] <= 27
    assert refused < 100
    cuts = [c for c in changes if c["why"] == CUT_FOR]
    assert 1 <= len(cuts) <= refused
    assert told["changes"] == [{k: c[k] for k in ("at", "from", "to", "why")} for c in cuts]
    assert told["grown"] == len(changes) - len(cuts)
    assert told["waited_s"] > 0
    assert told["retries"] == told["not_retried"] == 0, "a rate limit is no retry of the budget"


def test_a_fixed_number_is_not_adapted(home: Path) -> None:
    """--concurrency N: refused asks wait as the server says, and N stays."""
    with FakeServer() as server:

        def script(x: Exchange) -> Answer:
            if x.number < 9:
                return Answer(status=429, headers={"retry-after-ms": "1"})
            if server.in_flight["sim"] == 12:
                server.let_go()
            return Answer(held=True)

        server.script = script
        providers_yaml(home / "providers.yaml", server.url, key_env="A_API_KEY", concurrency=64)
        ran = run_here(home, concurrency=12, deadline_s=20)
        assert (ran.counts, server.peak) == ({"sim-a": Counter(ok=40)}, {"sim": 12})
    told_of = manifest_of(ran.folder)["endpoints"]["sim"]
    assert (told_of["fixed"], told_of["start"], told_of["last"], told_of["changes"]) == (True, 12, 12, [])


def test_endpoints_of_one_account_share_its_limit(home: Path) -> None:
    """The same host and the same key: one limit, the lowest of what their rows say; another key, or none, is its own."""
    rows = {f"sim-{e}": {"endpoint": e} for e in ("a", "a2", "b", "own")}
    endpoints: dict[str, dict[str, Any]] = {
        "a": {"key_env": "A_API_KEY", "concurrency": 6, "rpm": 900}, "a2": {"key_env": "A_API_KEY", "tpm": 70},
        "b": {"key_env": "B_API_KEY"}, "own": {},
    }  # fmt: skip
    cfg = config.load(providers_yaml(home / "providers.yaml", "http://127.0.0.1:9", rows, endpoints, concurrency=9))
    models = {m: plan.PlannedModel(row, cfg.endpoints[row.endpoint]) for m, row in cfg.models.items()}
    whole = bench.make_plan(bench.RunOptions("p"), "r", models, packs.select("p", home / "tasks"))
    gates = bench.gates_of(whole, bench.Execution())
    assert gates["a"] is gates["a2"]
    assert gates["a"].ids == ("a", "a2")
    assert len({id(gate) for gate in gates.values()}) == 3
    shared = gates["a"].endpoint
    assert (shared.concurrency, shared.rpm, shared.tpm) == (6, 900, 70)
    assert (gates["a"].pace.start, gates["b"].pace.start, gates["own"].pace.start) == (6, 8, 9)


def test_a_rate_limit_holds_all_endpoints_of_its_account(home: Path) -> None:
    """A 429 at one address of a vendor: nothing goes to its other one either, and run.json says that they are one."""
    with FakeServer() as server:

        def script(x: Exchange) -> Answer:
            if x.endpoint != "b":
                server.let_go()
                return Answer(status=429, headers={"Retry-After": "500"})
            if sum(y.endpoint == "b" for y in server.history) == 40:
                os.kill(os.getpid(), signal.SIGINT)  # b is through: enough was seen
            return Answer(held=True)

        server.script = script
        rows = {"sim-a": {"endpoint": "a"}, "sim-a2": {"endpoint": "a2"}, "sim-b": {"endpoint": "b"}}
        own = {"a": {"key_env": "A_API_KEY"}, "a2": {"key_env": "A_API_KEY"}}
        providers_yaml(home / "providers.yaml", server.url, rows, own, concurrency=1)
        ran = run_here(home)
        assert sum(x.endpoint != "b" for x in server.history) == 1
        assert ran.counts["sim-b"] == Counter(ok=40)
    told = manifest_of(ran.folder)["endpoints"]
    assert (told["a"]["shared_with"], told["a2"]["shared_with"], told["b"]["shared_with"]) == (["a2"], ["a"], [])
    assert told["a"]["waited_s"] > 0 == told["b"]["waited_s"]


# --- nobody is delayed by another --------------------------------------------------------------------


SEVEN = [f"v{n}" for n in range(7)]


def seven(folder: Path, url: str, **slow: Any) -> dict[str, dict[str, Any]]:
    """Seven vendors with a model each, the first as told."""
    rows: dict[str, dict[str, Any]] = {f"sim-{e}": {"endpoint": e} for e in SEVEN}
    own = {e: {"key_env": "A_API_KEY"} for e in SEVEN}
    providers_yaml(folder / "providers.yaml", url, rows, {**own, "v0": {**own["v0"], **slow}}, concurrency=3)
    return rows


def test_a_slow_vendor_delays_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answers nothing before the last question of the six others was answered: they never wait for it, or this
    run would not end."""
    monkeypatch.setattr(bench, "_account", lambda name, _: (name,))  # one server plays seven hosts
    with FakeServer() as server:

        def script(x: Exchange) -> Answer | None:
            if sum(y.endpoint != "v0" for y in server.history) == 6 * 40:
                server.let_go()
            return Answer(held=True) if x.endpoint == "v0" else None

        server.script = script
        rows = seven(home, server.url)
        ran = run_here(home, deadline_s=30)
        slow = [x for x in server.history if x.endpoint == "v0"]
        last_of_six = max(x.number for x in server.history if x.endpoint != "v0")
        assert sum(x.number < last_of_six for x in slow) == 3, "its three slots, and no more"
    assert (ran.code, ran.stop_reason) == (0, "")
    assert ran.counts == {m: Counter(ok=40) for m in rows}


@pytest.mark.parametrize("dead", [Answer(end="never"), Answer(status=503), Answer(end="reset")], ids=["silent", "503", "reset"])  # fmt: skip
def test_a_dead_vendor_is_given_up_and_delays_nobody(home: Path, monkeypatch: pytest.MonkeyPatch, dead: Answer) -> None:
    """It is left alone after ten failures in a row, tried with one question at a time, and given up after four: what was
    sent is `error`, the rest `skipped`, both asked again on resume. The six others are answered in full, and it changes
    nothing of what they are sent."""
    monkeypatch.setattr(bench, "_account", lambda name, _: (name,))
    with FakeServer(lambda x: dead if x.endpoint == "v0" else None) as server:
        rows = seven(home, server.url, timeout_s=0.2)
        ran = run_here(home, deadline_s=30, backoff_s=0.002)
        assert ran.stop_reason == ""
        assert {m: c for m, c in ran.counts.items() if m != "sim-v0"} == {m: Counter(ok=40) for m in rows if m != "sim-v0"}  # fmt: skip
        assert set(Counter(x.key for x in server.history if x.endpoint != "v0").values()) == {1}
        sent = sum(x.endpoint == "v0" for x in server.history)
        assert TRIP_AFTER + PROBES <= sent <= TRIP_AFTER + 2 + PROBES, "two may have been on the wire when it opened"
        counts = ran.counts["sim-v0"]
        assert (set(counts), sum(counts.values())) == ({"error", "skipped"}, 40)
        told = manifest_of(ran.folder)
        assert [c["why"] for c in told["endpoints"]["v0"]["changes"]] == ["open", *["failed probe"] * (PROBES - 1), "given up"]  # fmt: skip
        kinds = {r["error_kind"] for r in rows_of(ran.folder, "sim-v0")}
        assert kinds == {told["models"]["sim-v0"]["stopped"].split(":")[0]} <= {"timeout", "overload", "network"}

        server.script, before = [], len(server.history)
        again = run_here(home, resume=True)
        assert (again.code, again.counts["sim-v0"]) == (0, Counter(ok=40))
        assert {x.endpoint for x in server.history[before:]} == {"v0"}


def test_a_vendor_that_comes_back_is_asked_on(home: Path) -> None:
    """An outage of twelve asks: one probe at a time until one is answered, and then as at the start. No question is
    lost."""
    with FakeServer([Answer(status=503)] * 12) as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="A_API_KEY", concurrency=4)
        ran = run_here(home)
        assert ran.counts == {"sim-a": Counter(ok=40)}
    told = manifest_of(ran.folder)["endpoints"]["sim"]
    whys = [c["why"] for c in told["changes"]]
    assert (whys[0], whys[-1]) == ("open", "closed")
    assert (told["changes"][0]["to"], told["changes"][-1]["to"]) == (1, 4)
    assert told["waited_s"] > 0


# --- the budget of retries ---------------------------------------------------------------------------


def test_a_budget_that_is_used_up_is_said_once_and_costs_no_answer(tmp_path: Path) -> None:
    """A server that fails three of four sends: what may be sent again is, within 20 and one for each that was asked; the rest
    is `error`, said in one line and in run.json, and asked again on resume."""
    write_pack(tmp_path / "tasks" / "p", 100)
    with FakeServer(lambda x: Answer(status=500) if x.number % 4 else None) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=1)
        ran = run_here(tmp_path, deadline_s=30, backoff_s=0.001)
        sent = len(server.history)
        counts = ran.counts["sim-a"]
        assert (set(counts), sum(counts.values())) == ({"ok", "error"}, 100)
        told = manifest_of(ran.folder)
        assert told["endpoints"]["sim"]["retries"] == sent - 100 == 20 + 100
        assert 0 < told["endpoints"]["sim"]["not_retried"] <= counts["error"]
        assert [m["why"] for m in marks(ran.folder) if m["why"] == "retry budget"] == ["retry budget"]
        (line,) = [w for w in results.warnings(told) if w.startswith("sim: too much failed to be sent again: ")]
        assert line.endswith("when 120 retries had used up its budget")
        server.script = []
        assert run_here(tmp_path, resume=True).counts == {"sim-a": Counter(ok=100)}


# --- what the files say ------------------------------------------------------------------------------


def republished(run: Path) -> dict[str, bytes]:
    """Every published table, made again from the journal."""
    assert lmmbench("score", run, cwd=run.parent.parent).returncode == 0
    return {p.name: p.read_bytes() for p in sorted(run.rglob("*.parquet"))}


def test_an_old_journal_is_read_and_what_is_logged_changes_no_row(home: Path) -> None:
    """A journal without these records gives the same tables, and says nothing of endpoints; twice the same journal, twice
    the same bytes."""
    told = [None] * 3 + [Answer(status=429, headers={"retry-after-ms": "1"})] + [None] * 5 + [Answer(status=500)]
    with FakeServer(told) as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="A_API_KEY", concurrency=16)
        run = run_here(home).folder
    assert manifest_of(run)["endpoints"]["sim"]["changes"]
    tables = republished(run)
    assert republished(run) == tables
    path = run / "journal" / "main.jsonl"
    old = [{k: v for k, v in r.items() if k != "endpoints"} for r in journal_of(run) if r.get("what") != "limit"]
    assert len(old) < len(journal_of(run))
    path.write_bytes(b"".join(map(journal.line_of, old)))
    assert republished(run) == tables
    assert manifest_of(run)["endpoints"] == {}


def test_what_a_crashed_session_waited_is_not_known(home: Path) -> None:
    """Its changes are in the journal; its sums were not written, and neither is a number for both sessions."""
    with FakeServer([None, Answer(status=429, headers={"retry-after-ms": "1"})]) as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="A_API_KEY", concurrency=16)
        run = run_here(home).folder
    before = manifest_of(run)["endpoints"]["sim"]
    path = run / "journal" / "main.jsonl"
    kept = [r for r in journal_of(run) if r.get("what") != "end"]
    path.write_bytes(b"".join(map(journal.line_of, kept)))
    republished(run)
    after = manifest_of(run)["endpoints"]["sim"]
    unknown = dict.fromkeys(("waited_s", "retries", "not_retried"))
    assert after == before | unknown
    assert run_here(home, resume=True).code == 0
    assert {k: manifest_of(run)["endpoints"]["sim"][k] for k in unknown} == unknown
    path.write_bytes(b"".join(journal.line_of(r) for r in kept if r.get("what") != "start"))
    republished(run)
    unknown |= dict.fromkeys(("start", "ceiling", "fixed"))
    assert {k: manifest_of(run)["endpoints"]["sim"][k] for k in unknown} == unknown, "nor what a lost record said"


# --- what a person sees ------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals for a child")
def test_a_wait_is_seen_while_it_lasts(home: Path) -> None:
    """`waiting 40 s for sim`, in a line of its own as soon as it begins."""
    with FakeServer([None, Answer(status=429, headers={"Retry-After": "40"})]) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        process = start("run", "--tasks", "p", "--run-id", "r", cwd=home)
        assert process.stderr
        line = next(text for text in process.stderr if "waiting" in text)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert line.startswith("sim-a 1/40 · ")
    assert line.rstrip().endswith(("waiting 40 s for sim", "waiting 39 s for sim", "waiting 38 s for sim"))


def test_no_key_is_logged(home: Path) -> None:
    """Accounts are told apart by their keys, which stand nowhere."""
    with FakeServer([Answer(status=429, headers={"retry-after-ms": "1"})]) as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="A_API_KEY")
        run = run_here(home).folder
    assert "secret" not in json.dumps(manifest_of(run)) + (run / "journal" / "main.jsonl").read_text("ascii")
