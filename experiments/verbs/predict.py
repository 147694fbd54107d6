"""`sweep predict`: a forecast as CSV, or a text that is gone on with, from the best trial's best epoch."""

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.spec import own_code
from experiments.spec.yaml_document import Document
from lstm.config.trial import TrialConfig
from lstm.records.errors import BadInput
from lstm.records.figures import Passage
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.tasks import registry as tasks

Forecast = dict[str, list[Any]] | Passage
Maker = Callable[[str | None, Path], Forecast]  # of a file in a folder

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
    model: str | None = None,
    as_json: bool,
    **options: Any,
) -> None:
    """Writes the forecast; `options` are some tasks' own, None where not given."""
    where = Home.at(home)
    found = lookup.sweep(named, where)
    sweep = lookup.read(found)
    if model is not None and trial is not None:
        raise BadInput(f"--model {model}: forecasts without a trial; leave --trial out")
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
    own_code.ready(TrialConfig.model_validate(chosen.config).code, lookup.spec_folder(named, where))
    maker = _by_trial(sweep, chosen, options) if model is None else _by_rival(found, sweep, chosen, model, options)
    made = maker(source, Path()) if source else _own_forecast(maker, *lookup.source(named, where))
    by = f"trial {chosen.number}" if model is None else model
    if output:
        _write(output, _text(made))
    if as_json:
        whose = {"trial": chosen.number} if model is None else {"model": model}
        emit({"sweep": found.name, **whose, "output": output} | _document(made))
    elif output:
        rows = tasks.of(TrialConfig.model_validate(chosen.config)).predicted
        size = made.note if isinstance(made, Passage) else f"{len(next(iter(made.values())))} {rows}"
        print(f"{output}: {size} by {by} of {found.name}")
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


def _own_forecast(maker: Maker, path: str | None, folder: Path, document: Document) -> Forecast:
    """The forecast of what follows the spec's data, whose path may be the environment's and private."""
    try:
        return maker(path, folder)
    except BadInput as error:
        raise BadInput(*map(document.hide, error.messages)) from None


def _by_trial(sweep: Sweep, trial: Trial, options: Mapping[str, Any]) -> Maker:
    """What a trial's best epoch makes of a file; of a time series the steps after its last known target."""
    loaded = load(sweep, trial)
    return lambda path, folder: tasks.predict(loaded, path, folder, **options)


def _by_rival(found: lookup.Found, sweep: Sweep, best: Trial, name: str, options: Mapping[str, Any]) -> Maker:
    """What a rival, as `sweep rivals` has fitted it, makes of a file; how values are scaled stands by the best trial.

    Raises:
        BadInput: the task has no such rival, it is judged only, or it was not fitted.
    """
    from lstm import ownership
    from lstm.verdict import store

    config = TrialConfig.model_validate(sweep.facts["base"])
    task = tasks.of(config)
    try:
        task.check_predicts(name)
    except BadInput as error:
        raise BadInput(f"--model {name}: {error}; leave it out for the best trial") from None
    if options:
        raise BadInput(f"--{next(iter(options))}: would do nothing with --model; leave it out")
    folder, studies = str(found.home.sweep(found.name)), ownership.studies_of(sweep.facts)
    again = f"`sweep rivals {found.name}{found.home.flag}` fits it"
    try:
        fitted = store.read_fitted(folder, name, studies, str(sweep.facts.get("data_fingerprint") or ""))
    except store.BrokenJudgements as error:
        raise BadInput(f"{error}; {again} again") from None
    if fitted is None or fitted.name != name:
        raise BadInput(f"--model {name}: was not fitted yet; {again}")
    loaded = ownership.load_trial(sweep, best)
    if loaded is None:
        raise BadInput(f"{best.checkpoint}: holds no valid checkpoint any more")
    facts = task.facts_of(loaded.facts)
    return lambda path, folder: task.predict_by_rival(fitted, config, facts, str(path), folder)


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
