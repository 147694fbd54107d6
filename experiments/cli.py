"""The command line: its verbs and their flags. A verb's module (`experiments/verbs/`) is imported when it is called."""

import atexit
import errno
import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import click

import cluster
from experiments.terminal import streams
from experiments.terminal.output import emit
from lstm.patches import switched_off
from lstm.records.errors import Refusal, refused

Function = Callable[..., Any]
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

# Only the group reads SWEEP_HOME: read by the verb, it would override a --home that is written before the verb.
HOME_OPTION: dict[str, Any] = {"metavar": "DIR", "help": "Keep everything in DIR.  [SWEEP_HOME; default: runs]"}
HOME = click.option("--home", **HOME_OPTION)
SET = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Override a field of the spec; may be repeated."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, also for an error.")
CODE = click.option("--code", metavar="FILE", help="Your own code file, if it is not where the spec says.")
NAMED = click.argument("named", metavar="NAME|SPEC")
ADDRESS = click.option("--address", metavar="HOST:PORT", help="Join this Ray cluster (auto: the one on this host).")
IN_PROCESS = click.option("--in-process", is_flag=True, help="Run one trial at a time in this process, without Ray.")


class Verbs(click.Group):
    """The group of all verbs. It turns wrong input into a message and exit code 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a verb and exit: 0 done, 1 failed, 2 wrong input, 3 held by another driver, 130 interrupted."""
        kwargs["standalone_mode"] = False
        gc.set_threshold(cluster.GARBAGE_AFTER)  # safe here: the process is the command line's own
        atexit.register(gc.freeze)  # else Python's last garbage collection takes seconds at exit
        streams.hold()
        if os.path.expanduser("~") == "~":  # noqa: PTH111 # a user of a container may have no home; libraries ask for one
            os.environ["HOME"] = "/nonexistent"  # as system users have
        try:
            code = super().main(*args, **kwargs) or 0
        except Refusal as error:
            _complain(str(error), error.code)
        except click.exceptions.NoArgsIsHelpError as error:
            _complain(error.format_message(), 2)
        except click.UsageError as error:
            where = f" (try: {error.ctx.command_path} --help)" if error.ctx else ""
            _complain(error.format_message() + where, 2)
        except click.ClickException as error:
            _complain(error.format_message(), 2)
        except (click.Abort, KeyboardInterrupt):
            _complain("interrupted", 130)
        except OSError as error:
            if error.filename is None:
                raise
            from lstm.storage.disk import place_of

            where = place_of(Path(str(error.filename))) if error.errno == errno.ENOSPC else error.filename
            _complain(f"{where}: {error.strerror}", 1)
        if fault := streams.fault():
            _complain(f"standard output: can't be written: {fault.strerror}", code or 1)
        sys.exit(code)


def _complain(text: str, code: int) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(code)


@click.group(cls=Verbs, context_settings=CONTEXT)
@click.version_option(package_name="lstm-sweeps", prog_name="sweep")
@click.option("--home", envvar="SWEEP_HOME", **HOME_OPTION)
@click.pass_context
def main(context: click.Context, home: str | None) -> None:
    """Run a sweep of LSTM trainings on a Ray cluster, from one YAML file.

    Optuna decides what to try, MLflow records every trial. Give a verb the NAME of a sweep, or its SPEC file.
    Start with: sweep new data.csv
    """
    context.obj = home


def _verb(module: str, home: str | None = None, **arguments: Any) -> int | None:
    """Call `main` of a verb's module. The home may be given before the verb or after it."""
    switched_off()  # refuses an unknown name in the environment before anything starts
    given = home or click.get_current_context().obj or "runs"
    try:
        Path.cwd()
    except OSError as error:
        raise refused("no-working-folder", why=error.strerror) from None
    with nullcontext() if module == "run" else _alone():  # `run` sends what libraries print to its log
        verb = importlib.import_module(f"experiments.verbs.{module}")
        try:
            code: int | None = verb.main(home=given, **arguments)
        except Refusal as error:
            if arguments.get("as_json"):
                emit({"errors": [each.row() for each in error.faults]})
            raise
    return code


