"""What is done when a sweep has ended, while it is still its driver's: judge, compare, report, deliver."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dashboards.tracking.runs import without_password
from experiments import judgement
from experiments.planning import Plan, kept_in
from lstm.messages.message import Say, note
from lstm.records.errors import BadInput
from lstm.records.events import EpochEnded, TrialEnded, TrialProbed
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from cluster.order import Order, Outcome
    from dashboards.tracking.recorder import Recorder
    from lstm.checkpoint import Checkpoint

FLUSH_S = 60.0  # what the record may still take when the sweep has ended
INTERRUPTED_FLUSH_S = 5.0  # and when it was interrupted
RIVALS_SHARE, LEAST_BUDGET_S = 0.1, 30.0  # of the workers' time, in seconds of a core, for the extra rivals


def prepare(plan: Plan) -> None:
    """Imports what is needed when a sweep has ended, which takes some seconds."""
    from cluster.study import stored

    importlib.import_module("torch")
    if plan.order.search and len(plan.order.search.space) > 1:
        stored.prepare_importances()


def deliver(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Say) -> int:
    """Judges the best trial and waits until MLflow has everything; the number of records that it did not take."""
    order, swept = plan.order, outcome.sweep
    known = is_judged = False
    if outcome.code == 0:
        metrics, is_judged = _judge(plan, outcome, recorder, say)
        base = swept.base.number if swept.base else None
        judged = {"trial": swept.best.number, "base": base, "metrics": metrics} if swept.best and metrics else None
        facts: dict[str, Any] = {"judged": judged} if judged else {}
        facts |= {judgement.JUDGED_IN: kept_in(plan.home)}
        known = _remember(order, say, complete=outcome.complete, **facts)
    chart = recorder.chart_address(server_of(plan)) if outcome.code == 0 else None
    left = recorder.close(FLUSH_S if outcome.code == 0 else INTERRUPTED_FLUSH_S)
    if not left and not recorder.refused and known and is_judged:  # else the next run does what is missing
        recorded = outcome.complete and outcome.replayed and plan.store_mark
        _remember(order, say, recorded=recorded, chart=chart)
    return left


def _remember(order: "Order", say: Say, **facts: Any) -> bool:
    """Stores what was found at the end, or says that the next run must find it again; whether it is stored."""
    from cluster.study import stored

    try:
        stored.remember(order.study_url, order.name, **facts)
    except (BadInput, *stored.AWAY) as error:
        why = error if isinstance(error, BadInput) else stored.trouble(order.study_url, error)
        say(note("end-not-remembered", why=str(why)))
        return False
    return True


def _judge(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Say) -> tuple[Mapping[str, float], bool]:
    """Judges the best trial and the base on the test part, which nothing has looked at before; writes the report.

    Its figures, and whether what was judged is kept: a disk may be full.
    """
    from experiments import report
    from lstm.tasks import registry as tasks

    best = outcome.sweep.best
    found = _best(plan, outcome.sweep, best, recorder, say) if best else None
    metrics = dict(tasks.judge(found, plan.series)) if found else {}
    loaded = {best.number: found} if best else {}
    if found and (base := outcome.sweep.base) is not None and base.state == "COMPLETE" and base.value is not None:
        metrics[f"{BASE}{outcome.sweep.metric}"] = base.value
        kept = found if base is best else _best(plan, outcome.sweep, base, recorder, say)
        loaded[base.number] = kept
        told = tasks.judge(kept, plan.series) if kept else {}
        metrics |= {f"{BASE}{name}": value for name, value in told.items() if name.startswith("test/")}
    is_kept = _hold_against_rivals(plan, outcome.sweep, loaded, say)
    html = report.write(plan.home, outcome.sweep, outcome.importances, report.Judged(found, plan.series, metrics), say)
    recorder.finish(html, metrics, best, *judgement.in_mlflow(plan.home, outcome.sweep))
    return metrics, is_kept


def _hold_against_rivals(plan: Plan, swept: Sweep, loaded: Mapping[int, "Checkpoint | None"], say: Say) -> bool:
    """Fits the rivals and judges them beside the networks; whatever goes wrong is told, and not worth a sweep.

    False where another run would do better: what was judged could not be written.
    """
    from lstm import ownership

    def load(trial: Trial) -> "Checkpoint | None":
        return loaded[trial.number] if trial.number in loaded else ownership.load_trial(swept, trial, say)

    worked_s = swept.goodput.worker_s if swept.goodput else 0.0
    try:
        judgement.judge(plan, swept, load, say, max(LEAST_BUDGET_S, RIVALS_SHARE * worked_s))
    except OSError as error:
        say(note("rivals-not-judged", why=str(error), sweep=swept.name, flag=plan.home.flag))
        return False
    except Exception as error:
        why = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
        say(note("rivals-not-judged", why=why, sweep=swept.name, flag=plan.home.flag))
    return True


def _best(plan: Plan, swept: Sweep, best: Trial, recorder: "Recorder", say: Say) -> "Checkpoint | None":
    """The best trial's checkpoint with its weights; where it is gone it is put back."""
    from experiments.recovery.lost_checkpoint import mend
    from lstm import ownership

    try:
        found = ownership.load_trial(swept, best, say)
        if found is not None and found.state.best_weights:
            return found
        found, is_again = mend(plan, swept, best, lambda: recorder.artifact(best.number), say)
    except BadInput as error:  # another study's
        for each in error.faults:
            say(each)
        return None
    except OSError as error:
        say(note("file-not-readable-or-writable", at=best.checkpoint, why=str(error)))
        return None
    if is_again:  # its epochs have other times: its run is written again
        recorder(best.starting(best.checkpoint))
        for epoch in found.state.history:
            recorder(EpochEnded(best.number, epoch))
        later: list[TrialEnded | TrialProbed] = [*swept.endings(), *swept.probings()]
        for event in later:
            if event.number == best.number:
                recorder(event)
    return found


def server_of(plan: Plan) -> str:
    """Where MLflow's pages are: its server's address, or where `sweep ui` opens them."""
    return without_password(plan.tracking_uri) if plan.tracking_uri.startswith("http") else "http://127.0.0.1:5000"
