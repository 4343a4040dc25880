"""What articles claim of vendors and regions, and what a matrix says to it: supported, contradicted, inconclusive or not
measured, with the numbers. The claims and their rules are data (claims.yaml); nothing is supported that was not measured.

A rule gives each part of a claim (a cell, a pack, a quantity) a verdict for each model of the family:
  strength  supported: labelled `strength`; contradicted: `weakness`
  general   supported: labelled `strength` or `even`, at or above the mean of the others, and the interval of the
            difference above -5 points; contradicted: `weakness`. One weakness contradicts the claim
  region    domestic mean less overseas mean of the field on its common items: supported where it is at least 5 points in
            the claimed direction with adjusted p < .05; contradicted where it is so in the other
  quantity  the logarithm of a column against the mean of the others on the same items: the same with a ratio of 1.05
  hard      supported: the mean's interval reaches down to chance, or lies below those of all `others` (as shares of the way
            from chance to full marks, since their metrics differ: only the order is read); contradicted: it lies above them
Anything else that was measured is inconclusive; so is a region or a quantity on fewer than 80 items or 40 clusters, or where
a cell of the field is thin or saturated. All region and quantity tests are one family of Holm's.

Parts are put together: all supported is supported; one contradicted and none supported is contradicted; none measured is
not measured; all else is inconclusive. Models of one family: one supported and none contradicted is supported, and
the reverse. Reference models are evidence for nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from lmmbench import stats
from lmmbench.analysis import matrix
from lmmbench.analysis import rows as published
from lmmbench.analysis.field import (
    ALPHA,
    MARGIN,
    MIN_CLUSTERS,
    MIN_COVERAGE,
    MIN_MODELS,
    MIN_SCORED,
    REGIONS,
    Cell,
    common,
    in_field,
    is_simulated,
)
from lmmbench.analysis.rows import Part, Runs
from lmmbench.analysis.views import Sheet
from lmmbench.analysis.words import WORDS
from lmmbench.doors import decode, read_yaml
from lmmbench.faults import UsageError
from lmmbench.net.hosts import is_loopback
from lmmbench.types import _STRICT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATIO = math.log(1.05)
"""The smallest ratio of a quantity that is worth a word."""
SHOWN = 6
"""Findings of a claim that a table shows; JSON holds all."""

Verdict = Literal["supported", "contradicted", "inconclusive", "not measured"]


# --- the book of claims -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """A row of the articles. `families`: the `family` of the models that are evidence for it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    name: str
    vendor: str
    region: Literal["overseas", "domestic"]
    families: tuple[str, ...]

    def holds(self, cell: Cell) -> bool:
        """Whether a row of the matrix is this family's."""
        known = {name.casefold() for name in self.families}
        return cell["region"] in REGIONS and str(cell["family"]).casefold() in known


@dataclass(frozen=True, slots=True)
class Rule:
    """How a claim is tested; what each kind reads is said in claims.yaml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    kind: Literal["strength", "general", "region", "quantity", "hard", "none"]
    cells: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    columns: tuple[Literal["hangul_per_token", "latency_s", "ttft_s"], ...] = ()
    domestic: Literal["ahead", "behind"] = "ahead"
    better: Literal["higher", "lower"] = "higher"
    local: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim in our own words. `about`: a family's name, a region, or `all`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    id: str
    about: str
    ko: str
    en: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Book:
    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    version: int
    families: tuple[Family, ...]
    claims: tuple[Claim, ...]


@cache
def book() -> Book:
    """The families and claims that lmmbench ships."""
    path = Path(__file__).with_name("claims.yaml")
    data, lines = read_yaml(path)
    return decode(Book, data, path, lines)


# --- what is found ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a claim met. `of`: a model, or `domestic_less_overseas`; `part`: a cell or a column.

    `value` with `low` and `high` (95 %) is a difference in scores (`difference`), a ratio (`ratio`), a mean (`mean`) or an
    amount in the column's unit (`amount`), null where nothing was measured. `n` counts scored answers of a label, else items."""

    verdict: Verdict
    of: str
    part: str
    unit: Literal["difference", "ratio", "mean", "amount"]
    label: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_adj: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A claim with its verdict and what it rests on."""

    claim: Claim
    verdict: Verdict
    findings: tuple[Finding, ...]
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Contrast:
    """A paired difference that no cell of the matrix holds. `sound`: whether it may carry a verdict."""

    of: str
    part: str
    problem: stats.Paired
    column: int
    sound: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What claims are judged by: the cells, what guessing earns in each, the models that this machine served, and the
    findings of the tests, by (part, of), before a claim says which direction supports it."""

    cells: Sequence[Cell]
    chance: dict[str, float]
    local: frozenset[tuple[str, str]]
    tested: dict[tuple[str, str], tuple[Finding, bool]]

    def at(self, name: str) -> list[Cell]:
        """Cells of that name, models that are evidence only."""
        return [c for c in self.cells if c["cell"] == name and c["region"] in REGIONS]


