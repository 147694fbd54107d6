"""Writes a first spec for data files, which runs as it is."""

import os
import re
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experiments import new_spec, own_code
from experiments.spec import loader as spec_file
from lstm.data.profile.files import PACKED, GivenFile
from lstm.messages.message import Message, as_given, changed
from lstm.own_code import execute, file_of, is_reference, place_of, raised, read
from lstm.records.errors import BadInput, nearest, refused
from lstm.storage import objects
from lstm.tasks import registry as tasks
from lstm.tasks.base import Task

AnyTask = Task[Any, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A written spec, what was found in the data, and what to do next."""

    path: Path
    name: str  # of the sweep
    task: str
    task_why: str  # why the data fit this task
    found: Mapping[str, str]  # by word a sentence, in the order to show them
    next: tuple[str, ...]  # commands
    windows: Mapping[str, int]  # the size of each part
    warnings: tuple[Message, ...]  # likely errors in the data
    facts: Mapping[str, Any]  # what was found, as values
    counted: str  # the unit of `windows`

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, for --json."""
        return {
            "spec": str(self.path),
            "name": self.name,
            "task": self.task,
            "task_why": self.task_why,
            "found": dict(self.found),
            "next": list(self.next),
            "windows": dict(self.windows),
            "warnings": list(self.warnings),
            "data": dict(self.facts),
        }


def new(
    data: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    task: str | None = None,
    target: str | None = None,
    horizon: int | None = None,
    force: bool = False,
) -> Written:
    """Write a spec for a file, or for several files that are one data set.

    Args:
        data: The file or files.
        output: The spec to write. Default: the first file's name with .yaml, in the working folder.
        task: The task, which may be the user's own as FILE.py:Class. Default: the one that recognises the files.
        target: The column to forecast, or the column of the class. Default: found by its name and its values.
        horizon: The steps to forecast. Default: a season, or a part of it.
        force: Whether to overwrite an existing spec.

    Raises:
        BadInput: no task or several tasks recognise the files, the data are too few, or the spec can't be written or
            exists and `force` is not set. Nothing was written.
    """
    given = [str(each) for each in ([data] if isinstance(data, str | Path) else data)]
    spec = Path(output) if output else Path(f"{_stem(given[0])}.yaml")
    _check_target(spec, [Path(each) for each in given])
    with objects.local(given) as there:
        sources = {Path(there.get(each, each)): each for each in given}
        return _new(sources, spec, task, target, horizon, force=force)


def _new(
    sources: Mapping[Path, str], spec: Path, task: str | None, target: str | None, horizon: int | None, *, force: bool
) -> Written:
    """Write a spec for files; `sources` has for each the path or the address that was given."""
    files = [GivenFile(source, task, target, horizon).checked() for source in sources]
    wishes = {"target": target, "horizon": horizon}
    asked = [name for name, value in wishes.items() if value is not None]
    chosen, who, why = _given(files, task) if task else _recognising(files, asked)
    if idle := [name for name in asked if name not in who.wishes]:
        raise refused("wish-of-another-task", at=f"--{idle[0]}", task=chosen)
    if spec.exists() and not force:  # last: --force helps only where a spec can be drafted
        raise refused("output-exists", at=spec, flag="--output")
    folder = spec.parent
    named = _from(chosen, folder)
    name, paths = _name(spec, named), {path: _relative(given, folder) for path, given in sources.items()}
    with _placed(chosen):
        draft = who.draft(files)
        text = new_spec.compose(draft, task=named, name=name, paths=paths, schema=_schema(folder))
        windows, doubts = _checked(text, spec, files, who)
    _write(spec, text)
    quoted = shlex.quote(str(spec))
    commands = (f"sweep plan {quoted}", f"sweep run {quoted}")
    found, facts = changed(draft.found, as_given), changed(draft.facts, as_given)
    return Written(spec, name, named, why, found, commands, windows, doubts, facts, who.counted)


# --- The task ---------------------------------------------------------------------------------------------


def _stem(given: str) -> str:
    """Return a file's name without its endings: sales of sales.csv.gz."""
    source = Path(unquote(given.rpartition("/")[2]) if "://" in given else given)
    return Path(source.stem).stem if source.suffix.lower() in PACKED else source.stem


def _recognising(files: Sequence[GivenFile], asked: Sequence[str]) -> tuple[str, AnyTask, str]:
    """Return the one task that recognises the files and knows what was `asked` for: its name, the task, and why."""
    seen = tasks.recognising(files)
    able = [name for name, recognition in seen.items() if recognition.fits]
    if len(able) > 1:
        able = [name for name in able if {*asked} <= {*tasks.TASKS[name].wishes}] or able
    if len(able) == 1:
        return able[0], tasks.TASKS[able[0]], seen[able[0]].why
    reasons = [f"{name} ({each.why})" for name, each in seen.items() if each.fits or not able]
    if able:
        raise refused("several-tasks-fit", at=_shown(files), count=len(able), reasons=reasons, tasks=able)
    _check_encoding(files)
    raise refused("no-task-fits", at=_shown(files), reasons=reasons, **_forms(files))


def _given(files: Sequence[GivenFile], name: str) -> tuple[str, AnyTask, str]:
    """Return the task of a name, if it recognises the files: its name, the task, and why."""
    if is_reference(name):
        file = file_of(name)
        code = read(Path(file), file)
        execute(code)
        task = tasks.own(name, {file: code.digest})
    elif name in tasks.TASKS:
        task = tasks.TASKS[name]
    else:
        raise refused("unknown-task", at=f"--task {name}", near=nearest(name, tasks.TASKS), known=list(tasks.TASKS))
    with _placed(name):
        seen = task.recognise(files)
    if not seen.fits:
        _check_encoding(files)
        raise refused("task-does-not-fit", at=_shown(files), task=name, why=seen.why, **_forms(files))
    return name, task, seen.why


def _check_encoding(files: Sequence[GivenFile]) -> None:
    """Check that no file is a text in another encoding than UTF-8, which is then why no task recognises it.

    Raises:
        BadInput: some are; the message of each has the line.
    """
    if faults := [file.form.fault for file in files if file.form.fault]:
        raise BadInput(*faults)


@contextmanager
def _placed(task: str) -> Iterator[None]:
    """Report an exception of a user's own task with its line in the user's file.

    Raises:
        BadInput: the user's task raises.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if not is_reference(task):
            raise
        raise raised(error, place_of(error) or task) from error


def _shown(files: Sequence[GivenFile]) -> str:
    return ", ".join(str(file.path) for file in files)


def _forms(files: Sequence[GivenFile]) -> dict[str, Any]:
    """Return the form of a single file, or the number of files, as values of a message."""
    one = len(files) == 1
    return {"form": files[0].form.what if one else None, "files": None if one else len(files)}


def _from(task: str, folder: Path) -> str:
    """Return the name of a task as written in a spec in a folder: a user's file relative to that folder."""
    if not is_reference(task):
        return task
    file, _, name = task.rpartition(":")
    return f"{_relative(file, folder)}:{name}"


# --- The file ---------------------------------------------------------------------------------------------


def _check_target(target: Path, sources: Sequence[Path]) -> None:
    if target.is_dir():
        raise refused("output-is-folder", at=target, meant=str(target / f"{sources[0].stem}.yaml"))
    if not target.parent.is_dir():
        raise refused("output-folder-missing", at=target, folder=str(target.parent), flag="--output")
    if target.exists() and any(source.exists() and target.samefile(source) for source in sources):
        raise refused("output-is-input", at=target)
    if target.suffix.lower() not in {".yaml", ".yml"}:
        raise refused("output-not-yaml", at=target, meant=str(target.with_suffix(".yaml")))


def _checked(
    text: str, target: Path, files: Sequence[GivenFile], task: AnyTask
) -> tuple[dict[str, int], tuple[Message, ...]]:
    """Load the spec and its data as `sweep run` will. Returns the size of each part, and likely errors in the data."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, target.name)
        trial.write_text(text, encoding="utf-8")
        try:
            spec = spec_file.load(trial, execute=lambda document: own_code.executed(document, target.parent))
        except BadInput as error:  # a name in the data is not allowed in a spec
            where = f"{_shown(files)}: the spec for it, line "
            told = (each.changed(lambda text: text.replace(f"{trial}:", where)) for each in error.faults)
            raise BadInput(*told) from None
    experiment = spec.experiment
    loaded = tasks.load(experiment.widest, experiment.location.within(target.parent), experiment.reach)
    # Windows whose targets were all filled in are counted too, although nothing is learned from them.
    whole = experiment.base.model_copy(update={"loss_on": "all"})
    return dict(task.describe(loaded, whole)["windows"]), tuple(task.doubts(loaded))


def _write(target: Path, text: str) -> None:
    """Write the spec whole or not at all."""
    half = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    try:
        with half.open("x", encoding="utf-8") as file:
            file.write(text)
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise refused("output-not-written", at=target, why=error.strerror, flag="--output") from None


def _name(target: Path, task: str) -> str:
    """Return a sweep's name made from the file's name, or from the task's if the file's name can't be used."""
    name = re.sub(r"[^A-Za-z0-9_.]+|\.{2,}", "-", target.stem).strip("-._")[:80].rstrip("-._")
    kind = task.rpartition(":")[2]
    return f"{kind}-{name}" if spec_file.is_reserved(name) else name or kind


def _relative(given: str, folder: Path) -> str:
    """Return a path relative to the spec's folder, for a link that of its own name; an address as it is."""
    if "://" in given:
        return given
    source = Path(given)
    there = source.parent.resolve() / source.name
    try:
        return Path(os.path.relpath(there, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return there.as_posix()


def _schema(folder: Path) -> str:
    """Return where an editor finds the schema: a relative path within one project, else this installation's file."""
    here = folder.resolve()
    roots = [f for f in (here, *here.parents) if (f / ".git").exists() or (f / "pyproject.toml").exists()]
    if roots and spec_file.SCHEMA.is_relative_to(roots[0]):
        return Path(os.path.relpath(spec_file.SCHEMA, here)).as_posix()
    return spec_file.SCHEMA.as_uri()
