"""The reading of closed answers: cases that were written out by hand, and laws that hold for any text."""

from __future__ import annotations

import itertools
import json
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench.scorers import extract
from lmmbench.scorers.extract import Extraction, extract_choice
from lmmbench.scorers.extract.rules import RULES

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "answer_formats.jsonl").read_text(encoding="utf-8").splitlines()
]
OPTIONS = ("부추", "상추", "시금치", "미나리", "고사리", "도라지")
LABELS = (
    "ABCDEF", "abcdef", "123456", "①②③④⑤⑥", "⑴⑵⑶⑷⑸⑹", "❶❷❸❹❺❻", "ⒶⒷⒸⒹⒺⒻ", "ⓐⓑⓒⓓⓔⓕ", "ＡＢＣＤＥＦ",
    "１２３４５６", "가나다라마바", "㉮㉯㉰㉱㉲㉳", "㈎㈏㈐㈑㈒㈓", "ㄱㄴㄷㄹㅁㅂ", "㉠㉡㉢㉣㉤㉥", "㈀㈁㈂㈃㈄㈅",
)  # fmt: skip
WORDS = (
    ("첫째", "둘째", "셋째", "넷째", "다섯째", "여섯째"),
    ("첫 번째", "두 번째", "세 번째", "네 번째", "다섯 번째", "여섯 번째"),
    ("첫번째 보기", "두번째 보기", "세번째 보기", "네번째 보기", "다섯번째 보기", "여섯번째 보기"),
    ("1번", "2번", "3번", "4번", "5번", "6번"),
    ("보기 A", "보기 B", "보기 C", "보기 D", "보기 E", "보기 F"),
    ("Option 1", "Option 2", "Option 3", "Option 4", "Option 5", "Option 6"),
)
CARRIERS = (
    "{}", "({})", "[{}]", "**{}**", "`{}`", "“{}”", "{}.", "정답: {}", "정답：{}", "정답은 {}입니다.", "답: {}", "답은 {}",
    "최종 정답: {}", "【정답】 {}", "<정답>{}</정답>", "### 정답\n\n{}", "Answer: {}", "The answer is ({}).",
    "\\boxed{{\\text{{{}}}}}", '```json\n{{"answer": "{}"}}\n```', "{{'정답': '{}'}}", "<think>정답: A, B</think>{}",
    "제주에서 쓰는 채소 이름이다.\n{}", "정답: {}\n\n해설: 나머지는 다른 지역의 말이다.", "굳이 고르자면 {}", "| 정답 | {} |",
)  # fmt: skip
TEXT_CARRIERS = (
    "{}", "정답: {}", "정답은 {}입니다.", "‘{}’라는 뜻입니다.", "이 말은 {}의 방언이다.", "**{}**", "답은 아마 {}인 것 같아요.",
)  # fmt: skip
HOSTILE = (
    "A ", "정답", "정답 ", "정답은 A가 아니라 ", "<", "{", "{\"answer\":", "(", "| 정답 |\n|-|\n", "~~", "\\boxed{",
    "A는 ", "상추 ", "</think>", " ", "가", "아니, ", "① 부추 ② 상추 ③ 시금치 ④ 미나리 ",
    "A. ", "A\n", "A? ", "1 ",
)  # fmt: skip
forms = st.one_of(
    st.tuples(st.sampled_from(LABELS), st.integers(0, 5)).map(lambda pair: (pair[0][pair[1]], pair[1] + 1)),
    st.tuples(st.sampled_from(WORDS), st.integers(0, 5)).map(lambda pair: (pair[0][pair[1]], pair[1] + 1)),
)
pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from([case["raw"] for case in CASES]),
    st.sampled_from(
        ["정답", "은 ", ": ", "A", "나", "②", "상추", "가 아니라 ", "또는 ", "<think>", "</think>", "\n", "{", "번"]
    ),
)
answers = st.lists(pieces, max_size=8).map("".join)


def _outcome(found: Extraction) -> int | str:
    return found.choice if found.choice is not None else found.status


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    """Rule: the written-out answer is read as its author meant it: the option's number, or why there is none."""
    assert _outcome(extract_choice(case["raw"], case["options"])) == case["expected"]


@settings(deadline=None)
@given(form=forms, carrier=st.sampled_from(CARRIERS))
def test_every_label_form_in_every_carrier(form: tuple[str, int], carrier: str) -> None:
    """Rule: any label form of option i, in any common phrase for an answer, gives i."""
    label, number = form
    assert _outcome(extract_choice(carrier.format(label), OPTIONS)) == number


@settings(deadline=None)
@given(order=st.permutations(OPTIONS), at=st.integers(0, 5), carrier=st.sampled_from(TEXT_CARRIERS))
def test_permuted_options_permute_the_choice(order: list[str], at: int, carrier: str) -> None:
    """Rule: an option named by its text is found wherever it is shown."""
    assert _outcome(extract_choice(carrier.format(OPTIONS[at]), order)) == order.index(OPTIONS[at]) + 1


