"""How many n-grams two sequences share, for all orders in one pass: the counts that chrF is made of.

Every window of `ORDER` tokens is two whole numbers of 63 bits, three tokens each. Once the windows of both sides are
sorted, those that begin with the same n-gram stand side by side, for every n at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

ORDER = 6
"""The longest n-gram. Two numbers of three tokens each hold no more."""
BITS = 21
"""Of a token: a code point, or a word's number, plus one, since 0 is no token."""


def codes(text: str) -> NDArray[np.uint32]:
    """The code points of a text, white space left out, shape (characters,)."""
    import numpy as np

    return np.frombuffer("".join(text.split()).encode("utf-32-le", "surrogatepass"), "<u4")


def shared(a: ArrayLike, b: ArrayLike) -> list[int]:
    """How many 1-grams, 2-grams … of `ORDER` stand in both of two sequences of tokens, which are whole numbers below
    2**21 - 1: each as often as on the side that has fewer of it."""
    import numpy as np

    a, b = np.asarray(a, np.int64) + 1, np.asarray(b, np.int64) + 1
    if not len(a) or not len(b):
        return [0] * ORDER
    gap = np.zeros(ORDER - 1, np.int64)
    tokens = np.concatenate((a, gap, b, gap))
    threes = tokens[:-2] << 2 * BITS | tokens[1:-1] << BITS | tokens[2:]
    first, second = threes[:-3], threes[3:]
    order = np.lexsort((second, first))
    begins = _begins(first[order], second[order])
    # a window near the end of its side holds no n-gram of more tokens than are left there
    left = np.zeros((2, 1, len(first)), np.int32)
    left[0, 0, : len(a)] = np.arange(len(a), 0, -1)
    left[1, 0, -len(b) :] = np.arange(len(b), 0, -1)
    whole = left[:, :, order] >= np.arange(1, ORDER + 1)[:, None]
    counts = np.add.reduceat(whole.reshape(2, -1), begins, axis=1, dtype=np.int32)
    orders = np.searchsorted(begins, np.arange(0, ORDER * len(first), len(first)))
    found: list[int] = np.add.reduceat(counts.min(axis=0), orders).tolist()
    return found


def _begins(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where another n-gram begins among sorted windows: for each order in turn, all orders in one row."""
    import numpy as np

    shifts = BITS * np.arange(2, -1, -1)[:, None]
    other, later = first[1:] ^ first[:-1], second[1:] ^ second[:-1]
    new = np.ones((ORDER, len(first)), bool)
    new[:3, 1:] = other >> shifts
    new[3:, 1:] = later >> shifts | other
    return np.flatnonzero(new)
