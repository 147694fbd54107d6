"""Predicts with a sweep's networks and rivals: forecasts or classes for new data, or a continued text."""

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import lookup, own_code
from experiments.home import Home
from experiments.operations import frames
from experiments.own_code import CodeFile
from experiments.trials import winning
from lstm.config.trial import TrialConfig
from lstm.messages.message import Say, note
from lstm.own_code import file_of, is_reference
from lstm.records.errors import BadInput, refused
from lstm.records.figures import ForecastFrames, Passage, Predicted, TranslatedLines
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

    from lstm.checkpoint import Checkpoint

SHOWN = 20  # the most trials with checkpoints that an error lists
Maker = Callable[[str | None, Path], Predicted]  # takes a file's path, and the folder where a relative path starts


def choose(sweep: Sweep, number: int | None, model: str | None = None) -> Trial:
    """Return the trial of a number, or the best trial if `number` is None; a rival (`model`) takes the best trial.

    Raises:
        BadInput: a trial and a rival are given, no trial has completed, or the trial does not exist or has no
            checkpoint.
    """
    if model is not None and number is not None:
        raise refused("model-without-trial", at=f"--model {model}")
    if number is None:
        if sweep.best is None:
            raise refused("no-completed-trial", at=sweep.name, sweep=sweep.name)
        return sweep.best
    there = {t.number: t for t in sweep.trials if t.checkpoint}
    if number not in there:
        trials, more = list(there)[:SHOWN], max(len(there) - SHOWN, 0) or None
        named = {"sweep": sweep.name, "number": number, "count": len(there)}
        raise refused("no-such-checkpoint", at=f"--trial {number}", trials=trials, more=more, **named)
    return there[number]


def choose_all(sweep: Sweep, number: int | None, model: str | None, say: Say) -> tuple[Trial, ...]:
    """Return the trials that predict together: those of `Sweep.refit`, or else the one that `choose` returns.

    `say` is told of a refit, and if its trial is not the best or the winner any more. Without a refit it is told if the
    winner of confirm is another trial than the best one, which predicts.

    Raises what `choose` raises.
    """
    is_open = number is None and model is None
    refit, leader = sweep.refit if is_open else (), winning.leader(sweep) if is_open else None
    if not refit:
        chosen = choose(sweep, number, model)
        if leader and leader.number != chosen.number and sweep.second is None:
            say(
                note(
                    "winner-does-not-predict", at=sweep.name, best=chosen.number, number=leader.number, sweep=sweep.name
                )
            )
        return (chosen,)
    fitted, parent = refit[0].fitted, refit[0].derived.parent if refit[0].derived else None
    about = {name: fitted[name] for name in ("count", "unit", "last")}
    say(note("refit-predicts", at=sweep.name, trials=named(refit), parent=parent, **about))
    if leader and leader.number != parent and sweep.second is None:
        say(note("refit-of-former-best", at=sweep.name, best=leader.number, parent=parent, sweep=sweep.name))
    return refit


def named(trials: Sequence[Trial]) -> str:
    """Return in words which trials predict: `trial 3`, or `trials 24, 25, 26`."""
    numbers = ", ".join(str(trial.number) for trial in trials)
    return f"trial{'s' if len(trials) > 1 else ''} {numbers}"


