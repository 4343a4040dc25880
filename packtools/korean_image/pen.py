"""Drawing text and tables with Pillow, so that the same fonts give the same pixels.

Sizes and places are pixels; a face is a name of `fonts.FACES`. Text is laid out by Pillow's basic engine, because the
other one depends on libraries of the machine.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

INK = "#1c1c1e"
GREY = "#6b6b70"
COLOURS = 64
"""A picture's palette. Text keeps its smooth edges, and a file its 10 to 30 KB."""

FontOf = Callable[[str, int], ImageFont.FreeTypeFont]
Places = Sequence[tuple[float, str]]


@dataclass(slots=True)
class Pen:
    """A canvas. `drawn` remembers every text with its face, so that its glyphs can be looked at afterwards."""

    image: Image.Image
    font: FontOf
    drawn: list[tuple[str, str]] = field(default_factory=list)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size

    def text(
        self, x: float, y: float, text: str, size: int = 24, face: str = "gothic", fill: str = INK, anchor: str = "la"
    ) -> None:
        """One line; `anchor` as in Pillow: `la` left and top, `ra` right, `ma` middle, `mm` the centre."""
        self.drawn.append((face, text))
        self.draw.text((x, y), text, font=self.font(face, size), fill=fill, anchor=anchor)

    def width(self, text: str, size: int = 24, face: str = "gothic") -> float:
        return self.font(face, size).getlength(text)

    def row(self, y: float, cells: Places, size: int = 24, face: str = "gothic", fill: str = INK) -> None:
        """Texts at their places on one line."""
        for x, text in cells:
            self.text(x, y, text, size, face, fill)

    def line(self, x0: float, y0: float, x1: float, y1: float, fill: str = INK, width: int = 2) -> None:
        self.draw.line((x0, y0, x1, y1), fill=fill, width=width)

    def dashes(self, x0: float, x1: float, y: float, fill: str = GREY) -> None:
        for x in range(int(x0), int(x1), 12):
            self.draw.line((x, y, min(x + 6, x1), y), fill=fill, width=2)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, fill: str | None = None, edge: str | None = None,
        radius: int = 0, width: int = 2,
    ) -> None:  # fmt: skip
        self.draw.rounded_rectangle((x0, y0, x1, y1), radius=radius, fill=fill, outline=edge, width=width)

    def column(self, x: float, y: float, text: str, size: int, face: str = "bold", fill: str = INK) -> None:
        """One column of vertical writing (세로쓰기), centred on `x`."""
        for n, letter in enumerate(text):
            self.text(x, y + n * size * 1.15, letter, size, face, fill, "ma")

    def grid(self, xs: Sequence[float], ys: Sequence[float], fill: str = INK, width: int = 2) -> None:
        for x in xs:
            self.line(x, ys[0], x, ys[-1], fill, width)
        for y in ys:
            self.line(xs[0], y, xs[-1], y, fill, width)

    def table(
        self, xs: Sequence[float], ys: Sequence[float], rows: Sequence[Sequence[str]], size: int = 22,
        face: str = "gothic", head: str = "#e8edf3", edge: str = INK,
    ) -> None:  # fmt: skip
        """A ruled table with its texts in the middle of the cells; the first row stands out."""
        self.box(xs[0], ys[0], xs[-1], ys[1], head)
        for n, row in enumerate(rows):
            for m, cell in enumerate(row):
                middle = (xs[m] + xs[m + 1]) / 2, (ys[n] + ys[n + 1]) / 2
                bold = {"gothic": "bold", "barun": "barun-bold"}.get(face, face)
                self.text(*middle, cell, size, face if n else bold, anchor="mm")
        self.grid(xs, ys, edge)


def tilt(pen: Pen, degrees: float, around: str) -> None:
    """Turn the whole picture a little, as a paper that lies askew; `around` fills the corners."""
    pen.image = pen.image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=around)


def canvas(size: tuple[int, int], paper: str, font: FontOf) -> Pen:
    return Pen(Image.new("RGB", size, paper), font)


def png(image: Image.Image) -> bytes:
    """The picture as an indexed PNG without metadata."""
    out = io.BytesIO()
    indexed = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    indexed.save(out, "PNG", optimize=True)
    return out.getvalue()
