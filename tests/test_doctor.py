"""`lmmbench doctor`: one tiny request a model, what came of it, and for each failure a sentence with the next action."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from lmmbench import bench, cli, config, doctor, places
from lmmbench.faults import FAULTS, Fault
from lmmbench.providers import openai_chat
from lmmbench.types import Endpoint, Model
from tests import kit
from tests.fake_server import Answer, Exchange, FakeServer, openai

DAY = bench.today()
REFUSES = {"temperature": "refused", "source": "made up", "as_of": "2026-11-01"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the key of `keyed`; the other endpoint of `providers` needs none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIM_API_KEY", "sk-sim-0123456789abcdef")
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(text="5") as running:
        yield running


def providers(folder: Path, url: str, *, keyed: dict[str, Any] | None = None, **rows: Any) -> Path:
    """providers.yaml: `sim-keyed` on an endpoint with a key (whose keys `keyed` changes), `sim-free` on one without."""
    models = {"sim-keyed": {"endpoint": "keyed"}, "sim-free": {"endpoint": "free"}, **rows}
    endpoints = {"keyed": {"key_env": "SIM_API_KEY", **(keyed or {})}}
    return kit.providers_yaml(folder / "providers.yaml", url, models, endpoints)


def findings(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    """(exit code, findings by model) of `lmmbench doctor --json`."""
    capsys.readouterr()
    code = cli.run_cli(["doctor", "--json", *options])
    out = capsys.readouterr().out
    return code, {f["model"]: f for f in json.loads(out or "[]")}


def asks(server: FakeServer) -> list[Exchange]:
    """What was asked; a keyless server on this machine is also asked for its template."""
    return [x for x in server.history if not x.path.endswith("/props")]


def test_one_tiny_request_a_model_and_what_came_of_it(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Served model, time, tokens, what was dropped and since when it is verified; a short cap, and no second request."""
    path = providers(
        here, server.url, **{"sim-strict": {"endpoint": "free", "capabilities": "strict", "verified": "2026-11-01"}}
    )
    path.write_text(
        path.read_text(encoding="utf-8") + f"capabilities: {{strict: {json.dumps(REFUSES)}}}\n", encoding="utf-8"
    )
    server.script = lambda x: Answer(body=openai("5", model="sim-free-2026")) if x.model == "sim-free" else None
    code, found = findings(capsys)
    assert code == 0 and {f["state"] for f in found.values()} == {"answered"}
    assert sorted(x.model for x in asks(server)) == ["sim-free", "sim-keyed", "sim-strict"]
    assert {x.body["max_tokens"] for x in asks(server)} == {doctor.CAP}
    free, strict = found["sim-free"], found["sim-strict"]
    assert free["served_model"] == "sim-free-2026" and "served by 'sim-free-2026'" in free["warnings"][0]
    assert not found["sim-keyed"]["warnings"]
    assert free["latency_s"] > 0 and (free["input_tokens"], free["output_tokens"]) == (10, 5)
    assert strict["dropped"] == {"temperature": 0.0} and strict["verified"] == "2026-11-01"


def test_the_table_says_it_and_how_to_keep_it(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """People get a table, the skipped models with their reason, and the line to write; costs are said before asking."""
    providers(here, server.url, **{"sim-other": {"endpoint": "other"}})
    path = here / "providers.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("  other:\n", "  other:\n    key_env: OTHER_API_KEY\n"),
        encoding="utf-8",
    )
    assert cli.run_cli(["doctor"]) == 0
    said = capsys.readouterr()
    assert "skipped sim-other at endpoint 'other': OTHER_API_KEY is not set" in said.out
    assert "sim-keyed" in said.out and "never" in said.out and "10, 5" in said.out
    assert "at most $0.0000 and the unknown cost of 1" in said.err.splitlines()[0]
    assert f"write verified: {DAY} on the rows of sim-keyed, sim-free" in said.err.splitlines()[-1]
    assert len(asks(server)) == 2


TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
PROPS: dict[str, tuple[Any, str | None, bool]] = {
    "llama.cpp": ({"chat_template": TEMPLATE, "chat_template_caps": {"supports_system_role": True}}, TEMPLATE, False),
    "llama.cpp, no system role": (
        {"chat_template": TEMPLATE, "chat_template_caps": {"supports_system_role": False}}, TEMPLATE, True,
    ),
    "an older llama.cpp": ({"chat_template": TEMPLATE}, TEMPLATE, False),
    "no template": ({"chat_template": None, "chat_template_caps": 1}, None, False),
    "no object": ([TEMPLATE], None, False),
    "no JSON": ("<html>", None, False),
    "no such page": (Answer(status=404), None, False),
    "no answer": (Answer(end="reset"), None, False),
}  # fmt: skip
"""(what /props says, the template, whether it has no place for a system text)."""


@pytest.mark.parametrize("said", PROPS)
def test_a_server_of_ones_own_says_its_template(
    said: str, here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its hash, and where the system text goes into the question; a server that does not say has answered all the same.
    One with a key is not asked."""
    answer, template, merged = PROPS[said]
    props = answer if isinstance(answer, Answer) else Answer(body=answer)
    server.script = lambda x: props if x.path.endswith("/props") else None
    providers(here, server.url)
    code, found = findings(capsys)
    assert code == 0 and {f["state"] for f in found.values()} == {"answered"}
    sha = template and hashlib.sha256(template.encode()).hexdigest()
    assert found["sim-free"]["chat_template_sha"] == sha and found["sim-keyed"]["chat_template_sha"] is None
    assert found["sim-free"]["warnings"] == ([doctor.NO_SYSTEM] if merged else [])
    (page,) = [x for x in server.history if x.path.endswith("/props")]
    assert (page.path, page.raw, "authorization" in page.headers) == ("/free/props", b"", False)
    assert cli.run_cli(["doctor"]) == 0
    assert (f"sim-free: chat template sha256 {sha}" in capsys.readouterr().out) is bool(sha)


def test_a_model_that_reasons_gets_its_allowance_beside_the_tiny_cap(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else its reasoning would eat the answer; one that is cut all the same has answered."""
    path = providers(here, server.url, **{"sim-free": {"endpoint": "free", "capabilities": "thinks"}})
    thinks = {"reasons": "always", "source": "made up", "as_of": "2026-11-01"}
    path.write_text(
        path.read_text(encoding="utf-8") + f"capabilities: {{thinks: {json.dumps(thinks)}}}\n", encoding="utf-8"
    )
    server.script = lambda _: Answer(body=openai(None, finish="length"))  # type: ignore[arg-type]
    code, found = findings(capsys, "--models", "sim-free")
    assert (code, found["sim-free"]["state"]) == (0, "answered")
    assert server.history[0].body["max_tokens"] == doctor.CAP + 4096


@pytest.mark.parametrize(
    "answer", [Answer(text=""), Answer(status=400, body={"error": {"code": "content_filter", "message": "no"}})]
)
def test_an_empty_answer_or_a_refusal_is_an_answer(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    """It is reachable, which is what was asked."""
    providers(here, server.url)
    server.script = lambda _: answer
    code, found = findings(capsys, "--models", "sim-free")
    assert (code, found["sim-free"]["state"]) == (0, "answered")


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


FAILURES: dict[str, tuple[Answer, str, tuple[str, ...]]] = {
    "wrong key": (Answer(status=401, body=error("Incorrect API key provided")), "auth", ("the key in SIM_API_KEY is refused",)),
    "expired key": (Answer(status=401, body=error("The key has expired")), "auth", ("expired", "make a new one")),
    "expired key, as Google says it": (Answer(status=400, body=error("API key expired. Please renew the API key.")), "request", ("expired", "make a new one")),
    "no right to the model": (Answer(status=403, body=error("Project has no access")), "auth", ("may use this model",)),
    "retired model": (Answer(status=404, body=error("The model `x` has been retired", code="model_not_found")), "config", ("has no model 'sim-keyed' (any more)", "choose another")),
    "no such path": (Answer(status=404, body=error("Not Found")), "config", ("nothing is at this address", "check base_url")),
    "a page for no such path": (Answer(status=404, body="<!DOCTYPE html>The requested URL /v1beta/v1beta/models/x"), "config", ("nothing is at this address",)),
    "redirect": (Answer(status=308, headers={"Location": "https://elsewhere.example/v1"}), "config", ("redirect", "base_url")),
    "no money": (Answer(status=402, body=error("Insufficient Balance")), "quota", ("no money or quota",)),
    "rate": (Answer(status=429, body=error("slow down"), headers={"Retry-After": "1"}), "rate", ("the key works",)),
    "overload": (Answer(status=503, body=error("busy")), "overload", ("try again",)),
    "reset": (Answer(end="reset"), "network", ("try again",)),
    "silence": (Answer(end="never"), "timeout", ("timeout_s",)),
    "a page": (Answer(body="<html>hello"), "page", ("a web page, not JSON", "captive portal", "correct base_url")),
    "no dialect": (Answer(body="hello"), "invalid", ("dialect openai-chat", "check api and base_url")),
    "a parameter": (Answer(status=400, body=error("Unsupported parameter: 'seed'")), "request", ("capabilities",)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_names_endpoint_model_and_the_next_action(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One sentence each, one request each (nothing is retried), exit code 4; the other models are asked all the same."""
    answer, kind, words = FAILURES[name]
    providers(here, server.url, keyed={"timeout_s": 0.5})
    server.script = lambda x: answer if x.model == "sim-keyed" else None
    code, found = findings(capsys)
    failed = found["sim-keyed"]
    assert (code, failed["state"], failed["kind"], found["sim-free"]["state"]) == (4, "failed", kind, "answered")
    assert failed["text"].startswith(f"sim-keyed at endpoint 'keyed' ({server.url}/keyed/v1): ")
    for word in words:
        assert word in failed["text"]
    assert "sk-sim" not in str(found)
    assert len(asks(server)) == 2


def test_what_cannot_be_connected_to(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A closed port and plain HTTP where https was meant, each with its own next action."""
    with FakeServer() as gone:
        closed = gone.url
    with kit.tcp_server() as port:
        plain = f"https://127.0.0.1:{port}"
        for url, kind, word in ((closed, "unreachable", "start the server"), (plain, "config", "https://")):
            providers(here, "http://127.0.0.1:9", keyed={"base_url": url + "/v1"})
            code, found = findings(capsys, "--models", "sim-keyed")
            assert (code, found["sim-keyed"]["kind"]) == (4, kind)
            assert word in found["sim-keyed"]["text"] and url in found["sim-keyed"]["text"]


def test_a_local_server_that_is_not_up(here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --models it is skipped and nothing is wrong; named, it has failed, and the other named one is asked."""
    with FakeServer() as gone:
        providers(here, server.url, **{"sim-down": {"endpoint": "down"}})
        text = (here / "providers.yaml").read_text(encoding="utf-8").replace(f"{server.url}/down", f"{gone.url}/down")
    (here / "providers.yaml").write_text(text, encoding="utf-8")
    code, found = findings(capsys)
    assert (code, found["sim-down"]["state"]) == (0, "skipped") and "start the server" in found["sim-down"]["text"]
    code, found = findings(capsys, "--models", "sim-down,sim-free")
    assert (code, found["sim-down"]["kind"], found["sim-free"]["state"]) == (4, "unreachable", "answered")


def test_a_key_that_looks_like_another_vendors_is_not_sent(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: FakeServer
) -> None:
    """A failure that names the endpoint, the model and what to do, without any part of the key; the others are asked.
    Named, it is exit 2."""
    with FakeServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)  # a name that is not this machine, and goes no further than it
        monkeypatch.setenv("SIM_API_KEY", "sk-ant-0123456789abcdef")
        providers(here, server.url, keyed={"allow_http": True, "base_url": "http://vendor.invalid/v1"})
        code, found = findings(capsys)
        failed = found["sim-keyed"]
        assert (code, failed["state"], failed["kind"], found["sim-free"]["state"]) == (
            4,
            "failed",
            "config",
            "answered",
        )
        assert failed["text"].startswith(
            "sim-keyed at endpoint 'keyed': the key in SIM_API_KEY begins as those of Anthropic do, and endpoint 'keyed'"
        )
        assert cli.run_cli(["doctor", "--models", "sim-keyed"]) == 2
        assert "the model 'sim-keyed' at endpoint 'keyed' cannot be asked: the key in" in (
            said := capsys.readouterr().err
        )
        assert "0123" not in str(found) + said
        assert proxy.history == []


def test_a_model_that_goes_soon_is_announced_and_one_that_is_gone_is_not_asked(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 days ahead there is a warning; after the day the name is refused before anything is sent."""
    rows = {f"sim-{days}": {"endpoint": "free", "retires_on": str(DAY + timedelta(days))} for days in (29, 31)}
    providers(here, server.url, **rows, **{"sim-gone": {"endpoint": "free", "retires_on": str(DAY - timedelta(1))}})
    code, found = findings(capsys)
    assert code == 0 and "29 days" in found["sim-29"]["warnings"][0] and not found["sim-31"]["warnings"]
    assert found["sim-31"]["retires_on"] == str(DAY + timedelta(31))
    assert found["sim-gone"]["state"] == "skipped" and "switched off" in found["sim-gone"]["text"]
    assert "sim-gone" not in {x.model for x in server.history}
    assert cli.run_cli(["doctor", "--models", "sim-gone"]) == 2


@pytest.mark.parametrize(
    ("options", "key", "code", "words"),
    [
        (["--models", "sim-keyed"], "", 2, ("'sim-keyed'", "SIM_API_KEY is not set")),
        (["--models", "sim-kyed"], "x", 2, ("did you mean 'sim-keyed'?",)),
        (["--models", ","], "x", 2, ("names no model",)),
        (["--models", "sim-keyed"], "two words", 2, ("SIM_API_KEY", "space")),
        ([], "", 4, ("no model can be asked from here",)),
    ],
)
def test_bad_input_is_told_before_anything_is_sent(
    here: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: list[str], key: str, code: int, words: tuple[str, ...],
) -> None:  # fmt: skip
    """Missing and malformed keys and unknown names are usage; nobody left to ask is 4."""
    monkeypatch.setenv("SIM_API_KEY", key)
    kit.providers_yaml(here / "providers.yaml", server.url, {"sim-keyed": {}}, key_env="SIM_API_KEY")
    assert cli.run_cli(["doctor", *options]) == code
    said = capsys.readouterr().err.splitlines()[-1]
    assert all(word in said for word in words), said
    assert server.history == []


def test_an_exception_in_one_provider_costs_the_others_nothing(
    here: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of ours is one model's finding."""

    def broken(status: int, headers: Any, body: bytes, model: Model) -> Any:
        if model.name == "sim-keyed":
            raise KeyError("surprise")
        return decode(status, headers, body, model)

    decode = openai_chat.decode
    monkeypatch.setattr(openai_chat, "decode", broken)
    providers(here, server.url)
    code, found = findings(capsys)
    assert (code, found["sim-keyed"]["kind"], found["sim-free"]["state"]) == (4, "adapter", "answered")


def test_the_baselines_are_asked_what_they_can_take(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chance answers closed questions only, copy open ones only; neither is anything to verify."""
    rows = {f"baseline-{n}": {"endpoint": "baseline", "name": n, "region": "reference"} for n in ("chance", "copy")}
    kit.providers_yaml(here / "providers.yaml", "", rows, api="baseline")
    assert cli.run_cli(["doctor"]) == 0
    assert "verified:" not in capsys.readouterr().err


def test_every_fault_has_its_advice() -> None:
    """No kind of the one table is left without a next action."""
    model, endpoint = Model("sim", "n", "v", "f", "overseas"), Endpoint("openai-chat", key_env="K")
    for kind in FAULTS.keys() - {"policy"}:
        assert doctor.advice(Fault(kind, "x"), "sim-a", model, endpoint, "u").startswith(
            "sim-a at endpoint 'sim' (u): x; "
        )


def test_a_terminal_that_cannot_print_what_a_server_says(here: Path, server: FakeServer) -> None:
    """A Korean Windows console (cp949) and a plain one: escapes instead of a traceback, control characters harmless."""
    server.script = lambda _: Answer(body=openai("5", model="모델\u001b[31m🙂"))
    providers(here, server.url)
    for encoding in ("cp949", "ascii"):
        env = kit.clean_env(PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        command = [sys.executable, "-m", "lmmbench", "doctor", "--models", "sim-free"]
        done = subprocess.run(command, cwd=here, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0 and b"Traceback" not in done.stderr
        assert "served by" in done.stdout.decode(encoding) and b"\x1b" not in done.stdout


# --- writing the date --------------------------------------------------------------------------------

TEXT = """# who can be asked  한글
version: 1
endpoints: {e: {api: openai-chat, base_url: "http://127.0.0.1:9/v1"}}   # one
models:
  a:  # verified: never
    {endpoint: e, name: a, vendor: V, family: F, region: overseas, verified: never,
     note: "verified: never"}
  b: {endpoint: e, name: b, vendor: V, family: F, region: overseas}  # no date yet
  c:

    # a block
    endpoint: e
    name: c
    vendor: V
    family: F
    region: overseas
    verified: "2026-01-01"   # in quotes
  d:
    endpoint: e  # first
    name: d
    vendor: V
    family: F
    region: overseas
  "1.5": {endpoint: e, name: x, vendor: V, family: F, region: overseas, verified: 2025-01-01}
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_only_the_date_changes(tmp_path: Path, line_end: str, mark: str) -> None:
    """Comments, quotes, order, line ends and a byte order mark stay: apart from the dates the file is the same."""
    path = tmp_path / "providers.yaml"
    path.write_bytes((mark + TEXT.replace("\n", line_end)).encode())
    doctor.write_verified(path, ["a", "b", "c", "d", "1.5"], date(2026, 11, 22))
    after = path.read_bytes().decode()
    assert {m.verified for m in config.load(path).models.values()} == {"2026-11-22"}
    new = "verified: 2026-11-22"
    back = after.replace(f"overseas, {new},", "overseas, verified: never,").replace(
        "{" + new + ", endpoint: e, name: b", "{endpoint: e, name: b"
    )
    back = back.replace(f"{new}   # in", 'verified: "2026-01-01"   # in').replace(
        f"{new}{line_end}    endpoint", "endpoint"
    )
    assert back.replace(f"overseas, {new}}}", "overseas, verified: 2025-01-01}") == mark + TEXT.replace("\n", line_end)


def test_write_marks_those_that_answered_and_no_others(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that failed keeps its date; the rest of the file is untouched, and a second time changes nothing."""
    path = providers(here, server.url)
    server.script = lambda x: Answer(status=503) if x.model == "sim-keyed" else None
    assert cli.run_cli(["doctor", "--write"]) == 4
    assert {n: m.verified for n, m in config.load(path).models.items()} == {"sim-keyed": "never", "sim-free": str(DAY)}
    before = path.read_bytes()
    assert cli.run_cli(["doctor", "--write"]) == 4
    assert path.read_bytes() == before
    assert f"wrote verified: {DAY}" in capsys.readouterr().err


def test_the_packages_own_file_is_never_written(
    here: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An update would undo it: the sentence says how to get a file of one's own, and nothing was asked."""
    monkeypatch.setattr(places, "__file__", str(here / "site" / "lmmbench" / "places.py"))
    path = providers(here / "site" / "lmmbench" / "_data", server.url)
    assert cli.run_cli(["doctor", "--write", "--providers", str(path)]) == 2
    assert "lmmbench init" in capsys.readouterr().err
    assert server.history == []
