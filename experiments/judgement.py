"""Judges whether the network is worth it: compares the best trial, the base and the task's rivals item by item.

The judgements and the fitted rivals are kept in the sweep's folder. Everything there that is still right is reused, so
the next driver completes the work of one that was killed, with the same numbers.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.home import Home, kept_in
from experiments.planning import Plan
from lstm.messages.message import Message, Say, note
from lstm.ownership import studies_of
from lstm.records import looks
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput, fault, why_of
from lstm.records.events import About
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint
    from lstm.rivals.rival import Fitted
    from lstm.verdict.store import Entry, Judgements
    from lstm.verdict.verdict import Verdict

JUDGED_IN = "judged_in"  # the study's fact: the home in which the sweep was judged last
NEAR = 1e-3  # relative tolerance between the study's figure and the judged one: the devices may differ
DELIVERY_S = 60.0  # the longest wait for MLflow
Loader = Callable[[Trial], "Checkpoint | None"]


def judge(plan: Plan, swept: Sweep, load: Loader, say: Say, budget_s: float) -> "Verdict":
    """Judge what was not judged yet, write it, and return the verdict. The caller must hold the sweep's lease.

    Args:
        plan: The sweep's plan, with the data that the trials were trained on.
        swept: The sweep as its study knows it.
        load: Returns a trial's checkpoint with its weights; returns None or raises BadInput if there is none.
        say: Called with notes on progress and problems.
        budget_s: Core-seconds for all rivals of the extra packages together.

    Raises:
        BadInput: the judgements in the folder are of another study, of other data, or of a newer version.
        OSError: the folder can't be read or written to.
    """
    from lstm.storage import files
    from lstm.tasks import registry as tasks
    from lstm.verdict import store, verdict

    folder, studies, data = str(plan.home.sweep(swept.name)), studies_of(swept.facts), plan.series.fingerprint
    record = tasks.record_in(swept)
    metric = record.metric(swept.metric.removeprefix("val/"))
    nearest = record.metric(metric.nearest)
    try:
        before = store.read(folder, studies, data)
    except store.BrokenJudgements as error:
        say(note("judgements-damaged", why=str(error)))
        before = None
    known = before.entries if before else ()
    networks = list(_networks(plan, swept, load, known))
    rivals = list(_rivals(plan, folder, studies, known, say, budget_s))
    searched = plan.order.search is not None
    found = store.Judgements(
        study=studies[0],
        data=data,
        metric=metric.name,
        direction=metric.direction,
        mean=metric.nearest,
        blocks=tasks.of(plan.order.base).blocks(plan.series, plan.order.base),
        entries=(*networks, *rivals),
        searched=searched,
        no_base=verdict.NO_BASE if searched and swept.base is None else "",
        second=tuple(swept.second or ()),
        points=metric.points,
        nearest=nearest.scale if nearest.scale != metric.scale else (),
    )
    if files.get(folder, store.NAME) != store.dumps(found):
        store.write(folder, found)
    return verdict.verdict(found)


def current(home: Home, swept: Sweep) -> "tuple[Verdict | None, str]":
    """Return the verdict on the sweep as it is now and ""; if there is none, None and a sentence on how to get one."""
    from lstm.verdict import verdict

    judged, note = _read(home, swept)
    return (verdict.verdict(judged), "") if judged else (None, note)


def is_here(home: Home, swept: Sweep) -> bool:
    """Return whether the sweep was judged last in this home. If not, another home may have the judgements."""
    said = str(swept.facts.get(JUDGED_IN, ""))
    places = [str(home.folder), *home.former_places()]
    return any(said == kept_in(Home(Path(place))) for place in places)


def about_base(swept: Sweep, found: "Verdict | None") -> str:
    """Return a sentence on the gain over the spec's own settings: from the verdict, or without one from metrics."""
    from lstm.verdict import sentences, verdict

    if found is None:
        judged = swept.facts.get("judged") or {}
        is_judged = swept.best is not None and judged.get("trial") == swept.best.number
        searched = any(path.startswith("search.") for path in swept.facts.get("comparable", {}))
        found = verdict.of_figures(swept, swept.base, judged.get("metrics", {}) if is_judged else {}, searched=searched)
    return sentences.base(found)


