"""The gate: verdicts, baselines.json, exit codes, and what a CI system is given. All runs are made up (sim-a, …)."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench import ci, cli, gate
from lmmbench.analysis import compare
from lmmbench.faults import UsageError
from tests import simulate
from tests.fake_server import Answer, Exchange, FakeServer, openai
from tests.kit import lmmbench, providers_yaml, run_here, write_pack
from tests.simulate import Model
from tests.test_compare import Row, row, write_run

N = 120
DAY = date(2026, 11, 22)
NIGHTS = 400


def judged(tmp_path: Path, a: list[Row], b: list[Row], **more: Any) -> gate.Outcome:
    sides = compare.pairs(write_run(tmp_path / "base", a), write_run(tmp_path / "night", b))
    return gate.judge(sides, today=DAY, **more)


def night(right: int, n: int = N, **more: Any) -> list[Row]:
    """Rows of which the first `right` are right."""
    return [row(i, float(i < right), **more) for i in range(n)]


# --- verdicts ----------------------------------------------------------------------------------------


def test_a_certain_and_large_drop_is_a_regression(tmp_path: Path) -> None:
    """Significant after Holm and at least the minimum effect: exit 1, and the line says FAIL."""
    outcome = judged(tmp_path, night(100), night(80))
    assert [r["verdict"] for r in outcome.rows if r["tested"]] == ["regression"]
    assert outcome.exit_code == 1
    assert outcome.result == "RESULT: FAIL (1 regression)  exit 1"


def test_a_drop_below_the_minimum_effect_is_none_however_certain(tmp_path: Path) -> None:
    """The same drop passes when the gate asks for more."""
    assert judged(tmp_path, night(100), night(80), min_effect=0.25).exit_code == 0


def test_a_drop_that_chance_explains_is_none(tmp_path: Path) -> None:
    """Three items worse of 120 is no news, though it is 2.5 points."""
    outcome = judged(tmp_path, night(100), night(97))
    assert (outcome.rows[0]["diff"], outcome.exit_code) == (pytest.approx(-0.025), 0)


def test_a_gain_is_better_and_passes(tmp_path: Path) -> None:
    """The gate has one side: it never fails on a gain."""
    outcome = judged(tmp_path, night(80), night(100))
    assert (outcome.rows[0]["verdict"], outcome.exit_code) == ("better", 0)


def test_another_coverage_is_inconclusive_and_no_pass(tmp_path: Path) -> None:
    """More than a point of difference in coverage: exit 3; a regression on what pairs stays one."""
    missing = [r | ({"score": None, "status": "error"} if i % 10 == 0 else {}) for i, r in enumerate(night(100))]
    outcome = judged(tmp_path / "1", night(100), missing)
    assert (outcome.rows[0]["verdict"], outcome.exit_code) == ("inconclusive", 3)
    assert outcome.notes == ["sim-a mini: coverage 100.0 % and 90.0 %"]
    worse = [r | ({"score": None, "status": "error"} if i % 10 == 0 else {}) for i, r in enumerate(night(60))]
    assert judged(tmp_path / "2", night(100), worse).exit_code == 1


def test_a_night_without_answers_is_4(tmp_path: Path) -> None:
    """An outage is infrastructure, not a regression."""
    outcome = judged(tmp_path, night(100), [r | {"score": None, "status": "error"} for r in night(0)])
    assert (outcome.exit_code, outcome.of("regression")) == (4, [])


def test_what_was_acknowledged_passes_until_its_last_day(tmp_path: Path) -> None:
    """With a reason, up to and including `until`; afterwards it fails again, and says so."""
    ack = gate.Acknowledged("sim-a", "mini", "the vendor has confirmed it", "2026-11-22")
    outcome = judged(tmp_path / "1", night(100), night(80), acknowledged=(ack,))
    assert (outcome.rows[0]["verdict"], outcome.exit_code) == ("acknowledged", 0)
    assert "the vendor has confirmed it" in outcome.notes[0]
    old = gate.Acknowledged("sim-a", "mini", "the vendor has confirmed it", "2026-11-21")
    outcome = judged(tmp_path / "2", night(100), night(80), acknowledged=(old,))
    assert outcome.exit_code == 1
    assert "ended on 2026-11-21" in outcome.notes[0]
    other = gate.Acknowledged("sim-b", "mini", "another model", "2026-12-31")
    assert judged(tmp_path / "3", night(100), night(80), acknowledged=(other,)).exit_code == 1


# --- baselines.json ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"version": 2}', "version 2"),
        ('{"baseline": {}}', "unknown key 'baseline'.*did you mean 'baselines'"),
        ('{"baselines": {"nightly": {"run": "x"}}}', "'baselines.nightly.sha' is missing"),
        ('{"acknowledged": [{"model": "m", "cell": "c", "reason": " ", "until": "2026-12-01"}]}', "no reason"),
        ('{"acknowledged": [{"model": "m", "cell": "c", "reason": "r", "until": "soon"}]}', "no day"),
        ("{", "not valid"),
    ],
)
def test_a_wrong_baselines_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake is named with the file, and nothing is judged."""
    path = tmp_path / "baselines.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as e:
        gate.load_baselines(path)
    assert str(path) in str(e.value)


