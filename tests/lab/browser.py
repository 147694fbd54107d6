"""A real Chromium without a window: opens a page, keeps what its console says, takes pictures."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SIZE = {"width": 1600, "height": 1000}  # pixels


def executable() -> str | None:
    """The path of a Chromium of this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass
class Opened:
    """A tab, and the errors that its console and its scripts have told so far."""

    page: Any  # playwright's Page
    errors: list[str] = field(default_factory=list)


@contextmanager
def started() -> Iterator[Any]:
    """A running Chromium, playwright's Browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, address: str, *, dark: bool = False, script: str = "", **context_of: Any) -> Iterator[Opened]:
    """A tab of its own (no cookie and nothing stored from another) with a page; a script runs before the page's own."""
    context = browser.new_context(**{"viewport": SIZE, "color_scheme": "dark" if dark else "light"} | context_of)
    if script:
        context.add_init_script(script)
    tab = Opened(context.new_page())
    tab.page.on("console", lambda told: tab.errors.append(_said(told)) if told.type == "error" else None)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    try:
        tab.page.goto(address)
        yield tab
    finally:
        context.close()


def _said(told: Any) -> str:
    """An error of the console, with the address that it is about."""
    return f"{told.text} {told.location.get('url', '')}".strip()
