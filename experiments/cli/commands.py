"""All verbs with their flags."""

from typing import Any

import click

from experiments.cli.group import ADDRESS, CODE, HOME, IN_PROCESS, JSON, NAMED, SET, call, main
from experiments.cli.systems import SYSTEMS, UPLOAD, sized


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
    return call("new", **arguments)


@main.command()
@NAMED
@click.option("--on", "system", type=click.Choice(SYSTEMS), help="Show what it would be on this system.")
@sized
@UPLOAD
@SET
@CODE
@JSON
@HOME
def plan(**arguments: Any) -> int | None:
    """Show what `run` would do and how long it takes; start nothing."""
    others = (name for name in ("profile", "upload") if arguments[name] is not None)
    if arguments["system"] is None and (given := [*arguments["fields"], *others]):
        raise click.UsageError(f"--{given[0]} needs --on.")
    return call("plan", **arguments)


@main.command()
@NAMED
@SET
@CODE
@JSON
@HOME
def train(**arguments: Any) -> int | None:
    """Train the spec's own settings, in this process, without a search."""
    return call("train", **arguments)


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
    return call("run", **arguments)


@main.command()
@NAMED
@click.option("--on", "system", type=click.Choice(SYSTEMS), required=True, help="The system to launch on.")
@sized
@UPLOAD
@click.option("--dry-run", is_flag=True, help="Print what would be submitted; submit and write nothing.")
@SET
@CODE
@JSON
@HOME
def launch(**arguments: Any) -> int | None:
    """Submit the sweep to a system that gives out nodes, such as Slurm."""
    return call("launch", **arguments)


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
    return call("retry", **arguments)


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
    return call("extend", **arguments)


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
    return call("confirm", **arguments)


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
    return call("refit", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def status(**arguments: Any) -> int | None:
    """Show the progress of a sweep and its driver."""
    return call("status", **arguments)


@main.command()
@NAMED
@JSON
@HOME
@click.option("--forget", is_flag=True, help="Forget a launched job if its system can't be asked any more.")
def stop(**arguments: Any) -> int | None:
    """Ask a sweep's driver to stop; every finished epoch is kept."""
    return call("stop", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def logs(**arguments: Any) -> int | None:
    """Show what a launched sweep has written, or the log in its home."""
    return call("logs", **arguments)


@main.command()
@click.argument("named", metavar="[NAME|SPEC]", required=False)
@ADDRESS
@SET
@CODE
@JSON
@HOME
def doctor(**arguments: Any) -> int | None:
    """Say what this machine, or a cluster, is like for a sweep."""
    return call("doctor", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def verify(**arguments: Any) -> int | None:
    """Check a sweep's records: study, checkpoints, MLflow."""
    return call("verify", **arguments)


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
    return call("rebuild", **arguments)


@main.command()
@NAMED
@click.option("--keep", required=True, metavar="best|top:N", help="Keep the weights of the best trial, or the best N.")
@click.option("--dry-run", is_flag=True, help="Say what would be freed; change nothing.")
@JSON
@HOME
def clean(**arguments: Any) -> int | None:
    """Free the weights of trials that are not among the best."""
    return call("clean", **arguments)


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
    return call("compare", **arguments)


@main.command()
@NAMED
@JSON
@HOME
def best(**arguments: Any) -> int | None:
    """Show the best trial: parameters, metrics, checkpoint."""
    return call("best", **arguments)


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
    return call("predict", **arguments)


@main.command()
@NAMED
@click.option("--trial", type=int, metavar="N", help="Probe this trial.  [default: the best]")
@CODE
@JSON
@HOME
def probe(**arguments: Any) -> int | None:
    """Measure properties of a trial's network: memory, responses, cost."""
    return call("probe", **arguments)


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
    return call("rivals", **arguments)


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
    return call("optuna_ui" if optuna else "ui", **arguments)
