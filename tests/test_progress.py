"""What a person sees of a run that goes on: each endpoint's asks in flight and its limit, its waits, on any terminal."""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from lmmbench import progress
from lmmbench.net.limits import Gate
from lmmbench.runner import Lane
from lmmbench.types import Endpoint, Model, Request
from tests.fake_server import Answer, FakeServer
from tests.kit import clean_env, providers_yaml, start, write_pack


class Nobody:
    """A provider that is not asked."""

    def unsupported(self, request: Request) -> str:
        return ""

    async def ask(self, request: Request) -> object:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def lane(name: str, gate: Gate, **more: object) -> Lane:
    model = Model(gate.ids[0], name, "Simulated", "Sim", "overseas")
    return Lane(name, model, Nobody(), gate, iter(()), 40, statuses=Counter(ok=12), **more)  # type: ignore[arg-type]


def gate(name: str, *, in_flight: int, limit: int, resume_at: float = 0.0) -> Gate:
    made = Gate(Endpoint("openai-chat", "http://127.0.0.1:9", concurrency=64), (name,), in_flight=in_flight)
    made.pace.limit, made.resume_at = limit, resume_at
    return made


def shown(lanes: list[Lane], width: int, encoding: str = "utf-8") -> list[str]:
    """The lines of the live screen as they arrive at a terminal of that width and encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    console = Console(file=stream, force_terminal=True, width=width, highlight=False, color_system=None)
    console.print(progress.screen(lanes, 4.0, 1000.0, console))
    stream.flush()
    return raw.getvalue().decode(encoding).splitlines()


def seen(lines: list[str]) -> str:
    """The words of a screen, wherever they were broken."""
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", [200, 100, 80])
def test_the_table_shows_each_endpoints_limit(width: int) -> None:
    """In flight and limit, by endpoint, also where they are above the limit since a cut, and beside a wait."""
    a, b = gate("a", in_flight=20, limit=16), gate("b", in_flight=0, limit=8, resume_at=1040.0)
    lines = shown([lane("sim-a", a), lane("sim-b", b)], width)
    assert "in flight" in lines[2]
    assert "a 20/16" in next(line for line in lines if "sim-a" in line)
    assert "b 0/8" in next(line for line in lines if "sim-b" in line)
    assert "waiting 40 s for b" in seen(lines)
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "ascii"])
@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_no_terminal_is_too_narrow_or_too_plain(width: int, encoding: str) -> None:
    """A vendor's Hangul takes two columns a syllable, and six as an escape where the terminal cannot print it: no line is
    ever wider than the terminal, and nothing that counts is left out."""
    waits = lane("sim-with-a-long-name", gate("deepseek", in_flight=3, limit=12, resume_at=1040.0))
    failed = lane("sim-b", gate("b", in_flight=1, limit=1), last_error="overload: 서버가 혼잡합니다 [/bold] 잠시 후")
    lines = shown([waits, failed], width, encoding)
    assert max(map(cell_len, lines)) <= width
    text = "".join("".join(lines).split()) if width < 40 else seen(lines)
    for part in ("sim-with-a-long-name", "12/40", "3/12", "1/1"):
        assert part in text
    whole = text.replace(" ", "").replace("│", "").replace("|", "")
    assert "waiting40sfordeepseek" in whole
    assert ("서버가혼잡" if encoding != "ascii" else r"\uc11c\ubc84\uac00") in whole


def test_the_plain_line_shows_the_limit_too() -> None:
    """Where nothing is live, each model's line says it."""
    text = progress.line(lane("sim-a", gate("deepseek", in_flight=7, limit=16, resume_at=1040.0)), 4.0, 1000.0)
    assert text == "sim-a 12/40 · 3.0/s · in flight at deepseek 7/16 · errors 0 · retries 0 · waiting 40 s for deepseek"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize("columns", [36, 110])
def test_a_live_run_shows_its_limit(tmp_path: Path, columns: int) -> None:
    """A real run on a real terminal without Hangul: what is held by the server is in flight, of so many."""
    import pty

    write_pack(tmp_path / "tasks" / "p", 9)
    with FakeServer(lambda _: Answer(held=True)) as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, concurrency=3)
        ours, theirs = pty.openpty()
        env = clean_env(COLUMNS=str(columns), PYTHONUTF8="0", PYTHONIOENCODING="ascii", TERM="xterm")
        process = start(
            "run", "--tasks", "p", "--run-id", "r", "--deadline", "20s", cwd=tmp_path, env=env, stderr=theirs
        )
        os.close(theirs)
        heard = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(ours, 4096):
                heard += piece
                if b"3/3" in heard and process.poll() is None:
                    server.let_go()
        process.communicate(timeout=30)
        os.close(ours)
    assert b"sim 3/3" in heard
    assert heard.isascii()
    assert b"Traceback" not in heard
    assert process.returncode == 0
