"""Scorers: what counts as right, what earns nothing, and that the gold of every item of ours gets full marks."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Indel
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.helpers import extract_all_char_ngrams

from lmmbench import packs, scorers
from lmmbench.check import check_pack
from lmmbench.scorers import Grade, chrf, dialect, exact, facts, grams, numbers, overlap, summary, text
from lmmbench.types import Item, Provenance
from tests import kit
from tests.fake_server import FakeServer
from tests.kit import ROOT

SHIPPED = packs.select("all", ROOT / "tasks")
HANGUL = st.text(st.sampled_from("가나다라마바 제주말ㅋㅇ.,!?‘’abcXYZ0123456789"), max_size=40)


def made(*targets: str, source: str = "", options: tuple[str, ...] = (), **params: Any) -> Item:
    """An item that wants one of these targets."""
    told = Provenance("2026-11-01", "the tests", "made up", (), "recall")
    return Item("q1", "s", "t", "c", {"source": source}, targets, told, options, params)


def nfc(answer: str) -> str:
    """The answer as most systems send it."""
    return unicodedata.normalize("NFC", answer)


def nfd(answer: str) -> str:
    """The answer as some systems send it: each syllable taken apart."""
    return unicodedata.normalize("NFD", answer)


def said(answer: str, *targets: str) -> Grade:
    return exact.grade(answer, made(*targets), (), {})


# --- every item of ours ------------------------------------------------------------------------------

ITEMS = [(p, i) for p in SHIPPED for i in p.active]


def graded(pack: packs.Pack, item: Item, answer: str, order: tuple[int, ...] = ()) -> Grade:
    spec = pack.card.scorer_of(item.type)
    return scorers.scorer(spec.name).grade(answer, item, order, spec.params)


@pytest.mark.parametrize("form", [nfc, nfd])
def test_every_gold_gets_full_marks(form: Callable[[str], str]) -> None:
    """Whatever order is shown, and however its syllables are encoded, the right answer is right: exactly 1."""
    wrong = []
    for pack, item in ITEMS:
        for trial in range(3 if item.options else 1):
            order = packs.request(pack, item, trial, seed=0).order
            metric = scorers.scorer(pack.card.scorer_of(item.type).name)
            for gold in metric.gold(item, order):
                found = graded(pack, item, form(gold), order)
                if found.score != 1 or found.parse_status != "ok":
                    wrong.append((item.id, gold, found))
    assert wrong == []


@pytest.mark.parametrize("answer", ["", " \n\t\u3000", "\u200b\ufeff"], ids=["empty", "white space", "invisible"])
def test_an_answer_with_nothing_in_it_gets_nothing(answer: str) -> None:
    """Score 0, nothing parsed, and the parse status says so."""
    for pack, item in ITEMS:
        order = packs.request(pack, item, 0, seed=0).order
        found = graded(pack, item, answer, order)
        assert (found.score, found.parsed, found.parse_status) == (0.0, None, "none"), item.id


def test_copying_a_dialect_sentence_is_no_rewriting() -> None:
    """The source of every rewrite item of ours, as it stands, scores 0: some of its dialect words are still there."""
    rewrites = [(p, i) for p, i in ITEMS if p.card.scorer_of(i.type).name == "rewrite"]
    assert rewrites
    assert [i.id for p, i in rewrites if graded(p, i, i.fields["source"]).score != 0] == []


def test_copying_a_document_is_no_summary() -> None:
    """Whole documents, their beginnings or their ends earn less than half on average, and no single one full marks:
    the facts lie all over a document."""
    documents = [(p, i) for p, i in ITEMS if p.card.scorer_of(i.type).name == "summary"]
    assert documents
    earned: dict[str, list[float]] = defaultdict(list)
    for pack, item in documents:
        document, limit = item.fields["document"], int(item.params["limit"])
        copies = {"whole": document, "beginning": document[:limit], "end": document[-limit:], "thrice": document * 3}
        for name, copied in copies.items():
            earned[name].append(graded(pack, item, copied).score)
        assert item.fields["limit"] == str(limit), "the limit that is asked for is the one that is graded by"
        assert all(len(target) <= limit for target in item.targets)
    assert all(sum(scores) / len(scores) < 0.5 and max(scores) < 1 for scores in earned.values())
    assert max(earned, key=lambda name: sum(earned[name])) == "end", (
        "baseline-copy is the dearest copy: it copies the end"
    )


def test_every_metric_carries_a_signature() -> None:
    """A score names its metric and version, so that two numbers are compared only where they mean the same."""
    ids = {name: scorers.scorer(name).metric_id({}) for name in scorers.names()}
    assert all("@" in metric_id for metric_id in ids.values())
    assert len(set(ids.values())) == len(ids)


def test_an_unknown_scorer_is_refused_with_the_nearest_name() -> None:
    """The sentence names what there is."""
    with pytest.raises(Exception, match=r"no scorer is called 'exakt' \(did you mean 'exact'\?\)"):
        scorers.scorer("exakt")


# --- choice ------------------------------------------------------------------------------------------


def test_a_choice_is_read_in_the_order_that_was_shown() -> None:
    """`parsed` is the option's own number: with (3, 1, 2) shown, A is option 3."""
    item = made("3", options=("배", "감", "밤"))
    answers = [("정답: A", (3, 1, 2)), ("정답: B", (3, 1, 2)), ("밤", (2, 3, 1)), ("2번", (2, 3, 1))]
    found = [scorers.scorer("choice").grade(answer, item, order, {}) for answer, order in answers]
    assert [(f.parsed, f.score) for f in found] == [("3", 1.0), ("1", 0.0), ("3", 1.0), ("3", 1.0)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("죄송하지만 이 질문에는 답변할 수 없습니다.", "refuse"),
        ("A 또는 B", "multi"),
        ("글쎄요, 어려운 문제네요.", "none"),
    ],
)
def test_what_cannot_be_read_is_wrong_and_flagged(answer: str, status: str) -> None:
    """A refusal in prose, two answers or none: score 0, nothing parsed, and never a guess."""
    found = scorers.scorer("choice").grade(answer, made("1", options=("배", "감", "밤")), (1, 2, 3), {})
    assert (found.score, found.parsed, found.parse_status) == (0.0, None, status)


