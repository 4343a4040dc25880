"""What comes from elsewhere is data: packs, YAML, replies and answers run nothing, reach nothing, and fill nothing up."""

from __future__ import annotations

import ast
import gzip
import html
import importlib.util
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmbench as product
from lmmbench import cli, config, doors, packs, providers, scorers, secret
from lmmbench.faults import Fault, UsageError
from lmmbench.secret import Secret
from lmmbench.types import Endpoint, Reply, Request
from tests import kit
from tests.fake_server import RIGHT, Answer, FakeServer
from tests.test_canary import everything, leaks

SOURCE = Path(product.__file__).parent
PIXEL = "image/png"


# --- keys --------------------------------------------------------------------------------------------


def test_a_key_shows_itself_nowhere() -> None:
    """Printed, formatted, joined into a text, listed among local names or pickled, a key is `[key]` or an error; and
    config hands out nothing else."""
    key = config.key("e", Endpoint("openai-chat", key_env="K"), {"K": "sk-sim-0123456789abcdef"})
    assert isinstance(key, Secret) and key
    shown = [str(key), repr(key), f"{key}", f"{key!r:>9}", "%s" % key, str([key]), str({"k": key}), repr(vars)]  # noqa: UP031
    assert not any("sk-sim" in text for text in shown)
    assert not hasattr(key, "__dict__")
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(key)
    assert key.reveal() == "sk-sim-0123456789abcdef"
    assert not config.key("e", Endpoint("openai-chat"), {})


class Leaky:
    """A provider of somebody else's that says its key wherever it can."""

    key = "sk-leaky-" + "k3y/=+" * 5

    def unsupported(self, request: Request) -> str:
        return f"no, by {self.key}" if request.item.id == "q0003" else ""

    async def ask(self, request: Request) -> Reply:
        if request.item.id == "q0001":
            raise Fault("too_large", f"refused {self.key}")
        if request.item.id == "q0002":
            raise ValueError(f"odd {self.key}")
        told = {"key": self.key, self.key: [self.key]}
        return Reply(f"{RIGHT} {self.key}", "stop", self.key, self.key, served_model=self.key, system_fingerprint=self.key,
                     request_id=self.key, service_tier=self.key, sent=told, dropped=told)  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


def test_every_sink_takes_keys_out_by_their_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider that puts its key into answers, errors, exceptions and every field beside them: it is in no file, table,
    line of output or traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIM_KEY", Leaky.key)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setattr(providers, "make", lambda *_: Leaky())
    kit.write_pack(tmp_path / "tasks" / "p", 5)
    kit.providers_yaml(tmp_path / "providers.yaml", "http://127.0.0.1:9", key_env="SIM_KEY")
    common = ["--allow-unknown-cost", "--debug", "--ci", "--run-id"]
    assert cli.run_cli(["run", "--tasks", "p", *common, "r"]) == 3
    assert cli.run_cli(["show", "r", "q0000"]) == 0
    assert cli.run_cli(["matrix", "r", "--format", "json"]) == 0
    assert cli.run_cli(["report", "r"]) == 0
    monkeypatch.setattr(packs, "select", lambda *_: (_ for _ in ()).throw(RuntimeError(Leaky.key)))
    assert cli.run_cli(["run", "--tasks", "p", *common, "s"]) == 70
    said = capsys.readouterr()
    found = everything(tmp_path) + said.out + said.err
    assert "Traceback" in said.err and "[key]" in found
    assert summary.stat().st_size
    assert not leaks(Leaky.key, found)


@given(st.text("aZ0-_/=.é가", min_size=8, max_size=24), st.binary(max_size=6))
def test_a_key_is_looked_for_by_what_is_always_written_alike(key: str, between: bytes) -> None:
    """Looking for its letters and digits first finds the same as looking for all its forms at once."""
    escaped = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in key)
    for form in (key, quote(key), escaped, html.escape(key), json.dumps(key), key[:-1]):
        body = between + form.encode() + between
        assert secret.hide(key, body) == secret.written(key).sub(b"[key]", body)


