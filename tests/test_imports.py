"""Data of others: fetched at the user's word only, pinned, mapped by the card, and kept out of the project."""

from __future__ import annotations

import contextlib
import csv
import http.server
import io
import json
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from lmmbench import check, cli, packs, scorers
from lmmbench.faults import UsageError
from lmmbench.imports import cards, hub, opendict, tables
from tests.kit import ROOT, lmmbench, providers_yaml, write_pack

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextlib.contextmanager
def fake_hub(dataset: str, files: Mapping[str, bytes], status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A hub on 127.0.0.1 that has one dataset, hands out files by a redirect as the real one does for large ones, and remembers
    every path asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(unquote(self.path))
            code, body, to = status, b"", ""
            if asked[-1] in (f"/api/datasets/{dataset}/revision/{r}" for r in ("main", COMMIT)):
                body = json.dumps({"sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}).encode()
            elif asked[-1].startswith(prefix := f"/datasets/{dataset}/resolve/{COMMIT}/"):
                code, to = 302, f"/cdn/{self.path.removeprefix(prefix)}"
            elif asked[-1].startswith("/cdn/"):
                body = files[asked[-1].removeprefix("/cdn/")]
            else:
                code = 404
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            if to:
                self.send_header("Location", to)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Tests speak for themselves."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def table(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()


def exam(n: int, answer: Any = 2) -> dict[str, Any]:
    return {
        "question": f"{n}번, 쉼표가 든 물음?",
        "answer": answer,
        "A": "갑",
        "B": "을",
        "C": "병",
        "D": "정",
        "Category": "x",
    }


KMMLU = {
    "README.md": b"# made up", "data/Biology-dev.csv": table([exam(9)]),
    "data/Biology-test.csv": table([exam(1), exam(2, 4)]), "data/korean-history-test.csv": table([exam(3, 1), exam(4, 7)]),
}  # fmt: skip
CLICK = {
    "Dataset/Culture/Korean History/History_KHB.json": json.dumps([
        {"id": "KHB_1_2", "paragraph": "지문", "question": "물음", "choices": ["갑", "을", "병", "정"], "answer": "병"},
        {"id": "KHB_1_3", "paragraph": "", "question": "물음", "choices": ["갑", "을"], "answer": "무"},
    ]).encode(),
    "Dataset/Language/Grammar/Grammar_TOPIK.json": json.dumps(
        [{"id": "TK/7 가", "paragraph": None, "question": "물음", "choices": ["갑", "을", "병", "정", "무"], "answer": "무 "}]
    ).encode(),
}  # fmt: skip
KOBEST = {
    "boolq/test.jsonl": lines([{"paragraph": "지문", "question": f"물음 {n}?", "label": n % 2} for n in range(3)]),
    "copa/test.jsonl": lines([{"premise": "비가 왔다.", "question": "결과", "alternative_1": "땅이 젖었다.", "alternative_2": "눈이 녹았다.", "label": 0}]),
    "hellaswag/test.jsonl": lines([{"context": "공을 던졌다.", **{f"ending_{n}": f"끝 {n}" for n in range(1, 5)}, "label": 3}]),
    "sentineg/test.jsonl": lines([{"sentence": "좋지 않다.", "label": 0}]),
    "wic/test.jsonl": lines([{"word": "배", "context_1": "[배]를 먹었다.", "context_2": "[배]가 떴다.", "label": 0}]),
}  # fmt: skip


def tasks_with(tmp_path: Path, name: str) -> Path:
    """A tasks folder with one of our public cards, and nothing else."""
    target = tmp_path / "tasks" / "public" / name
    target.mkdir(parents=True)
    shutil.copyfile(ROOT / "tasks" / "public" / name / "card.yaml", target / "card.yaml")
    return target


def fetch(tmp_path: Path, url: str, name: str, *more: str) -> Any:
    return lmmbench("import", f"public/{name}", *more, cwd=tmp_path, env={"HF_ENDPOINT": url})


# --- our three cards ---------------------------------------------------------------------------------


def test_nothing_is_fetched_before_the_licence_is_accepted(tmp_path: Path) -> None:
    """The licence and where to read it come first; then the revision is asked for, since our card knows none."""
    tasks_with(tmp_path, "kmmlu")
    with fake_hub("HAERAE-HUB/KMMLU", KMMLU) as (url, asked):
        first = fetch(tmp_path, url, "kmmlu", "--revision", "main")
        second = fetch(tmp_path, url, "kmmlu", "--accept-licence")
        assert (first.returncode, second.returncode, asked) == (2, 2, [])
    assert "Licence: CC-BY-ND-4.0 (https://huggingface.co/datasets/HAERAE-HUB/KMMLU)" in first.stderr
    assert "name a commit (or main) with --revision" in second.stderr
    assert not list(tmp_path.rglob("items.jsonl"))


def test_kmmlu_is_fetched_pinned_and_asked(tmp_path: Path) -> None:
    """By the commit that main names; rows that are no question are counted; what was fetched is written down; a run asks it by
    name, and `all` does not."""
    folder = tasks_with(tmp_path, "kmmlu")
    with fake_hub("HAERAE-HUB/KMMLU", KMMLU) as (url, asked):
        made = fetch(tmp_path, url, "kmmlu", "--accept-licence", "--revision", "main")
    assert made.returncode == 0, made.stderr
    assert "3 items, 1 rows left out" in made.stdout
    assert "data/korean-history-test.csv row 2: its answer '7' names none of 4 options" in made.stderr
    assert {a.rpartition("/")[2] for a in asked if "/resolve/" in a} == {"Biology-test.csv", "korean-history-test.csv"}
    told = json.loads((folder / "imported.json").read_bytes())
    assert (told["commit"], told["hub"], sorted(told["files"])) == (
        COMMIT,
        "HAERAE-HUB/KMMLU",
        ["data/Biology-test.csv", "data/korean-history-test.csv"],
    )
    assert (folder / "card.yaml").read_bytes() == (ROOT / "tasks" / "public" / "kmmlu" / "card.yaml").read_bytes()
    pack = packs.load(folder)
    assert [(i.id, i.stratum, i.targets, i.options) for i in pack.active] == [
        ("Biology-test-00001", "Biology", ("2",), ("갑", "을", "병", "정")),
        ("Biology-test-00002", "Biology", ("4",), ("갑", "을", "병", "정")),
        ("korean-history-test-00001", "korean-history", ("1",), ("갑", "을", "병", "정")),
    ]
    assert check.check_pack(pack) == []
    providers_yaml(
        tmp_path / "providers.yaml", "", {"sim-a": {"endpoint": "b", "name": "chance"}}, {"b": {"api": "baseline"}}
    )
    ran = lmmbench("run", "--tasks", "public/kmmlu", "--run-id", "r", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "n=3" in ran.stdout
    assert lmmbench("score", "r", cwd=tmp_path).returncode == 0
    assert lmmbench("run", "--tasks", "all", cwd=tmp_path).returncode == 2


def test_a_second_import_must_bring_the_same_bytes(tmp_path: Path) -> None:
    """Trust on first use: the pinned commit is asked for again; other bytes are refused until --repin takes them."""
    folder = tasks_with(tmp_path, "kmmlu")
    with fake_hub("HAERAE-HUB/KMMLU", KMMLU) as (url, _):
        assert fetch(tmp_path, url, "kmmlu", "--accept-licence", "--revision", "main").returncode == 0
        before = (folder / "items.jsonl").read_bytes()
        assert fetch(tmp_path, url, "kmmlu", "--accept-licence").returncode == 0
        assert (folder / "items.jsonl").read_bytes() == before
    changed = KMMLU | {"data/Biology-test.csv": table([exam(1), exam(2, 3)])}
    with fake_hub("HAERAE-HUB/KMMLU", changed) as (url, _):
        refused = fetch(tmp_path, url, "kmmlu", "--accept-licence")
        assert refused.returncode == 2
        assert "data/Biology-test.csv: SHA-256" in refused.stderr
        assert (folder / "items.jsonl").read_bytes() == before
        assert fetch(tmp_path, url, "kmmlu", "--accept-licence", "--repin").returncode == 0
    assert (folder / "items.jsonl").read_bytes() != before


def test_click_and_kobest_have_their_columns(tmp_path: Path) -> None:
    """Answers as text and as indices, lists of options, labels, strata from paths, clusters by a shared text."""
    for name, dataset, files in (("click", "EunsuKim/CLIcK", CLICK), ("kobest", "skt/kobest_v1", KOBEST)):
        tasks_with(tmp_path, name)
        with fake_hub(dataset, files) as (url, _):
            made = fetch(tmp_path, url, name, "--accept-licence", "--revision", COMMIT)
            assert made.returncode == 0, made.stderr
    click, kobest = (packs.load(tmp_path / "tasks" / "public" / n) for n in ("click", "kobest"))
    assert [(i.id, i.stratum, i.targets, len(i.options)) for i in click.active] == [
        ("KHB_1_2", "History", ("3",), 4), ("TK-7", "Grammar", ("5",), 5),
    ]  # fmt: skip
    assert {i.type: (i.options[0], i.targets[0]) for i in kobest.active if i.type != "boolq"} == {
        "copa": ("땅이 젖었다.", "1"), "hellaswag": ("끝 1", "4"), "sentineg": ("부정", "1"), "wic": ("아니오", "1"),
    }  # fmt: skip
    boolq = [i for i in kobest.active if i.type == "boolq"]
    assert [i.targets[0] for i in boolq] == ["1", "2", "1"]
    assert len({i.cluster_id for i in boolq}) == 1
    assert check.check_pack(click) == check.check_pack(kobest) == []
    shown = packs.request(kobest, next(i for i in kobest.active if i.type == "copa"), 0, seed=0)
    assert shown.user.startswith("다음 문장의 결과에 해당하는 것은?\n\n비가 왔다.\n\nA. ")


def test_the_project_holds_cards_only() -> None:
    """No third party's data is committed: a public pack is its card."""
    assert [
        p.name for p in (ROOT / "tasks" / "public").glob("*/*") if p.name not in ("items.jsonl", "imported.json")
    ] == ["card.yaml"] * 3
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8")
    assert "/tasks/public/*/items.jsonl" in ignored


# --- a user's own files ------------------------------------------------------------------------------


def own(folder: Path, name: str, data: bytes, source: dict[str, Any], **more: Any) -> Path:
    """A card of the user's own over one file beside it."""
    write_pack(folder, 1, items_sha256="", data={"sources": [{"files": [name], **source}], **more})
    (folder / "items.jsonl").unlink()
    (folder / name).write_bytes(data)
    return folder


CLOSED: dict[str, Any] = {"fields": {"question": "q"}, "options": ["a", "b"], "answer": "gold", "answer_is": "letter"}
ROWS: list[dict[str, Any]] = [
    {"q": "하나?", "a": "갑", "b": "을", "gold": "B"},
    {"q": "둘?", "a": "병", "b": "정", "gold": "A"},
]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("my.jsonl", lines), ("my.csv", table), ("my.parquet", parquet), ("my.json", lambda rows: json.dumps({"data": rows}).encode()),
        ("my.tsv", lambda rows: table(rows).replace(b",", b"\t")), ("bom.csv", lambda rows: b"\xef\xbb\xbf" + table(rows)),
    ],
)  # fmt: skip
def test_a_card_may_map_a_file_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, write: Callable[[Any], bytes]
) -> None:
    """JSON Lines, JSON, CSV, TSV and parquet give the same items."""
    folder = own(tmp_path / "mine", name, write(ROWS), CLOSED)
    assert cli.run_cli(["import", "mine", "--accept-licence", "--tasks-dir", str(tmp_path)]) == 0, (
        capsys.readouterr().err
    )
    found = packs.load(folder).active
    assert [(i.fields["question"], i.options, i.targets) for i in found] == [
        ("하나?", ("갑", "을"), ("2",)),
        ("둘?", ("병", "정"), ("1",)),
    ]


def test_open_questions_have_targets(tmp_path: Path) -> None:
    """Columns of accepted answers; a row without one is left out; text comes in as NFC."""
    rows: list[dict[str, Any]] = [
        {"q": unicodedata.normalize("NFD", "무엇?"), "t": "답", "u": "대답"},
        {"q": "또?", "t": "", "u": None},
    ]
    source = {"fields": {"question": "q"}, "type": "open", "targets": ["t", "u"]}
    folder = own(tmp_path / "mine", "a.jsonl", lines(rows), source)
    made = cards.run(folder, folder, cards.Options(accept=True))
    assert [x["targets"] for x in made.lines] == [["답", "대답"]]
    assert made.lines[0]["fields"]["question"] == "무엇?"
    assert made.left_out == ["a.jsonl row 2: it has no answer"]


@pytest.mark.parametrize(
    ("source", "data", "sentence"),
    [
        (CLOSED | {"fields": {"question": "Q"}}, lines(ROWS), "there is no column 'Q'; there are: q, a, b, gold"),
        (CLOSED | {"options": "a"}, lines(ROWS), "the column 'a' holds no list of options"),
        (CLOSED | {"answer_is": "text"}, lines(ROWS), "no row of a.jsonl is a question; the first: a.jsonl row 1: its answer 'B' names none"),
        (CLOSED | {"files": ["b.jsonl"]}, lines(ROWS), "holds no file b.jsonl"),
        (CLOSED | {"stratum_of_file": "x(.)"}, lines(ROWS), "finds nothing in a.jsonl"),
        (CLOSED, b"{", "a.jsonl: cannot be read as .jsonl"),
        (CLOSED, b"[1]", "a row is [1], not an object with columns"),
        (CLOSED, b"\xff", "cannot be read as .jsonl"),
    ],
    ids=["column", "list", "answer", "file", "stratum", "json", "row", "utf-8"],
)  # fmt: skip
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, source: Any, data: bytes, sentence: str) -> None:
    """With what is there, and no half-made pack."""
    folder = own(tmp_path / "mine", "a.jsonl", data, source)
    with pytest.raises(UsageError) as caught:
        cards.run(folder, folder, cards.Options(accept=True))
    assert sentence in str(caught.value)
    assert not (folder / "items.jsonl").exists()