def answers(folders: Sequence[Path]) -> list[Answer]:
    """Every claim judged by one or more published runs. Raises UsageError when the runs are not one field."""
    cells, apart = matrix.together(folders)
    if apart:
        raise UsageError(f"claims need one field, and {apart}; give the runs one at a time")
    runs = published.load(folders)
    local = frozenset(found for folder in folders for found in _served_here(folder))
    evidence = Evidence(cells, _chance(runs), local, _tested(runs, cells, book()))
    return [_answer(claim, evidence) for claim in book().claims]


def _answer(claim: Claim, evidence: Evidence) -> Answer:
    verdict, findings = _KINDS[claim.rule.kind](claim, evidence)
    simulated = verdict != "not measured" and any(is_simulated(c) for c in evidence.cells)
    return Answer(claim, verdict, tuple(findings), simulated)


def together(verdicts: Sequence[Verdict], strict: bool = False) -> Verdict:
    """The verdict of all parts of a claim. `strict`: one that contradicts is enough."""
    found = set(verdicts) - {"not measured"}
    if not found:
        return "not measured"
    if "contradicted" in found and (strict or "supported" not in found):
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "inconclusive"


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of the models of one family: what one shows and none denies."""
    found = set(verdicts) - {"not measured"}
    if not found:
        return "not measured"
    clear = found & {"supported", "contradicted"}
    return clear.pop() if len(clear) == 1 else "inconclusive"


# --- kinds of claims ----------------------------------------------------------------------------------

_Judged = tuple[Verdict, list[Finding]]


def _strength(claim: Claim, evidence: Evidence) -> _Judged:
    return _by_model(claim, evidence, claim.rule.cells, _labelled, strict=False)


def _general(claim: Claim, evidence: Evidence) -> _Judged:
    return _by_model(claim, evidence, claim.rule.packs, _not_behind, strict=True)


def _by_model(
    claim: Claim, evidence: Evidence, parts: Sequence[str], judge: Callable[[Cell], Verdict], *, strict: bool
) -> _Judged:
    """Each of the family's models in each part, the parts of a model together, then the models."""
    family = next(f for f in book().families if f.name == claim.about)
    cells = [c for part in parts for c in evidence.at(part) if family.holds(c)]
    if claim.rule.local:
        cells = [c for c in cells if (c["run_id"], c["model"]) in evidence.local]
    models: list[list[Finding]] = []
    for model in dict.fromkeys(c["model"] for c in cells):
        mine = {c["cell"]: c for c in cells if c["model"] == model}
        models.append([_of_cell(mine[p], judge(mine[p])) if p in mine else _missing(model, p) for p in parts])
        models[-1] += [_speed(model, list(mine.values()))] if claim.rule.local else []
    verdict = any_of([together([f.verdict for f in found], strict) for found in models])
    return verdict, [f for found in models for f in found] or [_missing(claim.about, p) for p in parts]


def _labelled(cell: Cell) -> Verdict:
    if cell["mean"] is None:
        return "not measured"
    known: dict[str, Verdict] = {"strength": "supported", "weakness": "contradicted"}
    return known.get(cell["label"], "inconclusive")


def _not_behind(cell: Cell) -> Verdict:
    if cell["mean"] is None:
        return "not measured"
    if cell["label"] == "weakness":
        return "contradicted"
    told = cell["label"] in ("strength", "even")
    return "supported" if told and cell["diff"] >= 0 and cell["diff_low"] > -MARGIN else "inconclusive"