def test_a_process_without_keys_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no key was ever held, bytes are what they were."""
    monkeypatch.setattr(secret, "_LIVE", {})
    assert secret.redacted("sk-live \ud800") == "sk-live \ud800"
    assert not secret.holds_key(b"sk-live")


# --- packs -------------------------------------------------------------------------------------------


def pack_with(folder: Path, path: str, data: bytes = b"") -> Path:
    """A pack whose one item names this media file, with the hash of `data`."""
    from lmmbench.canon import sha256

    media = [{"path": path, "mime": PIXEL, "sha256": sha256(data)}]
    return kit.write_pack(folder / "tasks" / "p", [kit.item("q0", media=media)])


@pytest.mark.parametrize("scheme", ["http", "https", "file", "ftp", "data"])
def test_no_url_is_fetched_from_a_pack(tmp_path: Path, scheme: str) -> None:
    """A URL where a file belongs is refused in one sentence, and nobody is asked for it."""
    with FakeServer() as server:
        url = {"data": "data:image/png;base64,AAAA", "file": f"file://{tmp_path}/x.png"}.get(scheme, f"{scheme}{server.url[4:]}/x.png")  # fmt: skip
        pack_with(tmp_path, url)
        kit.providers_yaml(tmp_path / "providers.yaml", server.url)
        done = kit.lmmbench("run", "--tasks", "p", cwd=tmp_path)
        assert (done.returncode, server.connections) == (2, 0), done.stderr
    assert "nothing is fetched" in done.stderr and "Traceback" not in done.stderr


def outside(tmp_path: Path, how: str) -> Path:
    """A pack that reaches for a file beside it, in one of the ways there are."""
    other = tmp_path / "other.png"
    other.write_bytes(b"secret")
    folder = tmp_path / "tasks" / "p"
    path = {
        "up": "../../other.png",
        "absolute": str(other),
        "link": "x.png",
        "folder": "sub/other.png",
        "null": "x\0y",
    }[how]
    pack_with(tmp_path, path, b"secret")
    if how == "link":
        (folder / "x.png").symlink_to(other)
    if how == "folder":
        (folder / "sub").symlink_to(tmp_path)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="making links takes a right on Windows")
@pytest.mark.parametrize("how", ["up", "absolute", "link", "folder", "null"])
def test_no_path_leaves_the_pack(tmp_path: Path, how: str) -> None:
    """`..`, an absolute path, a link to a file or through a folder: refused, also where the hash is right."""
    with pytest.raises(UsageError, match=r"outside its pack|cannot be read"):
        packs.load(outside(tmp_path, how))


@pytest.mark.skipif(os.name == "nt", reason="making links takes a right on Windows")
@pytest.mark.parametrize("name", ["card.yaml", "items.jsonl"])
@pytest.mark.parametrize("to", ["elsewhere", "itself", "pipe"])
def test_a_packs_own_files_are_its_own(tmp_path: Path, name: str, to: str) -> None:
    """A card or items that are a link out of the pack, or to themselves, or a pipe: refused, nothing is read or waited
    for. A pack that is itself reached by a link is a pack."""
    folder = kit.write_pack(tmp_path / "p", 2)
    (tmp_path / "q").symlink_to(folder)
    assert packs.load(folder.parent / "p").id == "p"
    file = folder / name
    (tmp_path / name).write_bytes(file.read_bytes())
    file.unlink()
    if to == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(tmp_path / name if to == "elsewhere" else file)
    with pytest.raises(UsageError, match="is no file of its pack"):
        packs.load(folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_media_file_is_a_file_of_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a folder, or more than any vendor takes: refused before it is read."""
    folder = pack_with(tmp_path, "x.png", b"12345")
    os.mkfifo(folder / "x.png")
    with pytest.raises(UsageError, match="cannot be read"):
        packs.load(folder)
    (folder / "x.png").unlink()
    (folder / "x.png").write_bytes(b"12345")
    monkeypatch.setattr(packs, "MAX_MEDIA", 4)
    with pytest.raises(UsageError, match="larger than 4 bytes"):
        packs.load(folder)