# --- exact -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "사과", "사과.", " 사과 \n", "사 과", "‘사과’", "“사과”", "「사과」", "**사과**", "`사과`", "사과입니다", "사과입니다.",
        "‘사과’입니다.", "사과 입니다", "사과예요!", "사과임", "사과라고 합니다.", "생각해 보면\n사과", "사과\n\n", "정답: 사과",
        "정답 : 사과입니다.", "정답：사과", "**정답:** 사과", "정답: 배\n다시 보니 정답: 사과", "\ufeff사\u200b과", "사과\u3000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [nfc, nfd])
def test_the_same_answer_in_other_clothes_is_right(answer: str, form: Callable[[str], str]) -> None:
    """Spaces, quotes, marks, a closed list of endings and a marker before it change nothing; nor does NFD."""
    assert said(form(answer), "사과").score == 1


@pytest.mark.parametrize(
    "answer", ["**정답**: 사과", "정답은 사과입니다.", "정답은 ‘사과’이다", "- 사과", "답: **사과**입니다"]
)
def test_common_marks_around_a_right_answer_do_not_make_it_wrong(answer: str) -> None:
    """Forms in which models like to say one word, where nothing else can be meant."""
    assert said(answer, "사과").score == 1


@pytest.mark.parametrize(
    "answer",
    ["사", "과", "사과나무", "풋사과", "사과가 아닙니다", "사과, 배", "사과 또는 배", "배", "정답: 배", "사과\n배", "정답: 사과\n정답: 배", "사과인지 모르겠습니다", "정답: 사"],
)  # fmt: skip
def test_another_answer_is_wrong(answer: str) -> None:
    """Endings are anchored on the gold: nothing is ever cut to fit, and one right word among others is no answer."""
    found = said(answer, "사과")
    assert (found.score, found.parse_status) == (0.0, "ok")


def test_a_shorter_gold_is_not_found_in_a_longer_word() -> None:
    """사과 answers 사과, not 사; an ending alone answers nothing."""
    assert said("사과", "사").score == 0
    assert said("사과입니다", "사").score == 0
    assert said("입니다", "사과").score == 0


def test_any_of_the_targets_will_do() -> None:
    """All accepted answers count alike."""
    assert [said(a, "엄마 친구 아들", "엄친아").score for a in ("엄마친구아들", "엄친아", "엄마")] == [1, 1, 0]


def test_letters_of_hangul_are_left_as_they_are() -> None:
    """초성 and ㅋㅋ are characters of their own: NFC keeps them, NFKC would not; their number counts."""
    assert said("ㅇㅈ", "ㅇㅈ").score == 1
    assert said("ㅋㅋㅋ", "ㅋㅋ").score == 0
    assert said("인정", "ㅇㅈ").score == 0
    assert text.bare("ㅋㅋ ①") == "ㅋㅋ①"


def test_numbers_and_latin_letters() -> None:
    """A comma between thousands and the case of Latin letters are no difference; a decimal point is one."""
    assert said("1,000원", "1000원").score == 1
    assert said("LTE", "lte").score == 1
    assert said("1.5", "15").score == 0
    assert said("1,5", "15").score == 0


