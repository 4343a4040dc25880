"""docs/promises.md promises nothing that no test holds."""

from __future__ import annotations

import re

from tests.kit import ROOT, names_of_tests

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PROMISES = {
    title[:2]: body for title, body in re.findall(r"^## (G\d: [^\n]*)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
}


def test_every_promise_names_tests_that_exist() -> None:
    """G1 to G9, each with what it does not promise and with the names of tests that are there."""
    there = names_of_tests()
    assert list(PROMISES) == [f"G{n}" for n in range(1, 10)]
    for name, body in PROMISES.items():
        tests = re.findall(r"^- `(.+)`$", body, re.MULTILINE)
        assert tests, f"{name} names no test"
        assert [t for t in tests if t not in there] == [], name
        assert "**Not promised:**" in body, name


def test_a_test_that_is_gone_would_be_missed() -> None:
    """The list of tests holds those of this file, and no others."""
    there = names_of_tests()
    assert "test_promises.py::test_every_promise_names_tests_that_exist" in there
    assert "test_promises.py::test_that_nobody_wrote" not in there
