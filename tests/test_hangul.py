"""Arithmetic on Hangul blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lmmbench import hangul

SYLLABLES = st.integers(0xAC00, 0xD7A3).map(chr)
TURNING = st.tuples(st.sampled_from("ㄱㄴㄹㅁㅇㅍ"), st.sampled_from("ㅗㅛㅜㅠㅡ"), st.sampled_from("ㄱㄴㄹㅁㅇㅍ"))


def block(jamo: tuple[str, str, str]) -> str:
    initial, vowel, final = jamo
    places = hangul.INITIALS.index(initial), hangul.VOWELS.index(vowel), hangul.FINALS.index(final)
    return chr(0xAC00 + (places[0] * 21 + places[1]) * 28 + places[2])


def test_initials_follow_the_arithmetic_of_unicode() -> None:
    """초성 of each syllable; whatever is no syllable stands for itself."""
    assert hangul.initials("꿈틀 인정A") == "ㄲㅌㅇㅈA"
    assert hangul.initials("가힣") == "ㄱㅎ"


@given(SYLLABLES)
def test_a_syllable_is_its_parts(syllable: str) -> None:
    """Taking a block apart loses nothing."""
    assert block(hangul.parts(syllable)) == syllable


@given(st.lists(TURNING, max_size=4))
def test_turning_twice_is_not_turning(jamo: list[tuple[str, str, str]]) -> None:
    """A text that can be turned by 180 degrees comes back when it is turned again."""
    word = "".join(map(block, jamo))
    assert hangul.rotated(hangul.rotated(word) or "") == word


def test_known_rotations() -> None:
    """Rotations that are in use; what has an upright vowel or no final is no text when it is turned."""
    assert [hangul.rotated(w) for w in ("눈물", "논문", "육군", "폭풍눈물")] == ["롬곡", "곰국", "곤뇽", "롬곡옾눞"]
    assert [hangul.rotated(w) for w in ("달", "무", "A")] == [None, None, None]


def test_a_table_is_applied_once_or_throughout() -> None:
    """Each pair of a table may or may not be used, and a word that nothing changes gives nothing."""
    assert hangul.substituted("대전 대", [["대", "머"]]) == {"머전대", "머전머"}
    assert hangul.substituted("비빔면", [["비", "네"], ["면", "띤"]]) == {"네빔면", "비빔띤", "네빔띤"}
    assert hangul.substituted("사과", [["대", "머"]]) == set()


def test_jamo_tell_their_places_apart() -> None:
    """ㄱ at the beginning of a block is not ㄱ at its end."""
    assert hangul.jamo("각") == {"0ㄱ", "1ㅏ", "2ㄱ"}
    assert hangul.jamo("가") < hangul.jamo("각")