def stale(home: Home, swept: Sweep) -> str:
    """Return a sentence if the judgements are not of the sweep as it is now; "" if they are, or none can be read."""
    from lstm.verdict import store

    folder = str(home.sweep(swept.name))
    try:
        judged = store.read(folder, studies_of(swept.facts), str(swept.facts.get("data_fingerprint") or ""))
    except (store.BrokenJudgements, BadInput, OSError):  # reported by the check of the file
        return ""
    if judged is None:
        return ""
    place, metric = f"{folder}/{store.NAME}", swept.metric.removeprefix("val/")
    if judged.metric != metric:
        return f"{place}: is by {judged.metric}, the sweep by {metric}"
    return "" if _is_of(judged, swept) else f"{place}: is not of the best trial and the base of this sweep"


def in_mlflow(home: Home, swept: Sweep) -> tuple[dict[str, float], str]:
    """Return what MLflow's run of the sweep gets: the rivals' metrics on the test part, and the verdict in words.

    The number of looks at the test part is among both. The winner of confirm comes first, if there is one.
    """
    from lstm.verdict import company, company_sentences, sentences, verdict

    found = company.concluded(swept)
    won = list(company_sentences.lines(found)) if found is not None else []
    of_winner = company.figures(found) if found is not None else {}
    judged, _ = _read(home, swept)
    if judged is None:
        return of_winner, "\n\n".join(won)
    rivals = [entry for entry in judged.entries if entry.rival and "test" in entry.figures]
    figures = {f"rival/{each.rival}/{name}": value for each in rivals for name, value in each.figures["test"].items()}
    figures |= looks.figures(swept.facts)
    lines = [*won, *sentences.lines(verdict.verdict(judged)), looks.said(swept)]
    return figures | of_winner, "\n\n".join(filter(None, lines))


def deliver(home: Home, tracking_uri: str, swept: Sweep, say: Say) -> list[Message]:
    """Send the verdict to MLflow if MLflow has the whole sweep; if not, a driver sends it at the end.

    Returns what did not work.
    """
    from dashboards.config import TrackingConfig
    from dashboards.tracking.recorder import Recorder

    if swept.facts.get("recorded") != home.store_mark(tracking_uri):
        return []
    study, *before = studies_of(swept.facts)
    tracking, artifacts = TrackingConfig(checkpoints="none"), home.artifacts_of(tracking_uri)
    about = About.of(swept.facts)
    recorder = Recorder(
        tracking_uri,
        artifacts,
        tracking,
        swept.name,
        study=study,
        notice=say,
        studies_before=tuple(before),
        about=about,
    )
    recorder.finish(None, {}, None, *in_mlflow(home, swept))
    if recorder.close(DELIVERY_S) or recorder.refused:
        return [fault("verdict-not-in-mlflow", at=swept.name, sweep=swept.name, flag=home.flag)]
    return []


def _read(home: Home, swept: Sweep) -> "tuple[Judgements | None, str]":
    """Return the judgements and "" if they are of the sweep as it is now; if not, None and a sentence."""
    from lstm.verdict import store

    folder, data = str(home.sweep(swept.name)), str(swept.facts.get("data_fingerprint") or "")
    again = f"`sweep rivals {swept.name}{home.flag}` tells whether a network is needed"
    try:
        judged = store.read(folder, studies_of(swept.facts), data)
    except store.BrokenJudgements as error:
        return None, f"{error}; {again}"
    except (BadInput, OSError) as error:
        return None, f"without a verdict: {why_of(error)}"
    return (judged, "") if judged and _is_of(judged, swept) else (None, again)


def document(found: "Verdict") -> dict[str, Any]:
    """Return a verdict as plain data, with its sentences as `lines`."""
    from lstm.verdict import sentences, verdict

    return {**verdict.as_row(found), "lines": list(sentences.lines(found))}


