"""How these tests are run."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import MOST_WORKERS, pytest_xdist_auto_num_workers

ALL = min(os.cpu_count() or 1, MOST_WORKERS)


@pytest.mark.parametrize(
    ("args", "options", "processes"),
    [
        (["tests"], {}, ALL),
        (["/here/a.pyx/tests", "."], {}, ALL),
        (["tests/test_shards.py"], {}, 0),
        (["tests/test_shards.py::test_shares_add_up"], {}, 0),
        (["tests"], {"keyword": "shares"}, 0),
        (["tests"], {"capture": "no"}, 0),
    ],
)
def test_a_part_of_the_suite_waits_for_no_other_process(
    args: list[str], options: dict[str, str], processes: int
) -> None:
    """All tests take every core; a file, a test, a word, and output that is to be seen (`make prove`), none but its own."""
    config: Any = SimpleNamespace(args=args, option=SimpleNamespace(**{"keyword": "", "capture": "fd", **options}))
    assert pytest_xdist_auto_num_workers(config) == processes


def test_the_environment_is_the_same_everywhere() -> None:
    """The width of tables is no shell's and no terminal's; threads that wait leave the cores to others."""
    assert (os.environ["COLUMNS"], os.environ["OMP_WAIT_POLICY"]) == ("120", "passive")
