"""What a CI system reads: JUnit XML, GitHub's step summary and annotations. A run's own words are escaped, since a
model's answer or a server's message must never become a command of the workflow.

Sources: GitHub's documentation of workflow commands (escaping, ten annotations of a kind a step, a summary of at most
1 MiB, over which the whole of it is dropped) and the JUnit XML schema that GitHub, GitLab and Jenkins read.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lmmbench.analysis import compare as compares
from lmmbench.analysis import evidence, profile, sealed, views
from lmmbench.analysis.compare import Row
from lmmbench.files import write_atomically
from lmmbench.gate import Outcome, markdown
from lmmbench.secret import redacted
from lmmbench.terminal import visible

SUMMARY_LIMIT = 1_000_000
"""Bytes of a step summary, below GitHub's 1 MiB."""
ANNOTATIONS = 10
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of JUnit: `failure` is a finding, `error` the infrastructure's, `skipped` what could not be decided."""

    suite: str
    name: str
    state: Literal["passed", "failure", "error", "skipped"]
    message: str = ""


def junit(cases: Sequence[Case]) -> bytes:
    """The cases as JUnit XML, a test suite for each model."""
    root = ET.Element("testsuites", name="lmmbench")
    for suite in dict.fromkeys(c.suite for c in cases):
        inside = [c for c in cases if c.suite == suite]
        counts = {s: sum(c.state == s for c in inside) for s in ("failure", "error", "skipped")}
        node = ET.SubElement(
            root, "testsuite", name=_clean(suite), tests=str(len(inside)), failures=str(counts["failure"]),
            errors=str(counts["error"]), skipped=str(counts["skipped"]),
        )  # fmt: skip
        for case in inside:
            one = ET.SubElement(node, "testcase", classname=_clean(suite), name=_clean(case.name))
            if case.state != "passed":
                ET.SubElement(one, case.state, message=_clean(case.message))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def write_junit(folder: Path, cases: Sequence[Case], name: str = "junit.xml") -> Path:
    path = folder / name
    write_atomically(path, junit(cases))
    return path


def write_summary(markdown: str, env: Mapping[str, str] = os.environ) -> None:
    """Append to the step's summary, where there is one, whole lines within the limit."""
    target = env.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    path = Path(target)
    room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
    with path.open("ab") as f:
        f.write(fitted(redacted(markdown), room))


def fitted(markdown: str, room: int) -> bytes:
    """The first lines that fit into `room` bytes, with a last one that says that more was cut."""
    data = markdown.encode("utf-8", "replace") + b"\n"
    if len(data) <= room:
        return data
    last = "\n\n… cut here: the rest is in the run's files\n".encode()
    if room < len(last):
        return b""
    kept = data[: room - len(last)]
    return kept[: kept.rfind(b"\n") + 1] + last


def commands(errors: Iterable[str], warnings: Iterable[str] = ()) -> list[str]:
    """Workflow commands, errors first, at most ANNOTATIONS in all; the last one says how many more there were."""
    said = [*(("error", text) for text in errors), *(("warning", text) for text in warnings)]
    if len(said) > ANNOTATIONS:
        left = len(said) - ANNOTATIONS + 1
        said = [*said[: ANNOTATIONS - 1], (said[ANNOTATIONS - 1][0], f"and {left} more")]
    return [f"::{kind} title=lmmbench::{_escaped(text)}" for kind, text in said]


def _escaped(message: str) -> str:
    """A message cannot end its command or begin another."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


# --- what a run and a gate say ------------------------------------------------------------------------


def run(
    cells: Sequence[Row],
    manifest: Mapping[str, Any],
    floor: float,
    folder: Path,
    say: Callable[[str], None],
    warnings: Iterable[str] = (),
) -> None:
    """junit.xml, step summary and annotations of a run: a case for each model and pack; coverage below the floor is an
    error of the infrastructure, never a finding about the model. The run's own warnings and alarms are annotated too: a
    finish word that no table has changes no exit code, and is not to be missed."""
    cases = [_coverage_case(c, floor) for c in cells if c["kind"] == "pack"]
    write_junit(folder, cases)
    title = views.title("en", bool(manifest["simulated"]))
    sheets = [*views.models(cells, "en"), *profile.sheets(cells, "en"), *sealed.sheets(sealed.gaps([folder]), "en")]
    shown = views.markdown(sheets, f"## lmmbench run {folder.name}\n\n{title}")
    write_summary("\n".join([shown, *evidence.lines([folder], "en")]))
    uncovered = [f"{c.suite} {c.name}: {c.message}" for c in cases if c.state == "error"]
    alarms = [f"{alarm['model']}: {alarm['text']}" for alarm in manifest["alarms"]]
    for line in commands((), [*uncovered, *map(visible, (*warnings, *alarms))]):
        say(line)


def _coverage_case(cell: Row, floor: float) -> Case:
    covered = cell["coverage"]
    if covered is None:
        return Case(cell["model"], cell["cell"], "skipped", "the model cannot take these questions")
    if covered < floor:
        return Case(cell["model"], cell["cell"], "error", f"coverage {100 * covered:.1f} % is below {100 * floor:g} %")
    return Case(cell["model"], cell["cell"], "passed")


_STATES: dict[str, Literal["passed", "failure", "error", "skipped"]] = {
    "regression": "failure", "inconclusive": "skipped"
}  # fmt: skip


def gate(outcome: Outcome, folder: Path, say: Callable[[str], None], title: str) -> None:
    """gate-junit.xml, step summary and annotations of a gate: a case for each tested cell; `title` stands over the table."""
    tested = [r for r in outcome.rows if r["tested"]]
    cases = [Case(compares.who(r), r["cell"], _STATES.get(r["verdict"], "passed"), _sentence(r)) for r in tested]
    write_junit(folder, cases, "gate-junit.xml")
    write_summary(markdown(outcome, title))
    regressions = (_sentence(r) for r in outcome.of("regression"))
    for line in commands(regressions, [*outcome.drift, *(_sentence(r) for r in outcome.of("inconclusive"))]):
        say(line)


def _sentence(row: Row) -> str:
    p = f", p {compares.p_text(row['p_adj'])}"
    return f"{compares.who(row)} {row['cell']}: {row['verdict']} {compares.difference_text(row)} points on {row['n_paired']} items{p}"
