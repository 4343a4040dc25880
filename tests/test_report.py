"""The report: what is in the file, and what a browser makes of it. All models here are made up (sim-a, sim-b, …)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lmmbench import stats
from lmmbench.analysis import evidence, matrix, profile, report, sealed
from lmmbench.analysis.words import WORDS
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet, write_parquet
from tests import kit, simulate
from tests.browser import NoBrowser
from tests.browser import browser as a_browser
from tests.fake_server import Answer, Exchange, FakeServer
from tests.simulate import Model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

DIALECT, SLANG = 60, 12
SIM = ("sim-a", "sim-b", "sim-c")
LINE = "가나다라" * 50_000  # 200,000 characters and no place to break at
HOSTILE = {
    "q0000": "</script><script>window.pwned = 1</script>",
    "q0001": "<img src=x onerror='window.pwned = 1'><svg onload='window.pwned = 1'>",
    "q0002": '[여기](javascript:window.pwned=1) <a href="javascript:window.pwned=1">눌러</a> http://127.0.0.1:9/x.png',
    "q0003": "정답은 \u202eA\u202c \u2066B\u2069 \u200fC \u061cD",
    "q0004": "\x1b[31m빨강\x1b[0m \x1b]0;title\x07 \x9b2J \r\x08",
    "q0005": "줄\u2028바꿈\u2029 \x00 끝",
    "q0006": LINE,
    "q0007": "\ud800 외톨이 \udc00",
    "q0008": "</style><style>body { display: none }</style><base href='http://127.0.0.1:9/'><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "q0009": "ㅋ" + "\u0300" * 3000,
    "q0010": "{{question}} ${data} $data $$ \\u003c/script> <!-- <script>",
}


# --- runs ---------------------------------------------------------------------------------------------


def dialect(n: int) -> dict[str, Any]:
    """Three of four items are closed; strata take turns."""
    options = () if n % 4 == 3 else ("하나", "둘", "셋", "넷")
    return kit.item(f"q{n:04}", options=options, stratum=("jeju", "north")[n % 2])


def answers(x: Exchange) -> Answer | None:
    """sim-a says A, sim-b the same at more length, sim-c fails at one item in ten and cuts another."""
    number = int(x.question[1:5])
    if x.model == "sim-c" and number % 10 == 5:
        return Answer(status=413, body={"error": {"message": f"too \x1b[2J much of {number}"}})
    if x.model == "sim-c" and number % 10 == 6:
        cut = {"message": {"role": "assistant", "content": "그것은"}, "finish_reason": "length"}
        return Answer(body={"choices": [cut], "usage": {"prompt_tokens": 10, "completion_tokens": 64}})
    return Answer(text=f"생각해 보면 {number}번의 정답: B") if x.model == "sim-b" else None


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one run, `r`: two packs, two trials, three made-up models and a reference model."""
    cwd = tmp_path_factory.mktemp("desk")
    kit.write_pack(cwd / "tasks" / "sim-dialect", map(dialect, range(DIALECT)))
    slang = [kit.item(f"s{n:04}", stratum="chosung") for n in range(SLANG)]
    kit.write_pack(cwd / "tasks" / "sim-slang", slang, title="은어 </title><script>window.pwned = 1</script>")
    rows: dict[str, dict[str, Any]] = {m: {"options": {"reasoning_effort": "low"}} for m in SIM}
    rows["sim-c"]["region"] = "domestic"
    rows["baseline-copy"] = {"endpoint": "floor", "name": "copy", "region": "reference"}
    with FakeServer(script=answers) as server:
        kit.providers_yaml(cwd / "providers.yaml", server.url, rows, endpoints={"floor": {"api": "baseline"}})
        kit.run_here(cwd, tasks="sim-dialect,sim-slang", repeats=2)
    return cwd