HOSTILE_YAML = {
    "an object": "a: !!python/object/apply:os.system ['touch was-run']\n",
    "a name": "a: !!python/name:os.system\n",
    "a tag of one's own": "a: !Run {b: 1}\n",
    "a bomb of aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "a merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "itself": "a: &a [*a]\n",
    "brackets": "a: " + "[" * 20_000 + "]" * 20_000 + "\n",
    "mappings": "".join(" " * n + "a:\n" for n in range(1200)) + " " * 1200 + "x\n",
    "too much of it": "a: " + "x" * doors.MAX_YAML_BYTES + "\n",
    "Hangul, too much of it": "a: " + "가" * (doors.MAX_YAML_BYTES // 2) + "\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_yaml_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Tags, anchors, aliases, depth and size beyond what a configuration needs are refused in one sentence, at once."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "card.yaml"
    path.write_text(HOSTILE_YAML[name], encoding="utf-8")
    began = time.process_time()
    with pytest.raises(UsageError) as caught:
        doors.read_yaml(path)
    assert str(caught.value).startswith(str(path)) and len(str(caught.value)) < 400
    assert time.process_time() - began < 10
    assert not (tmp_path / "was-run").exists()


def test_a_deep_line_of_items_is_one_sentence(tmp_path: Path) -> None:
    """JSON that is nested without end, in a pack or in a run from elsewhere, is bad input and no crash."""
    folder = kit.write_pack(tmp_path / "p", 1)
    deep = '{"id":' + "[" * 100_000 + "]" * 100_000 + "}\n"
    (folder / "items.jsonl").write_text(deep, encoding="utf-8")
    from lmmbench.canon import sha256

    card = (folder / "card.yaml").read_text(encoding="utf-8").splitlines()
    lines = [f"items_sha256: {sha256(deep)}" if line.startswith("items_sha256") else line for line in card]
    (folder / "card.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not valid JSON"):
        packs.load(folder)

    from lmmbench import journal, plan

    (tmp_path / "plan.json").write_text(deep, encoding="utf-8")
    with pytest.raises(UsageError, match="is damaged"):
        plan.load(tmp_path)
    import zlib

    body = deep[:-2].encode()
    assert journal.parse(b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))) is None


# --- replies -----------------------------------------------------------------------------------------


def test_a_bomb_and_a_pit_over_the_wire_cost_little(tmp_path: Path) -> None:
    """A gigabyte in a megabyte of gzip, JSON nested 100,000 deep, 8 MB of brackets: each is `invalid` for its question,
    in the memory and the time of an ordinary run."""
    bomb = gzip.compress(bytes(2**24), 9) * 64
    told = {
        "q0000": Answer(body=bomb, headers={"Content-Encoding": "gzip"}),
        "q0001": Answer(body=b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "q0002": Answer(body=b"[" * (8 * 2**20 - 1)),
        "q0003": Answer(body=b'{"a":' * 1_000_000),
    }
    kit.write_pack(tmp_path / "tasks" / "p", 6)
    limited = (
        "import pathlib, sys, time; from lmmbench.cli import run_cli; code = run_cli(sys.argv[1:]);"
        "status = pathlib.Path('/proc/self/status');"
        "peak = status.read_text().split('VmHWM:')[1].split()[0] if status.exists() else 0;"
        "print(time.process_time(), peak, file=sys.stderr); sys.exit(code)"
    )
    with FakeServer(lambda x: told.get(x.question[:5])) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url)
        done = subprocess.run(
            [sys.executable, "-c", limited, "run", "--tasks", "p", "--run-id", "r", "--min-coverage", "0.1"],
            cwd=tmp_path, env=kit.clean_env(), capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seconds, peak = done.stderr.split()[-2:]
    assert float(seconds) < 30, "of work"
    rows = kit.rows_of(tmp_path / "results" / "r")
    assert {r["item_id"]: r["status"] for r in rows} == {f"q{n:04}": "invalid" if n < 4 else "ok" for n in range(6)}
    assert int(peak) < 600_000, "KiB, where Linux tells them"


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.prove)])
def test_no_answer_holds_a_scorer_up(times: int) -> None:
    """Every scorer, with an item of ours, reads any 5,000 characters, and 100,000, in seconds: no pattern goes back
    without end."""
    for name, shape in LONG.items():
        text = shape * times
        for spec, item in one_of_each():
            with at_most(10, f"{spec.name} with {name}"):
                scorers.scorer(spec.name).grade(text, item, list(range(1, len(item.options) + 1)), spec.params)


