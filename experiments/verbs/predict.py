"""`sweep predict`: a forecast as CSV, or a text that is gone on with, from the best trial's best epoch."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import find
from experiments.cli import emit
from experiments.home import Home
from experiments.load import Document
from lstm.records import BadInput, Passage, Sweep, Trial
from lstm.sections import section_of

Forecast = dict[str, list[Any]] | Passage

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint


def main(
    *,
    home: str,
    named: str,
    source: str | None,
    output: str | None,
    force: bool,
    trial: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Writes the forecast; `options` are some tasks' own, None where not given."""
    where = Home.at(home)
    found = find.sweep(named, where)
    sweep = find.read(found)
    chosen = choose(sweep, trial)
    if output and not Path(output).absolute().parent.is_dir():
        raise BadInput(f"--output {output}: its folder does not exist")
    if output and Path(output).is_dir():
        raise BadInput(f"--output {output}: is a folder; name a file")
    if output and Path(output).is_file() and not force:
        raise BadInput(f"--output {output}: is there already; overwrite it with --force, or name another file")
    if output and source and Path(output).resolve() == Path(source).resolve():
        raise BadInput(f"--output {output}: is the input; name another file")
    if output == "-":
        output = None
    options = {name: value for name, value in options.items() if value is not None}
    if source:
        made = _forecast(load(sweep, chosen), source, Path(), options)
    else:
        made = _own_forecast(load(sweep, chosen), *find.source(named, where), options)
    if output:
        _write(output, _text(made))
    if as_json:
        emit({"sweep": found.name, "trial": chosen.number, "output": output} | _document(made))
    elif output:
        rows = section_of(chosen.config.get("task")).predicted
        size = made.note if isinstance(made, Passage) else f"{len(next(iter(made.values())))} {rows}"
        print(f"{output}: {size} by trial {chosen.number} of {found.name}")
    else:
        sys.stdout.write(_text(made))


def _document(made: Forecast) -> dict[str, Any]:
    return {"prompt": made.prompt, "text": made.text} if isinstance(made, Passage) else {"forecast": made}


def _text(made: Forecast) -> str:
    return f"{made.text}\n" if isinstance(made, Passage) else _csv(made)


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--output {output}: can't be written: {error.strerror}") from None


def choose(sweep: Sweep, number: int | None) -> Trial:
    """The trial of a number, which must have a checkpoint; without one the best."""
    if number is None:
        if sweep.best is None:
            raise BadInput(f"{sweep.name}: no trial has completed yet; `sweep run` it first")
        return sweep.best
    there = {t.number: t for t in sweep.trials if t.checkpoint}
    if number not in there:
        raise BadInput(f"--trial {number}: {sweep.name} has no such trial with a checkpoint; it has {_ranges(there)}")
    return there[number]


def _ranges(numbers: Mapping[int, Any]) -> str:
    shown = ", ".join(str(n) for n in list(numbers)[:20])
    return (shown + (", …" if len(numbers) > 20 else "")) or "none"


def _own_forecast(
    found: "Checkpoint", path: str | None, folder: Path, document: Document, options: Mapping[str, Any]
) -> Forecast:
    """The forecast of what follows the spec's data, whose path may be the environment's and private."""
    try:
        return _forecast(found, path, folder, options)
    except BadInput as error:
        raise BadInput(*map(document.hide, error.messages)) from None


def _forecast(found: "Checkpoint", path: str | None, folder: Path, options: Mapping[str, Any]) -> Forecast:
    """What a trial's best epoch makes of a file; of a time series the steps after its last known target."""
    from lstm import tasks

    return tasks.predict(found, path, folder, **options)


def load(sweep: Sweep, trial: Trial) -> "Checkpoint":
    """A trial's checkpoint with its best weights; files that can't be trusted are named on standard error.

    Raises:
        BadInput: there is none, it is another study's, or its weights were not kept.
    """
    from lstm import ownership

    broken: list[str] = []
    loaded = ownership.load_trial(sweep, trial, broken.append)
    for text in broken:
        print(f"note: {text}", file=sys.stderr)
    if loaded is None:
        raise BadInput(f"{trial.checkpoint}: holds no valid checkpoint any more")
    if not loaded.state.best_weights:
        raise BadInput(
            f"--trial {trial.number}: its weights were not kept (storage.keep: best); leave --trial out for the best"
        )
    return loaded


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
