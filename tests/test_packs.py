"""Packs: what is refused at the door and how that is said, which items are sampled, and how a question is rendered."""

from __future__ import annotations

import json
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import cli, packs, prompts
from lmmbench.canon import sha256
from lmmbench.doors import decode_line
from lmmbench.faults import UsageError
from lmmbench.types import Item
from tests.kit import ROOT, item, providers_yaml, write_pack

SHIPPED = packs.select("all", ROOT / "tasks")


def made(**keys: Any) -> Item:
    """One item, as the door hands it out."""
    return decode_line(Item, json.dumps(item(keys.pop("id", "q1"), **keys)), Path("items.jsonl"), 1)


def misspelt(key: str, name: str) -> dict[str, Any]:
    """An item with one key under a wrong name."""
    return {name if k == key else k: v for k, v in item("q2").items()}


def refused(folder: Path) -> str:
    """The sentence with which a pack is refused."""
    with pytest.raises(UsageError) as caught:
        packs.load(folder)
    assert caught.value.exit_code == 2
    return str(caught.value)


def edited(folder: Path, change: Callable[[list[str]], None]) -> Path:
    """The pack with its items.jsonl changed line by line, and the hash put right again."""
    path = folder / "items.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    change(lines)
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    card = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    card["items_sha256"] = sha256(path.read_bytes())
    (folder / "card.yaml").write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")
    return folder


# --- the door ----------------------------------------------------------------------------------------


def test_shipped_packs_load() -> None:
    """Our packs are valid, each has its place in a group, and `korean` is dialect and slang."""
    assert {p.id for p in SHIPPED} >= {"korean-dialect", "korean-slang", "summarization", "translation"}
    assert {p.id for p in packs.select("korean", ROOT / "tasks")} == {"korean-dialect", "korean-slang"}
    assert all(p.active and p.card.groups for p in SHIPPED)


def test_a_whole_pack_is_read(tmp_path: Path) -> None:
    """A pack's items come in the file's order; only active ones are asked."""
    lines = [item("b", status="retired"), item("a"), item("c", status="disputed")]
    pack = packs.load(write_pack(tmp_path / "mini", lines))
    assert [i.id for i in pack.items] == ["b", "a", "c"]
    assert [i.id for i in pack.active] == ["a"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (item("q2", statsu="active"), "items.jsonl:2: unknown key 'statsu' (did you mean 'status'?)"),
        (misspelt("stratum", "stratumm"), "items.jsonl:2: unknown key 'stratumm' (did you mean 'stratum'?)"),
        (
            item("q2") | {"provenance": item("q2")["provenance"] | {"evidence": [{"kind": "recall", "ref": "x", "qoute": "x"}]}},
            "items.jsonl:2: unknown key 'provenance.evidence.0.qoute' (did you mean 'quote'?)",
        ),
        ({k: v for k, v in item("q2").items() if k != "targets"}, "items.jsonl:2: the key 'targets' is missing"),
        (item("q2", targets="1"), "items.jsonl:2: targets"),
        (item("q2", targets=[1]), "items.jsonl:2: targets.0"),
        (item("q2", status="live"), "items.jsonl:2: status"),
        (item("q1"), "items.jsonl:2: the id 'q1' stands already on line 1"),
        (item("a/b"), "items.jsonl:2: item id 'a/b' is not usable as a file name"),
        (item("-x"), "items.jsonl:2: item id '-x'"),
        (item("x" * 65), "items.jsonl:2: item id"),
        (item("con.txt"), "items.jsonl:2: item id 'con.txt'"),
        (item("q2\n"), "items.jsonl:2: item id"),
        (item("문항"), "items.jsonl:2: item id '문항'"),
        (item("q2", fields={"quesion": "?"}), "items.jsonl:2: the card's prompt needs the field 'question', item 'q2' lacks it (did you mean 'quesion'?)"),
        (item("q2", options=[]) | {"type": "closed"}, "items.jsonl:2: the card's prompt for type 'closed' shows options, item 'q2' has none"),
        (item("q2") | {"type": "open"}, "items.jsonl:2: item 'q2' has options, the card's prompt for type 'open' does not show them"),
        (item(unicodedata.normalize("NFD", "q2"), stratum=unicodedata.normalize("NFD", "제주")), "items.jsonl:2: the line is not in Unicode NFC"),
    ],
)  # fmt: skip
def test_a_bad_item_is_refused_with_file_and_line(tmp_path: Path, line: dict[str, Any], sentence: str) -> None:
    """Unknown, missing and ill-typed keys, ids that are no file name, texts that are not NFC: file, line, what to do."""
    said = refused(write_pack(tmp_path / "mini", [item("q1"), line, item("q3")]))
    assert said.startswith(str(tmp_path / "mini" / sentence))


