"""Who answered, and whether it stayed the same: what a reader of a run's numbers must know of its answers.

An alarm says that the answers of one model may not be answers of one model, or not to the whole question. It changes
no score. What is merely worth knowing (a dated name behind an alias) is a note.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

WATCHED = ("served_model", "system_fingerprint")
"""What a vendor says of itself in each answer, and what must not change in mid-run."""
Words = Counter[str]
"""How many answers carried each word, in the order in which the words first came."""

_HANGUL = re.compile("[가-힣]")
_SPACE = re.compile(r"\s")
_DATE = re.compile(r"[-@:](?:\d{2,4}|\d{6}|\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|preview-\d{2}-\d{2,4})")
CUT_SHARE = 0.6
SHORTEST = 100
"""Tokens of a prompt below which no context is short."""


def changed(what: str, words: Words) -> str:
    """The alarm's sentence when one model's answers carry several words, "" while they carry one."""
    if len(words) < 2:
        return ""
    shown = ", ".join(f"{word} × {n}" for word, n in words.items())
    return f"the {what.replace('_', ' ')} changed in mid-run ({shown}): its answers may be those of several models"


def least_tokens(text: str) -> float:
    """Fewer tokens than a known tokenizer needs for a text: three Hangul syllables a token, which is a whole Korean word,
    and six other characters, white space not counted (SupraTok, 2025, made for few tokens, reaches 5.9 of English with
    the spaces counted)."""
    hangul = len(_HANGUL.findall(text))
    return hangul / 3 + (len(text) - hangul - len(_SPACE.findall(text))) / 6


def prompt_cut(text: str, counted: int | None) -> str:
    """The alarm's sentence when a server counted less than 60 % of the fewest tokens that a prompt can take: it may
    have cut the prompt to its context without a word. A count of 0 or none says nothing."""
    # no text takes more than a token for three characters by this bound: most prompts need no counting
    if not counted or counted >= CUT_SHARE * len(text) / 3:
        return ""
    least = least_tokens(text)
    if least < SHORTEST or counted >= CUT_SHARE * least:
        return ""
    return (
        f"a prompt of at least {least:.0f} tokens was counted as {counted}: the server may have cut it; give it a longer "
        "context"
    )


@lru_cache(maxsize=1024)
def is_alias(asked: str, served: str) -> bool:
    """Whether the served name is the one that was asked for with a date or a version behind it, or with another folder
    before it: `gpt-x` and `gpt-x-2026-05-01`, `openai/gpt-x` and `gpt-x`, `gemini-x` and `models/gemini-x-001`."""
    wanted = asked.lower().rpartition("/")[2].removesuffix("-latest").removesuffix(":latest")
    found = served.lower().rpartition("/")[2]
    rest = found.removeprefix(wanted)
    return found.startswith(wanted) and bool(not rest or rest == ":latest" or _DATE.fullmatch(rest))


def other_name(asked: str, served: str, others: Collection[str]) -> str:
    """Which of the `others` served in place of the name that was asked for; "" where that one did, or none of them. Of
    several the longest, which says the most."""
    if served == asked or is_alias(asked, served):
        return ""
    return max((name for name in others if is_alias(name, served)), key=len, default="")


def notes(model: str, asked: str, served: Words, others: Collection[str] = ()) -> Iterable[str]:
    """One sentence for each served model that does not have the name that was asked for. `others`: the names of its
    endpoint whose price is known."""
    for word, n in served.items():
        if word == asked:
            continue
        what = (
            ""
            if is_alias(asked, word)
            else f", which is not the model that was asked for, {_priced(asked, word, others)}"
        )
        yield f"{model}: asked for {asked}, {n} answers came from {word}{what}"


def _priced(asked: str, served: str, others: Collection[str]) -> str:
    if other := other_name(asked, served, others):
        return f"and is counted at the price of {other}"
    return "and is counted at the row's price; add a row with its name and price"


def alarms(words: Mapping[str, Mapping[str, Words]], cut: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """A run's alarms for run.json: model, kind, one sentence, and how many answers it concerns. `words`: for each of
    WATCHED, each model's words; `cut`: for each model, the items whose prompt may have been cut."""
    found: list[dict[str, Any]] = []
    for what in WATCHED:
        for model, said in sorted(words.get(what, {}).items()):
            ordered = Counter(dict(sorted(said.items(), key=lambda x: (-x[1], x[0]))))
            if text := changed(what, ordered):
                found.append({"model": model, "kind": what, "text": text, "answers": dict(ordered)})
    for model, items in sorted(cut.items()):
        text = (
            f"the server may have cut {len(items)} prompts to its context ({min(items)} is one); give it a longer one"
        )
        found.append({"model": model, "kind": "prompt_cut", "text": text, "answers": len(items)})
    return found
