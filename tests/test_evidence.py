"""Below every matrix stands what its questions rest on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lmmbench.analysis import evidence
from tests.fake_server import FakeServer
from tests.kit import item, lmmbench, providers_yaml, run_here, write_pack


def backed(name: str, stratum: str, kind: str) -> dict[str, Any]:
    made = item(name, stratum=stratum)
    made["provenance"] = made["provenance"] | {"attestation": kind}
    return made


def ran(tmp_path: Path) -> Path:
    """A published run of two packs: 7 of 8 read, one of stratum b recalled; and one that is all recall."""
    write_pack(
        tmp_path / "tasks" / "p", [backed(f"q{n}", "ab"[n % 2], "recall" if n == 1 else "page") for n in range(8)]
    )
    write_pack(tmp_path / "tasks" / "told", [backed(f"q{n}", "ab"[n % 2], "recall") for n in range(2)])
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url)
        return run_here(tmp_path, tasks="p,told").folder


def test_the_line_has_each_packs_shares_and_recall_by_stratum(tmp_path: Path) -> None:
    """In the terminal, after a run and in Markdown, in both languages."""
    folder = ran(tmp_path)
    shares = "p page 88 %, recall 12 % (b 25 %); told recall 100 %"
    assert [line.endswith(shares) for line in evidence.lines([folder], "en")] == [True]
    assert evidence.lines([folder, folder], "en") == evidence.lines([folder], "en")
    for form in ("table", "md"):
        for lang, words in (("en", "What the questions rest on"), ("ko", "문항의 근거")):
            shown = lmmbench("matrix", "r", "--format", form, "--lang", lang, cwd=tmp_path).stdout
            assert words in shown
            assert shares in re.sub(r"\s+", " ", shown)
    assert shares in re.sub(r"\s+", " ", lmmbench("score", "r", cwd=tmp_path).stdout)
    assert "rest on" not in lmmbench("matrix", "r", "--view", "article", cwd=tmp_path).stdout


def test_a_run_without_its_items_has_no_line(tmp_path: Path) -> None:
    """A matrix that was taken out of its folder is still shown."""
    assert evidence.lines([tmp_path], "en") == []


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(1, 960, "< 1 %"), (959, 960, "> 99 %"), (960, 960, "100 %"), (1, 3, "33 %")]
)
def test_some_never_looks_like_none(part: int, whole: int, text: str) -> None:
    """One recalled item of a thousand is not 0 %."""
    assert evidence._percent(part, whole) == text
