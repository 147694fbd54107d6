"""Formats numbers, durations, settings and goodput as text, and makes the console they are printed on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from lstm.records.confirmation import IN_WORDS
from lstm.records.sweep import Sweep
from lstm.records.trial import counted

GAP = "  "  # between settings
WIDE = 10_000  # more columns than any table needs


def console(table: Table | None = None, file: IO[str] | None = None, least: int = 0) -> Console:
    """Return a console for verbs. It is as wide as the table needs, because a number that is cut is useless.

    Without a table it is at least `least` columns wide; a narrower terminal wraps the lines.
    """
    made = _console(file)
    if table is None:
        return _console(file, max(made.width, least) if made.is_terminal else WIDE)
    needed = made.measure(table, options=made.options.update(width=WIDE)).maximum
    return _console(file, max(made.width, needed))


def _console(file: IO[str] | None, width: int | None = None) -> Console:
    # The output contains the user's paths and names: [bold] and :dog: are parts of them, not markup.
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def settings(values: Mapping[str, Any]) -> str:
    """Return settings on one line, each with the last part of its path."""
    if not values:
        return "the base configuration"
    return GAP.join(f"{path.rpartition('.')[2]}={short(value)}" for path, value in values.items())


def state_word(state: str, *, driven: bool) -> str:
    """Return a trial's state in a word: without a driver, a trial that has not ended does not run."""
    return "interrupted" if state == "RUNNING" and not driven else state.lower()


def extension_line(row: Mapping[str, Any], metric: str, *, driven: bool) -> str:
    """Return what became of a trial that extends another, on one line."""
    what = f"trial {row['trial']} extends trial {row['extends']} from epoch {row['from_epoch']} to {row['to_epoch']}"
    state = state_word(row["state"], driven=driven)
    why = f" ({row['reason']})" if row["reason"] else ""
    if row["value"] is None:
        return f"{what}: {state}{why}"
    return f"{what}: {state}{why}, {metric} {row['value']:.6g} at epoch {row['epoch']}"


def refit_line(row: Mapping[str, Any], *, driven: bool) -> str:
    """Return what became of a refit, on one line."""
    trials = row["trials"]
    numbers = ", ".join(str(each["trial"]) for each in trials)
    what = f"trial{'s' if len(trials) > 1 else ''} {numbers}: refit of trial {row['refit_of']}"
    span = f", to {row['last']}" if row["last"] else ""
    states = dict.fromkeys(state_word(each["state"], driven=driven) for each in trials)
    why = next((f" ({each['reason']})" for each in trials if each["reason"]), "")
    used = "; `sweep predict` uses it" if row["predicts"] else ""
    said = f"; {row['said']}" if row.get("said") else ""
    return f"{what} on all {row['count']:,} {row['unit']}{span}: {' and '.join(states)}{why}{used}{said}"


def _warming_line(row: Mapping[str, Any], again: str) -> str:
    """Return what is kept of a warm refit that is not whole; `again` is the command of a refit, "" while a driver runs.

    Nothing more is said then: the driver may be the refit itself.
    """
    kept = "an unknown number" if row["kept"] is None else row["kept"]
    what = f"a warm refit of trial {row['refit_of']} is not whole: {kept} of the {row['epochs']} epochs are kept that"
    what += " judge if it is better than a fresh one"
    if not again:
        return what
    until = f" --until {row['until']}" if row["until"] else ""
    command = f"{again.rstrip('`')} --trial {row['refit_of']}{until} --warm`"
    return f"{what}; {command} goes on, `sweep clean` frees them"


def state_counts(states: Mapping[str, int], *, driven: bool) -> str:
    """Return how many trials have each state, on one line."""
    return ", ".join(f"{count} {state_word(state, driven=driven)}" for state, count in states.items())


def short(value: Any) -> str:
    """Return a value as written in a spec, with numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def goodput(sweep: Sweep) -> dict[str, Any] | None:
    """Return where the time of a sweep's workers went, in seconds, as plain data; None if no trial has recorded it."""
    spent = sweep.goodput
    if spent is None:
        return None
    seconds = {part: round(value, 3) for part, value in spent.seconds.items()}
    known = {"share": spent.shares["training"], "worker_s": round(spent.worker_s, 3), "seconds": seconds}
    return {**known, "epochs": spent.epochs}


def goodput_line(document: Mapping[str, Any]) -> str:
    """Return goodput as two lines for people. Parts that round to 0 % are left out."""
    shares = _percents(document["seconds"])
    training = shares.pop("training")
    rest = ", ".join(f"{part} {share} %" for part, share in shares.items() if share)
    epochs = f" ({counted(document['epochs'], 'epoch')})" if document.get("epochs") is not None else ""
    whole = f"{training} % of {duration(document['worker_s'])} worker time in training{epochs}"
    return f"goodput {whole}\n        {rest}".rstrip()