@pytest.fixture(scope="module")
def run(desk: Path) -> Path:
    return desk / "results" / "r"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every question, answer and error tries something."""
    cwd = tmp_path_factory.mktemp("hostile")
    fields = {i: {"question": f"{i} {text[:200]}" if "\ud800" not in text else i} for i, text in HOSTILE.items()}
    kit.write_pack(cwd / "tasks" / "p", [kit.item(i, options=(), fields=f) for i, f in fields.items()])

    def attack(x: Exchange) -> Answer:
        text = HOSTILE[x.question[:5]]
        if x.model == "sim-b":
            return Answer(status=413, body=json.dumps({"error": {"message": text[:500]}}))
        said = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Answer(body=json.dumps({"choices": [said]}))  # in ASCII: a lone surrogate comes as an escape

    with FakeServer(script=attack) as server:
        kit.providers_yaml(cwd / "providers.yaml", server.url, ["sim-a", "sim-b"])
        return kit.run_here(cwd).folder


def unpacked(html: str) -> dict[str, Any]:
    """The data in a report."""
    packed = re.search(r'<script type="application/octet-stream" id="data">([^<]*)</script>', html)
    assert packed
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed[1])))
    return data


# --- the file -----------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes(run: Path, tmp_path: Path) -> None:
    """Nothing of the day, the folder or an earlier report is in it."""
    first = report.write(run).read_bytes()
    moved = shutil.copytree(run, tmp_path / "elsewhere")
    assert report.write(moved).read_bytes() == first


def test_the_command_prints_the_path(desk: Path, run: Path) -> None:
    """`lmmbench report RUN` writes report.html into the run's folder, in the language asked for."""
    said = kit.lmmbench("report", "latest", "--lang", "ko", cwd=desk)
    assert (said.returncode, said.stderr) == (0, "")
    path = desk / said.stdout.strip()
    assert path.resolve() == (run / "report.html").resolve()
    assert '<html lang="ko">' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("gone", ["run.json", "plan.json"])
def test_a_run_that_is_not_published_has_no_report(desk: Path, run: Path, gone: str) -> None:
    """One sentence that says how to publish it, exit code 2, and no half a file."""
    copy = shutil.copytree(run, desk / "results" / f"no-{gone}")
    (copy / "report.html").unlink(missing_ok=True)
    (copy / gone).unlink()
    try:
        said = kit.lmmbench("report", copy.name, cwd=desk)
    finally:
        left = (copy / "report.html").exists()
        shutil.rmtree(copy)
    assert said.returncode == 2
    assert not left
    assert "lmmbench score" in said.stderr or "lmmbench list runs" in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_a_damaged_manifest_is_one_sentence(run: Path, tmp_path: Path) -> None:
    """Not a traceback."""
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="is damaged; write it anew with: lmmbench score"):
        report.write(copy)


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))


def source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("which", ["run", "hostile"])
def test_only_our_style_and_script_may_act(which: str, request: pytest.FixtureRequest) -> None:
    """The policy allows nothing but the two hashes; the file asks for no other file and has no inline handler."""
    html = report.page(report.data(request.getfixturevalue(which)), "en")
    tags = Tags(html).all
    metas = [a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.split(" ", 1) for part in str(metas[0]).split("; "))
    by_hash = {tag: source(text) for tag, text in re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)}
    assert policy == {
        "default-src": "'none'", "script-src": by_hash["script"], "style-src": by_hash["style"], "base-uri": "'none'",
        "form-action": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
    }  # fmt: skip
    assert len(metas) == 1
    names = {name for _, attributes in tags for name in attributes}
    assert not [n for n in names if n.startswith("on") or n in ("src", "srcset", "style", "action", "ping")]
    assert [a["href"] for _, a in tags if "href" in a] == ["#matrix"]
    assert [tag for tag, _ in tags].count("script") == 2
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_no_text_is_ever_read_as_markup() -> None:
    """The script has none of the ways by which a text becomes markup, code or an address."""
    script = report._shipped("report.js")
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|DOMParser|\beval\b"
    assert not re.search(
        ways + r"|new Function|srcdoc|\.href|\.src\b|location|fetch\(|XMLHttp|import\(|localStorage", script
    )


def test_the_data_are_those_of_the_published_files(run: Path) -> None:
    """Every answer and every cell, unchanged, and every row at its item."""
    data = unpacked(report.page(report.data(run), "en"))
    assert data["matrix"] == matrix.read(run)
    items = table(data["items"])
    for model, packed in data["rows"].items():
        rows = table(packed)
        want = kit.rows_of(run, model)
        assert [(items[r["item"]]["pack"], items[r["item"]]["item_id"]) for r in rows] == [(r["pack"], r["item_id"]) for r in want]  # fmt: skip
        for name in ("trial", "status", "answer", "parsed", "score", "error", "order_json", "input_tokens"):
            assert [r[name] for r in rows] == [r[name] for r in want], name


def table(packed: dict[str, Any]) -> list[dict[str, Any]]:
    """Packed columns as rows."""
    columns = {k: c["is"] if "is" in c else [c["of"][n] for n in c["at"]] for k, c in packed.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_no_address_and_no_path_of_this_machine_is_handed_on(run: Path, desk: Path) -> None:
    """A report is shown to others: endpoints' addresses, headers and local paths stay at home."""
    text = json.dumps(unpacked(report.page(report.data(run), "en")))
    assert "127.0.0.1" in (run / "plan.json").read_text(encoding="utf-8")
    assert "127.0.0.1" not in text
    assert str(desk) not in text
    planned = {"model": {"name": "/home/me/secret/model.gguf"}, "endpoint": {"api": "embedded"}}
    assert report._model("sim-a", planned, {})["name"] == "model.gguf"


# --- the page, in a browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(run: Path, hostile: Path, world: Path) -> Iterator[Browser]:
    """The runs come first: while the browser runs, this thread cannot run an event loop of its own."""
    try:
        with a_browser() as started:
            yield started
    except NoBrowser as e:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(e))