SIZE = 5_000
LONG = {
    shape[:9]: shape * (SIZE // len(shape))
    for shape in ("a", " ", "정답: ", "1", "1,", "(", "<think>", "*", "\n", "A. ", "가", "\\boxed{", "정답은 A가 아니라 B", "삼천", '"', "답 ", "①", "- ")
} | {"ends badly": "a" * SIZE + "!", "numbers": "3,000원 " * (SIZE // 7)}  # fmt: skip


def one_of_each() -> Iterator[tuple[packs.ScorerSpec, Any]]:
    seen: dict[tuple[str, str], tuple[packs.ScorerSpec, Any]] = {}
    for pack in packs.select("all", kit.ROOT / "tasks"):
        for item in pack.items:
            spec = pack.card.scorer_of(item.type)
            seen.setdefault((spec.name, item.type), (spec, item))
    yield from seen.values()


class at_most:  # noqa: N801 (reads as a word)
    """Fails what takes this process more than so many seconds of work, also where it never ends; what else the machine
    has to do is not counted."""

    def __init__(self, seconds: int, what: str) -> None:
        self._seconds, self._what = seconds, what

    def __enter__(self) -> None:
        if hasattr(signal, "SIGVTALRM"):
            signal.signal(signal.SIGVTALRM, self._late)
            signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds)

    def __exit__(self, *exc: object) -> None:
        if hasattr(signal, "SIGVTALRM"):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _late(self, _number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"{self._what} takes more than {self._seconds} s")


# --- terminals ---------------------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066"


def test_nothing_acts_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escapes, C1 controls and bidi marks in items, answers, errors and names are shown as what they are by every
    command that prints them, into a pipe too."""
    monkeypatch.chdir(tmp_path)
    shown = kit.item("q0000", options=(f"하나{EVIL}", "둘"), stratum=f"s{EVIL}")
    shown["provenance"]["claim"] = EVIL
    kit.write_pack(tmp_path / "tasks" / "p", [shown, kit.item("q0001")], title=f"T{EVIL}")

    def script(x: Any) -> Answer:
        return Answer(status=413, body=EVIL) if x.question.startswith("q0001") else Answer(text=f"정답: A{EVIL}")

    with FakeServer(script) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, {"sim-a": {"vendor": f"V{EVIL}"}})
        commands = [
            ["run", "--tasks", "p", "--run-id", "r"], ["show", "r", "q0000"], ["show", "r", "q0001"], ["list", "tasks"],
            ["list", "models"], ["matrix", "r"], ["check"], ["doctor"], ["run", "--tasks", f"x{EVIL}"], ["show", "r", EVIL],
        ]  # fmt: skip
        for command in commands:
            cli.run_cli(command)
            said = capsys.readouterr()
            assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(said.out + said.err), command
            if command[0] == "show" and len(command[2]) < 9:
                assert "\\u001b" in said.out, "it is shown, not dropped"


# --- the code itself ---------------------------------------------------------------------------------

RUNS_DATA = {"eval", "exec", "compile", "__import__", "import_module", "system", "popen", "spawnl", "literal_eval"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "ctypes", "code", "runpy", "http.server", "socketserver", "xmlrpc", "webbrowser", "smtplib", "telnetlib", "ftplib"}  # fmt: skip
LISTENS = {"bind", "listen", "start_server", "create_server", "start_unix_server", "TCPServer", "HTTPServer"}


PLAIN_LOADERS = {"yaml.BaseLoader", "yaml.SafeLoader"}
EXCUSED = {
    ("scorers/__init__.py", "calls import_module"): "a module of the table above it, never of a card",
    ("publisher.py", "imports ctypes"): "prctl has no other door in Python; its arguments are constants",
}


def suspicious(tree: ast.AST) -> Iterator[str]:
    """What a file does that data could misuse, or that would open a door."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"imports {name}" for name in names if name in UNSAFE_MODULES)
        if not isinstance(node, ast.Call):
            continue
        on = ast.unparse(node.func)
        name = on.rpartition(".")[2]
        if name in RUNS_DATA and on != "re.compile":
            yield f"calls {on}"
        if name in LISTENS:
            yield f"listens with {on}"
        plain = any(k.arg == "Loader" and ast.unparse(k.value) in PLAIN_LOADERS for k in node.keywords)
        if (on.startswith("yaml.") and name.endswith("load") and not plain) or any(
            k.arg == "shell" for k in node.keywords
        ):
            yield f"calls {on} unsafely"
        if any(k.arg in ("verify", "ssl") and ast.unparse(k.value) == "False" for k in node.keywords):
            yield f"calls {on} without checking certificates"


def test_no_code_comes_from_data_and_nothing_listens() -> None:
    """No eval, exec, pickle, import by name, shell or unsafe YAML; no socket that listens; certificates are always
    checked."""
    files = {p.relative_to(SOURCE).as_posix(): ast.parse(p.read_bytes()) for p in SOURCE.rglob("*.py")}
    assert {(name, what) for name, tree in files.items() for what in suspicious(tree)} == set(EXCUSED)
    bad = "import pickle\neval(x); yaml.load(y); server.bind(z); run(c, shell=True); post(u, ssl=False)"
    assert len(list(suspicious(ast.parse(bad)))) == 6


WATCHED = """
import json, sys
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.bind", "socket.listen", "socket.getaddrinfo", "socket.sendto"):
        seen.append([event, repr(args[1:] if event != "socket.getaddrinfo" else args)])
    if event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen"):
        seen.append([event, repr(args[:2])])
sys.addaudithook(hook)
from lmmbench.cli import run_cli
code = run_cli(sys.argv[1:])
json.dump(seen, open("seen.json", "w"))
sys.exit(code)
"""


def watched(folder: Path, *args: str) -> list[tuple[str, str]]:
    """What a command did with sockets and other programs, as the interpreter itself reports it."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *args], cwd=folder, env=kit.clean_env(), capture_output=True, text=True,
        encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(event, said) for event, said in json.loads((folder / "seen.json").read_text("utf-8"))]


def test_nobody_is_told_but_the_endpoint(tmp_path: Path) -> None:
    """No telemetry: a run, its report, scoring, comparing and listing connect to the endpoints of the run and to nobody
    else, ask for no other name, listen nowhere, and start no program but git for the commit of lmmbench itself."""
    kit.write_pack(tmp_path / "tasks" / "p", 5)
    with FakeServer() as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, ("sim-a", "sim-b"))
        port = server.url.rpartition(":")[2]
        commands = [
            ("run", "--tasks", "p", "--run-id", "r"), ("score", "r"), ("report", "r"), ("matrix", "r"), ("list", "models"),
            ("compare", "r:sim-a", "r:sim-b"), ("show", "r", "q0000"), ("doctor",),
        ]  # fmt: skip
        for command in commands:
            for event, said in watched(tmp_path, *command):
                if event == "subprocess.Popen":
                    assert said.startswith("('git', ['git', '-C',"), (command, said)
                else:
                    assert "127.0.0.1" in said and port in said, (command, event, said)
                    assert event in ("socket.connect", "socket.getaddrinfo"), (command, event, said)


@pytest.mark.skipif(
    sys.platform != "linux" or (importlib.util.find_spec("xllamacpp") is None and os.environ.get("CI") != "true"),
    reason="Linux lists its sockets in /proc; the embedded model needs: pip install lmmbench[local]",
)
def test_only_the_embedded_model_listens_and_only_here(tmp_path: Path) -> None:
    """While it answers, the one port that is open is on 127.0.0.1."""
    kit.write_pack(tmp_path / "tasks" / "p", 40)
    process = kit.start(
        "run", "--tasks", "p", "--models", "smollm2-135m", "--providers", kit.ROOT / "providers.yaml", "--run-id", "r", cwd=tmp_path
    )  # fmt: skip
    until = time.monotonic() + 60
    found: set[str] = set()
    while not found and time.monotonic() < until and process.poll() is None:
        found = listening(process.pid)
        time.sleep(0.05)
    process.kill()
    _, err = process.communicate()
    assert found, err
    assert all(address.startswith("127.0.0.1:") for address in found), found


def listening(pid: int) -> set[str]:
    """Addresses on which a process listens (proc(5), /proc/net/tcp)."""
    own = set()
    for fd in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            own.add(str(fd.readlink()).removeprefix("socket:[").rstrip("]"))
        except OSError:
            continue
    out = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:
                host, port = fields[1].split(":")
                words = b"".join(bytes.fromhex(host[n : n + 8])[::-1] for n in range(0, len(host), 8))
                out.add(f"{socket.inet_ntop(family, words)}:{int(port, 16)}")
    return out


# --- encodings ---------------------------------------------------------------------------------------


def test_no_file_is_opened_in_the_encoding_of_the_machine(tmp_path: Path) -> None:
    """Every text file names its encoding: with the interpreter's own warning made an error, in a locale of cp949's kind,
    all commands work, and what they write is UTF-8."""
    kit.write_pack(tmp_path / "tasks" / "p", 3)
    with FakeServer(text="정답: A 가") as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, ("sim-a", "sim-b"))
        env = kit.clean_env(PYTHONIOENCODING="cp949", PYTHONUTF8="0", LC_ALL="C", PYTHONWARNDEFAULTENCODING="1")
        for command in (
            ("run", "--tasks", "p", "--run-id", "r", "--ci"), ("score", "r"), ("report", "r"), ("show", "r", "q0000"),
            ("pack", "r"), ("compare", "r:sim-a", "r:sim-b"), ("list", "tasks"), ("doctor",),
        ):  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-W", "error::EncodingWarning:lmmbench", "-m", "lmmbench", *command], cwd=tmp_path, env=env,
                capture_output=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (command, done.stderr.decode("utf-8", "replace"))
            assert b"EncodingWarning" not in done.stderr
            done.stdout.decode("cp949")
    run = tmp_path / "results" / "r"
    for name in ("plan.json", "run.json", "report.html", "junit.xml", "journal/main.jsonl"):
        (run / name).read_bytes().decode("utf-8")
    assert {r["answer"] for r in kit.rows_of(run)} == {"정답: A 가"}


# --- audit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "returned", "code", "shown"),
    [
        (
            "requests.exceptions.ConnectionError: no route",
            1,
            0,
            "audit skipped: the advisory database cannot be reached",
        ),
        ("x could not be audited\n" * 20, 0, 0, "audit skipped: this machine's package index knows no advisories"),
        ("Found 1 known vulnerability", 1, 1, "Found 1 known vulnerability"),
        ("No known vulnerabilities found", 0, 0, "No known vulnerabilities found"),
    ],
)
def test_the_audit_fails_for_a_finding_and_is_skipped_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, returned: int, code: int, shown: str
) -> None:
    """`make check` audits the installed packages; where the database is out of reach it says so, and a finding fails."""
    from benchmarks import audit

    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], returned, said, ""))
    assert audit.main() == code
    assert shown in capsys.readouterr().out
    assert "python -m benchmarks.audit" in (kit.ROOT / "Makefile").read_text(encoding="utf-8")
