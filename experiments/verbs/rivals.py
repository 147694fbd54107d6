"""`sweep rivals`: whether a network is needed: the best trial beside the spec's own settings and the task's rivals."""

import sys
from typing import TYPE_CHECKING

from cluster.study import lease
from dashboards.tracking.preflight import ask
from experiments import judgement, lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.plan import kept_in, make
from experiments.recovery import moved_home
from lstm.records.errors import BadInput
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from rich.console import Console

    from lstm.checkpoint import Checkpoint
    from lstm.verdict.verdict import Verdict

BUDGET_S = 3600.0  # of a core, where nobody says another


def main(*, home: str, named: str, budget: float | None, as_json: bool) -> int:
    """Judges what was not judged yet and prints the verdict; 1 where there is none, 3 where a driver is at work."""
    from cluster.study import stored

    found = lookup.sweep(named, Home.at(home))
    lookup.read(found)  # whether there is such a sweep, before a claim is laid on it
    ask(found.tracking_uri, f"{found.name}: tracking.uri")  # before it is judged: it is delivered there
    ended: list[str] = []
    try:
        if driver := lease.driver(found.study_url, found.name):
            raise lease.HeldError(str(driver))
        with lease.Lease(found.study_url, found.name, lost=ended.append, stop=lambda: None):
            verdict = _judge(found, named, BUDGET_S if budget is None else budget)
            stored.remember(found.study_url, found.name, **{judgement.JUDGED_IN: kept_in(found.home)})
            left = judgement.deliver(found.home, found.tracking_uri, lookup.read(found), _note)
    except lease.HeldError as error:
        print(f"{found.name}: is driven by {error}; it is judged when that has ended", file=sys.stderr)
        return 3
    folder = str(found.home.sweep(found.name))
    if as_json:
        emit({"sweep": found.name, "folder": folder, "verdict": judgement.document(verdict)})
    else:
        from experiments.terminal.formats import console
        from experiments.terminal.live import LEAST

        show(verdict, console(least=LEAST))
    if trouble := "".join(ended) or left:
        print(f"{found.name}: {trouble}", file=sys.stderr)
    return 0 if not trouble and (verdict.network or verdict.rivals) else 1


def _judge(found: lookup.Found, named: str, budget_s: float) -> "Verdict":
    from cluster import opening
    from cluster.study import stored

    facts = stored.facts(found.study_url, found.name) or {}
    elsewhere = moved_home.look(found.place, facts)
    plan = make(lookup.spec(named, found.home), found.home)
    opening.check_same(facts, opening.as_begun(plan.order, facts, elsewhere), plan.series)
    if elsewhere is not None or found.home.moved_from():
        moved_home.settle(found.place, elsewhere, facts, _note)
    swept = lookup.read(found)
    if not swept.over():
        _note(f"{swept.name} has not ended, {swept.done} of {swept.n_trials} trials have: what is best now is judged")
    return judgement.judge(plan, swept, lambda trial: _load(swept, trial), _note, budget_s)


def _load(swept: Sweep, trial: Trial) -> "Checkpoint | None":
    from lstm import ownership

    try:
        return ownership.load_trial(swept, trial, _note)
    except OSError as error:
        raise BadInput(f"{trial.checkpoint}: can't be read: {error.strerror or error}") from None


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def show(found: "Verdict", screen: "Console", said: str = "") -> None:
    """Prints a verdict for people: what it says, but what was said already, then each row with its figures."""
    from rich.table import Table

    from experiments.terminal.formats import console
    from lstm.verdict import sentences

    for number, line in enumerate(line for line in sentences.lines(found) if line != said):
        start = "Is the network worth it? " if number == 0 else "  "
        style, whole = "bold" if number == 0 else "", not screen.is_terminal
        screen.print(f"{start}{line}", style=style, soft_wrap=whole, highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(found.metric, overflow="fold")
    both = [found.second] if found.second else []
    for heading in ("validation", "test part"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in (*both, "the network is", *(["beside the base"] if both else [])):
        table.add_column(heading, overflow="fold")
    for row, against in sentences.table(found):
        if row.role == "rival" and row.why:
            continue  # named above
        known = [row.validation, row.test, *([row.second] if both else [])]
        figures = ("" if value is None else f"{value:.5g}" for value in known)
        table.add_row(row.name, *figures, against, *([sentences.beside_base(row)] if both else []))
    console(table, screen.file).print(table)
