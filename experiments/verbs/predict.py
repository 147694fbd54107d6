"""`sweep predict`: write predictions as CSV, a text, lines or frames, with the best trial's best epoch."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from experiments import lookup
from experiments.home import Home
from experiments.operations import predicting
from experiments.terminal.output import emit, print_note
from lstm.config.trial import TrialConfig
from lstm.records.errors import BadInput, refused
from lstm.records.figures import ForecastFrames, Passage, Predicted, TranslatedLines
from lstm.tasks import registry as tasks


def main(
    *,
    home: str,
    named: str,
    source: str | None,
    output: str | None,
    force: bool,
    trial: int | None,
    model: str | None = None,
    code: str | None = None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the prediction. `options` are those of single tasks; the value is None if one is not given."""
    if force and output in (None, "-"):
        raise refused("force-without-file", at="--force", flag="--output")
    where = Home.at(home)
    found = lookup.sweep(named, where, print_note)
    sweep = lookup.read(found)
    chosen = predicting.choose_all(sweep, trial, model, print_note)
    task = tasks.of(TrialConfig.model_validate(chosen[0].config))
    kept: list[str | Path] = [source] if source else []
    if output:
        with suppress(BadInput) if source else nullcontext():  # with a file of its own, a prediction needs no others
            kept += _own_data(named, where, [*task.location.model_fields])
    predicting.check_output(output, kept, task.ending, force=force)
    if output == "-":
        output = None
    options = {name: value for name, value in options.items() if value is not None}
    folder = lookup.spec_folder(named, where)
    maker = predicting.made_ready(found, sweep, chosen, model, options, print_note, folder=folder, code=code)
    made = maker(source, Path()) if source else predicting.own(maker, chosen[0], named, where, print_note)
    by = predicting.named(chosen) if model is None else model
    if output:
        predicting.write(output, made)
    if as_json:
        whose = predicting.row(chosen) if model is None else {"model": model}
        emit({"sweep": found.name, **whose, "output": output} | _document(made))
    elif output:
        print(f"{output}: {_size(made, task.predicted)} by {by} of {found.name}")
        if isinstance(made, ForecastFrames):
            print(f"{predicting.picture_of(output)}: {made.strip.note}")
    elif not isinstance(made, ForecastFrames):
        sys.stdout.write(predicting.text_of(made))


def _own_data(named: str, home: Home, fields: Sequence[str]) -> list[Path]:
    """Return the files that the sweep has learnt from; `fields` are those of the task's location."""
    _, folder, document = lookup.source(named, home)
    paths = [document.filled["data"].get(name) for name in fields]
    return [folder / path for path in paths if path]


def _size(made: Predicted, rows: str) -> str:
    if isinstance(made, Passage):
        return made.note
    if isinstance(made, ForecastFrames):
        return f"{len(made.values)} {rows}"
    return f"{len(next(iter(predicting.columns_of(made).values())))} {rows}"


def _document(made: Predicted) -> dict[str, Any]:
    if isinstance(made, ForecastFrames):
        return {"shape": list(made.values.shape), "type": str(made.values.dtype)}
    if isinstance(made, Passage):
        return {"prompt": made.prompt, "text": made.text}
    return {"lines" if isinstance(made, TranslatedLines) else "forecast": predicting.columns_of(made)}
