"""The command line as a new user meets it: every mistake gets one sentence that names the next action, exit code 2
(or what the contract says), and costs nothing. Then the good paths."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import pytest

from lmmbench import __version__, cli, places
from lmmbench.canon import sha256
from tests import kit
from tests.fake_server import Answer, FakeServer

PROVIDERS = """\
version: 1
defaults: {max_cost_usd: 5}
endpoints:
  sim:
    api: openai-chat
    base_url: URL/sim/v1
    concurrency: 4
  shop: {api: openai-chat, base_url: URL/shop/v1, key_env: SHOP_API_KEY}
  floor: {api: baseline}
models:
  sim-a:
    endpoint: sim
    name: a
    vendor: Simulated
    family: Sim
    region: overseas
  sim-keyed: {endpoint: shop, name: k, vendor: Shop, family: Sim, region: domestic, price: {input: 1, output: 1}}
  sim-unpriced: {endpoint: shop, name: u, vendor: Shop, family: Sim, region: domestic}
  sim-floor: {endpoint: floor, name: chance, vendor: Nobody, family: Sim, region: reference}
"""
RUN = ("run", "--tasks", "tiny", "--models", "sim-a")
ITEMS = 6


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return self.err.splitlines()[-1] if self.err.splitlines() else ""


class Desk:
    """A user's working folder with tasks/tiny and a providers.yaml whose models are on a fake server."""

    def __init__(self, folder: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.server = server
        self.providers = folder / "providers.yaml"
        self.results = folder / "results"
        self._capsys = capsys
        kit.write_pack(folder / "tasks" / "tiny", ITEMS)
        self.providers.write_text(PROVIDERS.replace("URL", server.url), encoding="utf-8")

    def lmmbench(self, *args: str | Path) -> Said:
        """The command line in this process: as `lmmbench ARGS…`, only faster."""
        self._capsys.readouterr()
        code = cli.run_cli([str(a) for a in args])
        out, err = self._capsys.readouterr()
        return Said(code, out, err)

    def files(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*")}

    def refused(self, *args: str | Path, says: tuple[str, ...], code: int = 2) -> Said:
        """The command ends with one sentence that holds all of `says`; nothing is sent, nothing is left behind."""
        before, sent = self.files(), len(self.server.history)
        said = self.lmmbench(*args)
        assert said.code == code, f"exit {said.code}: {said.err}"
        assert [x for x in said.err.splitlines() if x.startswith("lmmbench: ")] == [said.last]
        assert "Traceback" not in said.err and "unforeseen" not in said.err
        missing = [word for word in says if word not in said.last]
        assert not missing, f"{missing} not in: {said.last}"
        assert said.out == ""
        assert len(self.server.history) == sent, "something was sent"
        assert self.files() == before, "something was left behind"
        return said


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    wanted = kit.clean_env()
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    with FakeServer() as server:
        yield Desk(tmp_path, server, capsys)


def edit(path: Path, old: str, new: str) -> int:
    """Replace `old` in a file, and return the number of the line where that was."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


# --- places that were named and are not there --------------------------------------------------------


@pytest.mark.parametrize("option", ["--providers", "--tasks-dir"])
def test_a_named_place_that_is_not_there_is_refused(desk: Desk, option: str) -> None:
    """A path that was named on the command line and is not there is exit 2: never another file in its stead."""
    desk.refused(*RUN, option, "nowhere", says=("nowhere", "does not exist"))


@pytest.mark.parametrize("variable", ["LMMBENCH_PROVIDERS", "LMMBENCH_TASKS"])
def test_a_place_named_by_a_variable_that_is_not_there_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A path that a variable names and that is not there is exit 2, and the variable is named."""
    monkeypatch.setenv(variable, "nowhere")
    desk.refused(*RUN, says=("nowhere", variable, "does not exist"))


def test_a_tasks_folder_that_is_a_file_is_called_a_file(desk: Desk) -> None:
    """What is said of a path is true: a file in the place of a folder exists."""
    said = desk.refused(*RUN, "--tasks-dir", "providers.yaml", says=("providers.yaml", "--tasks-dir"))
    assert "does not exist" not in said.last


@pytest.mark.parametrize("at", ["file", "file/below"])
def test_results_that_cannot_be_written_are_found_before_anything_is_asked(desk: Desk, at: str) -> None:
    """A results folder that is a file, or lies below one, is exit 2 before anything is spent."""
    (desk.folder / "file").write_text("mine", encoding="utf-8")
    desk.refused(*RUN, "--results", at, says=(at, "--results"))


def test_a_results_folder_named_by_its_variable_is_checked_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """LMMBENCH_RESULTS that names a file is exit 2."""
    monkeypatch.setenv("LMMBENCH_RESULTS", "providers.yaml")
    desk.refused(*RUN, says=("providers.yaml", "is a file"))


# --- providers.yaml ----------------------------------------------------------------------------------

BAD_PROVIDERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "typo in an endpoint's key": ("concurrency:", "concurency:", ("concurency", "'concurrency'")),
    "typo in a model's key": ("vendor: Simulated", "vender: Simulated", ("vender", "'vendor'")),
    "typo in a top key": ("models:", "modles:", ("modles", "'models'")),
    "typo in a default's key": ("max_cost_usd: 5", "max_cost: 5", ("max_cost", "'max_cost_usd'")),
    "typo in a price's key": ("output: 1", "ouput: 1", ("ouput", "'output'")),
    "typo in an api": ("api: openai-chat", "api: openai-chta", ("openai-chta", "'openai-chat'")),
    "endpoint that is not there": ("endpoint: sim\n", "endpoint: sym\n", ("sym", "'sim'")),
    "region that is not there": ("region: overseas", "region: abroad", ("region", "'overseas'")),
    "not YAML": ("region: overseas", "region: [overseas", ("not valid YAML",)),
    "tab": ("    region: overseas", "\tregion: overseas", ("not valid YAML",)),
    "second document": ("models:", "---\nmodels:", ("not valid YAML",)),
    "anchor": ("name: a", "name: &x a", ("anchor",)),
    "alias": ("name: a\n    vendor: Simulated", "name: &x a\n    vendor: *x", ("not allowed",)),
    "tag that runs code": ("name: a", 'name: !!python/object/apply:os.system ["touch owned"]', ("tag",)),
    "tag on a mapping": ("defaults: {", "defaults: !!python/object:os.environ {", ("tag",)),
    "tag of bytes": ("name: a", "name: !!binary aGk=", ("tag",)),
    "key that stands twice": ("vendor: Simulated", "vendor: Simulated\n    name: b", ("'name'", "twice")),
    "no, which YAML reads as false": ("name: a", "name: no", ("name", "quote")),
    "number as text": ("vendor: Simulated", "vendor: 360", ("vendor", "quote")),
    "text as number": ("concurrency: 4", "concurrency: four", ("concurrency",)),
    "no slots": ("concurrency: 4", "concurrency: 0", ("concurrency", "greater than 0")),
    "date that is none": ("region: overseas", "region: overseas\n    verified: 2026-13-45", ()),
    "port that is none": ("URL/sim/v1", "http://127.0.0.1:99999/v1", ("'sim'", "base_url")),
    "host that is none": ("URL/sim/v1", "http://[::1/v1", ("'sim'", "base_url")),
    "URL without a scheme": ("URL/sim/v1", "127.0.0.1/v1", ("'sim'", "http(s)://")),
    "password in a URL": ("URL/sim/v1", "https://user:hunter2@example.com/v1", ("'sim'", "without user")),
    "secret over plain http": ("URL/shop/v1", "http://api.example.com/v1", ("'shop'", "https", "allow_http")),
    "id that is no file name": ("sim-a:", "sim/a:", ("sim/a", "letters")),
    "cap that is no number": ("max_cost_usd: 5", "max_cost_usd: .nan", ("max_cost_usd",)),
    "cap below zero": ("max_cost_usd: 5", "max_cost_usd: -5", ("max_cost_usd",)),
    "unknown version": ("version: 1", "version: 2", ("version 2", "version 1")),
    "nested without end": ("name: a", "name: " + "[" * 3000, ()),
}  # fmt: skip
"""What is wrong: (old, new, what the sentence says besides the file)."""


@pytest.mark.parametrize("wrong", BAD_PROVIDERS)
def test_a_mistake_in_providers_yaml_is_found_before_anything_is_sent(desk: Desk, wrong: str) -> None:
    """Every mistake in providers.yaml is exit 2 with the file, what is wrong, and for a typo the nearest name."""
    old, new, says = BAD_PROVIDERS[wrong]
    line = edit(desk.providers, old.replace("URL", desk.server.url), new)
    said = desk.refused(*RUN, says=("providers.yaml", *says))
    assert "hunter2" not in said.err
    assert not (desk.folder / "owned").exists()
    if "key" in wrong or wrong in ("anchor", "alias"):  # where one place is wrong, an editor can go there
        assert re.search(rf"providers\.yaml:({line}|{line + 1}): ", said.last), said.last


def test_a_baseline_that_does_not_exist_leaves_no_run_behind(desk: Desk) -> None:
    """A reference model is chance or copy; anything else is found before a run's folder is made."""
    edit(desk.providers, "name: chance", "name: chanse")
    desk.refused("run", "--tasks", "tiny", "--models", "sim-floor", says=("chanse", "chance", "copy"))


@pytest.mark.parametrize("content", [b"", b"# nothing yet\n"])
def test_an_empty_providers_yaml_is_sent_to_init(desk: Desk, content: bytes) -> None:
    """An empty providers.yaml is exit 2, and the sentence names the command that writes one."""
    desk.providers.write_bytes(content)
    desk.refused(*RUN, says=("providers.yaml", "empty", "lmmbench init"))


def test_a_providers_yaml_of_another_encoding_is_refused(desk: Desk) -> None:
    """A file saved as CP949 is exit 2, and the sentence says to save it as UTF-8."""
    desk.providers.write_bytes("version: 1 # 한글".encode("cp949"))
    desk.refused(*RUN, says=("providers.yaml", "UTF-8"))


@pytest.mark.parametrize("command", [("list", "models"), ("check",), RUN, (*RUN, "--dry-run")])
def test_every_reader_of_providers_yaml_says_the_same(desk: Desk, command: tuple[str, ...]) -> None:
    """There is one door for providers.yaml: list, check and run refuse the same file with the same words."""
    edit(desk.providers, "concurrency:", "concurency:")
    said = desk.lmmbench(*command)
    assert said.code == 2
    assert "providers.yaml:7: unknown key 'endpoints.sim.concurency' (did you mean 'concurrency'?)" in said.err


def test_a_text_that_yaml_could_misread_is_kept_where_it_is_quoted(desk: Desk) -> None:
    """In quotes `no` is a name; as a key it needs no quotes, since keys are always text."""
    edit(desk.providers, "name: a", 'name: "no"')
    edit(desk.providers, "sim-a:", "no:")
    said = desk.lmmbench("run", "--tasks", "tiny", "--models", "no", "--limit", "1")
    assert (said.code, desk.server.history[0].model) == (0, "no")


# --- names of models and tasks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "models", "says"),
    [
        ("tinny", "sim-a", ("'tinny'", "'tiny'")),
        ("test", "sim-a", ("'test'", "'tests'")),
        ("tiny,tinny", "sim-a", ("'tinny'", "'tiny'")),
        ("", "sim-a", ("--tasks",)),
        (",", "sim-a", ("--tasks",)),
        ("tiny", "sim-b", ("'sim-b'", "'sim-a'", "lmmbench list models")),
        ("tiny", "sim-a,sim-flor", ("'sim-flor'", "'sim-floor'")),
        ("tiny", "kogpt", ("'kogpt'", "KoGPT", "kanana-o")),
        ("tiny", "KoGPT-6B", ("'KoGPT-6B'", "kanana-o")),
        ("tiny", "", ("--models", "lmmbench list models")),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest_one(
    desk: Desk, tasks: str, models: str, says: tuple[str, ...]
) -> None:
    """A model or task that does not exist is exit 2, with the nearest name or where to look."""
    desk.refused("run", "--tasks", tasks, "--models", models, says=says)


def test_an_empty_tasks_folder_does_not_offer_what_was_asked_for(desk: Desk) -> None:
    """`did you mean 'all'?` helps nobody who wrote `all`."""
    (desk.folder / "none").mkdir()
    said = desk.refused("run", "--tasks", "all", "--models", "sim-a", "--tasks-dir", "none", says=("none",))
    assert "did you mean" not in said.last


def test_a_run_without_tasks_names_a_first_command(desk: Desk) -> None:
    """`lmmbench run` alone says what to write."""
    desk.refused("run", says=("--tasks", "lmmbench run --tasks korean"))


# --- packs -------------------------------------------------------------------------------------------

BAD_CARDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "typo in a key": ("max_output_tokens:", "max_output_token:", ("max_output_token", "'max_output_tokens'")),
    "other spelling of a key": ("licence:", "license:", ("license", "'licence'")),
    "typo in a nested key": ("  user:", "  usr:", ("usr", "'user'")),
    "key that stands twice": ("chance:", "chance: 0.5\nchance:", ("'chance'", "twice")),
    "anchor": ("version:", "version: &v", ("anchor",)),
    "tag": ("version:", "version: !!python/name:os.system", ("tag",)),
    "no, which YAML reads as false": ("title: A pack of the tests", "title: no", ("title", "quote")),
    "number as text": ("version: 1.0.0", "version: 1.0", ("version", "quote")),
    "scorer that is not there": ("name: choice", "name: choise", ("'choise'", "'choice'")),
    "chance that is none": ("chance: 1/options", "chance: half", ("chance", "1/options")),
    "no room for an answer": ("max_output_tokens: 64", "max_output_tokens: 0", ("max_output_tokens",)),
    "field that is not there": ("{{question}}", "{{qestion}}", ("qestion", "'question'")),
    "slot that is none": ("{{question}}", "{{ question }}", ("{{ question }}",)),
    "options that are not shown": ("{{options}}", "", ("options",)),
    "id of another folder": ("id: tiny", "id: tidy", ("'tidy'", "'tiny'")),
}


@pytest.mark.parametrize("wrong", BAD_CARDS)
def test_a_mistake_in_a_card_is_found_before_anything_is_sent(desk: Desk, wrong: str) -> None:
    """Every mistake in a card is exit 2, found before anything is spent; a typo gets the nearest name."""
    old, new, says = BAD_CARDS[wrong]
    line = edit(desk.folder / "tasks/tiny/card.yaml", old, new)
    said = desk.refused(*RUN, says=("tiny", *says))
    if "key" in wrong:
        assert re.search(rf"card\.yaml:({line}|{line + 1}): ", said.last), said.last


def changed(line: int, **keys: Any) -> Callable[[list[str]], None]:
    """Replaces keys of the item on a line (from 1)."""

    def change(lines: list[str]) -> None:
        lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | keys, ensure_ascii=False)

    return change


