"""Writes the report of a sweep into its folder, and returns it for MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments import judgement
from experiments.home import Home
from lstm.messages.message import Say, note
from lstm.records.figures import Picture
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint
    from lstm.data.dataset import Dataset

REPORT = "report.html"  # in the sweep's folder; also an artifact of the sweep's run
PAGE = "probe-{:04d}.html"  # in the sweep's folder; also an artifact of the trial's run


@dataclass(frozen=True)
class Judged:
    """The best trial and its metrics on the test part."""

    found: "Checkpoint | None"
    series: "Dataset"
    metrics: Mapping[str, float]  # `test/...` and `baseline/...`
    pictures: tuple[Picture, ...] | None = None  # of its probe; None: measured again if the trial was probed


def write(
    home: Home,
    sweep: Sweep,
    importances: Mapping[str, float],
    judged: Judged,
    say: Say,
) -> str:
    """Write the report into the sweep's folder and return its HTML.

    Args:
        home: The home that contains the sweep's folder.
        sweep: The sweep.
        importances: The importance of each searched parameter.
        judged: The sweep's best trial.
        say: Called with a note if the report can't be written.
    """
    from dashboards.report.page import report
    from lstm.diagnostics.probe import probe
    from lstm.storage import disk
    from lstm.tasks import registry as tasks

    found, series, metrics, pictures = judged.found, judged.series, dict(judged.metrics), judged.pictures
    examples = tasks.examples(found, series) if found else []
    known = [event for event in sweep.probings() if sweep.best and event.number == sweep.best.number]
    if known:
        metrics |= {f"probe/{name}": value for name, value in known[0].numbers.items()}
        if pictures is None and found:
            pictures = probe(tasks.subject(found, series)).pictures
    verdict, _ = judgement.current(home, sweep)
    html = report(sweep, importances, examples, metrics, pictures or (), verdict)
    path = home.sweep(sweep.name) / REPORT
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        path.unlink(missing_ok=True)  # half a report is of no use
        say(note("report-not-written", at=disk.place_of(path), why=error.strerror))
    return html