def test_hashes_in_a_card_hold(tmp_path: Path) -> None:
    """Who hands on a card with hashes is believed, not the file."""
    folder = own(tmp_path / "mine", "a.jsonl", lines(ROWS), CLOSED, sha256={"a.jsonl": "0" * 64})
    with pytest.raises(
        UsageError, match=r"a\.jsonl: SHA-256 \w{12}…, the card says 000000000000…; ask whoever wrote it"
    ):
        cards.run(folder, folder, cards.Options(accept=True))


def test_items_that_were_changed_after_the_import_are_refused(tmp_path: Path) -> None:
    """imported.json holds the hash that a card of ours holds for its own items."""
    folder = own(tmp_path / "mine", "a.jsonl", lines(ROWS), CLOSED)
    cards.run(folder, folder, cards.Options(accept=True))
    text = (folder / "items.jsonl").read_text(encoding="utf-8")
    (folder / "items.jsonl").write_text(text.replace("하나", "셋"), encoding="utf-8")
    with pytest.raises(UsageError, match="run: lmmbench import mine"):
        packs.load(folder)
    (folder / "imported.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="is damaged; import again"):
        packs.load(folder)


def test_a_card_without_its_items_breaks_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check and list say that it waits; a group goes on without it; asking for it names the command."""
    own(tmp_path / "mine", "a.jsonl", lines(ROWS), CLOSED)
    write_pack(tmp_path / "other", 2)
    assert [p.id for p in packs.select("tests", tmp_path)] == ["other"]
    assert cli.run_cli(["list", "tasks", "--tasks-dir", str(tmp_path)]) == 0
    assert "not imported: lmmbench import mine" in capsys.readouterr().out
    with pytest.raises(UsageError, match="fetch them with: lmmbench import mine"):
        packs.select("mine", tmp_path)


# --- the hub -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "without a login"), (403, "without a login"), (500, "HTTP 500")]
)
def test_a_hub_that_refuses_says_what_to_do(monkeypatch: pytest.MonkeyPatch, status: int, sentence: str) -> None:
    """Gated datasets are fetched by hand and named with --from."""
    with fake_hub("a/b", {}, status) as (url, _):
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(UsageError, match=sentence):
            hub.fetch("a/b", "main", ["*"])


def test_a_hub_must_be_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that anyone on the way could change is none; an id is owner/name and nothing else."""
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.test")
    with pytest.raises(UsageError, match="not https"):
        hub.fetch("a/b", "main", ["*"])
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub.address() == "https://huggingface.co"
    with pytest.raises(UsageError, match="no dataset id"):
        hub.fetch("a/../b", "main", ["*"])


def test_a_dataset_without_such_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another revision may lay its files out otherwise."""
    with fake_hub("a/b", {"x.csv": b""}) as (url, _):
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(UsageError, match=r"has no file y\.csv"):
            hub.fetch("a/b", "main", ["x.csv", "y.csv"])


# --- AI Hub ------------------------------------------------------------------------------------------


def label(tmp_path: Path, name: str, *pairs: tuple[str, str]) -> None:
    rows = [
        {"id": f"{name}.{n}", "form": d, "dialect_form": d, "standard_form": s, "speaker_id": "1"}
        for n, (d, s) in enumerate(pairs)
    ]
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / f"{name}.json").write_text(json.dumps({"id": name, "utterance": rows}), encoding="utf-8")


def test_aihub_labels_become_a_pack(tmp_path: Path) -> None:
    """Pairs that differ are asked once each; marks, empty and equal pairs are counted by reason; copying earns nothing."""
    label(
        tmp_path,
        "D1",
        ("밥 묵고 어디 가노 지금", "밥 먹고 어디 가니 지금"),
        ("똑같은 말을 하고 있다", "똑같은 말을 하고 있다"),
        ("&name1& 니는 어데 가노", "너는 어디 가니 지금"),
    )
    label(
        tmp_path,
        "D2",
        ("밥 묵고 어디 가노 지금", "밥 먹고 어디 가니 지금"),
        ("억수로 좋다 안 카나 그거", "아주 좋다고 하잖아 그것은 말이야"),
        ("와", "왜"),
        ("", "말"),
    )
    asked = lmmbench("import", "aihub-dialect", "labels", "--name", "own-gs", "--stratum", "gyeongsang", cwd=tmp_path)
    assert (asked.returncode, "AI Hub's terms" in asked.stderr) == (2, True)
    made = lmmbench(
        "import",
        "aihub-dialect",
        "labels",
        "--name",
        "own-gs",
        "--stratum",
        "gyeongsang",
        "--accept-licence",
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    assert "2 items" in made.stdout
    assert all(
        f"left out: 1 ({why})" in made.stderr
        for why in ("transcriber's marks", "the same in both forms", "too short", "one form is missing")
    )
    pack = packs.load(tmp_path / "tasks" / "own-gs")
    assert [t for i in pack.active for t in check._scores_gold(pack, i)] == []
    grade = scorers.scorer("rewrite").grade
    assert [grade(i.fields["source"], i, (), {}).score for i in pack.active if i.params["must_not"]] == [0.0, 0.0]
    first = next(i for i in pack.active if i.fields["source"].startswith("밥"))
    assert (first.stratum, first.type, first.params["must_not"]) == ("gyeongsang", "rewrite", ["묵고", "가노"])
    again = lmmbench(
        "import", "aihub-dialect", "labels", "--name", "own-gs", "--stratum", "x", "--accept-licence", cwd=tmp_path
    )
    assert (again.returncode, "exists; remove it" in again.stderr) == (2, True)


def test_a_file_that_is_no_label_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and no pack."""
    (tmp_path / "x.json").write_text("[]", encoding="utf-8")
    args = [
        "import",
        "aihub-dialect",
        str(tmp_path / "x.json"),
        "--name",
        "p",
        "--stratum",
        "s",
        "--accept-licence",
        "--to",
        str(tmp_path),
    ]
    assert cli.run_cli(args) == 2
    assert "no list `utterance`" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


# --- 우리말샘 -----------------------------------------------------------------------------------------

ENTRIES = [
    ("정구지01", "방언", "‘부추’의 방언(경상, 전라, 충청)."), ("감저", "방언", "‘고구마’의 방언(제주)."), ("부루", "방언", "‘상추’의 방언(강원, 평안)."),
    ("부추", "일반어", "백합과의 여러해살이풀."), ("곽밥", "북한어", "‘도시락’의 북한어."), ("거위-배", "방언", "배앓이를 이르는 말."),
]  # fmt: skip


def dump_json(path: Path) -> Path:
    items = [
        {"target_code": n, "wordinfo": {"word": w, "word_unit": "단어"}, "senseinfo": {"definition": d, "type": t}}
        for n, (w, t, d) in enumerate(ENTRIES)
    ]
    path.write_text(json.dumps({"channel": {"total": len(items), "item": items}}, ensure_ascii=False), encoding="utf-8")
    return path


def dump_xml(path: Path) -> Path:
    items = "".join(
        f"<item><target_code>{n}</target_code><wordInfo><word>{w}</word></wordInfo><senseInfo><definition>{d}</definition><type>{t}</type></senseInfo></item>"
        for n, (w, t, d) in enumerate(ENTRIES)
    )
    path.write_text(
        f"<?xml version='1.0' encoding='UTF-8'?><channel><total>6</total>{items}</channel>", encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    "dump", [lambda p: dump_json(p / "d.json"), lambda p: dump_xml(p / "d.xml")], ids=["json", "xml"]
)
def test_a_dump_becomes_a_list_of_dialect_words(tmp_path: Path, dump: Callable[[Path], Path]) -> None:
    """JSON and XML dumps give the same list: dialect and northern senses, with the standard word and the regions."""
    made = lmmbench("import", "opendict", dump(tmp_path), "--to", "words.jsonl", cwd=tmp_path)
    assert made.stdout.strip() == "words.jsonl: 5 senses"
    words = list(tables.rows("words.jsonl", (tmp_path / "words.jsonl").read_bytes()))
    assert [(w["word"], w["standard"], w["regions"]) for w in words] == [
        ("정구지", "부추", ["경상", "전라", "충청"]), ("감저", "고구마", ["제주"]), ("부루", "상추", ["강원", "평안"]), ("곽밥", "도시락", []), ("거위배", "", []),
    ]  # fmt: skip


def test_a_dump_is_held_against_a_packs_claims(tmp_path: Path) -> None:
    """Agrees, agrees for another region, means something else, or is not there; the dictionary's own words are shown."""

    def about(name: str, word: str, stratum: str, claim: str) -> dict[str, Any]:
        from tests.kit import item

        made = item(name, stratum=stratum, cluster_id=word)
        made["provenance"]["claim"] = claim
        return made

    write_pack(tmp_path / "tasks" / "mine", [
        about("q1", "lex:정구지", "gyeongsang", "정구지는 부추의 방언이다"), about("q2", "lex:정구지", "jeju", "정구지는 부추의 방언이다"),
        about("q3", "lex:감저", "jeju", "감저는 감자다"), about("q4", "lex:지슬", "jeju", "지슬은 감자다"),
        about("q5", "lex:곽밥", "north", "곽밥은 도시락이다"), about("q6", "end:-노", "gyeongsang", "어미"),
    ])  # fmt: skip
    pack = packs.load(tmp_path / "tasks" / "mine")
    found = {f.item: f.verdict for f in opendict.check(pack, [dump_json(tmp_path / "d.json")])}
    assert found == {"q1": "agrees", "q2": "other region", "q3": "other meaning", "q4": "not there", "q5": "agrees"}
    said = lmmbench("import", "opendict", "d.json", "--check", "mine", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "q3 감저: other meaning · ‘고구마’의 방언(제주)." in said.stdout
    assert said.stdout.splitlines()[-1] == "agrees 2 · other region 1 · other meaning 1 · not there 1"


@pytest.mark.parametrize(("name", "text"), [("d.json", "{}"), ("d.xml", "<channel>"), ("d.json", "[]")])
def test_a_file_that_is_no_dump_is_named(tmp_path: Path, name: str, text: str) -> None:
    """In one sentence."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="leave it out"):
        list(opendict.senses([tmp_path / name]))


def test_cards_are_read_by_the_strict_door(tmp_path: Path) -> None:
    """A misspelled key of a mapping is refused with the nearest name."""
    folder = own(tmp_path / "mine", "a.jsonl", lines(ROWS), CLOSED)
    data = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    data["data"]["sources"][0]["feilds"] = {}
    (folder / "card.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    with pytest.raises(UsageError, match=r"feilds.*did you mean 'fields'"):
        packs.load_card(folder)