@pytest.mark.parametrize("where", ["fields", "options", "targets"])
def test_what_is_written_as_escapes_is_in_nfc_too(tmp_path: Path, where: str) -> None:
    """A line of ASCII may hold Hangul in pieces; whole Hangul may be written so."""
    texts = {"fields": {"question": "제주"}, "options": ["제주", "말"], "targets": ["1", "제주"]}[where]
    folder = write_pack(tmp_path / "mini", [item("q1") | {where: texts}])
    edited(folder, lambda lines: lines.insert(0, lines.pop(0).replace("제주", r"\uc81c\uc8fc")))
    assert packs.load(folder).items
    edited(folder, lambda lines: lines.insert(0, lines.pop(0).replace(r"\uc81c", r"\u110c\u1166")))
    assert refused(folder).endswith("items.jsonl:1: item 'q1' is not in Unicode NFC; normalise its texts to NFC")


def test_a_broken_line_is_refused_with_file_and_line(tmp_path: Path) -> None:
    """JSON that was cut, or is no object, is named by its line, blank lines counted."""
    folder = write_pack(tmp_path / "mini", 3)

    def cut(lines: list[str]) -> None:
        lines[1] = "\n" + lines[1][:-20]

    assert refused(edited(folder, cut)).startswith(f"{folder / 'items.jsonl'}:3: not valid JSON")


