"""From scenes to the two packs: pictures, items, and the questions alone for someone who is to answer them blind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmbench.canon import sha256
from packtools.korean_image import chats, receipts, signs, timetables
from packtools.korean_image.pen import FontOf, canvas, png
from packtools.korean_image.scene import Scene

ROOT = Path(__file__).parents[2]
PACK, BLIND = "korean-image", "korean-image-blind"
CANARY = {PACK: "canary:ff00e3c3-0f8b-4fbb-9964-541e22e82d8e", BLIND: "canary:dd40dfa2-6dbe-4133-8feb-d885ea42143c"}
SCENES: tuple[Scene, ...] = (*signs.SCENES, *receipts.SCENES, *timetables.SCENES, *chats.SCENES)
MADE_ON = "2026-11-22"


@dataclass(frozen=True, slots=True)
class Picture:
    """A scene's PNG, and every text on it with its face."""

    data: bytes
    drawn: tuple[tuple[str, str], ...]


def paint(scene: Scene, font: FontOf) -> Picture:
    pen = canvas(scene.size, scene.paper, font)
    scene.paint(pen)
    return Picture(png(pen.image), tuple(pen.drawn))


def path_of(scene: Scene) -> str:
    return f"media/{scene.id}.png"


def item(scene: Scene, data: bytes, checks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The scene as a line of items.jsonl. The picture is the source of what is claimed, and is cited as the page read."""
    evidence = [{"kind": "page", "ref": path_of(scene), "quote": " / ".join(scene.quote), "read_on": MADE_ON}]
    if scene.working:
        code = f"packtools/korean_image/{scene.paint.__module__.rpartition('.')[2]}.py"
        evidence.append({"kind": "arithmetic", "ref": code, "quote": scene.working, "read_on": MADE_ON})
    return {
        "id": scene.id, "stratum": scene.stratum, "type": scene.type, "cluster_id": f"picture:{scene.id}",
        "fields": {"question": scene.question}, "options": list(scene.options), "targets": [str(scene.at)],
        "params": {}, "media": [{"path": path_of(scene), "mime": "image/png", "sha256": sha256(data)}],
        "tags": [CANARY[PACK]], "status": "active",
        "provenance": {
            "made_on": MADE_ON, "made_by": "language model (question, picture data and drawing program)",
            "claim": scene.claim, "evidence": evidence, "attestation": "page", "checks": list(checks),
        },
    }  # fmt: skip


def without_picture(seen: dict[str, Any]) -> dict[str, Any]:
    """The control's item: the same question and options, and nothing to look at."""
    return seen | {"media": [], "tags": [CANARY[BLIND]]}


def content(seen: dict[str, Any]) -> tuple[Any, ...]:
    """What a check of an item is a check of. The order of the options is no part of it: each asking draws it anew."""
    (gold,) = seen["targets"]
    return seen["fields"], sorted(seen["options"]), seen["options"][int(gold) - 1], seen["media"]


def standing_checks(pack: Path) -> dict[str, dict[str, Any]]:
    """The items as they stand, by id; none when the pack is not there yet."""
    path = pack / "items.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {one["id"]: one for one in map(json.loads, lines)}


def items(pictures: dict[str, bytes], standing: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every item; one whose question and picture have not changed keeps its checks."""
    out = []
    for scene in SCENES:
        made = item(scene, pictures[scene.id], ())
        before = standing.get(scene.id)
        if before and content(before) == content(made):
            made["provenance"]["checks"] = before["provenance"]["checks"]
        out.append(made)
    return out


def write(tasks: Path, pictures: dict[str, bytes]) -> None:
    """Write the pictures and both packs' items below `tasks`; the cards' hashes are left to `lmmbench check --write-hash`."""
    (tasks / PACK / "media").mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        (tasks / PACK / path_of(scene)).write_bytes(pictures[scene.id])
    made = items(pictures, standing_checks(tasks / PACK))
    for name, lines in ((PACK, made), (BLIND, [without_picture(one) for one in made])):
        (tasks / name).mkdir(exist_ok=True)
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (tasks / name / "items.jsonl").write_text(text, encoding="utf-8", newline="\n")


def questions() -> str:
    """The questions with lettered options and no gold, in Markdown, for an answer from the picture alone."""
    parts = []
    for scene in SCENES:
        shown = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", scene.options, strict=True))
        parts.append(f"## {scene.id}.png\n\n{scene.question}\n\n{shown}\n")
    return "\n".join(parts)