@settings(deadline=None)
@given(st.text(alphabet="는을를도의에고며지만 .,!?\n()[]{}|*#<>:·~하이되우리말음식먹채소였습니뜻", max_size=60))
def test_no_label_no_answer(text: str) -> None:
    """Rule: text without any label, digit, Latin letter or option text is never ok."""
    assert extract_choice(text, ("부추", "상추")).status != "ok"


@settings(deadline=None)
@given(answers)
def test_decomposed_text_reads_the_same(answer: str) -> None:
    """Rule: the answer in NFD gives what it gives in NFC."""
    options = ("부추", "상추", "시금치", "미나리")
    assert extract_choice(unicodedata.normalize("NFD", answer), options) == extract_choice(
        unicodedata.normalize("NFC", answer), options
    )


@settings(max_examples=300, deadline=None)
@given(answer=answers, options=st.lists(st.one_of(st.text(max_size=8), st.sampled_from(OPTIONS)), max_size=12))
def test_never_raises(answer: str, options: list[str]) -> None:
    """Rule: any text and any options give an Extraction; a choice stands with ok only and is one of the options."""
    found = extract_choice(answer, options)
    assert (found.choice is not None) == (found.status == "ok")
    assert found.choice is None or 1 <= found.choice <= len(options)
    assert (found.rule == "") == (found.status == "none")
    assert found.rule in {"", *(name for name, _ in RULES)}


