"""The gate: is tonight's run worse than the baseline? A verdict for every declared cell, one exit code for all.

A cell is a `regression` when its paired difference is significant after Holm (p < .05) *and* at least the minimum
effect; it is `inconclusive` when the two sides' coverage differs by more than a point, or nothing pairs: that is never
a pass. baselines.json, kept in git and moved by a reviewed commit, names the baseline by run id and SHA-256 of its
run.json, and holds what was acknowledged, with a reason and a last day.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

from lmmbench.analysis import compare as compares
from lmmbench.analysis import views
from lmmbench.analysis.compare import Row, Side
from lmmbench.canon import sha256
from lmmbench.doors import decode, read_yaml
from lmmbench.faults import UsageError
from lmmbench.files import write_atomically
from lmmbench.types import _STRICT

UNUSABLE = 6
"""Exit code: the baseline is not there, or is not what was recorded, or was asked differently."""
ALPHA = 0.05
MIN_EFFECT = 0.02
"""A drop smaller than two points is no regression, however certain."""
MAX_COVERAGE_GAP = 0.01
GATE_SCHEMA = 1
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Baseline:
    """One entry: the run's id and the SHA-256 of its run.json; since when, and why."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    run: str
    sha: str
    moved_on: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A known regression: it does not fail the gate up to and including the day `until` (YYYY-MM-DD, UTC)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    model: str
    cell: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class Baselines:
    """A whole baselines.json."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    version: int = 1
    baselines: dict[str, Baseline] = field(default_factory=dict)
    acknowledged: tuple[Acknowledged, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gate found: the rows of `compare` with a verdict each, and what it means for the exit code."""

    baseline: str
    candidate: str
    rows: list[Row]
    drift: list[str]
    notes: list[str]
    exit_code: int

    def of(self, verdict: str) -> list[Row]:
        return [r for r in self.rows if r.get("verdict") == verdict]

    @property
    def result(self) -> str:
        """The one line that says it all."""
        counts = {v: len(self.of(v)) for v in VERDICTS}
        said = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
        return f"RESULT: {RESULTS[self.exit_code]} ({said or 'nothing was tested'})  exit {self.exit_code}"


VERDICTS = ("regression", "acknowledged", "inconclusive", "ok", "better")
RESULTS = {0: "PASS", 1: "FAIL", 3: "INCONCLUSIVE", 4: "NO ANSWERS"}


# --- baselines.json ----------------------------------------------------------------------------------


def load_baselines(path: Path) -> Baselines:
    """An empty one where the file is not there yet. Raises UsageError for a wrong key, version, date or reason."""
    if not path.exists():
        return Baselines()
    data, lines = read_yaml(path)  # JSON is YAML, and so errors have a line
    found = decode(Baselines, data, path, lines)
    if found.version != 1:
        raise UsageError(f"{path}: version {found.version} is not known to this lmmbench; it reads version 1")
    for ack in found.acknowledged:
        if not ack.reason.strip():
            raise UsageError(f"{path}: the acknowledgement of {ack.model} in {ack.cell} gives no reason; add one")
        _day(ack.until, path)
    return found


def _day(text: str, path: Path) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{path}: {text!r} is no day; write until: YYYY-MM-DD") from None


def manifest_sha(folder: Path) -> str:
    """SHA-256 of a run's run.json, which holds the hashes of all its files. Raises UsageError when it is not published."""
    path = folder / "run.json"
    if not path.is_file():
        raise UsageError(f"{folder.name} is not published yet; finish it with: lmmbench run --resume {folder.name}")
    return sha256(path.read_bytes())


def entry_text(name: str, folder: Path) -> str:
    """What to put into baselines.json to make this run the baseline."""
    entry = {"run": folder.name, "sha": manifest_sha(folder), "moved_on": _today().isoformat(), "why": "…"}
    return json.dumps({name: entry}, ensure_ascii=False)


def check_files(folder: Path, exit_code: int = 2) -> None:
    """Raises UsageError when a file of a run is not the one that its run.json vouches for."""
    manifest_sha(folder)  # is published at all
    for name, sha in json.loads((folder / "run.json").read_bytes()).get("files", {}).items():
        path = folder / name
        if not path.is_file() or sha256(path.read_bytes()) != sha:
            raise UsageError(
                f"{folder.name}/{name} is not the file that its run.json vouches for; publish it anew with: "
                f"lmmbench score {folder.name}",
                exit_code=exit_code,
            )


