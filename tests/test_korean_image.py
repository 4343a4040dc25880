"""The drawn pack and its control: the pictures are what the program draws, what they say is right, and they arrive."""

from __future__ import annotations

import base64
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from rapidfuzz.distance import Levenshtein

from lmmbench import check, guessers, hangul, packs, show
from lmmbench.canon import sha256
from lmmbench.types import Item
from packtools.korean_image import build, fonts, timetables
from packtools.korean_image.scene import Scene
from tests.fake_server import Exchange, FakeServer
from tests.kit import ROOT, providers_yaml, rows_of, run_here

TASKS = ROOT / "tasks"
SEEN, BLIND = packs.load(TASKS / build.PACK), packs.load(TASKS / build.BLIND)
PINNED = "pillow==13.0.0"
"""The build whose bytes the committed pictures are; another FreeType or zlib may round otherwise."""

scenes = pytest.mark.parametrize("scene", build.SCENES, ids=lambda s: str(s.id))


@cache
def drawn() -> dict[str, build.Picture]:
    """Every picture of the pack by the id of its item, drawn once."""
    return {scene.id: build.paint(scene, fonts.opener(fonts.subset_files())) for scene in build.SCENES}


def committed(scene: Scene) -> bytes:
    return (TASKS / build.PACK / build.path_of(scene)).read_bytes()


# --- the pictures ------------------------------------------------------------------------------------


@scenes
def test_the_program_draws_the_committed_picture(scene: Scene) -> None:
    """The same program and fonts give the same bytes; with another build of Pillow, what a reader sees is the same."""
    here = (platform.system(), platform.machine(), f"pillow=={version('pillow')}")
    if here == ("Linux", "x86_64", PINNED):
        assert drawn()[scene.id].data == committed(scene)
    ours, theirs = (Image.open(io.BytesIO(d)).convert("L") for d in (drawn()[scene.id].data, committed(scene)))
    assert ImageStat.Stat(ImageChops.difference(ours, theirs)).mean[0] < 2


def test_the_pinned_build_is_the_one_of_the_constraints() -> None:
    """A new Pillow is a new drawing: whoever moves the pin draws the pictures again."""
    assert PINNED in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


@scenes
def test_a_picture_is_legible_and_small(scene: Scene) -> None:
    """A PNG of 500 to 1,024 pixels a side that no vendor scales down, below 64 kB."""
    with Image.open(io.BytesIO(committed(scene))) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        assert 500 <= min(image.size) <= max(image.size) <= 1024
    assert len(committed(scene)) < 64_000


def test_the_pack_holds_its_pictures_and_no_others() -> None:
    """One picture an item, each of them different, all of them under 600 kB."""
    files = {f"media/{p.name}" for p in (TASKS / build.PACK / "media").iterdir()}
    named = [ref for i in SEEN.items for ref in i.media]
    assert files == {ref.path for ref in named}
    assert len(files) == len({ref.sha256 for ref in named}) == len(SEEN.items) == 24
    assert sum(len(committed(s)) for s in build.SCENES) < 600_000


# --- the fonts ---------------------------------------------------------------------------------------


def test_every_glyph_has_an_outline() -> None:
    """No picture holds a tofu or a blank where a syllable should be."""
    used = fonts.characters(text for p in drawn().values() for text in p.drawn)
    assert set(used) == set(fonts.FACES)
    assert [fonts.blank(fonts.subset_files()[face], seen) for face, seen in used.items()] == [set()] * len(used)


def test_a_glyph_without_an_outline_is_found(tmp_path: Path) -> None:
    """A syllable that the font does not list, and one that it lists with an empty glyph, as some Korean fonts do."""
    from fontTools.ttLib import TTFont
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    with TTFont(fonts.subset_files()["bold"]) as font:
        font["glyf"][font.getBestCmap()[ord("차")]] = Glyph()
        font.save(tmp_path / "holed.ttf")
    assert fonts.blank(tmp_path / "holed.ttf", "주차 뷁") == {"차", "뷁"}


def test_the_subsets_do_not_bear_the_reserved_name() -> None:
    """The licence reserves the name Nanum for the whole fonts; the licence stands beside the subsets."""
    from fontTools.ttLib import TTFont

    for path in fonts.subset_files().values():
        with TTFont(path) as font:
            named = [str(font["name"].getDebugName(n)) for n in (1, 3, 4, 6)]
            assert all(name.startswith(fonts.FAMILY.split()[0]) and "Nanum" not in name for name in named)
            assert "Open Font License" in font["name"].getDebugName(13)
    assert "SIL OPEN FONT LICENSE" in (fonts.SUBSETS / "OFL.txt").read_text(encoding="utf-8")