def told(swept: Sweep) -> dict[str, dict[str, float]]:
    """Return the metrics on the test part that the study has, by the networks' names in the judgements."""
    judged, best, base = swept.facts.get("judged") or {}, swept.best, swept.base
    metrics = judged.get("metrics") or {}
    if best is None or judged.get("trial") != best.number:
        return {}
    found = {_name(best): {name: value for name, value in metrics.items() if name.startswith("test/")}}
    if base is not None and judged.get("base") == base.number:
        own = {name.removeprefix("base/"): value for name, value in metrics.items() if name.startswith("base/test/")}
        found["base"] = own
    return found


def _is_of(judged: "Judgements", swept: Sweep) -> bool:
    """Return whether the judged networks are the present best trial and base."""
    first = next((entry for entry in judged.entries if entry.role == "network"), None)
    base = next((entry for entry in judged.entries if entry.role == "base"), None)
    if (first and first.trial) != (swept.best and swept.best.number):
        return False
    if (base and base.trial) != (swept.base and swept.base.number):
        return False
    pairs = ((first, swept.best), (base, swept.base))
    return all(entry is None or trial is None or _agrees(entry, trial, swept) for entry, trial in pairs)


def _agrees(entry: "Entry", trial: Trial, swept: Sweep) -> bool:
    """Return whether a judgement is of this trial as it is now: its state, its value and the metrics in the study."""
    if not entry.items:  # it had no metrics when it was judged: is that still so?
        return trial.state != "COMPLETE" or trial.value is None or bool(entry.why)
    figures = {f"{prefix}{n}": v for part, prefix in _prefixes().items() for n, v in entry.figures[part].items()}
    wanted = {**told(swept).get(entry.name, {}), swept.metric: trial.value}
    return all(_near(figures[name], value) for name, value in wanted.items() if name in figures)


def _near(one: float, other: float | None) -> bool:
    return other is not None and (math.isclose(one, other, rel_tol=NEAR) or (math.isnan(one) and math.isnan(other)))


def _prefixes() -> Mapping[Judged, str]:
    from lstm.verdict.store import PREFIXES

    return PREFIXES


def _name(trial: Trial) -> str:
    return f"trial {trial.number}"


def _networks(plan: Plan, swept: Sweep, load: Loader, known: "tuple[Entry, ...]") -> "Iterator[Entry]":
    """Yield the judgements of the best trial, of the other trials on the front, and of the base."""
    from lstm.verdict.store import Entry
    from lstm.verdict.verdict import why_no_figures

    best, base = swept.best, swept.base
    made: dict[int, Entry] = {}

    def entry(trial: Trial, **named: Any) -> Entry:
        if trial.number not in made:
            made[trial.number] = _network(plan, swept, trial, load, known)
        found = made[trial.number]
        items = {part: replace(each, name=named["name"]) for part, each in found.items.items()}
        return replace(found, items=items, second=trial.second if swept.second else None, **named)

    if best is not None:
        yield entry(best, name=_name(best), role="network")
    for trial in swept.front:
        if trial is not best and trial is not base:
            yield entry(trial, name=_name(trial), role="front")
    if base is None or plan.order.search is None:
        return
    if why := why_no_figures(base):
        yield Entry("base", "base", trial=base.number, why=why)
    else:
        yield entry(base, name="base", role="base")


def _network(plan: Plan, swept: Sweep, trial: Trial, load: Loader, known: "tuple[Entry, ...]") -> "Entry":
    """Judge a trial's best epoch on both parts, or return the earlier judgement if it still agrees."""
    from lstm.tasks import registry as tasks
    from lstm.training import before_test
    from lstm.verdict import fitting
    from lstm.verdict.store import Entry

    parts = fitting.parts(plan.order.base)
    for entry in known:
        if entry.trial == trial.number and entry.items.keys() == set(parts) and _agrees(entry, trial, swept):
            return entry
    try:
        found = load(trial)
    except BadInput as error:
        return Entry("", "network", trial=trial.number, why=why_of(error))
    if found is None or not (found.state.best_weights or before_test.has_diverged(found)):
        told: dict[Judged, dict[str, float]] = {}
        told |= {"validation": {swept.metric.removeprefix("val/"): trial.value}} if trial.value is not None else {}
        return Entry("", "network", {}, told, trial=trial.number, why="its weights were not kept, or are gone")
    over = _over_windows(swept, found)
    if not before_test.is_ready(found):
        why = "it was not trained on all that stands before the test part yet; `sweep run` does so at the end"
        if before_test.has_diverged(found):
            why = "it diverged when it was trained on all that stands before the test part"
        return Entry("", "network", {}, over, trial=trial.number, why=why)
    judged = {part: tasks.judge_items(found, plan.series, part, _name(trial)) for part in parts}
    return Entry(
        "",
        "network",
        {part: each.items for part, each in judged.items()},
        over | {part: each.metrics for part, each in judged.items()},
        trial=trial.number,
    )


