"""Composes the text of a spec for `sweep new`: a task's draft as YAML, and the parts that are equal for all tasks."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from experiments.spec import yaml_document as yaml_file
from lstm.tasks.drafts.draft import Draft, Line, Remark, Value, Word

_RELATIVE = "the path is relative to this file's folder"
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)(?:[A-Za-z0-9_./ -]*[A-Za-z0-9_])?")


def compose(draft: Draft, *, task: str, name: str, paths: Mapping[Path, str], schema: str) -> str:
    """Return the spec's text, each choice with its reason. `paths` are the data files relative to the spec's folder."""
    files = " and ".join(yaml_file.shown(path.name) for path in paths)
    lines = [
        (f"# yaml-language-server: $schema={schema}", ""),
        (f"# Written by `sweep new` from {files}. You may change every choice in it.", ""),
        (f"name: {_scalar(name)}", ""),
        (f"task: {_scalar(task)}", draft.why),
        ("data:", ""),
        *_section(draft.data, paths),
        ("model:", ""),
        *_section(draft.model, paths),
        ("training:", ""),
        *_section(draft.training, paths),
        *_search(draft, paths),
        ("resources: {cpus_per_trial: 1, gpus_per_trial: auto, max_concurrent: auto}", ""),
    ]
    return "".join(f"{line:<40}  # {_seen(why)}\n" if why else f"{line}\n" for line, why in lines)


def _search(draft: Draft, paths: Mapping[Path, str]) -> Iterator[tuple[str, str]]:
    yield "search:", ""
    yield from _section([draft.metric, Line("direction", draft.direction)], paths)
    yield "  n_trials: 24", "in total: raise it and run again to continue the sweep"
    yield "  stop: {max_hours: 1, max_failures: 5}", ""
    yield "  sampler: {type: tpe, seed: 1, n_startup_trials: 8}", ""
    first = max(draft.max_epochs // 6, 2)
    yield (
        f"  pruner: {{type: successive_halving, min_resource: {first}, reduction_factor: 3}}",
        f"at epochs {first}, {3 * first}, … only the best third continues",
    )
    yield from _section([draft.confirm] if draft.confirm else [], paths)
    if draft.first:
        yield "  first:", draft.first_why
        yield from ((f"    - {_text(setting, paths)}", "") for setting in draft.first)
    yield "  space:", ""
    yield from _section(draft.space, paths, indent=4)


def _section(
    lines: Iterable[Line | Remark], paths: Mapping[Path, str], *, indent: int = 2
) -> Iterator[tuple[str, str]]:
    for line in lines:
        text = f"# {_seen(line.text)}" if isinstance(line, Remark) else f"{line.key}: {_text(line.value, paths)}"
        path = line.value if isinstance(line, Line) and line.key == "path" else None
        told = [_RELATIVE] if isinstance(path, Path) and "://" not in paths[path] else []
        yield f"{' ' * indent}{text}", "; ".join([line.why, *told] if line.why else told)


def _text(value: Value, paths: Mapping[Path, str]) -> str:
    """Return a value as YAML, on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_scalar(key)}: {_text(item, paths)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_text(item, paths) for item in value)}]"
    if isinstance(value, Word):
        return str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _number(value)
    return _scalar(paths[value] if isinstance(value, Path) else value)


def _number(value: float) -> str:
    """Return a number as people write it: 3e-3 and 0.15."""
    digit, _, power = f"{value:.0e}".partition("e")
    is_short = 0 < abs(value) < 0.1 and float(f"{digit}e{power}") == value
    return f"{digit}e{int(power)}" if is_short else repr(value)


def _scalar(text: str) -> str:
    """Return a text as YAML, in quotes if YAML would read it as something else."""
    text = text.replace("${", "$${")  # or it would be filled in from the environment
    if _PLAIN.fullmatch(text) and isinstance(yaml_file.typed(text), str):
        return text
    return json.dumps(text, ensure_ascii=False)


def _seen(text: str) -> str:
    """Return a comment's text on one line."""
    return yaml_file.shown(text, len(text))
