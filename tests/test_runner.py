"""A whole run over real sockets: all models at once, limits kept, failures survived, nothing lost, nothing asked twice."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import cli, disk, packs, results, runner
from lmmbench.faults import Fault
from lmmbench.journal import Writer, check_free
from lmmbench.net.limits import Gate
from lmmbench.runner import Budget, Lane, Runner
from lmmbench.types import Endpoint, Model, Reply, Request
from tests.fake_server import RIGHT, Answer, Exchange, FakeServer, openai
from tests.kit import (
    clean_env,
    journal_of,
    lmmbench,
    manifest_of,
    providers_yaml,
    rows_of,
    run_here,
    start,
    write_pack,
)

Keys = set[tuple[str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with one pack `p` of 40 questions."""
    write_pack(tmp_path / "tasks" / "p", 40)
    return tmp_path


def statuses(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(r["status"] for r in rows)


def answered(run: Path) -> Keys:
    """(model, question) of every whole `done` in the journal, as the server knows them."""
    return {(r["model"], f"{r['item']}번 문제: 알맞은 답은?") for r in journal_of(run) if r["t"] == "done"}


def keys(exchanges: list[Exchange]) -> list[tuple[str, str]]:
    """(model, question) of each, with the question as its first line."""
    return [(x.model, x.question.split("\n")[0]) for x in exchanges]


# --- all at once, each within its limits -------------------------------------------------------------


def test_all_models_are_asked_at_the_same_time(home: Path) -> None:
    """No model waits for another: every answer is held back until each of them has been asked."""
    with FakeServer() as server:

        def script(_: Exchange) -> Answer:
            if {x.model for x in server.history} == {"sim-a", "sim-b", "sim-g"}:
                server.let_go()
            return Answer(held=True)

        server.script = script
        rows = {"sim-a": {}, "sim-b": {"endpoint": "b"}, "sim-g": {"endpoint": "g"}}
        providers_yaml(home / "providers.yaml", server.url, rows, {"g": {"api": "gemini"}})
        ran = run_here(home, deadline_s=20)
        assert (ran.code, ran.stop_reason) == (0, "")
        assert ran.counts == {m: Counter(ok=40) for m in rows}
        assert set(server.asked().values()) == {1}


def test_an_endpoints_limit_is_reached_and_never_exceeded(home: Path) -> None:
    """`concurrency` is the endpoint's, for all its models together, as the server sees it; another endpoint has its own."""
    with FakeServer() as server:

        def script(_: Exchange) -> Answer:
            if server.peak == {"a": 3, "b": 5}:
                server.let_go()
            return Answer(held=True)

        server.script = script
        rows = {"sim-a": {"endpoint": "a"}, "sim-a2": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        providers_yaml(home / "providers.yaml", server.url, rows, {"a": {"concurrency": 3}, "b": {"concurrency": 5}})
        ran = run_here(home, deadline_s=20)
        assert ran.code == 0
        assert server.peak == {"a": 3, "b": 5}


def test_concurrency_can_be_fixed_for_a_run(home: Path) -> None:
    """--concurrency replaces each endpoint's own number."""
    with FakeServer() as server:

        def script(_: Exchange) -> Answer:
            if server.peak["sim"] == 7:
                server.let_go()
            return Answer(held=True)

        server.script = script
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        assert run_here(home, concurrency=7, deadline_s=20).code == 0
        assert server.peak == {"sim": 7}


def test_a_rate_limit_holds_its_endpoint_and_no_other(home: Path) -> None:
    """While a server says wait, nothing goes to any model of that endpoint, and the others finish meanwhile."""
    with FakeServer() as server:

        def script(x: Exchange) -> Answer | None:
            if x.endpoint == "a":
                server.let_go()
                return Answer(status=429, headers={"Retry-After": "500"})
            if sum(y.endpoint == "b" for y in server.history) == 40:
                os.kill(os.getpid(), signal.SIGINT)  # b is through: enough was seen
            return Answer(held=True)

        server.script = script
        rows = {"sim-a": {"endpoint": "a"}, "sim-a2": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        providers_yaml(home / "providers.yaml", server.url, rows, {"a": {"concurrency": 1}})
        ran = run_here(home)
        assert ran.code == 130
        assert sum(x.endpoint == "a" for x in server.history) == 1
        assert ran.counts["sim-b"] == {"ok": 40}


def test_a_rate_limit_is_over_when_the_server_said(home: Path) -> None:
    """The next ask comes no earlier than the server's delay, and the limit costs no question an attempt."""
    told = [Answer(status=429, headers={"retry-after-ms": "120"}) for _ in range(8)]  # more than any fault's attempts
    with FakeServer(told) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        ran = run_here(home)
        assert ran.counts == {"sim-a": {"ok": 40}}
        times = [x.at for x in server.history[:9]]
        assert all(later - earlier >= 0.12 for earlier, later in pairwise(times))


# --- faults ------------------------------------------------------------------------------------------


DIALECTS = {"sim-a": "openai-chat", "sim-g": "gemini", "sim-c": "clova", "sim-h": "anthropic"}
"""A model for each dialect, each at an endpoint of its own."""
LIMITED = {
    "sim-a": Answer(status=429, headers={"retry-after-ms": "5"}, body={"error": {"code": "rate_limit_exceeded"}}),
    "sim-g": Answer(
        status=429, body={"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "0.005s"}]}}
    ),
    "sim-c": Answer(
        headers={"Retry-After": "0"}, body={"status": {"code": "42901", "message": "slow"}, "result": None}
    ),
    "sim-h": Answer(status=429, headers={"Retry-After": "0"}, body={"error": {"type": "rate_limit_error"}}),
}
"""A rate limit as each vendor says it; CLOVA's stands in a 200."""


def noise(limited: float, failed: float, reset: float, cut: float) -> Callable[[Exchange], Answer | None]:
    """So many of all requests meet a 429, a 500, a reset, a cut body: the same for the same question and attempt."""

    def script(x: Exchange) -> Answer | None:
        draw = random.Random(f"{x.model} {x.question} {x.nth}").random()  # noqa: S311
        told = ((limited, LIMITED[x.model]), (failed, Answer(status=500, body="oops")), (reset, Answer(end="reset")), (cut, Answer(end="cut")))  # fmt: skip
        for share, answer in told:
            if draw < share:
                return answer
            draw -= share
        return None

    return script


@pytest.mark.parametrize("shares", [(0.05, 0.02, 0.01, 0.01), (0.05, 0.3, 0.01, 0.01)], ids=["noise", "30 % 500"])
def test_noise_loses_nothing_and_no_failure_is_scored(tmp_path: Path, shares: tuple[float, ...]) -> None:
    """Under 429, 500, resets and cut bodies every question of every model in every dialect is answered once, and every
    score is one of an answer. A question that failed five times is an error without a score, and resuming asks it again
    and nothing else. What the rows say of attempts is what the server saw."""
    write_pack(tmp_path / "tasks" / "p", 200)
    with FakeServer(noise(*shares)) as server:
        rows = {m: {"endpoint": api} for m, api in DIALECTS.items()}
        endpoints = {api: {"api": api} for api in DIALECTS.values()}
        providers_yaml(tmp_path / "providers.yaml", server.url, rows, endpoints, concurrency=16)
        ran = run_here(tmp_path, deadline_s=60)
        first = rows_of(ran.folder)
        assert {r["status"] for r in first} <= {"ok", "error"}
        assert all((r["score"] is None) == (r["answer"] is None) == (r["status"] == "error") for r in first)
        lost = {(r["model"], f"{r['item_id']}번 문제: 알맞은 답은?") for r in first if r["status"] == "error"}
        assert len(lost) < 800 * shares[1] ** 5 * 5

        server.script, before = [], len(server.history)
        if lost:
            ran = run_here(tmp_path, resume=True)
        assert set(keys(server.history[before:])) == lost
        assert (ran.code, ran.counts) == (0, {m: Counter(ok=200) for m in DIALECTS})
        assert len(server.history) > 800 * (1 + sum(shares) / 2)
        good = Counter(keys([x for x in server.sent if x.answer.status == 200 and x.answer.body is None]))
        assert (set(good.values()), len(good)) == ({1}, 800)
        seen = Counter(keys(server.history))
        after = rows_of(ran.folder)
        assert {(r["model"], f"{r['item_id']}번 문제: 알맞은 답은?"): r["attempts"] for r in after} == seen
        assert {r["answer"] for r in after} == {RIGHT}
        assert {r["score"] for r in after} == {0.0, 1.0}


def test_who_answered_and_how_it_ended_is_said_where_nobody_expected_it(home: Path) -> None:
    """The text before a finish word that no table has is an answer, and no text is none: `invalid`, and asked once more.
    The word stands in the row, is counted in run.json and said at the end. So is a served model that was not asked for,
    and one that changed in mid-run; one that was asked for is not mentioned."""
    told = {
        ("sim-a", "q0001"): openai(RIGHT, finish="paused_for_review"),
        ("sim-a", "q0003"): openai("", finish="paused_for_review"),
        ("sim-b", "q0002"): openai(RIGHT, model="sim-b-2026-11-01"),
    }

    def script(x: Exchange) -> Answer | None:
        body = openai(RIGHT, model="sim-z") if x.model == "sim-c" else told.get((x.model, x.question[:5]))
        return Answer(body=body) if body else None

    with FakeServer(script) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b", "sim-c"))
        done = lmmbench("run", "--tasks", "p", "--run-id", "r", "--min-coverage", "0.9", cwd=home)
        run = home / "results" / "r"
        assert done.returncode == 0, done.stderr
        manifest = manifest_of(run)
        assert manifest["unknown_finish"] == {"sim-a": {"paused_for_review": 3}}
        assert manifest["models"]["sim-b"]["served_models"] == {"sim-b": 39, "sim-b-2026-11-01": 1}
        whole, empty = [r for r in rows_of(run, "sim-a") if r["finish"] == "paused_for_review"]
        assert (whole["status"], whole["answer"], whole["attempts"]) == ("ok", RIGHT, 1) and whole["score"] is not None
        assert (empty["status"], empty["score"], empty["attempts"]) == ("invalid", None, 2)
        warnings = [line for line in done.stderr.splitlines() if "warning:" in line]
        assert len(warnings) == 3
        assert [a["model"] for a in manifest["alarms"]] == ["sim-b"]
        assert "sim-a: replies ended with words that no table has ('paused_for_review' 3 times)" in done.stderr
        assert "alarm: sim-b: the served model changed in mid-run (sim-b × 39, sim-b-2026-11-01 × 1)" in done.stderr
        assert "sim-c: asked for sim-c, 40 answers came from sim-z, which is not the model" in done.stderr


def test_each_kind_of_failure_is_a_status_without_a_score(home: Path) -> None:
    """A failure that stays is `error` or `invalid` with its kind and its attempts, its score is null, and the questions
    beside it are answered."""
    told = {
        "q0001": Answer(status=500),
        "q0002": Answer(body="<html>"),
        "q0003": Answer(end="reset"),
        "q0004": Answer(end="never"),
        "q0005": Answer(status=413),
        "q0006": Answer(status=400, body={"error": {"code": "content_policy_violation", "message": "no"}}),
        "q0007": Answer(body=openai("반쯤", finish="length")),
        "q0008": Answer(body=openai("", finish="content_filter")),
        "q0009": Answer(status=400, body="bad parameter"),
    }
    with FakeServer(lambda x: told.get(x.question[:5])) as server:
        providers_yaml(home / "providers.yaml", server.url, timeout_s=1.0, concurrency=2)
        ran = run_here(home)
        by_item = {r["item_id"]: r for r in rows_of(ran.folder)}
        shown = {
            i: (r["status"], r["error_kind"], r["attempts"], r["maybe_billed"], r["score"])
            for i, r in by_item.items()
            if i in told
        }
        assert shown == {
            "q0001": ("error", "overload", 5, False, None),
            "q0002": ("invalid", "page", 1, True, None),
            "q0003": ("error", "network", 5, True, None),
            "q0004": ("error", "timeout", 2, True, None),
            "q0005": ("error", "too_large", 1, False, None),
            "q0006": ("refused", "policy", 1, False, 0.0),
            "q0007": ("truncated", None, 1, False, 0.0),
            "q0008": ("refused", None, 1, False, 0.0),
            "q0009": ("error", "request", 1, False, None),
        }
        assert by_item["q0005"]["answer"] is None
        assert statuses(list(by_item.values())) == {"ok": 31, "error": 5, "invalid": 1, "refused": 2, "truncated": 1}
        assert ran.code == 3

        server.script = []
        before = len(server.history)
        again = run_here(home, resume=True)
        asked = {x.question[:5] for x in server.history[before:]}
        assert asked == {"q0001", "q0002", "q0003", "q0004", "q0005", "q0009"}
        assert (again.code, again.counts["sim-a"]) == (0, {"ok": 37, "refused": 2, "truncated": 1})


# --- what stops whom ---------------------------------------------------------------------------------


def test_a_wrong_key_stops_the_model_and_leaves_the_others_whole(home: Path) -> None:
    """401: the model is asked no more, the reason is said with the exit code 3, and another model of the same endpoint
    is answered in full."""
    with FakeServer(lambda x: Answer(status=401, body="no such key") if x.model == "sim-a" else None) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        done = lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
        run = home / "results" / "r"
        assert done.returncode == 3, done.stderr
        assert sum(x.model == "sim-a" for x in server.history) <= 4
        assert statuses(rows_of(run, "sim-b")) == {"ok": 40}
        rows = rows_of(run, "sim-a")
        assert set(statuses(rows)) == {"error", "skipped"}
        assert all("401" in r["error"] and r["score"] is None for r in rows)
        assert "stopped: auth: HTTP 401: no such key" in done.stderr
        assert "lmmbench run --resume r" in done.stderr
        assert done.stdout.splitlines()[-1] == f"run: {Path('results') / 'r'}"
        assert manifest_of(run)["models"]["sim-a"]["coverage"] == 0


def test_no_money_stops_the_endpoint(home: Path) -> None:
    """402: no model of that account is asked again; other endpoints are answered in full."""
    with FakeServer(lambda x: Answer(status=402) if x.endpoint == "a" and x.number >= 10 else None) as server:
        rows = {"sim-a": {"endpoint": "a"}, "sim-a2": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        providers_yaml(home / "providers.yaml", server.url, rows)
        ran = run_here(home)
        assert ran.code == 3
        assert ran.counts["sim-b"] == {"ok": 40}
        refused = [x for x in server.history if x.answer.status == 402]
        assert len(refused) <= 4
        for model in ("sim-a", "sim-a2"):
            assert ran.counts[model]["skipped"] > 0
            assert "402" in manifest_of(ran.folder)["models"][model]["stopped"]


def test_three_refused_requests_in_a_row_stop_the_model(home: Path) -> None:
    """400 three times in a row is the fault of the row in providers.yaml, not of a question."""
    with FakeServer(lambda x: Answer(status=400, body="temperature") if x.model == "sim-a" else None) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=1)
        ran = run_here(home)
        assert ran.counts == {"sim-a": {"error": 3, "skipped": 37}, "sim-b": {"ok": 40}}
        assert sum(x.model == "sim-a" for x in server.history) == 3


def test_refused_requests_among_answers_stop_nobody(home: Path) -> None:
    """400 now and then is about a question: the model is asked everything."""
    bad = {f"q{n:04}" for n in range(40) if n % 3}
    with FakeServer(lambda x: Answer(status=400) if x.question[:5] in bad else None) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        assert run_here(home).counts["sim-a"] == {"ok": 14, "error": 26}


def test_a_day_of_waiting_stops_the_endpoint_instead(home: Path) -> None:
    """A delay of more than ten minutes is not waited for, whatever status it comes with; the rest goes on."""
    day = {"Retry-After": "86400"}
    with FakeServer(lambda x: Answer(status=429 if x.endpoint == "a" else 503, headers=day) if x.endpoint in ("a", "c") else None) as server:  # fmt: skip
        rows = {"sim-a": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}, "sim-c": {"endpoint": "c"}}
        providers_yaml(home / "providers.yaml", server.url, rows)
        ran = run_here(home, deadline_s=20)
        assert ran.stop_reason == ""
        assert ran.counts["sim-b"] == {"ok": 40}
        assert ran.counts["sim-a"]["skipped"] >= 36
        assert ran.counts["sim-c"]["skipped"] >= 36


def test_nobody_waits_for_a_model_that_is_stopped(home: Path) -> None:
    """A question that waits for the server's delay waits no longer once its model is stopped: the run ends."""
    with FakeServer() as server:

        def script(x: Exchange) -> Answer:
            if x.number == 0:
                return Answer(status=429, headers={"Retry-After": "300"}, held=True)
            server.let_go()
            return Answer(status=401, delay_s=0.1)

        server.script = script
        providers_yaml(home / "providers.yaml", server.url, concurrency=2)
        ran = run_here(home, deadline_s=20)
        assert ran.counts["sim-a"]["skipped"] >= 38
        assert "401" in manifest_of(ran.folder)["models"]["sim-a"]["stopped"]
        assert ran.stop_reason == ""


def test_a_dead_server_stops_its_endpoint_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there any more: a few tries, then the endpoint is left alone."""
    with FakeServer() as gone:
        pass
    monkeypatch.setenv("SIM_KEY", "k")
    with FakeServer() as server:
        rows = {"sim-a": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        at = {"a": {"base_url": f"{gone.url}/v1", "key_env": "SIM_KEY"}}
        providers_yaml(home / "providers.yaml", server.url, rows, at)
        ran = run_here(home)
        assert ran.counts["sim-b"] == {"ok": 40}
        assert ran.counts["sim-a"]["error"] > 0
        assert ran.counts["sim-a"]["error"] + ran.counts["sim-a"]["skipped"] == 40
        assert all("cannot connect" in r["error"] for r in rows_of(ran.folder, "sim-a"))


# --- interruption, crash, resume ---------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals for a child")
def test_a_signal_publishes_what_was_answered_and_resume_finishes(
    home: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM: answers on the wire are waited for and published, the rest is `skipped`, the command that
    goes on is printed; it asks nothing that was answered again."""
    run = home / "results" / "r"

    def script(x: Exchange) -> Answer | None:
        if x.number < 10:
            return None
        return Answer(held=True) if x.number < 14 else Answer(end="never")

    with FakeServer(script) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        process = start("run", "--tasks", "p", "--run-id", "r", cwd=home)
        server.wait_until(lambda: len(server.history) >= 14)
        process.send_signal(number)
        server.let_go()
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert "lmmbench run --resume r" in err
        assert out.splitlines()[-1].startswith("run: ")
        whole = set(keys(server.sent))
        assert len(whole) >= 10
        assert answered(run) == whole
        rows = rows_of(run)
        assert statuses(rows) == {"ok": len(whole), "skipped": 80 - len(whole)}
        assert {r["error_kind"] for r in rows if r["status"] == "skipped"} == {"interrupted"}
        assert manifest_of(run)["stop_reason"] == "interrupted"

        server.script, before = [], len(server.history)
        again = lmmbench("run", "--resume", "r", cwd=home)
        assert again.returncode == 0, again.stderr
        assert not whole & set(keys(server.history[before:]))
        assert statuses(rows_of(run)) == {"ok": 80}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_second_signal_waits_for_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With answers outstanding that never come, a second signal ends the run at once, published."""
    monkeypatch.setattr(runner, "DRAIN_S", 3600.0)

    def script(x: Exchange) -> Answer | None:
        if x.number == 13:  # the endpoint's four slots are taken, so ten answers are in the journal
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        return Answer(end="never") if x.number >= 10 else None

    with FakeServer(script) as server:
        providers_yaml(home / "providers.yaml", server.url)
        ran = run_here(home)
        rows = rows_of(ran.folder)
        assert ran.code in (130, 143)
        assert statuses(rows) == {"ok": 10, "skipped": 30}
        assert sum(r["maybe_billed"] for r in rows) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_closed_terminal_publishes_what_was_answered(home: Path) -> None:
    """The window is closed over a live screen: what was answered is published, though nobody reads the end of it, and the
    run can be finished."""
    import fcntl
    import pty
    import termios

    run = home / "results" / "r"
    with FakeServer(
        lambda x: None if x.number < 10 else Answer(held=True) if x.number < 14 else Answer(end="never")
    ) as server:
        providers_yaml(home / "providers.yaml", server.url)
        screen, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "lmmbench", "run", "--tasks", "p", "--run-id", "r"], cwd=home, env=clean_env(),
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(terminal)
        server.wait_until(lambda: len(server.history) >= 14)
        os.close(screen)
        server.let_go()
        assert process.wait(30) == 128 + signal.SIGHUP
        whole = set(keys(server.sent))
        assert len(whole) >= 10
        assert answered(run) == whole
        assert statuses(rows_of(run)) == {"ok": len(whole), "skipped": 40 - len(whole)}
        assert manifest_of(run)["stop_reason"] == "interrupted"

        server.script, before = [], len(server.history)
        again = lmmbench("run", "--resume", "r", cwd=home)
        assert again.returncode == 0, again.stderr
        assert not whole & set(keys(server.history[before:]))


KILLS = 5
LIMIT = 4


@pytest.mark.parametrize("kills", [KILLS, pytest.param(200, marks=pytest.mark.prove)])
def test_kill_9_loses_no_answer_and_bills_few_twice(tmp_path: Path, kills: int) -> None:
    """Killed at seeded moments and resumed: no answer that is whole in the journal is asked again, by the server's
    own history; at most `concurrency` asks a kill are sent twice, and every one of them is marked `maybe_billed`."""
    items = 12 * kills
    write_pack(tmp_path / "tasks" / "p", items)
    run, draw = tmp_path / "results" / "r", random.Random(20261101)  # noqa: S311
    with FakeServer(lambda _: Answer(delay_s=draw.uniform(0, 0.01))) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=LIMIT)
        command = ["run", "--tasks", "p", "--run-id", "r"]
        safe: list[tuple[int, Keys]] = []
        for _ in range(kills):
            moment = len(server.history) + draw.randint(1, 20)
            process = start(*command, cwd=tmp_path)
            server.wait_until(lambda moment=moment: len(server.history) >= moment)  # type: ignore[misc]
            process.kill()
            process.communicate(timeout=30)
            assert process.returncode not in (0, 3), "it ended before it was killed"
            safe.append((len(server.history), answered(run)))
            command = ["run", "--resume", "r"]
        done = lmmbench(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr

        assert [len(found) for _, found in safe] == sorted(len(found) for _, found in safe)
        for heard, found in safe:
            assert not found & set(keys(server.history[heard:])), "an answer in the journal was asked for again"
        asked = Counter(keys(server.history))
        assert len(asked) == 2 * items
        assert asked.total() - 2 * items <= kills * LIMIT
        rows = rows_of(run)
        assert statuses(rows) == {"ok": 2 * items}
        billed = {(r["model"], f"{r['item_id']}번 문제: 알맞은 답은?") for r in rows if r["maybe_billed"]}
        assert {key for key, times in asked.items() if times > 1} <= billed
        assert len(billed) <= kills * LIMIT
        assert not manifest_of(run)["damaged_records"]
        extra = asked.total() - 2 * items
        print(
            f"\nkill -9: {kills} kills, {asked.total()} requests for {2 * items} questions; 0 answers lost, 0 asked again "
            f"after they were in the journal, {extra} extra asks ({extra / kills:.2f} a kill, {LIMIT} allowed)"
        )


def test_no_ask_is_sent_before_the_answer_that_left_its_slot_is_on_the_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot is free once its answer stands in line for the journal; whoever takes it writes behind that answer, and is
    sent when both are synced. So a crash costs no more asks than there are slots."""
    path, synced, early = home / "results" / "r" / "journal" / "main.jsonl", [0], []
    real = disk.sync

    def sync(fd: int) -> None:
        size = os.fstat(fd).st_size
        real(fd)
        if path.exists() and os.fstat(fd).st_ino == path.stat().st_ino:
            synced[0] = size

    with FakeServer() as server:

        def script(x: Exchange) -> Answer | None:
            safe = path.read_bytes()[: synced[0]]
            early.append(len(server.history) - 1 - safe.count(b'{"t":"done"'))
            return None

        server.script = script
        monkeypatch.setattr(disk, "sync", sync)
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        assert run_here(home).code == 0
    assert early == [0] * 40


def test_resume_asks_where_the_plan_says(home: Path) -> None:
    """A run is one server's answers: on resume another address in the environment is not asked in its place."""
    with FakeServer([Answer(status=413)]) as server, FakeServer() as other:
        providers_yaml(home / "providers.yaml", server.url, base_url="", base_url_env="SIM_URL")
        for url in (server.url, other.url):
            options = ["--resume", "r"] if url == other.url else ["--tasks", "p", "--run-id", "r"]
            done = lmmbench("run", *options, cwd=home, env={"SIM_URL": url + "/sim/v1"})
        assert other.history == [], done.stderr


def test_a_running_run_is_busy(home: Path) -> None:
    """Two processes on one folder: the second exits 5 at once, by either name, and harms nothing."""
    with FakeServer(lambda _: Answer(held=True)) as server:
        providers_yaml(home / "providers.yaml", server.url)
        first = start("run", "--tasks", "p", "--run-id", "r", cwd=home)
        server.wait_until(lambda: len(server.history) == 4)
        resumed = lmmbench("run", "--resume", "r", cwd=home)
        named = lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
        assert len(server.history) == 4
        server.let_go()
        _, err = first.communicate(timeout=30)
        assert first.returncode == 0, err
        assert statuses(rows_of(home / "results" / "r")) == {"ok": 40}
        assert set(server.asked().values()) == {1}
        assert (resumed.returncode, named.returncode) == (5, 5), resumed.stderr + named.stderr


def test_a_stopped_run_sends_nothing_more(tmp_path: Path) -> None:
    """Once a run is told to stop, asks on the wire may end, and one that fails is not sent again."""
    pack = packs.load(write_pack(tmp_path / "p", 8))

    class Falling:
        """Each ask fails, but only once the run has been stopped."""

        def __init__(self) -> None:
            self.asked = 0
            self.two, self.stopped = asyncio.Event(), asyncio.Event()

        def unsupported(self, request: Request) -> str:
            return ""

        async def ask(self, request: Request) -> Reply:
            self.asked += 1
            if self.asked == 2:
                self.two.set()
            await self.stopped.wait()
            raise Fault("overload", "HTTP 503")

        async def close(self) -> None:
            """Nothing is open."""

    async def main() -> tuple[int, int]:
        provider = Falling()
        todo = (packs.request(pack, i, 0, seed=0) for i in pack.items)
        lane = Lane("sim-a", SIM, provider, Gate(Endpoint("openai-chat", concurrency=2)), todo, 8)
        writer = Writer(tmp_path / "main.jsonl")
        asking = Runner(writer, [lane], budget=Budget(None), backoff_s=0.001)
        running = asyncio.create_task(asking.run())
        await provider.two.wait()
        asking.stop("interrupted")
        provider.stopped.set()
        await running
        await writer.close()
        return provider.asked, lane.gate.in_flight

    assert asyncio.run(main()) == (2, 0)


class Silent:
    """Takes every question, and answers none until it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told = asyncio.Event()

    def unsupported(self, request: Request) -> str:
        return ""

    async def ask(self, request: Request) -> Reply:
        self.asked.append(request.item.id)
        await self.told.wait()
        return Reply(RIGHT, "stop")

    async def close(self) -> None:
        """Nothing is open."""


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 20_000))
@settings(max_examples=20, deadline=None)
def test_questions_are_read_ahead_in_order_and_within_bounds(slots: int, models: int, most: int) -> None:
    """While answers are awaited each model's next questions are made, but not more than may be held; they are asked in
    the plan's order, each once."""
    made: Counter[str] = Counter()

    def todo(pack: packs.Pack, model: str) -> Iterator[Request]:
        for item in pack.items:
            made[model] += 1
            yield packs.request(pack, item, 0, seed=0)

    async def main(folder: Path) -> None:
        pack = packs.load(write_pack(folder / "p", 30))
        providers = {f"sim-{n}": Silent() for n in range(models)}
        lanes = [
            Lane(name, SIM, silent, Gate(Endpoint("openai-chat", concurrency=slots)), todo(pack, name), 30)
            for name, silent in providers.items()
        ]
        writer = Writer(folder / "main.jsonl")
        running = asyncio.create_task(Runner(writer, lanes, budget=Budget(None)).run())
        for _ in range(200):
            await asyncio.sleep(0)
        question = packs.request(pack, next(iter(pack.items)), 0, seed=0)
        weight = runner.QUESTION + 4 * len(question.system + question.user)
        ahead = math.ceil(most / models / weight)
        assert [silent.asked for silent in providers.values()] == [[i.id for i in pack.items][:slots]] * models
        # one waits for a slot
        assert set(made.values()) == {min(30, slots + 1 + ahead)}
        for silent in providers.values():
            silent.told.set()
        await running
        await writer.close()
        assert all(silent.asked == [item.id for item in pack.items] for silent in providers.values())
        assert set(made.values()) == {30}

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(runner, "AHEAD", most)
        asyncio.run(main(Path(folder)))


SIM = Model("sim", "sim-a", "Simulated", "Sim", "overseas")


# --- money, time -------------------------------------------------------------------------------------


def test_the_cap_holds_when_answers_cost_more_than_the_worst_case(home: Path) -> None:
    """When the budget is used up nothing more is sent: the rest is skipped(budget), exit 3; what was spent still counts
    on resume, where a higher cap goes on."""
    with FakeServer(lambda _: Answer(usage=(10, 10_000))) as server:  # 0.01 dollars each, against a cap of 64 tokens
        price = {"input": 1.0, "output": 1.0}
        providers_yaml(home / "providers.yaml", server.url, {"sim-a": {"price": price}}, concurrency=1)
        ran = run_here(home, max_cost=0.05)
        asked = len(server.history)
        assert asked == 5, "not the one that was reserved already, and waited for a slot"
        assert (ran.code, ran.counts["sim-a"]) == (3, {"ok": asked, "skipped": 40 - asked})
        assert {r["error_kind"] for r in rows_of(ran.folder) if r["status"] == "skipped"} == {"budget"}
        assert manifest_of(ran.folder)["cost_usd"] == pytest.approx(asked * 0.01001)

        assert (run_here(home, resume=True, max_cost=0.05).code, len(server.history)) == (3, asked)
        assert (run_here(home, resume=True, max_cost=1.0).code, len(server.history)) == (0, 40)


BILLS = {"bills": {"source": "made up", "as_of": "2026-11-22", "cost_field": "ticks", "cost_units": 1e10}}


@pytest.mark.parametrize("priced", [True, False])
def test_what_a_vendor_says_it_billed_is_what_an_answer_cost(home: Path, priced: bool) -> None:
    """It comes before the price, and answers that do not say it are reckoned by the price, or cost nobody knows what;
    run.json counts both kinds, and the cap and a second grading believe the same."""

    def script(x: Exchange) -> Answer | None:
        told = openai(RIGHT, usage=(1000, 500))
        if x.question[:5] != "q0000":
            told["usage"]["ticks"] = 25_000_000  # 0.0025 dollars
        return Answer(body=told)

    with FakeServer(script) as server:
        price = {"price": {"input": 1.0, "output": 2.0}} if priced else {}
        providers_yaml(
            home / "providers.yaml", server.url, {"sim-a": {"capabilities": "bills", **price}}, concurrency=1
        )
        with (home / "providers.yaml").open("a", encoding="utf-8") as f:
            f.write(f"capabilities: {json.dumps(BILLS)}\n")
        ran = run_here(home, max_cost=39 * 0.0025 + 0.0021 if priced else None)
        assert (ran.code, len(server.history)) == (0, 40)
    costs = {r["item_id"]: r["cost_usd"] for r in rows_of(ran.folder)}
    assert costs.pop("q0000") == (pytest.approx(0.002) if priced else None)
    assert set(costs.values()) == {0.0025}
    for _ in range(2):
        manifest = manifest_of(ran.folder)
        assert manifest["cost_usd"] == (pytest.approx(39 * 0.0025 + 0.002) if priced else None)
        assert manifest["models"]["sim-a"]["cost_source"] == {"reported": 39} | ({"table": 1} if priced else {})
        assert lmmbench("score", "r", cwd=home).returncode == 0


def test_a_stopped_model_gives_back_what_it_reserved(home: Path) -> None:
    """The money that a stopped model had set aside for its next question is there for the others: 40 questions at 64
    dollars fit under a cap of 40 x 64."""
    with FakeServer(lambda x: Answer(status=401) if x.model == "sim-a" else Answer(usage=(10, 64))) as server:
        price = {"input": 0.0, "output": 1_000_000.0}
        rows = {"sim-a": {"price": price}, "sim-b": {"price": price}}
        providers_yaml(home / "providers.yaml", server.url, rows, concurrency=1)
        ran = run_here(home, max_cost=40 * 64.0)
        assert (ran.stop_reason, ran.counts["sim-b"]) == ("", {"ok": 40})


def test_the_deadline_ends_a_run_in_good_order(home: Path) -> None:
    """At the deadline nothing more is sent, what was answered is published, the rest is skipped(deadline), exit 3."""
    with FakeServer(lambda _: Answer(delay_s=0.1)) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        ran = run_here(home, deadline_s=1)
        rows = rows_of(ran.folder)
        assert (ran.code, ran.stop_reason) == (3, "deadline")
        assert statuses(rows) == {"ok": len(server.sent), "skipped": 40 - len(server.sent)}
        assert {r["error_kind"] for r in rows if r["status"] == "skipped"} == {"deadline"}


# --- keys, strange replies ---------------------------------------------------------------------------


@pytest.mark.parametrize("placeholder", ["A", "EMPTY", "ok"])
def test_a_placeholder_key_changes_no_answer(home: Path, monkeypatch: pytest.MonkeyPatch, placeholder: str) -> None:
    """Local servers take any text as a key; hiding keys never touches what a model said or how it was counted."""
    monkeypatch.setenv("SIM_KEY", placeholder)
    with FakeServer(text=f"{placeholder} ok 정답: A") as server:
        providers_yaml(home / "providers.yaml", server.url, key_env="SIM_KEY")
        rows = rows_of(run_here(home).folder)
        assert {(r["answer"], r["output_tokens"], r["served_model"]) for r in rows} == {(f"{placeholder} ok 정답: A", 5, "sim-a")}  # fmt: skip


def test_strange_replies_do_not_break_a_run(home: Path) -> None:
    """Lone surrogates, NUL, wrong types and absurd counts anywhere in a reply: the run ends and publishes every answer."""
    odd = "\ud800\x00\u202e정답: A"

    def script(x: Exchange) -> Answer | None:
        body = openai(odd if x.number % 2 else RIGHT)
        choice = body["choices"][0]
        choice["message"]["reasoning_content"] = [odd, ["음"], {"a": odd}, 5, True][x.number % 5]
        choice["finish_reason"] = ["stop", "", 5, {"a": 1}, None][x.number % 5]
        body |= {"model": [odd, 5, None, [], {"a": odd}][x.number % 5]}
        body |= {
            "system_fingerprint": [5, odd, {}, True, 1.5][x.number % 5],
            "id": [5, odd, {}, True, 1.5][x.number % 5],
        }
        body["usage"] = [{"prompt_tokens": 10**400, "completion_tokens": 2**64}, odd, 5, {"prompt_tokens": odd}, None][x.number % 5]  # fmt: skip
        return Answer(body=json.dumps(body))

    with FakeServer(script) as server:
        price = {"input": 1.0, "output": 1.0}
        providers_yaml(home / "providers.yaml", server.url, {"sim-a": {"price": price}})
        done = lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
        assert done.returncode == 0, done.stderr
        rows = rows_of(home / "results" / "r")
        assert statuses(rows) == {"ok": 40}
        assert len(server.history) == 40


def test_the_command_needs_nothing_of_this_process(home: Path) -> None:
    """The kit's environment alone is enough: the tests' results do not hang on this machine's settings."""
    done = subprocess.run([sys.executable, "-m", "lmmbench", "--version"], cwd=home, env=clean_env(), capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0


# --- somebody else answers ---------------------------------------------------------------------------


LOGIN = Answer(body="\ufeff \n<!DOCTYPE html><title>로그인</title>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize("does", [LOGIN, Answer(status=511, body="<html>log in")], ids=["200", "511"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_captive_portal_stops_its_endpoint(home: Path, does: Answer, stream: bool) -> None:
    """Three questions that met nothing but a web page stop all models of the endpoint; nobody else is touched, no answer is
    made of it, and once somebody has logged in, resuming asks every one of them."""
    with FakeServer(lambda x: does if x.endpoint == "a" else None) as server:
        rows = {"sim-a": {"endpoint": "a"}, "sim-a2": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        providers_yaml(home / "providers.yaml", server.url, rows, concurrency=2)
        ran = run_here(home, stream=stream)
        assert ran.counts["sim-b"] == Counter(ok=40)
        assert sum(x.endpoint == "a" for x in server.history) <= 3 + 2, "three, and what was on the wire"
        both = ran.counts["sim-a"] + ran.counts["sim-a2"]
        assert (set(both), both.total()) == ({"invalid", "skipped"}, 80)
        assert {r["error_kind"] for r in rows_of(ran.folder, "sim-a*")} == {"page"}
        assert (ran.code, ran.stop_reason) == (3, "")
        server.script = []
        assert run_here(home, resume=True).counts == {m: Counter(ok=40) for m in rows}


def test_a_portal_is_one_sentence_with_what_to_do(home: Path) -> None:
    """Which endpoint, what came, what may stand between, and the command for afterwards; no answer at all is exit 4."""
    with FakeServer(lambda _: LOGIN) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        done = lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
    assert done.returncode == 4
    (line,) = [text for text in done.stderr.splitlines() if "stopped: " in text and text.startswith("sim-a: ")]
    for part in (
        "'sim'",
        server.url,
        "answers with a web page, not JSON",
        "로그인",
        "captive portal",
        "log in with a browser",
    ):
        assert part in line
    assert done.stderr.splitlines()[-1] == "no answer was got; to ask what is left: lmmbench run --resume r"


def test_a_page_now_and_then_stops_nobody_and_pages_only_the_model_that_meets_them(home: Path) -> None:
    """An answer of the endpoint begins the count anew: two questions in a row are no portal. A model whose every question
    meets a page, while the other is answered, is stopped alone."""

    def script(x: Exchange) -> Answer | None:
        number = int(x.question[1:5])
        return LOGIN if number % 3 < 2 or x.model == "sim-b" else None

    with FakeServer(script) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        ran = run_here(home)
        assert ran.counts == {"sim-a": Counter(ok=13, invalid=27)}
        assert not manifest_of(ran.folder)["models"]["sim-a"]["stopped"]

    def alternate(x: Exchange) -> Answer | None:
        return LOGIN if x.model == "sim-b" else None

    with FakeServer(alternate) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=1)
        ran = run_here(home, run_id="two")
    assert ran.counts["sim-a"] == Counter(ok=40)
    assert set(ran.counts["sim-b"]) == {"invalid", "skipped"}
    assert manifest_of(ran.folder)["models"]["sim-b"]["stopped"].startswith("page: ")


def test_a_redirect_to_a_login_stops_at_the_first_ask(home: Path) -> None:
    """It is not followed; one sentence says where it leads and what that may be, and resuming asks everything."""
    with FakeServer(lambda _: Answer(status=302, headers={"Location": "http://login.invalid/?next=x"})) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=1)
        done = lmmbench("run", "--tasks", "p", "--run-id", "r", cwd=home)
        assert (done.returncode, len(server.history)) == (4, 1)
        assert "redirects to http://login.invalid/, which is never followed" in done.stderr
        assert "where a network wants a login, log in there with a browser first" in done.stderr
        server.script = []
        assert run_here(home, resume=True).counts == {"sim-a": Counter(ok=40)}


# --- what nobody foresaw -----------------------------------------------------------------------------


def test_an_error_in_who_listens_to_the_journal_ends_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with the error instead of waiting for ever; the journal is free, what it holds is asked by nobody again,
    and the rest is."""
    real, told = results.note, Counter[str]()

    def note(*args: Any) -> None:
        told["records"] += 1
        if told["records"] == 31:
            raise KeyError("odd")
        real(*args)

    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        monkeypatch.setattr(results, "note", note)
        with pytest.raises(KeyError, match="odd"):
            run_here(home)
        monkeypatch.undo()
        run = home / "results" / "r"
        check_free(run)
        before, heard = answered(run), len(server.history)
        assert 0 < len(before) < 80
        assert run_here(home, resume=True).counts == {"sim-a": Counter(ok=40), "sim-b": Counter(ok=40)}
        assert not before & set(keys(server.history[heard:]))


def test_what_nobody_foresaw_is_one_sentence_and_exit_70(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a traceback, never a wait: the error, and the command that asks what is left."""

    def note(*_: Any) -> None:
        raise KeyError("odd")

    monkeypatch.chdir(home)
    monkeypatch.setattr(results, "note", note)
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url)
        assert cli.run_cli(["run", "--tasks", "p", "--run-id", "r"]) == 70
    err = capsys.readouterr().err.splitlines()
    assert err[-1] == "lmmbench: unforeseen error: KeyError: 'odd'; see more with --debug"
    assert err[-2].endswith("to ask what is left: lmmbench run --resume r")
    assert "Traceback" not in "".join(err)


@pytest.mark.parametrize("where", ["the questions", "the questions of both", "who may stop it"])
def test_an_error_beside_the_asks_ends_the_run(home: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Where a model's next question cannot be read, or the one who could stop the run fails, nothing more is sent to
    anybody; what is on the wire may end and is recorded."""

    real = runner.pending

    def pending(*args: Any, **how: Any) -> Iterator[Request]:
        for n, request in enumerate(real(*args, **how)):
            if n == 2 and (where == "the questions of both" or (where, args[2]) == ("the questions", "sim-b")):
                raise KeyError("odd")
            yield request

    def stopped() -> bool:
        server.wait_until(lambda: len(server.history) >= 2)
        server.let_go()
        raise KeyError("odd")

    monkeypatch.setattr(runner, "pending", pending)
    beside = stopped if where == "who may stop it" else None
    with FakeServer(lambda _: Answer(held=beside is not None)) as server:
        rows = {"sim-a": {"endpoint": "a"}, "sim-b": {"endpoint": "b"}}
        providers_yaml(home / "providers.yaml", server.url, rows, concurrency=1)
        with pytest.raises(KeyError, match="odd"):
            run_here(home, stopped=beside)
        assert 2 <= len(server.history) <= 10, "of eighty"
        assert set(keys(server.sent)) == answered(home / "results" / "r")
    check_free(home / "results" / "r")


def test_every_provider_is_closed(tmp_path: Path) -> None:
    """Also when one of them fails in closing, which the run then says."""
    closed: list[str] = []

    class Closes:
        def __init__(self, name: str) -> None:
            self.name = name

        def unsupported(self, request: Request) -> str:
            return ""

        async def ask(self, request: Request) -> Reply:
            return Reply(RIGHT, "stop")

        async def close(self) -> None:
            closed.append(self.name)
            if self.name == "sim-b":
                raise KeyError("odd")

    async def go() -> None:
        writer = Writer(tmp_path / "main.jsonl")
        gate = Gate(Endpoint("openai-chat", "http://127.0.0.1:9"), ("sim",))
        model = Model("sim", "x", "Simulated", "Sim", "overseas")
        lanes = [Lane(name, model, Closes(name), gate, iter(()), 0) for name in ("sim-a", "sim-b", "sim-c")]
        try:
            await Runner(writer, lanes, budget=Budget(None)).run()
        finally:
            await writer.close()

    with pytest.raises(KeyError, match="odd"):
        asyncio.run(go())
    assert sorted(closed) == ["sim-a", "sim-b", "sim-c"]
