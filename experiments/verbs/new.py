"""`sweep new DATA`: looks at a file of data and writes a first spec that runs as it is."""

import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments import new_spec
from experiments.cli import emit
from experiments.spec import loader as spec_file
from lstm.config.forecast import ForecastData
from lstm.data import forecast as forecast_data
from lstm.data.profile.profile import Profile, profile
from lstm.records.errors import BadInput


@dataclass(frozen=True, slots=True)
class Written:
    """What was found in the data, the spec that was written, and what to do next."""

    path: Path
    name: str  # of the sweep
    found: Mapping[str, str]  # a word and a sentence each, in the order to show them
    next: tuple[str, ...]  # commands
    windows: Mapping[str, int]  # by part
    warnings: tuple[str, ...]  # what is likely wrong in the data
    profile: Profile

    def document(self) -> dict[str, Any]:
        """The same for --json."""
        facts = asdict(self.profile) | {"path": str(self.profile.path)}
        return {
            "spec": str(self.path),
            "name": self.name,
            "found": dict(self.found),
            "next": list(self.next),
            "windows": dict(self.windows),
            "warnings": list(self.warnings),
            "data": facts,
        }


def main(*, home: str, data: str, output: str | None, force: bool, as_json: bool) -> None:
    """Writes the spec and prints what was found; nothing is kept in the home."""
    written = new(data, output, force=force)
    if as_json:
        emit(written.document())
    else:
        show(written)


def show(written: Written) -> None:
    """Prints what was found and what to do next, for people."""
    from rich.table import Table

    from experiments.terminal.formats import console
    from experiments.terminal.live import LEAST

    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    for word, text in written.found.items():
        rows.add_row(word, text)
    rows.add_row("windows", ", ".join(f"{part} {count:,}" for part, count in written.windows.items()))
    rows.add_row("written", str(written.path))
    for index, command in enumerate(written.next):
        rows.add_row("next" if index == 0 else "", command)
    wide = console(least=LEAST)
    wide.print(rows)
    for text in written.warnings:
        wide.print(f"note: {text}", style="yellow", soft_wrap=True)


def new(data_path: str | Path, output: str | Path | None = None, *, force: bool = False) -> Written:
    """Writes a spec for a CSV or Parquet file, by default beside where the user stands, named like the data.

    Raises:
        BadInput: the data hold no series to forecast, or the spec's file is there and `force` is not; nothing
            was written.
    """
    source = Path(data_path)
    target = Path(output) if output else Path(f"{source.stem}.yaml")
    _check_target(target, source, force=force)
    found = profile(source)
    name = _name(target)
    path, schema = _relative(source, target.parent), _schema(target.parent)
    text = new_spec.compose(found, new_spec.choose(found), name=name, path=path, schema=schema)
    windows, doubts = _checked(text, target)
    _write(target, text)
    quoted = shlex.quote(str(target))
    commands = (f"sweep plan {quoted}", f"sweep run {quoted}")
    return Written(target, name, new_spec.summarise(found), commands, windows, doubts, found)


# --- The file ---------------------------------------------------------------------------------------------


def _check_target(target: Path, source: Path, *, force: bool) -> None:
    if target.is_dir():
        raise BadInput(
            f"{target}: is a folder; give the spec's file, as in --output {target / (source.stem + '.yaml')}"
        )
    if not target.parent.is_dir():
        raise BadInput(f"{target}: there is no folder {target.parent}; make it first, or write to another")
    if target.exists() and source.exists() and target.samefile(source):
        raise BadInput(f"{target}: is the data itself; give the spec another name with --output FILE")
    if target.suffix.lower() not in {".yaml", ".yml"}:
        raise BadInput(f"{target}: a spec's name ends in .yaml, as in --output {target.with_suffix('.yaml')}")
    if target.exists() and not force:
        raise BadInput(f"{target}: is there already; overwrite it with --force, or write to another with --output FILE")


def _checked(text: str, target: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Loads the spec and its data as `sweep run` will; the windows of each part, and what is likely wrong."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, target.name)
        trial.write_text(text, encoding="utf-8")
        spec = spec_file.load(trial)
    section = spec.experiment.base.data_as(ForecastData)
    series = forecast_data.load(section, target.parent, spec.experiment.reach)
    return new_spec.count_windows(series, section), series.doubts


def _write(target: Path, text: str) -> None:
    """Whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise BadInput(f"{target}: can't be written: {error.strerror}; write elsewhere with --output FILE") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's files are the owner's alone
        Path(name).replace(target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise BadInput(f"{target}: can't be written: {error.strerror}; write elsewhere with --output FILE") from None


def _name(target: Path) -> str:
    """A sweep's name out of the file's."""
    name = re.sub(r"[^A-Za-z0-9_.]+|\.{2,}", "-", target.stem).strip("-._")[:80].rstrip("-._")
    reserved = spec_file.is_reserved(name)
    return f"forecast-{name}" if reserved else name or "forecast"


def _relative(source: Path, folder: Path) -> str:
    """The data's path from the spec's folder; a link's own name, not what it points to."""
    there = source.parent.resolve() / source.name
    try:
        return Path(os.path.relpath(there, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return there.as_posix()


def _schema(folder: Path) -> str:
    """Where an editor finds the schema: a relative path within one project, else this installation's file."""
    here = folder.resolve()
    roots = [f for f in (here, *here.parents) if (f / ".git").exists() or (f / "pyproject.toml").exists()]
    if roots and spec_file.SCHEMA.is_relative_to(roots[0]):
        return Path(os.path.relpath(spec_file.SCHEMA, here)).as_posix()
    return spec_file.SCHEMA.as_uri()