def broken(lines: list[str]) -> None:
    lines[1] = lines[1][:40]


def nfd_as_escapes(lines: list[str]) -> None:
    question = unicodedata.normalize("NFD", "무슨 뜻인가?")
    lines[1] = json.dumps(json.loads(lines[1]) | {"fields": {"question": question}}, ensure_ascii=True)


MEDIA = {"mime": "image/png", "sha256": "0" * 64}
BAD_ITEMS: dict[str, tuple[Callable[[list[str]], None], tuple[str, ...]]] = {
    "broken line": (broken, ("items.jsonl:2", "JSON")),
    "duplicate id": (changed(2, id="q0000"), ("items.jsonl:2", "'q0000'", "line 1")),
    "NFD": (changed(2, fields={"question": unicodedata.normalize("NFD", "뜻은?")}), ("items.jsonl:2", "NFC")),
    "NFD written as escapes": (nfd_as_escapes, ("q0001", "NFC")),
    "typo in a key": (changed(2, optoins=[]), ("items.jsonl:2", "optoins", "'options'")),
    "status that is none": (changed(2, status="on"), ("items.jsonl:2", "'active'")),
    "id that is no file name": (changed(2, id="../q"), ("items.jsonl:2", "'../q'")),
    "target out of range": (changed(2, targets=["5"]), ("q0001", "1 to 4")),
    "target that is no number": (changed(2, targets=["하나"]), ("q0001", "1 to 4")),
    "no target": (changed(2, targets=[]), ("q0001", "target")),
    "more options than letters": (changed(2, options=[f"가{n}" for n in range(30)]), ("q0001", "options")),
    "file outside the pack": (changed(2, media=[{"path": "../../providers.yaml", **MEDIA}]), ("q0001", "outside")),
    "file that is not there": (changed(2, media=[{"path": "no.png", **MEDIA}]), ("q0001", "no.png")),
    "no item": (lambda lines: lines.clear(), ("items.jsonl", "no item")),
}