def test_what_was_read_is_told() -> None:
    """`parsed` is the part that counted, `parse_rule` says how it was found."""
    assert (said("정답: 사과", "배").parsed, said("정답: 사과", "배").parse_rule) == ("사과", "marker")
    assert said("사과", "배").parse_rule == "whole"
    assert said("음\n사과", "배").parse_rule == "last-line"


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("23마리", ["스물세 마리", "스물세마리입니다.", "이십삼 마리", "23 마리예요", "정답: 23마리", "23", "２３마리"]),
        ("35,000원", ["3만 5천 원", "삼만오천원", "₩35,000", "35000원입니다", "3만5천원이요", "3만 5,000원"]),
        ("30%", ["30퍼센트", "30 %", "삼십 퍼센트입니다", "30프로"]),
        ("15시", ["오후 3시", "오후 세 시", "15시입니다"]),
        ("3시 30분", ["세 시 반", "3시 반입니다", "세 시 삼십 분"]),
        ("5km", ["5킬로미터", "5 km", "오 킬로미터입니다", "5KM"]),
        ("제3", ["제삼", "제 3"]),
        ("2024년", ["2,024년", "이천이십사 년", "2024년이에요"]),
        ("1.5kg", ["1.50kg", "1.5킬로그램"]),
        ("12억 3천만 원", ["1,230,000,000원", "십이억 삼천만 원"]),
    ],
)  # fmt: skip
def test_a_number_is_right_in_any_writing(gold: str, answers: list[str]) -> None:
    """Native, Sino-Korean and Arabic numerals, units by sign or word, the clock; a count noun may be left out."""
    assert [a for a in answers if said(a, gold).score != 1] == []


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("23마리", ["24마리", "32마리", "23명", "스물세 살", "123마리"]),
        ("35,000원", ["3만 5천", "35,000달러", "3만 원", "5천 원"]),
        ("30%", ["30", "0.3", "30도"]),
        ("15시", ["오전 3시", "3시", "15분"]),
        ("5km", ["5", "5m", "5kg"]),
        ("3시 30분", ["3시", "30분", "세 시"]),
    ],
)
def test_another_number_or_unit_is_wrong(gold: str, answers: list[str]) -> None:
    """A unit that carries a scale (원, %, km, 시) may neither be left out nor changed."""
    assert [a for a in answers if said(a, gold).score != 0] == []


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("1km", ["1,000m", "1 킬로미터", "천 미터입니다", "정답: 1000 m", "100,000cm"]),
        ("1.5kg", ["1,500g", "1킬로그램 500그램", "천오백 그램이에요"]),
        ("30cm", ["300mm", "0.3m", "삼백 밀리미터입니다."]),
        ("2l", ["2,000ml", "2리터", "2,000 밀리리터"]),
        ("1시간 30분", ["90분", "한 시간 삼십 분", "1시간 반", "1.5시간", "5,400초", "구십 분입니다"]),
        ("90분", ["1시간 30분", "한 시간 반이요"]),
        ("14:30", ["오후 2시 30분", "14시 30분", "오후 2:30", "오후 두 시 반", "정답: 14:30", "14:30입니다", "１４：３０"]),
        ("오후 2시 30분", ["14:30", "14시 30분", "오후 2:30", "오후 2시 반"]),
        ("15시", ["15:00", "오후 3:00", "오후 세 시"]),
        ("오전 9:05", ["9:05", "09:05", "아침 9시 5분"]),
    ],
)  # fmt: skip
def test_a_unit_that_the_gold_names_may_be_another_of_its_kind(gold: str, answers: list[str]) -> None:
    """Metres, grams, litres, hours and minutes convert; a clock's colon is read as hours and minutes."""
    assert [a for a in answers if said(a, gold).score != 1] == []


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("1km", ["1000", "1,000", "1", "1000mm", "1000g", "1,001m", "100m", "1000원"]),
        ("1000", ["1km", "1kg", "1000m"]),
        ("23마리", ["23m", "23분", "0.023km"]),
        ("90분", ["1시 30분", "1시간", "30분", "90초", "1시간 90분"]),
        ("14:30", ["2:30", "오전 2:30", "오전 2시 30분", "14:03", "14시", "30분", "14시간 30분", "1430", "14.30", "870분"]),
        ("3시 30분", ["3시간 30분", "210분", "15:30"]),
        ("3:2", ["3시 2분", "2:3", "3대 2분", "32"]),
        ("1km 500m", ["500m 1km", "1km", "500m", "1.5"]),
        ("1년", ["12개월", "365일"]),
        ("1달러", ["100센트", "1,400원"]),
    ],
)  # fmt: skip
def test_what_the_gold_does_not_measure_is_never_converted(gold: str, answers: list[str]) -> None:
    """A bare number, another kind of unit, a time of day for a duration, a score for a time, a month that is no fixed count
    of days: all wrong."""
    assert [a for a in answers if said(a, gold).score != 0] == []


STEPS = {("km", "m"): 1000, ("m", "cm"): 100, ("cm", "mm"): 10, ("kg", "g"): 1000, ("g", "mg"): 1000, ("l", "ml"): 1000, ("시간", "분"): 60, ("분", "초"): 60}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(STEPS)), st.integers(1, 9_999), st.integers(0, 10_000_000), st.sampled_from(["km", "kg", "l", "시간", "시", "명", "원", ""]))  # fmt: skip
def test_a_converted_number_is_right_and_any_other_is_wrong(
    pair: tuple[str, str], whole: int, other: int, foreign: str
) -> None:
    """Exactly: no rounding, both ways round; another count is wrong, and so is the right count of something else."""
    (large, small), step = pair, STEPS[pair]
    gold, right = f"{whole}{large}", whole * step
    assert said(f"{right:,}{small}", gold).score == said(f"{whole} {large}", f"{right}{small}").score == 1
    assert said(f"{other}{small}", gold).score == (other == right)
    assert said(f"{right}", gold).score == 0
    if foreign not in ("", large, small) and not {foreign, large} <= {"시", "시간", "분"}:
        assert said(f"{right}{foreign}", gold).score == 0


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_one_time_however_it_is_written(hour: int, minute: int, h: int, m: int) -> None:
    """24 hours or 오전 and 오후, colon or words: every pair of writings agrees on the same minute and on no other."""

    def writings(hour: int, minute: int) -> list[str]:
        part, short = ("오전", "오후")[hour >= 12], (hour + 11) % 12 + 1
        return [f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{hour}시 {minute}분", f"{part} {short}:{minute:02}", f"{part} {short}시 {minute}분"]  # fmt: skip

    for gold in writings(hour, minute):
        for answer in writings(h, m):
            assert said(answer, gold).score == ((h, m) == (hour, minute)), (answer, gold)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_one_length_however_it_is_written(hours: int, minutes: int, seconds: int) -> None:
    """In hours, minutes and seconds, in minutes and seconds, or in seconds alone."""
    parts = f"{hours}시간 {minutes}분 {seconds}초"
    total = 3600 * hours + 60 * minutes + seconds
    assert said(parts, f"{total}초").score == said(f"{total}초", parts).score == 1
    assert said(f"{total // 60}분 {seconds}초", parts).score == 1
    assert said(f"{total + 1}초", parts).score == 0


@pytest.mark.parametrize(
    "answer", ["서울입니다", "서울이요", "서울은", "서울이다.", "서울이에요!", "서울(Seoul)", "‘서울’이라고 합니다", "답변: 서울", "Answer: 서울"]
)  # fmt: skip
def test_an_ending_is_cut_only_behind_the_gold(answer: str) -> None:
    """A particle, copula or gloss behind the gold changes nothing."""
    assert said(answer, "서울").score == 1


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("사과", "사"), ("게임", "게"), ("사이다", "사"), ("마을", "마"), ("바다", "바"), ("고양이", "고양"), ("제주도", "제주"), ("나이", "나"),
     ("화가", "화"), ("수요", "수"), ("시야", "시"), ("책임", "책"), ("가을", "가"), ("노을", "노"), ("국가", "국"), ("아이", "아"), ("도로", "도")],
)  # fmt: skip
def test_a_word_that_begins_with_the_gold_is_another_word(answer: str, gold: str) -> None:
    """What looks like a particle may belong to the word: 게임 is not 게, 제주도 is not 제주."""
    assert said(answer, gold).score == 0