def _region(claim: Claim, evidence: Evidence) -> _Judged:
    sign = 1 if claim.rule.domestic == "ahead" else -1
    found = [_directed(evidence, part, "domestic_less_overseas", sign) for part in claim.rule.cells]
    return together([f.verdict for f in found]), found


def _quantity(claim: Claim, evidence: Evidence) -> _Judged:
    family = next(f for f in book().families if f.name == claim.about)
    models = list(dict.fromkeys(c["model"] for c in evidence.cells if family.holds(c)))
    sign = 1 if claim.rule.better == "higher" else -1
    found = [[_directed(evidence, column, model, sign) for column in claim.rule.columns] for model in models]
    verdict = any_of([together([f.verdict for f in each]) for each in found])
    return verdict, [f for each in found for f in each] or [_missing(claim.about, c) for c in claim.rule.columns]


def _directed(evidence: Evidence, part: str, of: str, sign: int) -> Finding:
    """A test's finding, with the verdict that a claimed direction gives it."""
    from dataclasses import replace

    if (part, of) not in evidence.tested:
        return _missing(of, part)
    found, sound = evidence.tested[part, of]
    assert found.value is not None and found.p_adj is not None  # noqa: S101 (a test has both)
    size, least = (math.log(found.value), RATIO) if found.unit == "ratio" else (found.value, MARGIN)
    if not sound or found.p_adj >= ALPHA or abs(size) < least:
        return found
    return replace(found, verdict="supported" if size * sign > 0 else "contradicted")


def _hard(claim: Claim, evidence: Evidence) -> _Judged:
    found = [
        _of_mean(cell, _hardness(cell, evidence, claim.rule.others))
        for part in claim.rule.cells
        for cell in evidence.at(part)
        if in_field(cell)
    ]
    seen = {f.part for f in found}
    found += [_missing("all", part) for part in claim.rule.cells if part not in seen]
    return together([f.verdict for f in found]), found


def _hardness(cell: Cell, evidence: Evidence, others: Sequence[str]) -> Verdict:
    if cell["n_scored"] < MIN_SCORED or cell["clusters"] < MIN_CLUSTERS:
        return "inconclusive"
    if cell["ci_low"] <= evidence.chance[cell["cell"]]:
        return "supported"
    mine = (cell["run_id"], cell["model"])
    there = [c for name in others for c in evidence.at(name) if (c["run_id"], c["model"]) == mine and in_field(c)]
    low, high = (_above_chance(cell[end], cell, evidence) for end in ("ci_low", "ci_high"))
    if there and all(high < _above_chance(c["ci_low"], c, evidence) for c in there):
        return "supported"
    above = there and all(low > _above_chance(c["ci_high"], c, evidence) for c in there)
    return "contradicted" if above else "inconclusive"


def _above_chance(score: float, cell: Cell, evidence: Evidence) -> float:
    """A score as a share of the way from chance to full marks."""
    chance = evidence.chance[cell["cell"]]
    return (score - chance) / (1 - chance)


def _none(claim: Claim, evidence: Evidence) -> _Judged:
    return "not measured", []


_KINDS: dict[str, Callable[[Claim, Evidence], _Judged]] = {
    "strength": _strength, "general": _general, "region": _region, "quantity": _quantity, "hard": _hard, "none": _none,
}  # fmt: skip


# --- findings -----------------------------------------------------------------------------------------


def _of_cell(cell: Cell, verdict: Verdict) -> Finding:
    low, high = cell["diff_low"], cell["diff_high"]
    return Finding(
        verdict, cell["model"], cell["cell"], "difference", cell["label"], cell["diff"], low, high, cell["p_adj"], cell["n_scored"]
    )  # fmt: skip


def _of_mean(cell: Cell, verdict: Verdict) -> Finding:
    return Finding(
        verdict, cell["model"], cell["cell"], "mean", None, cell["mean"], cell["ci_low"], cell["ci_high"], None, cell["n_scored"]
    )  # fmt: skip


