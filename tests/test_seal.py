"""Sealed packs: two parts by lot, commitments that tell nothing, and a test that finds who knows the public part by heart."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import cli, packs, places, seal, stats
from lmmbench.analysis import sealed
from lmmbench.canon import canonical
from lmmbench.faults import UsageError
from lmmbench.types import Item, Provenance
from tests.fake_server import Exchange, FakeServer
from tests.kit import ROOT, clean_env, item, lmmbench, providers_yaml, write_pack

SALT = bytes(range(32))
OTHER = bytes(range(1, 33))
CANARY = "canary:01234567-89ab-4def-8123-456789abcdef"


def pack_of(folder: Path, count: int = 40, per_cluster: int = 2) -> packs.Pack:
    """Items of two strata and two types, so many a cluster."""
    lines = [
        item(
            f"q{n:03}", stratum="ab"[n % 4 // 2], type=("meaning", "infer")[n % 8 // 4], tags=[CANARY],
            cluster_id=f"c{n // per_cluster:03}", targets=[str(n % 4 + 1)],
        )
        for n in range(count)
    ]  # fmt: skip
    return packs.load(write_pack(folder, lines))


def split(tmp_path: Path, salt: bytes = SALT, share: float = 0.25) -> seal.Sealed:
    return seal.seal(pack_of(tmp_path / "tasks" / "mini"), share, tmp_path / "split", salt)


def both(made: seal.Sealed) -> tuple[packs.Pack, packs.Pack]:
    return packs.load(made.public), packs.load(made.sealed)


# --- the lot -----------------------------------------------------------------------------------------


def test_the_parts_share_nothing_and_lose_nothing(tmp_path: Path) -> None:
    """Every item is in one part, every cluster whole, and each stratum and type gives its share."""
    made = split(tmp_path)
    public, kept = both(made)
    assert (made.kept, made.taken) == (30, 10)
    assert sorted(i.id for i in (*public.items, *kept.items)) == [f"q{n:03}" for n in range(40)]
    assert not {i.cluster_id for i in public.items} & {i.cluster_id for i in kept.items}
    found = Counter((i.stratum, i.type) for i in kept.items)
    assert max(found.values()) - min(found.values()) <= 2
    assert len(found) == 4


def plain(n: int, cell: int, cluster: int, status: str) -> Item:
    made = Provenance("2026-11-01", "the tests", "made up", (), "recall")
    return Item(f"q{n}", f"s{cell % 3}", f"t{cell // 3}", f"c{cluster}", {}, ("x",), made, status=status)  # type: ignore[arg-type]


ITEMS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 30), st.sampled_from(["active", "active", "retired"])), max_size=60
)


@settings(max_examples=80, deadline=None)
@given(ITEMS, st.floats(0.05, 0.95), st.binary(min_size=32, max_size=32), st.randoms())
def test_the_lot_is_a_systematic_sample(
    drawn: list[tuple[int, int, str]], share: float, salt: bytes, rng: object
) -> None:
    """The share of the clusters that are asked is met within one, of alike clusters too, in whatever order they stand."""
    items = [plain(n, *each) for n, each in enumerate(drawn)]
    chosen = seal.drawn(items, share, salt)
    assert chosen == seal.drawn(items[::-1], share, salt)
    alike: dict[object, list[str]] = {}
    for cluster in {i.cluster_id for i in items if i.status == "active"}:
        cells = sorted((i.stratum, i.type) for i in items if i.cluster_id == cluster and i.status == "active")
        alike.setdefault(tuple(cells), []).append(cluster)
    for clusters in (*alike.values(), list(itertools.chain(*alike.values()))):
        assert abs(sum(c in chosen for c in clusters) - share * len(clusters)) < 1 + 1e-9


def test_the_salt_alone_decides(tmp_path: Path) -> None:
    """The same salt makes the same parts, byte for byte; another salt draws other clusters and other hashes."""
    first, again, other = (split(tmp_path / n, salt) for n, salt in (("a", SALT), ("b", SALT), ("c", OTHER)))
    for name in ("card.yaml", "items.jsonl", "sealed.json"):
        assert (first.public / name).read_bytes() == (again.public / name).read_bytes()
    assert (first.sealed / "items.jsonl").read_bytes() == (again.sealed / "items.jsonl").read_bytes()
    assert (first.sealed / "items.jsonl").read_bytes() != (other.sealed / "items.jsonl").read_bytes()
    hashes = [set(json.loads((made.public / "sealed.json").read_bytes())["hashes"]) for made in (first, other)]
    assert not hashes[0] & hashes[1]


# --- the commitment ----------------------------------------------------------------------------------


def test_a_hash_cannot_be_made_without_the_salt(tmp_path: Path) -> None:
    """Who guesses a whole item, id and all, still cannot confirm it; nothing of the salt or an item is public."""
    made = split(tmp_path)
    public = (made.public / "sealed.json").read_text(encoding="utf-8")
    kept = [json.loads(line) for line in (made.sealed / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in kept:
        assert hashlib.sha256(canonical(line).encode()).hexdigest() not in public
        assert seal.commitment(line, SALT) in public
        assert seal.commitment(line, OTHER) not in public
        assert line["id"] not in public
    assert SALT.hex() not in public
    assert json.loads(public)["hashes"] == sorted(json.loads(public)["hashes"])


def test_verify_finds_what_was_changed_added_or_lost(tmp_path: Path) -> None:
    """The public hashes hold whoever has the sealed part to every letter of it."""
    made = split(tmp_path)
    assert seal.verify(made.public, made.sealed) == []
    lines = (made.sealed / "items.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    changed = json.loads(lines[0])
    changed["options"][0] += "!"
    (made.sealed / "items.jsonl").write_text("".join([json.dumps(changed) + "\n", *lines[2:]]), encoding="utf-8")
    assert seal.verify(made.public, made.sealed) == [
        f"{changed['id']}: not an item that the public part's sealed.json commits to",
        "2 sealed items that sealed.json commits to are not there",
    ]


def test_the_sealed_part_has_a_canary_of_its_own(tmp_path: Path) -> None:
    """A leaked copy says which part leaked."""
    public, kept = both(split(tmp_path))
    marks = [{t for i in p.items for t in i.tags} for p in (public, kept)]
    assert marks[0] == {CANARY}
    assert len(marks[1]) == 1
    assert marks[1] != {CANARY}


# --- the command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["korean-dialect", "korean-image", "summarization"])
def test_both_parts_of_a_shipped_pack_are_packs(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """`lmmbench check` reads both folders, holds the parts to the rules and the sealed items to their hashes."""
    assert cli.run_cli(["seal", name, "--to", str(tmp_path), "--tasks-dir", str(ROOT / "tasks")]) == 0
    where = ["--tasks-dir", str(tmp_path / "public"), "--tasks-dir", str(tmp_path / "sealed")]
    assert cli.run_cli(["check", *where, "--providers", str(ROOT / "providers.yaml")]) == 0, capsys.readouterr().err
    items = tmp_path / "sealed" / f"{name}-sealed" / "items.jsonl"
    items.write_text("".join(items.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    assert cli.run_cli(["check", "--write-hash", f"{name}-sealed", *where]) == 0
    assert cli.run_cli(["check", *where, "--providers", str(ROOT / "providers.yaml")]) == 2
    assert f"{name}-sealed: 1 sealed items that sealed.json commits to are not there" in capsys.readouterr().err


def test_the_whole_pack_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is taken out of the pack's own folder, and nothing that is there is written over."""
    before = {p.name: p.read_bytes() for p in (pack_of(tmp_path / "tasks" / "mini").folder).iterdir()}
    made = split(tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / "tasks" / "mini").iterdir()} == before
    with pytest.raises(UsageError, match="exists; remove it, or name another folder with --to"):
        split(tmp_path)
    for part in both(made):
        with pytest.raises(UsageError, match="itself a part"):
            seal.seal(part, 0.5, tmp_path / "again", SALT)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31])