def test_lines_are_parted_by_line_feeds_only(tmp_path: Path) -> None:
    """U+2028 and U+0085 inside a text part no lines, so that line numbers are those of an editor's."""
    texts = "한 줄\u2028두 줄\u0085세 줄"
    folder = write_pack(tmp_path / "mini", [item("q1", fields={"question": texts}), item("q2", oops=1)])
    assert refused(folder).startswith(f"{folder / 'items.jsonl'}:2: unknown key 'oops'")


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """The card's hash guards the items: the sentence names the command that accepts a change, and the command does."""
    folder = write_pack(tmp_path / "mini", 3)
    with (folder / "items.jsonl").open("ab") as f:
        f.write(b"\n")
    assert "lmmbench check --write-hash mini" in refused(folder)
    assert cli.run_cli(["check", "--write-hash", "mini", "--tasks-dir", str(tmp_path)]) == 0
    assert len(packs.load(folder).items) == 3


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"titel": "x"}, "unknown key 'titel' (did you mean 'title'?)"),
        ({"scorers": {"open": {"name": "exact", "parms": {}}}}, "unknown key 'scorers.open.parms' (did you mean 'params'?)"),
        ({"prompt": {"usr": "{{question}}"}}, "prompt.us"),
        ({"max_output_tokens": "64"}, "max_output_tokens"),
        ({"id": "other"}, "id 'other' is not the folder's name 'mini'"),
    ],
)  # fmt: skip
def test_a_bad_card_is_refused_with_file_and_line(tmp_path: Path, card: dict[str, Any], sentence: str) -> None:
    """card.yaml takes no key that is not known, and its id is the folder's name."""
    said = refused(write_pack(tmp_path / "mini", 3, **card))
    assert said.startswith(str(tmp_path / "mini" / "card.yaml"))
    assert sentence in said


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Neither of two values wins in silence."""
    folder = write_pack(tmp_path / "mini", 3)
    with (folder / "card.yaml").open("a", encoding="utf-8") as f:
        f.write("title: another\n")
    assert "the key 'title' stands twice" in refused(folder)


@pytest.mark.parametrize(
    ("lines", "card"),
    [
        ([item("q1")], {"scorer": {"name": "choise"}}),
        ([item("q1")], {"chance": "1/option"}),
        ([item("q1")], {"prompt": {"user": "{{ question }}\n{{options}}"}}),
        ([item("q1")], {"prompt": {"user": "{{Question}}\n{{options}}"}}),
        ([item("q1", options=[f"보기 {n}" for n in range(11)])], {}),
        ([item("q1", targets=["5"])], {}),
        ([item("q1", targets=[])], {}),
        ([item("q1", options=[], targets=[])], {}),
        ([item("q1", media=[{"path": "gone.png", "mime": "image/png", "sha256": "0" * 64}])], {}),
    ],
    ids=["scorer", "chance", "slot-spaces", "slot-capital", "eleven-options", "gold", "no-gold", "no-target", "media"],
)  # fmt: skip
def test_a_pack_that_cannot_be_graded_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[dict[str, Any]], card: dict[str, Any]
) -> None:
    """An invalid pack is exit code 2, found before anything is spent: no answer is paid for that cannot be scored."""
    write_pack(tmp_path / "tasks" / "mini", lines, **card)
    where = providers_yaml(
        tmp_path / "providers.yaml", "", {"sim-a": {"endpoint": "b", "name": "chance"}}, {"b": {"api": "baseline"}}
    )
    code = cli.run_cli([
        "run", "--tasks", "mini", "--tasks-dir", str(tmp_path / "tasks"), "--providers", str(where),
        "--results", str(tmp_path / "results"),
    ])  # fmt: skip
    assert code == 2, capsys.readouterr().err
    assert not list(tmp_path.glob("results/*/journal/*.jsonl"))


# --- choosing ----------------------------------------------------------------------------------------


def test_packs_are_named_by_id_group_or_folder(tmp_path: Path) -> None:
    """`--tasks` takes ids, groups and folders, each pack once; `all` leaves out public/, which is asked for by name."""
    for name in ("one", "two", "public/three"):
        write_pack(tmp_path / "tasks" / name, 2, groups=["g"] if name != "two" else ["h"])
    outside = write_pack(tmp_path / "own", 2)

    def ids(names: str) -> list[str]:
        return [p.id for p in packs.select(names, tmp_path / "tasks")]

    assert ids("g") == ["one"]
    assert ids("two, one,two") == ["two", "one"]
    assert ids("all") == ["one", "two"]
    assert ids(f"public/three,{outside}") == ["three", "own"]


def test_an_unknown_pack_is_refused_with_the_nearest_name() -> None:
    """The sentence names what there is."""
    with pytest.raises(UsageError, match=r"no pack or group is called 'korea' \(did you mean 'korean'\?\)"):
        packs.select("korea", ROOT / "tasks")


# --- sampling ----------------------------------------------------------------------------------------

STRATA = st.lists(st.sampled_from(["gyeongsang", "jeolla", "jeju", "north"]), min_size=1, max_size=30)


def in_strata(strata: list[str]) -> list[Item]:
    return [made(id=f"q{n}", stratum=s) for n, s in enumerate(strata)]


@settings(max_examples=60, deadline=None)
@given(STRATA, st.integers(1, 35), st.integers(1, 35))
def test_a_smaller_limit_is_a_subset_of_a_larger(strata: list[str], a: int, b: int) -> None:
    """`--limit 12` asks nothing that `--limit 36` does not, so that a quick look and a night can be compared."""
    items = in_strata(strata)
    few, many = (packs.sample(items, n) for n in sorted((a, b)))
    assert {i.id for i in few} <= {i.id for i in many}
    assert len(few) == min(min(a, b), len(items))


@settings(max_examples=60, deadline=None)
@given(STRATA, st.integers(1, 35))
def test_a_sample_goes_round_robin_over_the_strata(strata: list[str], limit: int) -> None:
    """No stratum is two items ahead of another that has some left; the pack's order is kept."""
    items = in_strata(strata)
    chosen = packs.sample(items, limit)
    taken, there = Counter(i.stratum for i in chosen), Counter(strata)
    for one in there:
        for other in there:
            assert taken[one] <= taken[other] + 1 or taken[other] == there[other]
    assert chosen == [i for i in items if i in chosen]


@settings(max_examples=60, deadline=None)
@given(STRATA, st.integers(1, 35), st.randoms())
def test_a_sample_does_not_depend_on_the_file_order(strata: list[str], limit: int, rng: random.Random) -> None:
    """Within a stratum the hash of the id decides, so that two nights with the same items ask the same ones."""
    items = in_strata(strata)
    shuffled = rng.sample(items, len(items))
    assert {i.id for i in packs.sample(items, limit)} == {i.id for i in packs.sample(shuffled, limit)}


# --- rendering ---------------------------------------------------------------------------------------


