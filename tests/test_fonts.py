"""Hangul in plots, with fonts that are made here: drawn right, or warned of and romanised; never boxes."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmbench.analysis import fonts

MISSING = [name for name in ("matplotlib", "fontTools") if find_spec(name) is None]
needs_matplotlib = pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true",
    reason=f"{' and '.join(MISSING)} not installed; run: pip install -c constraints.txt -e '.[dev]'",
)
OWN = {c: f"glyph{n}" for n, c in enumerate(fonts.SAMPLE)}
"""A glyph for each character, each of another width."""


def make_font(path: Path, family: str, glyphs: Mapping[str, str]) -> Path:
    """A font with these characters, each glyph a bar whose width follows from its number."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    names = [".notdef", *dict.fromkeys(glyphs.values())]
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({ord(c): name for c, name in glyphs.items()})
    outlines = {}
    for n, name in enumerate(names):
        pen = TTGlyphPen(None)
        right = 100 + 90 * n
        for place, point in enumerate([(50, 0), (50, 800), (right, 800), (right, 0)]):
            pen.lineTo(point) if place else pen.moveTo(point)
        pen.closePath()
        outlines[name] = pen.glyph()
    made.setupGlyf(outlines)
    made.setupHorizontalMetrics(dict.fromkeys(names, (1000, 50)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": family, "styleName": "Regular"})
    made.setupOS2(usWeightClass=400)
    made.setupPost()
    made.save(path)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A machine with matplotlib's own fonts only; call it with a family and its glyphs to install a font."""
    import matplotlib as mpl
    from matplotlib import font_manager

    manager: Any = font_manager.fontManager
    own = [e for e in manager.ttflist if Path(e.fname).is_relative_to(mpl.get_data_path())]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)

    def install(family: str, glyphs: Mapping[str, str], listed: bool = True) -> None:
        path = str(make_font(tmp_path / f"{family}.ttf", family, glyphs))
        if listed:
            manager.addfont(path)
        else:
            monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path])

    with mpl.rc_context():
        yield install
    manager._findfont_cached.cache_clear()


def picture(text: str) -> bytes:
    """The text as matplotlib draws it, in a PNG; a warning, such as that of a missing glyph, is an error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 1))
    figure.text(0.1, 0.4, text, fontsize=20)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


@needs_matplotlib
def test_hangul_is_drawn_with_a_font_that_has_it(installed: Any) -> None:
    """Once a font is found, each syllable has a picture of its own, no glyph is missing, and Latin letters and the minus
    sign, which the font lacks, are drawn as before."""
    before = picture("sim-a \u2212 1")
    with pytest.raises(UserWarning, match=r"Glyph 44032 .* missing"):
        picture("가")
    installed("Made Gothic", OWN)
    assert fonts.use_hangul() == "Made Gothic"
    assert len({picture(c) for c in fonts.SAMPLE}) == len(fonts.SAMPLE)
    assert picture("sim-a \u2212 1") == before


@needs_matplotlib
def test_without_a_font_there_is_one_warning_and_latin_letters(installed: Any) -> None:
    """The warning says what to install; nothing is set; and romanised names draw without a box."""
    import matplotlib as mpl

    families = list(mpl.rcParams["font.family"])
    with pytest.warns(UserWarning, match=r"no installed font has Hangul.*fonts-nanum.*restart") as said:
        assert fonts.use_hangul() is None
    assert len(said) == 1
    assert mpl.rcParams["font.family"] == families
    assert picture(fonts.romanised("제주 방언")) == picture("jeju bangeon")


@needs_matplotlib
@pytest.mark.parametrize(
    "glyphs",
    [
        {"A": "a", "B": "b"},
        dict.fromkeys(fonts.SAMPLE, "box"),
        {c: name for c, name in OWN.items() if c != "뷁"},
    ],
    ids=["no Hangul", "placeholders", "not all of it"],
)
def test_a_font_is_judged_by_its_glyphs_and_not_by_its_name(installed: Any, glyphs: dict[str, str]) -> None:
    """A font called NanumGothic without Hangul, with one box for all of it, or with a part of it, is passed over."""
    installed("NanumGothic", glyphs)
    with pytest.warns(UserWarning, match="no installed font"):
        assert fonts.use_hangul() is None
    installed("Made Gothic", OWN)
    assert fonts.use_hangul() == "Made Gothic"


@needs_matplotlib
def test_a_font_is_found_that_was_installed_after_matplotlib_listed_them(installed: Any) -> None:
    """matplotlib keeps its list on the disk: whoever heeds the warning must not be warned again."""
    installed("Made Gothic", OWN, listed=False)
    assert fonts.use_hangul() == "Made Gothic"
    assert picture("가") != picture("힣")


@needs_matplotlib
def test_asking_twice_sets_it_once(installed: Any) -> None:
    """The cell of a notebook may be run again."""
    import matplotlib as mpl

    installed("NanumGothic", OWN)
    assert fonts.use_hangul() == fonts.use_hangul() == "NanumGothic"
    assert mpl.rcParams["font.family"].count("NanumGothic") == 1


@needs_matplotlib
def test_this_machine_draws_hangul_or_warns() -> None:
    """With the fonts that are really installed here, whatever they are, a box is never drawn."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        family = fonts.use_hangul()
        assert (family is None) == bool(said)
        for text in ("방언", "뷁", "ㅋㅋ", "강점 +7.1 \u2212 과제"):
            picture(text if family else fonts.romanised(text))


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("방언", "bangeon"),
        ("korean-dialect/제주", "korean-dialect/jeju"),
        ("ㅋㅋ 헐", "khieukhkhieukh heol"),
        ("A漢−", "A漢−"),
    ],
)
def test_names_are_romanised_letter_by_letter(text: str, latin: str) -> None:
    """Only Hangul changes."""
    assert fonts.romanised(text) == latin


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)))
def test_romanised_hangul_is_plain_ascii(text: str) -> None:
    """Every syllable has Latin letters, however it is composed."""
    assert fonts.romanised(text).isascii()
