"""Pieces of a page in Markdown."""

import re
import textwrap

WIDTH = 118


def paragraphs(text: str) -> str:
    """Return a text with its paragraphs wrapped, each followed by an empty line."""
    return "".join(f"{wrapped(' '.join(part.split()))}\n\n" for part in text.split("\n\n"))


def wrapped(text: str, hanging: str = "") -> str:
    """Return a text in lines that fit, the second and later ones after `hanging`."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False, tabsize=1
    )


def code(language: str, text: str) -> str:
    """Return a block of code, followed by an empty line."""
    return f"```{language}\n{text.rstrip()}\n```\n\n"


def anchor(heading: str) -> str:
    """Return the name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(heading: str) -> str:
    """Return a link to a heading of the same page."""
    return f"[{heading}](#{anchor(heading)})"
