"""Draws the pictures again and writes both packs; see the package's docstring."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmmbench.check import write_hash
from packtools.korean_image import build, fonts


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m packtools.korean_image", description=__doc__)
    options.add_argument("--fonts", type=Path, metavar="DIR", help="the folder of the whole fonts; renews the subsets")
    options.add_argument(
        "--blind", type=Path, metavar="DIR", help="write pictures and questions without gold there, and no pack"
    )
    given = options.parse_args()
    try:
        files = fonts.whole_files(given.fonts) if given.fonts else fonts.subset_files()
    except (OSError, ValueError) as e:
        raise SystemExit(f"{e}; --fonts names the folder of fonts-nanum's .ttf files") from None
    font = fonts.opener(files)
    pictures = {scene.id: build.paint(scene, font) for scene in build.SCENES}
    used = fonts.characters(text for p in pictures.values() for text in p.drawn)
    for face, characters in used.items():
        if missing := fonts.blank(files[face], characters):
            raise SystemExit(f"{files[face].name} does not draw {' '.join(sorted(missing))}; write it otherwise")
        if given.fonts:
            fonts.write_subset(files[face], face, characters)
    if given.blind:
        write_blind(given.blind, {name: p.data for name, p in pictures.items()})
    else:
        write_packs({name: p.data for name, p in pictures.items()})


def write_packs(pictures: dict[str, bytes]) -> None:
    tasks = build.ROOT / "tasks"
    build.write(tasks, pictures)
    for name in (build.PACK, build.BLIND):
        write_hash(tasks / name)
    print(f"{len(pictures)} pictures, {sum(map(len, pictures.values())) / 1000:.0f} kB")


def write_blind(folder: Path, pictures: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        (folder / f"{name}.png").write_bytes(data)
    (folder / "questions.md").write_text(build.questions(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
