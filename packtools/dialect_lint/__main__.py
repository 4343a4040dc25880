"""Lints the active items of tasks/korean-dialect and writes verdicts.jsonl; see the package's docstring."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from lmmbench import packs
from lmmbench.faults import UsageError
from packtools.dialect_lint import verdicts
from packtools.dialect_lint.verdicts import FILE, PACK, Token, judge, left, region, text

ROOT = Path(__file__).parents[2]
COST = 3.0
"""What a dialect reading costs within a sentence (kiwipiepy's default). A word alone is looked up free of cost."""


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m packtools.dialect_lint", description=__doc__)
    options.add_argument("--pack", type=Path, metavar="DIR", default=ROOT / "tasks" / PACK, help="the pack's folder")
    given = options.parse_args()
    try:
        items = [i for i in packs.load(given.pack).items if i.status == "active"]
    except UsageError as e:
        raise SystemExit(str(e)) from None
    tokens = reader()
    found = [judge(i, tokens(text(i)) if region(i) else ()) for i in items]
    verdicts.write({name: version(name) for name in ("kiwipiepy", "kiwipiepy_model")}, found)
    counts = Counter(v.verdict for v in found)
    print(f"{FILE.name}: " + ", ".join(f"{counts[name]} {name}" for name in verdicts.VERDICTS))
    for v in found:
        if v.verdict in verdicts.AGAINST and v.id not in left():
            print(
                f"{v.id}: {v.verdict} {'; '.join(v.tokens)}: read it again, mend it or say in left.json why it stands"
            )


def reader() -> Callable[[str], list[Token]]:
    """kiwipiepy with the words of all regions, as a function from text to tokens."""
    try:
        from kiwipiepy import Dialect, Kiwi
    except ImportError:
        raise SystemExit("kiwipiepy is missing: pip install kiwipiepy==0.24.1 kiwipiepy_model==0.24.0") from None
    kiwi = Kiwi(enabled_dialects=Dialect.ALL)

    def read(line: str, dialect_cost: float) -> list[Token]:
        seen = kiwi.tokenize(line, allowed_dialects=Dialect.ALL, dialect_cost=dialect_cost)
        return [Token(t.form, t.tag, int(t.dialect), bool(t.oov)) for t in seen]

    def tokens(lines: str) -> list[Token]:
        sentence, *words = lines.splitlines()
        return read(sentence, COST) + [t for word in words for t in read(word, 0)[:1] if whole(t, word)]

    return tokens


def whole(token: Token, word: str) -> bool:
    """Whether the token is the word and not a piece of it; of a verb or adjective the lexicon holds the stem."""
    stem = word.removesuffix("다")
    return len(token.form) >= len(stem) and (stem == word or token.tag.startswith("V"))


if __name__ == "__main__":
    main()