def test_the_card_names_the_fonts_by_hash() -> None:
    """The files that the pictures were drawn with can be told from others of the same name."""
    assert [
        f"{f.file} {f.sha256}" for f in fonts.FACES.values() if f"{f.file} {f.sha256}" not in SEEN.card.source
    ] == []


def test_another_font_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """Other outlines would be other pictures."""
    for face in fonts.FACES.values():
        (tmp_path / face.file).write_bytes(b"another version")
    with pytest.raises(ValueError, match=r"NanumGothic\.ttf is not the file of fonts-nanum"):
        fonts.whole_files(tmp_path)


# --- what the items say ------------------------------------------------------------------------------


def test_the_items_are_what_the_program_writes() -> None:
    """Both packs follow from the scenes; only the checks stand in the file alone."""
    standing = build.standing_checks(TASKS / build.PACK)
    made = build.items({s.id: committed(s) for s in build.SCENES}, standing)
    assert list(standing.values()) == made
    assert list(build.standing_checks(TASKS / build.BLIND).values()) == [build.without_picture(one) for one in made]


def test_a_changed_question_loses_its_checks() -> None:
    """A check is a check of one question with one picture, its options and its gold, in whatever order they stand."""
    pictures = {s.id: committed(s) for s in build.SCENES}
    standing = json.loads(json.dumps({one["id"]: one for one in build.items(pictures, {})}))
    for one in standing.values():
        one["provenance"]["checks"] = [{"kind": "made up"}]
    standing["sign-002"]["fields"]["question"] += " "
    standing["sign-003"]["options"].reverse()
    standing["sign-003"]["targets"] = [str(5 - int(standing["sign-003"]["targets"][0]))]
    standing["sign-004"]["targets"] = ["1"]
    kept = {one["id"]: one["provenance"]["checks"] for one in build.items(pictures, standing)}
    assert [kept[f"sign-00{n}"] for n in (1, 2, 3, 4)] == [[{"kind": "made up"}], [], [{"kind": "made up"}], []]


@scenes
def test_what_is_quoted_stands_on_the_picture(scene: Scene) -> None:
    """The evidence of a drawn item is what its picture says."""
    shown = " ".join(text for _, text in drawn()[scene.id].drawn)
    assert [quote for quote in scene.quote if quote not in shown] == []


_DATE = re.compile(r"(?:2026-)?(\d{1,2})(?:-|\. |월 )(\d{1,2})(?:\.|일)?\(([월화수목금토일])\)")


def test_dates_and_weekdays_agree() -> None:
    """Every date that is drawn with its weekday is a day of 2026 with that weekday."""
    texts = [text for p in drawn().values() for _, text in p.drawn]
    found = [match.groups() for text in texts for match in _DATE.finditer(text)]
    assert len(found) > 15
    assert [f for f in found if "월화수목금토일"[date(2026, int(f[0]), int(f[1])).weekday()] != f[2]] == []


def value(expression: str) -> Fraction:
    """A sum of products, `4,800×2 + 3,200×3 − 5,300`."""
    total = Fraction(0)
    for sign, term in re.findall(r"([+−]?)\s*([\d,×÷]+)", expression):
        product = Fraction(1)
        for op, factor in re.findall(r"([×÷]?)([\d,]+)", term):
            number = int(factor.replace(",", ""))
            product = product / number if op == "÷" else product * number
        total += -product if sign == "−" else product
    return total


def test_the_arithmetic_of_the_evidence_is_right() -> None:
    """Every equation of won and counts that is written as evidence holds."""
    equations = [
        e for s in build.SCENES for e in s.working.split(";") if re.fullmatch(r"[\d,+−×÷\s]+=[\d,+−×÷=\s]+", e)
    ]
    assert len(equations) > 8
    assert [e for e in equations if len({value(side) for side in e.split("=")}) != 1] == []


def test_no_misread_lesson_is_right_by_accident() -> None:
    """A wrong cell in a row or column of the two lessons that change places, or beside one of them, never shows the
    gold; and the changed week is a likely one: no day has a lesson twice."""
    cells = {(day, n): lesson for n, row in enumerate(timetables.LESSONS) for day, lesson in enumerate(row)}
    one, other = ((timetables.DAYS.index(day), n - 1) for day, n in timetables.SWAPPED)
    gold = cells[one]
    misread = {
        (day, n) for day, n in cells for d, m in (one, other) if day == d or n == m or abs(day - d) == abs(n - m) == 1
    }
    assert [place for place in misread if cells[place] == gold] == [one]
    cells[one], cells[other] = cells[other], gold
    assert [d for d in range(5) if len({cells[d, n] for n in range(6)}) < 6] == []