@settings(deadline=None)
@given(
    answer=st.from_regex(extract._FAST, fullmatch=True),
    options=st.lists(
        st.one_of(st.text("가나정답은번AB12 최종:()입니다가", max_size=4), st.sampled_from(OPTIONS)), max_size=6
    ),
)
def test_fast_path_agrees_with_the_rules(answer: str, options: list[str]) -> None:
    """Rule: where the fast path speaks, the full rules say the same, to the name of the rule."""
    fast = extract._fast(answer, options)
    assert fast is None or fast == extract._decide(answer, options)


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_megabyte_returns(shape: str) -> None:
    """Rule: a megabyte of anything is read in linear time, and repetition alone is not an error."""
    found = extract_choice(shape * (1_000_000 // len(shape)), OPTIONS[:4])
    assert found.status in ("ok", "multi", "none", "refuse")


def _steps(answer: str) -> int:
    """Calls and returns, of Python and of C, while an answer is read."""
    taken = itertools.count()
    before = sys.getprofile()
    sys.setprofile(lambda *_: next(taken))
    try:
        extract._decide(answer, OPTIONS[:4])
    finally:
        sys.setprofile(before)
    return next(taken)


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_character_costs_a_few_steps_however_many_there_are(shape: str) -> None:
    """Rule: the steps of reading grow with the answer and no faster: at most 100 a character, whatever else is in it."""
    extract._decide("A", OPTIONS[:4])  # the rules are loaded with the first answer
    short, long = (_steps(shape * (size // len(shape))) / size for size in (4_000, 16_000))
    assert long < max(1.1 * short, 1)
    assert long < 100


def test_the_end_of_a_very_long_answer_counts() -> None:
    """Rule: of a very long answer the head and the tail are read; the answer usually stands in the tail."""
    assert _outcome(extract_choice("이 채소는 제주에서 부른다. " * 50_000 + "\n정답: C", OPTIONS)) == 3


@given(
    st.sampled_from(CASES),
    st.sampled_from("ABCDE"),
    st.sampled_from(
        [
            "\n정답: {}",
            " \n정답:{}.",
            ".\n\n**정답: {}**",
            "\n**정답:** {}",
            " 따라서 정답은 **{}. {t}**입니다.",
            "정답은 {}입니다.",
        ]
    ),
    st.one_of(st.just(""), st.sampled_from(CASES).map(lambda case: "\n\n" + case["raw"])),
)
@settings(max_examples=2500, deadline=None)
def test_fast_marker_agrees_with_the_rules(case: dict[str, Any], label: str, ending: str, after: str) -> None:
    """Rule: a line that ends in `정답: B` is read fast only where the full rules say the same, whatever stands before
    and after it."""
    number = ord(label) - ord("A")
    text = case["options"][number] if number < len(case["options"]) else ""
    answer = case["raw"] + ending.format(label, t=text) + after
    fast = extract._fast(answer, case["options"])
    assert fast is None or fast == extract._decide(answer, case["options"])


OPENINGS = (
    "보기를 하나씩 살펴보겠습니다. ", "주어진 낱말은 방언입니다.\n", "‘정구지’는 채소 이름입니다. ", "제시된 문장을 보면 ", "부추를 뜻하는 말은 ",
    "첫째 보기부터 보면 ", "아마도 채소의 이름일 것입니다. ", "보기 A를 보면 ", "", "**부추는** 다른 말입니다.\n",
)  # fmt: skip


@given(
    st.sampled_from(OPENINGS),
    st.one_of(
        st.sampled_from(CASES).map(lambda case: str(case["raw"])),
        st.lists(
            st.sampled_from(
                ["A는 ", "B가 ", "부추", "상추는 ", "맞습니다. ", "아닙니다. ", "적절합니다.\n", "1. ", "C. ", "나 ", "가깝고 ", "틀리고 ", "뜻이다.\n", "보면 ", "(A) ", "두 번째 ", "와 "]
            )
        ).map("".join),
    ),
    st.sampled_from(["따라서 {}입니다.", "그래서 저는 {}라고 생각합니다.", "그러므로, **{}**라고 판단합니다", "따라서 저는 {}라고 생각합니다.\n"]),
    st.sampled_from("ABCDE"),
    st.one_of(
        st.just(OPTIONS[:4]), st.lists(st.text("생각저는합니다따라서판단상추", min_size=1, max_size=4), min_size=2, max_size=5)
    ),
)  # fmt: skip
@settings(max_examples=2500, deadline=None)
def test_fast_statement_agrees_with_the_rules(
    opening: str, before: str, ending: str, label: str, options: Sequence[str]
) -> None:
    """Rule: a text that ends in `그래서 저는 B라고 생각합니다.` is read fast only where the full rules say the same."""
    answer = f"{opening}{before} {ending.format(label)}"
    fast = extract._fast(answer, options)
    assert fast is None or fast == extract._decide(answer, options)


@pytest.mark.parametrize(
    ("opening", "options"),
    [
        ("그냥 상추로 하겠습니다.", OPTIONS[:4]), ("둘째 보기입니다.", OPTIONS[:4]), ("푸른 상추.", ("푸른 상추", "부추", "미나리")),
        ("채소의 이름입니다.", ("B라고 생각합니다", "부추", "미나리")), ("보기의 답은 A입니다.", OPTIONS[:4]),
        ("채소의 이름입니다. 다시 보니 A입니다.", OPTIONS[:4]), ("채소의 이름 " + unicodedata.normalize("NFD", "답은 A입니다."), OPTIONS[:4]),
    ],
)  # fmt: skip
def test_what_outranks_a_statement_keeps_it_from_being_read_fast(opening: str, options: Sequence[str]) -> None:
    """Rule: an answer that opens with an option, or says one more firmly before its end, is for the full rules."""
    answer = f"{opening}\n잎을 먹는 채소라는 뜻으로 쓰입니다.\n그래서 저는 B라고 생각합니다."
    assert extract._fast(answer, options) is None
    assert extract_choice(answer, options) != Extraction("ok", 2, "statement")


def test_a_statement_at_the_end_is_read_fast() -> None:
    """Rule: of an answer in plain prose only the end is read, where nothing before it can outrank it."""
    said = "보기를 하나씩 검토해 보겠습니다.\n1. **부추**: 경상도의 말입니다.\n2. **상추**: 뜻이 같습니다.\n"
    assert extract._fast(said + "그래서 저는 B라고 생각합니다.", OPTIONS[:4]) == Extraction("ok", 2, "statement")
    assert extract._fast(said + "정답은 A가 아닙니다. 그래서 저는 B라고 생각합니다.", OPTIONS[:4]) is None


WRONG_ONE = "다음 중 뜻풀이로 옳지 않은 것은?"


@pytest.mark.parametrize(
    ("answer", "number"),
    [("옳지 않은 것은 C입니다.", 3), ("적절하지 않은 것은 ②번이다.", 2), ("D가 틀린 설명이다.", 4), ("정답: C", 3), ("A는 옳고, 틀린 것은 B이다.", 2)],
)  # fmt: skip
def test_what_is_wrong_is_the_answer_where_the_question_asks_for_it(answer: str, number: int) -> None:
    """Rule: `옳지 않은 것은 C` chooses C only where the question asks for the wrong one; without it nothing is guessed."""
    assert _outcome(extract_choice(answer, OPTIONS[:4], WRONG_ONE)) == number
    if answer.endswith(("C입니다.", "번이다.", "설명이다.")):
        assert extract_choice(answer, OPTIONS[:4]).status == "none"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("다 맞다", "none"), ("다 맞습니다.", "none"), ("정답: 다 맞음", "none"), ("다", 3), ("정답은 다입니다", 3), ("나 맞다", 2)],
)  # fmt: skip
def test_all_of_them_is_no_label(answer: str, outcome: int | str) -> None:
    """Rule: `다` before `맞다` says that all are right; by itself it is the third label."""
    assert _outcome(extract_choice(answer, OPTIONS[:4])) == outcome


@pytest.mark.parametrize("ending", ["겠지요", "겠제", "겄지", "겄제", "겄지라", "겄네요"])
def test_a_guess_in_a_southern_ending_is_an_answer(ending: str) -> None:
    """Rule: `-겄-` is the south-western form of `-겠-`, and closes an answer as that does."""
    assert _outcome(extract_choice(f"아무래도 상추{ending}", OPTIONS[:4])) == 2
