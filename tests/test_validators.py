"""Each rule that a pack's items must keep: a smallest set that breaks it and nothing else, and one that keeps it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lmmbench import check, cli, packs, validators
from lmmbench.doors import decode_line
from lmmbench.faults import UsageError
from lmmbench.types import Item
from tests.kit import BLIND, ROOT, item, write_pack

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


def backed(
    *evidence: dict[str, str], attestation: str = "recall", claim: str = "뜻은 이러하다", checks: Sequence[Any] = (BLIND, BLIND), **keys: Any
) -> Item:  # fmt: skip
    """An item with this evidence, which two blind passes agreed with."""
    told = {"made_on": "2026-11-01", "made_by": "the tests", "claim": claim, "checks": list(checks)}
    return made(provenance=told | {"evidence": list(evidence), "attestation": attestation}, **keys)


def reckoned(quote: str) -> Item:
    """An item whose evidence is this arithmetic."""
    return backed({"kind": "arithmetic", "ref": "초성", "quote": quote}, attestation="arithmetic")


def other_length(n: int, where: int, more: int) -> Item:
    """An item one of whose options is shorter or longer than the others, by too little to stand out."""
    return made(n, options=[f"{o}풀잎새"[: 4 + (more if k == where else 0)] for k, o in enumerate(OPTIONS)])


def asked_for_region(
    question: str, options: Sequence[str] = ("경상도", "전라도", "제주도", "함경도"), **keys: Any
) -> Item:
    return asking(question, type="region", options=list(options), **keys)


def pair(meaning: str, source: str, must: str, cluster: str = "lex:부루") -> list[Item]:
    """A closed item about 부루 and an open one that wants `must`."""
    open_item = opened(source, f"{must} 한 단 주세요", type="rewrite", params={"must": [[must]]}, cluster_id=cluster)
    return [made(1, options=[OPTIONS[0], meaning, *OPTIONS[2:]], cluster_id="lex:부루"), open_item]


NAMED = [["달래", "머루", "다래"], ["억새", "갈대", "부들"], ["참새", "까치", "제비"], ["가마", "나룻", "달구"],
         ["호미", "쟁기", "써레"], ["대청", "마루", "툇간"], ["버선", "저고", "두루"], ["항아", "뚝배", "시루"]]  # fmt: skip


def with_a_common_gold(n: int, common: str) -> Item:
    """An item whose right option is one that many items have."""
    return made(n, options=[*NAMED[n][: n % 4], common, *NAMED[n][n % 4 :]], type="reject")


OLD_HANGUL = "\u1112\u119e\u11ab"  # 'han' with an arae-a: it has no other spelling
LEXICON = {"kind": "lexicon", "ref": "a dictionary", "quote": "부루/NNG"}
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
    ("options", [made(options=[*OPTIONS[:3], "모두"])], [made(options=[*OPTIONS[:3], "모두들"])]),
    *[("gold", [made(targets=bad)], [made(targets=["4"])]) for bad in ([], ["0"], ["5"], ["x"], ["1", "2"], ["-1"], ["²"], ["１"], ["01"])],
    ("leak", [asking("느린 토 끼의 뜻은?")], [asking("토끼, 거북, 여우, 두루 가운데 뜻이 맞는 것은?")]),
    ("leak", [opened("나도 인정, 즉 ㅇㅈ.", "인정")], [opened("나도 ㅇㅈ.", "인정")]),
    ("evidence", [backed(RECALL, claim=" ")], [backed(RECALL)]),
    ("evidence", [backed()], [backed(RECALL)]),
    *[("recall", [backed(RECALL, checks=few)], [backed(RECALL)]) for few in ([], [BLIND], [BLIND, BLIND | {"agreed": False}], [BLIND, {"kind": "read_back", "agreed": True}])],
    ("recall", [backed(LEXICON, attestation="lexicon", checks=[BLIND])], [backed(LEXICON, attestation="lexicon")]),
    ("recall", [backed(LEXICON, attestation="lexicon", checks=[])], [backed(LEXICON, attestation="lexicon", checks=[], type="region")]),
    ("recall", [backed(RECALL, checks=[BLIND])], [backed(RECALL, checks=[BLIND], status="disputed")]),
    ("evidence", [backed({"kind": "rumour", "ref": "x"}, attestation="rumour")], [backed(RECALL)]),
    ("evidence", [backed(RECALL, PAGE)], [backed(RECALL, PAGE, attestation="page")]),
    *[("evidence", [backed(PAGE | {key: ""}, attestation="page")], [backed(PAGE, attestation="page")]) for key in ("ref", "quote", "read_on")],
    ("canary", [made(tags=[])], [made()]),
    ("canary", [made(tags=["canary:not-a-uuid"])], [made()]),
    ("canary", [made(0), made(1, tags=[OTHER_CANARY])], [made(0), made(1)]),
    *[("particle", [asking(f"여기서 ‘{wrong} 어떤 말인가?")], [asking(f"여기서 ‘{right} 어떤 말인가?")]) for wrong, right in [
        ("나무’을", "나무’를"), ("밥’를", "밥’을"), ("나무’은", "나무’는"), ("밥’가", "밥’이"), ("나무’과", "나무’와"), ("밥’라는", "밥’이라는"),
        ("물’으로", "물’로"), ("밥’로", "밥’으로"), ("나무’으로", "나무’로"), ("밥’란", "밥’이란"), ("밥’을(를)", "밥’을"),
    ]],
    ("particle", [made(options=["‘밥’를", *OPTIONS[1:]])], [made(options=["‘밥’을", *OPTIONS[1:]])]),
    ("chosung", [opened("나도 ㅇㅅ.", "인정", params={"chosung": "ㅇㅅ"})], [opened("나도 ㅇㅈ.", "인정", params={"chosung": "ㅇㅈ"})]),
    ("yamin", [opened("이거 마박.", "대박", params={"table": [["대", "머"]]})], [opened("이거 머박.", "대박", params={"table": [["대", "머"]]})]),
    ("chosung", [opened("나도 ㄱㅅ.", "인정", params={"chosung": "ㅇㅈ"})], [opened("나도 ㅇ ㅈ.", "인정", params={"chosung": "ㅇㅈ"})]),
    ("yamin", [opened("답은 『롬곰』.", "눈물", params={"rotation": True})], [opened("답은 『롬곡』.", "눈물", params={"rotation": True})]),
    ("yamin", [opened("답은 『널』.", "달", params={"rotation": True})], [opened("답은 『곤뇽』.", "육군", params={"rotation": True})]),
    ("arithmetic", [reckoned("제곧내 → ㅈㄱㅁ")], [reckoned("제곧내 → ㅈㄱㄴ, 죄송 → ㅈㅅ")]),
    ("arithmetic", [reckoned("대박 → 머밖 (대→머)")], [reckoned("귀신 대장 → 커신 머장 (귀→커, 대→머)")]),
    ("arithmetic", [reckoned("눈물 → 롬국 (180도 회전)")], [reckoned("눈물 → 롬곡, 논문 → 곰국 (180도 회전)")]),
    ("arithmetic", [reckoned("노잼 → ㄴㅁ")], [reckoned("부+부 → 쀼 (ㅂ+ㅂ=ㅃ)")]),
    ("region", [asked_for_region("“정구지 좀 사 온나.”는 어디 말인가?")], [asked_for_region("“정구지 좀 사 온나.”는 어디 말인가?", ["경상도", "강원도", "제주도", "함경도"])]),
    ("region", [asked_for_region("“낭구를 벤다.”는 어디 말인가?")], [asked_for_region("“낭구리를 벤다.”는 어디 말인가?")]),
    ("region", [asked_for_region("“시방 왔제.”는 어디 말인가?", cluster_id="lex:시방")], [asked_for_region("“시방 왔제.”는 어디 말인가?", cluster_id="end:-제")]),
    ("region", [asking("이 말의 뜻은?", cluster_id="lex:긴불알")], [asking("이 말의 뜻은?", cluster_id="lex:긴불알", type="reject")]),
    ("speech-level", [asking("“어서 오십시오. 얼른 먹어라.”는 무슨 말인가?")], [asking("“어서 오십시오. 아, 늦었네. 먹자고 하는군요.” “얼른 먹어라.”는 무슨 말인가?")]),
    ("length", [made(options=["토끼", "거북", "여우", "두루마기를 입은"], type="reject")], [made(options=["토끼", "거북", "여우", "두루마기"], type="reject")]),
    ("length", [made(options=["토끼와 거북이 함께 간다", "거북이 혼자서 빨리 간다", "여우만", "두루미가 날아서 간다"])], [made(options=["토끼와 거북이 함께 간다", "거북이 혼자서 빨리 간다", "여우만이라도 간다", "두루미가 날아서 간다"])]),
    ("length", [other_length(n, n % 4, 1 if n < 3 else 0) for n in range(8)], [other_length(n, (n + (n > 1)) % 4, 1 if n < 3 else 0) for n in range(8)]),
    ("length", [other_length(n, n % 4, -1 if n < 3 else 0) for n in range(8)], [other_length(n, (n + (n > 1)) % 4, -1 if n < 3 else 0) for n in range(8)]),
    ("giveaway", pair("상추", "부루 한 단 주이소", "상추"), pair("상추", "부루 한 단 주이소", "한단")),
    ("giveaway", pair("상추", "부루 한 단 주이소", "상추"), pair("상추", "부루와 상추 한 단 주이소", "상추")),
    ("giveaway", pair("상추", "불기 한 단 주이소", "상추"), pair("상추", "불기 한 단 주이소", "상추", "lex:불기")),
    ("giveaway", pair("상추", "부루 한 단 주이소", "상추", "end:-이소"), pair("상추", "불기 한 단 주이소", "상추", "end:-이소")),
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
    ("solver", [with_a_common_gold(n, "토끼") for n in range(8)], [with_a_common_gold(n, "토끼" if n < 3 else f"토{n}") for n in range(8)]),
    ("solver", [with_a_common_gold(n, STEMS[n][:2]) for n in range(8)], [made(n) for n in range(8)]),
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


def excused(tmp_path: Path, text: str) -> packs.Pack:
    """A pack of one item that lacks its canary, with this excused.yaml."""
    folder = write_pack(tmp_path / "mini", [item("q1", tags=[])])
    (folder / "excused.yaml").write_text(text, encoding="utf-8")
    return packs.load(folder)


def test_a_breach_may_be_excused_by_name_and_reason(tmp_path: Path) -> None:
    """excused.yaml names rule, items and reason; it excuses that rule for those items and nothing else."""
    named = excused(tmp_path / "a", "- {rule: canary, items: [q1], reason: an old pack}")
    other = excused(tmp_path / "b", "- {rule: canary, items: [q2], reason: an old pack}")
    assert check.check_pack(named) == []
    assert check.check_pack(other) == [
        "q1: canary: tags need exactly one canary:<uuid>",
        "q2: excused.yaml excuses a breach of canary that is not there; take it out",
    ]


def test_an_excuse_without_a_reason_is_refused(tmp_path: Path) -> None:
    """A rule is not set aside without a word."""
    with pytest.raises(UsageError, match="reason"):
        check.check_pack(excused(tmp_path, "- {rule: canary, items: [q1]}"))


def test_check_prints_what_is_excused_and_what_is_disputed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither hides: both stand in what `lmmbench check` prints, and a disputed item is counted as not active."""
    lines = [item("q1", tags=[]), item("q2", tags=[CANARY], status="disputed")]
    folder = write_pack(tmp_path / "tasks" / "mini", lines)
    (folder / "excused.yaml").write_text("- {rule: canary, items: [q1], reason: an old pack}", encoding="utf-8")
    code = cli.run_cli(["check", "--tasks-dir", str(tmp_path / "tasks"), "--providers", str(ROOT / "providers.yaml")])
    said = capsys.readouterr().out
    assert code == 0
    assert "mini 1.0.0: 1 of 2 items active" in said
    assert "mini: excused from canary: q1: an old pack" in said
    assert "mini: disputed, not asked: q2" in said