# --- the control -------------------------------------------------------------------------------------


def test_the_control_differs_by_the_picture_alone() -> None:
    """Item by item the same question, options and gold under the same id; no media; a canary of its own."""
    keep = ("id", "stratum", "type", "cluster_id", "fields", "options", "targets", "params", "status", "provenance")
    for seen, blind in zip(SEEN.items, BLIND.items, strict=True):
        assert [getattr(seen, k) for k in keep] == [getattr(blind, k) for k in keep]
        assert (len(seen.media), blind.media) == (1, ())
        assert not set(seen.tags) & set(blind.tags)
    assert SEEN.card.prompt.user == BLIND.card.prompt.user


def test_the_control_is_asked_for_by_name_only() -> None:
    """It is in no group and not in `all`; the pictures are in `all`, and in `korean` is neither."""
    assert build.BLIND not in {p.id for p in packs.select("all", TASKS)}
    assert build.PACK in {p.id for p in packs.select("all", TASKS)}
    assert not {build.PACK, build.BLIND} & {p.id for p in packs.select("korean", TASKS)}
    assert [p.id for p in packs.select(build.BLIND, TASKS)] == [build.BLIND]


def test_the_control_keeps_every_rule() -> None:
    """The control is held to the rules of every pack."""
    assert check.check_pack(BLIND) == []


def _apart(item: Item, n: int) -> int:
    return sum(Levenshtein.distance(item.options[n], other) for other in item.options)


def numbers_of(option: str) -> tuple[int, ...]:
    """`5,500원` is 5500, `12월 1일` is 12 and 1."""
    return tuple(map(int, re.findall(r"\d+", option.replace(",", ""))))


def in_order(item: Item) -> list[int]:
    """The places of the options from the least to the greatest: numbers by value, words by the alphabet."""
    return sorted(range(4), key=lambda n: (numbers_of(item.options[n]), item.options[n]))


def other_rules() -> dict[str, guessers.Guesser]:
    """Wrong options are often made from the right one by one change, and it lies in their middle."""
    return {
        "most like the others": lambda i, seen: [-_apart(i, n) for n in range(4)],
        "least like the others": lambda i, seen: [_apart(i, n) for n in range(4)],
        **{f"number {n + 1} in order": lambda i, seen, n=n: [k == in_order(i)[n] for k in range(4)] for n in range(4)},  # type: ignore[misc]
    }


GUESSERS = guessers.GUESSERS | other_rules()
"""Guessers that see no picture."""


@pytest.mark.parametrize("name", GUESSERS)
def test_no_guesser_beats_chance_without_the_picture(name: str) -> None:
    """Chance and two standard errors bound every rule of thumb, over all items and over those with numbers alone."""
    numbers = [i for i in BLIND.active if all(map(numbers_of, i.options))]
    for items in (BLIND.active, numbers):
        seen = Counter(o for i in items for o in set(map(hangul.squeeze, i.options)))
        right = sum(guessers.earned(i, GUESSERS[name](i, seen)) for i in items)
        assert right / len(items) <= 0.25 + 2 * (0.25 * 0.75 / len(items)) ** 0.5


def test_options_are_alike() -> None:
    """Four options of one kind and nearly one length; the gold stands six times at each place."""
    for i in SEEN.active:
        lengths = [len(o) for o in i.options]
        assert len(lengths) == 4
        assert max(lengths) - min(lengths) <= 3, i.id
    assert Counter(i.targets[0] for i in SEEN.active) == dict.fromkeys("1234", 6)
    assert Counter(i.stratum for i in SEEN.active) == {"sign": 6, "receipt": 6, "timetable": 6, "chat": 6}


def test_numbers_stand_in_their_natural_order() -> None:
    """Amounts, times and dates rise from the first option to the last, wherever the options are read as written."""
    numbers = [i for i in SEEN.active if all(map(numbers_of, i.options))]
    assert len(numbers) > 10
    assert [i.id for i in numbers if in_order(i) != [0, 1, 2, 3]] == []
    shown = re.findall(r"^([A-D])\. (.+)$", build.questions(), re.MULTILINE)
    assert shown == [pair for i in SEEN.active for pair in zip("ABCD", i.options, strict=True)]


def test_no_gold_is_the_sum_of_two_other_options() -> None:
    """Amounts that add up among the options would single the gold out without the picture."""
    won = [i for i in SEEN.active if all(o.endswith("원") for o in i.options)]
    assert len(won) == 4
    for i in won:
        amounts = [numbers_of(o)[0] for o in i.options]
        gold = amounts.pop(guessers.gold_index(i))
        assert gold not in {a + b for a, b in combinations(amounts, 2)}, i.id