NOTE_VIOLATIONS = "window.violations = []; document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective))"


@contextmanager
def opened(browser: Browser, path: Path, **context: Any) -> Iterator[Page]:
    """A report's page. It may ask for no other file, print nothing, throw nothing, and break no policy."""
    with browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}) as visit:
        page = visit.new_page()
        page.set_default_timeout(10_000)
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.on("console", lambda m: said.append(m.text))
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("dialog", lambda d: said.append(d.message))
        page.add_init_script(NOTE_VIOLATIONS)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        yield page
        assert asked == [path.as_uri()]
        assert said == []
        assert page.evaluate("violations") == []
        assert page.evaluate("window.pwned") is None


@pytest.fixture(scope="module")
def file(run: Path) -> Path:
    return report.write(run)


@pytest.fixture(scope="module")
def hostile_file(hostile: Path) -> Path:
    return report.write(hostile)


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    with opened(browser, file) as page:
        yield page


def rows_in(page: Page, selector: str) -> list[list[str]]:
    """The texts of a table's body, cell by cell."""
    found: list[list[str]] = page.evaluate(
        "s => [...document.querySelectorAll(s + ' > tbody > tr')].map(r => [...r.cells].map(c => c.innerText))",
        selector,
    )
    return found


def control(page: Page, key: str) -> Locator:
    return page.locator(f"[data-key='{key}']")


def test_a_reader_sees_first_that_it_is_simulated(page: Page) -> None:
    """In the title, in a banner, and at each made-up model; reference models are marked as such."""
    assert page.title() == "SIMULATED r · lmmbench"
    assert "SIMULATED" in page.inner_text("#banner")
    assert page.locator("#about tbody tr", has_text="sim-a").first.locator(".badge").inner_text() == "simulated"
    assert page.locator(".heat tr", has_text="baseline-copy").locator(".badge").inner_text() == "reference"


def test_the_head_says_what_was_asked_of_whom(page: Page, run: Path) -> None:
    """Packs with version and hash, models with settings, seed, coverage, counts by status, cost."""
    about = page.inner_text("#about")
    plan, manifest = json.loads((run / "plan.json").read_bytes()), kit.manifest_of(run)
    for pack in plan["packs"].values():
        assert pack["sha"][:12] in about
    for expected in ("1.0.0", "shuffled", '"reasoning_effort":"low"', f"{manifest['planned']:,}", plan["plan_sha"][:12], "not known"):  # fmt: skip
        assert expected in about, expected
    for status, n in manifest["by_status"].items():
        assert f"{status} {n}" in about
    page.click("#about summary:has-text('Prompts')")
    assert "{{options}}" in page.inner_text("#about .prompt >> nth=0")


def test_every_cell_says_value_interval_and_count(page: Page, run: Path) -> None:
    """As the matrix has them; a pack opens into its strata."""
    for pack in ("sim-dialect", "sim-slang"):
        control(page, f"expand:{pack}").click()
    cells = matrix.read(run)
    for cell in cells:
        text = control(page, f"cell:{cell['model']}:{cell['cell']}").inner_text()
        if cell["mean"] is None:
            assert text.splitlines()[0] == "–"
        else:
            low, high = 100 * cell["ci_low"], 100 * cell["ci_high"]
            assert f"{100 * cell['mean']:.1f}" in text
            assert f"[{low:.1f}, {high:.1f}]" in text
            assert f"n={cell['n_scored']}" in text
            assert ("covered" in text) == (cell["coverage"] < 1)
    assert page.locator(".cell").count() == len(cells)
    control(page, "expand:sim-slang").click()
    assert page.locator(".cell").count() == len([c for c in cells if c["cell"] != "sim-slang/chosung"])


def test_what_was_not_measured_says_why(page: Page) -> None:
    """A dash with the reason, never a 0."""
    text = control(page, "cell:baseline-copy:sim-slang").inner_text()
    assert text.split("\n", 1)[0] == "–"
    assert f"not measured: unsupported {2 * SLANG}" in text


def test_a_run_of_reference_models_alone_has_no_field(browser: Browser, run: Path, tmp_path: Path) -> None:
    """Then the table has their rows and nothing else."""
    copy = shutil.copytree(run, tmp_path / "references")
    plan = (copy / "plan.json").read_text(encoding="utf-8")
    (copy / "plan.json").write_text(re.sub(r'"(overseas|domestic)"', '"reference"', plan), encoding="utf-8")
    with opened(browser, report.write(copy)) as page:
        heads = [r[0].split()[0] for r in rows_in(page, ".heat")]
        assert heads == ["Reference", *SIM, "baseline-copy"]
        stray = "[...document.querySelectorAll('table, thead, tbody, tr')].flatMap(n => [...n.childNodes]).filter(n => n.nodeType === 3).length"
        assert page.evaluate(stray) == 0