@pytest.mark.parametrize("wrong", BAD_ITEMS)
def test_a_mistake_in_an_item_is_found_before_anything_is_sent(desk: Desk, wrong: str) -> None:
    """Every item that could not be asked or graded is exit 2, found before anything is spent."""
    change, says = BAD_ITEMS[wrong]
    path = desk.folder / "tasks/tiny/items.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    change(lines)
    text = "".join(line + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    card = path.with_name("card.yaml")
    card.write_text(re.sub("items_sha256: .*", f"items_sha256: {sha256(text)}", card.read_text("utf-8")), "utf-8")
    said = desk.refused(*RUN, says=says)
    if wrong == "broken line":
        assert "line 1 " not in said.last, "a place within the line must not look like a line of the file"


@pytest.mark.parametrize("folder", ["tasks/tiny", "elsewhere/tiny"])
def test_a_wrong_hash_names_the_command_that_mends_it(desk: Desk, folder: str) -> None:
    """A pack whose items are not those of its hash is exit 2, and the command in the sentence works as it stands."""
    pack = kit.write_pack(desk.folder / folder, 4)
    with (pack / "items.jsonl").open("a", encoding="utf-8") as f:
        f.write("\n")
    run = ("run", "--tasks", folder, "--models", "sim-a")
    said = desk.refused(*run, says=("items.jsonl", "SHA-256", "lmmbench check --write-hash"))
    hint = said.last.partition("run: lmmbench ")[2].split()
    assert desk.lmmbench(*hint).code == 0
    assert desk.lmmbench(*run).code == 0


def test_check_names_every_broken_pack_and_not_only_the_first(desk: Desk) -> None:
    """`check` goes on after a pack that cannot be read or graded."""
    for name, scorer in (("first", "choise"), ("second", "exakt")):
        kit.write_pack(desk.folder / "tasks" / name, 4, scorer={"name": scorer})
    said = desk.lmmbench("check")
    assert said.code == 2
    assert "'choise'" in said.err and "'exakt'" in said.err


# --- options -----------------------------------------------------------------------------------------


BAD_OPTIONS: dict[str, tuple[str, ...]] = {
    "--limit -3": ("--limit", "-3", "1"),
    "--limit 0": ("--limit", "0", "1"),
    "--limit ": ("--limit",),
    "--limit many": ("--limit", "many"),
    "--repeats 0": ("--repeats", "0", "1"),
    "--seed -1": ("--seed", "-1"),
    "--concurrency 0": ("--concurrency", "0", "1"),
    "--deadline soon": ("--deadline", "'soon'", "2h"),
    "--deadline 0s": ("--deadline", "'0s'"),
    "--deadline -5m": ("--deadline", "'-5m'"),
    "--max-cost -1": ("--max-cost", "-1"),
    "--max-cost nan": ("--max-cost", "nan"),
    "--min-coverage 98": ("--min-coverage", "98"),
    "--min-coverage nan": ("--min-coverage", "nan"),
    "--min-attestation rumour": ("--min-attestation", "'recall'"),
    "--min-attestation page": ("tiny", "--min-attestation"),
    "--lmit 3": ("--lmit", "--limit"),
    "--run-id ../x": ("'../x'", "letters"),
    "--run-id a/b": ("'a/b'", "letters"),
    "--run-id .hidden": ("'.hidden'", "letters"),
    "--run-id 실험": ("'실험'", "letters"),
    "--run-id " + "x" * 65: ("64",),
    "--run-id CON": ("'CON'", "file name"),
    "--run-id nul.txt": ("'nul.txt'", "file name"),
    "--run-id ": ("run id",),
    "--run-id latest": ("'latest'",),
}
"""An option as it is typed, and what the sentence says."""


@pytest.mark.parametrize("typed", BAD_OPTIONS)
def test_an_option_that_makes_no_sense_is_refused(desk: Desk, typed: str) -> None:
    """An option's value outside its range is exit 2 with the option's name and what it may be."""
    desk.refused(*RUN, *typed.split(" ", 1), says=BAD_OPTIONS[typed])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("runn",), ("'runn'", "'run'", "--help")),
        (("list",), ("models", "tasks", "runs")),
        (("list", "model"), ("'model'", "models", "tasks", "runs")),
        (("show", "latest"), ("ITEM", "lmmbench show --help")),
        (("matrix",), ("RUN", "lmmbench matrix --help")),
    ],
)
def test_half_a_command_names_what_is_missing(desk: Desk, args: tuple[str, ...], says: tuple[str, ...]) -> None:
    """A command that is not there, or lacks an argument, is exit 2 with one sentence on one line."""
    said = desk.refused(*args, says=says)
    assert len(said.err.splitlines()) == 1


