"""Which reference page is made by which function."""

from collections.abc import Callable, Mapping
from pathlib import Path

from experiments.reference import errors, python, spec, verbs

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "spec.md": spec.page,
    "verbs.md": verbs.page,
    "errors.md": errors.page,
    "python.md": python.page,
}


def write() -> None:
    """Write each page to its file."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