def test_how_much_was_copied_stands_in_the_cell(browser: Browser, run: Path, tmp_path: Path) -> None:
    """Beside the score where the matrix has it, in either language, and in no other cell."""
    copy = shutil.copytree(run, tmp_path / "copied")
    cells = [c | {"copy_rate": 0.97 if c["model"] == SIM[0] else None} for c in matrix.read(copy)]
    write_parquet(copy / "matrix.parquet", matrix.schema(), [cells])
    for lang, words in (("en", "copied 97 %"), ("ko", "베낌 97 %")):
        with opened(browser, report.write(copy, lang)) as page:
            for model in SIM:
                text = control(page, f"cell:{model}:sim-dialect").inner_text()
                assert (words in text) == (model == SIM[0])


def test_labels_are_words_with_signs(browser: Browser, run: Path, tmp_path: Path) -> None:
    """Where the matrix carries labels they stand in their cells, in either language; colour is not needed."""
    copy = shutil.copytree(run, tmp_path / "labelled")
    labels = dict(zip(SIM, ("strength", "weakness", "unclear"), strict=True))
    cells = [c | {"label": labels.get(c["model"]), "diff": 0.12, "diff_low": 0.02, "p_adj": 0.01, "diff_high": 0.2} for c in matrix.read(copy)]  # fmt: skip
    write_parquet(copy / "matrix.parquet", matrix.schema(), [cells])
    with opened(browser, report.write(copy)) as page:
        assert [page.inner_text(f"[data-key='cell:{m}:sim-slang'] .label") for m in SIM] == ["▲ strength", "▼ weakness", "? unclear"]  # fmt: skip
        assert "No cell carries a label" not in page.inner_text("#matrix")
        control(page, "cell:sim-a:sim-slang").click()
        assert "+12.0 [+2.0, +20.0]" in page.inner_text(".panel")
        control(page, "lang").select_option("ko")
        assert page.inner_text("[data-key='cell:sim-b:sim-slang'] .label") == "▼ 과제"


def test_the_matrix_sorts_by_a_column_and_says_so(page: Page) -> None:
    """Best first, then worst first, then as planned; what has no value stays last; references stay apart."""

    def order() -> list[str]:
        return [r[0].split()[0] for r in rows_in(page, ".heat") if len(r) > 1]

    head = page.locator(".heat thead th", has_text="sim-dialect")
    seen = []
    for _ in range(3):
        control(page, "matrix:sim-dialect").click()
        seen.append((head.get_attribute("aria-sort"), order()))
    assert [s for s, _ in seen] == ["descending", "ascending", "none"]
    assert seen[0][1][:3] == seen[1][1][:3][::-1] != seen[2][1][:3]
    assert seen[2][1] == [*SIM, "baseline-copy"]


def rate(share: float | None, clusters: int) -> str:
    """A share and Wilson's interval of it, as the page shows them."""
    if share is None:
        return "–"
    low, high = stats.wilson(share * clusters, clusters)
    return f"{100 * share:.1f} %\n[{100 * low:.1f}, {100 * high:.1f}]"


def test_conduct_speed_and_cost_have_their_table(page: Page, run: Path) -> None:
    """Rates and latencies as in the matrix, `–` where not known; any column sorts, nulls last both ways."""
    cells = [c for c in matrix.read(run) if c["kind"] == "pack"]
    rows = rows_in(page, "#conduct table")
    assert [r[1] for r in rows] == [c["cell"] for c in cells]
    assert [r[3] for r in rows] == [rate(c["truncated_rate"], c["clusters"]) for c in cells]
    assert [r[7] for r in rows] == ["–" if (s := c["cached_share"]) is None else f"{100 * s:.1f} %" for c in cells]
    assert {r[9] for r in rows} <= {"–"} | {f"${n:.2f}" for n in (0.0,)}
    for way in ("descending", "ascending"):
        control(page, "conduct:parsed_rate").click()
        assert page.locator(f"#conduct th[aria-sort={way}]").count() == 1
        column = [r[4] for r in rows_in(page, "#conduct table")]
        assert column[-1] == "–"
        numbers = [float(x.split()[0]) for x in column if x != "–"]
        assert numbers == sorted(numbers, reverse=way == "descending")