def test_lmmbench_alone_prints_its_help(desk: Desk) -> None:
    """Without a command the help is printed as it is: no prefix in front of it, no hint to it behind."""
    said = desk.lmmbench()
    assert (said.out + said.err).startswith("Usage: lmmbench")
    assert "see: lmmbench --help" not in said.out + said.err


# --- runs: a name that is taken, a run that is none ---------------------------------------------------


@pytest.fixture
def finished(desk: Desk) -> Desk:
    """A desk with one finished run, `first`."""
    assert desk.lmmbench(*RUN, "--limit", "4", "--run-id", "first").code == 0
    desk.server.history.clear()
    return desk


def test_a_run_id_that_exists_is_sent_to_resume(finished: Desk) -> None:
    """A new run never writes into an old one: exit 2, and the sentence holds the option that was meant."""
    finished.refused(*RUN, "--run-id", "first", says=("'first'", "--resume first"))


def test_a_folder_that_is_no_run_is_not_sent_to_resume(desk: Desk) -> None:
    """A folder of that name that holds no plan cannot be resumed: the sentence must not say so."""
    (desk.results / "mine").mkdir(parents=True)
    said = desk.refused(*RUN, "--run-id", "mine", says=("mine",))
    assert "--resume mine" not in said.last


@pytest.mark.parametrize(
    ("option", "given", "was"),
    [
        ("--limit", "3", "4"), ("--models", "sim-floor", "sim-a"), ("--tasks", "tests", "tiny"), ("--seed", "7", "0"),
        ("--repeats", "2", "1"), ("--option-order", "given", "shuffled"), ("--min-attestation", "recall", ""),
    ],
)  # fmt: skip
def test_resume_refuses_options_that_differ(finished: Desk, option: str, given: str, was: str) -> None:
    """--resume takes everything from plan.json; an option that differs is exit 2 with both values, and never a
    Python word such as None."""
    said = finished.refused("run", "--resume", "first", option, given, says=(option, given, was))
    assert "None" not in said.last


def test_resume_takes_options_that_agree(finished: Desk) -> None:
    """Options given again that agree with plan.json are fine, and what was answered is not asked again."""
    said = finished.lmmbench(*RUN, "--limit", "4", "--resume", "first")
    assert (said.code, finished.server.history) == (0, [])


def test_resume_and_run_id_exclude_each_other(finished: Desk) -> None:
    """--run-id names a new run, --resume an old one."""
    finished.refused("run", "--resume", "first", "--run-id", "second", says=("--run-id", "--resume"))


def no_plan(run: Path) -> None:
    (run / "plan.json").unlink()


def damaged_plan(run: Path) -> None:
    (run / "plan.json").write_bytes((run / "plan.json").read_bytes()[:100])


def list_as_plan(run: Path) -> None:
    (run / "plan.json").write_text("[]", encoding="utf-8")


def plan_of_the_future(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_bytes())
    (run / "plan.json").write_text(json.dumps(plan | {"schema": 99}), encoding="utf-8")


@pytest.mark.parametrize("harm", [no_plan, damaged_plan, list_as_plan, plan_of_the_future])
@pytest.mark.parametrize("command", [("run", "--resume", "first"), ("score", "first")])
def test_what_is_no_run_is_refused(finished: Desk, harm: Callable[[Path], None], command: tuple[str, ...]) -> None:
    """A folder whose plan is missing, damaged or of another version is exit 2, and stays as it is."""
    harm(finished.results / "first")
    finished.refused(*command, says=("first",))


@pytest.mark.parametrize("command", [("run", "--resume"), ("score",), ("matrix",)])
@pytest.mark.parametrize(("name", "says"), [("frist", "'first'"), ("tasks", "lmmbench list runs")])
def test_a_run_that_is_not_there_gets_the_nearest_one(
    finished: Desk, command: tuple[str, ...], name: str, says: str
) -> None:
    """RUN that does not exist is exit 2 with the nearest id, or where to look."""
    finished.refused(*command, name, says=(f"'{name}'", says))


@pytest.mark.parametrize("command", [("run", "--resume"), ("score",), ("matrix",)])
def test_latest_of_no_runs_names_a_first_command(desk: Desk, command: tuple[str, ...]) -> None:
    """`latest` before any run is exit 2 with a command that makes one."""
    desk.refused(*command, "latest", says=("no run", "lmmbench run --tasks"))


def test_show_of_an_item_that_is_not_there_gets_the_nearest_one(finished: Desk) -> None:
    """An item that the run does not hold is exit 2 with the nearest id."""
    known = json.loads((finished.results / "first/plan.json").read_bytes())["packs"]["tiny"]["items"]
    finished.refused("show", "first", known[0][:-1], says=("first", f"'{known[0][:-1]}'", "did you mean 'q"))


