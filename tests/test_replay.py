"""Replaying and scoring ask nothing: no key, no socket; and what was written by another version is read or refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmmbench import config, journal, providers
from lmmbench.types import Capabilities, Endpoint, Model
from tests.fake_server import Answer, Exchange, FakeServer
from tests.kit import (
    ask,
    clean_env,
    item,
    journal_of,
    lmmbench,
    manifest_of,
    providers_yaml,
    request,
    rows_of,
    write_pack,
)
from tests.test_shards import published

KEY = "sk-made-up"
NO_NETWORK = """
import socket, sys
class Offline(socket.socket):
    def __init__(self, family=-1, *args, **kwargs):
        assert family == socket.AF_UNIX or kwargs.get("fileno") is not None, "a socket was opened"
        super().__init__(family, *args, **kwargs)
socket.socket = Offline
def refused(*_, **__): raise AssertionError("an address was looked up")
socket.getaddrinfo = socket.create_connection = refused
from lmmbench.cli import run_cli
sys.exit(run_cli(sys.argv[1:]))
"""
"""lmmbench where no socket can be made but the pair by which an event loop wakes itself."""


def offline(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`lmmbench ARGS…` without keys and without a network."""
    return subprocess.run(
        [sys.executable, "-c", NO_NETWORK, *map(str, args)], cwd=cwd, env=clean_env(), capture_output=True, text=True,
        encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def told(x: Exchange) -> Answer | None:
    """A refusal, a cut answer and a failure among right answers."""
    answers = {
        "q0002": Answer(status=400, body={"error": {"code": "content_policy_violation", "message": "no"}}),
        "q0004": Answer(status=413),
    }
    return answers.get(x.question.split("번")[0]) or Answer(text=f"정답: {'ABCD'[x.number % 4]}")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `old` of a keyed model and the baselines, two trials, whose server is gone."""
    home = tmp_path_factory.mktemp("asked")
    # two items that send the very same, and are answered differently
    same = [
        item(name, options=(), fields={"question": "o0001번 문제", "source": "원문"}) for name in ("o0001", "o0002")
    ]
    write_pack(home / "tasks" / "p", [*(item(f"q{n:04}") for n in range(8)), *same])
    models = {
        "sim-a": {"price": {"input": 1.0, "output": 2.0, "as_of": "2026-11-01", "source": "made up"}},
        "chance": {"endpoint": "here", "name": "chance"}, "copy": {"endpoint": "here", "name": "copy"},
    }  # fmt: skip
    with FakeServer(told) as server:
        keyed = {"sim": {"key_env": "SIM_API_KEY"}, "here": {"api": "baseline"}}
        providers_yaml(home / "providers.yaml", server.url, models, keyed)
        done = lmmbench(
            "run",
            "--tasks",
            "p",
            "--repeats",
            "2",
            "--seed",
            "3",
            "--run-id",
            "old",
            cwd=home,
            env={"SIM_API_KEY": KEY},
        )
        assert done.returncode == 3, done.stderr
    return home


@pytest.fixture
def home(asked: Path, tmp_path: Path) -> Path:
    """A copy of it, without providers.yaml."""
    folder = tmp_path / "home"
    shutil.copytree(asked, folder, ignore=shutil.ignore_patterns("providers.yaml"))
    return folder


def by_ask(run: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {(r["model"], r["pack"], r["item_id"], r["trial"]): r for r in rows_of(run)}


def test_scoring_needs_no_key_and_no_network(home: Path) -> None:
    """`score` publishes the same bytes where no socket can be opened."""
    before = published(home / "results" / "old")
    done = offline("score", "old", cwd=home)
    assert done.returncode == 0, done.stderr
    assert published(home / "results" / "old") == before


def test_a_replay_is_the_run_again_without_asking(home: Path) -> None:
    """Without options: the same models, packs, seed and trials. Every answer, refusals too, has its own place, trial and
    clock; nobody was asked (attempts 0) and nothing billed; what had failed is skipped. run.json names the source."""
    done = offline("run", "--replay", "old", "--run-id", "new", cwd=home)
    assert done.returncode == 3, "the two that failed are missing: " + done.stderr
    assert "nothing is asked" in done.stderr
    old, new = by_ask(home / "results" / "old"), by_ask(home / "results" / "new")
    assert old.keys() == new.keys()
    for key, row in old.items():
        if row["status"] == "error":
            assert (new[key]["status"], new[key]["error_kind"]) == ("skipped", "replay")
            assert new[key]["error"] == "replay: not in old"
        else:
            own = {"run_id", "attempts", "maybe_billed"}
            assert {k: v for k, v in new[key].items() if k not in own} == {k: v for k, v in row.items() if k not in own}
        assert (new[key]["attempts"], new[key]["maybe_billed"]) == (0, False)
    assert {r["status"] for r in new.values()} == {"ok", "refused", "unsupported", "skipped"}
    assert manifest_of(home / "results" / "new")["replay_of"] == "old"
    assert manifest_of(home / "results" / "old")["replay_of"] is None


def test_a_new_pack_with_the_same_questions_is_graded_anew(home: Path) -> None:
    """Other targets are another pack version; what it sends is the same, so the answers are known again. A question with
    another word, and one that is new, were not asked: they are skipped."""
    items = [item(f"q{n:04}", targets=["2"]) for n in range(8)]
    items[3] = item("q0003", fields={"question": "다른 질문"})
    write_pack(home / "tasks" / "p", [*items, item("q0099")], version="1.1.0")
    done = offline("run", "--replay", "old", "--run-id", "new", "--models", "sim-a", cwd=home)
    assert done.returncode == 3
    old, new = by_ask(home / "results" / "old"), by_ask(home / "results" / "new")
    assert {k[2] for k, r in new.items() if r["status"] == "skipped"} == {"q0003", "q0004", "q0099"}
    for key, row in new.items():
        if row["status"] == "ok":
            assert row["answer"] == old[key]["answer"]
            assert row["score"] == float(old[key]["parsed"] == "2")


def test_a_replay_in_shards_is_the_same_run(home: Path) -> None:
    """N = 1 and N = 3, by the command line: the published files are the same to the byte."""
    assert offline("run", "--replay", "old", "--run-id", "r", "--results", "one", cwd=home).returncode == 2, "not there"
    shutil.copytree(home / "results", home / "one")
    shutil.copytree(home / "results", home / "three")
    assert offline("run", "--replay", "old", "--run-id", "r", "--results", "one", cwd=home).returncode == 3
    for n in (3, 1, 2):
        offline("run", "--replay", "old", "--run-id", "r", "--shard", f"{n}/3", "--results", "three", cwd=home)
    assert offline("merge", "r", "--results", "three", cwd=home).returncode == 3
    one, three = (published(home / name / "r") for name in ("one", "three"))
    assert {"items.parquet", "matrix.parquet", "models/sim-a.parquet", "run.json"} <= one.keys()
    assert one == three


def test_a_replay_is_resumed_as_one(home: Path) -> None:
    """--resume of a replayed run asks nobody: it looks in the same answers again."""
    assert offline("run", "--replay", "old", "--run-id", "new", cwd=home).returncode == 3
    before = by_ask(home / "results" / "new")
    assert offline("run", "--resume", "new", cwd=home).returncode == 3
    assert by_ask(home / "results" / "new") == before
    done = sum(r["t"] == "done" for r in journal_of(home / "results" / "new"))
    assert done == 60 - 2 - 2, "of 60 asks two are refusals and two are not there"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--models", "sim-b"), "asked no 'sim-b' (did you mean 'sim-a'?)"),
        (("--resume", "old"), "give one of them"),
        (("--dask", "tcp://127.0.0.1:1"), "give one of them"),
        (("--run-id", "old"), "exists"),
        (("--tasks", "nowhere"), "no pack or group is called 'nowhere'"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(home: Path, options: tuple[str, ...], says: str) -> None:
    """One sentence, exit code 2, and no new run."""
    done = offline("run", "--replay", "old", *options, cwd=home)
    assert done.returncode == 2
    assert says in done.stderr
    assert [p.name for p in (home / "results").iterdir()] == ["old"]


def test_a_dry_replay_counts_and_writes_nothing(home: Path) -> None:
    """How much of the new run the old one settles, before anything is written."""
    done = offline("run", "--replay", "old", "--dry-run", cwd=home)
    assert done.returncode == 0
    assert "old settles 58 of 60 asks" in done.stderr
    assert [p.name for p in (home / "results").iterdir()] == ["old"]


def test_a_packed_run_is_replayed_and_scored_elsewhere(home: Path) -> None:
    """A file from another machine is a RUN here too: scored, it gives the same bytes; replayed, the same answers."""
    there = home / "elsewhere"
    there.mkdir()
    assert offline("pack", "old", "--to", there / "old.tar.gz", cwd=home).returncode == 0
    assert offline("score", "old.tar.gz", cwd=there).returncode == 0
    assert published(there / "results" / "old") == published(home / "results" / "old")
    assert (
        offline("run", "--replay", "old.tar.gz", "--run-id", "new", "--tasks-dir", home / "tasks", cwd=there).returncode
        == 3
    )
    answers = [
        sorted(str(r["answer"]) for r in rows_of(p) if r["status"] == "ok")
        for p in (there / "results" / "new", there / "results" / "old")
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("api", ["openai-chat", "gemini", "clova", "anthropic"])
def test_a_request_is_known_without_sending_it(api: str, stream: bool) -> None:
    """For every dialect, plain and streamed, the request_sha that is computed is that of what came back (a fault too), and it
    does not depend on the key."""
    asked = replace(request(), stream=stream)
    with FakeServer() as server:
        (reply,) = ask(api, "http", server.url, key_env="", asked=asked)
        base_url = f"{server.url}/sim" + ("/v1" if api == "openai-chat" else "")
        model = Model(
            "sim", "sim-a", "Simulated", "Sim", "overseas", capabilities=config.PLAIN.get(api, Capabilities())
        )
        endpoint = Endpoint(api, base_url, key_env="SIM_API_KEY")
    assert providers.request_sha(asked, model, endpoint) == reply.request_sha != ""


# --- other versions ----------------------------------------------------------------------------------

READERS = [("score", "old"), ("merge", "old"), ("run", "--resume", "old"), ("run", "--replay", "old")]


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("schema", [1, 3])
def test_a_plan_of_another_schema_is_refused_by_name(home: Path, command: tuple[str, ...], schema: int) -> None:
    """Which version wrote it, which schema this one reads, and what to do; nothing is touched."""
    path = home / "results" / "old" / "plan.json"
    data = json.loads(path.read_bytes()) | {"schema": schema, "harness_version": "0.0.7"}
    path.write_text(json.dumps(data), encoding="utf-8", newline="\n")
    before = published(home / "results" / "old")
    done = offline(*command, cwd=home)
    assert done.returncode == 2
    assert f"has schema {schema} (lmmbench 0.0.7) and this version reads schema 2" in done.stderr
    assert published(home / "results" / "old") == before


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"t": "mark", "what": "start", "schema": 2, "at": "2027-01-01"}, "has schema 2"),
        ({"t": "batch", "id": "b-1", "at": "2027-01-01"}, "has records of a kind 'batch'"),
        ({"status": "half"}, "has answers of a status 'half'"),
    ],
)
def test_a_journal_of_a_later_version_is_refused_by_name(
    home: Path, command: tuple[str, ...], record: dict[str, Any], says: str
) -> None:
    """What a later version may mean is not guessed: exit code 2, and the published files stay."""
    known = next(r for r in journal_of(home / "results" / "old") if r["t"] == "done")
    with (home / "results" / "old" / "journal" / "main.jsonl").open("ab") as f:
        f.write(journal.line_of(known | record))
    before = published(home / "results" / "old")
    done = (
        offline(*command, cwd=home)
        if command[1] != "--resume"
        else lmmbench(*command, cwd=home, env={"SIM_API_KEY": KEY})
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "reads journals of schema 1; use the version that wrote it" in done.stderr
    assert published(home / "results" / "old") == before


def test_a_journal_of_an_earlier_version_is_read(home: Path) -> None:
    """0.1.0 wrote no schema into its marks and no request_sha into refusals: scored to the same bytes; replayed, all but
    the refusals are known again."""
    run = home / "results" / "old"
    before = published(run)
    records = journal_of(run)
    for r in records:
        r.pop("schema", None)
        if r["t"] == "fail":
            r.pop("request_sha", None)
    (run / "journal" / "main.jsonl").write_bytes(b"".join(map(journal.line_of, records)))
    assert offline("score", "old", cwd=home).returncode == 0
    assert published(run) == before
    assert offline("run", "--replay", "old", "--run-id", "new", cwd=home).returncode == 3
    assert {k[2] for k, r in by_ask(home / "results" / "new").items() if r["status"] == "skipped"} == {"q0002", "q0004"}
