"""How Sphinx builds the pages: `make docs`. The pages are plain Markdown; only `index.md` has a table of contents."""

import re
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

PAGES = Path(__file__).parent
OUTWARD = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")  # [text](../…)

project = "lstm-sweeps"
version = release = installed("lstm-sweeps")
language = "en"

extensions = ["myst_parser"]
nitpicky = True
smartquotes = False

# The pages read the same on GitHub, so what only MyST gives a meaning has none here either. A line that begins with
# "%" would vanish, for instance, as a comment.
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target", "myst_role"]
myst_heading_anchors = 4  # named as GitHub names them

html_theme = "alabaster"  # Sphinx's own
html_title = "lstm-sweeps"
html_theme_options = {
    "description": "One YAML file becomes a sweep of LSTM trainings over a Ray cluster.",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "body_max_width": "880px",
    "show_powered_by": False,
    "font_family": "system-ui, sans-serif",
    "head_font_family": "system-ui, sans-serif",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Hook what the pages need beside the settings."""
    app.connect("source-read", _inward)


def _inward(app: Sphinx, page: str, source: list[str]) -> None:
    """Take away links to folders and to Markdown outside of `docs/`, which a built page can't follow.

    MyST makes a download of any other file there. `tests/test_docs.py` checks the links themselves.
    """
    here = (PAGES / page).parent

    def kept(link: re.Match[str]) -> str:
        there = (here / link[2]).resolve()
        leads_out = not there.is_relative_to(PAGES) and (there.is_dir() or there.suffix == ".md")
        return link[1] if leads_out else link[0]

    source[0] = OUTWARD.sub(kept, source[0])