@pytest.mark.skipif(os.name == "nt", reason="locks of another handle are tested with fcntl, which POSIX has")
def test_a_run_that_another_process_writes_is_exit_5(finished: Desk) -> None:
    """One writer a journal: a second one is told to wait, with exit code 5."""
    import fcntl

    with (finished.results / "first/journal/main.lock").open("ab") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        finished.refused("run", "--resume", "first", says=("first", "wait"), code=5)


# --- the disk ----------------------------------------------------------------------------------------

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv[1:] = sys.argv[2:]
runpy.run_module("lmmbench", run_name="__main__", alter_sys=True)
"""
"""lmmbench as it is, but no file may grow beyond argv[1] bytes: what a full disk does, for root as for a user."""


def sizes(run: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in run.rglob("*") if p.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="a file size limit stands in for a full disk, and POSIX has it")
@pytest.mark.parametrize("full_at", ["plan", "journal", "models"])
def test_a_full_disk_is_exit_4_and_loses_nothing(desk: Desk, full_at: str) -> None:
    """When the disk fails the run ends with 4 and says how to go on; that works once there is room. Answers that are
    on the disk are never asked for again: at most `concurrency` asks are sent twice."""
    kit.write_pack(desk.folder / "tasks" / "wide", 12 if full_at == "journal" else 4)
    args = ("run", "--tasks", "wide", "--models", "sim-a", "--run-id")
    assert desk.lmmbench(*args, "whole").code == 0
    size = sizes(desk.results / "whole")
    limit = {
        "plan": size["plan.json"] // 2,
        "journal": (size["plan.json"] + size["main.jsonl"]) // 2,
        "models": (size["items.parquet"] + size["sim-a.parquet"]) // 2,
    }[full_at]
    desk.server.history.clear()

    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *args, "full"],
        cwd=desk.folder, env=kit.clean_env(), capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr and "unforeseen" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("lmmbench: ") and ("room" in last or "space" in last), last

    if full_at == "plan":
        assert places.runs(desk.results) == ["whole"], "a run that never began must not be `latest`"
        again = desk.lmmbench(*args, "full")
    else:
        again = desk.lmmbench("run", "--resume", "full")
    assert again.code == 0, again.err
    assert kit.manifest_of(desk.results / "full")["by_status"] == {"ok": 12 if full_at == "journal" else 4}
    twice = [key for key, times in desk.server.asked().items() if times > 1]
    assert max(desk.server.asked().values()) <= 2
    assert len(twice) <= (4 if full_at == "journal" else 0)


def test_init_that_cannot_write_says_so(desk: Desk) -> None:
    """`init` where providers.yaml cannot be written is one sentence, not an unforeseen error."""
    desk.providers.unlink()
    desk.providers.mkdir()
    said = desk.lmmbench("init", "--force")
    assert said.code in (2, 4)
    assert "providers.yaml" in said.last and "unforeseen" not in said.last


# --- terminals ---------------------------------------------------------------------------------------

SEVERAL = """
import json, sys
from lmmbench.cli import run_cli
codes = []
for argv in json.loads(sys.argv[1]):
    codes.append(run_cli(argv))
    sys.stdout.flush()
json.dump(codes, open("codes.json", "w"))
"""
"""Several commands in one process, and their exit codes in codes.json."""

TERMINALS: dict[str, tuple[dict[str, str], str]] = {
    "ascii": ({"PYTHONIOENCODING": "ascii"}, "utf-8"),  # click prints UTF-8 where the encoding claims to be ASCII
    "cp949": ({"PYTHONIOENCODING": "cp949"}, "cp949"),
    "cp1252": ({"PYTHONIOENCODING": "cp1252"}, "cp1252"),
    "C": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "utf-8"),
}


@pytest.mark.parametrize("terminal", TERMINALS)
def test_a_terminal_that_cannot_print_hangul_gets_no_traceback(desk: Desk, terminal: str) -> None:
    """Whatever a terminal can print, run, matrix, show and list work: what it cannot print is escaped, and an error
    keeps its exit code."""
    variables, encoding = TERMINALS[terminal]
    desk.server.script = lambda x: Answer(text="정답: 하나 😀")
    item = "tiny/q0000"
    commands = [
        [*RUN, "--run-id", "first", "--lang", "ko"], ["matrix", "first", "--lang", "ko"], ["show", "first", item],
        *(["matrix", "first", "--lang", "ko", "--format", form] for form in ("md", "json", "csv")),
        ["list", "tasks"], ["list", "tasks", "--json"], ["list", "runs"], ["list", "models"], ["run", "--tasks", "없음"],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        cwd=desk.folder, env=kit.clean_env(**({"PYTHONUTF8": "0"} | variables)), capture_output=True, timeout=60,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
    codes = json.loads((desk.folder / "codes.json").read_text("utf-8"))
    assert codes == [0] * (len(commands) - 1) + [2]
    out = done.stdout.decode(encoding)
    assert "sim-a" in out and "run: results" in out
    assert kit.rows_of(desk.results / "first")[0]["answer"] == "정답: 하나 😀", "files are UTF-8 always"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names in no encoding")
def test_a_results_folder_with_a_korean_name_works_in_the_c_locale(desk: Desk) -> None:
    """A path's bytes are the user's business: a name that the locale cannot say is still a name."""
    done = subprocess.run(
        [sys.executable, "-m", "lmmbench", *RUN, "--results", "결과", "--run-id", "first"],
        cwd=desk.folder, env=kit.clean_env(**TERMINALS["C"][0]), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert (desk.folder / "결과/first/run.json").is_file()


# --- standard output that goes away ------------------------------------------------------------------


@contextmanager
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads any more: `| head -1` after its line."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


READERS = [("list", "models"), ("list", "tasks", "--json"), ("matrix", "first"), ("show", "first", "tiny/q0000")]


def piped(desk: Desk, stdout: int | IO[bytes], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lmmbench", *args], cwd=desk.folder, env=kit.clean_env(PYTHONUNBUFFERED=""),
        stdout=stdout, stderr=subprocess.PIPE, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_stdout_that_is_closed_early_is_no_error(desk: Desk, command: tuple[str, ...]) -> None:
    """`lmmbench … | head -1` prints no traceback, and never ends with 1, which means a regression."""
    assert desk.lmmbench("run", "--tasks", "tiny", "--models", "sim-floor", "--run-id", "first").code == 0
    with closed_pipe() as writer:
        done = piped(desk, writer, *command)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_run_whose_stdout_is_closed_early_is_still_published(desk: Desk) -> None:
    """Nobody reads the matrix: the answers are in the journal and in the tables all the same."""
    with closed_pipe() as writer:
        done = piped(desk, writer, *RUN, "--run-id", "first")
    assert "Traceback" not in done.stderr and "unforeseen" not in done.stderr
    assert done.returncode in (0, 141)
    assert kit.manifest_of(desk.results / "first")["by_status"] == {"ok": ITEMS}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a full disk that Linux has")
def test_stdout_on_a_full_disk_is_exit_4(desk: Desk) -> None:
    """`lmmbench list … > file` on a full disk has not printed its result: exit 4 in one sentence."""
    with Path("/dev/full").open("wb") as full:
        done = piped(desk, full, "list", "tasks", "--json")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="closing a stream with >&- is a shell's business")
@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_run_without_a_stream_is_a_run(desk: Desk, stream: str) -> None:
    """Started by a service that gives it no stdout or no stderr, a run asks, publishes and ends with 0."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {stream}', "sh", sys.executable, "-m", "lmmbench", *RUN, "--run-id", "first"],
        cwd=desk.folder, env=kit.clean_env(), capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert kit.manifest_of(desk.results / "first")["by_status"] == {"ok": ITEMS}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a full disk that Linux has")