@contextmanager
def _alone() -> Iterator[None]:
    """Silence libraries: their warnings and logs do not belong on the screen."""
    before = logging.root.manager.disable
    logging.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)


@main.command()
@click.argument("data", metavar="FILE...", nargs=-1, required=True)
@click.option("--output", metavar="FILE", help="The spec to write.  [default: the first FILE's name with .yaml]")
@click.option("--task", metavar="TASK", help="The spec's task.  [default: the task that recognises the data]")
@click.option("--target", metavar="COLUMN", help="The column to forecast, or the class.  [default: found by its name]")
@click.option("--horizon", metavar="N", type=click.IntRange(min=1), help="Steps to forecast.  [default: a season]")
@click.option("--force", is_flag=True, help="Overwrite an existing spec.")
@JSON
@HOME
def new(**arguments: Any) -> int | None:
    """Read tables or a text and write a first spec for them."""
    return _verb("new", **arguments)


@main.command()
@NAMED
@SET
@CODE
@JSON
@HOME
def plan(**arguments: Any) -> int | None:
    """Show what `run` would do and how long it takes; start nothing."""
    return _verb("plan", **arguments)


@main.command()
@NAMED
@SET
@CODE
@JSON
@HOME
def train(**arguments: Any) -> int | None:
    """Train the spec's own settings, in this process, without a search."""
    return _verb("train", **arguments)


@main.command()
@NAMED
@ADDRESS
@IN_PROCESS
@SET
@CODE
@JSON
@HOME
def run(**arguments: Any) -> int | None:
    """Run the sweep until all trials have ended; run again to resume."""
    return _verb("run", **arguments)


@main.command()
@NAMED
@click.argument("trials", metavar="[TRIAL...]", nargs=-1, type=click.IntRange(min=0))
@click.option("--failed", is_flag=True, help="Retry all failed trials that were not retried yet.")
@ADDRESS
@IN_PROCESS
@CODE
@JSON
@HOME
def retry(**arguments: Any) -> int | None:
    """Run failed trials again, then resume the sweep."""
    return _verb("retry", **arguments)


@main.command()
@NAMED
@click.argument("trial", metavar="TRIAL", type=click.IntRange(min=0))
@click.option("--epochs", type=click.IntRange(1, 1_000_000), metavar="N", required=True, help="Its last epoch.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, 10, min_open=True),
    metavar="RATE",
    help="A constant learning rate from here on.  [default: the trial's schedule goes on]",
)
@ADDRESS
@IN_PROCESS
@CODE
@JSON
@HOME
def extend(**arguments: Any) -> int | None:
    """Train an ended trial for more epochs, then resume the sweep."""
    return _verb("extend", **arguments)


@main.command()
@NAMED
@click.option(
    "--top", type=click.IntRange(1, 1000), metavar="K", help="The best K settings.  [default: the spec's, or 5]"
)
@click.option(
    "--seeds", type=click.IntRange(1, 100), metavar="N", help="N other seeds for each.  [default: the spec's, or 5]"
)
@click.option(
    "--windows",
    type=click.Choice(("fresh", "search")),
    help="Judge on those set aside, or on the search's.  [default: the spec's, or fresh]",
)
@ADDRESS
@IN_PROCESS
@CODE
@JSON
@HOME
def confirm(**arguments: Any) -> int | None:
    """Train the best settings and the base again, from other seeds."""
    return _verb("confirm", **arguments)


