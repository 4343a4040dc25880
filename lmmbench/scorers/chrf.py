"""chrF, chrF++ (Popović 2015, W15-3049; 2017, W17-4770) and BLEU (Papineni et al. 2002, P02-1040) by sacrebleu, each
with its signature; scores are sacrebleu's / 100. chrF is the metric for text into Korean, where spacing varies and word
n-grams mislead; chrF++ is for text into English.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from lmmbench.faults import UsageError
from lmmbench.scorers import Grade, GradeFunction, Scorer, grams
from lmmbench.scorers.facts import share_found
from lmmbench.scorers.text import clean, hangul_share
from lmmbench.types import Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tokens = NDArray[np.uint32] | list[int]

VERSION = 2
"""Of all that is here and its gates and key terms: 2 finds them in full-width forms too."""
TOKENIZERS = ("char", "13a", "ko-mecab")
"""Of BLEU. `char` needs nothing and is the default; `ko-mecab` needs the package `sacrebleu[ko]`, 106 MB."""


@cache
def _chrf(word_order: int) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order)  # nc:6, case:mixed, space:no


@cache
def _bleu(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    if tokenizer not in TOKENIZERS:
        raise UsageError(f"BLEU has no tokenizer {tokenizer!r}; there are: {', '.join(TOKENIZERS)}")
    try:
        return BLEU(tokenize=tokenizer, effective_order=True)
    except (ImportError, RuntimeError) as e:
        raise UsageError(f"BLEU with {tokenizer} needs: pip install 'sacrebleu[ko]' ({e.__class__.__name__})") from e


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def chrf(text: str, references: Sequence[str], word_order: int = 0) -> float:
    """Sentence chrF in 0…1 against the best of the references, both in NFC; chrF++ with `word_order` 2. The n-grams are
    counted by `grams`, four times as fast; what follows from the counts is sacrebleu's own."""
    metric = _chrf(word_order)
    scores = (metric._compute_f_score(_statistics(metric, _nfc(text), _nfc(reference))) for reference in references)
    return min(1.0, float(max(scores)) / 100)


def _statistics(metric: Any, text: str, reference: str) -> list[int]:
    """For each order how many n-grams the text has, the reference has, and both have: of characters, then of words."""
    counted = _counted(grams.codes(text), grams.codes(reference), metric.char_order)
    if not metric.word_order:
        return counted
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    said, wanted = ([numbers[word] for word in metric._remove_punctuation(side)] for side in (text, reference))
    return counted + _counted(said, wanted, metric.word_order)


def _counted(a: Tokens, b: Tokens, orders: int) -> list[int]:
    """Where the reference has no n-gram of an order, sacrebleu counts none of the text's."""
    shared = grams.shared(a, b)
    counts = ((max(0, len(a) - n), max(0, len(b) - n), shared[n]) for n in range(orders))
    return [part for ours, theirs, both in counts for part in (ours if theirs else 0, theirs, both)]


def bleu(text: str, references: Sequence[str], tokenizer: str = "char") -> float:
    """Sentence BLEU in 0…1 against all references, both in NFC; effective order, so that short texts count.

    Raises UsageError for a tokenizer that is not known or not installed.
    """
    found = _bleu(tokenizer).sentence_score(_nfc(text), list(map(_nfc, references)))
    return min(1.0, float(found.score) / 100)  # BLEU of a text with itself is a rounding error above 100


def chrf_id(name: str, word_order: int) -> str:
    """The id of a metric on chrF, with sacrebleu's own signature (`nrefs:var`, as items differ in references)."""
    import sacrebleu

    signature = f"nrefs:var|case:mixed|eff:yes|nc:6|nw:{word_order}|space:no"
    return f"{name}@{VERSION}|{signature}|norm:nfc|version:{sacrebleu.__version__}"


def _bleu_id(params: Mapping[str, Any]) -> str:
    import sacrebleu

    tokenizer = params.get("tokenize", "char")
    try:
        signed = str(_bleu(tokenizer).tokenizer.signature())
    except UsageError:  # then each grade fails with that sentence, and no score stands under this id
        signed = tokenizer
    return (
        f"BLEU@{VERSION}|nrefs:var|case:mixed|eff:yes|tok:{signed}|smooth:exp|norm:nfc|version:{sacrebleu.__version__}"
    )


def _grading(measure: Callable[[str, Sequence[str], Mapping[str, Any]], float]) -> GradeFunction:
    """A grade by one measure; the share of key terms and of Hangul stand beside it in `aux`."""

    def grade(answer: str, item: Item, order: Sequence[int], params: Mapping[str, Any]) -> Grade:
        said = clean(answer)
        if not said:
            return Grade(0.0, None, "none")
        terms = share_found(said, item.params.get("key_terms", ()))
        aux = {"key_terms": terms, "hangul_share": hangul_share(said)}
        return Grade(measure(said, item.targets, params), said, aux=aux)

    return grade


def targets(item: Item, order: Sequence[int]) -> list[str]:
    """Every reference gets full marks."""
    return list(item.targets)


CHRF = Scorer(
    "chrf", lambda params: chrf_id("chrF", 0), _grading(lambda said, refs, params: chrf(said, refs)), targets, "open"
)
CHRF_PP = Scorer(
    "chrf++", lambda params: chrf_id("chrF++", 2), _grading(lambda said, refs, params: chrf(said, refs, 2)), targets, "open"
)  # fmt: skip
BLEU = Scorer(
    "bleu", _bleu_id, _grading(lambda said, refs, params: bleu(said, refs, params.get("tokenize", "char"))), targets, "open"
)  # fmt: skip