GOLDS = st.text(st.sampled_from("가나다라마서울사과고양이제주도 0123456789만천ABC.,%'"), min_size=1, max_size=12)


@given(GOLDS)
@settings(deadline=None)
def test_the_gold_itself_is_always_right(gold: str) -> None:
    """Whatever a target looks like, writing exactly it earns 1."""
    assert not text.bare(gold) or said(gold, gold).score == 1


@given(st.text(max_size=40), st.sets(st.sampled_from(sorted(text.STEPS))))
@settings(max_examples=400, deadline=None)
def test_normalising_twice_is_normalising_once(raw: str, steps: set[str]) -> None:
    """Idempotent, for any choice of steps."""
    once = text.bare(raw, tuple(sorted(steps)))
    assert text.bare(once, tuple(sorted(steps))) == once


def test_what_one_step_uncovers_the_next_pass_takes() -> None:
    """Two glosses in a row, punctuation inside quotes: nothing is left over."""
    assert (text.bare("서울(Seoul)(京)"), text.bare("‘서울.’!")) == ("서울", "서울")


@given(st.text("상추미나리바람", min_size=1, max_size=4), st.text("상추미나리바람", min_size=1, max_size=4))
@settings(deadline=None)
def test_the_gold_inside_another_word_is_wrong(gold: str, more: str) -> None:
    """The gold as a part of a longer word earns nothing, on either side."""
    assert said(more + gold, gold).score == (1 if more + gold == gold else 0)
    assert said(gold + more, gold).score == 0


@given(st.integers(0, 10**13))
def test_a_number_in_hangul_is_the_number(n: int) -> None:
    """Every number that is written out is read back, by an independent writer."""
    assert numbers.number(written(n)) == str(n)


def written(n: int) -> str:
    """Sino-Korean, group by group of four digits; 일 is left out before 십, 백, 천 and before a lone 만."""
    out = ""
    for scale, mark in ((10**12, "조"), (10**8, "억"), (10**4, "만"), (1, "")):
        group, n = divmod(n, scale)
        part = ""
        for unit, sign in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
            digit, group = divmod(group, unit)
            part += ("" if digit == 1 and sign else "영일이삼사오육칠팔구"[digit]) + sign if digit else ""
        out += part + mark if part else ""
    return out or "영"


def test_the_normalisation_is_named_and_can_be_chosen() -> None:
    """The card's `normalise` names the steps, the metric's id tells them, and an unknown one is refused by name."""
    assert "norm:nfc+case|" in exact.SCORER.metric_id({"normalise": ["nfc", "case"]})
    assert exact.SCORER.grade("사 과", made("사과"), (), {"normalise": ["nfc", "case"]}).score == 0
    with pytest.raises(Exception, match=r"no normalisation is called 'spaces' \(did you mean 'space'\?\)"):
        text.bare("가", ("spaces",))


# --- chrF and rewrite --------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(HANGUL, st.lists(HANGUL.filter(str.strip), min_size=1, max_size=3))
def test_chrf_is_sacrebleus_own(answer: str, references: list[str]) -> None:
    """The same number to the last digit, over 100; NFD counts as NFC."""
    expected = CHRF().sentence_score(answer, references).score / 100
    assert chrf.chrf(answer, references) == expected
    assert chrf.chrf(nfd(answer), [nfd(r) for r in references]) == expected
    assert 0 <= expected <= 1


@settings(max_examples=100, deadline=None)
@given(HANGUL, st.lists(HANGUL.filter(str.strip), min_size=1, max_size=3))
def test_chrf_plus_plus_and_bleu_are_sacrebleus_own(answer: str, references: list[str]) -> None:
    """The same numbers to the last digit, over 100, and never above 1."""
    for tokenizer in ("char", "13a"):
        expected = BLEU(tokenize=tokenizer, effective_order=True).sentence_score(answer, references).score / 100
        assert chrf.bleu(answer, references, tokenizer) == min(1.0, expected)
    assert chrf.chrf(answer, references, 2) == min(
        1.0, CHRF(word_order=2).sentence_score(answer, references).score / 100
    )


REPEATING = st.one_of(
    st.text("가나 ", max_size=60), st.text("ab.( \n", max_size=40), st.text("\0\ud800\U0010ffff 가", max_size=20)
)


@settings(max_examples=300, deadline=None)
@given(REPEATING, st.lists(REPEATING.filter(str.strip), min_size=1, max_size=3), st.sampled_from((0, 2)))
def test_chrf_is_sacrebleus_own_where_n_grams_repeat(answer: str, references: list[str], word_order: int) -> None:
    """The same number to the last digit of texts that repeat themselves, of the first and the last code point, and of
    texts shorter than the longest n-gram."""
    expected = CHRF(word_order=word_order).sentence_score(answer, references).score / 100
    assert chrf.chrf(answer, references, word_order) == min(1.0, expected)


