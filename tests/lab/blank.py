"""Reports and pages of probes without what is drawn, for tests of which neither is the point.

To draw is a quarter of a small sweep's cost, and two thirds of a probe's. What is in the files, and that they are
written, kept, compared and delivered, stays as it is. Children that are forked later have it, too. Those of `near`,
`near_sweep` and `twin` draw nothing, except where they are told to.
"""

from collections.abc import Callable
from typing import Any

import pytest

from dashboards.report import page
from lstm.records.sweep import Sweep


def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, until the test has ended, a report or a probe's page has its title alone."""
    monkeypatch.setattr(page, "report", _report)
    monkeypatch.setattr(page, "probe_page", _probe_page)


def for_good() -> None:
    """The same until this process ends, which is a child of its own."""
    page.report, page.probe_page = _report, _probe_page  # type: ignore[assignment]


def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of the pictures that a probe or a task measures anew; a report keeps the figures of the sweep."""

    def drawn(shown: Any, _: Callable[..., str]) -> str:
        return f"<h3>{shown.title}</h3>"

    monkeypatch.setattr(page, "_drawn", drawn)


def _report(sweep: Sweep, *_: Any) -> str:
    return _titled(sweep.name)


def _probe_page(title: str, *_: Any) -> str:
    return _titled(title)


def _titled(title: str) -> str:
    return f"<!DOCTYPE html>\n<title>{title}</title>\n"