def test_stderr_on_a_full_disk_never_ends_with_1(desk: Desk) -> None:
    """1 is for `gate` alone; a log that cannot be written must not look like a regression."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lmmbench", *RUN, "--providers", "nowhere"],
            cwd=desk.folder, env=kit.clean_env(), stdout=subprocess.DEVNULL, stderr=full, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2


# --- keys and addresses ------------------------------------------------------------------------------

KEYED = ("run", "--tasks", "tiny", "--models", "sim-keyed")


@pytest.mark.parametrize("key", ["secret\n", "secret value", "secret\t", "비밀", "secret\u200b", "“secret”", " "])
def test_a_key_that_cannot_be_one_is_refused_and_never_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A key with a line break, a space or a character outside ASCII is exit 2 with its variable's name, never with
    its value, and is never sent."""
    monkeypatch.setenv("SHOP_API_KEY", key)
    said = desk.refused(*KEYED, says=("SHOP_API_KEY", "export"))
    assert "secret" not in said.err and "비밀" not in said.err


def test_a_bad_key_of_one_endpoint_does_not_hide_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`list models` shows every row, and says at the row what is wrong with its key."""
    monkeypatch.setenv("SHOP_API_KEY", "secret value")
    said = desk.lmmbench("list", "models", "--json")
    assert said.code == 0, said.err
    rows = {r["model"]: r for r in json.loads(said.out)}
    assert rows["sim-a"]["ready"] and not rows["sim-keyed"]["ready"]
    assert "SHOP_API_KEY" in rows["sim-keyed"]["why_not"] and "secret" not in said.out


def test_a_model_without_its_key_is_refused_when_named_and_skipped_when_not(desk: Desk) -> None:
    """Named in --models it is exit 2 with the variable to set; else it is listed as skipped with that reason."""
    desk.refused(*KEYED, says=("'sim-keyed'", "SHOP_API_KEY"))
    said = desk.lmmbench("run", "--tasks", "tiny", "--limit", "1")
    assert said.code == 0
    assert "skipped sim-keyed at endpoint 'shop': SHOP_API_KEY is not set" in said.err
    assert {x.model for x in desk.server.history} == {"a"}


def test_a_local_port_where_nobody_listens_is_refused_when_named_and_skipped_when_not(desk: Desk) -> None:
    """Named in --models it is exit 4 and says to start the server; else it is listed as skipped."""
    edit(desk.providers, f"{desk.server.url}/sim/v1", "http://127.0.0.1:9/v1")
    desk.refused(*RUN, says=("'sim-a'", "127.0.0.1:9", "start the server"), code=4)
    said = desk.lmmbench("run", "--tasks", "tiny")
    assert said.code == 0
    assert "skipped sim-a at endpoint 'sim': nothing listens at http://127.0.0.1:9/v1" in said.err


@pytest.mark.parametrize("url", ["http://api.example.com/v1", "http://10.0.0.7/v1", "http://127.0.0.1.example.com/v1"])
def test_a_key_never_goes_over_plain_http_to_another_machine(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Also when the address comes from a variable: exit 2, and https or allow_http is named."""
    edit(desk.providers, f"base_url: {desk.server.url}/shop/v1", "base_url_env: SHOP_URL")
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    monkeypatch.setenv("SHOP_URL", url)
    desk.refused(*KEYED, says=("'shop'", "plain http", "https", "allow_http"))


def test_an_address_variable_that_is_not_set_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """base_url_env without a value is exit 2 with the variable's name."""
    edit(desk.providers, f"base_url: {desk.server.url}/shop/v1", "base_url_env: SHOP_URL")
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    desk.refused(*KEYED, says=("'sim-keyed'", "SHOP_URL"))


def test_a_price_that_is_not_known_needs_consent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyed model without a price is not asked unless that is accepted: exit 2 with both ways out."""
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    unpriced = ("run", "--tasks", "tiny", "--models", "sim-unpriced")
    desk.refused(*unpriced, says=("sim-unpriced", "price", "--allow-unknown-cost"))
    assert desk.lmmbench(*unpriced, "--allow-unknown-cost").code == 0


def test_a_cap_that_is_too_low_is_shown_with_an_estimate_above_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the cap nothing starts, and the two amounts in the sentence differ: never `$0.00, more than $0.00`."""
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    said = desk.refused(*KEYED, "--max-cost", "0", says=("--max-cost", "nothing was sent"))
    amounts = re.findall(r"\$([0-9.]*[0-9])", said.last)
    assert float(amounts[0]) > float(amounts[1]), said.last


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b"", "not a GGUF"), (b"PK\3\4", "not a GGUF")]
)
def test_a_model_file_that_is_none_is_refused(desk: Desk, content: bytes | None, says: str) -> None:
    """A model file that is missing, empty or no GGUF is exit 2 with its path."""
    edit(desk.providers, "floor: {api: baseline}", "floor: {api: embedded}")
    edit(desk.providers, "name: chance", "name: mine.gguf")
    if content is not None:
        (desk.folder / "mine.gguf").write_bytes(content)
    desk.refused("run", "--tasks", "tiny", "--models", "sim-floor", says=("'sim-floor'", "mine.gguf", says))


# --- good paths: help and version --------------------------------------------------------------------