@given(*[st.lists(st.one_of(st.integers(0, 3), st.sampled_from((0, 2**21 - 2))), max_size=30)] * 2)
def test_shared_n_grams_are_what_counters_share(a: list[int], b: list[int]) -> None:
    """Of each order as many n-grams are shared as the multisets of both sides have in common; the largest token is one."""

    def grams_of(tokens: list[int], n: int) -> Counter[tuple[int, ...]]:
        return Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1))

    assert grams.shared(a, b) == [(grams_of(a, n) & grams_of(b, n)).total() for n in range(1, grams.ORDER + 1)]


def test_bleus_signature_is_sacrebleus_own() -> None:
    """BLEU without its tokenizer means nothing: the id names it, as sacrebleu does."""
    for tokenizer in ("char", "13a"):
        metric = sacrebleu.BLEU(tokenize=tokenizer, effective_order=True)
        metric.corpus_score(["가"], [["가"]])
        named = chrf.BLEU.metric_id({"tokenize": tokenizer}).split("|")
        signature = str(metric.get_signature()).split("|")
        assert [part for part in signature if not part.startswith("nrefs") and part not in named] == []


def test_an_unknown_tokenizer_is_refused() -> None:
    """The sentence names those that there are; the id can still be told."""
    with pytest.raises(Exception, match="BLEU has no tokenizer 'kiwi'; there are: char, 13a, ko-mecab"):
        chrf.bleu("가", ["가"], "kiwi")
    assert "|tok:kiwi|" in chrf.BLEU.metric_id({"tokenize": "kiwi"})


def test_chrfs_signature_is_sacrebleus_own() -> None:
    """The metric's id names every setting that sacrebleu names, its version too."""
    metric = CHRF()
    metric.corpus_score(["가"], [["가"]])
    signature = str(metric.get_signature()).split("|")
    named = scorers.scorer("chrf").metric_id({}).split("|")
    assert [part for part in signature if not part.startswith("nrefs") and part not in named] == []
    assert f"version:{sacrebleu.__version__}" in named


def test_the_best_reference_counts_and_key_terms_stand_beside() -> None:
    """More references never lower a score; key terms are told, and never enter it."""
    item = made("바람이 세게 분다", "바람이 많이 분다", key_terms=[["바람"], ["비", "눈"]])
    found = chrf.CHRF.grade("바람이 많이 분다", item, (), {})
    assert (found.score, found.aux["key_terms"]) == (1.0, 0.5)
    assert chrf.CHRF.grade("바람이 많이 분다", made("바람이 많이 분다"), (), {}).aux["key_terms"] is None


REWRITE = made(
    "바람이 많이 분다", source="ᄇᆞ름이 하영 분다", must=[["바람"], ["많이", "세게"]], must_not=["하영", "ᄇᆞ름"]
)


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("바람이 많이 분다", True),
        ("바람이 세게 불어요.", True),
        ("바 람이 많 이 분다", True),
        ("ᄇᆞ름이 하영 분다", False),
        ("바람이 하영 분다", False),
        ("바람이 많이, 하 영 분다", False),
        ("바람이 분다", False),
        ("나무가 크다", False),
    ],
)
def test_a_rewriting_passes_its_gate_or_gets_nothing(answer: str, passes: bool) -> None:
    """Each `must` group is met and no dialect word is left, spaces ignored: then chrF, else 0; chrF stands beside."""
    found = dialect.grade_rewrite(answer, REWRITE, (), {})
    value = chrf.chrf(answer, REWRITE.targets)
    assert found.score == (value if passes else 0.0)
    assert found.aux["chrf"] == value
    assert dialect.grade_rewrite(nfd(answer), REWRITE, (), {}).score == found.score


PRODUCE = made(
    "할망이 지실을 하영 먹었수다", source="할머니가 감자를 많이 먹었습니다", markers=["할망", "지실", "하영", "수다"],
    key_terms=[["지실", "감자"], ["먹"]],
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "score", "markers", "kept"),
    [
        ("할망이 지실을 하영 먹었수다", 1.0, 1.0, 1.0),
        ("할망이 감자를 먹었주", 1.0, 0.25, 1.0),
        ("할머니가 감자를 많이 먹었습니다", 0.0, 0.0, 1.0),
        ("할머니가 감자를 많이 먹었습니다.", 0.0, 0.0, 1.0),
        ("할망이 하영 갔수다", 0.0, 0.75, 0.0),
        ("감자를 먹었다", 0.0, 0.0, 1.0),
    ],
)
def test_dialect_production_is_told_in_four_numbers(answer: str, score: float, markers: float, kept: float) -> None:
    """1 with a marker, the meaning kept and no copy; chrF to the references and to the source stand beside."""
    found = dialect.grade_production(answer, PRODUCE, (), {})
    assert (found.score, found.aux["markers"], found.aux["kept"]) == (score, markers, kept)
    assert found.aux["chrf"] == chrf.chrf(answer, PRODUCE.targets)
    assert found.aux["copy_chrf"] == chrf.chrf(answer, [PRODUCE.fields["source"]])
    assert found.aux["copied"] is (text.letters(answer) == text.letters(PRODUCE.fields["source"]))


