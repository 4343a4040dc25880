"""A run in parts: every ask in one of them, limits shared and never exceeded, and merged the same as if it had been whole."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import bench, cli, config, journal, money, packs, plan, results, shards
from lmmbench.faults import UsageError
from lmmbench.shards import Shard
from lmmbench.types import Endpoint, Item, Request
from tests.fake_server import Answer, FakeServer
from tests.kit import item, journal_of, lmmbench, manifest_of, providers_yaml, rows_of, start, write_pack

ITEMS = 30
RUN = ("run", "--tasks", "p", "--run-id", "r")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with one pack `p` of 30 questions."""
    write_pack(tmp_path / "tasks" / "p", ITEMS)
    return tmp_path


def published(run: Path) -> dict[str, bytes]:
    """The parquet files of a run, and of its manifest all but clocks and what each session's limits did."""
    session = ("created_at", "ended_at", "git_sha", "endpoints")
    manifest = {k: v for k, v in manifest_of(run).items() if k not in session}
    files = {p.relative_to(run).as_posix(): p.read_bytes() for p in sorted(run.rglob("*.parquet"))}
    return files | {"run.json": json.dumps(manifest).encode()}


def split(run: Path, to: Path, of: int) -> Path:
    """A copy of a whole run as if it had been asked in shards: each record in the journal of its ask's shard."""
    folder = to / run.name
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.parquet", "run.json", "main.*"))
    data = json.loads((folder / "plan.json").read_bytes())
    data["options"]["shards"] = of
    (folder / "plan.json").write_text(json.dumps(data), encoding="utf-8", newline="\n")
    lines: dict[str, list[bytes]] = {writer: [] for writer in shards.writers(of)}
    for record in journal_of(run):
        key = None if record["t"] == "mark" else tuple(record[k] for k in ("model", "pack", "item", "trial"))
        for writer in lines if key is None else [shards.writer_of(key, of)]:
            lines[writer].append(journal.line_of(record))
    for writer, found in lines.items():
        (folder / "journal" / f"{writer}.jsonl").write_bytes(b"".join(found))
    return folder


def as_one(run: Path, to: Path) -> Path:
    """A copy of a run in shards as if it had been asked whole: all records in one journal."""
    folder = to / run.name
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.parquet", "run.json", "*.jsonl"))
    data = json.loads((folder / "plan.json").read_bytes())
    del data["options"]["shards"]
    (folder / "plan.json").write_text(json.dumps(data), encoding="utf-8", newline="\n")
    records = [r for r in journal_of(run) if r["t"] != "mark"] + [r for r in journal_of(run) if r["t"] == "mark"]
    (folder / "journal" / "main.jsonl").write_bytes(b"".join(map(journal.line_of, records)))
    return folder


# --- which asks a shard holds, and what it may take --------------------------------------------------

NAMES = st.text("abcxyz019._-", min_size=1, max_size=8)
KEYS = st.tuples(NAMES, NAMES, NAMES, st.integers(0, 50))


@given(KEYS, st.integers(1, 40))
def test_every_ask_is_in_one_shard(key: tuple[str, str, str, int], of: int) -> None:
    """The shards of a run are disjoint and leave nothing out, and which one an ask is in follows from the ask alone."""
    assert [s.number for s in shards.all_of(of) if s.holds(key)] == [shards.number_of(key, of)]
    assert shards.writer_of(key, of) == Shard(shards.number_of(key, of), of).writer


def test_the_split_stays_as_it_is() -> None:
    """The hash is the same on every machine and in every version, or a shard that is resumed would ask others' asks."""
    keys = [("sim-a", "p", f"q{n:04}", 0) for n in range(12)]
    assert [shards.number_of(key, 5) for key in keys] == [2, 1, 1, 2, 5, 1, 3, 4, 4, 5, 3, 1]
    counts = Counter(shards.number_of(("sim-a", "p", f"q{n:05}", 0), 4) for n in range(10_000))
    assert all(2300 < n < 2700 for n in counts.values())


@given(st.integers(0, 10**9), st.integers(1, 500))
def test_shares_add_up(total: int, of: int) -> None:
    """What is shared out is the whole, and no shard has more than one above another."""
    parts = [s.part(total) for s in shards.all_of(of)]
    assert sum(parts) == total
    assert max(parts) - min(parts) <= 1