def row(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return as plain data which trials predict: `trial`; of a refit also all its `trials` and its `refit_of`."""
    derived = trials[0].derived
    more = {"trials": [trial.number for trial in trials], "refit_of": derived.parent} if derived else {}
    return {"trial": trials[0].number, **(more if trials[0].is_refit else {})}


def own(maker: Maker, trial: Trial, named: str, home: Home, say: Say) -> Predicted:
    """Return the prediction for the spec's own data. Errors hide a path that comes from the environment.

    `say` is told if not the file of `data.path` is predicted, but that of the test part.

    Raises:
        BadInput: the data do not fit, or the test part, which is predicted, has no file of its own.
    """
    field = tasks.of(TrialConfig.model_validate(trial.config)).location.predicted
    path, folder, document = lookup.source(named, home, field)
    if path is not None and field != "path":
        say(note("test-part-predicted", f"data.{field}", file=document.hide(path)))
    if path is None and lookup.source(named, home)[0] is not None:
        raise refused("no-file-of-the-test-part", at="--input", field=f"data.{field}")
    try:
        return maker(path, folder)
    except BadInput as error:
        raise BadInput(*map(document.hidden, error.faults)) from None


def made_ready(
    found: lookup.Found,
    sweep: Sweep,
    trials: Sequence[Trial],
    model: str | None,
    options: Mapping[str, Any],
    say: Say,
    *,
    folder: Path,
    code: CodeFile,
) -> Maker:
    """Return a function that predicts with trials or with a rival (`model`), after the user's own files are executed.

    Args:
        found: Where the sweep is kept.
        sweep: The sweep.
        trials: The trials that predict together; for a rival the best trial.
        model: The rival's name.
        options: The options of single tasks that were given.
        say: Is called for each file that can't be trusted.
        folder: The folder where the names of own files start.
        code: The path of the one own file, if it is not where the spec says.

    Raises:
        BadInput: see `own_code.ready`, `load` and `by_rival`.
    """
    execute(trials[0], folder, code, task_alone=model is not None)
    if model is None:
        return by_trials(sweep, trials, options, say)
    return by_rival(found, sweep, trials[0], model, options)


def execute(trial: Trial, folder: Path, place: CodeFile = None, *, task_alone: bool = False) -> None:
    """Execute the user's own files that a trial's task and cell need, or its task alone; see `own_code.ready`.

    A sweep may name more files: those of other trials' cells may have been changed or lost since.
    """
    config = TrialConfig.model_validate(trial.config)
    names = [config.task] if task_alone else [config.task, config.model.cell]
    needed = {file_of(name) for name in names if is_reference(name)}
    own_code.ready({file: digest for file, digest in config.code.items() if file in needed}, folder, place)


def by_trials(sweep: Sweep, trials: Sequence[Trial], options: Mapping[str, Any], say: Say) -> Maker:
    """Return a function that predicts with trials' best epochs; for a series, the steps after the last target."""
    loaded, *others = [load(sweep, trial, say) for trial in trials]
    return lambda path, folder: tasks.predict(loaded, path, folder, *others, **options)


def by_rival(found: lookup.Found, sweep: Sweep, best: Trial, name: str, options: Mapping[str, Any]) -> Maker:
    """Return a function that predicts with a rival fitted by `sweep rivals`. Scaling is the best trial's.

    Raises:
        BadInput: the task has no such rival, the rival can't predict, it was not fitted, or an option does not apply.
    """
    from lstm import ownership
    from lstm.verdict import store

    config = TrialConfig.model_validate(sweep.facts["base"])
    task = tasks.of(config)
    try:
        task.check_predicts(name)
    except BadInput as error:
        raise error.at(f"--model {name}") from None
    if options:
        raise refused("option-without-effect", at=f"--{next(iter(options))}")
    folder, studies = str(found.home.sweep(found.name)), ownership.studies_of(sweep.facts)
    named = {"sweep": found.name, "flag": found.home.flag}
    try:
        fitted = store.read_fitted(folder, name, studies, str(sweep.facts.get("data_fingerprint") or ""))
    except store.BrokenJudgements as error:
        raise refused("fitted-rival-damaged", at=f"--model {name}", why=str(error), **named) from None
    if fitted is None or fitted.name != name:
        raise refused("rival-not-fitted", at=f"--model {name}", **named)
    loaded = ownership.load_trial(sweep, best)
    if loaded is None:
        raise refused("checkpoint-not-valid", at=best.checkpoint, sweep=sweep.name)
    facts = task.facts_of(loaded.facts)
    return lambda path, folder: tasks.predict_by_rival(fitted, config, facts, str(path), folder)


def load(sweep: Sweep, trial: Trial, say: Say) -> "Checkpoint":
    """Load a trial's checkpoint with its best weights.

    `say` is called for each file that can't be trusted, and if the network has not learnt from all that stands before
    the test part.

    Raises:
        BadInput: there is no valid checkpoint, it is another study's, or its weights were not kept.
    """
    from lstm import ownership
    from lstm.training import before_test

    loaded = ownership.load_trial(sweep, trial, say)
    if loaded is None:
        raise refused("checkpoint-not-valid", at=trial.checkpoint, sweep=sweep.name)
    if not loaded.state.best_weights:
        raise refused("weights-not-kept", at=f"--trial {trial.number}")
    if not before_test.is_ready(loaded):
        say(note("network-of-windows", at=f"trial {trial.number}"))
    return loaded


def time_of(trial: Trial) -> str:
    """Return the name of the time in a trial's predictions: the columns of `data.time`; "" if there is none."""
    time = (trial.config.get("data") or {}).get("time") or ""
    return " ".join(time) if isinstance(time, list) else str(time)


@contextmanager
def as_file(data: Any, time: str) -> Iterator[str]:
    """Yield the path of a file with the data. Errors do not name a file that is written here for a table or an array.

    Args:
        data: A pandas table, an array of frames, or the path of a file.
        time: The column of times, which may be the table's index; "" if there is none.

    Raises:
        BadInput: the data are no pandas table, or can't be written as Parquet.
    """
    if isinstance(data, str | os.PathLike):
        yield os.fspath(data)
        return
    if hasattr(data, "__array_interface__"):
        from lstm.data.frames import arrays

        with tempfile.TemporaryDirectory(prefix="lstm-sweeps-") as folder, _unnamed(path := f"{folder}/data.npy"):
            arrays.write(Path(path), data)
            yield path
        return
    if not hasattr(data, "to_parquet"):
        raise refused("table-not-kept", "data", why=f"a {type(data).__name__} is no pandas table")
    if time and time not in data.columns and data.index.name in (None, time):
        data = data.reset_index(names=time)
    with tempfile.TemporaryDirectory(prefix="lstm-sweeps-") as folder:
        path = f"{folder}/data.parquet"
        try:
            data.to_parquet(path, index=False)
        except (ValueError, TypeError) as error:  # includes pyarrow's errors
            raise refused("table-not-kept", "data", why=str(error)) from error
        with _unnamed(path):
            yield path


@contextmanager
def _unnamed(path: str) -> Iterator[None]:
    """Let errors say `data` instead of a file's path."""
    try:
        yield
    except BadInput as error:
        told = (each.changed(lambda text: text.replace(path, "data")) for each in error.faults)
        raise BadInput(*told) from error


def for_python(
    found: lookup.Found,
    sweep: Sweep,
    data: Any,
    number: int | None,
    model: str | None,
    options: Mapping[str, Any],
    say: Say,
    code: CodeFile,
) -> "DataFrame | np.ndarray | str":
    """Return a prediction as Python gives it: a table, an array of frames, or a text.

    Args:
        found: Where the sweep is kept.
        sweep: The sweep.
        data: A pandas table, an array of frames, or the path of a file; None for the spec's own data.
        number: The number of a trial; None for the refit asked for last, or else the best trial.
        model: The name of a rival, instead of a trial.
        options: The options of single tasks that were given.
        say: Is called with notes.
        code: The path of the one own file, if it is not where the spec says.

    Raises:
        BadInput: the data do not fit, or there is no such trial or rival.
    """
    from lstm.device import borrowed

    with borrowed():
        chosen = choose_all(sweep, number, model, say)
        time = time_of(chosen[0])
        folder = lookup.spec_folder(found.name, found.home)
        maker = made_ready(found, sweep, chosen, model, options, say, folder=folder, code=code)
        if data is None:
            made = own(maker, chosen[0], found.name, found.home, say)
        else:
            with as_file(data, time) as path:
                made = maker(path, Path())
    if isinstance(made, ForecastFrames):
        return made.values
    return made.text if isinstance(made, Passage) else frames.of_forecast(columns_of(made), time)


# --- The file


def _check_file(output: str, sources: Sequence[str | Path], *, force: bool) -> None:
    """Check that the output may be written; raise BadInput if not."""
    place, folder = f"--output {output}", Path(output).absolute().parent
    if not folder.is_dir():
        raise refused("output-folder-missing", at=place, folder=str(folder), flag="--output")
    if Path(output).is_dir():
        raise refused("output-is-folder", at=place, meant=None)
    if Path(output).is_file() and not force:
        raise refused("output-exists", at=place, flag="--output")
    if any(Path(output).resolve() == Path(source).resolve() for source in sources):
        raise refused("output-is-input", at=place)


def check_output(output: str | None, sources: Sequence[str | Path], ending: str, *, force: bool) -> None:
    """Check that a prediction's file may be written: it has the task's ending, if there is one, and a folder.

    Args:
        output: The file; "-" or None for the screen.
        sources: The files that are predicted from, which are never written over.
        ending: The ending that the task's files have; "" if any will do.
        force: Whether a file that is there may be written over.

    Raises:
        BadInput: it may not.
    """
    if ending and output in (None, "-"):
        raise refused("frames-on-the-screen", at="--output")
    if output:
        _check_file(output, sources, force=force)
    if output and ending:
        if Path(output).suffix.lower() != ending:
            raise refused("output-not-npy", at=f"--output {output}", meant=str(Path(output).with_suffix(ending)))
        _check_file(picture_of(output), sources, force=force)


def picture_of(output: str) -> str:
    """Return the name of the picture beside a file of frames."""
    return str(Path(output).with_suffix(".png"))


def columns_of(made: dict[str, list[Any]] | TranslatedLines) -> dict[str, list[Any]]:
    """Return the columns of a prediction that is a table."""
    return made.columns if isinstance(made, TranslatedLines) else made


def text_of(made: dict[str, list[Any]] | Passage | TranslatedLines) -> str:
    """Return a text, the lines of a translation, or columns as CSV."""
    return f"{made.text}\n" if isinstance(made, Passage | TranslatedLines) else _csv(made)


def write(output: str, made: Predicted) -> None:
    """Write a prediction; frames with a picture of some of them beside the file.

    Raises:
        BadInput: the file can't be written.
    """
    from dashboards.report import strips
    from lstm.data.frames import arrays

    try:
        if isinstance(made, ForecastFrames):
            arrays.write(Path(output), made.values)
            Path(picture_of(output)).write_bytes(strips.png(made.strip))
        else:
            Path(output).write_text(text_of(made), encoding="utf-8")
    except OSError as error:
        raise refused("output-not-written", at=f"--output {output}", why=error.strerror, flag="--output") from None


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
