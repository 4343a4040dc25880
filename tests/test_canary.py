"""No key in any file, output, error or traceback: keys that are easy to recognise go through whole runs against a server
that throws them back in every way, and every byte that was written is searched for them."""

from __future__ import annotations

import base64
import html
import json
import random
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench import config
from lmmbench.secret import SHORTEST, hide
from tests import kit
from tests.fake_server import RIGHT, Answer, Exchange, FakeServer

PLAIN = "sk-sim-" + random.Random(7).randbytes(24).hex()  # noqa: S311
ODD = f"nv-{PLAIN[7:25]}/+=\"\\<&'{PLAIN[25:50]}=="
"""With every character that some writer of JSON, URLs or HTML writes in another way."""
needs_sdk = kit.needs("openai", "google.genai", install=config.INSTALL_SDK)
SDK = pytest.param("sdk", marks=needs_sdk)


def written(key: str) -> set[str]:
    """A key in every form in which it could leave: as it is, in JSON, in a URL, in HTML, in base64 wherever it begins."""
    in_json = json.dumps(key)[1:-1]
    escaped = {in_json, in_json.replace("/", "\\/"), "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in key)}
    escaped |= {json.dumps(x)[1:-1] for x in escaped}
    in_url = {urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key), urllib.parse.quote(key)}
    return {key, *escaped, *in_url, html.escape(key), *base64_of(key)}


def base64_of(key: str) -> Iterator[str]:
    """The part of its base64 that is the same whatever stands around it, at each of the three offsets, both alphabets."""
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + key.encode()).decode()[4:-4]
        yield from (text, text.translate(str.maketrans("+/", "-_")))


def echoes(key: str) -> list[Answer | None]:
    """All the ways in which a server can throw a key back."""
    headers = {"Location": f"https://elsewhere.example/?key={key}", "x-request-id": key, "WWW-Authenticate": key}
    headers |= {"Retry-After": key, "retry-after-ms": key, "Set-Cookie": f"k={key}"}
    error = {"error": {"message": f"bad key {key}: {json.dumps({'key': key})}", "code": key, "type": key}}
    text = [*(form for form in sorted(written(key)) if form not in set(base64_of(key)))]
    return [
        None,
        Answer(text=f"{RIGHT} ({key}, Bearer {key})", headers=headers),
        Answer(status=413, body=error, headers=headers),
        *(Answer(status=413, body=f"<p>{' ' * n}{form}") for n, form in enumerate(text, 150)),
        Answer(status=413, body=json.dumps(error).replace("/", "\\/").replace("=", "\\u003d")),
        Answer(status=500, body=f"<html>{key}", headers=headers),
        Answer(status=500, body=" " * 180 + key),
        Answer(body=f"<html>{html.escape(key)}"),
        Answer(body=error),
        Answer(end="reset"),
        Answer(end="cut", text=key * 9),
        Answer(headers={"Content-Encoding": "gzip", "X": key}, body=key),
    ]


def everything(folder: Path) -> str:
    """All that stands under a folder, names and bytes, with the parquet files unpacked, as one text."""
    import pyarrow.parquet as pq

    files = [f for f in folder.rglob("*") if f.is_file()]
    tables = [str(pq.ParquetFile(f).read().to_pylist()) for f in files if f.suffix == ".parquet"]
    return "\n".join([f.read_bytes().decode("latin-1") for f in files] + tables + [f.name for f in files])


def leaks(key: str, found: str) -> list[str]:
    """Lines that hold the key in any form, or a piece of it that a cut left over."""
    pieces = written(key) | {key[:12], key[12:24], key[-12:]} | {p[:16] for p in base64_of(key)}
    return [line[:300] for line in found.splitlines() if any(piece in line for piece in pieces)]


