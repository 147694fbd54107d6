"""The HTML that the pages share: the frame with its styles, a section, a table, and numbers as text."""

import html
from collections.abc import Sequence

from plotly.offline import get_plotlyjs

OURS = '<meta name="generator" content="lstm-sweeps">'  # in the head of each page that we write
NONE = "\u2013"  # a dash for an empty cell
WORDS = {"COMPLETE": "completed", "PRUNED": "stopped early", "FAIL": "failed", "RUNNING": "running"}
_CSS = """
:root { color-scheme: light; --ink: #1f2933; --quiet: #616e7c; --line: #e4e7eb; --back: #f5f7fa; --card: #ffffff;
  --best: #d9480f; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 20px 0 2px; }
.found { font-size: 18px; margin: 0 0 8px; overflow-wrap: anywhere; }
.note { color: var(--quiet); font-size: 14px; margin: 0 0 12px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 20px 24px;
  margin-top: 20px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 20px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 18px;
  min-width: 110px; }
.tile b { display: block; font-size: 22px; line-height: 1.3; }
.tile span { color: var(--quiet); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 18px 5px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
table.words th:last-child, table.words td:last-child { text-align: left; white-space: normal; }
table.texts { width: 100%; }
table.texts th, table.texts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
tr.best td { font-weight: 600; color: var(--best); }
pre { font-size: 13px; line-height: 1.45; overflow-x: auto; margin: 12px 0 0; }
pre.text { white-space: pre-wrap; overflow-wrap: anywhere; }
pre.text i { font-style: normal; color: var(--quiet); }
pre.text b { font-weight: normal; }
summary { cursor: pointer; font-weight: 600; }
.figure { width: 100%; }
"""


def page(title: str, body: str, *, style: str = "", end: str | None = None) -> str:
    """Return one HTML document with plotly.js (5 MB) inside, before the body; with `end` after it, and that before it.

    A browser shows the body before it reads what comes after it.
    """
    plotly = f"<script>{get_plotlyjs()}</script>"
    before, after = (plotly, "") if end is None else ("", f"{end}{plotly}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{OURS}<title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">\n'
        f"<style>{_CSS}{style}</style>\n{before}</head>\n<body><main>\n{body}\n</main>{after}</body></html>\n"
    )


def section(title: str, note: str, body: str) -> str:
    """Return a section of a page; title and note are plain text, the body is HTML."""
    return f'<section><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>{body}</section>'


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], best_first: bool = False, *, words_last: bool = False
) -> str:
    """Return a table of plain texts; with `words_last` the last column has sentences."""
    head = "".join(f"<th>{html.escape(each)}</th>" for each in heads)
    body = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        body.append(f'<tr class="best">{cells}</tr>' if best_first and i == 0 else f"<tr>{cells}</tr>")
    kind = ' class="words"' if words_last else ""
    return f'<div class="scroll"><table{kind}><tr>{head}</tr>{"".join(body)}</table></div>'


def texts(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of long texts side by side, which may have several lines."""
    lines = ["".join(f"<th>{html.escape(each)}</th>" for each in heads)]
    lines += ["".join(f"<td>{html.escape(each)}</td>" for each in row) for row in rows]
    return f'<table class="texts">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'


def cell(value: object) -> str:
    """Return a value as a cell shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}"
    return NONE if value is None else str(value)


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