def order(count: int, seed: int = 0, item_id: str = "q1", trial: int = 0) -> tuple[int, ...]:
    return prompts.option_order(count, seed=seed, pack="mini", item_id=item_id, trial=trial)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10), st.integers(0, 2**31), st.text(max_size=5), st.integers(0, 999))
def test_option_order_is_a_permutation(count: int, seed: int, item_id: str, trial: int) -> None:
    """Every option is shown once, and the same question always in the same order."""
    assert sorted(order(count, seed, item_id, trial)) == list(range(1, count + 1))
    assert order(count, seed, item_id, trial) == order(count, seed, item_id, trial)


def test_option_order_depends_on_seed_item_and_trial_and_is_fair() -> None:
    """Over seeds, items and trials alike, all 24 orders of four options come up, none far more often than another."""
    for orders in (
        Counter(order(4, seed=n) for n in range(1200)),
        Counter(order(4, trial=n) for n in range(1200)),
        Counter(order(4, item_id=f"q{n}") for n in range(1200)),
    ):
        assert len(orders) == 24
        assert 20 <= min(orders.values()) <= max(orders.values()) <= 90  # 50 expected, standard deviation 7


def test_option_order_never_changes() -> None:
    """Fixed values: a new version that showed other orders would make old runs impossible to pair."""
    assert [order(4, trial=t) for t in range(4)] == [(2, 3, 4, 1), (1, 3, 4, 2), (2, 3, 4, 1), (4, 3, 2, 1)]
    assert [order(5, seed=s) for s in range(3)] == [(2, 3, 4, 1, 5), (2, 3, 5, 1, 4), (5, 4, 3, 1, 2)]
    assert order(10) == (2, 9, 4, 1, 6, 5, 7, 8, 10, 3)


def test_a_question_is_rendered_with_its_options_in_the_order_shown() -> None:
    """`{{options}}` becomes lettered lines; `order` says which original option stands where."""
    pack = SHIPPED[0]
    chosen = next(i for i in pack.active if i.options)
    shown = packs.request(pack, chosen, 1, seed=7)
    assert shown.order == prompts.option_order(len(chosen.options), seed=7, pack=pack.id, item_id=chosen.id, trial=1)
    lines = [f"{prompts.LETTERS[p]}. {chosen.options[n - 1]}" for p, n in enumerate(shown.order)]
    assert shown.user.endswith("\n".join(lines))
    assert shown.seed == 8
    assert packs.request(pack, chosen, 1, seed=7, shuffled=False).order == tuple(range(1, len(lines) + 1))


TEXTS = st.text(st.sampled_from("{}_ab\\1g<>$%가%s"), max_size=20) | st.sampled_from(
    [
        "{{question}}",
        "{{options}}",
        "{question}",
        "{0}",
        "%s",
        "\\1",
        "${x}",
        "{{{{question}}}}",
        "{% if 1 %}",
        "__class__",
    ]
)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_inserted_text_is_never_evaluated_nor_expanded_again(head: str, a: str, b: str) -> None:
    """Whatever a field holds goes out as it stands, slots and format marks included."""
    text = prompts.render("[{{first}}|{{second}}|{{first}}]", {"first": a, "second": b, "question": head})
    assert text == f"[{a}|{b}|{a}]"


@pytest.mark.parametrize("pack", SHIPPED, ids=lambda p: str(p.id))
def test_what_is_sent_holds_no_canary_and_no_open_slot(pack: packs.Pack) -> None:
    """The canary marks the files, never a request; neither do the gold's claim and evidence go out."""
    for each in pack.active:
        shown = packs.request(pack, each, 0, seed=0)
        sent = shown.system + shown.user
        (canary,) = [t for t in each.tags if t.startswith("canary:")]
        assert canary not in sent
        assert canary.removeprefix("canary:") not in sent
        assert each.provenance.claim not in sent
        assert "{{" not in sent
        assert unicodedata.is_normalized("NFC", sent)


# --- media -------------------------------------------------------------------------------------------