def test_limits_are_shared_and_never_exceeded() -> None:
    """Concurrency and rates of all shards add up to the endpoint's; where there is less than one for each, the split is
    refused, since a limit of 0 would mean none. What has no limit keeps none."""
    endpoint = Endpoint("openai-chat", "http://127.0.0.1:1", concurrency=7, rpm=60)
    parts = [shards.share("sim", endpoint, s) for s in shards.all_of(3)]
    assert [(p.concurrency, p.rpm, p.tpm) for p in parts] == [(2, 20, None), (2, 20, None), (3, 20, None)]
    with pytest.raises(UsageError, match="concurrency 7, too little to share among 8 shards"):
        shards.share("sim", endpoint, Shard(1, 8))


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1 / 3", "１/３"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """I runs from 1 to N."""
    with pytest.raises(UsageError, match="for example 2/3"):
        shards.parse(text)


def test_the_cap_is_shared_by_what_each_shard_may_cost(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of the cap add up to it, and each is what its asks have of the worst case: items differ in length, and a
    hash deals them out unevenly. No question is rendered twice for it."""
    write_pack(home / "tasks" / "p", [item(f"q{n:04}", fields={"question": "가" * 9 ** (n % 4)}) for n in range(11)])
    row = {"price": {"input": 1.0, "output": 2.0, "as_of": "2026-11-01", "source": "made up"}}
    dear = {"price": {"input": 3.0, "output": 1.0, "as_of": "2026-11-01", "source": "made up"}}
    providers_yaml(home / "providers.yaml", "http://127.0.0.1:1", {"sim-a": row, "sim-b": dear})
    chosen = packs.select("p", home / "tasks")
    models, _ = bench.choose_models("sim-a,sim-b", config.load(home / "providers.yaml"), keys=False)
    run_plan = bench.make_plan(bench.RunOptions("p", repeats=3), "r", models, chosen)
    worst: Counter[shards.Shard] = Counter()
    rendered: Counter[str] = Counter()
    real = packs.request

    def request(pack: packs.Pack, it: Item, trial: int, **how: Any) -> Request:
        rendered[it.id] += 1
        return real(pack, it, trial, **how)

    for model_id, planned in models.items():
        for it in chosen[0].active:
            cost = money.worst_cost(real(chosen[0], it, 0, seed=0), planned.model)
            for trial in range(3):
                number = shards.number_of((model_id, "p", it.id, trial), 4)
                worst[shards.Shard(number, 4)] += cost  # type: ignore[assignment,operator]
    monkeypatch.setattr(packs, "request", request)
    caps = {s: bench.cap_of(run_plan, chosen, 7.0, s) for s in shards.all_of(4)}
    assert set(rendered.values()) == {4}, "once for each shard that asks for its part"
    assert caps == pytest.approx({s: 7.0 * cost / sum(worst.values()) for s, cost in worst.items()})
    assert sum(caps.values()) == pytest.approx(7.0)
    assert sum(worst.values()) == pytest.approx(bench.estimate(run_plan, chosen).cost_usd)


# --- the union of journals ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four questions by one simulated model."""
    folder = tmp_path_factory.mktemp("small")
    write_pack(folder / "tasks" / "mini", 4)
    providers_yaml(
        folder / "providers.yaml", "", {"sim-a": {"endpoint": "here", "name": "chance"}}, {"here": {"api": "baseline"}}
    )
    assert lmmbench("run", "--tasks", "mini", "--run-id", "small", cwd=folder).returncode == 0
    return folder / "results" / "small"


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["intent", "done", "network", "timeout", "policy"]),
        st.sets(st.integers(0, 2), min_size=1),
    ),
    max_size=16,
)


def told(small: Path, events: list[tuple[int, str, set[int]]]) -> Iterator[tuple[bytes, set[int]]]:
    """A line for each event, at its own time, and the journals that it stands in."""
    answers = sorted((r for r in journal_of(small) if r["t"] == "done"), key=lambda r: r["item"])
    for number, (which, what, where) in enumerate(events):
        at = f"2026-11-01T00:00:{number:02}+00:00"
        key = {k: answers[which][k] for k in ("model", "pack", "item", "trial")}
        record: dict[str, Any] = {"t": "intent", **key, "at": at, "worst": 0.5}
        if what == "done":
            record = answers[which] | {"answer": f"답 {number}", "served_model": f"m{number % 2}", "started_at": at}
        elif what != "intent":
            record = {"t": "fail", **key, "kind": what, "error": f"{number}", "billed": what == "timeout", "at": at}
        yield journal.line_of(record), where


