"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

from tests import kit  # noqa: F401 (sets the environment of every test, whichever file it stands in)

# how long an example takes depends on the machine, and no test here is about time
settings.register_profile("lmmbench", deadline=None)
settings.load_profile("lmmbench")

MOST_WORKERS = 8
"""Each collects all tests and holds half a gigabyte: more of them cost more than they bring."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The processes of `-n auto`: one a core for folders of tests; none beside this one for a file or a test, for `-k`,
    and where output is to be seen (`-s`), so that looking into one test waits for nothing."""
    part = config.option.keyword or any(arg.partition("::")[0].endswith(".py") for arg in config.args)
    return 0 if part or config.option.capture == "no" else min(os.cpu_count() or 1, MOST_WORKERS)
