"""The reference page of errors and notes, made of the catalog in `lstm/messages/`."""

import string
import textwrap
from collections.abc import Iterator

from lstm.messages.catalog import NOTES, SUBJECTS
from lstm.messages.entry import Entry, render

HEAD = """\
# Errors and notes

This page is generated from the catalog in `lstm/messages/` (`make schema`). Do not edit it.

The command line prints an error as `place: field: what is wrong; what to do`. The place is a file with its line, a flag
or a host. If the field names a file of yours, the line of that file follows. The exit code is 2; it is 1 if nothing was
wrong with the input, and 3 if another driver holds the sweep. With `--json` standard output has the same as data:

```json
{"errors": [{"code": "unknown-field", "place": "co2.yaml:11", "path": "model.hiden_size",
             "within": "", "values": {"near": "hidden_size"}, "message": "…", "mend": "…"}]}
```

A note says what was decided, left out or put off, and stops nothing. The command line prints it on standard error after
`note:`. With `--json` the document has notes as records of the same form in `warnings`.

In Python `SpecError.faults` has a `Fault` for each error, `warnings` has a `Note` for each note, with `code`, `place`,
`path`, `within`, `values`, `text` and `mend`. `str()` gives the sentence.

A word `in this type` stands for a value. A part in [brackets] is written only if the value exists.
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([HEAD, *_subjects()]) + "\n"


def _subjects() -> Iterator[str]:
    for title, entries in (*SUBJECTS.items(), *((f"Notes: {title}", entries) for title, entries in NOTES.items())):
        if entries:
            yield f"## {title}\n"
            yield from (_entry(code, entries[code]) for code in sorted(entries))


def _entry(code: str, entry: Entry) -> str:
    said = f"… {outline(entry.text)}"
    lines = [f"### `{code}`\n", f"**What it means:** {said}\n"]
    lines += [f"**What to do:** {outline(entry.mend)}\n"] if entry.mend else []
    if entry.example:
        shown = "; ".join(filter(None, (render(entry.text, entry.example), render(entry.mend, entry.example))))
        lines.append(f"Example: … {shown}\n")
    return "\n".join(map(_wrapped, lines))


def _wrapped(text: str) -> str:
    return textwrap.fill(text.rstrip(), 118, break_long_words=False, break_on_hyphens=False) + "\n"


def outline(text: str) -> str:
    """A text with its fields as a reader of the documentation sees them."""
    parts = string.Formatter().parse(text)
    return "".join(plain + (_shown(name, spec or "") if name else "") for plain, name, spec, _ in parts)


def _shown(name: str, spec: str) -> str:
    return f"[{spec[1:].replace('*', f'`{name}`')}]" if spec.startswith("?") else f"`{name}`"