def merged(small: Path, folder: Path, journals: list[bytes]) -> dict[str, Any]:
    """What is published from these journals, in this order."""
    (folder / "journal").mkdir(parents=True)
    for n, data in enumerate(journals):
        (folder / "journal" / f"{n}.jsonl").write_bytes(data)
    run_plan = plan.load(small)
    found = results.index(folder, run_plan)
    counts, scored = results.publish_models(folder, run_plan, results.Asked(small, run_plan), found)
    results.publish_manifest(folder, run_plan, found, counts, scored, True, "")
    return published(folder)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.permutations(range(3)))
def test_merging_is_a_union(
    small: Path, tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, str, set[int]]], order: list[int]
) -> None:
    """Whatever stands in which journals, in several too: their order (commutative), journals put together before
    (associative) and journals twice (idempotent) change no byte of what is published."""
    lines = list(told(small, events))
    a, b, c = (b"".join(line for line, where in lines if n in where) for n in range(3))
    base = tmp_path_factory.mktemp("union")
    one = merged(small, base / "one", [a, b, c])
    assert merged(small, base / "moved", [(a, b, c)[n] for n in order]) == one
    assert merged(small, base / "left", [a + b, c]) == merged(small, base / "right", [a, b + c]) == one
    assert merged(small, base / "again", [a, b, c, a, c]) == one


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one journal, with a refusal, a failure, and a failure that passed."""
    home = tmp_path_factory.mktemp("whole")
    write_pack(home / "tasks" / "p", ITEMS)
    script = {
        3: Answer(status=413),
        5: Answer(status=500),
        7: Answer(body={"error": {"code": "content_policy_violation"}}, status=400),
    }
    with FakeServer(lambda x: script.get(x.number)) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        assert lmmbench(*RUN, cwd=home).returncode == 3
    return home / "results" / "r"


@pytest.mark.parametrize("of", [1, 3, 40])
def test_a_split_run_is_published_as_the_whole_one(whole: Path, tmp_path: Path, of: int) -> None:
    """The same records in one journal or in many give the same bytes: rows, matrix and manifest, with failures, refusals
    and what was never asked. More shards than asks is no fault."""
    assert Counter(r["status"] for r in rows_of(whole)) == {"ok": 2 * ITEMS - 2, "error": 1, "refused": 1}
    folder = split(whole, tmp_path, of)
    home = whole.parents[1]
    assert lmmbench("merge", folder, cwd=home).returncode == 3
    assert published(folder) == published(whole)
    assert lmmbench("merge", folder, cwd=home).returncode == 3
    assert published(folder) == published(whole), "merging again changes nothing"


# --- the command line --------------------------------------------------------------------------------


def test_three_shards_ask_what_one_run_asks(home: Path) -> None:
    """Started all at once: one plan, no shard publishes, together they ask every question once and never more at a time
    than the endpoint allows; merged, the rows are those of a run that was not split, but for clocks."""
    with FakeServer(lambda _: Answer(delay_s=0.02)) as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"), concurrency=4)
        parts = [start(*RUN, "--shard", f"{n}/3", cwd=home) for n in (1, 2, 3)]
        said = [p.communicate(timeout=60) for p in parts]
        assert [p.returncode for p in parts] == [0, 0, 0], said
        assert server.asked().total() == len(server.asked()) == 2 * ITEMS
        assert server.peak["sim"] <= 4
        run = home / "results" / "r"
        assert [out.splitlines()[-1] for out, _ in said] == [f"run: {Path('results') / 'r'}"] * 3
        assert not list(run.rglob("*.parquet"))
        assert not (run / "run.json").exists()
        done = lmmbench("merge", "r", cwd=home)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"run: {Path('results') / 'r'}")
        assert lmmbench("run", "--tasks", "p", "--run-id", "whole", cwd=home).returncode == 0
    left_out = {"run_id", "latency_s", "queue_s", "started_at"}
    rows = [
        [{k: v for k, v in row.items() if k not in left_out} for row in rows_of(home / "results" / name)]
        for name in ("r", "whole")
    ]
    assert rows[0] == rows[1]
    assert manifest_of(run)["stop_reason"] == ""


def test_a_shard_that_died_is_missing_until_it_is_finished(home: Path) -> None:
    """kill -9 of one shard: merge says which shard was cut off and which has not begun, coverage is what there is, exit
    code 3; resumed, the shard asks nothing that was answered; merged again, the run is whole."""
    with FakeServer(lambda x: Answer(end="never") if len(server.sent) >= 4 else None) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=3)
        dying = start(*RUN, "--shard", "1/3", cwd=home)
        server.wait_until(lambda: len(server.sent) >= 4 and len(server.history) > len(server.sent))
        dying.kill()
        dying.communicate(timeout=30)
        run = home / "results" / "r"
        answered = {r["item"] for r in journal_of(run) if r["t"] == "done"}
        done = lmmbench("merge", "r", cwd=home)
        assert done.returncode == 3
        assert "shard 1/3 was cut off: " in done.stderr
        assert "shard 2/3 has not begun: " in done.stderr
        assert "lmmbench run --resume r --shard I/3" in done.stderr
        rows = rows_of(run)
        assert {r["item_id"] for r in rows if r["status"] == "ok"} == answered
        assert {r["error_kind"] for r in rows if r["status"] == "skipped"} == {"interrupted"}
        assert manifest_of(run)["models"]["sim-a"]["coverage"] == pytest.approx(len(answered) / ITEMS)
        heard = len(server.history)
        server.script = ()
        assert lmmbench("run", "--resume", "r", "--shard", "1/3", cwd=home).returncode == 0
        for n in (2, 3):
            assert lmmbench(*RUN, "--shard", f"{n}/3", cwd=home).returncode == 0
        again = {x.question.split("번")[0] for x in server.history[heard:]}
        assert not again & answered, "an answer in a journal was asked for again"
        assert server.asked().total() - ITEMS <= 1, "one in flight at the kill, its share of the concurrency"
        assert lmmbench("merge", "r", cwd=home).returncode == 0
        assert {r["status"] for r in rows_of(run)} == {"ok"}


def test_a_shard_that_is_done_asks_nothing_more(home: Path) -> None:
    """The same command again (a launcher that repeats its jobs) goes on from the journal, and here has nothing to ask."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url)
        for _ in range(2):
            assert lmmbench(*RUN, "--shard", "2/2", cwd=home).returncode == 0
            assert server.asked().total() == len(server.asked())


