"""The Python API: plan, run, train and load, as functions that return values.

They print nothing, never exit, and install no signal handler. What the command line would show goes to the logger
`experiments`. A fault in the input raises `SpecError`, a failed sweep raises `SweepError`.
"""

import logging
import os
from pathlib import Path
from typing import Any

from experiments import lookup, planning
from experiments.home import Home
from experiments.operations import training
from experiments.operations.summary import Best
from experiments.own_code import CodeFile
from experiments.python.raised import SpecError, SweepError, raised
from experiments.python.results import Plan, Trained
from experiments.python.sweep import Sweep, driven, loaded
from experiments.spec.mapping import Overrides, Spec, overrides_of, source_of
from experiments.trials.cleaning import Cleaned
from experiments.trials.earlier import read_first
from experiments.trials.winning import Winner

__all__ = [
    "Best",
    "Cleaned",
    "Plan",
    "SpecError",
    "Sweep",
    "SweepError",
    "Trained",
    "Winner",
    "compare",
    "load",
    "plan",
    "run",
    "train",
]

LOG = logging.getLogger("experiments")
LOG.addHandler(logging.NullHandler())  # a library leaves it to the application where its log goes

HomeFolder = str | os.PathLike[str] | None


def plan(spec: Spec, *, set: Overrides = (), home: HomeFolder = None, code: CodeFile = None) -> Plan:
    """Return what `run` would do and how long it would take; start and write nothing.

    Args:
        spec: The path of a spec, the name of a sweep that was run, or a mapping.
        set: Fields of the spec with other values, by their path: {"training.max_epochs": 3}.
        home: The folder for everything that is kept. Default: the environment's SWEEP_HOME, or `runs`.
        code: The path of the one file of your own code, if it is not where the spec says.

    Raises:
        SpecError: something in the spec, the data or the home is wrong.
    """
    from lstm.device import borrowed

    with raised(), borrowed():
        where = Home.given(home)
        named = lookup.spec(source_of(spec), where, overrides_of(set), execute=True, code=code)
        made = read_first(planning.as_begun(planning.make(named, where, to_look=True), to_run=True))
        training.check_room_of_all(made)
        document = planning.describe(made)
    same = ("task", "trials", "max_epochs", "metric", "direction", "windows", "slots", "device", "kept")
    return Plan(
        name=document["sweep"],
        parameters=tuple(document["parameters"]),
        memory_mb=tuple(document["memory_mb"]),
        sweep_s=(min(document["sweep_s"]), max(document["sweep_s"])),
        warnings=tuple(document["warnings"]),
        document=document,
        **{name: document[name] for name in same},
    )


def run(
    spec: Spec,
    *,
    set: Overrides = (),
    home: HomeFolder = None,
    address: str | None = None,
    in_process: bool = False,
    code: CodeFile = None,
) -> Sweep:
    """Run a sweep until all its trials have ended, and return it. Run it again to resume it.

    Ctrl-C raises KeyboardInterrupt once the sweep is in a state that can be resumed; a second Ctrl-C raises at once.

    Args:
        spec: As in `plan`.
        set: As in `plan`.
        home: As in `plan`.
        address: The address of a Ray cluster to join, HOST:PORT. Default: a local Ray.
        in_process: Run one trial at a time in this process, without Ray.
        code: As in `plan`.

    Raises:
        SpecError: something in the input is wrong; nothing was started.
        SweepError: the sweep failed, was stopped by somebody, or another driver holds it.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    from experiments.operations import running

    with raised():
        given = (source_of(spec), Home.given(home), address, overrides_of(set))
        return driven(running.prepare(*given, in_process=in_process, ours=False, code=code))


def train(spec: Spec, *, set: Overrides = (), home: HomeFolder = None, code: CodeFile = None) -> Trained:
    """Train a spec's own settings alone, in this process, or resume an earlier training of the same settings.

    The arguments are those of `plan`.

    Raises:
        SpecError: something in the input is wrong, or the model is too large for this machine's memory.
        SweepError: the training diverged or ran out of memory, or its checkpoint can't be written.
    """
    from lstm.device import borrowed

    with raised(), borrowed():
        where = Home.given(home)
        named = lookup.spec(source_of(spec), where, overrides_of(set), execute=True, code=code)
        made = planning.as_begun(planning.make(named, where))
        name = made.order.name
        try:
            trained = training.train(made, training.Logged(LOG, name, made.order.base.metric))
        except training.Failed as error:
            raise SweepError(str(error)) from error
        if trained.diverged:
            raise SweepError(f"{name}: diverged in epoch {trained.history[-1].number}")
        document = trained.document()
    best, notes = Best.of(document["best"]), tuple(document["warnings"])
    return Trained(name, document["metric"], best, notes, tuple(document["history"]))


def load(name: str | os.PathLike[str], *, home: HomeFolder = None) -> Sweep:
    """Load a sweep that was run, by its name or by the path of its spec.

    Raises:
        SpecError: there is no such sweep, or its study can't be read.
    """
    with raised():
        return loaded(lookup.sweep(os.fspath(name), Home.given(home), LOG.warning))


def compare(
    *sweeps: Sweep | str | os.PathLike[str],
    html: str | os.PathLike[str] | None = None,
    force: bool = False,
    home: HomeFolder = None,
) -> dict[str, Any]:
    """Compare sweeps and their trials: the best value, its spread, the time. Return what `sweep compare --json` prints.

    Args:
        sweeps: Sweeps that were loaded, also from several homes; or names, or paths of specs.
        html: Also write one page for a browser to this file, with all trials and figures.
        force: Overwrite the page, but no other file than one that ends in .html.
        home: The folder where sweeps are looked up that are given by name.

    Raises:
        SpecError: there is no such sweep, or its study can't be read. With `html`, also: the file exists or is no
            page, its folder does not exist, there is no trial, or the sweeps differ in metric or direction.
    """
    from experiments import report

    with raised():
        where, page = Home.given(home), Path(html) if html is not None else None
        found = [_found(each, where) for each in sweeps]
        return report.compared(found, lookup.read, page, str(page), force=force).to_json()


def _found(given: Sweep | str | os.PathLike[str], home: Home) -> lookup.Found:
    match given:
        case Sweep(_found=found):
            return found
        case _:
            return lookup.sweep(os.fspath(given), home, LOG.warning)