# --- what the terminal says below the matrix ------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of three made-up models over a pack, its sealed part and another pack: sim-b knows the public part
    by heart, sim-c is far behind in the other pack; some items are recalled."""
    strata = {"mini": {"jeju": 120}, "mini-sealed": {"jeju": 60}, "other": {"north": 90}}
    gaps = {"sim-a": {}, "sim-b": {"mini": 4.0}, "sim-c": {"other": -4.0}}
    folder = simulate.run(tmp_path_factory.mktemp("world"), {m: Model(gap=gap) for m, gap in gaps.items()}, strata)
    plan = json.loads((folder / "plan.json").read_bytes())
    plan["packs"]["mini-sealed"]["card"]["sealed_from"] = "mini"
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    items = read_parquet(folder / "items.parquet")
    kinds = ["recall" if n % 4 == 0 else "page" for n in range(items.num_rows)]
    at = items.column_names.index("attestation")
    told = items.set_column(at, items.schema.field(at), [kinds]).to_pylist()
    write_parquet(folder / "items.parquet", items.schema, [told])
    return folder


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_says_what_the_questions_rest_on_and_who_knows_them_by_heart(
    browser: Browser, world: Path, lang: str
) -> None:
    """Every text of the terminal's evidence line, its table of public and sealed parts and its profile, in either language,
    the line within the matrix's section."""
    (line,) = evidence.lines([world], lang)
    tables = [*profile.sheets(matrix.read(world), lang), *sealed.sheets(sealed.gaps([world]), lang)]
    with opened(browser, report.write(world)) as page:
        control(page, "lang").select_option(lang)
        assert page.inner_text("#matrix .evidence") == line
        assert "recall 25 %" in line
        assert page.locator("#tables h2").all_inner_texts() == [t.title for t in tables]
        for n, sheet in enumerate(tables):
            table = page.locator("#tables table").nth(n)
            assert table.locator("thead th").all_text_contents() == list(sheet.header)
            assert [t for row in sheet.rows for t in row] == table.locator("tbody th, tbody td").all_text_contents()
            assert page.locator("#tables .help").nth(n).inner_text() == sheet.note
        shown = page.inner_text("#tables")
        verdict = WORDS[lang]["better_on_public"]
        assert [r[0] for r in rows_in(page, "#tables .scroll:last-child table") if r[-1] == verdict] == ["sim-b"]
        assert "other -" in shown
        assert page.locator("#tables th:not([scope])").count() == 0


def test_a_page_without_sealed_parts_has_no_table_of_them(page: Page) -> None:
    """Nothing is drawn where nothing can be said; the evidence line stands all the same."""
    assert page.inner_text("#tables") == ""
    assert "recall 100 %" in page.inner_text("#matrix .evidence")


def test_a_hostile_name_in_such_a_table_stays_text(browser: Browser, world: Path, tmp_path: Path) -> None:
    """A stratum or model that tries something is shown by its letters and numbers."""
    data = report.data(world)
    data["tables"]["en"][-1]["rows"][0][0] = "<img src=x onerror=window.pwned=1>\u202e"
    data["evidence"]["en"] = ["</script><script>window.pwned = 1</script>"]
    path = tmp_path / "report.html"
    path.write_text(report.page(data, "en"), encoding="utf-8", newline="\n")
    with opened(browser, path) as page:
        assert "<img src=x onerror=window.pwned=1>⟦U+202E⟧" in page.inner_text("#tables")
        assert "</script><script>" in page.inner_text("#matrix .evidence")


def listed(page: Page) -> set[str]:
    """Ids of all items that the filters leave, over all pages."""
    found = set()
    while True:
        found |= {r[0].split()[-1] for r in rows_in(page, ".items")}
        following = control(page, "page:next")
        if not following.count() or following.is_disabled():
            return found
        following.click()


Rows = list[dict[str, Any]]


def scores_differ(rows: Rows) -> bool:
    means = {}
    for model in {r["model"] for r in rows}:
        scores = [r["score"] for r in rows if r["model"] == model and r["score"] is not None]
        if scores:
            means[model] = sum(scores) / len(scores)
    return len(set(means.values())) > 1


FILTERS: dict[str, tuple[dict[str, str], Callable[[Rows], bool]]] = {
    "pack": ({"pack": "sim-slang"}, lambda rs: rs[0]["pack"] == "sim-slang"),
    "stratum": ({"stratum": "jeju"}, lambda rs: rs[0]["stratum"] == "jeju"),
    "status": ({"status": "status:error"}, lambda rs: any(r["status"] == "error" for r in rs)),
    "fault": ({"status": "error_kind:too_large"}, lambda rs: any(r["error_kind"] == "too_large" for r in rs)),
    "model and status": ({"model": "sim-a", "status": "status:truncated"}, lambda rs: False),
    "model and score": ({"model": "sim-b", "score": "score_full"}, lambda rs: any(r["model"] == "sim-b" and r["score"] == 1 for r in rs)),
    "no score": ({"model": "sim-c", "score": "score_none"}, lambda rs: any(r["model"] == "sim-c" and r["score"] is None for r in rs)),
    "models differ": ({"score": "score_differ"}, scores_differ),
    "pack and stratum": ({"pack": "sim-dialect", "stratum": "north"}, lambda rs: rs[0]["stratum"] == "north"),
}  # fmt: skip