# --- as a user runs it: real runs over real sockets ---------------------------------------------------


def answer(right: int) -> Any:
    """Answers the first `right` questions of a pack right, the others wrong, whatever the order of the options."""

    def text(x: Exchange) -> str:
        number = int(re.search(r"q(\d+)번", x.question)[1])  # type: ignore[index]
        letters = {option: letter for letter, option in re.findall(r"([A-D])\. (\S+)", x.question)}
        return f"정답: {letters['하나' if number < right else '둘']}"

    return text


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    """A folder with the runs `monday` (60 of 80 right) and `tuesday` (40 of 80 right) of one pack."""
    write_pack(tmp_path / "tasks" / "p", 80)
    for run_id, right in (("monday", 60), ("tuesday", 40)):
        with FakeServer(text=answer(right)) as server:
            providers_yaml(tmp_path / "providers.yaml", server.url)
            run_here(tmp_path, run_id=run_id)
    return tmp_path


def test_compare_prints_the_difference_and_exits_0(nights: Path) -> None:
    """`compare A B` has numbers and no verdict; JSON carries every column; Python gives the same rows."""
    done = lmmbench("compare", "monday", "tuesday", cwd=nights)
    assert (done.returncode, done.stderr) == (0, "")
    assert "75.0" in done.stdout
    assert "50.0" in done.stdout
    assert "0/20" in done.stdout
    data = json.loads(lmmbench("compare", "monday", "tuesday", "--format", "json", cwd=nights).stdout)
    assert [r["cell"] for r in data] == ["p", "p/s1"]
    assert tuple(data[0]) == compare.COLUMNS
    import lmmbench as package

    frame = package.compare(nights / "results" / "monday", nights / "results" / "tuesday")
    assert frame["diff"].tolist() == [r["diff"] for r in data]
    assert lmmbench("compare", "monday:sim-b", "tuesday", cwd=nights).returncode == 2


def test_the_first_night_is_6_and_says_what_to_commit(nights: Path) -> None:
    """Without a baseline there is nothing to fail on; the entry that is printed works once it is committed."""
    first = lmmbench("gate", "monday", "--baseline", "nightly", cwd=nights)
    assert first.returncode == 6
    assert "first night" in first.stderr
    entry = json.loads(first.stderr[first.stderr.index("{") :])
    (nights / "baselines.json").write_text(json.dumps({"version": 1, "baselines": entry}), encoding="utf-8")
    same = lmmbench("gate", "monday", "--baseline", "nightly", cwd=nights)
    assert same.returncode == 0
    assert same.stdout.splitlines()[-1] == "RESULT: PASS (1 ok)  exit 0"
    failed = lmmbench("gate", "tuesday", "--baseline", "nightly", cwd=nights)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[-1] == "RESULT: FAIL (1 regression)  exit 1"
    said = json.loads((nights / "results" / "tuesday" / "gate.json").read_bytes())
    assert (said["exit_code"], said["rows"][0]["verdict"]) == (1, "regression")