def _speed(model: str, cells: Sequence[Cell]) -> Finding:
    """What this machine's own server made of it. The number is shown and decides nothing: nobody has said how much compute
    is little."""
    speeds = [c["tokens_per_s"] for c in cells if c["tokens_per_s"] is not None]
    if not speeds:
        return _missing(model, "tokens_per_s")
    return Finding(
        "inconclusive", model, "tokens_per_s", "amount", value=median(speeds), n=sum(c["n_scored"] for c in cells)
    )


def _missing(of: str, part: str) -> Finding:
    return Finding("not measured", of, part, "difference")


def _served_here(folder: Path) -> Iterator[tuple[str, str]]:
    """(run, model) of the models that a server on this machine served."""
    plan = published.planned(folder)
    for model, planned in plan["models"].items():
        host = urlsplit(planned.get("endpoint", {}).get("base_url", "")).hostname
        if host and is_loopback(host):
            yield plan["run_id"], model


def _chance(runs: Runs) -> dict[str, float]:
    return {part.name: float(runs.items.chance[part.items].mean()) for part in runs.items.parts()}


# --- tests of their own -------------------------------------------------------------------------------


def _tested(runs: Runs, cells: Sequence[Cell], told: Book) -> dict[tuple[str, str], tuple[Finding, bool]]:
    """The findings of all tests that the claims name, as one family."""
    import numpy as np

    regions = dict.fromkeys(part for c in told.claims if c.rule.kind == "region" for part in c.rule.cells)
    columns: dict[str, list[Family]] = {}
    for claim in told.claims:
        for column in claim.rule.columns:
            columns.setdefault(column, []).extend(f for f in told.families if f.name == claim.about)
    tests = [t for part in runs.items.parts() if part.name in regions for t in _contrast(runs, cells, part)]
    tests += [t for column, families in columns.items() for t in _against(runs, column, families)]
    if not tests:
        return {}
    found = stats.differences([t.problem for t in tests])
    adjusted = stats.holm(np.array([d.p[t.column] for t, d in zip(tests, found, strict=True)]))
    return {
        (t.part, t.of): _tested_one(t, d, float(p)) for t, d, p in zip(tests, found, adjusted, strict=True)
    }  # fmt: skip


def _tested_one(test: Contrast, found: stats.Difference, p_adj: float) -> tuple[Finding, bool]:
    unit: Literal["difference", "ratio"] = "difference" if test.of == "domestic_less_overseas" else "ratio"
    ends = [float(x[test.column]) for x in (found.diff, found.low, found.high)]
    value, low, high = (math.exp(x) for x in ends) if unit == "ratio" else ends
    known = found.clusters > 1
    finding = Finding("inconclusive", test.of, test.part, unit, None, value, low if known else None, high if known else None, p_adj, found.n)  # fmt: skip
    return finding, test.sound and found.n >= MIN_SCORED and found.clusters >= MIN_CLUSTERS


def _contrast(runs: Runs, cells: Sequence[Cell], part: Part) -> Iterator[Contrast]:
    """Domestic mean less overseas mean on the items that the whole field of a cell has scored."""
    import numpy as np

    field = [c for c in cells if c["kind"] == part.kind and c["cell"] == part.name and in_field(c)]
    means = {(r.who["run_id"], r.who["model"]): r.means() for r in runs.rows}
    domestic = np.array([c["region"] == "domestic" for c in field], dtype=bool)
    if len(field) < MIN_MODELS or domestic.all() or not domestic.any():
        return
    scores = np.stack([means[c["run_id"], c["model"]] for c in field])
    shared = common(part, scores)
    if len(shared):
        whole = stats.millionths(scores[:, shared])
        here, abroad = int(domestic.sum()), int((~domestic).sum())
        values = abroad * whole[domestic].sum(axis=0) - here * whole[~domestic].sum(axis=0)
        sound = not any(c["label"] in ("thin", "saturated") for c in field)
        problem = stats.Paired(values[:, None], runs.items.cluster[shared], here * abroad * stats.UNIT)
        yield Contrast("domestic_less_overseas", part.name, problem, 0, sound)


