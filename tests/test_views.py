"""The views of a matrix: labels in words, speed and cost, the article's table, and the claims with their verdicts. All
models here are made up."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from lmmbench import cli, stats
from lmmbench.analysis import article, claims, matrix, profile, views
from lmmbench.analysis.field import LABELS, Cell
from lmmbench.analysis.words import WORDS
from tests import simulate
from tests.kit import ROOT
from tests.simulate import Model

PACKS = {"korean-dialect": {"jeju": 90}, "korean-slang": {"coinage": 90}, "translation": {"ko-en": 90}, "summarization": {"minutes": 90}}  # fmt: skip


def world(**changes: dict[str, Any]) -> dict[str, Model]:
    """Made-up models in the families of the articles: sim-e (HyperCLOVA X) knows dialect and slang, sim-d (LLaMA) does
    not, sim-c (Grok) is quick. `changes`: fields of some, by their letter."""
    far: dict[str, Any] = {"endpoint": "far", "ttft_s": 0.5}
    made: dict[str, dict[str, Any]] = {
        "a": far | {"family": "ChatGPT", "vendor": "OpenAI"},
        "b": far | {"family": "Gemini", "vendor": "Google"},
        "c": far | {"family": "Grok", "vendor": "xAI", "latency_s": 0.5, "ttft_s": 0.2},
        "d": {"family": "LLaMA", "vendor": "Meta", "ttft_s": 0.5, "gap": {"korean-dialect": -2.5}},
        "e": far | {"family": "HyperCLOVA X", "vendor": "Naver", "region": "domestic", "tokens": 0.6,
                    "gap": {"korean-dialect": 3.0, "korean-slang": 3.0}},
        "f": far | {"family": "Kanana", "vendor": "Kakao", "region": "domestic"},
    }  # fmt: skip
    return {f"sim-{k}": Model(**made[k] | changes.get(k, {})) for k in made}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six made-up models over four packs."""
    return simulate.run(tmp_path_factory.mktemp("world"), world(), PACKS)


def printed(sheets: list[views.Sheet], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, safe_box=True)
    for part in views.tables(sheets, width):
        console.print(part)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


# --- models -------------------------------------------------------------------------------------------