def test_a_baseline_that_is_not_what_was_recorded_is_6(nights: Path) -> None:
    """A run.json with another hash, a run that is gone, another seed: the gate refuses, and says which."""
    path = nights / "baselines.json"
    path.write_text(json.dumps({"baselines": {"n": {"run": "monday", "sha": "0" * 64}}}), encoding="utf-8")
    changed = lmmbench("gate", "tuesday", "--baseline", "n", cwd=nights)
    assert (changed.returncode, "another hash" in changed.stderr) == (6, True)
    path.write_text(json.dumps({"baselines": {"n": {"run": "sunday", "sha": "0" * 64}}}), encoding="utf-8")
    gone = lmmbench("gate", "tuesday", "--baseline", "n", cwd=nights)
    assert (gone.returncode, "sunday" in gone.stderr) == (6, True)
    with FakeServer(text=answer(60)) as server:
        providers_yaml(nights / "providers.yaml", server.url)
        other = lmmbench("run", "--tasks", "p", "--seed", "7", "--run-id", "seven", cwd=nights)
    assert other.returncode == 0
    mixed = lmmbench("gate", "seven", "--baseline", "monday", cwd=nights)
    assert (mixed.returncode, "--seed" in mixed.stderr) == (6, True)


def test_what_the_night_did_not_ask_is_inconclusive(tmp_path: Path) -> None:
    """A model or a pack of the baseline that is missing tonight is never passed over: exit 3, and its name is said."""
    for pack in ("p", "q"):
        write_pack(tmp_path / "tasks" / pack, 6)
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, ["sim-a", "sim-b"])
        run_here(tmp_path, tasks="p,q", run_id="base")
        run_here(tmp_path, tasks="p", models="sim-a", run_id="night")
    done = lmmbench("gate", "night", "--baseline", "base", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[-1] == "RESULT: INCONCLUSIVE (3 inconclusive, 1 ok)  exit 3"
    for missing in ("sim-a q: nothing pairs", "sim-b p: nothing pairs", "sim-b q: nothing pairs"):
        assert missing in done.stdout
    assert lmmbench("gate", "night", "--baseline", "base:sim-a", cwd=tmp_path).returncode == 0


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `base` (two models, two packs) and `night` (one of each, served by another model; its vendor
    has an accent and a Korean name)."""
    cwd = tmp_path_factory.mktemp("moved")
    for pack in ("p", "q"):
        write_pack(cwd / "tasks" / pack, 6)
    rows: dict[str, dict[str, Any]] = {"sim-a": {"vendor": "Café 모의 😀"}, "sim-b": {}}
    with FakeServer() as server:
        providers_yaml(cwd / "providers.yaml", server.url, rows)
        run_here(cwd, tasks="p,q", run_id="base")
        server.script = lambda x: Answer(body=openai(answer(6)(x), model="sim-a-2"))
        run_here(cwd, tasks="p", models="sim-a", run_id="night")
    return cwd


GATE = ("gate", "night", "--baseline", "base", "--ci")
SAID = ("drift: sim-a: the served model changed from sim-a to sim-a-2", "sim-b q: nothing pairs", "::warning", "RESULT: INCONCLUSIVE")  # fmt: skip


def test_a_gate_s_json_has_stdout_to_itself(moved: Path) -> None:
    """Scripts read it: the drift, the notes, the annotations and the verdict go to stderr; in a table they stay beside it."""
    done = lmmbench(*GATE, "--format", "json", cwd=moved)
    assert [(r["model_a"], r["cell"]) for r in json.loads(done.stdout) if r["tested"]] == [("sim-a", "p"), ("sim-a", "q"), ("sim-b", "p"), ("sim-b", "q")]  # fmt: skip
    assert [text for text in SAID if text not in done.stderr] == []
    table = lmmbench(*GATE, cwd=moved)
    assert [text for text in SAID if text not in table.stdout] == []
    assert (table.stderr, table.returncode, done.returncode) == ("", 3, 3)


def test_a_gate_s_markdown_is_one_document(moved: Path) -> None:
    """A heading, the drift, the table, the notes and the verdict, each a paragraph; commands of the workflow are none."""
    done = lmmbench(*GATE, "--format", "md", cwd=moved)
    lines = done.stdout.splitlines()
    assert lines[0] == "## lmmbench gate: night against base"
    assert any(line.startswith("SIMULATED  Scores 0-100") for line in lines)
    assert lines[-1].startswith("RESULT: INCONCLUSIVE")
    table = [n for n, line in enumerate(lines) if line.startswith("|")]
    assert table == list(range(table[0], table[0] + 6)) and lines[table[0] - 1] == lines[table[-1] + 1] == ""
    assert "**drift**: sim-a" in done.stdout and "sim-b q: nothing pairs" in done.stdout
    assert "::" not in done.stdout and "::warning" in done.stderr


MACHINE = [
    *((*GATE[:4], "--format", "json"), ("compare", "base", "night", "--format", "json")),
    *(("matrix", "base", "night", "--view", view, "--format", "json") for view in ("models", "article")),
    ("matrix", "base", "--view", "claims", "--format", "json"),
    *(("list", what, "--json") for what in ("models", "tasks", "runs")),
    ("doctor", "--models", "sim-a", "--json"),
]


ENCODINGS = [*((c, "utf-8") for c in MACHINE), *((c, e) for c in MACHINE[2:4] for e in ("ascii", "latin-1"))]


@pytest.mark.parametrize(("command", "encoding"), ENCODINGS)
def test_whoever_asks_for_json_gets_nothing_else(moved: Path, command: tuple[str, ...], encoding: str) -> None:
    """The whole of stdout is one JSON list, also where stdout cannot carry all of it: then in JSON's own escapes."""
    done = lmmbench(*command, cwd=moved, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    found = json.loads(done.stdout)
    assert isinstance(found, list) and found
    if command[0] == "matrix" and "claims" not in command:
        assert "Café 모의 😀" in {r["vendor"] for r in found}


def test_a_csv_is_a_table_and_nothing_else(moved: Path) -> None:
    """One header, rows as long as it, and the reason why two runs are no field on stderr."""
    for view in ("models", "article"):
        done = lmmbench("matrix", "base", "night", "--view", view, "--format", "csv", cwd=moved)
        rows = list(csv.reader(io.StringIO(done.stdout.removeprefix("\ufeff"), newline="")))
        assert len({len(row) for row in rows}) == 1
        assert "not one field" in done.stderr


@pytest.mark.parametrize(("side", "code"), [("monday", 6), ("tuesday", 2)])
def test_a_file_that_its_manifest_does_not_vouch_for_is_refused(nights: Path, side: str, code: int) -> None:
    """run.json holds the hash of every file: one that was changed behind its back decides nothing."""
    path = nights / "results" / side / "models" / "sim-a.parquet"
    path.write_bytes(path.read_bytes() + b"more")
    done = lmmbench("gate", "tuesday", "--baseline", "monday", cwd=nights)
    assert (done.returncode, "models/sim-a.parquet is not the file" in done.stderr) == (code, True)


def test_ci_gets_junit_summary_and_annotations(nights: Path) -> None:
    """`gate --ci`: a failure in JUnit, a table in the step summary, one error annotation; the exit code is the gate's."""
    summary = nights / "summary.md"
    done = lmmbench(
        "gate", "tuesday", "--baseline", "monday", "--ci", cwd=nights, env={"GITHUB_STEP_SUMMARY": str(summary)}
    )
    assert done.returncode == 1
    root = ET.fromstring((nights / "results" / "tuesday" / "gate-junit.xml").read_bytes())  # noqa: S314 (we wrote it)
    (failure,) = root.iter("failure")
    assert "regression" in failure.attrib["message"]
    assert "| sim-a | p |" in summary.read_text(encoding="utf-8")
    assert [x for x in done.stdout.splitlines() if x.startswith("::error")] == [
        "::error title=lmmbench::sim-a p: regression −25.0 [−35.0, −16.2] points on 80 items, p <.001"
    ]


def test_run_ci_annotates_what_is_new_in_the_replies(tmp_path: Path) -> None:
    """A finish word that no table has, another model than the one that was asked for, a change in mid-run: a warning each,
    in which a vendor's word can neither end the command nor begin one; the exit code stays 0."""
    write_pack(tmp_path / "tasks" / "p", 4)
    word = "paused\n::error::x"
    answers = [openai("정답: A", finish=word), openai("정답: A", model="sim-\x1bz")]
    with FakeServer([Answer(body=body) for body in answers]) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=1)
        done = lmmbench("run", "--tasks", "p", "--ci", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("::")]
    finish, served, changed = sorted(notes, key=lambda n: ("replies ended" not in n, "asked for" not in n))
    assert finish.startswith("::warning title=lmmbench::sim-a: replies ended with words that no table has ('paused")
    assert served.startswith(
        "::warning title=lmmbench::sim-a: asked for sim-a, 1 answers came from sim-\\u001bz, which"
    )
    assert changed.startswith("::warning title=lmmbench::sim-a: the served model changed in mid-run")


def test_run_ci_says_what_is_missing_and_keeps_its_last_line(tmp_path: Path) -> None:
    """`run --ci`: JUnit has a case for each model and pack, an outage is an error there and a warning beside it, the
    matrix is the step summary; stdout still ends with the run's folder."""
    write_pack(tmp_path / "tasks" / "p", 4)
    with FakeServer(script=lambda x: Answer(status=401) if x.model == "sim-b" else None) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, ["sim-a", "sim-b"])
        summary = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
        done = lmmbench("run", "--tasks", "p", "--ci", "--run-id", "r", cwd=tmp_path, env=summary)
    assert done.returncode == 3
    assert done.stdout.splitlines()[-1].startswith("run: ")
    assert "::warning title=lmmbench::sim-b p: coverage 0.0 %25 is below 98 %25" in done.stderr
    root = ET.fromstring((tmp_path / "results" / "r" / "junit.xml").read_bytes())  # noqa: S314 (we wrote it)
    assert {c.attrib["classname"]: [x.tag for x in c] for c in root.iter("testcase")} == {
        "sim-a": [],
        "sim-b": ["error"],
    }
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "| sim-a |" in text
    assert "SIMULATED" in text


