"""Prints what a sweep has found, and whether a network is needed."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from experiments.terminal.formats import console, extension_line, goodput_line, refit_line, settings, state_counts
from experiments.terminal.live import BASE_SETTINGS
from lstm.records.confirmation import IN_WORDS
from lstm.records.objective import whole
from lstm.records.trial import counted, epochs_named

if TYPE_CHECKING:
    from rich.console import Console

    from lstm.verdict.verdict import Verdict


def is_worse_than_base(document: Mapping[str, Any]) -> bool:
    """Return whether the best trial is worse than the spec's own settings, on the test or the validation part."""
    gained = document["base"]["gained"] if document["base"] else {}
    return any(gain is not None and gain < 0 for gain in gained.values())


def warn(document: Mapping[str, Any], screen: "Console") -> None:
    """Print a warning if the best trial is worse than the spec's own settings."""
    if is_worse_than_base(document):
        screen.print(document["about_base"], style="bold yellow", soft_wrap=True, highlight=False)


def show(document: Mapping[str, Any], screen: "Console", verdict: "Verdict | None" = None, note: str = "") -> None:
    """Print a summary for people, without what `warn` prints; then the verdict, or without one the note."""
    said = document["about_base"] if is_worse_than_base(document) else ""
    about_base = "" if verdict or said else document["about_base"]  # a verdict has this sentence
    states = state_counts(document["states"], driven=False)  # this is shown after the end
    total = max(document["n_trials"], sum(document["states"].values()))  # n_trials may have been lowered
    screen.print(f"{document['sweep']}: {states or 'no trials'} of {total}", soft_wrap=True)
    if document["winner"]:
        _show_winner(document["winner"], screen)
    if document["best"]:
        show_best(document, screen, about_base)
    else:
        screen.print("No trial has completed yet.")
        if about_base:
            screen.print(about_base, soft_wrap=True)
    for row in document["extensions"]:
        beside = "beside the search: " + extension_line(row, document["metric"], driven=False)
        screen.print(beside, soft_wrap=True, highlight=False)
    if document["confirmation"] and not document["winner"]:
        _show_confirmation(document, screen)
    for row in document["refits"]:
        screen.print(refit_line(row, driven=False), soft_wrap=True, highlight=False)
    if verdict:
        show_verdict(verdict, screen, said, document["test_looks"]["text"])
    elif note and any(trial not in ("WAITING", "RUNNING") for trial in document["states"]):
        screen.print(note, soft_wrap=True)


def show_best(document: Mapping[str, Any], screen: "Console", about_base: str = "") -> None:
    """Print the best trial of a summary, and how it compares with the base."""
    best = document["best"]
    which = "" if best["trial"] is None else f"trial {best['trial']}, "
    where = epochs_named(best["epoch"], best.get("epochs", ()))
    if best.get("epochs") and best["epochs_trained"] is not None:
        where += f" ({counted(best['epochs_trained'], 'epoch')} trained)"
    found = f"Best: {which}{document['metric']} {best['value']:.6g} at {where}"
    screen.print(found, style="green", soft_wrap=True)
    screen.print(f"      {settings(best['parameters'])}", soft_wrap=True)
    screen.print(f"      {best['checkpoint']}", soft_wrap=True)
    if pruned := document.get("better_pruned"):
        text = f"best of the completed trials; pruned trial {pruned['trial']} had {pruned['value']:.6g}"
        screen.print(f"      ({text} at epoch {pruned['epoch']})", soft_wrap=True)
    if len(document.get("front", ())) > 1:
        _show_front(document, screen)
    if about_base:
        screen.print(f"      {about_base}", soft_wrap=True)
    _show_tested(document, screen)