def test_a_shard_at_work_is_busy(home: Path) -> None:
    """One writer a shard: the same shard again, and a merge or a score or a pack meanwhile, are exit code 5 and change
    nothing; another shard is not in the way."""
    with FakeServer(lambda _: Answer(held=True)) as server:
        providers_yaml(home / "providers.yaml", server.url)
        working = start(*RUN, "--shard", "1/2", cwd=home)
        server.wait_until(lambda: len(server.history) > 0)
        for command in (
            (*RUN, "--shard", "1/2"),
            ("merge", "r"),
            ("score", "r"),
            ("pack", "r"),
            ("run", "--replay", "r"),
        ):
            done = lmmbench(*command, cwd=home)
            assert done.returncode == 5, (command, done.stderr)
            assert "shard-1-of-2" in done.stderr
        assert not list((home / "results").rglob("*.parquet"))
        server.let_go()
        assert lmmbench(*RUN, "--shard", "2/2", cwd=home).returncode == 0
        working.communicate(timeout=30)
        assert working.returncode == 0
    assert lmmbench("merge", "r", cwd=home).returncode == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--run-id", "r", "--shard", "1/4"), "shards 3, here 4"),
        (("--run-id", "r", "--shard", "1/3", "--seed", "1"), "seed 0, here 1"),
        (("--run-id", "r", "--shard", "1/3", "--limit", "5"), "the pack p is not the same here"),
        (("--run-id", "r", "--shard", "1/3", "--models", "sim-a"), "models sim-a, sim-b, here sim-a"),
        (("--run-id", "r", "--shard", "1/3", "--max-cost", "9"), "max_cost_usd 5"),
        (("--run-id", "r"), "--resume r"),
        (("--run-id", "whole", "--shard", "1/3"), "shards None, here 3"),
        (("--shard", "1/3"), "--shard needs --run-id"),
        (("--run-id", "x", "--shard", "4/3"), "for example 2/3"),
        (("--run-id", "x", "--shard", "1/5"), "concurrency 4, too little to share among 5 shards"),
        (("--run-id", "x", "--shards", "5"), "--shards goes with --dask"),
        (("--run-id", "x", "--shard", "1/3", "--dask", "tcp://127.0.0.1:1"), "give one of them"),
    ],
)  # fmt: skip
def test_a_shard_of_another_run_is_refused(
    split_home: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    """A shard that would ask otherwise than its run's plan, or in another number of parts, is exit code 2 with the
    difference, before anything is sent."""
    assert cli.run_cli(["run", "--tasks", "p", *options]) == 2
    assert says in capsys.readouterr().err
    assert not (split_home / "results" / "x").exists()


@pytest.mark.usefixtures("split_home")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("r",), "split into 3 shards; finish each"),
        (("r", "--shard", "1/4"), "--shard I/3"),
        (("whole", "--shard", "1/3"), "is not split into shards; finish it with --resume whole alone"),
    ],
)
def test_a_run_is_finished_in_the_parts_it_was_begun_in(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    """Else two processes could ask the same."""
    assert cli.run_cli(["run", "--resume", *options]) == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def split_home(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`two_runs` as the working folder."""
    monkeypatch.chdir(two_runs)
    return two_runs


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run `r` of which shard 2 of 3 was asked, and a run `whole` that was not split."""
    home = tmp_path_factory.mktemp("split")
    write_pack(home / "tasks" / "p", ITEMS)
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, ("sim-a", "sim-b"))
        assert lmmbench(*RUN, "--shard", "2/3", cwd=home).returncode == 0
        assert lmmbench("run", "--tasks", "p", "--run-id", "whole", cwd=home).returncode == 0
        heard = len(server.history)
        yield home
        assert len(server.history) == heard, "what was refused was asked"


def test_shards_keep_the_run_s_cap_together(home: Path) -> None:
    """A run whose worst case is above the cap starts in no shard; one within it is asked whole, and no shard is stopped
    for lack of its part."""
    price = {"input": 1000.0, "output": 1000.0, "as_of": "2026-11-01", "source": "made up"}
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url, {"sim-a": {"price": price}}, key_env="SIM_API_KEY")
        keyed = {"SIM_API_KEY": "sk-made-up"}
        dry = lmmbench(*RUN, "--dry-run", "--models", "sim-a", cwd=home)
        worst = float(dry.stdout.split("$")[1].split(";")[0])
        refused = lmmbench(*RUN, "--shard", "1/3", "--max-cost", str(worst * 0.99), cwd=home, env=keyed)
        assert (refused.returncode, server.history) == (2, [])
        for n in (1, 2, 3):
            done = lmmbench(*RUN, "--shard", f"{n}/3", "--max-cost", str(worst * 1.01), cwd=home, env=keyed)
            assert done.returncode == 0, done.stderr
        assert server.asked().total() == ITEMS


