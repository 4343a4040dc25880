"""What a drawn question is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from packtools.korean_image.pen import Pen


@dataclass(frozen=True, slots=True)
class Scene:
    """One question with its picture.

    `at` is the place (1 to 4) of the answer among the options. `quote` holds the drawn texts that decide, `working`
    the arithmetic where there is any. `size` is in pixels.
    """

    id: str
    type: str
    question: str
    answer: str
    wrong: tuple[str, str, str]
    at: int
    claim: str
    quote: tuple[str, ...]
    size: tuple[int, int]
    paint: Callable[[Pen], None]
    working: str = ""
    paper: str = "#ffffff"

    @property
    def stratum(self) -> str:
        return self.id.split("-")[0]

    @property
    def options(self) -> tuple[str, ...]:
        before, after = self.wrong[: self.at - 1], self.wrong[self.at - 1 :]
        return (*before, self.answer, *after)