def _percents(seconds: Mapping[str, float]) -> dict[str, int]:
    """Return shares in whole percents that add up to 100; the shares with the largest remainders are rounded up."""
    whole = sum(seconds.values())
    exact = {part: 100 * value / whole for part, value in seconds.items()}
    percents = {part: int(share) for part, share in exact.items()}
    up = sorted(exact, key=lambda part: percents[part] - exact[part])[: 100 - sum(percents.values())]
    return {part: share + (part in up) for part, share in percents.items()}


def duration(seconds: float) -> str:
    """Return seconds in words: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def backtest_rows(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what each window of a backtest is: its steps, its times and its cost."""
    if not (backtest := plan.get("backtest")):
        return
    if backtest["note"]:
        yield backtest["note"]
    yield "a trial's value is the mean over its windows, each at its own best epoch"
    for row in backtest["windows"]:
        first, last = row["steps"]
        how = f"steps {first} to {last}, its epochs" if row["window"] == 1 else f"step {first}, the mean so far"
        how += "" if backtest["refit"] or row["window"] == 1 else ", only judged"
        rung = "; a rung of the pruner" if row["rung"] else ""
        judged = f"{counted(row['judged'], backtest['item'])} judged"
        cost, span = both_ends(row["seconds"], _span), f", {row['first']} to {row['last']}" if "first" in row else ""
        yield f"window {row['window']}{span}: {how}{rung}; {judged}; {cost} a trial"
    cost = both_ends(backtest["before_test_s"], _span)
    yield f"then the best trial and the base are trained on {backtest['then_on']}: {cost} each at most"


def beside_lines(status: Mapping[str, Any], refit: str, *, driven: bool) -> Iterator[str]:
    """Yield a line for each extension, for what confirm has done, and for each refit, whose command is `refit`."""
    for row in status["extensions"]:
        yield extension_line(row, status["metric"], driven=driven)
    if confirmed := status["confirmation"]:
        ended = confirmed["trials"] - confirmed["open"]
        yield f"confirm: {ended} of {counted(confirmed['trials'], 'trial')} have ended"
    for row in status["refits"]:
        yield refit_line(row, driven=driven)
    for row in status["warming"]:
        yield _warming_line(row, "" if driven else refit)


def confirm_row(confirm: Mapping[str, Any]) -> str:
    """Return what confirm will train at most, on which windows, and what part of the sweep's time that is."""
    what = f"the best {confirm['top']} settings and the base, from {counted(confirm['seeds'], 'other seed')} each"
    what += f", on {IN_WORDS[confirm['windows']]}"
    cost = both_ends(sorted(confirm["seconds"]), _span)
    return f"{what}: at most {counted(confirm['trials'], 'trial')}, {cost} of the time below"


def _span(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.1 else "under 0.1 s"


def both_ends(ends: Sequence[Any], show_one: Callable[[Any], str]) -> str:
    """Return a range from two values, or one value if they read the same."""
    low, high = (show_one(end) for end in ends)
    return str(low) if low == high else f"{low} to {high}"


def dimension_text(dimension: Mapping[str, Any]) -> str:
    """Return a dimension in words: whole numbers 16 to 64, log, when training.optimizer is sgd."""
    if dimension["type"] == "categorical":
        text = "one of " + ", ".join(map(short, dimension["choices"]))
    else:
        kind = "whole numbers " if dimension["type"] == "int" else ""
        text = f"{kind}{short(dimension['low'])} to {short(dimension['high'])}"
        text += ", log" if dimension.get("log") else ""
        text += f", step {short(dimension['step'])}" if dimension.get("step") else ""
    when = " and ".join(f"{path} is {_any_of(value)}" for path, value in dimension.get("when", {}).items())
    return f"{text}, when {when}" if when else text


def _any_of(value: Any) -> str:
    return " or ".join(map(short, value)) if isinstance(value, list | tuple) else short(value)


def searched_rows(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rows of a plan on what is tried first, and on what is searched."""
    for index, tried in enumerate(plan["first"]):
        origin = plan["first_from"][index : index + 1]
        rank = "".join(f"  (trial {each['trial']} of {each['sweep']}, rank {each['rank']:g})" for each in origin)
        yield "first" if index == 0 else "", f"{settings(tried)}{rank}"
    for index, (path, dimension) in enumerate(plan["space"].items()):
        yield "space" if index == 0 else "", f"{path}: {dimension_text(dimension)}"