def test_a_pack_of_dialect_production_is_checked_asked_and_graded(tmp_path: Path) -> None:
    """No pack of ours asks for it yet, a user's may: its gold passes `check`, the row carries score, metric and the four
    numbers, and the baseline that copies gets nothing."""
    told = {"params": PRODUCE.params, "fields": PRODUCE.fields}
    items = [kit.item(f"q{n}", options=(), type="produce", targets=list(PRODUCE.targets), **told) for n in range(4)]
    prompt = {"system": "제주말로 옮기십시오.", "user": "{{source}}"}
    pack = kit.write_pack(tmp_path / "tasks" / "p", items, prompt=prompt, scorer={"name": "dialect"}, chance=0, prompts={}, scorers={})  # fmt: skip
    assert [problem for problem in check_pack(packs.load(pack)) if ": gold: " in problem] == []
    rows = {"sim-a": {}, "baseline-copy": {"endpoint": "floor", "name": "copy", "region": "reference"}}
    with FakeServer(text=PRODUCE.targets[0]) as server:
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, rows, {"floor": {"api": "baseline"}})
        folder = kit.run_here(tmp_path).folder
    made, copied = (kit.rows_of(folder, model)[0] for model in rows)
    assert (made["score"], made["metric_id"].split("@")[0]) == (1.0, "dialect-production")
    assert {"chrf", "copy_chrf", "markers", "kept", "copied"} == set(json.loads(made["aux_json"]))
    assert (copied["score"], json.loads(copied["aux_json"])["copied"]) == (0.0, True)


def test_a_copy_is_no_production_even_where_the_source_holds_a_marker() -> None:
    """The sentence as it was given, or with another full stop, scores 0 and is marked as copied."""
    item = made("할망이 지실을 먹었수다", source="할망이 감자를 먹었습니다", markers=["할망"], key_terms=[["먹"]])
    for answer in ("할망이 감자를 먹었습니다", "할망이 감자를 먹었습니다!"):
        found = dialect.grade_production(answer, item, (), {})
        assert (found.score, found.aux["copied"]) == (0.0, True)


@pytest.mark.parametrize(
    ("raw", "share"),
    [("안녕", 1.0), ("hello", 0.0), ("안녕 hi", 0.5), ("ㅋㅋ ㅎㅎ", 1.0), ("123 !?", None), ("", None), ("```print(x)```안녕", 1.0), ("漢字 한자", 0.5)],
)  # fmt: skip
def test_the_share_of_hangul(raw: str, share: float | None) -> None:
    """Hangul over all letters outside code, in NFC or NFD; unknown where there is no letter, never 0."""
    assert text.hangul_share(raw) == text.hangul_share(nfd(raw)) == share


def longest_common_run(a: str, b: str) -> int:
    """By the book: the table of common suffixes."""
    best, row = 0, [0] * (len(b) + 1)
    for x in a:
        row = [0, *(row[j] + 1 if x == y else 0 for j, y in enumerate(b))]
        best = max(best, *row)
    return best


@settings(max_examples=150, deadline=None)
@given(HANGUL, HANGUL)
def test_copying_is_measured_by_the_book(a: str, b: str) -> None:
    """The longest run and the share of 8-grams that stand in the source, against plain countings of both."""
    x, y = text.letters(a), text.letters(b)
    assert overlap.copied_run(a, b) == (longest_common_run(x, y) / len(x) if x else None)
    grams = [x[i : i + 8] for i in range(len(x) - 7)]
    assert overlap.copied_grams(a, b) == (sum(gram in y for gram in grams) / len(grams) if grams else None)
    assert overlap.copied_run(a, a + b) == (1.0 if x else None)


# --- summary -----------------------------------------------------------------------------------------

SUMMARY = made(
    "시의회가 412억 원의 이전 계획안을 부결했다.", facts=[["412억"], ["부결"], ["9월", "구월"], ["반대 12표", "반대 12"]],
    traps=[["374억"], ["가결"]], limit=60,
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("412억 원 계획안이 반대 12표로 부결됐고 구월에 다시 낸다.", 1.0),
        ("4 1 2억 원이 부 결됐다.", 0.5),
        ("부결됐다.", 0.25),
        ("부결, 부결, 부결됐다.", 0.25),
        ("374억 원 계획안이 부결됐다.", 0.0),
        ("412억 원 계획안이 반대 12표로 부결됐다. 374억 원이 줄었다.", 0.5),
        ("374억 원이 가결됐다.", 0.0),
        ("모르겠다.", 0.0),
    ],
)
def test_a_summary_earns_its_facts_less_its_traps(answer: str, score: float) -> None:
    """(facts - traps) / facts and never below 0; a fact counts once, in any of its wordings, spaces ignored."""
    found = summary.grade(answer, SUMMARY, (), {})
    assert found.score == score
    assert summary.grade(nfd(answer), SUMMARY, (), {}).score == score


@pytest.mark.parametrize("answer", ["1,412억 원이다.", "2412억 원이다.", "3.412억 원이다."])
def test_a_number_inside_another_number_is_not_stated(answer: str) -> None:
    """1,412억 is not 412억: a wrong number never earns a fact, in summaries as in translations."""
    assert summary.grade(answer, SUMMARY, (), {}).score == 0
    assert facts.share_found(answer, [["412억"]]) == 0


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("２８人です", "28人"), ("28人です", "２８人"), ("４０％だ", "40%"), ("４０％다", "40퍼센트"), ("３，２００円", "3200円"),
        ("６００ｇ", "600g"), ("ＡＢＣ", "abc"), ("１１：４０に", "11:40"), ("今天，３人", "3人"), ("세 ｋｍ 더", "3km"),
    ],
)  # fmt: skip
def test_full_width_forms_are_plain_ones(said: str, wanted: str) -> None:
    """Japanese and Chinese write ２８％ or 28%: a right translation counts in either, in key terms, facts and gates."""
    assert facts.found(said, [[wanted]]) == [True]
    assert chrf.CHRF.grade(said, made(said, key_terms=[[wanted]]), (), {}).aux["key_terms"] == 1
    assert summary.grade(said, made(said, facts=[[wanted]], traps=[], limit=60), (), {}).score == 1
    assert dialect.grade_rewrite(said, made(said, source="", must=[[wanted]]), (), {}).score == 1