def _over_windows(swept: Sweep, found: "Checkpoint") -> dict[Judged, Mapping[str, float]]:
    """Return the validation figures of a trial in a backtest: the mean over its windows, each at its best epoch."""
    from lstm.records.windows import mean_metrics

    if swept.windows.count == 1:
        return {}
    bests = [best for best in swept.windows.bests(found.state.history, swept.direction) if best is not None]
    judged = [{n.removeprefix("val/"): v for n, v in best.metrics.items() if n.startswith("val/")} for best in bests]
    return {"validation": mean_metrics(judged)}


def _kept(folder: str, name: str, studies: tuple[str, ...], data: str, judged: str, say: Say) -> "Fitted | None":
    """Return a fitted rival if it is the one that was judged, as far as that is known; None if it must be fitted."""
    from lstm.verdict import store

    try:
        found = store.read_fitted(folder, name, studies, data)
        if found is not None and judged and store.fitted_digest(folder, name) != judged:
            raise store.BrokenJudgements(f"{folder}/{store.fitted_name(name)}: is not what was judged: it was altered")
        if found is not None and found.name != name:
            raise store.BrokenJudgements(f"{folder}/{store.fitted_name(name)}: is what {found.name} has fitted")
        return found
    except store.BrokenJudgements as error:
        say(note("fitted-rival-not-trusted", why=str(error)))
        return None


def _rivals(
    plan: Plan, folder: str, studies: tuple[str, ...], known: "tuple[Entry, ...]", say: Say, budget_s: float
) -> "Iterator[Entry]":
    """Yield the judgements of the task's rivals, in its order. A fitted rival is written before the next is fitted."""
    from lstm.tasks import registry as tasks
    from lstm.verdict import fitting, store
    from lstm.verdict.store import Entry

    config, data = plan.order.base, plan.series
    rivals = {each.name: each for each in tasks.of(config).rivals()}
    names = list(rivals)
    parts = fitting.parts(config)
    judged = {entry.rival: entry for entry in known if entry.rival and entry.items.keys() == set(parts)}
    digests = {entry.rival: entry.fitted for entry in known}
    found = {name: _kept(folder, name, studies, data.fingerprint, digests.get(name, ""), say) for name in names}
    there = {name: fitted for name, fitted in found.items() if fitted is not None}
    missing = [name for name in names if name not in there]
    if wanted := [name for name in missing if not fitting.lacking(rivals[name])]:
        say(note("fitting-rivals", rivals=wanted))
    outcomes = fitting.run_some(missing, data, config, budget_s)
    for name in names:
        if name in there and name in judged:
            yield replace(judged[name], fitted=store.fitted_digest(folder, name))
            continue
        outcome = fitting.judge_again(there[name], data, config) if name in there else next(outcomes)
        if outcome.fitted is None:
            yield Entry(name, "rival", rival=name, why=outcome.why)
            continue
        if name not in there:
            store.write_fitted(folder, outcome.fitted, studies[0], data.fingerprint)
        title = outcome.fitted.title
        yield Entry(
            title,
            "rival",
            {part: replace(each.items, name=title) for part, each in outcome.judgements.items()},
            {**outcome.over_windows, **{part: each.metrics for part, each in outcome.judgements.items()}},
            rival=name,
            note=outcome.fitted.note,
            fitted=store.fitted_digest(folder, name),
        )
