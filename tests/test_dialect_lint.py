"""The lexicon's verdicts on the dialect pack: complete, of the texts as they stand, and what the items' evidence says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from subprocess import run
from typing import Any

import pytest

from lmmbench import packs
from lmmbench.canon import sha256
from lmmbench.types import Item, Provenance
from packtools.dialect_lint import verdicts
from packtools.dialect_lint.__main__ import whole
from packtools.dialect_lint.verdicts import AGAINST, BITS, VERDICTS, Token, judge, region, text
from tests.kit import ROOT, clean_env

ITEMS = [i for i in packs.load(ROOT / "tasks" / verdicts.PACK).items if i.status == "active"]
VERSIONS, FOUND = verdicts.read()
OF = {v.id: v for v in FOUND}
PROVINCES = dict(
    zip(
        ["경기도", "충청도", "강원도", "경상도", "전라도", "제주도", "황해도", "함경도", "평안도"],
        BITS.values(),
        strict=True,
    )
)


def cited(item: Item) -> Iterator[tuple[str, str]]:
    """Each token that evidence of kind `lexicon` quotes, with its source."""
    for e in item.provenance.evidence:
        if e.kind == "lexicon":
            yield from ((e.ref, token.strip()) for token in e.quote.split(";"))


def flags(token: str) -> int:
    """`파이/VA dialect=8` → 8; 0 of a token that no lexicon has."""
    return int(found[1]) if (found := re.search(r"dialect=(\d+)$", token)) else 0


# --- the committed verdicts ---------------------------------------------------------------------------


def test_every_active_item_has_one_verdict_on_its_text_as_it_stands() -> None:
    """A changed sentence or word is linted anew: python -m packtools.dialect_lint."""
    assert [v.id for v in FOUND] == [i.id for i in ITEMS]
    assert [i.id for i in ITEMS if OF[i.id].sha256 != sha256(text(i))] == []
    assert {v.verdict for v in FOUND} <= set(VERDICTS)


def test_a_verdict_follows_from_the_tokens_that_carry_it() -> None:
    """The item's region in each, other regions only, no lexicon, or no tokens at all; 문화어 alone is not applicable."""
    for item in ITEMS:
        own, v = BITS.get(region(item) or "", 0), OF[item.id]
        kinds = {(bool(flags(t) & own), t.endswith(" oov")) for t in v.tokens}
        expected = {"supports": {(True, False)}, "other_region": {(False, False)}, "unknown_words": {(False, True)}}
        assert kinds == expected.get(v.verdict, set()), v
        assert (v.verdict == "not_applicable") == ("munhwaeo" in item.tags)


def test_what_items_cite_of_the_lexicon_is_in_their_verdict() -> None:
    """Evidence of kind `lexicon` names these versions and tokens of the verdict; it backs no item against which it speaks,
    but those that show another region's word on purpose."""
    source = f"kiwipiepy {VERSIONS['kiwipiepy']} / kiwipiepy_model {VERSIONS['kiwipiepy_model']}"
    wrong = [(i.id, ref, t) for i in ITEMS for ref, t in cited(i) if ref != source or t not in OF[i.id].tokens]
    assert wrong == []
    backed = {i.id for i in ITEMS if any(cited(i)) and OF[i.id].verdict != "supports"}
    assert backed == {i for i in backed if OF[i].verdict == "other_region" and OF[i].id in verdicts.left()}


def test_an_item_that_the_lexicon_speaks_against_stands_for_a_stated_reason() -> None:
    """left.json names each of them once, and no other."""
    assert set(verdicts.left()) == {v.id for v in FOUND if v.verdict in AGAINST}
    assert all(len(why.split()) > 5 for why in verdicts.left().values())


def test_no_other_region_on_offer_has_all_words_of_a_question_of_region() -> None:
    """As far as the lexicon knows: else two options would be right."""
    for item in ITEMS:
        if item.type == "region" and (own := region(item)):
            seen = [flags(t) for t in OF[item.id].tokens]
            offered = [PROVINCES[o] for o in item.options if o in PROVINCES and PROVINCES[o] != BITS[own]]
            assert seen and not [bit for bit in offered if all(f & bit for f in seen)], item.id


# --- how they are made --------------------------------------------------------------------------------


