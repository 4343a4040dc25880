"""A headless browser for the tests of pages: whatever Chromium, Chrome or Edge this machine has.

Playwright drives it and comes with pip. The browser itself comes with no pip package that we trust to be kept up, so it
is looked for, never downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

INSTALL = "install Chrome, Edge or Chromium (Debian, Ubuntu: apt-get install chromium)"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


class NoBrowser(Exception):
    """No browser can be started here; the text says what to install."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A running browser. Raises NoBrowser. While it runs, this thread cannot run an event loop of its own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowser('playwright is missing: pip install -c constraints.txt -e ".[dev]"') from None
    with sync_playwright() as playwright:
        try:
            started = _launch(playwright)
        except Error as e:
            raise NoBrowser(f"no browser can be started ({str(e).splitlines()[0]}): {INSTALL}") from None
        yield started
        started.close()


def _launch(playwright: Playwright) -> Browser:
    from playwright.sync_api import Error

    for name in _NAMES:
        if path := shutil.which(name):
            return playwright.chromium.launch(executable_path=path)
    try:
        return playwright.chromium.launch(channel="chrome")  # macOS and Windows keep it in no PATH
    except Error:
        return playwright.chromium.launch(channel="msedge")
