"""The group of all verbs, the options that several of them have, and the call of a verb's module.

A verb's module (`experiments/verbs/`) is imported when the verb is called.
"""

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
from lstm.records.errors import Away, Refusal, may_pass, refused

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
            _complain(str(error), _code(error))
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


def _code(error: Refusal) -> int:
    """Return the exit code of a refusal. In a launched job, what does not answer now is no bad input: 1, try again."""
    from cluster.launch import record

    return Away.code if record.of_environment() and may_pass(error) else error.code


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


def call(module: str, home: str | None = None, **arguments: Any) -> int | None:
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
