"""notebooks/analysis.ipynb, run in a kernel of its own over nights that are made here."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lmmbench.analysis import fonts
from tests import kit, nights

MISSING = [name for name in ("nbclient", "ipykernel", "matplotlib") if find_spec(name) is None]
needs_notebook = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true",
    reason=f"{' and '.join(MISSING)} not installed; run: pip install -c constraints.txt -e '.[notebook]'",
)
NOTEBOOK = kit.ROOT / "notebooks" / "analysis.ipynb"

GUARD = """
import os, sys

def guard(event, args):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    host = args[0] if event == "socket.getaddrinfo" else args[1][0] if isinstance(args[1], tuple) else "127.0.0.1"
    if host not in ("127.0.0.1", "::1", "localhost", "", None):
        with open(os.environ["GUARD_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{event} {host}\\n")
        raise OSError(f"the test allows no network: {host}")

sys.addaudithook(guard)
"""
"""Python's own start-up file: whatever asks for an address beyond this machine is refused and noted."""


def guarded(folder: Path) -> dict[str, str]:
    """An environment in which Python reaches no network, and Jupyter and IPython nothing of the user's."""
    (folder / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    return kit.clean_env(
        PYTHONPATH=os.pathsep.join((str(folder), str(kit.ROOT))), GUARD_LOG=str(folder / "asked.log"),
        IPYTHONDIR=str(folder / "ipython"), LMMBENCH_RESULTS=str(folder / "results"), MPLBACKEND="",
    )  # fmt: skip


@dataclass(frozen=True)
class Done:
    """A notebook after its last cell, by the ids of its cells, and the folder that it was run over."""

    outputs: dict[str, list[Any]]
    folder: Path

    def printed(self, cell: str, stream: str = "stdout") -> str:
        return "".join(o["text"] for o in self.outputs[cell] if o["output_type"] == "stream" and o["name"] == stream)

    def shown(self, kind: str, cell: str) -> list[str]:
        """What a cell displays as `kind`, such as text/plain or image/png."""
        return [o["data"][kind] for o in self.outputs[cell] if kind in o.get("data", {})]


def execute(folder: Path, run: str = "latest") -> Done:
    """Run every cell over folder/results; a cell that raises fails the test."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    asyncio.run(client.async_execute(env=guarded(folder) | {"LMMBENCH_RUN": run}))
    return Done({c["id"]: c.get("outputs", []) for c in notebook.cells}, folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Three nights, then the notebook over the last one."""
    folder = tmp_path_factory.mktemp("nights")
    nights.make(folder)
    yield execute(folder)


@needs_notebook
def test_every_cell_runs_and_none_complains(done: Done) -> None:
    """No cell raises (the client would); nothing is on stderr but the one warning where no font has Hangul: above all
    no glyph is missing."""
    said = "".join(done.printed(cell, "stderr") for cell in done.outputs)
    assert said == "" or (fonts.MISSING in said and "Glyph" not in said)


@needs_notebook
def test_no_cell_asks_the_network(done: Done) -> None:
    """A notebook reads files. The guard is seen to work: the same environment refuses an address and notes it."""
    log = done.folder / "asked.log"
    assert not log.exists()
    there = [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"]
    tried = subprocess.run(there, env=guarded(done.folder), capture_output=True, text=True, check=False)
    assert "the test allows no network: 192.0.2.1" in tried.stderr
    assert "192.0.2.1" in log.read_text(encoding="utf-8")


@needs_notebook
def test_every_section_shows_what_it_says(done: Done) -> None:
    """A heat map for the packs and for each pack's strata; differences of models and of nights; cost and trend for each
    pack: as pictures of a real size."""
    for cell, pictures in {"heat-map": 3, "two-models": 1, "two-nights": 1, "cost": 2, "trend-plot": 2}.items():
        found = [base64.b64decode(data) for data in done.shown("image/png", cell)]
        assert len(found) == pictures, cell
        for png in found:
            width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
            assert png.startswith(b"\x89PNG")
            assert min(width, height) > 200 and len(png) > 10_000


@needs_notebook
def test_tables_hold_what_the_run_holds(done: Done) -> None:
    """The real reference models and the made-up ones; failures with their kind; the served model that changed."""
    asked = "".join(done.shown("text/plain", "load"))
    models = [*nights.ROWS, *(nights.EMBEDDED if nights.SMOLLM2 else ())]
    assert all(model in asked for model in models)
    assert "request" in "".join(done.shown("text/html", "failures"))
    statuses = "".join(done.shown("text/html", "statuses"))
    assert all(f"<th>{status}</th>" in statuses for status in ("error", "refused", "truncated", "unsupported"))
    assert "sim-b-2" in "".join(done.shown("text/html", "served"))


@needs_notebook
def test_the_worst_items_stand_with_question_answer_and_what_was_read(done: Done) -> None:
    """For each, the question as it was asked, the right answer, and every model's answer with what was parsed."""
    rows = [r for r in kit.rows_of(done.folder / "results" / "night-3") if not r["model"].startswith("baseline")]
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row["score"] is not None:
            scores.setdefault(row["item_id"], []).append(row["score"])
    lowest = min(scores, key=lambda i: sum(scores[i]) / len(scores[i]))
    headings = done.shown("text/markdown", "worst-items")
    assert len(headings) == 3
    assert any(lowest in heading for heading in headings)
    questions = done.printed("worst-items")
    assert questions.count("→") == 3
    (table, *_) = done.shown("text/html", "worst-items")
    assert all(f"<th>{column}</th>" in table for column in ("answer", "parsed", "parse_status", "score"))


@needs_notebook
def test_simulated_is_said_over_everything(done: Done) -> None:
    """Each table's title says so; each plot's title is made by the same function."""
    titles = [t for cell in done.outputs for t in done.shown("text/markdown", cell)]
    assert len(titles) >= 9
    assert all(title.startswith("**SIMULATED") for title in titles)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    source = "".join("".join("".join(c["source"]) for c in cells).split())
    assert source.count(".set_title(marked(") == source.count("title(") == 4


def test_it_is_committed_without_outputs() -> None:
    """No number, and so none under a vendor's name, stands in the notebook; each cell is small and has a name."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert [c["id"] for c in code if c["outputs"] or c["execution_count"] is not None] == []
    assert [c["id"] for c in code if len(c["source"]) > 40] == []
    assert len({c["id"] for c in cells}) == len(cells)
    (parameters,) = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert "LMMBENCH_RUN" in "".join(parameters["source"])
