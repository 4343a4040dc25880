"""Each rule that a pack's items must keep: a smallest set that breaks it and nothing else, and one that keeps it."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from lmmbench import check, cli, packs, validators
from lmmbench.doors import decode_line
from lmmbench.types import Item
from tests.kit import ROOT, item, write_pack

CANARY = "canary:01234567-89ab-4def-8123-456789abcdef"
OTHER_CANARY = "canary:fedcba98-7654-4321-8fed-cba987654321"
STEMS = ["나루터에서 들은", "장터 국밥집의", "고갯마루 너머", "외할머니께서 쓰신", "방앗간 집 아들의", "논둑길에 적힌", "툇마루에 앉아 읊은", "한겨울 부엌에서 나온"]  # fmt: skip
OPTIONS = ["토끼", "거북", "여우", "두루"]


def made(n: int = 0, **keys: Any) -> Item:
    """Item n of a set that keeps every rule: its own lexeme, its own stem, golds in turn."""
    line = item(
        f"q{n}", options=OPTIONS, targets=[str(n % 4 + 1)], cluster_id=f"lex:{n}", tags=[CANARY], type="meaning",
        fields={"question": f"{STEMS[n]} 말의 뜻은?"},
    )  # fmt: skip
    return decode_line(Item, json.dumps(line | keys), Path("items.jsonl"), n + 1)


def asking(question: str, **keys: Any) -> Item:
    return made(fields={"question": question}, **keys)


def opened(source: str, target: str, **keys: Any) -> Item:
    """An open item that shows `source` and wants `target`."""
    keys = {"type": "expand", **keys}
    return made(options=[], fields={"question": "풀어 쓰십시오.", "source": source}, targets=[target], **keys)


def backed(*evidence: dict[str, str], attestation: str = "recall", claim: str = "뜻은 이러하다") -> Item:
    """An item with this evidence."""
    told = {"made_on": "2026-11-01", "made_by": "the tests", "claim": claim}
    return made(provenance=told | {"evidence": list(evidence), "attestation": attestation})


def long_gold(n: int, is_long: bool) -> Item:
    """An item whose right option is longer than the others, or as long."""
    options = [o * 3 if is_long and k == n % 4 else o for k, o in enumerate(OPTIONS)]
    return made(n, options=options)


OLD_HANGUL = "\u1112\u119e\u11ab"  # 'han' with an arae-a: it has no other spelling
RECALL = {"kind": "recall", "ref": "made up"}
PAGE = {"kind": "page", "ref": "https://example.org/a", "quote": "그대로", "read_on": "2026-11-01"}

CASES: list[tuple[str, list[Item], list[Item]]] = [
    # rule, a set that breaks it, a set that keeps it
    ("normal-form", [asking(unicodedata.normalize("NFD", "제주 말의 뜻은?"))], [asking("제주 말의 뜻은?")]),
    ("normal-form", [asking("깨진 \ufffd 글자의 뜻은?")], [asking("깨진 글자의 뜻은?")]),
    ("normal-form", [asking(f"{OLD_HANGUL} 말의 뜻은?")], [asking(f"{OLD_HANGUL} 말의 뜻은?", tags=[CANARY, "orthography:old_hangul"])]),
    ("normal-form", [made(tags=[CANARY, unicodedata.normalize("NFD", "말")])], [made(tags=[CANARY, "말"])]),
    ("options", [made(options=["토 끼", "거북", "토끼", "두루"], targets=["2"])], [made(options=["토끼풀", "거북", "토끼", "두루"], targets=["2"])]),
    ("options", [made(options=["", "거북", "토끼", "두루"], targets=["2"])], [made(options=["-", "거북", "토끼", "두루"], targets=["2"])]),
    ("options", [made(options=[*OPTIONS[:3], validators.NO_ANSWER])], [made(options=[*OPTIONS[:3], validators.NO_ANSWER], type="reject")]),
    ("options", [made(options=[*OPTIONS[:3], "위의 것 모두"])], [made(options=[*OPTIONS[:3], "모두가 아는 것"])]),
    *[("gold", [made(targets=bad)], [made(targets=["4"])]) for bad in ([], ["0"], ["5"], ["x"], ["1", "2"], ["-1"], ["²"], ["１"], ["01"])],
    ("leak", [asking("느린 토 끼의 뜻은?")], [asking("토끼, 거북, 여우, 두루 가운데 뜻이 맞는 것은?")]),
    ("leak", [opened("나도 인정, 즉 ㅇㅈ.", "인정")], [opened("나도 ㅇㅈ.", "인정")]),
    ("evidence", [backed(RECALL, claim=" ")], [backed(RECALL)]),
    ("evidence", [backed()], [backed(RECALL)]),
    ("evidence", [backed({"kind": "rumour", "ref": "x"}, attestation="rumour")], [backed(RECALL)]),
    ("evidence", [backed(RECALL, PAGE)], [backed(RECALL, PAGE, attestation="page")]),
    *[("evidence", [backed(PAGE | {key: ""}, attestation="page")], [backed(PAGE, attestation="page")]) for key in ("ref", "quote", "read_on")],
    ("canary", [made(tags=[])], [made()]),
    ("canary", [made(tags=["canary:not-a-uuid"])], [made()]),
    ("canary", [made(0), made(1, tags=[OTHER_CANARY])], [made(0), made(1)]),
    *[("particle", [asking(f"여기서 ‘{wrong} 어떤 말인가?")], [asking(f"여기서 ‘{right} 어떤 말인가?")]) for wrong, right in [
        ("나무’을", "나무’를"), ("밥’를", "밥’을"), ("나무’은", "나무’는"), ("밥’가", "밥’이"), ("나무’과", "나무’와"), ("밥’라는", "밥’이라는"),
    ]],
    ("particle", [made(options=["‘밥’를 짓다", *OPTIONS[1:]])], [made(options=["‘밥’을 짓다", *OPTIONS[1:]])]),
    ("chosung", [opened("나도 ㅇㅅ.", "인정", params={"chosung": "ㅇㅅ"})], [opened("나도 ㅇㅈ.", "인정", params={"chosung": "ㅇㅈ"})]),
    ("yamin", [opened("이거 마박.", "대박", params={"table": [["대", "머"]]})], [opened("이거 머박.", "대박", params={"table": [["대", "머"]]})]),
    ("positions", [made(0, targets=["2"]), made(1, targets=["2"])], [made(0, targets=["2"]), made(1, targets=["3"])]),
    (
        "positions",
        [made(n, targets=["2"], type=t) for n, t in enumerate(("meaning", "region", "register"))],
        [made(n, targets=["2"], type=t) for n, t in enumerate(("meaning", "region"))],
    ),
    ("clusters", [made(n, cluster_id="lex:a") for n in range(3)], [made(n, cluster_id="lex:a") for n in range(2)]),
    ("duplicate", [made(0), made(1, fields=made(0).fields)], [made(0), made(1)]),
    ("duplicate", [made(0, cluster_id="lex:a"), made(1, fields=made(0).fields, cluster_id="lex:a")], [made(0), made(1, fields={"question": f"{STEMS[0]} 말의 쓰임새는?"})]),
    (
        "duplicate",
        [asking("장터에서 들은 가재의 뜻은?"), made(1, fields={"question": "장터에서 들은 나재의 뜻은?"})],
        [asking("장터에서 들은 가재의 뜻은?", cluster_id="lex:a"), made(1, fields={"question": "장터에서 들은 나재의 뜻은?"}, cluster_id="lex:a")],
    ),
    ("solver", [long_gold(n, True) for n in range(8)], [long_gold(n, n < 2) for n in range(8)]),
    ("solver", [made(n, options=[STEMS[n] if k == n % 4 else o * 4 for k, o in enumerate(OPTIONS)], type="reject") for n in range(8)], [made(n) for n in range(8)]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "broken", "kept"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_a_rule_sees_its_breach_and_nothing_else(rule: str, broken: list[Item], kept: list[Item]) -> None:
    """The set that breaks the rule is told of that rule alone; the set that keeps it is told of nothing."""
    assert {p.rule for p in validators.problems(broken)} == {rule}
    assert validators.problems(kept) == []


def test_every_rule_is_tried() -> None:
    """A rule without a case above would be a rule that nobody has seen at work."""
    tried = [broken for rule, broken, _ in CASES if rule != "gold" and all(o for i in broken for o in i.options)]
    asleep = [rule.__name__ for rule in validators.RULES if not any(p for b in tried for p in rule(b))]
    assert asleep == []


def test_only_active_items_are_held_to_the_rules() -> None:
    """A disputed or retired item stays in the file for the record, whatever is wrong with it."""
    assert (
        validators.problems([made(0), made(1, tags=[], status="retired"), made(2, targets=["9"], status="disputed")])
        == []
    )


def test_initials_follow_the_arithmetic_of_unicode() -> None:
    """초성 of each syllable by U+AC00 arithmetic; whatever is no syllable stands for itself."""
    assert validators.initials("꿈틀 인정A") == "ㄲㅌㅇㅈA"
    assert validators.initials("가힣") == "ㄱㅎ"


@pytest.mark.parametrize("pack", packs.select("all", ROOT / "tasks"), ids=lambda p: str(p.id))
def test_shipped_packs_keep_every_rule(pack: packs.Pack) -> None:
    """Our packs keep the rules, and every scorer gives every gold full marks and an empty answer none."""
    assert check.check_pack(pack) == []


@pytest.mark.parametrize("targets", [["x"], [], ["²"], ["9"]])
def test_check_says_what_is_wrong_with_a_gold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], targets: list[str]
) -> None:
    """`lmmbench check` reports a broken pack in sentences, with exit code 2; nothing in a pack is an unforeseen error."""
    write_pack(tmp_path / "tasks" / "mini", [item("q1", tags=[CANARY], targets=targets)])
    code = cli.run_cli(["check", "--tasks-dir", str(tmp_path / "tasks"), "--providers", str(ROOT / "providers.yaml")])
    said = capsys.readouterr().err
    assert (code, "q1" in said) == (2, True), said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (item("q1", options=(), tags=[CANARY], targets=[]), "target"),
        (item("q1", options=(), tags=[CANARY], targets=[" "]), "q1"),
        (item("q1", tags=[CANARY]) | {"type": "other"}, "the scorer 'exact' is for open questions"),
        (item("q1", options=(), tags=[CANARY], params={"must": [["없는 말"]]}) | {"type": "rewrite"}, "its own gold 'q1 답' gets 0.000"),
    ],
    ids=["no target", "blank target", "wrong kind of scorer", "gold fails its own gate"],
)  # fmt: skip
def test_check_says_when_an_item_cannot_be_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: dict[str, Any], sentence: str
) -> None:
    """An item whose own gold does not get full marks measures nothing."""
    prompts = {"open": {"user": "{{question}}"}, "rewrite": {"user": "{{question}}"}}
    scorers = {"open": {"name": "exact"}, "other": {"name": "exact"}, "rewrite": {"name": "rewrite"}}
    write_pack(tmp_path / "tasks" / "mini", [line], prompts=prompts, scorers=scorers)
    code = cli.run_cli(["check", "--tasks-dir", str(tmp_path / "tasks"), "--providers", str(ROOT / "providers.yaml")])
    assert code == 2
    assert sentence in capsys.readouterr().err