def test_every_label_has_a_word_in_every_language() -> None:
    """The words of the contract; both languages say the same things."""
    assert [WORDS["ko"][label] for label in LABELS] == ["강점", "과제", "대등", "포화", "표본 부족", "불분명"]
    assert [WORDS["en"][label] for label in LABELS] == list(LABELS)
    assert WORDS["en"].keys() == WORDS["ko"].keys()
    page = (ROOT / "lmmbench" / "analysis" / "report.js").read_text(encoding="utf-8")
    for label in LABELS:
        assert f'{label}: "{WORDS["ko"][label]}"' in page, "the report says the same"


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_labels_are_words_and_nothing_is_wider_than_the_terminal(run: Path, lang: str, width: int) -> None:
    """Every label stands in its cell as a word with its points, without any colour; the detectable difference below."""
    cells = matrix.read(run)
    text = printed(views.models(cells, lang), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for cell in cells:
        assert f"{WORDS[lang][cell['label']]} {100 * cell['diff']:+.1f}" in text
        assert f"[{100 * cell['diff_low']:+.1f},{100 * cell['diff_high']:+.1f}]" in text
    assert text.count(WORDS[lang]["detectable"].split("{")[0][:20]) == 1 + len(PACKS)
    assert "\x1b" not in text


def test_a_label_keeps_its_word_where_there_is_colour(run: Path) -> None:
    """On a terminal with colours the word is still there: colour is never the only carrier."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard", highlight=False)
    for part in views.tables(views.models(matrix.read(run), "ko"), 120):
        console.print(part)
    text = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert "\x1b[1;32m강점\x1b[0m" in text
    assert "\x1b[1;31m과제\x1b[0m" in text


def test_where_there_is_no_field_that_is_said(tmp_path: Path) -> None:
    """Two models have no label: the line under the table says what a field needs."""
    folder = simulate.run(tmp_path, {"sim-a": Model(), "sim-b": Model()}, {"mini": {"one": 90}})
    text = printed(views.models(matrix.read(folder), "en"), 120)
    assert WORDS["en"]["no_field"] in text
    assert not any(f"{label} " in text for label in ("strength", "unclear", "thin"))


def test_the_other_numbers_stand_in_a_table_of_their_own(run: Path) -> None:
    """For each pack: latency, tokens, cost, Hangul per token, refused, cut off, parsed; what is not known is a dash."""
    (sheet,) = [s for s in views.models(matrix.read(run), "en") if s.title.startswith("korean-slang")]
    assert [h.replace("\n", " ") for h in sheet.header[1:]] == ["latency p50 s", "latency p95 s", "output token/s", "US$ per 1,000", "Hangul per token", "refused %", "cut off %", "parsed %"]  # fmt: skip
    at = {row[0]: row[1:] for row in sheet.rows}
    assert float(at["sim-c"][0]) == pytest.approx(0.5, abs=0.1)
    assert at["sim-a"][3] == "–"
    assert at["sim-a"][4] == "1"
    assert float(at["sim-e"][4]) == pytest.approx(1 / 0.6, abs=0.15)
    assert at["sim-a"][5:] == ["0.0\n[0,5]", "0.0\n[0,5]", "100.0\n[95,100]"]
    assert max(map(cell_len, printed([sheet], 120).splitlines())) <= 100


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_rates_stand_with_wilson_s_interval_and_the_rest_with_the_reason_for_none(run: Path, lang: str) -> None:
    """Clusters are what is counted, bounds are widened to whole percents; the note says so once, under the last table."""
    cells = [c | {"refused_rate": 0.1, "clusters": 45} for c in matrix.read(run)]
    *first, last = [s for s in views.models(cells, lang) if s.title]
    assert {row[6] for sheet in (*first, last) for row in sheet.rows} == {"10.0\n[4,23]"}
    low, high = stats.wilson(4.5, 45)
    assert (math.floor(100 * low), math.ceil(100 * high)) == (4, 23)
    assert ({s.note for s in first}, last.note) == ({""}, WORDS[lang]["conduct_note"])
    none = [c | {"refused_rate": None} for c in cells]
    assert {row[6] for s in views.models(none, lang) if s.title for row in s.rows} == {"–"}


def test_at_tiny_sizes_the_detectable_difference_is_a_dash_with_the_reason(tmp_path: Path) -> None:
    """Three models on three items: not even 100 points would be found, and that is what is said."""
    folder = simulate.run(tmp_path, {f"sim-{k}": Model() for k in "abc"}, {"mini": {"one": 3}})
    text = printed(views.models(matrix.read(folder), "en"), 200)
    assert "mini – (–: so few clusters that not even 100 points would be)" in text
    assert "찾아낼 수 없음" in printed(views.models(matrix.read(folder), "ko"), 120)


# --- each model against itself ------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [80, 120])
def test_a_profile_says_where_a_model_is_otherwise_than_elsewhere(run: Path, lang: str, width: int) -> None:
    """sim-d is far behind in dialect, and so relatively better elsewhere without being strong there; what is said is the
    matrix's profile_diff with an interval, and stands in a table of its own."""
    cells = {(c["model"], c["cell"]): c for c in matrix.read(run)}
    said = {(x.cell["model"], x.cell["cell"]): x for x in profile.leanings(list(cells.values()))}
    assert said["sim-d", "korean-dialect"].diff < -0.3 and said["sim-d", "summarization"].diff > 0.1
    assert cells["sim-d", "summarization"]["label"] == "unclear"
    assert not [key for key in said if key[0] in ("sim-a", "sim-b", "sim-f")]
    for key, leaning in said.items():
        assert leaning.diff == cells[key]["profile_diff"]
        assert abs(leaning.diff) >= 0.05 and abs(leaning.diff) > 1.96 * leaning.error
    text = printed(profile.sheets(list(cells.values()), lang), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert WORDS[lang]["relatively_better"] in text and re.sub(r"\W", "", WORDS[lang]["profile_note"]) in re.sub(r"\W", "", text)  # fmt: skip


def test_a_profile_s_error_is_that_of_independent_packs() -> None:
    """By hand: of two packs half of each variance, a fourth in all; a stratum that is its whole pack has its pack's error, and
    a half of it that of d1 (1 - w/P) less its other half and the other pack."""

    def cell(name: str, error: float, n: int) -> Cell:
        kind = "stratum" if "/" in name else "pack"
        half = stats.Z95 * error * math.sqrt(0.99)  # as a bootstrap of 100 clusters has it
        return {"cell": name, "kind": kind, "n_scored": n, "clusters": 100, "diff_low": -half, "diff_high": half}

    packs = {"p": cell("p", 0.03, 100), "q": cell("q", 0.04, 100)}
    assert profile._error(packs["p"], packs) == pytest.approx(math.sqrt(0.03**2 / 4 + 0.04**2 / 4))
    assert profile._error(cell("p/all", 0.03, 100), packs) == pytest.approx(profile._error(packs["p"], packs))
    half = 0.03 * math.sqrt(2)  # two halves of equal spread: var(pack) = (v1 + v2) / 4
    by_hand = math.sqrt((3 / 4) ** 2 * half**2 + (1 / 4) ** 2 * half**2 + 0.04**2 / 4)
    assert profile._error(cell("p/half", half, 50), packs) == pytest.approx(by_hand)


@pytest.mark.parametrize("df", [39, 79, 300])
def test_a_profile_s_p_is_students(df: int) -> None:
    """Against scipy's, as far out as Holm's correction over hundreds of cells looks."""
    import scipy.stats

    for t in (0.0, 0.5, 2.0, 3.5, 5.0):
        assert profile.student_p(t, df) == profile.student_p(-t, df)
        assert profile.student_p(t, df) == pytest.approx(2 * scipy.stats.t.sf(t, df), rel=1e-2)


def test_a_pack_without_an_interval_silences_the_profile(run: Path) -> None:
    """One cluster has no spread to read an error from; of the other cells nothing is made up."""
    cells = [c | ({"diff_low": None, "diff_high": None, "label": "thin"} if c["cell"] == "korean-slang" else {}) for c in matrix.read(run)]  # fmt: skip
    assert profile.leanings(cells) == []


def test_where_nothing_stands_out_there_is_no_profile(tmp_path: Path) -> None:
    """Too few items, one cell only, or no field: no table, and never a table of dashes."""
    for n, (models, strata) in enumerate(
        [("abc", {"mini": {"one": 9}}), ("abc", {"mini": {"one": 90}}), ("ab", PACKS)]
    ):
        folder = simulate.run(tmp_path / str(n), {f"sim-{k}": Model(gap={"mini": 3.0 * (k == "a")}) for k in models}, strata)  # fmt: skip
        assert profile.sheets(matrix.read(folder), "en") == []


def test_a_vendor_s_name_never_acts_on_the_terminal(run: Path) -> None:
    """Escapes and marks of a run that someone else made are shown, not obeyed."""
    hostile = [c | {"vendor": "\x1b[2Jevil", "family": "[red]\u202efam"} for c in matrix.read(run)]
    text = printed(article.sheets(hostile, "en"), 120)
    assert "\\u001b[2Jevil" in text and "[red]" in text
    assert "\x1b" not in text and "\u202e" not in text


# --- the article --------------------------------------------------------------------------------------


def test_the_article_holds_labelled_cells_only(run: Path) -> None:
    """Every statement is a strength or a weakness of the matrix, every such label is a statement, and the rest is
    counted."""
    cells = matrix.read(run)
    rows = article.data(cells)
    said = {
        (s["model"], s["cell"], kind)
        for row in rows
        for kind, key in (("strength", "strengths"), ("weakness", "weaknesses"))
        for s in row[key]
    }
    assert said == {(c["model"], c["cell"], c["label"]) for c in cells if c["label"] in ("strength", "weakness")}
    assert ("sim-e", "korean-dialect", "strength") in said
    assert ("sim-d", "korean-dialect/jeju", "weakness") in said
    silent = [c for c in cells if c["label"] not in ("strength", "weakness")]
    assert sum(sum(row["otherwise"].values()) for row in rows) == len(silent)


def test_the_article_has_a_row_for_every_vendor_measured_or_not(run: Path) -> None:
    """Overseas, then domestic; a vendor that no run asked is "not measured"; a made-up one says so beside the name."""
    sheets = article.sheets(matrix.read(run), "ko")
    assert [s.title for s in sheets] == ["해외", "국내"]
    rows = {row[0]: list(row[1:]) for s in sheets for row in s.rows}
    assert rows["DeepSeek"] == ["측정 안 됨", "측정 안 됨", "–"]
    assert list(rows) == ["OpenAI\nChatGPT\n(시뮬레이션)", "Google\nGemini\n(시뮬레이션)", "DeepSeek", "Meta\nLLaMA\n(시뮬레이션)", "xAI\nGrok\n(시뮬레이션)", "Naver\nHyperCLOVA X\n(시뮬레이션)", "Kakao\n(시뮬레이션)"]  # fmt: skip
    assert "korean-dialect +" in rows["Naver\nHyperCLOVA X\n(시뮬레이션)"][0]
    assert rows["Google\nGemini\n(시뮬레이션)"][:2] == ["–", "–"]
    assert rows["Google\nGemini\n(시뮬레이션)"][2].startswith("불분명 ")


def test_a_reference_model_is_no_vendor_s_evidence(tmp_path: Path) -> None:
    """Nor is a made-up model of a family that is not the vendor's; it gets a row of its own family."""
    models = {
        "sim-a": Model(family="ChatGPT", region="reference"), "sim-b": Model(), "sim-c": Model(), "sim-d": Model(gap={"mini": 3.0}),
    }  # fmt: skip
    cells = matrix.read(simulate.run(tmp_path, models, {"mini": {"one": 90}}))
    rows = {r["family"]: r for r in article.data(cells)}
    assert not rows["ChatGPT"]["measured"]
    assert rows["Sim"]["models"] == ["sim-b", "sim-c", "sim-d"]
    assert {s["model"] for s in rows["Sim"]["strengths"]} == {"sim-d"}


# --- claims -------------------------------------------------------------------------------------------


def verdicts(folder: Path) -> dict[str, claims.Answer]:
    return {a.claim.id: a for a in claims.answers([folder])}


def test_claims_are_judged_by_what_was_measured(run: Path) -> None:
    """Known truths give the verdicts that follow from them."""
    found = {k: a.verdict for k, a in verdicts(run).items()}
    assert found | {
        "hyperclova-korean": "supported", "hyperclova-tokenizer": "supported", "grok-fast": "supported",
        "domestic-local-strong": "supported", "overseas-local-weak": "supported", "llama-light": "contradicted",
        "gemini-multimodal": "not measured", "deepseek-asian": "not measured", "deepseek-tokenizer": "not measured",
        "domestic-multimodal-weak": "not measured", "grok-news-summary": "not measured",
        "kakao-korean": "inconclusive", "chatgpt-translation-summary": "inconclusive", "domestic-global-weak": "inconclusive",
    } == found  # fmt: skip


def test_what_no_run_measures_is_never_anything_else(run: Path) -> None:
    """Every rule `none` is not measured, and no verdict but that stands without a number."""
    for answer in verdicts(run).values():
        if answer.claim.rule.kind == "none":
            assert (answer.verdict, answer.findings) == ("not measured", ())
        elif answer.verdict == "not measured":
            assert {f.verdict for f in answer.findings} == {"not measured"}
        if answer.verdict == "supported":
            assert all(f.value is not None and f.n >= 80 for f in answer.findings)


def test_a_part_that_was_not_measured_keeps_a_claim_from_being_supported(tmp_path: Path) -> None:
    """Quick, but nobody timed the first token; strong in the one cell that there is; a weakness still contradicts."""
    changes: Any = {"c": {"ttft_s": None}, "d": {"gap": {"korean-dialect": -2.5}}}
    found = verdicts(simulate.run(tmp_path, world(**changes), {"korean-dialect": {"jeju": 90}}))
    assert found["grok-fast"].verdict == found["hyperclova-korean"].verdict == "inconclusive"
    assert [f.verdict for f in found["hyperclova-korean"].findings] == ["supported", "not measured"]
    assert [f.verdict for f in found["grok-fast"].findings] == ["supported", "not measured"]
    assert found["llama-light"].verdict == "contradicted"


def test_the_local_claim_needs_a_local_server(tmp_path: Path) -> None:
    """The same model behind a vendor's address says nothing of little compute."""
    changes: Any = {"d": {"endpoint": "far", "gap": {}}}
    assert verdicts(simulate.run(tmp_path, world(**changes), PACKS))["llama-light"].verdict == "not measured"


def test_regions_are_compared_on_the_same_items(run: Path) -> None:
    """Domestic mean less overseas mean of the field, paired by item; the direction of the claim decides."""
    found = verdicts(run)
    (finding, _) = found["domestic-local-strong"].findings
    means = {c["model"]: c["mean"] for c in matrix.read(run) if c["cell"] == "korean-dialect"}
    by_hand = (means["sim-e"] + means["sim-f"]) / 2 - sum(means[f"sim-{k}"] for k in "abcd") / 4
    assert finding.value == pytest.approx(by_hand, abs=1e-6)
    assert finding.low is not None and finding.low < by_hand
    assert (finding.n, finding.of) == (90, "domestic_less_overseas")


def test_a_token_ratio_is_that_of_the_same_text(run: Path) -> None:
    """sim-e's tokenizer takes 0.6 tokens a syllable where the others take one: 1 / 0.6 as many syllables a token, but for
    rounding to whole tokens."""
    (finding,) = verdicts(run)["hyperclova-tokenizer"].findings
    assert finding.unit == "ratio"
    assert finding.value == pytest.approx(1 / 0.6, abs=0.1)


SUPPORTED, CONTRADICTED, OPEN, NONE = "supported", "contradicted", "inconclusive", "not measured"


@pytest.mark.parametrize(
    ("parts", "together", "strict", "models"),
    [
        ([], NONE, NONE, NONE),
        ([NONE, NONE], NONE, NONE, NONE),
        ([SUPPORTED], SUPPORTED, SUPPORTED, SUPPORTED),
        ([SUPPORTED, NONE], OPEN, OPEN, SUPPORTED),
        ([SUPPORTED, OPEN], OPEN, OPEN, SUPPORTED),
        ([SUPPORTED, CONTRADICTED], OPEN, CONTRADICTED, OPEN),
        ([CONTRADICTED, OPEN], CONTRADICTED, CONTRADICTED, CONTRADICTED),
        ([CONTRADICTED, NONE], CONTRADICTED, CONTRADICTED, CONTRADICTED),
        ([OPEN, NONE], OPEN, OPEN, OPEN),
    ],
)
def test_how_verdicts_are_put_together(parts: list[Any], together: str, strict: str, models: str) -> None:
    """Parts of a claim (plain and strict), and models of a family: the table of lmmbench/analysis/claims.py."""
    assert claims.together(parts) == together
    assert claims.together(parts, strict=True) == strict
    assert claims.any_of(parts) == models


def test_every_claim_of_the_book_can_be_read() -> None:
    """Ids are unique, every family that a claim is about is in the book, and both languages are written."""
    book = claims.book()
    names = {f.name for f in book.families} | {"overseas", "domestic", "all"}
    assert len({c.id for c in book.claims}) == len(book.claims) == 22
    assert {c.about for c in book.claims} <= names
    assert all(c.ko and c.en for c in book.claims)


# --- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("view", ["models", "article", "claims"])
def test_every_view_comes_in_every_format(run: Path, capsys: pytest.CaptureFixture[str], view: str, lang: str) -> None:
    """table, md, json and csv: marked as simulated where there is a heading, nothing on stderr."""
    said = {}
    for form in ("table", "md", "json", "csv"):
        assert cli.run_cli(["matrix", str(run), "--view", view, "--lang", lang, "--format", form]) == 0
        said[form], err = capsys.readouterr()
        assert err == ""
    assert said["table"].startswith("SIMULATED")
    assert said["md"].startswith("SIMULATED")
    assert len(json.loads(said["json"])) == {"models": 6 * 8, "article": 7, "claims": 22}[view]
    assert said["csv"].startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(said["csv"].removeprefix("\ufeff"), newline="")))
    assert {len(row) for row in rows} == {{"models": len(matrix.COLUMNS), "article": 5, "claims": 4}[view]}
    columns = {line.replace("\\|", "").count("|") for line in said["md"].splitlines() if line.startswith("|")}
    assert columns == {"models": {6, 3, 10, 4}, "article": {5}, "claims": {5}}[view]