def check_sha(entry: Baseline, folder: Path, path: Path) -> None:
    """Raises UsageError (6) when the baseline's run is not the one that was recorded."""
    if manifest_sha(folder) != entry.sha:
        raise UsageError(
            f"the run {folder.name} is not the one that {path} records (its run.json has another hash); restore it, or "
            "move the baseline by a reviewed commit",
            exit_code=UNUSABLE,
        )


# --- verdicts ----------------------------------------------------------------------------------------


def judge(
    sides: list[tuple[Side, Side]],
    *,
    cells: tuple[str, ...] = (),
    min_effect: float = MIN_EFFECT,
    acknowledged: tuple[Acknowledged, ...] = (),
    absent: list[Row] | None = None,
    today: date | None = None,
) -> Outcome:
    """Compare baseline (a) and candidate (b) and give each tested cell its verdict; `absent`: rows of what the candidate
    lacks. Raises NotComparable."""
    rows = compares.compare(sides, cells) + (absent or [])
    notes = []
    for row in rows:
        if row["tested"]:
            row["verdict"], note = _verdict(row, min_effect, acknowledged, today or _today())
            notes += [note] if note else []
    drift = [sentence for a, b in sides for sentence in compares.drift(a, b)]
    baseline, candidate = sides[0][0].folder.name, sides[0][1].folder.name
    return Outcome(baseline, candidate, rows, drift, notes, _exit_code(rows))


def _verdict(row: Row, min_effect: float, acknowledged: tuple[Acknowledged, ...], today: date) -> tuple[str, str]:
    """(verdict, a sentence about it or "")."""
    sure = row["p_adj"] is not None and row["p_adj"] < ALPHA
    if sure and row["diff"] <= -min_effect + _ROUNDING:
        return _acknowledged(row, acknowledged, today)
    a, b = row["coverage_a"], row["coverage_b"]
    if a is None or b is None or not row["n_paired"]:
        return "inconclusive", f"{compares.who(row)} {row['cell']}: nothing pairs"
    if abs(a - b) > MAX_COVERAGE_GAP + _ROUNDING:
        return "inconclusive", f"{compares.who(row)} {row['cell']}: coverage {100 * a:.1f} % and {100 * b:.1f} %"
    return ("better" if sure and row["diff"] >= min_effect - _ROUNDING else "ok"), ""


def _acknowledged(row: Row, acknowledged: tuple[Acknowledged, ...], today: date) -> tuple[str, str]:
    for ack in acknowledged:
        if (ack.model, ack.cell) == (row["model_b"], row["cell"]):
            if date.fromisoformat(ack.until) >= today:
                return "acknowledged", f"{ack.model} {ack.cell}: acknowledged until {ack.until}: {ack.reason}"
            return "regression", f"{ack.model} {ack.cell}: its acknowledgement ended on {ack.until} ({ack.reason})"
    return "regression", ""


def _exit_code(rows: list[Row]) -> int:
    """1 a regression; 4 the candidate has no scored answer at all; 3 something could not be decided; 0 else."""
    tested = [r for r in rows if r["tested"]]
    if any(r["verdict"] == "regression" for r in tested):
        return 1
    if not any(r["coverage_b"] for r in tested):
        return 4
    return 3 if any(r["verdict"] == "inconclusive" for r in tested) else 0


def _today() -> date:
    return datetime.now(UTC).date()


# --- how it is said ----------------------------------------------------------------------------------


def markdown(outcome: Outcome, title: str) -> str:
    """All that the gate says as Markdown, `title` over its table: a step summary, or what a script posts."""
    heading = [
        f"## lmmbench gate: {outcome.candidate} against {outcome.baseline}",
        *(f"**drift**: {d}" for d in outcome.drift), title,
    ]  # fmt: skip
    table = views.markdown([compares.sheet(outcome.rows)], "\n\n".join(heading))
    return "\n\n".join([table, *outcome.notes, outcome.result])


def save(outcome: Outcome, folder: Path) -> Path:
    """gate.json in the candidate's folder."""
    data = {
        "schema": GATE_SCHEMA, "baseline": outcome.baseline, "candidate": outcome.candidate,
        "exit_code": outcome.exit_code, "result": outcome.result, "drift": outcome.drift, "notes": outcome.notes,
        "rows": outcome.rows,
    }  # fmt: skip
    path = folder / "gate.json"
    write_atomically(path, json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n")
    return path