@main.command()
@NAMED
@click.option(
    "--trial", type=click.IntRange(min=0), metavar="N", help="Fit this trial's settings.  [default: the winner]"
)
@click.option("--until", metavar="TIME", help="For a series: use no rows after this time.  [default: all rows]")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    metavar="K",
    help="Train from K seeds; they predict together, by their mean.",
)
@click.option("--warm", is_flag=True, help="Judge on newer rows if going on from its checkpoint is better.")
@ADDRESS
@IN_PROCESS
@CODE
@JSON
@HOME
def refit(**arguments: Any) -> int | None:
    """Train the winner's settings on all data, for `predict`."""
    return _verb("refit", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def status(**arguments: Any) -> int | None:
    """Show the progress of a sweep and its driver."""
    return _verb("status", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def stop(**arguments: Any) -> int | None:
    """Ask a sweep's driver to stop; every finished epoch is kept."""
    return _verb("stop", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def verify(**arguments: Any) -> int | None:
    """Check a sweep's records: study, checkpoints, MLflow."""
    return _verb("verify", **arguments)


@main.command()
@NAMED
@click.option("--study", is_flag=True, help="Restore a lost study from checkpoints and MLflow.")
@click.option(
    "--force", is_flag=True, help="Go on although records are damaged. With --study: also a study of a lost home."
)
@JSON
@HOME
def rebuild(**arguments: Any) -> int | None:
    """Write a sweep's MLflow runs again, from study and checkpoints."""
    return _verb("rebuild", **arguments)


@main.command()
@NAMED
@click.option("--keep", required=True, metavar="best|top:N", help="Keep the weights of the best trial, or the best N.")
@click.option("--dry-run", is_flag=True, help="Say what would be freed; change nothing.")
@JSON
@HOME
def clean(**arguments: Any) -> int | None:
    """Free the weights of trials that are not among the best."""
    return _verb("clean", **arguments)


@main.command()
@click.argument("named", metavar="NAME|SPEC...", nargs=-1, required=True)
@click.option(
    "--trials",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show the best N trials; 0 for all.",
)
@click.option("--html", "page", metavar="FILE", help="Also write one page for a browser, with all trials and figures.")
@click.option("--force", is_flag=True, help="Overwrite the page, but no other file.")
@JSON
@HOME
def compare(**arguments: Any) -> int | None:
    """Compare sweeps and trials: best value, spread, time."""
    return _verb("compare", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def best(**arguments: Any) -> int | None:
    """Show the best trial: parameters, metrics, checkpoint."""
    return _verb("best", **arguments)


@main.command()
@NAMED
@click.option("--input", "source", metavar="FILE", help="The data to predict from.  [default: the spec's data]")
@click.option("--output", metavar="FILE", help="The file to write.  [default: standard output]")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.option("--trial", type=int, metavar="N", help="Use this trial.  [default: the best]")
@click.option("--model", metavar="RIVAL", help="For a series: forecast with this rival of the network, such as ridge.")
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), metavar="N", help="For a text: symbols to write.  [default: 500]"
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 100),
    metavar="T",
    help="For a text: 0 always takes the likeliest symbol.  [default: 0.8]",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", help="For a text: the seed of its draws.  [default: 1]"
)
@CODE
@JSON
@HOME
def predict(**arguments: Any) -> int | None:
    """Write predictions as CSV or frames, continue a text, or translate."""
    return _verb("predict", **arguments)


@main.command()
@NAMED
@click.option("--trial", type=int, metavar="N", help="Probe this trial.  [default: the best]")
@CODE
@JSON
@HOME
def probe(**arguments: Any) -> int | None:
    """Measure properties of a trial's network: memory, responses, cost."""
    return _verb("probe", **arguments)


@main.command()
@NAMED
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Core-seconds for all rivals of the extra packages.  [default: 3600]",
)
@JSON
@HOME
def rivals(**arguments: Any) -> int | None:
    """Compare the network with simpler models: is it needed?"""
    return _verb("rivals", **arguments)


@main.command()
@click.argument("named", metavar="[NAME|SPEC]", required=False)
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="The server's port.  [default: the first free from 5000]"
)
@click.option("--optuna", is_flag=True, help="Start optuna-dashboard instead, on the study; it can only be read.")
@JSON
@HOME
def ui(*, optuna: bool, **arguments: Any) -> int | None:
    """Start MLflow's pages on the sweep's store, at its loss curves."""
    return _verb("optuna_ui" if optuna else "ui", **arguments)
