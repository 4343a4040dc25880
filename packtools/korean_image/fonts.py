"""The faces, where they come from, and whether a glyph has an outline.

The pictures are drawn with Nanum fonts (SIL Open Font License 1.1) as Debian's package fonts-nanum 20200506-1 has them.
Beside this file stand subsets with only the glyphs that are drawn, so that anyone can draw the same bytes again. A subset
is a modified version, and the licence reserves the name Nanum: the subsets bear another (`FAMILY`), and fonts/OFL.txt
is their licence.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ImageFont

from packtools.korean_image.pen import FontOf

SUBSETS = Path(__file__).parent / "fonts"
FAMILY = "Lmmbench Hangul Sample"


@dataclass(frozen=True, slots=True)
class Face:
    """The file of the whole font, as the package installs it, and the SHA-256 of its bytes."""

    file: str
    sha256: str


FACES = {
    "gothic": Face("NanumGothic.ttf", "48a28e97b34fc8e5b157657633670cd1b7de126cfc414da65ce9c3d5bc8be733"),
    "bold": Face("NanumGothicBold.ttf", "454eb3f503f377782a99eb84fc4bb7dde22a0f075d41b47427737f2985053bc9"),
    "serif": Face("NanumMyeongjoBold.ttf", "cb47c5d029dd5ee5b8f6fe142c468d670edbe4e9caaad33b91e6ac399e99194a"),
    "mono": Face("NanumGothicCoding.ttf", "787effd7efed2abca88ade231faa8191f4e9fcf85b1805a13ee1dc3724b72089"),
    "barun": Face("NanumBarunGothic.ttf", "9b872773134e2e4d8c0b17021266786576db06c843ede0d0b523b214a450756c"),
    "barun-bold": Face("NanumBarunGothicBold.ttf", "39bba4cd9bd2986143825c8654abbb62443914ab33b346c0c929a916f5d98bf2"),
}


def subset_files() -> dict[str, Path]:
    return {face: SUBSETS / f"{face}.ttf" for face in FACES}


def whole_files(folder: Path) -> dict[str, Path]:
    """The whole fonts in `folder`. Raises ValueError when one is not the file that the pictures are drawn with."""
    found = {name: folder / face.file for name, face in FACES.items()}
    for name, path in found.items():
        if hashlib.sha256(path.read_bytes()).hexdigest() != FACES[name].sha256:
            raise ValueError(f"{path} is not the file of fonts-nanum 20200506-1; take that package's")
    return found


def opener(files: dict[str, Path]) -> FontOf:
    """Fonts by face and size in pixels, each opened once."""
    opened: dict[tuple[str, int], ImageFont.FreeTypeFont] = {}

    def font(face: str, size: int) -> ImageFont.FreeTypeFont:
        if (face, size) not in opened:
            opened[face, size] = ImageFont.truetype(files[face], size, layout_engine=ImageFont.Layout.BASIC)
        return opened[face, size]

    return font


def characters(drawn: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """The characters that each face draws."""
    out: dict[str, set[str]] = defaultdict(set)
    for face, text in drawn:
        out[face] |= set(text)
    return out


def blank(path: Path, characters: Iterable[str]) -> set[str]:
    """Characters that the font does not draw: those without a glyph, and those whose glyph has no outline. A font's
    table of characters alone does not tell: some Korean fonts list syllables whose glyphs are empty."""
    from fontTools.ttLib import TTFont

    with TTFont(path) as font:
        names, glyphs = font.getBestCmap(), font["glyf"]
        return {
            c
            for c in characters
            if not c.isspace() and (ord(c) not in names or not glyphs[names[ord(c)]].numberOfContours)
        }


def write_subset(whole: Path, face: str, characters: Iterable[str]) -> None:
    """Write the face's subset, under another name than the reserved one. The same characters give the same bytes."""
    from fontTools import subset

    options = subset.Options(
        hinting=True, legacy_kern=True, layout_features=[], notdef_outline=True, recalc_timestamp=False,
        name_IDs=[0, 1, 2, 3, 4, 6, 13, 14], name_languages=[0x409], drop_tables=["DSIG", "GSUB", "GPOS", "GDEF", "FFTM", "TSI0", "TSI1", "TSI2", "TSI3", "TSI5"],
    )  # fmt: skip
    with subset.load_font(whole, options) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=sorted(map(ord, characters)))
        cutter.subset(font)
        _rename(font, face)
        SUBSETS.mkdir(exist_ok=True)
        font.save(SUBSETS / f"{face}.ttf")


def _rename(font: Any, face: str) -> None:
    """Name, style, unique id, full name and PostScript name; the copyright notice stays, and the licence is named."""
    style = face.title().replace("-", " ")
    full = f"{FAMILY} {style}"
    texts = {
        1: full, 2: "Regular", 3: full, 4: full, 6: full.replace(" ", ""),
        13: "This Font Software is licensed under the SIL Open Font License, Version 1.1.", 14: "https://openfontlicense.org",
    }  # fmt: skip
    for name_id, text in texts.items():
        font["name"].setName(text, name_id, 3, 1, 0x409)