def commands(group: click.Group = cli.cli, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words."""
    yield at, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*at, name))
        else:
            yield (*at, name), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(("lmmbench", *words)))
def test_the_help_of_every_command_names_what_it_does(desk: Desk, words: tuple[str, ...]) -> None:
    """--help and -h print, on stdout with exit 0, what a command does and what each of its options is for."""
    said = desk.lmmbench(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert said == desk.lmmbench(*words, "-h")
    command = COMMANDS[words]
    assert said.out.startswith(f"Usage: {' '.join(('lmmbench', *words))}")
    assert command.help and command.help.split()[0] in said.out
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.opts[0] in said.out
            assert option.help, f"{option.opts[0]} does not say what it is for"


def modules_loaded(*args: str, cwd: Path) -> set[str]:
    """Top names of what `lmmbench ARGS…` imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lmmbench", *args],
        cwd=cwd, env=kit.clean_env(), capture_output=True, text=True, encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    lines = [x for x in done.stderr.splitlines() if x.startswith("import time:")]
    return {x.rpartition("|")[2].strip().partition(".")[0] for x in lines}


HEAVY = {
    "pyarrow",
    "pandas",
    "numpy",
    "httptools",
    "ssl",
    "pydantic",
    "rich",
    "yaml",
    "sacrebleu",
    "xllamacpp",
    "asyncio",
}


@pytest.mark.parametrize("args", [("--version",), ("--help",), ("run", "--help")], ids=" ".join)
def test_version_and_help_import_nothing_heavy(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Completion and scripts call these all the time."""
    assert not modules_loaded(*args, cwd=tmp_path) & HEAVY


def test_a_run_s_first_steps_load_no_tables(desk: Desk) -> None:
    """What publishing needs is imported when something is published, not before the first ask."""
    assert not modules_loaded(*RUN, "--dry-run", cwd=desk.folder) & {"pyarrow", "pandas", "numpy", "rich", "sacrebleu"}


def test_the_version_is_the_package_s(desk: Desk) -> None:
    """`--version` says the same with and without the short cut."""
    done = kit.lmmbench("--version", cwd=desk.folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lmmbench {__version__}\n", "")
    assert desk.lmmbench("--version").out == done.stdout


# --- good paths: looking ------------------------------------------------------------------------------


def test_init_writes_a_file_that_works_and_overwrites_nothing(desk: Desk) -> None:
    """`init` writes the commented file of the package; an existing one is kept unless --force is given."""
    desk.refused("init", says=("providers.yaml", "exists", "lmmbench init --force"))
    desk.providers.unlink()
    said = desk.lmmbench("init")
    assert said.code == 0 and "lmmbench list models" in said.out
    text = desk.providers.read_text(encoding="utf-8")
    assert text.startswith("#") and b"\r" not in desk.providers.read_bytes()
    desk.providers.write_text("mine", encoding="utf-8")
    assert desk.lmmbench("init", "--force").code == 0
    assert desk.providers.read_text(encoding="utf-8") == text
    models = {r["model"] for r in json.loads(desk.lmmbench("list", "models", "--json").out)}
    assert {"smollm2-135m", "baseline-chance", "baseline-copy"} <= models


def test_list_models_says_who_can_be_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every configured model is listed, with its key set or not, and whether anybody has verified it."""
    shown = desk.lmmbench("list", "models")
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines()}
    assert list(lines) == ["sim-a", "sim-keyed", "sim-unpriced", "sim-floor"]
    assert "ready" in lines["sim-a"] and "verified: never" in lines["sim-a"]
    assert "SHOP_API_KEY is not set" in lines["sim-keyed"]
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    rows = {r["model"]: r for r in json.loads(desk.lmmbench("list", "models", "--json").out)}
    assert rows["sim-keyed"]["ready"] and rows["sim-keyed"]["key_env"] == "SHOP_API_KEY"
    assert rows["sim-keyed"]["verified"] == "never"
    assert desk.server.history == []


def test_list_tasks_and_runs(desk: Desk) -> None:
    """Tasks come with their groups and counts, runs oldest first with what became of them; --json is the same."""
    assert [r["task"] for r in json.loads(desk.lmmbench("list", "tasks", "--json").out)] == ["tiny"]
    assert "tiny" in desk.lmmbench("list", "tasks").out
    none = desk.lmmbench("list", "runs")
    assert (none.code, none.out) == (0, "") and "lmmbench run --tasks korean" in none.err
    assert json.loads(desk.lmmbench("list", "runs", "--json").out) == []
    for name in ("zebra", "ant"):
        desk.lmmbench(*RUN, "--run-id", name)
    rows = json.loads(desk.lmmbench("list", "runs", "--json").out)
    assert [(r["run"], r["by_status"]) for r in rows] == [("zebra", {"ok": ITEMS}), ("ant", {"ok": ITEMS})]
    assert [line.split()[0] for line in desk.lmmbench("list", "runs").out.splitlines()] == ["zebra", "ant"]


def test_show_prints_question_answer_and_score(desk: Desk) -> None:
    """`show RUN ITEM` holds the question, every model's answer, what was parsed and the score; what a model wrote
    cannot act on the terminal."""
    desk.server.script = lambda x: Answer(text="\x1b[31m정답: A\u202e")
    desk.lmmbench("run", "--tasks", "tiny", "--models", "sim-a,sim-floor", "--run-id", "first")
    said = desk.lmmbench("show", "latest", "q0001")
    assert said.code == 0
    for part in (
        "q0001번 문제",
        "A. 하나",
        "targets: 1",
        "sim-a (trial 0): ok, score",
        "sim-floor (trial 0)",
        "정답: A",
    ):
        assert part in said.out
    assert "\x1b" not in said.out and "\u202e" not in said.out
    assert said == desk.lmmbench("show", "results/first", "tiny/q0001")


def digests(run: Path) -> dict[str, str]:
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in run.rglob("*") if p.is_file()}


