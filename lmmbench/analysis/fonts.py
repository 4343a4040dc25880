"""Hangul in plots: drawn right, or a clear warning and Latin letters instead; never boxes.

matplotlib's own font has no Hangul, and draws a box for each syllable. matplotlib is imported when it is needed.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

PREFERRED = ("NanumGothic", "Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo")
"""Looked at first, for their looks; what a font can draw is read from the font itself."""
SAMPLE = "가각똠뷁힣ㄱㅎㅏ"
"""Both ends of the block, syllables that small fonts leave out, and single letters as slang has them."""
MISSING = (
    "no installed font has Hangul, so plots are labelled in English and Latin letters; install one (Debian, Ubuntu: "
    "fonts-nanum; Fedora: google-noto-sans-cjk-fonts; elsewhere: Noto Sans CJK KR) and restart Python"
)


def use_hangul() -> str | None:
    """Let matplotlib draw Hangul. Returns the font's family; None, with one warning that names the package to install,
    where no installed font has Hangul: then draw `romanised` names.

    The family is added behind those that are set, since each character is drawn with the first family that has it, and
    many Korean fonts lack U+2212, the minus sign of axes.
    """
    import matplotlib as mpl

    family = next((entry.name for entry in _entries() if _draws(entry, SAMPLE)), None)
    if family is None:
        warnings.warn(MISSING, stacklevel=2)
    elif family not in mpl.rcParams["font.family"]:
        mpl.rcParams["font.family"] = [*mpl.rcParams["font.family"], family]
    return family


def romanised(text: str) -> str:
    """Hangul letter by letter as the names of Unicode write it (방언 becomes bangeon); the rest as it stands."""
    return "".join(_latin(c) for c in unicodedata.normalize("NFC", text))


def _latin(character: str) -> str:
    kind, _, letters = unicodedata.name(character, "").rpartition(" ")
    return letters.lower() if kind in ("HANGUL SYLLABLE", "HANGUL LETTER") else character


def _entries() -> Iterator[FontEntry]:
    """matplotlib's list of fonts, then those that were installed since it made the list (which it keeps on the disk)."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    listed = list(manager.ttflist)
    yield from sorted(listed, key=_rank)
    for path in sorted(set(font_manager.findSystemFonts()) - {entry.fname for entry in listed}):
        before = len(manager.ttflist)
        try:
            manager.addfont(path)
        except (OSError, RuntimeError, ValueError):  # no font that FreeType can read
            continue
        yield from manager.ttflist[before:]


def _rank(entry: FontEntry) -> tuple[int, bool, bool]:
    place = PREFERRED.index(entry.name) if entry.name in PREFERRED else len(PREFERRED)
    return place, "Sans" not in entry.name, entry.style != "normal"


def _draws(entry: FontEntry, text: str) -> bool:
    """Whether the font has a glyph of its own for each character: a font of placeholders has one for all."""
    from matplotlib.font_manager import FontPath, get_font

    try:
        font = get_font(FontPath(entry.fname, entry.index))
    except (OSError, RuntimeError):  # listed and gone since, or no font that FreeType can read
        return False
    glyphs = {font.get_char_index(ord(c)) for c in text}
    return 0 not in glyphs and len(glyphs) == len(text)
