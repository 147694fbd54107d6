"""The face for Python: plan, run, train and load, as functions that return values.

They print nothing, never exit, and install no signal handler; what the command line would show is logged to the logger
`experiments`. What is wrong with a spec raises `SpecError`, a sweep that failed `SweepError`.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import judgement, lookup, planning
from experiments.home import Home
from experiments.operations import predicting, summary, training
from experiments.spec.mapping import Given, literal
from lstm.messages.message import Message
from lstm.records import sweep as records
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput, Refusal, refused
from lstm.records.figures import Passage
from lstm.records.objective import Direction

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Best", "Plan", "SpecError", "Sweep", "SweepError", "Trained", "load", "plan", "run", "train"]

LOG = logging.getLogger("experiments")
LOG.addHandler(logging.NullHandler())  # whoever wants to read it says where

Spec = str | os.PathLike[str] | Mapping[str, Any]
Overrides = Mapping[str, Any] | Sequence[str]
HomeFolder = str | os.PathLike[str] | None


class SpecError(BadInput):
    """Something in the input is wrong, and nothing was started or written.

    `faults` has all of them, in the order of the spec: each with its code, field, values and mend, and a sentence by
    `str()`.
    """


class SweepError(Exception):
    """A sweep that failed; the cause, where it is an exception, is `__cause__`.

    `code` is the command line's exit code: 1 it failed, 3 another driver holds it, 130 somebody stopped it.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        """Takes what happened, in a sentence."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Plan:
    """What `run` would do. Pairs are of the smallest and the largest trial."""

    name: str
    task: str
    trials: int
    max_epochs: int
    metric: str
    direction: Direction
    windows: Mapping[str, int]  # or sequences, or characters: the size of each part of the data
    parameters: tuple[int, int]
    memory_mb: tuple[float, float]
    sweep_s: tuple[float, float]  # of training, if no trial stops early; measured on this machine
    slots: int  # trials at once on this machine
    device: str
    kept: Mapping[str, str]  # where study, checkpoints and MLflow's runs are
    warnings: tuple[Message, ...]
    document: Mapping[str, Any] = field(repr=False)  # all of it, as `sweep plan --json` has it


@dataclass(frozen=True)
class Best:
    """A best trial, or the best epoch of one training."""

    trial: int | None  # its number in the sweep
    value: float  # of the sweep's metric, on the validation part
    epoch: int
    parameters: Mapping[str, Any]  # that were searched, by their path in the spec
    config: Mapping[str, Any]
    checkpoint: str  # where it is
    metrics: Mapping[str, float]  # on the test part; empty where it was not judged yet

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> "Best | None":
        """The best of a summary."""
        return cls(**found) if found else None