# --- what CI reads -----------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=30), max_size=30))
def test_a_message_is_one_command_of_a_line(messages: list[str]) -> None:
    """Whatever a server or a model said: at most ten lines, none of which begins another command."""
    lines = ci.commands(messages)
    assert len(lines) <= ci.ANNOTATIONS
    assert all(line.startswith("::error title=lmmbench::") and not set("\r\n") & set(line) for line in lines)


@given(st.text(max_size=60), st.text(max_size=60))
def test_junit_is_well_formed_whatever_it_says(name: str, message: str) -> None:
    """Control characters and lone surrogates cannot break the file."""
    root = ET.fromstring(ci.junit([ci.Case("sim-a", name, "failure", message)]))  # noqa: S314 (we wrote it)
    assert root[0].attrib["failures"] == "1"


@given(st.text(max_size=200), st.integers(0, 300))
def test_a_summary_never_passes_its_room(text: str, room: int) -> None:
    """Over GitHub's limit the whole summary is dropped, so what does not fit is cut, at a line, and said."""
    data = ci.fitted(text, room)
    assert len(data) <= room or len(text.encode("utf-8", "replace")) + 1 <= room
    data.decode("utf-8")


# --- proof by simulation ------------------------------------------------------------------------------


def a_night(rng: Any, models: int, packs: int, items: int, drop: float = 0.0) -> list[Row]:
    """The gate's rows of a night that is like the one before: right 70 % of the time, and each answer comes out the other
    way on 9.7 % of the items when it is asked again. `drop`: so much worse is the first model in the first pack."""
    import numpy as np

    from lmmbench import stats

    rows = []
    for n in range(models * packs):
        base = rng.random(items) < 0.7
        flips = rng.random(items) < np.where(base, 0.097 / 2 / 0.7, 0.097 / 2 / 0.3)
        night = base ^ flips
        if n == 0:
            night &= ~(rng.random(items) < drop / 0.7)
        better, worse = int((night & ~base).sum()), int((base & ~night).sum())
        row = dict.fromkeys(compare.COLUMNS) | {
            "model_a": f"sim-{n}",
            "model_b": f"sim-{n}",
            "cell": "p",
            "tested": True,
        }
        row |= {"n_paired": items, "coverage_a": 1.0, "coverage_b": 1.0, "diff": (better - worse) / items}
        rows.append(row | {"p": stats.mcnemar(better, worse, mid=True)})
    for row, p in zip(rows, stats.holm(np.array([r["p"] for r in rows])), strict=True):
        row["p_adj"] = float(p)
        row["verdict"] = gate._verdict(row, gate.MIN_EFFECT, (), DAY)[0]
    return rows


