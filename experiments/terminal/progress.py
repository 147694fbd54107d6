"""The progress of a sweep, for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.terminal.formats import (
    beside_lines,
    console,
    duration,
    goodput_line,
    settings,
    state_counts,
    state_word,
)
from experiments.terminal.live import BASE_SETTINGS
from lstm.records.trial import counted, epochs_named

if TYPE_CHECKING:
    from rich.console import Console


def launched_line(document: Mapping[str, Any]) -> str:
    """Return a job and its state in a sentence, from their row."""
    word = f"{document['word'] or document['phase']}"
    why = f" ({document['reason']})" if document["reason"] else ""
    again = f", started again {document['restarts']} times" if document["restarts"] else ""
    code = f", exit code {document['code']}" if document["code"] is not None else ""
    return f"launched as {document['system']} job {document['job']}: {word}{why}{code}{again}"


def _show_found(document: dict[str, Any], screen: "Console", refit: str) -> None:
    """Print the best trial so far, the trials beside the search, and the base."""
    if best := document["best"]:
        metric = document["metric"]
        text = f"best {metric} {best['value']:.6g}: trial {best['trial']}, {_epochs(best)}"
        screen.print(text, style="green", soft_wrap=True)
    driven = bool(document["driver"])
    for line in beside_lines(document, refit, driven=driven):
        screen.print(line, soft_wrap=True)
    base = document["base"]
    if base is None:
        return
    value = "" if base["value"] is None else f", {document['metric']} {base['value']:.6g} at {_epochs(base)}"
    state = state_word(base["state"], driven=driven)
    screen.print(f"base ({BASE_SETTINGS}): trial {base['trial']} {state}{value}", soft_wrap=True)


def _epochs(row: dict[str, Any]) -> str:
    return epochs_named(row["epoch"], row.get("epochs", ()))


def _place(row: dict[str, Any]) -> str:
    """Return the epoch of a running trial; in a backtest with its window. The study has no epochs of later windows."""
    if "epochs" in row:
        return f"{'?' if row['epoch'] is None else row['epoch']} of {row['epochs']}"
    window, epoch = row.get("window"), str(row["epoch"])
    return f"window {window}" if window and window > 1 else epoch + " of window 1" * bool(window)


def show(document: dict[str, Any], again: str, refit: str) -> None:
    """Print the status of a sweep; `again` is the command that resumes it, `refit` that of its refits."""
    from rich.table import Table

    screen = console()
    driver = document["driver"]
    states = state_counts(document["states"], driven=bool(driver))
    done, total = document["done"], max(document["n_trials"], document["done"])  # n_trials may have been lowered
    about = f" ({states})" if states else ""
    have = "trial has" if total == 1 else "trials have"
    screen.print(f"{document['sweep']}: {done} of {total} {have} ended{about}", style="bold", soft_wrap=True)
    if document["replaced"]:
        screen.print(f"replaced by retries: {', '.join(map(str, document['replaced']))}", soft_wrap=True)
    if driver:
        screen.print(f"driven by process {driver['pid']} on {driver['host']}", soft_wrap=True)
    elif document["complete"]:
        why = f": {document['exhausted']}" if document["exhausted"] else ""
        screen.print(f"complete{why}; no driver is running")
    else:
        screen.print(f"no driver is running; {again} resumes the sweep", style="yellow", soft_wrap=True)
    if document["launched"]:
        screen.print(launched_line(document["launched"]), soft_wrap=True)
    _show_found(document, screen, refit)
    if document["median_trial_s"] is not None:
        pace = f"{counted(document['trials_last_hour'], 'trial')} ended in the last hour"
        screen.print(f"{pace}; the median trial took {duration(document['median_trial_s'])}", soft_wrap=True)
    if document["goodput"]:
        screen.print(goodput_line(document["goodput"]), soft_wrap=True)
    if document["running"]:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("trial", "epoch", document["metric"], "settings", "worker" if driver else "last worker"):
            table.add_column(heading)
        for row in document["running"]:
            value = "" if row["value"] is None else f"{row['value']:.5g}"
            table.add_row(str(row["trial"]), _place(row), value, settings(row["settings"]), row["worker"])
        console(table, screen.file).print(table)