@dataclass(frozen=True)
class Trained:
    """One training of a spec's own settings."""

    name: str
    metric: str
    best: Best | None  # None where no epoch was finite
    warnings: tuple[Message, ...]
    history: tuple[Mapping[str, float], ...] = field(repr=False)  # an epoch each

    def curves(self) -> "DataFrame":
        """A row an epoch, a column a metric."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.history])


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was when it was loaded; `load` it again to see how far it is."""

    name: str
    home: Path
    metric: str
    direction: Direction
    n_trials: int
    states: Mapping[str, int]  # how many trials are in which
    complete: bool
    best: Best | None  # None while no trial has completed
    verdict: tuple[str, ...]  # whether the network is worth it, in sentences; none where that was not judged yet
    _found: lookup.Found = field(repr=False)
    _record: records.Sweep = field(repr=False)

    def to_frame(self) -> "DataFrame":
        """A row a trial, by its number, with what it was trained with by path; value and epoch are the best epoch's."""
        import pandas as pd

        counted = {trial.number for trial in self._record.counted}
        rows = [
            {
                "trial": t.number,
                "state": t.state,
                "value": t.value,
                **({"second": t.second} if self._record.second else {}),
                "epoch": t.best_epoch,
                "epochs": len(t.curve),
                "seconds": t.duration_s,
                "is_base": t.is_base,
                "counts": t.number in counted,  # in n_trials: neither the base nor what a retry stands for does
                "reason": t.reason,
                "checkpoint": t.checkpoint,
                **t.settings,
            }
            for t in self._record.trials
        ]
        return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "value"]).set_index("trial")

    def curves(self) -> "DataFrame":
        """A row an epoch of each trial, a column a metric; the sweep's metric alone where a checkpoint is gone."""
        import pandas as pd

        from lstm import ownership

        rows: list[dict[str, Any]] = []
        with _raised():
            for trial in self._record.trials:
                kept = ownership.load_trial(self._record, trial, LOG.warning)
                known: Sequence[Epoch] = kept.state.history if kept else ()
                whole = {epoch.number: dict(epoch.metrics) for epoch in known}
                short = {number: {self.metric: value} for number, value in trial.curve}
                for number, metrics in sorted((short | whole).items()):
                    rows.append({"trial": trial.number, "epoch": number, **metrics})
        return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch", self.metric])

    def predict(
        self,
        data: "DataFrame | str | os.PathLike[str] | None" = None,
        *,
        trial: int | None = None,
        model: str | None = None,
        steps: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> "DataFrame | str":
        """What follows the data, or the answer to each of their sequences; of a text how it goes on.

        Args:
            data: A table, or the path of a file; the spec's own data where there is none.
            trial: The number of a trial; the best where there is none.
            model: A rival of the network, such as ridge, in place of a trial.
            steps: Of a text: how many symbols.
            temperature: Of a text: 0 is the likeliest.
            seed: Of a text: of its draws.

        Raises:
            SpecError: the data do not fit, or there is no such trial or rival.
        """
        from lstm.device import borrowed

        given = {"steps": steps, "temperature": temperature, "seed": seed}
        options = {name: value for name, value in given.items() if value is not None}
        with _raised(), borrowed():
            if model is not None and trial is not None:
                raise refused("model-without-trial", at=f"model {model}")
            chosen = predicting.choose(self._record, trial)
            time = str((chosen.config.get("data") or {}).get("time") or "")
            predicting.execute(chosen, lookup.spec_folder(self.name, self._found.home))
            if model is None:
                maker = predicting.by_trial(self._record, chosen, options, LOG.warning)
            else:
                maker = predicting.by_rival(self._found, self._record, chosen, model, options)
            if data is None:
                made = predicting.own(maker, *lookup.source(self.name, self._found.home))
            else:
                with predicting.as_file(data, time) as path:
                    made = maker(path, Path())
        return made.text if isinstance(made, Passage) else _as_frame(made, time)


def plan(spec: Spec, *, set: Overrides = (), home: HomeFolder = None) -> Plan:  # noqa: A002 # the flag's name
    """Says what `run` would do and how long it takes; starts and writes nothing.

    Args:
        spec: The path of a spec, the name of a sweep that was run, or a mapping.
        set: Fields of the spec with other values, by their path: {"training.max_epochs": 3}.
        home: Where everything is kept; SWEEP_HOME, or runs, where it is not given.

    Raises:
        SpecError: something in the spec, the data or the home is wrong.
    """
    from lstm.device import borrowed

    with _raised(), borrowed():
        where = _home(home)
        made = planning.make(lookup.spec(_named(spec), where, _overrides(set), execute=True), where, to_look=True)
        made = planning.as_begun(made)
        training.check_room_of_all(made)
        document = planning.describe(made)
    return Plan(
        name=document["sweep"],
        task=document["task"],
        trials=document["trials"],
        max_epochs=document["max_epochs"],
        metric=document["metric"],
        direction=document["direction"],
        windows=document["windows"],
        parameters=tuple(document["parameters"]),
        memory_mb=tuple(document["memory_mb"]),
        sweep_s=(min(document["sweep_s"]), max(document["sweep_s"])),
        slots=document["slots"],
        device=document["device"],
        kept=document["kept"],
        warnings=tuple(document["warnings"]),
        document=document,
    )


def run(
    spec: Spec,
    *,
    set: Overrides = (),  # noqa: A002 # the flag's name
    home: HomeFolder = None,
    address: str | None = None,
    in_process: bool = False,
) -> Sweep:
    """Drives a sweep to its number of trials, and says what it has found; again it goes on.

    Ctrl-C raises KeyboardInterrupt once the sweep is left so that it can be gone on with; a second one at once.

    Args:
        spec: As in `plan`.
        set: As in `plan`.
        home: As in `plan`.
        address: Of a Ray cluster to join, HOST:PORT; a local Ray where there is none.
        in_process: One trial at a time in this process, without Ray.

    Raises:
        SpecError: something in the input is wrong; nothing was started.
        SweepError: the sweep failed, was stopped by others, or another driver holds it.
    """
    from experiments.operations import guest, running

    with _raised():
        where = _home(home)
        ready = running.prepare(_named(spec), where, address, _overrides(set), in_process=in_process, ours=False)
        try:
            ended = guest.drive(ready)
        except guest.Unended as error:
            raise SweepError(f"{ready.plan.order.name}: {error}") from error
        if ended.code:
            raise SweepError(f"{ready.plan.order.name}: {ended.message}", ended.code)
        LOG.info("%s: %s", ready.plan.order.name, ended.message)
        return _loaded(lookup.sweep(ready.plan.order.name, where, LOG.warning))


def train(spec: Spec, *, set: Overrides = (), home: HomeFolder = None) -> Trained:  # noqa: A002 # the flag's name
    """Trains a spec's own settings alone, in this process; goes on where an earlier call stopped.

    The arguments are those of `plan`.

    Raises:
        SpecError: something in the input is wrong, or the machine has no room for it.
        SweepError: it diverged, its memory did not suffice after all, or its checkpoint can't be written.
    """
    from lstm.device import borrowed

    with _raised(), borrowed():
        where = _home(home)
        made = planning.as_begun(planning.make(lookup.spec(_named(spec), where, _overrides(set), execute=True), where))
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
    """A sweep that was run, by its name or the path of its spec.

    Raises:
        SpecError: there is none, or its study can't be read.
    """
    with _raised():
        return _loaded(lookup.sweep(os.fspath(name), _home(home), LOG.warning))


def _loaded(found: lookup.Found) -> Sweep:
    swept = lookup.read(found)
    verdict, _ = judgement.current(found.home, swept)
    document = summary.summary(swept, verdict)
    return Sweep(
        name=swept.name,
        home=found.home.folder,
        metric=swept.metric,
        direction=swept.direction,
        n_trials=swept.n_trials,
        states=document["states"],
        complete=swept.over() or bool(swept.facts.get("complete")),
        best=Best.of(document["best"]),
        verdict=tuple(judgement.document(verdict)["lines"]) if verdict else (),
        _found=found,
        _record=swept,
    )


@contextmanager
def _raised() -> Iterator[None]:
    """Raises what is wrong as what it is to who calls from Python; filters of warnings stay the caller's own."""
    with warnings.catch_warnings():  # libraries add some when they are imported
        warnings.filterwarnings("ignore", message="IProgress not found")  # of Optuna's bar, which nobody sees
        try:
            yield
        except (SpecError, SweepError):
            raise
        except Refusal as error:
            raise (SpecError(*error.faults) if error.code == 2 else SweepError(str(error), error.code)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise SweepError(f"{where}{error.strerror or error}") from error


def _home(home: HomeFolder) -> Home:
    return Home.at(os.fspath(home) if home is not None else os.environ.get("SWEEP_HOME") or "runs")


def _named(spec: Spec) -> str | Given:
    return Given.of(spec) if isinstance(spec, Mapping) else os.fspath(spec)


def _overrides(given: Overrides) -> list[str]:
    if isinstance(given, str):
        return [given]
    return [f"{path}={literal(value)}" for path, value in given.items()] if isinstance(given, Mapping) else list(given)


def _as_frame(columns: Mapping[str, Sequence[Any]], time: str) -> "DataFrame":
    """A prediction as a table; times that are dates are such."""
    import pandas as pd

    frame = pd.DataFrame(dict(columns))
    if time in frame and all(isinstance(each, str) and "-" in each for each in frame[time]):
        frame[time] = pd.to_datetime(frame[time], format="ISO8601")
    return frame
