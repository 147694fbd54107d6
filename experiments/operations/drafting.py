"""A first spec for a file of data, written so that it runs as it is."""

import os
import re
import secrets
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments import new_spec
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
    half = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    try:
        with half.open("x", encoding="utf-8") as file:
            file.write(text)
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
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
