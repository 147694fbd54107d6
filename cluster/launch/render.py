"""Renders a template of a system. A name that a template lacks is an error, never an empty text."""

import shlex
from pathlib import Path
from typing import Any

import jinja2


def render(folder: Path, template: str, /, **values: Any) -> str:
    """Return a template of a folder, filled in. Its filter `quote` makes any text one word of shell.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # these are scripts and YAML, not HTML
    )
    made.filters["quote"] = lambda value: shlex.quote(str(value))
    return made.get_template(template).render(values)
