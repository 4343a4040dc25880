"""What a user gets wrong about keys, addresses, pictures and models: through the command line, against a server, one
sentence each that names the endpoint, the model and the next action."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lmmbench import cli
from lmmbench.canon import sha256
from tests import kit
from tests.fake_server import Answer, FakeServer

KEY = "sk-sim-0123456789abcdef"
PNG = min((kit.ROOT / "tasks/korean-image").rglob("*.png")).read_bytes()
WHO = ("sim-a at endpoint 'sim'",)
NAMED = ("the model 'sim-a' at endpoint 'sim' cannot be asked: ",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIM_API_KEY", KEY)
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(text="A") as server:
        yield server


def pack(home: Path, data: bytes = b"", mime: str = "image/png", items: int = 2) -> Path:
    """A pack of closed questions, each with the same picture where there is one. Returns its folder."""
    shown = [{"path": "a.png", "mime": mime, "sha256": sha256(data)}] if data else []
    folder = kit.write_pack(home / "tasks/p", [kit.item(f"q{n}", media=shown) for n in range(items)])
    if data:
        (folder / "a.png").write_bytes(data)
    return folder


def provided(home: Path, url: str, row: Mapping[str, Any] | None = None, **endpoint: Any) -> None:
    priced = {"inputs": ["text", "image"], "price": {"input": 1, "output": 1}}
    kit.providers_yaml(
        home / "providers.yaml", url, {"sim-a": priced | dict(row or {})}, **{"key_env": "SIM_API_KEY"} | endpoint
    )


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """The exit code of `lmmbench run` and what it says of `sim-a`: the sentence of an error, else the model's line."""
    code = cli.run_cli(["run", "--tasks", "p", "--models", "sim-a", *args])
    lines = capsys.readouterr().err.splitlines()
    found = [line for line in lines if line.startswith(("lmmbench: ", "sim-a: "))]
    assert len(found) == 1, lines
    return code, found[0]


# --- what a server says ------------------------------------------------------------------------------


def error(http: int, message: str, **more: Any) -> Answer:
    return Answer(status=http, body={"error": {"message": message, **more}})