@pytest.mark.prove
@pytest.mark.parametrize(("models", "packs", "items"), [(1, 1, 300), (7, 4, 120)])
def test_unchanged_nights_rarely_alarm(models: int, packs: int, items: int) -> None:
    """2,000 nights on which nothing changed: the upper end of the alarm rate's 95 % interval is at most 6 %. A true drop
    of 10 points in one cell of 300 items is nearly always found."""
    import numpy as np

    from lmmbench import stats

    rng = np.random.Generator(np.random.PCG64(20261122))
    alarms = sum(gate._exit_code(a_night(rng, models, packs, items)) == 1 for _ in range(2000))
    low, high = stats.wilson(alarms, 2000)
    print(f"\ngate, {models} models x {packs} packs of {items}, nothing changed: {alarms} of 2000 nights alarm, {100 * alarms / 2000:.2f} % [{100 * low:.2f}, {100 * high:.2f}]")  # fmt: skip
    assert high <= 0.06
    if items == 300:
        found = sum(gate._exit_code(a_night(rng, 1, 1, 300, drop=0.10)) == 1 for _ in range(500))
        print(f"gate, one cell of 300, 10 points worse: found on {found} of 500 nights")
        assert found > 475


def gated_nights(cwd: Path, nights: int, **model: Any) -> Iterator[int]:
    """Exit codes of `lmmbench gate` for one night after the other, each a published run of three models over two packs of 60,
    against the one before, which baselines.json names with its hash. `model`: keys of the last night's first model."""
    strata = {"p": {"s1": 30, "s2": 30}, "q": {"s1": 60}}
    for night in range(nights + 1):
        changed = {"sim-a": Model(**model)} if night == nights else {}
        models = {m: Model() for m in ("sim-a", "sim-b", "sim-c")} | changed
        folder = simulate.run(cwd, models, strata, run_id=f"night-{night}", night=night)
        if night:
            where = ["--baselines", str(cwd / "baselines.json"), "--results", str(folder.parent)]
            yield cli.run_cli(["gate", folder.name, "--baseline", "nightly", "--format", "json", *where])
        entry = json.loads(gate.entry_text("nightly", folder))
        (cwd / "baselines.json").write_text(json.dumps({"version": 1, "baselines": entry}), encoding="utf-8")


