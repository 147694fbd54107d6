"""Renders a template of a system. A name that a template lacks is an error, never an empty text."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2


def render(folder: Path, template: str, /, **values: Any) -> str:
    """Return a template of a folder, filled in. Its filter `quote` makes any text one word of shell.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return environment(folder).get_template(template).render(values)


def environment(folder: Path, finalize: Callable[[Any], str] | None = None) -> jinja2.Environment:
    """Return the environment of a folder's templates; `finalize` writes each value that one of them names."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # these are scripts and YAML, not HTML
    )
    made.filters["quote"] = lambda value: shlex.quote(str(value))
    return made
