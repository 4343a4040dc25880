"""Datasheets: every number in them is made from the items, and is what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmmbench import cli, datasheet, packs
from lmmbench.faults import UsageError
from tests.kit import BLIND, ROOT, item, write_pack

SHIPPED = [packs.load(f) for name, f in packs.find(ROOT / "tasks").items() if not name.startswith("public/")]
PAGES = [(pack, lang) for pack in SHIPPED for lang in datasheet.LANGUAGES]


@pytest.mark.parametrize(("pack", "lang"), PAGES, ids=[f"{p.id}-{lang}" for p, lang in PAGES])
def test_the_tables_of_a_page_are_what_the_command_prints(
    pack: packs.Pack, lang: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page whose items have changed since is found; `lmmbench datasheet PACK --write` mends it."""
    written = datasheet.path(pack, lang).read_text(encoding="utf-8")
    assert cli.run_cli(["datasheet", pack.id, "--lang", lang, "--tasks-dir", str(ROOT / "tasks")]) == 0
    assert capsys.readouterr().out == written
    for name in ("facts", "counts", "attestation", "blind", "excused", "power"):
        assert datasheet.table(pack, name, lang) in written


def told(pack: packs.Pack, name: str) -> dict[str, list[str]]:
    """The rows of a table by their first column."""
    rows = [
        line.strip("| ").split(" | ") for line in datasheet.table(pack, name, "en").splitlines() if line[:2] == "| "
    ]
    return {row[0]: row[1:] for row in rows}


def mixed(folder: Path) -> packs.Pack:
    """Six items of two strata: closed with golds at 1, 1, 2, and open ones, one of them disputed."""
    provenance = item("x")["provenance"]
    seen = provenance | {"attestation": "page", "checks": [BLIND, BLIND | {"agreed": False}]}
    lines = [
        item("a1", stratum="a", type="meaning"), item("a2", stratum="a", type="region"),
        item("a3", stratum="a", type="meaning", targets=["2"], cluster_id="a1", provenance=seen),
        item("b1", stratum="b", options=()), item("b2", stratum="b", options=(), provenance=provenance | {"checks": []}),
        item("b3", stratum="b", options=(), status="disputed"),
    ]  # fmt: skip
    return packs.load(write_pack(folder, lines))


def test_tables_count_the_active_items(tmp_path: Path) -> None:
    """Items by stratum, type, gold position, attestation and blind pass; what is not asked is counted apart."""
    pack = mixed(tmp_path / "mini")
    assert told(pack, "counts") == {
        "stratum": ["items", "clusters", "meaning", "region", "open"],
        "a": ["3", "2", "2", "1", "0"], "b": ["2", "2", "0", "0", "2"], "all": ["5", "4", "2", "1", "2"],
    }  # fmt: skip
    assert told(pack, "positions")["a"] == ["2", "1", "0", "0"]
    assert told(pack, "attestation")["a"] == ["1 (33 %)", "0 (0 %)", "0 (0 %)", "0 (0 %)", "2 (67 %)"]
    assert told(pack, "blind") == {
        "stratum": ["blind passes", "agreed", "items with two that agreed"],
        "a": ["6", "5 (83 %)", "2"], "b": ["2", "2 (100 %)", "1"], "all": ["8", "7 (88 %)", "3"],
    }  # fmt: skip
    facts = told(pack, "facts")
    assert (facts["items asked"], facts["disputed, not asked"]) == (["5"], ["1"])
    assert told(pack, "guessers")["always first"] == ["66.7", "75.0", "3"]


@pytest.mark.parametrize(("clusters", "points"), [(80, "17"), (120, "14"), (480, "7"), (940, "5")])
def test_power_agrees_with_the_textbook(tmp_path: Path, clusters: int, points: str) -> None:
    """Items to tell two models apart that differ on 30 %: (z(.975) + z(.8)) sqrt(.3 / n) (McNemar's test, Miller 2024)."""
    pack = packs.load(write_pack(tmp_path / "mini", [item(f"q{n}") for n in range(clusters)]))
    assert datasheet.table(pack, "power", "en").splitlines()[3].split(" | ")[1] == points
    assert f"({clusters} clusters)" in datasheet.table(pack, "power", "en")


def test_a_pack_without_a_page_prints_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new pack has its numbers before it has its prose; `--write` says what is missing."""
    mixed(tmp_path / "mini")
    assert cli.run_cli(["datasheet", "mini", "--tasks-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert cli.run_cli(["datasheet", "mini", "--tables", "--tasks-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == printed
    assert all(f"**{name}**" in printed for name in datasheet.TABLES)
    assert cli.run_cli(["datasheet", "mini", "--write", "--tasks-dir", str(tmp_path)]) == 2
    assert "write datasheet.en.md there" in capsys.readouterr().err


def test_write_fills_the_tables_and_leaves_the_prose(tmp_path: Path) -> None:
    """What stands outside the marks is a person's, and is kept byte for byte; an unknown table is named."""
    pack = mixed(tmp_path / "mini")
    where = datasheet.path(pack, "ko")
    where.write_text("머리말\n\n<!-- table: counts -->\nold\n<!-- end -->\n\n맺음말\n", encoding="utf-8")
    assert datasheet.write(pack) == [where]
    assert where.read_text(encoding="utf-8") == (
        f"머리말\n\n<!-- table: counts -->\n{datasheet.table(pack, 'counts', 'ko')}\n<!-- end -->\n\n맺음말\n"
    )
    with pytest.raises(UsageError, match=r"no table is called 'count' \(did you mean 'counts'\?\)"):
        datasheet.filled("<!-- table: count -->\n<!-- end -->", pack, "en", where)