def run_all(folder: Path, key: str, *commands: list[str]) -> str:
    """All that commands wrote, with every folder that they could write to inside `folder` and every log switched on."""
    places = {name: folder / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    for place in places.values():
        place.mkdir(exist_ok=True)
    env = {"SIM_API_KEY": key, "OPENAI_LOG": "debug", "PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "default"}
    env |= {name: str(place) for name, place in places.items()}
    done = [kit.lmmbench(*command, "--debug", cwd=folder, env=env) for command in commands]
    assert done[0].returncode in (0, 3, 4), done[0].stderr
    return everything(folder) + "".join(d.stdout + d.stderr for d in done)


@pytest.mark.parametrize(
    ("api", "transport", "key"),
    [
        ("openai-chat", "http", PLAIN),
        ("gemini", "http", ODD),
        pytest.param("openai-chat", "sdk", ODD, marks=needs_sdk),
        pytest.param("gemini", "sdk", PLAIN, marks=needs_sdk),
    ],
    ids=["openai-http-plain", "gemini-http-odd", "openai-sdk-odd", "gemini-sdk-plain"],
)
def test_a_key_stands_in_no_file_and_no_output(tmp_path: Path, api: str, transport: str, key: str) -> None:
    """The key goes into the request's header and nowhere else, by whatever transport, also when a server echoes it: in
    answers, error texts of any length (where a cut may leave a part of it), pages, headers; with `--debug` and the
    client's own log on. `show` and `doctor` say nothing of it either."""
    answers = echoes(key)
    kit.write_pack(tmp_path / "tasks/p", len(answers))

    def script(x: Exchange) -> Answer | None:
        if not x.question.startswith("q"):
            return answers[2]  # doctor's question
        return answers[int(x.question[1:5])] if x.nth == 1 else None

    with FakeServer(script) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, api=api, transport=transport, key_env="SIM_API_KEY")
        run = ["run", "--tasks", "p", "--run-id", "r", "--allow-unknown-cost"]
        found = run_all(tmp_path, key, run, ["doctor"], ["show", "r", "q0002"])
        assert not leaks(key, found), "the key, or a part of it"
        assert all(key in x.headers.get("authorization", x.headers.get("x-goog-api-key", "")) for x in server.history)
        assert not any(key in x.path or key in str(x.body) for x in server.history)
        assert {x.question[:5] for x in server.history if x.nth == 1} > {f"q{n:04}" for n in range(len(answers))}
    assert "[key]" in found


@pytest.mark.parametrize(("transport", "status"), [("http", 307), pytest.param("sdk", 401, marks=needs_sdk)])
def test_a_refused_key_stands_in_no_file_and_no_output(tmp_path: Path, transport: str, status: int) -> None:
    """What stops a model is said at the end of a run and kept in run.json: without the key that it complains of."""
    headers = {"Location": f"https://elsewhere.example/{ODD}", "WWW-Authenticate": f"Bearer realm={ODD}"}
    kit.write_pack(tmp_path / "tasks/p", 3)
    with FakeServer(
        lambda _: Answer(status=status, headers=headers, body={"error": {"message": f"Incorrect {ODD}"}})
    ) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, transport=transport, key_env="SIM_API_KEY")
        run = ["run", "--tasks", "p", "--run-id", "r", "--allow-unknown-cost"]
        assert not leaks(ODD, run_all(tmp_path, ODD, run, ["doctor", "--json"]))


@pytest.mark.parametrize("transport", ["http", SDK])
def test_a_traceback_holds_no_key(tmp_path: Path, transport: str) -> None:
    """A key that cannot be one is named by its variable, also in what `--debug` adds."""
    kit.write_pack(tmp_path / "tasks/p", 1)
    kit.providers_yaml(tmp_path / "providers.yaml", "http://127.0.0.1:9", transport=transport, key_env="SIM_API_KEY")
    run = ["run", "--tasks", "p", "--models", "sim-a"]
    done = kit.lmmbench(*run, "--debug", cwd=tmp_path, env={"SIM_API_KEY": PLAIN + " x"})
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert not leaks(PLAIN, done.stdout + done.stderr)


def test_the_search_finds_what_it_looks_for() -> None:
    """A key in any form is a leak, and a text without one is none."""
    for form in written(ODD) | written(PLAIN):
        assert leaks(ODD, f"x{form}x") or leaks(PLAIN, f"x{form}x")
    assert not leaks(ODD, "Bearer [key] " * 9)


@given(
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST, max_size=60),
    around=st.binary(),
)
def test_a_key_is_found_in_every_form(key: str, around: bytes) -> None:
    """Whatever characters a key is made of: as JSON, URLs and HTML write it, it is taken out and nothing else is."""
    forms = written(key) - set(base64_of(key))
    for form in forms:
        assert hide(key, b"<" + form.encode() + b">") == b"<[key]>"
    if key.encode() not in around and b"\\" not in around and b"%" not in around and b"&" not in around:
        assert hide(key, around) == around