def _against(runs: Runs, column: str, families: Sequence[Family]) -> Iterator[Contrast]:
    """The logarithm of a column, each of the families' models against the mean of the others on all items in common."""
    import numpy as np

    rows = [r for r in runs.rows if r.who["region"] in REGIONS]
    if len(rows) < MIN_MODELS:
        return
    values = np.array([_logarithm(runs, r, column) for r in rows]).reshape(len(rows), -1)
    asked = [np.unique(r.item[runs.items.hangul[r.item] > 0]) for r in rows]
    field = [
        n for n in range(len(rows)) if np.isfinite(values[n][asked[n]]).sum() >= MIN_COVERAGE * max(1, len(asked[n]))
    ]
    if len(field) < MIN_MODELS:
        return
    shared = np.flatnonzero(~np.isnan(values[field]).any(axis=0))
    if not len(shared):
        return
    differences, unit = stats.against_others(values[field][:, shared])
    problem = stats.Paired(differences, runs.items.cluster[shared], unit)
    for at, n in enumerate(field):
        if any(family.holds(rows[n].who) for family in families):
            yield Contrast(rows[n].who["model"], column, problem, at, True)


def _logarithm(runs: Runs, rows: published.Rows, column: str) -> NDArray[np.float64]:
    """ln of a quantity for each item, nan where it is not known: syllables per input token, or seconds."""
    import numpy as np

    ratio = column == "hangul_per_token"
    amount = rows.means("input_tokens" if ratio else column)
    known = (amount > 0) & (runs.items.hangul > 0)
    value = np.full(len(known), np.nan)
    value[known] = np.log((runs.items.hangul[known] / amount[known]) if ratio else amount[known])
    return value


# --- how they are shown -------------------------------------------------------------------------------


def data(found: Sequence[Answer]) -> list[dict[str, Any]]:
    """Claims, verdicts and findings as plain data."""
    return [
        {"id": a.claim.id, "about": a.claim.about, "ko": a.claim.ko, "en": a.claim.en, "rule": a.claim.rule.kind,
         "verdict": a.verdict, "simulated": a.simulated, "findings": [asdict(f) for f in a.findings]}
        for a in found
    ]  # fmt: skip


def sheets(found: Sequence[Answer], lang: str) -> list[Sheet]:
    """One row a claim: what it says, of whom, the verdict, and the numbers."""
    words = WORDS[lang]
    header = [words[key] for key in ("claim", "about", "verdict", "numbers")]
    rows = [
        [getattr(a.claim, lang), words.get(a.claim.about, a.claim.about), words[a.verdict] + f"\n{words['simulated']}" * a.simulated, _numbers(a, lang)] for a in found
    ]  # fmt: skip
    return [Sheet(header, rows, prose=True)]


def _numbers(answer: Answer, lang: str) -> str:
    if answer.claim.rule.kind == "none":
        return WORDS[lang]["untestable"]
    lines = [text(f, lang) for f in answer.findings[:SHOWN]]
    left = len(answer.findings) - SHOWN
    return "\n".join([*lines, WORDS[lang]["more"].format(n=left)] if left > 0 else lines)


def text(finding: Finding, lang: str) -> str:
    """A finding in one line: `sim-a korean-dialect strength +8.1 [3.0,13.2] p=.003 n=120`."""
    words = WORDS[lang]
    said = [words.get(finding.of, finding.of), finding.part]
    if finding.verdict == "not measured" or finding.value is None:
        return " ".join([*said, words["not_measured"] if finding.verdict == "not measured" else words["no_label"]])
    said += [words[finding.label]] if finding.label else []
    form = {"difference": "{:+.1f}", "mean": "{:.1f}", "ratio": "×{:.2f}", "amount": "{:.3g}"}[finding.unit]
    scale = 100 if finding.unit in ("difference", "mean") else 1
    said.append(form.format(scale * finding.value))
    if finding.low is not None and finding.high is not None:
        ends = (form.format(scale * end).replace("×", "") for end in (finding.low, finding.high))
        said.append(f"[{','.join(ends)}]")
    said += [f"p{probability(finding.p_adj)}"] if finding.p_adj is not None else []
    return " ".join([*said, f"n={finding.n}"])


def probability(p: float) -> str:
    """An adjusted p value in three digits, with its sign: `=.012`, `<.001`."""
    return "<.001" if p < 0.001 else "=" + (f"{p:.3f}".lstrip("0") if p < 1 else "1")