def test_a_stopped_shard_says_what_is_left(home: Path) -> None:
    """A deadline in one shard is the reason of its asks only."""
    with FakeServer(lambda x: Answer(status=429, headers={"Retry-After": "30"}) if x.number >= 3 else None) as server:
        providers_yaml(home / "providers.yaml", server.url, concurrency=2)
        stopped = lmmbench(*RUN, "--shard", "1/2", "--deadline", "1s", cwd=home)
        assert stopped.returncode == 3
        assert "lmmbench run --resume r --shard 1/2" in stopped.stderr
    with FakeServer() as server:
        data = json.loads((home / "results/r/plan.json").read_bytes())
        data["models"]["sim-a"]["endpoint"]["base_url"] = f"{server.url}/sim/v1"
        (home / "results/r/plan.json").write_text(json.dumps(data), encoding="utf-8", newline="\n")
        assert lmmbench("run", "--resume", "r", "--shard", "2/2", cwd=home).returncode == 0
    done = lmmbench("merge", "r", cwd=home)
    assert done.returncode == 3
    assert "shard 1/2 ended (deadline): " in done.stderr
    assert "shard 2/2" not in done.stderr
    rows = [r for r in rows_of(home / "results/r") if r["answer"] is None]
    assert {r["error_kind"] for r in rows} == {"deadline", "rate"}
    assert manifest_of(home / "results/r")["stop_reason"] == "deadline"


def test_a_run_that_is_not_split_is_merged_too(home: Path) -> None:
    """The union of one journal is that journal: merge is then what score is, with the exit code of a run."""
    with FakeServer() as server:
        providers_yaml(home / "providers.yaml", server.url)
        assert lmmbench(*RUN, cwd=home).returncode == 0
    before = published(home / "results" / "r")
    assert lmmbench("merge", "r", cwd=home).returncode == 0
    assert published(home / "results" / "r") == before
