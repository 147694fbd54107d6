"""Writes the report of a sweep into its folder and returns it for MLflow; writes the page that compares sweeps."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import judgement
from experiments.home import Home
from lstm.messages.message import Say, note
from lstm.records.errors import refused
from lstm.records.figures import Picture
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from dashboards.report.comparison import Comparison
    from experiments.lookup import Found
    from lstm.checkpoint import Checkpoint
    from lstm.data.dataset import Dataset

REPORT = "report.html"  # in the sweep's folder; also an artifact of the sweep's run
_FLAG = "--html"
_HEAD = 200  # bytes: the start of a page, where it says that it is ours
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


def picture(sweep: Sweep) -> str | None:
    """Return a sweep's curves and its search as SVG, for MLflow's viewer of artifacts; None without a value."""
    from dashboards.report import picture as drawn

    return drawn.picture(sweep)


def compared(
    found: "Sequence[Found]", read: "Callable[[Found], Sweep]", page: Path | None, at: str, *, force: bool
) -> "Comparison":
    """Compare sweeps, each once, and return the comparison; write the page that shows it, whole or not at all.

    Args:
        found: The addresses of the sweeps' records.
        read: Reads a sweep from its study.
        page: The file to write; None for no page.
        at: What messages name as the place of the page.
        force: Whether the page may overwrite a file.

    Raises:
        BadInput: a study can't be read, there is nothing to compare, the sweeps differ in metric or direction, the
            page's folder does not exist, or the page exists, may not be overwritten or can't be written.
    """
    from dashboards.report.comparison import compare

    if page is not None:
        _check(page, at, force=force)
    found = list({(each.name, each.study_url): each for each in found}.values())
    own = [read(each) for each in found]
    sweeps = _told_apart(found, own)
    if page is not None:
        _write(page, _page(found, own, sweeps, at), at)
    return compare(sweeps)


def _told_apart(found: "Sequence[Found]", sweeps: Sequence[Sweep]) -> list[Sweep]:
    """Return the sweeps with the home, or else the study's address, added to a name that several of them have."""
    from dashboards.tracking.store import without_password

    often = Counter(each.name for each in found)
    here = Counter((each.name, each.home.folder) for each in found)
    named = []
    for each, sweep in zip(found, sweeps, strict=True):
        alone = here[each.name, each.home.folder] == 1
        place = each.home.folder if alone else without_password(each.study_url)
        named.append(sweep if often[each.name] == 1 else replace(sweep, name=f"{sweep.name} ({place})"))
    return named


def _check(page: Path, at: str, *, force: bool) -> None:
    if not page.absolute().parent.is_dir():
        raise refused("output-folder-missing", at=at, folder=str(page.absolute().parent), flag=_FLAG)
    if page.is_dir() or at.endswith("/"):
        raise refused("output-is-folder", at=at, meant=None)
    if page.is_file() and not _is_page(page.resolve()):  # the file that a link leads to
        raise refused("output-no-page", at=at, flag=_FLAG, meant=str(page.with_suffix(".html")))
    if page.exists() and not force:
        raise refused("output-exists", at=at, flag=_FLAG)


def _is_page(file: Path) -> bool:
    """Return whether `--force` may overwrite a file: a page of ours, one that is named as a page, or an empty file."""
    from dashboards.report.markup import OURS

    if file.suffix.lower() in (".html", ".htm"):
        return True
    try:
        with file.open("rb") as there:
            head = there.read(_HEAD)
    except OSError:
        return False
    return not head or OURS.encode() in head


def _page(found: "Sequence[Found]", own: Sequence[Sweep], sweeps: Sequence[Sweep], at: str) -> str:
    """Return the page's HTML. `own` are the sweeps under their names in their homes."""
    from cluster.study import stored
    from dashboards.report.comparison import compare
    from dashboards.report.comparison_page import comparison_page

    comparison = compare(sweeps, every=True)
    if not comparison.trials:
        raise refused("nothing-to-compare", at=at)
    if comparison.problem:
        each = [f"{sweep.name}: {sweep.direction} {sweep.metric}" for sweep in sweeps]
        raise refused("not-ranked-together", at=at, each=each)
    importances, verdicts = {}, {}
    for sweep, swept, where in zip(sweeps, own, found, strict=True):
        importances[sweep.name] = stored.importances_of(where.study_url, swept.name)
        verdicts[sweep.name] = judgement.current(where.home, swept)
    return comparison_page(comparison, sweeps, importances, verdicts)


def _write(page: Path, html: str, at: str) -> None:
    place = page.resolve()
    part = place.with_name(f".{place.name}.part") if place.is_file() or not place.exists() else place
    try:
        part.write_text(html, encoding="utf-8")
        part.replace(place)
    except OSError as error:
        if part != place:
            part.unlink(missing_ok=True)
        raise refused("output-not-written", at=at, why=error.strerror, flag=_FLAG) from None
