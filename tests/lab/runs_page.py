"""MLflow's page of runs in a browser: what its table, its charts and its menus show.

with opened(chromium, address) as page:
    page.rows(); page.columns(); page.charts()
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browser

PATIENCE_MS = 120_000  # on a busy machine
# MLflow's assistant would cover a third of the page.
QUIET = """
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')
"""
DARK = "localStorage.setItem('_mlflow_dark_mode_toggle_enabled', 'true')\n"
# Of MLflow's page itself: it asks for a user, whom a server without passwords does not know; it draws too often.
_OF_MLFLOW = ("/mlflow/users/current", "ResizeObserver loop")
_ROWS = """() => [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]
    .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index')).map(row => row.innerText)"""
_CELLS = """() => [...document.querySelectorAll('.ag-center-cols-container .ag-row')]
    .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
    .map(row => Object.fromEntries([...row.querySelectorAll('.ag-cell')]
        .map(cell => [cell.getAttribute('col-id'), cell.innerText])))"""
_HEADS = """() => [...document.querySelectorAll('.ag-header-cell')]
    .sort((a, b) => a.getBoundingClientRect().left - b.getBoundingClientRect().left)
    .map(head => head.innerText).filter(Boolean)"""
_PLOTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
    type: plot.data[0]?.type, traces: plot.data.length, y: plot.layout.yaxis?.type }))"""


class RunsPage:
    """A page of runs that stands."""

    def __init__(self, tab: browser.Opened) -> None:
        self.page, self._tab = tab.page, tab

    @property
    def errors(self) -> list[str]:
        """What the console and the scripts have told, without MLflow's own."""
        return [error for error in self._tab.errors if not any(each in error for each in _OF_MLFLOW)]

    def wait_for_rows(self, first: str) -> None:
        """Wait until a run stands in the first row."""
        self.page.wait_for_function(f"name => (({_ROWS})()[0] || '').includes(name)", arg=first, timeout=PATIENCE_MS)

    def rows(self) -> list[str]:
        """The names of the runs and groups on the screen, from above."""
        return [re.split(r"\n", row)[-2 if "ago" in row else -1] for row in self.page.evaluate(_ROWS)]

    def cells(self) -> list[dict[str, str]]:
        """The cells of the rows on the screen, by the id of their columns."""
        found: list[dict[str, str]] = self.page.evaluate(_CELLS)
        return found

    def columns(self) -> list[str]:
        """The heads of the columns on the screen, from the left."""
        found: list[str] = self.page.evaluate(_HEADS)
        return found

    def wait_for_charts(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many charts are drawn; what they are."""
        drawn = "document.querySelectorAll('.js-plotly-plot .main-svg').length"
        self.page.wait_for_function(f"{drawn} >= {count}", timeout=PATIENCE_MS)
        found: list[dict[str, Any]] = self.page.evaluate(_PLOTS)
        return found

    def shows(self, words: Sequence[str]) -> None:
        """Wait until each text stands somewhere in the page."""
        for word in words:
            self.page.get_by_text(word, exact=True).first.wait_for(state="attached", timeout=PATIENCE_MS)

    def as_table(self) -> None:
        """Click on the table, as a user does."""
        self.page.locator("[role=radiogroup] label").first.click()

    def as_charts(self) -> None:
        """Click on the charts, as a user does."""
        self.page.locator("[role=radiogroup] label").nth(1).click()

    def sort_by(self, head: str) -> float:
        """Click on the head of a column and wait for other rows; the seconds that it took."""
        before, began = self.page.evaluate(_CELLS), time.monotonic()
        self.page.get_by_test_id(f"sort-header-{head}").click()
        other = f"before => JSON.stringify(({_CELLS})()) !== JSON.stringify(before)"
        self.page.wait_for_function(other, arg=before, timeout=PATIENCE_MS)
        return time.monotonic() - began

    def photograph(self, file: Path) -> None:
        """Save what the screen shows."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=file)


@contextmanager
def opened(chromium: Any, address: str, *, dark: bool = False, **context: Any) -> Iterator[RunsPage]:
    """A page of runs in a tab of its own."""
    with browser.opened(chromium, address, dark=dark, script=QUIET + (DARK if dark else ""), **context) as tab:
        yield RunsPage(tab)