# --- what a model is sent ----------------------------------------------------------------------------


def pictures_of(x: Exchange) -> list[tuple[str, bytes]]:
    """(media type, bytes) of the images in a request of either dialect."""
    if "contents" in x.body:
        inline: Sequence[dict[str, Any]] = [
            p["inlineData"] for p in x.body["contents"][0]["parts"] if "inlineData" in p
        ]
        return [(i["mimeType"], base64.b64decode(i["data"], validate=True)) for i in inline]
    content = x.body["messages"][-1]["content"]
    urls = [] if isinstance(content, str) else [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    found = [re.fullmatch(r"data:([^;]+);base64,(.+)", url, re.DOTALL) for url in urls]
    return [(m[1], base64.b64decode(m[2], validate=True)) for m in found if m]


@dataclass(frozen=True, slots=True)
class Asked:
    """A run's folder, the requests that the server received, and the run's rows."""

    folder: Path
    requests: list[Exchange]
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Both packs put to a model of each dialect that takes images, and to one that takes none."""
    cwd = tmp_path_factory.mktemp("image")
    for name in (build.PACK, build.BLIND):
        shutil.copytree(TASKS / name, cwd / "tasks" / name)
    models = {
        "sim-a": {"endpoint": "chat", "inputs": ["text", "image"]}, "sim-g": {"endpoint": "gem", "inputs": ["text", "image"]},
        "sim-text": {"endpoint": "chat"},
    }  # fmt: skip
    with FakeServer() as server:
        providers_yaml(cwd / "providers.yaml", server.url, models, {"gem": {"api": "gemini"}}, concurrency=8)
        ran = run_here(cwd, tasks=f"{build.PACK},{build.BLIND}")
    return Asked(ran.folder, server.history, rows_of(ran.folder))


@pytest.mark.parametrize("model", ["sim-a", "sim-g"])
def test_the_picture_arrives_byte_by_byte(asked: Asked, model: str) -> None:
    """Each question comes with exactly its file's bytes: as a data URI for OpenAI chat, as inlineData for Gemini."""
    files = {(i.fields["question"], "image/png", (SEEN.folder / i.media[0].path).read_bytes()) for i in SEEN.active}
    sent = {
        (x.question.split("\n")[0], *picture) for x in asked.requests if x.model == model for picture in pictures_of(x)
    }
    assert sent == files
    recorded = {
        json.loads(r["media_json"])[0]["sha256"] for r in asked.rows if r["model"] == model and r["pack"] == build.PACK
    }
    assert recorded == {sha256(data) for _, _, data in files}


def test_the_control_sends_no_picture(asked: Asked) -> None:
    """Asked blind, a model gets the same words without an image, and is told that there is none."""
    blind = [x for x in asked.requests if x.model == "sim-a" and not pictures_of(x)]
    assert {x.question.split("\n")[0] for x in blind} == {i.fields["question"] for i in BLIND.active}
    assert all("그림은 주어지지 않습니다" in x.body["messages"][0]["content"] for x in blind)


def test_a_model_of_text_is_asked_the_control_only(asked: Asked) -> None:
    """Without image input the pictures are `unsupported`, never a 0; the control is a fair question for anyone."""
    rows = [r for r in asked.rows if r["model"] == "sim-text"]
    assert Counter((r["pack"], r["status"], r["score"] is None) for r in rows) == {
        (build.PACK, "unsupported", True): 24, (build.BLIND, "ok", False): 24,
    }  # fmt: skip
    assert len([x for x in asked.requests if x.model == "sim-text"]) == 24


def test_show_names_the_picture(asked: Asked) -> None:
    """Who looks an item up learns which picture it was shown with; of the control, that there was none."""
    assert "shown with media/chat-001.png (image/png)" in show.item(asked.folder, f"{build.PACK}/chat-001")
    assert "shown with" not in show.item(asked.folder, f"{build.BLIND}/chat-001")


def test_the_wheel_carries_pictures_and_no_program_that_draws(tmp_path: Path) -> None:
    """Who installs the package can ask the pack; what made it needs the repository."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        for scene in build.SCENES:
            assert wheel.read(f"lmmbench/_data/tasks/{build.PACK}/{build.path_of(scene)}") == committed(scene)
    assert f"lmmbench/_data/tasks/{build.BLIND}/items.jsonl" in names
    assert not [n for n in names if "packtools" in n or n.endswith(".ttf")]