def test_filters_leave_what_they_say(page: Page, run: Path) -> None:
    """The same items as the published rows give; a row's conditions hold for one and the same answer."""
    by_item: dict[str, Rows] = {}
    for row in kit.rows_of(run):
        by_item.setdefault(row["item_id"], []).append(row)
    for name, (chosen, holds) in FILTERS.items():
        for key, value in chosen.items():
            control(page, f"filter:{key}").select_option(value)
        want = {i for i, rows in by_item.items() if holds(rows)}
        assert page.inner_text(".found") == f"{len(want)} of {len(by_item)} items", name
        assert listed(page) == want, name
        control(page, "filter:reset").click()
        assert page.inner_text(".found") == f"{len(by_item)} of {len(by_item)} items"


SEARCHES: dict[str, set[str]] = {
    "Q0017": {"q0017"}, "보면 31번의": {"q0031"}, "much of 25": {"q0025"}, "없는 말": set(), "32번 문제": {"q0032"},
}  # fmt: skip


def test_a_search_looks_into_ids_questions_answers_and_errors(page: Page) -> None:
    """In any case of letters, and in any Unicode form."""
    for text, want in SEARCHES.items():
        control(page, "filter:text").fill(unicodedata.normalize("NFD", text))
        control(page, "filter:text").press("Enter")
        assert listed(page) == want, text
    control(page, "filter:reset").click()
    control(page, "filter:text").fill("much of")  # and while one types: seven items failed
    page.locator(".found", has_text="7 of").wait_for()


def test_items_are_paged_and_sorted(page: Page) -> None:
    """Fifty a page; a column sorts all of them, not the page."""
    assert len(rows_in(page, ".items")) == 50
    control(page, "page:next").click()
    assert len(rows_in(page, ".items")) == DIALECT + SLANG - 50
    control(page, "items:model:sim-b").click()
    column = [r[6] for r in rows_in(page, ".items")]
    assert len(column) == 50
    assert column == sorted(column, key=lambda x: float(x.split()[0]))
    assert page.locator(".items th[aria-sort=ascending]").inner_text().startswith("sim-b")


def test_an_item_shows_question_gold_and_every_answer_side_by_side(page: Page, run: Path) -> None:
    """Options in the order shown at that trial, the gold marked, the parsed choice by its letter as the model saw it."""
    control(page, "item:1").click()
    for trial in (0, 1):
        control(page, "trial:1").select_option(str(trial))
        rows = {r["model"]: r for r in kit.rows_of(run) if r["item_id"] == "q0001" and r["trial"] == trial}
        options = ("하나", "둘", "셋", "넷")
        shown = [options[n - 1] for n in json.loads(rows["sim-a"]["order_json"])]
        lines = page.locator(".opened .options li").all_inner_texts()
        assert [x.split(" ")[1].strip() for x in lines] == shown
        assert [n for n, x in enumerate(lines) if "gold" in x] == [shown.index("하나")]
        cards = page.locator(".opened article").all_inner_texts()
        assert [c.split()[0] for c in cards] == [*SIM, "baseline-copy"]
        for card, model in zip(cards[:2], SIM, strict=False):
            row = rows[model]
            letter = "AB"[model == "sim-b"]
            assert row["answer"] in card
            assert f"{letter}. {options[int(row['parsed']) - 1]}" in card
            assert f"Score {100 * row['score']:.1f}" in card
            assert f"{row['input_tokens']} · {row['output_tokens']} · – · –" in card
        assert "unsupported" in cards[3]
        assert "No answer" in cards[3]


def test_a_fault_is_shown_with_its_kind_and_no_score(page: Page) -> None:
    """Its text is shown by numbers where it would act; its score is a dash."""
    control(page, "item:5").click()
    card = page.locator(".opened article", has_text="sim-c").inner_text()
    assert "too_large: " in card
    assert "too ⟦U+001B⟧[2J much of 5" in card
    assert "Score –" in card


def test_a_cell_leads_to_its_items(page: Page) -> None:
    """From a number to what it was made of."""
    control(page, "expand:sim-dialect").click()
    control(page, "cell:sim-c:sim-dialect/north").click()
    assert "error" in page.inner_text(".panel")
    control(page, "panel:items").click()
    assert page.inner_text(".found") == f"{DIALECT // 2} of {DIALECT + SLANG} items"
    assert control(page, "filter:stratum").input_value() == "north"
    assert control(page, "filter:model").input_value() == "sim-c"