def test_runs_that_are_no_field_give_no_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The matrix shows both and says why; claims are refused with the reason."""
    one = simulate.run(tmp_path / "1", {"sim-a": Model()}, {"mini": {"one": 5}}, run_id="one")
    two = simulate.run(tmp_path / "2", {"sim-b": Model()}, {"mini": {"one": 6}}, run_id="two")
    assert cli.run_cli(["matrix", str(one), str(two)]) == 0
    out, err = capsys.readouterr()
    assert "sim-a @ one" in out and "sim-b @ two" in out
    assert "not one field: one and two differ in the items of mini" in err
    assert cli.run_cli(["matrix", str(one), str(two), "--view", "claims"]) == 2
    assert "one and two differ in the items of mini" in capsys.readouterr().err


def test_a_run_of_reference_models_alone_measures_no_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh machine's first run has no vendor in it: every view works, and every claim is not measured."""
    where = [
        "--tasks-dir",
        str(ROOT / "tasks"),
        "--providers",
        str(ROOT / "providers.yaml"),
        "--results",
        str(tmp_path),
    ]
    models = ["--models", "baseline-chance,baseline-copy", "--limit", "12", "--run-id", "r"]
    assert cli.run_cli(["run", "--tasks", "korean", *models, *where]) == 0
    for view in ("models", "article", "claims"):
        for form in ("table", "md", "json", "csv"):
            assert cli.run_cli(["matrix", str(tmp_path / "r"), "--view", view, "--format", form]) == 0, (view, form)
    capsys.readouterr()
    assert {a.verdict for a in claims.answers([tmp_path / "r"])} == {"not measured"}