def test_media_are_read_from_the_pack_and_checked(tmp_path: Path) -> None:
    """The bytes are those of the hash, and a path never leaves the pack's folder."""
    (tmp_path / "secret").write_bytes(b"secret")
    folder = write_pack(tmp_path / "mini", 1)
    (folder / "a.png").write_bytes(b"image")

    def media(path: str, data: bytes) -> list[bytes]:
        ref = {"path": path, "mime": "image/png", "sha256": sha256(data)}
        return [m.data for m in packs.read_media(folder, made(media=[ref]))]

    assert media("a.png", b"image") == [b"image"]
    with pytest.raises(UsageError, match="SHA-256"):
        media("a.png", b"other")
    with pytest.raises(UsageError, match="outside its pack"):
        media("../secret", b"secret")
    with pytest.raises(UsageError, match="cannot be read"):
        media("gone.png", b"")
    if os.name != "nt":  # where everyone may make a link
        (folder / "link.png").symlink_to(tmp_path / "secret")
        with pytest.raises(UsageError, match="outside its pack"):
            media("link.png", b"secret")


def test_chance_is_that_of_the_item(tmp_path: Path) -> None:
    """`1/options` is the share of a uniform guess, 0 for an open question; a number stands for every item."""
    lines = [item("q1"), item("q2", options=["가", "나"]), item("q3", options=())]
    guessed = packs.load(write_pack(tmp_path / "mini", lines))
    assert [packs.chance(guessed.card, i) for i in guessed.items] == [0.25, 0.5, 0.0]
    fixed = packs.load(write_pack(tmp_path / "fixed", lines, chance=0.1))
    assert [packs.chance(fixed.card, i) for i in fixed.items] == [0.1, 0.1, 0.1]


# --- items, read when they are asked for ---------------------------------------------------------------


def test_items_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item is read from its own line, whatever stands before the line: a byte order mark, blank lines, others. From the
    file it is the same as at hand."""
    folder = write_pack(tmp_path / "mini", [item(f"q{n}", stratum=f"제주 {n}") for n in range(4)])

    def spaced(lines: list[str]) -> None:
        lines[0] = "\n\n" + lines[0]
        lines[2] = "\n" + lines[2]

    edited(folder, spaced)
    path = folder / "items.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    pack = packs.load(folder)
    at_hand = list(pack.items)
    monkeypatch.setattr(packs, "AT_HAND", 0)
    pack = packs.load(folder)
    assert list(pack.items) == at_hand
    assert [pack.items[n] for n in range(len(pack.items))] == list(pack.items)
    assert [(i.id, i.stratum) for i in pack.items] == [(f"q{n}", f"제주 {n}") for n in range(4)]
    assert [(h.id, h.stratum, h.status) for h in pack.items.heads()] == [
        (i.id, i.stratum, i.status) for i in pack.items
    ]
    assert [i.id for i in pack.items.of(["q0", "q2", "q3"])] == ["q0", "q2", "q3"]


def test_items_in_another_order_than_the_packs_are_refused(tmp_path: Path) -> None:
    """A plan holds ids in the pack's order; one that does not is damaged."""
    pack = packs.load(write_pack(tmp_path / "mini", 3))
    first, second, _ = pack.items.ids
    for wrong in ([second, first], [first, first], ["q99"]):
        with pytest.raises(UsageError, match=r"the plan's item '.+' is not there in its place"):
            list(pack.items.of(wrong))


@pytest.mark.parametrize("change", [(b"1", b"2"), (b"{", b" {"), (b"\n", b"")])
@pytest.mark.parametrize("at_hand", [0, packs.AT_HAND])
def test_a_pack_that_changes_while_it_is_in_use_is_never_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_hand: int, change: tuple[bytes, bytes]
) -> None:
    """What was not checked is never asked: of a large pack a line must be the one that was there when it was loaded, and a
    small one is at hand as it was."""
    monkeypatch.setattr(packs, "AT_HAND", at_hand)
    folder = write_pack(tmp_path / "mini", 3)
    pack = packs.load(folder)
    assert len(list(pack.items)) == 3
    path = folder / "items.jsonl"
    before = list(pack.items)
    path.write_bytes(path.read_bytes().replace(*change))
    if at_hand:
        assert list(pack.items) == before
        return
    with pytest.raises(UsageError, match="has changed while it was in use"):
        list(pack.items)


def test_a_byte_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    """A file in another encoding is said to be one, with the byte's place, whatever the card's hash says."""
    folder = write_pack(tmp_path / "mini", 3)
    path = folder / "items.jsonl"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + "한".encode("cp949"))
    assert refused(folder) == f"{path}: byte {size} is not UTF-8; save the file as UTF-8"