def test_the_page_speaks_korean_and_english(page: Page) -> None:
    """The switch changes every word and the page's language, and nothing of what the reader has opened."""
    assert page.evaluate("Object.keys(WORDS.en).filter(k => !(k in WORDS.ko)).concat(Object.keys(WORDS.ko).filter(k => !(k in WORDS.en)))") == []  # fmt: skip
    control(page, "expand:sim-dialect").click()
    control(page, "item:1").click()
    control(page, "filter:stratum").select_option("north")
    control(page, "lang").select_option("ko")
    assert page.get_attribute("html", "lang") == "ko"
    assert page.locator("h2").all_inner_texts() == ["강점과 과제", "응답 태도, 속도, 비용", "문항과 답", "읽는 법"]
    assert "시뮬레이션" in page.inner_text("#banner")
    assert control(page, "expand:sim-dialect").get_attribute("aria-expanded") == "true"
    assert page.locator(".opened article").count() == 4
    assert page.inner_text(".found") == f"전체 {DIALECT + SLANG}문항 중 {DIALECT // 2}문항"
    # words of the English page that are no names, codes or units
    left = set(re.findall(r"\b[A-Z]?[a-z]{4,}\b", page.inner_text("main"))) & {"Score", "Coverage", "Models", "reference", "unsupported", "Parsed", "covered"}  # fmt: skip
    assert left == set()
    control(page, "lang").select_option("en")
    assert page.locator("h2").first.inner_text() == "Strengths and weaknesses"


def test_a_keyboard_is_enough(page: Page) -> None:
    """The first stop skips to the matrix; a control keeps the focus when what it changed is drawn anew."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for key, pressed in (("expand:sim-dialect", "Enter"), ("matrix:sim-slang", "Space"), ("item:2", "Enter")):
        control(page, key).focus()
        page.keyboard.press(pressed)
        assert page.evaluate("document.activeElement.dataset.key") == key
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.locator(".opened").count() == 1


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    """Headers have a scope, controls a name, scrolling boxes a label; Korean questions say that they are Korean."""
    control(page, "item:1").click()
    assert page.locator("th:not([scope])").count() == 0
    assert page.evaluate("[...document.querySelectorAll('thead th .sort')].every(b => b.closest('th').ariaSort)")
    nameless = "[...document.querySelectorAll('select, input')].filter(x => !x.labels.length).length"
    assert page.evaluate(nameless) == 0
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(x => x.ariaLabel && x.tabIndex === 0)")
    assert page.get_attribute(".opened .question", "lang") == "ko"
    assert page.get_attribute(".found", "role") == "status"
    assert page.evaluate("[...document.querySelectorAll('h1, h2')].map(h => h.tagName).join(' ')") == "H1 H2 H2 H2 H2"


CONTRAST = """selector => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = css => {
    canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = n => { for (; n; n = n.parentElement) { const c = getComputedStyle(n).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } };
  return Math.min(...[...document.querySelectorAll(selector)].map(n => {
    const [a, b] = [light(getComputedStyle(n).color), light(behind(n))].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  }));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_in_light_and_in_dark(browser: Browser, file: Path, scheme: Any) -> None:
    """A contrast of 4.5 (WCAG 2.2 AA) for every text, on the coldest and the hottest cell too; the switch overrides the system."""
    with opened(browser, file, color_scheme=scheme) as page:
        control(page, "item:5").click()
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.evaluate(
            "document.querySelectorAll('.measured').forEach((td, n) => td.style.setProperty('--heat', n % 2 ? '100%' : '0%'))"
        )
        assert page.evaluate(CONTRAST, "body *:not(script):not(style):not(.skip):not(.bar *):not(:disabled)") >= 4.5
        control(page, "theme").select_option({"light": "dark", "dark": "light"}[scheme])
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background


def test_it_prints_in_light_and_without_controls(browser: Browser, file: Path) -> None:
    """Paper shows the numbers, with their colours, and no button that cannot be pressed."""
    with opened(browser, file, color_scheme="dark") as page:
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        for gone in (".filters", ".switches", ".pager"):
            assert not page.locator(gone).is_visible()
        assert page.locator("#banner").is_visible()
        assert page.locator(".heat").is_visible()
        assert len(page.pdf(format="A4")) > 10_000


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_no_window_is_too_narrow(browser: Browser, file: Path, hostile_file: Path, width: int) -> None:
    """Tables scroll in their boxes, the page never does sideways: not even with a line of 200,000 characters."""
    for path, items in ((file, (1, 5)), (hostile_file, (0, 6))):
        with opened(browser, path, viewport={"width": width, "height": 800}) as page:
            for item in items:
                control(page, f"item:{item}").click()
            page.locator(".heat .cell").first.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(
                "[...document.querySelectorAll('.text')].every(x => x.scrollWidth <= x.clientWidth + 1)"
            )


# --- answers that try something -------------------------------------------------------------------------


def test_a_hostile_answer_does_nothing(browser: Browser, hostile_file: Path) -> None:
    """Markup stays text, addresses are no links, nothing runs, nothing is asked for (`opened` sees to that)."""
    with opened(browser, hostile_file) as page:
        for n in range(len(HOSTILE)):
            control(page, f"item:{n}").click()
        page.locator(".opened details summary").first.click()
        made = "[...document.body.querySelectorAll('script, style, img, svg, a, base, meta, iframe, link')].length"
        assert page.evaluate(made) == 3  # the link to the matrix, the data and our script
        shown = page.locator(".opened article > .text").all_text_contents()
        for text in (HOSTILE["q0000"], HOSTILE["q0001"], HOSTILE["q0002"], HOSTILE["q0008"], HOSTILE["q0010"]):
            assert text in shown
        assert page.locator("body").is_visible()


def test_what_is_not_seen_is_shown_by_its_number(browser: Browser, hostile_file: Path) -> None:
    """No control, direction or surrogate character reaches the page; each is there as a number in brackets."""
    with opened(browser, hostile_file) as page:
        for n in range(len(HOSTILE)):
            control(page, f"item:{n}").click()
        everything = page.evaluate("document.body.textContent")
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", everything
        )
        for number in (
            "202E",
            "202C",
            "2066",
            "200F",
            "061C",
            "001B",
            "0007",
            "009B",
            "000D",
            "0008",
            "2028",
            "2029",
            "0000",
        ):
            assert f"⟦U+{number}⟧" in everything, number
        assert "\ufffd 외톨이 \ufffd" in everything