LOOK = "look at the question's file with lmmbench show"
REFUSED: dict[str, tuple[Answer, tuple[str, ...]]] = {
    "wrong key": (error(401, "Incorrect API key provided"), ("the key in SIM_API_KEY is refused",)),
    "expired key": (error(401, "The key has expired"), ("the key in SIM_API_KEY has expired; make a new one",)),
    "no right to the model": (error(403, "no access"), ("may use this model",)),
    "no right to pictures": (error(403, "This key may not process images"), ("stopped: auth", "may use this model")),
    "a type that is no picture's": (error(415, "Unsupported Media Type"), ("correct options and capabilities of the row",)),
    "no /v1": (Answer(status=404, body={"detail": "Not Found"}), ("the base_url of 'sim'", "is /v1 missing", "correct it in providers.yaml")),
    "redirect": (Answer(status=308, headers={"Location": "https://elsewhere.example/x"}), ("https://elsewhere.example/x", "never followed", "correct its base_url")),
    "retired model": (error(404, "The model `sim-a` has been deprecated", code="model_not_found"), ("has no model 'sim-a' (any more)", "choose another name")),
    "no money": (error(402, "Insufficient Balance"), ("no money or quota left; add some",)),
    "image too large": (error(413, "Request too large"), ("more than the model takes; choose another model, or make the file smaller",)),
    "image too large, as Anthropic says it": (error(400, "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 7 bytes > 5 bytes"), (LOOK,)),
    "too many pixels": (error(400, "At least one of the image dimensions exceed max allowed size: image dimensions exceed 8000 pixels"), (LOOK,)),
    "image of the wrong type": (error(400, "You uploaded an unsupported image. Please make sure your image is valid."), (LOOK,)),
    "image cut short": (error(400, "Could not process image"), (LOOK,)),
    "image cut short, as Google says it": (error(400, "Unable to process input image. Please retry or report", status="INVALID_ARGUMENT"), (LOOK,)),
    "image to a model that takes none": (error(400, "This model does not support image input"), (LOOK, "inputs of the row")),
    "a parameter": (error(400, "Unknown parameter: mediaResolution"), ("correct options and capabilities of the row",)),
    "a page": (Answer(body="<html>hello"), ("answers with a web page, not JSON", "log in with a browser, set HTTPS_PROXY, or correct base_url")),
    "silence": (Answer(end="never"), ("no whole reply within 0.2 s", "raise timeout_s")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_server_refuses_is_told_with_endpoint_model_and_next_action(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Also for a fault that stops no model, as one picture that is refused: nobody has to look for it in a file."""
    answer, words = REFUSED[name]
    pack(here, PNG, items=1)
    path = "api" if name == "no /v1" else "sim/v1"
    provided(here, server.url, timeout_s=0.2, base_url=f"{server.url}/{path}")
    server.script = lambda _: answer
    code, line = said(capsys)
    assert code == 4
    for word in (*WHO, server.url, *words):
        assert word in line, line
    assert KEY not in line


@pytest.mark.parametrize(("transport", "stream"), [("http", ("--stream",)), ("sdk", ()), ("sdk", ("--stream",))])
@pytest.mark.parametrize("name", ["wrong key", "redirect", "image cut short"])
def test_whoever_carries_it_the_sentence_is_the_same(
    here: Path,
    server: FakeServer,
    capsys: pytest.CaptureFixture[str],
    name: str,
    transport: str,
    stream: tuple[str, ...],
) -> None:
    """Streams and vendors' own clients change nothing of what is told."""
    if transport == "sdk":
        pytest.importorskip("openai")
    pack(here, PNG, items=1)
    server.script = lambda _: REFUSED[name][0]
    provided(here, server.url)
    plain = said(capsys)
    provided(here, server.url, transport=transport)
    assert said(capsys, *stream) == plain
    assert len(server.history) == 2


def test_pictures_that_are_refused_stop_no_model(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture is one question's: the questions after it are asked, however many pictures were refused before."""
    pack(here, PNG, items=6)
    provided(here, server.url)
    server.script = lambda x: error(400, "Could not process image") if len(server.history) <= 5 else None
    code, line = said(capsys, "--concurrency", "1")
    assert code == 3
    assert line.startswith("sim-a: error 5 · ok 1 · most often too_large: sim-a at endpoint 'sim'"), line


def test_of_several_faults_the_commonest_is_told(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, however many kinds there are; where a fault stopped the model, it is that one, and once."""
    pack(here, items=5)
    provided(here, server.url)
    server.script = [error(413, "b"), error(400, "no"), error(413, "a"), None, error(413, "c")]
    _, line = said(capsys, "--concurrency", "1")
    assert line.startswith("sim-a: error 4 · ok 1 · most often too_large: sim-a at endpoint 'sim'"), line
    assert ": HTTP 413: a; " in line and line.count("at endpoint 'sim'") == 1
    server.script = lambda _: error(401, "no")
    _, line = said(capsys)
    assert line.count("at endpoint 'sim'") == 1 and "stopped: auth: sim-a at endpoint 'sim'" in line


def test_one_odd_answer_among_good_ones_blames_no_address(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the others were answered, the dialect and the base_url are right."""
    pack(here, items=4)
    provided(here, server.url)
    server.script = lambda x: Answer(body={"choices": []}) if x.question == server.history[0].question else None
    _, line = said(capsys, "--concurrency", "1")
    assert "most often invalid: " in line and "base_url" not in line, line


def test_a_shard_says_it_too(here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It publishes nothing, and may be all that a person sees of a machine."""
    pack(here)
    provided(here, server.url)
    server.script = lambda _: REFUSED["wrong key"][0]
    code, line = said(capsys, "--run-id", "r", "--shard", "1/1")
    assert code == 4 and line.startswith("sim-a: stopped: auth: sim-a at endpoint 'sim'"), line
    assert "the key in SIM_API_KEY is refused" in line


# --- what is found before anything is sent -----------------------------------------------------------


def test_a_key_of_another_vendor(
    here: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not sent, and no part of it is told."""
    monkeypatch.setenv("SIM_API_KEY", "sk-ant-0123456789")
    pack(here)
    provided(here, "https://vendor.invalid")
    code, line = said(capsys)
    assert code == 2 and "0123" not in line
    for word in (*NAMED, "SIM_API_KEY begins as those of Anthropic do", "set the right key"):
        assert word in line, line


def test_plain_http_to_another_machine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key would be readable on the way."""
    pack(here)
    provided(here, "http://vendor.invalid")
    code, line = said(capsys)
    assert code == 2
    for word in ("endpoint 'sim'", "over plain http to vendor.invalid", "use https", "the endpoint of sim-a"):
        assert word in line, line


@pytest.mark.parametrize("end", ["", "/", "///"])
def test_a_slash_at_the_end_of_a_base_url_does_no_harm(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    """It is asked at the same address."""
    pack(here)
    provided(here, server.url, base_url=f"{server.url}/sim/v1{end}")
    assert said(capsys) == (0, "sim-a: ok 2")
    assert {x.path for x in server.history} == {"/sim/v1/chat/completions"}


def test_a_retired_model(here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """By the row's own date, and by a name that is in no row any more."""
    pack(here)
    provided(here, server.url, {"retires_on": "2026-10-23"})
    code, line = said(capsys)
    assert code == 2
    for word in (*NAMED, "switched off by its vendor on 2026-10-23", "lmmbench list models"):
        assert word in line, line
    assert cli.run_cli(["run", "--tasks", "p", "--models", "o3-mini"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    for word in ("'o3-mini'", "switched off at api.openai.com on 2026-10-23", "its successors are the gpt-6 rows"):
        assert word in line, line
    assert server.history == []


LIMITS = {"types": ["image/jpeg"]}, {"max_bytes": 10}, {"max_ratio": 1.0}


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_a_picture_over_a_known_limit_of_the_model(
    here: Path, server: FakeServer, capsys: pytest.CaptureFixture[str], limits: Mapping[str, Any]
) -> None:
    """Nothing is sent; the line says which model at which endpoint takes what, and what to do."""
    pack(here, WIDE)
    provided(here, server.url, {"capabilities": "f"})
    family = {"source": "made up", "as_of": "2026-11-01", "limits": {"image": limits}}
    with (here / "providers.yaml").open("a", encoding="utf-8", newline="\n") as f:
        f.write(f"capabilities: {{f: {json.dumps(family)}}}\n")
    code, line = said(capsys)
    assert code == 4 and server.history == []
    assert line.startswith("sim-a: unsupported 2 · unsupported: the model at endpoint 'sim' takes "), line
    assert "ask another model" in line


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png(width: int, height: int) -> bytes:
    """A black picture."""
    head = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x00\x00\x00\x00"
    pixels = zlib.compress(bytes((width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


WIDE = png(9, 2)


def sparse(path: Path) -> None:
    """A file larger than any vendor takes, which takes no room on the disk."""
    with path.open("wb") as f:
        f.truncate(100_000_001)


FLAWS: dict[str, tuple[bytes, str, Callable[[Path], object] | None, str]] = {
    "too large": (PNG, "image/png", sparse, "larger than 100000000 bytes), and was for {who}; make it smaller"),
    "wrong type": (PNG, "image/jpeg", None, "is image/png, not image/jpeg as the item says, and was for {who}; put the right file there"),
    "a type that nobody takes": (b"GIF89a", "image/gif", None, "'image/gif', which is none of image/png, image/jpeg, image/webp, audio/wav, audio/mpeg, and was for {who}; put the right file there"),
    "truncated": (PNG[:-20], "image/png", None, "is cut short, and was for {who}; put the right file there"),
    "changed": (PNG, "image/png", lambda path: path.write_bytes(WIDE), "…, and was for {who}; put the file of that hash back"),
    "gone": (PNG, "image/png", Path.unlink, "and was for {who}; put it there"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAWS)
def test_a_picture_that_nobody_can_be_sent(tmp_path: Path, name: str) -> None:
    """A run names file, item and pack, each model that was to be asked with it and its endpoint, and the next action;
    `check`, which asks nobody, names the file. Models that take no pictures, or that have no key, have nothing to do with it."""
    data, mime, spoil, words = FLAWS[name]
    folder = pack(tmp_path, data, mime)
    if spoil:
        spoil(folder / "a.png")
    rows = {
        "sim-a": {"inputs": ["text", "image"]}, "sim-b": {"endpoint": "other", "inputs": ["image"]}, "sim-text": {},
        "sim-keyless": {"endpoint": "keyed", "inputs": ["image"]},
    }  # fmt: skip
    with FakeServer() as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, rows, {"keyed": {"key_env": "NO_API_KEY"}})
        ran = kit.lmmbench("run", "--tasks", "p", cwd=tmp_path)
        checked = kit.lmmbench("check", cwd=tmp_path)
        assert server.connections == 0, "nobody is even called before the pack is known to be whole"
    for done in (ran, checked):
        line = done.stderr.splitlines()[-1]
        assert done.returncode == 2
        assert "a.png" in line and "item 'q0' of the pack 'p'" in line, line
    assert words.format(who="sim-a at endpoint 'sim', sim-b at endpoint 'other'") in ran.stderr.splitlines()[-1]
    assert "sim-text" not in ran.stderr and "endpoint" not in checked.stderr.splitlines()[-1]
    assert not (tmp_path / "results").exists() or not list((tmp_path / "results").iterdir())


def test_a_picture_that_went_bad_since_names_the_models_of_the_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On resume and on replay as at the start; where nobody of the run takes pictures, that is said."""
    folder = pack(here, PNG)
    with FakeServer(lambda x: None if x.number else Answer(status=400), text="A") as server:
        provided(here, server.url)
        assert cli.run_cli(["run", "--tasks", "p", "--models", "sim-a", "--run-id", "r"]) == 3
        (folder / "a.png").unlink()
        for args in (["--resume", "r"], ["--replay", "r"]):
            assert cli.run_cli(["run", *args]) == 2
            assert "and was for sim-a at endpoint 'sim'; put it there" in capsys.readouterr().err.splitlines()[-1]
        provided(here, server.url, {"inputs": ["text"]})
        assert cli.run_cli(["run", "--tasks", "p", "--models", "sim-a"]) == 2
        assert "and was for no model of this run; put it there" in capsys.readouterr().err.splitlines()[-1]