def test_a_bad_salt_is_refused(tmp_path: Path, text: str) -> None:
    """A short or unreadable salt would make the hashes guessable."""
    (tmp_path / "salt").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="is no salt"):
        seal.read_salt(tmp_path / "salt")


def test_a_share_that_leaves_a_part_empty_is_refused(tmp_path: Path) -> None:
    """Two clusters cannot be split nine to one in every stratum."""
    with pytest.raises(UsageError, match="leaves one part empty"):
        seal.seal(pack_of(tmp_path / "mini", 2), 0.001, tmp_path / "split", SALT)


def test_tasks_folders_may_be_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--tasks-dir` may be given more than once, and LMMBENCH_TASKS may name several; a pack that is in two is refused."""
    write_pack(tmp_path / "a" / "one", 2)
    write_pack(tmp_path / "b" / "two", 2)
    two = [tmp_path / "a", tmp_path / "b"]
    assert [p.id for p in packs.select("all", two)] == ["one", "two"]
    monkeypatch.setenv("LMMBENCH_TASKS", os.pathsep.join(map(str, two)))
    assert places.tasks_dirs(()) == tuple(two)
    assert places.tasks_dirs([str(two[1])]) == (two[1],)
    assert cli.run_cli(["list", "tasks"]) == 0
    assert re.findall(r"^(\w+) ", capsys.readouterr().out, re.MULTILINE) == ["one", "two"]
    write_pack(tmp_path / "b" / "one", 2)
    with pytest.raises(UsageError, match=r"the pack 'one' is in .*a and in .*b; take one of them away"):
        packs.find(two)


# --- who knows it by heart ---------------------------------------------------------------------------


def question_of(x: Exchange) -> tuple[str, str]:
    """The item's id, and the letter of its right option as it was shown."""
    name = re.search(r"(q\d+)번", x.question)
    letter = re.search(r"([A-D])\. 하나", x.question)
    assert name is not None
    assert letter is not None
    return name[1], letter[1]


def answering(public: set[str]) -> object:
    """sim-honest knows six answers in ten of either part, whatever the split; sim-heart knows all of the public part, else
    as many."""
    everything = [f"q{n:04}" for n in range(240)]
    parts = [sorted(public), [name for name in everything if name not in public]]
    known = {name for part in parts for n, name in enumerate(part) if n % 5 < 3}

    def text(x: Exchange) -> str:
        name, letter = question_of(x)
        luck = name in known
        knows = luck or (x.model == "sim-heart" and name in public)
        return f"정답: {letter if knows else 'A' if letter != 'A' else 'B'}"

    return text


def test_a_model_that_knows_the_public_part_by_heart_is_found(tmp_path: Path) -> None:
    """From the command line, over real sockets: seal, run on both parts, matrix. The honest model is not accused."""
    lines = [item(f"q{n:04}", stratum=f"s{n % 3}", cluster_id=f"c{n}") for n in range(240)]
    write_pack(tmp_path / "tasks" / "mini", lines)
    made = lmmbench("seal", "mini", "--share", "0.3", "--to", "split", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    public = {i.id for i in packs.load(tmp_path / "split" / "public" / "mini").items}
    assert len(public) == 168
    with FakeServer(text=answering(public)) as server:  # type: ignore[arg-type]
        providers_yaml(tmp_path / "providers.yaml", server.url, ["sim-honest", "sim-heart"], concurrency=16)
        ran = lmmbench(
            "run", "--tasks", "tests", "--tasks-dir", "split/public", "--tasks-dir", "split/sealed", "--run-id", "r",
            cwd=tmp_path,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "better on public" in ran.stdout
    heart, honest = (
        {g.model: g for g in sealed.gaps([tmp_path / "results" / "r"])}[m] for m in ("sim-heart", "sim-honest")
    )
    assert (heart.verdict, honest.verdict) == ("better_on_public", "as_chance_allows")
    assert (heart.public, heart.n_public, heart.n_sealed) == (1.0, 168, 72)
    assert heart.detectable is not None
    assert 0.1 < heart.detectable < 0.3
    assert heart.shift is not None
    assert abs(heart.shift.diff - (heart.public - heart.sealed)) < 0.02
    shown = lmmbench("matrix", "latest", "--format", "md", "--lang", "ko", cwd=tmp_path).stdout
    assert re.search(r"\| sim-heart \| mini \| 100\.0 n=168 \| .* \| 공개 쪽이 높음 \|", shown)
    assert re.search(r"\| sim-honest \| mini \| .* \| 우연 범위 \|", shown)
    assert "holds the sealed items of mini-sealed" in lmmbench("report", "latest", cwd=tmp_path).stderr


def test_equal_scores_promise_nothing() -> None:
    """A model that is right everywhere has no spread: p is 1, and no gap is said to be findable."""
    same = sealed.Gap("r", "sim-a", "mini", 1.0, 1.0, 30, 10, stats.Shift(0.0, 0.0, 1.0))
    sealed._adjust([same])
    assert (same.verdict, same.p_adj, same.detectable) == ("as_chance_allows", 1.0, None)
    assert sealed.sheets([same], "en")[0].rows[0][4:7] == ["+0.0", "1.0000", "–"]


def test_a_run_of_one_part_says_nothing_of_the_other(tmp_path: Path) -> None:
    """Without both parts there is no gap and no table, and a report still says what it holds."""
    split(tmp_path)
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, ["sim-a"])
        ran = lmmbench("run", "--tasks", "mini-sealed", "--tasks-dir", "split/sealed", cwd=tmp_path, env=clean_env())
    assert "Public and sealed" not in ran.stdout
    assert ran.returncode == 0, ran.stderr
    assert "mini-sealed" in lmmbench("report", "latest", cwd=tmp_path).stderr


# --- the test itself ---------------------------------------------------------------------------------


def exact(values: list[float], second: list[bool]) -> float:
    """The one-sided p by every draw there is."""
    taken = sum(second)
    observed = sum(v for v, s in zip(values, second, strict=True) if s)
    sums = [sum(values[n] for n in chosen) for chosen in itertools.combinations(range(len(values)), taken)]
    return sum(s <= observed + 1e-9 for s in sums) / len(sums)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=9), st.data())
def test_shift_agrees_with_every_draw_there_is(values: list[float], data: st.DataObject) -> None:
    """With one block, p is that of the exact permutation test but for the noise of 19,999 draws."""
    taken = data.draw(st.integers(1, len(values) - 1))
    second = [n < taken for n in range(len(values))]
    (found,) = stats.shift([(np.array(values)[:, None], np.array(second))])
    assert abs(found.p - exact(values, second)) < 0.02
    assert found.diff == pytest.approx(float(np.mean(values[taken:]) - np.mean(values[:taken])))


def test_shift_keeps_its_level_and_does_not_mind_strata() -> None:
    """Blocks of different difficulty and share raise no alarm: p below .05 comes about once in twenty."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        blocks = []
        for level, count, kept in ((0.9, 40, 5), (0.2, 20, 10), (0.5, 12, 2)):
            second = np.zeros(count, dtype=bool)
            second[rng.choice(count, kept, replace=False)] = True
            blocks.append(((rng.random((count, 1)) < level).astype(float), second))
        alarms += stats.shift(blocks, draws=499)[0].p < 0.05
    assert alarms <= 20  # 10 expected, standard deviation 3


def test_shift_needs_both_groups() -> None:
    """Blocks that are all public or all sealed say nothing; with none else there is no test."""
    lone = (np.ones((3, 1)), np.zeros(3, dtype=bool))
    mixed = (np.array([[1.0], [0.0]]), np.array([False, True]))
    assert stats.shift([lone, mixed])[0].diff == 1.0
    with pytest.raises(ValueError, match="both groups"):
        stats.shift([lone])


# --- who may see it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trains", "allowed", "pack", "refused"),
    [(True, False, "kept", True), (True, False, "open", False), (True, True, "kept", False), (False, False, "kept", False)],
)  # fmt: skip
def test_a_sealed_part_is_not_asked_where_inputs_are_trained_on(
    trains: bool, allowed: bool, pack: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit 2 in one sentence before anything is sent or written, dry run included, unless the endpoint allows it."""
    monkeypatch.chdir(tmp_path)
    write_pack(tmp_path / "tasks/open", 2)
    write_pack(tmp_path / "tasks/kept", 2, sealed_from="open")
    with FakeServer() as server:
        providers_yaml(tmp_path / "providers.yaml", server.url, trains_on_inputs=trains, allow_sealed=allowed)
        for options in ((), ("--dry-run",)):
            code = cli.run_cli(["run", "--tasks", pack, *options])
            said = capsys.readouterr().err
            told = "the endpoint 'sim' of sim-a trains on what it is sent (trains_on_inputs), and kept is sealed; leave"
            assert (code, told in said) == ((2, True) if refused else (0, False)), said
        assert len(server.history) == (0 if refused else 2)
    assert (tmp_path / "results").exists() is not refused
