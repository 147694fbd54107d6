"""The page of verbs, made from the command line's help texts."""

from collections.abc import Iterator

import click

from experiments.cli import main
from experiments.reference.markdown import code, link

HEAD = """\
# Verbs

This page is generated from the help texts of the command line (`make schema`). Do not edit it.

- **A sweep is named** by its NAME or by its SPEC file. `sweep run NAME` uses the spec of the last run. If you edited
  the file, name the file.
- **`--json`** prints one JSON document on standard output. If the verb ends with an error, the document is
  `{"errors": [...]}` ([errors](errors.md)).
- **`--set training.batch_size=128`** overrides a field of the spec. If another field of the file contradicts the
  override, that field gives way, and a note says so. The option can be given several times.
- **`--home DIR`** (or `SWEEP_HOME`) is the folder for everything that is kept. The default is `runs`. The option may
  stand before the verb or after it.
- **`--in-process`** runs a sweep in this process, one trial at a time, without Ray. Use it with a debugger:
  `breakpoint()` talks with the terminal. The study, the checkpoints and MLflow are the same. Each way can go on with
  what the other way began.
- **`--code FILE`** names another place of the file with your own cell or task.

**Exit codes:** 0 done · 1 the sweep failed, or `verify` found something · 2 bad input, nothing was started or
written · 3 another driver holds this sweep · 130 interrupted, run again to go on.

**Environment:** `SWEEP_HOME` is the home. `RAY_ADDRESS` is the cluster that `--address auto` joins.
`SWEEP_WITHOUT_PATCHES` (all, or some of mlflow,optuna,ray,torch) leaves out what uses private parts of a library.

"""


def page() -> str:
    """Return the page, in Markdown."""
    return HEAD + _table() + "".join(_sections())


def _table() -> str:
    rows = [f"| {link(f'sweep {name}')} | {_summary(command)} |" for name, command in main.commands.items()]
    return "\n".join(["| verb | what it does |", "| --- | --- |", *rows]) + "\n\n"


def _summary(command: click.Command) -> str:
    return (command.help or "").partition("\n\n")[0]


def _sections() -> Iterator[str]:
    everything: dict[str, click.Command] = {"sweep": main} | {
        f"sweep {name}": command for name, command in main.commands.items()
    }
    sections = [f"## {name}\n\n{code('text', _help(name, command))}" for name, command in everything.items()]
    sections[-1] = sections[-1].rstrip() + "\n"
    yield from sections


def _help(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=80, help_option_names=["-h", "--help"])
    return command.get_help(context)