def test_score_publishes_the_same_bytes_and_asks_nothing(finished: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`score` is offline and a pure function of plan, items and journal: all files are the same to the byte, also
    when the tables were lost and the packs and providers.yaml are gone."""
    run = finished.results / "first"
    before = digests(run)
    again = finished.lmmbench("score", "first")
    assert (again.code, digests(run)) == (0, before)
    for path in [*run.glob("models/*"), run / "matrix.parquet", run / "run.json"]:
        path.unlink()
    finished.providers.unlink()
    (finished.folder / "tasks/tiny/card.yaml").unlink()
    assert (finished.lmmbench("score", "latest").code, digests(run)) == (0, before)
    assert finished.server.history == []


@pytest.mark.parametrize(("lang", "word"), [("en", "model"), ("ko", "모델")])
def test_the_matrix_in_all_its_formats(finished: Desk, lang: str, word: str) -> None:
    """table, md, json and csv hold the same cells; made-up models are marked as simulated."""
    said = {
        f: finished.lmmbench("matrix", "first", "--format", f, "--lang", lang) for f in ("table", "md", "json", "csv")
    }
    assert {s.code for s in said.values()} == {0} and {s.err for s in said.values()} == {""}
    for form in ("table", "md"):
        assert word in said[form].out and "SIMULATED" in said[form].out and "n=4" in said[form].out
    cells = json.loads(said["json"].out)
    assert [(c["model"], c["cell"], c["n_scored"]) for c in cells] == [("sim-a", "tiny", 4), ("sim-a", "tiny/s1", 4)]
    assert said["csv"].out.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(said["csv"].out.removeprefix("\ufeff"))))
    assert [(r["model"], r["cell"], float(r["mean"])) for r in rows] == [
        (c["model"], c["cell"], c["mean"]) for c in cells
    ]


def test_the_matrix_s_title_is_one_line(finished: Desk) -> None:
    """What the numbers mean stands above the table in one line, however narrow the table is."""
    first = finished.lmmbench("matrix", "first").out.splitlines()[0]
    assert "Scores 0-100" in first and "n scored · coverage" in first


def test_the_matrix_of_two_runs_shows_both(finished: Desk) -> None:
    """Two runs of one model are two rows: neither hides the other."""
    finished.server.script = lambda x: Answer(text="모릅니다")
    finished.lmmbench(*RUN, "--run-id", "second")
    assert len(json.loads(finished.lmmbench("matrix", "first", "second", "--format", "json").out)) == 4
    for form in ("table", "md"):
        shown = finished.lmmbench("matrix", "first", "second", "--format", form).out
        assert "n=4" in shown and f"n={ITEMS}" in shown
        assert "first" in shown and "second" in shown


# --- good paths: running ------------------------------------------------------------------------------


def test_a_run_says_where_it_looks_first_and_where_it_wrote_last(desk: Desk) -> None:
    """The first line on stderr names tasks, providers and results; the last on stdout is `run: <folder>`."""
    said = desk.lmmbench(*RUN)
    assert said.code == 0
    assert said.err.splitlines()[0] == "tasks: tasks · providers: providers.yaml · results: results"
    name = said.out.splitlines()[-1].removeprefix("run: ")
    assert (desk.folder / name / "run.json").is_file()
    assert places.runs(desk.results) == [Path(name).name]


def test_the_last_line_is_the_run_also_when_it_failed(desk: Desk) -> None:
    """A run that got no answer is exit 4, names --resume, and still says where it is."""
    desk.server.script = lambda x: Answer(status=401, body={"error": {"message": "no such key"}})
    said = desk.lmmbench(*RUN, "--run-id", "first")
    assert said.code == 4
    assert said.last.endswith("lmmbench run --resume first")
    assert said.out.splitlines()[-1] == f"run: {Path('results/first')}"


def test_a_run_that_nobody_can_take_is_not_sent_to_resume(desk: Desk) -> None:
    """Where everything is unsupported, asking again would change nothing: the sentence must not advise it."""
    edit(desk.providers, "name: chance", "name: copy")
    said = desk.lmmbench("run", "--tasks", "tiny", "--models", "sim-floor")
    assert said.code == 4
    assert "--resume" not in said.last and "unsupported" in said.err


def test_a_dry_run_creates_and_sends_nothing(desk: Desk) -> None:
    """--dry-run says what would be asked on stdout, and leaves no trace."""
    before = desk.files()
    said = desk.lmmbench(*RUN, "--repeats", "2", "--dry-run")
    assert said.code == 0
    assert f"{2 * ITEMS} asks" in said.out and "nothing was sent" in said.out
    assert (desk.files(), desk.server.history) == (before, [])


def test_a_dry_run_needs_no_key(desk: Desk) -> None:
    """What a run would cost can be known before there is a key."""
    said = desk.lmmbench(*KEYED, "--dry-run")
    assert said.code == 0, said.err
    assert "$" in said.out and "tokens" in said.out


def test_a_dry_run_says_when_it_cannot_know_the_cost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown price is said to be unknown; a dry run spends nothing, so that is no reason to refuse it."""
    monkeypatch.setenv("SHOP_API_KEY", "secret")
    said = desk.lmmbench("run", "--tasks", "tiny", "--models", "sim-unpriced", "--dry-run")
    assert said.code == 0, said.err
    assert "unknown cost of sim-unpriced" in said.out


def test_tasks_may_be_packs_groups_folders_or_all(desk: Desk) -> None:
    """Whatever names a pack, it is asked once."""
    kit.write_pack(desk.folder / "mine" / "own", 3)
    kit.write_pack(desk.folder / "tasks/public/theirs", 5)
    for tasks, asks in (
        ("tiny", 6),
        ("tests", 6),
        ("all", 6),
        ("tiny,tests,all", 6),
        ("mine/own", 3),
        ("public/theirs", 5),
    ):
        said = desk.lmmbench("run", "--tasks", tasks, "--models", "sim-a", "--dry-run")
        assert f"{asks} asks" in said.out, tasks


# --- which place is used ------------------------------------------------------------------------------


def line_of_places(desk: Desk, *args: str) -> str:
    said = desk.lmmbench(*RUN[:3], "--models", "sim-floor", "--dry-run", *args)
    assert said.code == 0, said.err
    return said.err.splitlines()[0]


PLACES: Mapping[str, tuple[str, str, str]] = {
    "tasks": ("--tasks-dir", "LMMBENCH_TASKS", "tasks"),
    "providers": ("--providers", "LMMBENCH_PROVIDERS", "providers.yaml"),
    "results": ("--results", "LMMBENCH_RESULTS", "results"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_option_wins_over_the_variable_and_that_over_the_folder(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Used: the option, else the variable, else what stands in the working folder; stderr says which."""
    option, variable, local = PLACES[place]
    for name in ("by-option", "by-variable"):
        if place == "tasks":
            kit.write_pack(desk.folder / name / "tiny", 2)
        elif place == "providers":
            (desk.folder / name).write_bytes(desk.providers.read_bytes())
    assert f"{place}: {local}" in line_of_places(desk).split(" · ")
    monkeypatch.setenv(variable, "")
    assert f"{place}: {local}" in line_of_places(desk).split(" · "), "an empty variable names nothing"
    monkeypatch.setenv(variable, "by-variable")
    assert f"{place}: by-variable" in line_of_places(desk).split(" · ")
    assert f"{place}: by-option" in line_of_places(desk, option, "by-option").split(" · ")


def test_without_any_the_shipped_packs_and_providers_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    """In an empty folder a new user still has packs and models; results go to ./results there."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    said = desk.lmmbench("run", "--tasks", "korean", "--models", "baseline-chance", "--limit", "2", "--dry-run")
    assert said.code == 0, said.err
    assert said.err.splitlines()[0].endswith("results: results")
    assert "4 asks" in said.out
    assert list(empty.iterdir()) == []
