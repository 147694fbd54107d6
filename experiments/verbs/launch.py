"""`sweep launch`: submit a sweep to a system that gives out nodes, or print what would be submitted."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.home import Home
from experiments.launching import submitting
from experiments.launching.requests import Asked, Ready, make
from experiments.terminal.output import emit, print_note


def main(
    *,
    home: str,
    named: str,
    system: str,
    profile: str | None,
    fields: Mapping[str, Any],
    upload: str | None = None,
    dry_run: bool,
    overrides: Sequence[str],
    code: str | None,
    as_json: bool,
) -> None:
    """Submit the sweep and print its job; with `dry_run` print the text instead."""
    where = Home.at(home)
    ready = make(named, where, Asked(system, profile, fields, upload), overrides, code)
    text = submitting.text_of(ready.request)
    if dry_run:
        _show_text(ready.not_submitted(), text, as_json=as_json)
        return
    launched = submitting.submit(ready.request, where, text, ready.study_url, ready.uploads)
    if as_json:
        emit({**ready.document(), "job": launched.job, "where": dict(launched.where)})
        return
    for label, said in ready.rows():
        print(f"{label:8} {said}")
    name = f"{ready.request.name}{where.flag}"
    print(f"{'job':8} {launched.system} job {launched.job}")
    print(f"{'next':8} sweep status {name} · sweep logs {name} · sweep stop {name}")


def _show_text(ready: Ready, text: str, *, as_json: bool) -> None:
    if as_json:
        emit({**ready.document(), "text": text})
        return
    for each in [*ready.shape.unknown, *ready.notes, *ready.plan["warnings"]]:
        print_note(each)
    print(text, end="")
