"""A sweep as the Python API gives it: what was found, and what can be done with it."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments import judgement, lookup
from experiments.operations import frames, predicting, summary
from experiments.operations.summary import Best
from experiments.own_code import CodeFile
from experiments.python.raised import SweepError, raised
from experiments.trials import cleaning, winning
from experiments.trials.cleaning import Cleaned
from experiments.trials.winning import Winner
from lstm.records import sweep as records
from lstm.records.objective import Direction

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

    from experiments.operations.running import Ready

LOG = logging.getLogger("experiments")


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was when it was loaded; `load` it again to see its progress."""

    name: str
    home: Path
    metric: str
    direction: Direction
    n_trials: int
    states: Mapping[str, int]  # the number of trials in each state
    complete: bool
    best: Best | None  # None while no trial has completed
    verdict: tuple[str, ...]  # whether the network is worth it, in sentences; empty if not judged yet
    _found: lookup.Found = field(repr=False)
    _record: records.Sweep = field(repr=False)

    def to_frame(self) -> "DataFrame":
        """Return a table with a row for each trial, indexed by its number; searched fields are columns, by their path.

        `epoch` is the best of `epochs`, in a backtest of the first window. `is_base` marks the spec's own settings. Of
        `n_trials` are those with `counts`: not a retried trial, and not a base that `search.first` does not have.
        """
        return frames.of_trials(self._record)

    def curves(self) -> "DataFrame":
        """Return a table with a row for each epoch of each trial and a column for each metric.

        A backtest has the column `window`. If a trial's checkpoint is gone, its rows have the sweep's metric only.
        """
        with raised():
            return frames.of_epochs(self._record, LOG.warning)

    @property
    def winner(self) -> Winner | None:
        """The best of the settings that confirm has judged again; None if confirm was not asked or has not ended."""
        return winning.winner(self._record)

    def comparison(self) -> "DataFrame":
        """Return a table with a row for each setting that was confirmed, the winner first, and for the best rival.

        `mean` is over windows and seeds. `better` is how much better the winner is, in `unit`, with its interval from
        `low` to `high`. `answer` is better, worse, alike, or unknown. Empty as long as there is no winner.
        """
        return frames.of_company(winning.company(self._record))

    def extend(
        self,
        trial: int,
        epochs: int,
        *,
        learning_rate: float | None = None,
        address: str | None = None,
        in_process: bool = False,
        code: CodeFile = None,
    ) -> "Sweep":
        """Train an ended trial for more epochs, as a trial beside the search, then resume the sweep; return the sweep.

        Args:
            trial: The number of a completed or pruned trial.
            epochs: The last epoch of its extension.
            learning_rate: A constant learning rate from here on. Default: the trial's schedule goes on.
            address: As in `run`.
            in_process: As in `run`.
            code: As in `run`.

        Raises:
            SpecError: the trial can't be extended, or not so far.
            SweepError: the sweep failed, was stopped by somebody, or another driver holds it.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        from experiments.operations import running
        from experiments.trials import extending

        with raised():
            swept = lookup.read(self._found)
            derived = extending.extension(swept, trial, epochs, learning_rate)
            for told in extending.about(swept, derived):
                LOG.info("%s", told)
            given = (self._found.spec or self.name, self._found.home, address, (), (), (derived,))
            return driven(running.prepare(*given, in_process=in_process, ours=False, code=code))

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int | None = None,
        windows: Literal["fresh", "search"] | None = None,
        address: str | None = None,
        in_process: bool = False,
        code: CodeFile = None,
    ) -> "Sweep":
        """Train the best settings and the base again from other seeds, as trials beside the search; return the sweep.

        Args:
            top: How many of the best settings. Default: the spec's number, or 5.
            seeds: From how many other seeds each. Default: the spec's number, or 5.
            windows: Judge on the windows that are set aside, or on the search's. Default: as the spec says, or fresh.
            address: As in `run`.
            in_process: As in `run`.
            code: As in `run`.

        Raises:
            SpecError: the search has not ended, or there is too little to confirm.
            SweepError: the sweep failed, was stopped by somebody, or another driver holds it.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        from experiments.operations import running
        from experiments.trials import confirming

        with raised():
            confirming.check(lookup.read(self._found), top, seeds, windows)
            given = (self._found.spec or self.name, self._found.home, address)
            ready = running.prepare(*given, confirm=(top, seeds, windows), in_process=in_process, ours=False, code=code)
            return driven(ready)

    def refit(
        self,
        *,
        trial: int | None = None,
        until: str | None = None,
        seeds: int = 1,
        warm: bool = False,
        address: str | None = None,
        in_process: bool = False,
        code: CodeFile = None,
    ) -> "Sweep":
        """Train the winner's settings on all data, for `predict`; return the sweep.

        One seed is trained in this process. Several are trained at once by Ray, as the trials of a sweep.

        Args:
            trial: A completed trial. Default: confirm's winner, or else the best trial. Needed with two objectives.
            until: The time of the last row to train on. Default: all rows, also those that are newer than the sweep.
            seeds: From how many seeds; they predict together, by their mean.
            warm: Judge on the newer rows first whether it is better to go on from the trial's checkpoint.
            address: As in `run`.
            in_process: As in `run`: one seed after another.
            code: As in `run`.

        Raises:
            SpecError: the sweep has not ended, the trial can't be fitted again, or the old rows have changed.
            SweepError: the training diverged or was stopped by somebody, or another driver holds the sweep.
            KeyboardInterrupt: Ctrl-C was pressed; every finished epoch is kept.
        """
        from experiments.operations import guest
        from experiments.trials.refitting import Asked

        with raised():
            guest.refit(self._found, Asked(trial, until, seeds, warm, address, in_process), code)
            return loaded(self._found)

    def clean(self, keep: str, *, dry_run: bool = False) -> Cleaned:
        """Free the weights of the ended trials that are not to be kept; return what was freed.

        The base, extensions, refits, confirm's winner and the Pareto front keep theirs, too. Histories stay, and all
        that MLflow has. What a warm refit that is not whole has left is freed.

        Args:
            keep: best, or top:N for the best N trials.
            dry_run: Whether to change nothing, and return what would be freed.

        Raises:
            SpecError: `keep` is no such value, or the checkpoints are another study's.
            SweepError: another driver holds the sweep, or it was taken over.
        """
        with raised():
            done, faults = cleaning.clean(self._found, keep, LOG.warning, dry_run=dry_run)
        if faults:
            raise SweepError(f"{self.name}: {faults[0]}")
        return done

    @property
    def refits(self) -> tuple[Mapping[str, Any], ...]:
        """What each refit was trained on, and if `warm` was asked what the newer rows said: as `best --json` has it."""
        return tuple(summary.refits(self._record))

    def predict(
        self,
        data: "DataFrame | np.ndarray | str | os.PathLike[str] | None" = None,
        *,
        trial: int | None = None,
        model: str | None = None,
        steps: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        code: CodeFile = None,
    ) -> "DataFrame | np.ndarray | str":
        """Forecast what follows the data, predict the answer for each sequence, continue a text, or translate lines.

        The columns of a forecast are the time (`step` if the spec names no time) and the targets, by their names. Those
        of sequences are the id, the class and its probability. Those of a translation are `source`, `translation`,
        `log_probability` and `score`; a table has the sources in the spec's column, or in `source`. A forecast needs at
        least the rows of the look-back.

        Args:
            data: A table, an array of frames, or the path of a file. Default: the spec's own data.
            trial: The number of a trial. Default: the refit asked for last, or else the best trial.
            model: A rival of the network, such as ridge, instead of a trial.
            steps: For a text: the number of symbols to write.
            temperature: For a text: 0 always takes the likeliest symbol.
            seed: For a text: the seed of its draws.
            code: The path of the one file of your own code, if it is not where the spec says.

        Returns:
            A table with a row for each step or sequence; for a text a string; for frames an array (sequence, time,
            height, width), with a last axis of channels if the data have one.

        Raises:
            SpecError: the data do not fit, or there is no such trial or rival.
        """
        given = {"steps": steps, "temperature": temperature, "seed": seed}
        options = {name: value for name, value in given.items() if value is not None}
        with raised():
            return predicting.for_python(self._found, self._record, data, trial, model, options, LOG.warning, code)


def driven(ready: "Ready") -> Sweep:
    """Drive a sweep, and return it as it is then."""
    from experiments.operations import guest

    name = ready.plan.order.name
    try:
        ended = guest.drive(ready)
    except guest.Unended as error:
        raise SweepError(f"{name}: {error}") from error
    if ended.code:
        raise SweepError(f"{name}: {ended.message}", ended.code)
    LOG.info("%s: %s", name, ended.message)
    return loaded(lookup.sweep(name, ready.plan.home, LOG.warning))


def loaded(found: lookup.Found) -> Sweep:
    """Return a sweep as it is now."""
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
