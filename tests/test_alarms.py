"""Who answered: a served model that changes in mid-run is an alarm, another name than the one asked for is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench import alarms
from tests import kit
from tests.fake_server import Answer, FakeServer, openai


def desk(folder: Path, url: str, **row: Any) -> Path:
    kit.write_pack(folder / "tasks/p", 6)
    kit.providers_yaml(folder / "providers.yaml", url, {"sim-a": row}, concurrency=1)
    return folder


def run(folder: Path, *options: str) -> str:
    """stderr of a run named r."""
    done = kit.lmmbench("run", *(options or ("--tasks", "p", "--run-id", "r")), cwd=folder)
    assert done.returncode in (0, 3), done.stderr
    return done.stderr


def served(model: str, fingerprint: str = "fp_1") -> Answer:
    return Answer(body=openai("정답: A", model=model) | {"system_fingerprint": fingerprint})


ALIASES = [
    ("gpt-x", "gpt-x-2026-05-01"), ("solar-pro4", "solar-pro4-260806"), ("claude-x", "claude-x-20251001"),
    ("gemini-x", "models/gemini-x-001"), ("openai/gpt-x", "gpt-x"), ("gpt-x-latest", "gpt-x-0801"), ("GPT-X", "gpt-x"),
    ("llama3.2", "llama3.2:latest"), ("gemini-x", "gemini-x-preview-05-20"),
]  # fmt: skip
OTHERS = [
    ("gpt-x", "gpt-x-mini"), ("gpt-4", "gpt-4.1"), ("gpt-4", "gpt-4o-2024-05-13"), ("grok-3", "grok-4.3"),
    ("deepseek-flash", "DeepSeek-V4.1-Flash-1017"), ("gpt-x", "gpt-"), ("llama3.2:3b", "llama3.2:70b"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "found"), ALIASES)
def test_a_date_or_a_version_behind_a_name_is_the_same_model(asked: str, found: str) -> None:
    """What vendors put behind an alias."""
    assert alarms.is_alias(asked, found)


@pytest.mark.parametrize(("asked", "found"), OTHERS)
def test_a_longer_name_is_another_model(asked: str, found: str) -> None:
    """A size, a generation, a house name."""
    assert not alarms.is_alias(asked, found)


def test_a_dated_name_is_shown_and_is_no_alarm(tmp_path: Path) -> None:
    """At the end of the run, with the number of answers; run.json counts them."""
    with FakeServer(lambda _: served("gpt-x-2026-05-01")) as server:
        said = run(desk(tmp_path, server.url, name="gpt-x"))
    assert "sim-a: asked for gpt-x, 6 answers came from gpt-x-2026-05-01\n" in said
    assert "alarm" not in said
    manifest = kit.manifest_of(tmp_path / "results/r")
    assert manifest["alarms"] == []
    assert manifest["models"]["sim-a"]["served_models"] == {"gpt-x-2026-05-01": 6}


def test_another_model_is_shown_as_another(tmp_path: Path) -> None:
    """From the first answer to the last a redirect to another model changes nothing, and is said all the same."""
    with FakeServer(lambda _: served("grok-4.3")) as server:
        said = run(desk(tmp_path, server.url, name="grok-3"))
    assert "asked for grok-3, 6 answers came from grok-4.3, which is not the model that was asked for" in said


def test_the_same_name_is_not_mentioned(tmp_path: Path) -> None:
    """Nor is a server that names no model at all."""
    with FakeServer([*[None] * 3, *[Answer(body=openai("정답: A") | {"model": None})] * 3]) as server:
        said = run(desk(tmp_path, server.url))
    assert "asked for" not in said and "alarm" not in said


@pytest.mark.parametrize(
    ("kind", "answers", "words"),
    [
        ("served_model", [served("sim-a")] * 4 + [served("sim-b")] * 2, {"sim-a": 4, "sim-b": 2}),
        ("system_fingerprint", [served("sim-a", "fp_2")] * 5 + [served("sim-a", "fp_9")], {"fp_2": 5, "fp_9": 1}),
    ],
)
def test_a_change_in_mid_run_is_an_alarm(
    kind: str, answers: list[Answer], words: dict[str, int], tmp_path: Path
) -> None:
    """While it runs, at its end and in run.json, with the number of answers of each; the scores stay."""
    with FakeServer(answers) as server:
        said = run(desk(tmp_path, server.url))
    (alarm,) = kit.manifest_of(tmp_path / "results/r")["alarms"]
    assert (alarm["model"], alarm["kind"], alarm["answers"]) == ("sim-a", kind, words)
    first, second = words
    name = kind.replace("_", " ")
    assert f"alarm: sim-a: the {name} changed in mid-run ({first} × {words[first]}, {second} × 1)" in said, "live"
    assert f"changed in mid-run ({first} × {words[first]}, {second} × {words[second]})" in said, "at the end"
    assert {row["status"] for row in kit.rows_of(tmp_path / "results/r")} == {"ok"}


def test_a_change_between_sessions_is_one_in_mid_run(tmp_path: Path) -> None:
    """A run that is resumed knows who answered before."""
    with FakeServer(lambda x: served("sim-a") if x.number < 3 else Answer(status=400)) as server:
        run(desk(tmp_path, server.url))
        server.script = lambda _: served("sim-b")
        said = run(tmp_path, "--resume", "r")
    assert said.count("the served model changed in mid-run (sim-a × 3, sim-b × 1)") == 1
    assert kit.manifest_of(tmp_path / "results/r")["alarms"][0]["answers"] == {"sim-a": 3, "sim-b": 3}


def test_each_new_word_sounds_once(tmp_path: Path) -> None:
    """An alarm is no drum: back and forth between two fingerprints is told once."""
    with FakeServer(lambda x: served("sim-a", f"fp_{x.number % 2}")) as server:
        said = run(desk(tmp_path, server.url))
    assert said.count("alarm:") == 2, "once live, once at the end"


# --- cut prompts -------------------------------------------------------------------------------------


def test_a_count_far_below_any_tokenizers_is_an_alarm(tmp_path: Path) -> None:
    """A server whose context is too short counts what it kept: 60 tokens of 3,000 syllables."""
    fields = {"question": "가나다라마바" * 500, "source": "x"}
    long = [kit.item(name, fields=fields) for name in ("long1", "long2")]
    kit.write_pack(tmp_path / "tasks/p", [kit.item("short"), *long])
    with FakeServer(lambda _: Answer(usage=(60, 5))) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=1)
        said = run(tmp_path)
    (alarm,) = kit.manifest_of(tmp_path / "results/r")["alarms"]
    assert (alarm["model"], alarm["kind"], alarm["answers"]) == ("sim-a", "prompt_cut", 2)
    assert "p/long1" in alarm["text"]
    assert said.count("was counted as 60: the server may have cut it") == 1


@pytest.mark.parametrize("counted", [None, 0, 1200, 2400])
def test_an_honest_count_is_no_alarm(counted: int | None) -> None:
    """Nor is one that was not told, or told as 0."""
    assert alarms.prompt_cut("가나다라마바" * 500, counted) == ""


@given(st.text(max_size=80), st.integers(1, 40))
def test_a_short_prompt_is_never_called_cut(text: str, counted: int) -> None:
    """No context is so short."""
    assert alarms.prompt_cut(text, counted) == ""


def test_the_bound_counts_syllables_and_other_signs() -> None:
    """Three syllables a token, six other characters; white space is free."""
    assert alarms.least_tokens("가나다\n " * 10) == 10
    assert alarms.least_tokens("abc def " * 10) == 10
    assert alarms.least_tokens("가나다 abcdef") == 2


def test_words_that_agree_are_no_change() -> None:
    """One word, or none."""
    assert alarms.changed("served_model", Counter()) == alarms.changed("served_model", Counter(a=3)) == ""