def test_a_word_that_must_go_is_found_in_full_width_too() -> None:
    """A gate looks for what must not be left as it looks for what must be there."""
    assert dialect.grade_rewrite("２８％だ", made("２８％だ", source="", must_not=["28%"]), (), {}).score == 0


@pytest.mark.parametrize("said", ["１２８人です", "２８０人です", "３．２８人", "２８．５人"])
def test_a_full_width_number_inside_another_is_not_found(said: str) -> None:
    """１２８ is not 28, in either width."""
    assert facts.found(said, [["28"], ["28人です"]]) == [False, False]


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.sampled_from("가명세三人 0128,.%원만gkK"), max_size=12),
    st.text(st.sampled_from("가명세三人 0128,.%원만gkK"), max_size=4),
)
def test_width_never_decides_whether_a_fact_is_found(said: str, wanted: str) -> None:
    """Each side may be written in plain or in full-width forms."""
    wide = {code: chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
    plain = facts.found(said, [[wanted]])
    assert facts.found(said.translate(wide), [[wanted]]) == plain
    assert facts.found(said, [[wanted.translate(wide)]]) == plain


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_what_stands_past_the_limit_is_not_read(more: str) -> None:
    """Writing on neither helps nor harms, so that length buys nothing; that it was too long stands beside."""
    start = "부결됐다. " + "그" * 54
    found = summary.grade(start + "412억" + more, SUMMARY, (), {})
    assert found.score == 0.25
    assert found.aux["over_limit"] is True
    assert summary.grade(start[:60], SUMMARY, (), {}).aux["over_limit"] is False


# (text, reference, ROUGE-1, ROUGE-2, ROUGE-L), counted by hand
ROUGE = [
    ("가나다라", "가나다라", 1.0, 1.0, 1.0),
    ("가나다라", "가나라다", 1.0, 1 / 3, 3 / 4),  # 가나 of 가나 나다 다라; 가나다 or 가나라 in common
    ("가가가", "가", 2 / 4, 0.0, 2 / 4),  # a character counts as often as the reference has it
    ("가나", "다라", 0.0, 0.0, 0.0),
    ("가 나, 다!", "가나다", 1.0, 1.0, 1.0),  # spaces and punctuation do not count
    ("ABC 가", "abc가", 1.0, 1.0, 1.0),
    ("가나다", "", 0.0, 0.0, 0.0),
    ("ㅋㅋ 12", "ㅋㅋ12", 1.0, 1.0, 1.0),
]


@pytest.mark.parametrize(("answer", "reference", "one", "two", "longest"), ROUGE)
def test_character_rouge_counts_hangul(answer: str, reference: str, one: float, two: float, longest: float) -> None:
    """F1 over characters, as counted by hand; Hangul is what is counted, not what is dropped."""
    ways: list[tuple[Callable[[str], str], Callable[[str], str]]] = [(str, str), (nfd, str), (str, nfd)]
    for left, right in ways:
        a, b = left(answer), right(reference)
        found = [overlap.rouge_n(a, b, 1), overlap.rouge_n(a, b, 2), overlap.rouge_l(a, b)]
        assert found == pytest.approx([one, two, longest])


def lcs(a: str, b: str) -> int:
    """By the book: the table of longest common subsequences."""
    row = [0] * (len(b) + 1)
    for x in a:
        new = [0]
        for j, y in enumerate(b):
            new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
        row = new
    return row[-1]


@settings(max_examples=150, deadline=None)
@given(HANGUL, HANGUL, st.sampled_from([1, 2]))
def test_rouge_is_reproduced_by_a_plain_counting(a: str, b: str, n: int) -> None:
    """ROUGE-n and -L as precision and recall by their definitions, to the digit that floats carry."""
    x, y = text.letters(a), text.letters(b)
    left, right = [x[i : i + n] for i in range(len(x) - n + 1)], [y[i : i + n] for i in range(len(y) - n + 1)]
    common = sum(min(left.count(gram), right.count(gram)) for gram in set(left))
    for got, hits, p, r in (
        (overlap.rouge_n(a, b, n), common, len(left), len(right)),
        (overlap.rouge_l(a, b), lcs(x, y), len(x), len(y)),
    ):
        precision, recall = hits / p if p else 0.0, hits / r if r else 0.0
        expected = 2 * precision * recall / (precision + recall) if hits else 0.0
        assert got == pytest.approx(expected, abs=1e-12)


# (text, reference, ROUGE-1, ROUGE-2, ROUGE-L): F1 of rouge-score 0.1.2, whose tokenizer was replaced by one that gives the
# letters and digits of the NFC text in lower case, one token each (its own drops all Hangul)
ROUGE_SCORE = [
    ("바람이 많이 분다.", "바람이 세게 불어요.", 0.39999999999999997, 0.30769230769230765, 0.39999999999999997),
    ("시의회가 412억 원의 이전 계획안을 부결했다.", "412억 원짜리 시청 이전 계획안이 시의회에서 부결됐다.", 0.7272727272727272, 0.5238095238095238, 0.5909090909090908),
    ("할머니가 감자를 많이 잡수셨어요", "할망이 지실을 하영 먹었수다", 0.23076923076923075, 0.0, 0.23076923076923075),
    ("ㅋㅋㅋㅋ 진짜 웃기다 ㅋㅋ", "진짜 웃기다 ㅋㅋㅋ", 0.8421052631578948, 0.8235294117647058, 0.7368421052631579),
    ("The GPU costs 3만 원", "그래픽 카드(GPU)는 3만 원이다", 0.42857142857142855, 0.3076923076923077, 0.42857142857142855),
    ("가나다라마바사아자차카타파하", "하파타카차자아사바마라다나가", 1.0, 0.0, 0.07142857142857142),
    ("제주도는 바람이 많고 돌이 많고 여자가 많다", "바람 많고 돌 많고 여자 많은 제주도", 0.8125000000000001, 0.5333333333333333, 0.6250000000000001),
    ("전혀 다른 문장이다", "完全 unrelated text 123", 0.0, 0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference", "one", "two", "longest"), ROUGE_SCORE)
def test_rouge_is_that_of_rouge_score(answer: str, reference: str, one: float, two: float, longest: float) -> None:
    """The reference implementation's numbers, to the last digit but the rounding of its two divisions."""
    found = [overlap.rouge_n(answer, reference, 1), overlap.rouge_n(answer, reference, 2), overlap.rouge_l(answer, reference)]  # fmt: skip
    assert found == pytest.approx([one, two, longest], abs=2e-16, rel=0)


@settings(max_examples=200, deadline=None)
@given(HANGUL, HANGUL)
def test_rouge_is_that_of_sacrebleus_counts_and_of_rapidfuzz(a: str, b: str) -> None:
    """ROUGE-1 is sacrebleu's chrF of order 1 with β 1, ROUGE-n the F1 of the counts that its chrF is made of, ROUGE-L the
    insert-delete similarity (2 LCS / both lengths): equal, without a tolerance where the divisions are the same."""
    x, y = text.letters(a), text.letters(b)
    for n in (1, 2):
        mine, theirs, hits = CHRF._get_match_statistics(extract_all_char_ngrams(x, n)[-1], extract_all_char_ngrams(y, n)[-1])  # fmt: skip
        expected = 2 * hits / (mine + theirs) if hits else 0.0
        assert overlap.rouge_n(a, b, n) == expected
    if x and y:
        f1 = CHRF(char_order=1, word_order=0, beta=1).sentence_score(x, [y]).score / 100
        assert overlap.rouge_n(a, b, 1) == pytest.approx(f1, abs=1e-12)
        assert overlap.rouge_l(a, b) == pytest.approx(Indel.normalized_similarity(x, y), abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(HANGUL, HANGUL)
def test_rouge_is_a_share_and_has_no_sides(a: str, b: str) -> None:
    """F1 lies in 0…1, is the same from both sides, and is 1 for a text with itself where it has a letter."""
    for measure in (lambda x, y: overlap.rouge_n(x, y, 1), lambda x, y: overlap.rouge_n(x, y, 2), overlap.rouge_l):
        assert 0 <= measure(a, b) == measure(b, a) <= 1
    if text.letters(a):
        assert overlap.rouge_l(a, a) == overlap.rouge_n(a, a, 1) == 1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.sampled_from(sorted(scorers.names())))
def test_no_answer_breaks_a_scorer(answer: str, name: str) -> None:
    """Whatever a model says, lone surrogates included, the grade is one: a share, and a status from the closed list."""
    closed = name == "choice"
    item = made("1", options=("배", "감", "밤")) if closed else SUMMARY if name == "summary" else REWRITE
    found = scorers.scorer(name).grade(answer + "\ud800", item, (2, 1, 3) if closed else (), {})
    assert 0 <= found.score <= 1
    assert found.parse_status in ("ok", "multi", "none", "refuse")


def test_a_fact_in_words_is_the_fact_in_digits() -> None:
    """세 명 and 3명 are one fact; 3명 in 13명 is none, nor is 4 in 4.5."""
    assert facts.found("모두 세 명이 왔다. 값은 3만 5천 원이다.", [["3명"], ["35,000원"], ["네 명"]]) == [
        True,
        True,
        False,
    ]
    assert facts.found("13명이 4.5kg을 들었다.", [["3명"], ["4"]]) == [False, False]


def test_the_table_says_of_each_scorer_what_it_says_of_itself() -> None:
    """Name and kind of items stand in the table, so that a pack is checked without loading its scorers."""
    for name in scorers.OURS:
        assert (scorers.scorer(name).name, scorers.scorer(name).items) == (name, scorers.items_of(name))


def test_every_scorer_is_told_in_the_docs() -> None:
    """docs/metrics.md names each registered scorer and the name that its metric id begins with."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in scorers.names():
        metric = scorers.scorer(name)
        assert f"`{name}`" in page, name
        assert metric.metric_id({}).split("@")[0] + "@" in page, name


@pytest.mark.parametrize(
    ("target", "answer", "score"),
    [("당께", "-당께", 1), ("당께", "~당께.", 1), ("능교", "정답: ‘–능교’", 1), ("5", "-5", 0), ("ㅇㅈ", "-ㅇㅈ", 1), ("당께", "−당께", 1), ("당께", "〜당께", 1), ("당께", "비-당께", 0)],
)  # fmt: skip
def test_an_ending_may_be_written_with_its_dash(target: str, answer: str, score: int) -> None:
    """Endings are cited with a dash before them, which is no part of the answer; before a digit it is a minus."""
    assert exact.grade(answer, made(target), (), {}).score == score
