"""Imports point downwards only, so that a reader can start at the bottom and never look up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmmbench

SOURCE = Path(lmmbench.__file__).parent

LAYERS: tuple[tuple[str, ...], ...] = (
    # 0: the nouns, the one table of faults, canonical bytes. They import nothing of ours.
    ("lmmbench", "types", "faults", "canon", "secret"),
    # 1: tools that know of no pack, no vendor and no run
    (
        "net",
        "prompts",
        "stats",
        "disk",
        "files",
        "doors",
        "media",
        "alarms",
        "money",
        "terminal",
        "retired",
        "policy",
        "hangul",
    ),
    # 2: what is asked, who is asked, how it is graded, and where all that lies
    ("config", "packs", "validators", "guessers", "scorers", "providers", "places", "archive"),
    # 3: one item in, one row out
    ("shards", "journal", "plan", "results", "runner", "replay"),
    # 4: what is read out of a run's files
    ("analysis",),
    # 5: what people call
    (
        "progress",
        "bench",
        "publisher",
        "check",
        "cluster",
        "datasheet",
        "seal",
        "imports",
        "doctor",
        "show",
        "gate",
        "ci",
        "api",
        "cli",
        "__main__",
    ),
)
"""Every module of lmmbench; a folder stands for all that is in it. `lmmbench` is the package's own __init__."""

EXCUSED = {
    ("lmmbench", "api"): "`lmmbench.load` and `lmmbench.matrix` are handed out when someone asks for them",
}
"""(importing module, imported module): why this pair may look up, or at itself."""

Edges = dict[str, set[str]]


def module_name(path: Path, source: Path) -> str:
    """`scorers.exact` for scorers/exact.py, `scorers` for its __init__, `lmmbench` for the package itself."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "lmmbench"


def imported(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Modules of ours that a file imports anywhere: at the top, in a function, or for its types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write the module's full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            inside = name.removeprefix("lmmbench.") if name.startswith("lmmbench.") else ""
            parent = inside.rpartition(".")[0]
            if name == "lmmbench" or inside:
                # a name that is no module is a thing inside its parent
                yield inside if inside in modules else parent if parent in modules else "lmmbench"


def imports(source: Path) -> Edges:
    """Which modules of ours each module imports."""
    paths = {module_name(p, source): p for p in source.rglob("*.py")}
    return {name: set(imported(ast.parse(p.read_bytes()), set(paths))) for name, p in paths.items()}


def layer(module: str) -> int | None:
    """The module's layer: its own entry, else that of the folder it is in; None when the table has neither."""
    for number, names in enumerate(LAYERS):
        if module in names or module.partition(".")[0] in names:
            return number
    return None


def breaches(edges: Edges) -> list[str]:
    """One sentence for each module that has no place in the table and for each import that points upwards."""
    found = [
        f"lmmbench.{name} is in no layer: give it a place in LAYERS of tests/test_layers.py"
        for name in sorted(edges)
        if layer(name) is None
    ]
    for name, targets in sorted(edges.items()):
        for target in sorted(targets - {name}):
            here, there = layer(name), layer(target)
            if here is not None and there is not None and there > here and (name, target) not in EXCUSED:
                found.append(
                    f"lmmbench.{name} (layer {here}) imports lmmbench.{target} (layer {there}), which is above it"
                )
    return found


def circle(edges: Edges) -> list[str]:
    """Modules that import each other in a circle, excused imports left out; empty when there is none."""
    left = {n: {t for t in targets - {n} if (n, t) not in EXCUSED} for n, targets in edges.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


def test_imports_point_downwards_only() -> None:
    """No module imports one of a higher layer, not even inside a function; each module has a layer."""
    assert breaches(imports(SOURCE)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Within a layer, too, there is an order in which the modules can be read."""
    assert circle(imports(SOURCE)) == []


def test_the_lowest_layer_imports_nothing_of_ours() -> None:
    """types, faults and canon can be read without anything else."""
    edges = imports(SOURCE)
    assert {name: edges[name] for name in ("types", "faults", "canon")} == {
        "types": set(),
        "faults": set(),
        "canon": set(),
    }


def test_analysis_reads_files_only() -> None:
    """What reads a run's files never imports the runner, the providers or the packs."""
    for name, targets in imports(SOURCE).items():
        if name.partition(".")[0] == "analysis":
            above = {t for t in targets if t.partition(".")[0] in ("runner", "providers", "packs")}
            assert not above, f"lmmbench.{name} imports {', '.join(sorted(above))}; let it read the run's files instead"


def test_the_table_names_no_module_that_is_gone() -> None:
    """Table and excuses are kept up to date."""
    edges = imports(SOURCE)
    names = [name for names in LAYERS for name in names]
    assert len(names) == len(set(names))
    assert set(names) <= set(edges)
    assert [pair for pair in EXCUSED if pair[1] not in edges.get(pair[0], ())] == []


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("types.py", "from lmmbench import runner", "lmmbench.types (layer 0) imports lmmbench.runner (layer 3)"),
        ("stats.py", "def f():\n    import lmmbench.cli", "lmmbench.stats (layer 1) imports lmmbench.cli (layer 5)"),
        ("net/new.py", "from lmmbench.journal import Writer", "lmmbench.net.new (layer 1) imports lmmbench.journal"),
        ("novel.py", "", "lmmbench.novel is in no layer: give it a place in LAYERS"),
    ],
)
def test_a_breach_is_said_in_one_sentence(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    """An upward import is found wherever it hides, and a new module without a layer is named."""
    (tmp_path / "net").mkdir()
    for name in ("__init__", "runner", "cli", "journal", "net/__init__"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / file).write_text(text, encoding="utf-8")
    (found,) = breaches(imports(tmp_path))
    assert found.startswith(sentence)


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Two modules of one layer that import each other are named."""
    (tmp_path / "journal.py").write_text("from lmmbench.plan import Plan", encoding="utf-8")
    (tmp_path / "plan.py").write_text("def f():\n    from lmmbench import journal", encoding="utf-8")
    (tmp_path / "runner.py").write_text("from lmmbench.plan import Plan", encoding="utf-8")
    assert circle(imports(tmp_path)) == ["journal", "plan", "runner"]