def test_the_gate_finds_a_bad_night_among_run_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two nights like the one before pass, a model that has lost its wits in one pack fails, by the real command on real files."""
    assert list(gated_nights(tmp_path, 3, gap={"p": -3.0})) == [0, 0, 1]
    verdicts = [{(r["model_b"], r["cell"]): r["verdict"] for r in json.loads((tmp_path / "results" / f"night-{n}" / "gate.json").read_bytes())["rows"] if r["tested"]} for n in (2, 3)]  # fmt: skip
    assert [key for key, verdict in verdicts[1].items() if verdict == "regression"] == [("sim-a", "p")]
    assert "regression" not in verdicts[0].values()
    capsys.readouterr()


@pytest.mark.prove
def test_unchanged_nights_of_real_run_folders_rarely_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same through files: journal, parquet, run.json, baselines.json and the command itself, 400 nights on which nothing
    changed. The upper end of the alarm rate's 95 % interval is at most 6 %, and no night ends otherwise than in pass or alarm."""
    from lmmbench import stats

    codes = Counter(gated_nights(tmp_path, NIGHTS))
    capsys.readouterr()
    low, high = stats.wilson(codes[1], NIGHTS)
    with capsys.disabled():
        print(f"\ngate, {NIGHTS} unchanged nights through run folders, 3 models x 2 packs of 60: {codes[1]} alarm, {100 * codes[1] / NIGHTS:.2f} % [{100 * low:.2f}, {100 * high:.2f}]")  # fmt: skip
    assert set(codes) <= {0, 1}
    assert high <= 0.06
