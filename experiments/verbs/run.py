"""`sweep run`: drive a sweep to its end, record it, judge its best trial and print what was found."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

from experiments import judgement
from experiments.home import Home
from experiments.launching.waiting import patiently
from experiments.operations import running
from experiments.planning import Plan
from experiments.report import REPORT
from experiments.terminal import streams
from experiments.terminal.log import HURRY_S, open_log, redirected
from experiments.terminal.output import emit
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from rich.console import Console


def main(
    *,
    home: str,
    named: str,
    address: str | None,
    overrides: Sequence[str],
    as_json: bool,
    in_process: bool,
    code: str | None = None,
    retries: Sequence[int] = (),
    extensions: Sequence[Derived] = (),
    confirm: running.Confirm | None = None,
) -> int:
    """Run the sweep, the failed trials in `retries` again, and the extensions of ended ones. Returns the exit code.

    `confirm` says how many of the best settings are trained again when the search has ended, and from how many seeds.
    """
    where, more = Home.at(home), (retries, extensions)
    given = partial(running.prepare, named, where, address, overrides, *more, in_process=in_process, code=code)
    ready = patiently(partial(given, confirm=confirm))
    with (
        open_log(ready.plan, ready.started) as log,
        redirected(log, to_stderr=as_json, is_debugged=in_process) as relay,
    ):
        document = _run(ready, relay, as_json=as_json)
        if document["exit_code"]:
            relay.patience_s = HURRY_S
    if as_json:
        emit(document)
    return int(document["exit_code"])


def _run(ready: running.Ready, relay: streams.Relay, *, as_json: bool) -> running.Document:
    from cluster.interrupts import signals
    from experiments.terminal.formats import console
    from experiments.terminal.live import Screen
    from experiments.terminal.summary import show_end

    screen = console(file=cast("TextIO", relay))

    def looks(before: Sweep | None) -> Screen:
        return Screen.of(ready.plan.order, screen, before, log=sys.stdout)  # now redirected to the log

    ended = running.carry_out(ready, looks, signals=signals)
    verdict, note = judgement.current(ready.plan.home, ended.sweep)
    document = running.document(ready.plan, ended, verdict)
    if not as_json:
        show_end(document, screen, verdict, note)
        _show_next(ready.plan, document, screen)
    return document


def _show_next(plan: Plan, document: running.Document, console: "Console") -> None:
    """Print the commands that show what was found, and what to do next."""
    name, home = plan.order.name, plan.home.flag
    console.print()
    own = plan.tracking_uri == plan.home.tracking_uri
    if own:
        console.print(f"Curves, side by side   sweep ui {name}{home}", soft_wrap=True)
    if document["chart"]:
        start = "                       opens" if own else "Curves, side by side  "
        console.print(f"{start} {document['chart']}", soft_wrap=True)
    if (plan.home.sweep(name) / REPORT).is_file():
        console.print(f"Report                 {plan.home.sweep(name) / REPORT}", soft_wrap=True)
    console.print(f"Trials in a table      sweep compare {name}{home}", soft_wrap=True)
    if document["best"]:
        task = tasks.of(plan.order.base)
        into = " --input FILE" if task.needs_input(plan.order.base.data) else ""
        console.print(f"{task.prediction:22} sweep predict {name}{home}{into}{task.output}", soft_wrap=True)
    console.print(f"Log                    {plan.home.sweep(name) / 'sweep.log'}", soft_wrap=True)
