"""Concludes a sweep that has ended, while its driver still holds it: judges, compares, reports, delivers to MLflow."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dashboards.tracking.runs import without_password
from experiments import judgement
from experiments.home import kept_in
from experiments.planning import Plan
from lstm.messages.message import Say, note
from lstm.records.confirmation import CONFIRM, JUDGED_ON, RIVAL
from lstm.records.errors import BadInput, why_of
from lstm.records.events import now_ms
from lstm.records.looks import LOOKS, with_look
from lstm.records.sweep import BASE, WEIGHED_FROM, Sweep
from lstm.records.trial import Trial, counted

if TYPE_CHECKING:
    from cluster.order import Order, Outcome
    from dashboards.tracking.recorder import Recorder
    from lstm.checkpoint import Checkpoint

Heed = Callable[[], object]
FLUSH_S = 60.0  # the longest wait for MLflow when the sweep has ended
INTERRUPTED_FLUSH_S = 5.0  # the same when the sweep was interrupted
RIVALS_SHARE, LEAST_BUDGET_S = 0.1, 30.0  # the extra rivals' budget: a share of the workers' time, at least 30 core-s


def prepare(plan: Plan) -> None:
    """Import what judging needs, which takes some seconds."""
    from cluster.study import stored

    importlib.import_module("torch")
    search = plan.order.search
    if search and len(search.space) > 1 and plan.order.n_trials >= WEIGHED_FROM:
        stored.prepare_importances()


def deliver(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Say, heed: Heed) -> int:
    """Judge the best trial and wait for MLflow. Returns the number of records that MLflow did not take.

    What `heed` raises ends the training before the test part.
    """
    order, swept = plan.order, outcome.sweep
    known = is_judged = False
    if outcome.code == 0:
        # Stored before the look: a driver that is killed in between has looked, and the next one does not count again.
        seen = with_look(swept, now_ms())
        remember(order, say, **{LOOKS: seen})
        outcome = replace(outcome, sweep=replace(swept, facts={**swept.facts, LOOKS: seen}))
        metrics, is_judged = _judge(plan, outcome, recorder, say, heed)
        base = swept.base.number if swept.base else None
        judged = {"trial": swept.best.number, "base": base, "metrics": metrics} if swept.best and metrics else None
        facts: dict[str, Any] = {"judged": judged} if judged else {}
        facts |= {judgement.JUDGED_IN: kept_in(plan.home)}
        known = remember(order, say, complete=outcome.complete, **facts)
    chart = recorder.chart_address(server_of(plan)) if outcome.code == 0 else None
    left = recorder.close(FLUSH_S if outcome.code == 0 else INTERRUPTED_FLUSH_S)
    if not left and not recorder.refused and known and is_judged:  # otherwise the next run does what is missing
        recorded = outcome.complete and outcome.replayed and plan.store_mark
        remember(order, say, recorded=recorded, chart=chart)
    return left


def remember(order: "Order", say: Say, **facts: Any) -> bool:
    """Store facts in the study, or say that the next run must find them again. Returns whether they are stored."""
    from cluster.study import stored

    try:
        stored.remember(order.study_url, order.name, **facts)
    except (BadInput, *stored.AWAY) as error:
        why = why_of(error) if isinstance(error, BadInput) else stored.trouble(order.study_url, error)
        say(note("end-not-remembered", why=str(why)))
        return False
    return True


def _judge(
    plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Say, heed: Heed
) -> tuple[Mapping[str, float], bool]:
    """Judge the best trial and the base on the test part, which nothing has used before; write the report.

    Returns the metrics, and whether the judgements are kept on disk, which may be full.
    """
    from experiments import report
    from lstm.tasks import registry as tasks
    from lstm.training import before_test

    best = outcome.sweep.best
    kept, anew = _judgeable(plan, outcome.sweep, best, recorder, say, heed) if best else (None, False)
    found = kept if kept and before_test.is_ready(kept) else None
    metrics = dict(tasks.judge(found, plan.series)) if found else {}
    if best and not anew:
        metrics |= _judged_before(outcome.sweep, "trial", best, metrics)
    loaded = {best.number: kept} if best else {}
    if found and (base := outcome.sweep.base) is not None and base.state == "COMPLETE" and base.value is not None:
        metrics[f"{BASE}{outcome.sweep.metric}"] = base.value
        kept, anew = (found, anew) if base is best else _judgeable(plan, outcome.sweep, base, recorder, say, heed)
        loaded[base.number] = kept
        told = tasks.judge(kept, plan.series) if kept and before_test.is_ready(kept) else {}
        of_base = {f"{BASE}{name}": value for name, value in told.items() if name.startswith("test/")}
        metrics |= of_base | ({} if anew else _judged_before(outcome.sweep, "base", base, of_base))
    for trial in outcome.sweep.front if outcome.sweep.windows.count > 1 else ():
        if trial.number not in loaded:
            loaded[trial.number], _ = _judgeable(plan, outcome.sweep, trial, recorder, say, heed)
    is_kept = _hold_against_rivals(plan, outcome.sweep, loaded, say)
    swept = _with_rival(plan, outcome.sweep, say)
    html = report.write(plan.home, swept, outcome.importances, report.Judged(found, plan.series, metrics), say)
    recorder.finish(html, metrics, best, *judgement.in_mlflow(plan.home, swept), picture=report.picture(swept))
    return metrics, is_kept


def _with_rival(plan: Plan, swept: Sweep, say: Say) -> Sweep:
    """Return the sweep with the best rival among those that were confirmed, and store it in the study."""
    facts = confirmed_rival(plan, swept, say)
    if facts:
        remember(plan.order, say, **facts)
    return replace(swept, facts={**swept.facts, **facts})


def _judged_before(swept: Sweep, role: str, trial: Trial, names: Iterable[str]) -> dict[str, float]:
    """Return the metrics that a trial already had when the sweep last ended.

    Another kind of processor may round the last digits of the same metric otherwise, and MLflow would get a second
    point beside the first.
    """
    judged = swept.facts.get("judged") or {}
    known = judged.get("metrics", {}) if judged.get(role) == trial.number else {}
    return {name: known[name] for name in names if name in known}


def _hold_against_rivals(plan: Plan, swept: Sweep, loaded: Mapping[int, "Checkpoint | None"], say: Say) -> bool:
    """Fit the rivals and judge them and the networks. Any error is reported; it does not fail the sweep.

    Returns False if another run could do better: the judgements could not be read or written.
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


