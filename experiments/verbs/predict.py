"""`sweep predict`: write predictions as CSV, or continue a text, with the best trial's best epoch."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import lookup
from experiments.home import Home
from experiments.operations import predicting
from experiments.terminal.output import emit, print_note
from lstm.config.trial import TrialConfig
from lstm.records.errors import refused
from lstm.records.figures import Passage, TranslatedLines
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
    where = Home.at(home)
    found = lookup.sweep(named, where, print_note)
    sweep = lookup.read(found)
    chosen = predicting.choose_all(sweep, trial, model, print_note)
    if output:
        path, start, _ = (source, Path(), None) if source else lookup.source(named, where)
        _check(output, [start / path] if path else [], force=force)
    if output == "-":
        output = None
    options = {name: value for name, value in options.items() if value is not None}
    folder = lookup.spec_folder(named, where)
    maker = predicting.made_ready(found, sweep, chosen, model, options, print_note, folder=folder, code=code)
    made = maker(source, Path()) if source else predicting.own(maker, *lookup.source(named, where))
    by = predicting.named(chosen) if model is None else model
    if output:
        _write(output, _text(made))
    if as_json:
        whose = predicting.row(chosen) if model is None else {"model": model}
        emit({"sweep": found.name, **whose, "output": output} | _document(made))
    elif output:
        rows = tasks.of(TrialConfig.model_validate(chosen[0].config)).predicted
        size = made.note if isinstance(made, Passage) else f"{len(next(iter(_columns(made).values())))} {rows}"
        print(f"{output}: {size} by {by} of {found.name}")
    else:
        sys.stdout.write(_text(made))


def _check(output: str, sources: Sequence[str | Path], *, force: bool) -> None:
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


def _document(made: predicting.Forecast) -> dict[str, Any]:
    if isinstance(made, Passage):
        return {"prompt": made.prompt, "text": made.text}
    return {"lines" if isinstance(made, TranslatedLines) else "forecast": _columns(made)}


def _columns(made: Mapping[str, list[Any]] | TranslatedLines) -> Mapping[str, list[Any]]:
    return made.columns if isinstance(made, TranslatedLines) else made


def _text(made: predicting.Forecast) -> str:
    return f"{made.text}\n" if isinstance(made, TranslatedLines | Passage) else _csv(made)


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise refused("output-not-written", at=f"--output {output}", why=error.strerror, flag="--output") from None


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