def made(kind: str, question: str = "", **more: Any) -> Item:
    fields = {"question": question} | {k: v for k, v in more.items() if k == "source"}
    return Item(
        "x-1", more.get("stratum", "jeolla"), kind, more.get("cluster", "end:-제"), fields,
        tuple(more.get("targets", "1")), Provenance("", "", "", (), "page"), tuple(more.get("options", ())),
        tags=tuple(more.get("tags", ())),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (made("rewrite", "“이 글”을 바꾸십시오.", source="비 온께"), "비 온께"),
        (made("produce", source="표준어: 가자. / 전라도 말: 가＿＿.", targets=["드라고"]), "가드라고."),
        (made("produce", source="＿＿ 들어옵서.", targets=["혼저"]), "혼저 들어옵서."),
        (made("meaning", "한 사람이 “가.” 하자 “오.” 하였다. ‘오’는?"), "가. 오."),
        (made("meaning", '한 사람이 "가." 하였다.'), "가."),
        (made("register", "‘할마씨’는 누구인가?"), "할마씨"),
        (made("register", "누구에게 할 말인가?", options=["가제", "가지"]), "가제"),
        (made("acceptability", "‘자네’에게 할 말은?", options=["먹소", "먹으씨요"]), "먹소"),
        (made("region", "“어디 가십니까?”를 옮긴 것은?", options=["감수과?", "가능교?"]), "감수과?"),
        (made("region", "“어데 가노?”", options=["경상도", "전라도"]), "어데 가노?"),
        (made("meaning", "“가.”", cluster="lex:그카다/성(형)"), "가.\n그카다\n성"),
    ],
)
def test_what_is_linted_is_the_dialect_and_not_the_question(item: Item, expected: str) -> None:
    """The sentence to rewrite, the filled blank, the right form, or the quotation; then the word in question."""
    assert text(item) == expected


@pytest.mark.parametrize(
    ("tokens", "verdict", "carried"),
    [
        ([Token("포도시", "MAG", 16, False), Token("마카", "MAG", 12, False)], "supports", ["포도시/MAG dialect=16"]),
        ([Token("마카", "MAG", 12, False), Token("뭐시", "NNG", 0, True)], "other_region", ["마카/MAG dialect=12"]),
        ([Token("뭐시", "NNG", 0, True), Token("가", "VV", 512, False)], "unknown_words", ["뭐시/NNG oov"]),
        ([Token("가", "VV", 512, False)], "standard_only", []),
    ],
)
def test_the_first_kind_of_token_that_is_there_gives_the_verdict(
    tokens: list[Token], verdict: str, carried: list[str]
) -> None:
    """The region's own, another region's, one of no lexicon, none; an old word (512) is of no region."""
    found = judge(made("meaning", "“가.”"), tokens)
    assert (found.verdict, list(found.tokens)) == (verdict, carried)


def test_munhwaeo_is_a_standard_and_not_linted() -> None:
    """An item of the north with no region's tag has no dialect to look up."""
    item = made("meaning", "“가.”", stratum="north", tags=["munhwaeo"])
    assert judge(item, [Token("클마니", "NNG", 256, False)]).verdict == "not_applicable"
    assert region(made("meaning", stratum="north", tags=["dialect", "hwanghae"])) == "hwanghae"


def test_a_piece_of_a_word_is_not_the_word() -> None:
    """Looked up alone, a word counts only if one token holds it, and a verb only if the token is a stem."""
    assert whole(Token("보골", "NNG", 8, False), "보골")
    assert whole(Token("파이", "VA", 8, False), "파이다")
    assert not whole(Token("단", "MM", 16, False), "단디")
    assert not whole(Token("치", "NNG", 159, False), "치다")


def test_without_kiwipiepy_one_sentence_says_what_to_install() -> None:
    """Exit code 1, no traceback, nothing written."""
    hidden = "import sys; sys.modules['kiwipiepy'] = None; from packtools.dialect_lint.__main__ import main; main()"
    before = verdicts.FILE.read_bytes()
    done = run([sys.executable, "-c", hidden], cwd=ROOT, env=clean_env(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "kiwipiepy is missing: pip install kiwipiepy==0.24.1 kiwipiepy_model==0.24.0\n"
    assert verdicts.FILE.read_bytes() == before