def confirmed_rival(plan: Plan, swept: Sweep, say: Say) -> dict[str, Any]:
    """Return the fact of the best rival's errors over the windows that confirm has judged on; empty if there is none.

    The rival is the one that is best on the search's own windows. The caller must hold the sweep's lease.
    """
    from lstm.ownership import studies_of
    from lstm.verdict import fitting, store

    asked = swept.facts.get(CONFIRM)
    verdict, _ = judgement.current(plan.home, swept)
    best = verdict.best_rival if verdict else None
    if not asked or verdict is None or best is None or not best.rivals:
        return {}
    if verdict.asked:  # confirm judges by the sweep's own metric
        say(note("rival-not-confirmed", at=best.rivals[0], why=f"rivals have no {verdict.asked}"))
        return {}
    name, windows, known = best.rivals[0], asked["windows"], swept.facts.get(RIVAL) or {}
    folder, data = str(plan.home.sweep(swept.name)), plan.series.fingerprint
    try:
        fitted = store.read_fitted(folder, name, studies_of(swept.facts), data)
        if fitted is None:
            return {}
        row = {"rival": name, "title": fitted.title, "windows": windows}
        if {**row, "errors": known.get("errors")} == known:
            return {}
        config = plan.order.base.model_copy(update={JUDGED_ON: windows})
        return {RIVAL: {**row, "errors": fitting.errors_over(fitted, plan.series, config)}}
    except Exception as error:  # a rival that fails must not stop the sweep
        say(note("rival-not-confirmed", at=name, why=f"{type(error).__name__}: {error}"))
        return {}


def _best(plan: Plan, swept: Sweep, best: Trial, recorder: "Recorder", say: Say) -> tuple["Checkpoint | None", bool]:
    """Return a trial's checkpoint with its weights, and whether the trial was trained again for it.

    A lost checkpoint is restored. None if that is not possible.
    """
    from experiments.recovery.lost_checkpoint import mend, tell_again
    from lstm import ownership
    from lstm.training import before_test

    try:
        found = ownership.load_trial(swept, best, say)
        if found is not None and (found.state.best_weights or before_test.has_diverged(found)):
            return found, False
        found, is_again = mend(plan, swept, best, lambda: recorder.artifact(best.number), say)
    except BadInput as error:  # the checkpoint is another study's
        for each in error.faults:
            say(each)
        return None, False
    except OSError as error:
        say(note("file-not-readable-or-writable", at=best.checkpoint, why=str(error)))
        return None, False
    except Exception as error:
        _say_if_without_memory(error, f"trial {best.number}", say)
        return None, False
    if is_again:
        tell_again(swept, best, found, recorder)
    return found, is_again


def _judgeable(
    plan: Plan, swept: Sweep, trial: Trial, recorder: "Recorder", say: Say, heed: Heed
) -> tuple["Checkpoint | None", bool]:
    """Return what `_best` returns. After a backtest, the trial is first trained on all before the test part.

    That training may have diverged: then the checkpoint has no weights.
    """
    from experiments.recovery.lost_checkpoint import tell_again
    from lstm.device import claim
    from lstm.training import before_test
    from lstm.usage import Usage

    found, is_again = _best(plan, swept, trial, recorder, say)
    if found is None or swept.windows.count == 1:
        return found, is_again
    if before_test.has_diverged(found):
        say(note("diverged-before-test", at=f"trial {trial.number}"))
    elif not before_test.is_ready(found):
        resources, at = plan.order.resources, f"trial {trial.number}"
        gpus = resources.gpus_per_trial
        device = claim(resources.cpus_per_trial, None if gpus == "auto" else gpus)
        epochs = swept.windows.result(found.state.history, swept.direction).epochs
        say(note("trained-before-test", at=at, epochs=counted(epochs, "epoch")))
        try:
            usage = Usage(device) if plan.order.system_metrics else None
            found = before_test.finish(found, plan.series, trial.checkpoint, trial.attempt, device, heed, usage)
        except OSError as error:
            say(note("file-not-readable-or-writable", at=trial.checkpoint, why=str(error)))
            return None, is_again
        except Exception as error:
            _say_if_without_memory(error, at, say)
            return None, is_again
        if before_test.has_diverged(found):
            say(note("diverged-before-test", at=at))
    tell_again(swept, trial, found, recorder)
    return found, is_again


def _say_if_without_memory(error: Exception, at: str, say: Say) -> None:
    """Say that a trial can't be trained here for lack of memory; raise an error that is another."""
    from lstm.device import is_out_of_memory

    if not is_out_of_memory(error):
        raise error
    say(note("no-memory-to-train-it", at=at, why=(str(error).splitlines() or [type(error).__name__])[0][:300]))


def server_of(plan: Plan) -> str:
    """Return the address of MLflow's pages: the server's, or the one where `sweep ui` shows them."""
    return without_password(plan.tracking_uri) if plan.tracking_uri.startswith("http") else "http://127.0.0.1:5000"