def _show_winner(found: Mapping[str, Any], screen: "Console") -> None:
    """Print the winner of confirm and its company: the sentences, then a table of all that were confirmed."""
    for number, line in enumerate(found["lines"]):
        start, style = ("Winner: ", "bold") if number == 0 else ("  ", "")
        screen.print(f"{start}{line}", style=style, soft_wrap=not screen.is_terminal, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("confirmed", overflow="fold")
    for heading in (f"mean {found['metric']}", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the winner is", overflow="fold")
    for member in found["members"]:
        value = "" if member["value"] is None else f"{member['value']:.5g}"
        seeds = "" if member["role"] == "rival" else str(member["seeds"])
        table.add_row(member["name"], value, seeds, member["told"])
    console(table, screen.file).print(table)


def _show_confirmation(document: Mapping[str, Any], screen: "Console") -> None:
    """Print the means of what was judged again from other seeds, over windows and seeds."""
    found = document["confirmation"]
    left = f"; not ended yet: {counted(found['open'], 'trial')}" if found["open"] else ""
    screen.print(f"Confirmed on {IN_WORDS[found['windows']]}: {found['count']}{left}", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("judged again")
    for heading in (f"mean {document['metric']}", "seeds"):
        table.add_column(heading, justify="right")
    for row in found["settings"]:
        seeds = str(len(row["trials"])) if row["trials"] else ""
        table.add_row(row["name"], "" if row["mean"] is None else f"{row['mean']:.5g}", seeds)
    console(table, screen.file).print(table)


def _show_tested(document: Mapping[str, Any], screen: "Console") -> None:
    """Print the metrics on the test part: of the best trial, the base and the baseline."""
    best, base = document["best"], (document.get("base") or {}).get("metrics")
    unlike = (document.get("base") or {}).get("other_unit", ())
    names = whole([key.removeprefix("test/") for key in best["metrics"] if key.startswith("test/")])
    if not names:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    which = "best epoch" if best["trial"] is None else "best trial"
    own = ("base", "") if base else ()
    usual = best["metrics"].keys() >= {f"baseline/{name}" for name in names}
    for heading in ("test part", which, *own, *((document["baseline"], "") if usual else ())):
        table.add_column(heading, justify="left" if heading == "test part" else "right")
    for name in names:
        ours = best["metrics"][f"test/{name}"]
        told = []
        if base:
            figure = base[f"test/{name}"]
            told += [f"{figure:.5g}", "in other units" if f"test/{name}" in unlike else _against(ours, figure)]
        if usual:
            figure = best["metrics"][f"baseline/{name}"]
            told += [f"{figure:.5g}", _against(ours, figure)]
        table.add_row(name, f"{ours:.5g}", *told)
    console(table, screen.file).print(table)


def _show_front(document: Mapping[str, Any], screen: "Console") -> None:
    """Print the Pareto front: the trials of which none is better than another in both objectives."""
    second = document["second_objective"]["metric"]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Pareto front")
    for heading in (document["metric"], second):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("")
    rows = [(f"trial {t['trial']}", t, settings(t["parameters"])) for t in document["front"]]
    base = document["base"]
    if base and base["second"] is not None and base["trial"] not in [t["trial"] for t in document["front"]]:
        rows.append(("base", base, BASE_SETTINGS))
    for name, trial, what in rows:
        table.add_row(name, f"{trial['value']:.5g}", f"{trial['second']:.5g}", what)
    console(table, screen.file).print(table)


def _against(ours: float, usual: float) -> str:
    """Return how an error compares with another one, in words."""
    if not usual > 0 or not math.isfinite(ours / usual):
        return ""
    ratio = ours / usual
    if ratio >= 2:
        return f"{ratio:.3g} times" if ratio < 100 else f"{ratio:,.0f} times"
    change = abs(1 - ratio) * 100
    shown = f"{change:.0f}" if change < 99.5 or ratio > 1 else f"{change:.4g}"  # 100 % lower would mean no error
    return f"{shown} % {'lower' if ratio < 1 else 'higher'}" if change >= 0.5 else "as good"


def show_verdict(found: "Verdict", screen: "Console", said: str = "", looked: str = "") -> None:
    """Print a verdict for people: its sentences without `said`, which was printed before, then a table of its rows.

    `looked` says how often the test part was looked at; it comes after the sentences.
    """
    from lstm.verdict import sentences

    lines = [line for line in sentences.lines(found) if line != said]
    for number, line in enumerate([*lines, *filter(None, [looked])]):
        start = "Is the network worth it? " if number == 0 else "  "
        style, whole = "bold" if number == 0 else "", not screen.is_terminal
        screen.print(f"{start}{line}", style=style, soft_wrap=whole, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(found.metric, overflow="fold")
    both = [found.second] if found.second else []
    for heading in ("validation", "test part"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in (*both, "the network is", *(["compared with the base"] if both else [])):
        table.add_column(heading, overflow="fold")
    for row, against in sentences.table(found):
        if row.role == "rival" and row.why:
            continue  # named in a sentence above
        known = [row.validation, row.test, *([row.second] if both else [])]
        figures = ("" if value is None else f"{value:.5g}" for value in known)
        table.add_row(row.name, *figures, against, *([sentences.beside_base(row)] if both else []))
    console(table, screen.file).print(table)


def show_end(document: Mapping[str, Any], screen: "Console", verdict: "Verdict | None", note: str) -> None:
    """Print how a run of a sweep ended, and what was found."""
    code = document["exit_code"]
    screen.print()
    warn(document, screen)
    screen.print(document["message"], style="bold" if code == 0 else "bold yellow", soft_wrap=True)
    show(document, screen, verdict, "" if code else note)
    if document["goodput"]:
        screen.print(goodput_line(document["goodput"]), soft_wrap=True)
