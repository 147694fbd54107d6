"""The pages of a sweep, made of what all rooms know of it: in its folder, and for MLflow."""

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

REPORT = "report.html"  # in the sweep's folder; an artifact of the sweep's run, too
PAGE = "probe-{:04d}.html"  # likewise, of a trial's run


@dataclass(frozen=True)
class Judged:
    """The best trial, and how it did on the test part."""

    found: "Checkpoint | None"
    series: "Dataset"
    metrics: Mapping[str, float]  # `test/...` and `baseline/...`
    pictures: tuple[Picture, ...] | None = None  # of its probe; None: measured again where it was probed


def write(
    home: Home,
    sweep: Sweep,
    importances: Mapping[str, float],
    judged: Judged,
    say: Say,
) -> str:
    """Writes the report into the sweep's folder and returns it; `say` gets a note where it can't be written.

    Args:
        home: Where the folder is.
        sweep: The sweep.
        importances: Of its searched parameters.
        judged: Its best trial.
        say: Gets what is amiss.
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
        path.unlink(missing_ok=True)  # half a report is none
        say(note("report-not-written", at=disk.place_of(path), why=error.strerror))
    return html