SEEN = {
    "한글 👨‍👩‍👧 é\tA\nB": "한글 👨‍👩‍👧 é\tA\nB", "a\x00b\x7f": "a⟦U+0000⟧b⟦U+007F⟧", "\u200b\ufeff\u00ad": "⟦U+200B⟧⟦U+FEFF⟧⟦U+00AD⟧",
    "\u3164\u1160": "⟦U+3164⟧⟦U+1160⟧", "\U000e0041": "⟦U+E0041⟧", "\ue000": "⟦U+E000⟧",
}  # fmt: skip


def test_only_what_is_not_seen_is_changed(page: Page) -> None:
    """Hangul, emoji with joiners, accents, tabs and line ends stay as they are."""
    for text, shown in SEEN.items():
        assert page.evaluate("visible", text) == shown
    assert page.evaluate("visible('\\ud83d')") == "⟦U+D83D⟧"


def test_a_very_long_answer_opens_on_demand(browser: Browser, hostile_file: Path) -> None:
    """Its start is there at once, all of it after a click."""
    with opened(browser, hostile_file) as page:
        control(page, "item:6").click()
        assert len(page.locator(".opened article").first.inner_text()) < 5000
        box = page.locator(".opened article > .text").first
        box.get_by_role("button", name="Show all 200,000 characters").click()
        assert box.text_content() == LINE


def test_a_changed_file_does_not_run(browser: Browser, file: Path, tmp_path: Path) -> None:
    """One other letter in the script or the style, or a handler put in, and the policy stops it."""
    html = file.read_text(encoding="utf-8")
    attacks = {
        "script": html.replace('"use strict";', '"use strict";window.pwned=1;', 1),
        "extra": html.replace("<main>", "<main><script>window.pwned=1</script>", 1),
        "handler": html.replace("<main>", '<main onclick="window.pwned=1">', 1),
        "image": html.replace("<main>", '<main><img src="http://127.0.0.1:9/x">', 1),
    }
    with browser.new_context() as visit:
        for name, changed in attacks.items():
            path = tmp_path / f"{name}.html"
            path.write_text(changed, encoding="utf-8", newline="\n")
            page = visit.new_page()
            page.add_init_script(NOTE_VIOLATIONS)
            page.goto(path.as_uri())
            page.click("main", force=True, position={"x": 1, "y": 1})
            assert page.evaluate("window.pwned") is None, name
            assert len(page.evaluate("violations")) == 1, name


def test_a_damaged_file_says_so(browser: Browser, file: Path, tmp_path: Path) -> None:
    """Half a file is a sentence, not an empty page."""
    html = file.read_text(encoding="utf-8")
    path = tmp_path / "damaged.html"
    path.write_text(re.sub(r'(id="data">.{400}).*?<', r"\1<", html), encoding="utf-8", newline="\n")
    with browser.new_context() as visit:
        page = visit.new_page()
        page.goto(path.as_uri())
        page.locator("#loading", has_text="damaged").wait_for()
